//! The floppy controller: Intel 82077AA (data sheet 290166) with two drives, at 3F0h.

mod commands;
mod media;
#[cfg(test)]
mod tests;
mod transfer;

use crate::block::SECTOR;
use crate::dma8237::Dma;
use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::{Nanos, earlier};
use crate::{Block, DmaMemory};
use media::{Drive, DriveStateV1};
use std::collections::VecDeque;

pub use media::Geometry;

/// DOR: 0 holds the controller in reset.
const NOT_RESET: u8 = 0x04;
/// DOR: interrupts and DMA requests reach the board.
const GATE: u8 = 0x08;
/// Main status register.
mod msr {
    pub(super) const RQM: u8 = 0x80;
    pub(super) const DIO: u8 = 0x40;
    pub(super) const NON_DMA: u8 = 0x20;
    pub(super) const BUSY: u8 = 0x10;
}
/// The DMA channel of the board.
const CHANNEL: usize = 2;
/// Time for a sector to pass under the head: quicker than a real drive.
const SECTOR_TIME: Nanos = 60_000;
/// Time for the head to move, however far.
const SEEK_TIME: Nanos = 500_000;
/// Time after the last write at which the medium is flushed.
const FLUSH_TIME: Nanos = 2_000_000_000;

/// What the controller is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Waits for a command, or for the rest of one.
    Command = 0,
    /// Waits for a sector to come round.
    Seeking = 1,
    /// Data through the FIFO register, towards the CPU.
    Read = 2,
    /// Data through the FIFO register, from the CPU.
    Write = 3,
    /// Results wait to be read.
    Result = 4,
}

/// The controller.
#[derive(Debug)]
pub struct Floppy {
    drives: [Drive; 2],
    dor: u8,
    tdr: u8,
    rate: u8,
    phase: u8,
    command: Vec<u8>,
    results: VecDeque<u8>,
    /// The sector that is passing, and how much of it has passed.
    buffer: Vec<u8>,
    at: u16,
    irq: bool,
    /// What SENSE INTERRUPT STATUS has to tell: ST0 and the cylinder.
    senses: VecDeque<u16>,
    seeks: [Option<u64>; 4],
    targets: [u8; 4],
    /// When the next sector has come round.
    event: Option<u64>,
    st: [u8; 3],
    /// Cylinder, head, sector and size code of the running command.
    chrn: [u8; 4],
    left: u16,
    specified: [u8; 2],
    configured: [u8; 3],
    locked: bool,
    perpendicular: u8,
    flush_at: Option<u64>,
}

impl Default for Floppy {
    fn default() -> Self {
        Self::new()
    }
}

impl Floppy {
    /// After power-on: held in reset, no drives.
    pub fn new() -> Floppy {
        Floppy {
            drives: Default::default(),
            dor: 0,
            tdr: 0,
            rate: 2,
            phase: Phase::Command as u8,
            command: Vec::new(),
            results: VecDeque::new(),
            buffer: Vec::new(),
            at: 0,
            irq: false,
            senses: VecDeque::new(),
            seeks: [None; 4],
            targets: [0; 4],
            event: None,
            st: [0; 3],
            chrn: [0; 4],
            left: 0,
            specified: [0; 2],
            configured: [0, 0x20, 0],
            locked: false,
            perpendicular: 0,
            flush_at: None,
        }
    }

    /// Puts a medium into a drive (0 or 1), which is then there.
    pub fn insert(&mut self, drive: usize, medium: Box<dyn Block>) {
        self.drives[drive & 1].insert(medium);
    }

    /// Takes the medium out, flushed as far as the host can.
    pub fn eject(&mut self, drive: usize) -> Option<Box<dyn Block>> {
        self.flush();
        self.drives[drive & 1].eject()
    }

    /// Every medium with its drive's number.
    pub fn media(&mut self) -> impl Iterator<Item = (usize, &mut Box<dyn Block>)> {
        self.drives.iter_mut().enumerate().filter_map(|(n, d)| Some((n, d.medium.as_mut()?)))
    }

    /// Sectors of a drive's medium, 0 without one; `None` if there is no drive.
    pub fn capacity(&self, drive: usize) -> Option<u64> {
        let d = &self.drives[drive & 1];
        d.present.then_some(d.capacity)
    }

