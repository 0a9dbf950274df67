//! x87 operations other than transcendental ones.

use crate::operands::{Report, Rng, cases, special80};
use float::{Class, Env, F80, constant, x87};
use testkit::host_fpu::{Host80, X87, X87Op};

/// What an operation of ours leaves where the host leaves it.
#[derive(Debug, PartialEq)]
struct Left {
    st: [F80; 2],
    memory: [u8; 16],
    flags: u8,
    c1: bool,
    /// C3, C2, C0 where the operation defines them.
    codes: u16,
}

const C0: u16 = 0x100;
const C2: u16 = 0x400;
const C3: u16 = 0x4000;

fn host(x: F80) -> Host80 {
    Host80 { sig: x.sig, se: x.se }
}

fn ours(x: Host80) -> F80 {
    F80 { sig: x.sig, se: x.se }
}

type Model = fn(&mut Env, F80, F80, [u8; 16]) -> (Result2, u16);

enum Result2 {
    One(F80),
    Push(F80, F80),
    Memory([u8; 16], usize, bool),
    None,
}

fn codes_of(r: x87::Relation) -> u16 {
    let b = u16::from(r.bits());
    (b & 1) << 8 | (b & 2) << 9 | (b & 4) << 12
}

fn rem_codes(env: &mut Env, r: x87::Remainder) -> (Result2, u16) {
    let q = u16::from(r.quotient);
    env.c1 = q & 1 != 0;
    let partial = if r.partial { C2 } else { 0 };
    (Result2::One(r.value), partial | (q & 4) << 6 | (q & 2) << 13)
}

fn put<const N: usize>(b: [u8; N]) -> [u8; 16] {
    let mut m = [0; 16];
    m[..N].copy_from_slice(&b);
    m
}

fn get<const N: usize>(m: [u8; 16]) -> [u8; N] {
    std::array::from_fn(|i| m[i])
}

fn one(x: F80) -> (Result2, u16) {
    (Result2::One(x), 0)
}

fn memory<const N: usize>(b: [u8; N], pops: bool) -> (Result2, u16) {
    (Result2::Memory(put(b), N, pops), 0)
}

#[allow(clippy::too_many_arguments, reason = "one case, spelled out")]
fn compare(op: X87Op, control: u16, a: F80, b: F80, m: [u8; 16], mask: u16, f: Model, report: &mut Report) {
    let h = X87::run(op, control, host(a), host(b), m);
    let theirs = Left {
        st: [ours(h.st0), ours(h.st1)],
        memory: h.memory,
        flags: h.status as u8 & 0x3f,
        c1: h.status & 0x200 != 0,
        codes: h.status & mask,
    };
    let mut env = Env::from_x87(control, 0);
    let (result, codes) = f(&mut env, a, b, m);
    let mut left = Left { st: [a, b], memory: m, flags: env.flags, c1: env.c1, codes: codes & mask };
    match result {
        Result2::Push(x, y) if m != [0xa5; 16] && !env.blocks_load() => left.st = [x, y],
        _ if env.blocks_register() => {}
        Result2::One(x) => left.st[0] = x,
        Result2::Push(x, y) => left.st = [x, y],
        Result2::Memory(..) if env.blocks_store() => {}
        Result2::Memory(bytes, n, pops) => {
            left.memory[..n].copy_from_slice(&bytes[..n]);
            if pops {
                left.st = [b, F80::DEFAULT_NAN];
            }
        }
        Result2::None => {}
    }
    report.check(left == theirs, || {
        format!("{op:?} cw={control:04x} a={a:x?} b={b:x?} m={m:02x?}\n  ours {left:x?}\n  host {theirs:x?}")
    });
}

fn controls() -> Vec<u16> {
    let mut list = Vec::new();
    for masks in [0x3f, 0, 0x3d, 0x2f, 0x37, 0x3e] {
        for rc in 0..4 {
            for pc in [0, 2, 3] {
                list.push(0x40 | masks | pc << 8 | rc << 10);
            }
        }
    }
    list
}

