//! The classes of the third generation machine's instructions, by looking at all states.

use lab::definitions::{Verdict, classify};
use lab::third::{Op, Variant};

fn names(op: Op, variant: Variant) -> String {
    classify(op, variant).names()
}

#[test]
fn the_virtualizable_machine_has_no_critical_instruction() {
    let verdict = Verdict::of(Variant::Virtualizable);
    assert!(verdict.critical().is_empty() && verdict.user_critical().is_empty());
    for c in &verdict.classes {
        assert_eq!(c.privileged, c.op.restricted(), "{:?}", c.op);
        // reading M, where it traps, shows nothing: all results are of one mode; and the timer is the program's
        let reads = matches!(c.op, Op::Rmode | Op::Rtim);
        assert_eq!(c.sensitive(), c.op.restricted() && !reads, "{:?}", c.op);
        assert_eq!(c.location.is_some(), c.op == Op::Rrel, "{:?}", c.op);
        assert!(c.mode.is_none() && !c.user_sensitive);
        assert!(c.states >= 1 << 22);
    }
    assert_eq!(
        names(Op::Lpsw, Variant::Virtualizable),
        "privileged, control sensitive, supervisor sensitive"
    );
    assert_eq!(names(Op::Add, Variant::Virtualizable), "innocuous");
}

#[test]
fn jrst_1_is_supervisor_control_sensitive_alone() {
    assert_eq!(names(Op::Jrst, Variant::Jrst1), "control sensitive, supervisor sensitive");
}

#[test]
fn a_silent_popf_is_so_too() {
    assert_eq!(names(Op::Popf, Variant::Popf), "control sensitive, supervisor sensitive");
}

#[test]
fn a_readable_relocation_is_location_sensitive_for_users() {
    let class = classify(Op::Rrel, Variant::ReadR);
    assert_eq!(class.names(), "location sensitive, user sensitive, supervisor sensitive");
    let pair = class.location.unwrap();
    assert_ne!(pair.0.before.psw.r.l, pair.1.before.psw.r.l);
}

#[test]
fn a_readable_mode_is_mode_sensitive() {
    let class = classify(Op::Rmode, Variant::ReadMode);
    assert_eq!(class.names(), "mode sensitive, supervisor sensitive");
}

#[test]
fn each_variant_breaks_theorem_1_by_one_instruction_and_one_breaks_theorem_3() {
    for variant in &Variant::ALL[1..] {
        let op = variant.culprit().unwrap();
        let others = Op::ALL.iter().filter(|o| **o != op && o.restricted());
        assert!(others.clone().all(|&o| variant.in_user_mode(o) == lab::third::UserMode::Traps));
        let class = classify(op, *variant);
        assert!(class.sensitive() && !class.privileged);
        assert_eq!(class.user_sensitive, *variant == Variant::ReadR);
    }
}
