//! Explicit operands and the stack, as interpreters use them.

use crate::{Atom, Privilege, System};
use cpu::{Fault, Insn, Kind, State, reg, seg};

/// The offset of the memory operand.
pub fn effective_address(cpu: &State, insn: &Insn) -> u32 {
    let index = cpu.r32(insn.index) << insn.scale;
    cpu.r32(insn.base).wrapping_add(index).wrapping_add(insn.disp) & insn.addr_mask()
}

/// The linear address of `size` bytes at an offset of a segment, checked for rights and limit.
///
/// # Errors
/// #SS(0) for SS, else #GP(0).
#[track_caller]
pub fn linear<S: System>(s: &mut S, segment: u8, offset: u32, size: u32, write: bool) -> Result<u32, Fault> {
    let covers = s.state().segment(segment).permits(offset, size, write);
    if s.ask(Atom::LimitCovers, covers) {
        Ok(s.state().segment(segment).base.wrapping_add(offset))
    } else {
        Err(s.state().limit_fault(segment))
    }
}

/// Reads `size` bytes of memory in the program's name.
///
/// # Errors
/// A limit violation or page fault.
#[track_caller]
pub fn read_memory<S: System>(s: &mut S, segment: u8, offset: u32, size: u32) -> Result<u64, Fault> {
    let at = linear(s, segment, offset, size, false)?;
    s.load(at, size, Privilege::Current)
}

/// Writes `size` bytes of memory in the program's name.
///
/// # Errors
/// A limit violation or page fault; nothing was written.
#[track_caller]
pub fn write_memory<S: System>(
    s: &mut S,
    segment: u8,
    offset: u32,
    size: u32,
    value: u64,
) -> Result<(), Fault> {
    let at = linear(s, segment, offset, size, true)?;
    s.store(at, size, value, Privilege::Current)
}

/// Reads the register or memory operand `n` as `size` (2 or 4) bytes.
///
/// # Errors
/// As [`read_memory`].
#[track_caller]
pub fn read_operand<S: System>(s: &mut S, insn: &Insn, n: usize, size: u32) -> Result<u32, Fault> {
    if insn.kind[n] == Kind::Mem {
        let offset = effective_address(s.state(), insn);
        return read_memory(s, insn.seg, offset, size).map(|v| v as u32);
    }
    let r = insn.reg[n];
    Ok(if size == 2 { u32::from(s.state().r16(r)) } else { s.state().r32(r) })
}

/// Writes the register or memory operand `n` as `size` (2 or 4) bytes.
///
/// # Errors
/// As [`write_memory`].
#[track_caller]
pub fn write_operand<S: System>(
    s: &mut S,
    insn: &Insn,
    n: usize,
    size: u32,
    value: u32,
) -> Result<(), Fault> {
    if insn.kind[n] == Kind::Mem {
        let offset = effective_address(s.state(), insn);
        return write_memory(s, insn.seg, offset, size, u64::from(value));
    }
    let r = insn.reg[n];
    if size == 2 {
        s.state_mut().set_r16(r, value as u16)
    } else {
        s.state_mut().set_r32(r, value)
    }
    Ok(())
}

/// The stack pointer masked to the stack's width.
pub fn stack_pointer(cpu: &State) -> u32 {
    cpu.r32(reg::SP) & stack_mask(cpu)
}

/// FFFFh or FFFFFFFFh, by SS.B.
pub fn stack_mask(cpu: &State) -> u32 {
    if cpu.stack32() { u32::MAX } else { 0xffff }
}

/// Sets the stack pointer within the stack's width.
pub fn set_stack_pointer(cpu: &mut State, value: u32) {
    if cpu.stack32() { cpu.set_r32(reg::SP, value) } else { cpu.set_r16(reg::SP, value as u16) }
}

/// Pushes 2 or 4 bytes.
///
/// # Errors
/// #SS(0) or a page fault; nothing has changed.
#[track_caller]
pub fn push<S: System>(s: &mut S, size: u32, value: u32) -> Result<(), Fault> {
    let sp = stack_pointer(s.state()).wrapping_sub(size) & stack_mask(s.state());
    write_memory(s, seg::SS, sp, size, u64::from(value))?;
    set_stack_pointer(s.state_mut(), sp);
    Ok(())
}

/// Reads the `n`-th item of `size` bytes on the stack; item 0 is on top.
///
/// # Errors
/// #SS(0) or a page fault.
#[track_caller]
pub fn peek<S: System>(s: &mut S, size: u32, n: u32) -> Result<u32, Fault> {
    let sp = stack_pointer(s.state()).wrapping_add(n * size) & stack_mask(s.state());
    read_memory(s, seg::SS, sp, size).map(|v| v as u32)
}

/// Drops `bytes` from the stack.
pub fn drop_stack(cpu: &mut State, bytes: u32) {
    let sp = stack_pointer(cpu).wrapping_add(bytes);
    set_stack_pointer(cpu, sp);
}
