//! The receiver: address filter and ring.

use super::crc;
use super::{FCS, ISR_OVW, ISR_PRX, ISR_RST, MAX_FRAME, MIN_FRAME, Ne2000};
use super::{RCR_AB, RCR_AM, RCR_MON, RCR_PRO};

const PRX: u8 = 0x01;
const MPA: u8 = 0x10;
const PHY: u8 = 0x20;
const DIS: u8 = 0x40;
/// Status, next page, and the count of bytes, low and high.
const HEADER: usize = 4;
/// Bytes of a page.
const PAGE: usize = 256;

impl Ne2000 {
    /// Whether a frame of `len` bytes would find room, or would not be stored anyway. Where this
    /// says no, a patient peer waits until the driver has emptied the ring.
    pub fn can_receive(&self, len: usize) -> bool {
        let stored = self.running && !self.looped() && self.rcr & RCR_MON == 0;
        let pages = pages(len);
        !stored || pages < self.free_pages() || pages >= self.ring_pages()
    }

    /// A frame from the wire, without frame check sequence. `true`: it is in the ring.
    pub fn receive(&mut self, frame: &[u8]) -> bool {
        let fits = (14..=MAX_FRAME).contains(&frame.len());
        if !self.running || self.looped() || !fits {
            return false;
        }
        let Some(group) = self.accepts(frame) else { return false };
        let group = if group { PHY } else { 0 };
        if self.rcr & RCR_MON != 0 {
            self.rsr = DIS | group;
            self.count(2);
            return false;
        }
        self.rsr = PRX | group;
        self.store(frame)
    }

    /// Whether the filter lets a frame through, and if so, whether it is for a group.
    pub(super) fn accepts(&self, frame: &[u8]) -> Option<bool> {
        let address = frame.get(..6)?;
        let taken = |yes: bool, group: bool| yes.then_some(group);
        if address == [0xff; 6] {
            taken(self.rcr & RCR_AB != 0, true)
        } else if address[0] & 1 != 0 {
            let bit = crc::hash(address);
            let hit = self.multicast[bit / 8] >> (bit % 8) & 1 != 0;
            taken(self.rcr & RCR_AM != 0 && hit, true)
        } else {
            taken(self.rcr & RCR_PRO != 0 || address == self.physical, false)
        }
    }

    /// Pages of the ring; 0 if the registers describe none.
    fn ring_pages(&self) -> usize {
        let inside = (self.page_start..self.page_stop).contains(&self.current);
        if inside { usize::from(self.page_stop - self.page_start) } else { 0 }
    }

    /// Pages from the current one up to the boundary. The ring is empty where they are the same:
    /// reception never fills the last page, so that full and empty cannot be confused.
    fn free_pages(&self) -> usize {
        let ring = self.ring_pages();
        if ring == 0 || !(self.page_start..self.page_stop).contains(&self.boundary) {
            return ring;
        }
        match (usize::from(self.boundary) + ring - usize::from(self.current)) % ring {
            0 => ring,
            free => free,
        }
    }

    fn store(&mut self, frame: &[u8]) -> bool {
        let pages = pages(frame.len());
        if pages >= self.free_pages() {
            self.overflow();
            return false;
        }
        let mut bytes = frame.to_vec();
        bytes.resize(frame.len().max(MIN_FRAME), 0);
        bytes.extend(crc::fcs(&bytes));
        let mut next = usize::from(self.current) + pages;
        if next >= usize::from(self.page_stop) {
            next -= self.ring_pages();
        }
        let [low, high] = (bytes.len() as u16).to_le_bytes();
        let mut at = u16::from(self.current) << 8;
        for byte in [self.rsr, next as u8, low, high].into_iter().chain(bytes) {
            self.set_local_byte(at, byte);
            at = at.wrapping_add(1);
            if at == u16::from(self.page_stop) << 8 {
                at = u16::from(self.page_start) << 8;
            }
        }
        self.local_address = at;
        self.current = next as u8;
        self.isr |= ISR_PRX;
        true
    }

    fn overflow(&mut self) {
        self.rsr = self.rsr & !PRX | MPA;
        self.isr |= ISR_OVW | ISR_RST;
        self.count(2);
    }

    /// The driver has taken packets out of the ring: a receiver that waited for it goes on.
    pub(super) fn set_boundary(&mut self, page: u8) {
        self.boundary = page;
        if self.running {
            self.isr &= !ISR_RST;
        }
    }
}

/// Pages that a frame takes in the ring.
fn pages(len: usize) -> usize {
    (len.max(MIN_FRAME) + HEADER + FCS).div_ceil(PAGE)
}
