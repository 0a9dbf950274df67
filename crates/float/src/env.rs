//! Control in, exceptions out.

/// Exception bits, in the places of the x87 status word and MXCSR (SDM vol. 1, 8.1.3 and 10.2.3).
pub struct Flags;

impl Flags {
    /// Invalid operation.
    pub const IE: u8 = 0x01;
    /// Denormal operand.
    pub const DE: u8 = 0x02;
    /// Division by zero.
    pub const ZE: u8 = 0x04;
    /// Overflow.
    pub const OE: u8 = 0x08;
    /// Underflow.
    pub const UE: u8 = 0x10;
    /// Inexact result (precision).
    pub const PE: u8 = 0x20;
    /// All six.
    pub const ALL: u8 = 0x3f;
    /// Those found before the result is computed (SDM vol. 1, 4.9.2).
    pub const BEFORE: u8 = Self::IE | Self::DE | Self::ZE;
}

/// Rounding control, numbered as in the RC field (SDM vol. 1, 4.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Round {
    /// To nearest, ties to even.
    #[default]
    Nearest,
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
    /// Towards zero.
    Zero,
}

impl Round {
    /// From the two bits of an RC field.
    pub const fn from_rc(rc: u32) -> Self {
        match rc & 3 {
            0 => Self::Nearest,
            1 => Self::Down,
            2 => Self::Up,
            _ => Self::Zero,
        }
    }
}

/// x87 precision control (SDM vol. 1, 8.1.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// 24 bits.
    Single,
    /// 53 bits.
    Double,
    /// 64 bits.
    #[default]
    Extended,
}

impl Precision {
    /// From the two bits of a PC field; the reserved encoding 1 counts as extended, as on processors.
    pub const fn from_pc(pc: u32) -> Self {
        match pc & 3 {
            0 => Self::Single,
            2 => Self::Double,
            _ => Self::Extended,
        }
    }

    /// Significant bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Single => 24,
            Self::Double => 53,
            Self::Extended => 64,
        }
    }
}

/// The environment of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// Rounding control.
    pub round: Round,
    /// x87 precision control; SSE ignores it.
    pub precision: Precision,
    /// A set bit masks the exception.
    pub masks: u8,
    /// SSE: denormal operands are zeros.
    pub daz: bool,
    /// SSE: tiny results become zeros (when underflow is masked).
    pub ftz: bool,
    /// Flags that were set before; with PE among them the fast path need not find out about exactness.
    pub sticky: u8,
    /// Exceptions of the operation; operations only add to it.
    pub flags: u8,
    /// x87: C1 as the operation leaves it (the result was rounded away from zero).
    pub c1: bool,
}

impl Default for Env {
    fn default() -> Self {
        Self {
            round: Round::Nearest,
            precision: Precision::Extended,
            masks: Flags::ALL,
            daz: false,
            ftz: false,
            sticky: 0,
            flags: 0,
            c1: false,
        }
    }
}

impl Env {
    /// As an x87 control word and the flags of the status word say.
    pub const fn from_x87(control: u16, status: u16) -> Self {
        Self {
            round: Round::from_rc(control as u32 >> 10),
            precision: Precision::from_pc(control as u32 >> 8),
            masks: control as u8 & Flags::ALL,
            daz: false,
            ftz: false,
            sticky: status as u8 & Flags::ALL,
            flags: 0,
            c1: false,
        }
    }

    /// As MXCSR says (SDM vol. 1, 10.2.3).
    pub const fn from_mxcsr(mxcsr: u32) -> Self {
        Self {
            round: Round::from_rc(mxcsr >> 13),
            precision: Precision::Extended,
            masks: (mxcsr >> 7) as u8 & Flags::ALL,
            daz: mxcsr & 0x40 != 0,
            ftz: mxcsr & 0x8000 != 0,
            sticky: mxcsr as u8 & Flags::ALL,
            flags: 0,
            c1: false,
        }
    }

    /// Exceptions of the operation that are not masked.
    pub const fn unmasked(&self) -> u8 {
        self.flags & !self.masks & Flags::ALL
    }

    /// x87, register destination: an unmasked exception leaves the registers as they were.
    pub const fn blocks_register(&self) -> bool {
        self.unmasked() & Flags::BEFORE != 0
    }

    /// x87, loads of single and double numbers: only an invalid operand keeps the register from being pushed.
    pub const fn blocks_load(&self) -> bool {
        self.unmasked() & Flags::IE != 0
    }

    /// x87, memory destination: an unmasked exception leaves memory (and the stack) as they were.
    pub const fn blocks_store(&self) -> bool {
        self.unmasked() & (Flags::BEFORE | Flags::OE | Flags::UE) != 0
    }

    /// SSE, after all elements: the flags to add to MXCSR and whether #XM follows. Unmasked exceptions found
    /// before computing hide those found after it (SDM vol. 1, 11.5.2 and 11.5.3).
    pub const fn sse_outcome(&self) -> (u8, bool) {
        if self.unmasked() & Flags::BEFORE != 0 {
            (self.flags & Flags::BEFORE, true)
        } else {
            (self.flags, self.unmasked() != 0)
        }
    }

    /// Notes an exception; true if it is not masked.
    pub(crate) fn raise(&mut self, flag: u8) -> bool {
        self.flags |= flag;
        flag & !self.masks != 0
    }
}
