//! Descriptor tables and questions about descriptors.

use crate::fake::*;
use cpu::{CpuModel, Fault, cr4, eflags as e, reg};
use vmm::Atom;

/// Runs an instruction on AX = selector; the value in ECX and ZF.
fn ask(f: &mut Fake, bytes: &[u8], selector: u16) -> Option<u32> {
    f.cpu.set_r32(reg::AX, u32::from(selector));
    f.cpu.set_r32(reg::CX, 0x5555_5555);
    f.cpu.set_arithmetic_flags(e::CF | e::AF);
    f.run(bytes).unwrap();
    let flags = f.cpu.arithmetic_flags();
    assert_eq!(flags & !e::ZF, e::CF | e::AF);
    if flags & e::ZF == 0 {
        assert_eq!(f.cpu.r32(reg::CX), 0x5555_5555);
    }
    (flags & e::ZF != 0).then_some(f.cpu.r32(reg::CX))
}

const LAR: [u8; 3] = [0x0f, 0x02, 0xc8]; // lar ecx, eax
const LSL: [u8; 3] = [0x0f, 0x03, 0xc8]; // lsl ecx, eax
const VERR: [u8; 3] = [0x0f, 0x00, 0xe0]; // verr ax
const VERW: [u8; 3] = [0x0f, 0x00, 0xe8]; // verw ax

/// SDM vol. 2, LAR and LSL: valid types, privilege, masks.
#[test]
fn rights_and_limits() {
    let mut f = Fake::protected(0);
    assert_eq!(ask(&mut f, &LAR, CODE0), Some(0x00c0_9a00));
    assert_eq!(ask(&mut f, &LSL, CODE0), Some(u32::MAX));
    assert_eq!(ask(&mut f, &LAR, TASK), Some(0x8b00));
    assert_eq!(ask(&mut f, &LSL, TASK2), Some(0x67));
    assert_eq!(ask(&mut f, &LAR, CALL_GATE), Some(0xec00));
    assert_eq!(ask(&mut f, &LSL, CALL_GATE), None);
    assert_eq!(ask(&mut f, &LAR, TASK_GATE), Some(0xe500));
    assert_eq!(ask(&mut f, &LAR, 0), None);
    assert_eq!(ask(&mut f, &LAR, OUTSIDE), None);
    assert_eq!(ask(&mut f, &LAR, CODE0 | 3), None); // RPL
    assert_eq!(ask(&mut f, &LSL, LOCAL), Some(0xf));
    f.write(GDT + u32::from(LOCAL), 8, gate(CODE0, 0, 0x8e, 0)); // an interrupt gate
    assert_eq!(ask(&mut f, &LAR, LOCAL), None);
    let mut f = Fake::protected(3);
    assert_eq!(ask(&mut f, &LAR, CODE0), None);
    assert_eq!(ask(&mut f, &LAR, CONFORMING | 3), Some(0x0040_9e00));
    assert_eq!(ask(&mut f, &[0x66, 0x0f, 0x02, 0xc8], DATA3), Some(0x5555_f200));
    assert!(f.asked.contains(&Atom::PrivilegeAdmits));
}

/// SDM vol. 2, VERR and VERW.
#[test]
fn readable_and_writable() {
    let mut f = Fake::protected(3);
    for (selector, readable, writable) in [
        (DATA3, true, true),
        (READ_ONLY | 3, true, false),
        (CODE3, true, false),
        (CONFORMING, true, false),
        (DATA0, false, false),
        (TASK, false, false),
        (0, false, false),
        (OUTSIDE, false, false),
    ] {
        assert_eq!(ask(&mut f, &VERR, selector).is_some(), readable, "{selector:x}");
        assert_eq!(ask(&mut f, &VERW, selector).is_some(), writable, "{selector:x}");
    }
    let mut f = Fake::protected(0);
    assert_eq!(ask(&mut f, &VERR, EXECUTE_ONLY), None);
}

/// SDM vol. 2, ARPL.
#[test]
fn arpl() {
    let mut f = Fake::protected(0);
    for (ax, cx, result) in [(0x10, 3, 0x13), (0x13, 0, 0x13), (0x12, 2, 0x12)] {
        f.cpu.set_r32(reg::AX, ax);
        f.cpu.set_r32(reg::CX, cx);
        f.run(&[0x63, 0xc8]).unwrap(); // arpl ax, cx
        assert_eq!(f.cpu.r32(reg::AX), result);
        assert_eq!(f.cpu.arithmetic_flags() & e::ZF != 0, ax != result);
    }
}

/// SDM vol. 2, LAR and others: #UD in real and V86 mode.
#[test]
fn undefined_without_protection() {
    for mut f in [Fake::real(CpuModel::N270), Fake::v86(3)] {
        let forms: [&[u8]; 9] = [
            &LAR,
            &LSL,
            &VERR,
            &VERW,
            &[0x63, 0xc8],
            &[0x0f, 0x00, 0xd0],
            &[0x0f, 0x00, 0xd8],
            &[0x0f, 0x00, 0xc0],
            &[0x0f, 0x00, 0xc8],
        ];
        for bytes in forms {
            assert_eq!(f.faults(bytes), Fault::UD, "{bytes:x?}");
        }
    }
}

