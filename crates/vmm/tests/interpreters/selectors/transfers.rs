//! Code segments, gates and inner stacks (SDM vol. 2, CALL, JMP, RET, IRET, INT n).

use super::*;
use crate::ways::{WAYS, Way, wide_gate};
use cpu::{CodeSize, eflags as e, seg};

fn cs(f: &Fake) -> Segment {
    f.cpu.seg[usize::from(seg::CS)]
}

fn ss(f: &Fake) -> Segment {
    f.cpu.seg[usize::from(seg::SS)]
}

fn code(access: u8) -> u64 {
    flat(access)
}

/// Far transfers without a gate.
fn direct(name: &str, cpl: u8, run: fn(&mut Fake, u16) -> Result<(), Fault>) -> Use {
    let own = 0x98 | cpl << 5;
    let good = [own, own | 2, 0x9e];
    let more =
        if cpl == 0 { vec![(code(0xfe), 0), (code(0xfa), 3), (code(own), 3)] } else { vec![(code(0x9a), 0)] };
    Use {
        good: good.map(|access| (code(access), cpl.into())).to_vec(),
        good_286: (code(own), cpl.into()),
        wrong: [0x92, 0x82, 0x86].map(|a| (flat(a | cpl << 5), 0)).into_iter().chain(more).collect(),
        loaded: Some(cs),
        beyond: Some(Fault::GP0),
        ..Use::new(name, cpl, run)
    }
}

fn through_memory(f: &mut Fake, selector: u16, reg: u8) -> Result<(), Fault> {
    let size = if f.cpu.code_size() == CodeSize::Bits32 { 4 } else { 2 };
    f.write(0x100, size, 0x4000);
    f.write(0x100 + size, 2, selector.into());
    f.at_100(&[0xff], reg)
}

#[test]
fn direct_calls() {
    for cpl in [0, 3] {
        direct("CALL", cpl, |f, selector| f.far(0x9a, selector, 0x4000)).check();
        direct("CALL by memory", cpl, |f, selector| through_memory(f, selector, 3)).check();
    }
}

#[test]
fn direct_jumps() {
    for cpl in [0, 3] {
        direct("JMP", cpl, |f, selector| f.far(0xea, selector, 0x4000)).check();
        direct("JMP by memory", cpl, |f, selector| through_memory(f, selector, 5)).check();
    }
}

/// The code that a call gate names.
fn behind_a_gate(name: &str, op: u8, cpl: u8, good: &[u8], wrong: &[u8]) -> Use {
    let of = |all: &[u8]| all.iter().map(|a| (flat(*a), 0)).collect::<Vec<Named>>();
    let run = move |f: &mut Fake, selector: u16| {
        let gate = wide_gate(f, selector, 0x4000, 0xec);
        f.write(GDT + u32::from(CALL_GATE), 8, gate);
        f.far(op, CALL_GATE, 0)
    };
    Use {
        good: of(good),
        good_286: of(good)[0],
        wrong: of(wrong),
        loaded: Some(cs),
        beyond: Some(Fault::GP0),
        ..Use::new(name, cpl, run)
    }
}

#[test]
fn code_behind_call_gates() {
    behind_a_gate("CALL gate", 0x9a, 3, &[0xfa, 0x9a, 0x98, 0x9e], &[0x92, 0xf2, 0x82, 0xec]).check();
    behind_a_gate("CALL gate at 0", 0x9a, 0, &[0x9a, 0x9e], &[0xfa, 0xfe, 0x92]).check();
}

#[test]
fn code_behind_jump_gates() {
    behind_a_gate("JMP gate", 0xea, 3, &[0xfa, 0x9e], &[0x9a, 0x92, 0xf2, 0x82, 0xec]).check();
    behind_a_gate("JMP gate at 0", 0xea, 0, &[0x9a, 0x9e], &[0xfa, 0xfe, 0x92]).check();
}

/// Call gates themselves (SDM vol. 3A, 5.8.4): DPL against CPL and RPL.
fn gates(name: &str, op: u8, cpl: u8) -> Use {
    let to = |access: u8| gate(if cpl == 3 { CODE3 } else { CODE0 }, 0x4000, access, 0);
    Use {
        good: vec![(to(0xec), 3)],
        good_286: (to(0xe4), 3),
        wrong: vec![(to(0x8c), 3), (to(0xcc), 3), (to(0xee), 3), (to(0xe8), 3), (to(0xea), 3)],
        ..Use::new(name, cpl, move |f, selector| f.far(op, selector, 0))
    }
}

#[test]
fn call_gates() {
    gates("CALL gate", 0x9a, 3).check();
    gates("CALL gate at 0", 0x9a, 0).check();
}

#[test]
fn jump_gates() {
    gates("JMP gate", 0xea, 3).check();
    gates("JMP gate at 0", 0xea, 0).check();
}

