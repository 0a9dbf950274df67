//! The local APIC in xAPIC mode (Intel SDM vol. 3A, "Advanced Programmable Interrupt Controller (APIC)"; sections are
//! cited as where that chapter is number 10), for a machine of one CPU.
//!
//! Beside the registers it is what the CPU's INTR and NMI pins have become: [`Lapic::intr`] is what interrupts
//! the CPU, whether the APIC is enabled, passes the 8259A's request on through LINT0 (virtual wire mode), or is
//! switched off and not in the way at all.

mod registers;
mod timer;
mod vectors;

use crate::apic_bus::{Message, delivery};
use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;
use timer::{Timer, TimerStateV1};
use vectors::{Vectors, highest, put};

/// The bus clock that the timer divides, in hertz.
pub const BUS_HZ: u32 = 100_000_000;
/// Where the registers are after reset.
pub const DEFAULT_BASE: u32 = 0xfee0_0000;
/// IA32_APIC_BASE: this is the bootstrap processor.
pub const BASE_BSP: u32 = 1 << 8;
/// IA32_APIC_BASE: global enable.
pub const BASE_ENABLE: u32 = 1 << 11;
const BASE_ADDRESS: u32 = 0xffff_f000;
/// IA32_APIC_BASE's bits that exist.
pub const BASE_BITS: u32 = BASE_ADDRESS | BASE_ENABLE | BASE_BSP;

/// Version 14h with six local vectors (10.4.8).
const VERSION: u32 = 0x0005_0014;
const SVR_ENABLE: u16 = 1 << 8;
const SVR_BITS: u16 = 0x3ff;

/// Places in the local vector table, in the order of its registers from 320h on.
const TIMER: usize = 0;
/// The first local interrupt pin: the 8259A.
const LINT0: usize = 3;
/// The second one: NMI.
const LINT1: usize = 4;
const ERROR: usize = 5;

/// Bits of a local vector (10.5.1).
const REMOTE_IRR: u32 = 1 << 14;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const ACTIVE_LOW: u32 = 1 << 13;
/// What a guest can write: timer, thermal, performance counters, LINT0, LINT1, error.
const LVT_WRITABLE: [u32; 6] = [0x3_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff];

/// Error status (10.5.3).
mod error {
    pub(super) const SENT_VECTOR: u8 = 1 << 5;
    pub(super) const RECEIVED_VECTOR: u8 = 1 << 6;
    pub(super) const REGISTER: u8 = 1 << 7;
}
/// Vectors that are the CPU's own.
const ILLEGAL: u8 = 16;

/// What the CPU gets on its interrupt acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// A vector of the APIC's own.
    Vector(u8),
    /// The 8259A is to give the vector.
    External,
}

/// The local APIC.
#[derive(Debug)]
pub struct Lapic {
    /// The chip has one: what it is made of, not state.
    present: bool,
    /// IA32_APIC_BASE.
    base: u32,
    id: u8,
    tpr: u8,
    ldr: u8,
    /// The destination format: Fh is flat, 0 is clusters.
    dfr: u8,
    svr: u16,
    isr: Vectors,
    tmr: Vectors,
    irr: Vectors,
    esr: u8,
    /// Errors since the last write to the error status register.
    errors: u8,
    icr: [u32; 2],
    lvt: [u32; 6],
    timer: Timer,
    /// The levels of LINT0 and LINT1.
    pins: [bool; 2],
    /// A message said that the 8259A wants to interrupt.
    extint: bool,
    nmi: bool,
    /// The end of a level-triggered interrupt, for the I/O APICs; taken after each write.
    eoi: Option<u8>,
}

impl Lapic {
    /// The APIC after power-on, of the bootstrap processor with APIC ID 0; or none at all, which leaves
    /// INTR and NMI as they are.
    pub fn new(present: bool) -> Self {
        let base = if present { DEFAULT_BASE | BASE_ENABLE | BASE_BSP } else { 0 };
        let mut apic = Lapic {
            present,
            base,
            id: 0,
            tpr: 0,
            ldr: 0,
            dfr: 0xf,
            svr: 0xff,
            isr: [0; 4],
            tmr: [0; 4],
            irr: [0; 4],
            esr: 0,
            errors: 0,
            icr: [0; 2],
            lvt: [MASKED; 6],
            timer: Timer::default(),
            pins: [false; 2],
            extint: false,
            nmi: false,
            eoi: None,
        };
        apic.init();
        apic
    }

    /// The chip has an APIC.
    pub fn present(&self) -> bool {
        self.present
    }

    /// IA32_APIC_BASE's global enable: without it the chip is as one that has no APIC (10.4.3).
    pub fn enabled(&self) -> bool {
        self.base & BASE_ENABLE != 0
    }

    /// Where the page of registers is.
    pub fn page(&self) -> Option<u32> {
        self.enabled().then_some(self.base & BASE_ADDRESS)
    }

