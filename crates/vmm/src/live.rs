//! The accessor that runs the machine: [`System`] over the real state.

use crate::allocator::{shadow::ShadowPolicy, watch};
use crate::{Atom, Board, Privilege, System};
use cpu::{Fault, State, eflags, seg};
use mem::{Access, HostAddress, Memory, PAGE};

/// Everything that an interpreter of the running machine may reach.
pub struct Live<'a, B> {
    pub(crate) cpu: &'a mut State,
    pub(crate) mem: &'a mut Memory,
    pub(crate) board: &'a mut B,
    pub(crate) shadow: &'a mut ShadowPolicy,
    /// Memory that the shadow does not show is not looked for: accesses to it fail.
    pub(crate) plain: bool,
}

/// Why an access failed that was to be plain: nobody delivers it.
const NOT_PLAIN: Fault = Fault::GP0;

/// Where a store goes.
#[derive(Clone, Copy)]
enum Target {
    /// To what a shadow entry leads to: plain memory, without traces.
    Shown(HostAddress),
    /// To a physical address.
    Physical(u64),
}

/// Splits a range at page boundaries: start and length of each part.
fn parts(linear: u32, size: u32) -> [(u32, u32); 2] {
    let first = (PAGE - linear % PAGE).min(size);
    [(linear, first), (linear.wrapping_add(first), size - first)]
}

