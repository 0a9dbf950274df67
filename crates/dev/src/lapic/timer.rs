//! The local APIC's timer (Intel SDM vol. 3A, 10.5.4).

use super::BUS_HZ;
use crate::state::{StateError, ensure, frozen};
use crate::time::{Nanos, tick_time, ticks};

/// The count-down timer. Counts and the divisor are registers; times are in ticks of the bus clock.
#[derive(Debug, Default)]
pub(super) struct Timer {
    /// The initial-count register.
    initial: u32,
    /// The divide configuration register: bits 3, 1 and 0.
    divide: u8,
    /// What was left to count at `start`; 0: it stands still.
    count: u32,
    start: u64,
    /// The latest time that it was brought to.
    seen: u64,
}

impl Timer {
    /// Log2 of the divisor: 000b is 2, ... 110b is 128, 111b is 1.
    fn shift(&self) -> u32 {
        let code = self.divide & 3 | self.divide >> 1 & 4;
        u32::from((code + 1) & 7)
    }

    fn elapsed(&self) -> u64 {
        self.seen.saturating_sub(self.start) >> self.shift()
    }

    /// Brings it to `now`; whether it reached 0 on the way.
    pub(super) fn advance(&mut self, now: Nanos, periodic: bool) -> bool {
        self.seen = self.seen.max(ticks(now, BUS_HZ));
        let (elapsed, count) = (self.elapsed(), u64::from(self.count));
        if count == 0 || elapsed < count {
            return false;
        }
        if !periodic {
            self.count = 0;
            return true;
        }
        // "reloaded automatically from the initial-count register"; a count is loaded only where that is not 0
        let period = u64::from(self.initial.max(1));
        let cycles = (elapsed - count) / period;
        self.start = self.start.saturating_add((count + cycles * period) << self.shift());
        self.count = self.initial;
        true
    }

    /// When it reaches 0.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let left = u64::from(self.count) << self.shift();
        (self.count > 0).then(|| tick_time(self.start.saturating_add(left), BUS_HZ))
    }

    pub(super) fn initial(&self) -> u32 {
        self.initial
    }

    /// The current-count register, at the time it was brought to.
    pub(super) fn current(&self) -> u32 {
        u32::try_from(u64::from(self.count).saturating_sub(self.elapsed())).unwrap_or(0)
    }

    /// A write to the initial-count register starts it; 0 stops it.
    pub(super) fn load(&mut self, count: u32) {
        (self.initial, self.count, self.start) = (count, count, self.seen);
    }

    pub(super) fn divide(&self) -> u8 {
        self.divide
    }

    /// What is left is counted at the new rate.
    pub(super) fn set_divide(&mut self, divide: u8) {
        (self.count, self.start) = (self.current(), self.seen);
        self.divide = divide & 0xb;
    }

    /// Back to the state after reset, at the same time.
    pub(super) fn reset(&mut self) {
        *self = Timer { seen: self.seen, ..Timer::default() };
    }

    pub(super) fn check(s: &TimerStateV1) -> Result<(), StateError> {
        ensure(s.divide & !0xb == 0, "lapic", "divide")?;
        ensure(s.count <= s.initial, "lapic", "count")?;
        ensure(s.seen < 1 << 62 && s.start <= s.seen, "lapic", "start")
    }
}

frozen! {
    /// The timer, version 1; times are in ticks of the bus clock.
    TimerStateV1 of Timer { initial: u32, divide: u8, count: u32, start: u64, seen: u64 }
}