/// SDM vol. 2, LGDT and SGDT: 24 bits of base with a 16-bit operand; CPL 0 only.
#[test]
fn table_registers() {
    let mut f = Fake::real(CpuModel::N270);
    f.write(0x100, 6, 0x1234_5678_9abc);
    f.run(&[0x0f, 0x01, 0x16, 0, 1]).unwrap(); // lgdt [100h]
    assert_eq!((f.cpu.gdtr.base, f.cpu.gdtr.limit), (0x0034_5678, 0x9abc));
    f.run(&[0x66, 0x0f, 0x01, 0x1e, 0, 1]).unwrap(); // lidt [100h], 32 bits
    assert_eq!((f.cpu.idtr.base, f.cpu.idtr.limit), (0x1234_5678, 0x9abc));
    f.run(&[0x0f, 0x01, 0x0e, 0x10, 1]).unwrap(); // sidt [110h]
    assert_eq!(f.read(0x110, 6), 0x1234_5678_9abc);
    let mut f = Fake::protected(3);
    assert_eq!(f.faults(&[0x0f, 0x01, 0x15, 0, 1, 0, 0]), Fault::GP0);
    f.run(&[0x0f, 0x01, 0x05, 0, 1, 0, 0]).unwrap(); // sgdt [100h]
    assert_eq!(f.read(0x100, 6), u64::from(GDT) << 16 | 0x9f);
}

/// SDM vol. 3A, 2.5: CR4.UMIP makes SGDT, SIDT, SLDT and STR #GP(0) above CPL 0.
#[test]
fn user_mode_instruction_prevention() {
    let mut f = Fake::protected(3);
    f.run(&[0x0f, 0x00, 0xc8]).unwrap(); // str eax
    assert_eq!(f.cpu.r32(reg::AX), u32::from(TASK));
    f.cpu.cr4 |= cr4::UMIP;
    let forms: [&[u8]; 4] = [
        &[0x0f, 0x01, 0x05, 0, 1, 0, 0],
        &[0x0f, 0x01, 0x0d, 0, 1, 0, 0],
        &[0x0f, 0x00, 0xc0],
        &[0x0f, 0x00, 0xc8],
    ];
    for bytes in forms {
        assert_eq!(f.faults(bytes), Fault::GP0);
    }
}

/// SDM vol. 2, LLDT and LTR.
#[test]
fn system_segments() {
    let mut f = Fake::protected(0);
    let load = |f: &mut Fake, op: u8, selector: u16| {
        f.cpu.set_r32(reg::AX, u32::from(selector));
        f.run(&[0x0f, 0x00, op]).err()
    };
    let (lldt, ltr) = (0xd0, 0xd8);
    assert_eq!(load(&mut f, lldt, DATA0), Some(Fault::gp(DATA0)));
    assert_eq!(load(&mut f, lldt, 0xc), Some(Fault::gp(0xc)));
    assert_eq!(load(&mut f, lldt, LOCAL), None);
    assert_eq!(f.cpu.ldtr.base, LDT);
    assert_eq!(load(&mut f, lldt, 0), None);
    assert!(!f.cpu.ldtr.usable());
    assert_eq!(load(&mut f, ltr, 0), Some(Fault::GP0));
    assert_eq!(load(&mut f, ltr, TASK), Some(Fault::gp(TASK))); // busy
    assert_eq!(load(&mut f, ltr, TASK2), None);
    assert_eq!((f.cpu.tr.base, f.cpu.tr.rights & 0xff, f.access(TASK2)), (TSS2, 0x8b, 0x8b));
    f.set_access(TASK16, 1);
    assert_eq!(load(&mut f, ltr, TASK16), Some(Fault::np(TASK16)));
    let mut f = Fake::protected(3);
    assert_eq!(load(&mut f, ltr, TASK2), Some(Fault::GP0));
}

/// An 80286 has no 32-bit types and 24-bit bases (SDM vol. 3B, 22.1).
#[test]
fn descriptors_of_an_80286() {
    let mut f = Fake::protected(0);
    f.cpu.model = CpuModel::I286;
    for n in 0..6 {
        f.put_segment(n, if n == 1 { CODE16 } else { DATA16 });
    }
    assert_eq!(ask(&mut f, &LAR, TASK2), None);
    f.cpu.set_r32(reg::AX, u32::from(DATA0));
    f.run(&[0x8e, 0xd8]).unwrap();
    assert_eq!(f.cpu.seg[3].limit, 0xffff);
}

/// An 80286 stores ones in the last byte of SGDT and SIDT, and knows no granularity (SDM vol. 2, SGDT; vol. 3B,
/// 22.29).
#[test]
fn tables_of_an_80286() {
    for (field, chip, last) in [(0, true, 0xff), (1, true, 0xff), (0, false, 0), (1, false, 0)] {
        let mut f = Fake::protected(0);
        if chip {
            f = f.on_a_286();
        }
        f.at_100(&[0x0f, 0x01], field).unwrap();
        assert_eq!(f.read(0x105, 1), last);
    }
    let mut f = Fake::protected(0).on_a_286();
    f.write(GDT + u32::from(LOCAL), 8, segment(0, 0x1234, 0x92, 0xc));
    f.cpu.set_r32(reg::AX, LOCAL.into());
    f.run(&LSL).unwrap();
    assert_eq!(f.cpu.r16(reg::CX), 0x1234);
}
