//! National PC16550D UART with FIFOs (data sheet TL/C/8652), as on a PC serial port: OUT2 gates the interrupt.
//!
//! The transmitter takes no time: a byte written to THR is in the output queue at once. Only when the board does
//! not drain that queue does THRE read 0.

use std::collections::VecDeque;

use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;

/// The UART's crystal divided by 16: the bit rate at divisor 1.
pub const BASE_BAUD: u64 = 115_200;
/// How many transmitted bytes wait at most for the board.
pub const OUTPUT_LIMIT: usize = 16 * 1024;
const FIFO_SIZE: usize = 16;

const IER_ERBFI: u8 = 1;
const IER_ETBEI: u8 = 2;
const IER_ELSI: u8 = 4;
const IER_EDSSI: u8 = 8;
const LCR_BREAK: u8 = 0x40;
const LCR_DLAB: u8 = 0x80;
const MCR_OUT2: u8 = 0x08;
const MCR_LOOP: u8 = 0x10;
const LSR_DR: u8 = 0x01;
const LSR_OE: u8 = 0x02;
const LSR_BI: u8 = 0x10;
const LSR_ERRORS: u8 = 0x1e;
const LSR_THRE_TEMT: u8 = 0x60;
const LSR_FIFO_ERROR: u8 = 0x80;
const IIR_NONE: u8 = 0x01;
const IIR_MODEM: u8 = 0x00;
const IIR_THRE: u8 = 0x02;
const IIR_RDA: u8 = 0x04;
const IIR_LINE: u8 = 0x06;
const IIR_TIMEOUT: u8 = 0x0c;

/// The modem's outputs, which are the UART's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModemLines {
    /// Clear to send.
    pub cts: bool,
    /// Data set ready.
    pub dsr: bool,
    /// Ring indicator.
    pub ri: bool,
    /// Data carrier detect.
    pub dcd: bool,
}

impl ModemLines {
    /// A peer that is there and ready.
    pub const READY: ModemLines = ModemLines { cts: true, dsr: true, ri: false, dcd: true };

    fn msr(self) -> u8 {
        u8::from(self.cts) << 4 | u8::from(self.dsr) << 5 | u8::from(self.ri) << 6 | u8::from(self.dcd) << 7
    }
}

/// One 16550.
#[derive(Debug)]
pub struct Uart {
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    msr: u8,
    scratch: u8,
    divisor: u16,
    /// OE and the errors of the byte at the head that have not been read.
    errors: u8,
    /// Received bytes; the high byte holds the errors (as in LSR) of each.
    rx: VecDeque<u16>,
    /// The modem's lines as in MSR bits 4-7.
    modem: u8,
    thre_pending: bool,
    timeout: bool,
    /// When the receiver FIFO was last filled or read.
    rx_activity: u64,
    output: VecDeque<u8>,
}

impl Default for Uart {
    fn default() -> Self {
        Self::new()
    }
}

impl Uart {
    /// The UART after a master reset, with a ready peer.
    pub fn new() -> Self {
        let modem = ModemLines::READY.msr();
        Uart {
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            msr: modem,
            scratch: 0,
            divisor: 12,
            errors: 0,
            rx: VecDeque::new(),
            modem,
            thre_pending: false,
            timeout: false,
            rx_activity: 0,
            output: VecDeque::new(),
        }
    }

    /// The time of one character on the line in nanoseconds.
    pub fn char_time(&self) -> Nanos {
        let data = 5 + u64::from(self.lcr & 3);
        let bits = 2 + data + u64::from(self.lcr >> 2 & 1) + u64::from(self.lcr >> 3 & 1);
        bits * u64::from(self.divisor.max(1)) * crate::time::SECOND / BASE_BAUD
    }

    fn fifo(&self) -> bool {
        self.fcr & 1 != 0
    }

    fn capacity(&self) -> usize {
        if self.fifo() { FIFO_SIZE } else { 1 }
    }

    fn trigger(&self) -> usize {
        if self.fifo() { [1, 4, 8, 14][usize::from(self.fcr >> 6)] } else { 1 }
    }

    fn looped(&self) -> bool {
        self.mcr & MCR_LOOP != 0
    }

