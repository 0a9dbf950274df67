//! Setting, hitting and taking memory traces.

use crate::trace::{ALL_LOGS, RAM_LOG, RESTLESS, SCREEN_LOG, grains};
use crate::{Memory, PAGE, PAGE_SHIFT, TableUse, Trace};

/// Places at which one table may be in use; the oldest makes room for one more.
const TABLE_USES: usize = 256;

impl Memory {
    pub(crate) fn note_write(&mut self, at: u32, len: u32) {
        let mut done = 0;
        while done < len {
            let at = at + done;
            let n = (PAGE - at % PAGE).min(len - done);
            self.note_write_in_page(at >> PAGE_SHIFT, at % PAGE, n);
            done += n;
        }
    }

    fn note_write_in_page(&mut self, frame: u32, offset: u32, len: u32) {
        self.note_dirty(frame);
        let Some(traces) = self.traces.get(frame as usize) else { return };
        let hit = self.code[frame as usize] & grains(offset, len);
        if hit != 0 {
            self.queue.push(Trace::Code { frame, grains: hit });
        }
        if traces.table {
            self.queue.push(Trace::Table { frame, offset, len });
        }
    }

    /// As [`Memory::note_write`] for a dword that the walker sets bits of: tables need not know.
    pub(crate) fn note_bits(&mut self, at: u32) {
        let frame = at >> PAGE_SHIFT;
        self.note_dirty(frame);
        let Some(code) = self.code.get(frame as usize) else { return };
        let hit = code & grains(at % PAGE, 4);
        if hit != 0 {
            self.queue.push(Trace::Code { frame, grains: hit });
        }
    }

    /// Enters a frame into every log, and into the list of those that became dirty.
    fn note_dirty(&mut self, frame: u32) {
        let first = self.traces.first().map_or(0, |t| t.next_dirty);
        let Some(traces) = self.traces.get_mut(frame as usize) else { return };
        let old = std::mem::replace(&mut traces.dirty, ALL_LOGS);
        if old & RAM_LOG == 0 && frame != 0 {
            traces.next_dirty = first;
            self.traces[0].next_dirty = frame;
        }
    }

