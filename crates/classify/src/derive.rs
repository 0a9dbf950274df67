//! The class of a form in a configuration, by the definitions.

use crate::axes::Choice;
use crate::config::Configuration;
use crate::explore::{Explored, explore};
use crate::innocuous;
use crate::predicates::{admissible, controls, same, same_between_modes};
use crate::relocation::Relocation;
use crate::witness::{Claim, Witness};
use crate::world::{Level, Run, World};
use crate::{CodeMode, Form};
use cpu::CpuModel;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Kinds of sensitivity, and privilege: the two axes of the classification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Class {
    /// Traps in user mode, in every state that was not set aside, and in some state not in supervisor mode.
    pub privileged: bool,
    /// Changes M or R without a trap in some state.
    pub control: bool,
    /// Its result depends on R, in some pair of states of one mode.
    pub location: bool,
    /// Its result depends on M, in some pair of states.
    pub mode: bool,
    /// Control sensitive from user mode, or location sensitive with both modes user.
    pub user: bool,
}

impl Class {
    /// Sensitive of any kind.
    pub fn sensitive(self) -> bool {
        self.control || self.location || self.mode
    }

    /// The kinds, in the order control, location, mode.
    pub fn kinds(self) -> Vec<&'static str> {
        let all = [("control", self.control), ("location", self.location), ("mode", self.mode)];
        all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds();
        match (self.privileged, kinds.is_empty()) {
            (true, true) => f.write_str("privileged"),
            (true, false) => write!(f, "privileged; {} sensitive", kinds.join(", ")),
            (false, true) => f.write_str("innocuous"),
            (false, false) => write!(f, "unprivileged; {} sensitive", kinds.join(", ")),
        }
    }
}

/// What was derived of a form in a configuration.
#[derive(Clone, Debug)]
pub struct Derivation {
    /// The configuration.
    pub configuration: Configuration,
    /// The class.
    pub class: Class,
    /// One witness of each kind of sensitivity, and where it is not privileged of a run in user mode.
    pub witnesses: Vec<Witness>,
    /// The vector of the trap that user mode gets, where it is privileged.
    pub trap: Option<u8>,
    /// The certificate of what is universal: how it was exhausted.
    pub certificate: Certificate,
    /// Bits of the configuration that the form asks for.
    pub asked: Configuration,
}

/// How the universal part of a verdict was come by.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// Of an innocuous body: the words that it uses, none of which reads or changes M or R.
    Words(Vec<innocuous::Word>),
    /// Of a routine: its decision tree over the model's states.
    Tree {
        /// Ways through the questions, in user and in supervisor mode.
        leaves: [usize; 2],
        /// Pairs of states that a predicate was asked of.
        pairs: u64,
        /// Answers that no state of the model gives, of the questions that the universal part of the verdict rests on.
        unreached: Vec<(vmm::Atom, bool)>,
    },
}

/// A state, or two, in which a kind of sensitivity shows.
#[derive(Clone, Copy, Debug)]
struct Case {
    choice: Choice,
    level: Level,
    relocation: Option<Relocation>,
}

/// What was found on the way through the states.
struct Findings {
    user_completes: Option<Choice>,
    supervisor_completes: bool,
    trap: Option<u8>,
    control: [Option<Case>; 2],
    location: [Option<Case>; 2],
    mode: Option<Case>,
    pairs: u64,
    spare: Run,
}

impl Findings {
    fn new() -> Findings {
        Findings {
            user_completes: None,
            supervisor_completes: false,
            trap: None,
            control: [None; 2],
            location: [None; 2],
            mode: None,
            pairs: 0,
            spare: Run::new(CpuModel::Newest),
        }
    }

    fn look(&mut self, world: &mut World, choice: &Choice, runs: &[Run; 2]) {
        self.pairs += 1;
        if admissible(&runs[0], &runs[1]) {
            self.look_at_modes(choice, runs);
        }
        for level in Level::ALL {
            self.look_at_level(world, choice, level, &runs[level as usize]);
        }
    }

