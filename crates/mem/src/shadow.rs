//! Guest-physical memory with its shadows: frames, traces, spaces, the current view.

use crate::arena::{Arena, HostAddress};
use crate::rmap::ReverseMap;
use crate::space::{ARRAYS, NODES, PAGES, Space};
use crate::tagged::Tables;
use crate::trace::{ALL_LOGS, FrameTraces, grains};
use crate::{PAGE, PAGE_SHIFT, Role, SpaceId, TableUse, Trace, Window};
use rustc_hash::FxHashMap;

/// Why memory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The host refused a mapping.
    #[error("the host cannot map {bytes} bytes")]
    Map {
        /// Bytes asked for.
        bytes: u64,
    },
}

/// What a physical page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// Readable and writable memory.
    Ram,
    /// Readable memory whose writes are ignored.
    Rom,
    /// Devices, or nothing.
    Mmio,
}

/// What a shadow entry permits; the three arrays of a privilege.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Fetches.
    pub execute: bool,
}

/// A read or write entry is what is added to a linear address of the page to get the host's; 0 is
/// none. An execute entry is the host address of the page's first byte.
const ABSENT: u64 = 0;
/// Bit of a write entry: stores go through the code bitmap first. The top bit, so that one signed
/// comparison tells the entries that need no look.
const FINE: u64 = 1 << 63;

/// Host pages of shadow arrays in all, beyond which the least recently used space goes.
const SHADOW_PAGES: usize = 48 << 10;
/// Spaces kept at most.
const SPACES: usize = 96;

#[derive(Clone, Copy)]
struct View {
    /// All arrays of the space, supervisor's first.
    all: *const u64,
    read: *const u64,
    write: *const u64,
    execute: *const u64,
    tables: Tables,
}

impl View {
    fn of(space: &Space, user: bool) -> View {
        let first = if user { 3 } else { 0 };
        View {
            all: space.array(0),
            read: space.array(first),
            write: space.array(first + 1),
            execute: space.array(first + 2),
            tables: space.tables(first),
        }
    }
}

/// Host addresses of what compiled code looks at: the three arrays of the current space and
/// privilege, of 2^20 entries of 8 bytes each, by linear page number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrays {
    /// What is added to a linear address for a load; 0: none.
    pub read: u64,
    /// What is added for a store; 0: none; with bit 63 set, [`Memory::code_map`] is asked first.
    pub write: u64,
    /// The host address of an executable page; 0: none.
    pub execute: u64,
}

/// Guest memory of one machine, with the shadows of its address spaces.
pub struct Memory {
    pub(crate) arena: Arena,
    pub(crate) kinds: Vec<PageKind>,
    pub(crate) traces: Vec<FrameTraces>,
    /// The grains of each frame that hold translated code.
    pub(crate) code: Box<[u64]>,
    reverse: ReverseMap,
    pub(crate) spaces: Vec<Option<Space>>,
    index: FxHashMap<(u32, Role), SpaceId>,
    pub(crate) tables: FxHashMap<u32, Vec<TableUse>>,
    pub(crate) current: SpaceId,
    pub(crate) user: bool,
    view: View,
    /// Spaces have tables ([`Memory::tables`]).
    pub(crate) tagged: bool,
    clock: u64,
    pub(crate) queue: Vec<Trace>,
    pub(crate) log_dirty: bool,
    pub(crate) windows: Vec<Window>,
    ram: u64,
    /// Shadow entries made so far.
    pub fills: u64,
    /// Shadow entries taken away, or narrowed, so far: what was found before may not be used any more.
    pub narrowed: u64,
}

// SAFETY: the raw pointers of `view` point into mappings that `self` owns and that move with it;
// nothing else holds them, so the whole may be sent to another thread.
unsafe impl Send for Memory {}

impl Memory {
    /// `ram` bytes of RAM from physical 0 (rounded up to a page), and one space with paging off.
    ///
    /// # Errors
    /// The host has not the address space.
    pub fn new(ram: u64) -> Result<Memory, MemoryError> {
        Memory::with_bank(ram, 0)
    }

