//! Every MMX and SSE form in compiled code against the interpreter, which is checked against the
//! host's processor: the whole state, and that the code was what ran.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

mod compiled;
#[allow(dead_code, reason = "the other user of these encodings wants more of them")]
#[path = "fp_vs_host/encode.rs"]
mod encode;
#[path = "float_vs_host/operands.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod operands;

use compiled::{DATA, Pair, blank};
use cpu::State;
use encode::{Choice, Encoding, encode};
use iced_x86::{Code, CpuidFeature as F, Mnemonic as M};
use jit::Arithmetic;
use operands::Rng;

/// Both ways in which compiled code computes; the first falls to the second on hosts other than x86-64.
const ARITHMETICS: [Arithmetic; 2] = [Arithmetic::Host, Arithmetic::Checked];

/// The default, with the inexact flag set already.
const USUAL: u32 = 0x1fa0;

/// States a form and a kind of them, unless RINGER_FP_CASES says otherwise.
fn cases() -> u32 {
    std::env::var("RINGER_FP_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(300)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Integer,
    Single,
    Double,
}

/// How states are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    /// Numbers of which no operation makes anything but numbers.
    Tame,
    /// Anything under the usual MXCSR.
    Wild,
    /// Anything at all.
    Free,
}

fn number(rng: &mut Rng, kind: Kind, mood: Mood) -> u64 {
    let single = |rng: &mut Rng| {
        if mood != Mood::Tame && rng.below(6) == 0 {
            (rng.below(2) as u32) << 31
        } else if mood == Mood::Tame {
            rng.next() as u32 & 0x7f_ffff | (120 + rng.below(14) as u32) << 23
        } else {
            rng.f32()
        }
    };
    match kind {
        Kind::Integer if rng.below(2) == 0 => rng.next(),
        Kind::Integer => rng.bits(),
        Kind::Single => u64::from(single(rng)) | u64::from(single(rng)) << 32,
        Kind::Double if mood != Mood::Tame && rng.below(6) == 0 => rng.below(2) << 63,
        Kind::Double if mood == Mood::Tame => rng.next() >> 12 | (1016 + rng.below(14)) << 52,
        Kind::Double => rng.f64(),
    }
}

fn vector(rng: &mut Rng, kind: Kind, mood: Mood) -> u128 {
    let (low, high) = (number(rng, kind, mood), number(rng, kind, mood));
    match rng.below(8) {
        // shift counts
        0 if kind == Kind::Integer => u128::from(rng.below(70)),
        1 if kind == Kind::Integer => u128::from(low) | u128::from(!low) << 64,
        _ => u128::from(low) | u128::from(high) << 64,
    }
}

fn mxcsr(rng: &mut Rng) -> u32 {
    let masks = if rng.below(4) == 0 { rng.below(64) } else { 0x3f } as u32;
    let zeros = [0, 0, 0x40, 0x8000, 0x8040][rng.below(5) as usize];
    masks << 7 | zeros | rng.below(64) as u32 | (rng.below(4) as u32) << 13
}

fn random(rng: &mut Rng, e: &Encoding, kind: Kind, mood: Mood) -> (State, [u8; 64]) {
    let mut cpu = blank();
    cpu.mxcsr = match mood {
        Mood::Free => mxcsr(rng),
        Mood::Wild if rng.below(2) == 0 => 0x1f80 | rng.below(64) as u32,
        _ => USUAL,
    };
    cpu.set_flags_image(rng.next() as u32 & 0x8d5 | 2);
    for r in 0..8 {
        cpu.set_r32(r, rng.bits() as u32);
    }
    if e.memory {
        // half of them misaligned
        let odd = if mood != Mood::Tame && rng.below(2) == 0 { rng.below(16) as u32 } else { 0 };
        cpu.set_r32(if e.by_edi { 7 } else { 0 }, DATA + odd);
    }
    for n in 0..8 {
        cpu.xmm[n] = vector(rng, kind, mood);
        cpu.fpu.registers[n].significand = vector(rng, kind, mood) as u64;
        cpu.fpu.registers[n].exponent = 0xffff;
    }
    if rng.below(4) == 0 {
        let (from, to) = (rng.below(8) as usize, rng.below(8) as usize);
        cpu.xmm[to] = cpu.xmm[from];
    }
    let mut memory = [0; 64];
    for chunk in memory.chunks_mut(16) {
        chunk.copy_from_slice(&vector(rng, kind, mood).to_le_bytes());
    }
    (cpu, memory)
}

