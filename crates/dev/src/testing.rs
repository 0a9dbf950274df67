//! Helpers for the tests of all devices.

use serde::{Serialize, de::DeserializeOwned};

/// A small xorshift generator: the fuzz tests are the same on every run.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub(crate) fn byte(&mut self) -> u8 {
        (self.next() >> 32) as u8
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
    /// A step in time: mostly short, now and then long, seldom enormous.
    pub(crate) fn step(&mut self) -> u64 {
        match self.below(64) {
            0 => self.next() >> 20,
            1..8 => self.next() >> 36,
            _ => self.next() >> 50,
        }
    }
}

/// Runs `step(random, now)` 100 000 times with growing time, ending at the very end of time.
pub(crate) fn fuzz(seed: u64, mut step: impl FnMut(&mut Random, u64)) {
    let mut random = Random(seed | 1);
    let mut now = 0u64;
    for _ in 0..100_000 {
        now = now.saturating_add(random.step());
        step(&mut random, now);
    }
    for _ in 0..1000 {
        step(&mut random, u64::MAX);
    }
}

/// Encodes with postcard and decodes again.
pub(crate) fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let bytes = postcard::to_stdvec(value).expect("encodes");
    postcard::from_bytes(&bytes).expect("decodes")
}
