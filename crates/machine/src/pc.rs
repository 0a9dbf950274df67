//! The board: an i440FX/PIIX3-class PC, its devices wired to the interrupt controllers.

use crate::Firmware;
use crate::clock::{Clock, time_stamp};
use crate::network::Link;
use crate::pc_memory::{BusMaster, VIDEO, Video};
use crate::pc_ports::ide_channel;
use crate::pc_screen::Shown;
use dev::Nanos;
use dev::acpi_pm::AcpiPm;
use dev::dma8237::Dma;
use dev::floppy::Floppy;
use dev::fw_cfg::FwCfg;
use dev::i8042::I8042;
use dev::ide::Ide;
use dev::ioapic::IoApic;
use dev::isa_debug::IsaDebug;
use dev::keys::Key;
use dev::lapic::Lapic;
use dev::pci::{Pam, PciBus};
use dev::pic8259::PicPair;
use dev::pit8254::Pit;
use dev::port61::Port61;
use dev::port92::Port92;
use dev::rtc146818::Rtc;
use dev::speaker::Speaker;
use dev::time::earlier;
use dev::uart16550::{ModemLines, Uart};
use dev::vga::{self, Vga};
use mem::Memory;
use vmm::Board;

/// What the board wants done with the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Soft off.
    pub power_off: bool,
    /// The board's reset line was pulsed.
    pub reset: bool,
    /// The CPU's reset line alone was pulsed, by a program that goes on from where CMOS says.
    pub init: bool,
    /// The A20 gate has moved.
    pub a20_changed: bool,
    /// A device will want the machine earlier than it did when the run was planned.
    pub replan: bool,
}

/// First port of the ACPI power-management block, where firmware would have put it.
pub(crate) const PM_BASE: u16 = 0xb000;
/// IRQ lines of the two serial ports.
const SERIAL_IRQ: [u8; 2] = [4, 3];
/// IRQ of the ACPI SCI.
pub(crate) const SCI_IRQ: u8 = 9;
/// The display adapter's place on the PCI bus.
pub(crate) const DISPLAY: u8 = dev::pci::devfn(2, 0);
/// The ports of the VBE registers.
pub(crate) const VBE: u16 = 0x1ce;
pub(crate) const VBE_LAST: u16 = 0x1cf;
/// Lines that no device on the board has for itself.
const FREE_IRQS: [u8; 4] = [5, 7, 10, 11];
/// PCI command register: the function may be master of the bus.
const PCI_MASTER: u16 = 4;
/// IRQ of FERR#.
const FERR_IRQ: u8 = 13;

/// The board with its devices.
pub struct Pc {
    /// The one clock.
    pub clock: Clock,
    pub(crate) pic: PicPair,
    pub(crate) lapic: Lapic,
    pub(crate) ioapic: IoApic,
    pub(crate) pit: Pit,
    pub(crate) port61: Port61,
    pub(crate) port92: Port92,
    pub(crate) rtc: Rtc,
    pub(crate) uarts: [Uart; 2],
    pub(crate) i8042: I8042,
    pub(crate) pci: PciBus,
    pub(crate) pm: AcpiPm,
    pub(crate) vga: Vga,
    pub(crate) debug: IsaDebug,
    pub(crate) dma: Dma,
    pub(crate) floppy: Floppy,
    pub(crate) ide: Ide,
    pub(crate) fw_cfg: FwCfg,
    /// The network card, if there is one.
    pub(crate) link: Option<Box<Link>>,
    pub(crate) ferr: bool,
    /// The firmware, without its image, which is in the flash.
    pub(crate) firmware: Firmware,
    /// Bytes of BIOS in the flash; 0: there is none.
    pub(crate) flash: u32,
    /// Where the linear frame buffer is mapped.
    pub(crate) frame_buffer: Option<u32>,
    /// The page of RAM that the local APIC hides, and what it is without it.
    pub(crate) apic_page: Option<(u32, mem::PageKind)>,
    /// How the BIOS area is mapped.
    pub(crate) pam: [Option<Pam>; 13],
    pub(crate) a20: bool,
    pub(crate) requests: Requests,
    /// Somebody listens to the speaker.
    pub(crate) speaker: Option<Speaker>,
    /// What the last picture showed.
    pub(crate) shown: Option<Shown>,
    /// The deadline that the present run was planned by.
    planned: Option<Nanos>,
}

