//! Intel 82C54 programmable interval timer (data sheet 231244): three counters clocked at 1193182 Hz.
//!
//! A counter's count and output are functions of the clock tick since its counting element was loaded; only a
//! load, a gate change or a programming access changes what is stored.

use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::{Nanos, tick_time, ticks};

/// The clock of all three counters in hertz: 14.31818 MHz / 12.
pub const HZ: u32 = 1_193_182;

#[derive(Debug)]
struct Counter {
    mode: u8,
    bcd: bool,
    /// Read/write mode: 1 least significant byte, 2 most significant byte, 3 both.
    rw: u8,
    gate: bool,
    /// The count register CR.
    cr: u16,
    /// The count register holds a count since the last control word.
    cr_written: bool,
    /// "Null count": what was written has not reached the counting element.
    null: bool,
    write_low: Option<u8>,
    read_high: bool,
    latch: Option<u16>,
    status_latch: Option<u8>,
    /// The counting element was loaded since the last control word.
    active: bool,
    /// Mode 0 between a count's first byte and its load: counting is off and OUT is low.
    held: bool,
    /// The count loaded last, 1 to 65536 (10000 in BCD).
    period: u32,
    /// The tick at which the counting element held `period`.
    start: i64,
    /// The ticks counted when the gate stopped counting.
    paused: Option<i64>,
    /// The tick at which the count register goes to the counting element.
    load_at: Option<i64>,
    /// What the counting element reads while it has not been loaded.
    idle: u16,
}

impl Counter {
    fn new() -> Self {
        Counter {
            mode: 0,
            bcd: false,
            rw: 3,
            gate: true,
            cr: 0,
            cr_written: false,
            null: true,
            write_low: None,
            read_high: false,
            latch: None,
            status_latch: None,
            active: false,
            held: false,
            period: 0x1_0000,
            start: 0,
            paused: None,
            load_at: None,
            idle: 0,
        }
    }

    fn triggered(&self) -> bool {
        matches!(self.mode, 1 | 5)
    }

    fn modulus(&self) -> i64 {
        if self.bcd { 10_000 } else { 0x1_0000 }
    }

    /// The count that CR stands for.
    fn count(&self) -> u32 {
        let digits = |v: u16| (0..4).rev().fold(0, |n, i| n * 10 + u32::from(v >> (4 * i) & 15));
        match (self.bcd, self.cr) {
            (false, 0) => 0x1_0000,
            (false, cr) => u32::from(cr),
            (true, 0) => 10_000,
            (true, cr) => digits(cr),
        }
    }

    fn elapsed(&self, t: i64) -> i64 {
        self.paused.unwrap_or_else(|| t.saturating_sub(self.start)).max(0)
    }

    fn period(&self) -> i64 {
        i64::from(self.period.max(1))
    }

    /// Mode 3's high half: (N + 1) / 2 clocks.
    fn high(&self) -> i64 {
        (self.period() + 1) / 2
    }

    /// Performs a load that has come due.
    fn sync(&mut self, t: i64) {
        let Some(at) = self.load_at.filter(|&at| at <= t) else { return };
        // A new count in mode 3 may begin with the low half.
        let low_half = self.mode == 3 && self.active && self.gate && self.at_half(at);
        self.period = self.count();
        self.start = if low_half { at.saturating_sub(self.high()) } else { at };
        let stopped = !self.gate && !self.triggered();
        self.paused = stopped.then_some(0);
        (self.active, self.held, self.null, self.load_at) = (true, false, false, None);
    }

    /// In mode 3, at a reload: does the low half begin?
    fn at_half(&self, at: i64) -> bool {
        self.paused.is_none() && self.elapsed(at) % self.period() == self.high() % self.period()
    }

    fn out(&self, t: i64) -> bool {
        let (e, n) = (self.elapsed(t), self.period());
        match self.mode {
            0 => self.active && !self.held && e >= n,
            _ if !self.active => true,
            1 => e >= n,
            2 => !self.gate || e % n != n - 1,
            3 => !self.gate || e % n < self.high(),
            _ => e != n,
        }
    }

