//! Code that changes itself. Intel's chips since the Pentium see a store to the next
//! instruction at once where its linear address is the one that is executed (SDM vol. 3A, 11.6).

use crate::rig::*;
use iced_x86::code_asm::*;
use test_roms::asm;

/// The very next instruction, in the same block.
#[test]
fn the_next_instruction() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, 3;
            label "again";
            mov eax, ecx;
            mov byte_ptr(a.at("patched") + 1), al;
            label "patched";
            mov ebx, 0x77;
            add dword_ptr(RESULT), ebx;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .run();
    assert_eq!(o.result(0), 3 + 2 + 1);
}

/// REP STOS over the code that follows it, and over itself.
#[test]
fn a_string_instruction_writes_the_code_behind_it() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov edi, a.at("overwritten");
            mov al, 0x90u32;
            mov ecx, 8;
        }
        a.rep().stosb()?;
        a.label("overwritten")?;
        // four UD2
        a.db(&[0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b])?;
        asm! { a => mov dword_ptr(RESULT), 5; }
        Ok(())
    })
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.result(0), 5);
}

/// A routine on another page, called before and after it was changed.
#[test]
fn another_page() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov byte_ptr(0x20_0000), 0xb8; // MOV EAX, imm32
            mov dword_ptr(0x20_0001), 1;
            mov byte_ptr(0x20_0005), 0xc3; // RET
            mov ecx, 0x20_0000;
            call ecx;
            mov dword_ptr(RESULT), eax;
            mov dword_ptr(0x20_0001), 2;
            call ecx;
            mov dword_ptr(RESULT + 4), eax;
            // a byte of the same page that is not code
            mov dword_ptr(0x20_0800), 7;
            call ecx;
            mov dword_ptr(RESULT + 8), eax;
        }
        Ok(())
    })
    .run();
    assert_eq!(o.results(), [1, 2, 2]);
}

/// An instruction across two pages: a change of its second half counts.
#[test]
fn code_across_pages() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov word_ptr(0x20_0ffd), 0xc3b8u32; // MOV EAX, imm32 begins three bytes before the page
            mov dword_ptr(0x20_0ffe), 0x0102_0304;
            mov byte_ptr(0x20_1002), 0xc3u32;
            mov ecx, 0x20_0ffd;
            call ecx;
            mov dword_ptr(RESULT), eax;
            mov byte_ptr(0x20_1001), 0x55;
            call ecx;
            mov dword_ptr(RESULT + 4), eax;
            mov byte_ptr(0x20_0ffe), 0x66;
            call ecx;
            mov dword_ptr(RESULT + 8), eax;
        }
        Ok(())
    })
    .run();
    assert_eq!(o.results(), [0x0102_0304, 0x5502_0304, 0x5502_0366]);
}

/// A store through another mapping of the frame.
#[test]
fn through_an_alias() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov byte_ptr(0x20_0000), 0xb8;
            mov dword_ptr(0x20_0001), 1;
            mov byte_ptr(0x20_0005), 0xc3;
            mov ecx, 0x20_0000;
            call ecx;
            mov dword_ptr(RESULT), eax;
            mov dword_ptr(0x30_0001), 2; // the same frame
            call ecx;
            mov dword_ptr(RESULT + 4), eax;
        }
        Ok(())
    })
    .paged()
    .dwords(TABLES + 0x1000 + 0x300 * 4, &[0x20_0007])
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.results(), [1, 2]);
}