impl Pc {
    /// The board after power-on, as firmware leaves it for a kernel that is loaded directly:
    /// A20 open, PM base set, ACPI on, interrupts routed. `apic`: there are APICs.
    pub fn new(clock: Clock, epoch: i64, memory: u64, apic: bool) -> Pc {
        let mut pc = Pc {
            clock,
            pic: PicPair::new(),
            lapic: Lapic::new(apic),
            ioapic: IoApic::new(),
            pit: Pit::new(),
            port61: Port61::new(),
            port92: Port92::new(),
            rtc: Rtc::new(epoch),
            uarts: [Uart::new(), Uart::new()],
            i8042: I8042::new(),
            pci: PciBus::new(),
            pm: AcpiPm::new(),
            vga: Vga::new(),
            debug: IsaDebug::new(),
            dma: Dma::new(),
            floppy: Floppy::new(),
            ide: Ide::new(),
            fw_cfg: FwCfg::new(),
            link: None,
            ferr: false,
            firmware: Firmware::default(),
            flash: 0,
            frame_buffer: None,
            apic_page: None,
            pam: [None; 13],
            a20: true,
            requests: Requests::default(),
            speaker: None,
            shown: None,
            planned: None,
        };
        pc.pci.add(dev::pci::IDE, dev::pci::piix3_ide());
        pc.pci.add(DISPLAY, vga::pci_function(VIDEO));
        pc.rtc.set_memory_size(memory);
        pc.pm.set_sci_enabled(true);
        pc.interrupts_in_firmwares_place();
        if let Some(f) = pc.pci.function_mut(dev::pci::POWER_MANAGEMENT) {
            f.set(0x40, &(u32::from(PM_BASE) | 1).to_le_bytes());
            f.set(0x80, &[1]);
        }
        pc.uarts.iter_mut().for_each(|u| u.set_modem(ModemLines::READY));
        pc
    }

    /// What the board's reset line does to the devices.
    pub(crate) fn reset(&mut self, mem: &mut Memory) {
        let mut new = Pc::new(self.clock.clone(), 0, mem.len(), self.lapic.present());
        std::mem::swap(&mut new.rtc, &mut self.rtc);
        new.rtc.reset();
        new.debug = std::mem::take(&mut self.debug);
        new.speaker = self.speaker.take();
        new.flash = self.flash;
        new.firmware = std::mem::take(&mut self.firmware);
        (new.frame_buffer, new.apic_page) = (self.frame_buffer, self.apic_page);
        new.take_media(self);
        new.take_nic(self);
        std::mem::swap(&mut new.fw_cfg, &mut self.fw_cfg);
        *self = new;
        if self.flash > 0 {
            self.power_management_by_firmware();
        }
        self.map_memory(mem);
    }

    /// Takes back what [`Pc::new`] did in firmware's place.
    pub(crate) fn power_management_by_firmware(&mut self) {
        self.nic_by_firmware();
        self.pm.set_sci_enabled(false);
        self.interrupts_by_firmware();
        if let Some(f) = self.pci.function_mut(dev::pci::POWER_MANAGEMENT) {
            f.set(0x40, &1u32.to_le_bytes());
            f.set(0x80, &[0]);
        }
    }

    /// The time with `retired` instructions retired.
    #[inline]
    pub fn now(&self, retired: u64) -> Nanos {
        self.clock.now(retired)
    }

    /// The earliest time at which a device's output changes by itself.
    pub fn deadline(&self) -> Option<Nanos> {
        let uarts = earlier(self.uarts[0].deadline(), self.uarts[1].deadline());
        let timers = earlier(self.pit.deadline(), self.rtc.deadline());
        let timers = earlier(timers, self.lapic.deadline());
        let rest = earlier(self.i8042.deadline(), self.pm.deadline());
        let drives = earlier(self.floppy.deadline(), self.ide.deadline());
        earlier(earlier(uarts, timers), earlier(rest, earlier(drives, self.nic_deadline())))
    }

