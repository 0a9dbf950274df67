//! The 80-bit format of the x87 registers (SDM vol. 1, 4.2.2 and 8.2.2).

use crate::env::Round;
use crate::num::{Num, Val};
use crate::round::Out;

/// An 80-bit number as the registers hold it; any bit pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct F80 {
    /// Significand with its explicit integer bit.
    pub sig: u64,
    /// Sign (bit 15) and biased exponent.
    pub se: u16,
}

/// What FXAM distinguishes (SDM vol. 1, table 8-1); empty registers are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An encoding that the 387 and later refuse: unnormal, pseudo-infinity, pseudo-NaN.
    Unsupported,
    /// Not a number.
    Nan,
    /// Normal.
    Normal,
    /// Infinity.
    Infinity,
    /// Zero.
    Zero,
    /// Denormal or pseudo-denormal.
    Denormal,
}

const BIAS: i32 = 16383;
const INTEGER: u64 = 1 << 63;
const QUIET: u64 = 1 << 62;

impl F80 {
    /// Plus zero.
    pub const ZERO: F80 = F80 { sig: 0, se: 0 };
    /// One.
    pub const ONE: F80 = F80 { sig: INTEGER, se: 0x3fff };
    /// Plus infinity.
    pub const INFINITY: F80 = F80 { sig: INTEGER, se: 0x7fff };
    /// The masked response to an invalid operation (real indefinite).
    pub const DEFAULT_NAN: F80 = F80 { sig: INTEGER | QUIET, se: 0xffff };

    /// From the ten bytes in memory.
    pub const fn from_bytes(b: [u8; 10]) -> F80 {
        F80 {
            sig: u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            se: u16::from_le_bytes([b[8], b[9]]),
        }
    }

    /// The ten bytes in memory.
    pub const fn to_bytes(self) -> [u8; 10] {
        let s = self.sig.to_le_bytes();
        let e = self.se.to_le_bytes();
        [s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], e[0], e[1]]
    }

    /// The sign bit.
    pub const fn sign(self) -> bool {
        self.se >> 15 != 0
    }

    /// FABS: no exceptions, whatever the operand.
    pub const fn abs(self) -> F80 {
        F80 { sig: self.sig, se: self.se & 0x7fff }
    }

    /// FCHS: no exceptions, whatever the operand.
    pub const fn negate(self) -> F80 {
        F80 { sig: self.sig, se: self.se ^ 0x8000 }
    }

    /// The class of the encoding.
    pub const fn class(self) -> Class {
        let integer = self.sig & INTEGER != 0;
        match self.se & 0x7fff {
            0 if self.sig == 0 => Class::Zero,
            0 => Class::Denormal,
            _ if !integer => Class::Unsupported,
            0x7fff if self.sig == INTEGER => Class::Infinity,
            0x7fff => Class::Nan,
            _ => Class::Normal,
        }
    }

    /// A NaN that signals.
    pub const fn is_snan(self) -> bool {
        matches!(self.class(), Class::Nan) && self.sig & QUIET == 0
    }

    /// The value, if there is one.
    #[inline]
    pub(crate) fn value(self) -> Option<Val> {
        let exp = i32::from(self.se & 0x7fff);
        if self.sig & INTEGER != 0 && exp != 0 && exp != 0x7fff {
            return Some(Val::Num(Num { sign: self.sign(), exp: exp - BIAS, sig: self.sig }));
        }
        self.unusual_value()
    }

    fn unusual_value(self) -> Option<Val> {
        let exp = i32::from(self.se & 0x7fff);
        Some(match self.class() {
            Class::Normal => Val::Num(Num { sign: self.sign(), exp: exp - BIAS, sig: self.sig }),
            Class::Zero => Val::Zero(self.sign()),
            Class::Denormal => Val::Num(Num::normal(self.sign(), 1 - BIAS, self.sig)),
            Class::Infinity => Val::Inf(self.sign()),
            Class::Nan | Class::Unsupported => return None,
        })
    }

    #[inline]
    pub(crate) const fn is_denormal(self) -> bool {
        self.se & 0x7fff == 0 && self.sig != 0
    }

    pub(crate) const fn zero(sign: bool) -> F80 {
        F80 { sig: 0, se: (sign as u16) << 15 }
    }

    pub(crate) const fn infinity(sign: bool) -> F80 {
        F80 { sig: INTEGER, se: (sign as u16) << 15 | 0x7fff }
    }

    pub(crate) const fn quieted(self) -> F80 {
        F80 { sig: self.sig | QUIET, se: self.se }
    }

    #[inline]
    pub(crate) fn pack(out: Out) -> F80 {
        match out {
            Out::Inf(sign) => F80::infinity(sign),
            Out::Finite { sign, sig, .. } if sig & INTEGER == 0 => F80 { sig, se: u16::from(sign) << 15 },
            Out::Finite { sign, exp, sig } => F80 { sig, se: u16::from(sign) << 15 | (exp + BIAS) as u16 },
        }
    }

    /// An exact number within the range of normal ones.
    pub(crate) fn exact(n: Num) -> F80 {
        F80::pack(Out::Finite { sign: n.sign, exp: n.exp, sig: n.sig })
    }
}

/// What the instructions that load constants give under each rounding (SDM vol. 1, 8.3.4: the internal
/// constants have 66 bits or more and are rounded as RC says; the precision control has no part).
pub mod constant {
    use super::{F80, Round};

    const fn rounded(exp: i32, sig: u64, next: u64, round: Round) -> F80 {
        let up = match round {
            Round::Nearest => next >> 63 != 0,
            Round::Up => true,
            Round::Down | Round::Zero => false,
        };
        F80 { sig: sig + up as u64, se: (exp + 16383) as u16 }
    }

    /// FLDPI.
    pub const fn pi(round: Round) -> F80 {
        rounded(1, 0xc90f_daa2_2168_c234, 0xc4c6_628b_80dc_1cd1, round)
    }

    /// FLDL2T: log2(10).
    pub const fn log2_10(round: Round) -> F80 {
        rounded(1, 0xd49a_784b_cd1b_8afe, 0x492b_f6ff_4daf_db4c, round)
    }

    /// FLDL2E: log2(e).
    pub const fn log2_e(round: Round) -> F80 {
        rounded(0, 0xb8aa_3b29_5c17_f0bb, 0xbe87_fed0_691d_3e88, round)
    }

    /// FLDLG2: log10(2).
    pub const fn log10_2(round: Round) -> F80 {
        rounded(-2, 0x9a20_9a84_fbcf_f798, 0x8f89_59ac_0b7c_9178, round)
    }

    /// FLDLN2: ln(2).
    pub const fn ln_2(round: Round) -> F80 {
        rounded(-1, 0xb172_17f7_d1cf_79ab, 0xc9e3_b398_03f2_f6af, round)
    }
}
