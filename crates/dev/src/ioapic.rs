//! The 82093AA I/O APIC (data sheet 290566): 24 inputs, each with an entry that says what becomes of it.
//!
//! It speaks to local APICs by [`Message`]s: the board asks for those that wait, hands them over and says whether
//! they were taken, and brings back the ends of level-triggered interrupts.

use crate::apic_bus::{Message, delivery};
use crate::state::{StateError, device_state, ensure, frozen};

/// Where its two registers are.
pub const BASE: u32 = 0xfec0_0000;
/// Inputs.
pub const PINS: usize = 24;

/// The index register IOREGSEL, and the window IOWIN to the register that it names.
const SELECT: u16 = 0x00;
const WINDOW: u16 = 0x10;

/// Version 11h, the last of 24 entries.
const VERSION: u32 = 0x0017_0011;
const REMOTE_IRR: u64 = 1 << 14;
const ACTIVE_LOW: u64 = 1 << 13;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// Bits of an entry that a guest can write: all that exist but the delivery status, which is always idle
/// here, and remote IRR.
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// The I/O APIC.
#[derive(Debug)]
pub struct IoApic {
    select: u8,
    id: u8,
    /// The redirection table.
    entries: [u64; PINS],
    /// The levels of the inputs.
    lines: u32,
    /// Edges that were seen and not yet sent.
    edges: u32,
}

impl Default for IoApic {
    fn default() -> Self {
        Self::new()
    }
}

/// Level-triggered: only what has a vector can be (table of the delivery modes).
fn by_level(entry: u64) -> bool {
    entry & LEVEL != 0 && matches!(mode(entry), delivery::FIXED | delivery::LOWEST)
}

fn mode(entry: u64) -> u8 {
    (entry >> 8 & 7) as u8
}

impl IoApic {
    /// After reset: everything masked.
    pub fn new() -> Self {
        IoApic { select: 0, id: 0, entries: [MASKED; PINS], lines: 0, edges: 0 }
    }

    /// Reads the register at an offset.
    pub fn read(&self, offset: u16) -> u32 {
        match offset {
            SELECT => self.select.into(),
            WINDOW => self.read_selected(),
            _ => 0,
        }
    }

    fn read_selected(&self) -> u32 {
        match self.select {
            // the arbitration ID is a copy of the ID
            0 | 2 => u32::from(self.id) << 24,
            1 => VERSION,
            n => match self.entries.get(usize::from(n.wrapping_sub(0x10) >> 1)) {
                Some(entry) if n >= 0x10 => (entry >> (32 * (n & 1))) as u32,
                _ => 0,
            },
        }
    }

    /// Writes the register at an offset; messages may wait afterwards.
    pub fn write(&mut self, offset: u16, value: u32) {
        match offset {
            SELECT => self.select = value as u8,
            WINDOW => self.write_selected(value),
            _ => {}
        }
    }

    fn write_selected(&mut self, value: u32) {
        match self.select {
            0 => self.id = (value >> 24 & 0xf) as u8,
            n if n >= 0x10 => self.write_entry(usize::from(n - 0x10) >> 1, n & 1 != 0, value),
            _ => {}
        }
    }

    fn write_entry(&mut self, pin: usize, upper: bool, value: u32) {
        let Some(entry) = self.entries.get_mut(pin) else { return };
        let (shift, value) = if upper { (32, u64::from(value) << 32) } else { (0, u64::from(value)) };
        let writable = WRITABLE & 0xffff_ffff << shift;
        *entry = *entry & !writable | value & writable;
        // its meaning is undefined for edges; software of the time ends an interrupt by a detour over edges
        if !by_level(*entry) {
            *entry &= !REMOTE_IRR;
        }
        if *entry & MASKED != 0 {
            self.edges &= !(1 << pin);
        }
    }

    fn active(&self, pin: usize) -> bool {
        let low = self.entries[pin] & ACTIVE_LOW != 0;
        (self.lines >> pin & 1 != 0) != low
    }

    /// Sets the levels of all inputs, one bit each; whether messages may wait. "Edge-sensitive interrupts signaled on
    /// a masked interrupt pin are ignored".
    pub fn set_pins(&mut self, lines: u32) -> bool {
        let lines = lines & 0xff_ffff;
        let changed = lines ^ std::mem::replace(&mut self.lines, lines);
        for pin in (0..PINS).filter(|pin| changed >> pin & 1 != 0) {
            let entry = self.entries[pin];
            if entry & MASKED == 0 && !by_level(entry) && self.active(pin) {
                self.edges |= 1 << pin;
            }
        }
        changed != 0
    }

