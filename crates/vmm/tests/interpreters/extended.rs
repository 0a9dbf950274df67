//! What the newest model has beyond the others: CPUID faulting, XCR0 and XSAVE, IA32_TSC_AUX.

use crate::fake::*;
use cpu::{CpuModel, Fault, Flow, Fpu, State, cr0, cr4, reg};
use isa::{CodeSize, DecodeError};

const CPUID: &[u8] = &[0x0f, 0xa2];
const RDMSR: &[u8] = &[0x0f, 0x32];
const WRMSR: &[u8] = &[0x0f, 0x30];
const XGETBV: &[u8] = &[0x0f, 0x01, 0xd0];
const XSETBV: &[u8] = &[0x0f, 0x01, 0xd1];
const RDTSCP: &[u8] = &[0x0f, 0x01, 0xf9];
const RDPID_EBX: &[u8] = &[0xf3, 0x0f, 0xc7, 0xfb];
const GROUP15: &[u8] = &[0x0f, 0xae];
/// `reg` fields of group 15: XSAVE, XRSTOR, XSAVEOPT.
const XSAVE: u8 = 4;
const XRSTOR: u8 = 5;
const XSAVEOPT: u8 = 6;
const GROUP_C7: &[u8] = &[0x0f, 0xc7];
const XSAVEC: u8 = 4;
/// Where [`Fake::at_100`] has its operand, and the header of an area there.
const AREA: u32 = 0x100;
const HEADER: u32 = AREA + 512;

fn newest(mut f: Fake) -> Fake {
    f.cpu.model = CpuModel::Newest;
    f.cpu.cr4 |= cr4::OSXSAVE;
    f.cpu.xcr0 = 3;
    f
}

fn with(mut f: Fake, registers: [(u8, u32); 3]) -> Fake {
    registers.into_iter().for_each(|(r, v)| f.cpu.set_r32(r, v));
    f
}

/// EAX, ECX, EDX.
fn abc(f: Fake, a: u32, c: u32, d: u32) -> Fake {
    with(f, [(reg::AX, a), (reg::CX, c), (reg::DX, d)])
}

/// SDM vol. 4, MSR 140H bit 0, and the FlexMigration note: #GP(0) above CPL 0 and V86 mode included, where it is on.
#[test]
fn cpuid_faulting() {
    let modes = [
        (Fake::protected(0), true),
        (Fake::protected(3), false),
        (Fake::v86(3), false),
        (Fake::real(CpuModel::Newest), true),
    ];
    for (f, above) in modes {
        for on in [false, true] {
            let mut f = newest(f.clone());
            f.cpu.cpuid_faulting = on;
            assert_eq!(f.run(CPUID).err(), (on && !above).then_some(Fault::GP0));
        }
    }
    let mut f = newest(Fake::protected(0));
    (f.cpu.cpl, f.cpu.cpuid_faulting) = (1, true);
    assert_eq!(f.faults(CPUID), Fault::GP0);
}

/// SDM vol. 4, table 2-20: PLATFORM_INFO is read only and says that faulting can be had, one bit of MISC_FEATURES_ENABLES
/// does it; IA32_TSC_AUX has 32 bits. An N270 has none of them.
#[test]
fn registers_of_the_newest_model() {
    let read = |n: u32, f: &Fake| {
        let mut f = abc(f.clone(), 0, n, 0);
        f.run(RDMSR).map(|_| u64::from(f.cpu.r32(reg::AX)) | u64::from(f.cpu.r32(reg::DX)) << 32)
    };
    let f = newest(Fake::protected(0));
    assert_eq!(read(0xce, &f), Ok(1 << 31));
    assert_eq!((read(0x140, &f), read(0xc000_0103, &f)), (Ok(0), Ok(0)));
    for (n, low, high, legal) in [
        (0xce, 0, 0, false),
        (0x140, 1, 0, true),
        (0x140, 2, 0, false),
        (0x140, 0, 1, false),
        (0xc000_0103, u32::MAX, 0, true),
        (0xc000_0103, 0, 1, false),
    ] {
        let mut f = abc(f.clone(), low, n, high);
        assert_eq!(f.run(WRMSR).err(), (!legal).then_some(Fault::GP0), "{n:x} {high:x} {low:x}");
        if legal {
            assert_eq!(read(n, &f), Ok(u64::from(low)));
            assert_eq!(
                (f.cpu.cpuid_faulting, f.cpu.tsc_aux),
                if n == 0x140 { (true, 0) } else { (false, low) }
            );
        }
        let mut old = abc(Fake::protected(0), low, n, high);
        assert_eq!((old.faults(WRMSR), read(n, &old)), (Fault::GP0, Err(Fault::GP0)), "an N270 has no {n:x}");
    }
}

