//! Code whose mode changes while it is hot.

use super::*;

/// The same bytes are two instructions of 16-bit code and one of 32-bit code.
#[test]
fn the_same_bytes_at_both_sizes() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov ecx, TIMES; xor eax, eax; xor edx, edx; label "again"; push cs; call a.to("32"); }
        // a far call with a 16-bit return address, to 16-bit code
        let [low, high, ..] = ROOM.to_le_bytes();
        a.db(&[0x66, 0x9a, low, high, OWN as u8, 0])?;
        asm! { a =>
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT), eax;
            mov dword_ptr(RESULT + 4), edx;
            mov dword_ptr(RESULT + 8), esp;
            jmp a.to("done");
            label "32";
            mov ebx, ROOM;
            jmp ebx;
        }
        Ok(())
    })
    .also(|a| {
        a.section(32, ROOM)?;
        // 32-bit: ADD EAX, 42420001h; RETF. 16-bit: ADD AX, 1; INC DX; INC DX; RETF
        a.db(&[0x05, 1, 0, 0x42, 0x42, 0xcb])
    })
    .descriptor(OWN, segment(0, 0xffff, 0x9b, 0))
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    let all = (1..=TIMES).fold(0u32, |sum, _| {
        let sum = sum.wrapping_add(0x4242_0001);
        sum & 0xffff_0000 | sum.wrapping_add(1) & 0xffff
    });
    assert_eq!(o.results(), [all, 2 * TIMES, STACK]);
}

/// 32-bit code, 16-bit code and back within one page, by far jumps.
#[test]
fn to_16_bits_and_back_in_one_page() {
    let mut o = Rig::protected(|a| {
        let [low, high, ..] = a.at("narrow").to_le_bytes();
        let wide = a.at("wide").to_le_bytes();
        asm! { a => mov ecx, TIMES; xor eax, eax; label "again"; add eax, 0x1_0001; }
        a.db(&[0x66, 0xea, low, high, OWN as u8, 0])?;
        asm! { a => label "narrow"; }
        a.db(&[0x05, 0xff, 0xff])?; // ADD AX, -1
        a.db(&[0x66, 0xea, wide[0], wide[1], wide[2], wide[3], KCODE as u8, 0])?;
        asm! { a => label "wide"; dec ecx; jnz a.to("again"); mov dword_ptr(RESULT), eax; }
        Ok(())
    })
    .descriptor(OWN, segment(0, 0xffff, 0x9b, 0))
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.result(0), TIMES << 16);
}

/// CR0.PE on and off in a loop, in which segment loads mean different things.
#[test]
fn real_and_protected_in_turn() {
    let mut o = Rig::real(|a| {
        asm! { a =>
            lgdt ptr(a.at("table"));
            mov cx, TIMES;
            label "again";
            mov eax, cr0;
            or al, 1;
            mov cr0, eax;
            mov bx, u32::from(OWN);
            mov fs, bx;
            inc dword_ptr(0).fs();
            and al, 0xfeu32;
            mov cr0, eax;
            mov bx, u32::from(OWN);
            mov gs, bx;
            add dword_ptr(RESULT - u32::from(OWN) * 16).gs(), 2;
            dec cx;
            jnz a.to("again");
            jmp a.to("done");
            label "table";
        }
        a.dw(&[0x7ff])?;
        a.dd(&[GDT])
    })
    .descriptor(OWN, segment(RESULT + 4, 0xffff, 0x93, 0))
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.results(), [2 * TIMES, TIMES]);
}

/// Address line 20 on and off in a loop that calls code and touches data through the alias.
#[test]
fn the_alias_at_one_megabyte() {
    const AT: u32 = ROOM + 0x10;
    let mut o = Rig::real(|a| {
        asm! { a =>
            // the keyboard controller's gate is shut: port 92h decides
            mov al, 0xd1u32;
            out 0x64, al;
            mov al, 0xddu32;
            out 0x60, al;
            mov al, 2;
            out 0x92, al;
            mov ax, 0xffffu32;
            mov es, ax;
        }
        // ADD BX, imm8; RETF: with 1 below, with 2 above
        for (n, b) in [0x83u32, 0xc3, 2, 0xcb].into_iter().enumerate() {
            asm! { a => mov byte_ptr(AT + n as u32).es(), b; }
        }
        asm! { a =>
            mov cx, 2 * TIMES;
            xor bx, bx;
            xor dx, dx;
            label "again";
            mov ax, cx;
            and al, 1;
            shl al, 1;
            out 0x92, al;
            inc word_ptr(RESULT + 0x10).es();
        }
        a.db(&[0x9a, AT as u8, (AT >> 8) as u8, 0xff, 0xff])?;
        asm! { a =>
            dec cx;
            jnz a.to("again");
            mov al, 2;
            out 0x92, al;
            mov word_ptr(RESULT + 4), bx;
            mov ax, word_ptr(RESULT + 0x10).es();
            mov word_ptr(RESULT + 8), ax;
        }
        Ok(())
    })
    .also(|a| {
        a.section(16, ROOM)?;
        a.db(&[0x83, 0xc3, 1, 0xcb])
    })
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES, 3 * TIMES, TIMES]);
}

/// A hot loop in the video memory, which is no RAM, and one that writes to the ROM it may run in.
#[test]
fn code_outside_of_ram() {
    let mut o = Rig::protected(|a| {
        // ADD EAX, 3; LOOP -5; RET
        for at in [0xa_0000u32, 0xb_8000, 0xf_8000] {
            asm! { a => mov dword_ptr(at), 0xe203_c083u32; mov word_ptr(at + 4), 0xc3fbu32; }
        }
        asm! { a =>
            mov ebx, 0xb_8000;
            cmp dword_ptr(ebx), 0xe203_c083u32;
            jne a.to("none");
            mov ecx, TIMES;
            xor eax, eax;
            call ebx;
            mov dword_ptr(RESULT), eax;
            label "none";
            mov eax, dword_ptr(0xf_8000);
            mov dword_ptr(RESULT + 4), eax;
        }
        Ok(())
    })
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_ne!(o.result(1), 0xe203_c083, "the ROM is none");
}

/// A hot loop in virtual 8086 mode, with INT n that the monitor sees, and privileged flags.
#[test]
fn a_hot_loop_in_virtual_8086_mode() {
    const VM: i32 = 0x2_0000;
    let mut o = Rig::protected(|a| {
        on(a, 13, "monitor")?;
        asm! { a =>
            push 0;
            push 0;
            push 0;
            push 0;
            push 0; // SS to GS
            push 0xf000; // ESP
            push VM | 0x3202; // IOPL 3
            push 0;
            push ROOM as i32;
            xor edx, edx;
            iretd;
            label "monitor";
            mov eax, u32::from(KDATA);
            mov ds, ax;
            inc dword_ptr(RESULT);
            cmp word_ptr(RESULT + 4), 0;
            jne a.to("done");
            add esp, 4;
            inc dword_ptr(esp); // over HLT
            iretd;
        }
        Ok(())
    })
    .also(|a| {
        a.section(16, ROOM)?;
        asm! { a =>
            mov cx, TIMES;
            label "again";
            pushf;
            pop ax;
            add dx, cx;
            cli;
            sti;
            hlt;
            dec cx;
            jnz a.to("again");
            mov word_ptr(RESULT + 8), dx;
            mov word_ptr(RESULT + 4), 1;
            hlt;
        }
        Ok(())
    })
    .hot()
    .run();
    let [exits, _, sum] = o.results();
    assert_eq!((exits, sum), (TIMES + 1, SUM));
}
