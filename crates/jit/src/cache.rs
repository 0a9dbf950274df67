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
        if self.used > self.permanent {
            forget_translations(&self.executable);
        }
        self.used = self.permanent;
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

/// Where the host's code is translated in turn, what was made of the old code has to go. QEMU before 8.1 takes no
/// notice of cache maintenance in user mode, and of a write to the other mapping neither; that code stops being
/// executable it sees.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
fn forget_translations(code: &Mmap) {
    use rustix::mm::{MprotectFlags, mprotect};
    let at = code.as_ptr().cast_mut().cast();
    for flags in [MprotectFlags::READ, MprotectFlags::READ | MprotectFlags::EXEC] {
        // SAFETY: the range is the whole of a mapping that is readable before, between and after. It is not executed
        // meanwhile, which would be for compiled code to do: its engine is here.
        let changed = unsafe { mprotect(at, code.len(), flags) };
        // memory that is executable stays so on every kernel that made it so
        debug_assert!(changed.is_ok(), "{changed:?}");
    }
}

/// As x86-64 hosts need nothing of it.
#[cfg(not(all(target_os = "linux", target_arch = "aarch64")))]
fn forget_translations(_: &Mmap) {}

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

#[cfg(test)]
mod tests {
    use super::CodeCache;

    /// A function that returns a number.
    #[cfg(target_arch = "x86_64")]
    fn returns(n: u16) -> Vec<u8> {
        // mov eax, n; ret
        [&[0xb8][..], &u32::from(n).to_le_bytes(), &[0xc3]].concat()
    }

    /// A function that returns a number.
    #[cfg(target_arch = "aarch64")]
    fn returns(n: u16) -> Vec<u8> {
        // movz w0, #n; ret
        [0x5280_0000 | u32::from(n) << 5, 0xd65f_03c0].map(u32::to_le_bytes).concat()
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn call(cache: &mut CodeCache, n: u16) -> u32 {
        let at = cache.place(&returns(n)).expect("the cache has room");
        // SAFETY: a complete function of this signature lies at the address, which the cache keeps.
        unsafe { std::mem::transmute::<usize, extern "C" fn() -> u32>(at as usize)() }
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn code_in_the_place_of_other_code_is_what_runs() {
        let mut cache = CodeCache::new(1 << 16).expect("the host has executable memory");
        assert_eq!(call(&mut cache, 1), 1);
        cache.keep();
        for n in 2..100 {
            assert_eq!(call(&mut cache, n), u32::from(n));
            cache.clear();
        }
    }
}