/// The answers of CPUID for what the models have; CR4.OSXSAVE shows (SDM vol. 2A, CPUID, leaf 1).
#[test]
fn what_cpuid_says() {
    let leaf = |model: CpuModel, cr4: u32, leaf: u32, sub: u32| {
        let mut f = abc(Fake::protected(3), leaf, sub, 0);
        (f.cpu.model, f.cpu.cr4) = (model, cr4);
        f.run(CPUID).unwrap();
        [reg::AX, reg::BX, reg::CX, reg::DX].map(|r| f.cpu.r32(r))
    };
    let newest = |n, sub| leaf(CpuModel::Newest, 0, n, sub);
    assert_eq!(newest(0, 0), [0xd, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]);
    let [_, _, ecx, _] = newest(1, 0);
    assert_eq!(ecx & (3 << 26), 1 << 26);
    assert_eq!(leaf(CpuModel::Newest, cr4::OSXSAVE, 1, 0)[2], ecx | 1 << 27);
    assert_eq!((newest(7, 0), newest(7, 1)), ([0, 0, 1 << 2 | 1 << 22, 0], [0; 4]));
    assert_eq!((newest(0xd, 0), newest(0xd, 1)), ([3, 576, 576, 0], [3, 576, 0, 0]));
    assert_eq!((newest(0xd, 2), newest(4, 0), newest(0xb, 0)), ([0; 4], [0; 4], [0; 4]));
    assert_eq!(newest(0x1000, 0), newest(0xd, 0), "beyond the highest leaf");
    assert_eq!(newest(0x8000_0001, 0), [0, 0, 1, 1 << 27 | 1 << 20]);
    assert_eq!(newest(0x8000_0008, 0), [0x2020, 1 << 9, 0, 0]);
    let n270 = |n, sub| leaf(CpuModel::N270, 0, n, sub);
    assert_eq!(n270(0, 0)[0], 2);
    assert_eq!(n270(1, 0)[2], 1 | 1 << 9 | 1 << 22);
    assert_eq!(n270(7, 0), n270(2, 0));
    assert_eq!(n270(0x8000_0001, 0), [0, 0, 1, 1 << 20]);
    assert_eq!(n270(0x8000_0008, 0), [0x2020, 0, 0, 0]);
    assert_eq!(leaf(CpuModel::Pentium4, 0, 0x8000_0001, 0), [0; 4]);
    assert_eq!(leaf(CpuModel::Pentium, 0, 2, 0), leaf(CpuModel::Pentium, 0, 1, 0));
}

/// SDM vol. 2, RDTSCP and RDPID: IA32_TSC_AUX; the first of them obeys CR4.TSD.
#[test]
fn processor_identity() {
    for (cpl, tsd) in [(0, false), (0, true), (3, false), (3, true)] {
        let mut f = newest(Fake::protected(cpl));
        f.cpu.tsc_aux = 0x77;
        f.cpu.cr4 |= if tsd { cr4::TSD } else { 0 };
        let trap = (cpl == 3 && tsd).then_some(Fault::GP0);
        assert_eq!(f.clone().run(RDPID_EBX), Ok(Flow::Continue));
        assert_eq!(f.run(RDTSCP).err(), trap);
        assert_eq!(f.cpu.r32(reg::CX) == 0x77, trap.is_none());
    }
    let mut f = newest(Fake::protected(3));
    f.cpu.tsc_aux = 0x77;
    f.run(RDPID_EBX).unwrap();
    assert_eq!(f.cpu.r32(reg::BX), 0x77);
}

