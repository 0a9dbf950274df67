//! PCs that start by their BIOS, from media of the guests' cache.

use cpu::{CpuModel, Engine};
use dev::Block;
use dev::block::MemoryBlock;
use disk::{Access, Complaints, Overlay, RawImage};
use machine::{BootDevice, Config, Firmware, Image, Machine, Pc};
use std::path::{Path, PathBuf};
use xtask::guests::{self, file};

/// A drive and the image in it; what is written is discarded.
#[derive(Clone, Debug)]
pub enum Drive {
    /// The first floppy drive.
    Floppy(PathBuf),
    /// Master of the first IDE channel.
    Disk(PathBuf),
    /// Master of the second IDE channel.
    Cdrom(PathBuf),
}

/// An image whose writes stay in memory.
///
/// # Errors
/// The image cannot be opened.
pub fn overlay(path: &Path) -> Result<Box<dyn Block>, String> {
    let base = RawImage::open(path, Access::ReadOnly, Complaints::default());
    let base = base.map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Box::new(Overlay::new(Box::new(base))))
}

/// A whole image in memory.
///
/// # Errors
/// The image cannot be read.
pub fn in_memory(path: &Path) -> Result<MemoryBlock, String> {
    std::fs::read(path).map(MemoryBlock::new).map_err(|e| format!("{}: {e}", path.display()))
}

/// Puts drives into a board.
///
/// # Errors
/// An image cannot be opened.
pub fn insert(board: &mut Pc, drives: &[Drive]) -> Result<(), String> {
    for drive in drives {
        match drive {
            Drive::Floppy(path) => board.insert_floppy(0, overlay(path)?),
            Drive::Disk(path) => board.attach_disk(0, overlay(path)?),
            Drive::Cdrom(path) => board.attach_cdrom(2, Some(overlay(path)?)),
        }
    }
    Ok(())
}

/// SeaBIOS from the cache, or from where the host has it; `None` where there is none.
pub fn firmware(order: Vec<BootDevice>) -> Option<Firmware> {
    let host = Path::new("/usr/share/seabios");
    let read = |cached, name| {
        let path = guests::find(cached).unwrap_or_else(|| host.join(name));
        std::fs::read(path).ok()
    };
    let bios = read(file::BIOS, "bios-256k.bin")?;
    Some(Firmware { bios, video: read(file::VIDEO_BIOS, "vgabios-stdvga.bin"), order })
}

/// A PC with these drives and `memory` bytes, deterministic, before its first instruction.
///
/// # Errors
/// There is no BIOS or no JIT, or an image cannot be opened.
pub fn machine(drives: &[Drive], memory: u64) -> Result<Machine, String> {
    machine_on(drives, memory, crate::engine()?)
}

/// As [`machine`], on an engine.
///
/// # Errors
/// As for [`machine`].
pub fn machine_on(drives: &[Drive], memory: u64, engine: Box<dyn Engine + Send>) -> Result<Machine, String> {
    let order = drives.iter().map(|d| match d {
        Drive::Floppy(_) => BootDevice::Floppy,
        Drive::Disk(_) => BootDevice::Disk,
        Drive::Cdrom(_) => BootDevice::Cdrom,
    });
    let firmware = firmware(order.collect()).ok_or("there is no SeaBIOS")?;
    let config = Config { memory, model: CpuModel::N270, deterministic: true, epoch: 946_684_800 };
    let mut machine = Machine::new(config, engine).map_err(|e| e.to_string())?;
    insert(machine.board(), drives)?;
    machine.boot(&Image::Firmware(firmware)).map_err(|e| e.to_string())?;
    Ok(machine)
}