    /// Puts an empty drive in.
    pub fn add_drive(&mut self, drive: usize) {
        let d = &mut self.drives[drive & 1];
        (d.present, d.changed) = (true, true);
    }

    /// The drives' types as CMOS register 10h has them: the first in the high half.
    pub fn cmos_types(&self) -> u8 {
        let kind = |d: &Drive| match d.geometry {
            Some(g) => g.drive_type,
            None if d.present => 4,
            None => 0,
        };
        kind(&self.drives[0]) << 4 | kind(&self.drives[1])
    }

    /// Makes what was written durable; an error is the back end's to report.
    pub fn flush(&mut self) {
        self.flush_at = None;
        for medium in self.drives.iter_mut().filter_map(|d| d.medium.as_mut()) {
            // the controller has no way to tell the guest any more
            let _ = medium.flush();
        }
    }

    /// IRQ 6.
    pub fn irq(&self) -> bool {
        self.irq && self.dor & GATE != 0
    }

    /// When the controller goes on by itself.
    pub fn deadline(&self) -> Option<Nanos> {
        let seeks = self.seeks.iter().fold(None, |d, &s| earlier(d, s));
        earlier(earlier(self.event, seeks), self.flush_at)
    }

    /// Brings the controller to `now`: heads arrive, sectors pass.
    pub fn advance(&mut self, now: Nanos, dma: &mut Dma, mem: &mut dyn DmaMemory) {
        for unit in 0..4 {
            if self.seeks[unit].is_some_and(|t| t <= now) {
                self.seeks[unit] = None;
                self.arrive(unit);
            }
        }
        if self.event.is_some_and(|t| t <= now) {
            self.event = None;
            self.sector_passes(now, dma, mem);
        }
        if self.flush_at.is_some_and(|t| t <= now) {
            self.flush();
        }
    }

