//! The NE2000: a DP8390 network interface controller (National DP8390D/NS32490D data sheet, TL/F/8582) with
//! 16 KiB of packet memory, an address PROM and a data port; and the same on PCI, the Realtek RTL8029AS
//! (data sheet LS009.0).
//!
//! A transmission takes the time that it takes on a 10 Mbit/s wire. The wire itself is the board's: it takes
//! frames by [`Ne2000::take_frame`] and brings them by [`Ne2000::receive`], both without the frame check
//! sequence. There are no collisions and no errors on it, so what counts these stays 0.
//!
//! Not there: the 93C46 behind the RTL8029's 9346CR (its data line reads as if nothing were connected), and
//! 32-bit remote addresses (DCR's LAS), which an NE2000 does not wire.

mod crc;
mod dma;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use std::collections::VecDeque;

use crate::pci::PciFunction;
use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;

/// How many I/O ports there are.
pub const PORTS: u16 = 32;
/// The longest frame: 1500 bytes with their header and a VLAN tag, without the frame check sequence.
pub const MAX_FRAME: usize = 1518;
/// The shortest, without the frame check sequence; shorter ones are padded.
pub const MIN_FRAME: usize = 60;
/// Frames that wait at most for the board to take them.
pub const OUTPUT_LIMIT: usize = 16;
/// Bytes of packet memory.
const MEMORY: usize = 16 * 1024;
/// Bytes of the frame check sequence.
const FCS: usize = 4;

const CR_STP: u8 = 0x01;
const CR_STA: u8 = 0x02;
const CR_TXP: u8 = 0x04;
const CR_RD2: u8 = 0x20;
const ISR_PRX: u8 = 0x01;
const ISR_PTX: u8 = 0x02;
const ISR_OVW: u8 = 0x10;
const ISR_CNT: u8 = 0x20;
const ISR_RDC: u8 = 0x40;
const ISR_RST: u8 = 0x80;
const DCR_WTS: u8 = 0x01;
const DCR_BOS: u8 = 0x02;
const TCR_CRC: u8 = 0x01;
const TCR_LB: u8 = 0x06;
const RCR_AB: u8 = 0x04;
const RCR_AM: u8 = 0x08;
const RCR_PRO: u8 = 0x10;
const RCR_MON: u8 = 0x20;

/// Which card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The ISA card.
    Ne2000,
    /// The PCI one, which has identification and configuration registers in addition.
    Rtl8029,
}

/// The card.
#[derive(Debug)]
pub struct Ne2000 {
    pci: bool,
    /// The address in the PROM.
    mac: [u8; 6],
    memory: Vec<u8>,
    command: u8,
    /// Started, and not stopped since.
    running: bool,
    isr: u8,
    imr: u8,
    dcr: u8,
    tcr: u8,
    tsr: u8,
    rcr: u8,
    rsr: u8,
    /// First page of the receive ring, and the page behind its last.
    page_start: u8,
    page_stop: u8,
    boundary: u8,
    current: u8,
    transmit_page: u8,
    transmit_count: u16,
    /// Where local and remote DMA are.
    local_address: u16,
    remote_address: u16,
    remote_count: u16,
    physical: [u8; 6],
    multicast: [u8; 8],
    /// Frame alignment errors, CRC errors, missed packets.
    counters: [u8; 3],
    fifo: [u8; 8],
    fifo_at: u8,
    /// What is on the wire until `sent_at`.
    sending: Vec<u8>,
    sent_at: Option<u64>,
    output: VecDeque<Vec<u8>>,
    /// The RTL8029's 9346CR, CONFIG2 and CONFIG3.
    config: [u8; 3],
}

impl Ne2000 {
    /// A card after power-on, with this address in its PROM.
    pub fn new(model: Model, mac: [u8; 6]) -> Self {
        Ne2000 {
            pci: model == Model::Rtl8029,
            mac,
            memory: vec![0; MEMORY],
            command: CR_STP | CR_RD2,
            running: false,
            isr: ISR_RST,
            imr: 0,
            dcr: 0x04,
            tcr: 0,
            tsr: 0,
            rcr: 0,
            rsr: 0,
            page_start: 0,
            page_stop: 0,
            boundary: 0,
            current: 0,
            transmit_page: 0,
            transmit_count: 0,
            local_address: 0,
            remote_address: 0,
            remote_count: 0,
            physical: mac,
            multicast: [0; 8],
            counters: [0; 3],
            fifo: [0; 8],
            fifo_at: 0,
            sending: Vec::new(),
            sent_at: None,
            output: VecDeque::new(),
            config: [0; 3],
        }
    }

    /// What the reset port does: the bits that the data sheet's section 10 lists.
    fn reset(&mut self) {
        self.command = CR_STP | CR_RD2;
        self.running = false;
        self.isr |= ISR_RST;
        self.imr = 0;
        self.dcr |= 0x04;
        self.tcr &= !TCR_LB;
        self.remote_count = 0;
        self.sending.clear();
        self.sent_at = None;
    }

