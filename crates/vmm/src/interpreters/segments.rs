//! Segment registers: MOV, PUSH, POP, LDS, LES, LSS, LFS, LGS (SDM vol. 2, those pages; vol. 3A, 5.6, 5.7).

use super::descriptor::{
    Class, Descriptor, Raise, admits, conforming, error, fetch, is, mark_accessed, require_present,
};
use super::operand::{
    drop_stack, effective_address, linear, peek, read_memory, read_operand, set_stack_pointer, stack_mask,
    stack_pointer,
};
use super::{operand_size, transfer};
use crate::{Atom, Privilege, System};
use cpu::{Fault, Flow, Insn, InterruptShadow, Kind, Segment, rights, seg};
use isa::Mnemonic;

/// How a stack segment is checked.
#[derive(Clone, Copy, Debug)]
pub struct StackRule {
    /// The privilege level that it must be for.
    pub cpl: u8,
    /// What a bad selector raises; an absent segment is always #SS.
    pub bad: Raise,
    /// The EXT bit.
    pub ext: u16,
}

/// A segment register of real or V86 mode. In real mode only selector and base change and the
/// limit and rights of the hidden part stay (SDM vol. 3A, 9.9.2; vol. 3B, 20.1.1); in V86 mode they
/// are fixed (20.2).
pub fn real_segment<S: System>(s: &mut S, n: u8, selector: u16) -> Segment {
    if s.virtual_8086() {
        return Segment::real(selector, 3);
    }
    let old = *s.state().segment(n);
    if s.ask(Atom::SegmentUnusable, !old.usable()) {
        return Segment::real(selector, 0);
    }
    let mut new = Segment { base: u32::from(selector) << 4, selector, ..old };
    if n == seg::CS {
        // code of real mode may be written through CS
        new.rights = Segment::real(0, 0).rights | old.rights & (rights::BIG | rights::GRANULAR | rights::AVL);
    }
    new.refresh();
    new
}

/// A stack segment for a privilege level, checked (SDM vol. 3A, 5.7).
///
/// # Errors
/// The rule's fault, #SS(selector) if absent, or a page fault.
#[track_caller]
pub fn stack_segment<S: System>(s: &mut S, selector: u16, rule: StackRule) -> Result<Segment, Fault> {
    let StackRule { cpl, bad, ext } = rule;
    if s.null(selector) {
        return Err(bad(ext));
    }
    let mut d = fetch(s, selector, bad, ext)?;
    let privileged = s.ask(Atom::PrivilegeAdmits, d.rpl() == cpl && d.dpl() == cpl);
    if !privileged || !s.ask(Atom::DescriptorType, d.writable()) {
        return Err(error(bad, selector, ext));
    }
    require_present(s, &d, Fault::ss, ext)?;
    mark_accessed(s, &mut d)?;
    Ok(d.segment())
}

/// A data segment, checked; a null selector gives an unusable register (SDM vol. 3A, 5.6).
///
/// # Errors
/// `bad(selector)`, #NP(selector), or a page fault.
#[inline(always)]
#[track_caller]
pub fn data_segment<S: System>(s: &mut S, selector: u16, bad: Raise, ext: u16) -> Result<Hidden, Fault> {
    if s.null(selector) {
        return Ok(Hidden::Made(Segment::null(selector)));
    }
    let mut d = fetch(s, selector, bad, ext)?;
    if !s.ask(Atom::DescriptorType, d.readable()) {
        return Err(error(bad, selector, ext));
    }
    if !conforming(s, &d) && !admits(s, &d) {
        return Err(error(bad, selector, ext));
    }
    require_present(s, &d, Fault::np, ext)?;
    mark_accessed(s, &mut d)?;
    Ok(Hidden::Described(d))
}

/// What goes into a segment register.
#[derive(Clone, Copy, Debug)]
pub enum Hidden {
    /// What a descriptor in memory says.
    Described(Descriptor),
    /// All of it, made otherwise.
    Made(Segment),
}

/// What a load of a segment register other than CS would put there.
#[inline(always)]
fn checked<S: System>(s: &mut S, n: u8, selector: u16) -> Result<Hidden, Fault> {
    if !s.descriptors_rule() {
        return Ok(Hidden::Made(real_segment(s, n, selector)));
    }
    if n == seg::SS {
        let cpl = s.state().cpl;
        let rule = StackRule { cpl, bad: Fault::gp, ext: 0 };
        return stack_segment(s, selector, rule).map(Hidden::Made);
    }
    data_segment(s, selector, Fault::gp, 0)
}

/// Puts it there. Kernels load again and again what a register holds already: to see that takes half the time that the
/// hidden part would take to be made.
#[inline(always)]
pub fn put<S: System>(s: &mut S, n: u8, hidden: Hidden) {
    let segment = &mut s.state_mut().seg[usize::from(n).min(5)];
    match hidden {
        Hidden::Made(made) => *segment = made,
        Hidden::Described(d) if d.describes(segment) => {}
        Hidden::Described(d) => *segment = d.segment(),
    }
}

/// MOV SS and POP SS hold interrupts off for one instruction, the first of a run only (SDM
/// vol. 3A, 6.8.3).
fn cast_shadow<S: System>(s: &mut S) {
    if !s.shadowed() {
        let state = s.state_mut();
        state.shadow = InterruptShadow::MovSs;
        state.shadow_until = state.retired + 2;
    }
}

/// The 8086 loads CS like any other segment register: a jump.
fn load_cs_8086<S: System>(s: &mut S, selector: u16) -> Flow {
    let cs = real_segment(s, seg::CS, selector);
    put(s, seg::CS, Hidden::Made(cs));
    Flow::Continue
}