fn kinds(code: Code, mood: Mood) -> &'static [Kind] {
    let name = format!("{:?}", code.mnemonic()).to_lowercase();
    let from = name.strip_prefix("cvtt").or(name.strip_prefix("cvt"));
    if mood != Mood::Tame && from.is_some() {
        return &[Kind::Single, Kind::Double, Kind::Integer];
    }
    match from.unwrap_or(&name) {
        n if from.is_some() && (n.starts_with("ps") || n.starts_with("ss")) => &[Kind::Single],
        n if from.is_some() && (n.starts_with("pd") || n.starts_with("sd")) => &[Kind::Double],
        _ if from.is_some() => &[Kind::Integer],
        n if n.ends_with("ps") || n.ends_with("ss") => &[Kind::Single],
        n if n.ends_with("pd") || n.ends_with("sd") => &[Kind::Double],
        _ => &[Kind::Integer],
    }
}

/// What compiled code leaves to the interpreter.
fn refused(code: Code) -> bool {
    let tables = matches!(code.mnemonic(), M::Rcpps | M::Rcpss | M::Rsqrtps | M::Rsqrtss);
    tables || matches!(code.mnemonic(), M::Ldmxcsr | M::Stmxcsr | M::Maskmovdqu | M::Emms)
}

fn encodings(code: Code, rng: &mut Rng) -> Vec<Encoding> {
    let choice = |n: u8, rng: &mut Rng| Choice {
        reg: rng.below(8) as u8,
        rm: rng.below(8) as u8,
        memory: n & 1 != 0,
        imm: if n < 6 { n.wrapping_mul(53) } else { rng.below(36) as u8 },
    };
    (0..16).filter_map(|n| encode(code, choice(n, rng))).collect()
}

/// Cases that ran in compiled code, cases, and the first difference.
fn check(pair: &mut Pair, code: Code, mood: Mood) -> (u32, u32, Option<String>) {
    let mut rng = Rng::new(code as u64);
    let all = encodings(code, &mut rng);
    assert!(!all.is_empty(), "{code:?} has no encoding");
    let kinds = kinds(code, mood);
    let each = cases() / all.len() as u32 + 4;
    let (mut compiled, mut count) = (0, 0);
    for e in &all {
        pair.load(&e.bytes);
        for n in 0..each {
            let (cpu, memory) = random(&mut rng, e, kinds[n as usize % kinds.len()], mood);
            count += 1;
            match pair.case(&cpu, &memory) {
                Ok(inside) => compiled += u32::from(inside),
                Err(text) => {
                    let text = format!("{code:?} {:02x?} mxcsr {:x}{text}", e.bytes, cpu.mxcsr);
                    return (compiled, count, Some(text));
                }
            }
        }
    }
    (compiled, count, None)
}

fn is_simd(code: &Code) -> bool {
    let unit = |f: &F| matches!(f, F::MMX | F::SSE | F::SSE2 | F::SSE3 | F::SSSE3);
    code.cpuid_features().iter().any(unit) && !code.cpuid_features().contains(&F::FPU)
}

