//! Virtual time and its exact conversion to clock ticks.

/// Virtual time in nanoseconds since the machine was switched on.
pub type Nanos = u64;

/// Nanoseconds in a second.
pub const SECOND: Nanos = 1_000_000_000;

/// The number of whole ticks of a clock of `hz` hertz (below 2^32) in `now` nanoseconds: exact, without drift.
pub fn ticks(now: Nanos, hz: u32) -> u64 {
    let t = u128::from(now) * u128::from(hz) / u128::from(SECOND);
    u64::try_from(t).unwrap_or(u64::MAX)
}

/// The earliest time in nanoseconds at which [`ticks`] reaches `tick`; saturates at the end of time.
pub fn tick_time(tick: u64, hz: u32) -> Nanos {
    let t = (u128::from(tick) * u128::from(SECOND)).div_ceil(u128::from(hz.max(1)));
    u64::try_from(t).unwrap_or(u64::MAX)
}

/// The earlier of two optional deadlines.
pub fn earlier(a: Option<Nanos>, b: Option<Nanos>) -> Option<Nanos> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tick_time_is_the_first_instant_of_a_tick() {
        for tick in [0, 1, 2, 1_193_181, 1_193_182, 987_654_321, 1 << 40] {
            let t = tick_time(tick, 1_193_182);
            assert_eq!(ticks(t, 1_193_182), tick);
            assert!(t == 0 || ticks(t - 1, 1_193_182) == tick - 1);
        }
        // An hour holds exactly 3600 times the frequency: no drift.
        assert_eq!(ticks(3600 * SECOND, 1_193_182), 3600 * 1_193_182);
    }

    #[test]
    fn the_end_of_time_saturates() {
        assert_eq!(tick_time(u64::MAX, 1), u64::MAX);
        assert_eq!(earlier(None, Some(3)), Some(3));
        assert_eq!(earlier(Some(2), Some(3)), Some(2));
    }
}
