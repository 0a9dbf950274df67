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
        /// When it was last looked at for [`Clock::glance`]: instructions retired, and the time.
        seen: Option<(u64, Nanos)>,
    },
}

/// Instructions that one look at the host's clock is good for, where somebody asks again and again.
const GLANCED: u64 = 256;

impl Clock {
    /// The end of time, 146 years: a guest that lets idle time pass at once comes no further, and what devices
    /// add to the present does not overflow.
    pub const END: Nanos = 1 << 62;

    /// A clock at 0.
    pub fn new(deterministic: bool) -> Clock {
        if deterministic {
            Clock::Deterministic { idle: 0 }
        } else {
            Clock::Host { start: Some(Instant::now()), before: 0, seen: None }
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
            Clock::Host { start, before, seen } => {
                (*start, *before, *seen) = (Some(Instant::now()), saved, None);
            }
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
            Clock::Host { start, before, .. } => {
                before.saturating_add(start.map_or(0, |s| s.elapsed().as_nanos() as u64))
            }
        };
        now.min(Clock::END)
    }

    /// As [`Clock::now`], for [`Clock::glance`] to go on from.
    pub(crate) fn look(&mut self, retired: u64) -> Nanos {
        let now = self.now(retired);
        if let Clock::Host { seen, .. } = self {
            let last = seen.map_or(0, |(_, at)| at + GLANCED / 4);
            *seen = Some((retired, now.max(last)));
        }
        now
    }

    /// The time for the time-stamp counter, which guests read more often than the host tells the time: what was seen
    /// up to [`GLANCED`] instructions before, plus a quarter of a nanosecond an instruction. It never goes back.
    #[inline]
    pub(crate) fn glance(&mut self, retired: u64) -> Nanos {
        match self {
            Clock::Host { seen: Some((then, at)), .. } if retired.wrapping_sub(*then) < GLANCED => {
                *at + (retired - *then) / 4
            }
            _ => self.look_anew(retired),
        }
    }

    #[inline(never)]
    fn look_anew(&mut self, retired: u64) -> Nanos {
        let now = self.look(retired);
        if let Clock::Host { seen: Some((_, at)), .. } = self { *at } else { now }
    }

    /// Stops the host's clock, or lets it go on. With deterministic time a machine that does not run has none.
    pub(crate) fn set_running(&mut self, on: bool) {
        let now = self.now(0);
        if let Clock::Host { start, before, seen } = self {
            (*start, *before, *seen) = (on.then(Instant::now), now, None);
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
    // 1.6 GHz is 8 ticks in 5 ns, and 8/5 is 1 and 3/5: one division by a constant, and no product beyond 64 bits
    const { assert!(TSC_HZ == 1_600_000_000 && Clock::END <= u64::MAX / 3) };
    now + now * 3 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_is_good_for_few_instructions_and_never_goes_back() {
        let mut clock = Clock::new(false);
        let first = clock.glance(1000);
        assert_eq!(clock.glance(1000 + GLANCED - 1), first + (GLANCED - 1) / 4);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(clock.glance(1000 + GLANCED - 1), first + (GLANCED - 1) / 4);
        let second = clock.glance(1000 + GLANCED);
        assert!(second >= first + 2_000_000, "{first} {second}");
        clock.set_running(false);
        assert!(clock.glance(1000 + GLANCED) >= second);
    }

    #[test]
    fn ticks_are_eight_in_five_nanoseconds() {
        let times = (0..50).chain((1..63).map(|n| 1 << n)).chain([Clock::END - 1, Clock::END]);
        for now in times.filter(|&t| t <= Clock::END) {
            assert_eq!(u128::from(time_stamp(now)), u128::from(now) * 8 / 5, "{now}");
        }
    }

    #[test]
    fn deterministic_glances_are_exact() {
        let mut clock = Clock::new(true);
        assert_eq!(
            [1, 2, 63, 1000].map(|n| clock.glance(n)),
            [1, 2, 63, 1000].map(|n| n * NANOS_PER_INSTRUCTION)
        );
    }
}
