//! The FPU's switches and errors, alignment checks.

use crate::rig::*;
use iced_x86::code_asm::*;
use isa::CpuModel;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const OK: u32 = 0xff;

/// Sets CR0 to PE, ET and the given bits.
fn set_cr0(a: &mut Asm, bits: u32) -> Assembled {
    asm! { a => mov eax, 0x11 | bits; mov cr0, eax; }
    Ok(())
}

/// SDM vol. 3A, 2.5 and table 9-3 of 9.2.2: EM, MP and TS.
#[test]
fn device_not_available() {
    let o = Rig::protected(|a| {
        // CR0 bits, and whether WAIT is tried or FLD1
        for (n, (bits, wait)) in
            [(4, false), (8, false), (0, false), (8, true), (10, true), (2, true), (4, true)]
                .into_iter()
                .enumerate()
        {
            set_cr0(a, bits)?;
            attempt(a, &format!("try {n}"), |a| if wait { a.wait() } else { a.fld1() })?;
        }
        set_cr0(a, 0)
    })
    .run();
    assert_eq!(o.vectors(), [7, 7, OK, OK, 7, OK, OK]);
}

/// An unmasked division by zero, left pending.
fn divide_by_zero(a: &mut Asm) -> Assembled {
    asm! { a =>
        fninit;
        mov word_ptr(RESULT), 0x37b;
        fldcw word_ptr(RESULT);
        fld1;
        fldz;
        fdivp st1, st0;
    }
    Ok(())
}

/// SDM vol. 3A, interrupt 16: with CR0.NE, the next waiting instruction is #MF.
#[test]
fn numeric_error_as_an_exception() {
    let o = Rig::protected(|a| {
        set_cr0(a, 0x20)?;
        divide_by_zero(a)?;
        // FNSTSW does not wait
        attempt(a, "no wait", |a| a.fnstsw(ax))?;
        attempt(a, "wait", |a| a.wait())?;
        attempt(a, "fld", |a| a.fldpi())?;
        a.fnclex()?;
        attempt(a, "cleared", |a| a.wait())
    })
    .run();
    assert_eq!(o.vectors(), [OK, 16, 16, OK]);
}

/// SDM vol. 1, appendix D.2: without CR0.NE, FERR# reaches the second PIC's IRQ 13.
#[test]
fn numeric_error_as_an_interrupt() {
    let mut o = Rig::protected(|a| {
        set_cr0(a, 0)?;
        let g = gate(KCODE, a.at("ferr"), 0x8e, 0);
        asm! { a => mov dword_ptr(IDT + 0x2d * 8), g as u32; mov dword_ptr(IDT + 0x2d * 8 + 4), (g >> 32) as u32; }
        for (port, value) in [
            (0x20, 0x11),
            (0xa0, 0x11),
            (0x21, 0x20),
            (0xa1, 0x28),
            (0x21, 4),
            (0xa1, 2),
            (0x21, 1),
            (0xa1, 1),
            (0x21, 0xfb),
            (0xa1, 0xdf),
        ] {
            asm! { a => mov al, value; out port, al; }
        }
        a.sti()?;
        divide_by_zero(a)?;
        asm! { a =>
            label "waits";
            wait;
            inc dword_ptr(RESULT + 4);
            jmp a.to("done");
            label "ferr";
            inc dword_ptr(RESULT + 8);
            mov eax, dword_ptr(esp);
            mov dword_ptr(RESULT + 12), eax;
            fnclex;
            xor eax, eax;
            out 0xf0, al;
            mov al, 0x20;
            out 0xa0, al;
            out 0x20, al;
            iretd;
        }
        Ok(())
    })
    .run();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!((o.result(1), o.result(2)), (1, 1));
    assert_eq!(o.result(3), o.at("waits"), "the interrupt comes before the waiting instruction");
}

/// SDM vol. 3A, interrupt 17: CR0.AM, EFLAGS.AC and CPL 3 together; not for the supervisor.
#[test]
fn alignment_check() {
    let run = |cr0_bits: u32, flags: u32, model| {
        Rig::protected(move |a| {
            set_cr0(a, cr0_bits)?;
            // at CPL 0 nothing is checked
            asm! { a => pushfd; or dword_ptr(esp), 0x4_0000; popfd; mov eax, dword_ptr(RESULT + 1); }
            resume_at(a, "end")?;
            to_user(a, "user", 2 | flags)?;
            asm! { a =>
                label "user";
                mov ebx, RESULT;
                mov eax, dword_ptr(ebx + 4);
                mov ax, word_ptr(ebx + 2);
                mov al, byte_ptr(ebx + 1);
                label "word";
                mov ax, word_ptr(ebx + 1);
                label "dword";
                mov eax, dword_ptr(ebx + 2);
                hlt;
                label "end";
            }
            Ok(())
        })
        .model(model)
        .run()
    };
    const AM: u32 = 0x4_0000;
    let o = run(AM, AM, CpuModel::N270);
    assert_eq!(o.faults(), [(17, 0)]);
    assert_eq!(o.log[0].eip, o.at("word"));
    assert_eq!(run(0, AM, CpuModel::N270).faults(), [(13, 0)]);
    assert_eq!(run(AM, 0, CpuModel::N270).faults(), [(13, 0)]);
}
