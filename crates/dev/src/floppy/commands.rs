//! The command phase: what each command is, and those without data (82077AA data sheet, chapter 5).

use super::{Floppy, Phase, SECTOR_TIME, SEEK_TIME};
use crate::time::Nanos;

/// Command codes: the low five bits of the first byte.
pub(super) mod code {
    pub(crate) const READ_TRACK: u8 = 0x02;
    pub(crate) const SPECIFY: u8 = 0x03;
    pub(crate) const SENSE_DRIVE: u8 = 0x04;
    pub(crate) const WRITE: u8 = 0x05;
    pub(crate) const READ: u8 = 0x06;
    pub(crate) const RECALIBRATE: u8 = 0x07;
    pub(crate) const SENSE_INTERRUPT: u8 = 0x08;
    pub(crate) const WRITE_DELETED: u8 = 0x09;
    pub(crate) const READ_ID: u8 = 0x0a;
    pub(crate) const READ_DELETED: u8 = 0x0c;
    pub(crate) const FORMAT: u8 = 0x0d;
    pub(crate) const DUMPREG: u8 = 0x0e;
    pub(crate) const SEEK: u8 = 0x0f;
    pub(crate) const VERSION: u8 = 0x10;
    pub(crate) const SCAN_EQUAL: u8 = 0x11;
    pub(crate) const PERPENDICULAR: u8 = 0x12;
    pub(crate) const CONFIGURE: u8 = 0x13;
    pub(crate) const LOCK: u8 = 0x14;
    pub(crate) const VERIFY: u8 = 0x16;
    pub(crate) const SCAN_LOW: u8 = 0x19;
    pub(crate) const SCAN_HIGH: u8 = 0x1d;
}

/// ST0: the command ended abnormally.
pub(super) const ABNORMAL: u8 = 0x40;
/// ST0: the seek is over.
const SEEK_END: u8 = 0x20;
/// ST0: track 0 was not found.
const EQUIPMENT_CHECK: u8 = 0x10;
/// What an invalid command gives.
const INVALID: u8 = 0x80;

/// Bytes of a command; 1 for what is none.
pub(super) fn length(first: Option<u8>) -> usize {
    use code::*;
    let Some(first) = first else { return 0 };
    match first & 0x1f {
        READ_TRACK | WRITE | READ | WRITE_DELETED | READ_DELETED | SCAN_EQUAL | VERIFY | SCAN_LOW
        | SCAN_HIGH => 9,
        FORMAT => 6,
        CONFIGURE => 4,
        SPECIFY | SEEK => 3,
        SENSE_DRIVE | RECALIBRATE | READ_ID | PERPENDICULAR => 2,
        _ => 1,
    }
}

/// Whether a command has an execution phase in which sectors pass.
pub(super) fn moves_data(first: u8) -> bool {
    use code::*;
    matches!(
        first & 0x1f,
        READ_TRACK
            | WRITE
            | READ
            | WRITE_DELETED
            | READ_ID
            | READ_DELETED
            | FORMAT
            | SCAN_EQUAL
            | VERIFY
            | SCAN_LOW
            | SCAN_HIGH
    )
}

/// Whether a command writes the medium.
pub(super) fn writes(first: u8) -> bool {
    matches!(first & 0x1f, code::WRITE | code::WRITE_DELETED | code::FORMAT)
}

impl Floppy {
    pub(super) fn take_command_byte(&mut self, value: u8, now: Nanos) {
        self.command.push(value);
        if self.command.len() >= length(self.command.first().copied()) {
            self.start(now);
        }
    }

    /// A byte of the command.
    pub(super) fn parameter(&self, n: usize) -> u8 {
        self.command.get(n).copied().unwrap_or(0)
    }

    /// The unit that the command names.
    pub(super) fn unit(&self) -> u8 {
        self.parameter(1) & 3
    }

    /// The side that the command selects.
    pub(super) fn side(&self) -> u8 {
        self.parameter(1) >> 2 & 1
    }

    fn start(&mut self, now: Nanos) {
        use code::*;
        match self.parameter(0) & 0x1f {
            SPECIFY => {
                self.specified = [self.parameter(1), self.parameter(2)];
                self.done(&[]);
            }
            SENSE_DRIVE => self.sense_drive(),
            RECALIBRATE => self.seek(0, now),
            SENSE_INTERRUPT => self.sense_interrupt(),
            DUMPREG => self.dump(),
            SEEK => self.start_seek(now),
            VERSION => self.done(&[0x90]),
            PERPENDICULAR => {
                self.perpendicular = self.parameter(1) & 0x3f;
                self.done(&[]);
            }
            CONFIGURE => {
                self.configured = [self.parameter(1), self.parameter(2), self.parameter(3)];
                self.done(&[]);
            }
            LOCK => {
                self.locked = self.parameter(0) & 0x80 != 0;
                self.done(&[u8::from(self.locked) << 4]);
            }
            _ if moves_data(self.parameter(0)) => self.start_transfer(now),
            _ => self.done(&[INVALID]),
        }
    }

