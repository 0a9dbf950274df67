//! The FPU's environment and state in memory, and WAIT.

use crate::fake::*;
use cpu::{CpuModel, Fault, cr0, cr4, reg};

const FNSTENV: &[u8] = &[0xd9];
const FNSAVE: &[u8] = &[0xdd];
const FX: &[u8] = &[0x0f, 0xae];

/// FNSTENV, FLDENV, FNSAVE, FRSTOR, FXSAVE, FXRSTOR: opcode, `reg` field, bytes of the operand with 32-bit operands.
const FORMS: [(&[u8], u8, u32); 6] =
    [(FNSTENV, 6, 28), (FNSTENV, 4, 28), (FNSAVE, 6, 108), (FNSAVE, 4, 108), (FX, 0, 512), (FX, 1, 512)];

fn ready(mut f: Fake) -> Fake {
    f.cpu.cr4 |= cr4::OSFXSR;
    let at = f.cpu.seg[3].base + 0x100;
    f.write(at, 4, 0x37f);
    f
}

/// SDM vol. 2, those pages: #NM with CR0.EM or CR0.TS.
#[test]
fn not_available() {
    for (op, field, _) in FORMS {
        for bit in [0, cr0::EM, cr0::TS, cr0::EM | cr0::TS, cr0::MP] {
            let mut f = ready(Fake::protected(0));
            f.cpu.cr0 |= bit;
            let fits = bit & (cr0::EM | cr0::TS) == 0;
            assert_eq!(f.at_100(op, field).err(), (!fits).then_some(Fault::NM), "{op:x?} {field} {bit:x}");
        }
    }
}

/// SDM vol. 3A, 2.5 (MP): WAIT is #NM with MP and TS together. #MF comes after it.
#[test]
fn wait() {
    for (bits, fits) in
        [(0, true), (cr0::MP, true), (cr0::TS, true), (cr0::EM, true), (cr0::MP | cr0::TS, false)]
    {
        let mut f = Fake::protected(3);
        f.cpu.cr0 |= bits;
        assert_eq!(f.run(&[0x9b]).err(), (!fits).then_some(Fault::NM), "{bits:x}");
        f.cpu.fpu.control &= !1;
        f.cpu.fpu.status |= 0x81;
        assert_eq!(f.faults(&[0x9b]), if fits { Fault::MF } else { Fault::NM }, "{bits:x}");
    }
}

/// SDM vol. 2, FLDENV and FRSTOR: #NM, then #MF, then the operand; FNSTENV and FNSAVE ask for no exception.
#[test]
fn pending_exceptions() {
    for (op, field, waits) in [(FNSTENV, 6, false), (FNSTENV, 4, true), (FNSAVE, 6, false), (FNSAVE, 4, true)]
    {
        let mut f = ready(Fake::protected(0));
        f.cpu.fpu.control &= !1;
        f.cpu.fpu.status |= 0x8081;
        assert_eq!(f.clone().at_100(op, field).err(), waits.then_some(Fault::MF), "{op:x?} {field}");
        f.cpu.cr0 |= cr0::TS;
        assert_eq!(f.at_100(op, field), Err(Fault::NM), "{op:x?} {field}");
    }
}

/// SDM vol. 2, those pages: #GP(0) beyond the segment's limit; nothing is written. #NM comes first.
#[test]
fn beyond_the_limit() {
    for (op, field, size) in FORMS {
        for (limit, fits) in [(0x100 + size - 1, true), (0x100 + size - 2, false), (0xff, false)] {
            let mut f = ready(Fake::protected(0));
            f.cpu.seg[3].limit = limit;
            f.cpu.seg[3].refresh();
            let before = f.clone();
            let result = f.at_100(op, field);
            assert_eq!(result.err(), (!fits).then_some(Fault::GP0), "{op:x?} {field} {limit:x}");
            if !fits {
                let eip = f.cpu.eip;
                f.unchanged(&before);
                f.cpu.eip = eip;
                for bit in [cr0::EM, cr0::TS] {
                    f.cpu.cr0 = f.cpu.cr0 & !(cr0::EM | cr0::TS) | bit;
                    assert_eq!(f.clone().at_100(op, field), Err(Fault::NM));
                }
            }
        }
    }
}