    /// IA32_APIC_BASE.
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Writes IA32_APIC_BASE. What is switched off loses its state (10.4.3).
    pub fn set_base(&mut self, value: u32) {
        let was = self.enabled();
        self.base = if self.present { value & BASE_BITS } else { 0 };
        if was && !self.enabled() {
            self.init();
        }
    }

    /// INIT: all but the APIC ID and IA32_APIC_BASE as after power-on (10.4.7.3).
    pub fn init(&mut self) {
        (self.tpr, self.ldr, self.dfr, self.svr) = (0, 0, 0xf, 0xff);
        (self.isr, self.tmr, self.irr) = ([0; 4], [0; 4], [0; 4]);
        (self.esr, self.errors, self.icr, self.lvt) = (0, 0, [0; 2], [MASKED; 6]);
        (self.extint, self.eoi) = (false, None);
        self.timer.reset();
    }

    /// Virtual wire mode, in which firmware leaves it (MP specification 1.4, 3.6.2.2): the 8259A on LINT0, NMI
    /// on LINT1.
    pub fn virtual_wire(&mut self) {
        self.svr = 0xff | SVR_ENABLE;
        self.lvt[LINT0] = u32::from(delivery::EXTINT) << 8;
        self.lvt[LINT1] = u32::from(delivery::NMI) << 8;
    }

    fn software_enabled(&self) -> bool {
        self.svr & SVR_ENABLE != 0
    }

    fn lvt_mode(&self, n: usize) -> u8 {
        (self.lvt[n] >> 8 & 7) as u8
    }

    fn masked(&self, n: usize) -> bool {
        self.lvt[n] & MASKED != 0
    }

    /// The processor priority (10.8.3.1): the higher class of the task's and of what is in service.
    fn ppr(&self) -> u8 {
        let in_service = highest(&self.isr).unwrap_or(0) & 0xf0;
        if self.tpr & 0xf0 >= in_service { self.tpr } else { in_service }
    }

    /// The arbitration priority, as the P6 family forms it (10.6.2.4).
    fn apr(&self) -> u8 {
        let class = |v: &Vectors| highest(v).unwrap_or(0) & 0xf0;
        let (tpr, requested, in_service) = (self.tpr & 0xf0, class(&self.irr), class(&self.isr));
        if tpr >= requested && tpr > in_service { self.tpr } else { (tpr & in_service).max(requested) }
    }

    /// The request whose class is above the processor priority.
    fn deliverable(&self) -> Option<u8> {
        highest(&self.irr).filter(|v| v & 0xf0 > self.ppr() & 0xf0)
    }

    /// The 8259A's request reaches the CPU.
    fn external(&self) -> bool {
        let open = !self.masked(LINT0) && self.lvt_mode(LINT0) == delivery::EXTINT;
        self.extint || open && self.pins[0]
    }

    /// The CPU is to be interrupted.
    pub fn intr(&self) -> bool {
        if !self.enabled() {
            return self.pins[0];
        }
        self.external() || self.deliverable().is_some()
    }

    /// The CPU's interrupt acknowledge. A request that has gone since gives the spurious vector, which is never in
    /// service (10.9).
    pub fn acknowledge(&mut self) -> Interrupt {
        if !self.enabled() {
            return Interrupt::External;
        }
        if let Some(vector) = self.deliverable() {
            put(&mut self.irr, vector, false);
            put(&mut self.isr, vector, true);
            return Interrupt::Vector(vector);
        }
        if self.external() {
            self.extint = false;
            return Interrupt::External;
        }
        Interrupt::Vector(self.svr as u8)
    }

    /// Whether an NMI came since the last call.
    pub fn take_nmi(&mut self) -> bool {
        std::mem::take(&mut self.nmi)
    }

    /// An NMI waits to be taken.
    pub fn nmi(&self) -> bool {
        self.nmi
    }

    /// The 8259A's request gives NMIs: something may wake a CPU that has interrupts off.
    pub fn nmi_by_lint0(&self) -> bool {
        self.enabled() && !self.masked(LINT0) && self.lvt_mode(LINT0) == delivery::NMI
    }

    /// The vector whose end I/O APICs must know of, after a write.
    pub fn take_eoi(&mut self) -> Option<u8> {
        self.eoi.take()
    }

    /// Whether a destination names this APIC (10.6.2).
    fn addressed(&self, logical: bool, destination: u8) -> bool {
        match (logical, self.dfr) {
            (_, _) if destination == 0xff => true,
            (false, _) => destination == self.id,
            // clusters: bits 7:4 name one (or all, Fh), bits 3:0 are members
            (true, 0) => {
                let cluster = destination >> 4;
                (cluster == 0xf || cluster == self.ldr >> 4) && destination & self.ldr & 0xf != 0
            }
            (true, _) => destination & self.ldr != 0,
        }
    }

    /// Takes a message of an I/O APIC; `false`: it is for others, or the APIC is off.
    pub fn receive(&mut self, m: Message) -> bool {
        if !self.enabled() || !self.addressed(m.logical, m.destination) {
            return false;
        }
        self.take(m.mode, m.vector, m.level)
    }

