//! The execution phase: sectors pass, through DMA or through the FIFO register.

use super::commands::{self, ABNORMAL, code};
use super::{CHANNEL, FLUSH_TIME, Floppy, Phase};
use crate::DmaMemory;
use crate::block::SECTOR;
use crate::dma8237::{Dma, DmaProgress};
use crate::time::Nanos;

/// Status register 1.
mod st1 {
    pub(super) const END_OF_CYLINDER: u8 = 0x80;
    pub(super) const DATA_ERROR: u8 = 0x20;
    pub(super) const OVERRUN: u8 = 0x10;
    pub(super) const NO_DATA: u8 = 0x04;
    pub(super) const NOT_WRITABLE: u8 = 0x02;
    pub(super) const MISSING_ADDRESS: u8 = 0x01;
}
/// Status register 2.
mod st2 {
    pub(super) const CONTROL_MARK: u8 = 0x40;
    pub(super) const DATA_ERROR: u8 = 0x20;
    pub(super) const WRONG_CYLINDER: u8 = 0x10;
    pub(super) const SCAN_HIT: u8 = 0x08;
    pub(super) const SCAN_NOT_SATISFIED: u8 = 0x04;
}
/// SPECIFY: no DMA.
const NON_DMA: u8 = 0x01;
/// CONFIGURE: implied seeks.
const IMPLIED_SEEK: u8 = 0x40;
/// Command: both sides.
const MULTI_TRACK: u8 = 0x80;
/// Command: skip sectors with the other mark.
const SKIP: u8 = 0x20;
/// One revolution at 300 a minute.
const REVOLUTION: Nanos = 200_000_000;

/// What a sector's passing led to.
enum Passed {
    /// On with the next one.
    More,
    /// The command is over.
    Over,
    /// It goes through the FIFO register, byte by byte.
    Fifo,
}

impl Floppy {
    fn kind(&self) -> u8 {
        self.parameter(0) & 0x1f
    }

    fn writes(&self) -> bool {
        commands::writes(self.parameter(0))
    }

    fn by_fifo(&self) -> bool {
        self.specified[1] & NON_DMA != 0
    }

    /// A sector is under the head.
    pub(super) fn sector_passes(&mut self, now: Nanos, dma: &mut Dma, mem: &mut dyn DmaMemory) {
        let passed = match self.kind() {
            code::READ_ID => self.read_id(now),
            code::FORMAT => self.format(now, dma, mem),
            _ => self.sector(now, dma, mem),
        };
        match passed {
            Ok(Passed::More) => self.wait(now),
            Ok(Passed::Over) => self.finish(),
            Ok(Passed::Fifo) => self.irq = true,
            Err((st1, st2)) => {
                (self.st[1], self.st[2]) = (self.st[1] | st1, self.st[2] | st2);
                self.st[0] |= ABNORMAL;
                self.finish();
            }
        }
    }

    /// Results, and the interrupt that announces them.
    fn finish(&mut self) {
        let [a, b, c] = self.st;
        let [d, e, f, g] = self.chrn;
        self.done(&[a, b, c, d, e, f, g]);
        self.buffer.clear();
        self.at = 0;
        self.irq = true;
    }

    /// The first address mark that comes by.
    fn read_id(&mut self, now: Nanos) -> Result<Passed, (u8, u8)> {
        let side = self.side();
        let unit = usize::from(self.unit());
        let rate = self.rate;
        let drive = self.drives.get(unit).ok_or((st1::MISSING_ADDRESS, 0))?;
        let g = drive.geometry().filter(|g| g.rate == rate && side < g.heads && drive.track < g.cylinders);
        let g = g.ok_or((st1::MISSING_ADDRESS | st1::NO_DATA, 0))?;
        let sector = now % REVOLUTION * u64::from(g.sectors) / REVOLUTION;
        self.chrn = [drive.track, side, sector as u8 + 1, 2];
        Ok(Passed::Over)
    }

    /// Where the sector that the command wants lies on the medium.
    fn find(&mut self) -> Result<u64, (u8, u8)> {
        let (unit, side, rate, [c, h, r, n]) = (usize::from(self.unit()), self.side(), self.rate, self.chrn);
        let implied = self.configured[1] & IMPLIED_SEEK != 0;
        let drive = self.drives.get_mut(unit).ok_or((st1::MISSING_ADDRESS, 0))?;
        if implied && drive.medium.is_some() {
            drive.seek(c);
        }
        let g = drive.geometry().filter(|g| g.rate == rate);
        let g = g.ok_or((st1::MISSING_ADDRESS | st1::NO_DATA, 0))?;
        if drive.track >= g.cylinders || side >= g.heads {
            return Err((st1::MISSING_ADDRESS | st1::NO_DATA, 0));
        }
        if drive.track != c {
            return Err((st1::NO_DATA, st2::WRONG_CYLINDER));
        }
        let found = g.sector(c, h, r).filter(|_| h == side && n == 2);
        found.ok_or((st1::NO_DATA, 0))
    }