    /// As [`Memory::new`], with `bank` more bytes that lie behind RAM in the arena and are seen
    /// through windows only.
    ///
    /// # Errors
    /// The host has not the address space.
    pub fn with_bank(ram: u64, bank: u32) -> Result<Memory, MemoryError> {
        let frames = ram.div_ceil(u64::from(PAGE)) as usize;
        let all = frames + bank.div_ceil(PAGE) as usize;
        let arena = Arena::new((all as u64) << PAGE_SHIFT)?;
        let first = Space::new(0, Role(0))?;
        let mut memory = Memory {
            arena,
            kinds: vec![PageKind::Ram; frames],
            traces: vec![FrameTraces::default(); all],
            code: vec![0; all].into(),
            reverse: ReverseMap::new(all),
            view: View::of(&first, false),
            spaces: vec![Some(first)],
            index: FxHashMap::from_iter([((0, Role(0)), SpaceId(0))]),
            tables: FxHashMap::default(),
            current: SpaceId(0),
            user: false,
            tagged: false,
            clock: 0,
            queue: Vec::new(),
            log_dirty: false,
            windows: Vec::new(),
            ram: (frames as u64) << PAGE_SHIFT,
            fills: 0,
            narrowed: 0,
        };
        memory.set_view();
        Ok(memory)
    }

    /// Bytes of RAM.
    pub fn len(&self) -> u64 {
        self.ram
    }

    /// Where in the arena the bank behind RAM starts.
    pub fn bank(&self) -> u32 {
        self.ram as u32
    }

    /// Whether there is no memory.
    pub fn is_empty(&self) -> bool {
        self.arena.is_empty()
    }

    pub(crate) fn arena_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// Host address for a load of `size` bytes at `linear`, when it is plain memory.
    #[inline(always)]
    pub fn lookup_read(&self, linear: u32, size: u32) -> Option<HostAddress> {
        // SAFETY: `view.read` points to 2^20 entries of the current space, whose mapping is
        // alive while it is current (`set_view`); the index has 20 bits.
        let entry = unsafe { *self.view.read.add((linear >> PAGE_SHIFT) as usize) };
        let inside = linear & (PAGE - 1) <= PAGE - size;
        (entry != ABSENT && inside).then(|| host(entry, linear))
    }

    /// Host address for a store of `size` bytes at `linear`, when it is plain memory and hits
    /// no trace.
    #[inline(always)]
    pub fn lookup_write(&self, linear: u32, size: u32) -> Option<HostAddress> {
        // SAFETY: as in `lookup_read`.
        let entry = unsafe { *self.view.write.add((linear >> PAGE_SHIFT) as usize) };
        let inside = linear & (PAGE - 1) <= PAGE - size;
        if entry == ABSENT || !inside {
            return None;
        }
        if entry & FINE != 0 && self.hits_code(host(entry, linear), size) {
            return None;
        }
        Some(host(entry, linear))
    }

    /// The execute entry of a linear page: 0, or a value that names its frame.
    #[inline(always)]
    pub fn lookup_execute(&self, linear: u32) -> u64 {
        // SAFETY: as in `lookup_read`.
        unsafe { *self.view.execute.add((linear >> PAGE_SHIFT) as usize) }
    }

    /// Address in the arena of `linear` under an execute entry: the physical address, for RAM.
    #[inline(always)]
    pub fn physical_of(&self, entry: u64, linear: u32) -> u32 {
        (entry.wrapping_sub(self.arena.base())) as u32 | linear & (PAGE - 1)
    }

    /// The arrays that engines look at now. They change with the space and the privilege, that is,
    /// only while the monitor is at work.
    #[inline]
    pub fn arrays(&self) -> Arrays {
        let View { read, write, execute, .. } = self.view;
        Arrays { read: read as u64, write: write as u64, execute: execute as u64 }
    }

    #[inline]
    pub(crate) fn view_tables(&self) -> Tables {
        self.view.tables
    }

    /// Host address of the map of code: a 64-bit word a frame of the arena, bit n for the n-th 64
    /// bytes. It stays where it is.
    pub fn code_map(&self) -> u64 {
        self.code.as_ptr() as u64
    }

