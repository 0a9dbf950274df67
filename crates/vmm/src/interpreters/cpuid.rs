//! What CPUID tells, by model.

use cpu::CpuModel;

/// Feature bits of leaf 1, EDX.
mod edx {
    pub(super) const FPU: u32 = 1;
    pub(super) const VME: u32 = 1 << 1;
    pub(super) const DE: u32 = 1 << 2;
    pub(super) const PSE: u32 = 1 << 3;
    pub(super) const TSC: u32 = 1 << 4;
    pub(super) const MSR: u32 = 1 << 5;
    pub(super) const PAE: u32 = 1 << 6;
    pub(super) const CX8: u32 = 1 << 8;
    pub(super) const APIC: u32 = 1 << 9;
    pub(super) const SEP: u32 = 1 << 11;
    pub(super) const PGE: u32 = 1 << 13;
    pub(super) const CMOV: u32 = 1 << 15;
    pub(super) const CLFSH: u32 = 1 << 19;
    pub(super) const MMX: u32 = 1 << 23;
    pub(super) const FXSR: u32 = 1 << 24;
    pub(super) const SSE: u32 = 1 << 25;
    pub(super) const SSE2: u32 = 1 << 26;
}

/// SSE3, SSSE3, MOVBE in leaf 1, ECX.
const ECX_N270: u32 = 1 | 1 << 9 | 1 << 22;

/// Leaf 1's EDX. Features that Ringer's board does not have (MTRR, PAT) are absent, and
/// the APIC's bit while that is off (SDM vol. 3A, 10.4.3).
pub fn features(model: CpuModel, apic: bool) -> u32 {
    use CpuModel as M;
    let pentium = edx::FPU | edx::VME | edx::DE | edx::PSE | edx::TSC | edx::MSR | edx::CX8;
    let p2 = pentium | edx::PAE | edx::SEP | edx::PGE | edx::CMOV | edx::MMX | edx::FXSR;
    let p3 = p2 | edx::SSE;
    let present = if apic { edx::APIC } else { 0 };
    present
        | match model {
            M::I8086 | M::I286 | M::I386 => 0,
            M::I486 => edx::FPU,
            M::Pentium => pentium,
            M::Pentium2 => p2,
            M::Pentium3 => p3,
            M::Pentium4 | M::N270 => p3 | edx::SSE2 | edx::CLFSH,
        }
}

/// EAX, EBX, ECX, EDX of a leaf. A leaf beyond the highest basic one gives that one's data
/// (SDM vol. 2, CPUID).
pub fn leaf(model: CpuModel, leaf: u32, apic: bool) -> [u32; 4] {
    let extended = model >= CpuModel::Pentium4;
    let highest = if model >= CpuModel::Pentium2 { 2 } else { 1 };
    match leaf {
        0 => [
            highest,
            u32::from_le_bytes(*b"Genu"),
            u32::from_le_bytes(*b"ntel"),
            u32::from_le_bytes(*b"ineI"),
        ],
        1 => identity(model, apic),
        0x8000_0000 if extended => [0x8000_0008, 0, 0, 0],
        0x8000_0001 if extended => {
            [0, 0, u32::from(model == CpuModel::N270), if model == CpuModel::N270 { 1 << 20 } else { 0 }]
        }
        0x8000_0002..=0x8000_0004 if extended => brand(model, leaf - 0x8000_0002),
        0x8000_0005..=0x8000_0007 if extended => [0; 4],
        0x8000_0008 if extended => [0x2020, 0, 0, 0],
        _ if highest == 2 => [0x6550_5101, 0, 0, 0],
        _ => identity(model, apic),
    }
}

fn identity(model: CpuModel, apic: bool) -> [u32; 4] {
    let ecx = if model == CpuModel::N270 { ECX_N270 } else { 0 };
    // EBX: CLFLUSH works on eight quadwords; the initial APIC ID is 0
    let ebx = if model >= CpuModel::Pentium4 { 8 << 8 } else { 0 };
    [model.signature(), ebx, ecx, features(model, apic)]
}

fn brand(model: CpuModel, part: u32) -> [u32; 4] {
    let mut text = [0u8; 48];
    let name: &[u8] = match model {
        CpuModel::N270 => b"Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
        _ => b"Intel(R) Pentium(R) 4 CPU 2.00GHz",
    };
    text[..name.len()].copy_from_slice(name);
    let mut out = [0; 4];
    for (n, w) in out.iter_mut().enumerate() {
        let at = part as usize * 16 + n * 4;
        *w = u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]);
    }
    out
}
