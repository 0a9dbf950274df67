//! What firmware a PC starts with, and what it is told about the board.

use dev::fw_cfg::FwCfg;

/// Selectors of numbered items (QEMU's docs/specs/fw_cfg.rst and hw/nvram).
mod item {
    pub(super) const RAM_SIZE: u16 = 3;
    pub(super) const CPUS: u16 = 5;
    pub(super) const MOST_CPUS: u16 = 0xf;
    pub(super) const IRQ0_OVERRIDE: u16 = 0x8002;
}

/// The name by which SeaBIOS takes a ROM for that of the display adapter on the PCI bus (its
/// docs/Runtime_config.md). Of a ROM among `vgaroms/` it does not say whose it is, and then the video BIOS
/// does not find its frame buffer's BAR.
const VIDEO_ROM: &str = "pci1234,1111.rom";

/// A device to boot from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootDevice {
    /// The first floppy drive.
    Floppy,
    /// The first hard disk.
    Disk,
    /// The CD-ROM.
    Cdrom,
}

impl BootDevice {
    /// As SeaBIOS names it: an Open Firmware path.
    fn path(self) -> &'static str {
        match self {
            BootDevice::Floppy => "/pci@i0cf8/isa@1/fdc@03f0/floppy@0",
            BootDevice::Disk => "/pci@i0cf8/ide@1,1/drive@0/disk@0",
            BootDevice::Cdrom => "/pci@i0cf8/ide@1,1/drive@1/disk@0",
        }
    }
}

/// The BIOS, the video BIOS, and the order of boot devices.
#[derive(Clone, Debug, Default)]
pub struct Firmware {
    /// The system BIOS: a multiple of 64 KiB, at most 256 KiB.
    pub bios: Vec<u8>,
    /// The video BIOS, if the screen is to have one.
    pub video: Option<Vec<u8>>,
    /// What to try, first to last; empty: the firmware's own order.
    pub order: Vec<BootDevice>,
}

impl Firmware {
    /// Bytes of the largest BIOS.
    pub const MOST_BIOS: usize = 0x4_0000;

    /// Tells the firmware about the board.
    pub(crate) fn describe(&self, memory: u64) -> FwCfg {
        let mut f = FwCfg::new();
        f.set(item::RAM_SIZE, &memory.to_le_bytes());
        f.set(item::CPUS, &1u16.to_le_bytes());
        f.set(item::MOST_CPUS, &1u16.to_le_bytes());
        f.set(item::IRQ0_OVERRIDE, &[1]);
        f.set_file("etc/e820", &e820(memory));
        // S3 and S4 are left out of the tables (bit 7 clear): there is no way back from them here
        f.set_file("etc/system-states", &[0x80, 0, 0, 1, 2, 0x80]);
        f.set_file("etc/show-boot-menu", &0u32.to_le_bytes());
        if let Some(video) = &self.video {
            f.set_file(VIDEO_ROM, video);
        }
        if !self.order.is_empty() {
            let mut order: Vec<u8> =
                self.order.iter().map(|d| d.path()).collect::<Vec<_>>().join("\n").into();
            order.push(0);
            f.set_file("bootorder", &order);
        }
        f
    }
}

/// RAM as an address range descriptor: base, length, type 1.
fn e820(memory: u64) -> Vec<u8> {
    [&0u64.to_le_bytes()[..], &memory.to_le_bytes(), &1u32.to_le_bytes()].concat()
}
