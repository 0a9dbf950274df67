//! Two ports without a chip: the debug console at E9h (a convention of Bochs) and the POST code latch at 80h.

use std::collections::VecDeque;

use crate::state::{StateError, device_state, ensure, frozen};

/// How many bytes of output wait at most; more are dropped, the oldest first.
pub const OUTPUT_LIMIT: usize = 64 * 1024;

/// Ports E9h and 80h.
#[derive(Debug, Default)]
pub struct IsaDebug {
    output: VecDeque<u8>,
    post: u8,
}

impl IsaDebug {
    /// Nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads port E9h: E9h, by which a guest knows that the console is there.
    pub fn read_console(&self) -> u8 {
        0xe9
    }

    /// Writes a byte to port E9h.
    pub fn write_console(&mut self, value: u8) {
        if self.output.len() >= OUTPUT_LIMIT {
            self.output.pop_front();
        }
        self.output.push_back(value);
    }

    /// The POST code last written to port 80h.
    pub fn post_code(&self) -> u8 {
        self.post
    }

    /// Writes port 80h.
    pub fn write_post(&mut self, value: u8) {
        self.post = value;
    }

    /// Takes what the guest wrote to the console.
    pub fn take_output(&mut self) -> impl Iterator<Item = u8> + '_ {
        self.output.drain(..)
    }

    fn check(state: &IsaDebugStateV1) -> Result<(), StateError> {
        ensure(state.output.len() <= OUTPUT_LIMIT, "isa_debug", "output")
    }
}

frozen! {
    /// The debug ports, version 1.
    IsaDebugStateV1 of IsaDebug { output: VecDeque<u8>, post: u8 }
}
device_state!(IsaDebug, IsaDebugState, IsaDebugStateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    #[test]
    fn console_and_post() {
        let mut debug = IsaDebug::new();
        b"ok".iter().for_each(|&b| debug.write_console(b));
        debug.write_post(0x55);
        assert_eq!(debug.take_output().collect::<Vec<_>>(), b"ok");
        assert_eq!(debug.take_output().count(), 0);
        assert_eq!((debug.post_code(), debug.read_console()), (0x55, 0xe9));
    }

    #[test]
    fn output_is_bounded_and_state_round_trips() {
        let mut debug = IsaDebug::new();
        fuzz(5, |r, _| {
            debug.write_console(r.byte());
            debug.write_post(r.byte());
        });
        let mut other = IsaDebug::new();
        other.restore(&round_trip(&debug.save())).expect("valid");
        assert_eq!(other.save(), debug.save());
        assert_eq!(debug.take_output().count(), OUTPUT_LIMIT);
        let output = std::iter::repeat_n(0, OUTPUT_LIMIT + 1).collect();
        assert!(other.restore(&IsaDebugState::V1(IsaDebugStateV1 { output, post: 0 })).is_err());
    }
}