    /// The next tick after `t` at which OUT can change.
    fn next_change(&self, t: i64) -> Option<i64> {
        let own = if self.active && !self.held && self.paused.is_none() { self.next_edge(t) } else { None };
        match (own, self.load_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn next_edge(&self, t: i64) -> Option<i64> {
        let (e, n) = (self.elapsed(t), self.period());
        let phase = e % n;
        let ahead = match self.mode {
            2 | 3 if n == 1 => return None,
            2 if phase < n - 1 => n - 1 - phase,
            2 => 1,
            3 if phase < self.high() => self.high() - phase,
            3 => n - phase,
            _ if e < n => n - e,
            4 | 5 if e == n => 1,
            _ => return None,
        };
        Some(t.saturating_add(ahead))
    }

    /// How often OUT rises by counting in the ticks (from, to]; no load or access lies between.
    fn rises(&self, from: i64, to: i64) -> u64 {
        if !self.active || self.held || self.paused.is_some() || to <= from {
            return 0;
        }
        let (a, b, n) = (self.elapsed(from), self.elapsed(to), self.period());
        let n_rises = match self.mode {
            2 | 3 if n > 1 => b / n - a / n,
            2 | 3 => 0,
            0 | 1 => i64::from(a < n && b >= n),
            _ => i64::from(a <= n && b > n),
        };
        u64::try_from(n_rises).unwrap_or(0)
    }

    /// What the counting element holds.
    fn value(&self, t: i64) -> u16 {
        if !self.active {
            return self.idle;
        }
        let (e, n) = (self.elapsed(t), self.period());
        let value = match self.mode {
            2 => n - e % n,
            3 => self.square_wave_value(e % n),
            _ => (n - e).rem_euclid(self.modulus()),
        };
        let value = value.rem_euclid(self.modulus());
        if self.bcd { to_bcd(value) } else { (value & 0xffff) as u16 }
    }

    /// Mode 3 counts down by two; an odd count is loaded as count minus one.
    fn square_wave_value(&self, phase: i64) -> i64 {
        let half = if phase < self.high() { phase } else { phase - self.high() };
        (self.period() & !1) - 2 * half
    }

    fn control(&mut self, value: u8, t: i64) {
        self.idle = self.value(t);
        self.rw = value >> 4 & 3;
        self.mode = match value >> 1 & 7 {
            mode @ 0..6 => mode,
            mode => mode & 3,
        };
        self.bcd = value & 1 != 0;
        (self.write_low, self.read_high, self.latch, self.status_latch) = (None, false, None, None);
        (self.active, self.held, self.null, self.cr_written) = (false, false, true, false);
        (self.load_at, self.paused) = (None, None);
    }

    fn write(&mut self, value: u8, t: i64) {
        if self.mode == 0 {
            self.idle = self.value(t);
            self.held = true;
        }
        match (self.rw, self.write_low) {
            (1, _) => self.count_written(u16::from(value), t),
            (2, _) => self.count_written(u16::from(value) << 8, t),
            (_, None) => self.write_low = Some(value),
            (_, Some(low)) => {
                self.write_low = None;
                self.count_written(u16::from_le_bytes([low, value]), t);
            }
        }
    }

    fn count_written(&mut self, cr: u16, t: i64) {
        (self.cr, self.cr_written, self.null) = (cr, true, true);
        match self.mode {
            0 | 4 => self.load_at = Some(t.saturating_add(1)),
            2 | 3 if !self.active => self.load_at = Some(t.saturating_add(1)),
            2 | 3 if self.gate => self.load_at = Some(self.end_of_cycle(t)),
            _ => {}
        }
    }

    /// The next reload: after a cycle in mode 2, after a half-cycle in mode 3.
    fn end_of_cycle(&self, t: i64) -> i64 {
        let (n, phase) = (self.period(), self.elapsed(t) % self.period());
        let ahead = if self.mode == 3 && phase < self.high() { self.high() - phase } else { n - phase };
        t.saturating_add(ahead.max(1))
    }

    fn set_gate(&mut self, level: bool, t: i64) {
        if level == self.gate {
            return;
        }
        self.gate = level;
        match (self.mode, level) {
            (0 | 4, true) => self.resume(t),
            (0 | 4, false) if self.active => self.paused = Some(self.elapsed(t)),
            (2 | 3, false) if self.active => {
                self.paused = Some(self.elapsed(t));
                self.load_at = None;
            }
            (1 | 2 | 3 | 5, true) if self.cr_written => self.load_at = Some(t.saturating_add(1)),
            _ => {}
        }
    }

    fn resume(&mut self, t: i64) {
        if let Some(elapsed) = self.paused.take() {
            self.start = t.saturating_sub(elapsed);
        }
    }

    fn latch_count(&mut self, t: i64) {
        if self.latch.is_none() {
            self.latch = Some(self.value(t));
        }
    }

    fn latch_status(&mut self, t: i64) {
        let status = u8::from(self.out(t)) << 7
            | u8::from(self.null) << 6
            | self.rw << 4
            | self.mode << 1
            | u8::from(self.bcd);
        self.status_latch.get_or_insert(status);
    }

    fn read(&mut self, t: i64) -> u8 {
        if let Some(status) = self.status_latch.take() {
            return status;
        }
        let [low, high] = self.latch.unwrap_or_else(|| self.value(t)).to_le_bytes();
        match self.rw {
            1 => {
                self.latch = None;
                low
            }
            2 => {
                self.latch = None;
                high
            }
            _ if self.read_high => {
                (self.read_high, self.latch) = (false, None);
                high
            }
            _ => {
                self.read_high = true;
                low
            }
        }
    }
}

fn to_bcd(value: i64) -> u16 {
    let digit = |d: i64| (value / d % 10) as u16;
    digit(1000) << 12 | digit(100) << 8 | digit(10) << 4 | digit(1)
}

fn tick(now: Nanos) -> i64 {
    ticks(now, HZ) as i64 // below 2^55
}

/// The 82C54.
#[derive(Debug)]
pub struct Pit {
    counters: [Counter; 3],
    /// The tick up to which rises of OUT0 have been counted.
    seen: i64,
    rises0: u64,
}

impl Default for Pit {
    fn default() -> Self {
        Self::new()
    }
}

impl Pit {
    /// The timer after power-on: nothing programmed; the gates of counters 0 and 1 are tied high, that of
    /// counter 2 is low until port 61h raises it.
    pub fn new() -> Self {
        let mut pit = Pit { counters: [Counter::new(), Counter::new(), Counter::new()], seen: 0, rises0: 0 };
        pit.counters[2].gate = false;
        pit
    }

    /// Reads port 40h + `offset`. The control port (3) cannot be read and gives FFh.
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        let t = self.sync(now);
        match self.counters.get_mut(usize::from(offset & 3)) {
            Some(counter) => counter.read(t),
            None => 0xff,
        }
    }

    /// Writes port 40h + `offset`.
    pub fn write(&mut self, offset: u16, value: u8, now: Nanos) {
        let t = self.sync(now);
        match self.counters.get_mut(usize::from(offset & 3)) {
            Some(counter) => counter.write(value, t),
            None => self.control(value, t),
        }
    }

    fn control(&mut self, value: u8, t: i64) {
        match (self.counters.get_mut(usize::from(value >> 6)), value >> 4 & 3) {
            (Some(counter), 0) => counter.latch_count(t),
            (Some(counter), _) => counter.control(value, t),
            (None, _) => self.read_back(value, t),
        }
    }

    fn read_back(&mut self, value: u8, t: i64) {
        for (i, counter) in self.counters.iter_mut().enumerate() {
            if value & (2 << i) == 0 {
                continue;
            }
            if value & 0x20 == 0 {
                counter.latch_count(t);
            }
            if value & 0x10 == 0 {
                counter.latch_status(t);
            }
        }
    }

    /// Sets the gate of a counter, 0 to 2; others are ignored.
    pub fn set_gate(&mut self, counter: usize, level: bool, now: Nanos) {
        let t = self.sync(now);
        if let Some(counter) = self.counters.get_mut(counter) {
            counter.set_gate(level, t);
        }
    }

    /// The level of a counter's gate.
    pub fn gate(&self, counter: usize) -> bool {
        self.counters.get(counter).is_some_and(|c| c.gate)
    }

    /// The level of a counter's OUT pin; `true` for a counter that does not exist.
    pub fn out(&mut self, counter: usize, now: Nanos) -> bool {
        let t = self.sync(now);
        self.counters.get(counter).is_none_or(|c| c.out(t))
    }

    /// The level of OUT0 (IRQ 0) at the time of the last access or advance.
    pub fn irq(&self) -> bool {
        self.counters[0].out(self.seen)
    }

    /// How often OUT0 rose by counting since this was last asked, up to `now`: a board that comes late sees here
    /// the edges that the level alone no longer shows.
    pub fn take_irq0_edges(&mut self, now: Nanos) -> u64 {
        self.sync(now);
        std::mem::take(&mut self.rises0)
    }

    /// When OUT0 changes next by itself.
    pub fn deadline(&self) -> Option<Nanos> {
        let next = self.counters[0].next_change(self.seen)?;
        u64::try_from(next).ok().map(|t| tick_time(t, HZ))
    }

    /// Brings the timer to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.sync(now);
    }