    fn tx_ready(&self) -> bool {
        self.output.len() < OUTPUT_LIMIT
    }

    /// Whether the receiver has room for a byte. In loopback mode the line is disconnected and nothing fits.
    pub fn can_receive(&self) -> bool {
        self.rx.len() < self.capacity() && !self.looped()
    }

    /// A byte from the line. `false` if there is no room; the byte is then not taken and no overrun is noted.
    pub fn receive(&mut self, byte: u8, now: Nanos) -> bool {
        self.sync(now);
        let room = self.can_receive();
        if room {
            self.push(byte, 0, now);
        }
        room
    }

    /// A break condition from the line; `false` if there is no room.
    pub fn receive_break(&mut self, now: Nanos) -> bool {
        self.sync(now);
        let room = self.can_receive();
        if room {
            self.push(0, LSR_BI, now);
        }
        room
    }

    fn push(&mut self, byte: u8, errors: u8, now: Nanos) {
        if self.rx.len() >= self.capacity() {
            // The FIFO keeps its bytes; without one, the new byte overwrites the old.
            self.errors |= LSR_OE;
            if self.fifo() {
                return;
            }
            self.rx.clear();
        }
        self.rx.push_back(u16::from_le_bytes([byte, errors]));
        self.rx_activity = now;
        self.reveal_errors();
    }

    /// The errors of a byte are revealed when it is at the head.
    fn reveal_errors(&mut self) {
        if let Some(head) = self.rx.front_mut() {
            self.errors |= head.to_le_bytes()[1];
            *head &= 0xff;
        }
    }

    /// Takes the bytes that the guest transmitted, into `to`.
    pub fn drain(&mut self, to: &mut Vec<u8>) {
        let was_full = !self.tx_ready();
        to.extend(self.output.drain(..));
        self.thre_pending |= was_full;
    }

    /// How many transmitted bytes wait.
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Sets the modem's lines; changes show in MSR's delta bits.
    pub fn set_modem(&mut self, lines: ModemLines) {
        self.modem = lines.msr();
        self.update_msr();
    }

    /// The DTR and RTS outputs, both inactive in loopback mode.
    pub fn dtr_rts(&self) -> (bool, bool) {
        let mcr = if self.looped() { 0 } else { self.mcr };
        (mcr & 1 != 0, mcr & 2 != 0)
    }

    /// Whether the transmitter holds the line in the break condition.
    pub fn sends_break(&self) -> bool {
        self.lcr & LCR_BREAK != 0 && !self.looped()
    }

    fn update_msr(&mut self) {
        let m = self.mcr;
        let lines = if self.looped() {
            (m >> 1 & 1) << 4 | (m & 1) << 5 | (m >> 2 & 1) << 6 | (m >> 3 & 1) << 7
        } else {
            self.modem
        };
        let changed = (self.msr ^ lines) >> 4;
        // TERI: only the trailing edge of RI counts.
        let rose_ri = lines >> 4 & 0x04;
        self.msr = lines | self.msr & 0x0f | changed & !rose_ri;
    }

    /// The interrupt request line: an enabled cause, and OUT2 active (loopback forces the pin inactive).
    pub fn irq(&self) -> bool {
        self.cause() != IIR_NONE && self.mcr & MCR_OUT2 != 0 && !self.looped()
    }

    /// The identification of the cause of highest priority (data sheet, table IV).
    fn cause(&self) -> u8 {
        let enabled = |bit| self.ier & bit != 0;
        if enabled(IER_ELSI) && self.errors != 0 {
            IIR_LINE
        } else if enabled(IER_ERBFI) && self.rx.len() >= self.trigger() {
            IIR_RDA
        } else if enabled(IER_ERBFI) && self.timeout {
            IIR_TIMEOUT
        } else if enabled(IER_ETBEI) && self.thre_pending {
            IIR_THRE
        } else if enabled(IER_EDSSI) && self.msr & 0x0f != 0 {
            IIR_MODEM
        } else {
            IIR_NONE
        }
    }

