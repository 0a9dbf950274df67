//! 256 bits, one a vector: IRR, ISR and TMR.

/// A register of 256 bits.
pub(super) type Vectors = [u64; 4];

pub(super) fn has(v: &Vectors, vector: u8) -> bool {
    v[usize::from(vector >> 6)] & 1 << (vector & 63) != 0
}

pub(super) fn put(v: &mut Vectors, vector: u8, on: bool) {
    let (word, bit) = (&mut v[usize::from(vector >> 6)], 1 << (vector & 63));
    *word = if on { *word | bit } else { *word & !bit };
}

/// The highest vector, which has the highest priority.
pub(super) fn highest(v: &Vectors) -> Option<u8> {
    let word = v.iter().rposition(|&w| w != 0)?;
    Some((word * 64) as u8 + 63 - v[word].leading_zeros() as u8)
}

/// The `n`th (0-7) of the eight 32-bit registers in which the guest sees it.
pub(super) fn word(v: &Vectors, n: u16) -> u32 {
    (v[usize::from(n >> 1 & 3)] >> (32 * (n & 1))) as u32
}
