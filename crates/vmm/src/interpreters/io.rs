//! IN, OUT, INS, OUTS and the I/O permission bitmap (SDM vol. 1, chapter 19).

use super::operand::{linear, read_memory};
use crate::{Atom, Privilege, System};
use cpu::{CpuModel, Fault, Flow, Insn, Kind, State, eflags, reg, seg};
use isa::OpCodeOperandKind;

/// Whether the program may use `size` ports from `port`.
///
/// # Errors
/// #GP(0) where it may not; page faults on the TSS.
pub fn require_port<S: System>(s: &mut S, port: u16, size: u32) -> Result<(), Fault> {
    if !s.protection_enabled() || !(s.virtual_8086() || s.iopl_below_cpl()) {
        return Ok(());
    }
    let allowed = bitmap_allows(s, port, size)?;
    if s.ask(Atom::PortAllowed, allowed) { Ok(()) } else { Err(Fault::GP0) }
}

/// Two bytes of the bitmap are read, as the CPU does, so the limit must cover both.
fn bitmap_allows<S: System>(s: &mut S, port: u16, size: u32) -> Result<bool, Fault> {
    let tr = s.state().tr;
    let is_32_bit_tss = tr.rights & 0xd == 9;
    if !is_32_bit_tss || !tr.covers(0x66, 2) {
        return Ok(false);
    }
    let base = s.load(tr.base.wrapping_add(0x66), 2, Privilege::Supervisor)? as u32;
    let at = base + u32::from(port / 8);
    if !tr.covers(at, 2) {
        return Ok(false);
    }
    let bits = s.load(tr.base.wrapping_add(at), 2, Privilege::Supervisor)? as u32;
    let mask = (1 << size) - 1;
    Ok(bits >> (port % 8) & mask == 0)
}

/// Bytes moved by IN or OUT, from the accumulator operand of the form.
fn width(insn: &Insn, operand: u32) -> u32 {
    match insn.code.op_code().op_kind(operand) {
        OpCodeOperandKind::al => 1,
        OpCodeOperandKind::ax => 2,
        _ => 4,
    }
}

fn port(s: &impl System, insn: &Insn, operand: usize) -> u16 {
    if insn.kind[operand] == Kind::Imm { insn.imm as u8 as u16 } else { s.state().r16(reg::DX) }
}

/// IN.
///
/// # Errors
/// #GP(0) without permission.
pub fn input<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (size, port) = (width(insn, 0), port(s, insn, 1));
    require_port(s, port, size)?;
    let value = s.port_in(port, size);
    set_accumulator(s, size, value);
    Ok(Flow::Continue)
}

fn set_accumulator<S: System>(s: &mut S, size: u32, value: u32) {
    let old = s.state().r32(reg::AX);
    let mask = if size == 4 { u32::MAX } else { (1 << (8 * size)) - 1 };
    s.state_mut().set_r32(reg::AX, old & !mask | value & mask);
}

/// OUT.
///
/// # Errors
/// #GP(0) without permission.
pub fn output<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (size, port) = (width(insn, 1), port(s, insn, 0));
    require_port(s, port, size)?;
    let value = s.state().r32(reg::AX);
    let mask = if size == 4 { u32::MAX } else { (1 << (8 * size)) - 1 };
    s.port_out(port, size, value & mask);
    Ok(Flow::Continue)
}

/// Bytes of a string element.
fn element(insn: &Insn) -> u32 {
    use isa::Mnemonic as M;
    match insn.code.mnemonic() {
        M::Insb | M::Outsb => 1,
        M::Insw | M::Outsw => 2,
        _ => 4,
    }
}

/// INS.
///
/// # Errors
/// #GP(0) without permission; faults of the destination.
pub fn ins<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (size, port) = (element(insn), s.state().r16(reg::DX));
    require_port(s, port, size)?;
    let step = |s: &mut S, offset| {
        let at = linear(s, seg::ES, offset, size, true)?;
        s.probe(at, size, true, Privilege::Current)?;
        let value = s.port_in(port, size);
        s.store(at, size, u64::from(value), Privilege::Current)
    };
    repeat(s, insn, size, reg::DI, step, |s, offset, most| s.ports_in(port, size, offset, most))
}

