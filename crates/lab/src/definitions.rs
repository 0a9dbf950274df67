//! Popek and Goldberg's definitions (section 3) over the third generation machine, by looking at all of its states.
//!
//! The small machine ([`Format::SMALL`]) has two words of memory of five bits, and about four million states; so the
//! universal claims (privileged, innocuous) are proved for it, and the existential ones come with their states.
//!
//! Rulings. P is the program counter and the accumulator. R is l and b, and the other resources: timer, mask, console,
//! and whether the processor runs; so HALT is sensitive, which footnote 3 leaves open. The results of two runs are
//! compared where both keep M and R, as clauses (c) and (d) of the definition have it: a trap is no such result, nor is
//! a load of the PSW. Windows are compared that lie in memory whole.

use crate::third::{Cause, Format, Instruction, Isa, Mode, Op, Processor, Psw, Relocation, Storage};
use crate::third::{Variant, Word, execute};

/// Words of the small machine's memory.
const Q: usize = 2;

/// A run of an instruction from one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Registers before.
    pub before: Processor,
    /// Memory before.
    pub memory: [Word; Q],
    /// Registers and memory after, or the trap.
    pub result: Result<(Processor, [Word; Q]), Cause>,
    /// It wrote to the console.
    pub printed: bool,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        show(&self.before, &self.memory, f)?;
        f.write_str("  ->  ")?;
        match &self.result {
            Ok((after, memory)) => show(after, memory, f),
            Err(cause) => f.write_str(cause.name()),
        }?;
        f.write_str(if self.printed { " (console)" } else { "" })
    }
}

fn show(p: &Processor, memory: &[Word], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    write!(f, "E={memory:?} {} A={}", p.psw, p.acc)?;
    write!(f, " T={} mask={}", p.timer, u8::from(p.mask))?;
    f.write_str(if p.halted { " halted" } else { "" })
}

/// Two states with one window of memory, after which the instruction's results differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair(pub Run, pub Run);

/// What the definitions say of an instruction, with witnesses.
#[derive(Clone, Debug)]
pub struct Class {
    /// The instruction.
    pub op: Op,
    /// It traps in every user state and in no supervisor state.
    pub privileged: bool,
    /// Control sensitive: where it changes M or R.
    pub control: Option<Run>,
    /// Location sensitive: where x is not 0 and the modes are equal.
    pub location: Option<Pair>,
    /// Mode sensitive: where the modes differ and x is 0.
    pub mode: Option<Pair>,
    /// Control sensitive from a user state, or location sensitive with both modes user.
    pub user_sensitive: bool,
    /// The same of supervisor states.
    pub supervisor_sensitive: bool,
    /// States looked at.
    pub states: u64,
}

impl Class {
    fn new(op: Op) -> Class {
        Class {
            op,
            privileged: false,
            control: None,
            location: None,
            mode: None,
            user_sensitive: false,
            supervisor_sensitive: false,
            states: 0,
        }
    }

    /// Sensitive: the opposite of innocuous.
    pub fn sensitive(&self) -> bool {
        self.control.is_some() || self.location.is_some() || self.mode.is_some()
    }

    /// In words.
    pub fn names(&self) -> String {
        let all = [
            (self.privileged, "privileged"),
            (self.control.is_some(), "control sensitive"),
            (self.location.is_some(), "location sensitive"),
            (self.mode.is_some(), "mode sensitive"),
            (self.user_sensitive, "user sensitive"),
            (self.supervisor_sensitive, "supervisor sensitive"),
            (!self.sensitive(), "innocuous"),
        ];
        let holds: Vec<&str> = all.iter().filter(|(holds, _)| *holds).map(|(_, name)| *name).collect();
        holds.join(", ")
    }

    fn note_mode(&mut self, mode: Mode) {
        match mode {
            Mode::User => self.user_sensitive = true,
            Mode::Supervisor => self.supervisor_sensitive = true,
        }
    }
}

/// The conditions of theorems 1 and 3 over all instructions of a machine.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Each instruction's class.
    pub classes: Vec<Class>,
}

