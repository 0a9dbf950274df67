//! Loads of segment registers (SDM vol. 2, MOV, POP, LDS).

use super::*;
use cpu::{reg, seg};

/// Ways to load DS or ES.
fn data(
    name: &str,
    cpl: u8,
    run: fn(&mut Fake, u16) -> Result<(), Fault>,
    loaded: fn(&Fake) -> Segment,
) -> Use {
    let user = u16::from(cpl);
    let own = 0x92 | cpl << 5;
    Use {
        good: vec![(flat(own), user), (flat(own & !2), user), (flat(0x9e), user), (flat(own | 8), user)],
        good_286: (flat(own), user),
        // execute-only, an LDT, a gate, of an inner level, named with an outer RPL
        wrong: [0x98 | cpl << 5, 0x82 | cpl << 5, 0x8c | cpl << 5, 0x92]
            .map(|access| (flat(access), 3))
            .to_vec(),
        null: Some(Ok(())),
        loaded: Some(loaded),
        ..Use::new(name, cpl, run)
    }
}

fn ds(f: &Fake) -> Segment {
    f.cpu.seg[3]
}

fn mov_ds(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    f.cpu.set_r32(reg::AX, selector.into());
    f.run(&[0x8e, 0xd8]).map(|_| ())
}

fn pop_ds(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    f.push(&[selector.into()]);
    f.run(&[0x1f]).map(|_| ())
}

fn pointer(f: &mut Fake, selector: u16) {
    let size = if f.cpu.code_size() == cpu::CodeSize::Bits32 { 4 } else { 2 };
    f.write(0x100, size, 0x8000);
    f.write(0x100 + size, 2, selector.into());
}

fn lds(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    pointer(f, selector);
    f.at_100(&[0xc5], reg::BX)
}

#[test]
fn data_segments() {
    for cpl in [0, 3] {
        data("MOV DS", cpl, mov_ds, ds).check();
        data("POP DS", cpl, pop_ds, ds).check();
        data("LDS", cpl, lds, ds).check();
    }
}

/// Ways to load SS (SDM vol. 3A, 5.7).
fn stack(name: &str, cpl: u8, run: fn(&mut Fake, u16) -> Result<(), Fault>) -> Use {
    let (own, rpl) = (cpl << 5, u16::from(cpl));
    Use {
        good: vec![(flat(0x92 | own), rpl)],
        good_286: (flat(0x92 | own), rpl),
        wrong: vec![
            (flat(0x90 | own), rpl),
            (flat(0x9a | own), rpl),
            (flat(0x82 | own), rpl),
            (flat(0xb2), rpl),
            (flat(0x92 | own), 1),
        ],
        absent: Some(Fault::ss),
        loaded: Some(|f| f.cpu.seg[usize::from(seg::SS)]),
        ..Use::new(name, cpl, run)
    }
}

fn mov_ss(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    f.cpu.set_r32(reg::AX, selector.into());
    f.run(&[0x8e, 0xd0]).map(|_| ())
}

fn pop_ss(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    f.push(&[selector.into()]);
    f.run(&[0x17]).map(|_| ())
}

fn lss(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    pointer(f, selector);
    f.at_100(&[0x0f, 0xb2], reg::SP)
}

#[test]
fn stack_segments() {
    for cpl in [0, 3] {
        stack("MOV SS", cpl, mov_ss).check();
        stack("POP SS", cpl, pop_ss).check();
        stack("LSS", cpl, lss).check();
    }
}
