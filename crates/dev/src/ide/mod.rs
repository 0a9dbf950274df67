//! The PIIX3's IDE function: two channels with two drives each, ATA disks and ATAPI CD-ROM drives
//! (ATA/ATAPI-6, T13/1410D; SFF-8020i and MMC-3 for packets).

mod ata;
mod atapi;
mod bus_master;
#[cfg(test)]
mod cd_tests;
mod check;
mod drive;
#[cfg(test)]
mod fuzz_tests;
mod geometry;
mod packets;
mod raw_sector;
mod stream;
#[cfg(test)]
mod tests;

use crate::state::{StateError, device_state, frozen};
use crate::time::{Nanos, earlier};
use crate::{Block, DmaMemory};
use bus_master::{BusMaster, BusMasterStateV1};
use drive::{DriveStateV1, Registers, status};

pub use drive::{Drive, Identity};
pub use geometry::{Geometry, Translation};

/// Device control: no interrupts.
const NIEN: u8 = 0x02;
/// Device control: software reset.
const SRST: u8 = 0x04;
/// Device control: reads show the bytes written before.
const HOB: u8 = 0x80;
/// Time a command takes before its data or its end.
const COMMAND_TIME: Nanos = 20_000;
/// Time between two blocks of data.
const BLOCK_TIME: Nanos = 4_000;
/// Bytes that one step of DMA moves at most.
const CHUNK: usize = 64 << 10;

/// Time until a channel that waits for the bus looks again.
const MASTER_TIME: Nanos = 1_000_000;
/// What a channel without drives reads as.
const EMPTY: u8 = 0x7f;

/// What is reached by a function that may not be master of the bus.
struct NoMemory;

impl DmaMemory for NoMemory {
    fn read(&self, _: u32, out: &mut [u8]) {
        out.fill(0xff);
    }
    fn write(&mut self, _: u32, _: &[u8]) {}
}

/// What a channel does when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Work {
    /// Nothing.
    None = 0,
    /// The command in the command register starts.
    Command = 1,
    /// The next sectors of a read.
    Read = 2,
    /// The sectors in the buffer are written.
    Write = 3,
    /// A buffer that is all there is, towards the host.
    Give = 4,
    /// The twelve bytes of a packet.
    TakePacket = 5,
    /// The next part of a packet's data, towards the host.
    GivePacket = 6,
    /// A packet's parameters, from the host; they are accepted and not used.
    TakeParameters = 7,
    /// A read by DMA.
    DmaRead = 8,
    /// A write by DMA.
    DmaWrite = 9,
    /// A packet's data by DMA.
    DmaPacket = 10,
    /// The reset is over.
    Reset = 11,
    /// A packet's parameters by DMA.
    DmaParameters = 12,
}

/// A cable with two drives.
#[derive(Debug, Default)]
struct Channel {
    drives: [Option<Drive>; 2],
    bus_master: BusMaster,
    device: u8,
    /// The device register as the running command found it, or the last one: whose command it is, and where its
    /// address ends. The host may select the other drive meanwhile.
    target: u8,
    control: u8,
    command: u8,
    irq: bool,
    work: u8,
    event: Option<u64>,
    buffer: Vec<u8>,
    /// The next byte, and where the present block of data ends.
    at: u32,
    stop: u32,
    /// The sector that comes next, and how many are left.
    sector: u64,
    left: u32,
    /// Sectors between two interrupts.
    block: u32,
    packet: [u8; 12],
}

frozen! {
    /// A channel, version 1.
    ChannelStateV1 of Channel {
        drives: [Option<DriveStateV1>; 2], bus_master: BusMasterStateV1, device: u8, target: u8, control: u8,
        command: u8, irq: bool, work: u8, event: Option<u64>, buffer: Vec<u8>, at: u32, stop: u32, sector: u64,
        left: u32, block: u32, packet: [u8; 12],
    }
}

