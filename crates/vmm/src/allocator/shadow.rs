//! The policy of the shadow page tables: what is shown, and what a write to a guest table
//! takes away.

use super::watch;
use cpu::{Fault, PageFaultCode, State, cr0, cr4};
use mem::{Access, Memory, PAGE_SHIFT, Paging, Physical, Rights, Role, TableUse, Trace, Walk};
use rustc_hash::FxHashMap;

/// Writes to a table, without a walk through it in between, after which it is unshadowed.
const FLOOD: u32 = 24;

/// Counters of the shadow's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowStats {
    /// Walks that filled an entry.
    pub fills: u64,
    /// Writes to traced tables.
    pub table_writes: u64,
    /// Tables unshadowed because they were written in bulk.
    pub floods: u64,
    /// Loads of CR3.
    pub switches: u64,
    /// Page faults found by walks.
    pub page_faults: u64,
}

/// The policy's own memory: how often tables are written, and the PDPTEs seen.
#[derive(Default)]
pub struct ShadowPolicy {
    writes: FxHashMap<u32, u32>,
    pdptes: FxHashMap<(u32, Role), [u64; 4]>,
    active: Option<(u32, Role)>,
    /// Counters.
    pub stats: ShadowStats,
}

/// Physical memory for the walker: what is not memory reads as ones.
struct WalkerMemory<'a>(&'a mut Memory);

impl Physical for WalkerMemory<'_> {
    fn read(&mut self, at: u32) -> u32 {
        self.0.dword(at).unwrap_or(u32::MAX)
    }
    fn set_bits(&mut self, at: u32, bits: u32) {
        self.0.set_bits(at, bits);
    }
}

fn paging(cpu: &State) -> Paging {
    let c4 = |bit| cpu.cr4 & bit != 0;
    Paging {
        root: cpu.cr3,
        pse: c4(cr4::PSE),
        pae: c4(cr4::PAE),
        nxe: cpu.efer & 1 << 11 != 0,
        wp: cpu.cr0 & cr0::WP != 0,
        a20_mask: cpu.a20_mask,
        pdptes: cpu.pdptes,
    }
}

/// What the meaning of a shadow depends on besides the root.
fn identity(cpu: &State) -> (u32, Role) {
    let a20 = cpu.a20_mask >> 20 & 1;
    if cpu.cr0 & cr0::PG == 0 {
        return (0, Role(a20 << 6 | (cpu.a20_mask >> 24 & 1) << 7));
    }
    let p = paging(cpu);
    let bits = [true, p.pse, p.pae, p.pae && p.nxe, p.wp];
    let role = bits.iter().enumerate().fold(0, |r, (n, &b)| r | u32::from(b) << n);
    let root = if p.pae { p.root & !31 } else { p.root & !4095 };
    (root, Role(role | a20 << 6))
}

impl ShadowPolicy {
    /// Counts a load of CR3.
    pub fn count_switch(&mut self) {
        self.stats.switches += 1;
    }

    /// Makes the shadow of the present CR3, paging mode and privilege the one in use.
    pub fn activate(&mut self, cpu: &State, mem: &mut Memory) {
        let (root, role) = identity(cpu);
        let with_pdptes = cpu.cr0 & cr0::PG != 0 && cpu.cr4 & cr4::PAE != 0;
        if self.active == Some((root, role)) && !with_pdptes {
            return mem.set_user(cpu.cpl == 3);
        }
        self.active = Some((root, role));
        mem.activate(root, role, cpu.cpl == 3);
        if with_pdptes {
            self.check_pdptes(root, role, cpu.pdptes, mem);
        }
    }

    /// The PDPTE registers are no table that could be traced: a space that was made with other
    /// values in them is dropped.
    fn check_pdptes(&mut self, root: u32, role: Role, now: [u64; 4], mem: &mut Memory) {
        if self.pdptes.len() > 4096 {
            self.pdptes.clear();
            mem.drop_all();
        }
        if self.pdptes.insert((root, role), now).is_some_and(|old| old != now) {
            mem.drop_pages(mem.current(), 0, 1 << 20);
        }
    }

    /// Translates for one access, and shows the page to the engines where it is memory.
    ///
    /// # Errors
    /// The page fault.
    pub fn fill(&mut self, cpu: &State, mem: &mut Memory, linear: u32, access: Access) -> Result<u64, Fault> {
        let all = Rights { read: true, write: true, execute: true };
        if cpu.cr0 & cr0::PG == 0 {
            let at = u64::from(linear & cpu.a20_mask & !0xfff);
            if !watch::in_page(cpu, linear) {
                mem.install_as(access.user, linear, at, all);
            }
            return Ok(at | u64::from(linear & 0xfff));
        }
        let p = paging(cpu);
        let walk = mem::walk(&mut WalkerMemory(mem), &p, linear, access);
        let walk = walk.map_err(|e| self.page_fault(&p, linear, access, e))?;
        self.show(cpu, mem, linear, access, &walk, &p);
        Ok(walk.frame | u64::from(linear & 0xfff))
    }

    fn page_fault(&mut self, p: &Paging, linear: u32, access: Access, e: mem::PageError) -> Fault {
        self.stats.page_faults += 1;
        let bit = |on: bool, bit: u16| if on { bit } else { 0 };
        let fetch = access.fetch && p.nxe && p.pae;
        let code = bit(e.present, PageFaultCode::PRESENT)
            | bit(access.write, PageFaultCode::WRITE)
            | bit(access.user, PageFaultCode::USER)
            | bit(e.reserved, PageFaultCode::RESERVED)
            | bit(fetch, PageFaultCode::FETCH);
        Fault::page(PageFaultCode(code), linear)
    }

    fn show(&mut self, cpu: &State, mem: &mut Memory, linear: u32, access: Access, walk: &Walk, p: &Paging) {
        self.stats.fills += 1;
        let space = mem.current();
        let entry_size = if p.pae { 8 } else { 4 };
        for (table, pages_per_entry) in walk.tables.iter().flatten() {
            let Some(table) = mem.resolve(u64::from(*table)) else { continue };
            let entries = 4096 / entry_size;
            let first_page = (linear >> PAGE_SHIFT) & !(entries * pages_per_entry - 1);
            let table_use = TableUse { space, first_page, pages_per_entry: *pages_per_entry, entry_size };
            self.writes.remove(&(table >> PAGE_SHIFT));
            mem.trace_table(table >> PAGE_SHIFT, table_use);
        }
        if !watch::in_page(cpu, linear) {
            // fetches have an array of their own, which data accesses leave alone
            let execute = access.fetch && walk.executable;
            let rights = Rights { read: true, write: walk.writable, execute };
            mem.install_as(access.user, linear, walk.frame, rights);
        }
    }

    /// Acts on queued writes to tables: the entries written lose their shadows.
    pub fn tables_written(&mut self, mem: &mut Memory) {
        while let Some(Trace::Table { frame, offset, len }) = mem.take_table_write() {
            self.stats.table_writes += 1;
            let writes = self.writes.entry(frame).or_default();
            *writes += 1;
            if *writes > FLOOD {
                self.writes.remove(&frame);
                self.stats.floods += 1;
                mem.unshadow(frame);
                continue;
            }
            // dropping pages leaves the uses of tables as they are
            let mut n = 0;
            while let Some(&u) = mem.table_uses(frame).get(n) {
                n += 1;
                let first = offset / u.entry_size;
                let last = (offset + len - 1) / u.entry_size;
                let page = u.first_page + first * u.pages_per_entry;
                mem.drop_pages(u.space, page, (last - first + 1) * u.pages_per_entry);
            }
        }
    }
}
