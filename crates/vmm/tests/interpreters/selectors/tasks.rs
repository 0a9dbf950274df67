//! Tasks, and the segments that a new one begins with (SDM vol. 3A, 7.2 to 7.3 and table 7-1).

use super::*;
use crate::ways::{Field, ToTask, Way, set_field, task_of, write_task};

/// The TSS, named by an instruction, a task gate or a link.
fn state_segment(name: &str, to: ToTask, cpl: u8) -> Use {
    let (access, busy) = if to.takes_available() { (0xe9, 0xeb) } else { (0xeb, 0xe9) };
    let system = |access: u8| (segment(HIGH + TSS2, 0x67, access, 0), 0);
    let of_286 = (segment(HIGH + TSS16, 0x2b, access & !8, 0), 0);
    let run = move |f: &mut Fake, selector: u16| {
        write_task(f);
        to.run(f, selector)
    };
    Use {
        good: vec![system(access)],
        good_286: of_286,
        wrong: [busy, 0xe0, 0xe2, 0xe6, 0xee, 0xf2].map(system).to_vec(),
        bad: if to.takes_available() { Fault::gp } else { Fault::ts },
        null: None,
        local: false,
        loaded: Some(|f| f.cpu.tr),
        ext: to.ext(),
        ..Use::new(name, cpl, run)
    }
}

/// A selector in the TSS of the new task, which runs at level 3.
fn field(name: &str, to: ToTask, cpl: u8, field: Field) -> Use {
    let run = move |f: &mut Fake, selector: u16| {
        write_task(f);
        set_field(f, field, selector.into());
        to.switch(f)
    };
    let ext = to.ext();
    Use {
        bad: Fault::ts,
        null: Some(Err(Fault::ts(ext))),
        ext,
        ..Use::new(&format!("{name}, {field:?}"), cpl, run)
    }
}

fn named(all: &[u8]) -> Vec<Named> {
    all.iter().map(|access| (flat(*access), 3)).collect()
}

fn fields(name: &str, to: ToTask, cpl: u8) -> [Use; 4] {
    let of = |which| field(name, to, cpl, which);
    let ldt = |access: u8| (segment(HIGH + LDT, 0x67, access, 0), 0);
    [
        Use {
            good: named(&[0xf2]),
            good_286: (flat(0xf2), 3),
            wrong: [named(&[0x92, 0xf0, 0xfa, 0xe2]), vec![(flat(0xf2), 0)]].concat(),
            absent: Some(Fault::ss),
            ..of(Field::Ss)
        },
        Use {
            good: named(&[0xfa, 0xf8, 0x9e]),
            good_286: (flat(0xfa), 3),
            wrong: named(&[0x9a, 0xf2, 0xe2]),
            beyond: Some(Fault::gp(to.ext())),
            ..of(Field::Cs)
        },
        Use {
            good: named(&[0xf2, 0xf0, 0xfa, 0x9e]),
            good_286: (flat(0xf2), 3),
            wrong: named(&[0x92, 0xf8, 0xe2, 0x9a]),
            null: Some(Ok(())),
            ..of(Field::Ds)
        },
        Use {
            good: vec![ldt(0x82)],
            good_286: ldt(0x82),
            wrong: vec![ldt(0x89), ldt(0x92), ldt(0x80), ldt(0x8c)],
            absent: Some(Fault::ts),
            null: Some(Ok(())),
            local: false,
            ..of(Field::Ldt)
        },
    ]
}

/// What is in the registers afterwards.
fn loaded(field: usize) -> fn(&Fake) -> Segment {
    match field {
        0 => |f| f.cpu.seg[2],
        1 => |f| f.cpu.seg[1],
        2 => |f| f.cpu.seg[3],
        _ => |f| f.cpu.ldtr,
    }
}

fn check(name: &str, to: ToTask, cpl: u8) {
    state_segment(name, to, cpl).check();
    for (n, one) in fields(name, to, cpl).into_iter().enumerate() {
        Use { loaded: Some(loaded(n)), ..one }.check();
    }
    let mut f = Fake::protected(cpl);
    write_task(&mut f);
    assert_eq!(to.switch(&mut f), Ok(()), "{name}");
    assert_eq!((f.cpu.tr.selector, f.cpu.eip), (task_of(&f).0, 0x5555), "{name}");
}

#[test]
fn by_jmp() {
    check("JMP", ToTask::Jmp, 0);
    check("JMP to a task gate", ToTask::JmpGate, 0);
}

#[test]
fn by_call() {
    check("CALL", ToTask::Call, 0);
    check("CALL to a task gate", ToTask::CallGate, 0);
}

#[test]
fn by_iret() {
    check("IRET", ToTask::Iret, 0);
}

fn by_way(name: &str) {
    check(name, ToTask::Gate(Way::named(name)), 3);
}

#[test]
fn by_int() {
    by_way("INT n");
}

#[test]
fn by_int3() {
    by_way("INT3");
}

#[test]
fn by_into() {
    by_way("INTO");
}

#[test]
fn by_int1() {
    by_way("INT1");
}

#[test]
fn by_hardware() {
    by_way("INTR");
}
