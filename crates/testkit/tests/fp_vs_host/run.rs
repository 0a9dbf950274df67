//! Runs every form on random states.

use crate::encode::{Choice, Encoding, encode, forms};
use crate::guest::Guest;
use crate::operands::{Rng, seed};
use crate::state::{Kind, describe, differences, normalize, random};
use cpu::vector;
use iced_x86::{Code, Mnemonic as M};
use testkit::host_runner::{Frame, Runner};

/// States a form, unless RINGER_FP_CASES says otherwise.
fn cases() -> u32 {
    std::env::var("RINGER_FP_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(4000)
}

fn is_x87(code: Code) -> bool {
    code.op_code().op_code() >> (8 * (code.op_code().op_code_len() - 1)) & 0xf8 == 0xd8
        && code.op_code().table() == iced_x86::OpCodeTableKind::Normal
}

/// Both register and memory forms, with various registers and immediates.
fn encodings(code: Code, rng: &mut Rng) -> Vec<Encoding> {
    let mut all = Vec::new();
    for n in 0..16 {
        let choice = Choice {
            reg: rng.below(8) as u8,
            rm: rng.below(8) as u8,
            memory: n & 1 != 0,
            imm: if n < 4 { rng.next() as u8 } else { rng.below(20) as u8 },
        };
        all.extend(encode(code, choice));
    }
    all
}

fn kinds(code: Code) -> &'static [Kind] {
    if is_x87(code) {
        return &[Kind::X87];
    }
    let name = format!("{:?}", code.mnemonic()).to_lowercase();
    let ends = |s: &str| name.ends_with(s);
    if name.starts_with("cvt") {
        &[Kind::Single, Kind::Double, Kind::Integer]
    } else if ends("ps") || ends("ss") {
        &[Kind::Single]
    } else if ends("pd") || ends("sd") {
        &[Kind::Double]
    } else {
        &[Kind::Integer]
    }
}

/// What was found out about a form.
pub(crate) struct Verdict {
    pub(crate) cases: u32,
    pub(crate) bad: u32,
    pub(crate) first: Option<String>,
}

pub(crate) type Allow = fn(code: Code, before: &Frame, host: &mut Frame, guest: &mut Frame);

fn one_case(
    e: &Encoding,
    runner: &Runner,
    guest: &mut Guest,
    before: &Frame,
    allow: Allow,
) -> Option<String> {
    let pointer = e.memory.then_some(if e.by_edi { 5 } else { 0 });
    let mut host = before.clone();
    if let Some(slot) = pointer {
        host.gpr[slot] = host.memory.as_ptr() as u64;
    }
    let mut model = before.clone();
    runner.run(&mut host);
    if let Some(slot) = pointer {
        // loads of the pointer's own register do not occur: operands are ECX to EBX
        host.gpr[slot] = before.gpr[slot];
    }
    let fault = guest.run(&mut model, pointer);
    model.trapped = fault.is_some_and(|f| f.vector == vector::XM);
    if let Some(f) = fault.filter(|f| f.vector != vector::XM) {
        return Some(format!("guest raised {f:?}"));
    }
    normalize(&mut host);
    normalize(&mut model);
    allow(e.code, before, &mut host, &mut model);
    if crate::state::same(&host, &model) {
        return None;
    }
    let d = differences(&host, &model);
    (!d.is_empty()).then(|| d.join("; "))
}

pub(crate) fn check(code: Code, guest: &mut Guest, allow: Allow) -> Verdict {
    let mut rng = Rng::new(code as u64);
    let mut v = Verdict { cases: 0, bad: 0, first: None };
    let all = encodings(code, &mut rng);
    let each = cases() / (all.len() as u32).max(1) + 1;
    let kinds = kinds(code);
    for e in &all {
        let runner = Runner::new(&e.bytes);
        guest.load(&e.bytes);
        for n in 0..each {
            let kind = kinds[n as usize % kinds.len()];
            let mut before = random(&mut rng, kind);
            prepare(code, &mut before, &mut rng);
            v.cases += 1;
            if let Some(text) = one_case(e, &runner, guest, &before, allow) {
                v.bad += 1;
                v.first.get_or_insert_with(|| {
                    format!("{code:?} {:02x?}\n    {}\n    {text}", e.bytes, describe(&before))
                });
            }
        }
    }
    v
}

