//! The FPU and SSE in hot loops: their state, and their exceptions.

use super::*;

/// Sums that round differently by precision and direction, which the loop changes.
#[test]
fn the_control_word_changes() {
    let mut o = Rig::protected(|a| {
        asm! { a => fninit; mov ecx, 4 * TIMES; fld1; fldpi; label "again"; }
        asm! { a =>
            mov eax, ecx;
            and eax, 0xf; // rounding and precision by the count
            shl eax, 8;
            or eax, 0x7f;
            mov dword_ptr(PAGE), eax;
            fldcw word_ptr(PAGE);
            fadd_2 st0, st1;
            fdiv_2 st0, st1;
            fxch st0, st1;
            fsqrt;
            fxch st0, st1;
            fmul_2 st0, st1;
            fistp qword_ptr(PAGE + 8);
            mov eax, dword_ptr(PAGE + 8);
            add dword_ptr(RESULT), eax;
            fldpi;
            dec ecx;
            jnz a.to("again");
            fnstsw ax;
            mov dword_ptr(RESULT + 4), eax;
        }
        a.fnstenv(dword_ptr(RESULT + 0x20))?;
        a.fstp(tbyte_ptr(RESULT + 0x40))?;
        a.fstp(tbyte_ptr(RESULT + 0x50))
    })
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_ne!(o.result(0), 0);
}

/// The environment says which instruction and operand were last, of the iteration that was last.
#[test]
fn the_last_instruction_and_operand() {
    let mut o = Rig::protected(|a| {
        asm! { a => fninit; fldz; mov ecx, TIMES; mov ebx, PAGE; label "again"; mov dword_ptr(ebx), ecx; label "add"; }
        a.fiadd(dword_ptr(ebx))?;
        asm! { a => add ebx, 4; dec ecx; jnz a.to("again"); }
        a.fnstenv(dword_ptr(RESULT + 0x20))?;
        a.fistp(dword_ptr(RESULT))
    })
    .hot()
    .run();
    assert_eq!(o.result(0), SUM);
    assert_eq!(o.dword(RESULT + 0x20 + 12), o.at("add"));
    assert_eq!(o.dword(RESULT + 0x20 + 20), PAGE + 4 * (TIMES - 1));
}

/// CR0.TS is set now and then: #NM at the loop's next FPU instruction, and the handler clears it.
#[test]
fn lazy_switching_in_a_hot_loop() {
    let mut o = Rig::protected(|a| {
        on(a, 7, "absent")?;
        asm! { a =>
            fninit;
            fldz;
            mov ecx, 4 * TIMES;
            label "again";
            test cl, 7;
            jnz a.to("on");
            mov eax, cr0;
            or eax, 8;
            mov cr0, eax;
            label "on";
            inc edx;
            fld1;
            faddp st1, st0;
            dec ecx;
            jnz a.to("again");
        }
        a.fistp(dword_ptr(RESULT))?;
        asm! { a =>
            jmp a.to("done");
            label "absent";
            inc dword_ptr(RESULT + 4);
            mov edx, dword_ptr(esp);
            sub edx, a.at("on");
            add dword_ptr(RESULT + 8), edx;
            clts;
            iretd;
        }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [4 * TIMES, TIMES / 2, TIMES / 2]);
}

/// An unmasked division by zero in one iteration is reported by the next waiting instruction.
#[test]
fn a_numeric_error_in_a_hot_loop() {
    let mut o = Rig::protected(|a| {
        on(a, 16, "error")?;
        asm! { a =>
            mov eax, cr0;
            or eax, 0x20; // NE
            mov cr0, eax;
            fninit;
            mov word_ptr(PAGE), 0x37b; // division by zero unmasked
            fldcw word_ptr(PAGE);
            mov ecx, 2 * TIMES;
            label "again";
            mov eax, ecx;
            sub eax, 7;
            mov dword_ptr(PAGE), eax;
            fld1;
            label "divide";
        }
        a.fidiv(dword_ptr(PAGE))?;
        asm! { a =>
            inc dword_ptr(RESULT);
            label "reported";
            fstp st0;
            dec ecx;
            jnz a.to("again");
            jmp a.to("done");
            label "error";
            mov eax, dword_ptr(esp);
            mov dword_ptr(RESULT + 4), eax;
            inc dword_ptr(RESULT + 8);
            mov dword_ptr(RESULT + 12), ecx;
        }
        a.fnstenv(dword_ptr(RESULT + 0x20))?;
        asm! { a => fnclex; mov word_ptr(PAGE + 4), 0x37b; fldcw word_ptr(PAGE + 4); iretd; }
        Ok(())
    })
    .hot()
    .run();
    assert_eq!(o.results(), [2 * TIMES, o.at("reported"), 1, 7]);
    assert_eq!(o.dword(RESULT + 0x20 + 12), o.at("divide"));
}

/// MMX and FPU code in turn: tags, the top, and exponents of all ones.
#[test]
fn mmx_and_fpu_in_turn() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            fninit;
            mov ecx, TIMES;
            label "again";
            movd mm0, ecx;
            movd mm1, ecx;
            paddd mm1, mm0;
            movd eax, mm1;
            add dword_ptr(RESULT), eax;
            fnsave ptr(PAGE);
            mov eax, dword_ptr(PAGE + 8);
            add dword_ptr(RESULT + 4), eax;
            frstor ptr(PAGE);
            emms;
            mov dword_ptr(PAGE + 0x100), ecx;
        }
        a.fild(dword_ptr(PAGE + 0x100))?;
        a.fiadd(dword_ptr(RESULT + 8))?;
        a.fistp(dword_ptr(RESULT + 8))?;
        asm! { a => dec ecx; jnz a.to("again"); }
        a.fnstenv(dword_ptr(RESULT + 0x20))
    })
    .hot()
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!(o.result(0), 2 * SUM);
    assert_eq!(o.result(2), SUM);
}

