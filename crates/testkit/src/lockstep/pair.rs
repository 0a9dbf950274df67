//! Two machines that are moved on together.

use super::compare::{self, Depth};
use super::{Guest, Party};
use machine::{Exit, Machine};

/// Times that a machine may be started again, or come back, without doing anything in between...
const PATIENCE: u32 = 1000;
/// ... and how many of them a time of sleep counts, which is one through thousands of events.
const SLEEP: u32 = 250;

/// A machine, and what has become of it.
pub(super) struct Side {
    pub(super) machine: Machine,
    /// Sent by the serial ports since the last comparison.
    serial: [Vec<u8>; 2],
    /// How often it came to an end and was started again.
    starts: u32,
    /// It can go on no more.
    pub(super) ended: Option<Exit>,
}

impl Side {
    pub(super) fn new(guest: &dyn Guest, party: &Party) -> Result<Side, String> {
        Ok(Side::over(guest.machine((party.engine)()?)?, 0))
    }

    fn over(mut machine: Machine, starts: u32) -> Side {
        machine.memory().start_dirty_log();
        Side { machine, serial: Default::default(), starts, ended: None }
    }

    /// Runs until exactly `limit` instructions have retired in all, unless it ends before. Where a
    /// machine comes back for its output to be taken is an engine's business; what it sends is not.
    pub(super) fn run_to(&mut self, guest: &dyn Guest, limit: u64) {
        let mut idle = 0;
        while self.ended.is_none() {
            let before = self.machine.cpu().retired;
            let exit = self.machine.run(limit);
            let moved = self.drain() || self.machine.cpu().retired != before;
            idle = match exit {
                _ if moved => 0,
                Exit::Slice => idle + SLEEP,
                _ => idle + 1,
            };
            match exit {
                Exit::Limit => return,
                Exit::Slice if idle < PATIENCE => {}
                end if idle < 2 * PATIENCE && guest.ended(&mut self.machine, end, self.starts) => {
                    self.starts += 1
                }
                end => self.ended = Some(end),
            }
        }
    }

    /// Whether `text` is in what the first serial port has sent.
    pub(super) fn sent(&self, text: &[u8]) -> bool {
        self.serial[0].windows(text.len().max(1)).any(|w| w == text)
    }

    /// Keeps its state.
    pub(super) fn checkpoint(&mut self) -> Result<Checkpoint, String> {
        let snapshot = self.machine.save(Vec::new()).map_err(|e| format!("no state can be kept: {e}"))?;
        Ok(Checkpoint { retired: self.machine.cpu().retired, starts: self.starts, snapshot })
    }

    fn drain(&mut self) -> bool {
        let before = self.serial.each_ref().map(Vec::len);
        for (port, bytes) in self.serial.iter_mut().enumerate() {
            self.machine.serial_output(port, bytes);
        }
        before != self.serial.each_ref().map(Vec::len)
    }
}

/// A state that both machines were in.
pub(super) struct Checkpoint {
    pub(super) retired: u64,
    starts: u32,
    snapshot: Vec<u8>,
}

/// The two machines.
pub(super) struct Pair {
    pub(super) first: Side,
    pub(super) second: Side,
}

impl Pair {
    /// Both at their start.
    pub(super) fn new(guest: &dyn Guest, parties: &[Party; 2]) -> Result<Pair, String> {
        Ok(Pair { first: Side::new(guest, &parties[0])?, second: Side::new(guest, &parties[1])? })
    }

    /// Both in a state that was kept, with new engines.
    pub(super) fn resume(guest: &dyn Guest, parties: &[Party; 2], at: &Checkpoint) -> Result<Pair, String> {
        Ok(Pair { first: resume(guest, &parties[0], at)?, second: resume(guest, &parties[1], at)? })
    }

    /// Keeps the state of both, which were found to be the same.
    pub(super) fn checkpoint(&mut self) -> Result<Checkpoint, String> {
        self.first.checkpoint()
    }

    /// Moves both on.
    pub(super) fn run_to(&mut self, guest: &dyn Guest, limit: u64) {
        self.first.run_to(guest, limit);
        self.second.run_to(guest, limit);
    }

    /// Whether they are the same.
    pub(super) fn same(&mut self, depth: Depth) -> bool {
        let (a, b) = (&mut self.first, &mut self.second);
        let outside = a.ended == b.ended && a.starts == b.starts && a.serial == b.serial;
        let same = outside && compare::same(&mut a.machine, &mut b.machine, depth);
        if same {
            a.serial.iter_mut().chain(&mut b.serial).for_each(Vec::clear);
        }
        same
    }

    /// What the guest's maker does at some counts, to both.
    pub(super) fn refresh(&mut self, guest: &dyn Guest, at: u64) {
        if guest.period().is_some_and(|p| at.is_multiple_of(p)) {
            guest.refresh(&mut self.first.machine, at);
            guest.refresh(&mut self.second.machine, at);
        }
    }

    /// Everything that they differ in, a line each.
    pub(super) fn differences(&mut self) -> Vec<String> {
        let (a, b) = (&mut self.first, &mut self.second);
        let mut lines = Vec::new();
        if a.ended != b.ended {
            let word = |e: Option<Exit>| e.map_or("goes on".to_owned(), |e| format!("ends with {e:?}"));
            lines.push(format!("the machine: {}, {}", word(a.ended), word(b.ended)));
        }
        if a.starts != b.starts {
            lines.push(format!("starts after an end: {}, {}", a.starts, b.starts));
        }
        for (n, (x, y)) in a.serial.iter().zip(&b.serial).enumerate().filter(|(_, (x, y))| x != y) {
            let (x, y) = (String::from_utf8_lossy(x), String::from_utf8_lossy(y));
            lines.push(format!("sent by serial port {n}: {x:?}, {y:?}"));
        }
        lines.extend(compare::differences(&mut a.machine, &mut b.machine));
        lines
    }
}

/// One machine in a state that was kept.
pub(super) fn resume(guest: &dyn Guest, party: &Party, at: &Checkpoint) -> Result<Side, String> {
    // made anew for the media, which are not in the snapshot
    let mut machine = guest.machine((party.engine)()?)?;
    let loaded = machine.load_in_place(&at.snapshot[..], (party.engine)()?);
    loaded.map_err(|e| format!("a state that was kept cannot be put back: {e}"))?;
    Ok(Side::over(machine, at.starts))
}
