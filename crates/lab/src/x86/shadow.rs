//! Shadow paging: the guest's page tables name what it takes for memory; the processor walks the monitor's own, which
//! the monitor fills page by page when the processor faults.
//!
//! A page that holds a guest's table is never writable in the shadow: that is the *memory trace*. A store to it faults,
//! is done with the page open for one instruction, and takes away what was shown through the entries written.

use super::layout::WINDOW;
use super::relocate::PLACE;
use cpu::{Fault, PageFaultCode, State, cr0};
use mem::{Access, Memory, Paging, Physical, Walk, walk};
use std::collections::{BTreeMap, BTreeSet};

/// The monitor's page directory, in the processor's memory; its tables are behind.
pub(super) const ROOT: u32 = 0x1_0000;
const TABLES: u32 = 0x2F;
/// From here on linear addresses are the monitor's: its GDT and TSS have to be somewhere. Guests that want something
/// there are not transparent, as with any monitor of this kind.
pub(super) const HIGH: u32 = 0xffc0_0000;

const PRESENT: u32 = 1;
const WRITABLE: u32 = 2;
const USER: u32 = 4;

/// What the shadow has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShadowCounts {
    /// Pages shown.
    pub fills: u64,
    /// Page faults that were the guest's own.
    pub reflected: u64,
    /// Stores to guest tables.
    pub traced: u64,
    /// Pages taken away again.
    pub dropped: u64,
}

/// A page that the processor can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shown {
    frame: u32,
    writable: bool,
    /// Frames of the guest's directory and table.
    tables: [u32; 2],
}

/// What came of a page fault of the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fill {
    /// The page is shown.
    Shown,
    /// The store goes to a page with tables, of this frame, or to what is no memory.
    Traced(u32),
}

/// The shadow tables, as the monitor knows them.
#[derive(Default)]
pub struct Shadow {
    shown: BTreeMap<u32, Shown>,
    /// Frames with guest tables that something was shown through.
    traced: BTreeSet<u32>,
    /// The monitor's tables by the guest's directory entry.
    tables: BTreeMap<u32, u32>,
    /// Shown for the guest's CPL 3.
    user: bool,
    pub(super) counts: ShadowCounts,
    /// What was done, a line each, for who asks.
    pub log: Option<Vec<String>>,
}

/// The guest's memory for the page walker: what is not memory reads as ones.
struct Tables<'a>(&'a mut Memory);

impl Physical for Tables<'_> {
    fn read(&mut self, at: u32) -> u32 {
        let dword = (at < WINDOW).then(|| self.0.dword(PLACE + at)).flatten();
        dword.unwrap_or(u32::MAX)
    }
    fn set_bits(&mut self, at: u32, bits: u32) {
        if at < WINDOW {
            self.0.set_bits(PLACE + at, bits);
        }
    }
}

/// Walks the guest's tables, and sets A and D as the processor would (SDM vol. 3A, 4.8).
///
/// # Errors
/// The guest's page fault.
pub(super) fn translate(cpu: &State, mem: &mut Memory, linear: u32, access: Access) -> Result<Walk, Fault> {
    let paging = Paging {
        root: cpu.cr3,
        pse: false,
        pae: false,
        nxe: false,
        wp: cpu.cr0 & cr0::WP != 0,
        a20_mask: u32::MAX,
        pdptes: [0; 4],
    };
    walk(&mut Tables(mem), &paging, linear, access).map_err(|e| {
        let bit = |on: bool, bit: u16| if on { bit } else { 0 };
        let code = bit(e.present, PageFaultCode::PRESENT)
            | bit(access.write, PageFaultCode::WRITE)
            | bit(access.user, PageFaultCode::USER);
        Fault::page(PageFaultCode(code), linear)
    })
}