    /// The interrupt output. RST interrupts nothing.
    pub fn irq(&self) -> bool {
        self.isr & self.imr & !ISR_RST != 0
    }

    /// When the present transmission ends.
    pub fn deadline(&self) -> Option<Nanos> {
        self.sent_at
    }

    /// Brings the card to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if self.sent_at.is_some_and(|at| at <= now) {
            self.sent();
        }
    }

    /// Reads `size` bytes (1, 2 or 4) from a port, 0 to 31.
    pub fn read(&mut self, offset: u16, size: u32, now: Nanos) -> u32 {
        self.advance(now);
        if matches!(offset & 31, 16..24) {
            return self.read_data(size);
        }
        (0..size.min(4))
            .fold(0, |value, n| value | u32::from(self.read_byte(offset.wrapping_add(n as u16))) << (8 * n))
    }

    /// Writes `size` bytes (1, 2 or 4) to a port, 0 to 31.
    pub fn write(&mut self, offset: u16, size: u32, value: u32, now: Nanos) {
        self.advance(now);
        if matches!(offset & 31, 16..24) {
            return self.write_data(size, value);
        }
        for n in 0..size.min(4) {
            self.write_byte(offset.wrapping_add(n as u16), (value >> (8 * n)) as u8, now);
        }
    }

    fn read_byte(&mut self, offset: u16) -> u8 {
        match offset & 31 {
            0 => self.command,
            at @ 1..16 => match self.command >> 6 {
                0 => self.read_page_0(at),
                1 => self.read_page_1(at),
                2 => self.read_page_2(at),
                _ => self.read_page_3(at),
            },
            16..24 => self.read_data(1) as u8,
            _ => {
                self.reset();
                0xff
            }
        }
    }

    fn write_byte(&mut self, offset: u16, value: u8, now: Nanos) {
        match offset & 31 {
            0 => self.write_command(value, now),
            at @ 1..16 => match self.command >> 6 {
                0 => self.write_page_0(at, value),
                1 => self.write_page_1(at, value),
                2 => self.write_page_2(at, value),
                _ => self.write_page_3(at, value),
            },
            16..24 => self.write_data(1, value.into()),
            _ => self.reset(),
        }
    }

    fn write_command(&mut self, value: u8, now: Nanos) {
        // a transmission that has begun ends by itself
        let sending = self.command & CR_TXP;
        self.command = value & !CR_TXP | sending;
        if value & CR_STP != 0 {
            self.running = false;
            self.isr |= ISR_RST;
        } else if value & CR_STA != 0 {
            self.running = true;
            self.isr &= !ISR_RST;
        }
        if value & CR_TXP != 0 && sending == 0 && self.running {
            self.transmit(now);
        }
        self.start_remote();
    }

    fn read_page_0(&mut self, at: u16) -> u8 {
        match at {
            0x01 => self.local_address.to_le_bytes()[0],
            0x02 => self.local_address.to_le_bytes()[1],
            0x03 => self.boundary,
            0x04 => self.tsr,
            // no collisions: NCR
            0x05 => 0,
            0x06 => self.read_fifo(),
            0x07 => self.isr,
            0x08 => self.remote_address.to_le_bytes()[0],
            0x09 => self.remote_address.to_le_bytes()[1],
            // 8029ID0 and 8029ID1
            0x0a if self.pci => b'P',
            0x0b if self.pci => b'C',
            0x0c => self.rsr,
            // a read clears a tally counter
            0x0d..=0x0f => std::mem::take(&mut self.counters[usize::from(at - 0x0d)]),
            _ => 0xff,
        }
    }

    fn write_page_0(&mut self, at: u16, value: u8) {
        match at {
            0x01 => self.page_start = value,
            0x02 => self.page_stop = value,
            0x03 => self.set_boundary(value),
            0x04 => self.transmit_page = value,
            0x05 => set_low(&mut self.transmit_count, value),
            0x06 => set_high(&mut self.transmit_count, value),
            // RST is a status and not to be written
            0x07 => self.isr &= !(value & !ISR_RST),
            0x08 => set_low(&mut self.remote_address, value),
            0x09 => set_high(&mut self.remote_address, value),
            0x0a => set_low(&mut self.remote_count, value),
            0x0b => set_high(&mut self.remote_count, value),
            0x0c => self.rcr = value & 0x3f,
            0x0d => self.tcr = value & 0x1f,
            0x0e => self.dcr = value & 0x7f,
            _ => self.imr = value & 0x7f,
        }
    }

    fn read_page_1(&self, at: u16) -> u8 {
        match at {
            1..=6 => self.physical[usize::from(at - 1)],
            7 => self.current,
            _ => self.multicast[usize::from(at & 7)],
        }
    }

    fn write_page_1(&mut self, at: u16, value: u8) {
        match at {
            1..=6 => self.physical[usize::from(at - 1)] = value,
            7 => self.current = value,
            _ => self.multicast[usize::from(at & 7)] = value,
        }
    }

    /// Page 2 is for diagnostics: what page 0 writes, and the DMA's pointers.
    fn read_page_2(&self, at: u16) -> u8 {
        match at {
            0x01 => self.page_start,
            0x02 => self.page_stop,
            0x03 => self.remote_address.to_le_bytes()[1],
            0x04 => self.transmit_page,
            0x05 => self.current,
            0x06 => self.local_address.to_le_bytes()[1],
            0x07 => self.local_address.to_le_bytes()[0],
            0x0c => self.rcr | 0xc0,
            0x0d => self.tcr | 0xe0,
            0x0e => self.dcr | 0x80,
            0x0f => self.imr | 0x80,
            _ => 0xff,
        }
    }

    fn write_page_2(&mut self, at: u16, value: u8) {
        match at {
            0x01 | 0x07 => set_low(&mut self.local_address, value),
            0x02 | 0x06 => set_high(&mut self.local_address, value),
            0x03 => set_high(&mut self.remote_address, value),
            0x05 => self.current = value,
            _ => {}
        }
    }

    fn read_page_3(&self, at: u16) -> u8 {
        match at {
            _ if !self.pci => 0xff,
            // EEDO, with nothing connected
            0x01 => self.config[0] | 0x01,
            // CONFIG0: twisted pair
            0x03 => 0,
            0x05 => self.config[1],
            0x06 => self.config[2],
            // 8029ASID0 and 8029ASID1
            0x0e => 0x29,
            0x0f => 0x80,
            _ => 0xff,
        }
    }

    fn write_page_3(&mut self, at: u16, value: u8) {
        // EEM1 and EEM0, both 1: the configuration registers can be written
        let open = self.config[0] & 0xc0 == 0xc0;
        match at {
            _ if !self.pci => {}
            0x01 => self.config[0] = value & 0xce,
            0x05 if open => self.config[1] = value,
            0x06 if open => self.config[2] = value,
            _ => {}
        }
    }

    /// One more in a tally counter. They stop at C0h; bit 7 interrupts.
    fn count(&mut self, counter: usize) {
        let c = &mut self.counters[counter];
        *c = (*c + 1).min(0xc0);
        if *c & 0x80 != 0 {
            self.isr |= ISR_CNT;
        }
    }

    fn looped(&self) -> bool {
        self.tcr & TCR_LB != 0
    }

    /// A state fits the same card.
    fn fits(&self, s: &Ne2000StateV1) -> Result<(), StateError> {
        ensure(s.pci == self.pci && s.mac == self.mac, "ne2000", "mac")
    }

    fn check(s: &Ne2000StateV1) -> Result<(), StateError> {
        ensure(s.memory.len() == MEMORY, "ne2000", "memory")?;
        ensure(s.imr < 0x80 && s.dcr < 0x80 && s.tcr < 0x20 && s.rcr < 0x40, "ne2000", "imr, dcr, tcr, rcr")?;
        ensure(s.counters.iter().all(|&c| c <= 0xc0) && s.fifo_at < 8, "ne2000", "counters, fifo_at")?;
        ensure(s.config[0] & !0xce == 0, "ne2000", "config")?;
        ensure(s.sending.len() <= transmit::MOST, "ne2000", "sending")?;
        let busy = s.command & CR_TXP != 0;
        ensure(busy == s.sent_at.is_some() && (busy || s.sending.is_empty()), "ne2000", "sent_at")?;
        ensure(s.output.len() <= OUTPUT_LIMIT, "ne2000", "output")?;
        ensure(s.output.iter().all(|f| f.len() <= MAX_FRAME), "ne2000", "output")
    }
}

