//! SSE and SSE2 operations on one element.

use crate::operands::{Report, Rng, cases, special32, special64};
use float::sse::{self, Predicate};
use float::{Env, Flags, Format};
use testkit::host_fpu::{Sse, SseOp};

type Model = fn(&mut Env, u64, u64) -> u64;

fn compare(op: SseOp, mxcsr: u32, a: u64, b: u64, width: u32, f: Model, report: &mut Report) {
    let h = Sse::run(op, mxcsr, a, b);
    let mut env = Env::from_mxcsr(mxcsr);
    let result = f(&mut env, a, b);
    let mask = !0u64 >> (64 - width);
    let flags = (env.flags | env.sticky) & Flags::ALL;
    let theirs = (h.result & mask, h.after as u8 & Flags::ALL);
    report.check((result & mask, flags) == theirs, || {
        format!(
            "{op:?} mxcsr={mxcsr:04x} a={a:x} b={b:x}: ours {:x} {flags:02x}, host {:x} {:02x}",
            result & mask,
            theirs.0,
            theirs.1
        )
    });
}

/// Every rounding, DAZ and FTZ; now and then PE set before, which is what the fast path asks for.
fn mxcsr(rng: &mut Rng) -> u32 {
    let modes = match rng.below(3) {
        0 => 0x20,
        1 => (rng.below(4) as u32) << 13,
        _ => (rng.below(8) as u32) << 13 | (rng.below(2) as u32) << 6,
    };
    0x1f80 | modes
}

fn run<F: Format>(op: SseOp, special: &[F], width: u32, random: fn(&mut Rng) -> F, f: Model) {
    let mut report = Report::new(&format!("{op:?}"));
    let mut rng = Rng::new(op as u64 + 100);
    for a in special {
        for b in special {
            compare(op, mxcsr(&mut rng), a.raw(), b.raw(), width, f, &mut report);
        }
    }
    for _ in 0..cases() {
        let (a, b) = (random(&mut rng), random(&mut rng));
        compare(op, mxcsr(&mut rng), a.raw(), b.raw(), width, f, &mut report);
    }
    report.finish();
}

fn single(op: SseOp, width: u32, f: Model) {
    run::<u32>(op, &special32(), width, Rng::f32, f);
}

fn double(op: SseOp, width: u32, f: Model) {
    run::<u64>(op, &special64(), width, Rng::f64, f);
}

fn integer(op: SseOp, width: u32, f: Model) {
    run::<u64>(op, &special64(), width, Rng::bits, f);
}

#[test]
fn add_sub() {
    single(SseOp::AddS, 32, |e, a, b| sse::add(e, a as u32, b as u32).into());
    single(SseOp::SubS, 32, |e, a, b| sse::sub(e, a as u32, b as u32).into());
    double(SseOp::AddD, 64, sse::add);
    double(SseOp::SubD, 64, sse::sub);
}

#[test]
fn mul_div() {
    single(SseOp::MulS, 32, |e, a, b| sse::mul(e, a as u32, b as u32).into());
    single(SseOp::DivS, 32, |e, a, b| sse::div(e, a as u32, b as u32).into());
    double(SseOp::MulD, 64, sse::mul);
    double(SseOp::DivD, 64, sse::div);
}

#[test]
fn sqrt() {
    single(SseOp::SqrtS, 32, |e, _, b| sse::sqrt(e, b as u32).into());
    double(SseOp::SqrtD, 64, |e, _, b| sse::sqrt(e, b));
}

#[test]
fn min_max() {
    single(SseOp::MinS, 32, |e, a, b| sse::min(e, a as u32, b as u32).into());
    single(SseOp::MaxS, 32, |e, a, b| sse::max(e, a as u32, b as u32).into());
    double(SseOp::MinD, 64, sse::min);
    double(SseOp::MaxD, 64, sse::max);
}

fn all_ones(x: bool) -> u64 {
    if x { !0 } else { 0 }
}

macro_rules! predicates {
    ($($imm:literal $single:ident $double:ident),*) => {
        #[test]
        fn predicates() {
            $(
                single(SseOp::$single, 32, |e, a, b| {
                    all_ones(sse::compare(e, Predicate::from_imm($imm), a as u32, b as u32))
                });
                double(SseOp::$double, 64, |e, a, b| {
                    all_ones(sse::compare(e, Predicate::from_imm($imm), a, b))
                });
            )*
        }
    };
}

