//! SSE exceptions that are not masked: whether #XM comes, and which flags are set when it does.

use crate::operands::{Report, Rng, cases, special32, special64};
use float::sse;
use float::{Env, Flags, Format};
use testkit::host_fpu::{Sse, SseOp};

type Model = fn(&mut Env, u64, u64);

fn compare(op: SseOp, mxcsr: u32, a: u64, b: u64, f: Model, report: &mut Report) {
    let (done, trapped) = Sse::run_trapping(op, mxcsr, a, b);
    let theirs = (trapped.unwrap_or(done.after) as u8 & Flags::ALL, trapped.is_some());
    let mut env = Env::from_mxcsr(mxcsr);
    f(&mut env, a, b);
    let ours = env.sse_outcome();
    report.check(ours == theirs, || {
        format!("{op:?} mxcsr={mxcsr:04x} a={a:x} b={b:x}: ours {ours:02x?}, host {theirs:02x?}")
    });
}

/// Random masks, rounding, DAZ and FTZ.
fn mxcsr(rng: &mut Rng) -> u32 {
    let modes = (rng.below(8) as u32) << 13 | (rng.below(2) as u32) << 6;
    let masks = if rng.below(2) == 0 { 0 } else { rng.below(64) as u32 };
    masks << 7 | modes
}

fn run(op: SseOp, operand: fn(&mut Rng) -> u64, f: Model) {
    let mut report = Report::new(&format!("unmasked {op:?}"));
    let mut rng = Rng::new(op as u64 + 900);
    // Most of these trap, and a trap takes microseconds.
    for _ in 0..cases() / 10 {
        let (a, b) = (operand(&mut rng), operand(&mut rng));
        compare(op, mxcsr(&mut rng), a, b, f, &mut report);
    }
    report.finish();
}

fn one_of<F: Format>(rng: &mut Rng, list: &[F]) -> u64 {
    list[rng.below(list.len() as u64) as usize].raw()
}

fn single(rng: &mut Rng) -> u64 {
    if rng.below(4) == 0 { one_of(rng, &special32()) } else { rng.f32().into() }
}

fn double(rng: &mut Rng) -> u64 {
    if rng.below(4) == 0 { one_of(rng, &special64()) } else { rng.f64() }
}

fn two_singles(rng: &mut Rng) -> u64 {
    single(rng) << 32 | single(rng)
}

macro_rules! on_single {
    ($f:expr) => {
        |e, a, b| {
            $f(e, a as u32, b as u32);
        }
    };
}

macro_rules! on_double {
    ($f:expr) => {
        |e, a, b| {
            $f(e, a, b);
        }
    };
}

macro_rules! on_both {
    ($f:expr) => {
        |e, a, b| {
            $f(e, a as u32, b as u32);
            $f(e, (a >> 32) as u32, (b >> 32) as u32);
        }
    };
}

#[test]
fn arithmetic() {
    run(SseOp::AddS, single, on_single!(sse::add));
    run(SseOp::MulS, single, on_single!(sse::mul));
    run(SseOp::DivS, single, on_single!(sse::div));
    run(SseOp::AddD, double, on_double!(sse::add));
    run(SseOp::MulD, double, on_double!(sse::mul));
    run(SseOp::DivD, double, on_double!(sse::div));
    run(SseOp::SqrtD, double, |e, _, b| {
        sse::sqrt(e, b);
    });
}

#[test]
fn comparison() {
    run(SseOp::MinS, single, on_single!(sse::min));
    run(SseOp::ComiD, double, on_double!(sse::order));
    run(SseOp::UcomiS, single, on_single!(sse::order_quiet));
}

#[test]
fn conversion() {
    run(SseOp::Widen, single, |e, _, b| {
        sse::widen(e, b as u32);
    });
    run(SseOp::Narrow, double, |e, _, b| {
        sse::narrow(e, b);
    });
    run(SseOp::ToI32D, double, |e, _, b| {
        sse::to_i32(e, b, false);
    });
    run(SseOp::FromI64S, Rng::bits, |e, _, b| {
        sse::from_i64::<u32>(e, b as i64);
    });
}

#[test]
fn elements_together() {
    run(SseOp::AddPs, two_singles, on_both!(sse::add));
    run(SseOp::MulPs, two_singles, on_both!(sse::mul));
}
