//! Interrupts: when they come, and where they leave off.

use crate::rig::*;
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

/// Both PICs at vectors 20h and 28h with everything masked but the timer, and the timer started
/// with a divisor, in the rate generator's mode.
fn timer(a: &mut Asm, divisor: u16) -> Assembled {
    let setup: [(u32, u8); 10] = [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xfe),
        (0xa1, 0xff),
    ];
    let pit = [(0x43, 0x34), (0x40, divisor as u8), (0x40, (divisor >> 8) as u8)];
    for (port, value) in setup.into_iter().chain(pit) {
        asm! { a => mov al, u32::from(value); out port, al; }
    }
    Ok(())
}

fn timer_gate(a: &mut Asm) -> Assembled {
    let g = gate(KCODE, a.at("timer"), 0x8e, 0);
    asm! { a => mov dword_ptr(IDT + 0x20 * 8), g as u32; mov dword_ptr(IDT + 0x20 * 8 + 4), (g >> 32) as u32; }
    Ok(())
}

/// Waits with interrupts off until the PIC requests one.
fn wait_for_request(a: &mut Asm, name: &str) -> Assembled {
    asm! { a =>
        mov al, 0x0au32; // OCW3: the request register
        out 0x20, al;
        label name;
        in_ al, 0x20;
        test al, 1;
        jz a.to(name);
    }
    Ok(())
}

/// SDM vol. 2, STI: interrupts come after the instruction behind STI; POPF and IRET have no
/// such delay; a CLI behind the STI keeps them out.
#[test]
fn sti_shadow() {
    let mut o = Rig::protected(|a| {
        timer_gate(a)?;
        timer(a, 2000)?;
        wait_for_request(a, "first")?;
        asm! { a =>
            mov ebx, RESULT;
            sti;
            cli;
            nop;
            mov dword_ptr(RESULT + 12), 1; // not yet
            sti;
            inc dword_ptr(RESULT + 16);
            inc dword_ptr(RESULT + 16);
            cli;
        }
        wait_for_request(a, "second")?;
        asm! { a =>
            mov ebx, RESULT + 4;
            pushfd;
            or dword_ptr(esp), 0x200;
            popfd;
            inc dword_ptr(RESULT + 16);
            jmp a.to("done");
            label "timer";
            push eax;
            mov eax, dword_ptr(RESULT + 16);
            mov dword_ptr(ebx), eax;
            mov eax, dword_ptr(RESULT + 12);
            mov dword_ptr(ebx + 20), eax;
            mov al, 0x20u32;
            out 0x20, al;
            pop eax;
            and dword_ptr(esp + 8), !0x200; // back with interrupts off
            iretd;
        }
        Ok(())
    })
    .limit(10_000_000)
    .run();
    let [first, second, _, _, count, mark] = o.results();
    assert_eq!((first, mark), (1, 1), "one instruction behind STI");
    assert_eq!(second, 2, "none behind POPF");
    assert_eq!(count, 3);
    // the first request is the output's rise when the mode is set; the second comes a period of
    // 2000 / 1193182 s after it, at 5 ns an instruction
    let retired = o.machine.cpu().retired;
    assert!((335_000..335_000 + 60_000).contains(&retired), "{retired}");
}

/// SDM vol. 2, REP: an interrupt between two iterations finds registers that say exactly how
/// far the instruction is, and EIP at its prefix.
#[test]
fn rep_movs_is_interrupted_exactly() {
    const BYTES: u32 = 0x10_0000;
    const FROM: u32 = 0x10_0003;
    const TO: u32 = 0x30_0801;
    let mut o = Rig::protected(|a| {
        timer_gate(a)?;
        asm! { a =>
            // a pattern to copy
            mov edi, FROM;
            mov ecx, BYTES;
            label "pattern";
            mov eax, ecx;
            shr eax, 7;
            add eax, ecx;
            mov byte_ptr(edi), al;
            inc edi;
            dec ecx;
            jnz a.to("pattern");
        }
        timer(a, 97)?;
        asm! { a =>
            mov esi, FROM;
            mov edi, TO;
            mov ecx, BYTES;
            sti;
            nop;
            label "copy";
            rep_movsb;
            cli;
            mov dword_ptr(RESULT + 8), esi;
            mov dword_ptr(RESULT + 12), edi;
            mov dword_ptr(RESULT + 16), ecx;
            // compare
            mov esi, FROM;
            mov edi, TO;
            mov ecx, BYTES;
        }
        a.repe().cmpsb()?;
        asm! { a =>
            setne byte_ptr(RESULT + 20);
            jmp a.to("done");
            label "timer";
            push eax;
            cmp dword_ptr(esp + 4), a.at("copy");
            jne a.to("elsewhere");
            inc dword_ptr(RESULT);
            // the three registers agree
            mov eax, esi;
            add eax, ecx;
            cmp eax, FROM + BYTES;
            jne a.to("wrong");
            mov eax, edi;
            add eax, ecx;
            cmp eax, TO + BYTES;
            jne a.to("wrong");
            // what is to come is still empty, and what was done is there
            cmp byte_ptr(edi), 0;
            jne a.to("wrong");
            test ecx, ecx;
            jnz a.to("elsewhere");
            label "wrong";
            inc dword_ptr(RESULT + 4);
            label "elsewhere";
            mov al, 0x20u32;
            out 0x20, al;
            pop eax;
            iretd;
        }
        Ok(())
    })
    .limit(40_000_000)
    .run();
    let [inside, wrong, source, destination, left, differs] = o.results();
    assert!(inside > 20, "{inside} interrupts");
    assert_eq!((wrong, differs), (0, 0));
    assert_eq!((source, destination, left), (FROM + BYTES, TO + BYTES, 0));
}

/// SDM vol. 3A, 6.7: nothing here raises NMI; HLT with interrupts off waits for ever.
#[test]
fn no_nmi_comes() {
    let mut o = Rig::protected(|a| {
        timer(a, 100)?;
        // NMI let through at the RTC's port, parity errors enabled at port 61h
        asm! { a => mov al, 0xau32; out 0x70, al; xor al, al; out 0x61, al; mov ecx, 100_000; }
        asm! { a => label "wait"; dec ecx; jnz a.to("wait"); mov dword_ptr(RESULT), 1; }
        Ok(())
    })
    .run();
    assert!(o.log.is_empty());
    assert_eq!(o.result(0), 1);
    assert_eq!(o.exit, machine::Exit::Stuck);
}