impl<B: Board> Live<'_, B> {
    fn access(&self, write: bool, privilege: Privilege) -> Access {
        let user = self.cpu.cpl == 3 && privilege == Privilege::Current;
        Access { write, user, fetch: false }
    }

    fn check_alignment(&self, linear: u32, size: u32, privilege: Privilege) -> Result<(), Fault> {
        let own = privilege == Privilege::Current && self.cpu.cpl == 3;
        if own && !self.cpu.permits_alignment(linear, size) { Err(Fault::AC) } else { Ok(()) }
    }

    fn hit(&mut self, linear: u32, size: u32, write: bool) {
        let hits = watch::data_hits(self.cpu, linear, size, write);
        if hits != 0 {
            self.cpu.debug_hits |= hits;
            self.cpu.leave = true;
        }
    }

    /// Translates one access. The walk may have set bits in a table that is code as well.
    fn fill(&mut self, linear: u32, access: Access) -> Result<u64, Fault> {
        let physical = self.shadow.fill(self.cpu, self.mem, linear, access)?;
        self.cpu.leave |= self.mem.has_traces();
        Ok(physical)
    }

    /// Reads bytes that lie in one page, from memory or a device.
    fn physical_read(&mut self, at: u64, size: u32) -> u64 {
        if self.mem.resolve(at).is_none() {
            let value = self.board.mmio_read(self.mem, self.cpu.retired, at, size);
            self.after_device();
            return value;
        }
        let mut bytes = [0; 8];
        self.mem.read_physical(at, &mut bytes[..size as usize]);
        u64::from_le_bytes(bytes)
    }

    fn physical_write(&mut self, at: u64, size: u32, value: u64) {
        if self.mem.resolve_write(at).is_none() {
            if self.mem.resolve(at).is_none() {
                self.board.mmio_write(self.mem, self.cpu.retired, at, size, value);
                self.after_device();
            }
            return;
        }
        self.mem.write_physical(at, &value.to_le_bytes()[..size as usize]);
        self.after_write();
    }

    /// Acts on the traces that a write has hit.
    fn after_write(&mut self) {
        if self.mem.has_traces() {
            let here = self.code_page();
            self.shadow.tables_written(self.mem);
            // an engine may be in a block of a page that is no longer there: what follows the write comes from the new
            // one, wherever a budget ends
            self.cpu.leave |= self.mem.has_traces() || self.code_page() != here;
        }
    }

    /// The execute entry of the page that EIP is in.
    fn code_page(&self) -> u64 {
        let linear = self.cpu.segment(cpu::seg::CS).base.wrapping_add(self.cpu.eip);
        self.mem.lookup_execute(linear)
    }

    fn after_device(&mut self) {
        self.after_write();
        let interrupt = self.board.interrupt_pending() && self.cpu.eflags & eflags::IF != 0;
        self.cpu.leave |= interrupt || self.board.attention();
    }

    /// Reads probed bytes; a page that has gone since reads as ones.
    pub(crate) fn read(&mut self, linear: u32, size: u32, access: Access) -> Result<u64, Fault> {
        if self.plain {
            return Err(NOT_PLAIN);
        }
        self.hit(linear, size, false);
        let mut value = 0;
        let mut shift = 0;
        for (at, n) in parts(linear, size).into_iter().filter(|&(_, n)| n > 0) {
            let part = match self.shown(at, n, access) {
                Some(host) => self.read_shown(host, n),
                None => {
                    let physical = self.fill(at, access)?;
                    self.physical_read(physical, n)
                }
            };
            value |= part << shift;
            shift += 8 * n;
        }
        Ok(value)
    }

    /// Where bytes of one page are, if the shadow has its entry: then there is nothing to walk or to mark for
    /// an access that only happens to reach into the next page.
    fn shown(&self, linear: u32, size: u32, access: Access) -> Option<HostAddress> {
        let Access { user, write, .. } = access;
        if write {
            self.mem.lookup_write_as(user, linear, size)
        } else {
            self.mem.lookup_read_as(user, linear, size)
        }
    }

    fn read_shown(&self, at: HostAddress, size: u32) -> u64 {
        let byte = |n: u32| u64::from(self.mem.read::<1>(HostAddress(at.0 + u64::from(n)))[0]);
        (0..size).fold(0, |value, n| value | byte(n) << (8 * n))
    }

    pub(crate) fn write(&mut self, linear: u32, size: u32, value: u64, access: Access) -> Result<(), Fault> {
        if self.plain {
            return Err(NOT_PLAIN);
        }
        let [(a, n), (b, m)] = parts(linear, size);
        let mut first = self.target(a, n, access)?;
        let second = if m > 0 { Some(self.target(b, m, access)?) } else { None };
        if let Some(Target::Physical(_)) = second {
            // a walk may have begun to trace the first page
            first = self.target(a, n, access)?;
        }
        self.hit(linear, size, true);
        self.write_target(first, n, value);
        if let Some(second) = second {
            self.write_target(second, m, value >> (8 * n));
        }
        Ok(())
    }

    /// Where a store to one page goes.
    fn target(&mut self, linear: u32, size: u32, access: Access) -> Result<Target, Fault> {
        match self.shown(linear, size, access) {
            Some(host) => Ok(Target::Shown(host)),
            None => match self.mem.permitted_store_as(access.user, linear, size) {
                Some(physical) => Ok(Target::Physical(physical)),
                None => self.fill(linear, access).map(Target::Physical),
            },
        }
    }

    fn write_target(&mut self, to: Target, size: u32, value: u64) {
        match to {
            Target::Physical(at) => self.physical_write(at, size, value),
            Target::Shown(at) => {
                for (n, byte) in (0..u64::from(size)).zip(value.to_le_bytes()) {
                    self.mem.write(HostAddress(at.0 + n), [byte]);
                }
            }
        }
    }

    /// The linear address of elements at an offset of a segment, and the bytes of as many of them as lie within the
    /// segment and one page; nothing where that is one at most.
    fn in_page(&self, segment: u8, offset: u32, size: u32, most: u32, write: bool) -> Option<(u32, u32)> {
        let s = self.cpu.segment(segment);
        let last = if write { s.write_last } else { s.read_last };
        let inside = u64::try_from(last - i64::from(offset) + 1).ok()?;
        let linear = s.base.wrapping_add(offset);
        let room = inside.min(u64::from(PAGE - linear % PAGE)).min(u64::from(most) * u64::from(size)) as u32;
        let bytes = room / size * size;
        (bytes > size).then_some((linear, bytes))
    }

    pub(crate) fn find(&mut self, linear: u32, size: u32, access: Access) -> Result<(), Fault> {
        if self.plain {
            return Err(NOT_PLAIN);
        }
        for (at, n) in parts(linear, size).into_iter().filter(|&(_, n)| n > 0) {
            if access.write {
                self.target(at, n, access)?;
            } else if self.shown(at, n, access).is_none() {
                self.fill(at, access)?;
            }
        }
        Ok(())
    }
}

