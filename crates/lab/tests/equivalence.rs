//! Bare and virtual machines are equivalent where the theorems say so, and not elsewhere.

use lab::equivalence::{Difference, Report, Trial, compare, equivalence, without_mode};
use lab::monitor::Interpreters;
use lab::third::{Mode, Op, Variant};
use std::time::{Duration, Instant};

/// Programs to run: `RINGER_LAB_PROGRAMS`, or fewer.
fn programs(default: u64) -> u64 {
    std::env::var("RINGER_LAB_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn equal(trial: &Trial, n: u64) -> Report {
    let start = Instant::now();
    let report = compare(trial, n, 1);
    let per = report.steps as f64 / n as f64;
    println!("{n} programs, {per:.1} steps each, {} traps, {:?}", report.traps, start.elapsed());
    println!("{:?}", report.counts);
    if let Some(d) = &report.difference {
        panic!("{d}");
    }
    report
}

#[test]
fn trap_and_emulate_is_equivalent_where_all_sensitive_instructions_trap() {
    let n = programs(100_000);
    let report = equal(&Trial::new(Variant::Virtualizable), n);
    assert!(report.steps > 40 * n && report.traps > n && report.counts.direct > report.counts.interpreted);
    assert!(equivalence(100, 2).difference.is_none());
}

#[test]
fn monitors_run_on_monitors() {
    for depth in [2, 3] {
        let n = programs(100_000) / 4;
        let report = equal(&Trial::nested(depth), n);
        assert!(report.traps > n && report.counts.interpreted > n);
    }
}

/// The first difference, which has to be found soon.
fn different(trial: &Trial) -> Difference {
    let start = Instant::now();
    let report = compare(trial, 100_000, 1);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let d = *report.difference.expect("a difference");
    println!("{d}");
    d
}

#[test]
fn each_critical_instruction_breaks_trap_and_emulate() {
    for variant in &Variant::ALL[1..] {
        let d = different(&Trial::new(*variant));
        assert_eq!(d.instruction.map(|i| i.op), variant.culprit());
        let class = d.class.as_ref().unwrap();
        assert!(class.sensitive() && !class.privileged);
        assert!(d.violates().ends_with("and not privileged"));
        assert_ne!(d.bare, d.monitored);
        // the monitor keeps a supervisor in user mode: that is where the machine shows itself; R also shows to users
        assert!(d.mode == Mode::Supervisor || *variant == Variant::ReadR);
    }
}

#[test]
fn the_hybrid_monitor_needs_less() {
    let n = programs(100_000) / 4;
    for variant in [Variant::Virtualizable, Variant::Jrst1, Variant::Popf, Variant::ReadMode] {
        let report = equal(&Trial::hybrid(variant), n);
        assert!(report.counts.interpreted > report.counts.direct && report.counts.direct > n);
    }
    let d = different(&Trial::hybrid(Variant::ReadR));
    assert_eq!((d.instruction.map(|i| i.op), d.mode), (Some(Op::Rrel), Mode::User));
}

#[test]
fn a_wrong_interpreter_is_found() {
    let interpreters = without_mode(&Interpreters::default());
    let d = different(&Trial { interpreters, ..Trial::new(Variant::Virtualizable) });
    assert_eq!(d.instruction.map(|i| i.op), Some(Op::Lpsw));
    assert!(d.violates().ends_with("the monitor is wrong, not the machine"));
    assert!(d.bare.starts_with("M=u") && d.monitored.starts_with("M=s"));
}

#[test]
fn each_wrong_interpreter_is_found() {
    for op in Op::ALL.into_iter().filter(|op| op.restricted()) {
        let mut interpreters = Interpreters::default();
        interpreters.set(op, |v, _| {
            v.processor.psw.p = v.format.address(v.processor.psw.p + 1);
            Ok(())
        });
        let d = different(&Trial { interpreters, ..Trial::new(Variant::Virtualizable) });
        assert_eq!(d.instruction.map(|i| i.op), Some(op));
    }
}
