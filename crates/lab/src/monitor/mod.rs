//! The virtual machine monitor of the paper's section 4: a dispatcher D, an allocator A, and one interpreter v_i for
//! each privileged instruction.
//!
//! A guest runs on the machine itself, in user mode, with its relocation-bounds register composed with the place of
//! its memory. What traps comes to the dispatcher, which has a privileged instruction of a virtual supervisor
//! interpreted and gives every other trap to the guest. The monitor asks of its machine what [`Machine`] says,
//! and makes machines of the same kind: it runs on its own guests (theorem 2).

mod allocator;
mod homomorphism;
mod interpreters;

pub use allocator::{NoRoom, Region};
pub use homomorphism::{Image, Tables, f, inverse};
pub use interpreters::{Interpret, Interpreters, Virtual};

use crate::third::{Cause, Event, Instruction, Isa, Machine, Mode, Processor, Psw, Word, fetch, step};
use allocator::Allocator;

/// How virtual supervisors run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discipline {
    /// As user programs do, until they trap (theorem 1).
    Trapping,
    /// Interpreted, instruction by instruction; only user programs run on the machine (theorem 3).
    Hybrid,
}

/// What a guest has used: the efficiency property in figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Instructions that ran on the machine itself, without the monitor.
    pub direct: u64,
    /// Instructions that an interpreter did.
    pub interpreted: u64,
    /// Traps that the guest was given.
    pub reflected: u64,
    /// Traps of the machine that came to the dispatcher.
    pub traps: u64,
    /// Of these, how often the guest's time was over.
    pub quanta: u64,
}

/// A virtual machine, as the monitor's tables have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guest {
    /// What of the machine's memory it was given.
    pub region: Region,
    /// The virtual registers.
    pub processor: Processor,
    /// The virtual console.
    pub console: Vec<Word>,
    /// What it has used.
    pub counts: Counts,
}

/// Why a guest's turn ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// As for the machine's own.
    Event(Event),
    /// Its time is over.
    Quantum,
}

/// A monitor on a machine. As a [`Machine`] it is the guest that is chosen.
pub struct Monitor<H> {
    host: H,
    /// `E[1]` while a guest runs: where the machine's traps lead.
    vector: Word,
    allocator: Allocator,
    guests: Vec<Guest>,
    chosen: usize,
    discipline: Discipline,
    /// {v_i}; who replaces one sees the equivalence break.
    pub interpreters: Interpreters,
    /// Instructions that a guest may run before the monitor takes the machine back.
    pub quantum: Word,
}

impl<H: Machine> Monitor<H> {
    /// Takes a machine over: its traps lead to the dispatcher, in supervisor mode with the whole memory.
    pub fn new(mut host: H, discipline: Discipline) -> Monitor<H> {
        let q = host.memory().len();
        let own = Processor::reset(q);
        let vector = own.psw.pack(host.isa().format, None);
        if let Some(one) = host.memory_mut().get_mut(1) {
            *one = vector;
        }
        *host.processor_mut() = own;
        Monitor {
            host,
            vector,
            allocator: Allocator::new(q),
            guests: Vec::new(),
            chosen: 0,
            discipline,
            interpreters: Interpreters::default(),
            quantum: 50,
        }
    }

    /// Makes a virtual machine of `size` words, all zero, and chooses it.
    ///
    /// # Errors
    /// There is not so much memory left.
    pub fn add(&mut self, size: usize) -> Result<usize, NoRoom> {
        let region = self.allocator.allocate(size)?;
        Ok(self.add_at(region))
    }

    /// Makes the one virtual machine whose addresses are real: the first, from 0 on. What runs on the machine itself may
    /// not use words 0 and 1, which are the monitor's then, so its supervisor has to be interpreted.
    ///
    /// # Errors
    /// There is another one, or not so much memory.
    pub fn add_real(&mut self, size: usize) -> Result<usize, NoRoom> {
        let region = self.allocator.real(size)?;
        Ok(self.add_at(region))
    }

