//! PCI configuration space through mechanism #1 (PCI Local Bus Specification 2.1, section 3.7.4.1), with the board's
//! own functions: 82441FX host bridge (data sheet 290549), PIIX3 ISA bridge (290550), PIIX4 power management (290562).

use crate::state::{StateError, device_state, ensure, frozen};

/// Bytes of a function's configuration space.
const SPACE: usize = 256;
/// Functions that a bus can have: 32 devices of 8.
const FUNCTIONS: usize = 256;
const ENABLE: u32 = 0x8000_0000;

/// The board's place for the host bridge.
pub const HOST_BRIDGE: u8 = devfn(0, 0);
/// The board's place for the ISA bridge.
pub const ISA_BRIDGE: u8 = devfn(1, 0);
/// The board's place for the power management function.
pub const POWER_MANAGEMENT: u8 = devfn(1, 3);

/// The board's place for the IDE function.
pub const IDE: u8 = devfn(1, 1);

/// The number of a function: device (0-31) and function (0-7).
pub const fn devfn(device: u8, function: u8) -> u8 {
    (device & 31) << 3 | function & 7
}

/// One function's configuration space.
#[derive(Debug, Clone)]
pub struct PciFunction {
    config: Vec<u8>,
    /// The bits that a guest can write.
    writable: Vec<u8>,
    /// The bits that a guest clears by writing 1.
    clearable: Vec<u8>,
}

impl PciFunction {
    /// A function with the usual command and status bits; `class` is class, subclass and interface (24 bits).
    pub fn new(vendor: u16, device: u16, class: u32, revision: u8) -> Self {
        let mut f =
            PciFunction { config: vec![0; SPACE], writable: vec![0; SPACE], clearable: vec![0; SPACE] };
        f.set(0x00, &vendor.to_le_bytes());
        f.set(0x02, &device.to_le_bytes());
        f.set(0x08, &[revision]);
        f.set(0x09, &class.to_le_bytes()[..3]);
        f.writable[0x04..0x06].copy_from_slice(&[0x47, 0x01]);
        f.clearable[0x07] = 0xf9;
        f
    }

    /// Sets bytes from `at`; what lies past the space is ignored.
    pub fn set(&mut self, at: u8, bytes: &[u8]) {
        self.config.iter_mut().skip(at.into()).zip(bytes).for_each(|(c, b)| *c = *b);
    }

    /// Makes the bits `mask` of the bytes from `at` writable.
    pub fn writable(mut self, at: u8, mask: &[u8]) -> Self {
        self.writable.iter_mut().skip(at.into()).zip(mask).for_each(|(w, m)| *w = *m);
        self
    }

    /// The same function with bytes set.
    pub fn with(mut self, at: u8, bytes: &[u8]) -> Self {
        self.set(at, bytes);
        self
    }

    /// Base address register `n` (0-5) of `size` bytes (a power of two), in I/O or memory space.
    pub fn with_bar(self, n: u8, size: u32, io: bool) -> Self {
        let at = 0x10 + 4 * n.min(5);
        let kind = if io { 1 } else { 0 };
        let mask = !size.next_power_of_two().max(16).wrapping_sub(1);
        self.with(at, &[kind, 0, 0, 0]).writable(at, &mask.to_le_bytes())
    }

    /// An interrupt pin (1 is INTA#), and a writable interrupt line register.
    pub fn with_pin(self, pin: u8) -> Self {
        self.with(0x3d, &[pin]).writable(0x3c, &[0xff])
    }

    /// A byte of the configuration space.
    pub fn byte(&self, at: u8) -> u8 {
        self.config[usize::from(at)]
    }

    /// The 16-bit register at `at`.
    pub fn word(&self, at: u8) -> u16 {
        u16::from_le_bytes([self.byte(at), self.byte(at.wrapping_add(1))])
    }

    /// The base address in BAR `n`; `None` if its space is not enabled or the BAR does not exist.
    pub fn bar(&self, n: u8) -> Option<u32> {
        let at = 0x10 + 4 * n.min(5);
        let raw = u32::from(self.word(at)) | u32::from(self.word(at + 2)) << 16;
        let enable = if raw & 1 != 0 { 1 } else { 2 };
        // what cannot be written is no part of the address, whatever was restored
        let mask = (0..4).fold(0, |m, n| m | u32::from(self.writable[usize::from(at) + n]) << (8 * n));
        (mask >> 24 != 0 && self.word(0x04) & enable != 0).then_some(raw & mask)
    }

