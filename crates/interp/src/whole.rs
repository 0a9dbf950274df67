//! REP MOVS and REP STOS done whole, for an engine that has them within its own code.

use crate::repeat::run;
use cpu::{Insn, State, Width, eflags, reg, seg};
use mem::{HostAddress, Memory};
use sem::Bulk;

/// Pages that are looked at at most: a longer one is worth an exit.
const PAGES: usize = 8;

/// A repeated MOVS or STOS.
#[derive(Clone, Copy)]
struct Whole<'a> {
    insn: &'a Insn,
    moves: bool,
    size: u64,
    count: u64,
    /// Offsets of the first elements.
    si: u32,
    di: u32,
}

/// Does a REP MOVS or REP STOS to its end, if that is `most` iterations at most, upwards, and all of it lies in memory
/// that the shadow shows, no element across pages: how many iterations there were. If not, nothing has changed.
pub fn whole(
    cpu: &mut State,
    mem: &mut Memory,
    insn: &Insn,
    (bulk, w): (Bulk, Width),
    most: u64,
) -> Option<u64> {
    let upwards = cpu.eflags & eflags::DF == 0;
    let known = matches!(bulk, Bulk::Move | Bulk::Store);
    let mask = insn.addr_mask();
    let count = u64::from(cpu.r32(reg::CX) & mask);
    if !upwards || !known || count > most || cpu.alignment_checked() {
        return None;
    }
    let (si, di) = (cpu.r32(reg::SI) & mask, cpu.r32(reg::DI) & mask);
    let (moves, size) = (bulk == Bulk::Move, u64::from(w.bytes()));
    let w = Whole { insn, moves, size, count, si, di };
    let (mut parts, mut found, mut done) = ([(HostAddress(0), HostAddress(0), 0); PAGES], 0, 0);
    while done < count {
        let part = w.part(cpu, mem, done)?;
        *parts.get_mut(found)? = part;
        (found, done) = (found + 1, done + part.2);
    }
    let value = u64::from(cpu.r32(reg::AX));
    for &(from, to, n) in &parts[..found] {
        match moves {
            true => mem.copy_run(from, to, size, n),
            false => mem.fill_run(to, size, n, value),
        }
    }
    w.advance(cpu, mask);
    Some(count)
}

impl Whole<'_> {
    /// Where the elements are that come after so many, as far as they lie in one page: source, destination, number.
    fn part(&self, cpu: &State, mem: &Memory, done: u64) -> Option<(HostAddress, HostAddress, u64)> {
        let ahead = (done * self.size) as u32;
        let (si, di) = (self.si.wrapping_add(ahead), self.di.wrapping_add(ahead));
        let left = self.count - done;
        let mut n = run(cpu, self.insn, seg::ES, di, (self.size, left), true);
        if self.moves {
            n = n.min(run(cpu, self.insn, self.insn.seg, si, (self.size, left), false));
        }
        if n == 0 {
            return None;
        }
        let bytes = (n * self.size) as u32;
        let linear = |segment: u8, offset: u32| cpu.segment(segment).base.wrapping_add(offset);
        let to = mem.lookup_write(linear(seg::ES, di), bytes)?;
        let from = if self.moves { mem.lookup_read(linear(self.insn.seg, si), bytes)? } else { to };
        Some((from, to, n))
    }

    /// Moves the index registers past the last element, and counts down to nothing.
    fn advance(&self, cpu: &mut State, mask: u32) {
        let by = (self.count * self.size) as u32;
        let mut set = |r: u8, v: u32| {
            let old = cpu.r32(r);
            cpu.set_r32(r, old & !mask | v & mask);
        };
        set(reg::DI, self.di.wrapping_add(by));
        if self.moves {
            set(reg::SI, self.si.wrapping_add(by));
        }
        set(reg::CX, 0);
    }
}