    /// The message that an input has to send now.
    pub fn message(&self, pin: usize) -> Option<Message> {
        let entry = *self.entries.get(pin)?;
        let due = match by_level(entry) {
            true => entry & (REMOTE_IRR | MASKED) == 0 && self.active(pin),
            false => self.edges >> pin & 1 != 0,
        };
        due.then_some(Message {
            vector: entry as u8,
            mode: mode(entry),
            level: by_level(entry),
            logical: entry & 0x800 != 0,
            destination: (entry >> 56) as u8,
        })
    }

    /// The message of an input was sent. Remote IRR "is set to 1 when local APIC(s) accept the level interrupt".
    pub fn sent(&mut self, pin: usize, accepted: bool) {
        self.edges &= !(1u32.checked_shl(pin as u32).unwrap_or(0));
        if let Some(entry) = self.entries.get_mut(pin)
            && accepted
            && by_level(*entry)
        {
            *entry |= REMOTE_IRR;
        }
    }

    /// "... and is reset to 0 when an EOI message with a matching interrupt vector is received". An input that is
    /// still active then has a message anew.
    pub fn end_of_interrupt(&mut self, vector: u8) {
        for entry in self.entries.iter_mut().filter(|e| **e as u8 == vector) {
            *entry &= !REMOTE_IRR;
        }
    }

    /// Some input gives NMIs.
    pub fn gives_nmi(&self) -> bool {
        self.entries.iter().any(|&e| e & MASKED == 0 && mode(e) == delivery::NMI)
    }

    fn check(s: &IoApicStateV1) -> Result<(), StateError> {
        ensure(s.id < 16, "ioapic", "id")?;
        let sane = |e: &u64| e & !(WRITABLE | REMOTE_IRR) == 0 && (e & REMOTE_IRR == 0 || by_level(*e));
        ensure(s.entries.iter().all(sane), "ioapic", "entries")?;
        ensure(s.lines >> PINS == 0, "ioapic", "lines")?;
        ensure(s.edges >> PINS == 0, "ioapic", "edges")
    }
}