    /// The command is over; its results, if any, are to be read. No interrupt.
    pub(super) fn done(&mut self, results: &[u8]) {
        self.command.clear();
        self.results = results.iter().copied().collect();
        self.phase = if results.is_empty() { Phase::Command } else { Phase::Result } as u8;
    }

    /// ST3: write protect, ready, track 0, two-sided, head, unit.
    fn sense_drive(&mut self) {
        let (unit, side) = (self.unit(), self.side());
        let drive = self.drives.get(usize::from(unit)).filter(|d| d.present);
        let state = drive.map_or(0x20, |d| 0x28 | u8::from(d.protected()) << 6 | u8::from(d.track == 0) << 4);
        self.done(&[state | side << 2 | unit]);
    }

    /// Results of seeks and resets, one at a time.
    fn sense_interrupt(&mut self) {
        match self.senses.pop_front() {
            Some(sense) => {
                self.irq = !self.senses.is_empty() && self.irq && sense >> 8 < 0xc0;
                self.done(&sense.to_be_bytes());
            }
            None => self.done(&[INVALID]),
        }
    }

    fn dump(&mut self) {
        let tracks = [0, 1, 2, 3].map(|n| self.drives.get(n).map_or(0, |d| d.track));
        let [a, b] = self.specified;
        let c = u8::from(self.locked) << 7 | self.perpendicular;
        let last = self.chrn[2];
        let [_, e, f] = self.configured;
        self.done(&[tracks[0], tracks[1], tracks[2], tracks[3], a, b, last, c, e, f]);
    }

    /// SEEK, or with bit 7 RELATIVE SEEK by so many tracks (bit 6: inwards).
    fn start_seek(&mut self, now: Nanos) {
        let (first, by) = (self.parameter(0), self.parameter(2));
        let track = self.drives.get(usize::from(self.unit())).map_or(0, |d| d.track);
        let target = match first & 0xc0 {
            0xc0 => track.saturating_add(by),
            0x80 => track.saturating_sub(by),
            _ => by,
        };
        self.seek(target, now);
    }

    fn seek(&mut self, target: u8, now: Nanos) {
        let unit = usize::from(self.unit());
        self.targets[unit] = target;
        self.seeks[unit] = Some(now.saturating_add(SEEK_TIME));
        // which command it was decides what a drive that is not there answers
        self.st[0] = self.parameter(0);
        self.done(&[]);
    }

    /// The head of a unit has arrived.
    pub(super) fn arrive(&mut self, unit: usize) {
        let target = self.targets[unit];
        let present = self.drives.get(unit).is_some_and(|d| d.present);
        if let Some(d) = self.drives.get_mut(unit).filter(|_| present) {
            d.seek(target);
        }
        let failed = !present && self.st[0] & 0x1f == code::RECALIBRATE;
        let st0 = SEEK_END | if failed { ABNORMAL | EQUIPMENT_CHECK } else { 0 } | unit as u8;
        if self.senses.len() < 8 {
            self.senses.push_back(u16::from(st0) << 8 | u16::from(target));
        }
        self.irq = true;
    }

    /// Data commands wait for their first sector.
    fn start_transfer(&mut self, now: Nanos) {
        self.st = [self.parameter(1) & 7, 0, 0];
        self.chrn = [self.parameter(2), self.parameter(3), self.parameter(4), self.parameter(5)];
        self.left = match self.parameter(0) & 0x1f {
            code::FORMAT => u16::from(self.parameter(3)),
            // a count of sectors, where the EC bit says so
            code::VERIFY if self.parameter(1) & 0x80 != 0 => u16::from(self.parameter(8)),
            _ => 0,
        };
        if self.parameter(0) & 0x1f == code::READ_TRACK {
            self.chrn[2] = 1;
        }
        self.buffer.clear();
        self.at = 0;
        self.wait(now);
    }

    /// Until the next sector comes round.
    pub(super) fn wait(&mut self, now: Nanos) {
        self.phase = Phase::Seeking as u8;
        self.event = Some(now.saturating_add(SECTOR_TIME));
    }
}
