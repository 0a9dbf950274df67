//! The guest page walker (SDM vol. 3A, chapter 4): 4 KiB, 4 MiB, PAE with NX.

/// The control bits that a walk depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paging {
    /// CR3.
    pub root: u32,
    /// CR4.PSE.
    pub pse: bool,
    /// CR4.PAE.
    pub pae: bool,
    /// EFER.NXE.
    pub nxe: bool,
    /// CR0.WP.
    pub wp: bool,
    /// Address lines in use.
    pub a20_mask: u32,
    /// The page-directory-pointer-table entry registers, with PAE (SDM vol. 3A, 4.4.1).
    pub pdptes: [u64; 4],
}

/// What the access wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// A write.
    pub write: bool,
    /// Made at CPL 3.
    pub user: bool,
    /// An instruction fetch.
    pub fetch: bool,
}

/// A translation that permits the access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    /// Physical address of the page's first byte (of the 4 KiB page within a large one).
    pub frame: u64,
    /// Tables used, outermost first: physical address, pages an entry covers. The PDPTEs of
    /// PAE are registers, not a table, and are not among them.
    pub tables: [Option<(u32, u32)>; 2],
    /// CPL 3 may use the page.
    pub user: bool,
    /// The page may be written by this privilege without a change to its entries: rights and D.
    pub writable: bool,
    /// The page may be executed.
    pub executable: bool,
}

/// Why the access is a page fault: the P and RSVD bits of the error code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageError {
    /// All entries were present.
    pub present: bool,
    /// A reserved bit was set.
    pub reserved: bool,
}

/// Physical memory as the walker sees it.
pub trait Physical {
    /// Reads an aligned dword.
    fn read(&mut self, at: u32) -> u32;
    /// Sets bits of an aligned dword.
    fn set_bits(&mut self, at: u32, bits: u32);
}

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const NX: u64 = 1 << 63;
/// Physical addresses have 32 bits on the models with PAE here (MAXPHYADDR of the N270).
const PAE_RESERVED: u64 = 0x7fff_ffff_0000_0000;

struct Entry {
    at: u32,
    value: u64,
}

/// Walks the tables for one access, and sets A and D as the CPU does.
///
/// # Errors
/// [`PageError`]; no A or D bit has been set then.
pub fn walk<M: Physical>(m: &mut M, p: &Paging, linear: u32, access: Access) -> Result<Walk, PageError> {
    if p.pae { walk_pae(m, p, linear, access) } else { walk_32(m, p, linear, access) }
}

fn walk_32<M: Physical>(m: &mut M, p: &Paging, linear: u32, access: Access) -> Result<Walk, PageError> {
    let root = p.root & 0xffff_f000 & p.a20_mask;
    let at = root | linear >> 20 & 0xffc;
    let pde = Entry { at, value: u64::from(m.read(at)) };
    check_present(pde.value, 0, p)?;
    if p.pse && pde.value & PS != 0 {
        if pde.value & 0x003f_e000 != 0 {
            // PSE-36 bits (20:13) above the 32-bit physical space, and bit 21, are reserved
            return Err(PageError { present: true, reserved: true });
        }
        let frame = u64::from((pde.value as u32 & 0xffc0_0000 | linear & 0x003f_f000) & p.a20_mask);
        let tables = [Some((root, 1024)), None];
        return finish(m, p, access, &[pde], frame, tables);
    }
    let table = pde.value as u32 & 0xffff_f000 & p.a20_mask;
    let at = table | linear >> 10 & 0xffc;
    let pte = Entry { at, value: u64::from(m.read(at)) };
    check_present(pte.value, 0, p)?;
    let frame = u64::from(pte.value as u32 & 0xffff_f000 & p.a20_mask);
    finish(m, p, access, &[pde, pte], frame, [Some((root, 1024)), Some((table, 1))])
}

fn read64<M: Physical>(m: &mut M, at: u32) -> u64 {
    u64::from(m.read(at)) | u64::from(m.read(at.wrapping_add(4))) << 32
}

fn walk_pae<M: Physical>(m: &mut M, p: &Paging, linear: u32, access: Access) -> Result<Walk, PageError> {
    let pdpte = p.pdptes[(linear >> 30) as usize];
    if pdpte & P == 0 {
        return Err(PageError { present: false, reserved: false });
    }
    let directory = pdpte as u32 & 0xffff_f000 & p.a20_mask;
    let at = directory | linear >> 18 & 0xff8;
    let pde = Entry { at, value: read64(m, at) };
    check_present(pde.value, if pde.value & PS != 0 { 0x001f_e000 } else { 0 }, p)?;
    if pde.value & PS != 0 {
        let frame = u64::from((pde.value as u32 & 0xffe0_0000 | linear & 0x001f_f000) & p.a20_mask);
        return finish(m, p, access, &[pde], frame, [Some((directory, 512)), None]);
    }
    let table = pde.value as u32 & 0xffff_f000 & p.a20_mask;
    let at = table | linear >> 9 & 0xff8;
    let pte = Entry { at, value: read64(m, at) };
    check_present(pte.value, 0, p)?;
    let frame = u64::from(pte.value as u32 & 0xffff_f000 & p.a20_mask);
    finish(m, p, access, &[pde, pte], frame, [Some((directory, 512)), Some((table, 1))])
}

fn check_present(entry: u64, reserved: u64, p: &Paging) -> Result<(), PageError> {
    if entry & P == 0 {
        return Err(PageError { present: false, reserved: false });
    }
    let high = if p.nxe { PAE_RESERVED } else { PAE_RESERVED | NX };
    if entry & (reserved | high) != 0 {
        return Err(PageError { present: true, reserved: true });
    }
    Ok(())
}

/// Rights are the AND over the levels (SDM vol. 3A, 4.6); then A everywhere and D in the last.
fn finish<M: Physical>(
    m: &mut M,
    p: &Paging,
    access: Access,
    entries: &[Entry],
    frame: u64,
    tables: [Option<(u32, u32)>; 2],
) -> Result<Walk, PageError> {
    let all = entries.iter().fold(u64::MAX, |bits, e| bits & e.value);
    let any = entries.iter().fold(0, |bits, e| bits | e.value);
    let user = all & US != 0;
    let executable = !(p.nxe && any & NX != 0);
    let may_write = all & RW != 0 || !access.user && !p.wp;
    if access.user && !user || access.write && !may_write || access.fetch && !executable {
        return Err(PageError { present: true, reserved: false });
    }
    let mut dirty = false;
    for (n, e) in entries.iter().enumerate() {
        let last = n + 1 == entries.len();
        let want = A | if last && access.write { D } else { 0 };
        if e.value & want != want {
            m.set_bits(e.at, want as u32);
        }
        dirty = (e.value | want) & D != 0;
    }
    Ok(Walk { frame, tables, user, writable: may_write && dirty, executable })
}