    /// Host address of the arena's first byte.
    pub fn arena_base(&self) -> u64 {
        self.arena.base()
    }

    /// As [`Memory::lookup_read`] for either privilege, whatever the view: system structures are
    /// read as supervisor at CPL 3, too.
    #[inline]
    pub fn lookup_read_as(&self, user: bool, linear: u32, size: u32) -> Option<HostAddress> {
        let entry = self.entry_of(user, 0, linear);
        let inside = linear & (PAGE - 1) <= PAGE - size;
        (entry != ABSENT && inside).then(|| host(entry, linear))
    }

    /// As [`Memory::lookup_write`] for either privilege.
    #[inline]
    pub fn lookup_write_as(&self, user: bool, linear: u32, size: u32) -> Option<HostAddress> {
        let entry = self.write_entry(user, linear, size)?;
        let at = host(entry, linear);
        (entry & FINE == 0 || !self.hits_code(at, size)).then_some(at)
    }

    /// The physical address of RAM that a store would reach by its shadow entry, also where it would hit code:
    /// the walk has permitted it before, and set the bits that it sets.
    pub fn permitted_store_as(&self, user: bool, linear: u32, size: u32) -> Option<u64> {
        let entry = self.write_entry(user, linear, size)?;
        let physical = host(entry, linear).0.wrapping_sub(self.arena.base());
        (physical < self.ram).then_some(physical)
    }

    /// The write entry for bytes of one page, if there is one.
    #[inline]
    fn write_entry(&self, user: bool, linear: u32, size: u32) -> Option<u64> {
        let inside = linear & (PAGE - 1) <= PAGE - size;
        Some(self.entry_of(user, 1, linear)).filter(|&entry| inside && entry != ABSENT)
    }

    #[inline]
    fn entry_of(&self, user: bool, array: usize, linear: u32) -> u64 {
        let first = if user { 3 } else { 0 };
        let at = (first + array) % ARRAYS * PAGES + (linear >> PAGE_SHIFT) as usize;
        // SAFETY: `view.all` points to `ARRAYS` times 2^20 entries, as in `lookup_read`; the index is reduced to below
        // that.
        unsafe { *self.view.all.add(at) }
    }

    #[inline(never)]
    fn hits_code(&self, at: HostAddress, size: u32) -> bool {
        let physical = at.0.wrapping_sub(self.arena.base()) as u32;
        self.code[(physical >> PAGE_SHIFT) as usize] & grains(physical & (PAGE - 1), size) != 0
    }

    /// Reads bytes at an address that a lookup gave.
    #[inline(always)]
    pub fn read<const N: usize>(&self, at: HostAddress) -> [u8; N] {
        self.arena.read(at)
    }

    /// Writes bytes at an address that [`Memory::lookup_write`] gave.
    #[inline(always)]
    pub fn write<const N: usize>(&mut self, at: HostAddress, value: [u8; N]) {
        self.arena.write(at, value);
    }

    /// Makes (table, role) the current space; returns whether it was new.
    pub fn activate(&mut self, table: u32, role: Role, user: bool) -> bool {
        self.clock += 1;
        self.user = user;
        let known = self.index.get(&(table, role)).copied();
        let id = match known {
            Some(id) => id,
            None => self.new_space(table, role),
        };
        self.current = id;
        if let Some(Some(s)) = self.spaces.get_mut(usize::from(id.0)) {
            s.used = self.clock;
        }
        self.set_view();
        known.is_none()
    }

    /// Changes the privilege of the current view.
    #[inline]
    pub fn set_user(&mut self, user: bool) {
        self.user = user;
        self.set_view();
    }

    pub(crate) fn set_view(&mut self) {
        if let Some(Some(s)) = self.spaces.get(usize::from(self.current.0)) {
            self.view = View::of(s, self.user);
        }
    }

    /// The current space.
    pub fn current(&self) -> SpaceId {
        self.current
    }

    /// Spaces in being.
    pub fn space_count(&self) -> usize {
        self.index.len()
    }

