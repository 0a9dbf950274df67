//! REP: runs of string elements, page by page, interruptible and exactly restartable.

use crate::eval::{Eval, Stop};
use cpu::Width::{B16, B32};
use cpu::{Insn, Prefix, State, Width, eflags, reg, seg};
use mem::PAGE;
use sem::flags::Flag;
use sem::shape::Kinds;
use sem::{Bulk, Emit};

/// Repeats `step` while the count lasts; CMPS and SCAS also while ZF is as the prefix says.
/// Each iteration counts as one instruction retired.
pub(crate) fn repeat<'a, K: Kinds, const FAST: bool>(
    e: &mut Eval<'a, K, FAST>,
    bulk: Bulk,
    w: Width,
    mut step: impl FnMut(&mut Eval<'a, K, FAST>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let cw = if e.op.insn.addr32 { B32 } else { B16 };
    let wants_equal = e.op.insn.prefix.has(Prefix::REP);
    let compares = matches!(bulk, Bulk::Scan | Bulk::Compare);
    let mut first = true;
    loop {
        let count = e.reg(cw, reg::CX);
        if count == 0 {
            return Ok(());
        }
        let spent = e.cpu.retired + u64::from(e.op.index) + u64::from(!first);
        if !first && (e.cpu.leave || spent >= e.cpu.until) {
            // this iteration's own count: what was done so far stands, the rest comes later
            e.cpu.retired += 1;
            return Err(Stop::Again);
        }
        let room = e.cpu.until.saturating_sub(spent).max(1);
        let skipped = skip(e, bulk, w, count.min(room), wants_equal);
        if skipped > 0 {
            e.set_reg(cw, reg::CX, count - skipped);
            e.cpu.retired += skipped - u64::from(first);
            first = false;
            continue;
        }
        step(e).inspect_err(|_| e.cpu.retired += u64::from(!first))?;
        e.set_reg(cw, reg::CX, count - 1);
        e.cpu.retired += u64::from(!first);
        first = false;
        if compares && (e.flag(Flag::ZF) != 0) != wants_equal {
            return Ok(());
        }
    }
}

/// Does as many iterations at once as lie in one page and leave nothing to decide; returns
/// their number. Upwards only, and never the last of a comparison, whose flags show.
fn skip<K: Kinds, const FAST: bool>(
    e: &mut Eval<'_, K, FAST>,
    bulk: Bulk,
    w: Width,
    most: u64,
    wants_equal: bool,
) -> u64 {
    if most < 2 || e.cpu.eflags & eflags::DF != 0 {
        return 0;
    }
    let size = u64::from(w.bytes());
    let (source_seg, mask) = (e.op.insn.seg, e.op.insn.addr_mask());
    let (si, di) = (e.cpu.r32(reg::SI) & mask, e.cpu.r32(reg::DI) & mask);
    let (cpu, insn) = (&*e.cpu, &e.op.insn);
    let in_source = || run(cpu, insn, source_seg, si, (size, most), false);
    let in_destination = |write| run(cpu, insn, seg::ES, di, (size, most), write);
    let n = match bulk {
        Bulk::Move => in_source().min(in_destination(true)),
        Bulk::Store => in_destination(true),
        Bulk::Scan => in_destination(false),
        Bulk::Compare => in_source().min(in_destination(false)),
        Bulk::Load => 0,
    };
    if n < 2 {
        return 0;
    }
    let bytes = (n * size) as u32;
    let to = e.plain(seg::ES, di, bytes, matches!(bulk, Bulk::Move | Bulk::Store));
    let from =
        if matches!(bulk, Bulk::Move | Bulk::Compare) { e.plain(source_seg, si, bytes, false) } else { to };
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    let n = match bulk {
        Bulk::Move => {
            e.mem.copy_run(from, to, size, n);
            n
        }
        Bulk::Store | Bulk::Load => {
            let value = e.reg(w, reg::AX);
            e.mem.fill_run(to, size, n, value);
            n
        }
        Bulk::Scan => {
            let value = e.reg(w, reg::AX);
            e.mem.scan_run(to, size, n, value, !wants_equal) - 1
        }
        Bulk::Compare => e.mem.compare_run(from, to, size, n, !wants_equal) - 1,
    };
    let iw = if e.op.insn.addr32 { B32 } else { B16 };
    if matches!(bulk, Bulk::Move | Bulk::Compare) {
        forward(e, iw, reg::SI, n * size);
    }
    forward(e, iw, reg::DI, n * size);
    n
}

fn forward<K: Kinds, const FAST: bool>(e: &mut Eval<'_, K, FAST>, iw: Width, r: u8, bytes: u64) {
    let v = e.reg(iw, r);
    let v = e.add(iw, v, bytes);
    e.set_reg(iw, r, v);
}

/// Elements of `size` bytes from `offset`, `most` at most, that lie in its page, the segment and the address size.
pub(crate) fn run(
    cpu: &State,
    insn: &Insn,
    segment: u8,
    offset: u32,
    (size, most): (u64, u64),
    write: bool,
) -> u64 {
    let s = cpu.segment(segment);
    let linear = s.base.wrapping_add(offset);
    let in_page = u64::from(PAGE - linear % PAGE) / size;
    let wrap = if insn.addr32 { 1u64 << 32 } else { 0x1_0000 };
    let in_range = (wrap - u64::from(offset)) / size;
    let n = most.min(in_page).min(in_range);
    if n == 0 || s.permits(offset, (n * size) as u32, write) { n } else { 0 }
}
