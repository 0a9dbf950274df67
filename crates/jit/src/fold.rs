//! Arithmetic on constants, as [`sem::Emit`] defines it: what needs no code.

use cpu::Width;
use cpu::Width::B64;

pub(crate) fn add(w: Width, a: u64, b: u64) -> u64 {
    a.wrapping_add(b) & w.mask()
}
pub(crate) fn sub(w: Width, a: u64, b: u64) -> u64 {
    a.wrapping_sub(b) & w.mask()
}
pub(crate) fn mul(w: Width, a: u64, b: u64) -> u64 {
    a.wrapping_mul(b) & w.mask()
}
pub(crate) fn udiv(_: Width, a: u64, b: u64) -> u64 {
    a.checked_div(b).unwrap_or(0)
}
pub(crate) fn urem(_: Width, a: u64, b: u64) -> u64 {
    a.checked_rem(b).unwrap_or(0)
}
pub(crate) fn and(_: Width, a: u64, b: u64) -> u64 {
    a & b
}
pub(crate) fn or(_: Width, a: u64, b: u64) -> u64 {
    a | b
}
pub(crate) fn xor(_: Width, a: u64, b: u64) -> u64 {
    a ^ b
}
pub(crate) fn shl(w: Width, a: u64, n: u64) -> u64 {
    a << (n & 63) & w.mask()
}
pub(crate) fn shr(_: Width, a: u64, n: u64) -> u64 {
    a >> (n & 63)
}
pub(crate) fn sar(w: Width, a: u64, n: u64) -> u64 {
    (sext(w, B64, a) as i64 >> (n & 63)) as u64 & w.mask()
}
pub(crate) fn sext(from: Width, to: Width, a: u64) -> u64 {
    let n = 64 - from.bits();
    ((a << n) as i64 >> n) as u64 & to.mask()
}
pub(crate) fn eq(_: Width, a: u64, b: u64) -> u64 {
    u64::from(a == b)
}
pub(crate) fn ult(_: Width, a: u64, b: u64) -> u64 {
    u64::from(a < b)
}
pub(crate) fn slt(w: Width, a: u64, b: u64) -> u64 {
    u64::from((sext(w, B64, a) as i64) < sext(w, B64, b) as i64)
}
