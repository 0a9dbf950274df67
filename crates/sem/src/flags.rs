//! The arithmetic flags: how instructions state them, and their canonical form.
//!
//! The canonical form names no operation. It is a result word, sign-extended to 64 bits, and a
//! word of auxiliary bits: carry out of the top bit in bit 63, carry into it in bit 62 (so that
//! OF is their difference), AF in bit 3, a delta on the parity byte in bits 8 to 15, a delta on
//! SF in bit 16.

use crate::Emit;
use crate::shifts::Shift;
use cpu::Width::{B32, B64};
use cpu::{State, Width};

/// One arithmetic flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flag {
    /// Carry.
    CF,
    /// Parity of the low byte.
    PF,
    /// Carry out of bit 3.
    AF,
    /// Zero.
    ZF,
    /// Sign.
    SF,
    /// Signed overflow.
    OF,
}

impl Flag {
    /// The flag's bit in EFLAGS.
    pub const fn position(self) -> u64 {
        match self {
            Flag::CF => 0,
            Flag::PF => 2,
            Flag::AF => 4,
            Flag::ZF => 6,
            Flag::SF => 7,
            Flag::OF => 11,
        }
    }
}

/// What an instruction says of the flags. Operands and results have width `w`; single flags
/// are 0 or 1.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Flags<V> {
    /// Of `r = a + b`.
    Add { w: Width, a: V, b: V, r: V },
    /// Of `r = a + b + carry`.
    AddCarry { w: Width, a: V, b: V, r: V },
    /// Of `r = a - b`.
    Sub { w: Width, a: V, b: V, r: V },
    /// Of `r = a - b - borrow`.
    SubBorrow { w: Width, a: V, b: V, r: V },
    /// Of a bitwise result: CF, OF and AF clear.
    Logic { w: Width, r: V },
    /// Of `r = a + 1`, with CF as it was.
    Inc { w: Width, a: V, r: V },
    /// Of `r = a - 1`, with CF as it was.
    Dec { w: Width, a: V, r: V },
    /// Of `r = a` shifted by `n`, which is from 1 to below the width in bits, on an 80386 or later.
    Shift { op: Shift, w: Width, a: V, n: u32, r: V },
    /// ZF, SF and PF of a result, the others given.
    Parts { w: Width, r: V, cf: V, of: V, af: V },
    /// All six, in EFLAGS positions.
    Image(V),
    /// Those that are given, by [`Flag`] as a number; the others stay as they were.
    Given([Option<V>; 6]),
}

impl<V: Copy> Flags<V> {
    /// One flag; the others stay.
    #[inline(always)]
    pub fn one(f: Flag, v: V) -> Flags<V> {
        let mut given = [None; 6];
        given[f as usize] = Some(v);
        Flags::Given(given)
    }

    /// CF and OF, as rotates and products state them; the others stay.
    #[inline(always)]
    pub fn carry_and_overflow(cf: V, of: V) -> Flags<V> {
        let mut given = [None; 6];
        given[Flag::CF as usize] = Some(cf);
        given[Flag::OF as usize] = Some(of);
        Flags::Given(given)
    }
}

/// All of them, in the order of their numbers.
pub const ALL: [Flag; 6] = [Flag::CF, Flag::PF, Flag::AF, Flag::ZF, Flag::SF, Flag::OF];

/// The canonical form of what an instruction says.
#[inline(always)]
pub fn canonical<E: Emit>(e: &mut E, f: Flags<E::Val>) -> (E::Val, E::Val) {
    match f {
        Flags::Add { w, a, b, r } | Flags::AddCarry { w, a, b, r } => {
            let c = carries(e, w, a, b, r);
            (e.sext(w, B64, r), auxiliary(e, w, c))
        }
        Flags::Sub { w, a, b, r } | Flags::SubBorrow { w, a, b, r } => {
            let c = borrows(e, w, a, b, r);
            (e.sext(w, B64, r), auxiliary(e, w, c))
        }
        Flags::Logic { w, r } => (e.sext(w, B64, r), e.imm(B64, 0)),
        Flags::Inc { w, a, r } => {
            let one = e.imm(w, 1);
            let c = carries(e, w, a, one, r);
            keep_carry(e, w, r, c)
        }
        Flags::Dec { w, a, r } => {
            let one = e.imm(w, 1);
            let c = borrows(e, w, a, one, r);
            keep_carry(e, w, r, c)
        }
        Flags::Shift { w, r, .. } => {
            let (cf, of, af) = crate::shifts::shift_flags(e, f);
            let aux = place_bits(e, cf, of, af);
            (e.sext(w, B64, r), aux)
        }
        Flags::Parts { w, r, cf, of, af } => {
            let aux = place_bits(e, cf, of, af);
            (e.sext(w, B64, r), aux)
        }
        Flags::Image(image) => from_image(e, image),
        Flags::Given(given) => {
            let six = ALL.map(|f| given[f as usize].unwrap_or_else(|| e.flag(f)));
            from_six(e, six)
        }
    }
}

