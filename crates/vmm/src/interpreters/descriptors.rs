//! Descriptor tables and questions about descriptors: LGDT, LIDT, LLDT, LTR, SGDT, SIDT, SLDT,
//! STR, LAR, LSL, VERR, VERW, ARPL (SDM vol. 2, those pages; vol. 3A, 5.10).

use super::descriptor::{Class, Descriptor, admits, conforming, error, fetch, is, look_up, require_present};
use super::operand::{effective_address, read_memory, read_operand, write_memory, write_operand};
use super::segments::store_selector;
use super::{operand_size, tasks};
use crate::{Atom, System};
use cpu::{DescriptorTable, Fault, Flow, Insn, Kind, Segment, eflags};

/// #UD where selectors do not name descriptors.
fn require_descriptors<S: System>(s: &mut S) -> Result<(), Fault> {
    if s.descriptors_rule() { Ok(()) } else { Err(Fault::UD) }
}

/// ZF from an answer; the other flags stay.
fn set_zero<S: System>(s: &mut S, zero: bool) {
    let others = s.state().arithmetic_flags() & !eflags::ZF;
    s.state_mut().set_arithmetic_flags(others | if zero { eflags::ZF } else { 0 });
}

/// The descriptor that a selector operand names, if there is one.
fn asked<S: System>(s: &mut S, insn: &Insn, n: usize) -> Result<Option<Descriptor>, Fault> {
    require_descriptors(s)?;
    let selector = read_operand(s, insn, n, 2)? as u16;
    if s.null(selector) { Ok(None) } else { look_up(s, selector) }
}

/// Whether a descriptor is visible at CPL and RPL; conforming code is to everyone.
fn visible<S: System>(s: &mut S, d: &Descriptor) -> bool {
    conforming(s, d) || admits(s, d)
}

/// Whether it is one of these classes.
#[track_caller]
fn any<S: System>(s: &mut S, d: &Descriptor, classes: &[Class]) -> bool {
    for &class in classes {
        if is(s, d, class) {
            return true;
        }
    }
    false
}

const MEASURED: [Class; 5] = [Class::Code, Class::Data, Class::AvailableTss, Class::BusyTss, Class::Ldt];

/// Puts an answer of LAR or LSL into operand 0 and ZF.
fn answer<S: System>(s: &mut S, insn: &Insn, value: Option<u32>) -> Result<Flow, Fault> {
    if let Some(value) = value {
        write_operand(s, insn, 0, operand_size(insn), value)?;
    }
    set_zero(s, value.is_some());
    Ok(Flow::Continue)
}

/// LAR: access rights.
///
/// # Errors
/// #UD outside protected mode; those of the operand.
pub fn lar<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let found = asked(s, insn, 1)?;
    let value = found.filter(|d| {
        (any(s, d, &MEASURED) || any(s, d, &[Class::CallGate, Class::TaskGate])) && visible(s, d)
    });
    answer(s, insn, value.map(|d| d.high() & 0x00f0_ff00))
}

/// LSL: limit in bytes.
///
/// # Errors
/// #UD outside protected mode; those of the operand.
pub fn lsl<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let found = asked(s, insn, 1)?;
    let value = found.filter(|d| any(s, d, &MEASURED) && visible(s, d));
    answer(s, insn, value.map(|d| d.limit()))
}

/// VERR: may the segment be read?
///
/// # Errors
/// #UD outside protected mode; those of the operand.
pub fn verr<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let found = asked(s, insn, 0)?;
    let yes = found.is_some_and(|d| s.ask(Atom::DescriptorType, d.readable()) && visible(s, &d));
    set_zero(s, yes);
    Ok(Flow::Continue)
}

/// VERW: may the segment be written?
///
/// # Errors
/// #UD outside protected mode; those of the operand.
pub fn verw<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let found = asked(s, insn, 0)?;
    let yes = found.is_some_and(|d| s.ask(Atom::DescriptorType, d.writable()) && admits(s, &d));
    set_zero(s, yes);
    Ok(Flow::Continue)
}

/// ARPL: raises a selector's RPL to that of another.
///
/// # Errors
/// #UD outside protected mode; those of the operand.
pub fn arpl<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    require_descriptors(s)?;
    let selector = read_operand(s, insn, 0, 2)?;
    let rpl = read_operand(s, insn, 1, 2)? & 3;
    let raised = selector & 3 < rpl;
    if raised {
        write_operand(s, insn, 0, 2, selector & !3 | rpl)?;
    }
    set_zero(s, raised);
    Ok(Flow::Continue)
}

