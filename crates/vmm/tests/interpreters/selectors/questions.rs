//! LAR, LSL, VERR and VERW, which answer with ZF (SDM vol. 2, those pages).

use super::*;
use cpu::{eflags as e, reg};

/// ZF is clear.
const NO: Fault = Fault::plain(255);

fn ask(f: &mut Fake, selector: u16, bytes: &[u8]) -> Result<(), Fault> {
    f.cpu.set_r32(reg::AX, selector.into());
    f.run(bytes)?;
    if f.cpu.arithmetic_flags() & e::ZF != 0 { Ok(()) } else { Err(NO) }
}

/// Of level 3, and conforming code of level 0, asked by level 3; of level 0 it is not seen.
fn question(name: &str, bytes: &'static [u8], good: &[u8], wrong: &[u8]) -> Use {
    let of = |access: &[u8]| access.iter().map(|a| (flat(*a), 3)).collect::<Vec<Named>>();
    let hidden = good.iter().filter(|a| **a & 0x1c != 0x1c).map(|a| (flat(a & !0x60), 3));
    Use {
        good: of(good),
        good_286: of(good)[0],
        wrong: of(wrong).into_iter().chain(hidden).collect(),
        bad: |_| NO,
        absent: None,
        null: Some(Err(NO)),
        ..Use::new(name, 3, move |f, selector| ask(f, selector, bytes))
    }
}

const SEGMENTS: [u8; 5] = [0xf2, 0xf0, 0xfa, 0xf8, 0x9e];

#[test]
fn lar() {
    let good = [&SEGMENTS[..], &[0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe9, 0xeb, 0xec]].concat();
    let wrong = [0xe0, 0xe6, 0xe7, 0xe8, 0xea, 0xed, 0xee, 0xef];
    question("LAR", &[0x0f, 0x02, 0xc8], &good, &wrong).check();
}

#[test]
fn lsl() {
    let good = [&SEGMENTS[..], &[0xe1, 0xe2, 0xe3, 0xe9, 0xeb]].concat();
    let wrong = [0xe0, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xea, 0xec, 0xed, 0xee, 0xef];
    question("LSL", &[0x0f, 0x03, 0xc8], &good, &wrong).check();
}

#[test]
fn verr() {
    let wrong = [0xf8, 0xe2, 0xe9, 0xec];
    question("VERR", &[0x0f, 0x00, 0xe0], &[0xf2, 0xf0, 0xfa, 0x9e], &wrong).check();
}

#[test]
fn verw() {
    let wrong = [0xf0, 0xfa, 0xf8, 0x9e, 0xe2, 0xe9, 0xec];
    question("VERW", &[0x0f, 0x00, 0xe8], &[0xf2], &wrong).check();
}