/// The canonical form after [`Flags::Given`], out of the one before: what is not given costs nothing.
#[inline(always)]
pub fn replaced<E: Emit>(
    e: &mut E,
    (mut result, mut aux): (E::Val, E::Val),
    given: [Option<E::Val>; 6],
) -> (E::Val, E::Val) {
    let old = (result, aux);
    let of = |f: Flag| given[f as usize];
    if of(Flag::ZF).or(of(Flag::SF)).or(of(Flag::PF)).is_some() {
        let [zf, sf, pf] =
            [Flag::ZF, Flag::SF, Flag::PF].map(|f| of(f).unwrap_or_else(|| flag_of(e, old, f)));
        let (word, deltas) = shown(e, zf, sf, pf);
        (result, aux) = (word, with_bits(e, aux, !0x1_ff00, deltas));
    }
    if let Some(af) = of(Flag::AF) {
        let af = at(e, af, 3);
        aux = with_bits(e, aux, !8, af);
    }
    if of(Flag::CF).or(of(Flag::OF)).is_some() {
        let [cf, of] = [Flag::CF, Flag::OF].map(|f| of(f).unwrap_or_else(|| flag_of(e, old, f)));
        let top = place_carries(e, cf, of);
        aux = with_bits(e, aux, !(3 << 62), top);
    }
    (result, aux)
}

#[inline(always)]
fn with_bits<E: Emit>(e: &mut E, word: E::Val, keep: u64, bits: E::Val) -> E::Val {
    let keep = e.imm(B64, keep);
    let kept = e.and(B64, word, keep);
    e.or(B64, kept, bits)
}

/// Carries out of every bit: the majority of the operands and the inverted sum.
#[inline(always)]
pub(crate) fn carries<E: Emit>(e: &mut E, w: Width, a: E::Val, b: E::Val, r: E::Val) -> E::Val {
    let both = e.and(w, a, b);
    let either = e.or(w, a, b);
    let not_r = not(e, w, r);
    let propagated = e.and(w, either, not_r);
    e.or(w, both, propagated)
}

/// Borrows out of every bit.
#[inline(always)]
pub(crate) fn borrows<E: Emit>(e: &mut E, w: Width, a: E::Val, b: E::Val, r: E::Val) -> E::Val {
    let not_a = not(e, w, a);
    carries_with(e, w, not_a, b, r)
}

#[inline(always)]
fn carries_with<E: Emit>(e: &mut E, w: Width, a: E::Val, b: E::Val, r: E::Val) -> E::Val {
    let both = e.and(w, a, b);
    let either = e.or(w, a, b);
    let propagated = e.and(w, either, r);
    e.or(w, both, propagated)
}

#[inline(always)]
fn not<E: Emit>(e: &mut E, w: Width, a: E::Val) -> E::Val {
    let ones = e.imm(w, w.mask());
    e.xor(w, a, ones)
}

/// Moves the top two carries to bits 63 and 62 and keeps the one out of bit 3.
#[inline(always)]
fn auxiliary<E: Emit>(e: &mut E, w: Width, carries: E::Val) -> E::Val {
    let c = e.zext(w, B64, carries);
    let n = e.imm(B64, u64::from(64 - w.bits()));
    let top = e.shl(B64, c, n);
    let top_mask = e.imm(B64, 3 << 62);
    let top = e.and(B64, top, top_mask);
    let eight = e.imm(B64, 8);
    let af = e.and(B64, c, eight);
    e.or(B64, top, af)
}

#[inline(always)]
fn keep_carry<E: Emit>(e: &mut E, w: Width, r: E::Val, carries: E::Val) -> (E::Val, E::Val) {
    let old = e.flag(Flag::CF);
    let aux = auxiliary(e, w, carries);
    let old = e.zext(B32, B64, old);
    let n63 = e.imm(B64, 63);
    let new = e.shr(B64, aux, n63);
    // replacing the carry by the old one must flip bit 62 too, which holds CF xor OF
    let change = e.xor(B64, old, new);
    let n62 = e.imm(B64, 62);
    let three = e.imm(B64, 3);
    let both = e.mul(B64, change, three);
    let both = e.shl(B64, both, n62);
    (e.sext(w, B64, r), e.xor(B64, aux, both))
}

#[inline(always)]
fn place_bits<E: Emit>(e: &mut E, cf: E::Val, of: E::Val, af: E::Val) -> E::Val {
    let top = place_carries(e, cf, of);
    let af = at(e, af, 3);
    e.or(B64, top, af)
}

#[inline(always)]
fn place_carries<E: Emit>(e: &mut E, cf: E::Val, of: E::Val) -> E::Val {
    let differ = e.xor(B32, cf, of);
    let cf = at(e, cf, 63);
    let differ = at(e, differ, 62);
    e.or(B64, cf, differ)
}

