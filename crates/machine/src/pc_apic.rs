//! The APICs on the board: where their registers show, and how the interrupt lines reach them.
//!
//! The I/O APIC's inputs are the ISA interrupts, as on other virtual i440FX boards: IRQ 0 is at
//! pin 2, the 8259A's request at pin 0, and PCI's interrupts come by the ISA lines to which the
//! PIIX3 routes them. Boards with CPUs that have no local APIC have no I/O APIC either.

use crate::Pc;
use cpu::CpuModel;
use dev::apic_bus::register_at;
use dev::ioapic;
use dev::lapic::Interrupt;
use dev::{Nanos, ioapic::PINS};
use mem::{Memory, PageKind};

/// The IRQs to which firmware routes PIRQA to PIRQD.
pub(crate) const PIRQ_ROUTES: [u8; 4] = [10, 10, 11, 11];
/// The first of the registers that route them.
const PIRQRC: u8 = 0x60;
const PAGE: u64 = 0xfff;

/// A register of one of the APICs, and the bit at which an access begins.
#[derive(Clone, Copy)]
enum Register {
    Local(Option<(u16, u32)>),
    Io(Option<(u16, u32)>),
}

/// Whether a model has a local APIC: from the later Pentiums on.
pub(crate) fn has_apic(model: CpuModel) -> bool {
    model >= CpuModel::Pentium
}

impl Pc {
    /// What firmware does before it starts a system: virtual wire mode, PCI interrupts routed and
    /// level-triggered at the 8259A.
    pub(crate) fn interrupts_in_firmwares_place(&mut self) {
        if self.lapic.present() {
            self.lapic.virtual_wire();
        }
        let levels = PIRQ_ROUTES.iter().fold(0u16, |levels, irq| levels | 1 << irq).to_le_bytes();
        (0..2).for_each(|chip| self.pic.write_elcr(chip, levels[chip]));
        if let Some(f) = self.pci.function_mut(dev::pci::ISA_BRIDGE) {
            f.set(PIRQRC, &PIRQ_ROUTES);
        }
    }

    /// Takes that back. The 8259A goes on reaching the CPU, unlike after the SDM's reset: a BIOS from before the
    /// APICs would get no interrupt else, and every other one sets them up.
    pub(crate) fn interrupts_by_firmware(&mut self) {
        self.init_apic();
        (0..2).for_each(|chip| self.pic.write_elcr(chip, 0));
        if let Some(f) = self.pci.function_mut(dev::pci::ISA_BRIDGE) {
            f.set(PIRQRC, &[0x80; 4]);
        }
    }

    /// INIT alone, by which 80286 programs leave protected mode. The way back to them through the
    /// BIOS's reset vector does not set the local APIC up again, but they count on their timer.
    pub(crate) fn init_apic(&mut self) {
        self.lapic.init();
        if self.lapic.present() {
            self.lapic.virtual_wire();
        }
    }

    /// Drives the APICs' inputs from the 8259A's, and INTR.
    pub(crate) fn apic_lines(&mut self) {
        let int = self.pic.pending();
        self.lapic.set_pin(0, int);
        let lines = u32::from(self.pic.levels());
        if self.ioapic.set_pins(lines & !5 | (lines & 1) << 2 | u32::from(int)) {
            self.send_messages();
        }
    }

    fn send_messages(&mut self) {
        for pin in 0..PINS {
            if let Some(message) = self.ioapic.message(pin) {
                let accepted = self.lapic.receive(message);
                self.ioapic.sent(pin, accepted);
            }
        }
    }

    /// The CPU acknowledges an interrupt.
    pub(crate) fn acknowledge_interrupt(&mut self) -> Option<u8> {
        match self.lapic.acknowledge() {
            Interrupt::Vector(vector) => Some(vector),
            Interrupt::External => {
                let vector = self.pic.acknowledge();
                // the 8259A's INT falls in between, so that what is still pending makes an edge
                self.lapic.set_pin(0, false);
                self.apic_lines();
                Some(vector)
            }
        }
    }

    /// An NMI may come without the guest's doing.
    pub(crate) fn nmi_may_come(&self) -> bool {
        self.lapic.nmi() || self.lapic.nmi_by_lint0() || self.ioapic.gives_nmi()
    }

    /// The board's NMI button: a pulse on LINT1.
    pub(crate) fn nmi_button(&mut self) {
        self.lapic.set_pin(1, true);
        self.lapic.set_pin(1, false);
    }

    #[inline]
    fn apic_register(&self, at: u64) -> Option<Register> {
        let register = register_at((at & PAGE) as u16);
        if self.lapic.page().is_some_and(|page| u64::from(page) == at & !PAGE) {
            return Some(Register::Local(register));
        }
        let io = at & !PAGE == u64::from(ioapic::BASE) && self.lapic.present();
        io.then_some(Register::Io(register))
    }

    /// Reads from an APIC, if there is one at the address.
    #[inline]
    pub(crate) fn read_apic(&mut self, at: u64, size: u32, now: Nanos) -> Option<u64> {
        let (value, shift) = match self.apic_register(at)? {
            Register::Local(Some((register, shift))) => (self.lapic.read(register, now), shift),
            Register::Io(Some((register, shift))) => (self.ioapic.read(register), shift),
            Register::Local(None) | Register::Io(None) => (0, 0),
        };
        let mask = u64::MAX >> (64 - 8 * size.clamp(1, 8));
        Some(u64::from(value >> shift) & mask)
    }

    /// Writes to an APIC; whether there is one at the address. Parts of a register are no accesses that
    /// an APIC knows: the rest counts as zeroes, and what does not begin with the register as nothing.
    #[inline]
    pub(crate) fn write_apic(&mut self, at: u64, value: u64, now: Nanos) -> bool {
        match self.apic_register(at) {
            None => return false,
            Some(Register::Local(Some((register, 0)))) => self.lapic.write(register, value as u32, now),
            Some(Register::Io(Some((register, 0)))) => self.ioapic.write(register, value as u32),
            Some(_) => return true,
        }
        if let Some(vector) = self.lapic.take_eoi() {
            self.ioapic.end_of_interrupt(vector);
        }
        self.send_messages();
        self.check_plan();
        true
    }

    /// Shows the local APIC where its base is, in place of RAM if need be.
    pub(crate) fn map_apic(&mut self, mem: &mut Memory) {
        let page = self.lapic.page().filter(|&page| u64::from(page) < mem.len());
        if page == self.apic_page.map(|(page, _)| page) {
            return;
        }
        if let Some((page, kind)) = self.apic_page.take() {
            mem.set_kind(page, mem::PAGE, kind);
        }
        self.apic_page = page.map(|page| (page, mem.kind(page.into())));
        if let Some(page) = page {
            mem.set_kind(page, mem::PAGE, PageKind::Mmio);
        }
    }
}
