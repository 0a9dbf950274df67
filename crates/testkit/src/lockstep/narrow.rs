//! Where two runs part: by running again from a state that was kept.
//!
//! A compiling engine that starts there has compiled nothing yet, and one that is stopped elsewhere
//! compiles other code; so what was seen may not come again, and is then looked for in other ways.

use super::compare::Depth;
use super::pair::{Checkpoint, Pair, Side, resume};
use super::{Divergence, Guest, Lockstep, Notice, Party, next_stop};

/// Instructions told of before the one in question, and behind it.
const AROUND: (u64, u64) = (16, 2);

/// Runs again, always in the same way.
struct Replay<'a> {
    guest: &'a dyn Guest,
    parties: &'a [Party; 2],
    every: u64,
    /// `None`: from the guest's start.
    from: Option<&'a Checkpoint>,
}

/// Where the states are the same, where they differ, and the machines there.
type Found = (u64, u64, Pair);

impl Replay<'_> {
    fn origin(&self) -> u64 {
        self.from.map_or(0, |k| k.retired)
    }

    /// Both machines at a count, with the stops of the first run on the way.
    fn to(&self, count: u64) -> Result<Pair, String> {
        let mut pair = match self.from {
            Some(kept) => Pair::resume(self.guest, self.parties, kept)?,
            None => Pair::new(self.guest, self.parties)?,
        };
        let mut at = self.origin();
        while at < count {
            at = next_stop(self.every, self.guest.period(), at).min(count);
            pair.run_to(self.guest, at);
            if at < count {
                // taking what is dirty changes which stores are plain, as it did the first time
                pair.same(Depth::Written);
                pair.refresh(self.guest, at);
            }
        }
        Ok(pair)
    }

    fn differ_at(&self, count: u64) -> Result<Option<Pair>, String> {
        let mut pair = self.to(count)?;
        Ok((!pair.same(Depth::Everything)).then_some(pair))
    }

    /// The states differ at `high`: finds the first count at which they do, or one of several.
    fn bisect(&self, good: u64, high: u64) -> Result<Option<Found>, String> {
        let Some(mut pair) = self.differ_at(high)? else { return Ok(None) };
        // devices and memory that was not noted are seen late
        let (mut low, mut high) = (good, high);
        if let Some(earlier) = self.differ_at(low)? {
            (low, high, pair) = (self.origin(), low, earlier);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.differ_at(middle)? {
                Some(found) => (high, pair) = (middle, found),
                None => low = middle,
            }
        }
        Ok(Some((low, high, pair)))
    }

    /// Runs to `low`, and from there with comparisons every `stride` instructions.
    fn walk(&self, low: u64, high: u64, stride: u64) -> Result<Option<Found>, String> {
        let mut pair = self.to(low)?;
        if !pair.same(Depth::Everything) {
            return Ok(Some((self.origin(), low, pair)));
        }
        let mut at = low;
        while at < high {
            // a stop is compared and then refreshed, and what was kept has been
            if at > self.origin() {
                pair.refresh(self.guest, at);
            }
            let stop = next_stop(stride, self.guest.period(), at).min(high);
            pair.run_to(self.guest, stop);
            if !pair.same(Depth::Devices) {
                return Ok(Some((at, stop, pair)));
            }
            at = stop;
        }
        Ok(None)
    }
}

/// A way to look closer, and what to say where it finds something.
struct Attempt<'a> {
    doing: &'static str,
    remark: &'static str,
    look: Box<dyn Fn() -> Result<Option<Found>, String> + 'a>,
}