    fn look_at_modes(&mut self, choice: &Choice, runs: &[Run; 2]) {
        let [user, supervisor] = runs;
        if user.trap.is_none() {
            self.user_completes.get_or_insert(*choice);
        } else if supervisor.trap.is_none() {
            self.trap = self.trap.or(user.trap);
        }
        self.supervisor_completes |= supervisor.trap.is_none();
        if self.mode.is_none() && !same_between_modes(user, supervisor) {
            self.mode = Some(Case { choice: *choice, level: Level::User, relocation: None });
        }
    }

    fn look_at_level(&mut self, world: &mut World, choice: &Choice, level: Level, run: &Run) {
        if run.memory_trapped() || run.arithmetic_trapped() {
            return;
        }
        let n = level as usize;
        if self.control[n].is_none() && controls(run) {
            self.control[n] = Some(Case { choice: *choice, level, relocation: None });
        }
        if self.location[n].is_some() {
            return;
        }
        for x in Relocation::ALL.iter().copied() {
            if !world.admits(x) {
                continue;
            }
            self.pairs += 1;
            world.run(choice, level, Some(x), &mut self.spare);
            if admissible(run, &self.spare) && !same(run, &self.spare) {
                self.location[n] = Some(Case { choice: *choice, level, relocation: Some(x) });
                return;
            }
        }
    }

    fn class(&self) -> Class {
        Class {
            privileged: self.user_completes.is_none() && self.supervisor_completes,
            control: self.control.iter().any(Option::is_some),
            location: self.location.iter().any(Option::is_some),
            mode: self.mode.is_some(),
            user: self.control[0].is_some() || self.location[0].is_some(),
        }
    }

    /// A case of each kind, of user mode where there is one.
    fn cases(&self) -> Vec<(Claim, Case)> {
        let control = self.control[0].or(self.control[1]).map(|c| (Claim::Control, c));
        let location = self.location[0].or(self.location[1]).map(|c| (Claim::Location, c));
        let mode = self.mode.map(|c| (Claim::Mode, c));
        [control, location, mode].into_iter().flatten().collect()
    }
}

/// Whether a case still shows what it is to show.
pub(crate) fn holds(
    world: &mut World,
    claim: Claim,
    choice: &Choice,
    level: Level,
    x: Option<Relocation>,
) -> bool {
    let mut runs = [Run::new(CpuModel::Newest), Run::new(CpuModel::Newest)];
    match claim {
        Claim::Control => {
            world.run(choice, level, None, &mut runs[0]);
            !runs[0].memory_trapped() && controls(&runs[0])
        }
        Claim::Location => {
            world.run(choice, level, None, &mut runs[0]);
            world.run(choice, level, x, &mut runs[1]);
            admissible(&runs[0], &runs[1]) && !same(&runs[0], &runs[1])
        }
        Claim::Mode => {
            world.run(choice, Level::User, None, &mut runs[0]);
            world.run(choice, Level::Supervisor, None, &mut runs[1]);
            admissible(&runs[0], &runs[1]) && !same_between_modes(&runs[0], &runs[1])
        }
    }
}

/// Takes axes back to their usual value for as long as the case shows the same.
fn minimise(world: &mut World, claim: Claim, mut case: Case) -> Case {
    let unusual: Vec<_> = case.choice.unusual().collect();
    for axis in unusual {
        let plainer = case.choice.with(axis, 0);
        if holds(world, claim, &plainer, case.level, case.relocation) {
            case.choice = plainer;
        }
    }
    case
}

