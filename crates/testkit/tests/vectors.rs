//! Hardware-captured single-step vectors, a trial a form.
//!
//! The vectors lie outside of the repository: in the directory that `RINGER_VECTORS` names, or in
//! `../shared/vectors` next to the workspace. Without them the trial is reported as ignored.

use cpu::CpuModel;
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;
use testkit::vectors::{Bench, directory, forms, out_of_place};

const CPUS: [(&str, CpuModel); 2] = [("286", CpuModel::I286), ("8086", CpuModel::I8086)];

fn main() {
    let arguments = Arguments::from_args();
    let trials = match directory() {
        Some(root) => CPUS.iter().flat_map(|&(name, model)| trials(&root, name, model)).collect(),
        None => {
            eprintln!("SKIPPED: there are no hardware vectors here; RINGER_VECTORS names their directory");
            vec![Trial::test("hardware_vectors_are_absent", || Ok(())).with_ignored_flag(true)]
        }
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials(root: &Path, name: &'static str, model: CpuModel) -> Vec<Trial> {
    let files = forms(&root.join(name));
    assert!(!files.is_empty(), "{}/{name} holds no vectors", root.display());
    files
        .into_iter()
        .map(|(form, path)| {
            let why = out_of_place(model, &form);
            let trial = Trial::test(format!("{name}/{form}"), move || check(model, &form, &path));
            if let Some(why) = why { trial.with_kind(why).with_ignored_flag(true) } else { trial }
        })
        .collect()
}

fn check(model: CpuModel, form: &str, path: &Path) -> Result<(), Failed> {
    let tally = Bench::new(model)?.run_file(form, path)?;
    if tally.failures.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = tally.failures.iter().take(5).map(String::as_str).collect();
    let (failed, all) = (tally.failures.len(), tally.run);
    Err(format!("{failed} of {all} differ\n{}", shown.join("\n")).into())
}
