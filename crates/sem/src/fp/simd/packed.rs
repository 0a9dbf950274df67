//! Operations on packed integers, and rearrangements of any packed data: no exceptions, no state
//! (SDM vol. 1, 9.4, 10.4, 11.4; vol. 2 for each instruction).

use super::lanes::*;
use core::array::from_fn;

macro_rules! packed_ops {
    ($($(#[$doc:meta])* $name:ident = |$a:ident, $b:ident $(, $imm:ident)?| $body:expr;)*) => {
        /// A pure function of two 128-bit values and an immediate byte. MMX instructions are made of
        /// these as well, on low halves.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum PackedOp {
            $($(#[$doc])* $name,)*
        }

        impl PackedOp {
            /// The function's value.
            #[inline(always)]
            pub fn eval(self, imm: u8, a: u128, b: u128) -> u128 {
                match self {
                    $(PackedOp::$name => {
                        let ($a, $b) = (a, b);
                        $(let $imm = imm;)?
                        $body
                    })*
                }
            }
        }
    };
}

packed_ops! {
    /// PADDB.
    AddB = |a, b| each_byte(a, b, u8::wrapping_add);
    /// PADDW.
    AddW = |a, b| each_word(a, b, u16::wrapping_add);
    /// PADDD.
    AddD = |a, b| each_double(a, b, u32::wrapping_add);
    /// PADDQ.
    AddQ = |a, b| each_quad(a, b, u64::wrapping_add);
    /// PSUBB.
    SubB = |a, b| each_byte(a, b, u8::wrapping_sub);
    /// PSUBW.
    SubW = |a, b| each_word(a, b, u16::wrapping_sub);
    /// PSUBD.
    SubD = |a, b| each_double(a, b, u32::wrapping_sub);
    /// PSUBQ.
    SubQ = |a, b| each_quad(a, b, u64::wrapping_sub);
    /// PADDSB.
    AddSignedB = |a, b| each_byte(a, b, |x, y| (x as i8).saturating_add(y as i8) as u8);
    /// PADDSW.
    AddSignedW = |a, b| each_word(a, b, |x, y| (x as i16).saturating_add(y as i16) as u16);
    /// PADDUSB.
    AddUnsignedB = |a, b| each_byte(a, b, u8::saturating_add);
    /// PADDUSW.
    AddUnsignedW = |a, b| each_word(a, b, u16::saturating_add);
    /// PSUBSB.
    SubSignedB = |a, b| each_byte(a, b, |x, y| (x as i8).saturating_sub(y as i8) as u8);
    /// PSUBSW.
    SubSignedW = |a, b| each_word(a, b, |x, y| (x as i16).saturating_sub(y as i16) as u16);
    /// PSUBUSB.
    SubUnsignedB = |a, b| each_byte(a, b, u8::saturating_sub);
    /// PSUBUSW.
    SubUnsignedW = |a, b| each_word(a, b, u16::saturating_sub);
    /// PMINUB.
    MinUnsignedB = |a, b| each_byte(a, b, u8::min);
    /// PMAXUB.
    MaxUnsignedB = |a, b| each_byte(a, b, u8::max);
    /// PMINSW.
    MinSignedW = |a, b| each_word(a, b, |x, y| (x as i16).min(y as i16) as u16);
    /// PMAXSW.
    MaxSignedW = |a, b| each_word(a, b, |x, y| (x as i16).max(y as i16) as u16);
    /// PAVGB.
    AverageB = |a, b| each_byte(a, b, |x, y| ((u16::from(x) + u16::from(y) + 1) >> 1) as u8);
    /// PAVGW.
    AverageW = |a, b| each_word(a, b, |x, y| ((u32::from(x) + u32::from(y) + 1) >> 1) as u16);
    /// PMULLW.
    MulLowW = |a, b| each_word(a, b, u16::wrapping_mul);
    /// PMULHW.
    MulHighSignedW = |a, b| each_word(a, b, |x, y| (product(x, y) >> 16) as u16);
    /// PMULHUW.
    MulHighUnsignedW = |a, b| each_word(a, b, |x, y| ((u32::from(x) * u32::from(y)) >> 16) as u16);
    /// PMULHRSW.
    MulRoundedW = |a, b| each_word(a, b, |x, y| (((product(x, y) >> 14) + 1) >> 1) as u16);
    /// PMULUDQ.
    MulUnsignedD = |a, b| each_quad(a, b, |x, y| u64::from(x as u32) * u64::from(y as u32));
    /// PMADDWD.
    MulAddW = |a, b| mul_add_words(a, b);
    /// PMADDUBSW.
    MulAddB = |a, b| mul_add_bytes(a, b);
    /// PSADBW.
    SumDifferencesB = |a, b| sum_differences(a, b);
    /// PABSB.
    AbsoluteB = |_a, b| each_byte(b, b, |x, _| (x as i8).unsigned_abs());
    /// PABSW.
    AbsoluteW = |_a, b| each_word(b, b, |x, _| (x as i16).unsigned_abs());
    /// PABSD.
    AbsoluteD = |_a, b| each_double(b, b, |x, _| (x as i32).unsigned_abs());
    /// PSIGNB.
    SignB = |a, b| each_byte(a, b, |x, y| (x as i8).wrapping_mul((y as i8).signum()) as u8);
    /// PSIGNW.
    SignW = |a, b| each_word(a, b, |x, y| (x as i16).wrapping_mul((y as i16).signum()) as u16);
    /// PSIGND.
    SignD = |a, b| each_double(a, b, |x, y| (x as i32).wrapping_mul((y as i32).signum()) as u32);
    /// PHADDW.
    PairAddW = |a, b| pair_words(a, b, u16::wrapping_add);
    /// PHADDSW.
    PairAddSignedW = |a, b| pair_words(a, b, |x, y| (x as i16).saturating_add(y as i16) as u16);
    /// PHADDD.
    PairAddD = |a, b| pair_doubles(a, b, u32::wrapping_add);
    /// PHSUBW.
    PairSubW = |a, b| pair_words(a, b, u16::wrapping_sub);
    /// PHSUBSW.
    PairSubSignedW = |a, b| pair_words(a, b, |x, y| (x as i16).saturating_sub(y as i16) as u16);
    /// PHSUBD.
    PairSubD = |a, b| pair_doubles(a, b, u32::wrapping_sub);
    /// PAND, ANDPS, ANDPD.
    And = |a, b| a & b;
    /// PANDN, ANDNPS, ANDNPD.
    AndNot = |a, b| !a & b;
    /// POR, ORPS, ORPD.
    Or = |a, b| a | b;
    /// PXOR, XORPS, XORPD.
    Xor = |a, b| a ^ b;
    /// PCMPEQB.
    EqualB = |a, b| each_byte(a, b, |x, y| if x == y { !0 } else { 0 });
    /// PCMPEQW.
    EqualW = |a, b| each_word(a, b, |x, y| if x == y { !0 } else { 0 });
    /// PCMPEQD.
    EqualD = |a, b| each_double(a, b, |x, y| if x == y { !0 } else { 0 });
    /// PCMPGTB.
    GreaterB = |a, b| each_byte(a, b, |x, y| if x as i8 > y as i8 { !0 } else { 0 });
    /// PCMPGTW.
    GreaterW = |a, b| each_word(a, b, |x, y| if x as i16 > y as i16 { !0 } else { 0 });
    /// PCMPGTD.
    GreaterD = |a, b| each_double(a, b, |x, y| if x as i32 > y as i32 { !0 } else { 0 });
    /// PSLLW: the count is the low quadword of `b`, as for all shifts.
    ShlW = |a, b| each_word(a, a, |x, _| count(b, 16).map_or(0, |n| x << n));
    /// PSLLD.
    ShlD = |a, b| each_double(a, a, |x, _| count(b, 32).map_or(0, |n| x << n));
    /// PSLLQ.
    ShlQ = |a, b| each_quad(a, a, |x, _| count(b, 64).map_or(0, |n| x << n));
    /// PSRLW.
    ShrW = |a, b| each_word(a, a, |x, _| count(b, 16).map_or(0, |n| x >> n));
    /// PSRLD.
    ShrD = |a, b| each_double(a, a, |x, _| count(b, 32).map_or(0, |n| x >> n));
    /// PSRLQ.
    ShrQ = |a, b| each_quad(a, a, |x, _| count(b, 64).map_or(0, |n| x >> n));
    /// PSRAW.
    SarW = |a, b| each_word(a, a, |x, _| (x as i16 >> count(b, 16).unwrap_or(15)) as u16);
    /// PSRAD.
    SarD = |a, b| each_double(a, a, |x, _| (x as i32 >> count(b, 32).unwrap_or(31)) as u32);
    /// PSLLDQ: by bytes.
    ShlBytes = |a, _b, imm| a.checked_shl(u32::from(imm) * 8).unwrap_or(0);
    /// PSRLDQ.
    ShrBytes = |a, _b, imm| a.checked_shr(u32::from(imm) * 8).unwrap_or(0);
    /// PALIGNR.
    AlignRight = |a, b, imm| align_right(a, b, imm);
    /// PACKSSWB.
    PackSignedW = |a, b| pack_words(a, b, |x| (x as i16).clamp(-128, 127) as u8);
    /// PACKUSWB.
    PackUnsignedW = |a, b| pack_words(a, b, |x| (x as i16).clamp(0, 255) as u8);
    /// PACKSSDW.
    PackSignedD = |a, b| pack_doubles(a, b);
    /// PUNPCKLBW.
    UnpackLowB = |a, b| unpack_bytes(a, b, 0);
    /// PUNPCKLWD.
    UnpackLowW = |a, b| unpack_words(a, b, 0);
    /// PUNPCKLDQ, UNPCKLPS.
    UnpackLowD = |a, b| unpack_doubles(a, b, 0);
    /// PUNPCKLQDQ, UNPCKLPD, MOVLHPS, MOVHPS: low halves of both.
    UnpackLowQ = |a, b| from_quads([quads(a)[0], quads(b)[0]]);
    /// PUNPCKHBW.
    UnpackHighB = |a, b| unpack_bytes(a, b, 8);
    /// PUNPCKHWD.
    UnpackHighW = |a, b| unpack_words(a, b, 4);
    /// PUNPCKHDQ, UNPCKHPS.
    UnpackHighD = |a, b| unpack_doubles(a, b, 2);
    /// PUNPCKHQDQ, UNPCKHPD: high halves of both.
    UnpackHighQ = |a, b| from_quads([quads(a)[1], quads(b)[1]]);
    /// PSHUFB.
    ShuffleB = |a, b| shuffle_bytes(a, b);
    /// PSHUFLW, PSHUFW.
    ShuffleLowW = |_a, b, imm| shuffle_words(b, imm, 0);
    /// PSHUFHW.
    ShuffleHighW = |_a, b, imm| shuffle_words(b, imm, 4);
    /// PSHUFD.
    ShuffleD = |_a, b, imm| from_doubles(from_fn(|i| doubles(b)[select4(imm, i)]));
    /// SHUFPS.
    ShuffleSingle = |a, b, imm| from_doubles(from_fn(|i| doubles(if i < 2 { a } else { b })[select4(imm, i)]));
    /// SHUFPD.
    ShuffleDouble = |a, b, imm| from_quads([quads(a)[usize::from(imm & 1)], quads(b)[usize::from(imm >> 1 & 1)]]);
    /// MOVSLDUP.
    DuplicateEven = |_a, b| from_doubles(from_fn(|i| doubles(b)[i & 2]));
    /// MOVSHDUP.
    DuplicateOdd = |_a, b| from_doubles(from_fn(|i| doubles(b)[i | 1]));
    /// MOVDDUP.
    DuplicateLow = |_a, b| from_quads([b as u64; 2]);
    /// MOVSS between registers: the low doubleword of `b`, the rest of `a`.
    MergeLowD = |a, b| a & !0xffff_ffff | b & 0xffff_ffff;
    /// MOVSD between registers, MOVLPS, MOVLPD: the low half of `b`, the high one of `a`.
    MergeLowQ = |a, b| from_quads([quads(b)[0], quads(a)[1]]);
    /// MOVHLPS: the high half of `b`, then the high one of `a`.
    MergeHighQ = |a, b| from_quads([quads(b)[1], quads(a)[1]]);
    /// PMOVMSKB.
    SignsB = |_a, b| signs(bytes(b).map(|x| x >> 7 != 0));
    /// MOVMSKPS.
    SignsD = |_a, b| signs(doubles(b).map(|x| x >> 31 != 0));
    /// MOVMSKPD.
    SignsQ = |_a, b| signs(quads(b).map(|x| x >> 63 != 0));
    /// PINSRW: the low word of `b`.
    InsertW = |a, b, imm| from_words(from_fn(|i| if i == usize::from(imm & 7) { b as u16 } else { words(a)[i] }));
    /// PEXTRW.
    ExtractW = |_a, b, imm| u128::from(words(b)[usize::from(imm & 7)]);
    /// RCPPS.
    Reciprocal = |_a, b| from_doubles(doubles(b).map(float::sse::reciprocal));
    /// RCPSS.
    ReciprocalLow = |a, b| a & !0xffff_ffff | u128::from(float::sse::reciprocal(b as u32));
    /// RSQRTPS.
    ReciprocalRoot = |_a, b| from_doubles(doubles(b).map(float::sse::reciprocal_sqrt));
    /// RSQRTSS.
    ReciprocalRootLow = |a, b| a & !0xffff_ffff | u128::from(float::sse::reciprocal_sqrt(b as u32));
}

/// A shift count below the lane's width.
#[inline(always)]
fn count(b: u128, bits: u64) -> Option<u32> {
    ((b as u64) < bits).then_some(b as u32)
}

#[inline(always)]
fn product(x: u16, y: u16) -> i32 {
    i32::from(x as i16) * i32::from(y as i16)
}

#[inline(always)]
fn select4(imm: u8, i: usize) -> usize {
    usize::from(imm >> (2 * i) & 3)
}

#[inline(always)]
fn mul_add_words(a: u128, b: u128) -> u128 {
    let (a, b) = (words(a), words(b));
    let pair = |i| product(a[2 * i], b[2 * i]).wrapping_add(product(a[2 * i + 1], b[2 * i + 1]));
    from_doubles(from_fn(|i| pair(i) as u32))
}

/// Unsigned bytes of `a` times signed bytes of `b`.
#[inline(always)]
fn mul_add_bytes(a: u128, b: u128) -> u128 {
    let (a, b) = (bytes(a), bytes(b));
    let one = |i: usize| i32::from(a[i]) * i32::from(b[i] as i8);
    from_words(from_fn(|i| (one(2 * i) + one(2 * i + 1)).clamp(-0x8000, 0x7fff) as u16))
}

#[inline(always)]
fn sum_differences(a: u128, b: u128) -> u128 {
    let (a, b) = (bytes(a), bytes(b));
    let half = |n: usize| (n..n + 8).map(|i| u64::from(a[i].abs_diff(b[i]))).sum();
    from_quads([half(0), half(8)])
}

#[inline(always)]
fn pair_words(a: u128, b: u128, f: impl Fn(u16, u16) -> u16) -> u128 {
    let (a, b) = (words(a), words(b));
    let source = |i: usize| if i < 4 { (a[2 * i], a[2 * i + 1]) } else { (b[2 * i - 8], b[2 * i - 7]) };
    from_words(from_fn(|i| f(source(i).0, source(i).1)))
}

#[inline(always)]
fn pair_doubles(a: u128, b: u128, f: impl Fn(u32, u32) -> u32) -> u128 {
    let (a, b) = (doubles(a), doubles(b));
    from_doubles([f(a[0], a[1]), f(a[2], a[3]), f(b[0], b[1]), f(b[2], b[3])])
}

#[inline(always)]
fn align_right(a: u128, b: u128, imm: u8) -> u128 {
    match u32::from(imm) * 8 {
        0 => b,
        n @ 1..128 => b >> n | a << (128 - n),
        n => a.checked_shr(n - 128).unwrap_or(0),
    }
}

#[inline(always)]
fn pack_words(a: u128, b: u128, f: impl Fn(u16) -> u8) -> u128 {
    let (a, b) = (words(a), words(b));
    from_bytes(from_fn(|i| f(if i < 8 { a[i] } else { b[i - 8] })))
}

#[inline(always)]
fn pack_doubles(a: u128, b: u128) -> u128 {
    let (a, b) = (doubles(a), doubles(b));
    let one = |x: u32| (x as i32).clamp(-0x8000, 0x7fff) as u16;
    from_words(from_fn(|i| one(if i < 4 { a[i] } else { b[i - 4] })))
}

#[inline(always)]
fn unpack_bytes(a: u128, b: u128, from: usize) -> u128 {
    let (a, b) = (bytes(a), bytes(b));
    from_bytes(from_fn(|i| if i & 1 == 0 { a[from + i / 2] } else { b[from + i / 2] }))
}

#[inline(always)]
fn unpack_words(a: u128, b: u128, from: usize) -> u128 {
    let (a, b) = (words(a), words(b));
    from_words(from_fn(|i| if i & 1 == 0 { a[from + i / 2] } else { b[from + i / 2] }))
}

#[inline(always)]
fn unpack_doubles(a: u128, b: u128, from: usize) -> u128 {
    let (a, b) = (doubles(a), doubles(b));
    from_doubles([a[from], b[from], a[from + 1], b[from + 1]])
}

#[inline(always)]
fn shuffle_bytes(a: u128, b: u128) -> u128 {
    let a = bytes(a);
    from_bytes(bytes(b).map(|n| if n >> 7 != 0 { 0 } else { a[usize::from(n & 15)] }))
}

#[inline(always)]
fn shuffle_words(b: u128, imm: u8, from: usize) -> u128 {
    let b = words(b);
    let inside = from..from + 4;
    from_words(from_fn(|i| if inside.contains(&i) { b[from + select4(imm, i - from)] } else { b[i] }))
}

#[inline(always)]
fn signs<const N: usize>(bits: [bool; N]) -> u128 {
    bits.iter().rev().fold(0, |n, &b| n << 1 | u128::from(b))
}
