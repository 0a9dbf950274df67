//! A sector of a data track as it is on the disc (ECMA-130, chapter 14 and annexes A and B): sync, header, 2048
//! bytes of user data, and what detects and corrects errors.

/// Bytes of a whole sector.
pub(super) const RAW: usize = 2352;
/// Where the user data, the EDC, P and Q parity begin.
const USER: usize = 16;
const EDC: usize = 2064;
const P_PARITY: usize = 2076;
const Q_PARITY: usize = 2248;
/// The header: what parity protects begins here.
const HEADER: usize = 12;
/// READ CD's selection of parts (MMC-3, 6.20, byte 9): sync, header, user data, EDC and ECC. A mode 1 sector has no
/// subheader: that bit adds nothing.
const PARTS: [(u8, std::ops::Range<usize>); 4] =
    [(0x80, 0..HEADER), (0x20, HEADER..USER), (0x10, USER..EDC), (0x08, EDC..RAW)];

/// The part of a sector that a selection names; `None` if it is not one piece.
pub(super) fn part(selection: u8) -> Option<std::ops::Range<usize>> {
    let mut parts = PARTS.iter().filter(|(bit, _)| selection & bit != 0).map(|(_, part)| part.clone());
    let first = parts.next().unwrap_or(0..0);
    parts.try_fold(first, |all, next| (all.end == next.start).then_some(all.start..next.end))
}

/// A whole mode 1 sector.
pub(super) fn mode_1(number: u32, user: &[u8]) -> [u8; RAW] {
    let mut s = [0; RAW];
    s[1..11].fill(0xff);
    let n = number.saturating_add(150);
    let bcd = |n: u32| (n / 10 % 10 * 16 + n % 10) as u8;
    s[HEADER..USER].copy_from_slice(&[bcd(n / 75 / 60), bcd(n / 75 % 60), bcd(n % 75), 1]);
    s[USER..EDC].iter_mut().zip(user).for_each(|(s, u)| *s = *u);
    let code = edc(&s[..EDC]).to_le_bytes();
    s[EDC..EDC + 4].copy_from_slice(&code);
    // 86 columns of 24 bytes, then 52 diagonals of 43
    parity(&mut s, P_PARITY, 86, |column, n| column + 86 * n, 24);
    parity(&mut s, Q_PARITY, 52, |d, n| (d / 2 * 86 + d % 2 + 88 * n) % 2236, 43);
    s
}

/// (x^16 + x^15 + x^2 + 1)(x^16 + x^2 + x + 1), the lowest bit first (ECMA-130, 14.3).
fn edc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |code, &b| {
        (0..8).fold(code ^ u32::from(b), |c, _| c >> 1 ^ if c & 1 != 0 { 0xd801_8001 } else { 0 })
    })
}

/// Times alpha in GF(2^8) over x^8 + x^4 + x^3 + x^2 + 1.
fn alpha(v: u8) -> u8 {
    v << 1 ^ if v & 0x80 != 0 { 0x1d } else { 0 }
}

/// v / (alpha + 1): times F4h, by Horner's rule.
fn over_alpha_plus_1(v: u8) -> u8 {
    (0..8).rev().fold(0, |sum, bit| alpha(sum) ^ if 0xf4u8 >> bit & 1 != 0 { v } else { 0 })
}

/// Two bytes behind each of `vectors` words of the code: their sum is 0, and so is the sum in which the last byte
/// counts once and each one before it alpha times the next (annex A).
fn parity(
    s: &mut [u8; RAW],
    to: usize,
    vectors: usize,
    place: impl Fn(usize, usize) -> usize,
    length: usize,
) {
    for v in 0..vectors {
        let bytes = (0..length).map(|n| s[HEADER + place(v, n)]);
        let (sum, weighted) = bytes.fold((0, 0), |(a, b), byte| (a ^ byte, alpha(b ^ byte)));
        let first = over_alpha_plus_1(sum ^ alpha(weighted));
        (s[to + v], s[to + vectors + v]) = (first, first ^ sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_in_one_piece() {
        let lengths = [0x10, 0xf8, 0xb8, 0x18, 0x30, 0xa0, 0x80, 0x40, 0].map(|s| part(s).map(|p| p.len()));
        assert_eq!(lengths, [2048, 2352, 2352, 2336, 2052, 16, 12, 0, 0].map(Some));
        assert_eq!([0x90, 0x28, 0x88].map(part), [None, None, None]);
    }

    /// Each word of the code as a reader checks it, from the definition.
    #[test]
    fn all_syndromes_are_zero() {
        let user: Vec<u8> = (0..2048u32).map(|n| ((n * n) >> 3) as u8).collect();
        let s = mode_1(1000, &user);
        assert_eq!(s[12..16], [0x00, 0x15, 0x25, 1]);
        assert_eq!(edc(&s[..EDC + 4]), 0);
        let check = |word: &mut dyn Iterator<Item = u8>| {
            let (sum, weighted) = word.fold((0, 0), |(a, b), byte| (a ^ byte, alpha(b) ^ byte));
            assert_eq!((sum, weighted), (0, 0));
        };
        (0..86).for_each(|c| check(&mut (0..26).map(|n| s[HEADER + c + 86 * n])));
        for d in 0..52 {
            let data = (0..43).map(|n| s[HEADER + (d / 2 * 86 + d % 2 + 88 * n) % 2236]);
            check(&mut data.chain([s[Q_PARITY + d], s[Q_PARITY + 52 + d]]));
        }
    }
}
