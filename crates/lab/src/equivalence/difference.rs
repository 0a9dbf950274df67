//! The first step after which a machine's state is no longer f of the bare one.

use crate::definitions::{Class, classify};
use crate::third::{Event, Instruction, Mode, Real, fetch};
use crate::third::{Format, Machine};

/// A difference, with the instruction that made it.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The number of the program.
    pub program: u64,
    /// The seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// The instruction, unless the step was a trap before one.
    pub instruction: Option<Instruction>,
    /// The mode that the bare machine was in.
    pub mode: Mode,
    /// The state before, which was the same.
    pub before: String,
    /// The bare machine's state after.
    pub bare: String,
    /// The state after whose image the machine under the monitor is.
    pub monitored: String,
    /// What differs: words of memory, console.
    pub details: Vec<String>,
    /// What the definitions say of the instruction.
    pub class: Option<Class>,
}

impl Difference {
    pub(super) fn new(before: &Real, bare: (&Real, Event), monitored: (&Real, Event)) -> Difference {
        let instruction = fetch(&before.processor, &before.store.memory, Format::FULL).ok();
        Difference {
            program: 0,
            seed: 0,
            step: bare.0.processor.steps,
            instruction,
            mode: before.processor.psw.mode,
            before: registers(before),
            bare: format!("{}{}", registers(bare.0), outcome(bare.1)),
            monitored: format!("{}{}", registers(monitored.0), outcome(monitored.1)),
            details: details(bare.0, monitored.0),
            class: instruction.map(|i| classify(i.op, before.isa().variant)),
        }
    }

    /// The definition that the instruction meets and the condition that this violates.
    pub fn violates(&self) -> String {
        let Some(class) = &self.class else { return "no instruction was executed".to_owned() };
        let name = class.op.name();
        match class.sensitive() && !class.privileged {
            true => format!("{name} is {}, and not privileged", class.names()),
            false => format!("{name} is {}: the monitor is wrong, not the machine", class.names()),
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.instruction.map_or("a trap".to_owned(), |i| i.to_string());
        writeln!(f, "program {} of seed {}, step {}: {what}", self.program, self.seed, self.step)?;
        writeln!(f, "  before     {}", self.before)?;
        writeln!(f, "  bare       {}", self.bare)?;
        writeln!(f, "  monitored  {}", self.monitored)?;
        for line in &self.details {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "  {}", self.violates())
    }
}

fn registers(s: &Real) -> String {
    let p = &s.processor;
    let halted = if p.halted { " halted" } else { "" };
    format!("{} A={} T={} mask={}{halted}", p.psw, p.acc, p.timer, u8::from(p.mask))
}

fn outcome(event: Event) -> String {
    match event {
        Event::Trap(cause) => format!(", then a {}", cause.name()),
        Event::Halted | Event::Budget => String::new(),
    }
}

fn details(a: &Real, b: &Real) -> Vec<String> {
    let words = a.store.memory.iter().zip(&b.store.memory).enumerate();
    let differ = words.filter(|(_, (x, y))| x != y);
    let mut lines: Vec<String> = differ.map(|(at, (x, y))| format!("E[{at}]: {x}, {y}")).take(4).collect();
    if a.store.console != b.store.console {
        lines.push(format!("console: {:?}, {:?}", a.store.console, b.store.console));
    }
    lines
}