impl crate::state::Freeze for Option<Drive> {
    type Frozen = Option<DriveStateV1>;
    fn freeze(&self) -> Self::Frozen {
        self.as_ref().map(crate::state::Freeze::freeze)
    }
    fn thaw(&mut self, from: &Self::Frozen) {
        if let (Some(live), Some(saved)) = (self.as_mut(), from) {
            crate::state::Freeze::thaw(live, saved);
        }
    }
}

/// Both channels.
#[derive(Debug, Default)]
pub struct Ide {
    channels: [Channel; 2],
}

frozen! {
    /// Both channels, version 1.
    IdeStateV1 of Ide { channels: [ChannelStateV1; 2] }
}
device_state!(Ide, IdeState, IdeStateV1, fits);

impl Ide {
    /// Two channels without drives.
    pub fn new() -> Ide {
        Ide::default()
    }

    /// Connects a drive to a channel (0 or 1) as master (0) or slave (1).
    pub fn attach(&mut self, channel: usize, slot: usize, drive: Drive) {
        self.channels[channel & 1].drives[slot & 1] = Some(drive);
    }

    /// Takes a drive away.
    pub fn detach(&mut self, channel: usize, slot: usize) -> Option<Drive> {
        self.channels[channel & 1].drives[slot & 1].take()
    }

    /// Puts a disc into a CD-ROM drive; gives it back where there is none.
    ///
    /// # Errors
    /// The disc, if the place holds no CD-ROM drive.
    pub fn insert(
        &mut self,
        channel: usize,
        slot: usize,
        medium: Box<dyn Block>,
    ) -> Result<(), Box<dyn Block>> {
        match self.channels[channel & 1].drives[slot & 1].as_mut().filter(|d| d.cdrom) {
            Some(d) => {
                d.insert(medium);
                Ok(())
            }
            None => Err(medium),
        }
    }

    /// Takes the disc out of a CD-ROM drive.
    pub fn eject(&mut self, channel: usize, slot: usize) -> Option<Box<dyn Block>> {
        self.channels[channel & 1].drives[slot & 1].as_mut().filter(|d| d.cdrom)?.eject()
    }

    /// Every medium, by channel and slot.
    pub fn media(&mut self) -> impl Iterator<Item = (usize, usize, &mut Box<dyn Block>)> {
        self.channels.iter_mut().enumerate().flat_map(|(c, channel)| {
            let drives = channel.drives.iter_mut().enumerate();
            drives.filter_map(move |(s, d)| Some((c, s, d.as_mut()?.medium.as_mut()?)))
        })
    }

    /// Whether a drive is a CD-ROM drive, and its medium's sectors, 0 without one.
    pub fn capacity(&self, channel: usize, slot: usize) -> Option<(bool, u64)> {
        self.channels[channel & 1].drives[slot & 1].as_ref().map(|d| (d.cdrom, d.capacity))
    }

    /// The geometry of a hard disk; `None` if there is none in that place.
    pub fn geometry(&self, channel: usize, slot: usize) -> Option<Geometry> {
        self.channels[channel & 1].drives[slot & 1].as_ref().filter(|d| !d.cdrom).map(Drive::geometry)
    }

    /// The interrupt line of a channel: IRQ 14 or 15.
    pub fn irq(&self, channel: usize) -> bool {
        let c = &self.channels[channel & 1];
        c.irq && c.control & NIEN == 0
    }

    /// When a drive goes on by itself.
    pub fn deadline(&self) -> Option<Nanos> {
        earlier(self.channels[0].event, self.channels[1].event)
    }

    /// Brings the drives to `now`. Without `mem` the function may not be master of the bus (PCI command register, bit
    /// 2), and a transfer waits until it may.
    pub fn advance(&mut self, now: Nanos, mut mem: Option<&mut dyn DmaMemory>) {
        for c in &mut self.channels {
            if c.event.is_none_or(|t| t > now) {
                continue;
            }
            c.event = None;
            match &mut mem {
                Some(mem) => c.step(now, *mem),
                None if c.by_dma() => c.event = Some(now.saturating_add(MASTER_TIME)),
                None => c.step(now, &mut NoMemory),
            }
        }
    }

