//! What of the board shows in the physical address space: BIOS flash, shadow RAM, video memory.

use crate::Pc;
use crate::firmware::Firmware;
use dev::pci::Pam;
use dev::{DmaMemory, VideoMemory};
use mem::{Memory, PageKind, Window};

/// Bytes of flash for the BIOS, the first part of the bank behind RAM.
const FLASH: u32 = Firmware::MOST_BIOS as u32;
/// Bytes of video memory, the second part.
pub(crate) const VIDEO: u32 = 16 << 20;
/// The bank behind RAM.
pub(crate) const BANK: u32 = FLASH + VIDEO;
/// The window of VGA memory.
const VGA: u32 = 0xa_0000;
const VGA_LEN: u32 = 0x2_0000;
/// What the chipset can shadow.
const SHADOWED: u32 = 0xc_0000;
const SHADOWED_LEN: u32 = 0x4_0000;

/// Memory of a PC with so much RAM.
pub(crate) fn memory(ram: u64) -> Result<Memory, mem::MemoryError> {
    let mut mem = Memory::with_bank(ram, BANK)?;
    mem.set_kind(VGA, VGA_LEN, PageKind::Mmio);
    Ok(mem)
}

impl Pc {
    /// Puts a BIOS into the flash; below 1 MiB, the chipset's registers decide from now on.
    pub(crate) fn install_firmware(&mut self, firmware: &Firmware, mem: &mut Memory) {
        let len = firmware.bios.len() as u32;
        // the image ends where the flash ends
        mem.write_arena(mem.bank() + FLASH - len, &firmware.bios);
        mem.open_window(Window::rom(0u32.wrapping_sub(len), len, mem.bank() + FLASH - len));
        self.flash = len;
        self.fw_cfg = firmware.describe(mem.len());
        self.power_management_by_firmware();
        mem.set_kind(SHADOWED, SHADOWED_LEN, PageKind::Mmio);
        self.map_memory(mem);
    }

    /// Lets the address space show what the chipset's registers say, after they were written.
    pub(crate) fn remap(&mut self, mem: &mut Memory) {
        if self.pci.take_remapped() {
            self.map_memory(mem);
        }
    }

    pub(crate) fn map_memory(&mut self, mem: &mut Memory) {
        if self.flash > 0 {
            for (n, pam) in self.pci.pam().into_iter().enumerate() {
                if self.pam[n] != Some(pam) {
                    self.pam[n] = Some(pam);
                    self.map_shadowed(pam, mem);
                }
            }
        }
    }

    /// One range of the BIOS area: RAM or flash, for loads and stores apart.
    fn map_shadowed(&self, pam: Pam, mem: &mut Memory) {
        let flash = self.flash_behind(pam, mem);
        let read = if pam.read { Some(pam.start) } else { flash };
        let write = pam.write.then_some(pam.start);
        mem.open_window(Window { at: pam.start, len: pam.length, read, write });
    }

    /// What of the flash shows in a range below 1 MiB: its last 128 KiB end there.
    fn flash_behind(&self, pam: Pam, mem: &Memory) -> Option<u32> {
        let below = 0x10_0000 - pam.start;
        (below <= self.flash.min(0x2_0000)).then(|| mem.bank() + FLASH - below)
    }
}

/// Guest memory as a bus master reaches it.
pub(crate) struct BusMaster<'a>(pub(crate) &'a mut Memory);

impl DmaMemory for BusMaster<'_> {
    fn read(&self, at: u32, out: &mut [u8]) {
        self.0.read_physical(u64::from(at), out);
    }
    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.0.write_physical(u64::from(at), bytes);
    }
}

/// The display adapter's memory.
pub(crate) struct Video<'a>(pub(crate) &'a mut Memory);

impl VideoMemory for Video<'_> {
    fn size(&self) -> u32 {
        VIDEO
    }
    fn read(&self, at: u32, out: &mut [u8]) {
        out.fill(0);
        if u64::from(at) + out.len() as u64 <= u64::from(VIDEO) {
            self.0.read_arena(self.0.bank() + FLASH + at, out);
        }
    }
    fn write(&mut self, at: u32, bytes: &[u8]) {
        if u64::from(at) + bytes.len() as u64 <= u64::from(VIDEO) {
            self.0.write_arena(self.0.bank() + FLASH + at, bytes);
        }
    }
}
