//! Guest-physical memory: what lies where, and access by devices, loaders and the walker.

use crate::{Memory, PAGE, PAGE_SHIFT, PageKind};

impl Memory {
    /// What the physical page of `at` is.
    #[inline]
    pub fn kind(&self, at: u64) -> PageKind {
        self.kinds.get((at >> PAGE_SHIFT) as usize).copied().unwrap_or(PageKind::Mmio)
    }

    /// Declares the pages of a physical range; drops their shadows.
    pub fn set_kind(&mut self, at: u32, len: u32, kind: PageKind) {
        let first = at >> PAGE_SHIFT;
        for frame in first..first.saturating_add(len.div_ceil(PAGE)) {
            if let Some(k) = self.kinds.get_mut(frame as usize) {
                *k = kind;
                self.drop_frame(frame);
            }
        }
    }

    /// Lets the physical range from `at` show arena memory at `target` (high BIOS, for one).
    pub fn alias(&mut self, at: u32, len: u32, target: u32) {
        self.aliases.push((at, len, target));
    }

    /// Where in the arena a physical address lies, if it is memory.
    pub fn resolve(&self, at: u64) -> Option<u32> {
        if self.kind(at) != PageKind::Mmio {
            return Some(at as u32);
        }
        let at = u32::try_from(at).ok()?;
        let &(base, _, target) = self.aliases.iter().find(|&&(base, len, _)| at.wrapping_sub(base) < len)?;
        Some(target + (at - base))
    }

    /// Copies bytes out of physical memory; what is not memory reads as FFh.
    pub fn read_physical(&self, at: u64, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let at = at + done as u64;
            let room = (u64::from(PAGE) - at % u64::from(PAGE)) as usize;
            let n = room.min(out.len() - done);
            let part = &mut out[done..done + n];
            match self.resolve(at) {
                Some(a) => self.arena.copy_out(self.arena.host(u64::from(a)), part),
                None => part.fill(0xff),
            }
            done += n;
        }
    }

    /// An aligned dword of physical memory, if it is memory.
    #[inline]
    pub fn dword(&self, at: u32) -> Option<u32> {
        let at = self.resolve(u64::from(at & !3))?;
        Some(u32::from_le_bytes(self.arena.read(self.arena.host(u64::from(at)))))
    }

    /// Writes to RAM as a device does (DMA), or a slow guest store: through the traces. What is
    /// ROM or no memory ignores it.
    pub fn write_physical(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = at + done as u64;
            let room = (u64::from(PAGE) - at % u64::from(PAGE)) as usize;
            let n = room.min(bytes.len() - done);
            if self.kind(at) == PageKind::Ram {
                self.note_write(at as u32, n as u32);
                self.arena.copy_in(self.arena.host(at), &bytes[done..done + n]);
            }
            done += n;
        }
    }

    /// Puts an image into memory, ROM included; for loading before the guest runs.
    pub fn load(&mut self, at: u32, bytes: &[u8]) -> bool {
        let fits = u64::from(at) + bytes.len() as u64 <= self.arena.len();
        if fits {
            self.note_write(at, bytes.len() as u32);
            self.arena.copy_in(self.arena.host(u64::from(at)), bytes);
        }
        fits
    }

    /// Sets bits of a dword for the page walker: A and D, which no shadow depends on. Where the
    /// table is code as well, the engine has to see them.
    pub fn set_bits(&mut self, at: u32, bits: u32) {
        if self.kind(u64::from(at)) == PageKind::Ram
            && let Some(old) = self.dword(at)
        {
            self.note_bits(at & !3);
            self.arena.write(self.arena.host(u64::from(at & !3)), (old | bits).to_le_bytes());
        }
    }
}