impl Shadow {
    /// As new, but for whether there is a log.
    pub(super) fn reset(&mut self) {
        let log = self.log.take().map(|_| Vec::new());
        *self = Shadow { log, ..Shadow::default() };
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    /// Shows nothing but the monitor's own pages, which only a supervisor can reach.
    pub(super) fn clear(&mut self, mem: &mut Memory) {
        self.counts.dropped += self.shown.len() as u64;
        (self.shown, self.traced, self.tables) = Default::default();
        mem.write_physical(u64::from(ROOT), &[0; 0x1000]);
        let own = self.table(mem, HIGH >> 22, 0).unwrap_or(0);
        for page in 0..16u32 {
            put(mem, own + 4 * page, page << 12 | PRESENT | WRITABLE);
        }
    }

    /// For whom pages are shown: those of a supervisor are not a user's.
    pub(super) fn serve(&mut self, mem: &mut Memory, user: bool) {
        if self.user != user {
            self.user = user;
            self.clear(mem);
        }
    }

    /// The monitor's table for a directory entry, if there is room for one.
    fn table(&mut self, mem: &mut Memory, entry: u32, rights: u32) -> Option<u32> {
        if let Some(at) = self.tables.get(&entry) {
            return Some(*at);
        }
        let n = self.tables.len() as u32;
        if n == TABLES {
            return None;
        }
        let at = ROOT + 0x1000 * (n + 1);
        mem.write_physical(u64::from(at), &[0; 0x1000]);
        put(mem, ROOT + 4 * entry, at | PRESENT | WRITABLE | rights);
        self.tables.insert(entry, at);
        Some(at)
    }

    /// Answers a page fault of the processor: shows the page as the guest's tables have it.
    ///
    /// # Errors
    /// The guest's own page fault.
    pub(super) fn fill(
        &mut self,
        cpu: &State,
        mem: &mut Memory,
        linear: u32,
        write: bool,
    ) -> Result<Fill, Fault> {
        let user = cpu.cpl == 3;
        let walked = match linear < HIGH {
            true => translate(cpu, mem, linear, Access { write, user, fetch: false }),
            false => Err(Fault::GP0),
        };
        let w = walked.inspect_err(|_| {
            self.counts.reflected += 1;
            self.say(|| format!("{linear:08x}: the guest's tables do not have it: its own page fault"));
        })?;
        let frame = w.frame as u32;
        for (table, _) in w.tables.iter().flatten() {
            self.trace(mem, *table);
        }
        let closed = self.traced.contains(&frame) || frame >= WINDOW;
        if write && closed {
            return Ok(Fill::Traced(frame));
        }
        let tables = w.tables.map(|t| t.map_or(u32::MAX, |(at, _)| at));
        let writable = w.writable && !closed;
        self.show(mem, linear >> 12, Shown { frame, writable, tables });
        self.counts.fills += 1;
        let rights = if writable { "to read and write" } else { "to read" };
        self.say(|| format!("{linear:08x}: page {:05x} is frame {frame:05x}, shown {rights}", linear >> 12));
        Ok(Fill::Shown)
    }

    fn show(&mut self, mem: &mut Memory, page: u32, shown: Shown) {
        if self.table(mem, page >> 10, USER).is_none() {
            self.clear(mem);
        }
        let Some(table) = self.table(mem, page >> 10, USER) else { return };
        let rights = PRESENT | USER | if shown.writable { WRITABLE } else { 0 };
        put(mem, table + 4 * (page & 0x3ff), place(shown.frame) | rights);
        self.shown.insert(page, shown);
    }

    /// Has stores to a frame trap from now on.
    fn trace(&mut self, mem: &mut Memory, frame: u32) {
        if !self.traced.insert(frame) {
            return;
        }
        self.say(|| format!("          frame {frame:05x} holds a table: stores to it are traced"));
        let writable = |s: &Shown| s.frame == frame && s.writable;
        let open: Vec<u32> = self.shown.iter().filter(|(_, s)| writable(s)).map(|(page, _)| *page).collect();
        for page in open {
            self.drop_page(mem, page);
        }
    }

    /// Shows a traced page to be written, for one instruction.
    pub(super) fn open(&mut self, mem: &mut Memory, page: u32, frame: u32) {
        self.show(mem, page, Shown { frame, writable: true, tables: [u32::MAX; 2] });
    }

    /// Takes a page away.
    pub(super) fn drop_page(&mut self, mem: &mut Memory, page: u32) {
        if self.shown.remove(&page).is_none() {
            return;
        }
        self.counts.dropped += 1;
        if let Some(table) = self.tables.get(&(page >> 10)) {
            put(mem, table + 4 * (page & 0x3ff), 0);
        }
    }

    /// A guest table's dword was written, at an offset: takes away what was shown through it.
    pub(super) fn wrote(&mut self, mem: &mut Memory, frame: u32, offset: u32) {
        if !self.traced.contains(&frame) {
            return;
        }
        let entry = offset / 4;
        let through = |page: u32, s: &Shown| {
            s.tables[0] == frame && page >> 10 == entry || s.tables[1] == frame && page & 0x3ff == entry
        };
        let gone: Vec<u32> = self.shown.iter().filter(|(p, s)| through(**p, s)).map(|(p, _)| *p).collect();
        let count = gone.len();
        for page in gone {
            self.drop_page(mem, page);
        }
        self.say(|| {
            format!("          entry {entry:03x} of table {frame:05x} written: {count} pages taken away")
        });
    }

    /// A frame holds a table that something is shown through.
    pub(super) fn is_traced(&self, frame: u32) -> bool {
        self.traced.contains(&frame)
    }

    /// What the shadow has done.
    pub fn counts(&self) -> ShadowCounts {
        self.counts
    }
}

/// Where a frame is in the processor's memory. What is not memory is a page of zeros, which stores do not change.
pub(super) fn place(frame: u32) -> u32 {
    PLACE + frame.min(WINDOW)
}

fn put(mem: &mut Memory, at: u32, entry: u32) {
    mem.write_physical(u64::from(at), &entry.to_le_bytes());
}
