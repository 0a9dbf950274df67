//! Remote DMA: how the host reaches the packet memory through the data port.

use super::{CR_RD2, DCR_BOS, DCR_WTS, ISR_RDC, MEMORY, Ne2000};

/// Where the packet memory begins.
const BASE: u16 = 0x4000;
const READ: u8 = 1;
const WRITE: u8 = 2;
const SEND_PACKET: u8 = 3;

impl Ne2000 {
    /// A byte of the card's address space.
    fn byte(&self, at: u16) -> u8 {
        match at.checked_sub(BASE).map(usize::from) {
            None => self.prom(at),
            Some(offset) => self.memory.get(offset).copied().unwrap_or(0xff),
        }
    }

    /// The PROM: 16 bytes, each at two addresses, since it lies on both halves of the 16-bit bus. The
    /// address, and 57h twice at the end, by which drivers know a 16-bit card.
    fn prom(&self, at: u16) -> u8 {
        match usize::from(at >> 1 & 15) {
            n @ 0..6 => self.mac[n],
            14 | 15 => 0x57,
            _ => 0,
        }
    }

    /// Where local DMA finds the byte of an address: with BOS the other one of a word.
    fn lane(&self, at: u16) -> u16 {
        let swapped = self.dcr & (DCR_WTS | DCR_BOS) == DCR_WTS | DCR_BOS;
        if swapped { at ^ 1 } else { at }
    }

    /// A byte as local DMA reads it.
    pub(super) fn local_byte(&self, at: u16) -> u8 {
        self.byte(self.lane(at))
    }

    /// Writes a byte by local DMA. What is no packet memory takes none.
    pub(super) fn set_local_byte(&mut self, at: u16, value: u8) {
        self.set_byte(self.lane(at), value);
    }

    fn set_byte(&mut self, at: u16, value: u8) {
        let offset = usize::from(at.wrapping_sub(BASE));
        if offset < MEMORY {
            self.memory[offset] = value;
        }
    }

    fn remote(&self) -> u8 {
        if self.command & CR_RD2 != 0 { 0 } else { self.command >> 3 & 3 }
    }

    /// The command register names a remote operation.
    pub(super) fn start_remote(&mut self) {
        if self.remote() == SEND_PACKET {
            // the packet at the boundary, with its header, which holds its length
            let at = u16::from(self.boundary) << 8;
            self.remote_address = at;
            self.remote_count = u16::from_le_bytes([self.local_byte(at | 2), self.local_byte(at | 3)]);
        }
        if self.remote() != 0 && self.remote_count == 0 {
            self.isr |= ISR_RDC;
        }
    }

    /// Bytes of one transfer.
    fn unit(&self) -> u16 {
        if self.dcr & DCR_WTS != 0 { 2 } else { 1 }
    }

    /// The data port: as many transfers as fill the access, and one at least.
    pub(super) fn read_data(&mut self, size: u32) -> u32 {
        let unit = u32::from(self.unit());
        let mask = u32::MAX >> (32 - 8 * size.clamp(1, 4));
        let transfers = (size.min(4) / unit).max(1);
        let value = (0..transfers).fold(0, |v, n| v | u32::from(self.read_unit()) << (8 * unit * n));
        value & mask
    }

    pub(super) fn write_data(&mut self, size: u32, value: u32) {
        let unit = u32::from(self.unit());
        for n in 0..(size.min(4) / unit).max(1) {
            self.write_unit((value >> (8 * unit * n)) as u16);
        }
    }

    fn read_unit(&mut self) -> u16 {
        if !matches!(self.remote(), READ | SEND_PACKET) || self.remote_count == 0 {
            return u16::MAX >> (16 - 8 * self.unit());
        }
        let at = self.remote_address;
        let value = match self.unit() {
            1 => u16::from(self.byte(at)),
            _ => u16::from_le_bytes([self.byte(at & !1), self.byte(at | 1)]),
        };
        self.next_unit();
        value
    }

    fn write_unit(&mut self, value: u16) {
        if self.remote() != WRITE || self.remote_count == 0 {
            return;
        }
        let (at, [low, high]) = (self.remote_address, value.to_le_bytes());
        if self.unit() == 1 {
            self.set_byte(at, low);
        } else {
            self.set_byte(at & !1, low);
            self.set_byte(at | 1, high);
        }
        self.next_unit();
    }

    /// On to the next address; the ring's end leads to its start.
    fn next_unit(&mut self) {
        let unit = self.unit();
        self.remote_address = self.remote_address.wrapping_add(unit);
        if self.remote_address & !(unit - 1) == u16::from(self.page_stop) << 8 {
            self.remote_address = u16::from(self.page_start) << 8;
        }
        self.remote_count = self.remote_count.saturating_sub(unit);
        if self.remote_count == 0 {
            self.isr |= ISR_RDC;
            if self.remote() == SEND_PACKET {
                let next = self.local_byte(u16::from(self.boundary) << 8 | 1);
                self.set_boundary(next);
            }
        }
    }
}
