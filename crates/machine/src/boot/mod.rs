//! Boot methods: what is loaded where, and how the CPU starts.

mod bios;
mod flat;
mod initrd;
mod linux;
mod multiboot;

use crate::{Firmware, Pc};
use cpu::{Segment, State, cr0, eflags, rights, seg};
use mem::Memory;

pub use initrd::check as check_initrd;

/// What is to be booted.
#[derive(Clone, Debug)]
pub enum Image {
    /// A Linux bzImage, by the 32-bit boot protocol.
    Linux {
        /// The bzImage.
        kernel: Vec<u8>,
        /// The initial RAM disk, if any.
        initrd: Option<Vec<u8>>,
        /// The command line.
        append: String,
    },
    /// A multiboot (version 1) kernel; the initrd is its first module.
    Multiboot {
        /// ELF, or a flat file with addresses in the header; gzip is unpacked.
        kernel: Vec<u8>,
        /// The module.
        module: Option<Vec<u8>>,
        /// The command line.
        append: String,
    },
    /// A flat Linux started by a small loader at 10000h, without BIOS.
    Flat {
        /// The loader, for 10000h.
        loader: Vec<u8>,
        /// The kernel, for 100000h.
        kernel: Vec<u8>,
        /// The RAM disk, for 400000h.
        initrd: Option<Vec<u8>>,
        /// The command line, for F800h.
        append: String,
    },
    /// A ROM that ends at 1 MiB and at 4 GiB and starts at the reset vector.
    Rom(Vec<u8>),
    /// A PC BIOS, which finds something to boot by itself.
    Firmware(Firmware),
}

/// Why an image cannot be booted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BootError {
    /// The file is not of the format.
    #[error("not {expected}: {why}")]
    Format {
        /// The format.
        expected: &'static str,
        /// What is missing.
        why: &'static str,
    },
    /// It does not fit.
    #[error("{what} needs {needed} bytes of memory, and the machine has {memory}")]
    Memory {
        /// What was to be loaded.
        what: &'static str,
        /// The least memory that would do, in bytes.
        needed: u64,
        /// What there is.
        memory: u64,
    },
    /// The command line is too long.
    #[error("the command line has {length} bytes, and the kernel takes {most}")]
    CommandLine {
        /// Bytes given.
        length: usize,
        /// Bytes taken.
        most: usize,
    },
}

/// Finds out what a kernel file is.
pub fn recognise(kernel: Vec<u8>, initrd: Option<Vec<u8>>, append: String) -> Result<Image, BootError> {
    if linux::is_bzimage(&kernel) {
        return Ok(Image::Linux { kernel, initrd, append });
    }
    let kernel = multiboot::unpack(kernel)?;
    if multiboot::find_header(&kernel).is_some() {
        return Ok(Image::Multiboot { kernel, module: initrd, append });
    }
    Err(BootError::Format {
        expected: "a kernel",
        why: "it has neither the Linux boot header (HdrS at 202h) nor a multiboot header in its first 8 KiB",
    })
}

pub(crate) fn load(
    image: &Image,
    cpu: &mut State,
    mem: &mut Memory,
    board: &mut Pc,
) -> Result<(), BootError> {
    match image {
        Image::Linux { kernel, initrd, append } => linux::load(kernel, initrd.as_deref(), append, cpu, mem),
        Image::Multiboot { kernel, module, append } => {
            multiboot::load(kernel, module.as_deref(), append, cpu, mem)
        }
        Image::Flat { loader, kernel, initrd, append } => {
            flat::load(loader, kernel, initrd.as_deref(), append, cpu, mem)
        }
        Image::Rom(rom) => flat::load_rom(rom, mem),
        Image::Firmware(firmware) => bios::load(firmware, mem, board),
    }
}

/// Copies into memory, or says what does not fit.
fn put(mem: &mut Memory, what: &'static str, at: u64, bytes: &[u8]) -> Result<(), BootError> {
    let needed = at + bytes.len() as u64;
    let fits = u32::try_from(at).is_ok_and(|at| mem.load(at, bytes));
    if fits { Ok(()) } else { Err(BootError::Memory { what, needed, memory: mem.len() }) }
}

/// Flat 32-bit protected mode with the given selectors, interrupts off.
fn flat_protected(cpu: &mut State, code: u16, data: u16, eip: u32) {
    let common =
        rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG | rights::GRANULAR;
    for n in 0..6 {
        let (selector, kind) = if n == seg::CS { (code, rights::CODE) } else { (data, 0) };
        cpu.seg[usize::from(n)] =
            Segment { base: 0, limit: u32::MAX, rights: common | kind, selector, ..Segment::default() };
    }
    cpu.cr0 |= cr0::PE;
    cpu.eflags = eflags::RESERVED1;
    cpu.eip = eip;
    cpu.a20_mask = u32::MAX;
    cpu.gpr[..8].fill(0);
}

/// The physical memory map: (base, length, usable).
fn memory_map(memory: u64) -> Vec<(u64, u64, bool)> {
    let mut map = vec![(0, 0x9_fc00, true), (0x9_fc00, 0x400, false), (0xf_0000, 0x1_0000, false)];
    if memory > 0x10_0000 {
        map.push((0x10_0000, memory - 0x10_0000, true));
    }
    map
}
