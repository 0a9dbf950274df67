//! Instructions for CPL 0, and those that a bit of CR0 or CR4 makes so; values that registers take.

use crate::fake::*;
use cpu::{CpuModel, Fault, Flow, cr0, cr4, reg};

/// SDM vol. 3A, 5.9, "Privileged Instructions": #GP(0) above CPL 0, V86 mode included.
#[test]
fn privileged_instructions() {
    let forms: [(&str, &[u8], &[u8]); 13] = [
        ("LGDT", &[0x0f, 0x01, 0x15, 0, 1, 0, 0], &[0x0f, 0x01, 0x16, 0, 1]),
        ("LIDT", &[0x0f, 0x01, 0x1d, 0, 1, 0, 0], &[0x0f, 0x01, 0x1e, 0, 1]),
        ("CLTS", &[0x0f, 0x06], &[0x0f, 0x06]),
        ("LMSW", &[0x0f, 0x01, 0xf0], &[0x0f, 0x01, 0xf0]),
        ("MOV CR", &[0x0f, 0x22, 0xd0], &[0x0f, 0x22, 0xd0]),
        ("MOV from CR", &[0x0f, 0x20, 0xc0], &[0x0f, 0x20, 0xc0]),
        ("MOV DR", &[0x0f, 0x23, 0xc0], &[0x0f, 0x23, 0xc0]),
        ("MOV from DR", &[0x0f, 0x21, 0xc0], &[0x0f, 0x21, 0xc0]),
        ("INVLPG", &[0x0f, 0x01, 0x3d, 0, 1, 0, 0], &[0x0f, 0x01, 0x3e, 0, 1]),
        ("INVD", &[0x0f, 0x08], &[0x0f, 0x08]),
        ("WBINVD", &[0x0f, 0x09], &[0x0f, 0x09]),
        ("HLT", &[0xf4], &[0xf4]),
        ("RDMSR", &[0x0f, 0x32], &[0x0f, 0x32]),
    ];
    for (name, wide, narrow) in forms {
        let prepared = |mut f: Fake| {
            f.cpu.set_r32(reg::CX, 0x10);
            f
        };
        assert!(prepared(Fake::protected(0)).run(wide).is_ok(), "{name}");
        assert_eq!(prepared(Fake::protected(3)).faults(wide), Fault::GP0, "{name}");
        assert!(prepared(Fake::real(CpuModel::N270)).run(narrow).is_ok(), "{name}");
        for iopl in [0, 3] {
            assert_eq!(prepared(Fake::v86(iopl)).faults(narrow), Fault::GP0, "{name}");
        }
        let mut f = prepared(Fake::protected(0));
        f.cpu.cpl = 1;
        assert_eq!(f.faults(wide), Fault::GP0, "{name} at CPL 1");
    }
    for (op, at) in [(0xd0, LOCAL), (0xd8, TASK2)] {
        for bad in [at, 0, ABSENT_DATA] {
            let mut f = Fake::protected(3);
            f.cpu.set_r32(reg::AX, bad.into());
            assert_eq!(f.faults(&[0x0f, 0x00, op]), Fault::GP0, "LLDT and LTR");
        }
    }
}

/// SDM vol. 2, LLDT, LTR, SLDT, STR: #UD in real and V86 mode, whatever CPL and UMIP are.
#[test]
fn undefined_comes_first() {
    for mut f in [Fake::real(CpuModel::N270), Fake::v86(3)] {
        f.cpu.cr4 |= cr4::UMIP;
        f.cpu.set_r32(reg::AX, 0xfff8);
        for op in [0xc0, 0xc8, 0xd0, 0xd8] {
            assert_eq!(f.faults(&[0x0f, 0x00, op]), Fault::UD, "{op:x}");
        }
        for field in [0, 1, 2, 3] {
            let beyond = [0x0f, 0x00, field << 3 | 6, 0xff, 0xff];
            assert_eq!(f.faults(&beyond), Fault::UD, "{field}");
        }
    }
}