/// One register operand: every special one under every control word, then random ones.
fn unary(op: X87Op, mask: u16, f: Model) {
    let mut report = Report::new(&format!("{op:?}"));
    for cw in controls() {
        for &a in special80() {
            compare(op, cw, a, F80::ONE, [0xa5; 16], mask, f, &mut report);
        }
    }
    let mut rng = Rng::new(op as u64);
    for _ in 0..cases() {
        let (cw, a) = (rng.control(), rng.f80());
        compare(op, cw, a, F80::ONE, [0xa5; 16], mask, f, &mut report);
    }
    report.finish();
}

/// Two register operands. The cross of all special ones takes a control word at random each.
fn binary(op: X87Op, mask: u16, f: Model) {
    let mut report = Report::new(&format!("{op:?}"));
    let mut rng = Rng::new(op as u64);
    for &a in special80() {
        for &b in special80() {
            compare(op, rng.control(), a, b, [0xa5; 16], mask, f, &mut report);
        }
    }
    for _ in 0..cases() {
        let (a, b) = rng.pair80();
        compare(op, rng.control(), a, b, [0xa5; 16], mask, f, &mut report);
    }
    report.finish();
}

fn loads(op: X87Op, f: Model, mut operand: impl FnMut(&mut Rng) -> [u8; 16]) {
    let mut report = Report::new(&format!("{op:?}"));
    let mut rng = Rng::new(op as u64);
    for _ in 0..cases() {
        let cw = rng.control();
        let m = operand(&mut rng);
        compare(op, cw, F80::ONE, F80::ZERO, m, 0, f, &mut report);
    }
    report.finish();
}

#[test]
fn add() {
    binary(X87Op::Add, 0, |e, a, b, _| one(x87::add(e, a, b)));
}

#[test]
fn sub() {
    binary(X87Op::Sub, 0, |e, a, b, _| one(x87::sub(e, a, b)));
}

#[test]
fn mul() {
    binary(X87Op::Mul, 0, |e, a, b, _| one(x87::mul(e, a, b)));
}

#[test]
fn div() {
    binary(X87Op::Div, 0, |e, a, b, _| one(x87::div(e, a, b)));
}

#[test]
fn sqrt() {
    unary(X87Op::Sqrt, 0, |e, a, _, _| one(x87::sqrt(e, a)));
}

#[test]
fn comparisons() {
    let all = C0 | C2 | C3;
    binary(X87Op::Compare, all, |e, a, b, _| (Result2::None, codes_of(x87::compare(e, a, b))));
    binary(X87Op::CompareQuiet, all, |e, a, b, _| (Result2::None, codes_of(x87::compare_quiet(e, a, b))));
    unary(X87Op::Test, all, |e, a, _, _| (Result2::None, codes_of(x87::test(e, a))));
}

#[test]
fn examine() {
    unary(X87Op::Examine, C0 | C2 | C3, |e, a, _, _| {
        e.c1 = a.sign();
        let codes = match a.class() {
            Class::Unsupported => 0,
            Class::Nan => C0,
            Class::Normal => C2,
            Class::Infinity => C2 | C0,
            Class::Zero => C3,
            Class::Denormal => C3 | C2,
        };
        (Result2::None, codes)
    });
}

#[test]
fn scale() {
    binary(X87Op::Scale, 0, |e, a, b, _| one(x87::scale(e, a, b)));
}

#[test]
fn extract() {
    unary(X87Op::Extract, 0, |e, a, _, _| {
        let (exponent, significand) = x87::extract(e, a);
        (Result2::Push(significand, exponent), 0)
    });
}

#[test]
fn remainders() {
    let all = C0 | C2 | C3;
    binary(X87Op::RemTrunc, all, |e, a, b, _| {
        let r = x87::rem_trunc(e, a, b);
        rem_codes(e, r)
    });
    binary(X87Op::RemNearest, all, |e, a, b, _| {
        let r = x87::rem_nearest(e, a, b);
        rem_codes(e, r)
    });
}

#[test]
fn round_to_int() {
    unary(X87Op::RoundToInt, 0, |e, a, _, _| one(x87::round_to_int(e, a)));
}