    /// One sector of a data command.
    fn sector(&mut self, now: Nanos, dma: &mut Dma, mem: &mut dyn DmaMemory) -> Result<Passed, (u8, u8)> {
        let at = self.find()?;
        let unit = usize::from(self.unit());
        if self.writes() {
            return self.write_sector(unit, at, now, dma, mem);
        }
        self.load(unit, at)?;
        let deleted = self.kind() == code::READ_DELETED;
        if deleted {
            // every sector of an image has the mark of plain data
            self.st[2] |= st2::CONTROL_MARK;
            if self.parameter(0) & SKIP != 0 {
                return self.next(false);
            }
        }
        match self.kind() {
            code::VERIFY => self.verified(),
            code::SCAN_EQUAL | code::SCAN_LOW | code::SCAN_HIGH => self.scan(dma, mem),
            _ if self.by_fifo() => {
                (self.phase, self.at) = (Phase::Read as u8, 0);
                Ok(Passed::Fifo)
            }
            _ => {
                let p = dma.device_to_memory(CHANNEL, &self.buffer, mem);
                self.moved(p, deleted)
            }
        }
    }

    /// Reads a sector of the medium into the buffer.
    fn load(&mut self, unit: usize, at: u64) -> Result<(), (u8, u8)> {
        self.buffer = vec![0; SECTOR];
        let medium = self.drives[unit & 1].medium.as_mut().ok_or((st1::MISSING_ADDRESS, 0))?;
        if at >= medium.sectors() {
            // the image has been cut off here: the rest is empty
            return Ok(());
        }
        medium.read(at, &mut self.buffer).map_err(|_| (st1::DATA_ERROR, st2::DATA_ERROR))
    }

    fn write_sector(
        &mut self,
        unit: usize,
        at: u64,
        now: Nanos,
        dma: &mut Dma,
        mem: &mut dyn DmaMemory,
    ) -> Result<Passed, (u8, u8)> {
        self.check_writable(unit)?;
        self.buffer = vec![0; SECTOR];
        if self.by_fifo() {
            (self.phase, self.at) = (Phase::Write as u8, 0);
            return Ok(Passed::Fifo);
        }
        // what is not given before TC is written as zeroes
        let p = dma.memory_to_device(CHANNEL, &mut self.buffer, mem);
        if p.bytes > 0 {
            self.store(unit, at, now)?;
        }
        self.moved(p, false)
    }

    fn check_writable(&self, unit: usize) -> Result<(), (u8, u8)> {
        if self.drives[unit & 1].protected() { Err((st1::NOT_WRITABLE, 0)) } else { Ok(()) }
    }

    fn store(&mut self, unit: usize, at: u64, now: Nanos) -> Result<(), (u8, u8)> {
        let medium = self.drives[unit & 1].medium.as_mut().ok_or((st1::MISSING_ADDRESS, 0))?;
        medium.write(at, &self.buffer).map_err(|_| (st1::DATA_ERROR, st2::DATA_ERROR))?;
        // not later for what follows: who writes without a pause would never be flushed
        self.flush_at.get_or_insert(now.saturating_add(FLUSH_TIME));
        Ok(())
    }

    /// After DMA: the whole sector, a part up to TC, or too little in time.
    fn moved(&mut self, p: DmaProgress, stop: bool) -> Result<Passed, (u8, u8)> {
        if !p.terminal_count && p.bytes < SECTOR {
            return Err((st1::OVERRUN, 0));
        }
        self.next(p.terminal_count || stop)
    }

    /// The sector after this one (data sheet, table 5-6); `last`: the command ends with this one.
    fn next(&mut self, last: bool) -> Result<Passed, (u8, u8)> {
        let end_of_track = self.parameter(6);
        if self.chrn[2] != end_of_track {
            self.chrn[2] = self.chrn[2].wrapping_add(1);
            return Ok(if last { Passed::Over } else { Passed::More });
        }
        self.chrn[2] = 1;
        let both = self.parameter(0) & MULTI_TRACK != 0 && self.kind() != code::READ_TRACK;
        let upper = self.chrn[1] & 1 != 0;
        if both {
            self.chrn[1] ^= 1;
            if let Some(selects) = self.command.get_mut(1) {
                *selects ^= 4;
            }
            self.st[0] ^= 4;
        }
        if both && !upper {
            return Ok(if last { Passed::Over } else { Passed::More });
        }
        self.chrn[0] = self.chrn[0].wrapping_add(1);
        match last {
            true => Ok(Passed::Over),
            false => Err((st1::END_OF_CYLINDER, 0)),
        }
    }