/// Keeps the host out of faults that are not under test.
fn prepare(code: Code, f: &mut Frame, rng: &mut Rng) {
    if code.mnemonic() == M::Ldmxcsr {
        let v = rng.next() as u32 & 0xffff;
        f.memory[..4].copy_from_slice(&v.to_le_bytes());
    }
}

/// Runs all forms that `select` chooses, interpreted and compiled; fails with the first difference
/// of each.
fn check_all(name: &str, select: fn(Code) -> bool, allow: Allow) {
    check_on(&format!("{name}, interpreted"), &mut Guest::new(), select, allow);
    let mut compiling = Guest::compiling();
    check_on(&format!("{name}, compiled"), &mut compiling, select, allow);
    assert_eq!(compiling.has_compiled(), Some(true), "{name}: no compiled code has run");
}

fn check_on(name: &str, guest: &mut Guest, select: fn(Code) -> bool, allow: Allow) {
    let only = std::env::var("RINGER_FP_ONLY").ok();
    let chosen = |c: &Code| only.as_ref().is_none_or(|o| format!("{c:?}").contains(o.as_str()));
    let mut failures = Vec::new();
    let (mut count, mut total, mut bad) = (0, 0u64, 0);
    for code in forms().into_iter().filter(|c| select(*c) && chosen(c)) {
        let v = check(code, guest, allow);
        assert!(v.cases > 0, "{code:?} has no encoding");
        count += u32::from(v.cases > 0);
        total += u64::from(v.cases);
        bad += u32::from(v.bad > 0);
        if let Some(text) = v.first {
            failures.push(format!("{} of {}: {text}", v.bad, v.cases));
        }
    }
    println!("{name}: {count} forms, {total} cases, {bad} forms with differences, seed {}", seed());
    assert!(failures.is_empty(), "{name}, seed {}:\n{}", seed(), failures.join("\n"));
}

fn sem_has(code: Code) -> bool {
    matches!(sem::binding(code), sem::Binding::Innocuous)
}

fn status(f: &Frame) -> u16 {
    u16::from_le_bytes([f.fx[2], f.fx[3]])
}

/// FCOMI and its like: the manual of the chip modelled says that C1 becomes 0 and that an unmasked
/// invalid operation leaves EFLAGS alone; the host keeps C1 and sets them.
fn x87_differences(code: Code, before: &Frame, host: &mut Frame, guest: &mut Frame) {
    if !matches!(code.mnemonic(), M::Fcomi | M::Fcomip | M::Fucomi | M::Fucomip) {
        return;
    }
    if status(host) & 0x80 != 0 {
        assert_eq!(guest.flags, before.flags & 0x8d5);
        guest.flags = host.flags;
    }
    assert_eq!(guest.fx[3] & 2, 0);
    host.fx[3] &= !2;
}

/// Conversions with MMX registers: the host turns the FPU to MMX before #XM, the model does not. CVTPI2PS
/// from memory turns it to MMX by the manual (SDM vol. 2, CVTPI2PS), not so on the host.
fn packed_differences(code: Code, before: &Frame, host: &mut Frame, guest: &mut Frame) {
    use iced_x86::OpCodeOperandKind as K;
    let mmx = (0..2).any(|n| matches!(code.op_code().op_kind(n), K::mm_reg | K::mm_or_mem));
    if code == Code::Cvtpi2ps_xmm_mmm64 && host.fx[4] == before.fx[4] && !guest.trapped {
        assert_eq!((guest.fx[3] & 0x38, guest.fx[4]), (0, 0xff));
        guest.fx[..24].copy_from_slice(&host.fx[..24]);
        guest.fx[32..160].copy_from_slice(&host.fx[32..160]);
    }
    if mmx && host.trapped && guest.trapped {
        let mut expected = before.clone();
        crate::state::normalize(&mut expected);
        assert_eq!(guest.fx[..24], expected.fx[..24]);
        host.fx[..24].copy_from_slice(&expected.fx[..24]);
        host.fx[32..160].copy_from_slice(&guest.fx[32..160]);
    }
}

