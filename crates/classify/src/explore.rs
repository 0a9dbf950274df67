//! The decision tree of a form: which questions it asks, and states that answer each both ways.

use crate::axes::Choice;
use crate::config::Configuration;
use crate::world::{Level, Run, World};
use cpu::CpuModel;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use vmm::Atom;

/// States looked at, at most; no form of the models needs as many.
const MOST_STATES: usize = 4_000_000;

/// A question in its place: what was asked and answered before it.
#[derive(Clone, Debug)]
struct Node {
    atom: Atom,
    next: [Option<usize>; 2],
}

/// The questions of one level, by the answers before them.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Ends, by the vector of the fault, -1 for none.
    leaves: FxHashMap<u64, i16>,
}

impl Tree {
    /// Adds a run's path; `true`: it had not been there.
    fn insert(&mut self, run: &Run) -> bool {
        let end = run.trap.map_or(-1, i16::from);
        let mut hasher = FxHasher::default();
        (&run.path, end).hash(&mut hasher);
        if self.leaves.insert(hasher.finish(), end).is_some() {
            return false;
        }
        let mut from: Option<(usize, usize)> = None;
        for (atom, answer) in &run.path {
            let node = self.node(from, *atom);
            from = Some((node, usize::from(*answer)));
        }
        // where the path ends the branch is taken as well
        if let Some((node, answer)) = from {
            self.nodes[node].next[answer].get_or_insert(usize::MAX);
        }
        true
    }

    fn node(&mut self, from: Option<(usize, usize)>, atom: Atom) -> usize {
        let known = match from {
            None => (!self.nodes.is_empty()).then_some(0),
            Some((node, answer)) => self.nodes[node].next[answer].filter(|n| *n != usize::MAX),
        };
        known.unwrap_or_else(|| {
            self.nodes.push(Node { atom, next: [None; 2] });
            let new = self.nodes.len() - 1;
            if let Some((node, answer)) = from {
                self.nodes[node].next[answer] = Some(new);
            }
            new
        })
    }

    /// Ways through the questions.
    pub fn leaves(&self) -> usize {
        self.leaves.len()
    }

    /// Questions asked, each in its place.
    pub fn questions(&self) -> usize {
        self.nodes.len()
    }

    /// The atoms asked anywhere.
    pub fn atoms(&self) -> impl Iterator<Item = Atom> + '_ {
        self.nodes.iter().map(|n| n.atom)
    }

    /// Answers that no state of the domain gives where the question is asked, though neither mode, configuration
    /// nor chip settles them, and that do not lead to a memory trap, which the definitions set aside.
    pub fn unreached(&self) -> Vec<(Atom, bool)> {
        let missing = self.nodes.iter().filter(|n| !settled(n.atom)).flat_map(|n| {
            [false, true].into_iter().filter(|b| n.next[usize::from(*b)].is_none()).map(|b| (n.atom, b))
        });
        let mut all: Vec<(Atom, bool)> = missing.filter(|m| *m != (Atom::LimitCovers, false)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What has one answer in all states of a level, a configuration and a chip.
fn settled(atom: Atom) -> bool {
    let own =
        matches!(atom, Atom::CplAbove0 | Atom::CplIs3 | Atom::Is8086 | Atom::Is286 | Atom::ProtectionEnabled);
    own || Configuration::of_atom(atom) != Configuration::NONE
}

/// What an exploration has found.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// The tree of each level.
    pub trees: [Tree; 2],
    /// States looked at.
    pub states: usize,
}

impl Explored {
    /// The bits of the configuration that the form asks for.
    pub fn asked(&self) -> Configuration {
        let atoms = self.trees.iter().flat_map(Tree::atoms);
        atoms.fold(Configuration::NONE, |all, a| all.with(Configuration::of_atom(a)))
    }
}

/// Runs the form in both modes in state after state: whatever leads to a new path has its neighbours looked at as
/// well. `look` sees each state's pair of runs.
pub fn explore(world: &mut World, mut look: impl FnMut(&mut World, &Choice, &[Run; 2])) -> Explored {
    let mut found = Explored::default();
    let mut runs = [Run::new(CpuModel::Newest), Run::new(CpuModel::Newest)];
    let mut seen: FxHashSet<Choice> = FxHashSet::default();
    let mut queue = VecDeque::from([Choice::default()]);
    visit(world, &Choice::default(), &mut runs, &mut found);
    look(world, &Choice::default(), &runs);
    seen.insert(Choice::default());
    while let Some(choice) = queue.pop_front() {
        for next in choice.neighbours() {
            if found.states >= MOST_STATES || !seen.insert(next) {
                continue;
            }
            if visit(world, &next, &mut runs, &mut found) {
                queue.push_back(next);
            }
            look(world, &next, &runs);
        }
    }
    found
}

/// Runs both modes; whether either path is new.
fn visit(world: &mut World, choice: &Choice, runs: &mut [Run; 2], found: &mut Explored) -> bool {
    found.states += 1;
    let mut new = false;
    for level in Level::ALL {
        let run = &mut runs[level as usize];
        world.run(choice, level, None, run);
        new |= found.trees[level as usize].insert(run);
    }
    new
}
