//! The asking and the counting.

use classify::axes::Choice;
use classify::derive::applies;
use classify::ledger::{Disagreement, Voter, rulings, unexplained};
use classify::world::{Level, Posed, World};
use classify::{CodeMode, Configuration, Form, forms};
use cpu::{CpuModel, reg, vector as v};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use testkit::kvm::{Kvm, Outcome, mode};

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
    let trials = vec![Trial::test("kvm_agrees", kvm_agrees).with_ignored_flag(absent.is_some())];
    libtest_mimic::run(&arguments, trials).exit();
}

/// What was said, counted.
#[derive(Default)]
struct Count {
    agreed: usize,
    aside: usize,
    silent: BTreeMap<(&'static str, &'static str), usize>,
    found: Vec<Disagreement>,
}

fn kvm_agrees() -> Result<(), Failed> {
    let mut kvm = Kvm::new()?;
    let mut count = Count::default();
    for code in CodeMode::ALL {
        let mut forms = forms::all(code, CpuModel::Newest);
        forms.retain(|f| !classify::catalogue::beyond_the_model(f.code()));
        for form in &forms {
            ask_everywhere(&mut kvm, form, &mut count)?;
        }
    }
    told(&kvm, &count)
}

fn ask_everywhere(kvm: &mut Kvm, form: &Form, count: &mut Count) -> Result<(), Failed> {
    for bits in CONFIGURATIONS {
        let configuration = Configuration::parse(bits)?;
        if !applies(form.mode, configuration) {
            continue;
        }
        let mut world = World::new(form, configuration);
        for level in levels(configuration) {
            let posed = pose(form, &mut world, *level);
            let outcome = kvm.ask(form, &posed);
            weigh(form, bits, &posed, outcome, count);
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

/// The model's first state; bodies, which it does not run, get operands that can be divided by.
fn pose(form: &Form, world: &mut World, level: Level) -> Posed {
    let mut posed = world.pose(&Choice::default(), level, None);
    if form.routine.is_none() {
        posed.run.before.set_r32(reg::DX, 0);
        posed.memory[posed.operand as usize] = 1;
    }
    posed
}

fn weigh(form: &Form, bits: &str, posed: &Posed, outcome: Outcome, count: &mut Count) {
    let expected = posed.run.trap.map_or(Outcome::Completes, Outcome::Traps);
    let place = mode(&posed.run.before);
    match outcome {
        _ if outcome == expected => count.agreed += 1,
        Outcome::Silent(why) => *count.silent.entry((place, why)).or_default() += 1,
        // what the definitions set aside, of instructions that are innocuous
        Outcome::Traps(v::DE | v::BR | v::PF | v::AC | v::MF | v::XM) if form.routine.is_none() => {
            count.aside += 1;
        }
        _ => count.found.push(Disagreement {
            voter: Voter::Kvm,
            code: form.code(),
            mode: form.mode.bits() as u8,
            configuration: bits.to_owned(),
            says: format!("{} in {place}", words(outcome)),
            specified: words(expected),
        }),
    }
}

fn words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Completes => "completes".to_owned(),
        Outcome::Traps(vector) => format!("traps with vector {vector}"),
        Outcome::Silent(why) => why.to_owned(),
    }
}

fn told(kvm: &Kvm, count: &Count) -> Result<(), Failed> {
    let who = if kvm.by_emulator() { "KVM's emulator" } else { "the processor, by KVM" };
    println!("{who}: {} agreed, {} disagreed, {} set aside", count.agreed, count.found.len(), count.aside);
    for ((place, why), n) in &count.silent {
        println!("no opinion in {place}: {n}, {why}");
    }
    let rulings = rulings()?;
    let (open, idle) = unexplained(&count.found, &rulings, Voter::Kvm);
    // another kernel may have other faults, and a processor has none of its emulator's
    println!("{} of the ledger's rulings are of other kernels", idle.len());
    let lines: String = open.iter().map(|d| format!("{:?}/{} with {:?}: {}, specified: {}\n", d.code, d.mode, d.configuration, d.says, d.specified)).collect();
    if open.is_empty() { Ok(()) } else { Err(lines.into()) }
}
