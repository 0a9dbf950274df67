//! CPU models: which instructions each one has.

use crate::decode::decode_with;
use crate::{CodeSize, DecodeError, Insn};
use iced_x86::{Code, CpuidFeature, Mnemonic};

/// A CPU profile, in the order of the chips' appearance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[allow(missing_docs)]
pub enum CpuModel {
    I8086,
    I286,
    I386,
    I486,
    Pentium,
    Pentium2,
    Pentium3,
    Pentium4,
    /// Atom N270: SSSE3, no long mode; the default.
    N270,
    /// None that was made: an N270 with what later chips brought to 16- and 32-bit code (XSAVE, UMIP, CPUID faulting,
    /// RDTSCP, RDPID), so that a form or a bit of the configuration has a chip to be looked at on.
    Newest,
}

impl CpuModel {
    /// Every model with the name that `--cpu` takes.
    pub const ALL: [(&'static str, CpuModel); 10] = [
        ("8086", CpuModel::I8086),
        ("286", CpuModel::I286),
        ("386", CpuModel::I386),
        ("486", CpuModel::I486),
        ("pentium", CpuModel::Pentium),
        ("pentium2", CpuModel::Pentium2),
        ("pentium3", CpuModel::Pentium3),
        ("pentium4", CpuModel::Pentium4),
        ("n270", CpuModel::N270),
        ("newest", CpuModel::Newest),
    ];

    /// The model of that name.
    pub fn from_name(name: &str) -> Option<CpuModel> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|&(_, m)| m)
    }

    /// The name that `--cpu` takes.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|&&(_, m)| m == self).map_or("?", |&(n, _)| n)
    }

    /// Whether the model executes this form; otherwise it is #UD.
    pub fn has(self, code: Code) -> bool {
        if matches!(code.mnemonic(), Mnemonic::Prefetchw | Mnemonic::Prefetch | Mnemonic::Endbr32) {
            return self >= CpuModel::Pentium4;
        }
        code.cpuid_features().iter().all(|&f| self.has_feature(f))
    }

    fn has_feature(self, f: CpuidFeature) -> bool {
        use CpuidFeature as F;
        let since = match f {
            F::INTEL8086 | F::INTEL8086_ONLY | F::FPU => CpuModel::I8086,
            F::INTEL186 | F::INTEL286 | F::FPU287 => CpuModel::I286,
            F::INTEL286_ONLY | F::FPU287XL_ONLY => return self == CpuModel::I286,
            F::INTEL386 | F::FPU387 | F::SMM => CpuModel::I386,
            F::INTEL386_ONLY | F::INTEL386_A0_ONLY | F::FPU387SL_ONLY => return self == CpuModel::I386,
            F::INTEL486 | F::CPUID => CpuModel::I486,
            F::CX8 | F::TSC | F::MSR => CpuModel::Pentium,
            F::MMX | F::CMOV | F::SEP | F::RDPMC | F::FXSR | F::MULTIBYTENOP | F::UDBG => CpuModel::Pentium2,
            F::SSE => CpuModel::Pentium3,
            F::SSE2 | F::CLFSH | F::PAUSE => CpuModel::Pentium4,
            F::SSE3 | F::SSSE3 | F::MONITOR | F::MOVBE => CpuModel::N270,
            F::XSAVE | F::XSAVEOPT | F::XSAVEC | F::RDTSCP | F::RDPID | F::WBNOINVD => CpuModel::Newest,
            _ => return false,
        };
        self >= since
    }
}

/// POPs of segment registers (The 8086 Family User's Manual, table 2-23: 000 reg 111). The decoder knows no POP CS, which
/// is therefore a POP ES with another register.
const POP_ES: u8 = 0x07;
const POP_CS: u8 = 0x0f;

/// The 8086 has no invalid opcodes: what later chips gave a meaning is an alias of an older one
/// (60-6F of 70-7F, C0/C1/C8/C9 of the returns), and 0F is POP CS.
pub(crate) fn decode_8086(bytes: &[u8]) -> Result<Insn, DecodeError> {
    let (mut rest, n, dropped) = without_lock(bytes);
    if let Some(op) = rest.get_mut(n) {
        *op = alias_8086(*op);
    }
    if let Some([op, modrm]) = rest.get_mut(n..n + 2) {
        alias_group_8086(*op, modrm);
    }
    let pops_cs = rest.get(n) == Some(&POP_CS);
    if let Some(op) = rest.get_mut(n).filter(|_| pops_cs) {
        *op = POP_ES;
    }
    let decoded = decode_with(&rest[..bytes.len() - dropped], CodeSize::Bits16, CpuModel::I8086);
    let mut insn = decoded.map_err(|e| match e {
        // the rest of the bytes was given, and LOCK taken out of it
        DecodeError::Truncated if bytes.len() == crate::MAX_LENGTH => DecodeError::TooLong,
        other => other,
    })?;
    if pops_cs {
        insn.reg[0] = crate::seg::CS;
    }
    lengthen(&mut insn, dropped);
    Ok(insn)
}

