//! The two 8237A DMA controllers of a PC/AT with their page registers (Intel 8237A data sheet 231466;
//! IBM PC/AT Technical Reference, "DMA").

use crate::DmaMemory;
use crate::state::{StateError, device_state, ensure, frozen};

/// Page register ports by channel; channel 4 is the cascade.
const PAGES: [u16; 8] = [0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a];
/// Mode register: bits 3-2 are the kind of transfer.
const WRITE_MEMORY: u8 = 0x04;
const READ_MEMORY: u8 = 0x08;
const AUTOINIT: u8 = 0x10;
const DECREMENT: u8 = 0x20;
/// Command register: the controller is switched off.
const DISABLED: u8 = 0x04;

/// One channel.
#[derive(Debug, Clone, Default)]
struct Channel {
    base_address: u16,
    base_count: u16,
    address: u16,
    count: u16,
    mode: u8,
    page: u8,
}

/// One chip.
#[derive(Debug, Clone, Default)]
struct Chip {
    command: u8,
    /// A bit a channel: set, it is masked.
    mask: u8,
    /// Bits 0-3 terminal count reached, bits 4-7 request pending.
    status: u8,
    temporary: u8,
    /// The next byte of a 16-bit register is its high one.
    high: bool,
}

impl Chip {
    /// Whether the next byte is a high one; the one after it is the other.
    fn flip(&mut self) -> bool {
        self.high = !self.high;
        !self.high
    }
}

/// How far a transfer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DmaProgress {
    /// Bytes moved.
    pub bytes: usize,
    /// The channel's count ran out: TC.
    pub terminal_count: bool,
}

/// Both controllers: channels 0-3 move bytes, 5-7 words.
#[derive(Debug)]
pub struct Dma {
    chips: [Chip; 2],
    channels: [Channel; 8],
    /// The page registers' spare bytes, 80h-8Fh.
    spare: [u8; 16],
}

impl Default for Dma {
    fn default() -> Self {
        Self::new()
    }
}

impl Dma {
    /// After RESET: all channels masked.
    pub fn new() -> Dma {
        let chip = Chip { mask: 0xf, ..Chip::default() };
        Dma {
            chips: [chip.clone(), chip],
            channels: std::array::from_fn(|_| Channel::default()),
            spare: [0; 16],
        }
    }

    /// Chip and register of a port: 00h-0Fh, and C0h-DFh at every other address.
    fn target(port: u16) -> Option<(usize, usize)> {
        match port {
            0x00..=0x0f => Some((0, usize::from(port))),
            0xc0..=0xdf => Some((1, usize::from(port - 0xc0) / 2)),
            _ => None,
        }
    }

    /// Reads one of the ports 00h-0Fh, 80h-8Fh, C0h-DFh.
    pub fn read(&mut self, port: u16) -> u8 {
        if let Some((chip, register)) = Self::target(port) {
            return self.read_register(chip, register);
        }
        match PAGES.iter().position(|&p| p == port) {
            Some(channel) => self.channels[channel].page,
            None => self.spare[usize::from(port & 15)],
        }
    }

    /// Writes one of the ports 00h-0Fh, 80h-8Fh, C0h-DFh.
    pub fn write(&mut self, port: u16, value: u8) {
        if let Some((chip, register)) = Self::target(port) {
            return self.write_register(chip, register, value);
        }
        match PAGES.iter().position(|&p| p == port) {
            Some(channel) => self.channels[channel].page = value,
            None => self.spare[usize::from(port & 15)] = value,
        }
    }

    fn read_register(&mut self, chip: usize, register: usize) -> u8 {
        match register {
            0..=7 => {
                let c = &self.channels[chip * 4 + register / 2];
                let word = if register & 1 == 0 { c.address } else { c.count };
                let high = self.chips[chip].flip();
                word.to_le_bytes()[usize::from(high)]
            }
            // reading the status clears the terminal counts
            8 => {
                let status = self.chips[chip].status;
                self.chips[chip].status &= 0xf0;
                status
            }
            13 => self.chips[chip].temporary,
            15 => self.chips[chip].mask | 0xf0,
            _ => 0xff,
        }
    }

