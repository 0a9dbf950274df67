//! The FPU's environment in memory (SDM vol. 1, 8.1.10): FNSTENV and its kin show FCS, whose
//! RPL is the CPL, and have another layout in real mode. Also WAIT.

use super::operand::{effective_address, linear};
use crate::{Atom, Privilege, System};
use cpu::{CpuModel, Fault, Flow, Fpu, Insn, Register, State, cr0, cr4};

/// #NM with CR0.EM or CR0.TS.
fn available<S: System>(s: &mut S) -> Result<(), Fault> {
    if s.cr0_has(Atom::Emulation, cr0::EM) || s.cr0_has(Atom::TaskSwitched, cr0::TS) {
        return Err(Fault::NM);
    }
    Ok(())
}

/// #MF where an unmasked exception waits.
fn no_exception_pending(cpu: &State) -> Result<(), Fault> {
    if cpu.fpu.status & 0x80 != 0 { Err(Fault::MF) } else { Ok(()) }
}

/// WAIT.
///
/// # Errors
/// #NM with both CR0.MP and CR0.TS; #MF.
pub fn wait<S: System>(s: &mut S) -> Result<Flow, Fault> {
    if s.cr0_has(Atom::MonitorCoprocessor, cr0::MP) && s.cr0_has(Atom::TaskSwitched, cr0::TS) {
        return Err(Fault::NM);
    }
    no_exception_pending(s.state())?;
    Ok(Flow::Continue)
}

/// The class of a register in the tag word: 0 valid, 1 zero, 2 special, 3 empty.
fn tag(fpu: &Fpu, n: usize) -> u16 {
    if fpu.occupied & 1 << n == 0 {
        return 3;
    }
    let r = fpu.registers[n];
    match (r.exponent & 0x7fff, r.significand) {
        (0, 0) => 1,
        (0 | 0x7fff, _) => 2,
        (_, s) if s >> 63 == 0 => 2,
        _ => 0,
    }
}

/// The full 16-bit tag word, by physical register.
fn tag_word(fpu: &Fpu) -> u16 {
    (0..8).fold(0, |word, n| word | tag(fpu, n) << (2 * n))
}

fn set_tag_word(fpu: &mut Fpu, word: u16) {
    fpu.occupied = (0..8).fold(0, |bits, n| bits | u8::from(word >> (2 * n) & 3 != 3) << n);
}

/// ES and B follow from the exception flags and masks.
fn summarise(fpu: &mut Fpu) {
    let unmasked = fpu.status & !fpu.control & 0x3f != 0;
    fpu.status = fpu.status & 0x7f7f | if unmasked { 0x8080 } else { 0 };
}

/// Words of the environment: seven, of 16 or 32 bits.
fn environment(cpu: &State, wide: bool, protected: bool) -> [u32; 7] {
    let f = &cpu.fpu;
    let (cs, ds, op) = (u32::from(f.cs), u32::from(f.ds), u32::from(f.opcode & 0x7ff));
    let head = [u32::from(f.control), u32::from(f.status), u32::from(tag_word(f))];
    let tail = match (wide, protected) {
        (true, true) => [f.ip, cs | op << 16, f.dp, ds],
        (false, true) => [f.ip & 0xffff, cs, f.dp & 0xffff, ds],
        (wide, false) => {
            let (ip, dp) = ((cs << 4).wrapping_add(f.ip), (ds << 4).wrapping_add(f.dp));
            let high = |a: u32| if wide { a >> 4 & 0x0fff_f000 } else { a >> 4 & 0xf000 };
            [ip & 0xffff, high(ip) | op, dp & 0xffff, high(dp)]
        }
    };
    let reserved = if wide { 0xffff_0000 } else { 0 };
    let upper = |w: u32, whole: bool| if whole { w } else { w | reserved };
    let whole = [false, false, false, true, wide, true, false];
    let all = [head[0], head[1], head[2], tail[0], tail[1], tail[2], tail[3]];
    std::array::from_fn(|n| upper(all[n], whole[n]))
}

fn set_environment(fpu: &mut Fpu, w: [u32; 7], wide: bool, protected: bool) {
    fpu.control = w[0] as u16 | 0x40;
    fpu.status = w[1] as u16;
    set_tag_word(fpu, w[2] as u16);
    if protected {
        (fpu.ip, fpu.cs, fpu.dp, fpu.ds) = (w[3], w[4] as u16, w[5], w[6] as u16);
        fpu.opcode = if wide { (w[4] >> 16) as u16 & 0x7ff } else { 0 };
    } else {
        let high = |w: u32| if wide { (w & 0x0fff_f000) << 4 } else { (w & 0xf000) << 4 };
        fpu.ip = w[3] & 0xffff | high(w[4]);
        fpu.dp = w[5] & 0xffff | high(w[6]);
        (fpu.cs, fpu.ds) = (0, 0);
        fpu.opcode = w[4] as u16 & 0x7ff;
    }
    summarise(fpu);
}

