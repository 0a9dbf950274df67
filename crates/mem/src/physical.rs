//! Guest-physical memory: what lies where, and access by devices, loaders and the walker.

use crate::{Memory, PAGE, PAGE_SHIFT, PageKind};

/// A physical range, page-aligned, that shows other memory of the arena. Loads and stores may go
/// to different places: a ROM that is being copied into the RAM behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// First physical address.
    pub at: u32,
    /// Bytes.
    pub len: u32,
    /// Where in the arena loads go; `None`: to the board.
    pub read: Option<u32>,
    /// Where in the arena stores go; `None`: they are ignored where loads are served, and go to
    /// the board where they are not.
    pub write: Option<u32>,
}

impl Window {
    /// Memory that may be read and written.
    pub fn ram(at: u32, len: u32, target: u32) -> Window {
        Window { at, len, read: Some(target), write: Some(target) }
    }

    /// Memory that may only be read.
    pub fn rom(at: u32, len: u32, target: u32) -> Window {
        Window { at, len, read: Some(target), write: None }
    }
}

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

    /// Lets a physical range without memory of its own show other memory: a high copy of the
    /// BIOS, a shadowed ROM, a frame buffer. Takes the place of an earlier window at `at`.
    pub fn open_window(&mut self, window: Window) {
        self.close_window(window.at);
        self.windows.push(window);
        self.drop_shown(window);
    }

    /// Closes the window that starts at `at`, if there is one.
    pub fn close_window(&mut self, at: u32) {
        if let Some(n) = self.windows.iter().position(|w| w.at == at) {
            let window = self.windows.swap_remove(n);
            self.drop_shown(window);
        }
    }

    /// Drops the shadows of all memory that a window shows.
    fn drop_shown(&mut self, window: Window) {
        for first in [window.read, window.write].into_iter().flatten() {
            let pages = window.len.div_ceil(PAGE);
            (0..pages).for_each(|n| self.drop_frame((first >> PAGE_SHIFT) + n));
        }
    }

    fn window(&self, at: u64) -> Option<(&Window, u32)> {
        let at = u32::try_from(at).ok()?;
        let w = self.windows.iter().find(|w| at.wrapping_sub(w.at) < w.len)?;
        Some((w, at - w.at))
    }

    /// Where in the arena a load from a physical address goes, if it is memory.
    pub fn resolve(&self, at: u64) -> Option<u32> {
        if self.kind(at) != PageKind::Mmio {
            return Some(at as u32);
        }
        let (w, offset) = self.window(at)?;
        Some(w.read? + offset)
    }

    /// Where in the arena a store to a physical address goes, if it is writable memory.
    pub fn resolve_write(&self, at: u64) -> Option<u32> {
        match self.kind(at) {
            PageKind::Ram => Some(at as u32),
            PageKind::Rom => None,
            PageKind::Mmio => {
                let (w, offset) = self.window(at)?;
                Some(w.write? + offset)
            }
        }
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
            if let Some(at) = self.resolve_write(at) {
                self.write_arena(at, &bytes[done..done + n]);
            }
            done += n;
        }
    }

    /// Puts an image into memory, ROM included; for loading before the guest runs.
    pub fn load(&mut self, at: u32, bytes: &[u8]) -> bool {
        let fits = u64::from(at) + bytes.len() as u64 <= self.len();
        if fits {
            self.write_arena(at, bytes);
        }
        fits
    }

    /// Writes to the arena, RAM or a bank behind it, through the traces.
    pub fn write_arena(&mut self, at: u32, bytes: &[u8]) {
        if u64::from(at) + bytes.len() as u64 <= self.arena.len() {
            self.note_write(at, bytes.len() as u32);
            self.arena.copy_in(self.arena.host(u64::from(at)), bytes);
        }
    }

    /// Reads from the arena, RAM or a bank behind it; what lies beyond is left alone.
    pub fn read_arena(&self, at: u32, out: &mut [u8]) {
        self.arena.copy_out(self.arena.host(u64::from(at)), out);
    }

    /// Sets bits of a dword for the page walker: A and D, which no shadow depends on. Where the
    /// table is code as well, the engine has to see them.
    pub fn set_bits(&mut self, at: u32, bits: u32) {
        let (at, writable) = (self.resolve(u64::from(at & !3)), self.resolve_write(u64::from(at & !3)));
        if let Some(at) = at
            && writable == Some(at)
        {
            let host = self.arena.host(u64::from(at));
            let old = u32::from_le_bytes(self.arena.read(host));
            self.note_bits(at);
            self.arena.write(host, (old | bits).to_le_bytes());
        }
    }
}