    fn write_register(&mut self, chip: usize, register: usize, value: u8) {
        let c = &mut self.chips[chip];
        let bit = 1 << (value & 3);
        match register {
            0..=7 => self.write_word(chip, register, value),
            8 => c.command = value,
            9 if value & 4 != 0 => c.status |= bit << 4,
            9 => c.status &= !(bit << 4),
            10 if value & 4 != 0 => c.mask |= bit,
            10 => c.mask &= !bit,
            11 => self.channels[chip * 4 + usize::from(value & 3)].mode = value & 0xfc,
            12 => c.high = false,
            13 => *c = Chip { mask: 0xf, ..Chip::default() },
            14 => c.mask = 0,
            _ => c.mask = value & 0xf,
        }
    }

    /// A byte of an address or count: base and current register take it alike.
    fn write_word(&mut self, chip: usize, register: usize, value: u8) {
        let high = self.chips[chip].flip();
        let c = &mut self.channels[chip * 4 + register / 2];
        let (base, current) = match register & 1 {
            0 => (&mut c.base_address, &mut c.address),
            _ => (&mut c.base_count, &mut c.count),
        };
        let mut bytes = base.to_le_bytes();
        bytes[usize::from(high)] = value;
        *base = u16::from_le_bytes(bytes);
        *current = *base;
    }

    /// Whether a device's request on a channel (0-3, 5-7) would be served.
    pub fn is_ready(&self, channel: usize) -> bool {
        let (chip, bit) = ((channel / 4) & 1, 1 << (channel & 3));
        let cascade = chip == 0 || self.chips[1].command & DISABLED == 0;
        cascade && self.chips[chip].command & DISABLED == 0 && self.chips[chip].mask & bit == 0
    }

    /// A device gives `bytes` to the channel: into memory, if the channel is programmed so.
    pub fn device_to_memory(&mut self, channel: usize, bytes: &[u8], mem: &mut dyn DmaMemory) -> DmaProgress {
        let writes = self.channels[channel & 7].mode & 0x0c == WRITE_MEMORY;
        self.transfer(channel, bytes.len(), |at, range| {
            if writes {
                mem.write(at, &bytes[range]);
            }
        })
    }

    /// A device takes bytes from the channel: out of memory, if the channel is programmed so; the
    /// rest of `bytes` is left alone.
    pub fn memory_to_device(
        &mut self,
        channel: usize,
        bytes: &mut [u8],
        mem: &mut dyn DmaMemory,
    ) -> DmaProgress {
        let reads = self.channels[channel & 7].mode & 0x0c == READ_MEMORY;
        self.transfer(channel, bytes.len(), |at, range| {
            if reads {
                mem.read(at, &mut bytes[range]);
            }
        })
    }

    /// Moves up to `len` bytes, unit by unit, until the count runs out.
    fn transfer(
        &mut self,
        channel: usize,
        len: usize,
        mut one: impl FnMut(u32, std::ops::Range<usize>),
    ) -> DmaProgress {
        let channel = channel & 7;
        let unit = if channel >= 4 { 2 } else { 1 };
        let mut done = 0;
        if !self.is_ready(channel) {
            return DmaProgress { bytes: 0, terminal_count: false };
        }
        while done + unit <= len {
            let c = &mut self.channels[channel];
            one(c.physical(unit), done..done + unit);
            done += unit;
            if c.advance() {
                self.terminal(channel);
                return DmaProgress { bytes: done, terminal_count: true };
            }
        }
        DmaProgress { bytes: done, terminal_count: false }
    }

    /// TC: the channel starts over, or masks itself.
    fn terminal(&mut self, channel: usize) {
        let (chip, bit) = (&mut self.chips[channel / 4], 1 << (channel & 3));
        chip.status = (chip.status | bit) & !(bit << 4);
        let c = &mut self.channels[channel];
        if c.mode & AUTOINIT != 0 {
            (c.address, c.count) = (c.base_address, c.base_count);
        } else {
            chip.mask |= bit;
        }
    }

    fn check(s: &DmaStateV1) -> Result<(), StateError> {
        ensure(s.chips.iter().all(|c| c.mask < 16), "dma8237", "mask")?;
        ensure(s.channels.iter().all(|c| c.mode & 3 == 0), "dma8237", "mode")
    }
}

impl Channel {
    /// The physical address: the page above 16 address bits; words are at even addresses within
    /// 128 KiB, so that bit 0 of their page is not used.
    fn physical(&self, unit: usize) -> u32 {
        let (address, page) = (u32::from(self.address), u32::from(self.page));
        if unit == 1 { page << 16 | address } else { (page & !1) << 16 | address << 1 }
    }