/// MXCSR changes within the loop, its flags stick, and an unmasked exception comes at the very
/// instruction, which changes nothing.
#[test]
fn sse_rounds_and_faults() {
    let mut o = Rig::protected(|a| {
        on(a, 19, "error")?;
        asm! { a =>
            mov eax, cr4;
            or eax, 0x600;
            mov cr4, eax;
            mov dword_ptr(PAGE + 4), 3;
            mov ecx, 4 * TIMES;
            xor esi, esi;
            label "again";
            mov eax, ecx;
            and eax, 3;
            shl eax, 13;
            or eax, 0x1d80; // division by zero unmasked
            mov dword_ptr(PAGE), eax;
            ldmxcsr dword_ptr(PAGE);
            mov edx, ecx;
            sub edx, 9;
            cvtsi2ss xmm0, ecx;
            cvtsi2ss xmm1, edx;
            label "divide";
            divss xmm0, xmm1;
            movd eax, xmm0;
            add esi, eax;
            stmxcsr dword_ptr(PAGE);
            mov eax, dword_ptr(PAGE);
            and eax, 0x3f;
            or dword_ptr(RESULT), eax;
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT + 4), esi;
            jmp a.to("done");
            label "error";
            mov eax, dword_ptr(esp);
            mov dword_ptr(RESULT + 8), eax;
            inc dword_ptr(RESULT + 12);
            movd dword_ptr(RESULT + 16), xmm0;
            cvtsi2ss xmm1, ecx;
            iretd;
        }
        Ok(())
    })
    .hot()
    .run();
    let [flags, sum, at, errors, dividend] = o.results();
    assert_eq!((flags & 0x20, at, errors, dividend), (0x20, o.at("divide"), 1, 9f32.to_bits()));
    assert_ne!(sum, 0);
}

/// A loop computes with numbers that come into it from outside and from its own turns; in some turns they are denormal,
/// infinite or none at all, and in some the register holds what no turn computes with.
#[test]
fn numbers_that_a_loop_computes_with() {
    const AT: u32 = RESULT + 0x40;
    const ODD: [u64; 4] = [0x0008_0000_0000_0000, 0x7ff0_0000_0000_0000, 0, 0x4009_21fb_5444_2d18];
    let third = (1.0f64 / 3.0).to_bits();
    let mut o = Rig::protected(move |a| {
        asm! { a =>
            mov eax, cr4;
            or eax, 0x600;
            mov cr4, eax;
            mov ecx, 4 * TIMES;
            xor esi, esi;
            movsd_2 xmm0, qword_ptr(AT + 0x20);
            movsd_2 xmm3, qword_ptr(AT + 0x20);
            divsd xmm0, xmm3; // 1
            divsd xmm3, xmm0;
            addsd xmm3, xmm0; // inexact from here on
            label "again";
            mulsd xmm0, xmm3;
            comisd xmm0, qword_ptr(AT + 0x20);
            jbe a.to("small");
            inc esi;
            label "small";
            movapd xmm1, xmm0;
            addsd xmm1, xmm3;
            movd eax, xmm1;
            add dword_ptr(RESULT), eax;
            mov eax, ecx;
            and eax, 7;
            cmp eax, 4;
            jae a.to("same");
            movsd_2 xmm0, qword_ptr(AT + eax * 8);
            label "same";
            dec ecx;
            jnz a.to("again");
            mov dword_ptr(RESULT + 4), esi;
            stmxcsr dword_ptr(RESULT + 8);
        }
        Ok(())
    })
    .dwords(AT, &ODD.map(|n| [n as u32, (n >> 32) as u32]).concat())
    .dwords(AT + 0x20, &[third as u32, (third >> 32) as u32])
    .hot()
    .run();
    let (mut x, factor) = (1.0f64, 1.0f64 / 3.0 + 1.0);
    let (mut sum, mut large) = (0u32, 0);
    for turn in (1..=4 * TIMES).rev() {
        x *= factor;
        large += u32::from(x > 1.0 / 3.0);
        sum = sum.wrapping_add((x + factor).to_bits() as u32);
        if let Some(&odd) = ODD.get((turn & 7) as usize) {
            x = f64::from_bits(odd);
        }
    }
    // inexact, denormal, and tiny as well as inexact (SDM vol. 1, 4.9.1.5)
    assert_eq!(o.results(), [sum, large, 0x1fb2]);
}
