//! The one clock that drives TSC, PIT, RTC, the APIC timer and the PM timer, in its two forms.

use std::time::Instant;

pub use dev::Nanos;

/// Ticks of the time-stamp counter in a second (the N270's 1.6 GHz).
pub const TSC_HZ: u64 = 1_600_000_000;

/// Virtual nanoseconds an instruction takes with deterministic time: 200 million a second.
const NANOS_PER_INSTRUCTION: u64 = 5;

/// Virtual time since power-on.
#[derive(Clone, Debug)]
pub enum Clock {
    /// From instructions retired, plus the idle time that was skipped.
    Deterministic {
        /// Nanoseconds of skipped idle time.
        idle: Nanos,
    },
    /// From the host.
    Host {
        /// Power-on, or when a snapshot was loaded.
        start: Instant,
        /// Time that had passed before.
        before: Nanos,
    },
}

impl Clock {
    /// A clock at 0.
    pub fn new(deterministic: bool) -> Clock {
        if deterministic {
            Clock::Deterministic { idle: 0 }
        } else {
            Clock::Host { start: Instant::now(), before: 0 }
        }
    }

    /// What a snapshot keeps: idle time, or the time that has passed.
    pub(crate) fn saved(&self) -> Nanos {
        match self {
            Clock::Deterministic { idle } => *idle,
            Clock::Host { .. } => self.now(0),
        }
    }

    /// Goes on from a saved time.
    pub(crate) fn restore(&mut self, saved: Nanos) {
        match self {
            Clock::Deterministic { idle } => *idle = saved,
            Clock::Host { start, before } => (*start, *before) = (Instant::now(), saved),
        }
    }

    /// Whether the same run has the same times.
    pub fn is_deterministic(&self) -> bool {
        matches!(self, Clock::Deterministic { .. })
    }

    /// The time, with `retired` instructions retired. A saved clock may stand at the end of time.
    #[inline]
    pub fn now(&self, retired: u64) -> Nanos {
        match self {
            Clock::Deterministic { idle } => {
                idle.saturating_add(retired.saturating_mul(NANOS_PER_INSTRUCTION))
            }
            Clock::Host { start, before } => before.saturating_add(start.elapsed().as_nanos() as u64),
        }
    }

    /// The retired count at which the time will be `deadline` or just after.
    pub fn instructions_until(&self, deadline: Nanos, retired: u64) -> u64 {
        let left = deadline.saturating_sub(self.now(retired));
        retired.saturating_add(left.div_ceil(NANOS_PER_INSTRUCTION))
    }

    /// Lets idle time pass at once.
    pub fn skip_to(&mut self, deadline: Nanos, retired: u64) {
        let now = self.now(retired);
        if let Clock::Deterministic { idle } = self {
            *idle = idle.saturating_add(deadline.saturating_sub(now));
        }
    }
}

/// The time-stamp counter at a time.
pub(crate) fn time_stamp(now: Nanos) -> u64 {
    (u128::from(now) * u128::from(TSC_HZ) / 1_000_000_000) as u64
}