fn is_transcendental(code: Code) -> bool {
    matches!(
        code.mnemonic(),
        M::F2xm1 | M::Fyl2x | M::Fyl2xp1 | M::Fpatan | M::Fsin | M::Fcos | M::Fsincos | M::Fptan
    )
}

fn is_approximate(code: Code) -> bool {
    matches!(code.mnemonic(), M::Rcpps | M::Rcpss | M::Rsqrtps | M::Rsqrtss)
}

#[test]
fn every_form_has_a_body() {
    let missing: Vec<Code> = forms().into_iter().filter(|c| !sem_has(*c)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn x87_against_the_host() {
    check_all("x87", |c| is_x87(c) && !is_transcendental(c), x87_differences);
}

#[test]
fn packed_against_the_host() {
    check_all("MMX and SSE", |c| !is_x87(c) && !is_approximate(c), packed_differences);
}

/// RCPPS and its like: relative error below 1.5 * 2^-12 on both sides; where results begin to count as
/// tiny is open.
fn approximate(code: Code, _: &Frame, host: &mut Frame, guest: &mut Frame) {
    let lanes = if matches!(code.mnemonic(), M::Rcpps | M::Rsqrtps) { 4 } else { 1 };
    for register in 0..8 {
        for lane in 0..lanes {
            let o = 160 + 16 * register + 4 * lane;
            let value = |f: &Frame| f32::from_le_bytes([f.fx[o], f.fx[o + 1], f.fx[o + 2], f.fx[o + 3]]);
            let (h, g) = (value(host), value(guest));
            let near = (f64::from(h) / f64::from(g) - 1.0).abs() < 3.0 / 4096.0;
            let tiny = |x: f32| x.abs() < f32::MIN_POSITIVE * 1.01;
            if near || tiny(h) && tiny(g) && h.is_sign_negative() == g.is_sign_negative() {
                let bytes = h.to_le_bytes();
                guest.fx[o..o + 4].copy_from_slice(&bytes);
            }
        }
    }
}

/// Transcendental functions: results within two units in the last place, PE, UE and C1 as they come;
/// operands outside of the documented ranges may give anything.
fn transcendental(code: Code, before: &Frame, host: &mut Frame, guest: &mut Frame) {
    const VAGUE: u16 = 0x0232;
    if is_outside(code, before) {
        guest.fx[..160].copy_from_slice(&host.fx[..160]);
        return;
    }
    for f in [&mut *host, &mut *guest] {
        let s = status(f) & !VAGUE;
        f.fx[2..4].copy_from_slice(&s.to_le_bytes());
    }
    for i in 0..8 {
        let o = 32 + 16 * i;
        let number = |f: &Frame| {
            let sig = u64::from_le_bytes(f.fx[o..o + 8].try_into().expect("eight bytes"));
            let exp = i128::from(f.fx[o + 9] & 0x7f) << 8 | i128::from(f.fx[o + 8]);
            exp << 63 | i128::from(sig & !(1 << 63))
        };
        let sign = |f: &Frame| f.fx[o + 9] >> 7;
        if (number(host) - number(guest)).abs() <= 2 && sign(host) == sign(guest) {
            let bytes: [u8; 10] = host.fx[o..o + 10].try_into().expect("ten bytes");
            guest.fx[o..o + 10].copy_from_slice(&bytes);
        }
    }
}

/// F2XM1 beyond -1 to 1, FYL2XP1 beyond its range.
fn is_outside(code: Code, before: &Frame) -> bool {
    let se = u16::from_le_bytes([before.fx[40], before.fx[41]]);
    match code.mnemonic() {
        M::F2xm1 => se & 0x7fff >= 0x3fff,
        M::Fyl2xp1 => se & 0x7fff >= 0x3ffd,
        _ => false,
    }
}

#[test]
fn approximations_against_the_host() {
    check_all("RCP and RSQRT", is_approximate, approximate);
}

#[test]
fn transcendentals_against_the_host() {
    check_all("transcendental", is_transcendental, transcendental);
}
