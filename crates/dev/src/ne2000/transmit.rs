//! The transmitter, and what loopback makes of it.

use super::crc;
use super::{CR_TXP, FCS, ISR_PTX, MAX_FRAME, Ne2000, OUTPUT_LIMIT, TCR_CRC, TCR_LB};
use crate::time::Nanos;

/// Bytes that are kept of a transmission: of one too long, enough to know that it is.
pub(super) const MOST: usize = MAX_FRAME + FCS + 1;
/// Nanoseconds of a byte at 10 Mbit/s.
const BYTE_TIME: Nanos = 800;
/// Preamble, start of frame delimiter and frame check sequence, in bytes.
const OVERHEAD: u64 = 12;

/// TSR's PTX, and its bit 1, which reads 1.
const PTX: u8 = 0x03;
const CRS: u8 = 0x10;
const CDH: u8 = 0x40;
const RSR_PRX: u8 = 0x01;
const RSR_CRC: u8 = 0x02;

impl Ne2000 {
    /// Begins to transmit what lies at the transmit page.
    pub(super) fn transmit(&mut self, now: Nanos) {
        let (start, len) = (u16::from(self.transmit_page) << 8, self.transmit_count);
        let kept = len.min(MOST as u16);
        self.sending = (0..kept).map(|n| self.local_byte(start.wrapping_add(n))).collect();
        self.local_address = start.wrapping_add(len);
        self.command |= CR_TXP;
        self.tsr = 0;
        self.sent_at = Some(now.saturating_add((OVERHEAD + u64::from(len)) * BYTE_TIME));
    }

    /// The transmission has ended.
    pub(super) fn sent(&mut self) {
        self.sent_at = None;
        self.command &= !CR_TXP;
        self.isr |= ISR_PTX;
        let frame = std::mem::take(&mut self.sending);
        match self.tcr & TCR_LB {
            0 => {
                self.tsr = PTX;
                self.put_out(frame);
            }
            mode => self.loop_back(mode, frame),
        }
    }

    /// To the wire. Nobody there takes a frame that is too long or has a wrong check sequence.
    fn put_out(&mut self, mut frame: Vec<u8>) {
        if self.tcr & TCR_CRC != 0 {
            let at = frame.len().saturating_sub(FCS);
            let own = frame.split_off(at);
            if own != crc::fcs(&frame) {
                return;
            }
        }
        if (14..=MAX_FRAME).contains(&frame.len()) && self.output.len() < OUTPUT_LIMIT {
            self.output.push_back(frame);
        }
    }

    /// Takes the oldest frame that was transmitted.
    pub fn take_frame(&mut self) -> Option<Vec<u8>> {
        self.output.pop_front()
    }

    /// Loopback (data sheet, section 12): nothing reaches the memory; the FIFO holds the count of bytes and the
    /// last five of them. Transmitter and receiver share one CRC generator: who has it make the check sequence
    /// is told of a CRC error.
    fn loop_back(&mut self, mode: u8, frame: Vec<u8>) {
        // carrier and heartbeat are missed as far in as the loop is closed
        self.tsr = PTX | [0, CRS | CDH, CDH, 0][usize::from(mode >> 1 & 3)];
        let mut bytes = frame;
        self.rsr = RSR_CRC;
        if self.tcr & TCR_CRC == 0 {
            let fcs = crc::fcs(&bytes);
            bytes.extend(fcs);
        } else {
            let (data, own) = bytes.split_at(bytes.len().saturating_sub(FCS));
            if own == crc::fcs(data) {
                self.rsr = if self.accepts(data).is_some() { RSR_PRX } else { 0 };
            }
        }
        let [low, high] = (bytes.len() as u16).to_le_bytes();
        self.fifo = [low, high, high, 0, 0, 0, 0, 0];
        let last = bytes.len().saturating_sub(5);
        self.fifo[3..].iter_mut().zip(&bytes[last..]).for_each(|(f, b)| *f = *b);
        self.fifo_at = 0;
    }

    /// The next byte of the FIFO.
    pub(super) fn read_fifo(&mut self) -> u8 {
        let at = self.fifo_at & 7;
        self.fifo_at = (at + 1) & 7;
        self.fifo[usize::from(at)]
    }
}
