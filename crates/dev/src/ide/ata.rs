//! The commands of a hard disk (ATA/ATAPI-6, chapter 8).

use super::drive::{Drive, MOST_MULTIPLE, error, status};
use super::{BLOCK_TIME, CHUNK, Channel, Work, slot};
use crate::block::SECTOR;
use crate::time::Nanos;
use crate::{BlockError, DmaMemory};

/// How a command's address and count are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// 28-bit, or cylinder, head and sector.
    Short,
    /// 48-bit.
    Ext,
}

impl Channel {
    /// The command register's command starts.
    pub(super) fn execute(&mut self, now: Nanos) {
        let Some(drive) = self.drive() else { return };
        if drive.cdrom {
            return self.execute_cdrom(now);
        }
        match self.command {
            0x20 | 0x21 => self.start_read(Form::Short, 1),
            0x24 => self.start_read(Form::Ext, 1),
            0x29 => self.start_multiple(Form::Ext, false),
            0xc4 => self.start_multiple(Form::Short, false),
            0x30 | 0x31 => self.start_write(Form::Short, 1),
            0x34 => self.start_write(Form::Ext, 1),
            0x39 => self.start_multiple(Form::Ext, true),
            0xc5 => self.start_multiple(Form::Short, true),
            0xc8 | 0xc9 => self.start_dma(Form::Short, Work::DmaRead, now),
            0x25 => self.start_dma(Form::Ext, Work::DmaRead, now),
            0xca | 0xcb => self.start_dma(Form::Short, Work::DmaWrite, now),
            0x35 => self.start_dma(Form::Ext, Work::DmaWrite, now),
            0x40 | 0x41 => self.verify(Form::Short),
            0x42 => self.verify(Form::Ext),
            0x10..=0x1f => self.complete(),
            0x70..=0x7f => self.seek(),
            0x91 => self.set_translation(),
            0xc6 => self.set_multiple(),
            0xec => self.give_identity(),
            0xef => self.set_features(),
            0xe7 | 0xea => self.flush_cache(),
            0xf8 => self.native_max(Form::Short),
            0x27 => self.native_max(Form::Ext),
            _ => self.execute_power(),
        }
    }

    /// Power management; whatever is not known is aborted.
    fn execute_power(&mut self) {
        let power = match self.command {
            0xe0 | 0x94 | 0xe2 | 0x96 | 0xe6 | 0x99 => 0x00,
            0xe1 | 0x95 | 0xe3 | 0x97 => 0xff,
            0xe5 | 0x98 => return self.check_power(),
            _ => return self.fail(error::ABORT),
        };
        // the caches are written before the spindle stops (ATA/ATAPI-6, SLEEP and STANDBY)
        if power == 0 && !self.flushed(error::ABORT) {
            return;
        }
        if let Some(d) = self.drive_mut() {
            d.power = power;
        }
        self.complete();
    }

    fn check_power(&mut self) {
        if let Some(d) = self.drive_mut() {
            d.regs.count[0] = d.power;
        }
        self.complete();
    }

    /// First sector and count of the command; `None` if they are not on the disk.
    fn range(&self, form: Form) -> Option<(u64, u32)> {
        let d = self.drive()?;
        let count = match form {
            Form::Short if d.regs.count[0] == 0 => 256,
            Form::Short => u32::from(d.regs.count[0]),
            Form::Ext => match u16::from_be_bytes([d.regs.count[1], d.regs.count[0]]) {
                0 => 0x1_0000,
                n => u32::from(n),
            },
        };
        let first = self.address(form)?;
        (first + u64::from(count) <= d.capacity).then_some((first, count))
    }

    /// The sector that the registers name.
    fn address(&self, form: Form) -> Option<u64> {
        let (d, device) = (self.drive()?, self.target);
        let r = &d.regs;
        if form == Form::Ext {
            let bytes = [r.low[0], r.mid[0], r.high[0], r.low[1], r.mid[1], r.high[1], 0, 0];
            return Some(u64::from_le_bytes(bytes));
        }
        if device & 0x40 != 0 {
            let bytes = [r.low[0], r.mid[0], r.high[0], device & 15];
            return Some(u64::from(u32::from_le_bytes(bytes)));
        }
        let (cylinder, head) = (u64::from(u16::from_le_bytes([r.mid[0], r.high[0]])), device & 15);
        let inside = head < d.heads && (1..=d.track).contains(&r.low[0]);
        let track = cylinder * u64::from(d.heads) + u64::from(head);
        inside.then(|| track * u64::from(d.track) + u64::from(r.low[0]) - 1)
    }

