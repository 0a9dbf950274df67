//! Quick approximations against the careful computations.

use super::{arctangent, exponential, logarithm, quick, trigonometric};
use crate::num::{Num, Wide};

/// Operands of a function: significands at random and with long runs of equal bits, exponents from `least` to `most`.
fn operands(least: i32, most: i32, salt: u64) -> impl Iterator<Item = Num> {
    let mut x = 0x9e37_79b9_7f4a_7c15 ^ salt;
    (0..400_000u32).map(move |n| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let sig = match n % 5 {
            0 => x & u64::MAX << (x % 61),
            1 => x >> (x % 61),
            2 => !(x >> (x % 61)),
            _ => x,
        };
        let exp = least + (x >> 32) as i32 % 64 % (most - least + 1);
        // most of the range where the tables are
        let exp = if n % 2 == 0 { exp } else { most - (x >> 40) as i32 % 3 };
        Num { sign: x >> 20 & 1 != 0, exp: exp.clamp(least, most), sig: sig | 1 << 63 }
    })
}

/// How far apart, in units of the last of 128 places.
fn distance(a: &Wide, b: &Wide) -> u128 {
    assert_eq!(a.sign, b.sign, "{a:x?} {b:x?}");
    match a.exp - b.exp {
        0 => a.sig.abs_diff(b.sig),
        1 => (a.sig - (1 << 127)) + (u128::MAX - b.sig),
        -1 => (b.sig - (1 << 127)) + (u128::MAX - a.sig),
        _ => panic!("{a:x?} {b:x?}"),
    }
}

/// The largest distance, of the operands that have a quick approximation, which are not few.
fn check(name: &str, pairs: impl Iterator<Item = (Option<Wide>, Option<Wide>)>) {
    let (mut count, mut all, mut most, mut settled) = (0, 0, 0, 0);
    for (quick, careful) in pairs {
        all += 1;
        let Some((q, c)) = quick.zip(careful) else { continue };
        count += 1;
        settled += u32::from(quick::is_settled(&q));
        most = most.max(distance(&q, &c));
    }
    println!("{name}: {count} of {all}, {settled} settled, distance {:.1} bits", (most as f64).log2());
    assert!(count > all / 4, "{name}: {count} of {all}");
    assert!(most < u128::from(quick::BOUND / 4), "{name}: {most:#x}");
}

#[test]
fn quick_approximations_are_near() {
    check(
        "logarithm",
        operands(-60, 60, 1).map(|n| {
            let n = Num { sign: false, ..n };
            (quick::log2(n), logarithm::log2(n.wide()))
        }),
    );
    check(
        "logarithm plus 1",
        operands(-60, -2, 2).map(|n| (quick::log2_plus_1(n), logarithm::log2_plus_1(n.wide()))),
    );
    check(
        "exponential",
        operands(-60, -1, 3).map(|n| (quick::two_to_x_minus_1(n), Some(exponential::careful(n)))),
    );
    check(
        "arctangent",
        operands(-4, 0, 4).zip(operands(-1, 0, 5)).map(|(n, m)| {
            let (y, x) = if (n.exp, n.sig) > (m.exp, m.sig) { (m, n) } else { (n, m) };
            let magnitude = |n: Num| n.wide().with_sign(false);
            (quick::octant(y, x), Some(arctangent::octant(magnitude(y).over(magnitude(x)))))
        }),
    );
    let reduced = || operands(-20, 62, 6).map(trigonometric::reduce);
    check("sine", reduced().map(|x| (x.near().and_then(|n| x.quick_sine(&n)), Some(x.sine()))));
    check("cosine", reduced().map(|x| (x.near().and_then(|n| x.quick_cosine(&n)), Some(x.cosine()))));
    check("tangent", reduced().map(|x| (x.near().and_then(|n| x.quick_tangent(&n)), Some(x.tangent()))));
}

#[test]
fn what_is_near_the_border_is_not_settled() {
    let at = |below: u64| Wide { sign: false, exp: 0, sig: 1 << 127 | u128::from(below) };
    let bound = quick::BOUND;
    for border in [0, 1 << 63] {
        for (below, settled) in [(0, false), (bound - 1, false), (bound, true), (bound + 1, true)] {
            assert_eq!(quick::is_settled(&at(border + below)), settled);
        }
        assert!(!quick::is_settled(&at(u64::wrapping_sub(border, bound))));
        assert!(quick::is_settled(&at(u64::wrapping_sub(border, bound + 1))));
    }
    assert!(!quick::is_settled(&Wide { exp: -16_383, ..at(1 << 50) }));
    assert!(quick::is_settled(&Wide { exp: -15_000, ..at(1 << 50) }));
}