    /// When the character timeout interrupt comes due: four characters after the last activity.
    pub fn deadline(&self) -> Option<Nanos> {
        let waits = self.fifo() && !self.timeout && !self.rx.is_empty();
        let below = self.rx.len() < self.trigger() && self.ier & IER_ERBFI != 0;
        (waits && below).then(|| self.rx_activity.saturating_add(4 * self.char_time()))
    }

    /// Brings the UART to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.sync(now);
    }

    fn sync(&mut self, now: Nanos) {
        let due = self.rx_activity.saturating_add(4 * self.char_time());
        self.timeout |= self.fifo() && !self.rx.is_empty() && now >= due;
    }

    /// Reads register `offset` (0 to 7).
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        self.sync(now);
        let dlab = self.lcr & LCR_DLAB != 0;
        let [low, high] = self.divisor.to_le_bytes();
        match offset & 7 {
            0 if dlab => low,
            1 if dlab => high,
            0 => self.read_rbr(now),
            1 => self.ier,
            2 => self.read_iir(),
            3 => self.lcr,
            4 => self.mcr,
            5 => self.read_lsr(),
            6 => self.read_msr(),
            _ => self.scratch,
        }
    }

    fn read_rbr(&mut self, now: Nanos) -> u8 {
        let head = self.rx.pop_front().unwrap_or(0);
        self.timeout = false;
        self.rx_activity = now;
        self.reveal_errors();
        head.to_le_bytes()[0]
    }

    fn read_iir(&mut self) -> u8 {
        let cause = self.cause();
        if cause == IIR_THRE {
            self.thre_pending = false;
        }
        cause | if self.fifo() { 0xc0 } else { 0 }
    }

    fn read_lsr(&mut self) -> u8 {
        let tx = if self.tx_ready() { LSR_THRE_TEMT } else { 0 };
        let in_fifo = self.fifo() && (self.errors & !LSR_OE != 0 || self.rx.iter().any(|&b| b > 0xff));
        let dr = if self.rx.is_empty() { 0 } else { LSR_DR };
        dr | tx | if in_fifo { LSR_FIFO_ERROR } else { 0 } | std::mem::take(&mut self.errors)
    }

    fn read_msr(&mut self) -> u8 {
        let msr = self.msr;
        self.msr &= 0xf0;
        msr
    }

    /// Writes register `offset` (0 to 7).
    pub fn write(&mut self, offset: u16, value: u8, now: Nanos) {
        self.sync(now);
        let dlab = self.lcr & LCR_DLAB != 0;
        match offset & 7 {
            0 if dlab => self.divisor = self.divisor & 0xff00 | u16::from(value),
            1 if dlab => self.divisor = self.divisor & 0x00ff | u16::from(value) << 8,
            0 => self.transmit(value, now),
            1 => self.write_ier(value),
            2 => self.write_fcr(value),
            3 => self.lcr = value,
            4 => {
                self.mcr = value & 0x1f;
                self.update_msr();
            }
            7 => self.scratch = value,
            _ => {}
        }
    }

    fn transmit(&mut self, byte: u8, now: Nanos) {
        let byte = byte & (0xff >> (3 - (self.lcr & 3)));
        if self.looped() {
            self.push(byte, 0, now);
        } else if self.tx_ready() {
            self.output.push_back(byte);
        }
        // The holding register empties at once.
        self.thre_pending = self.tx_ready();
    }

    /// Enabling the THRE interrupt while THR is empty raises it.
    fn write_ier(&mut self, value: u8) {
        let enabled = value & !self.ier & IER_ETBEI != 0;
        self.ier = value & 0x0f;
        self.thre_pending |= enabled && self.tx_ready();
    }

    fn write_fcr(&mut self, value: u8) {
        let switched = (value ^ self.fcr) & 1 != 0;
        if switched || value & 3 == 3 {
            self.rx.clear();
            (self.timeout, self.errors) = (false, self.errors & LSR_OE);
        }
        if switched || value & 5 == 5 {
            self.thre_pending |= self.tx_ready();
        }
        // The other bits count only while bit 0 is set.
        self.fcr = if value & 1 != 0 { value & 0xc9 } else { 0 };
    }

    fn check(s: &UartStateV1) -> Result<(), StateError> {
        ensure(s.ier < 16 && s.mcr < 32, "uart16550", "ier, mcr")?;
        ensure(s.fcr & !0xc9 == 0, "uart16550", "fcr")?;
        ensure(s.errors & !LSR_ERRORS == 0, "uart16550", "errors")?;
        ensure(s.modem & 0x0f == 0, "uart16550", "modem")?;
        ensure(s.rx.len() <= if s.fcr & 1 != 0 { FIFO_SIZE } else { 1 }, "uart16550", "rx")?;
        ensure(s.rx.iter().all(|b| b >> 8 & !u16::from(LSR_ERRORS) == 0), "uart16550", "rx")?;
        ensure(s.output.len() <= OUTPUT_LIMIT, "uart16550", "output")
    }
}