    fn write(&mut self, at: u8, value: u8) {
        let i = usize::from(at);
        let (w, c) = (self.writable[i], self.clearable[i]);
        self.config[i] = (self.config[i] & !w | value & w) & !(value & c);
    }
}

/// The 82441FX host bridge, 8086:1237.
pub fn i440fx() -> PciFunction {
    PciFunction::new(0x8086, 0x1237, 0x06_0000, 2)
        .with(0x04, &[0x06, 0x00, 0x80, 0x02])
        .with(0x2c, &[0xf4, 0x1a, 0x00, 0x11]) // the subsystem by which firmware knows a virtual board
        .writable(0x04, &[0x40, 0x01])
        .writable(0x0d, &[0xf8])
        .writable(0x50, &[0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) // PMCCFG .. DRAMT
        .writable(0x59, &[0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33]) // PAM0-PAM6
        .writable(0x60, &[0xff; 8]) // DRB0-DRB7
        .writable(0x68, &[0xff]) // FDHC
        .with(0x72, &[0x02])
        .writable(0x72, &[0x78]) // SMRAM
}

/// The PIIX3's PCI-to-ISA bridge, 8086:7000.
pub fn piix3_isa() -> PciFunction {
    PciFunction::new(0x8086, 0x7000, 0x06_0100, 0)
        .with(0x04, &[0x07, 0x00, 0x00, 0x02])
        .writable(0x04, &[0x08, 0x01])
        .with(0x0e, &[0x80])
        .with(0x4c, &[0x4d, 0x00, 0x03, 0x00])
        .writable(0x4c, &[0xff, 0x00, 0xff, 0x03]) // IORT, XBCS
        .with(0x60, &[0x80; 4])
        .writable(0x60, &[0x8f; 4]) // PIRQRCA-PIRQRCD
        .with(0x69, &[0x02])
        .writable(0x69, &[0xfe]) // TOM
        .writable(0x6a, &[0x00, 0x80])
        .with(0x70, &[0x80])
        .writable(0x70, &[0xef, 0x00, 0x0f, 0x0f]) // MBIRQ0, MBDMA
        .with(0x76, &[0x0c, 0x0c])
        .writable(0x76, &[0x8f, 0x8f])
        .writable(0x78, &[0xff, 0xff]) // PCSC
        .writable(0x80, &[0x7f]) // APICBASE
        .writable(0x82, &[0x0f]) // DLC
        .with(0xa0, &[0x08])
        .writable(0xa0, &[0x1f, 0x00, 0xff, 0x03, 0xff, 0xff, 0xff, 0xff, 0xff]) // SMICNTL ..
}

/// The PIIX3's IDE function, 8086:7010: legacy ports, and the bus master's block at BAR 4.
pub fn piix3_ide() -> PciFunction {
    PciFunction::new(0x8086, 0x7010, 0x01_0180, 0)
        .with(0x06, &[0x80, 0x02])
        .writable(0x04, &[0x05, 0x00])
        .with_bar(4, 16, true)
        .with(0x40, &[0x00, 0x80, 0x00, 0x80])
        .writable(0x40, &[0xff, 0xff, 0xff, 0xff]) // IDETIM
        .writable(0x44, &[0xff]) // SIDETIM
}

/// The PIIX4's power management function, 8086:7113, with its I/O block where PMBA says.
pub fn piix4_pm() -> PciFunction {
    PciFunction::new(0x8086, 0x7113, 0x06_8000, 3)
        .with(0x06, &[0x80, 0x02])
        .writable(0x04, &[0x01, 0x00])
        .with_pin(1)
        .with(0x3c, &[9])
        .with(0x40, &[0x01, 0x00, 0x00, 0x00])
        .writable(0x40, &[0xc0, 0xff]) // PMBA
        .writable(0x44, &[0xff; 0x20]) // counters and device resources
        .with(0x5b, &[0x02]) // DEVACTB: APMC_EN, since there is no SMI for firmware to set up
        .writable(0x80, &[0x01]) // PMREGMISC
        .with(0x90, &[0x01, 0x00, 0x00, 0x00])
        .writable(0x90, &[0xf0, 0xff]) // SMBBA
        .writable(0xd2, &[0x0f, 0xff, 0xff, 0xff]) // SMBHSTCFG ..
}

/// Where accesses to a part of C0000h-FFFFFh go (82441FX data sheet, table 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pam {
    /// Guest-physical address of the first byte.
    pub start: u32,
    /// Bytes.
    pub length: u32,
    /// Reads go to DRAM, else to PCI (the ROM).
    pub read: bool,
    /// Writes go to DRAM, else to PCI.
    pub write: bool,
}