    /// As [`Pc::deadline`]; the board says so if an access of the guest makes it earlier.
    pub(crate) fn plan(&mut self) -> Option<Nanos> {
        self.planned = self.deadline();
        self.planned
    }

    /// After an access: with deterministic time, a run may be long, and ends where its plan was
    /// made without this device's new deadline.
    pub(crate) fn check_plan(&mut self) {
        if self.clock.is_deterministic() {
            let deadline = self.deadline();
            self.requests.replan |= deadline.is_some_and(|d| self.planned.is_none_or(|p| d < p));
        }
    }

    /// Brings all devices to `now`.
    pub fn advance(&mut self, mem: &mut Memory, now: Nanos) {
        self.listen(now);
        self.pit.advance(now);
        if self.pit.take_irq0_edges(now) > 0 {
            // an edge that has come and gone since is an edge all the same
            self.pic.set_irq(0, false);
            self.apic_lines();
            self.pic.set_irq(0, true);
            self.apic_lines();
        }
        self.lapic.advance(now);
        self.rtc.advance(now);
        self.uarts.iter_mut().for_each(|u| u.advance(now));
        self.i8042.advance(now);
        self.pm.advance(now);
        self.floppy.advance(now, &mut self.dma, &mut BusMaster(mem));
        let master = self.pci.function(dev::pci::IDE).is_some_and(|f| f.word(4) & PCI_MASTER != 0);
        let mut mem = BusMaster(mem);
        self.ide.advance(now, if master { Some(&mut mem) } else { None });
        self.advance_nic(now);
        self.lines();
    }

    /// Drives the interrupt lines from the devices' outputs. Whoever is on a line can pull it.
    pub(crate) fn lines(&mut self) {
        let own = [
            (0, self.pit.irq()),
            (1, self.i8042.irq1()),
            (6, self.floppy.irq()),
            (12, self.i8042.irq12()),
            (8, self.rtc.irq()),
            (SERIAL_IRQ[0], self.uarts[0].irq()),
            (SERIAL_IRQ[1], self.uarts[1].irq()),
            (14, self.ide.irq(0)),
            (15, self.ide.irq(1)),
            (SCI_IRQ, self.pm.irq()),
            (FERR_IRQ, self.ferr),
        ];
        let others = self.nic_line() | self.pci.irq_lines();
        for (irq, level) in own.into_iter().chain(FREE_IRQS.map(|irq| (irq, false))) {
            self.pic.set_irq(irq, level || others >> irq & 1 != 0);
        }
        self.apic_lines();
        let a20 = self.a20();
        self.requests.a20_changed |= a20 != std::mem::replace(&mut self.a20, a20);
        let cpu = self.i8042.take_reset() | self.port92.take_reset();
        if cpu {
            self.shutdown();
        }
        self.requests.reset |= self.pci.take_reset();
        self.requests.power_off |= self.pm.take_poweroff();
    }

    /// The CPU's reset line: after it either the program goes on, or everything starts anew.
    pub(crate) fn shutdown(&mut self) {
        let on = self.goes_on_after_reset();
        self.requests.init |= on;
        self.requests.reset |= !on;
    }

    /// The shutdown status byte names a way to go on in real mode (PC/AT BIOS: 5, 9, 0Ah): the
    /// reset is that of an 80286 program which leaves protected mode.
    fn goes_on_after_reset(&self) -> bool {
        self.flash > 0 && matches!(self.rtc.cmos(0x0f), 5 | 9 | 0xa)
    }

    /// Address line 20 is open.
    pub fn a20(&self) -> bool {
        self.i8042.a20() || self.port92.a20()
    }

    /// Takes what the board wants.
    pub fn take_requests(&mut self) -> Requests {
        std::mem::take(&mut self.requests)
    }

    /// A serial port or the debug console has bytes to take.
    pub fn has_output(&self) -> bool {
        self.uarts.iter().any(|u| u.output_len() > 0)
    }

    /// Gives bytes to a serial port; returns how many it took.
    pub fn serial_input(&mut self, port: usize, bytes: &[u8], now: Nanos) -> usize {
        let Some(u) = self.uarts.get_mut(port) else { return 0 };
        let taken = bytes.iter().take_while(|&&b| u.can_receive() && u.receive(b, now)).count();
        self.lines();
        taken
    }

