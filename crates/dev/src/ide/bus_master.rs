//! The bus master of a channel (Intel 82371SB data sheet 290550, 2.7; SFF-8038i).

use crate::DmaMemory;
use crate::state::{StateError, ensure, frozen};

/// Command: run.
const START: u8 = 0x01;
/// Command: the transfer goes to memory.
const TO_MEMORY: u8 = 0x08;
/// Status.
const ACTIVE: u8 = 0x01;
const ERROR: u8 = 0x02;
const INTERRUPT: u8 = 0x04;
const CAPABLE: u8 = 0x60;

/// One channel's registers, and where it is in its table.
#[derive(Debug, Default)]
pub(super) struct BusMaster {
    command: u8,
    status: u8,
    table: u32,
    /// The next descriptor.
    next: u32,
    address: u32,
    left: u32,
    last: bool,
}

frozen! {
    /// A channel's bus master, version 1.
    BusMasterStateV1 of BusMaster {
        command: u8, status: u8, table: u32, next: u32, address: u32, left: u32, last: bool,
    }
}

impl BusMaster {
    /// Whether a bus master can hold such a state.
    pub(super) fn check(s: &BusMasterStateV1) -> Result<(), StateError> {
        ensure(s.command & !(START | TO_MEMORY) == 0, "ide", "command")?;
        ensure(s.status & !(ACTIVE | ERROR | INTERRUPT | CAPABLE) == 0, "ide", "status")?;
        ensure(s.table & 3 == 0 && s.next & 3 == 0, "ide", "table")?;
        ensure(s.left <= 0x1_0000, "ide", "left")
    }

    /// Reads the byte at `offset` (0-7).
    pub(super) fn read(&self, offset: u16) -> u8 {
        match offset {
            0 => self.command,
            2 => self.status,
            4..=7 => self.table.to_le_bytes()[usize::from(offset - 4)],
            _ => 0,
        }
    }

    /// Writes the byte at `offset`; whether the transfer has been started.
    pub(super) fn write(&mut self, offset: u16, value: u8) -> bool {
        match offset {
            0 => return self.write_command(value),
            // two bits are cleared by ones, two are the driver's own
            2 => self.status = self.status & !(value & (ERROR | INTERRUPT)) & !CAPABLE | value & CAPABLE,
            4..=7 => {
                let mut bytes = self.table.to_le_bytes();
                bytes[usize::from(offset - 4)] = value;
                self.table = u32::from_le_bytes(bytes) & !3;
            }
            _ => {}
        }
        false
    }

    fn write_command(&mut self, value: u8) -> bool {
        let started = value & START != 0 && self.command & START == 0;
        self.command = value & (START | TO_MEMORY);
        if started {
            self.status |= ACTIVE;
            (self.next, self.left, self.last) = (self.table, 0, false);
        }
        if value & START == 0 {
            self.status &= !ACTIVE;
        }
        started
    }

    /// Whether a transfer may go on.
    pub(super) fn is_running(&self) -> bool {
        self.command & START != 0 && self.status & ACTIVE != 0
    }

    /// The drive has raised its interrupt.
    pub(super) fn note_interrupt(&mut self) {
        self.status |= INTERRUPT;
        // the table is used up exactly with the transfer: otherwise Active stays
        if self.left == 0 && self.last {
            self.status &= !ACTIVE;
        }
    }

    /// Moves bytes from the drive to memory, or from memory to the drive; how many, until the
    /// table ends.
    pub(super) fn transfer(&mut self, bytes: &mut [u8], to_memory: bool, mem: &mut dyn DmaMemory) -> usize {
        let mut done = 0;
        while done < bytes.len() && self.is_running() {
            if self.left == 0 && !self.descriptor(mem) {
                self.status &= !ACTIVE;
                break;
            }
            let n = (self.left as usize).min(bytes.len() - done);
            let part = &mut bytes[done..done + n];
            if to_memory {
                mem.write(self.address, part)
            } else {
                mem.read(self.address, part)
            }
            self.address = self.address.wrapping_add(n as u32);
            self.left -= n as u32;
            done += n;
        }
        done
    }

    /// Takes the next descriptor; the table does not cross 64 KiB. Each moves at least two bytes.
    fn descriptor(&mut self, mem: &mut dyn DmaMemory) -> bool {
        if self.last {
            return false;
        }
        let mut d = [0; 8];
        mem.read(self.next, &mut d);
        self.next = self.next & !0xffff | self.next.wrapping_add(8) & 0xffff;
        self.address = u32::from_le_bytes([d[0], d[1], d[2], d[3]]) & !1;
        let count = u32::from(u16::from_le_bytes([d[4], d[5]])) & 0xfffe;
        self.left = if count == 0 { 0x1_0000 } else { count };
        self.last = d[7] & 0x80 != 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(descriptors: &[(u32, u16, bool)]) -> Vec<u8> {
        let mut m = vec![0u8; 0x4_0000];
        for (n, &(at, count, last)) in descriptors.iter().enumerate() {
            let d = [at.to_le_bytes(), (u32::from(count) | u32::from(last) << 31).to_le_bytes()].concat();
            m[n * 8..n * 8 + 8].copy_from_slice(&d);
        }
        m
    }

    fn started() -> BusMaster {
        let mut b = BusMaster::default();
        assert!(b.write(0, 0x09));
        b
    }

    #[test]
    fn descriptors_are_followed_in_order() {
        let mut m = memory(&[(0x1001, 4, false), (0x2000, 0, true)]);
        let mut b = started();
        assert_eq!(b.transfer(&mut [1, 2, 3, 4, 5, 6], true, &mut m), 6);
        assert_eq!((&m[0x1000..0x1005], &m[0x2000..0x2003]), (&[1, 2, 3, 4, 0][..], &[5, 6, 0][..]));
        // the table is longer than the transfer: Active and Interrupt
        b.note_interrupt();
        assert_eq!(b.read(2), 5);
        b.write(2, 4);
        b.write(0, 0);
        assert_eq!(b.read(2), 0);
    }

    #[test]
    fn a_table_that_ends_early_stops_the_transfer() {
        let mut m = memory(&[(0x1000, 2, true)]);
        let mut b = started();
        assert_eq!(b.transfer(&mut [1, 2, 3, 4], true, &mut m), 2);
        assert_eq!(b.read(2), 0);
        let mut b = started();
        assert_eq!(b.transfer(&mut [1, 2], true, &mut m), 2);
        b.note_interrupt();
        assert_eq!(b.read(2), 4);
    }
}
