//! The asking.

use crate::count::Count;
use classify::axes::{Axis, Choice};
use classify::derive::applies;
use classify::world::{Level, World};
use classify::{CodeMode, Configuration, Form, forms};
use cpu::CpuModel;
use isa::Routine;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use testkit::kvm::{Kvm, Outcome};

/// What is asked of each form, where it applies: at CPL 3 and CPL 0, or in V86 and real mode.
const CONFIGURATIONS: [&str; 17] = [
    "",
    "IOPL3",
    "TSD",
    "PCE",
    "UMIP",
    "PVI",
    "PVI,IOPL3",
    "IOBITMAP",
    "CPUIDFAULT",
    "!OSXSAVE",
    "VM",
    "VM,IOPL3",
    "VM,VME",
    "VM,VME,IOPL3",
    "VM,IOBITMAP",
    "VM,TSD,UMIP,CPUIDFAULT",
    "VM,REAL",
];

pub(crate) fn main() {
    let arguments = Arguments::from_args();
    let absent = Kvm::new().err();
    if let Some(why) = &absent {
        eprintln!("SKIPPED: {why}");
    }
    let tests = [("forms", forms_by_configuration as fn() -> Result<(), Failed>), ("states", states)];
    let trials = tests.map(|(name, test)| Trial::test(name, test).with_ignored_flag(absent.is_some())).into();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every form in every configuration.
fn forms_by_configuration() -> Result<(), Failed> {
    let mut kvm = Kvm::new()?;
    let mut count = Count::default();
    for code in CodeMode::ALL {
        for form in &asked(code) {
            ask_everywhere(&mut kvm, form, &mut count)?;
        }
    }
    count.settle(&kvm)?;
    // less than this is said by the emulator, which knows neither x87 nor SSE
    let enough = count.agreed("at CPL 0") > 15_000 && count.agreed("at CPL 3") > 15_000;
    if enough { Ok(()) } else { Err("too little was compared".into()) }
}

/// All forms but those that the model lacks.
fn asked(code: CodeMode) -> Vec<Form> {
    let mut forms = forms::all(code, CpuModel::Newest);
    forms.retain(|f| !classify::catalogue::beyond_the_model(f.code()));
    forms
}

fn ask_everywhere(kvm: &mut Kvm, form: &Form, count: &mut Count) -> Result<(), Failed> {
    for bits in CONFIGURATIONS {
        let configuration = Configuration::parse(bits)?;
        if !applies(form.mode, configuration) {
            continue;
        }
        let mut world = World::new(form, configuration);
        for level in levels(configuration) {
            let (posed, outcome) = kvm.ask(&mut world, &usual(form), *level, None);
            count.weigh(form, bits, &posed, outcome);
        }
    }
    Ok(())
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
    !choice.unusual().any(barred) && !(specific && choice.get(Axis::Index) != SYSENTER_CS)
}

/// Every sensitive form in each state next to the usual one that leads it another way.
fn states() -> Result<(), Failed> {
    let mut kvm = Kvm::new()?;
    let mut count = Count::default();
    for code in CodeMode::ALL {
        for form in asked(code).iter().filter(|f| f.routine.is_some()) {
            for bits in ["", "VM", "VM,REAL"] {
                ask_around(&mut kvm, form, bits, &mut count)?;
            }
        }
    }
    count.settle(&kvm)
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
                let (posed, outcome) = kvm.ask(&mut world, &choice, *level, None);
                let state: Vec<String> =
                    choice.unusual().map(|a| format!("{} = {}", a.name(), choice.name(a))).collect();
                let bits = format!("{bits} {}", state.join(", "));
                count.weigh(form, &bits, &posed, outcome);
                let compared = kvm.compare(&posed).filter(|_| outcome == Outcome::Completes);
                count.compare(form, &bits, &posed, compared);
            }
        }
    }
    Ok(())
}
