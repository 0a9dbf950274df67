//! Functions that are computed while the unit lives in the host, against the interpreter.

use super::super::{Function, load, perform, save};
use super::guest::{Case, Guest};
use super::operands::{Report, Rng};
use super::states;
use cpu::{CodeSize, CpuModel, Fpu};
use float::Flags;
use isa::Mnemonic as M;

/// States a function, unless RINGER_FP_CASES says otherwise.
fn cases() -> u32 {
    std::env::var("RINGER_FP_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(20_000)
}

/// The second bytes of the functions, the first being D9.
const OPCODES: [(u8, M); 10] = [
    (0xfe, M::Fsin),
    (0xff, M::Fcos),
    (0xfb, M::Fsincos),
    (0xf2, M::Fptan),
    (0xf0, M::F2xm1),
    (0xf1, M::Fyl2x),
    (0xf9, M::Fyl2xp1),
    (0xf3, M::Fpatan),
    (0xf8, M::Fprem),
    (0xf5, M::Fprem1),
];

fn case(fpu: Fpu) -> Case {
    Case { fpu, flags: 2, ax: 0, memory: [0; 16] }
}

/// Everything but the last instruction, which compiled code notes itself.
fn unit(f: &Fpu) -> ([cpu::Register; 8], u16, u16, u8) {
    (f.registers, f.control, f.status, f.occupied)
}

/// What becomes of a unit in the host, and whether the function was performed.
fn on_host(f: Function, mut fpu: Fpu) -> (Fpu, bool) {
    load(&fpu);
    let done = perform(f);
    save(&mut fpu);
    (fpu, done)
}

/// Small and ordinary operands in an ordinary state; every control word that masks all exceptions.
fn ordinary(rng: &mut Rng) -> Fpu {
    let mut fpu = states::fpu(rng);
    fpu.status = (rng.below(8) as u16) << 11 | rng.next() as u16 & 0x4322;
    let top = u32::from(fpu.status >> 11);
    fpu.occupied = 3u8.rotate_left(top);
    for i in 0..2 {
        let r = &mut fpu.registers[(top as usize + i) & 7];
        r.significand = rng.next() | 1 << 63;
        r.exponent = 0x3fff - 12 + rng.below(14) as u16;
    }
    fpu
}

fn check(make: fn(&mut Rng) -> Fpu, least_done: u32) {
    let mut guest = Guest::new();
    for (second, m) in OPCODES {
        let f = Function::of(m).expect("a function");
        let mut rng = Rng::new(second.into());
        let mut report = Report::new(&format!("{m:?}"));
        guest.load(&[0xd9, second]);
        let mut performed = 0;
        for _ in 0..cases() {
            let before = make(&mut rng);
            let mut expected = case(before);
            guest.run(&mut expected);
            let (got, done) = on_host(f, before);
            performed += u32::from(done);
            let same = if done { unit(&got) == unit(&expected.fpu) } else { unit(&got) == unit(&before) };
            report.check(same, || {
                format!("done {done}\n before {before:x?}\n  guest {:x?}\n   host {got:x?}", expected.fpu)
            });
        }
        report.finish();
        assert!(performed > cases() / 100 * least_done, "{m:?}: performed {performed} of {}", cases());
    }
}

#[test]
fn functions_do_what_the_interpreter_does() {
    check(states::fpu, 4);
}

#[test]
fn ordinary_operands_are_not_left_to_the_interpreter() {
    check(ordinary, 99);
}

#[test]
fn opcodes_are_of_their_functions() {
    for (second, m) in OPCODES {
        let insn = isa::decode(&[0xd9, second], CodeSize::Bits32, CpuModel::N270).expect("an instruction");
        assert_eq!(insn.code.mnemonic(), m);
        let f = Function::of(m).expect("a function");
        assert_eq!(Function::numbered(f as u64), Some(f));
    }
    assert_eq!((Function::of(M::Fadd), Function::numbered(10)), (None, None));
}

/// Where an exception would be the first of its kind, or a register is missing, nothing is done.
#[test]
fn what_is_left_to_the_interpreter() {
    let fpu = |occupied: u8, status: u16, exponent: u16| {
        let mut fpu = Fpu { occupied, status, ..Fpu::default() };
        fpu.registers[0] = cpu::Register { significand: 1 << 63, exponent };
        fpu.registers[1] = fpu.registers[0];
        fpu
    };
    let done = |f, state: Fpu| on_host(f, state).1;
    assert!(done(Function::SinCos, fpu(0x7f, 0, 0x3fff)));
    assert!(!done(Function::SinCos, fpu(0xff, 0, 0x3fff)), "no place for the cosine");
    assert!(!done(Function::Sin, fpu(0xfe, 0, 0x3fff)), "empty");
    assert!(!done(Function::ArcTangent, fpu(0xfd, 0, 0x3fff)), "ST(1) empty");
    assert!(!done(Function::Sin, fpu(0xff, 0x400, 0x3fff)), "C2 set");
    assert!(!done(Function::Sin, fpu(0xff, 0, 0x403e)), "too large");
    assert!(!done(Function::Sin, fpu(0xff, 0, 0x7fff)), "invalid, for the first time");
    assert!(done(Function::Sin, fpu(0xff, u16::from(Flags::IE), 0x7fff)), "invalid once more");
    assert!(!done(Function::Exp2Minus1, fpu(0xff, 0, 0)), "denormal, for the first time");
}