fn check_all(mood: Mood) {
    let only = std::env::var("RINGER_FP_ONLY").ok();
    let chosen = |c: &Code| only.as_ref().is_none_or(|o| format!("{c:?}").contains(o.as_str()));
    let forms = encode::forms().into_iter().filter(|c| is_simd(c) && chosen(c) && c.mnemonic() != M::Emms);
    let forms: Vec<Code> = forms.collect();
    let mut failures = Vec::new();
    for arithmetic in ARITHMETICS {
        let mut pair = Pair::with(arithmetic);
        for &code in &forms {
            let (compiled, count, first) = check(&mut pair, code, mood);
            failures.extend(first.map(|f| format!("{arithmetic:?}: {f}")));
            if mood == Mood::Tame && !refused(code) && compiled * 10 < count * 8 {
                failures
                    .push(format!("{arithmetic:?}: {code:?}: only {compiled} of {count} in compiled code"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Code of many instructions, which use what others have computed and what is known of it.
fn sequence(rng: &mut Rng, forms: &[Code]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..4 + rng.below(16) {
        let code = forms[rng.below(forms.len() as u64) as usize];
        let choice = Choice {
            reg: rng.below(4) as u8,
            rm: rng.below(4) as u8,
            memory: rng.below(4) == 0,
            imm: rng.below(36) as u8,
        };
        bytes.extend(encode(code, choice).into_iter().flat_map(|e| e.bytes));
    }
    bytes
}

fn check_sequences(kind: Kind, suits: fn(&str) -> bool) {
    let name = |c: &Code| format!("{:?}", c.mnemonic()).to_lowercase();
    let odd = |c: &Code| refused(*c) || c.mnemonic() == M::Maskmovq || c.mnemonic() == M::Clflush;
    let forms: Vec<Code> =
        encode::forms().into_iter().filter(|c| is_simd(c) && !odd(c) && suits(&name(c))).collect();
    ARITHMETICS.iter().for_each(|&a| check_sequences_of(kind, &forms, a));
}

fn check_sequences_of(kind: Kind, forms: &[Code], arithmetic: Arithmetic) {
    let (mut pair, mut rng) = (Pair::with(arithmetic), Rng::new(kind as u64 + 77));
    let (mut compiled, mut count) = (0, 0);
    for _ in 0..cases() * 4 {
        let bytes = sequence(&mut rng, forms);
        let e = Encoding { code: Code::INVALID, bytes, memory: true, by_edi: false };
        pair.load(&e.bytes);
        for n in 0..8 {
            let mood = match n {
                0..4 => Mood::Tame,
                4..7 => Mood::Wild,
                _ => Mood::Free,
            };
            let (mut cpu, memory) = random(&mut rng, &e, kind, mood);
            cpu.set_r32(0, DATA);
            count += 1;
            match pair.case(&cpu, &memory) {
                Ok(inside) => compiled += u32::from(inside),
                Err(text) => panic!("{arithmetic:?} {:02x?} {mood:?} mxcsr {:x}{text}", e.bytes, cpu.mxcsr),
            }
        }
    }
    assert!(compiled * 6 > count, "only {compiled} of {count} in compiled code");
}

fn is_packed(name: &str) -> bool {
    name.starts_with('p') || name.starts_with("mov") && !name.starts_with("movmsk")
}

#[test]
fn sequences_of_packed_instructions() {
    check_sequences(Kind::Integer, is_packed);
}

#[test]
fn sequences_on_mmx() {
    // nothing but MMX forms has these names alone
    let suits = |n: &str| is_packed(n) && !["dqa", "dqu", "ps", "pd", "qdq"].iter().any(|s| n.ends_with(s));
    check_sequences(Kind::Integer, suits);
}

#[test]
fn sequences_on_single_numbers() {
    check_sequences(Kind::Single, |n| n.ends_with("ps") || n.ends_with("ss") || n.starts_with("cvt"));
}

#[test]
fn sequences_on_double_numbers() {
    check_sequences(Kind::Double, |n| n.ends_with("pd") || n.ends_with("sd") || n.starts_with("cvt"));
}

#[test]
fn plain_numbers_stay_in_compiled_code() {
    check_all(Mood::Tame);
}

#[test]
fn every_operand_gives_what_the_interpreter_gives() {
    check_all(Mood::Wild);
}

#[test]
fn every_control_word_gives_what_the_interpreter_gives() {
    check_all(Mood::Free);
}
