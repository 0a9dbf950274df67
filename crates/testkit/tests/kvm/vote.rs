//! The asking.

use crate::count::Count;
use classify::axes::{Axis, Choice};
use classify::derive::applies;
use classify::world::{Level, Posed, World};
use classify::{CodeMode, Configuration, Form, forms};
use cpu::{CpuModel, reg};
use isa::Routine;
use libtest_mimic::{Arguments, Failed, Trial};
use testkit::kvm::Kvm;

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
    count.settle(&kvm)?;
    // less than this is said by the emulator, which knows neither x87 nor SSE
    let enough = count.agreed("at CPL 0") > 15_000 && count.agreed("at CPL 3") > 15_000;
    if enough { Ok(()) } else { Err("too little was compared".into()) }
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

/// The model's first state, but for a model-specific register that is one everywhere; bodies, which it does not run, get operands that can be divided by.
fn pose(form: &Form, world: &mut World, level: Level) -> Posed {
    let choice = match form.routine {
        Some(Routine::Rdmsr | Routine::Wrmsr) => Choice::default().with(Axis::Index, SYSENTER_CS),
        _ => Choice::default(),
    };
    let mut posed = world.pose(&choice, level, None);
    if form.routine.is_none() {
        posed.run.before.set_r32(reg::DX, 0);
        posed.memory[posed.operand as usize] = 1;
    }
    posed
}
