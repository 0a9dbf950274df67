//! Operand widths.

/// The width of a value in memory or a register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Width {
    B8 = 1,
    B16 = 2,
    B32 = 4,
    B64 = 8,
}

impl Width {
    /// In bytes.
    #[inline(always)]
    pub const fn bytes(self) -> u32 {
        self as u32
    }
    /// In bits.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        self as u32 * 8
    }
    /// All bits of the width set.
    #[inline(always)]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }
    /// The most significant bit.
    #[inline(always)]
    pub const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }
}