frozen! {
    /// The UART, version 1.
    UartStateV1 of Uart {
        ier: u8, fcr: u8, lcr: u8, mcr: u8, msr: u8, scratch: u8, divisor: u16, errors: u8, rx: VecDeque<u16>,
        modem: u8, thre_pending: bool, timeout: bool, rx_activity: u64, output: VecDeque<u8>,
    }
}
device_state!(Uart, UartState, UartStateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    const RBR: u16 = 0;
    const IER: u16 = 1;
    const IIR: u16 = 2;
    const LCR: u16 = 3;
    const MCR: u16 = 4;
    const LSR: u16 = 5;
    const MSR: u16 = 6;

    fn out(uart: &mut Uart) -> Vec<u8> {
        let mut v = Vec::new();
        uart.drain(&mut v);
        v
    }

    #[test]
    fn divisor_scratch_and_transmission() {
        let mut u = Uart::new();
        u.write(LCR, 0x83, 0);
        u.write(0, 0x01, 0);
        u.write(1, 0x02, 0);
        assert_eq!((u.read(0, 0), u.read(1, 0)), (1, 2));
        u.write(0, 1, 0);
        u.write(1, 0, 0);
        u.write(LCR, 0x03, 0);
        assert_eq!(u.char_time(), 10 * 1_000_000_000 / 115_200);
        u.write(7, 0x5a, 0);
        assert_eq!(u.read(7, 0), 0x5a);
        u.write(0, b'A', 0);
        assert_eq!(u.read(LSR, 0), 0x60);
        assert_eq!(out(&mut u), b"A");
    }

    // Data sheet, table IV: line status, received data, timeout, THRE, modem status.
    #[test]
    fn interrupt_priorities() {
        let mut u = Uart::new();
        u.write(LCR, 3, 0);
        u.write(MCR, 0x08, 0);
        u.set_modem(ModemLines { cts: false, ..ModemLines::READY });
        u.write(IER, 0x0f, 0);
        assert!(u.receive_break(0));
        assert_eq!(u.read(IIR, 0), 0x06);
        u.read(LSR, 0);
        assert_eq!(u.read(IIR, 0), 0x04);
        u.read(RBR, 0);
        assert_eq!(u.read(IIR, 0), 0x02, "and this read ends it");
        assert_eq!(u.read(IIR, 0), 0x00);
        assert!(u.irq());
        u.read(MSR, 0);
        assert_eq!(u.read(IIR, 0), 0x01);
        assert!(!u.irq());
    }

    // Reading IIR while it shows THRE clears it, and enabling ETBEI with THR empty raises it again: the probe
    // for UARTs with the "THRE bug".
    #[test]
    fn thre_interrupt_comes_again_when_enabled_again() {
        let mut u = Uart::new();
        u.write(IER, 2, 0);
        assert_eq!(u.read(IIR, 0), 0x02);
        assert_eq!(u.read(IIR, 0), 0x01);
        u.write(IER, 0, 0);
        u.write(IER, 2, 0);
        assert_eq!(u.read(IIR, 0), 0x02);
        u.write(RBR, b'x', 0);
        assert_eq!(u.read(IIR, 0), 0x02, "and after each byte");
    }

    // The test by which drivers find a UART: DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD.
    #[test]
    fn loopback() {
        let mut u = Uart::new();
        u.write(MCR, 0x1a, 0);
        assert_eq!(u.read(MSR, 0) & 0xf0, 0x90);
        assert_eq!(u.read(MSR, 0) & 0x0f, 0, "the deltas clear");
        u.write(LCR, 3, 0);
        u.write(0, 0xa5, 0);
        assert_eq!(u.read(LSR, 0) & 1, 1);
        assert_eq!(u.read(RBR, 0), 0xa5);
        assert!(out(&mut u).is_empty());
        u.write(IER, 2, 0);
        assert!(!u.irq(), "the OUT2 pin is inactive");
        u.write(MCR, 0x08, 0);
        assert!(u.irq());
    }

    #[test]
    fn ring_counts_its_trailing_edge_only() {
        let mut u = Uart::new();
        u.set_modem(ModemLines { ri: true, ..ModemLines::READY });
        assert_eq!(u.read(MSR, 0), 0xf0);
        u.set_modem(ModemLines::READY);
        assert_eq!(u.read(MSR, 0), 0xb4);
    }

    #[test]
    fn fifo_trigger_and_timeout() {
        let mut u = Uart::new();
        u.write(LCR, 3, 0);
        u.write(IIR, 0x81, 0); // FIFO on, trigger at 8
        u.write(IER, 1, 0);
        for i in 0..7 {
            assert!(u.receive(i, 1000));
        }
        assert_eq!(u.read(IIR, 1000), 0xc1);
        let due = u.deadline().expect("a timeout");
        assert_eq!(due, 1000 + 4 * u.char_time());
        u.advance(due - 1);
        assert_eq!(u.read(IIR, due - 1), 0xc1);
        u.advance(due);
        assert_eq!(u.read(IIR, due), 0xcc);
        assert!(u.receive(7, due));
        assert_eq!(u.read(IIR, due), 0xc4);
        assert_eq!(u.read(RBR, due), 0);
        assert_eq!(u.read(IIR, due), 0xc1, "a read ends the timeout");
    }

    #[test]
    fn a_full_receiver_refuses_and_loopback_overruns() {
        let mut u = Uart::new();
        assert!(u.receive(1, 0));
        assert!(!u.receive(2, 0));
        u.write(IIR, 1, 0);
        assert_eq!((0..20).filter(|&i| u.receive(i, 0)).count(), 16);
        u.write(MCR, MCR_LOOP, 0);
        u.write(0, 9, 0);
        assert_eq!(u.read(LSR, 0) & 0x1e, LSR_OE);
        assert_eq!(u.read(LSR, 0) & 0x1e, 0);
        u.write(IIR, 3, 0);
        assert_eq!(u.read(LSR, 0) & 1, 0, "reset of the receiver FIFO");
    }

    #[test]
    fn an_output_that_nobody_drains_holds_the_transmitter() {
        let mut u = Uart::new();
        for _ in 0..OUTPUT_LIMIT + 5 {
            u.write(0, 1, 0);
        }
        assert_eq!(u.read(LSR, 0) & 0x60, 0);
        assert_eq!(out(&mut u).len(), OUTPUT_LIMIT);
        u.write(IER, 2, 0);
        assert_eq!((u.read(LSR, 0) & 0x60, u.read(IIR, 0)), (0x60, 2));
    }

    #[test]
    fn state_round_trip() {
        let mut u = Uart::new();
        u.write(IIR, 1, 0);
        u.write(0, 7, 0);
        u.receive_break(5);
        let state = u.save();
        let mut other = Uart::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(other.save(), state);
        let UartState::V1(mut bad) = state;
        bad.rx = [0; 17].into();
        assert!(other.restore(&UartState::V1(bad)).is_err());
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut u = Uart::new();
        fuzz(6, |r, now| {
            let (offset, value) = (r.below(9) as u16, r.byte());
            match r.below(8) {
                0..3 => _ = u.read(offset, now),
                3..6 => u.write(offset, value, now),
                6 => _ = u.receive(value, now) && u.receive_break(now),
                _ => u.advance(now),
            }
            if r.below(10_000) == 0 {
                u.drain(&mut Vec::new());
            }
            let _ = (u.irq(), u.deadline());
            assert!(u.rx.len() <= 16 && u.output.len() <= OUTPUT_LIMIT);
        });
        let UartState::V1(state) = u.save();
        assert_eq!(Uart::check(&state), Ok(()));
    }
}