/// Derives the class of an instruction in a configuration.
pub fn derive(form: &Form, configuration: Configuration) -> Derivation {
    if form.routine.is_none() {
        return of_body(form, configuration);
    }
    let mut world = World::new(form, configuration);
    let mut findings = Findings::new();
    let explored = explore(&mut world, |world, choice, runs| findings.look(world, choice, runs));
    let witnesses = findings.cases().into_iter().map(|(claim, case)| {
        let case = minimise(&mut world, claim, case);
        Witness::new(form, configuration, claim, case.level, case.relocation, &case.choice)
    });
    let class = findings.class();
    Derivation {
        configuration,
        class,
        witnesses: witnesses.collect(),
        trap: findings.trap.filter(|_| class.privileged),
        certificate: certificate(&explored, configuration, class, findings.pairs),
        asked: explored.asked(),
    }
}

/// What a verdict says of all states is exhausted where the trees are that it speaks of: user mode's for a privileged
/// instruction, both for an innocuous one. What is sensitive and unprivileged has its witnesses.
fn certificate(explored: &Explored, configuration: Configuration, class: Class, pairs: u64) -> Certificate {
    let universal = match (class.privileged, class.sensitive()) {
        (true, _) => &explored.trees[..1],
        (false, false) => &explored.trees[..],
        (false, true) => &[],
    };
    let mut unreached: Vec<_> = universal.iter().flat_map(|t| t.unreached()).collect();
    if configuration.has(Configuration::REAL) {
        // registers of real and V86 mode always hold a segment
        unreached.retain(|answer| *answer != (vmm::Atom::SegmentUnusable, true));
    }
    unreached.sort_unstable();
    unreached.dedup();
    Certificate::Tree { leaves: [0, 1].map(|n| explored.trees[n].leaves()), pairs, unreached }
}

impl Certificate {
    /// The universal part of the verdict is proved for the model.
    pub fn closed(&self) -> bool {
        match self {
            Certificate::Words(_) => true,
            Certificate::Tree { unreached, .. } => unreached.is_empty(),
        }
    }
}

/// An innocuous body is what it is in every state: its vocabulary has no word for M and R.
fn of_body(form: &Form, configuration: Configuration) -> Derivation {
    Derivation {
        configuration,
        class: Class::default(),
        witnesses: Vec::new(),
        trap: None,
        certificate: Certificate::Words(innocuous::words(&form.insn)),
        asked: Configuration::NONE,
    }
}

/// Where the configurations of a mode are started from: the usual one, and one of the pair of modes that no question of a
/// routine leads to.
pub fn starts(mode: CodeMode) -> impl Iterator<Item = Configuration> {
    let usual = Configuration::default();
    let real = usual.with(Configuration::VM).with(Configuration::REAL);
    [usual, real].into_iter().filter(move |c| applies(mode, *c))
}

/// Derives the class in every configuration that makes a difference: from the given one on, each bit that the form asks
/// for is set and cleared.
pub fn lattice(form: &Form, from: Configuration) -> Vec<Derivation> {
    let mut seen = BTreeSet::from([from]);
    let mut waiting = vec![from];
    let mut all = Vec::new();
    while let Some(configuration) = waiting.pop() {
        let derived = derive(form, configuration);
        for (_, bit) in Configuration::ALL.iter().filter(|(_, bit)| derived.asked.has(*bit)) {
            let next = configuration.toggled(*bit);
            if applies(form.mode, next) && seen.insert(next) {
                waiting.push(next);
            }
        }
        all.push(derived);
    }
    all.sort_by_key(|d| d.configuration);
    all
}

/// Does something to each of many, on as many threads as the host has cores, and keeps their order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((n, item)) = take(items, &next) {
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((n, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    items.get(n).map(|item| (n, item))
}

/// Whether a form exists in a configuration: V86 mode has 16-bit code only, and real mode is what it is compared with.
pub fn applies(mode: CodeMode, configuration: Configuration) -> bool {
    let (vm, real) = (configuration.has(Configuration::VM), configuration.has(Configuration::REAL));
    if vm { mode == CodeMode::Bits16 } else { !real }
}