/// The bytes without the prefixes LOCK and F1 (its alias), which change nothing that a program
/// sees; the number of prefixes left, and of those dropped.
fn without_lock(bytes: &[u8]) -> ([u8; crate::MAX_LENGTH], usize, usize) {
    let prefixes = bytes.iter().take_while(|b| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0xf0..=0xf3)).count();
    let mut rest = [0u8; crate::MAX_LENGTH];
    let mut n = 0;
    for &b in bytes[..prefixes].iter().filter(|b| !matches!(**b, 0xf0 | 0xf1)) {
        rest[n] = b;
        n += 1;
    }
    let dropped = prefixes - n;
    rest[n..bytes.len() - dropped].copy_from_slice(&bytes[prefixes..]);
    (rest, n, dropped)
}

/// MOV to or from FS, GS or none at all.
fn names_late_segment(insn: &Insn) -> bool {
    match insn.code {
        Code::Mov_rm16_Sreg => insn.reg[1] > crate::seg::DS,
        Code::Mov_Sreg_rm16 => insn.reg[0] > crate::seg::DS,
        _ => false,
    }
}

/// Counts dropped prefixes in; branch displacements are relative to the first byte.
fn lengthen(insn: &mut Insn, dropped: usize) {
    use iced_x86::OpCodeOperandKind as K;
    insn.len += dropped as u8;
    if matches!(insn.code.op_code().op0_kind(), K::br16_1 | K::br16_2) {
        insn.imm = insn.imm.wrapping_add(dropped as u32);
    }
}

/// The longest instruction of the 80286 (iAPX 286 Programmer's Reference Manual, interrupt 13:
/// "instruction longer than 10 bytes").
const LONGEST_286: usize = 10;

/// The 80286 takes LOCK before any instruction, and ten bytes at most.
pub(crate) fn decode_286(bytes: &[u8]) -> Result<Insn, DecodeError> {
    let all = bytes.len() >= LONGEST_286;
    let bytes = &bytes[..bytes.len().min(LONGEST_286)];
    let locked = bytes.iter().take_while(|b| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0xf0 | 0xf2 | 0xf3));
    let locked = locked.filter(|b| **b == 0xf0).count() > 0;
    let decoded = if locked {
        let (rest, _, dropped) = without_lock(bytes);
        decode_with(&rest[..bytes.len() - dropped], CodeSize::Bits16, CpuModel::I286).map(|mut insn| {
            lengthen(&mut insn, dropped);
            insn.prefix.0 |= crate::Prefix::LOCK;
            insn
        })
    } else {
        decode_with(bytes, CodeSize::Bits16, CpuModel::I286)
    };
    match decoded {
        Err(DecodeError::Truncated) if all => Err(DecodeError::TooLong),
        Ok(insn) if names_late_segment(&insn) => Err(DecodeError::Undefined),
        other => other,
    }
}

fn alias_8086(op: u8) -> u8 {
    match op {
        0x60..=0x6f => op + 0x10,
        0xc0 | 0xc1 | 0xc8 | 0xc9 => op + 2,
        _ => op,
    }
}

fn alias_group_8086(op: u8, modrm: &mut u8) {
    let reg = *modrm >> 3 & 7;
    match (op, reg) {
        (0xf6 | 0xf7, 1) => *modrm &= !0x38,
        (0x8c | 0x8e, 4..=7) => *modrm &= !0x20,
        (0xff, 7) => *modrm &= !0x08,
        (0xc6 | 0xc7, 1..=7) => *modrm &= !0x38,
        (0x8f, 1..=7) => *modrm &= !0x38,
        _ => {}
    }
}

impl CpuModel {
    /// Family, model and stepping as CPUID leaf 1 and the reset value of EDX show them.
    pub fn signature(self) -> u32 {
        match self {
            CpuModel::I8086 | CpuModel::I286 => 0,
            CpuModel::I386 => 0x0308,
            CpuModel::I486 => 0x0480,
            CpuModel::Pentium => 0x0543,
            CpuModel::Pentium2 => 0x0652,
            CpuModel::Pentium3 => 0x0683,
            CpuModel::Pentium4 => 0x0f29,
            // an Atom's family, and a number that none has
            CpuModel::N270 => 0x106c2,
            CpuModel::Newest => 0xf06f0,
        }
    }
}