/// Finds `bytes` of the memory operand for reading or writing.
fn operand<S: System>(s: &mut S, insn: &Insn, bytes: u32, write: bool) -> Result<u32, Fault> {
    let offset = effective_address(s.state(), insn);
    let at = linear(s, insn.seg, offset, bytes, write)?;
    s.probe(at, bytes, write, Privilege::Current)?;
    Ok(at)
}

fn is_wide(insn: &Insn) -> bool {
    insn.op32
}

fn store_environment<S: System>(s: &mut S, at: u32, wide: bool) -> Result<u32, Fault> {
    let protected = s.descriptors_rule();
    let words = environment(s.state(), wide, protected);
    let size = if wide { 4 } else { 2 };
    for (n, w) in words.into_iter().enumerate() {
        s.store(at.wrapping_add(n as u32 * size), size, u64::from(w), Privilege::Current)?;
    }
    Ok(at.wrapping_add(7 * size))
}

fn load_environment<S: System>(s: &mut S, at: u32, wide: bool) -> Result<u32, Fault> {
    let size = if wide { 4 } else { 2 };
    let mut words = [0; 7];
    for (n, w) in words.iter_mut().enumerate() {
        *w = s.load(at.wrapping_add(n as u32 * size), size, Privilege::Current)? as u32;
    }
    let protected = s.descriptors_rule();
    set_environment(&mut s.state_mut().fpu, words, wide, protected);
    Ok(at.wrapping_add(7 * size))
}

/// FNSTENV: stores the environment, then masks all exceptions.
///
/// # Errors
/// #NM; faults of the destination.
pub fn fnstenv<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    available(s)?;
    let wide = is_wide(insn);
    let at = operand(s, insn, if wide { 28 } else { 14 }, true)?;
    store_environment(s, at, wide)?;
    let fpu = &mut s.state_mut().fpu;
    fpu.control |= 0x3f;
    summarise(fpu);
    Ok(Flow::Continue)
}

/// FLDENV.
///
/// # Errors
/// #NM, #MF; faults of the source.
pub fn fldenv<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    available(s)?;
    no_exception_pending(s.state())?;
    let wide = is_wide(insn);
    let at = operand(s, insn, if wide { 28 } else { 14 }, false)?;
    load_environment(s, at, wide)?;
    Ok(Flow::Continue)
}

fn top(fpu: &Fpu) -> usize {
    usize::from(fpu.status >> 11 & 7)
}

/// FNSAVE: the environment and the registers from ST(0), then FNINIT.
///
/// # Errors
/// #NM; faults of the destination.
pub fn fnsave<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    available(s)?;
    let wide = is_wide(insn);
    let at = operand(s, insn, if wide { 108 } else { 94 }, true)?;
    let mut at = store_environment(s, at, wide)?;
    for n in 0..8 {
        let f = &s.state().fpu;
        let r = f.registers[(top(f) + n) % 8];
        s.store(at, 8, r.significand, Privilege::Current)?;
        s.store(at.wrapping_add(8), 2, u64::from(r.exponent), Privilege::Current)?;
        at = at.wrapping_add(10);
    }
    let fpu = &mut s.state_mut().fpu;
    (fpu.control, fpu.status, fpu.occupied) = (0x37f, 0, 0);
    (fpu.ip, fpu.cs, fpu.dp, fpu.ds, fpu.opcode) = (0, 0, 0, 0, 0);
    Ok(Flow::Continue)
}

/// FRSTOR.
///
/// # Errors
/// #NM, #MF; faults of the source.
pub fn frstor<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    available(s)?;
    no_exception_pending(s.state())?;
    let wide = is_wide(insn);
    let at = operand(s, insn, if wide { 108 } else { 94 }, false)?;
    let mut at = load_environment(s, at, wide)?;
    for n in 0..8 {
        let significand = s.load(at, 8, Privilege::Current)?;
        let exponent = s.load(at.wrapping_add(8), 2, Privilege::Current)? as u16;
        let f = &mut s.state_mut().fpu;
        f.registers[(top(f) + n) % 8] = Register { significand, exponent };
        at = at.wrapping_add(10);
    }
    Ok(Flow::Continue)
}

/// The bits of MXCSR that the model has.
pub fn mxcsr_mask(model: CpuModel) -> u32 {
    if model >= CpuModel::Pentium4 { 0xffff } else { 0xffbf }
}

/// The 512-byte area must be aligned to 16 bytes.
fn fx_operand<S: System>(s: &mut S, insn: &Insn, write: bool) -> Result<u32, Fault> {
    let emulated = s.cr0_has(Atom::Emulation, cr0::EM);
    if emulated || s.cr0_has(Atom::TaskSwitched, cr0::TS) {
        return Err(Fault::NM);
    }
    let offset = effective_address(s.state(), insn);
    let at = linear(s, insn.seg, offset, 512, write)?;
    if at & 15 != 0 {
        return Err(Fault::GP0);
    }
    s.probe(at, 512, write, Privilege::Current)?;
    Ok(at)
}