fn set_low(word: &mut u16, value: u8) {
    *word = *word & 0xff00 | u16::from(value);
}

fn set_high(word: &mut u16, value: u8) {
    *word = *word & 0x00ff | u16::from(value) << 8;
}

/// The RTL8029AS, 10ec:8029: an Ethernet controller with its ports at BAR 0, and INTA#.
pub fn pci_function() -> PciFunction {
    PciFunction::new(0x10ec, 0x8029, 0x02_0000, 0)
        .with(0x06, &[0x00, 0x02])
        .writable(0x04, &[0x03, 0x00])
        .with_bar(0, PORTS.into(), true)
        .with(0x2c, &[0xec, 0x10, 0x29, 0x80])
        .with_pin(1)
}

frozen! {
    /// The card, version 1.
    Ne2000StateV1 of Ne2000 {
        pci: bool, mac: [u8; 6], memory: Vec<u8>, command: u8, running: bool, isr: u8, imr: u8, dcr: u8, tcr: u8,
        tsr: u8, rcr: u8, rsr: u8, page_start: u8, page_stop: u8, boundary: u8, current: u8, transmit_page: u8,
        transmit_count: u16, local_address: u16, remote_address: u16, remote_count: u16, physical: [u8; 6],
        multicast: [u8; 8], counters: [u8; 3], fifo: [u8; 8], fifo_at: u8, sending: Vec<u8>, sent_at: Option<u64>,
        output: VecDeque<Vec<u8>>, config: [u8; 3],
    }
}
device_state!(Ne2000, Ne2000State, Ne2000StateV1, fits);