/// They are #UD where the model has them not, and without CR4.OSXSAVE at every CPL, before all else.
#[test]
fn undefined() {
    let on_ds: [&[u8]; 4] =
        [&[0x0f, 0xae, 0x23], &[0x0f, 0xae, 0x2b], &[0x0f, 0xae, 0x33], &[0x0f, 0xc7, 0x23]];
    for bytes in [XGETBV, XSETBV].into_iter().chain(on_ds) {
        assert_eq!(isa::decode(bytes, CodeSize::Bits32, CpuModel::N270), Err(DecodeError::Undefined));
        for cpl in [0, 3] {
            let mut f = abc(newest(Fake::protected(cpl)), 1, 9, 9);
            f.cpu.set_r32(reg::BX, 1);
            f.cpu.cr4 &= !cr4::OSXSAVE;
            f.cpu.cr0 |= cr0::TS;
            assert_eq!(f.faults(bytes), Fault::UD, "{bytes:x?}");
        }
    }
}

/// SDM vol. 2D, XGETBV and XSETBV: one register, two components, x87 always; the second at CPL 0.
#[test]
fn xcr0() {
    for cpl in [0, 3] {
        let mut f = abc(newest(Fake::protected(cpl)), 9, 0, 9);
        f.run(XGETBV).unwrap();
        assert_eq!((f.cpu.r32(reg::AX), f.cpu.r32(reg::DX)), (3, 0));
        assert_eq!(abc(f, 0, 1, 0).faults(XGETBV), Fault::GP0);
    }
    for (n, low, high, legal) in [
        (0, 1, 0, true),
        (0, 3, 0, true),
        (0, 0, 0, false),
        (0, 2, 0, false),
        (0, 7, 0, false),
        (0, 1, 1, false),
        (1, 1, 0, false),
    ] {
        let mut f = abc(newest(Fake::protected(0)), low, n, high);
        assert_eq!(f.run(XSETBV).err(), (!legal).then_some(Fault::GP0), "{n:x} {high:x} {low:x}");
        assert_eq!(f.cpu.xcr0, if legal { low } else { 3 });
        assert_eq!(abc(newest(Fake::protected(3)), low, n, high).faults(XSETBV), Fault::GP0);
    }
    assert_eq!(State::new(CpuModel::Newest).xcr0, 1, "after reset");
}

/// A machine whose x87 and SSE state is none that a reset makes.
fn filled() -> Fake {
    let mut f = abc(newest(Fake::protected(3)), 3, 0, 0);
    f.cpu.fpu =
        Fpu { control: 0x27f, occupied: 0x80, ip: 0x1234, cs: 0x1b, dp: 0x5678, ds: 0x23, ..f.cpu.fpu };
    f.cpu.fpu.status = 7 << 11;
    f.cpu.fpu.registers[7].significand = 0xc << 60;
    f.cpu.mxcsr = 0x1fa0;
    f.cpu.xmm.fill(0x1111_2222);
    f
}