/// MOV Sreg, r/m16 (SDM vol. 2, MOV).
///
/// # Errors
/// #UD for CS; #GP, #SS, #NP with the selector; those of the operand.
pub fn mov_to_sreg<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let n = insn.reg[0];
    if n == seg::CS && !s.is_8086() {
        return Err(Fault::UD);
    }
    let selector = read_operand(s, insn, 1, 2)? as u16;
    if n == seg::CS {
        return Ok(load_cs_8086(s, selector));
    }
    let segment = checked(s, n, selector)?;
    put(s, n, segment);
    if n == seg::SS {
        cast_shadow(s);
    }
    Ok(Flow::Continue)
}

/// MOV r/m16, Sreg; a 32-bit register is zero-extended (SDM vol. 2, MOV).
///
/// # Errors
/// Those of the operand.
pub fn mov_from_sreg<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let selector = s.state().segment(insn.reg[1]).selector;
    store_selector(s, insn, selector)?;
    Ok(Flow::Continue)
}

/// Writes a selector to operand 0: 16 bits of memory, or a register of the operand's size.
///
/// # Errors
/// Those of the operand.
pub fn store_selector<S: System>(s: &mut S, insn: &Insn, selector: u16) -> Result<(), Fault> {
    let size = if insn.kind[0] == Kind::Mem { 2 } else { operand_size(insn) };
    super::operand::write_operand(s, insn, 0, size, u32::from(selector))
}

/// PUSH Sreg. With a 32-bit operand 16 bits are written and ESP moves by 4 (SDM vol. 2, PUSH).
///
/// # Errors
/// #SS(0) or a page fault.
pub fn push_sreg<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let selector = s.state().segment(insn.reg[0]).selector;
    let sp = stack_pointer(s.state()).wrapping_sub(operand_size(insn)) & stack_mask(s.state());
    let at = linear(s, seg::SS, sp, 2, true)?;
    s.store(at, 2, u64::from(selector), Privilege::Current)?;
    set_stack_pointer(s.state_mut(), sp);
    Ok(Flow::Continue)
}

/// POP Sreg (SDM vol. 2, POP).
///
/// # Errors
/// #GP, #SS, #NP with the selector; #SS(0) or a page fault.
pub fn pop_sreg<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (n, size) = (insn.reg[0], operand_size(insn));
    let selector = peek(s, size, 0)? as u16;
    if n == seg::CS {
        drop_stack(s.state_mut(), size);
        return Ok(load_cs_8086(s, selector));
    }
    let segment = checked(s, n, selector)?;
    drop_stack(s.state_mut(), size);
    put(s, n, segment);
    if n == seg::SS {
        cast_shadow(s);
    }
    Ok(Flow::Continue)
}

fn far_pointer_register(insn: &Insn) -> u8 {
    match insn.code.mnemonic() {
        Mnemonic::Les => seg::ES,
        Mnemonic::Lss => seg::SS,
        Mnemonic::Lfs => seg::FS,
        Mnemonic::Lgs => seg::GS,
        _ => seg::DS,
    }
}

/// LDS, LES, LSS, LFS, LGS (SDM vol. 2, LDS). LSS holds no interrupts off.
///
/// # Errors
/// #GP, #SS, #NP with the selector; those of the operand.
pub fn load_far_pointer<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    if insn.kind[1] != Kind::Mem {
        return Err(Fault::UD);
    }
    let (selector, offset) = transfer::read_far_pointer(s, insn)?;
    let n = far_pointer_register(insn);
    let segment = checked(s, n, selector)?;
    put(s, n, segment);
    match operand_size(insn) {
        2 => s.state_mut().set_r16(insn.reg[0], offset as u16),
        _ => s.state_mut().set_r32(insn.reg[0], offset),
    }
    Ok(Flow::Continue)
}

/// BOUND: #BR if the index lies outside the signed bounds (SDM vol. 2, BOUND).
///
/// # Errors
/// #BR; #UD for a register operand; those of the operand.
pub fn bound<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    if insn.kind[1] != Kind::Mem {
        return Err(Fault::UD);
    }
    let size = operand_size(insn);
    let signed = |v: u32| if size == 2 { i32::from(v as u16 as i16) } else { v as i32 };
    let at = effective_address(s.state(), insn);
    let lower = signed(read_memory(s, insn.seg, at, size)? as u32);
    let upper = signed(read_memory(s, insn.seg, at.wrapping_add(size), size)? as u32);
    let index = signed(read_operand(s, insn, 0, size)?);
    if (lower..=upper).contains(&index) { Ok(Flow::Continue) } else { Err(Fault::BR) }
}

/// Invalidates data segments that the outer level may not use (SDM vol. 2, RET, IRET).
pub fn drop_inner_segments<S: System>(s: &mut S, cpl: u8) {
    for n in [seg::ES, seg::DS, seg::FS, seg::GS] {
        let segment = *s.state().segment(n);
        let conforming = segment.code() && segment.rights & rights::DIRECTION != 0;
        let unfit = segment.usable() && !conforming && segment.dpl() < cpl;
        if s.ask(Atom::PrivilegeAdmits, !unfit) {
            continue;
        }
        put(s, n, Hidden::Made(Segment::null(0)));
    }
}

/// Asks whether a descriptor is code.
#[track_caller]
pub fn is_code<S: System>(s: &mut S, d: &Descriptor) -> bool {
    is(s, d, Class::Code)
}
