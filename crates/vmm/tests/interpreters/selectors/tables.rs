//! LLDT and LTR (SDM vol. 2, those pages).

use super::*;
use cpu::reg;

fn on_register(f: &mut Fake, selector: u16, op: u8) -> Result<(), Fault> {
    f.cpu.set_r32(reg::AX, selector.into());
    f.run(&[0x0f, 0x00, op]).map(|_| ())
}

#[test]
fn lldt() {
    let system = |kind: u8| (segment(HIGH + LDT, 0x67, 0x80 | kind, 0), 0);
    let others = [0u8, 1, 3, 4, 5, 6, 7, 9, 11, 12, 14, 15];
    let all = Use {
        good: vec![system(2)],
        good_286: system(2),
        wrong: others.map(system).into_iter().chain([(flat(0x92), 0), (flat(0x9a), 0)]).collect(),
        null: Some(Ok(())),
        local: false,
        loaded: Some(|f| f.cpu.ldtr),
        ..Use::new("LLDT", 0, |f, selector| on_register(f, selector, 0xd0))
    };
    all.check();
}

#[test]
fn ltr() {
    let system = |kind: u8| (segment(HIGH + TSS2, 0x67, 0x80 | kind, 0), 0);
    let others = [0u8, 2, 3, 4, 5, 6, 7, 11, 12, 14, 15];
    let all = Use {
        good: vec![system(9), system(1)],
        good_286: system(1),
        wrong: others.map(system).into_iter().chain([(flat(0x92), 0), (flat(0x9a), 0)]).collect(),
        local: false,
        loaded: Some(|f| f.cpu.tr),
        ..Use::new("LTR", 0, |f, selector| on_register(f, selector, 0xd8))
    };
    // the 16-bit one is an 80286's
    Use { good: vec![system(9)], ..all }.check();
}