    fn new_space(&mut self, table: u32, role: Role) -> SpaceId {
        if self.index.len() >= SPACES {
            self.evict();
        }
        let space = loop {
            match self.made_space(table, role) {
                Ok(space) => break space,
                Err(_) if self.evict() => {}
                Err(_) => return self.reuse_current(table, role),
            }
        };
        let free = self.spaces.iter().position(Option::is_none);
        let id = SpaceId(free.unwrap_or(self.spaces.len()) as u16);
        match free {
            Some(n) => self.spaces[n] = Some(space),
            None => self.spaces.push(Some(space)),
        }
        self.index.insert((table, role), id);
        id
    }

    fn made_space(&self, table: u32, role: Role) -> Result<Space, MemoryError> {
        let mut space = Space::new(table, role)?;
        if self.tagged {
            space.keep_tables();
        }
        Ok(space)
    }

    /// Makes the current space another's, where the host has no memory for a second one.
    pub(crate) fn reuse_current(&mut self, table: u32, role: Role) -> SpaceId {
        let id = self.current;
        self.drop_pages(id, 0, 1 << 20);
        self.forget_tables(id);
        if let Some(Some(s)) = self.spaces.get_mut(usize::from(id.0)) {
            self.index.remove(&(s.table, s.role));
            (s.table, s.role) = (table, role);
        }
        self.index.insert((table, role), id);
        id
    }

    /// Removes the least recently used space that is not the current one.
    fn evict(&mut self) -> bool {
        let oldest = (0..self.spaces.len() as u16)
            .map(SpaceId)
            .filter(|&id| id != self.current)
            .filter_map(|id| self.spaces[usize::from(id.0)].as_ref().map(|s| (s.used, id)))
            .min();
        let Some((_, id)) = oldest else { return false };
        self.drop_pages(id, 0, 1 << 20);
        self.forget_tables(id);
        if let Some(s) = self.spaces[usize::from(id.0)].take() {
            self.index.remove(&(s.table, s.role));
        }
        true
    }

    fn forget_tables(&mut self, id: SpaceId) {
        let traces = &mut self.traces;
        self.tables.retain(|&frame, users| {
            users.retain(|u| u.space != id);
            if users.is_empty()
                && let Some(t) = traces.get_mut(frame as usize)
            {
                t.table = false;
            }
            !users.is_empty()
        });
    }

    /// Shows the frame at physical `at` under the linear page of the current space and
    /// privilege. Rights are narrowed by what the frame is and by its traces. Nothing happens
    /// for MMIO and watched frames.
    pub fn install(&mut self, linear: u32, at: u64, rights: Rights) {
        self.install_as(self.user, linear, at, rights);
    }

    /// As [`Memory::install`], for either privilege.
    pub fn install_as(&mut self, user: bool, linear: u32, at: u64, rights: Rights) {
        let page = linear >> PAGE_SHIFT;
        let Some(target) = self.resolve(at) else { return };
        let frame = target >> PAGE_SHIFT;
        let Some(traces) = self.traces.get(frame as usize) else { return };
        if traces.watch {
            return;
        }
        let code = self.code[frame as usize] != 0;
        let direct = self.resolve_write(at) == Some(target);
        let write = rights.write && direct && !traces.table && traces.dirty == ALL_LOGS;
        let id = self.current;
        let first = if user { 3 } else { 0 };
        let bytes = self.arena.base() + (u64::from(frame) << PAGE_SHIFT);
        let entry = bytes - (u64::from(page) << PAGE_SHIFT);
        let mut grown = self.show(id, page, frame);
        let Some(Some(space)) = self.spaces.get_mut(usize::from(id.0)) else { return };
        if rights.read {
            grown |= space.set(first, page, entry);
        }
        if write {
            grown |= space.set(first + 1, page, if code { entry | FINE } else { entry });
            self.traces[frame as usize].fine &= code;
        }
        if rights.execute {
            grown |= space.set(first + 2, page, bytes);
        }
        self.fills += 1;
        if grown {
            self.bound();
        }
    }

