//! What compiled code depends on besides its bytes.

use cpu::{Insn, State, Width, cr0, cr4, seg};
use isa::{Routine, routine};

/// Mode bits that a region was compiled for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Key(pub(crate) u32);

const CODE32: u32 = 1;
const STACK32: u32 = 2;
const CS_FLAT: u32 = 4;
const FPU: u32 = 8;
const SSE: u32 = 0x10;
const MASKED: u32 = 0x20;
const SUPERVISOR: u32 = 0x40;
const PROTECTED: u32 = 0x80;
/// Two bits a segment register from here on, ES to DS: reads and writes need no check.
const FLAT: u32 = 8;

impl Key {
    /// Of the present state.
    pub(crate) fn of(cpu: &State) -> Key {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let cs = cpu.segment(seg::CS);
        let on = cpu.cr0 & (cr0::EM | cr0::TS) == 0;
        let mut key = bit(cs.big(), CODE32)
            | bit(cpu.stack32(), STACK32)
            | bit(cs.base == 0 && cs.limit == u32::MAX, CS_FLAT)
            | bit(on, FPU)
            | bit(on && cpu.cr4 & cr4::OSFXSR != 0, SSE)
            | bit(crate::mxcsr::masked(cpu.mxcsr), MASKED)
            | bit(cpu.protected(), PROTECTED)
            | bit(cpu.cpl == 0 && cpu.protected(), SUPERVISOR);
        for n in [seg::ES, seg::CS, seg::SS, seg::DS] {
            let s = cpu.segment(n);
            key |= (u32::from(s.flat_read) | u32::from(s.flat_write) << 1) << (FLAT + 2 * u32::from(n));
        }
        Key(key)
    }

    /// Whether a sensitive instruction that does not fault leaves all that [`Key::of`] looks at as it is.
    pub(crate) fn outlives(insn: &Insn) -> bool {
        use Routine as R;
        match routine(insn.code) {
            Some(R::Pushf | R::Popf | R::Cli | R::Sti | R::In | R::Out | R::Rdtsc | R::Cpuid) => true,
            Some(R::MovFromSreg | R::PushSreg | R::MovFromCr | R::Rdmsr | R::Invlpg) => true,
            Some(R::MovToSreg | R::PopSreg) => insn.reg[0] > seg::DS,
            _ => false,
        }
    }

    /// 32-bit code.
    pub(crate) fn code32(self) -> bool {
        self.0 & CODE32 != 0
    }

    /// What the interpreter's blocks depend on.
    pub(crate) fn size(self) -> cpu::Key {
        cpu::Key(self.0 & CODE32)
    }

    /// Width of the stack pointer.
    pub(crate) fn stack(self) -> Width {
        if self.0 & STACK32 != 0 { Width::B32 } else { Width::B16 }
    }

    /// CS starts at 0 and has no limit.
    pub(crate) fn cs_flat(self) -> bool {
        self.0 & CS_FLAT != 0
    }

    /// Every offset of a segment may be read (or written) without a check.
    pub(crate) fn flat(self, segment: u8, write: bool) -> bool {
        segment <= seg::DS && self.0 >> (FLAT + 2 * u32::from(segment) + u32::from(write)) & 1 != 0
    }

    /// The FPU and MMX are switched on.
    pub(crate) fn fpu(self) -> bool {
        self.0 & FPU != 0
    }

    /// SSE is switched on.
    pub(crate) fn sse(self) -> bool {
        self.0 & SSE != 0
    }

    /// Protected mode at CPL 0.
    pub(crate) fn supervisor(self) -> bool {
        self.0 & SUPERVISOR != 0
    }

    /// Protected mode, and not virtual-8086 mode.
    pub(crate) fn protected(self) -> bool {
        self.0 & PROTECTED != 0
    }

    /// MXCSR masks all exceptions.
    pub(crate) fn masked(self) -> bool {
        self.0 & MASKED != 0
    }
}
