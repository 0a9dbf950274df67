//! One thing done wrongly. A mutant of a routine is a question that is answered against the state, or a fault
//! that is another one than the routine's: so the routines need not be compiled anew. `tests/mutants` makes the
//! list of mutants from what the tests ask, and expects that some test fails with each.

use cpu::{Fault, vector as v};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::Location;
use std::sync::LazyLock;
use vmm::Atom;

/// The mutant, as `routine change atom file:line:column`.
pub(crate) const MUTANT: &str = "RINGER_MUTANT";
/// A directory: each test's file in it gets the questions that it had asked, and the faults behind them.
pub(crate) const RECORD: &str = "RINGER_RECORD";

/// Delivery of a fault by an instruction that has switched tasks, and of events from outside.
pub(crate) const DELIVERY: &str = "Deliver";

/// What a mutant does otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// The question is answered with yes.
    Yes,
    /// The question is answered with no.
    No,
    /// The question is answered the other way.
    Not,
    /// The fault behind the question has another vector.
    Vector,
    /// The fault behind the question has another error code.
    Code,
    /// The fault behind the question has no error code.
    Bare,
    /// The check comes last: where another one fails as well, its fault is raised.
    Last,
}

impl Change {
    pub(crate) const ALL: [(&'static str, Change); 7] = [
        ("yes", Change::Yes),
        ("no", Change::No),
        ("not", Change::Not),
        ("vector", Change::Vector),
        ("code", Change::Code),
        ("bare", Change::Bare),
        ("last", Change::Last),
    ];
}

/// A question in its place, as mutants and records name it: `CallFar PrivilegeAdmits crates/...:12:9`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Question {
    routine: &'static str,
    /// None: nothing was asked.
    asked: Option<(Atom, &'static Location<'static>)>,
}

impl Question {
    fn name(&self) -> String {
        match self.asked {
            Some((atom, place)) => format!("{} {atom:?} {place}", self.routine),
            None => format!("{} - -", self.routine),
        }
    }
}

struct Mutant {
    change: Change,
    question: String,
}

static CHOSEN: LazyLock<Option<Mutant>> = LazyLock::new(|| {
    let text = std::env::var(MUTANT).ok()?;
    let (change, question) = text.split_once(' ').expect("a change and a question");
    let change = Change::ALL.iter().find(|c| c.0 == change).expect("a change").1;
    // one test that fails is enough
    std::panic::set_hook(Box::new(|_| std::process::exit(1)));
    Some(Mutant { change, question: question.to_owned() })
});

static DIRECTORY: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(RECORD).ok());

thread_local! {
    static KNOWN: RefCell<HashSet<String>> = RefCell::default();
}

/// Adds a line to the test's record, once.
fn note(line: String) {
    let Some(directory) = DIRECTORY.as_ref() else { return };
    let new = KNOWN.with_borrow_mut(|known| known.insert(line.clone()));
    if new {
        let thread = std::thread::current();
        let path = format!("{directory}/{}", thread.name().unwrap_or("none"));
        let mut file = std::fs::File::options().append(true).create(true).open(path).expect("a record");
        writeln!(file, "{line}").expect("a line of a record");
    }
}

/// What a machine knows of the routine that runs on it.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    routine: Option<&'static str>,
    deliveries: u32,
    /// The questions, in order.
    asked: Vec<Question>,
    /// This question is answered the other way, and those at its place after it as it is: they all pass.
    turned: Option<usize>,
    passing: bool,
}

impl Watch {
    /// A routine begins; `turned` as it says.
    pub(crate) fn begin(&mut self, routine: &'static str, turned: Option<usize>) {
        *self = Watch { routine: Some(routine), turned, ..Watch::default() };
    }

    /// The routine has ended.
    pub(crate) fn end(&mut self) {
        self.routine = None;
    }

    fn last(&self) -> Question {
        let none = Question { routine: self.routine.unwrap_or("none"), asked: None };
        self.asked.last().copied().unwrap_or(none)
    }

    /// The answer to a question; outside of routines it is the truth.
    pub(crate) fn answer(&mut self, atom: Atom, truth: bool, place: &'static Location<'static>) -> bool {
        let Some(routine) = self.routine else { return truth };
        let routine = self.name(routine, atom, place);
        let question = Question { routine, asked: Some((atom, place)) };
        let n = self.asked.len();
        self.asked.push(question);
        if DIRECTORY.is_some() {
            note(format!("asked {} {truth}", question.name()));
        }
        if let Some(turned) = self.turned {
            let same = n >= turned && self.asked.get(turned) == Some(&question);
            self.passing = if n == turned { !truth } else { self.passing };
            return if same { self.passing } else { truth };
        }
        match CHOSEN.as_ref() {
            Some(m) if m.question == question.name() => match m.change {
                Change::Yes => true,
                Change::No => false,
                Change::Not => !truth,
                _ => truth,
            },
            _ => truth,
        }
    }

    /// An instruction that switches tasks delivers the faults of the new task: that is no longer itself. The first
    /// delivery of a software interrupt is.
    fn name(&mut self, routine: &'static str, atom: Atom, place: &Location<'_>) -> &'static str {
        self.deliveries +=
            u32::from(atom == Atom::ProtectionEnabled && place.file().ends_with("/interrupt.rs"));
        let own = u32::from(matches!(routine, "Int" | "Int1" | "Int3" | "Into"));
        if self.deliveries > own { DELIVERY } else { routine }
    }

    /// Notes a fault, and changes it if the mutant says so.
    pub(crate) fn fault(&self, fault: Fault) -> Fault {
        if fault.vector == v::PF {
            return fault;
        }
        let question = self.last();
        self.note_fault(question, fault);
        match CHOSEN.as_ref() {
            Some(m) if m.question == question.name() => changed(fault, m.change),
            _ => fault,
        }
    }

    fn note_fault(&self, question: Question, fault: Fault) {
        if DIRECTORY.is_none() {
            return;
        }
        let mut what = format!("{} ", fault.vector);
        let _ = match fault.code {
            None => write!(what, "none"),
            Some(0) => write!(what, "zero"),
            Some(_) => write!(what, "selector"),
        };
        note(format!("fault {} {what}", question.name()));
        for earlier in self.asked.iter().filter(|q| **q != question) {
            note(format!("after {} {what}", earlier.name()));
        }
    }

    /// The number of the question behind the fault just raised, if the mutant puts its check last.
    pub(crate) fn postponed(&self) -> Option<usize> {
        let m = CHOSEN.as_ref().filter(|m| m.change == Change::Last)?;
        (m.question == self.last().name()).then(|| self.asked.len().checked_sub(1)).flatten()
    }

    /// A mutant puts some check last.
    pub(crate) fn postpones() -> bool {
        CHOSEN.as_ref().is_some_and(|m| m.change == Change::Last)
    }
}

/// Another fault.
fn changed(fault: Fault, change: Change) -> Fault {
    match change {
        Change::Vector if fault.vector == v::GP => Fault { vector: v::TS, ..fault },
        Change::Vector => Fault { code: fault.code.or(Some(0)), ..Fault::gp(0) },
        Change::Code => Fault { code: Some(if fault.code == Some(0) { 8 } else { 0 }), ..fault },
        Change::Bare => Fault { code: None, ..fault },
        _ => fault,
    }
}
