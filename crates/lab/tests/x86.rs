//! A supervisor at CPL 3: nothing to be seen on the modified processor, much to be seen on x86 as it is.

use isa::Routine;
use lab::random::Random;
use lab::x86::{Bare, Deprivileged, Difference, Manner, PLACE, Program, SENSITIVE, Sensitive, WINDOW};
use lab::x86::{compare, compare_paged, differences, f, segment};
use std::time::Instant;

fn programs(default: u64) -> u64 {
    std::env::var("RINGER_LAB_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn families(names: &[&str]) -> Vec<&'static Sensitive> {
    SENSITIVE.iter().filter(|s| names.is_empty() || names.contains(&s.name)).collect()
}

#[test]
fn the_modified_processor_is_virtualizable() {
    let (start, n) = (Instant::now(), programs(20_000) / 2);
    let report = compare(Manner::Modified, &families(&[]), n, 1).unwrap();
    println!("{n} programs, {:?}, {:?}", report.counts, start.elapsed());
    if let Some(d) = report.difference {
        panic!("{d}");
    }
    assert!(
        report.counts.direct > 10 * n && report.counts.interpreted > 5 * n && report.counts.reflected > 0
    );
}

#[test]
fn innocuous_programs_are_the_same_on_either() {
    for manner in [Manner::Plain, Manner::Modified] {
        let report = compare(manner, &[], 500, 3).unwrap();
        assert!(report.difference.is_none());
        assert!(report.counts.direct > 50 * report.counts.interpreted);
    }
}

fn different(name: &str) -> Difference {
    let start = Instant::now();
    let report = compare(Manner::Plain, &families(&[name]), 2000, 1).expect("memory");
    println!("{name}: {:?}", start.elapsed());
    assert!(start.elapsed().as_millis() < 1000);
    let d = report.difference.unwrap_or_else(|| panic!("{name} makes no difference"));
    println!("{d}");
    d
}

#[test]
fn each_critical_instruction_shows() {
    for family in SENSITIVE.iter().filter(|s| s.critical) {
        let d = different(family.name);
        let source = d.source.expect("it breaks theorem 1's condition");
        assert!(source.section.contains("SDM"), "{source:?}");
    }
}

#[test]
fn those_that_trap_do_not_show() {
    for family in SENSITIVE.iter().filter(|s| !s.critical) {
        let report = compare(Manner::Plain, &[family], 200, 5).unwrap();
        if let Some(d) = report.difference {
            panic!("{}: {d}", family.name);
        }
    }
}

#[test]
fn the_guest_runs_on_what_f_says_and_in_its_window_only() {
    let mut guest = Deprivileged::new(Manner::Modified).unwrap();
    let all = families(&[]);
    for n in 0..200 {
        guest.load(&Program::random(&mut Random::new(9, n), &all));
        let outside = guest.outside();
        for until in [3, 17, 60, 1000] {
            guest.run(until);
            let (real, expected) = (guest.real().clone(), f(guest.state()));
            assert_eq!((real.cpl, real.idtr.limit), (3, 0));
            assert!(real.seg[..6].iter().filter(|s| s.usable()).all(inside));
            assert_eq!(expected.gdtr, real.gdtr);
        }
        assert!(guest.outside() == outside);
    }
}

fn inside(s: &cpu::Segment) -> bool {
    s.base >= PLACE && s.base + s.limit < PLACE + WINDOW && s.dpl() == 3
}

#[test]
fn no_segment_of_the_guests_leads_out_of_the_window() {
    for base in [0, 0x1234, 0xffff, 0x1_0000, 0xfff0_0000] {
        for limit in [0, 0xfff, 0xffff, u32::MAX] {
            let mut s = cpu::Segment { base, limit, rights: 0xc093, ..cpu::Segment::default() };
            s.refresh();
            let moved = segment(&s);
            assert!(!moved.usable() || inside(&moved));
        }
    }
}

#[test]
fn a_missing_interpreter_is_found() {
    let all = families(&["CLI", "STI", "MOV to CR", "OUT", "POPF"]);
    for (routine, name) in [
        (Routine::Sti, "STI"),
        (Routine::MovToCr, "MOV to CR"),
        (Routine::Out, "OUT"),
        (Routine::Popf, "POPF"),
    ] {
        let mut bare = Bare::new(Manner::Modified).unwrap();
        let mut guest = Deprivileged::new(Manner::Modified).unwrap();
        guest.skip = Some(routine);
        let differ = (0..20).any(|n| {
            let program = Program::random(&mut Random::new(11, n), &all);
            bare.load(&program);
            guest.load(&program);
            bare.run(1000);
            guest.run(1000);
            !differences(bare.state(), guest.state()).is_empty() || bare.ports() != guest.ports()
        });
        assert!(differ, "{name}");
    }
}

#[test]
fn a_guest_with_paging_cannot_tell_either() {
    let (start, n) = (Instant::now(), programs(20_000) / 4);
    let report = compare_paged(n, 1).unwrap();
    println!("{n} programs, {:?}, {:?}, {:?}", report.counts, report.shadow, start.elapsed());
    if let Some(d) = report.difference {
        panic!("{d}");
    }
    let s = report.shadow;
    assert!(s.fills > 5 * n && s.reflected > n / 2 && s.traced > n && s.dropped > n);
}
