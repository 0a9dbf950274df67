//! Flat images: ROMs, and a Linux that needs no BIOS.

use super::{BootError, flat_protected, put};
use cpu::{State, reg};
use mem::{Memory, PageKind, Window};

/// Where the no-BIOS Linux expects its parts.
const LOADER: u64 = 0x1_0000;
const COMMAND_LINE: u64 = 0xf800;
const KERNEL: u64 = 0x10_0000;
const INITRD: u64 = 0x40_0000;
/// Room for the command line below the loader.
const COMMAND_LINE_MOST: usize = 0x7ff;

/// Loads loader, kernel and RAM disk; EAX has the memory size, EBX that of the RAM disk, ECX
/// the command line's address.
pub(super) fn load(
    loader: &[u8],
    kernel: &[u8],
    initrd: Option<&[u8]>,
    append: &str,
    cpu: &mut State,
    mem: &mut Memory,
) -> Result<(), BootError> {
    if append.len() > COMMAND_LINE_MOST {
        return Err(BootError::CommandLine { length: append.len(), most: COMMAND_LINE_MOST });
    }
    put(mem, "the loader", LOADER, loader)?;
    put(mem, "the kernel", KERNEL, kernel)?;
    let initrd = initrd.unwrap_or_default();
    put(mem, "the initrd", INITRD, initrd)?;
    let mut line = append.as_bytes().to_vec();
    line.push(0);
    put(mem, "the command line", COMMAND_LINE, &line)?;
    flat_protected(cpu, 0x10, 0x18, LOADER as u32);
    cpu.set_r32(reg::AX, mem.len() as u32);
    cpu.set_r32(reg::BX, initrd.len() as u32);
    cpu.set_r32(reg::CX, COMMAND_LINE as u32);
    Ok(())
}

/// A ROM ends at 1 MiB, and shows at the top of 4 GiB as well; the CPU starts at its reset
/// vector.
pub(super) fn load_rom(rom: &[u8], mem: &mut Memory) -> Result<(), BootError> {
    let len = rom.len();
    if len == 0 || len > 0x2_0000 || !len.is_multiple_of(4096) {
        return Err(BootError::Format {
            expected: "a ROM image",
            why: "its size must be a multiple of 4 KiB up to 128 KiB",
        });
    }
    let at = 0x10_0000 - len as u32;
    put(mem, "the ROM", u64::from(at), rom)?;
    mem.set_kind(at, len as u32, PageKind::Rom);
    mem.open_window(Window::rom(0u32.wrapping_sub(len as u32), len as u32, at));
    // an 80286 starts just below 16 MiB
    mem.open_window(Window::rom(0x100_0000 - len as u32, len as u32, at));
    Ok(())
}
