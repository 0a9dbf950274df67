//! Code that is written while it is hot.

use super::*;

/// Iterations, of which every eighth writes code: what lies between gets compiled.
const ROUNDS: u32 = 64;

/// One and three instructions ahead of the store, in the block that runs.
#[test]
fn just_ahead_in_the_running_block() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, ROUNDS;
            xor edx, edx;
            label "again";
            mov esi, PAGE;
            mov edi, PAGE;
            test cl, 7;
            jnz a.to("store");
            mov esi, a.at("first") + 1;
            mov edi, a.at("second") + 2;
            label "store";
            mov byte_ptr(edi), cl;
            mov byte_ptr(esi), cl;
            label "first";
            mov ebx, 0x77;
            add dword_ptr(RESULT), ebx;
            label "second";
            add edx, 0x11;
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT + 4), edx;
        }
        Ok(())
    })
    .hot()
    .run();
    let sum = (1..=8).map(|n| 8 * 8 * n).sum();
    assert_eq!(o.results(), [sum, sum]);
}

/// Behind the store, where the loop comes by again.
#[test]
fn an_earlier_part_of_the_loop() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, ROUNDS;
            label "again";
            mov eax, 1;
            add dword_ptr(RESULT), eax;
            test cl, 7;
            jnz a.to("on");
            inc byte_ptr(a.at("again") + 1);
            label "on";
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.result(0), 1 + (2..=8).map(|n| 8 * n).sum::<u32>() + 7 * 9);
}

/// Of a routine on another page, which the loop calls.
#[test]
fn another_page() {
    let mut o = Rig::protected(|a| {
        write_routine(a, PAGE, 1)?;
        asm! { a =>
            mov ecx, TIMES;
            mov ebx, PAGE;
            label "again";
            call ebx;
            add dword_ptr(RESULT), eax;
            inc dword_ptr(PAGE + 1);
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.result(0), SUM);
}

/// Data on the page that runs is no code: stores to it neither change what runs nor throw it away
/// again and again.
#[test]
fn data_beside_the_code() {
    const MANY: u32 = 20_000;
    /// What the rig's start takes, which copies 32768 words.
    const START: u64 = 33_000;
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, MANY;
            label "again";
            inc dword_ptr(CODE + 0x800);
            mov dword_ptr(CODE + 0x900), ecx;
            dec ecx;
            jnz a.to("again");
            mov eax, dword_ptr(CODE + 0x800);
            mov dword_ptr(RESULT), eax;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.result(0), MANY);
    for meter in &o.meters {
        assert!(meter.invalidations < 4 && meter.interpreted < START + 1000, "{meter:?}");
    }
}

/// Data so near to the code that no engine can tell them apart, and need not compile it.
#[test]
fn data_between_the_instructions() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, 100;
            jmp a.to("again");
            label "data";
        }
        a.dd(&[0])?;
        asm! { a =>
            label "again";
            inc dword_ptr(a.at("data"));
            dec ecx;
            jnz a.to("again");
            mov eax, dword_ptr(a.at("data"));
            mov dword_ptr(RESULT), eax;
        }
        Ok(())
    })
    .run();
    assert_eq!(o.result(0), 100);
}

/// As a guest that compiles does: code of another length each time, run some times.
#[test]
fn written_run_and_written_again() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            xor esi, esi;
            mov ecx, 2 * TIMES;
            label "round";
            mov edi, PAGE;
            mov edx, ecx;
            label "fill";
            mov byte_ptr(edi), 0x40; // INC EAX
            inc edi;
            dec edx;
            jnz a.to("fill");
            mov byte_ptr(edi), 0xc3;
            mov edx, 5;
            mov ebx, PAGE;
            label "call";
            xor eax, eax;
            call ebx;
            add esi, eax;
            dec edx;
            jnz a.to("call");
            dec ecx;
            jnz a.to("round");
            mov dword_ptr(RESULT), esi;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.result(0), 5 * TIMES * (2 * TIMES + 1));
}