    fn sync(&mut self, now: Nanos) -> i64 {
        let to = tick(now).max(self.seen);
        let c = &mut self.counters[0];
        let load = c.load_at.filter(|&at| at <= to);
        let first = c.rises(self.seen, load.unwrap_or(to));
        c.sync(to);
        let second = load.map_or(0, |at| c.rises(at, to));
        self.rises0 = self.rises0.saturating_add(first).saturating_add(second);
        self.counters[1].sync(to);
        self.counters[2].sync(to);
        self.seen = to;
        to
    }

    fn check(state: &PitStateV1) -> Result<(), StateError> {
        let sane = |t: i64| (-0x2_0000..1 << 56).contains(&t);
        ensure((0..1 << 56).contains(&state.seen), "pit8254", "seen")?;
        for c in &state.counters {
            ensure(c.mode < 6, "pit8254", "mode")?;
            ensure((1..=3).contains(&c.rw), "pit8254", "rw")?;
            ensure((1..=0x1_0000).contains(&c.period), "pit8254", "period")?;
            ensure(sane(c.start) && c.start <= state.seen, "pit8254", "start")?;
            ensure(c.paused.is_none_or(sane), "pit8254", "paused")?;
            ensure(c.load_at.is_none_or(sane), "pit8254", "load_at")?;
        }
        Ok(())
    }
}

frozen! {
    /// One counter, version 1; times are in ticks of the timer's clock.
    CounterStateV1 of Counter {
        mode: u8, bcd: bool, rw: u8, gate: bool, cr: u16, cr_written: bool, null: bool, write_low: Option<u8>,
        read_high: bool, latch: Option<u16>, status_latch: Option<u8>, active: bool, held: bool, period: u32,
        start: i64, paused: Option<i64>, load_at: Option<i64>, idle: u16,
    }
}
frozen! {
    /// The timer, version 1.
    PitStateV1 of Pit { counters: [CounterStateV1; 3], seen: i64, rises0: u64 }
}
device_state!(Pit, PitState, PitStateV1);

#[cfg(test)]
#[path = "pit8254_tests.rs"]
mod tests;