/// SDM vol. 1, 13.7: what RFBM names is stored, and noted in the header; the rest of the area stays as it was.
#[test]
fn xsave() {
    for (field, xcr0, asked, stored) in [
        (XSAVE, 3, 3, 3),
        (XSAVE, 3, 1, 1),
        (XSAVE, 3, 2, 2),
        (XSAVE, 1, 3, 1),
        (XSAVE, 3, 0, 0),
        (XSAVEOPT, 3, u32::MAX, 3),
    ] {
        let mut f = abc(filled(), asked, 0, 0);
        f.cpu.xcr0 = xcr0;
        f.write(HEADER, 8, 4);
        (8..24).for_each(|n| f.write(HEADER + n, 1, 0xee));
        f.at_100(GROUP15, field).unwrap();
        let (x87, sse) = (stored & 1 != 0, stored & 2 != 0);
        assert_eq!(f.read(AREA, 2), if x87 { 0x27f } else { 0 }, "{asked}");
        assert_eq!(f.read(AREA + 12, 2), if x87 { 0x1b } else { 0 }, "{asked}");
        assert_eq!(f.read(AREA + 32, 8), if x87 { 0xc << 60 } else { 0 }, "{asked}");
        assert_eq!(f.read(AREA + 24, 4), if sse { 0x1fa0 } else { 0 }, "{asked}");
        assert_eq!(f.read(AREA + 160, 8), if sse { 0x1111_2222 } else { 0 }, "{asked}");
        assert_eq!(f.read(HEADER, 8), 4 | stored, "{asked}");
        assert_eq!(f.read(HEADER + 8, 8), 0xeeee_eeee_eeee_eeee);
    }
}

/// SDM vol. 1, 13.10: XSAVEC notes what RFBM names alone, and the compacted form.
#[test]
fn xsavec() {
    for (xcr0, asked, stored) in [(3, 3, 3), (3, 1, 1), (3, 2, 2), (1, 3, 1), (3, 0, 0)] {
        let mut f = abc(filled(), asked, 0, 0);
        f.cpu.xcr0 = xcr0;
        f.write(HEADER, 8, 4);
        f.at_100(GROUP_C7, XSAVEC).unwrap();
        let (x87, sse) = (stored & 1 != 0, stored & 2 != 0);
        assert_eq!(f.read(AREA, 2), if x87 { 0x27f } else { 0 }, "{asked}");
        assert_eq!(f.read(AREA + 24, 4), if sse { 0x1fa0 } else { 0 }, "{asked}");
        assert_eq!(f.read(AREA + 160, 8), if sse { 0x1111_2222 } else { 0 }, "{asked}");
        assert_eq!((f.read(HEADER, 8), f.read(HEADER + 8, 8)), (stored, 1 << 63 | stored), "{asked}");
    }
}

/// SDM vol. 1, 13.8.2: of a compacted area MXCSR comes with XMM registers, or is as after reset.
#[test]
fn compacted_areas() {
    for (held, layout, legal) in
        [(3, 3, true), (1, 3, true), (2, 2, true), (2, 1, false), (0, 7, false), (0, 0, true), (0, 3, true)]
    {
        let mut f = filled();
        f.at_100(GROUP15, XSAVE).unwrap();
        f.write(HEADER, 8, held);
        f.write(HEADER + 8, 8, 1 << 63 | layout);
        f.write(AREA + 24, 4, if held & 2 == 0 { u64::from(u32::MAX) } else { 0x1f00 });
        assert_eq!(f.at_100(GROUP15, XRSTOR).err(), (!legal).then_some(Fault::GP0), "{held} {layout}");
        if legal {
            let (mxcsr, xmm) = if held & 2 == 0 { (0x1f80, 0) } else { (0x1f00, 0x1111_2222) };
            assert_eq!((f.cpu.mxcsr, f.cpu.xmm[1]), (mxcsr, xmm), "{held} {layout}");
            assert_eq!(f.cpu.fpu == Fpu::default(), held & 1 == 0, "{held} {layout}");
        }
    }
    for n in 2..8 {
        let mut f = filled();
        f.write(HEADER + 8, 8, 1 << 63);
        f.write(HEADER + 8 * n, 8, 1);
        assert_eq!(f.at_100(GROUP15, XRSTOR), Err(Fault::GP0), "{n}");
    }
}

