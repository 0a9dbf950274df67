//! A 128-bit value as lanes, lowest first.

use core::array::from_fn;

/// Sixteen bytes.
#[inline(always)]
pub(super) fn bytes(a: u128) -> [u8; 16] {
    a.to_le_bytes()
}

/// Eight words.
#[inline(always)]
pub(super) fn words(a: u128) -> [u16; 8] {
    let b = a.to_le_bytes();
    from_fn(|i| u16::from_le_bytes([b[2 * i], b[2 * i + 1]]))
}

/// Four doublewords.
#[inline(always)]
pub(super) fn doubles(a: u128) -> [u32; 4] {
    from_fn(|i| (a >> (32 * i)) as u32)
}

/// Two quadwords.
#[inline(always)]
pub(super) fn quads(a: u128) -> [u64; 2] {
    [a as u64, (a >> 64) as u64]
}

/// The value of sixteen bytes.
#[inline(always)]
pub(super) fn from_bytes(a: [u8; 16]) -> u128 {
    u128::from_le_bytes(a)
}

/// The value of eight words.
#[inline(always)]
pub(super) fn from_words(a: [u16; 8]) -> u128 {
    from_bytes(from_fn(|i| a[i / 2].to_le_bytes()[i % 2]))
}

/// The value of four doublewords.
#[inline(always)]
pub(super) fn from_doubles(a: [u32; 4]) -> u128 {
    u128::from(a[0]) | u128::from(a[1]) << 32 | u128::from(a[2]) << 64 | u128::from(a[3]) << 96
}

/// The value of two quadwords.
#[inline(always)]
pub(super) fn from_quads(a: [u64; 2]) -> u128 {
    u128::from(a[0]) | u128::from(a[1]) << 64
}

/// Byte by byte.
#[inline(always)]
pub(super) fn each_byte(a: u128, b: u128, f: impl Fn(u8, u8) -> u8) -> u128 {
    let (a, b) = (bytes(a), bytes(b));
    from_bytes(from_fn(|i| f(a[i], b[i])))
}

/// Word by word.
#[inline(always)]
pub(super) fn each_word(a: u128, b: u128, f: impl Fn(u16, u16) -> u16) -> u128 {
    let (a, b) = (words(a), words(b));
    from_words(from_fn(|i| f(a[i], b[i])))
}

/// Doubleword by doubleword.
#[inline(always)]
pub(super) fn each_double(a: u128, b: u128, f: impl Fn(u32, u32) -> u32) -> u128 {
    let (a, b) = (doubles(a), doubles(b));
    from_doubles(from_fn(|i| f(a[i], b[i])))
}

/// Quadword by quadword.
#[inline(always)]
pub(super) fn each_quad(a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    let (a, b) = (quads(a), quads(b));
    from_quads([f(a[0], b[0]), f(a[1], b[1])])
}