/// The code that a return goes to (SDM vol. 2, RET and IRET).
fn back(name: &str, cpl: u8, run: fn(&mut Fake, u16) -> Result<(), Fault>) -> Use {
    let own = 0x98 | cpl << 5;
    let inner = if cpl == 3 { vec![(code(0x9a), 0), (code(0x9e), 0)] } else { vec![] };
    let of = |access: u8| (code(access), u16::from(cpl));
    let others = [0x92 | cpl << 5, 0x82 | cpl << 5, 0xba];
    Use {
        good: vec![of(own), of(own | 2), of(0x9e)],
        good_286: of(own),
        wrong: others.map(of).into_iter().chain(inner).collect(),
        loaded: Some(cs),
        beyond: Some(Fault::GP0),
        ..Use::new(name, cpl, run)
    }
}

fn ret(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    f.push(&[selector.into(), 0x4000]);
    f.run(&[0xcb]).map(|_| ())
}

fn iret(f: &mut Fake, selector: u16) -> Result<(), Fault> {
    f.push(&[2, selector.into(), 0x4000]);
    f.run(&[0xcf]).map(|_| ())
}

#[test]
fn returned_to_by_ret() {
    back("RET", 0, ret).check();
    back("RET", 3, ret).check();
}

#[test]
fn returned_to_by_iret() {
    back("IRET", 0, iret).check();
    back("IRET", 3, iret).check();
}

/// The stack of an outer level.
fn outer(name: &str, run: fn(&mut Fake, u16) -> Result<(), Fault>) -> Use {
    Use {
        good: vec![(flat(0xf2), 3)],
        good_286: (flat(0xf2), 3),
        wrong: vec![(flat(0x92), 3), (flat(0xf0), 3), (flat(0xfa), 3), (flat(0xe2), 3), (flat(0xf2), 0)],
        absent: Some(Fault::ss),
        loaded: Some(ss),
        ..Use::new(name, 0, run)
    }
}

#[test]
fn outer_stacks_of_ret() {
    outer("RET", |f, selector| {
        f.push(&[selector.into(), 0x8000, CODE3.into(), 0x4000]);
        f.run(&[0xcb]).map(|_| ())
    })
    .check();
}

#[test]
fn outer_stacks_of_iret() {
    outer("IRET", |f, selector| {
        f.push(&[selector.into(), 0x8000, e::IF, CODE3.into(), 0x4000]);
        f.run(&[0xcf]).map(|_| ())
    })
    .check();
}

/// The code of a handler (SDM vol. 3A, 6.12.1).
fn handler(way: Way, cpl: u8) -> Use {
    let of = |access: u8| (code(access), 0);
    let run = move |f: &mut Fake, selector: u16| {
        let gate = wide_gate(f, selector, 0x4000, 0xee);
        f.idt(way.vector, gate);
        (way.run)(f)
    };
    let good = if cpl == 3 { vec![of(0x9a), of(0xfa), of(0x9e)] } else { vec![of(0x98), of(0x9e)] };
    let wrong =
        if cpl == 3 { vec![of(0x92), of(0xf2), of(0xe2)] } else { vec![of(0xfa), of(0xfe), of(0x92)] };
    Use {
        good_286: good[0],
        good,
        wrong,
        null: Some(Err(Fault::gp(way.ext))),
        loaded: Some(cs),
        beyond: Some(Fault::gp(way.ext)),
        ext: way.ext,
        ..Use::new(way.name, cpl, run)
    }
}

/// The inner stack that the TSS names (SDM vol. 3A, 5.8.5; vol. 2, CALL and INT n).
fn inner(name: &str, ext: u16, run: impl Fn(&mut Fake) -> Result<(), Fault> + 'static) -> Use {
    let with = move |f: &mut Fake, selector: u16| {
        f.write(TSS + 8, 2, selector.into());
        run(f)
    };
    Use {
        good: vec![(flat(0x92), 0)],
        good_286: (flat(0x92), 0),
        wrong: vec![(flat(0x90), 0), (flat(0x9a), 0), (flat(0xf2), 0), (flat(0x82), 0), (flat(0x92), 3)],
        bad: Fault::ts,
        absent: Some(Fault::ss),
        null: Some(Err(Fault::ts(ext))),
        loaded: Some(ss),
        ext,
        ..Use::new(name, 3, with)
    }
}

#[test]
fn inner_stacks_of_call() {
    let call = |f: &mut Fake| {
        let gate = wide_gate(f, CODE0, 0x4000, 0xec);
        f.write(GDT + u32::from(CALL_GATE), 8, gate);
        f.far(0x9a, CALL_GATE, 0)
    };
    inner("CALL", 0, call).check();
}

fn by_way(name: &str) {
    let way = WAYS.into_iter().find(|w| w.name == name).unwrap();
    handler(way, 0).check();
    handler(way, 3).check();
    let through = move |f: &mut Fake| {
        let gate = wide_gate(f, CODE0, 0x4000, 0xee);
        f.idt(way.vector, gate);
        (way.run)(f)
    };
    inner(name, way.ext, through).check();
}

#[test]
fn handlers_of_int() {
    by_way("INT n");
}

#[test]
fn handlers_of_int3() {
    by_way("INT3");
}

#[test]
fn handlers_of_into() {
    by_way("INTO");
}

#[test]
fn handlers_of_int1() {
    by_way("INT1");
}

#[test]
fn handlers_of_hardware() {
    by_way("INTR");
}