/// OUTS.
///
/// # Errors
/// #GP(0) without permission; faults of the source.
pub fn outs<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (size, port) = (element(insn), s.state().r16(reg::DX));
    require_port(s, port, size)?;
    let step = |s: &mut S, offset| {
        let value = read_memory(s, insn.seg, offset, size)?;
        s.port_out(port, size, value as u32);
        Ok(())
    };
    repeat(s, insn, size, reg::SI, step, |s, offset, most| s.ports_out(port, size, insn.seg, offset, most))
}

/// The 80286 has already moved the index register when a string element faults, and counted ahead
/// of a write (as in `sem::strings`).
fn left_by_286<S: System>(s: &mut S, insn: &Insn, index: u8, delta: u32) {
    if s.state().model != CpuModel::I286 {
        return;
    }
    let cpu = s.state_mut();
    cpu.set_r16(index, cpu.r16(index).wrapping_add(delta as u16));
    if insn.prefix.repeated() {
        let counted = if index == reg::DI { 2 } else { 1 };
        cpu.set_r16(reg::CX, cpu.r16(reg::CX).wrapping_sub(counted));
    }
}

/// Repeats a step as the prefixes say; each iteration counts as one instruction retired. Ends
/// early, to be restarted, where the dispatcher is wanted. `block` does some of up to so many steps at once, if it can.
fn repeat<S: System>(
    s: &mut S,
    insn: &Insn,
    size: u32,
    index: u8,
    mut step: impl FnMut(&mut S, u32) -> Result<(), Fault>,
    mut block: impl FnMut(&mut S, u32, u32) -> u32,
) -> Result<Flow, Fault> {
    let mask = insn.addr_mask();
    let delta = if s.state().eflags & eflags::DF != 0 { size.wrapping_neg() } else { size };
    if !insn.prefix.repeated() {
        let at = s.state().r32(index) & mask;
        step(s, at).inspect_err(|_| left_by_286(s, insn, index, delta))?;
        set_masked(s, index, at.wrapping_add(delta), mask);
        return Ok(Flow::Continue);
    }
    let mut done = 0;
    loop {
        let count = s.state().r32(reg::CX) & mask;
        if count == 0 {
            return Ok(Flow::Continue);
        }
        let cpu = s.state();
        if done > 0 && (cpu.leave || cpu.retired + 1 >= cpu.until) {
            s.state_mut().eip = s.state().eip.wrapping_sub(u32::from(insn.len));
            return Ok(Flow::Leave);
        }
        let at = s.state().r32(index) & mask;
        let n = block(s, at, together(s.state(), at, count, size, mask));
        if n > 0 {
            s.state_mut().retired += u64::from(n) - u64::from(done == 0);
            set_masked(s, index, at.wrapping_add(n * size), mask);
            set_masked(s, reg::CX, count - n, mask);
            done += n;
            continue;
        }
        // the first iteration is counted as the instruction itself
        s.state_mut().retired += u64::from(done > 0);
        step(s, at).inspect_err(|_| left_by_286(s, insn, index, delta))?;
        set_masked(s, index, at.wrapping_add(delta), mask);
        set_masked(s, reg::CX, count - 1, mask);
        done += 1;
    }
}

/// Steps that may be done at once, the last one apart: upwards, as far as the index does not wrap and the budget lasts.
fn together(cpu: &State, at: u32, count: u32, size: u32, mask: u32) -> u32 {
    if cpu.eflags & eflags::DF != 0 {
        return 0;
    }
    let budget = cpu.until.saturating_sub(cpu.retired + 1).min(u64::from(u32::MAX)) as u32;
    (count - 1).min(budget).min((mask - at) / size)
}

fn set_masked<S: System>(s: &mut S, r: u8, value: u32, mask: u32) {
    let old = s.state().r32(r);
    s.state_mut().set_r32(r, old & !mask | value & mask);
}