predicates!(0 Cmp0S Cmp0D, 1 Cmp1S Cmp1D, 2 Cmp2S Cmp2D, 3 Cmp3S Cmp3D,
    4 Cmp4S Cmp4D, 5 Cmp5S Cmp5D, 6 Cmp6S Cmp6D, 7 Cmp7S Cmp7D);

/// As LAHF shows CF, PF and ZF; bit 1 is always set.
fn lahf(r: float::x87::Relation) -> u64 {
    let b = u64::from(r.bits());
    2 | b & 1 | (b & 2) << 1 | (b & 4) << 4
}

#[test]
fn orders() {
    single(SseOp::ComiS, 8, |e, a, b| lahf(sse::order(e, a as u32, b as u32)));
    single(SseOp::UcomiS, 8, |e, a, b| lahf(sse::order_quiet(e, a as u32, b as u32)));
    double(SseOp::ComiD, 8, |e, a, b| lahf(sse::order(e, a, b)));
    double(SseOp::UcomiD, 8, |e, a, b| lahf(sse::order_quiet(e, a, b)));
}

#[test]
fn between_formats() {
    single(SseOp::Widen, 64, |e, _, b| sse::widen(e, b as u32));
    double(SseOp::Narrow, 32, |e, _, b| sse::narrow(e, b).into());
}

#[test]
fn from_integers() {
    integer(SseOp::FromI32S, 32, |e, _, b| sse::from_i32::<u32>(e, b as i32).into());
    integer(SseOp::FromI64S, 32, |e, _, b| sse::from_i64::<u32>(e, b as i64).into());
    integer(SseOp::FromI32D, 64, |e, _, b| sse::from_i32(e, b as i32));
    integer(SseOp::FromI64D, 64, |e, _, b| sse::from_i64(e, b as i64));
}

#[test]
fn to_integers() {
    single(SseOp::ToI32S, 32, |e, _, b| sse::to_i32(e, b as u32, false) as u64);
    single(SseOp::ToI64S, 64, |e, _, b| sse::to_i64(e, b as u32, false) as u64);
    double(SseOp::ToI32D, 32, |e, _, b| sse::to_i32(e, b, false) as u64);
    double(SseOp::ToI64D, 64, |e, _, b| sse::to_i64(e, b, false) as u64);
}

#[test]
fn to_integers_truncating() {
    single(SseOp::TruncI32S, 32, |e, _, b| sse::to_i32(e, b as u32, true) as u64);
    single(SseOp::TruncI64S, 64, |e, _, b| sse::to_i64(e, b as u32, true) as u64);
    double(SseOp::TruncI32D, 32, |e, _, b| sse::to_i32(e, b, true) as u64);
    double(SseOp::TruncI64D, 64, |e, _, b| sse::to_i64(e, b, true) as u64);
}

/// The manual's bound against the true value, and the host's answer where it is special.
fn approximate(op: SseOp, ours: fn(u32) -> u32, truth: fn(f64) -> f64) {
    let mut report = Report::new(&format!("{op:?}"));
    let mut rng = Rng::new(op as u64 + 100);
    let random: Vec<u32> = (0..cases() / 4).map(|_| rng.f32()).collect();
    for x in special32().into_iter().chain(random) {
        let theirs = Sse::run(op, 0x1f80, 0, x.into()).result as u32;
        let (r, t) = (f32::from_bits(ours(x)), f32::from_bits(theirs));
        let exact = truth(f32::from_bits(x).into());
        let close = ((f64::from(r) - exact) / exact).abs() <= 1.5 / 4096.0;
        let good = if t.is_normal() && r.is_normal() { close } else { r.to_bits() == theirs };
        report.check(good, || format!("{op:?} {x:08x}: ours {:08x}, host {theirs:08x}", r.to_bits()));
    }
    report.finish();
}

#[test]
fn reciprocals() {
    approximate(SseOp::Rcp, sse::reciprocal, |x| 1.0 / x);
    approximate(SseOp::Rsqrt, sse::reciprocal_sqrt, |x| 1.0 / x.sqrt());
}
