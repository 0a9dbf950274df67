//! XCR0, and what XSAVE and XRSTOR make of it (SDM vol. 1, ch. 13). The components of state are x87 and SSE, the form
//! is the standard one. The chip does not note what is in use, so that XINUSE has every component: XSAVEOPT is XSAVE.

use super::fpu::{self, mxcsr_mask};
use super::operand::{effective_address, linear};
use crate::{Atom, Privilege, System};
use cpu::{Fault, Flow, Fpu, Insn, cr0, reg};

/// Components of state, as bits of XCR0.
const X87: u32 = 1;
const SSE: u32 = 2;
/// Bytes of the legacy region, where the header begins.
const HEADER: u32 = 512;
/// Bytes of an area: the legacy region and the header.
pub(super) const AREA: u32 = 576;

/// #UD without CR4.OSXSAVE.
fn defined<S: System>(s: &mut S) -> Result<(), Fault> {
    if s.os_xsave() { Ok(()) } else { Err(Fault::UD) }
}

/// #GP(0) unless ECX is 0: the others of these registers are none of the chip's.
#[track_caller]
fn names_xcr0<S: System>(s: &mut S) -> Result<(), Fault> {
    let exists = s.state().r32(reg::CX) == 0;
    if s.ask(Atom::ValueLegal, exists) { Ok(()) } else { Err(Fault::GP0) }
}

/// XGETBV: XCR0 at every CPL.
///
/// # Errors
/// #UD without CR4.OSXSAVE; #GP(0) for another register than XCR0.
pub fn xgetbv<S: System>(s: &mut S) -> Result<Flow, Fault> {
    defined(s)?;
    names_xcr0(s)?;
    let cpu = s.state_mut();
    cpu.set_r32(reg::AX, cpu.xcr0);
    cpu.set_r32(reg::DX, 0);
    Ok(Flow::Continue)
}

/// XSETBV.
///
/// # Errors
/// #UD without CR4.OSXSAVE; #GP(0) at CPL > 0, for another register, or for components that there are not.
pub fn xsetbv<S: System>(s: &mut S) -> Result<Flow, Fault> {
    defined(s)?;
    s.require_cpl_0()?;
    names_xcr0(s)?;
    let [low, high] = [reg::AX, reg::DX].map(|r| s.state().r32(r));
    // x87 state cannot be switched off
    let legal = high == 0 && (low == X87 || low == X87 | SSE);
    if !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    s.state_mut().xcr0 = low;
    Ok(Flow::Continue)
}

/// The area, which must be aligned to 64 bytes.
fn area<S: System>(s: &mut S, insn: &Insn, write: bool) -> Result<u32, Fault> {
    defined(s)?;
    if s.cr0_has(Atom::TaskSwitched, cr0::TS) {
        return Err(Fault::NM);
    }
    let offset = effective_address(s.state(), insn);
    let at = linear(s, insn.seg, offset, AREA, write)?;
    if at & 63 != 0 {
        return Err(Fault::GP0);
    }
    s.probe(at, AREA, write, Privilege::Current)?;
    Ok(at)
}

/// A component is in XCR0 and in EDX:EAX: in RFBM, the requested-feature bitmap.
#[track_caller]
fn chosen<S: System>(s: &mut S, component: u32) -> bool {
    let both = s.state().xcr0 & s.state().r32(reg::AX);
    s.ask(Atom::ComponentChosen, both & component != 0)
}

/// XSAVE and XSAVEOPT.
///
/// # Errors
/// #UD without CR4.OSXSAVE, #NM, #GP(0) for alignment; faults of the destination.
pub fn xsave<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = area(s, insn, true)?;
    let mut held = s.load(at.wrapping_add(HEADER), 8, Privilege::Current)?;
    if chosen(s, X87) {
        fpu::store_x87(s, at)?;
        held |= u64::from(X87);
    }
    if chosen(s, SSE) {
        fpu::store_mxcsr(s, at)?;
        fpu::store_xmm(s, at)?;
        held |= u64::from(SSE);
    }
    s.store(at.wrapping_add(HEADER), 8, held, Privilege::Current)?;
    Ok(Flow::Continue)
}

/// XRSTOR. What is chosen and not in the area becomes as after reset, except MXCSR, which is loaded with SSE in any
/// case (SDM vol. 1, 13.8.1).
///
/// # Errors
/// #UD without CR4.OSXSAVE, #NM; #GP(0) for alignment, for a header or an MXCSR with bits that there are not; faults of
/// the source.
pub fn xrstor<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = area(s, insn, false)?;
    let word = |s: &mut S, n: u32| s.load(at.wrapping_add(HEADER + 8 * n), 8, Privilege::Current);
    let (held, compact, reserved) = (word(s, 0)?, word(s, 1)?, word(s, 2)?);
    let legal = held & !u64::from(s.state().xcr0) == 0 && compact == 0 && reserved == 0;
    if !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    let (x87, sse) = (chosen(s, X87), chosen(s, SSE));
    let mxcsr = fpu::load_mxcsr(s, at)?;
    let legal = mxcsr & !mxcsr_mask(s.state().model) == 0;
    if sse && !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    if x87 {
        let there = s.ask(Atom::ComponentHeld, held & u64::from(X87) != 0);
        s.state_mut().fpu = if there { fpu::load_x87(s, at)? } else { Fpu::default() };
    }
    if sse {
        s.state_mut().mxcsr = mxcsr;
        if s.ask(Atom::ComponentHeld, held & u64::from(SSE) != 0) {
            fpu::load_xmm(s, at)?;
        } else {
            s.state_mut().xmm[..8].fill(0);
        }
    }
    Ok(Flow::Continue)
}
