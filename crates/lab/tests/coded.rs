//! The monitor as a program, under itself.

use lab::coded::{Nest, SOURCE, run};
use lab::equivalence::{SIZE, fill};
use lab::monitor::{Discipline, Monitor};
use lab::random::Random;
use lab::third::{Instruction, Isa, Machine, Op, Real, Variant, assemble};

fn bare(n: u64) -> Real {
    let mut bare = Real::new(Isa::full(Variant::Virtualizable), SIZE);
    let mut r = Random::new(4, n);
    fill(&mut bare, &mut r);
    for _ in 0..4 {
        bare.store.memory[16 + r.below(48) as usize] = Instruction::new(Op::Halt, 0).encode();
    }
    bare
}

/// Programs that halt, from their start and at their end.
fn halting(programs: u64) -> impl Iterator<Item = (Real, Real)> {
    (0..programs).filter_map(|n| {
        let start = bare(n);
        let mut end = start.clone();
        let halts = run(&mut end, 400) && end.processor.steps > 9;
        end.processor.steps = 0;
        halts.then_some((start, end))
    })
}

#[test]
fn a_guest_of_a_guest_of_a_guest_does_as_if_alone() {
    for (depth, programs) in [(0, 100), (1, 20_000), (2, 5000), (3, 2000)] {
        let nest = Nest::new(depth, SIZE).unwrap();
        let (mut count, mut steps) = (0, 0);
        for (start, end) in halting(programs) {
            let mut machine = nest.start(&start);
            assert!(run(&mut machine, 1 << 32));
            steps += machine.processor.steps;
            machine.processor.steps = 0;
            assert_eq!(nest.guest(&machine), end);
            count += 1;
        }
        println!("depth {depth}: {count} programs, {} steps each", steps / count);
        assert!(count > programs / 50);
    }
}

#[test]
fn the_program_runs_under_the_other_monitor_too() {
    let nest = Nest::new(1, SIZE).unwrap();
    for (start, end) in halting(2000) {
        let machine = nest.start(&start);
        let q = machine.memory().len();
        let mut outer =
            Monitor::new(Real::new(Isa::full(Variant::Virtualizable), q + 8), Discipline::Trapping);
        outer.add(q).unwrap();
        outer.load(&machine.store.memory, &machine.processor);
        assert!(run(&mut outer, 1 << 32));
        let mut inner = lab::monitor::inverse(&outer.image(), machine.isa());
        inner.processor.steps = 0;
        assert_eq!(nest.guest(&inner), end);
    }
}

#[test]
fn bad_lines_are_told() {
    let error = |text| assemble(text, &[]).unwrap_err().to_string();
    assert_eq!(error("NOP\nJUMP 3"), "line 2: no such operation: JUMP 3");
    assert_eq!(error("LD nowhere"), "line 1: neither a number nor a label: LD nowhere");
    assert_eq!(error("a: NOP\na: NOP"), "line 2: the label is there already: NOP");
    assert_eq!(error("LD"), "line 1: an operand is missing: LD");
}

#[test]
fn a_monitor_that_forgets_the_mode_is_found() {
    let whole = "unpack:     ST link2\n            LD value\n            AND one\n            ST vmode\n";
    let wrong = SOURCE.replace(whole, "unpack:     ST link2\n");
    assert_ne!(wrong, SOURCE);
    let nest = Nest::of(&wrong, 1, SIZE).unwrap();
    let same = halting(500).all(|(start, end)| {
        let mut machine = nest.start(&start);
        let halts = run(&mut machine, 1 << 20);
        machine.processor.steps = 0;
        halts && nest.guest(&machine) == end
    });
    assert!(!same);
}