/// REP MOVS brings another routine each time, REP STOS fills it with INC EAX.
#[test]
fn by_string_instructions() {
    let mut o = Rig::protected(|a| {
        const TEMPLATE: u32 = 0x21_0000;
        write_routine(a, TEMPLATE, 0)?;
        asm! { a =>
            mov edx, TIMES;
            mov ebx, PAGE;
            label "again";
            mov byte_ptr(TEMPLATE + 1), dl;
            mov esi, TEMPLATE;
            mov edi, PAGE;
            mov ecx, 6;
            rep_movsb;
            call ebx;
            add dword_ptr(RESULT), eax;
            mov edi, PAGE;
            mov ecx, 5;
            mov al, 0x40u32;
        }
        a.rep().stosb()?;
        asm! { a =>
            xor eax, eax;
            call ebx;
            add dword_ptr(RESULT + 4), eax;
            dec edx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [SUM, 5 * TIMES]);
}

/// By another linear address: of a routine, and of the very loop that stores.
#[test]
fn through_an_alias() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        write_routine(a, PAGE, 0)?;
        asm! { a =>
            mov ecx, TIMES;
            mov ebx, PAGE;
            label "again";
            mov dword_ptr(0x30_0001), ecx;
            call ebx;
            add dword_ptr(RESULT), eax;
            mov byte_ptr(0x30_1001 + a.at("patched") - CODE), cl;
            nop;
            label "patched";
            mov eax, 0x55;
            add dword_ptr(RESULT + 4), eax;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .dwords(PT + 0x300 * 4, &[PAGE | 7, CODE | 7])
    .hot()
    .run();
    assert_eq!(o.results(), [SUM, SUM]);
}

/// An instruction that lies on two pages, the second half changed, then the first.
#[test]
fn across_pages() {
    let mut o = Rig::protected(|a| {
        write_routine(a, PAGE + 0xffd, 0)?;
        asm! { a =>
            mov ecx, TIMES;
            mov ebx, PAGE + 0xffd;
            label "again";
            mov byte_ptr(PAGE + 0x1000), cl; // bits 23 to 16
            call ebx;
            add dword_ptr(RESULT), eax;
            mov byte_ptr(PAGE + 0xffe), cl; // bits 7 to 0
            call ebx;
            add dword_ptr(RESULT + 4), eax;
            mov byte_ptr(PAGE + 0xffe), 0;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [SUM << 16, (SUM << 16) + SUM]);
}

/// A loop of one block, small enough to be unrolled, writes an operand of its own: ahead of the store in the turn that
/// runs, and behind it.
#[test]
fn a_small_loop_by_itself() {
    for (ahead, mask) in [(true, 7u32), (false, 7), (true, 31), (false, 31)] {
        let mut o = Rig::protected(move |a| {
            asm! { a =>
                mov ecx, ROUNDS;
                mov edi, PAGE;
                mov ebx, a.at("changed") + 1;
                xor edx, edx;
                label "again";
                mov esi, ecx;
                and esi, mask;
                dec esi;
                mov esi, ebx;
                cmovns esi, edi;
            }
            if !ahead {
                asm! { a => label "changed"; mov eax, 1u32; add edx, eax; }
            }
            asm! { a => mov byte_ptr(esi), cl; }
            if ahead {
                asm! { a => label "changed"; mov eax, 1u32; add edx, eax; }
            }
            asm! { a => dec ecx; jnz a.to("again"); mov dword_ptr(RESULT), edx; }
            Ok(())
        })
        .hot()
        .run();
        let (mut k, mut sum) = (1, 0);
        for n in (1..=ROUNDS).rev() {
            sum += if ahead { 0 } else { k };
            k = if n & mask == 0 { n } else { k };
            sum += if ahead { k } else { 0 };
        }
        assert_eq!(o.result(0), sum, "{ahead} {mask}");
    }
}
