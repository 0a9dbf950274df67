//! The registers as the guest reads and writes them (Intel SDM vol. 3A, table 10-1).

use super::vectors::{has, highest, put, word};
use super::{
    ILLEGAL, LEVEL, LINT0, LINT1, LVT_WRITABLE, Lapic, MASKED, REMOTE_IRR, SVR_BITS, VERSION, error,
};
use crate::apic_bus::delivery;
use crate::time::Nanos;

impl Lapic {
    /// Reads the register at an offset, a multiple of 10h.
    pub fn read(&mut self, offset: u16, now: Nanos) -> u32 {
        self.advance(now);
        match offset >> 4 {
            0x02 => u32::from(self.id) << 24,
            0x03 => VERSION,
            0x08 => self.tpr.into(),
            0x09 => self.apr().into(),
            0x0a => self.ppr().into(),
            // EOI is write-only; there is no other APIC to read from
            0x0b | 0x0c => 0,
            0x0d => u32::from(self.ldr) << 24,
            0x0e => u32::from(self.dfr) << 28 | 0x0fff_ffff,
            0x0f => self.svr.into(),
            n @ 0x10..=0x17 => word(&self.isr, n - 0x10),
            n @ 0x18..=0x1f => word(&self.tmr, n - 0x18),
            n @ 0x20..=0x27 => word(&self.irr, n - 0x20),
            0x28 => self.esr.into(),
            0x30 => self.icr[0],
            0x31 => self.icr[1],
            n @ 0x32..=0x37 => self.lvt[usize::from(n - 0x32)],
            0x38 => self.timer.initial(),
            0x39 => self.timer.current(),
            0x3e => self.timer.divide().into(),
            _ => {
                self.error(error::REGISTER);
                0
            }
        }
    }

    /// Writes the register at an offset, a multiple of 10h.
    pub fn write(&mut self, offset: u16, value: u32, now: Nanos) {
        self.advance(now);
        let [.., high] = value.to_le_bytes();
        match offset >> 4 {
            0x02 => self.id = high,
            0x08 => self.tpr = value as u8,
            0x0b => self.end_of_interrupt(),
            0x0d => self.ldr = high,
            0x0e => self.dfr = high >> 4,
            0x0f => self.write_svr(value as u16),
            // "This write clears any previously logged errors and updates the ESR with any errors detected since"
            0x28 => self.esr = std::mem::take(&mut self.errors),
            0x30 => self.send(value),
            0x31 => self.icr[1] = value & 0xff00_0000,
            n @ 0x32..=0x37 => self.write_lvt(usize::from(n - 0x32), value),
            0x38 => self.timer.load(value),
            0x3e => self.timer.set_divide(value as u8),
            // read-only
            0x03 | 0x09 | 0x0a | 0x0c | 0x10..=0x27 | 0x39 => {}
            _ => self.error(error::REGISTER),
        }
    }

    /// "The mask bits for all the LVT entries are set" while it is software-disabled (10.4.7.2).
    fn write_svr(&mut self, value: u16) {
        self.svr = value & SVR_BITS;
        if !self.software_enabled() {
            self.lvt.iter_mut().for_each(|l| *l |= MASKED);
        }
    }

    fn write_lvt(&mut self, n: usize, value: u32) {
        let mut new = value & LVT_WRITABLE[n] | self.lvt[n] & REMOTE_IRR;
        if !self.software_enabled() {
            new |= MASKED;
        }
        // remote IRR has a meaning for level-triggered interrupts with a vector alone (10.5.1)
        if new & LEVEL == 0 || new >> 8 & 7 != u32::from(delivery::FIXED) {
            new &= !REMOTE_IRR;
        }
        self.lvt[n] = new;
        self.levels();
    }

    /// 10.8.5: the highest interrupt in service ends.
    fn end_of_interrupt(&mut self) {
        let Some(vector) = highest(&self.isr) else { return };
        put(&mut self.isr, vector, false);
        if !has(&self.tmr, vector) {
            return;
        }
        self.eoi = Some(vector);
        for n in [LINT0, LINT1] {
            if self.lvt[n] as u8 == vector {
                self.lvt[n] &= !REMOTE_IRR;
            }
        }
        self.levels();
    }

    /// An interprocessor interrupt (10.6.1), which matters where it is for this CPU too.
    fn send(&mut self, value: u32) {
        self.icr[0] = value & 0xc_cfff;
        let (vector, mode) = (value as u8, (value >> 8 & 7) as u8);
        let with_vector = matches!(mode, delivery::FIXED | delivery::LOWEST);
        if with_vector && vector < ILLEGAL {
            return self.error(error::SENT_VECTOR);
        }
        let to_self = match value >> 18 & 3 {
            0 => self.addressed(value & 0x800 != 0, (self.icr[1] >> 24) as u8),
            // self, and all including self
            1 | 2 => true,
            _ => false,
        };
        if to_self && mode != delivery::EXTINT {
            // "the processor always treats" interprocessor interrupts "as edge triggered" (P4, table 10-3)
            self.take(mode, vector, false);
        }
    }
}
