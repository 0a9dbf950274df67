//! Two machines of the same guest on two engines, compared as they go.
//!
//! Both run with deterministic time to the same counts of retired instructions, where their states
//! have to be the same: CPU and time and the memory written since, at every comparison; the
//! devices, at every hundredth; all of memory, whenever a state is kept to go back to, and at the
//! end. Not compared: what media hold, the sound, and where engines come back for other reasons.

mod compare;
pub mod guests;
mod narrow;
mod pair;

use compare::Depth;
use cpu::Engine;
use jit::{Arithmetic, Config, Jit, Lookup};
use machine::{Exit, Machine};
use pair::{Checkpoint, Pair, Side};
use std::fmt;
use std::time::{Duration, Instant};

/// Comparisons from one of the devices to the next.
const DEVICES_EVERY: u64 = 100;
/// Instructions within which a guest has to have sent what the comparison starts at...
const SENT_WITHIN: u64 = 100_000_000_000;
/// ... and from one look for it to the next.
const SENT_EVERY: u64 = 1_000_000;

/// Makes engines, or says why there is none.
pub type MakeEngine = Box<dyn Fn() -> Result<Box<dyn Engine + Send>, String>>;

/// The makers of the engines that there are, by name.
///
/// # Errors
/// There is none of that name.
pub fn maker(name: &str) -> Result<MakeEngine, String> {
    match name {
        "interpreter" => Ok(Box::new(|| Ok(Box::new(interp::Interpreter::default())))),
        "jit" => Ok(jit(Config::default())),
        "jit-tagged" => {
            Ok(jit(Config { lookup: Lookup::Tagged, arithmetic: Arithmetic::Checked, ..Config::default() }))
        }
        "jit-one" => Ok(jit(Config { warm: None, ..Config::default() })),
        // all that it has code for, in the quick tier's
        "jit-quick" => Ok(jit(Config { hot: u32::MAX, warm: Some(2), ..Config::default() })),
        other => {
            Err(format!("there is no engine {other:?}: jit, jit-quick, jit-tagged and interpreter are there"))
        }
    }
}

/// Makes JITs that compile beside the guest, if they can.
fn jit(config: Config) -> MakeEngine {
    Box::new(move || Ok(Box::new(Jit::with(config).map_err(|e| e.to_string())?.beside())))
}

/// One of the two.
pub struct Party {
    /// What the reports call it.
    pub name: String,
    /// Makes it; going back starts with a new one.
    pub engine: MakeEngine,
}

/// What is run.
pub trait Guest {
    /// A machine at the guest's start, with deterministic time.
    ///
    /// # Errors
    /// It cannot be made.
    fn machine(&self, engine: Box<dyn Engine + Send>) -> Result<Machine, String>;

    /// The machine has come to an end, having been started again `starts` times; `true`: it has
    /// been once more.
    fn ended(&self, machine: &mut Machine, end: Exit, _starts: u32) -> bool {
        let again = end == Exit::Reset && machine.has_firmware();
        if again {
            machine.reset();
        }
        again
    }

    /// The instructions from one call of [`Guest::refresh`] to the next.
    fn period(&self) -> Option<u64> {
        None
    }

    /// Changes a machine when `at` instructions have retired, each time in the same way.
    fn refresh(&self, _machine: &mut Machine, _at: u64) {}
}

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Instructions from one comparison to the next.
    pub every: u64,
    /// Instructions after which a state is kept to go back to, at the earliest.
    pub keep: u64,
    /// The time from keeping one to keeping the next, in multiples of what keeping one takes.
    pub pause: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { every: 10_000, keep: 20_000_000, pause: 10 }
    }
}

/// What goes on meanwhile.
#[derive(Clone, Debug)]
pub enum Notice {
    /// This many instructions have retired.
    Retired(u64),
    /// The states differ, and this is done about it.
    Doing(String),
}

/// The run came to its end without a difference.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Instructions retired.
    pub retired: u64,
    /// Comparisons made.
    pub comparisons: u64,
    /// The time that they took.
    pub comparing: Duration,
    /// States kept to go back to.
    pub kept: u64,
    /// Both machines came to this end before the instructions were used up.
    pub ended: Option<Exit>,
}

/// The states differ.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The names of the engines.
    pub names: [String; 2],
    /// The states are known to be the same when so many instructions have retired...
    pub same_at: u64,
    /// ... and to differ now.
    pub differ_at: u64,
    /// What was found in looking closer.
    pub remarks: Vec<String>,
    /// The instructions around the one after which the states differ, where it is known.
    pub instructions: Vec<String>,
    /// What differs, a line each.
    pub differences: Vec<String>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the states differ at {} instructions", self.differ_at)?;
        writeln!(f, "and were the same at {}", self.same_at)?;
        self.remarks.iter().try_for_each(|r| writeln!(f, "note: {r}"))?;
        if !self.instructions.is_empty() {
            writeln!(f, "instructions, on {}, each with the count when it has retired:", self.names[0])?;
        }
        self.instructions.iter().try_for_each(|i| writeln!(f, "{i}"))?;
        writeln!(f, "differences ({}, {}):", self.names[0], self.names[1])?;
        self.differences.iter().try_for_each(|d| writeln!(f, "  {d}"))
    }
}