/// Bus 0: its functions and the configuration address register.
#[derive(Debug)]
pub struct PciBus {
    functions: Vec<(u8, PciFunction)>,
    address: u32,
    /// Levels of PIRQA#-PIRQD#, bit by bit.
    pirqs: u8,
    reset_control: u8,
    reset: bool,
    /// PAM or another register that moves memory or ports was written.
    remapped: bool,
}

impl Default for PciBus {
    fn default() -> Self {
        Self::new()
    }
}

impl PciBus {
    /// A bus with the host bridge, the ISA bridge and the power management function.
    pub fn new() -> Self {
        let mut bus = PciBus {
            functions: Vec::new(),
            address: 0,
            pirqs: 0,
            reset_control: 0,
            reset: false,
            remapped: false,
        };
        bus.add(HOST_BRIDGE, i440fx());
        bus.add(ISA_BRIDGE, piix3_isa());
        bus.add(POWER_MANAGEMENT, piix4_pm());
        bus
    }

    /// Puts a function in its place; it replaces what was there.
    pub fn add(&mut self, devfn: u8, function: PciFunction) {
        self.remove(devfn);
        self.functions.push((devfn, function));
    }

    /// Takes a function away.
    pub fn remove(&mut self, devfn: u8) {
        self.functions.retain(|(at, _)| *at != devfn);
    }

    /// A function.
    pub fn function(&self, devfn: u8) -> Option<&PciFunction> {
        self.functions.iter().find(|(at, _)| *at == devfn).map(|(_, f)| f)
    }

    /// A function, to change what the guest cannot.
    pub fn function_mut(&mut self, devfn: u8) -> Option<&mut PciFunction> {
        self.functions.iter_mut().find(|(at, _)| *at == devfn).map(|(_, f)| f)
    }

    /// Reads the configuration address register (a dword access to CF8h).
    pub fn read_address(&self) -> u32 {
        self.address
    }

    /// Writes the configuration address register. Only a dword access to CF8h reaches it.
    pub fn write_address(&mut self, value: u32) {
        self.address = value & 0x80ff_fffc;
    }

    /// The function and register that the address names, if bus 0 has it.
    fn target(&self) -> Option<(u8, u8)> {
        let [register, devfn, bus, _] = self.address.to_le_bytes();
        (self.address & ENABLE != 0 && bus == 0).then_some((devfn, register))
    }

    /// Reads `size` bytes (1, 2 or 4; else 4) at CFCh + `offset`. All ones where nothing answers.
    pub fn read_data(&self, offset: u16, size: u8) -> u32 {
        let size = if matches!(size, 1 | 2) { size } else { 4 };
        let ones = u32::MAX >> (32 - 8 * u32::from(size));
        let Some((devfn, register)) = self.target() else { return ones };
        let Some(function) = self.function(devfn) else { return ones };
        lanes(offset, size).fold(0, |value, (i, lane)| {
            let byte = lane.map_or(0xff, |lane| function.byte(register | lane));
            value | u32::from(byte) << (8 * i)
        })
    }

    /// Writes `size` bytes (1, 2 or 4; else 4) at CFCh + `offset`.
    pub fn write_data(&mut self, offset: u16, size: u8, value: u32) {
        let size = if matches!(size, 1 | 2) { size } else { 4 };
        let Some((devfn, register)) = self.target() else { return };
        let Some(function) = self.function_mut(devfn) else { return };
        for (i, lane) in lanes(offset, size) {
            let Some(lane) = lane else { continue };
            function.write(register | lane, (value >> (8 * i) & 0xff) as u8);
        }
        self.remapped = true;
    }