frozen! {
    /// The I/O APIC, version 1.
    IoApicStateV1 of IoApic { select: u8, id: u8, entries: [u64; 24], lines: u32, edges: u32 }
}
device_state!(IoApic, IoApicState, IoApicStateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    fn select(io: &mut IoApic, index: u8) {
        io.write(SELECT, index.into());
    }

    fn get(io: &mut IoApic, index: u8) -> u32 {
        select(io, index);
        io.read(WINDOW)
    }

    fn entry(io: &mut IoApic, pin: u8, value: u32) {
        select(io, 0x10 + 2 * pin);
        io.write(WINDOW, value);
    }

    /// Sends what waits; the vectors.
    fn send(io: &mut IoApic) -> Vec<u8> {
        (0..PINS).filter_map(|pin| io.message(pin).map(|m| (io.sent(pin, true), m.vector).1)).collect()
    }

    // Data sheet, 3.2: registers and their default values.
    #[test]
    fn registers_after_reset() {
        let mut io = IoApic::new();
        assert_eq!([0, 1, 2].map(|n| get(&mut io, n)), [0, 0x0017_0011, 0]);
        (0x10..0x40).step_by(2).for_each(|n| assert_eq!(get(&mut io, n), 0x1_0000));
        assert_eq!([3, 0xf, 0x40, 0xff].map(|n| get(&mut io, n)), [0; 4]);
        select(&mut io, 0);
        io.write(WINDOW, 0xffff_ffff);
        assert_eq!((io.read(SELECT), io.read(WINDOW)), (0, 0x0f00_0000));
        entry(&mut io, 3, 0xffff_ffff);
        assert_eq!(get(&mut io, 0x16), 0x1_afff, "delivery status and remote IRR are read-only");
        select(&mut io, 0x17);
        io.write(WINDOW, 0x1234_5678);
        assert_eq!(io.read(WINDOW), 0x1200_0000);
    }

    #[test]
    fn edges() {
        let mut io = IoApic::new();
        io.set_pins(1 << 4);
        entry(&mut io, 4, 0x41);
        assert_eq!(send(&mut io), [], "\"signaled on a masked interrupt pin are ignored\"");
        io.set_pins(0);
        io.set_pins(1 << 4);
        io.set_pins(0);
        assert_eq!(send(&mut io), [0x41], "held until it is sent");
        assert_eq!(send(&mut io), []);
        entry(&mut io, 4, 0x2041);
        assert_eq!(send(&mut io), []);
        io.set_pins(1 << 4);
        assert_eq!(send(&mut io), []);
        io.set_pins(0);
        assert_eq!(send(&mut io), [0x41], "active low");
    }

    #[test]
    fn levels() {
        let mut io = IoApic::new();
        io.set_pins(1 << 10);
        entry(&mut io, 10, 0x8051);
        assert_eq!(send(&mut io), [0x51]);
        assert_eq!(get(&mut io, 0x24), 0xc051, "remote IRR");
        assert_eq!(send(&mut io), []);
        io.end_of_interrupt(0x52);
        assert_eq!(send(&mut io), []);
        io.end_of_interrupt(0x51);
        assert_eq!(send(&mut io), [0x51], "it is still active");
        io.set_pins(0);
        io.end_of_interrupt(0x51);
        assert_eq!(send(&mut io), []);
        // a detour over edges ends it
        io.set_pins(1 << 10);
        assert_eq!(send(&mut io), [0x51]);
        entry(&mut io, 10, 0x1_0051);
        entry(&mut io, 10, 0x1_8051);
        assert_eq!(send(&mut io), [], "masked");
        entry(&mut io, 10, 0xa051);
        assert_eq!(send(&mut io), [], "active low");
        io.set_pins(0);
        assert_eq!(send(&mut io), [0x51]);
    }

    #[test]
    fn what_nobody_accepts_waits_on_if_it_is_a_level() {
        let mut io = IoApic::new();
        entry(&mut io, 1, 0x31);
        entry(&mut io, 2, 0x8032);
        io.set_pins(6);
        (1..3).for_each(|pin| io.sent(pin, false));
        assert_eq!(send(&mut io), [0x32]);
        io.sent(100, true);
        assert_eq!(io.message(100), None);
    }

    // Table of delivery modes: NMI is "treated as an edge-triggered interrupt even if programmed as level".
    #[test]
    fn delivery_modes_and_destinations() {
        let mut io = IoApic::new();
        entry(&mut io, 7, 0x8c00);
        assert!(io.gives_nmi());
        io.set_pins(1 << 7);
        let m = io.message(7).expect("an edge");
        assert_eq!((m.mode, m.level, m.logical, m.destination), (delivery::NMI, false, true, 0));
        select(&mut io, 0x1f);
        io.write(WINDOW, 0xab00_0000);
        assert_eq!(io.message(7).map(|m| m.destination), Some(0xab));
    }

    #[test]
    fn state_round_trip() {
        let mut io = IoApic::new();
        entry(&mut io, 10, 0x8051);
        entry(&mut io, 3, 0x41);
        io.set_pins(1 << 10 | 1 << 3);
        io.sent(10, true);
        let state = io.save();
        let mut other = IoApic::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(other.save(), state);
        assert_eq!(send(&mut other), [0x41]);
        let IoApicState::V1(good) = state;
        let spoil: [fn(&mut IoApicStateV1); 3] =
            [|s| s.id = 16, |s| s.entries[3] |= REMOTE_IRR, |s| s.lines = 1 << 24];
        for spoil in spoil {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(other.restore(&IoApicState::V1(bad)).is_err());
        }
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut io = IoApic::new();
        fuzz(4, |r, _| {
            let value = r.next() as u32;
            match r.below(8) {
                0..3 => io.write(WINDOW, value & 0x1_ffff),
                3 => io.write(r.below(0x40) as u16, value),
                4 => select(&mut io, r.below(0x48) as u8),
                5 => _ = io.set_pins(value),
                6 => io.end_of_interrupt(r.byte()),
                _ => {
                    let pin = r.below(40) as usize;
                    if io.message(pin).is_some() || value & 1 != 0 {
                        io.sent(pin, value & 2 != 0);
                    }
                }
            }
            io.read(WINDOW);
            let IoApicState::V1(state) = io.save();
            assert_eq!(IoApic::check(&state), Ok(()));
        });
    }
}
