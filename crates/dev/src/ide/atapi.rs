//! The packet protocol of a CD-ROM drive (ATA/ATAPI-6, 9.8 and 9.9; SFF-8020i, chapter 5).

use super::drive::{error, status};
use super::packets::{self, Reply};
use super::raw_sector::mode_1;
use super::{BLOCK_TIME, CHUNK, Channel, Work};
use crate::DmaMemory;
use crate::time::Nanos;

/// Sectors of a medium in a sector of a CD.
const PER_SECTOR: u64 = 4;
/// Bytes of a CD's sector.
pub(super) const CD_SECTOR: usize = 2048;
/// Interrupt reason: the packet, data to the host, the end.
const PACKET: u8 = 1;
const TO_HOST: u8 = 2;
const FROM_HOST: u8 = 0;
const OVER: u8 = 3;

impl Channel {
    /// The command register's command starts, in a CD-ROM drive.
    pub(super) fn execute_cdrom(&mut self, now: Nanos) {
        match self.command {
            0x08 => self.device_reset(),
            0xa0 => self.want_packet(),
            0xa1 => self.give_identity(),
            0xef => self.set_features(),
            0xe0..=0xe3 | 0xe6 => self.complete(),
            0xe5 => {
                if let Some(d) = self.drive_mut() {
                    d.regs.count[0] = 0xff;
                }
                self.complete();
            }
            // IDENTIFY DEVICE and READ SECTORS are answered with the signature
            0xec | 0x20 => {
                if let Some(d) = self.drive_mut() {
                    d.show_signature();
                }
                self.fail(error::ABORT);
            }
            _ => self.fail(error::ABORT),
        }
        let _ = now;
    }

    fn device_reset(&mut self) {
        self.stop_all();
        if let Some(d) = self.drive_mut() {
            d.reset();
        }
    }

    fn reason(&mut self, why: u8) {
        if let Some(d) = self.drive_mut() {
            d.regs.count[0] = why;
        }
    }

    fn want_packet(&mut self) {
        let Some(d) = self.drive() else { return };
        // the byte count limit, even; 0 is as much as there can be
        self.block = match u32::from(u16::from_le_bytes([d.regs.mid[0], d.regs.high[0]])) & !1 {
            0 => 0xfffe,
            n => n,
        };
        (self.sector, self.left) = (0, 0);
        (self.buffer, self.at, self.work) = (vec![0; 12], 0, Work::TakePacket as u8);
        self.reason(PACKET);
        self.offer(12);
    }

    /// The twelve bytes have come.
    pub(super) fn execute_packet(&mut self, now: Nanos) {
        let bytes = std::mem::take(&mut self.buffer);
        self.packet = std::array::from_fn(|n| bytes.get(n).copied().unwrap_or(0));
        (self.at, self.stop, self.left) = (0, 0, 0);
        let packet = self.packet;
        let Some(d) = self.drive_mut() else { return };
        let by_dma = d.regs.feature[0] & 1 != 0;
        match packets::execute(d, &packet) {
            Reply::Done => self.end_packet(),
            Reply::Sense => self.end_packet(),
            Reply::Data(data) if data.is_empty() => self.end_packet(),
            Reply::Data(data) => {
                self.buffer = data;
                self.start_data(by_dma, now);
            }
            Reply::Sectors { count: 0, .. } => self.end_packet(),
            Reply::Sectors { first, count } => {
                (self.sector, self.left) = (first, count);
                self.start_data(by_dma, now);
            }
            Reply::Parameters(0) => self.end_packet(),
            Reply::Parameters(n) if by_dma => {
                self.buffer = vec![0; n.into()];
                self.start_dma_data(Work::DmaParameters, FROM_HOST, now);
            }
            Reply::Parameters(n) => self.want_parameters(n),
        }
    }

    fn start_data(&mut self, by_dma: bool, now: Nanos) {
        if !by_dma {
            self.work = Work::GivePacket as u8;
            return self.give_packet();
        }
        self.start_dma_data(Work::DmaPacket, TO_HOST, now);
    }

