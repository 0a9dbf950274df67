//! `ringer run --classify`: what a guest's instructions were, by class.

use anyhow::Context;
use classify::catalogue::{Joined, derive_all, word};
use classify::{CodeMode, Configuration};
use cpu::{State, cr4, eflags};
use isa::Code;
use machine::Machine;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use vmm::Mode;

/// Places told of a form.
const SITES: usize = 32;

/// Writes the profile of a machine that was asked to count.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(machine: &Machine, file: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&json(machine))?;
    std::fs::write(file, text + "\n").with_context(|| format!("the profile's file {}", file.display()))
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "real",
        Mode::Virtual8086 => "virtual-8086",
        Mode::Supervisor => "supervisor",
        Mode::User => "user",
    }
}

/// The bits that the guest has set at the end.
fn configuration(cpu: &State) -> Configuration {
    let bits = [
        (Configuration::VME, cpu.cr4 & cr4::VME != 0),
        (Configuration::PVI, cpu.cr4 & cr4::PVI != 0),
        (Configuration::TSD, cpu.cr4 & cr4::TSD != 0),
        (Configuration::PCE, cpu.cr4 & cr4::PCE != 0),
        (Configuration::UMIP, cpu.cr4 & cr4::UMIP != 0),
        (Configuration::OSXSAVE, cpu.cr4 & cr4::OSXSAVE != 0),
        (Configuration::CPUIDFAULT, cpu.cpuid_faulting),
        (Configuration::IOPL3, cpu.eflags & eflags::IOPL == eflags::IOPL),
    ];
    bits.iter().filter(|(_, set)| *set).fold(Configuration::NONE, |all, (bit, _)| all.with(*bit))
}

/// The classes of the forms that ran. Where the code's size makes no difference 32-bit code speaks for it.
fn classes(codes: &[Code], configuration: Configuration) -> BTreeMap<Code, Joined> {
    let mut all = derive_all(CodeMode::Bits16, configuration, &|code| codes.contains(&code));
    all.extend(derive_all(CodeMode::Bits32, configuration, &|code| codes.contains(&code)));
    all
}

fn json(machine: &Machine) -> Value {
    let retired = machine.cpu().retired;
    let Some(profile) = machine.profile() else { return Value::Null };
    let forms = profile.forms();
    let configuration = configuration(machine.cpu());
    let codes: Vec<Code> = forms.iter().map(|((code, _), _)| *code).collect();
    let classes = classes(&codes, configuration);
    let mut by_class: BTreeMap<&str, u64> = BTreeMap::new();
    let mut sensitive = Vec::new();
    for ((code, mode), times) in forms {
        let class = classes.get(&code).map(|j| j.class).unwrap_or_default();
        *by_class.entry(word(class)).or_default() += times.run;
        let sites = profile.sites((code, mode));
        let place = |(linear, n): &(u32, u64)| json!({"linear": format!("{linear:08x}"), "times": n});
        sensitive.push(json!({
            "code": format!("{code:?}"), "mode": mode_name(mode), "class": word(class), "kinds": class.kinds(),
            "times": times.run, "trapped": times.trapped, "places": sites.len(),
            "sites": sites.iter().take(SITES).map(place).collect::<Vec<_>>(),
        }));
    }
    let interpreted: u64 = by_class.values().sum();
    let innocuous = by_class.entry("innocuous").or_default();
    *innocuous += retired.saturating_sub(interpreted);
    json!({
        "instructions": retired,
        "configuration": configuration.names(),
        "classes": by_class,
        "sensitive": sensitive,
        "elsewhere": profile.elsewhere(),
    })
}