    /// Whether any function's registers were written since the last call: the board then asks again for
    /// [`PciBus::pam`], [`PciBus::pm_base`], BARs and interrupt routes.
    pub fn take_remapped(&mut self) -> bool {
        std::mem::take(&mut self.remapped)
    }

    /// The 13 programmable memory regions, upwards from C0000h but for F0000h, which is first.
    pub fn pam(&self) -> [Pam; 13] {
        let byte = |i| self.function(HOST_BRIDGE).map_or(0, |f| f.byte(0x59 + i));
        std::array::from_fn(|i| {
            let nibble = i as u8 + 1;
            let bits = byte(nibble / 2) >> (4 * (nibble & 1));
            let (start, length) = match i as u32 {
                0 => (0xf_0000, 0x1_0000),
                n => (0xc_0000 + (n - 1) * 0x4000, 0x4000),
            };
            Pam { start, length, read: bits & 1 != 0, write: bits & 2 != 0 }
        })
    }

    /// Where the power management registers are, if PMREGMISC and the command register enable them.
    pub fn pm_base(&self) -> Option<u16> {
        let f = self.function(POWER_MANAGEMENT)?;
        (f.byte(0x80) & 1 != 0).then(|| f.word(0x40) & 0xffc0)
    }

    /// The ISA interrupt to which PIRQ `n` (0-3) is routed.
    pub fn pirq_route(&self, n: u8) -> Option<u8> {
        let route = self.function(ISA_BRIDGE)?.byte(0x60 + (n & 3));
        let valid = matches!(route & 15, 3..=7 | 9..=12 | 14 | 15);
        (route & 0x80 == 0 && valid).then_some(route & 15)
    }

    /// The PIRQ to which the board wires an interrupt pin (1 is INTA#) of a function.
    pub fn pirq_of(devfn: u8, pin: u8) -> u8 {
        (devfn >> 3).wrapping_add(pin).wrapping_sub(2) & 3
    }

    /// Sets the (active) level of PIRQ `n` (0-3). Whoever shares it has to be ORed by the board.
    pub fn set_pirq(&mut self, n: u8, level: bool) {
        let bit = 1 << (n & 3);
        self.pirqs = if level { self.pirqs | bit } else { self.pirqs & !bit };
    }

    /// The ISA interrupts that the PIRQs drive now, one bit each.
    pub fn irq_lines(&self) -> u16 {
        let active = (0..4).filter(|n| self.pirqs & (1 << n) != 0);
        active.filter_map(|n| self.pirq_route(n)).fold(0, |lines, irq| lines | 1 << irq)
    }

    /// Reads the PIIX3's reset control register (a byte access to CF9h).
    pub fn read_reset(&self) -> u8 {
        self.reset_control
    }

    /// Writes the reset control register: a rise of bit 2 resets the CPU (bit 1: the whole board).
    pub fn write_reset(&mut self, value: u8) {
        self.reset |= value & !self.reset_control & 4 != 0;
        self.reset_control = value & 6;
    }

    /// Whether a reset was asked for since the last call.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset)
    }

    /// A state fits if it has exactly the functions that the board put on the bus.
    fn fits(&self, s: &PciStateV1) -> Result<(), StateError> {
        let known = s.functions.iter().all(|f| self.function(f.devfn).is_some());
        let mut places: Vec<u8> = s.functions.iter().map(|f| f.devfn).collect();
        places.sort_unstable();
        places.dedup();
        ensure(known && places.len() == self.functions.len(), "pci", "functions")
    }

    fn check(s: &PciStateV1) -> Result<(), StateError> {
        ensure(s.functions.len() <= FUNCTIONS, "pci", "functions")?;
        ensure(s.functions.iter().all(|f| f.config.len() == SPACE), "pci", "config")?;
        ensure(s.address & !0x80ff_fffc == 0, "pci", "address")?;
        ensure(s.pirqs < 16, "pci", "pirqs")?;
        ensure(s.reset_control & !6 == 0, "pci", "reset_control")
    }
}

/// The byte lanes of an access at CFCh + `offset`; none for bytes past CFFh.
fn lanes(offset: u16, size: u8) -> impl Iterator<Item = (u8, Option<u8>)> {
    let first = (offset & 3) as u8;
    (0..size).map(move |i| (i, Some(first + i).filter(|&lane| lane < 4)))
}