    /// Enters (space, page) into the frame's list, once, and out of another frame's; whether more memory is in use.
    fn show(&mut self, id: SpaceId, page: u32, frame: u32) -> bool {
        let Some(Some(space)) = self.spaces.get(usize::from(id.0)) else { return false };
        if space.is_present(page) {
            if self.reverse.frame(space.get(NODES, page) as u32) == Some(frame) {
                return false;
            }
            self.drop_page(id, page);
        }
        if let Some(Some(space)) = self.spaces.get_mut(usize::from(id.0))
            && let Some(node) = self.reverse.add(frame, id, page)
        {
            space.set_present(page, true);
            return space.set(NODES, page, u64::from(node));
        }
        false
    }

    /// Keeps the arrays within [`SHADOW_PAGES`].
    fn bound(&mut self) {
        let total: usize = self.spaces.iter().flatten().map(Space::touched).sum();
        if total > SHADOW_PAGES && !self.evict() {
            let id = self.current;
            self.drop_pages(id, 0, 1 << 20);
            if let Some(Some(s)) = self.spaces.get_mut(usize::from(id.0)) {
                s.wipe();
            }
        }
    }

    /// Drops the entries of `count` linear pages of a space.
    pub fn drop_pages(&mut self, id: SpaceId, first: u32, count: u32) {
        let (mut at, end) = (first, first.saturating_add(count).min(1 << 20));
        while let Some(Some(space)) = self.spaces.get(usize::from(id.0))
            && let Some(page) = space.next_present(at, end)
        {
            self.drop_page(id, page);
            at = page + 1;
        }
    }

    fn drop_page(&mut self, id: SpaceId, page: u32) {
        let Some(Some(space)) = self.spaces.get_mut(usize::from(id.0)) else { return };
        if !space.is_present(page) {
            return;
        }
        self.narrowed += 1;
        (0..ARRAYS).for_each(|a| space.clear(a, page));
        space.set_present(page, false);
        self.reverse.remove(space.get(NODES, page) as u32);
    }

    /// Drops every entry that shows a frame, in every space.
    pub fn drop_frame(&mut self, frame: u32) {
        let users: Vec<_> = self.reverse.users(frame).collect();
        for (id, page) in users {
            self.drop_page(id, page);
        }
    }

    /// Takes the write entries of a frame away in every space, so that the next store looks.
    pub(crate) fn revoke_writes(&mut self, frame: u32) {
        for (id, page) in self.reverse.users(frame) {
            if let Some(Some(space)) = self.spaces.get_mut(usize::from(id.0)) {
                space.clear(1, page);
                space.clear(4, page);
                self.narrowed += 1;
            }
        }
    }

    /// Drops all shadows of all spaces. Changes no guest state: only the next accesses fill again.
    pub fn drop_all(&mut self) {
        while self.evict() {}
        self.drop_pages(self.current, 0, 1 << 20);
        self.forget_tables(self.current);
    }

    /// A hash of all of RAM and the bank (FNV-1a over 64-bit words), skipping zero pages.
    pub fn hash(&self) -> u64 {
        self.hash_of(self.arena.len())
    }

    /// As [`Memory::hash`], of the first `bytes` alone.
    pub fn hash_of(&self, bytes: u64) -> u64 {
        let mut h = 0xcbf2_9ce4_8422_2325_u64;
        let mut page = [0u8; PAGE as usize];
        for at in (0..bytes.min(self.arena.len())).step_by(PAGE as usize) {
            self.arena.copy_out(self.arena.host(at), &mut page);
            // as a whole, by the host's comparison of memory: most pages of most machines are zero
            if page == [0; PAGE as usize] {
                continue;
            }
            h = (h ^ at).wrapping_mul(0x100_0000_01b3);
            for w in page.as_chunks::<8>().0 {
                h = (h ^ u64::from_le_bytes(*w)).wrapping_mul(0x100_0000_01b3).rotate_left(17);
            }
        }
        h
    }
}

#[inline(always)]
fn host(entry: u64, linear: u32) -> HostAddress {
    HostAddress((entry & !FINE) + u64::from(linear))
}
