//! Hardware-captured single-step vectors, a trial a form and an engine.
//!
//! The vectors lie outside of the repository: in the directory that `RINGER_VECTORS` names, or in
//! `../shared/vectors` next to the workspace. Without them the trial is reported as ignored.
//!
//! Compiling everything that an instruction may lead to, to run it once, takes long, so the JIT is
//! asked some vectors of each form only: every hundredth, or as `RINGER_EVERY` says.

use cpu::{CpuModel, Engine};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use testkit::vectors::{Bench, directory, forms, out_of_place};

const CPUS: [(&str, CpuModel); 2] = [("286", CpuModel::I286), ("8086", CpuModel::I8086)];
/// The JIT gets one vector of so many.
const EVERY: usize = 100;

/// An engine, its part of the names of its trials, and its share of the vectors.
#[derive(Clone)]
struct Made {
    name: String,
    make: fn() -> Box<dyn Engine>,
    every: usize,
}

fn main() {
    let arguments = Arguments::from_args();
    let engines = engines();
    let trials = match directory() {
        Some(root) => CPUS
            .iter()
            .flat_map(|&cpu| engines.iter().map(move |e| (cpu, e)))
            .flat_map(|((name, model), engine)| trials(&root, name, model, engine))
            .collect(),
        None => {
            eprintln!("SKIPPED: there are no hardware vectors here; RINGER_VECTORS names their directory");
            vec![Trial::test("hardware_vectors_are_absent", || Ok(())).with_ignored_flag(true)]
        }
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn engines() -> [Made; 3] {
    let every = std::env::var("RINGER_EVERY").map_or(EVERY, |n| n.parse().expect("RINGER_EVERY is a number"));
    let interpreter = || -> Box<dyn Engine> { Box::new(interp::Interpreter::default()) };
    let jit = || -> Box<dyn Engine> { Box::new(jit::Jit::new(0).expect("the host has a JIT")) };
    let quick = || -> Box<dyn Engine> {
        let config = jit::Config { hot: 0, warm: Some(0), ..jit::Config::default() };
        Box::new(jit::Jit::with(config).expect("the host has a JIT"))
    };
    [
        Made { name: String::new(), make: interpreter, every: 1 },
        Made { name: format!("jit-one-in-{every}/"), make: jit, every },
        Made { name: format!("quick-one-in-{every}/"), make: quick, every },
    ]
}

fn trials(root: &Path, name: &'static str, model: CpuModel, engine: &Made) -> Vec<Trial> {
    let files = forms(&root.join(name));
    assert!(!files.is_empty(), "{}/{name} holds no vectors", root.display());
    let trial = |(form, path): (String, PathBuf)| {
        let (why, engine) = (out_of_place(model, &form), engine.clone());
        let title = format!("{name}/{}{form}", engine.name);
        let trial = Trial::test(title, move || check(model, &engine, &form, &path));
        if let Some(why) = why { trial.with_kind(why).with_ignored_flag(true) } else { trial }
    };
    files.into_iter().map(trial).collect()
}

fn check(model: CpuModel, engine: &Made, form: &str, path: &Path) -> Result<(), Failed> {
    let tally = Bench::new(model, (engine.make)())?.run_file(form, path, engine.every)?;
    if tally.run == 0 {
        return Err(format!("{} holds no vectors", path.display()).into());
    }
    if tally.failures.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = tally.failures.iter().take(5).map(String::as_str).collect();
    let (failed, all) = (tally.failures.len(), tally.run);
    Err(format!("{failed} of {all} differ\n{}", shown.join("\n")).into())
}