/// A function's place and registers, version 1.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PciFunctionStateV1 {
    /// Device and function number.
    pub devfn: u8,
    /// The 256 bytes of the configuration space.
    pub config: Vec<u8>,
}

impl crate::state::Freeze for Vec<(u8, PciFunction)> {
    type Frozen = Vec<PciFunctionStateV1>;
    fn freeze(&self) -> Self::Frozen {
        self.iter().map(|(devfn, f)| PciFunctionStateV1 { devfn: *devfn, config: f.config.clone() }).collect()
    }
    /// Which functions there are is the board's to say; `fits` has compared.
    fn thaw(&mut self, from: &Self::Frozen) {
        for (devfn, function) in self {
            if let Some(saved) = from.iter().find(|f| f.devfn == *devfn) {
                function.config.clone_from(&saved.config);
            }
        }
    }
}

frozen! {
    /// The bus, version 1.
    PciStateV1 of PciBus {
        functions: Vec<PciFunctionStateV1>, address: u32, pirqs: u8, reset_control: u8, reset: bool, remapped: bool,
    }
}
device_state!(PciBus, PciState, PciStateV1, fits);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    fn select(bus: &mut PciBus, devfn: u8, register: u8) {
        bus.write_address(ENABLE | u32::from(devfn) << 8 | u32::from(register));
    }

    #[test]
    fn identifies_the_functions_and_nothing_else() {
        let mut bus = PciBus::new();
        for (place, id) in
            [(HOST_BRIDGE, 0x1237_8086), (ISA_BRIDGE, 0x7000_8086), (POWER_MANAGEMENT, 0x7113_8086)]
        {
            select(&mut bus, place, 0);
            assert_eq!(bus.read_data(0, 4), id);
            assert_eq!(bus.read_data(2, 2), id >> 16);
            assert_eq!(bus.read_data(1, 1), 0x80);
        }
        select(&mut bus, devfn(5, 0), 0);
        assert_eq!((bus.read_data(0, 4), bus.read_data(0, 2), bus.read_data(3, 1)), (!0, 0xffff, 0xff));
        bus.write_address(ENABLE | 1 << 16);
        assert_eq!(bus.read_data(0, 4), !0, "bus 1");
        bus.write_address(0);
        assert_eq!(bus.read_data(0, 4), !0, "not enabled");
        select(&mut bus, ISA_BRIDGE, 8);
        assert_eq!(bus.read_data(0, 4), 0x0601_0000);
        assert_eq!(bus.read_address(), 0x8000_0808);
    }

    #[test]
    fn write_masks_and_write_one_to_clear() {
        let mut bus = PciBus::new();
        select(&mut bus, HOST_BRIDGE, 0);
        bus.write_data(0, 4, 0);
        assert_eq!(bus.read_data(0, 4), 0x1237_8086);
        bus.function_mut(HOST_BRIDGE).expect("there").set(0x07, &[0x22]);
        select(&mut bus, HOST_BRIDGE, 4);
        bus.write_data(3, 1, 0x20);
        assert_eq!(bus.read_data(3, 1), 0x02, "received master abort is cleared, DEVSEL timing is not");
    }

    #[test]
    fn pam_maps_shadow_ram() {
        let mut bus = PciBus::new();
        assert!(bus.pam().iter().all(|p| !p.read && !p.write));
        select(&mut bus, HOST_BRIDGE, 0x58);
        bus.write_data(1, 1, 0x30); // PAM0: F0000h read and write
        bus.write_data(2, 2, 0x2001); // PAM1: C0000h read; PAM2: CC000h write
        assert!(bus.take_remapped() && !bus.take_remapped());
        let pam = bus.pam();
        assert_eq!(pam[0], Pam { start: 0xf_0000, length: 0x1_0000, read: true, write: true });
        assert_eq!(pam[1], Pam { start: 0xc_0000, length: 0x4000, read: true, write: false });
        assert_eq!(pam[4], Pam { start: 0xc_c000, length: 0x4000, read: false, write: true });
        assert_eq!(pam[12].start, 0xe_c000);
    }

    #[test]
    fn pirq_routing() {
        let mut bus = PciBus::new();
        bus.set_pirq(1, true);
        assert_eq!((bus.pirq_route(1), bus.irq_lines()), (None, 0));
        select(&mut bus, ISA_BRIDGE, 0x60);
        bus.write_data(1, 1, 11);
        assert_eq!(bus.irq_lines(), 1 << 11);
        bus.write_data(1, 1, 8);
        assert_eq!(bus.pirq_route(1), None, "IRQ 8 is reserved");
        assert_eq!([1, 2, 3, 4].map(|pin| PciBus::pirq_of(devfn(1, 3), pin)), [0, 1, 2, 3]);
        assert_eq!(PciBus::pirq_of(devfn(3, 0), 1), 2);
    }

    #[test]
    fn a_restored_bar_is_where_one_can_be() {
        let mut bus = PciBus::new();
        bus.add(16, PciFunction::new(1, 2, 0, 0).writable(4, &[2]).with_bar(0, 0x1000, false));
        let PciState::V1(mut state) = bus.save();
        let function = state.functions.iter_mut().find(|f| f.devfn == 16).expect("there");
        function.config[4] = 2;
        function.config[0x10..0x14].copy_from_slice(&0xe000_0f10u32.to_le_bytes());
        bus.restore(&PciState::V1(state)).expect("fits");
        assert_eq!(bus.function(16).and_then(|f| f.bar(0)), Some(0xe000_0000));
    }

    #[test]
    fn bars_size_themselves() {
        let mut bus = PciBus::new();
        bus.add(devfn(3, 0), PciFunction::new(0x1af4, 0x1000, 0x02_0000, 0).with_bar(0, 32, true));
        select(&mut bus, devfn(3, 0), 0x10);
        bus.write_data(0, 4, u32::MAX);
        assert_eq!(bus.read_data(0, 4), 0xffff_ffe1);
        bus.write_data(0, 4, 0xc000);
        assert_eq!(bus.function(devfn(3, 0)).and_then(|f| f.bar(0)), None);
        select(&mut bus, devfn(3, 0), 4);
        bus.write_data(0, 2, 1);
        assert_eq!(bus.function(devfn(3, 0)).and_then(|f| f.bar(0)), Some(0xc000));
        assert_eq!(bus.function(devfn(3, 0)).and_then(|f| f.bar(1)), None);
    }

    #[test]
    fn power_management_base() {
        let mut bus = PciBus::new();
        select(&mut bus, POWER_MANAGEMENT, 0x40);
        bus.write_data(0, 4, 0xffff_b03f);
        assert_eq!(bus.read_data(0, 4), 0xb001);
        assert_eq!(bus.pm_base(), None);
        select(&mut bus, POWER_MANAGEMENT, 0x80);
        bus.write_data(0, 1, 1);
        assert_eq!(bus.pm_base(), Some(0xb000));
    }

    #[test]
    fn reset_control() {
        let mut bus = PciBus::new();
        bus.write_reset(0x02);
        assert!(!bus.take_reset());
        bus.write_reset(0x06);
        assert!(bus.take_reset() && !bus.take_reset());
        assert_eq!(bus.read_reset(), 6);
    }

    #[test]
    fn state_round_trip() {
        let mut bus = PciBus::new();
        select(&mut bus, ISA_BRIDGE, 0x60);
        bus.write_data(0, 4, 0x0b0a_0b0a);
        let state = bus.save();
        let mut other = PciBus::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(other.save(), state);
        let PciState::V1(mut bad) = state;
        bad.functions[0].devfn = devfn(9, 0);
        assert!(other.restore(&PciState::V1(bad.clone())).is_err(), "another board");
        bad.functions[0].config.pop();
        assert!(other.restore(&PciState::V1(bad)).is_err());
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut bus = PciBus::new();
        fuzz(9, |r, _| {
            let (offset, size, value) = (r.next() as u16, r.below(6) as u8, r.next() as u32);
            match r.below(6) {
                0 => select(&mut bus, (value & 0x1f) as u8, (value >> 8) as u8),
                1 => bus.write_address(value),
                2 => _ = bus.read_data(offset, size),
                3 => bus.write_data(offset, size, value),
                4 => bus.set_pirq(r.byte(), value & 1 != 0),
                _ => bus.write_reset(r.byte()),
            }
            let _ = (bus.pam(), bus.pm_base(), bus.irq_lines(), bus.take_reset());
        });
        let PciState::V1(state) = bus.save();
        assert_eq!(PciBus::check(&state), Ok(()));
    }
}