    fn add_at(&mut self, region: Region) -> usize {
        let size = region.size;
        self.host.memory_mut()[region.range()].fill(0);
        let processor = Processor::reset(size);
        let counts = Counts::default();
        self.guests.push(Guest { region, processor, console: Vec::new(), counts });
        self.chosen = self.guests.len() - 1;
        self.chosen
    }

    /// Chooses which guest [`Machine`] speaks of.
    pub fn choose(&mut self, n: usize) {
        self.chosen = n.min(self.guests.len().saturating_sub(1));
    }

    /// The chosen guest's tables.
    pub fn guest(&self) -> &Guest {
        &self.guests[self.chosen]
    }

    fn guest_mut(&mut self) -> &mut Guest {
        &mut self.guests[self.chosen]
    }

    /// All guests.
    pub fn guests(&self) -> &[Guest] {
        &self.guests
    }

    /// The machine below.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Puts the chosen guest into a state.
    pub fn load(&mut self, memory: &[Word], processor: &Processor) {
        let region = self.guest().region;
        self.host.memory_mut()[region.range()].copy_from_slice(memory);
        let guest = self.guest_mut();
        (guest.processor, guest.counts) = (*processor, Counts::default());
        guest.console.clear();
    }

    /// Lets every guest in turn have a quantum, until each has begun `until` steps or has halted.
    pub fn round_robin(&mut self, until: u64) {
        let mut left = true;
        while left {
            left = false;
            for n in 0..self.guests.len() {
                self.chosen = n;
                left |= self.one_turn(until);
            }
        }
    }

    /// One quantum of the chosen guest with its traps; whether it has more to do. Each trap starts the machine's
    /// timer anew, so a guest that traps all the time is stopped by its count.
    fn one_turn(&mut self, until: u64) -> bool {
        let end = self.guest().processor.steps + self.quantum;
        loop {
            match self.turn(until) {
                Turn::Quantum => return true,
                Turn::Event(Event::Trap(cause)) => self.trap(cause),
                Turn::Event(_) => return false,
            }
            if self.guest().processor.steps >= end {
                return true;
            }
        }
    }

    /// Runs the chosen guest until something happens.
    pub fn turn(&mut self, until: u64) -> Turn {
        loop {
            let v = &self.guest().processor;
            if v.halted {
                return Turn::Event(Event::Halted);
            }
            if v.steps >= until {
                return Turn::Event(Event::Budget);
            }
            let interpreted = self.discipline == Discipline::Hybrid && v.psw.mode == Mode::Supervisor;
            match if interpreted { self.interpret_one() } else { self.dispatch(until) } {
                Ok(()) => {}
                Err(Turn::Event(Event::Trap(cause))) => {
                    self.guest_mut().counts.reflected += 1;
                    return Turn::Event(Event::Trap(cause));
                }
                Err(turn) => return turn,
            }
        }
    }

    /// The hybrid monitor's interpreter: one instruction of a virtual supervisor, of whatever kind.
    fn interpret_one(&mut self) -> Result<(), Turn> {
        let isa = self.host.isa();
        let Guest { region, processor, console, counts } = &mut self.guests[self.chosen];
        let memory = &mut self.host.memory_mut()[region.range()];
        counts.interpreted += 1;
        let done = step(processor, &mut interpreters::Window { memory, console }, isa);
        done.map_err(Turn::from)
    }

    /// D: has the guest run on the machine until that traps, and decides who is to handle it.
    fn dispatch(&mut self, until: u64) -> Result<(), Turn> {
        let alarm = self.enter();
        let start = self.host.processor().steps;
        let left = until - self.guest().processor.steps;
        let kept = self.vectors([0, self.vector]);
        let event = self.host.run(start.saturating_add(left));
        let steps = self.host.processor().steps - start;
        let Event::Trap(cause) = event else {
            self.vectors(kept);
            // whoever asked for so many steps is no part of the machine: there is no trap
            let old = self.host.processor().psw;
            self.leave(old, steps);
            return Ok(());
        };
        self.host.trap(cause);
        self.guest_mut().counts.traps += 1;
        let [old, _] = self.vectors(kept);
        let old = Psw::unpack(old, self.host.isa().format);
        if cause == Cause::Timer && alarm == Alarm::Quantum {
            self.guest_mut().counts.quanta += 1;
            self.leave(old, steps - 1);
            return Err(Turn::Quantum);
        }
        self.leave(old, steps);
        self.guest_mut().counts.direct -= 1;
        let supervisor = self.guest().processor.psw.mode == Mode::Supervisor;
        match cause {
            Cause::Privileged if supervisor => self.interpret(),
            _ => Err(cause.into()),
        }
    }