impl Lockstep<'_> {
    /// The states of `seen` were the same at `good`, and differ at `bad`.
    pub(super) fn narrow(
        &mut self,
        seen: &mut Pair,
        good: u64,
        bad: u64,
        kept: Option<&Checkpoint>,
    ) -> Divergence {
        let names = self.parties.each_ref().map(|p| p.name.clone());
        let mut found = Divergence {
            names,
            same_at: good,
            differ_at: bad,
            remarks: Vec::new(),
            instructions: Vec::new(),
            differences: seen.differences(),
        };
        let looked = self.look_closer(&mut found, kept).and_then(|()| self.around(&found, kept));
        match looked {
            Ok(instructions) => found.instructions = instructions,
            // what was seen is worth more than a second look that fails
            Err(why) => found.remarks.push(format!("it could not be looked at closer: {why}")),
        }
        found
    }

    fn look_closer(&mut self, found: &mut Divergence, kept: Option<&Checkpoint>) -> Result<(), String> {
        let (guest, parties, every) = (self.guest, &self.parties, self.options.every);
        let near = Replay { guest, parties, every, from: kept };
        let start = Replay { guest, parties, every, from: None };
        let (good, bad) = (found.same_at, found.differ_at);
        for attempt in attempts(&near, &start, good, bad) {
            (self.notice)(Notice::Doing(format!("{bad} instructions: the states differ; {}", attempt.doing)));
            let Some((same, differ, mut pair)) = (attempt.look)()? else {
                found.remarks.push(format!("{}: no difference up to {bad}", attempt.doing));
                continue;
            };
            (found.same_at, found.differ_at) = (same, differ);
            found.differences = pair.differences();
            found.remarks.push(format!("found by {}{}", attempt.doing, attempt.remark));
            return Ok(());
        }
        found
            .remarks
            .push("the difference did not come again; it is told of as it was first seen".to_owned());
        Ok(())
    }

    /// The instructions around the one that makes the difference.
    fn around(&self, found: &Divergence, kept: Option<&Checkpoint>) -> Result<Vec<String>, String> {
        if found.differ_at != found.same_at + 1 {
            return Ok(Vec::new());
        }
        let kept = kept.filter(|k| k.retired <= found.same_at);
        let mut side = match kept {
            Some(kept) => resume(self.guest, &self.parties[0], kept)?,
            None => Side::new(self.guest, &self.parties[0])?,
        };
        let first = found.same_at.saturating_sub(AROUND.0).max(kept.map_or(0, |k| k.retired));
        self.alone(&mut side, kept.map_or(0, |k| k.retired), first);
        let mut lines = Vec::new();
        for count in first..found.differ_at + AROUND.1 {
            let mark = if count == found.same_at { '>' } else { ' ' };
            lines.push(format!("{mark} {:>12}  {}", count + 1, side.machine.describe()));
            self.alone(&mut side, count, count + 1);
        }
        Ok(lines)
    }

    /// Moves one machine on, with the guest's refreshes.
    fn alone(&self, side: &mut Side, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            at = self.guest.period().map_or(to, |p| (at / p + 1) * p).min(to);
            side.run_to(self.guest, at);
            if self.guest.period().is_some_and(|p| at.is_multiple_of(p)) {
                self.guest.refresh(&mut side.machine, at);
            }
        }
    }
}

/// From the likely and quick ones to those that take long.
fn attempts<'a>(near: &'a Replay<'a>, start: &'a Replay<'a>, good: u64, bad: u64) -> Vec<Attempt<'a>> {
    let mut all = vec![Attempt {
        doing: "running again to ever nearer counts from the last state that was kept",
        remark: "; each was stopped there, and compiled code shows a mistake at the first stop behind it \
                 that it reaches: the cause may lie some instructions before",
        look: Box::new(move || near.bisect(good, bad)),
    }];
    if near.from.is_some() {
        all.push(Attempt {
            doing: "running again to ever nearer counts from the start",
            remark: ", not from the state kept last: it takes what the engine did before that",
            look: Box::new(move || start.bisect(good, bad)),
        });
    }
    all.push(Attempt {
        doing: "running again from the last state that was kept, comparing every 100 instructions",
        remark: ", and not with the stops of the first run",
        look: Box::new(move || near.walk(near.origin(), bad, 100)),
    });
    all.push(Attempt {
        doing: "running again from the last state that was kept, comparing after every instruction at the end",
        remark: ", and not with fewer stops",
        look: Box::new(move || near.walk(good, bad, 1)),
    });
    all
}