impl<B: Board> System for Live<'_, B> {
    fn state(&self) -> &State {
        self.cpu
    }
    fn state_mut(&mut self) -> &mut State {
        self.cpu
    }
    fn ask(&mut self, _: Atom, truth: bool) -> bool {
        truth
    }
    fn load(&mut self, linear: u32, size: u32, privilege: Privilege) -> Result<u64, Fault> {
        self.check_alignment(linear, size, privilege)?;
        let access = self.access(false, privilege);
        if let Some(at) = self.mem.lookup_read_as(access.user, linear, size) {
            return Ok(match size {
                1 => u64::from(self.mem.read::<1>(at)[0]),
                2 => u64::from(u16::from_le_bytes(self.mem.read(at))),
                4 => u64::from(u32::from_le_bytes(self.mem.read(at))),
                _ => u64::from_le_bytes(self.mem.read(at)),
            });
        }
        self.read(linear, size, access)
    }
    fn store(&mut self, linear: u32, size: u32, value: u64, privilege: Privilege) -> Result<(), Fault> {
        self.check_alignment(linear, size, privilege)?;
        let access = self.access(true, privilege);
        if let Some(at) = self.mem.lookup_write_as(access.user, linear, size) {
            match size {
                1 => self.mem.write(at, (value as u8).to_le_bytes()),
                2 => self.mem.write(at, (value as u16).to_le_bytes()),
                4 => self.mem.write(at, (value as u32).to_le_bytes()),
                _ => self.mem.write(at, value.to_le_bytes()),
            }
            return Ok(());
        }
        self.write(linear, size, value, access)
    }
    fn probe(&mut self, linear: u32, size: u32, write: bool, privilege: Privilege) -> Result<(), Fault> {
        let access = self.access(write, privilege);
        let shown = match write {
            true => self.mem.lookup_write_as(access.user, linear, size),
            false => self.mem.lookup_read_as(access.user, linear, size),
        };
        if shown.is_some() { Ok(()) } else { self.find(linear, size, access) }
    }
    fn port_in(&mut self, port: u16, size: u32) -> u32 {
        let value = self.board.port_in(self.mem, self.cpu.retired, port, size);
        self.after_device();
        value
    }
    fn port_out(&mut self, port: u16, size: u32, value: u32) {
        self.board.port_out(self.mem, self.cpu.retired, port, size, value);
        self.after_device();
    }
    fn ports_in(&mut self, port: u16, size: u32, offset: u32, most: u32) -> u32 {
        let Some((linear, n)) = self.in_page(seg::ES, offset, size, most, true) else { return 0 };
        let Some(at) = self.mem.lookup_write_as(self.cpu.cpl == 3, linear, n) else { return 0 };
        let bytes = self.board.data_in(port, size, n as usize);
        let (words, rest) = bytes.as_chunks::<4>();
        for (n, word) in (0u64..).zip(words) {
            self.mem.write(HostAddress(at.0 + 4 * n), *word);
        }
        for (n, byte) in (4 * words.len() as u64..).zip(rest) {
            self.mem.write(HostAddress(at.0 + n), [*byte]);
        }
        bytes.len() as u32 / size
    }
    fn ports_out(&mut self, port: u16, size: u32, segment: u8, offset: u32, most: u32) -> u32 {
        let Some((linear, n)) = self.in_page(segment, offset, size, most, false) else { return 0 };
        let Some(at) = self.mem.lookup_read_as(self.cpu.cpl == 3, linear, n) else { return 0 };
        let mut bytes = [0; PAGE as usize];
        for (n, byte) in (0u64..).zip(&mut bytes[..n as usize]) {
            [*byte] = self.mem.read(HostAddress(at.0 + n));
        }
        self.board.data_out(port, size, &bytes[..n as usize]) as u32 / size
    }
    fn time_stamp(&mut self) -> u64 {
        self.board.time_stamp(self.cpu.retired).wrapping_add(self.cpu.tsc_offset)
    }
    fn apic_base(&mut self) -> u32 {
        self.board.apic_base()
    }
    fn set_apic_base(&mut self, value: u32) {
        self.board.set_apic_base(self.mem, value);
        self.after_device();
        self.cpu.leave = true;
    }
    fn physical_dword(&mut self, at: u32) -> u32 {
        self.mem.dword(at & self.cpu.a20_mask).unwrap_or(u32::MAX)
    }
    fn cr3_loaded(&mut self) {
        self.shadow.count_switch();
        self.address_space_changed();
    }
    fn address_space_changed(&mut self) {
        self.shadow.activate(self.cpu, self.mem);
    }
    fn invalidate_page(&mut self, linear: u32) {
        self.mem.drop_pages(self.mem.current(), linear / PAGE, 1);
    }
    fn interrupts_opened(&mut self) {
        self.cpu.leave |= self.cpu.nmi_pending || self.board.interrupt_pending();
    }
    fn watchpoints_changed(&mut self) {
        self.mem.drop_all();
        self.shadow.activate(self.cpu, self.mem);
    }
}
