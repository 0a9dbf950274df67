//! Port 92h, system control port A of the PS/2 (as the PIIX3 has it): fast A20 and fast reset.

use crate::state::{StateError, device_state, ensure, frozen};

/// Port 92h.
#[derive(Debug, Default)]
pub struct Port92 {
    value: u8,
    reset: bool,
}

impl Port92 {
    /// A20 masked, no reset.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the port: bit 0 fast reset, bit 1 A20.
    pub fn read(&self) -> u8 {
        self.value
    }

    /// Writes the port. A rise of bit 0 pulses the CPU's reset.
    pub fn write(&mut self, value: u8) {
        self.reset |= value & !self.value & 1 != 0;
        self.value = value & 3;
    }

    /// Whether this port lets A20 through; the board ORs it with the keyboard controller's.
    pub fn a20(&self) -> bool {
        self.value & 2 != 0
    }

    /// Sets or clears the A20 bit, for a board that keeps both gates in step.
    pub fn set_a20(&mut self, on: bool) {
        self.value = self.value & !2 | u8::from(on) << 1;
    }

    /// Whether a reset was asked for since the last call. The bit goes back to 0 with the reset.
    pub fn take_reset(&mut self) -> bool {
        let reset = std::mem::take(&mut self.reset);
        self.value &= !u8::from(reset);
        reset
    }

    fn check(state: &Port92StateV1) -> Result<(), StateError> {
        ensure(state.value < 4, "port92", "value")
    }
}

frozen! {
    /// Port 92h, version 1.
    Port92StateV1 of Port92 { value: u8, reset: bool }
}
device_state!(Port92, Port92State, Port92StateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    #[test]
    fn a20_and_reset() {
        let mut port = Port92::new();
        port.write(0x02);
        assert!(port.a20() && !port.take_reset());
        port.write(0x03);
        assert!(port.take_reset());
        assert!(!port.take_reset());
        assert_eq!(port.read(), 2);
    }

    #[test]
    fn random_accesses_never_panic_and_state_round_trips() {
        let mut port = Port92::new();
        fuzz(4, |r, _| match r.below(3) {
            0 => port.write(r.byte()),
            1 => _ = port.take_reset(),
            _ => assert!(port.read() < 4),
        });
        let mut other = Port92::new();
        other.restore(&round_trip(&port.save())).expect("valid");
        assert_eq!(other.save(), port.save());
        assert!(other.restore(&Port92State::V1(Port92StateV1 { value: 4, reset: false })).is_err());
    }
}