/// Stores the x87 unit as an FXSAVE image has it.
pub(super) fn store_x87<S: System>(s: &mut S, at: u32) -> Result<(), Fault> {
    let f = s.state().fpu;
    let head = u64::from(f.control)
        | u64::from(f.status) << 16
        | u64::from(f.occupied) << 32
        | u64::from(f.opcode) << 48;
    s.store(at, 8, head, Privilege::Current)?;
    s.store(at.wrapping_add(8), 8, u64::from(f.ip) | u64::from(f.cs) << 32, Privilege::Current)?;
    s.store(at.wrapping_add(16), 8, u64::from(f.dp) | u64::from(f.ds) << 32, Privilege::Current)?;
    for n in 0..8u32 {
        let r = f.registers[(top(&f) + n as usize) % 8];
        let slot = at.wrapping_add(32 + 16 * n);
        s.store(slot, 8, r.significand, Privilege::Current)?;
        s.store(slot.wrapping_add(8), 8, u64::from(r.exponent), Privilege::Current)?;
    }
    Ok(())
}

/// Stores MXCSR and its mask, as an FXSAVE image has them.
pub(super) fn store_mxcsr<S: System>(s: &mut S, at: u32) -> Result<(), Fault> {
    let (mxcsr, mask) = (s.state().mxcsr, mxcsr_mask(s.state().model));
    s.store(at.wrapping_add(24), 8, u64::from(mxcsr) | u64::from(mask) << 32, Privilege::Current)
}

/// Stores XMM0 to XMM7 likewise.
pub(super) fn store_xmm<S: System>(s: &mut S, at: u32) -> Result<(), Fault> {
    for n in 0..8u32 {
        let v = s.state().xmm[n as usize];
        let slot = at.wrapping_add(160 + 16 * n);
        s.store(slot, 8, v as u64, Privilege::Current)?;
        s.store(slot.wrapping_add(8), 8, (v >> 64) as u64, Privilege::Current)?;
    }
    Ok(())
}

/// The x87 unit of an FXSAVE image.
pub(super) fn load_x87<S: System>(s: &mut S, at: u32) -> Result<Fpu, Fault> {
    let (head, ip, dp) = (quad(s, at, 0)?, quad(s, at, 8)?, quad(s, at, 16)?);
    let mut f = Fpu {
        control: head as u16 | 0x40,
        status: (head >> 16) as u16,
        occupied: (head >> 32) as u8,
        opcode: (head >> 48) as u16 & 0x7ff,
        ip: ip as u32,
        cs: (ip >> 32) as u16,
        dp: dp as u32,
        ds: (dp >> 32) as u16,
        ..Fpu::default()
    };
    for n in 0..8 {
        let slot = 32 + 16 * n as u32;
        let (significand, exponent) = (quad(s, at, slot)?, quad(s, at, slot + 8)? as u16);
        f.registers[(top(&f) + n) % 8] = Register { significand, exponent };
    }
    summarise(&mut f);
    Ok(f)
}

/// MXCSR of an FXSAVE image.
pub(super) fn load_mxcsr<S: System>(s: &mut S, at: u32) -> Result<u32, Fault> {
    Ok(quad(s, at, 24)? as u32)
}

/// XMM0 to XMM7 of an FXSAVE image.
pub(super) fn load_xmm<S: System>(s: &mut S, at: u32) -> Result<(), Fault> {
    for n in 0..8 {
        let (low, high) = (quad(s, at, 160 + 16 * n)?, quad(s, at, 168 + 16 * n)?);
        s.state_mut().xmm[n as usize] = u128::from(low) | u128::from(high) << 64;
    }
    Ok(())
}

fn quad<S: System>(s: &mut S, at: u32, offset: u32) -> Result<u64, Fault> {
    s.load(at.wrapping_add(offset), 8, Privilege::Current)
}

/// FXSAVE. XMM registers and MXCSR are stored where CR4.OSFXSR is set.
///
/// # Errors
/// #NM, #GP(0) for alignment; faults of the destination.
pub fn fxsave<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = fx_operand(s, insn, true)?;
    let sse = s.cr4_has(Atom::OsFxsr, cr4::OSFXSR);
    store_x87(s, at)?;
    store_mxcsr(s, at)?;
    if sse {
        store_xmm(s, at)?;
    }
    Ok(Flow::Continue)
}

/// FXRSTOR.
///
/// # Errors
/// #NM, #GP(0) for alignment or reserved bits of MXCSR; faults of the source.
pub fn fxrstor<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let at = fx_operand(s, insn, false)?;
    let mxcsr = load_mxcsr(s, at)?;
    let sse = s.cr4_has(Atom::OsFxsr, cr4::OSFXSR);
    let legal = mxcsr & !mxcsr_mask(s.state().model) == 0;
    if sse && !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    s.state_mut().fpu = load_x87(s, at)?;
    if sse {
        s.state_mut().mxcsr = mxcsr;
        load_xmm(s, at)?;
    }
    Ok(Flow::Continue)
}