    /// Reads the data register, `size` bytes (2 or 4).
    pub fn read_data(&mut self, channel: usize, size: u32, now: Nanos) -> u32 {
        let c = &mut self.channels[channel & 1];
        (0..size.min(4)).step_by(2).fold(0, |v, n| v | u32::from(c.read_word(now)) << (8 * n))
    }

    /// Writes the data register, `size` bytes (2 or 4).
    pub fn write_data(&mut self, channel: usize, size: u32, value: u32, now: Nanos) {
        let c = &mut self.channels[channel & 1];
        (0..size.min(4)).step_by(2).for_each(|n| c.write_word((value >> (8 * n)) as u16, now));
    }

    /// Reads a register of the command block (1-7).
    pub fn read(&mut self, channel: usize, offset: u16) -> u8 {
        self.channels[channel & 1].read(offset)
    }

    /// Writes a register of the command block (1-7).
    pub fn write(&mut self, channel: usize, offset: u16, value: u8, now: Nanos) {
        self.channels[channel & 1].write(offset, value, now);
    }

    /// Reads the alternate status register (3F6h, 376h): the status without its effect.
    pub fn alternate_status(&self, channel: usize) -> u8 {
        self.channels[channel & 1].status()
    }

    /// Writes the device control register (3F6h, 376h).
    pub fn control(&mut self, channel: usize, value: u8, now: Nanos) {
        self.channels[channel & 1].write_control(value, now);
    }

    /// Reads a byte of the bus master's block (0-15).
    pub fn read_bus_master(&self, offset: u16) -> u8 {
        self.channels[usize::from(offset >> 3 & 1)].bus_master.read(offset & 7)
    }

    /// Writes a byte of the bus master's block (0-15).
    pub fn write_bus_master(&mut self, offset: u16, value: u8, now: Nanos) {
        let c = &mut self.channels[usize::from(offset >> 3 & 1)];
        if c.bus_master.write(offset & 7, value) && c.by_dma() {
            c.event = Some(now.saturating_add(BLOCK_TIME));
        }
    }

    fn check(s: &IdeStateV1) -> Result<(), StateError> {
        check::possible(s)
    }

    fn fits(&self, s: &IdeStateV1) -> Result<(), StateError> {
        check::fits(self, s)
    }
}

/// The slot that a value of the device register selects.
fn slot(device: u8) -> usize {
    usize::from(device >> 4 & 1)
}

impl Channel {
    /// The drive whose command is running.
    fn drive(&self) -> Option<&Drive> {
        self.drives[slot(self.target)].as_ref()
    }

    fn drive_mut(&mut self) -> Option<&mut Drive> {
        self.drives[slot(self.target)].as_mut()
    }

    /// The drive that the device register selects.
    fn selected(&self) -> Option<&Drive> {
        self.drives[slot(self.device)].as_ref()
    }

    /// Nothing drives the cable; the pull-down shows in bit 7 (ATA/ATAPI-6, DD7).
    fn is_empty(&self) -> bool {
        self.drives.iter().all(Option::is_none)
    }

    /// What the host sees. With one drive, that one answers 0 for the other (ATA/ATAPI-6, 9.16).
    fn status(&self) -> u8 {
        if self.is_empty() { EMPTY } else { self.selected().map_or(0, |d| d.regs.status) }
    }

    /// The host sees the drive whose command is running, and that wants to move data.
    fn moves_data(&self) -> bool {
        let wants = self.selected().is_some_and(|d| d.regs.status & status::DRQ != 0);
        wants && slot(self.device) == slot(self.target)
    }

    fn by_dma(&self) -> bool {
        [Work::DmaRead, Work::DmaWrite, Work::DmaPacket, Work::DmaParameters]
            .iter()
            .any(|&w| w as u8 == self.work)
    }

    fn raise(&mut self) {
        self.irq = true;
        self.bus_master.note_interrupt();
    }

