//! Theorem 2 to the letter: the monitor as a program of its own machine, which runs under a copy of itself, which runs
//! under a copy of itself (section 5, recursive virtualization).
//!
//! `monitor.asm` is the program: dispatcher, interpreters, the composition of R. It has no timing dependencies: the
//! virtual timer counts the guest's instructions, whatever the monitor spends.

use crate::third::{Assembly, AssemblyError, Event, Isa, Machine, Mode, Processor, Psw, Real, Relocation};
use crate::third::{Store, Variant, Word, assemble};

/// The monitor's text; the label `g` is given: the guest's size.
pub const SOURCE: &str = include_str!("monitor.asm");

/// A guest under monitors, each in the memory of the one below.
pub struct Nest {
    levels: Vec<Assembly>,
    /// Where the guest is.
    base: usize,
    size: usize,
}

impl Nest {
    /// Monitors for a guest of `size` words.
    ///
    /// # Errors
    /// A line of the monitor that does not assemble.
    pub fn new(depth: usize, size: usize) -> Result<Nest, AssemblyError> {
        Nest::of(SOURCE, depth, size)
    }

    /// The same of another text.
    ///
    /// # Errors
    /// A line that does not assemble.
    pub fn of(source: &str, depth: usize, size: usize) -> Result<Nest, AssemblyError> {
        let mut levels = Vec::new();
        let mut inner = size;
        for _ in 0..depth {
            let level = assemble(source, &[("g", inner as Word)])?;
            inner = level.words.len();
            levels.push(level);
        }
        levels.reverse();
        let base = levels.iter().filter_map(|l| l.at("guest")).sum();
        Ok(Nest { levels, base, size })
    }

    /// Words of the monitors.
    pub fn overhead(&self) -> usize {
        self.base
    }

    /// A machine with everything in its memory, before its first instruction; the innermost monitor's tables say that
    /// the guest is in the state given.
    pub fn start(&self, guest: &Real) -> Real {
        let mut machine = Real::new(Isa::full(Variant::Virtualizable), self.base + self.size);
        let memory = &mut machine.store.memory;
        let mut base = 0;
        for level in &self.levels {
            memory[base..base + level.words.len()].copy_from_slice(&level.words);
            base += level.at("guest").unwrap_or(0);
        }
        memory[self.base..].copy_from_slice(&guest.store.memory);
        if let Some(inner) = self.levels.last() {
            let base = self.base - inner.at("guest").unwrap_or(0);
            for (label, word) in registers(&guest.processor) {
                if let Some(at) = inner.at(label) {
                    memory[base + at] = word;
                }
            }
        } else {
            machine.processor = guest.processor;
        }
        machine
    }

    /// The inverse of f: the virtual machine that memory and the innermost monitor's tables hold.
    pub fn guest(&self, machine: &Real) -> Real {
        let Some(inner) = self.levels.last() else { return machine.clone() };
        let base = self.base - inner.at("guest").unwrap_or(0);
        let word = |label: &str| inner.at(label).map_or(0, |at| machine.store.memory[base + at]);
        let mode = if word("vmode") == 1 { Mode::User } else { Mode::Supervisor };
        let psw = Psw { mode, p: word("vp"), r: Relocation { l: word("vl"), b: word("vb") } };
        let mut guest = Real::new(machine.isa(), 0);
        guest.processor = Processor {
            psw,
            acc: word("vacc"),
            timer: word("vtimer"),
            mask: word("vmask") == 1,
            halted: machine.processor.halted,
            steps: 0,
        };
        let memory = machine.store.memory[self.base..].to_vec();
        guest.store = Store { memory, console: machine.store.console.clone() };
        guest
    }
}

/// A processor as a monitor's tables have it.
fn registers(p: &Processor) -> [(&'static str, Word); 7] {
    [
        ("vacc", p.acc),
        ("vmode", Word::from(p.psw.mode == Mode::User)),
        ("vp", p.psw.p),
        ("vl", p.psw.r.l),
        ("vb", p.psw.r.b),
        ("vtimer", p.timer),
        ("vmask", Word::from(p.mask)),
    ]
}

/// Runs a machine with its traps until it halts or has begun `most` steps; whether it has halted.
pub fn run(machine: &mut impl Machine, most: u64) -> bool {
    loop {
        match machine.run(most) {
            Event::Trap(cause) => machine.trap(cause),
            event => return event == Event::Halted,
        }
    }
}