    /// VERIFY moves nothing, and ends with its count or with the track.
    fn verified(&mut self) -> Result<Passed, (u8, u8)> {
        let counted = self.parameter(1) & 0x80 != 0;
        self.left = self.left.saturating_sub(1);
        match self.next(counted && self.left == 0) {
            Err((st1::END_OF_CYLINDER, 0)) if !counted => Ok(Passed::Over),
            other => other,
        }
    }

    /// SCAN compares the sector with memory: equal, not above, not below.
    fn scan(&mut self, dma: &mut Dma, mem: &mut dyn DmaMemory) -> Result<Passed, (u8, u8)> {
        let mut wanted = vec![0xff; SECTOR];
        let p = dma.memory_to_device(CHANNEL, &mut wanted, mem);
        let pairs = || self.buffer.iter().zip(&wanted[..p.bytes]).filter(|(d, w)| **d != 0xff && **w != 0xff);
        let hit = match self.kind() {
            code::SCAN_EQUAL => pairs().all(|(d, w)| d == w),
            code::SCAN_LOW => pairs().all(|(d, w)| d <= w),
            _ => pairs().all(|(d, w)| d >= w),
        };
        let equal = pairs().all(|(d, w)| d == w);
        self.st[2] &= !(st2::SCAN_HIT | st2::SCAN_NOT_SATISFIED);
        if hit {
            self.st[2] |= if equal { st2::SCAN_HIT } else { 0 };
            return Ok(Passed::Over);
        }
        self.st[2] |= st2::SCAN_NOT_SATISFIED;
        match self.moved(p, false) {
            Err((st1::END_OF_CYLINDER, 0)) => Ok(Passed::Over),
            other => other,
        }
    }

    /// One sector of FORMAT TRACK: four bytes name it, and it is filled.
    fn format(&mut self, now: Nanos, dma: &mut Dma, mem: &mut dyn DmaMemory) -> Result<Passed, (u8, u8)> {
        let unit = usize::from(self.unit());
        let rate = self.rate;
        // tracks of another density are no tracks of this image
        let drive = self.drives.get(unit).filter(|d| d.geometry().is_some_and(|g| g.rate == rate));
        let track = drive.ok_or((st1::MISSING_ADDRESS, 0))?.track;
        self.check_writable(unit)?;
        if self.left == 0 {
            return Ok(Passed::Over);
        }
        let mut id = [0; 4];
        if self.by_fifo() {
            self.buffer = vec![0; 4];
            (self.phase, self.at) = (Phase::Write as u8, 0);
            return Ok(Passed::Fifo);
        }
        let p = dma.memory_to_device(CHANNEL, &mut id, mem);
        if p.bytes < 4 {
            return Err((st1::OVERRUN, 0));
        }
        self.format_sector(unit, track, id, now)?;
        Ok(if self.left == 0 || p.terminal_count { Passed::Over } else { Passed::More })
    }

    /// Fills the sector that an identifier names. An image has room for those of its format only: others fail as on
    /// a medium that takes no address mark.
    fn format_sector(&mut self, unit: usize, track: u8, id: [u8; 4], now: Nanos) -> Result<(), (u8, u8)> {
        self.left = self.left.saturating_sub(1);
        self.chrn = id;
        let side = self.side();
        let place = self.drives[unit & 1].geometry().and_then(|g| g.sector(track, side, id[2]));
        let at = place.filter(|_| id[0] == track && id[1] == side && id[3] == 2);
        self.buffer = vec![self.parameter(5); SECTOR];
        self.store(unit, at.ok_or((st1::MISSING_ADDRESS, 0))?, now)
    }

    /// A byte went through the FIFO register.
    pub(super) fn fifo_moved(&mut self, now: Nanos) {
        self.at = self.at.saturating_add(1);
        self.irq = true;
        if usize::from(self.at) < self.buffer.len() {
            return;
        }
        self.irq = false;
        let passed = self.fifo_sector_over(now);
        match passed {
            Ok(Passed::Over) => self.finish(),
            Ok(_) => self.wait(now),
            Err((a, b)) => {
                (self.st[1], self.st[2]) = (self.st[1] | a, self.st[2] | b);
                self.st[0] |= ABNORMAL;
                self.finish();
            }
        }
    }

    fn fifo_sector_over(&mut self, now: Nanos) -> Result<Passed, (u8, u8)> {
        let unit = usize::from(self.unit());
        if self.kind() == code::FORMAT {
            let id = [0, 1, 2, 3].map(|n| self.buffer.get(n).copied().unwrap_or(0));
            let track = self.drives.get(unit).map_or(0, |d| d.track);
            self.format_sector(unit, track, id, now)?;
            return Ok(if self.left == 0 { Passed::Over } else { Passed::More });
        }
        if self.writes() {
            let at = self.find()?;
            self.store(unit, at, now)?;
        }
        self.next(self.kind() == code::READ_DELETED)
    }
}
