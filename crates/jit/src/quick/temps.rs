//! Values of the quick tier, and where they are: in a register of the host, or put away in the context.

use super::asm::{Host, R8, R9, R10, R11, RBX, RDI, RSI, Rm};
use super::writer::Writer;
use crate::context;
use cpu::Width;

/// Registers that hold values, which no caller wants back. RAX, RCX and RDX are for one step at a time; RBX is the
/// context, RBP the state, R12 EIP of the head.
const POOL: [Host; 6] = [RSI, RDI, R8, R9, R10, R11];

/// Values at a time at most.
const TEMPS: usize = 64;

/// A value that some code has computed; its bits above its width are clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Temp(u8);

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Set(u64);

impl Set {
    pub(super) fn add(&mut self, t: Temp) {
        self.0 |= 1 << t.0;
    }
    fn has(self, n: usize) -> bool {
        self.0 >> n & 1 != 0
    }
    fn members(self) -> impl Iterator<Item = usize> {
        (0..TEMPS).filter(move |&n| self.has(n))
    }
}

/// Where a value is. It never changes, so that both may be true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Place {
    host: Option<Host>,
    put_away: bool,
}

/// Where all values are at one point of the code.
#[derive(Clone)]
pub(super) struct Temps {
    places: [Place; TEMPS],
    used: Set,
    /// When each was last wanted.
    wanted: [u32; TEMPS],
    now: u32,
    /// The value that each guest register has, as far as it is at hand; memory has it as well.
    pub(super) cache: [Option<Temp>; 8],
    /// There were more values than can be told apart.
    pub(super) overflow: bool,
}

impl Temps {
    pub(super) fn new() -> Temps {
        Temps {
            places: [Place::default(); TEMPS],
            used: Set::default(),
            wanted: [0; TEMPS],
            now: 0,
            cache: [None; 8],
            overflow: false,
        }
    }

    /// Whether the members of a set are in the same places.
    pub(super) fn agrees(&self, other: &Temps, on: Set) -> bool {
        on.members().all(|n| self.places[n] == other.places[n])
    }

    /// Keeps those of a set and those that guest registers have.
    pub(super) fn keep(&mut self, mut set: Set) {
        self.cache.iter().flatten().for_each(|&t| set.add(t));
        self.used.0 &= set.0;
    }

    /// Guest registers are in memory alone.
    pub(super) fn forget_registers(&mut self) {
        self.cache = [None; 8];
    }

    fn owner(&self, h: Host) -> Option<usize> {
        self.used.members().find(|&n| self.places[n].host == Some(h))
    }

    /// The register to take from its value: that of a guest register which this instruction has not touched, else
    /// what was wanted longest ago.
    fn victim(&self, since: u32, held: Set) -> (Host, usize, bool) {
        let owned = POOL.iter().filter_map(|&h| Some((h, self.owner(h)?)));
        let idle = |n: usize| self.wanted[n] <= since && !held.has(n);
        let oldest = owned.min_by_key(|&(_, n)| (!idle(n), self.wanted[n]));
        let (h, n) = oldest.unwrap_or((RSI, 0));
        (h, n, idle(n))
    }
}

/// Where a value that was put away is.
fn slot(n: usize) -> Rm {
    Rm::At(RBX, context::SPILLED + 8 * n as i32)
}

impl Writer<'_> {
    /// A register for a new value.
    pub(super) fn fresh(&mut self) -> (Temp, Host) {
        let Some(n) = (0..TEMPS).find(|&n| !self.temps.used.has(n)) else {
            self.temps.overflow = true;
            return (Temp(0), RSI);
        };
        let h = self.register();
        self.temps.used.0 |= 1 << n;
        self.temps.places[n] = Place { host: Some(h), put_away: false };
        self.want(n);
        (Temp(n as u8), h)
    }

    /// The running instruction wants a value.
    pub(super) fn hold(&mut self, t: Temp) {
        self.want(usize::from(t.0));
    }

    /// The running instruction wants the values that tell the flags, whatever becomes of these.
    pub(super) fn hold_flags(&mut self) {
        self.flags.temps().members().for_each(|n| self.want(n));
    }

    fn want(&mut self, n: usize) {
        self.temps.now += 1;
        self.temps.wanted[n] = self.temps.now;
    }

    /// The register of a value.
    pub(super) fn host(&mut self, t: Temp) -> Host {
        let n = usize::from(t.0);
        self.want(n);
        if let Some(h) = self.temps.places[n].host {
            return h;
        }
        let h = self.register();
        self.temps.places[n].host = Some(h);
        self.asm.load(Width::B64, h, slot(n));
        h
    }

    /// A register that nothing is in.
    fn register(&mut self) -> Host {
        if let Some(&h) = POOL.iter().find(|&&h| self.temps.owner(h).is_none()) {
            return h;
        }
        let held = self.flags.temps();
        let (h, n, idle) = self.temps.victim(self.since, held);
        let place = &mut self.temps.places[n];
        place.host = None;
        if idle {
            // it is a guest register's, and memory has it
            self.temps.used.0 &= !(1 << n);
            self.temps.cache.iter_mut().filter(|c| **c == Some(Temp(n as u8))).for_each(|c| *c = None);
        } else if !std::mem::replace(&mut place.put_away, true) {
            self.asm.store(Width::B64, slot(n), h);
        }
        h
    }

    /// Begins an instruction: what came before it and is no guest register's and no flag's is not needed any more.
    pub(super) fn begin(&mut self) {
        let held = self.flags.temps();
        self.temps.keep(held);
        self.since = self.temps.now;
    }

    /// After code that may have been left out: values are where they were before it, and guest registers that it has
    /// changed, or has had no register for, are in memory alone.
    pub(super) fn rejoin(&mut self, before: &Temps) {
        for n in before.used.members() {
            let (old, new) = (before.places[n], self.temps.places[n]);
            if let Some(h) = old.host.filter(|_| self.temps.used.has(n) && new.host != old.host) {
                self.asm.load(Width::B64, h, slot(n));
            }
        }
        let after = std::mem::replace(&mut self.temps, before.clone());
        self.temps.now = after.now;
        self.temps.overflow |= after.overflow;
        for (old, new) in self.temps.cache.iter_mut().zip(after.cache) {
            if *old != new {
                *old = None;
            }
        }
    }

    /// Only the values of a set are known, where they were at some point of the code.
    pub(super) fn return_to(&mut self, then: &Temps, set: Set) {
        let overflow = self.temps.overflow;
        self.temps = then.clone();
        self.temps.overflow |= overflow;
        self.temps.forget_registers();
        self.temps.keep(set);
        self.since = self.temps.now;
    }
}
