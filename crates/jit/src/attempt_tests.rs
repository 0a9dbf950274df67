//! What compiled code believes of sensitive instructions, held against what the monitor's routines do: in every state
//! that the classifier finds a way through them in.

use crate::attempt::effects;
use crate::key::Key;
use classify::axes::Axis;
use classify::explore::explore;
use classify::world::{Level, Run, World};
use classify::{CodeMode, Configuration, Form, derive::applies, forms};
use cpu::{CpuModel, eflags, reg};

/// Calls back with each run that completes, and the state that it began in.
fn completed(form: &Form, mut look: impl FnMut(&mut World, &classify::axes::Choice, Level, &Run)) {
    for names in ["", "IOPL3", "IOPL3,VM", "VM,VME"] {
        let configuration = Configuration::parse(names).expect(names);
        if !applies(form.mode, configuration) {
            continue;
        }
        let mut world = World::new(form, configuration);
        explore(&mut world, |world, choice, runs| {
            for (level, run) in Level::ALL.into_iter().zip(runs).filter(|(_, run)| run.trap.is_none()) {
                look(world, choice, level, run);
            }
        });
    }
}

fn sensitive() -> Vec<Form> {
    let all = CodeMode::ALL.into_iter().flat_map(|mode| forms::all(mode, CpuModel::Newest));
    all.filter(|f| f.routine.is_some()).collect()
}

fn registers_changed(run: &Run) -> u32 {
    let changed = |n: &usize| run.before.gpr[*n] != run.after.gpr[*n];
    (0..8).filter(changed).fold(0, |all, n| all | 1 << n)
}

#[test]
fn registers_and_flags_that_an_attempt_writes() {
    let mut attempted = 0;
    for form in sensitive() {
        let Some(effects) = effects(&form.insn) else { continue };
        attempted += 1;
        completed(&form, |_, _, _, run| {
            let written = registers_changed(run);
            assert_eq!(written & !effects.writes, 0, "{:?} writes {written:b}", form.code());
            let flags = (run.before.flags_image() ^ run.after.flags_image()) & eflags::ARITHMETIC;
            assert!(flags == 0 || effects.sets_flags != 0, "{:?} writes flags", form.code());
        });
    }
    assert!(attempted > 40, "{attempted} forms are attempted");
}

/// Registers that are not among those read make no difference: compiled code may have other values for them.
#[test]
fn registers_that_an_attempt_reads() {
    let axes = [(Axis::Value, reg::AX), (Axis::Index, reg::CX), (Axis::Port, reg::DX)];
    let mut spare = Run::new(CpuModel::Newest);
    for form in sensitive() {
        let Some(effects) = effects(&form.insn) else { continue };
        let unread = axes.into_iter().filter(|(_, r)| effects.reads & 1 << r == 0);
        let unread: Vec<(Axis, u8)> = unread.collect();
        completed(&form, |world, choice, level, run| {
            for &(axis, r) in &unread {
                let other = choice.with(axis, (choice.get(axis) + 1) % axis.values().len() as u8);
                world.run(&other, level, None, &mut spare);
                let differ = registers_changed(run) ^ registers_changed(&spare);
                let same = (0..8).all(|n| n == usize::from(r) || run.after.gpr[n] == spare.after.gpr[n]);
                assert!(same && differ & !(1 << r) == 0, "{:?} reads register {r}", form.code());
                assert_eq!((run.trap, &run.changes), (spare.trap, &spare.changes), "{:?}", form.code());
            }
        });
    }
}

#[test]
fn keys_that_outlive_an_instruction() {
    let mut outlived = 0;
    for form in sensitive().into_iter().filter(|f| Key::outlives(&f.insn)) {
        outlived += 1;
        completed(&form, |_, _, _, run| {
            assert_eq!(Key::of(&run.before), Key::of(&run.after), "{:?}: {:x?}", form.code(), run.after);
        });
    }
    assert!(outlived > 60, "{outlived} forms");
}
