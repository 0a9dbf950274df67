//! Transcendental functions: within one ulp of the host, special operands exactly.

use crate::operands::{Report, Rng, cases, special80};
use float::{Class, Env, F80, x87};
use testkit::host_fpu::{Host80, X87, X87Op};

/// Results in the order of the registers, or nothing for C2.
type Model = fn(&mut Env, F80, F80) -> Option<Vec<F80>>;

fn host(x: F80) -> Host80 {
    Host80 { sig: x.sig, se: x.se }
}

/// Encodings in the order of the values, so that neighbours differ by one.
fn place(x: F80) -> i128 {
    let magnitude = i128::from(x.se & 0x7fff) << 63 | i128::from(x.sig & (!0 >> 1));
    if x.sign() { -magnitude } else { magnitude }
}

fn near(x: F80, y: F80) -> bool {
    let ordinary =
        |x: F80| matches!(x.class(), Class::Normal | Class::Denormal | Class::Zero | Class::Infinity);
    x == y || (ordinary(x) && ordinary(y) && x.sign() == y.sign() && (place(x) - place(y)).abs() <= 1)
}

fn compare(op: X87Op, control: u16, a: F80, b: F80, f: Model, report: &mut Report) {
    let h = X87::run(op, control, host(a), host(b), [0; 16]);
    let theirs = [h.st0, h.st1].map(|x| F80 { sig: x.sig, se: x.se });
    let mut env = Env::from_x87(control, 0);
    let results = f(&mut env, a, b);
    let c2 = results.is_none();
    let results = results.filter(|_| !env.blocks_register()).unwrap_or_else(|| vec![a]);
    let same = results.iter().zip(&theirs).all(|(x, y)| near(*x, *y));
    let flags = h.status as u8 & 0x3f;
    let has_c2 = matches!(op, X87Op::Sin | X87Op::Cos | X87Op::SinCos | X87Op::Tan);
    let good = same && flags == env.flags && (!has_c2 || c2 == (h.status & 0x400 != 0));
    report.check(good, || {
        format!("{op:?} cw={control:04x} a={a:x?} b={b:x?}\n  ours {results:x?} {:02x} {c2}\n  host {theirs:x?} {flags:02x}", env.flags)
    });
}

fn run(op: X87Op, ok: fn(F80) -> bool, f: Model, operand: fn(&mut Rng) -> (F80, F80)) {
    let mut report = Report::new(&format!("{op:?}"));
    let mut rng = Rng::new(op as u64 + 500);
    let seconds =
        [F80::ZERO, F80::ZERO.negate(), F80::ONE, F80::ONE.negate(), F80::INFINITY, F80::INFINITY.negate()];
    for &a in special80().iter().filter(|a| ok(**a)) {
        for &b in special80().iter().step_by(7).chain(&seconds) {
            compare(op, rng.control(), a, b, f, &mut report);
        }
    }
    for _ in 0..cases() / 4 {
        let (a, b) = operand(&mut rng);
        if ok(a) {
            compare(op, rng.control(), a, b, f, &mut report);
        }
    }
    report.finish();
}

/// A number with a random significand and an exponent from `low` to `high`.
fn number(rng: &mut Rng, low: i32, high: i32) -> F80 {
    let exp = low + rng.below((high - low + 1) as u64) as i32;
    F80 { sig: rng.bits() | 1 << 63, se: (exp + 16383) as u16 | (rng.below(2) as u16) << 15 }
}

fn any(rng: &mut Rng) -> (F80, F80) {
    if rng.below(2) == 0 { rng.pair80() } else { (number(rng, -6, 63), number(rng, -6, 6)) }
}

fn everywhere(_: F80) -> bool {
    true
}

fn up_to_one(a: F80) -> bool {
    a.se & 0x7fff < 0x3fff
        || a.abs() == F80::ONE
        || a.class() == Class::Nan
        || a.class() == Class::Unsupported
}

/// From `-(1 - sqrt(1/2))` to `sqrt(2) - 1`.
fn near_zero(a: F80) -> bool {
    let bound = if a.sign() { (0x3ffd, 0x95f6_1998_0c43_36f7) } else { (0x3ffd, 0xd413_cccf_e779_9211) };
    (a.se & 0x7fff, a.sig) <= bound || matches!(a.class(), Class::Nan | Class::Unsupported)
}

#[test]
fn two_to_x_minus_1() {
    run(
        X87Op::F2xm1,
        up_to_one,
        |e, a, _| Some(vec![x87::two_to_x_minus_1(e, a)]),
        |r| (number(r, -70, -1), F80::ONE),
    );
}

#[test]
fn y_log2_x() {
    run(X87Op::Yl2x, everywhere, |e, a, b| Some(vec![x87::y_log2_x(e, a, b)]), any);
}

#[test]
fn y_log2_x_plus_1() {
    run(
        X87Op::Yl2xp1,
        near_zero,
        |e, a, b| Some(vec![x87::y_log2_x_plus_1(e, a, b)]),
        |r| (number(r, -70, -2), number(r, -6, 6)),
    );
}

#[test]
fn atan() {
    run(X87Op::Atan, everywhere, |e, a, b| Some(vec![x87::atan(e, a, b)]), any);
}

#[test]
fn sin() {
    run(X87Op::Sin, everywhere, |e, a, _| Some(vec![x87::sin(e, a)?]), any);
}

#[test]
fn cos() {
    run(X87Op::Cos, everywhere, |e, a, _| Some(vec![x87::cos(e, a)?]), any);
}

#[test]
fn sin_cos() {
    run(X87Op::SinCos, everywhere, |e, a, _| x87::sin_cos(e, a).map(|(s, c)| vec![c, s]), any);
}

#[test]
fn tan() {
    run(X87Op::Tan, everywhere, |e, a, _| x87::tan(e, a).map(|(t, one)| vec![one, t]), any);
}

/// Where the manual defines no result there is at least some result.
#[test]
fn outside_of_the_documented_ranges() {
    let mut rng = Rng::new(1000);
    for _ in 0..cases() / 4 {
        let (a, b) = rng.pair80();
        let mut env = Env::from_x87(rng.control(), 0);
        let results = [x87::two_to_x_minus_1(&mut env, a), x87::y_log2_x_plus_1(&mut env, a, b)];
        let operands_good = [a, b].iter().all(|x| x.class() != Class::Unsupported);
        let good = results.iter().all(|r| r.class() != Class::Unsupported);
        assert!(good || !operands_good || env.blocks_register(), "{a:x?} {b:x?}: {results:x?}");
    }
}