    fn read(&mut self, offset: u16) -> u8 {
        if self.is_empty() {
            return EMPTY;
        }
        if offset == 7 {
            self.irq = false;
        }
        if offset == 6 {
            return self.device | 0xa0;
        }
        let older = usize::from(self.control & HOB != 0);
        let Some(d) = self.selected() else { return 0 };
        let r = &d.regs;
        match offset {
            1 => r.error,
            2 => r.count[older],
            3 => r.low[older],
            4 => r.mid[older],
            5 => r.high[older],
            _ => r.status,
        }
    }

    fn write(&mut self, offset: u16, value: u8, now: Nanos) {
        self.control &= !HOB;
        match offset {
            1..=5 => self.write_parameter(offset, value),
            6 => self.device = value & 0x5f,
            7 => self.write_command(value, now),
            _ => {}
        }
    }

    /// Both drives hear a parameter; a busy one does not.
    fn write_parameter(&mut self, offset: u16, value: u8) {
        for d in self.drives.iter_mut().flatten().filter(|d| d.regs.status & status::BSY == 0) {
            let r: &mut Registers = &mut d.regs;
            let pair = match offset {
                1 => &mut r.feature,
                2 => &mut r.count,
                3 => &mut r.low,
                4 => &mut r.mid,
                _ => &mut r.high,
            };
            *pair = [value, pair[0]];
        }
    }

    fn write_command(&mut self, value: u8, now: Nanos) {
        const DEVICE_RESET: u8 = 0x08;
        const DIAGNOSTIC: u8 = 0x90;
        if self.control & SRST != 0 {
            return;
        }
        self.irq = false;
        if value == DIAGNOSTIC {
            self.start_reset(now);
            self.command = value;
            return;
        }
        let Some(cdrom) = self.selected().map(|d| d.cdrom) else { return };
        let resets = value == DEVICE_RESET && cdrom && self.work != Work::Reset as u8;
        if !resets && !self.give_way() {
            return;
        }
        if resets && slot(self.device) != slot(self.target) {
            // the other drive's command goes on
            return self.drives[slot(self.device)].as_mut().map_or((), Drive::reset);
        }
        (self.command, self.target) = (value, self.device);
        if let Some(d) = self.drive_mut() {
            (d.regs.status, d.regs.error) = (status::BSY, 0);
        }
        self.buffer.clear();
        (self.at, self.stop) = (0, 0);
        self.wait(Work::Command, COMMAND_TIME, now);
    }

    /// Room for a new command: none while a drive is busy, but data that nobody takes are dropped.
    fn give_way(&mut self) -> bool {
        let Some(d) = self.drives[slot(self.target)].as_mut() else { return self.work != Work::Reset as u8 };
        if d.regs.status & status::BSY != 0 || self.work == Work::Reset as u8 {
            return false;
        }
        d.regs.status &= !status::DRQ;
        true
    }

    /// What comes next, and when.
    fn wait(&mut self, work: Work, time: Nanos, now: Nanos) {
        self.work = work as u8;
        self.event = Some(now.saturating_add(time));
    }

    fn write_control(&mut self, value: u8, now: Nanos) {
        let before = std::mem::replace(&mut self.control, value & (NIEN | SRST | HOB));
        if value & SRST != 0 {
            self.command = 0;
        }
        match (before & SRST != 0, value & SRST != 0) {
            (false, true) => {
                self.stop_all();
                for d in self.drives.iter_mut().flatten() {
                    d.regs.status = status::BSY;
                }
            }
            (true, false) => self.start_reset(now),
            _ => {}
        }
    }

    fn stop_all(&mut self) {
        self.buffer.clear();
        (self.work, self.event, self.irq) = (Work::None as u8, None, false);
        (self.at, self.stop, self.left) = (0, 0, 0);
    }

    fn start_reset(&mut self, now: Nanos) {
        self.stop_all();
        for d in self.drives.iter_mut().flatten() {
            d.regs.status = status::BSY;
        }
        self.wait(Work::Reset, 100 * COMMAND_TIME, now);
    }