/// The operand of LGDT and LIDT: a limit and a base, of 24 bits with a 16-bit operand.
fn table_operand<S: System>(s: &mut S, insn: &Insn) -> Result<DescriptorTable, Fault> {
    if insn.kind[0] != Kind::Mem {
        return Err(Fault::UD);
    }
    s.require_cpl_0()?;
    let at = effective_address(s.state(), insn);
    let limit = read_memory(s, insn.seg, at, 2)? as u16;
    let base = read_memory(s, insn.seg, at.wrapping_add(2), 4)? as u32;
    let mask = if operand_size(insn) == 4 { u32::MAX } else { 0xff_ffff };
    Ok(DescriptorTable { base: base & mask, limit })
}

/// LGDT.
///
/// # Errors
/// #GP(0) above CPL 0; those of the operand.
pub fn lgdt<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    s.state_mut().gdtr = table_operand(s, insn)?;
    Ok(Flow::Continue)
}

/// LIDT.
///
/// # Errors
/// #GP(0) above CPL 0; those of the operand.
pub fn lidt<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    s.state_mut().idtr = table_operand(s, insn)?;
    Ok(Flow::Continue)
}

/// #GP(0) where CR4.UMIP hides system registers from programs.
fn require_visible<S: System>(s: &mut S) -> Result<(), Fault> {
    if s.umip() && s.cpl_above_0() { Err(Fault::GP0) } else { Ok(()) }
}

/// Stores a table register. All 32 bits of the base are stored with either operand size; an
/// 80286 stores ones in the last byte (SDM vol. 2, SGDT).
fn store_table<S: System>(s: &mut S, insn: &Insn, table: DescriptorTable) -> Result<Flow, Fault> {
    if insn.kind[0] != Kind::Mem {
        return Err(Fault::UD);
    }
    require_visible(s)?;
    let at = effective_address(s.state(), insn);
    let base = if s.is_286() { table.base | 0xff00_0000 } else { table.base };
    let after = at.wrapping_add(2);
    let second = super::operand::linear(s, insn.seg, after, 4, true)?;
    s.probe(second, 4, true, crate::Privilege::Current)?;
    write_memory(s, insn.seg, at, 2, u64::from(table.limit))?;
    write_memory(s, insn.seg, after, 4, u64::from(base))?;
    Ok(Flow::Continue)
}

/// SGDT.
///
/// # Errors
/// #GP(0) with UMIP; those of the operand.
pub fn sgdt<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let table = s.state().gdtr;
    store_table(s, insn, table)
}

/// SIDT.
///
/// # Errors
/// #GP(0) with UMIP; those of the operand.
pub fn sidt<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let table = s.state().idtr;
    store_table(s, insn, table)
}

/// SLDT.
///
/// # Errors
/// #UD outside protected mode; #GP(0) with UMIP; those of the operand.
pub fn sldt<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    require_descriptors(s)?;
    require_visible(s)?;
    let selector = s.state().ldtr.selector;
    store_selector(s, insn, selector)?;
    Ok(Flow::Continue)
}

/// STR.
///
/// # Errors
/// #UD outside protected mode; #GP(0) with UMIP; those of the operand.
pub fn str<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    require_descriptors(s)?;
    require_visible(s)?;
    let selector = s.state().tr.selector;
    store_selector(s, insn, selector)?;
    Ok(Flow::Continue)
}

/// The operand of LLDT and LTR: a descriptor of the GDT and of a class, present.
fn system_segment<S: System>(s: &mut S, selector: u16, class: Class) -> Result<Descriptor, Fault> {
    if s.ask(Atom::SelectorLocal, selector & 4 != 0) {
        return Err(error(Fault::gp, selector, 0));
    }
    let d = fetch(s, selector, Fault::gp, 0)?;
    if !is(s, &d, class) {
        return Err(error(Fault::gp, selector, 0));
    }
    require_present(s, &d, Fault::np, 0)?;
    Ok(d)
}

/// The selector operand of LLDT and LTR, which need CPL 0.
fn privileged_selector<S: System>(s: &mut S, insn: &Insn) -> Result<u16, Fault> {
    require_descriptors(s)?;
    s.require_cpl_0()?;
    read_operand(s, insn, 0, 2).map(|v| v as u16)
}

/// LLDT. A null selector leaves no LDT.
///
/// # Errors
/// #UD outside protected mode; #GP(0) above CPL 0; #GP or #NP with the selector.
pub fn lldt<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let selector = privileged_selector(s, insn)?;
    let ldtr = if s.null(selector) {
        Segment::null(selector)
    } else {
        system_segment(s, selector, Class::Ldt)?.segment()
    };
    s.state_mut().ldtr = ldtr;
    Ok(Flow::Continue)
}

/// LTR. The TSS becomes busy.
///
/// # Errors
/// #UD outside protected mode; #GP(0) above CPL 0 or for null; #GP or #NP with the selector.
pub fn ltr<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let selector = privileged_selector(s, insn)?;
    if s.null(selector) {
        return Err(Fault::GP0);
    }
    let d = system_segment(s, selector, Class::AvailableTss)?;
    tasks::load_register(s, &d)?;
    Ok(Flow::Continue)
}