/// Why a run has no [`Report`].
#[derive(Clone, Debug)]
pub enum Failure {
    /// The states differ.
    Diverged(Box<Divergence>),
    /// The guest cannot be run, or a state not be kept.
    Cannot(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Cannot(why)
    }
}

/// The next count at which both machines stop.
fn next_stop(every: u64, period: Option<u64>, at: u64) -> u64 {
    let next = |unit: u64| (at / unit + 1) * unit;
    period.map_or(u64::MAX, next).min(next(every.max(1)))
}

/// Runs two machines in lockstep.
pub struct Lockstep<'a> {
    guest: &'a dyn Guest,
    parties: [Party; 2],
    options: Options,
    /// What the guest has sent when the comparison starts.
    sent: Option<String>,
    notice: Box<dyn FnMut(Notice) + 'a>,
}

/// A run under way.
struct Run {
    pair: Pair,
    at: u64,
    /// Where they were last found to be the same.
    good: u64,
    kept: Option<Checkpoint>,
    when: Instant,
    cost: Duration,
    report: Report,
}

impl Run {
    fn new(pair: Pair, kept: Option<Checkpoint>) -> Run {
        let zero = Duration::ZERO;
        let report = Report { retired: 0, comparisons: 0, comparing: zero, kept: 0, ended: None };
        let at = kept.as_ref().map_or(0, |k| k.retired);
        Run { pair, at, good: at, kept, when: Instant::now(), cost: zero, report }
    }

    fn over(&self, instructions: u64) -> bool {
        self.at >= instructions || self.pair.first.ended.is_some()
    }

    fn same(&mut self, depth: Depth) -> bool {
        let start = Instant::now();
        let same = self.pair.same(depth);
        self.report.comparing += start.elapsed();
        self.report.comparisons += u64::from(depth != Depth::Everything);
        self.good = if same { self.at } else { self.good };
        same
    }
}

impl<'a> Lockstep<'a> {
    /// The first of the engines is the one to trust.
    pub fn new(guest: &'a dyn Guest, first: Party, second: Party, options: Options) -> Lockstep<'a> {
        Lockstep { guest, parties: [first, second], options, sent: None, notice: Box::new(|_| {}) }
    }

    /// Compares only from where the guest has sent `text` by its first serial port: the second engine runs it
    /// up to there.
    pub fn start_when_sent(&mut self, text: String) {
        self.sent = Some(text);
    }

    /// Has somebody told what goes on.
    pub fn on_notice(&mut self, notice: impl FnMut(Notice) + 'a) {
        self.notice = Box::new(notice);
    }

    /// Runs until so many instructions have been compared, or both machines end.
    ///
    /// # Errors
    /// The states differ, or the guest cannot be run.
    pub fn run(&mut self, instructions: u64) -> Result<Report, Failure> {
        let mut run = self.start()?;
        let end = run.at.saturating_add(instructions);
        while !run.over(end) {
            let stop = next_stop(self.options.every, self.guest.period(), run.at).min(end);
            run.pair.run_to(self.guest, stop);
            run.at = stop;
            self.compare(&mut run)?;
            run.pair.refresh(self.guest, stop);
            (self.notice)(Notice::Retired(stop));
            self.keep(&mut run)?;
        }
        self.require(&mut run, Depth::Everything)?;
        let machine = &run.pair.first;
        Ok(Report { retired: machine.machine.cpu().retired, ended: machine.ended, ..run.report })
    }

    fn start(&mut self) -> Result<Run, Failure> {
        let Some(text) = self.sent.clone() else {
            return Ok(Run::new(Pair::new(self.guest, &self.parties)?, None));
        };
        (self.notice)(Notice::Doing(format!("running until {text:?} is sent")));
        let mut side = Side::new(self.guest, &self.parties[1])?;
        let mut at = 0;
        while !side.sent(text.as_bytes()) {
            if side.ended.is_some() || at >= SENT_WITHIN {
                return Err(Failure::Cannot(format!("{text:?} was not sent within {at} instructions")));
            }
            at += SENT_EVERY;
            side.run_to(self.guest, at);
        }
        let kept = side.checkpoint()?;
        Ok(Run::new(Pair::resume(self.guest, &self.parties, &kept)?, Some(kept)))
    }

    fn compare(&mut self, run: &mut Run) -> Result<(), Failure> {
        let devices = run.report.comparisons.is_multiple_of(DEVICES_EVERY);
        self.require(run, if devices { Depth::Devices } else { Depth::Written })
    }

    fn require(&mut self, run: &mut Run, depth: Depth) -> Result<(), Failure> {
        if run.same(depth) {
            return Ok(());
        }
        let found = self.narrow(&mut run.pair, run.good, run.at, run.kept.as_ref());
        Err(Failure::Diverged(Box::new(found)))
    }

    /// Keeps the state from time to time: not so often that it would take much of the time.
    fn keep(&mut self, run: &mut Run) -> Result<(), Failure> {
        let last = run.kept.as_ref().map_or(0, |k| k.retired);
        let ended = run.pair.first.ended.is_some();
        if ended || run.at - last < self.options.keep || run.when.elapsed() < run.cost * self.options.pause {
            return Ok(());
        }
        let start = Instant::now();
        self.require(run, Depth::Everything)?;
        run.kept = Some(run.pair.checkpoint()?);
        run.report.kept += 1;
        (run.when, run.cost) = (Instant::now(), start.elapsed());
        Ok(())
    }
}
