//! What CPUID tells, by model.

use super::xsave;
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

/// UMIP, RDPID in leaf 7, ECX.
const ECX7_NEWEST: u32 = 1 << 2 | 1 << 22;

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
            M::Pentium4 | M::N270 | M::Newest => p3 | edx::SSE2 | edx::CLFSH,
        }
}

/// What CPUID's answers depend on.
#[derive(Clone, Copy, Debug)]
pub struct Chip {
    /// The model.
    pub model: CpuModel,
    /// The local APIC is on.
    pub apic: bool,
    /// CR4.OSXSAVE.
    pub osxsave: bool,
}

impl Chip {
    /// The highest basic leaf.
    fn highest(self) -> u32 {
        match self.model {
            CpuModel::Newest => 0xd,
            m if m >= CpuModel::Pentium2 => 2,
            _ => 1,
        }
    }

    /// EAX, EBX, ECX, EDX of a leaf. One beyond the highest basic leaf gives that one's data
    /// (SDM vol. 2, CPUID).
    pub fn leaf(self, leaf: u32, subleaf: u32) -> [u32; 4] {
        match leaf {
            0 => [
                self.highest(),
                u32::from_le_bytes(*b"Genu"),
                u32::from_le_bytes(*b"ntel"),
                u32::from_le_bytes(*b"ineI"),
            ],
            0x8000_0000.. if self.model >= CpuModel::Pentium4 && leaf <= 0x8000_0008 => self.extended(leaf),
            _ => self.basic(leaf.min(self.highest()), subleaf),
        }
    }

    fn basic(self, leaf: u32, subleaf: u32) -> [u32; 4] {
        match (leaf, subleaf) {
            (1, _) => self.identity(),
            (2, _) => [0x6550_5101, 0, 0, 0],
            (7, 0) => [0, 0, ECX7_NEWEST, 0],
            // x87 and SSE; the legacy region and the header, whatever is on in XCR0; XSAVEOPT and XSAVEC
            (0xd, 0) => [3, xsave::AREA, xsave::AREA, 0],
            (0xd, 1) => [3, xsave::AREA, 0, 0],
            _ => [0; 4],
        }
    }

    fn extended(self, leaf: u32) -> [u32; 4] {
        let newest = self.model >= CpuModel::Newest;
        match leaf {
            0x8000_0000 => [0x8000_0008, 0, 0, 0],
            0x8000_0001 if self.model >= CpuModel::N270 => {
                // LAHF in 64-bit mode; NX; RDTSCP
                [0, 0, 1, 1 << 20 | u32::from(newest) << 27]
            }
            0x8000_0002..=0x8000_0004 => brand(self.model, leaf - 0x8000_0002),
            // WBNOINVD
            0x8000_0008 => [0x2020, u32::from(newest) << 9, 0, 0],
            _ => [0; 4],
        }
    }

    fn identity(self) -> [u32; 4] {
        let xsave = 1 << 26 | u32::from(self.osxsave) << 27;
        let ecx = match self.model {
            CpuModel::N270 => ECX_N270,
            CpuModel::Newest => ECX_N270 | xsave,
            _ => 0,
        };
        // EBX: CLFLUSH works on eight quadwords; the initial APIC ID is 0
        let ebx = if self.model >= CpuModel::Pentium4 { 8 << 8 } else { 0 };
        [self.model.signature(), ebx, ecx, features(self.model, self.apic)]
    }
}

fn brand(model: CpuModel, part: u32) -> [u32; 4] {
    let mut text = [0u8; 48];
    let name: &[u8] = match model {
        CpuModel::N270 => b"Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
        CpuModel::Newest => b"A chip that was never made @ 1.60GHz",
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
