//! The Linux/x86 boot protocol, 32-bit entry (Documentation/arch/x86/boot.rst).

use super::{BootError, flat_protected, memory_map, put};
use cpu::{State, reg};
use mem::{Memory, PageKind};

/// Where the zero page, the command line and the protected-mode kernel go.
const ZERO_PAGE: u64 = 0x9_0000;
const COMMAND_LINE: u64 = 0x9_1000;
const KERNEL: u64 = 0x10_0000;

/// Offsets in the setup header, which lies at 1F1h of both file and zero page.
mod header {
    pub(super) const SETUP_SECTS: usize = 0x1f1;
    pub(super) const BOOT_FLAG: usize = 0x1fe;
    pub(super) const JUMP: usize = 0x201;
    pub(super) const MAGIC: usize = 0x202;
    pub(super) const VERSION: usize = 0x206;
    pub(super) const TYPE_OF_LOADER: usize = 0x210;
    pub(super) const LOADFLAGS: usize = 0x211;
    pub(super) const RAMDISK_IMAGE: usize = 0x218;
    pub(super) const RAMDISK_SIZE: usize = 0x21c;
    pub(super) const HEAP_END: usize = 0x224;
    pub(super) const CMD_LINE_PTR: usize = 0x228;
    pub(super) const INITRD_ADDR_MAX: usize = 0x22c;
    pub(super) const CMDLINE_SIZE: usize = 0x238;
    pub(super) const INIT_SIZE: usize = 0x260;
}

pub(super) fn is_bzimage(file: &[u8]) -> bool {
    file.get(header::MAGIC..header::MAGIC + 4) == Some(b"HdrS")
        && file.get(header::BOOT_FLAG..header::BOOT_FLAG + 2) == Some(&[0x55, 0xaa])
}

fn format(why: &'static str) -> BootError {
    BootError::Format { expected: "a Linux bzImage", why }
}

fn word(file: &[u8], at: usize) -> u16 {
    file.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn dword(file: &[u8], at: usize) -> u32 {
    u32::from(word(file, at)) | u32::from(word(file, at + 2)) << 16
}

/// Loads kernel, RAM disk, command line and zero page, and sets the CPU at the kernel's entry.
pub(super) fn load(
    kernel: &[u8],
    initrd: Option<&[u8]>,
    append: &str,
    cpu: &mut State,
    mem: &mut Memory,
) -> Result<(), BootError> {
    let body = protected_part(kernel)?;
    put(mem, "the kernel", KERNEL, body)?;
    let mut zero = zero_page(kernel, mem.len());
    let room = u64::from(dword(kernel, header::INIT_SIZE)).max(body.len() as u64);
    if let Some(initrd) = initrd {
        let at = initrd_address(kernel, initrd.len() as u64, KERNEL + room, mem.len())?;
        put(mem, "the initrd", at, initrd)?;
        zero[header::RAMDISK_IMAGE..][..4].copy_from_slice(&(at as u32).to_le_bytes());
        zero[header::RAMDISK_SIZE..][..4].copy_from_slice(&(initrd.len() as u32).to_le_bytes());
    }
    command_line(kernel, append, mem)?;
    put(mem, "the zero page", ZERO_PAGE, &zero)?;
    let tables = crate::acpi::tables(mem.len(), crate::pc_apic::has_apic(cpu.model));
    put(mem, "the ACPI tables", u64::from(crate::acpi::AT), &tables)?;
    mem.set_kind(crate::acpi::AT, 0x1_0000, PageKind::Rom);
    flat_protected(cpu, 0x10, 0x18, KERNEL as u32);
    cpu.set_r32(reg::SI, ZERO_PAGE as u32);
    Ok(())
}

/// The part of the file that runs in protected mode.
fn protected_part(kernel: &[u8]) -> Result<&[u8], BootError> {
    if word(kernel, header::VERSION) < 0x202 {
        return Err(format("its boot protocol is older than 2.02"));
    }
    if kernel.get(header::LOADFLAGS).is_none_or(|f| f & 1 == 0) {
        return Err(format("it is a zImage, which is loaded low"));
    }
    let sectors = match kernel[header::SETUP_SECTS] {
        0 => 4,
        n => usize::from(n),
    };
    let body = kernel.get((sectors + 1) * 512..).filter(|b| !b.is_empty());
    let body = body.ok_or(format("the file ends inside its setup code"))?;
    // `syssize` counts paragraphs of 16 bytes, the last one partly filled
    let whole = (dword(kernel, 0x1f4) as usize).saturating_sub(1) * 16;
    if body.len() < whole { Err(format("the file is truncated")) } else { Ok(body) }
}

fn command_line(kernel: &[u8], append: &str, mem: &mut Memory) -> Result<(), BootError> {
    let most = match dword(kernel, header::CMDLINE_SIZE) as usize {
        0 => 255,
        n => n.min(0x8000),
    };
    if append.len() > most {
        return Err(BootError::CommandLine { length: append.len(), most });
    }
    let mut line = append.as_bytes().to_vec();
    line.push(0);
    put(mem, "the command line", COMMAND_LINE, &line)
}

/// As high as the kernel and memory allow, on a page boundary.
fn initrd_address(kernel: &[u8], len: u64, above: u64, memory: u64) -> Result<u64, BootError> {
    let most = match dword(kernel, header::INITRD_ADDR_MAX) {
        0 => 0x37ff_ffff,
        n => u64::from(n),
    };
    let top = memory.min(most + 1);
    let at = top.saturating_sub(len) & !4095;
    let too_little = BootError::Memory { what: "the kernel with its initrd", needed: above + len, memory };
    if at < above { Err(too_little) } else { Ok(at) }
}

/// `struct boot_params`: the setup header of the file, the loader's part, screen and E820 map.
fn zero_page(kernel: &[u8], memory: u64) -> Vec<u8> {
    let mut zero = vec![0u8; 4096];
    let end = (0x202 + usize::from(kernel[header::JUMP])).clamp(0x202, 0x290).min(kernel.len());
    zero[0x1f1..end].copy_from_slice(&kernel[0x1f1..end]);
    // a loader without an assigned number; the heap below the command line may be used
    zero[header::TYPE_OF_LOADER] = 0xff;
    zero[header::LOADFLAGS] |= 0x80;
    zero[header::HEAP_END..][..2].copy_from_slice(&0xde00u16.to_le_bytes());
    zero[header::CMD_LINE_PTR..][..4].copy_from_slice(&(COMMAND_LINE as u32).to_le_bytes());
    screen_info(&mut zero);
    let map = memory_map(memory);
    zero[0x1e8] = map.len() as u8;
    for (n, (base, len, usable)) in map.into_iter().enumerate() {
        let entry = &mut zero[0x2d0 + 20 * n..][..20];
        entry[..8].copy_from_slice(&base.to_le_bytes());
        entry[8..16].copy_from_slice(&len.to_le_bytes());
        entry[16] = if usable { 1 } else { 2 };
    }
    zero
}

/// VGA text mode 3, 80 by 25, the cursor at the top.
fn screen_info(zero: &mut [u8]) {
    zero[0x06] = 3;
    zero[0x07] = 80;
    zero[0x0e] = 25;
    zero[0x0f] = 1;
    zero[0x10] = 16;
}