#[inline(always)]
fn at<E: Emit>(e: &mut E, bit: E::Val, n: u64) -> E::Val {
    let wide = e.zext(B32, B64, bit);
    let n = e.imm(B64, n);
    e.shl(B64, wide, n)
}

#[inline(always)]
fn bit_of<E: Emit>(e: &mut E, w: Width, a: E::Val, n: u64) -> E::Val {
    let n = e.imm(w, n);
    let shifted = e.shr(w, a, n);
    let one = e.imm(w, 1);
    let bit = e.and(w, shifted, one);
    if w == B64 { e.trunc(B64, B32, bit) } else { bit }
}

#[inline(always)]
fn from_image<E: Emit>(e: &mut E, image: E::Val) -> (E::Val, E::Val) {
    let six = ALL.map(|f| bit_of(e, B32, image, f.position()));
    from_six(e, six)
}

/// The canonical form of six flags in the order of their numbers.
#[inline(always)]
fn from_six<E: Emit>(e: &mut E, [cf, pf, af, zf, sf, of]: [E::Val; 6]) -> (E::Val, E::Val) {
    let (result, deltas) = shown(e, zf, sf, pf);
    let aux = place_bits(e, cf, of, af);
    (result, e.or(B64, aux, deltas))
}

/// A result word that shows ZF, with the deltas that make it show SF and PF.
#[inline(always)]
fn shown<E: Emit>(e: &mut E, zf: E::Val, sf: E::Val, pf: E::Val) -> (E::Val, E::Val) {
    let one = e.imm(B32, 1);
    let result = e.xor(B32, zf, one);
    let odd = e.xor(B32, pf, one);
    let parity_delta = e.xor(B32, result, odd);
    let parity_delta = at(e, parity_delta, 8);
    let sf = at(e, sf, 16);
    (e.zext(B32, B64, result), e.or(B64, parity_delta, sf))
}

/// One flag out of the canonical form, as a 32-bit 0 or 1.
#[inline(always)]
pub fn flag_of<E: Emit>(e: &mut E, (result, aux): (E::Val, E::Val), f: Flag) -> E::Val {
    match f {
        Flag::CF => bit_of(e, B64, aux, 63),
        Flag::AF => bit_of(e, B64, aux, 3),
        Flag::OF => {
            let differ = bit_of(e, B64, aux, 62);
            let cf = bit_of(e, B64, aux, 63);
            e.xor(B32, differ, cf)
        }
        Flag::ZF => {
            let zero = e.imm(B64, 0);
            e.eq(B64, result, zero)
        }
        Flag::SF => {
            let sign = bit_of(e, B64, result, 63);
            let delta = bit_of(e, B64, aux, 16);
            e.xor(B32, sign, delta)
        }
        Flag::PF => {
            let n = e.imm(B64, 8);
            let delta = e.shr(B64, aux, n);
            let byte = e.xor(B64, result, delta);
            e.parity(byte)
        }
    }
}

/// A condition code (SDM vol. 2, appendix B, table B-10), 0 or 1.
#[inline(always)]
pub fn condition<E: Emit>(e: &mut E, cc: u8) -> E::Val {
    let value = match cc >> 1 {
        0 => e.flag(Flag::OF),
        1 => e.flag(Flag::CF),
        2 => e.flag(Flag::ZF),
        3 => either(e, Flag::CF, Flag::ZF),
        4 => e.flag(Flag::SF),
        5 => e.flag(Flag::PF),
        6 => less(e),
        _ => {
            let less = less(e);
            let zf = e.flag(Flag::ZF);
            e.or(B32, less, zf)
        }
    };
    if cc & 1 == 0 {
        return value;
    }
    let one = e.imm(B32, 1);
    e.xor(B32, value, one)
}

#[inline(always)]
fn either<E: Emit>(e: &mut E, f: Flag, g: Flag) -> E::Val {
    let (a, b) = (e.flag(f), e.flag(g));
    e.or(B32, a, b)
}

#[inline(always)]
fn less<E: Emit>(e: &mut E) -> E::Val {
    let (s, o) = (e.flag(Flag::SF), e.flag(Flag::OF));
    e.xor(B32, s, o)
}

/// The six flags in EFLAGS positions, as a 32-bit value.
#[inline(always)]
pub fn image<E: Emit>(e: &mut E) -> E::Val {
    let mut all = e.imm(B32, 0);
    for f in ALL {
        let bit = e.flag(f);
        let n = e.imm(B32, f.position());
        let bit = e.shl(B32, bit, n);
        all = e.or(B32, all, bit);
    }
    all
}

/// Brings the canonical form of a state to the one that [`State::set_arithmetic_flags`] makes,
/// so that equal flags compare equal.
pub fn normalise(cpu: &mut State) {
    cpu.set_arithmetic_flags(cpu.arithmetic_flags());
}