    /// Whether writes wait in the queue.
    #[inline(always)]
    pub fn has_traces(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether writes to code wait in the queue.
    #[inline]
    pub fn has_code_writes(&self) -> bool {
        self.has_traces() && self.queue.iter().any(|t| matches!(t, Trace::Code { .. }))
    }

    /// Takes the first of the queued table writes, leaving those to code for the engine.
    pub fn take_table_write(&mut self) -> Option<Trace> {
        let first = self.queue.iter().position(|t| matches!(t, Trace::Table { .. }))?;
        Some(self.queue.remove(first))
    }

    /// Takes the queued writes to code.
    pub fn take_code_writes(&mut self) -> Vec<Trace> {
        let (code, tables) = self.queue.drain(..).partition(|t| matches!(t, Trace::Code { .. }));
        self.queue = tables;
        code
    }

    /// Declares that some grains of a frame hold translated code, besides those that do.
    pub fn add_code(&mut self, frame: u32, code: u64) {
        let old = self.code.get(frame as usize).copied().unwrap_or(0);
        self.set_code(frame, old | code);
    }

    /// Declares which grains of a frame hold translated code.
    pub fn set_code(&mut self, frame: u32, code: u64) {
        let n = frame as usize;
        let (Some(grains), Some(traces)) = (self.code.get_mut(n), self.traces.get_mut(n)) else { return };
        let old = std::mem::replace(grains, code);
        let revoke = match (old, code) {
            // entries that do not ask must go
            (0, 1..) => !std::mem::replace(&mut traces.fine, true),
            // entries that ask are right, only slower: they go unless code will come back soon
            (1.., 0) => {
                traces.emptied = (traces.emptied + 1).min(RESTLESS);
                traces.emptied < RESTLESS
            }
            _ => false,
        };
        if revoke {
            self.revoke_writes(frame);
        }
    }

    /// Declares that `frame` serves as a page table; its writes are traced from now on.
    pub fn trace_table(&mut self, frame: u32, table_use: TableUse) {
        let Some(t) = self.traces.get_mut(frame as usize) else { return };
        let new = !std::mem::replace(&mut t.table, true);
        let users = self.tables.entry(frame).or_default();
        // the latest is the likeliest: tables of a kernel are in use by all spaces
        if !users.iter().rev().any(|u| *u == table_use) {
            // the walk that is under way may have entered a use of its own just before
            let oldest = (users.len() >= TABLE_USES).then(|| users.remove(0));
            users.push(table_use);
            if let Some(u) = oldest {
                self.drop_use(u);
            }
        }
        if new {
            self.revoke_writes(frame);
        }
    }

    /// How a traced frame serves as a page table.
    pub fn table_uses(&self, frame: u32) -> &[TableUse] {
        self.tables.get(&frame).map_or(&[], Vec::as_slice)
    }

    /// Drops all that was derived from a table, and its trace.
    pub fn unshadow(&mut self, frame: u32) {
        self.tables.remove(&frame).unwrap_or_default().into_iter().for_each(|u| self.drop_use(u));
        if let Some(t) = self.traces.get_mut(frame as usize) {
            t.table = false;
        }
    }

    fn drop_use(&mut self, u: TableUse) {
        let entries = PAGE / u.entry_size;
        self.drop_pages(u.space, u.first_page, entries * u.pages_per_entry);
    }

    /// Makes every access to a frame slow (or no longer): for watchpoints.
    pub fn watch(&mut self, frame: u32, on: bool) {
        if let Some(t) = self.traces.get_mut(frame as usize)
            && std::mem::replace(&mut t.watch, on) != on
        {
            self.drop_frame(frame);
        }
    }

    /// Frames of the arena: RAM and the bank behind it.
    pub fn frames(&self) -> u32 {
        self.traces.len() as u32
    }

    /// Starts a dirty log: every frame counts as clean until it is written.
    pub fn start_dirty_log(&mut self) {
        self.log_dirty = true;
        self.traces.iter_mut().for_each(|t| (t.dirty, t.next_dirty) = (t.dirty & !RAM_LOG, 0));
        (0..self.frames()).for_each(|f| self.revoke_writes(f));
    }

    /// Ends the dirty log.
    pub fn stop_dirty_log(&mut self) {
        self.log_dirty = false;
        self.traces.iter_mut().for_each(|t| (t.dirty, t.next_dirty) = (t.dirty | RAM_LOG, 0));
    }

    /// The frames written since the log was started or last taken, which are clean again; all of
    /// them where no log is kept. Costs by the frames written, not by those that there are.
    pub fn take_dirty(&mut self) -> Vec<u32> {
        if !self.log_dirty {
            return (0..self.frames()).collect();
        }
        let mut dirty = self.listed_dirty();
        if self.traces.first().is_some_and(|t| t.dirty & RAM_LOG != 0) {
            dirty.push(0);
        }
        dirty.sort_unstable();
        self.clean(&dirty, RAM_LOG);
        dirty
    }

    /// Empties the list that starts at frame 0.
    fn listed_dirty(&mut self) -> Vec<u32> {
        let mut dirty = Vec::new();
        let mut frame = self.traces.first_mut().map_or(0, |t| std::mem::take(&mut t.next_dirty));
        while frame != 0 {
            dirty.push(frame);
            frame = std::mem::take(&mut self.traces[frame as usize].next_dirty);
        }
        dirty
    }

    /// The frames among those of `len` bytes of the arena from `at` that were written since the
    /// last call, which are clean again: what a screen has to draw anew.
    pub fn take_screen_writes(&mut self, at: u32, len: u32) -> Vec<u32> {
        let last = (at + len).div_ceil(PAGE).min(self.traces.len() as u32);
        let frames = at >> PAGE_SHIFT..last;
        let dirty = frames.filter(|&f| self.traces[f as usize].dirty & SCREEN_LOG != 0).collect();
        self.clean(&dirty, SCREEN_LOG);
        dirty
    }

    fn clean(&mut self, frames: &Vec<u32>, log: u8) {
        for &f in frames {
            self.traces[f as usize].dirty &= !log;
            self.revoke_writes(f);
        }
    }
}