    /// Sets the machine's first two words; what was there, which is a guest's where its addresses are real.
    fn vectors(&mut self, new: [Word; 2]) -> [Word; 2] {
        match self.host.memory_mut().first_chunk_mut() {
            Some(words) => std::mem::replace(words, new),
            None => [0; 2],
        }
    }

    /// Loads the machine's registers for the guest. Whose alarm the timer is.
    fn enter(&mut self) -> Alarm {
        let v = self.guest().processor;
        let counts = v.psw.mode == Mode::User && !v.mask;
        let own = counts && v.timer != 0 && v.timer <= self.quantum;
        let real = self.guest().region.compose(v.psw);
        let p = self.host.processor_mut();
        (p.psw, p.acc, p.mask, p.halted) = (real, v.acc, false, false);
        p.timer = if own { v.timer } else { self.quantum + 1 };
        if own { Alarm::Guest } else { Alarm::Quantum }
    }

    /// Brings the tables up to date after `steps` steps on the machine.
    fn leave(&mut self, old: Psw, steps: u64) {
        let acc = self.host.processor().acc;
        let guest = self.guest_mut();
        let v = &mut guest.processor;
        (v.psw.p, v.acc) = (old.p, acc);
        v.steps += steps;
        if v.timer != 0 && v.psw.mode == Mode::User {
            // masked, it waits at 1 for the mask to open
            v.timer = v.timer.saturating_sub(steps).max(Word::from(v.mask));
        }
        guest.counts.direct += steps;
    }

    /// Has the interpreter of the privileged instruction at P do it.
    fn interpret(&mut self) -> Result<(), Turn> {
        let isa = self.host.isa();
        let Guest { region, processor, console, counts } = &mut self.guests[self.chosen];
        let memory = &mut self.host.memory_mut()[region.range()];
        counts.interpreted += 1;
        let i = fetch(processor, memory, isa.format).map_err(Turn::from)?;
        let mut v = Virtual { processor, memory, console, format: isa.format };
        self.interpreters.of(i.op)(&mut v, i.a).map_err(Turn::from)
    }

    /// The instruction that the chosen guest comes to next, if it is one.
    pub fn next(&self) -> Option<Instruction> {
        fetch(&self.guest().processor, self.memory(), self.host.isa().format).ok()
    }
}

/// Whose timer it is that the machine's counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Alarm {
    /// The guest's own.
    Guest,
    /// The monitor's, to take the machine back.
    Quantum,
}

impl From<Cause> for Turn {
    fn from(cause: Cause) -> Turn {
        Turn::Event(Event::Trap(cause))
    }
}

impl<H: Machine> Machine for Monitor<H> {
    fn isa(&self) -> Isa {
        self.host.isa()
    }
    fn processor(&self) -> &Processor {
        &self.guest().processor
    }
    fn processor_mut(&mut self) -> &mut Processor {
        &mut self.guest_mut().processor
    }
    fn memory(&self) -> &[Word] {
        &self.host.memory()[self.guest().region.range()]
    }
    fn memory_mut(&mut self) -> &mut [Word] {
        let range = self.guest().region.range();
        &mut self.host.memory_mut()[range]
    }
    fn console(&self) -> &[Word] {
        &self.guest().console
    }
    fn run(&mut self, until: u64) -> Event {
        loop {
            match self.turn(until) {
                Turn::Event(event) => return event,
                Turn::Quantum => {}
            }
        }
    }
}