/// SDM vol. 2, WRMSR and RDMSR: CPL 0, and registers that there are.
#[test]
fn model_specific_registers() {
    for op in [0x30, 0x32] {
        for (n, exists) in
            [(0x10, true), (0x174, true), (0x175, true), (0x176, true), (0x177, false), (0xdead, false)]
        {
            let mut f = Fake::protected(0);
            f.cpu.set_r32(reg::CX, n);
            let result = f.run(&[0x0f, op]);
            assert_eq!(result, if exists { Ok(Flow::Continue) } else { Err(Fault::GP0) }, "{n:x}");
            let mut f = Fake::protected(3);
            f.cpu.set_r32(reg::CX, n);
            assert_eq!(f.faults(&[0x0f, op]), Fault::GP0, "{n:x}");
        }
    }
    let mut f = Fake::real(CpuModel::N270);
    f.cpu.set_r32(reg::CX, 0x176);
    f.cpu.set_r32(reg::AX, 0x1234_5678);
    f.run(&[0x0f, 0x30]).unwrap();
    f.cpu.set_r32(reg::AX, 0);
    f.run(&[0x0f, 0x32]).unwrap();
    assert_eq!((f.cpu.r32(reg::AX), f.cpu.sysenter[2]), (0x1234_5678, 0x1234_5678));
}

/// SDM vol. 3A, 2.5 (TSD, PCE, UMIP): bits of CR4 that give an instruction to everyone, or take it away above CPL 0.
#[test]
fn bits_of_cr4() {
    let forms: [(&[u8], u32, bool); 8] = [
        (&[0x0f, 0x31], cr4::TSD, false),
        (&[0x0f, 0x33], cr4::PCE, true),
        (&[0x0f, 0x01, 0xe0], cr4::UMIP, false),
        (&[0x0f, 0x00, 0xc0], cr4::UMIP, false),
        (&[0x0f, 0x00, 0xc8], cr4::UMIP, false),
        (&[0x0f, 0x01, 0x05, 0, 1, 0, 0], cr4::UMIP, false),
        (&[0x0f, 0x01, 0x0d, 0, 1, 0, 0], cr4::UMIP, false),
        (&[0x66, 0x0f, 0x01, 0xe0], cr4::UMIP, false),
    ];
    for (bytes, bit, permits) in forms {
        for cpl in [0, 3] {
            for set in [false, true] {
                let mut f = Fake::protected(cpl);
                f.cpu.cr4 |= if set { bit } else { 0 };
                let fits = cpl == 0 || set == permits;
                assert_eq!(f.run(bytes).err(), (!fits).then_some(Fault::GP0), "{bytes:x?} {cpl} {set}");
            }
        }
    }
}

/// SDM vol. 2, RDPMC: #GP(0) for a counter that there is not.
#[test]
fn performance_counters() {
    for (n, exists) in [(0, true), (1, true), (2, false), (u32::MAX, false)] {
        let mut f = Fake::protected(0);
        f.cpu.set_r32(reg::CX, n);
        assert_eq!(f.run(&[0x0f, 0x33]).err(), (!exists).then_some(Fault::GP0));
    }
    let mut f = Fake::protected(3);
    f.cpu.cr4 |= cr4::PCE;
    f.cpu.set_r32(reg::CX, 2);
    assert_eq!(f.faults(&[0x0f, 0x33]), Fault::GP0);
}

fn load_cr(f: &mut Fake, n: u8, value: u32) -> Result<Flow, Fault> {
    f.cpu.set_r32(reg::AX, value);
    f.run(&[0x0f, 0x22, 0xc0 | n << 3])
}

/// SDM vol. 2, MOV to control registers: PG needs PE, NW needs CD; reserved bits of CR4.
#[test]
fn values_of_control_registers() {
    let et = cr0::ET;
    for (value, legal) in [
        (et, true),
        (et | cr0::PE, true),
        (et | cr0::PG, false),
        (et | cr0::PE | cr0::PG, true),
        (et | cr0::NW, false),
        (et | cr0::NW | cr0::CD, true),
        (et | cr0::CD, true),
    ] {
        let mut f = Fake::protected(0);
        assert_eq!(load_cr(&mut f, 0, value).err(), (!legal).then_some(Fault::GP0), "{value:x}");
        if legal {
            assert_eq!(f.cpu.cr0, value);
        }
    }
    for (value, legal) in [(cr4::PAE | cr4::PSE, true), (1 << 31, false), (1 << 13, false)] {
        let mut f = Fake::protected(0);
        assert_eq!(load_cr(&mut f, 4, value).err(), (!legal).then_some(Fault::GP0), "{value:x}");
        assert_eq!(f.cpu.cr4, if legal { value } else { 0 });
    }
}