    /// On to the next unit; whether that was the last one. A count of n moves n + 1 units.
    fn advance(&mut self) -> bool {
        let step = if self.mode & DECREMENT != 0 { u16::MAX } else { 1 };
        self.address = self.address.wrapping_add(step);
        let last = self.count == 0;
        self.count = self.count.wrapping_sub(1);
        last
    }
}

frozen! {
    /// A channel, version 1.
    ChannelStateV1 of Channel {
        base_address: u16, base_count: u16, address: u16, count: u16, mode: u8, page: u8,
    }
}
frozen! {
    /// A chip, version 1.
    ChipStateV1 of Chip { command: u8, mask: u8, status: u8, temporary: u8, high: bool }
}
frozen! {
    /// Both controllers, version 1.
    DmaStateV1 of Dma { chips: [ChipStateV1; 2], channels: [ChannelStateV1; 8], spare: [u8; 16] }
}
device_state!(Dma, DmaState, DmaStateV1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Channel 2 as a BIOS programs it for a read of `len` bytes to `at`.
    fn floppy_read(at: u32, len: u16, mode: u8) -> Dma {
        let mut d = Dma::new();
        d.write(0x0c, 0);
        d.write(0x0b, mode | 2);
        [at as u8, (at >> 8) as u8].iter().for_each(|&b| d.write(4, b));
        d.write(0x81, (at >> 16) as u8);
        (len - 1).to_le_bytes().iter().for_each(|&b| d.write(5, b));
        d.write(0x0a, 2);
        d
    }

    #[test]
    fn bytes_go_where_page_and_address_say_until_terminal_count() {
        let (mut d, mut mem) = (floppy_read(0x1_2340, 4, 0x44), vec![0u8; 0x2_0000]);
        let p = d.device_to_memory(2, &[1, 2, 3], &mut mem);
        assert_eq!(p, DmaProgress { bytes: 3, terminal_count: false });
        let p = d.device_to_memory(2, &[4, 5], &mut mem);
        assert_eq!(p, DmaProgress { bytes: 1, terminal_count: true });
        assert_eq!(mem[0x1_2340..0x1_2345], [1, 2, 3, 4, 0]);
        assert_eq!((d.read(8) & 4, d.read(8) & 4), (4, 0));
        assert!(!d.is_ready(2));
    }

    #[test]
    fn the_address_wraps_inside_64_kib() {
        let (mut d, mut mem) = (floppy_read(0xffff, 2, 0x44), vec![0u8; 0x2_0000]);
        d.device_to_memory(2, &[7, 8], &mut mem);
        assert_eq!((mem[0xffff], mem[0], mem[0x1_0000]), (7, 8, 0));
    }

    #[test]
    fn autoinit_starts_over_and_verify_moves_nothing() {
        let (mut d, mut mem) = (floppy_read(0x100, 2, 0x54), vec![0u8; 0x1000]);
        assert!(d.device_to_memory(2, &[1, 2], &mut mem).terminal_count);
        assert!(d.is_ready(2));
        d.device_to_memory(2, &[9], &mut mem);
        assert_eq!(mem[0x100..0x102], [9, 2]);
        let mut d = floppy_read(0x200, 2, 0x40);
        assert!(d.device_to_memory(2, &[1, 2], &mut mem).terminal_count);
        assert_eq!(mem[0x200], 0);
    }

    #[test]
    fn words_have_even_addresses_in_128_kib() {
        let mut d = Dma::new();
        d.write(0xd0, 0);
        for (port, value) in [(0xd8, 0), (0xd6, 0x45), (0xc4, 0), (0xc4, 0x80), (0x8b, 3)] {
            d.write(port, value);
        }
        for (port, value) in [(0xc6, 0), (0xc6, 0), (0xd4, 1)] {
            d.write(port, value);
        }
        let mut mem = vec![0u8; 0x4_0000];
        assert!(d.device_to_memory(5, &[1, 2, 3, 4], &mut mem).terminal_count);
        assert_eq!(mem[0x3_0000..0x3_0003], [1, 2, 0]);
    }

    #[test]
    fn state_round_trips() {
        let d = floppy_read(0x1_2340, 4, 0x44);
        let mut e = Dma::new();
        e.restore(&d.save()).expect("fits");
        assert_eq!(e.save(), d.save());
    }
}
