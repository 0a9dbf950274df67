//! Port 61h, the PIIX3's NMI status and control register (82371SB data sheet 290550): the timer's counter 2 gate,
//! the speaker and the refresh toggle.

use crate::pit8254::Pit;
use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;

/// The time between two refresh requests, in nanoseconds: the refresh toggle (bit 4) flips this often.
pub const REFRESH_PERIOD: Nanos = 15_085;

/// The writable part of port 61h.
#[derive(Debug, Default)]
pub struct Port61 {
    value: u8,
}

impl Port61 {
    /// Everything off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the port: bit 0 gate 2, 1 speaker data, 2 and 3 NMI disables, 4 refresh toggle, 5 OUT2.
    pub fn read(&self, pit: &mut Pit, now: Nanos) -> u8 {
        let refresh = u8::from(now / REFRESH_PERIOD % 2 == 1);
        self.value | refresh << 4 | u8::from(pit.out(2, now)) << 5
    }

    /// Writes the port; bit 0 drives the gate of the timer's counter 2.
    pub fn write(&mut self, value: u8, pit: &mut Pit, now: Nanos) {
        self.value = value & 0x0f;
        pit.set_gate(2, value & 1 != 0, now);
    }

    /// The speaker data bit.
    pub fn is_on(&self) -> bool {
        self.value & 2 != 0
    }

    /// The level at the speaker: OUT2 and the speaker data bit.
    pub fn speaker(&self, pit: &mut Pit, now: Nanos) -> bool {
        self.is_on() && pit.out(2, now)
    }

    fn check(state: &Port61StateV1) -> Result<(), StateError> {
        ensure(state.value < 16, "port61", "value")
    }
}

frozen! {
    /// Port 61h, version 1.
    Port61StateV1 of Port61 { value: u8 }
}
device_state!(Port61, Port61State, Port61StateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pit8254::HZ;
    use crate::testing::{fuzz, round_trip};
    use crate::time::tick_time;

    // The way that Linux calibrates the TSC: mode 0 on counter 2, gate up, wait for bit 5.
    #[test]
    fn gate_and_out2() {
        let (mut pit, mut port) = (Pit::new(), Port61::new());
        port.write(0x01, &mut pit, 0);
        pit.write(3, 0xb0, 0);
        pit.write(2, 100, 0);
        pit.write(2, 0, 0);
        assert_eq!(port.read(&mut pit, tick_time(100, HZ)) & 0x21, 0x01);
        assert_eq!(port.read(&mut pit, tick_time(101, HZ)) & 0x21, 0x21);
        assert!(!port.speaker(&mut pit, tick_time(101, HZ)));
        port.write(0x03, &mut pit, tick_time(101, HZ));
        assert!(port.speaker(&mut pit, tick_time(101, HZ)));
    }

    #[test]
    fn refresh_toggles() {
        let (mut pit, port) = (Pit::new(), Port61::new());
        let bits: Vec<u8> = (0..4).map(|i| port.read(&mut pit, i * REFRESH_PERIOD) >> 4 & 1).collect();
        assert_eq!(bits, [0, 1, 0, 1]);
    }

    #[test]
    fn random_accesses_never_panic_and_state_round_trips() {
        let (mut pit, mut port) = (Pit::new(), Port61::new());
        fuzz(3, |r, now| {
            if r.below(2) == 0 { port.write(r.byte(), &mut pit, now) } else { _ = port.read(&mut pit, now) }
        });
        let mut other = Port61::new();
        other.restore(&round_trip(&port.save())).expect("valid");
        assert_eq!(other.save(), port.save());
        assert!(other.restore(&Port61State::V1(Port61StateV1 { value: 16 })).is_err());
    }
}
