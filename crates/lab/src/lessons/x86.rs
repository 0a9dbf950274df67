//! x86 as it is, and as it would have to be.

use super::other;
use crate::x86::{Bare, Deprivileged, Manner, Program, SENSITIVE, Sensitive, compare, differences};
use cpu::{Activity, eflags};
use isa::spec::{Configuration, Holds, Isa, Specs, Theorem, Verdict, prove};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Interrupts off, on by POPF, and a look at the flags.
const STORY: &[(&str, &[u8])] = &[
    ("mov eax, 202h", &[0xb8, 0x02, 0x02, 0, 0]),
    ("sti", &[0xfb]),
    ("cli", &[0xfa]),
    ("push eax", &[0x50]),
    ("popfd", &[0x9d]),
    ("pushfd", &[0x9c]),
    ("pop ebx", &[0x5b]),
    ("hlt", &[0xf4]),
];

/// `popf`.
pub(super) fn popf(out: &mut dyn Write) -> io::Result<()> {
    let code: Vec<u8> = STORY.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let program = Program::of(&code);
    writeln!(out, "A supervisor switches interrupts off and on again. It runs at CPL 3; its IF is virtual.")?;
    for manner in [Manner::Plain, Manner::Modified] {
        let (mut bare, mut guest) =
            (Bare::new(manner).map_err(other)?, Deprivileged::new(manner).map_err(other)?);
        bare.load(&program);
        guest.load(&program);
        let title = match manner {
            Manner::Plain => "x86 as it is",
            Manner::Modified => "POPF and its like are #GP outside of CPL 0",
        };
        writeln!(out, "\n{title}:\n\n                bare IF  virtual IF")?;
        for (step, (text, _)) in (1..).zip(STORY) {
            let before = guest.counts();
            bare.run(step);
            guest.run(step);
            let flag = |s: &cpu::State| u8::from(s.eflags & eflags::IF != 0);
            let traps = if guest.counts().interpreted > before.interpreted { "traps" } else { "" };
            let wrong = differences(bare.state(), guest.state());
            let wrong = wrong.first().map_or(String::new(), |d| format!("  <- {d}"));
            let (a, b) = (flag(bare.state()), flag(guest.state()));
            writeln!(out, "  {text:<14} {a:^7}  {b:^10}  {traps:<5}{wrong}")?;
        }
        let on = guest.state().eflags & eflags::IF != 0;
        let waits = guest.state().activity == Activity::Halted;
        let end = if on { "that can come" } else { "that never comes: its IF is off" };
        writeln!(
            out,
            "  {}",
            if waits { format!("It waits for an interrupt {end}.") } else { String::new() }
        )?;
    }
    writeln!(
        out,
        "\nPOPF at CPL > IOPL leaves IF as it was, without a trap: Intel SDM vol. 2B, POPF, table 4-16."
    )
}

/// `x86`.
pub(super) fn critical(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "Random programs of a supervisor at CPL 3 on x86 as it is, a family of instructions at a time:\n"
    )?;
    for family in SENSITIVE {
        let report = compare(Manner::Plain, &[family], 200, 1).map_err(other)?;
        match report.difference {
            Some(d) => {
                write!(out, "{}: {d}", family.name)?;
            }
            None => writeln!(out, "{}: no difference", family.name)?,
        }
    }
    writeln!(out, "\nAll families together, where every sensitive form is #GP outside of CPL 0:")?;
    let all: Vec<&Sensitive> = SENSITIVE.iter().collect();
    let report = compare(Manner::Modified, &all, 2000, 1).map_err(other)?;
    let c = report.counts;
    writeln!(
        out,
        "{} programs, {} instructions direct, {} interpreted, {} faults given to the guest",
        report.programs, c.direct, c.interpreted, c.reflected
    )?;
    match report.difference {
        None => writeln!(out, "no difference"),
        Some(d) => writeln!(out, "{d}"),
    }
}

const LIST: &str = include_str!("../../../../isa-specs/ia32/robin-irvine.tsv");

/// Names on Robin and Irvine's list, and its forms in 32-bit code.
fn listed() -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let rows = LIST.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').collect::<Vec<_>>());
    let (mut names, mut forms) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let [name, form, modes] = row[..] else { continue };
        // the paper has IRET under RET, and all of MOV in one
        let first = name.split(' ').next().unwrap_or(name);
        names.insert(if first == "IRET" { "RET" } else { first });
        if modes.split(',').any(|m| m == "32") {
            forms.insert(form);
        }
    }
    (names, forms)
}

fn asked(isa: &Isa, bits: &str, theorem: Theorem) -> io::Result<Verdict> {
    let default = Configuration::default_of(isa);
    let configuration =
        if bits.is_empty() { default } else { Configuration::parse(isa, bits).map_err(other)? };
    Ok(prove(isa, &configuration, theorem))
}

/// `robin-irvine`.
pub(super) fn robin_irvine(out: &mut dyn Write) -> io::Result<()> {
    let (names, forms) = listed();
    let sorted: Vec<&str> = names.iter().copied().collect();
    writeln!(
        out,
        "Robin and Irvine (USENIX Security 2000) are quoted for 17. The paper names {}:",
        names.len()
    )?;
    writeln!(out, "  {}\n", sorted.join(" "))?;
    let isa = Specs::embedded().isa("ia32-pentium").map_err(other)?;
    let verdict = asked(&isa, "", Theorem::Virtualizable)?;
    let on_list =
        |v: &isa::spec::Violation| v.pairs.iter().any(|(c, _)| forms.contains(format!("{c:?}").as_str()));
    let (listed, more): (Vec<_>, Vec<_>) = verdict.violations.iter().partition(|v| on_list(v));
    writeln!(out, "What breaks theorem 1's condition on the Pentium, on the list:\n")?;
    for v in &listed {
        let kinds: Vec<&str> = v.kinds.iter().map(|k| k.name()).collect();
        writeln!(out, "  {} ({} sensitive): {} [{}]", v.name, kinds.join(", "), v.reason, v.source)?;
    }
    writeln!(out, "\nBy the same definitions, and not on the list:\n")?;
    for v in &more {
        writeln!(out, "  {}: {} [{}]", v.name, v.reason, v.source)?;
    }
    for theorem in Theorem::ALL {
        let holds = asked(&isa, "", theorem)?.holds == Holds::Yes;
        let modified = asked(&isa, "TRAPCRITICAL", theorem)?.holds == Holds::Yes;
        let say = |yes| if yes { "holds" } else { "fails" };
        let (a, b) = (say(holds), say(modified));
        writeln!(out, "\ntheorem {}: its condition {a}; if all of these trapped, it {b}", theorem.number())?;
    }
    Ok(())
}