/// SDM vol. 3A, 4.4.1: with PAE paging a load of CR3 loads the PDPTEs; reserved bits of a present one are #GP(0).
#[test]
fn page_directory_pointers() {
    for (entry, legal) in [(0u64, true), (1, true), (3, false), (0x0000_0001_0000_0001, false), (0x1e6, true)]
    {
        for n in [0, 3, 4] {
            let mut f = Fake::protected(0);
            f.cpu.cr0 |= if n == 0 { 0 } else { cr0::PG };
            f.cpu.cr4 |= if n == 4 { 0 } else { cr4::PAE };
            f.cpu.cr3 = 0xa000;
            f.write(0xa008, 8, entry);
            let value = [cr0::PE | cr0::ET | cr0::PG, 0, 0, 0xa000, cr4::PAE][n];
            let result = load_cr(&mut f, n as u8, value);
            assert_eq!(result.err(), (!legal).then_some(Fault::GP0), "CR{n}: {entry:x}");
            assert_eq!(f.cpu.pdptes[1], if legal { entry } else { 0 });
        }
    }
}

/// SDM vol. 3A, 17.2.2 to 17.2.4: DR4 and DR5 are DR6 and DR7 without CR4.DE, and #UD with it; GD makes every
/// access #DB.
#[test]
fn debug_registers() {
    for (n, other) in [(0, 0), (3, 3), (4, 6), (5, 7), (6, 6), (7, 7)] {
        for op in [0x21, 0x23] {
            let bytes = [0x0f, op, 0xc0 | n << 3];
            let mut f = Fake::protected(0);
            f.cpu.dr[other] = 0x400 | 0x55;
            f.cpu.set_r32(reg::AX, 0x455);
            f.run(&bytes).unwrap();
            assert_eq!(f.cpu.r32(reg::AX), 0x455);
            assert_eq!(f.cpu.dr[other] & 0x5, 0x5, "DR{n}");
            f.cpu.cr4 |= cr4::DE;
            let undefined = matches!(n, 4 | 5);
            assert_eq!(f.run(&bytes).err(), undefined.then_some(Fault::UD), "DR{n}");
            // #UD comes before #GP(0)
            f.cpu.cpl = 3;
            assert_eq!(f.faults(&bytes), if undefined { Fault::UD } else { Fault::GP0 });
            general_detect(n, &bytes);
        }
    }
}

fn general_detect(n: u8, bytes: &[u8]) {
    let mut f = Fake::protected(0);
    f.cpu.dr[7] = 0x2400;
    assert_eq!(f.run(bytes), Err(Fault::DB), "DR{n}");
    assert_eq!((f.cpu.dr[6] & 0x2000, f.cpu.dr[7]), (0x2000, 0x400));
    let mut f = Fake::protected(3);
    f.cpu.dr[7] = 0x2400;
    assert_eq!(f.faults(bytes), Fault::GP0, "DR{n}: privilege first");
    let mut f = Fake::protected(0);
    f.cpu.dr[7] = 0x2400;
    f.cpu.cr4 |= cr4::DE;
    let undefined = matches!(n, 4 | 5);
    assert_eq!(f.run(bytes), Err(if undefined { Fault::UD } else { Fault::DB }), "DR{n}");
}

/// SDM vol. 2, SYSENTER and SYSEXIT: protected mode, IA32_SYSENTER_CS, for SYSEXIT CPL 0.
#[test]
fn fast_system_calls_that_fault() {
    for op in [0x34, 0x35] {
        for selector in [0, 3, 8] {
            let mut f = Fake::real(CpuModel::N270);
            f.cpu.sysenter[0] = selector;
            assert_eq!(f.faults(&[0x0f, op]), Fault::GP0);
            let mut f = Fake::protected(0);
            f.cpu.sysenter[0] = selector;
            assert_eq!(f.run(&[0x0f, op]).err(), (selector < 8).then_some(Fault::GP0));
        }
    }
}