    /// Both drives answer with their signatures; the device register selects the first.
    fn finish_reset(&mut self) {
        let diagnostic = self.command == 0x90;
        self.drives.iter_mut().flatten().for_each(Drive::reset);
        (self.device, self.target) = (0, 0);
        self.work = Work::None as u8;
        if diagnostic {
            self.command = 0;
            self.raise();
        }
    }

    /// The time that was waited for has come.
    fn step(&mut self, now: Nanos, mem: &mut dyn DmaMemory) {
        match self.work {
            w if w == Work::Command as u8 => self.execute(now),
            w if w == Work::Read as u8 => self.load_block(),
            w if w == Work::Write as u8 => self.store_block(now),
            w if w == Work::TakePacket as u8 => self.execute_packet(now),
            w if w == Work::GivePacket as u8 => self.give_packet(),
            w if w == Work::TakeParameters as u8 => self.end_packet(),
            w if w == Work::DmaRead as u8 => self.dma_read(now, mem),
            w if w == Work::DmaWrite as u8 => self.dma_write(now, mem),
            w if w == Work::DmaPacket as u8 => self.dma_packet(now, mem),
            w if w == Work::DmaParameters as u8 => self.dma_parameters(mem),
            w if w == Work::Reset as u8 => self.finish_reset(),
            _ => {}
        }
    }

    fn read_word(&mut self, now: Nanos) -> u16 {
        let giving = [Work::Read, Work::Give, Work::GivePacket].iter().any(|&w| w as u8 == self.work);
        if !self.moves_data() || !giving {
            return 0xffff;
        }
        let at = self.at as usize;
        let byte = |n: usize| self.buffer.get(n).copied().unwrap_or(0);
        let value = u16::from_le_bytes([byte(at), byte(at + 1)]);
        self.at = (self.at + 2).min(self.stop);
        if self.at == self.stop {
            self.given(now);
        }
        value
    }

    /// The host has taken a block.
    fn given(&mut self, now: Nanos) {
        match self.work {
            w if w == Work::Read as u8 && self.left > 0 => {
                self.set_status(status::BSY);
                self.wait(Work::Read, BLOCK_TIME, now);
            }
            w if w == Work::GivePacket as u8 => {
                self.set_status(status::BSY);
                self.wait(Work::GivePacket, BLOCK_TIME, now);
            }
            _ => {
                self.work = Work::None as u8;
                self.set_status(status::DRDY | status::DSC);
            }
        }
    }

    fn write_word(&mut self, value: u16, now: Nanos) {
        let taking =
            [Work::Write, Work::TakePacket, Work::TakeParameters].iter().any(|&w| w as u8 == self.work);
        if !self.moves_data() || !taking {
            return;
        }
        let at = self.at as usize;
        for (b, v) in self.buffer.iter_mut().skip(at).zip(value.to_le_bytes()) {
            *b = v;
        }
        self.at = (self.at + 2).min(self.stop);
        if self.at == self.stop {
            self.set_status(status::BSY);
            self.event = Some(now.saturating_add(BLOCK_TIME));
        }
    }

    fn set_status(&mut self, value: u8) {
        if let Some(d) = self.drive_mut() {
            d.regs.status = value;
        }
    }

    /// The command is over, well.
    fn complete(&mut self) {
        self.work = Work::None as u8;
        self.buffer.clear();
        (self.at, self.stop) = (0, 0);
        self.set_status(status::DRDY | status::DSC);
        self.raise();
    }

    /// The command is over, with these error bits.
    fn fail(&mut self, bits: u8) {
        self.work = Work::None as u8;
        self.buffer.clear();
        (self.at, self.stop) = (0, 0);
        if let Some(d) = self.drive_mut() {
            d.regs.error = bits;
            d.regs.status = status::DRDY | status::DSC | status::ERR;
        }
        self.raise();
    }

    /// Data is ready, or wanted: `bytes` of the buffer from `at` on.
    fn offer(&mut self, bytes: usize) {
        self.stop = (self.at as usize + bytes).min(self.buffer.len()) as u32;
        self.set_status(status::DRDY | status::DSC | status::DRQ);
    }
}
