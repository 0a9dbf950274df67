//! The monitor: resource control, several guests, and f.

use lab::equivalence::{SIZE, fill};
use lab::monitor::{Discipline, Monitor, Region, f, inverse};
use lab::random::Random;
use lab::third::{Event, Instruction, Isa, Machine, Mode, Op, Psw, Real, Relocation, Variant, Word};

fn isa() -> Isa {
    Isa::full(Variant::Virtualizable)
}

fn real(q: usize) -> Real {
    Real::new(isa(), q)
}

/// Runs a bare machine with its traps.
fn run(machine: &mut impl Machine, until: u64) -> Event {
    loop {
        match machine.run(until) {
            Event::Trap(cause) => machine.trap(cause),
            event => return event,
        }
    }
}

#[test]
fn guests_side_by_side_do_as_if_alone() {
    for seed in 0..200 {
        let mut monitor = Monitor::new(real(5 + 3 * SIZE), Discipline::Trapping);
        let mut bare = Vec::new();
        for n in 0..3 {
            let mut alone = real(SIZE);
            fill(&mut alone, &mut Random::new(seed, n));
            monitor.add(SIZE).unwrap();
            monitor.load(&alone.store.memory, &alone.processor);
            run(&mut alone, 500);
            bare.push(alone);
        }
        monitor.quantum = 7;
        monitor.round_robin(500);
        for (n, alone) in bare.iter().enumerate() {
            monitor.choose(n);
            assert_eq!(f(alone, monitor.guest().region), monitor.image(), "seed {seed}, guest {n}");
        }
    }
}

#[test]
fn no_guest_reaches_what_it_was_not_given() {
    for seed in 0..2000 {
        let mut monitor = Monitor::new(real(10 + 2 * SIZE), Discipline::Trapping);
        for n in 0..2 {
            monitor.add(SIZE).unwrap();
            let mut start = real(SIZE);
            fill(&mut start, &mut Random::new(seed, n));
            monitor.load(&start.store.memory, &start.processor);
        }
        let (before, first) = (monitor.host().memory().to_vec(), monitor.guests()[0].region);
        monitor.choose(0);
        run(&mut monitor, 300);
        let after = monitor.host().memory();
        // E[0] is where the machine puts its old PSW
        let touched = (1..before.len()).filter(|&at| before[at] != after[at]);
        assert!(touched.clone().all(|at| first.range().contains(&at)));
        assert_eq!(monitor.host().console(), []);
    }
}

#[test]
fn the_allocator_gives_no_more_than_there_is() {
    let mut monitor = Monitor::new(real(50), Discipline::Trapping);
    assert_eq!(monitor.add(40), Ok(0));
    let error = monitor.add(6).unwrap_err();
    assert_eq!((error.asked, error.left), (6, 5));
    assert_eq!(monitor.add(5), Ok(1));
}

#[test]
fn the_composed_relocation_traps_where_the_guests_does() {
    let (region, q) = (Region { base: 3, size: 5 }, 9);
    for (l, b) in (0..8).flat_map(|l| (0..8).map(move |b| (l, b))) {
        let guest = Psw { mode: Mode::Supervisor, p: 0, r: Relocation { l, b } };
        let composed = region.compose(guest);
        for a in 0..9 {
            let bare = lab::third::translate(a, guest.r, region.size).map(|at| at + region.base);
            assert_eq!(bare, lab::third::translate(a, composed.r, q));
        }
    }
}

#[test]
fn f_is_one_one() {
    let region = Region { base: 5, size: SIZE };
    for n in 0..100 {
        let mut state = real(SIZE);
        fill(&mut state, &mut Random::new(1, n));
        assert_eq!(inverse(&f(&state, region), isa()), state);
    }
}

#[test]
fn the_machine_runs_a_guest_with_the_psw_that_f_says() {
    let mut monitor = Monitor::new(real(20), Discipline::Trapping);
    monitor.add(12).unwrap();
    let program = [Instruction::new(Op::Nop, 0), Instruction::new(Op::Jmp, 2)];
    for (at, i) in program.iter().enumerate() {
        monitor.memory_mut()[2 + at] = i.encode();
    }
    assert_eq!(monitor.run(3), Event::Budget);
    assert_eq!(monitor.host().processor().psw, monitor.image().psw);
    assert_eq!(monitor.image().psw.to_string(), "M=u P=3 R=(5, 12)");
}

#[test]
fn a_guest_that_only_traps_is_stopped_too() {
    let mut monitor = Monitor::new(real(100), Discipline::Trapping);
    for _ in 0..2 {
        monitor.add(8).unwrap();
        let svc = Instruction::new(Op::Svc, 0).encode();
        monitor.memory_mut()[2] = svc;
        let handler = Psw { mode: Mode::Supervisor, p: 2, r: Relocation { l: 0, b: 8 } };
        monitor.memory_mut()[1] = handler.pack(isa().format, None);
    }
    monitor.round_robin(1000);
    assert!(monitor.guests().iter().all(|g| g.processor.steps == 1000 as Word));
}
