//! What of the board shows in the physical address space: BIOS flash, shadow RAM, video memory.

use crate::Pc;
use crate::firmware::Firmware;
use crate::pc::DISPLAY;
use dev::pci::Pam;
use dev::{DmaMemory, Nanos, VideoMemory};
use mem::{Memory, PageKind, Window};

/// Bytes of flash for the BIOS, the first part of the bank behind RAM.
pub(crate) const FLASH: u32 = Firmware::MOST_BIOS as u32;
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
        self.remember_firmware(firmware, len, mem);
        self.power_management_by_firmware();
        self.map_memory(mem);
    }

    /// What of a firmware of `len` bytes lasts beyond a reset.
    pub(crate) fn remember_firmware(&mut self, firmware: &Firmware, len: u32, mem: &mut Memory) {
        self.flash = len;
        self.fw_cfg = firmware.describe(mem.len());
        self.firmware = Firmware { bios: Vec::new(), ..firmware.clone() };
        mem.open_window(Window::rom(0u32.wrapping_sub(len), len, mem.bank() + FLASH - len));
        mem.set_kind(SHADOWED, SHADOWED_LEN, PageKind::Mmio);
    }

    /// Maps everything anew, and draws the lines, after state was put back.
    pub(crate) fn after_restore(&mut self, mem: &mut Memory) {
        self.pam = [None; 13];
        self.map_memory(mem);
        // the CPU's mask may not have followed the gate yet
        self.requests.a20_changed = true;
        // the PIC's inputs were saved with it
        self.requests.replan = true;
    }

    /// Lets the address space show what the chipset's registers say, after they were written.
    pub(crate) fn remap(&mut self, mem: &mut Memory) {
        if self.pci.take_remapped() {
            self.map_memory(mem);
        }
    }

    pub(crate) fn map_memory(&mut self, mem: &mut Memory) {
        self.map_frame_buffer(mem);
        self.map_apic(mem);
        if self.flash > 0 {
            for (n, pam) in self.pci.pam().into_iter().enumerate() {
                if self.pam[n] != Some(pam) {
                    self.pam[n] = Some(pam);
                    self.map_shadowed(pam, mem);
                }
            }
        }
    }

    /// The linear frame buffer, where BAR 0 has been put.
    fn map_frame_buffer(&mut self, mem: &mut Memory) {
        let bar = self.pci.function(DISPLAY).and_then(|f| f.bar(0)).filter(|&at| u64::from(at) >= mem.len());
        if bar == self.frame_buffer {
            return;
        }
        if let Some(old) = self.frame_buffer {
            mem.close_window(old);
        }
        self.frame_buffer = bar;
        if let Some(at) = bar {
            mem.open_window(Window::ram(at, VIDEO, mem.bank() + FLASH));
        }
    }

    /// The offset of an address in the display adapter's registers, BAR 2.
    fn display_register(&self, at: u64) -> Option<u16> {
        let base = u64::from(self.pci.function(DISPLAY)?.bar(2)?);
        u16::try_from(at.wrapping_sub(base)).ok().filter(|&offset| base != 0 && offset < 0x1000)
    }

    /// Puts what the video window shows into those of `out`, the bytes from `at` on, that lie in it.
    pub(crate) fn read_video(&mut self, mem: &mut Memory, at: u64, out: &mut [u8], now: Nanos) {
        let start = u64::from(VGA).max(at);
        let end = u64::from(VGA + VGA_LEN).min(at + out.len() as u64);
        for place in start..end {
            out[(place - at) as usize] = self.read_memory(mem, place, now);
        }
    }

    /// Reads a byte of device memory; ones where nothing answers.
    pub(crate) fn read_memory(&mut self, mem: &mut Memory, at: u64, now: Nanos) -> u8 {
        if let Some(offset) = video_offset(at) {
            return self.vga.read_memory(offset, &Video(mem));
        }
        match self.display_register(at) {
            // the ports from 3C0h on, and the VBE registers in a row
            Some(offset @ 0x400..=0x41f) => self.vga.read(offset - 0x400 + 0x10, now),
            Some(offset @ 0x500..=0x515) => {
                self.vbe_register(mem, offset - 0x500, |_| None).to_le_bytes()[usize::from(offset & 1)]
            }
            _ => 0xff,
        }
    }

    /// Writes a byte of device memory.
    pub(crate) fn write_memory(&mut self, mem: &mut Memory, at: u64, value: u8) {
        if let Some(offset) = video_offset(at) {
            return self.vga.write_memory(offset, value, &mut Video(mem));
        }
        match self.display_register(at) {
            Some(offset @ 0x400..=0x41f) => self.vga.write(offset - 0x400 + 0x10, value),
            Some(offset @ 0x500..=0x515) => {
                // the other byte stays as it was
                self.vbe_register(mem, offset - 0x500, |old| {
                    let mut bytes = old.to_le_bytes();
                    bytes[usize::from(offset & 1)] = value;
                    Some(u16::from_le_bytes(bytes))
                });
            }
            _ => {}
        }
    }

    /// Writes one of the VBE registers in a row as a whole; `false`: there is none at that address.
    pub(crate) fn write_vbe_register(&mut self, mem: &mut Memory, at: u64, value: u16) -> bool {
        let Some(offset @ 0x500..=0x515) = self.display_register(at) else { return false };
        if offset & 1 != 0 {
            return false;
        }
        self.vbe_register(mem, offset - 0x500, |_| Some(value));
        true
    }

    /// Changes one of the VBE registers in a row, if `change` does, and returns what it held; the index that
    /// the ports have selected stays.
    fn vbe_register(
        &mut self,
        mem: &mut Memory,
        offset: u16,
        change: impl FnOnce(u16) -> Option<u16>,
    ) -> u16 {
        let index = self.vga.read_vbe(0, VIDEO);
        self.vga.write_vbe(0, offset / 2, &mut Video(mem));
        let old = self.vga.read_vbe(1, VIDEO);
        if let Some(new) = change(old) {
            self.vga.write_vbe(1, new, &mut Video(mem));
        }
        self.vga.write_vbe(0, index, &mut Video(mem));
        old
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

/// The offset of an address in the video window A0000h to BFFFFh.
fn video_offset(at: u64) -> Option<u32> {
    let offset = at.wrapping_sub(u64::from(VGA));
    (offset < u64::from(VGA_LEN)).then_some(offset as u32)
}