impl Verdict {
    /// Looks at all instructions of a variant.
    pub fn of(variant: Variant) -> Verdict {
        Verdict { classes: Op::ALL.iter().map(|&op| classify(op, variant)).collect() }
    }
    /// Sensitive and not privileged: what breaks theorem 1's condition.
    pub fn critical(&self) -> Vec<Op> {
        self.classes.iter().filter(|c| c.sensitive() && !c.privileged).map(|c| c.op).collect()
    }
    /// User sensitive and not privileged: what breaks theorem 3's.
    pub fn user_critical(&self) -> Vec<Op> {
        self.classes.iter().filter(|c| c.user_sensitive && !c.privileged).map(|c| c.op).collect()
    }
}

/// Finds an instruction's class by running it, with every address, in every state of the small machine.
pub fn classify(op: Op, variant: Variant) -> Class {
    let mut class = Class::new(op);
    let mut privileged = (true, false);
    let mut bench = Bench::new(variant);
    let addresses = if op.has_operand() { 2 } else { 1 };
    for a in 0..addresses {
        let i = Instruction::new(op, a);
        programs(|p| {
            for memory in memories() {
                one_state(&mut class, &mut privileged, &mut bench, i, p, memory);
            }
            for b in 0..=Q as Word {
                relocated(&mut class, &mut bench, i, p, b);
            }
        });
    }
    class.privileged = privileged.0 && privileged.1;
    class
}

/// All that is neither memory nor M nor R = (l, b).
fn programs(mut visit: impl FnMut(Processor)) {
    let words = 1 << Format::SMALL.word_bits;
    for acc in 0..words {
        for n in 0..8 {
            let mut p = Processor::reset(Q);
            (p.acc, p.psw.p, p.timer, p.mask) = (acc, n & 1, n >> 1 & 1, n >> 2 == 1);
            visit(p);
        }
    }
}

fn memories() -> impl Iterator<Item = [Word; Q]> {
    let words = 1 << Format::SMALL.word_bits;
    (0..words * words).map(move |n| [n % words, n / words])
}

fn with(p: Processor, mode: Mode, r: Relocation) -> Processor {
    Processor { psw: Psw { mode, r, p: p.psw.p }, ..p }
}

/// Privileged and control sensitive, from one memory with every R, in both modes.
fn one_state(
    class: &mut Class,
    privileged: &mut (bool, bool),
    bench: &mut Bench,
    i: Instruction,
    p: Processor,
    memory: [Word; Q],
) {
    for r in (0..8).map(|w| Relocation::unpack(w, Format::SMALL)) {
        let mut outcomes = [Ok(()); 2];
        for (mode, outcome) in Mode::BOTH.into_iter().zip(&mut outcomes) {
            let before = with(p, mode, r);
            *outcome = bench.run(i, before, memory);
            if outcome.is_ok() && bench.controlled(&before) {
                class.control.get_or_insert_with(|| bench.record(before, memory, *outcome));
                class.note_mode(mode);
            }
        }
        class.states += 2;
        if outcomes.iter().all(|outcome| *outcome != Err(Cause::Memory)) {
            privileged.0 &= outcomes[1].is_err() && outcomes[0].is_ok();
            privileged.1 = true;
        }
    }
}

/// Behaviour sensitive: one window of b words, in every place, in both modes, with every memory around it.
fn relocated(class: &mut Class, bench: &mut Bench, i: Instruction, p: Processor, b: Word) {
    let words = 1u64 << Format::SMALL.word_bits;
    let (inside, outside) = (words.pow(b as u32), words.pow(Q as u32 - b as u32));
    for content in 0..inside {
        let mut seen = [None; 4];
        for (n, slot) in seen.iter_mut().enumerate() {
            let (l, mode) = (n as Word >> 1, Mode::BOTH[n & 1]);
            if l + b <= Q as Word {
                let before = with(p, mode, Relocation { l, b });
                *slot = around(bench, i, before, content, outside);
            }
        }
        compare(class, bench, i, &seen);
    }
}

/// A state and what came of it.
type Seen = (Processor, [Word; Q], Results);