    fn start_dma_data(&mut self, work: Work, reason: u8, now: Nanos) {
        self.stop = self.buffer.len() as u32;
        self.work = work as u8;
        self.reason(reason);
        self.set_status(status::DRDY | status::DRQ);
        if self.bus_master.is_running() {
            self.wait(work, BLOCK_TIME, now);
        }
    }

    /// A packet's parameters by DMA.
    pub(super) fn dma_parameters(&mut self, mem: &mut dyn DmaMemory) {
        let at = self.at as usize;
        self.at += self.bus_master.transfer(&mut self.buffer[at..], false, mem) as u32;
        if self.at as usize == self.buffer.len() {
            self.end_packet();
        }
    }

    fn want_parameters(&mut self, n: u16) {
        let n = usize::from(n).next_multiple_of(2).min(self.block as usize);
        (self.buffer, self.at, self.work) = (vec![0; n], 0, Work::TakeParameters as u8);
        if let Some(d) = self.drive_mut() {
            [d.regs.mid[0], d.regs.high[0]] = (n as u16).to_le_bytes();
        }
        self.reason(FROM_HOST);
        self.offer(n);
        self.raise();
    }

    /// Reads the next sectors of the disc into the buffer; `false` if the packet failed.
    fn load_disc(&mut self) -> bool {
        let part = packets::part(&self.packet).unwrap_or(0..0);
        let n = (self.left as usize).min(CHUNK / part.len().max(CD_SECTOR));
        let (first, mut buffer) = (self.sector, vec![0; n * CD_SECTOR]);
        let Some(d) = self.drive_mut() else { return false };
        let (good, read) = d.read_good(first * PER_SECTOR, CD_SECTOR, &mut buffer);
        buffer.truncate(good);
        let n = good / CD_SECTOR;
        if read.is_err() && n == 0 {
            // an unrecovered read error
            d.sense = [3, 0x11, 0];
            self.end_packet();
            return false;
        }
        if part.len() != CD_SECTOR {
            let whole = (first as u32..).zip(buffer.as_chunks::<CD_SECTOR>().0);
            buffer = whole.flat_map(|(n, user)| mode_1(n, user)[part.clone()].to_vec()).collect();
        }
        self.sector += n as u64;
        self.left -= n as u32;
        (self.buffer, self.at) = (buffer, 0);
        true
    }

    /// The next part of a packet's data, by PIO.
    pub(super) fn give_packet(&mut self) {
        if self.at as usize >= self.buffer.len() {
            if self.left == 0 {
                return self.end_packet();
            }
            if !self.load_disc() {
                return;
            }
        }
        let n = (self.buffer.len() - self.at as usize).min(self.block as usize);
        if let Some(d) = self.drive_mut() {
            [d.regs.mid[0], d.regs.high[0]] = (n as u16).to_le_bytes();
        }
        self.reason(TO_HOST);
        self.offer(n);
        self.raise();
    }

    /// The next part of a packet's data, by DMA.
    pub(super) fn dma_packet(&mut self, now: Nanos, mem: &mut dyn DmaMemory) {
        if self.at as usize >= self.buffer.len() {
            if self.left == 0 {
                return self.end_packet();
            }
            if !self.load_disc() {
                return;
            }
            self.stop = self.buffer.len() as u32;
        }
        let moved = self.bus_master.transfer(&mut self.buffer[self.at as usize..], true, mem);
        self.at += moved as u32;
        if self.at as usize == self.buffer.len() {
            self.wait(Work::DmaPacket, BLOCK_TIME, now);
        }
    }

    /// The packet is over; its sense data says how.
    pub(super) fn end_packet(&mut self) {
        self.work = Work::None as u8;
        self.buffer.clear();
        (self.at, self.stop, self.left) = (0, 0, 0);
        self.reason(OVER);
        if let Some(d) = self.drive_mut() {
            let failed = d.sense[0] != 0 && self.packet_fails();
            if let Some(d) = self.drive_mut() {
                d.regs.error = if failed { d.sense[0] << 4 | error::ABORT } else { 0 };
                d.regs.status = status::DRDY | u8::from(failed);
            }
        }
        self.raise();
    }

    /// REQUEST SENSE tells of an error and has none.
    fn packet_fails(&self) -> bool {
        self.packet[0] != packets::REQUEST_SENSE
    }
}