#[test]
fn loads_of_numbers() {
    loads(
        X87Op::Load32,
        |e, _, b, m| (push(x87::from_f32(e, u32::from_le_bytes(get(m))), b), 0),
        |r| put(r.f32().to_le_bytes()),
    );
    loads(
        X87Op::Load64,
        |e, _, b, m| (push(x87::from_f64(e, u64::from_le_bytes(get(m))), b), 0),
        |r| put(r.f64().to_le_bytes()),
    );
}

#[test]
fn loads_of_integers() {
    let bits = |r: &mut Rng| put(r.bits().to_le_bytes());
    loads(X87Op::LoadInt16, |_, _, b, m| (push(x87::from_i16(i16::from_le_bytes(get(m))), b), 0), bits);
    loads(X87Op::LoadInt32, |_, _, b, m| (push(x87::from_i32(i32::from_le_bytes(get(m))), b), 0), bits);
    loads(X87Op::LoadInt64, |_, _, b, m| (push(x87::from_i64(i64::from_le_bytes(get(m))), b), 0), bits);
}

/// The load pushes over ST(0), which is one in these tests.
fn push(x: F80, _: F80) -> Result2 {
    Result2::Push(x, F80::ONE)
}

#[test]
fn load_bcd() {
    loads(
        X87Op::LoadBcd,
        |_, _, b, m| (push(x87::from_bcd(get(m)), b), 0),
        |r| {
            let nines = r.below(2) == 0;
            let mut m = [0u8; 16];
            for x in &mut m[..10] {
                let digits = r.below(100) as u8;
                *x = if nines { digits / 10 * 16 + digits % 10 } else { r.bits() as u8 };
            }
            m
        },
    );
}

#[test]
fn stores_of_numbers() {
    unary(X87Op::Store32, 0, |e, a, _, _| memory(x87::to_f32(e, a).to_le_bytes(), false));
    unary(X87Op::Store64, 0, |e, a, _, _| memory(x87::to_f64(e, a).to_le_bytes(), false));
}

#[test]
fn stores_of_integers() {
    unary(X87Op::StoreInt16, 0, |e, a, _, _| memory(x87::to_i16(e, a, false).to_le_bytes(), false));
    unary(X87Op::StoreInt32, 0, |e, a, _, _| memory(x87::to_i32(e, a, false).to_le_bytes(), false));
    unary(X87Op::StoreInt64, 0, |e, a, _, _| memory(x87::to_i64(e, a, false).to_le_bytes(), true));
}

#[test]
fn truncating_stores() {
    unary(X87Op::TruncInt16, 0, |e, a, _, _| memory(x87::to_i16(e, a, true).to_le_bytes(), true));
    unary(X87Op::TruncInt32, 0, |e, a, _, _| memory(x87::to_i32(e, a, true).to_le_bytes(), true));
    unary(X87Op::TruncInt64, 0, |e, a, _, _| memory(x87::to_i64(e, a, true).to_le_bytes(), true));
}

#[test]
fn store_bcd() {
    unary(X87Op::StoreBcd, 0, |e, a, _, _| memory(x87::to_bcd(e, a), true));
}

#[test]
fn constants() {
    let mut report = Report::new("constants");
    for cw in controls() {
        let list: [(X87Op, Model); 5] = [
            (X87Op::LoadPi, |e, _, b, _| (push(constant::pi(e.round), b), 0)),
            (X87Op::LoadL2t, |e, _, b, _| (push(constant::log2_10(e.round), b), 0)),
            (X87Op::LoadL2e, |e, _, b, _| (push(constant::log2_e(e.round), b), 0)),
            (X87Op::LoadLg2, |e, _, b, _| (push(constant::log10_2(e.round), b), 0)),
            (X87Op::LoadLn2, |e, _, b, _| (push(constant::ln_2(e.round), b), 0)),
        ];
        for (op, f) in list {
            compare(op, cw, F80::ONE, F80::ZERO, [0; 16], 0, f, &mut report);
        }
    }
    report.finish();
}