/// SDM vol. 1, 13.8: what RFBM names is loaded if the area holds it, else as after reset; MXCSR is loaded with SSE.
#[test]
fn xrstor() {
    let mut saved = filled();
    saved.at_100(GROUP15, XSAVE).unwrap();
    for asked in 0..4 {
        for held in 0..4u64 {
            let mut f = abc(newest(Fake::protected(3)), asked, 0, 0);
            f.memory.clone_from(&saved.memory);
            f.write(HEADER, 8, held);
            (f.cpu.mxcsr, f.cpu.xmm[7], f.cpu.fpu.control) = (0x1f00, 5, 0x37e);
            let before = f.cpu.clone();
            f.at_100(GROUP15, XRSTOR).unwrap();
            let fpu = match (asked & 1 != 0, held & 1 != 0) {
                (false, _) => before.fpu,
                (true, false) => Fpu::default(),
                (true, true) => saved.cpu.fpu,
            };
            assert_eq!(f.cpu.fpu, fpu, "{asked} of {held}");
            let (mxcsr, xmm7) = match (asked & 2 != 0, held & 2 != 0) {
                (false, _) => (0x1f00, 5),
                (true, false) => (0x1fa0, 0),
                (true, true) => (0x1fa0, 0x1111_2222),
            };
            assert_eq!((f.cpu.mxcsr, f.cpu.xmm[7]), (mxcsr, xmm7), "{asked} of {held}");
        }
    }
}

/// SDM vol. 1, 13.8: a header that names what XCR0 has not, a compacted one, reserved bytes, and MXCSR's reserved bits.
#[test]
fn areas_that_cannot_be_loaded() {
    for (at, size, value, xcr0, legal) in [
        (HEADER, 8, 3, 3, true),
        (HEADER, 8, 3, 1, false),
        (HEADER, 8, 4, 3, false),
        (HEADER, 8, 1 << 63, 3, false),
        (HEADER + 8, 8, 3, 3, false),
        (HEADER + 8, 8, 1 << 63 | 3, 3, true),
        (HEADER + 8, 8, 1 << 63 | 3, 1, false),
        (HEADER + 16, 8, 1, 3, false),
        (HEADER + 24, 8, 1, 3, true),
        (AREA + 24, 4, 0x1_0000, 3, false),
        (AREA + 24, 4, 0x1_0000, 1, true),
    ] {
        let mut f = filled();
        f.cpu.xcr0 = xcr0;
        f.write(at, size, value);
        let before = f.clone();
        assert_eq!(f.at_100(GROUP15, XRSTOR).err(), (!legal).then_some(Fault::GP0), "{at:x} {value:x}");
        if !legal {
            f.unchanged(&before);
        }
    }
}

/// #NM with CR0.TS, then the limit, then 64 bytes' alignment, then the pages (SDM vol. 2D, XSAVE and XRSTOR).
#[test]
fn operands() {
    for (op, field, modrm) in [(GROUP15, XSAVE, 0x23), (GROUP15, XRSTOR, 0x2b), (GROUP_C7, XSAVEC, 0x23)] {
        let bytes = [0x0f, op[1], modrm];
        for (limit, fits) in [(0x100 + 575, true), (0x100 + 574, false)] {
            let mut f = filled();
            f.cpu.seg[3].limit = limit;
            f.cpu.seg[3].refresh();
            assert_eq!(f.clone().at_100(op, field).err(), (!fits).then_some(Fault::GP0));
            f.cpu.cr0 |= cr0::TS;
            assert_eq!(f.at_100(op, field), Err(Fault::NM));
        }
        for (at, fits) in [(0x140, true), (0x120, false), (0x110, false), (0x101, false)] {
            let mut f = filled();
            f.cpu.set_r32(reg::BX, at);
            assert_eq!(f.run(&bytes).err(), (!fits).then_some(Fault::GP0), "{at:x}");
            f.hole = HEADER..HEADER + 0x1000;
            if fits {
                assert_eq!(f.faults(&bytes).vector, cpu::vector::PF);
            } else {
                assert_eq!(f.faults(&bytes), Fault::GP0);
            }
        }
        let mut f = filled();
        f.cpu.cr0 |= cr0::EM;
        assert_eq!(f.at_100(op, field), Ok(()), "EM does not matter");
    }
}