    /// Puts a sector's address where the command's was.
    fn show_address(&mut self, sector: u64) {
        let (ext, lba) = (matches!(self.command, 0x24..=0x29 | 0x34..=0x39 | 0x42), self.target & 0x40 != 0);
        let b = sector.to_le_bytes();
        let Some(d) = self.drive_mut() else { return };
        if ext {
            (d.regs.low, d.regs.mid, d.regs.high) = ([b[0], b[3]], [b[1], b[4]], [b[2], b[5]]);
            return;
        }
        let mut head = b[3] & 15;
        if lba {
            (d.regs.low[0], d.regs.mid[0], d.regs.high[0]) = (b[0], b[1], b[2]);
        } else {
            let (track, heads) = (u64::from(d.track), u64::from(d.heads));
            let cylinder = ((sector / track / heads) as u16).to_le_bytes();
            d.regs.low[0] = (sector % track) as u8 + 1;
            (d.regs.mid[0], d.regs.high[0]) = (cylinder[0], cylinder[1]);
            head = (sector / track % heads) as u8;
        }
        self.show_head(head);
    }

    /// The device register is both drives', and shows the head of the one that is selected.
    fn show_head(&mut self, head: u8) {
        self.target = self.target & 0xf0 | head;
        if slot(self.target) == slot(self.device) {
            self.device = self.device & 0xf0 | head;
        }
    }

    fn start(&mut self, form: Form, block: u32) -> bool {
        let Some((first, count)) = self.range(form) else {
            self.fail(error::ID_NOT_FOUND);
            return false;
        };
        (self.sector, self.left, self.block) = (first, count, block.max(1));
        true
    }

    fn start_read(&mut self, form: Form, block: u32) {
        if self.start(form, block) {
            self.work = Work::Read as u8;
            self.load_block();
        }
    }

    fn start_write(&mut self, form: Form, block: u32) {
        if self.start(form, block) {
            self.want_block();
        }
    }

    fn start_multiple(&mut self, form: Form, write: bool) {
        match self.drive().map_or(0, |d| d.multiple) {
            0 => self.fail(error::ABORT),
            n if write => self.start_write(form, n.into()),
            n => self.start_read(form, n.into()),
        }
    }

    fn start_dma(&mut self, form: Form, work: Work, now: Nanos) {
        if self.start(form, 1) {
            self.set_status(status::DRDY | status::DSC | status::DRQ);
            self.work = work as u8;
            if self.bus_master.is_running() {
                self.wait(work, BLOCK_TIME, now);
            }
        }
    }

    /// A host error of the medium, or a write to one that takes none.
    fn medium_error(&mut self, e: &BlockError) {
        self.show_address(self.sector);
        match e {
            BlockError::Range => self.fail(error::ID_NOT_FOUND),
            BlockError::ReadOnly => self.fail(error::ABORT | error::UNCORRECTABLE),
            BlockError::Host(_) => self.fail(error::UNCORRECTABLE),
        }
    }

    /// Reads up to `most` sectors into the buffer, or as many as come before a bad one, unless they go together;
    /// `false` if the command failed.
    fn load(&mut self, most: u32, together: bool) -> bool {
        let mut buffer = vec![0; most.min(self.left) as usize * SECTOR];
        let sector = self.sector;
        let none = (0, Err(BlockError::Range));
        let (good, read) = self.drive_mut().map_or(none, |d| d.read_good(sector, SECTOR, &mut buffer));
        let n = (good / SECTOR) as u32;
        if let Err(e) = read
            && (together || n == 0)
        {
            self.sector += u64::from(n);
            self.medium_error(&e);
            return false;
        }
        buffer.truncate(good);
        (self.buffer, self.at) = (buffer, 0);
        self.sector += u64::from(n);
        self.left -= n;
        true
    }

    /// The next block of a read by PIO.
    pub(super) fn load_block(&mut self) {
        if self.load(self.block, true) {
            self.show_address(self.sector.saturating_sub(1));
            self.offer(self.buffer.len());
            self.raise();
        }
    }

    /// Room for the next block of a write by PIO.
    fn want_block(&mut self) {
        let n = self.block.min(self.left);
        self.buffer = vec![0; n as usize * SECTOR];
        (self.at, self.work) = (0, Work::Write as u8);
        self.offer(self.buffer.len());
    }

    fn store(&mut self) -> bool {
        let (sector, buffer) = (self.sector, std::mem::take(&mut self.buffer));
        let written = self.drive_mut().map_or(Err(BlockError::Range), |d| d.write(sector, &buffer));
        if let Err(e) = written {
            self.medium_error(&e);
            return false;
        }
        let n = (buffer.len() / SECTOR) as u32;
        self.sector += u64::from(n);
        self.left = self.left.saturating_sub(n);
        true
    }

    /// The host has given a block.
    pub(super) fn store_block(&mut self, _: Nanos) {
        if !self.store() {
            return;
        }
        self.show_address(self.sector.saturating_sub(1));
        if self.left == 0 {
            return self.complete();
        }
        self.want_block();
        self.raise();
    }