    /// Reads the register at 3F0h + `offset` (0-5, 7).
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        match offset {
            0 => u8::from(self.irq) << 7,
            1 => 0xc0 | self.dor >> 4 & 3,
            2 => self.dor,
            3 => self.tdr,
            4 => self.status(),
            5 => self.read_fifo(now),
            7 => self.disk_changed() << 7,
            _ => 0xff,
        }
    }

    /// Writes the register at 3F0h + `offset` (2-5, 7).
    pub fn write(&mut self, offset: u16, value: u8, now: Nanos) {
        match offset {
            2 => self.write_dor(value),
            3 => self.tdr = value & 3,
            4 => {
                self.rate = value & 3;
                if value & 0x80 != 0 {
                    self.reset();
                    self.leave_reset();
                }
            }
            5 => self.write_fifo(value, now),
            7 => self.rate = value & 3,
            _ => {}
        }
    }

    /// DIR's bit 7: the line of the selected drive, where its motor turns.
    fn disk_changed(&self) -> u8 {
        let unit = usize::from(self.dor & 3);
        let turning = self.dor & 0x10 << unit != 0;
        self.drives.get(unit).map_or(0, |d| u8::from(turning && (d.changed || d.medium.is_none())))
    }

    fn status(&self) -> u8 {
        if self.dor & NOT_RESET == 0 {
            return 0;
        }
        let seeking = (0..4).filter(|&n| self.seeks[n].is_some()).fold(0, |bits, n| bits | 1 << n);
        let phase = match self.phase {
            p if p == Phase::Seeking as u8 => msr::BUSY,
            p if p == Phase::Read as u8 => msr::RQM | msr::DIO | msr::NON_DMA | msr::BUSY,
            p if p == Phase::Write as u8 => msr::RQM | msr::NON_DMA | msr::BUSY,
            p if p == Phase::Result as u8 => msr::RQM | msr::DIO | msr::BUSY,
            _ => msr::RQM | if self.command.is_empty() { 0 } else { msr::BUSY },
        };
        phase | seeking
    }

    fn write_dor(&mut self, value: u8) {
        let old = std::mem::replace(&mut self.dor, value);
        match (old & NOT_RESET != 0, value & NOT_RESET != 0) {
            (true, false) => self.reset(),
            (false, true) => self.leave_reset(),
            _ => {}
        }
        // a motor that stops is the end of a program's writing
        if old & !value & 0x30 != 0 && self.flush_at.is_some() {
            self.flush();
        }
    }

    fn reset(&mut self) {
        self.phase = Phase::Command as u8;
        self.command.clear();
        self.results.clear();
        self.buffer.clear();
        self.senses.clear();
        (self.at, self.irq, self.event, self.seeks) = (0, false, None, [None; 4]);
        if !self.locked {
            self.configured = [0, 0x20, 0];
        }
    }

    /// Polling finds that all four drives' ready lines have changed (data sheet, 5.2.3).
    fn leave_reset(&mut self) {
        if self.configured[1] & 0x10 == 0 {
            self.senses = (0..4u16).map(|unit| (0xc0 | unit) << 8 | self.track(unit)).collect();
            self.irq = true;
        }
    }

    fn track(&self, unit: u16) -> u16 {
        self.drives.get(usize::from(unit)).map_or(0, |d| u16::from(d.track))
    }

    fn read_fifo(&mut self, now: Nanos) -> u8 {
        match self.phase {
            p if p == Phase::Result as u8 => self.read_result(),
            p if p == Phase::Read as u8 => {
                let value = self.buffer.get(usize::from(self.at)).copied().unwrap_or(0xff);
                self.fifo_moved(now);
                value
            }
            _ => 0xff,
        }
    }

    fn read_result(&mut self) -> u8 {
        self.irq = self.irq && !self.senses.is_empty();
        let value = self.results.pop_front().unwrap_or(0xff);
        if self.results.is_empty() {
            self.phase = Phase::Command as u8;
        }
        value
    }

    fn write_fifo(&mut self, value: u8, now: Nanos) {
        if self.dor & NOT_RESET == 0 {
            return;
        }
        match self.phase {
            p if p == Phase::Command as u8 => self.take_command_byte(value, now),
            p if p == Phase::Write as u8 => {
                if let Some(b) = self.buffer.get_mut(usize::from(self.at)) {
                    *b = value;
                }
                self.fifo_moved(now);
            }
            _ => {}
        }
    }

    fn check(s: &FloppyStateV1) -> Result<(), StateError> {
        let e = |ok, field| ensure(ok, "floppy", field);
        e(s.phase <= Phase::Result as u8, "phase")?;
        e(s.command.len() <= 9, "command")?;
        let executing = (Phase::Seeking as u8..=Phase::Write as u8).contains(&s.phase);
        e(!executing || s.command.len() == commands::length(s.command.first().copied()), "command")?;
        e(s.results.len() <= 10 && s.senses.len() <= 8, "results")?;
        e((s.phase == Phase::Result as u8) != s.results.is_empty(), "results")?;
        e(s.buffer.len() <= 512 && usize::from(s.at) <= s.buffer.len(), "buffer")?;
        let fifo = s.phase == Phase::Read as u8 || s.phase == Phase::Write as u8;
        e(!fifo || usize::from(s.at) < s.buffer.len(), "at")?;
        // what goes to a medium is a sector
        let writes = s.command.first().is_some_and(|c| c & 0x1f != commands::code::FORMAT);
        e(s.phase != Phase::Write as u8 || !writes || s.buffer.len() == SECTOR, "buffer")?;
        e(s.rate < 4 && s.tdr < 4, "rate")?;
        e((s.phase == Phase::Seeking as u8) == s.event.is_some(), "event")
    }

    fn fits(&self, s: &FloppyStateV1) -> Result<(), StateError> {
        ensure(media::fits(&self.drives, &s.drives), "floppy", "drives")
    }
}

frozen! {
    /// The controller, version 1.
    FloppyStateV1 of Floppy {
        drives: [DriveStateV1; 2], dor: u8, tdr: u8, rate: u8, phase: u8, command: Vec<u8>, results: VecDeque<u8>,
        buffer: Vec<u8>, at: u16, irq: bool, senses: VecDeque<u16>, seeks: [Option<u64>; 4], targets: [u8; 4],
        event: Option<u64>, st: [u8; 3], chrn: [u8; 4], left: u16, specified: [u8; 2], configured: [u8; 3],
        locked: bool, perpendicular: u8, flush_at: Option<u64>,
    }
}
device_state!(Floppy, FloppyState, FloppyStateV1, fits);
