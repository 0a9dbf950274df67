//! XCR0, and what XSAVE and XRSTOR make of it (SDM vol. 1, ch. 13). The components of state are x87 and SSE, which the
//! compacted form has at the same places. The chip does not note what is in use, so that XINUSE has every component:
//! XSAVEOPT is XSAVE.

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
/// XCOMP_BV's bit of the compacted form.
const COMPACTED: u64 = 1 << 63;
const MXCSR_AT_RESET: u32 = 0x1f80;

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

/// Stores what is chosen into the legacy region, and says what that is.
fn store<S: System>(s: &mut S, at: u32) -> Result<u64, Fault> {
    let mut stored = 0;
    if chosen(s, X87) {
        fpu::store_x87(s, at)?;
        stored |= u64::from(X87);
    }
    if chosen(s, SSE) {
        fpu::store_mxcsr(s, at)?;
        fpu::store_xmm(s, at)?;
        stored |= u64::from(SSE);
    }
    Ok(stored)
}

/// XSAVE and XSAVEOPT: what is not chosen stays in the area.
///
/// # Errors
/// #UD without CR4.OSXSAVE, #NM, #GP(0) for alignment; faults of the destination.
pub fn xsave<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = area(s, insn, true)?;
    let held = s.load(at.wrapping_add(HEADER), 8, Privilege::Current)?;
    let stored = store(s, at)?;
    s.store(at.wrapping_add(HEADER), 8, held | stored, Privilege::Current)?;
    Ok(Flow::Continue)
}

/// XSAVEC: the header says what was chosen, and that the form is the compacted one.
///
/// # Errors
/// As [`xsave`].
pub fn xsavec<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = area(s, insn, true)?;
    let stored = store(s, at)?;
    s.store(at.wrapping_add(HEADER), 8, stored, Privilege::Current)?;
    s.store(at.wrapping_add(HEADER + 8), 8, COMPACTED | stored, Privilege::Current)?;
    Ok(Flow::Continue)
}

/// The header of an area that is to be loaded.
struct Header {
    /// XSTATE_BV.
    held: u64,
    compacted: bool,
}

impl Header {
    fn holds(&self, component: u32) -> bool {
        self.held & u64::from(component) != 0
    }
}

/// Reads the header (SDM vol. 1, 13.8): it may name no component that XCR0 has not, and what is reserved is 0.
fn header<S: System>(s: &mut S, at: u32) -> Result<Header, Fault> {
    let mut words = [0; 8];
    for (n, word) in (0u32..).zip(&mut words) {
        *word = s.load(at.wrapping_add(HEADER + 8 * n), 8, Privilege::Current)?;
    }
    let [held, layout, reserved @ ..] = words;
    let (xcr0, compacted) = (u64::from(s.state().xcr0), layout & COMPACTED != 0);
    let (known, reserved) =
        if compacted { (layout & !COMPACTED, &reserved[..]) } else { (xcr0, &reserved[..1]) };
    let legal = held & !known == 0 && known & !xcr0 == 0 && reserved.iter().all(|w| *w == 0);
    let legal = legal && (compacted || layout == 0);
    if s.ask(Atom::ValueLegal, legal) { Ok(Header { held, compacted }) } else { Err(Fault::GP0) }
}

/// XRSTOR. What is chosen and not in the area becomes as after reset, except MXCSR, which the standard form loads with
/// SSE in any case (SDM vol. 1, 13.8.1).
///
/// # Errors
/// #UD without CR4.OSXSAVE, #NM; #GP(0) for alignment, for a header or an MXCSR with bits that there are not; faults of
/// the source.
pub fn xrstor<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = area(s, insn, false)?;
    let header = header(s, at)?;
    let (x87, sse) = (chosen(s, X87), chosen(s, SSE));
    let there = !header.compacted || header.holds(SSE);
    let mxcsr = if there { fpu::load_mxcsr(s, at)? } else { MXCSR_AT_RESET };
    let legal = mxcsr & !mxcsr_mask(s.state().model) == 0;
    if sse && !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    if x87 {
        let held = s.ask(Atom::ComponentHeld, header.holds(X87));
        s.state_mut().fpu = if held { fpu::load_x87(s, at)? } else { Fpu::default() };
    }
    if sse {
        s.state_mut().mxcsr = mxcsr;
        if s.ask(Atom::ComponentHeld, header.holds(SSE)) {
            fpu::load_xmm(s, at)?;
        } else {
            s.state_mut().xmm[..8].fill(0);
        }
    }
    Ok(Flow::Continue)
}