    /// The next part of a read by DMA: what the table has not taken stays in the buffer.
    pub(super) fn dma_read(&mut self, now: Nanos, mem: &mut dyn DmaMemory) {
        if self.at as usize >= self.buffer.len() {
            if self.left == 0 {
                return self.complete();
            }
            if !self.load((CHUNK / SECTOR) as u32, false) {
                return;
            }
            self.stop = self.buffer.len() as u32;
        }
        let moved = self.bus_master.transfer(&mut self.buffer[self.at as usize..], true, mem);
        self.at += moved as u32;
        if self.at as usize == self.buffer.len() {
            self.wait(Work::DmaRead, BLOCK_TIME, now);
        }
    }

    /// The next part of a write by DMA.
    pub(super) fn dma_write(&mut self, now: Nanos, mem: &mut dyn DmaMemory) {
        if self.left == 0 {
            return self.complete();
        }
        if self.buffer.is_empty() {
            let n = self.left.min((CHUNK / SECTOR) as u32);
            self.buffer = vec![0; n as usize * SECTOR];
            (self.at, self.stop) = (0, self.buffer.len() as u32);
        }
        let moved = self.bus_master.transfer(&mut self.buffer[self.at as usize..], false, mem);
        self.at += moved as u32;
        let whole = self.at as usize / SECTOR * SECTOR;
        let rest = self.buffer.split_off(whole);
        if whole == 0 {
            self.buffer = rest;
        } else if self.store() {
            self.at -= whole as u32;
            self.buffer = rest;
            self.stop = self.buffer.len() as u32;
            // a table that has ended within the transfer leaves the drive waiting for the next one
            if self.buffer.is_empty() {
                self.wait(Work::DmaWrite, BLOCK_TIME, now);
            }
        }
    }

    fn verify(&mut self, form: Form) {
        match self.range(form) {
            Some(_) => self.complete(),
            None => self.fail(error::ID_NOT_FOUND),
        }
    }

    fn seek(&mut self) {
        let capacity = self.drive().map_or(0, |d| d.capacity);
        match self.address(Form::Short) {
            Some(n) if n < capacity => self.complete(),
            _ => self.fail(error::ID_NOT_FOUND),
        }
    }

    /// INITIALIZE DEVICE PARAMETERS (ATA-5, 8.16): sectors a track, and the last head.
    fn set_translation(&mut self) {
        let heads = (self.target & 15) + 1;
        match self.drive_mut() {
            Some(d) if d.regs.count[0] != 0 => {
                (d.heads, d.track) = (heads, d.regs.count[0]);
                self.complete();
            }
            _ => self.fail(error::ABORT),
        }
    }

    fn set_multiple(&mut self) {
        let Some(d) = self.drive_mut() else { return };
        let n = d.regs.count[0];
        if n > MOST_MULTIPLE || !(n == 0 || n.is_power_of_two()) {
            d.multiple = 0;
            return self.fail(error::ABORT);
        }
        d.multiple = n;
        self.complete();
    }

    pub(super) fn give_identity(&mut self) {
        let Some(d) = self.drive() else { return };
        (self.buffer, self.at) = (d.identify(), 0);
        self.work = Work::Give as u8;
        self.offer(2 * 256);
        self.raise();
    }

    pub(super) fn set_features(&mut self) {
        let Some(feature) = self.drive().map(|d| d.regs.feature[0]) else { return };
        if feature == 0x82 && !self.flushed(error::ABORT) {
            return;
        }
        let Some(d) = self.drive_mut() else { return };
        match (feature, d.regs.count[0]) {
            (0x02, _) => d.write_cache = true,
            (0x82, _) => d.write_cache = false,
            (0x03, mode @ (0x00..=0x01 | 0x08..=0x0c | 0x20..=0x22 | 0x40..=0x45)) => d.mode = mode,
            (0x55 | 0xaa | 0x66 | 0xcc | 0x05 | 0x85, _) => {}
            _ => return self.fail(error::ABORT),
        }
        self.complete();
    }

    fn flush_cache(&mut self) {
        if self.flushed(error::UNCORRECTABLE) {
            self.complete();
        }
    }

    /// Makes what was written durable; `false` if the command failed for that, with `bits` and a device fault.
    fn flushed(&mut self, bits: u8) -> bool {
        let done = self.drive_mut().map_or(Ok(()), Drive::flush).is_ok();
        if !done {
            self.fail(bits);
            self.set_status(status::DRDY | status::DF | status::DSC | status::ERR);
        }
        done
    }

    fn native_max(&mut self, form: Form) {
        let last = self.drive().map_or(0, |d| d.capacity).saturating_sub(1);
        let shown = if form == Form::Short { last.min(0x0fff_ffff) } else { last };
        let b = shown.to_le_bytes();
        if let Some(d) = self.drive_mut() {
            (d.regs.low, d.regs.mid, d.regs.high) = ([b[0], b[3]], [b[1], b[4]], [b[2], b[5]]);
        }
        if form == Form::Short {
            self.show_head(b[3] & 15);
        }
        self.complete();
    }
}