    /// Takes what a serial port has sent.
    pub fn serial_output(&mut self, port: usize, out: &mut Vec<u8>) {
        if let Some(u) = self.uarts.get_mut(port) {
            u.drain(out);
            self.lines();
        }
    }

    pub(crate) fn key(&mut self, key: Key, down: bool, now: Nanos) -> bool {
        let taken = self.i8042.key(&key.set1(down), now);
        self.lines();
        taken
    }

    pub(crate) fn mouse(&mut self, dx: i32, dy: i32, dz: i32, buttons: u8, now: Nanos) {
        self.i8042.mouse(dx, dy, dz, buttons, now);
        self.lines();
    }

    /// Takes what the guest wrote to the debug console, ports E9h and 402h.
    pub fn debug_output(&mut self, out: &mut Vec<u8>) {
        out.extend(self.debug.take_output());
    }

    /// Listens to the speaker from now on.
    pub(crate) fn start_listening(&mut self, now: Nanos) {
        self.speaker = Some(Speaker::new(now));
    }

    /// Hears what the speaker has played up to `now`.
    pub(crate) fn listen(&mut self, now: Nanos) {
        if let Some(speaker) = &mut self.speaker {
            speaker.listen(&self.port61, &mut self.pit, now);
        }
    }

    /// Takes what the speaker has played, as [`Speaker::take`].
    pub fn sound(&mut self) -> Vec<i16> {
        self.speaker.as_mut().map(Speaker::take).unwrap_or_default()
    }

    /// Presses ACPI's power button.
    pub fn power_button(&mut self) {
        self.pm.power_button();
        self.lines();
    }
}

impl Board for Pc {
    fn port_in(&mut self, _: &mut Memory, now: u64, port: u16, size: u32) -> u32 {
        let now = self.clock.now(now);
        self.read_port(port, size, now)
    }

    fn port_out(&mut self, mem: &mut Memory, now: u64, port: u16, size: u32, value: u32) {
        let now = self.clock.now(now);
        match port {
            VBE..=VBE_LAST if size == 2 => self.vga.write_vbe(port - VBE, value as u16, &mut Video(mem)),
            _ => self.write_port(port, size, value, now),
        }
        self.remap(mem);
    }

    fn data_in(&mut self, port: u16, size: u32, most: usize) -> &[u8] {
        match port {
            0x1f0 | 0x170 if size > 1 => self.ide.give(ide_channel(port), most),
            _ => &[],
        }
    }

    fn data_out(&mut self, port: u16, size: u32, bytes: &[u8]) -> usize {
        match port {
            0x1f0 | 0x170 if size > 1 => self.ide.take(ide_channel(port), bytes),
            _ => 0,
        }
    }

    fn mmio_read(&mut self, mem: &mut Memory, now: u64, at: u64, size: u32) -> u64 {
        let now = self.clock.now(now);
        if let Some(value) = self.read_apic(at, size, now) {
            return value;
        }
        (0..u64::from(size)).fold(0, |v, n| v | u64::from(self.read_memory(mem, at + n, now)) << (8 * n))
    }

    fn mmio_write(&mut self, mem: &mut Memory, now: u64, at: u64, size: u32, value: u64) {
        if self.write_apic(at, value, self.clock.now(now)) {
            return;
        }
        if size == 2 && self.write_vbe_register(mem, at, value as u16) {
            return;
        }
        for n in 0..u64::from(size) {
            self.write_memory(mem, at + n, (value >> (8 * n)) as u8);
        }
    }

    fn time_stamp(&mut self, now: u64) -> u64 {
        time_stamp(self.clock.glance(now))
    }

    fn apic_base(&self) -> u32 {
        self.lapic.base()
    }

    fn set_apic_base(&mut self, mem: &mut Memory, value: u32) {
        self.lapic.set_base(value);
        self.map_apic(mem);
    }

    fn interrupt_pending(&self) -> bool {
        self.lapic.intr()
    }

    fn acknowledge(&mut self) -> Option<u8> {
        self.acknowledge_interrupt()
    }

    fn numeric_error(&mut self) {
        self.ferr = true;
        self.lines();
    }

    fn attention(&self) -> bool {
        self.requests != Requests::default() || self.lapic.nmi()
    }
}