    /// Software-disabled, it takes but NMI and the like (10.4.7.2).
    fn take(&mut self, mode: u8, vector: u8, level: bool) -> bool {
        match mode {
            delivery::FIXED | delivery::LOWEST if !self.software_enabled() => return false,
            delivery::FIXED | delivery::LOWEST => self.request(vector, level),
            delivery::NMI => self.nmi = true,
            delivery::EXTINT => self.extint = true,
            // INIT and start-up are for application processors, and there is no SMM
            _ => {}
        }
        true
    }

    /// Puts a vector into IRR, and its trigger mode into TMR (10.8.4).
    fn request(&mut self, vector: u8, level: bool) {
        if vector < ILLEGAL {
            return self.error(error::RECEIVED_VECTOR);
        }
        put(&mut self.irr, vector, true);
        put(&mut self.tmr, vector, level);
    }

    /// Notes an error; the first one since the status register was written interrupts.
    fn error(&mut self, bit: u8) {
        let armed = self.errors == 0;
        self.errors |= bit;
        if armed {
            self.local(ERROR, false);
        }
    }

    /// A local interrupt, by its entry in the table.
    fn local(&mut self, n: usize, level: bool) {
        if !self.masked(n) {
            self.take(self.lvt_mode(n), self.lvt[n] as u8, level);
        }
    }

    /// Sets the level of LINT0 (0) or LINT1 (1). With the APIC off they are INTR and NMI.
    pub fn set_pin(&mut self, pin: usize, level: bool) {
        let pin = pin & 1;
        if std::mem::replace(&mut self.pins[pin], level) == level {
            return;
        }
        if !self.enabled() {
            self.nmi |= pin == 1 && level;
            return;
        }
        let n = LINT0 + pin;
        match self.lvt_mode(n) {
            delivery::EXTINT => {}
            delivery::FIXED if self.lvt[n] & LEVEL != 0 => self.levels(),
            _ if self.active(n) => self.local(n, false),
            _ => {}
        }
    }

    fn active(&self, n: usize) -> bool {
        self.pins[n - LINT0] != (self.lvt[n] & ACTIVE_LOW != 0)
    }

    /// Requests what level-triggered pins ask for, if they are not being served.
    fn levels(&mut self) {
        for n in [LINT0, LINT1] {
            let due =
                self.lvt_mode(n) == delivery::FIXED && self.lvt[n] & (LEVEL | REMOTE_IRR | MASKED) == LEVEL;
            if due && self.active(n) {
                self.lvt[n] |= REMOTE_IRR;
                self.local(n, true);
            }
        }
    }

    /// When the timer interrupts.
    pub fn deadline(&self) -> Option<Nanos> {
        if self.masked(TIMER) { None } else { self.timer.deadline() }
    }

    /// Brings the timer to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let periodic = self.lvt[TIMER] & PERIODIC != 0;
        if self.timer.advance(now, periodic) {
            self.local(TIMER, false);
        }
    }

    /// A state fits a chip that has an APIC only if this one has.
    fn fits(&self, s: &LapicStateV1) -> Result<(), StateError> {
        ensure(self.present || s.base == 0, "lapic", "base")
    }

    fn check(s: &LapicStateV1) -> Result<(), StateError> {
        ensure(s.base & !BASE_BITS == 0, "lapic", "base")?;
        ensure(s.dfr < 16, "lapic", "dfr")?;
        ensure(s.svr & !SVR_BITS == 0, "lapic", "svr")?;
        ensure(s.icr[0] & !0xc_cfff == 0 && s.icr[1] & 0xff_ffff == 0, "lapic", "icr")?;
        let all_masked = s.lvt.iter().all(|l| l & MASKED != 0);
        ensure(s.svr & SVR_ENABLE != 0 || all_masked, "lapic", "lvt")?;
        for (n, l) in s.lvt.iter().enumerate() {
            let remote_irr = if matches!(n, LINT0 | LINT1) && l & LEVEL != 0 { REMOTE_IRR } else { 0 };
            ensure(l & !(LVT_WRITABLE[n] | remote_irr) == 0, "lapic", "lvt")?;
        }
        for v in [&s.isr, &s.irr, &s.tmr] {
            ensure(v[0] & 0xffff == 0, "lapic", "vectors")?;
        }
        ensure(s.eoi.is_none(), "lapic", "eoi")?;
        Timer::check(&s.timer)
    }
}

frozen! {
    /// The local APIC, version 1.
    LapicStateV1 of Lapic {
        base: u32, id: u8, tpr: u8, ldr: u8, dfr: u8, svr: u16, isr: [u64; 4], tmr: [u64; 4], irr: [u64; 4],
        esr: u8, errors: u8, icr: [u32; 2], lvt: [u32; 6], timer: TimerStateV1, pins: [bool; 2], extint: bool,
        nmi: bool, eoi: Option<u8>,
    }
}
device_state!(Lapic, LapicState, LapicStateV1, fits);

#[cfg(test)]
mod tests;
