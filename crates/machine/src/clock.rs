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
        /// Power-on, or when the machine went on; `None` while it is stopped.
        start: Option<Instant>,
        /// Time that had passed before.
        before: Nanos,
    },
}

impl Clock {
    /// The end of time, 146 years: a guest that lets idle time pass at once comes no further, and what devices
    /// add to the present does not overflow.
    pub const END: Nanos = 1 << 62;

    /// A clock at 0.
    pub fn new(deterministic: bool) -> Clock {
        if deterministic {
            Clock::Deterministic { idle: 0 }
        } else {
            Clock::Host { start: Some(Instant::now()), before: 0 }
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
            Clock::Host { start, before } => (*start, *before) = (Some(Instant::now()), saved),
        }
    }

    /// Whether the same run has the same times.
    pub fn is_deterministic(&self) -> bool {
        matches!(self, Clock::Deterministic { .. })
    }

    /// The time, with `retired` instructions retired. A saved clock may stand at the end of time.
    #[inline]
    pub fn now(&self, retired: u64) -> Nanos {
        let now = match self {
            Clock::Deterministic { idle } => {
                idle.saturating_add(retired.saturating_mul(NANOS_PER_INSTRUCTION))
            }
            Clock::Host { start, before } => {
                before.saturating_add(start.map_or(0, |s| s.elapsed().as_nanos() as u64))
            }
        };
        now.min(Clock::END)
    }

    /// Stops the host's clock, or lets it go on. With deterministic time a machine that does not run has none.
    pub(crate) fn set_running(&mut self, on: bool) {
        let now = self.now(0);
        if let Clock::Host { start, before } = self {
            (*start, *before) = (on.then(Instant::now), now);
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
            *idle += deadline.min(Clock::END).saturating_sub(now);
        }
    }
}

/// The time-stamp counter at a time, which is [`Clock::END`] at most.
pub(crate) fn time_stamp(now: Nanos) -> u64 {
    // 1.6 GHz is 8 ticks in 5 ns: a division by a constant, in 64 bits
    const { assert!(TSC_HZ == 1_600_000_000) };
    now / 5 * 8 + now % 5 * 8 / 5
}
