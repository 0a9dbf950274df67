//! A state that is handed to another machine is the one that the model runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use classify::axes::Choice;
use classify::world::{Level, World};
use classify::{CodeMode, Configuration, Form, forms};
use cpu::CpuModel;

/// The bytes decode to the instruction that was run, far pointers included: 16-bit code has no offset of 32 bits in one.
#[test]
fn its_bytes_are_the_instruction() {
    let mut changed = 0;
    for mode in CodeMode::ALL {
        for form in forms::all(mode, CpuModel::Newest).iter().filter(|f| f.routine.is_some()) {
            let mut world = World::new(form, Configuration::default());
            for choice in std::iter::once(Choice::default()).chain(Choice::default().neighbours()) {
                let posed = world.pose(&choice, Level::User, None);
                let bytes = Form::decode(&posed.bytes, mode, CpuModel::Newest).unwrap();
                assert_eq!(bytes.insn, posed.insn, "{:?}, {choice:?}", form.code());
                changed += usize::from(posed.bytes != form.bytes);
            }
        }
    }
    assert!(changed > 100, "{changed} have an operand in their bytes");
}

/// Handing a state out leaves nothing behind, and the run is the same as without.
#[test]
fn it_is_the_state_of_the_run() {
    for form in forms::all(CodeMode::Bits32, CpuModel::Newest).iter().filter(|f| f.routine.is_some()) {
        let mut world = World::new(form, Configuration::default());
        let mut run = classify::world::Run::new(CpuModel::Newest);
        let first = world.pose(&Choice::default(), Level::Supervisor, None);
        world.run(&Choice::default(), Level::Supervisor, None, &mut run);
        let second = world.pose(&Choice::default(), Level::Supervisor, None);
        assert_eq!((first.run.trap, &first.run.changes), (run.trap, &run.changes), "{:?}", form.code());
        assert_eq!((first.memory, first.bytes), (second.memory, second.bytes), "{:?}", form.code());
    }
}
