//! The code cache: one piece of memory mapped twice, once to be written, once to be run.

use memmap2::{Mmap, MmapMut, MmapOptions};
use std::fs::File;

/// Entries of functions lie at multiples of this: others cost half a nanosecond a jump.
const ALIGNMENT: usize = 64;

/// Why there is no executable memory.
#[derive(Debug, thiserror::Error)]
#[error("the host gives no executable memory: {0}")]
pub struct NoExecutableMemory(#[from] std::io::Error);

/// Machine code, never writable where it is executable.
pub(crate) struct CodeCache {
    writable: MmapMut,
    executable: Mmap,
    used: usize,
    /// What lies below is kept when the rest is dropped.
    permanent: usize,
}

#[cfg(target_os = "linux")]
fn shared(bytes: usize) -> std::io::Result<File> {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    let fd = memfd_create("ringer-code", MemfdFlags::CLOEXEC)?;
    ftruncate(&fd, bytes as u64)?;
    Ok(File::from(fd))
}

#[cfg(not(target_os = "linux"))]
fn shared(_: usize) -> std::io::Result<File> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

impl CodeCache {
    pub(crate) fn new(bytes: usize) -> Result<CodeCache, NoExecutableMemory> {
        let file = shared(bytes)?;
        // SAFETY: the file is anonymous and this process's own: nobody else truncates or writes it.
        let writable = unsafe { MmapOptions::new().len(bytes).map_mut(&file) }?;
        // SAFETY: as above. What is executed is complete before its address is handed out.
        let executable = unsafe { MmapOptions::new().len(bytes).map_exec(&file) }?;
        Ok(CodeCache { writable, executable, used: 0, permanent: 0 })
    }

    /// Places code; its address, or `None` where there is no room.
    pub(crate) fn place(&mut self, code: &[u8]) -> Option<u64> {
        let at = self.used.next_multiple_of(ALIGNMENT);
        let end = at.checked_add(code.len())?;
        self.writable.get_mut(at..end)?.copy_from_slice(code);
        self.used = end;
        let address = self.executable.as_ptr() as u64 + at as u64;
        synchronise(address, code.len());
        Some(address)
    }

    /// Keeps what was placed so far for good.
    pub(crate) fn keep(&mut self) {
        self.permanent = self.used;
    }

    /// Address and bytes of what is kept.
    pub(crate) fn permanent(&self) -> (u64, usize) {
        (self.executable.as_ptr() as u64, self.permanent)
    }

    /// Drops all that is not kept. Nothing of it may be running.
    pub(crate) fn clear(&mut self) {
        self.used = self.permanent;
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

/// Makes the instruction cache see new code. On x86 it does by itself.
#[cfg(not(target_arch = "aarch64"))]
fn synchronise(_: u64, _: usize) {}

/// Makes the instruction cache see new code (Arm ARM, B2.4.4).
#[cfg(target_arch = "aarch64")]
fn synchronise(at: u64, len: usize) {
    const LINE: u64 = 16;
    let lines = || (at & !(LINE - 1)..at + len as u64).step_by(LINE as usize);
    // SAFETY: cache maintenance of addresses inside the executable mapping; it changes no memory.
    unsafe {
        lines().for_each(|l| std::arch::asm!("dc cvau, {l}", l = in(reg) l));
        std::arch::asm!("dsb ish");
        lines().for_each(|l| std::arch::asm!("ic ivau, {l}", l = in(reg) l));
        std::arch::asm!("dsb ish", "isb");
    }
}