/// A machine whose FPU points somewhere.
fn pointing(mut f: Fake) -> Fake {
    let fpu = &mut f.cpu.fpu;
    (fpu.ip, fpu.cs, fpu.dp, fpu.ds, fpu.opcode) = (0x1234_5678, 0x1b, 0x9abc_def0, 0x23, 0x2cd);
    f
}

fn modes() -> [(Fake, bool, u32); 4] {
    let (mut real_pe, v86) = (Fake::protected(0), Fake::v86(3));
    real_pe.cpu.cr0 |= cr0::MP;
    let based = |f: &Fake| f.cpu.seg[3].base + 0x100;
    let real = Fake::real(CpuModel::N270);
    let at = [based(&real_pe), based(&v86), based(&real), 0x100];
    [(real_pe, true, at[0]), (v86, false, at[1]), (real, false, at[2]), (Fake::protected(3), true, at[3])]
}

/// SDM vol. 1, figures 8-9 to 8-12: the environment has selectors in protected mode, and linear addresses in
/// real and V86 mode.
#[test]
fn layouts_of_the_environment() {
    for (f, protected, at) in modes() {
        for op in [FNSTENV, FNSAVE] {
            let mut f = pointing(f.clone());
            let wide = f.cpu.code_size() == cpu::CodeSize::Bits32;
            f.at_100(op, 6).unwrap();
            let size = if wide { 4 } else { 2 };
            let words: Vec<u64> = (3..7).map(|n| f.read(at + n * size, size)).collect();
            let expected = match (protected, wide) {
                (true, _) => vec![0x1234_5678, 0x02cd_001b, 0x9abc_def0, 0xffff_0023],
                // 12345678h + 1B0h, 9ABCDEF0h + 230h, 20 bits of each
                (false, _) => vec![0x5828, 0x42cd, 0xe120, 0xc000],
            };
            assert_eq!(words, expected, "{op:x?}");
        }
    }
}

#[test]
fn environments_that_are_loaded() {
    for (f, protected, at) in modes() {
        for (op, field) in [(FNSTENV, 4), (FNSAVE, 4)] {
            let mut f = ready(f.clone());
            let wide = f.cpu.code_size() == cpu::CodeSize::Bits32;
            let size = if wide { 4 } else { 2 };
            for (n, word) in [0x37f, 0, 0xffff, 0x5678, 0x42cd, 0xdef0, 0xc000].into_iter().enumerate() {
                f.write(at + n as u32 * size, size, word);
            }
            f.at_100(op, field).unwrap();
            let fpu = &f.cpu.fpu;
            let expected =
                if protected { (0x5678, 0x42cd, 0xdef0, 0xc000) } else { (0x4_5678, 0, 0xc_def0, 0) };
            assert_eq!((fpu.ip, fpu.cs, fpu.dp, fpu.ds), expected, "{op:x?}");
        }
    }
}

/// SDM vol. 2, FXSAVE and FXRSTOR: the XMM registers go with CR4.OSFXSR; reserved bits of MXCSR are #GP(0)
/// then, and an address that is not aligned always.
#[test]
fn xmm_registers_and_mxcsr() {
    for osfxsr in [false, true] {
        let mut f = Fake::protected(0);
        f.cpu.cr4 = if osfxsr { cr4::OSFXSR } else { 0 };
        f.cpu.xmm[0] = 0x1111;
        f.at_100(FX, 0).unwrap();
        assert_eq!(f.read(0x100 + 160, 4), if osfxsr { 0x1111 } else { 0 });
        f.write(0x100 + 160, 4, 0x2222);
        f.at_100(FX, 1).unwrap();
        assert_eq!(f.cpu.xmm[0], if osfxsr { 0x2222 } else { 0x1111 });
        f.write(0x100 + 24, 4, 0x1_1f80);
        assert_eq!(f.at_100(FX, 1).err(), osfxsr.then_some(Fault::GP0));
        f.cpu.set_r32(reg::BX, 0x108);
        for form in [[0x0f, 0xae, 0x03], [0x0f, 0xae, 0x0b]] {
            assert_eq!(f.faults(&form), Fault::GP0);
        }
    }
}
