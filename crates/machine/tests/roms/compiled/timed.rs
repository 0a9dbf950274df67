//! Interrupts that come between compiled blocks, and what holds them off.

use super::*;

/// Both PICs at vectors 20h and 28h, only the timer open, in the rate generator's mode.
fn timer(a: &mut Asm, divisor: u16) -> Assembled {
    on(a, 0x20, "timer")?;
    let [low, high] = divisor.to_le_bytes();
    let ports: [(u32, u8); 9] = [
        (0x20, 0x11),
        (0x21, 0x20),
        (0x21, 4),
        (0x21, 1),
        (0x21, 0xfe),
        (0xa1, 0xff),
        (0x43, 0x34),
        (0x40, low),
        (0x40, high),
    ];
    for (port, value) in ports {
        asm! { a => mov al, u32::from(value); out port, al; }
    }
    Ok(())
}

/// The handler counts at [`RESULT`] and writes down the last EIP that it found.
fn handler(a: &mut Asm) -> Assembled {
    asm! { a =>
        jmp a.to("done");
        label "timer";
        push eax;
        inc dword_ptr(RESULT);
        mov eax, dword_ptr(esp + 4);
        mov dword_ptr(RESULT + 4), eax;
        mov al, 0x20u32;
        out 0x20, al;
        pop eax;
        iretd;
    }
    Ok(())
}

/// A loop without anything that would leave compiled code is interrupted nevertheless.
#[test]
fn a_loop_that_only_counts() {
    let mut o = Rig::protected(|a| {
        timer(a, 119)?;
        asm! { a => mov ecx, 400_000; sti; label "again"; dec ecx; jnz a.to("again"); cli; }
        handler(a)
    })
    .limit(3_000_000)
    .hot()
    .run();
    // 0.1 ms are 20,000 instructions of 5 ns
    let count = o.result(0);
    assert!((38..=44).contains(&count), "{count}");
}

/// With STI and CLI in every iteration interrupts come behind the instruction after STI, and
/// nowhere else.
#[test]
fn windows_of_one_instruction() {
    let mut o = Rig::protected(|a| {
        timer(a, 119)?;
        asm! { a =>
            mov ecx, 50_000;
            label "again";
            sti;
            nop;
            label "window";
            cli;
            nop;
            sti;
            cli; // the shadow of STI: no window
            dec ecx;
            jnz a.to("again");
        }
        handler(a)
    })
    .limit(3_000_000)
    .hot()
    .run();
    assert!(o.result(0) > 10);
    assert_eq!(o.result(1), o.at("window"));
}

/// STI and HLT: each HLT is ended by one interrupt, which finds the place behind it.
#[test]
fn halts_in_a_loop() {
    let mut o = Rig::protected(|a| {
        timer(a, 500)?;
        asm! { a =>
            mov ecx, TIMES;
            label "again";
            sti;
            hlt;
            label "awake";
            cli;
            dec ecx;
            jnz a.to("again");
        }
        handler(a)
    })
    .limit(3_000_000)
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES, o.at("awake")]);
}

/// POPF and MOV SS in a hot loop: the first lets interrupts in at once, the second holds them off.
#[test]
fn popf_and_mov_ss() {
    let mut o = Rig::protected(|a| {
        timer(a, 119)?;
        asm! { a =>
            mov ecx, 50_000;
            mov edx, u32::from(KDATA);
            pushfd;
            pop ebx;
            or ebx, 0x200;
            label "again";
            push ebx;
            popfd;
            label "window";
            mov ss, dx;
            cli;
            dec ecx;
            jnz a.to("again");
        }
        handler(a)
    })
    .limit(3_000_000)
    .hot()
    .run();
    assert!(o.result(0) > 10);
    assert_eq!(o.result(1), o.at("window"));
}

/// Interrupts in the midst of strings and between them, behind STI as well: the count that is left is the same for all.
#[test]
fn strings_are_interrupted() {
    let mut o = Rig::protected(|a| {
        timer(a, 119)?;
        asm! { a =>
            mov ebp, 1_500;
            label "again";
            mov edi, PAGE;
            mov eax, ebp;
            mov ecx, 100;
            sti;
        }
        a.rep().stosd()?;
        asm! { a => mov esi, PAGE; mov ecx, 75; inc eax; }
        a.rep().movsw()?;
        asm! { a => pushfd; cli; pop eax; add dword_ptr(RESULT + 8), eax; dec ebp; jnz a.to("again"); jmp a.to("done"); }
        asm! { a =>
            label "timer";
            push eax;
            inc dword_ptr(RESULT);
            mov eax, dword_ptr(esp + 4);
            add eax, ecx;
            rol dword_ptr(RESULT + 4), 3;
            xor dword_ptr(RESULT + 4), eax;
            mov al, 0x20u32;
            out 0x20, al;
            pop eax;
            iretd;
        }
        Ok(())
    })
    .limit(3_000_000)
    .hot()
    .run();
    assert!(o.result(0) > 10);
}