/// Runs an instruction with every memory around a window. No instruction of this machine sees what is outside of
/// its window; one that did would be found here.
fn around(bench: &mut Bench, i: Instruction, before: Processor, content: u64, outside: u64) -> Option<Seen> {
    let mut first: Option<Seen> = None;
    for rest in 0..outside {
        let memory = compose(content, rest, before.psw.r.l, before.psw.r.b);
        let outcome = bench.run(i, before, memory);
        let Some(results) = outcome.is_ok().then(|| bench.results(&before)).flatten() else { continue };
        let (_, _, expected) = first.get_or_insert((before, memory, results));
        assert!(*expected == results, "{i} sees what is outside of its window");
    }
    first
}

/// The window's words, and the others around it.
fn compose(content: u64, rest: u64, l: Word, b: Word) -> [Word; Q] {
    let bits = Format::SMALL.word_bits;
    match (l, b) {
        (_, 0) => [rest & 31, rest >> bits],
        (0, 1) => [content, rest],
        (_, 1) => [rest, content],
        _ => [content & 31, content >> bits],
    }
}

/// P and the window.
type Results = (Word, Word, [Word; Q]);

fn compare(class: &mut Class, bench: &mut Bench, i: Instruction, seen: &[Option<Seen>; 4]) {
    for (n, a) in seen.iter().enumerate() {
        for b in &seen[n + 1..] {
            let (Some(a), Some(b)) = (a, b) else { continue };
            let (s, t) = (a.0.psw, b.0.psw);
            if a.2 == b.2 || s.mode != t.mode && s.r != t.r {
                continue;
            }
            let pair = Pair(bench.replay(i, a), bench.replay(i, b));
            if s.mode == t.mode {
                class.location.get_or_insert(pair);
                class.note_mode(s.mode);
            } else {
                class.mode.get_or_insert(pair);
                class.supervisor_sensitive = true;
            }
        }
    }
}

/// A machine to try an instruction on.
struct Bench {
    isa: Isa,
    after: Processor,
    words: [Word; Q],
    printed: bool,
}

impl Storage for Bench {
    #[inline(always)]
    fn words(&self) -> &[Word] {
        &self.words
    }
    #[inline(always)]
    fn words_mut(&mut self) -> &mut [Word] {
        &mut self.words
    }
    fn print(&mut self, _: Word) {
        self.printed = true;
    }
}

impl Bench {
    fn new(variant: Variant) -> Bench {
        Bench { isa: Isa::small(variant), after: Processor::reset(Q), words: [0; Q], printed: false }
    }

    #[inline(always)]
    fn run(&mut self, i: Instruction, before: Processor, memory: [Word; Q]) -> Result<(), Cause> {
        (self.words, self.printed) = (memory, false);
        let (mut after, isa) = (before, self.isa);
        let outcome = execute(i, &mut after, self, isa);
        self.after = after;
        outcome
    }

    /// The last run changed M or R.
    fn controlled(&self, before: &Processor) -> bool {
        let kept = |p: &Processor| (p.psw.mode, p.psw.r, p.timer, p.mask, p.halted);
        self.printed || kept(&self.after) != kept(before)
    }

    /// P and the window after the last run, if M and R are as they were.
    fn results(&self, before: &Processor) -> Option<Results> {
        let (after, r) = (&self.after.psw, before.psw.r);
        if (after.mode, after.r) != (before.psw.mode, r) {
            return None;
        }
        let mut window = [0; Q];
        let (l, b) = (r.l as usize, r.b as usize);
        window[..b].copy_from_slice(&self.words[l..l + b]);
        Some((after.p, self.after.acc, window))
    }

    /// The last run, to be shown.
    fn record(&self, before: Processor, memory: [Word; Q], outcome: Result<(), Cause>) -> Run {
        let result = outcome.map(|()| (self.after, self.words));
        Run { before, memory, result, printed: self.printed }
    }

    fn replay(&mut self, i: Instruction, seen: &Seen) -> Run {
        let outcome = self.run(i, seen.0, seen.1);
        self.record(seen.0, seen.1, outcome)
    }
}
