//! Flags where one compiled block ends and the next begins.

use super::*;

type Lines = fn(&mut Asm) -> Assembled;

/// INC and DEC keep CF from one iteration to the next.
#[test]
fn carry_survives_the_loop_count() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            mov esi, 0x1_0000;
            xor edx, edx;
            stc;
            label "again";
            adc edx, 0; // 1 the first time
            lea esi, dword_ptr(esi + 8);
            cmp edx, 7; // CF while it is below 7
            inc esi;
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT), edx;
            mov dword_ptr(RESULT + 4), esi;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [7, 0x1_0000 + 9 * TIMES]);
}

/// A number of 20 doublewords is incremented, subtracted from itself, and compared.
#[test]
fn chains_over_blocks() {
    let mut o = Rig::protected(|a| {
        for n in 0..TIMES {
            asm! { a => mov dword_ptr(PAGE + 4 * n), -1i32; }
        }
        asm! { a =>
            mov ecx, TIMES;
            mov esi, PAGE;
            stc;
            label "add";
            adc dword_ptr(esi), 0;
            lea esi, dword_ptr(esi + 4);
            dec ecx;
            jnz a.to("add");
            setc byte_ptr(RESULT);
            mov ecx, TIMES;
            mov esi, PAGE;
            stc;
            label "subtract";
            sbb dword_ptr(esi), 0;
            lea esi, dword_ptr(esi + 4);
            dec ecx;
            jnz a.to("subtract");
            setc byte_ptr(RESULT + 4);
            mov eax, dword_ptr(PAGE + 4 * (TIMES - 1));
            mov dword_ptr(RESULT + 8), eax;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [1, 1, u32::MAX]);
}

/// A shift by CL that is 0 leaves all flags as the block before left them.
#[test]
fn shifts_by_nothing() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov ecx, TIMES;
            label "again";
            mov ebx, ecx;
            and ecx, 1; // shifts by 0 or 1
            mov eax, 0x4000_0001u32;
            mov edx, 1;
            cmp edx, 2; // CF, SF, AF
            jmp a.to("next");
            label "next";
            shl eax, cl;
            setc dl;
            pushfd;
            pop esi;
            and esi, 0x8d5;
            jecxz a.to("none");
            add dword_ptr(RESULT + 4), edx;
            jmp a.to("end");
            label "none";
            add dword_ptr(RESULT), edx;
            mov dword_ptr(RESULT + 8), esi;
            label "end";
            mov ecx, ebx;
            dec ecx;
            jnz a.to("again");
        }
        Ok(())
    })
    .hot()
    .run();
    // 1 - 2: CF, AF, SF, and the parity of FFh
    assert_eq!(o.results(), [TIMES / 2, 0, 0x95]);
}

/// All six flags, seen by PUSHF, LAHF, SETcc and an exception's frame behind each kind of edge.
#[test]
fn seen_behind_every_edge() {
    let edges: [(&str, Lines); 6] = [
        ("falls through", |a| {
            asm! { a => label "edge"; }
            Ok(())
        }),
        ("jump", |a| {
            asm! { a => jmp a.to("edge"); nop; label "edge"; }
            Ok(())
        }),
        ("branch", |a| {
            asm! { a => jno a.to("edge"); nop; label "edge"; }
            Ok(())
        }),
        ("indirect jump", |a| {
            asm! { a => mov ebx, a.at("edge"); jmp ebx; nop; label "edge"; }
            Ok(())
        }),
        ("call", |a| {
            asm! { a => call a.to("edge"); label "edge"; lea esp, dword_ptr(esp + 4); }
            Ok(())
        }),
        ("return", |a| {
            asm! { a => mov ebx, a.at("edge"); push ebx; ret; nop; label "edge"; }
            Ok(())
        }),
    ];
    for (name, edge) in edges {
        let mut o = Rig::protected(move |a| {
            on(a, 6, "ud")?;
            asm! { a => mov ecx, TIMES; label "again"; mov eax, ecx; neg eax; add eax, 5; }
            edge(a)?;
            asm! { a =>
                pushfd;
                pop edx;
                lahf;
                movzx eax, ah;
                add dword_ptr(RESULT), edx;
                add dword_ptr(RESULT + 4), eax;
                mov eax, ecx;
                sub eax, 7;
                jb a.to("below");
                label "below";
                ud2;
                label "behind";
                sets al;
                movzx eax, al;
                add dword_ptr(RESULT + 12), eax;
                dec ecx;
                jnz a.to("again");
                jmp a.to("done");
                label "ud";
                mov edx, dword_ptr(esp + 8);
                and edx, 0x8d5;
                add dword_ptr(RESULT + 8), edx;
                add dword_ptr(esp), 2;
                iretd;
            }
            Ok(())
        })
        .hot()
        .run();
        let (mut pushed, mut loaded, mut framed, mut signs) = (0, 0, 0, 0);
        for n in 1..=TIMES {
            let sum = 0u32.wrapping_sub(n).wrapping_add(5);
            let flags = image(sum, n <= 5, n.wrapping_neg() & 15, 5, false);
            pushed += flags | 2;
            loaded += flags & 0xff | 2;
            framed += image(n.wrapping_sub(7), n < 7, n & 15, 7, true);
            signs += u32::from(n < 7);
        }
        assert_eq!(o.results(), [pushed, loaded, framed, signs], "{name}");
    }
}

/// EFLAGS of an addition or subtraction without overflow.
fn image(result: u32, carry: bool, low: u32, other: u32, subtraction: bool) -> u32 {
    let adjust = if subtraction { low < other } else { low + other > 15 };
    let even = (result as u8).count_ones().is_multiple_of(2);
    u32::from(carry)
        | u32::from(even) << 2
        | u32::from(adjust) << 4
        | u32::from(result == 0) << 6
        | result >> 31 << 7
}
