//! The asking.

use crate::count::Count;
use classify::axes::{Axis, Choice};
use classify::derive::{applies, derive, in_parallel};
use classify::relocation::Relocation;
use classify::world::{Level, World};
use classify::{CodeMode, Configuration, Form, forms};
use cpu::CpuModel;
use isa::Routine;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use testkit::kvm::{Kvm, Outcome};

/// What is asked of each form: at CPL 3 and CPL 0, and in real mode.
const OUTSIDE_V86: [&str; 11] =
    ["", "IOPL3", "TSD", "PCE", "UMIP", "PVI", "PVI,IOPL3", "IOBITMAP", "CPUIDFAULT", "!OSXSAVE", "VM,REAL"];

/// The same, in V86 mode.
const V86: [&str; 6] = ["VM", "VM,IOPL3", "VM,VME", "VM,VME,IOPL3", "VM,IOBITMAP", "VM,TSD,UMIP,CPUIDFAULT"];

pub(crate) fn main() {
    let arguments = Arguments::from_args();
    let absent = Kvm::new().err();
    let no_v86 = Kvm::new().map_or_else(Some, |mut kvm| refuses_v86(&mut kvm));
    let aloud = |name: &str, test: fn() -> Result<(), Failed>, why: &Option<String>| {
        if let Some(why) = why {
            eprintln!("SKIPPED: {name}: {why}");
        }
        Trial::test(name, test).with_ignored_flag(why.is_some())
    };
    let trials = vec![
        aloud("forms", forms_outside_v86, &absent),
        aloud("states", states_outside_v86, &absent),
        aloud("witnesses", witnesses, &absent),
        aloud("v86_forms", forms_in_v86, &no_v86),
        aloud("v86_states", states_in_v86, &no_v86),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// Why there is no V86 mode to be had: NOP is of every machine.
fn refuses_v86(kvm: &mut Kvm) -> Option<String> {
    let nop = Form::decode(&[0x90], CodeMode::Bits16, CpuModel::Newest)?;
    let configuration = Configuration::default().with(Configuration::VM);
    let mut world = World::new(&nop, configuration);
    match kvm.ask(&mut world, &Choice::default(), Level::User, None).1 {
        Outcome::Silent(why) => Some(why.to_owned()),
        _ => None,
    }
}

/// All forms but those that the model lacks.
fn asked(code: CodeMode) -> Vec<Form> {
    let mut forms = forms::all(code, CpuModel::Newest);
    forms.retain(|f| !classify::catalogue::beyond_the_model(f.code()));
    forms
}

/// CPL 0 is the same beside V86 mode.
fn levels(configuration: Configuration) -> &'static [Level] {
    match (configuration.has(Configuration::VM), configuration.has(Configuration::REAL)) {
        (_, true) => &[Level::Supervisor],
        (true, _) => &[Level::User],
        _ => &Level::ALL,
    }
}

/// The number of 174h, IA32_SYSENTER_CS, among the axis's values: a register that every chip has.
const SYSENTER_CS: u8 = 7;

/// The model's first state, but for a model-specific register that is one everywhere.
fn usual(form: &Form) -> Choice {
    match form.routine {
        Some(Routine::Rdmsr | Routine::Wrmsr) => Choice::default().with(Axis::Index, SYSENTER_CS),
        _ => Choice::default(),
    }
}

/// Less than this is said by the emulator, which knows neither x87 nor SSE.
fn enough(is: bool) -> Result<(), Failed> {
    if is { Ok(()) } else { Err("too little was compared".into()) }
}

fn forms_outside_v86() -> Result<(), Failed> {
    let count = forms_by_configuration("forms", &OUTSIDE_V86)?;
    let agreed = ["at CPL 0", "at CPL 3", "in real mode"].map(|place| count.agreed(place));
    enough(agreed[0] > 15_000 && agreed[1] > 15_000 && agreed[2] > 800)
}

fn forms_in_v86() -> Result<(), Failed> {
    enough(forms_by_configuration("forms", &V86)?.agreed("in V86 mode") > 4_000)
}

/// Every form in every configuration.
fn forms_by_configuration(what: &str, configurations: &[&str]) -> Result<Count, Failed> {
    let mut kvm = Kvm::new()?;
    let mut count = Count::default();
    for code in CodeMode::ALL {
        for form in &asked(code) {
            for bits in configurations {
                ask_form(&mut kvm, form, bits, &mut count)?;
            }
        }
    }
    count.settle(what, &kvm)?;
    Ok(count)
}

fn ask_form(kvm: &mut Kvm, form: &Form, bits: &str, count: &mut Count) -> Result<(), Failed> {
    let configuration = Configuration::parse(bits)?;
    if !applies(form.mode, configuration) {
        return Ok(());
    }
    let mut world = World::new(form, configuration);
    for level in levels(configuration) {
        ask_state(kvm, &mut world, (usual(form), *level, None), count);
    }
    Ok(())
}

/// Asks of one state and compares what is left behind.
fn ask_state(
    kvm: &mut Kvm,
    world: &mut World,
    (choice, level, x): (Choice, Level, Option<Relocation>),
    count: &mut Count,
) {
    let (posed, outcome) = kvm.ask(world, &choice, level, x);
    let unusual = choice.unusual().map(|a| format!("{} = {}", a.name(), choice.name(a)));
    let words: Vec<String> = std::iter::once(world.configuration().names()).chain(unusual).collect();
    let (form, state) = (world.form().clone(), words.join(" "));
    count.weigh(&form, &state, &posed, outcome);
    let done = outcome == Outcome::Completes;
    count.compare(&form, &state, &posed, done.then(|| kvm.compare(&posed)).flatten());
}

fn states_outside_v86() -> Result<(), Failed> {
    let count = states("states", &["", "VM,REAL"])?;
    let agreed = ["at CPL 0", "at CPL 3", "in real mode"].map(|place| count.agreed(place));
    enough(agreed[0] > 1_500 && agreed[1] > 1_500 && agreed[2] > 200)
}

fn states_in_v86() -> Result<(), Failed> {
    enough(states("states", &["VM", "VM,IOPL3", "VM,VME"])?.agreed("in V86 mode") > 500)
}

/// Every sensitive form in each state next to the usual one that leads it another way.
fn states(what: &str, configurations: &[&str]) -> Result<Count, Failed> {
    let mut kvm = Kvm::new()?;
    let mut count = Count::default();
    for code in CodeMode::ALL {
        for form in asked(code).iter().filter(|f| f.routine.is_some()) {
            for bits in configurations {
                ask_around(&mut kvm, form, bits, &mut count)?;
            }
        }
    }
    count.settle(what, &kvm)?;
    Ok(count)
}

fn ask_around(kvm: &mut Kvm, form: &Form, bits: &str, count: &mut Count) -> Result<(), Failed> {
    let configuration = Configuration::parse(bits)?;
    if !applies(form.mode, configuration) {
        return Ok(());
    }
    let mut world = World::new(form, configuration);
    for level in levels(configuration) {
        let mut ways = BTreeSet::new();
        let around = usual(form).neighbours().filter(|c| askable(form, c));
        for choice in std::iter::once(usual(form)).chain(around) {
            let run = world.pose(&choice, *level, None).run;
            if ways.insert((run.path, run.trap)) {
                ask_state(kvm, &mut world, (choice, *level, None), count);
            }
        }
    }
    Ok(())
}

/// The machine can be put into the state and show what it makes of it: exceptions find their handlers, no trap comes
/// behind the instruction, there is no paging, of which the model has no tables, and no exception of the x87 unit, which
/// without CR0.NE is a device's affair. Which model-specific registers there are is the chip's.
fn askable(form: &Form, choice: &Choice) -> bool {
    let barred = |axis| {
        let value = choice.name(axis);
        match axis {
            Axis::InnerStack | Axis::Table | Axis::Pae | Axis::Fpu | Axis::Trap => true,
            Axis::Task => value == "null",
            Axis::Image => value == "tf",
            // its handler is in another place or makes another frame
            Axis::Gate => matches!(value, "interrupt-level" | "task" | "interrupt16" | "none" | "conforming"),
            _ => false,
        }
    };
    let specific = matches!(form.routine, Some(Routine::Rdmsr | Routine::Wrmsr));
    let known = !specific || choice.get(Axis::Index) == SYSENTER_CS;
    known && !choice.unusual().any(barred)
}

/// Both states of every witness in the usual configuration, those of CPL 0 as well.
fn witnesses() -> Result<(), Failed> {
    let mut kvm = Kvm::new()?;
    let mut count = Count::default();
    for code in CodeMode::ALL {
        let forms: Vec<Form> = asked(code).into_iter().filter(|f| f.routine.is_some()).collect();
        for derivation in in_parallel(&forms, |f| derive(f, Configuration::default())) {
            for witness in derivation.witnesses {
                let (mut world, states) = witness.states()?;
                let form = world.form().clone();
                for state in states.into_iter().filter(|(choice, ..)| askable(&form, choice)) {
                    ask_state(&mut kvm, &mut world, state, &mut count);
                }
            }
        }
    }
    count.settle("witnesses", &kvm)?;
    enough(count.agreed("at CPL 0") > 200 && count.agreed("at CPL 3") > 200)
}
