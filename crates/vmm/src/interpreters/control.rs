//! Control and debug registers, HLT, caches, time (SDM vol. 2 and 3A, ch. 2).

use super::cpuid::Chip;
use super::operand::{effective_address, read_operand, write_operand};
use crate::{Atom, System};
use cpu::{Activity, CpuModel, Fault, Flow, Insn, State, cr0, cr4, reg};

/// SMSW. A register destination gets all of CR0 with a 32-bit operand.
///
/// # Errors
/// #GP(0) under UMIP at CPL > 0; faults of the destination.
pub fn smsw<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    if s.cr4_has(Atom::Umip, cr4::UMIP) {
        s.require_cpl_0()?;
    }
    let value = s.state().cr0 | if s.state().model == CpuModel::I286 { 0xfff0 } else { 0 };
    let memory = insn.kind[0] == cpu::Kind::Mem;
    let size = if insn.op32 && !memory { 4 } else { 2 };
    write_operand(s, insn, 0, size, value)?;
    Ok(Flow::Continue)
}

/// LMSW: sets PE, MP, EM, TS; cannot clear PE.
///
/// # Errors
/// #GP(0) at CPL > 0; faults of the source.
pub fn lmsw<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    let value = read_operand(s, insn, 0, 2)?;
    let old = s.state().cr0;
    let low = cr0::MP | cr0::EM | cr0::TS;
    s.state_mut().cr0 = old & !low | value & (low | cr0::PE);
    s.address_space_changed();
    Ok(Flow::Continue)
}

/// CLTS.
///
/// # Errors
/// #GP(0) at CPL > 0.
pub fn clts<S: System>(s: &mut S) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    s.state_mut().cr0 &= !cr0::TS;
    Ok(Flow::Continue)
}

/// MOV from a control register.
///
/// # Errors
/// #GP(0) at CPL > 0; #UD for CR1, CR5 and beyond.
pub fn mov_from_cr<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let cpu = s.state();
    let value = match insn.reg[1] {
        0 => cpu.cr0,
        2 => cpu.cr2,
        3 => cpu.cr3,
        4 if cpu.model >= CpuModel::I486 => cpu.cr4,
        _ => return Err(Fault::UD),
    };
    s.require_cpl_0()?;
    s.state_mut().set_r32(insn.reg[0], value);
    Ok(Flow::Continue)
}

/// MOV to a control register.
///
/// # Errors
/// #GP(0) at CPL > 0 or for an illegal value; #UD for CR1, CR5 and beyond.
pub fn mov_to_cr<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let value = s.state().r32(insn.reg[1]);
    let n = insn.reg[0];
    if !matches!(n, 0 | 2 | 3 | 4) {
        return Err(Fault::UD);
    }
    s.require_cpl_0()?;
    match n {
        0 => set_cr0(s, value)?,
        2 => s.state_mut().cr2 = value,
        3 => {
            let (cr0, cr4) = (s.state().cr0, s.state().cr4);
            load_pdptes(s, cr0, value, cr4)?;
            s.state_mut().cr3 = value;
            s.cr3_loaded();
        }
        _ => set_cr4(s, value)?,
    }
    Ok(Flow::Continue)
}

fn set_cr0<S: System>(s: &mut S, value: u32) -> Result<(), Fault> {
    let has = |bit| value & bit != 0;
    let legal = (!has(cr0::PG) || has(cr0::PE)) && (!has(cr0::NW) || has(cr0::CD));
    if !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    let (model, old) = (s.state().model, s.state().cr0);
    if (old ^ value) & (cr0::PG | cr0::CD | cr0::NW) != 0 {
        let (cr3, cr4) = (s.state().cr3, s.state().cr4);
        load_pdptes(s, value, cr3, cr4)?;
    }
    let known = if model >= CpuModel::I486 { 0xe005_003f } else { 0x8000_001f };
    s.state_mut().cr0 = value & known | if model >= CpuModel::I386 { cr0::ET } else { 0 };
    s.address_space_changed();
    Ok(())
}

/// Loads the PDPTE registers if PAE paging is in use under these control registers (SDM vol. 3A,
/// 4.4.1).
///
/// # Errors
/// #GP(0) where a present entry has a reserved bit set; the registers are then unchanged.
pub fn load_pdptes<S: System>(s: &mut S, cr0: u32, cr3: u32, cr4: u32) -> Result<(), Fault> {
    /// Bits 2:1, 8:5 and those from MAXPHYADDR (32) on.
    const RESERVED: u64 = 0xffff_ffff_0000_01e6;
    if cr0 & cr0::PG == 0 || cr4 & cr4::PAE == 0 {
        return Ok(());
    }
    let mut entries = [0; 4];
    for (n, entry) in entries.iter_mut().enumerate() {
        let at = (cr3 & !31) + 8 * n as u32;
        *entry = u64::from(s.physical_dword(at)) | u64::from(s.physical_dword(at + 4)) << 32;
    }
    let legal = entries.iter().all(|e| e & 1 == 0 || e & RESERVED == 0);
    if !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    s.state_mut().pdptes = entries;
    Ok(())
}

/// The bits of CR4 that the model has.
pub fn cr4_known(model: CpuModel) -> u32 {
    let pentium = cr4::VME | cr4::PVI | cr4::TSD | cr4::DE | cr4::PSE | cr4::MCE;
    let p6 = pentium | cr4::PAE | cr4::PGE | cr4::PCE;
    let p3 = p6 | cr4::OSFXSR | cr4::OSXMMEXCPT;
    match model {
        CpuModel::Pentium => pentium,
        CpuModel::Pentium2 => p6 | cr4::OSFXSR,
        CpuModel::Pentium3 | CpuModel::Pentium4 | CpuModel::N270 => p3,
        CpuModel::Newest => p3 | cr4::UMIP | cr4::OSXSAVE,
        _ => 0,
    }
}

fn set_cr4<S: System>(s: &mut S, value: u32) -> Result<(), Fault> {
    let legal = value & !cr4_known(s.state().model) == 0;
    if s.state().model < CpuModel::Pentium {
        return Err(Fault::UD);
    }
    if !s.ask(Atom::ValueLegal, legal) {
        return Err(Fault::GP0);
    }
    if (s.state().cr4 ^ value) & (cr4::PAE | cr4::PGE | cr4::PSE) != 0 {
        let (cr0, cr3) = (s.state().cr0, s.state().cr3);
        load_pdptes(s, cr0, cr3, value)?;
    }
    s.state_mut().cr4 = value;
    s.address_space_changed();
    Ok(())
}

/// DR4 and DR5 are DR6 and DR7 unless CR4.DE.
fn debug_register<S: System>(s: &mut S, n: u8) -> Result<usize, Fault> {
    if matches!(n, 4 | 5) {
        if s.cr4_has(Atom::DebugExtensions, cr4::DE) {
            return Err(Fault::UD);
        }
        return Ok(usize::from(n) + 2);
    }
    Ok(usize::from(n & 7))
}

/// DR7.GD makes any access to a debug register #DB with DR6.BD.
fn general_detect<S: System>(s: &mut S) -> Result<(), Fault> {
    let on = s.state().dr[7] & 0x2000 != 0;
    if s.ask(Atom::GeneralDetect, on) {
        s.state_mut().dr[6] |= 0x2000;
        s.state_mut().dr[7] &= !0x2000;
        return Err(Fault::DB);
    }
    Ok(())
}

/// MOV from a debug register.
///
/// # Errors
/// #GP(0) at CPL > 0, #UD, #DB.
pub fn mov_from_dr<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let n = debug_register(s, insn.reg[1])?;
    s.require_cpl_0()?;
    general_detect(s)?;
    let value = s.state().dr[n];
    s.state_mut().set_r32(insn.reg[0], value);
    Ok(Flow::Continue)
}

/// MOV to a debug register.
///
/// # Errors
/// #GP(0) at CPL > 0, #UD, #DB.
pub fn mov_to_dr<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let n = debug_register(s, insn.reg[0])?;
    s.require_cpl_0()?;
    general_detect(s)?;
    let value = s.state().r32(insn.reg[1]);
    s.state_mut().dr[n] = match n {
        6 => value & 0xe00f | 0xffff_0ff0,
        7 => value & 0xffff_2fff | 0x400,
        _ => value,
    };
    s.watchpoints_changed();
    s.leave();
    Ok(Flow::Continue)
}

/// INVLPG.
///
/// # Errors
/// #GP(0) at CPL > 0.
pub fn invlpg<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    let offset = effective_address(s.state(), insn);
    let at = s.state().segment(insn.seg).base.wrapping_add(offset);
    s.invalidate_page(at);
    Ok(Flow::Continue)
}

/// INVD, WBINVD: there are no caches to see.
///
/// # Errors
/// #GP(0) at CPL > 0.
pub fn cache_control<S: System>(s: &mut S) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    Ok(Flow::Continue)
}

/// HLT.
///
/// # Errors
/// #GP(0) at CPL > 0.
pub fn hlt<S: System>(s: &mut S) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    s.state_mut().activity = Activity::Halted;
    Ok(Flow::Leave)
}

/// RDTSC.
///
/// # Errors
/// #GP(0) with CR4.TSD at CPL > 0.
pub fn rdtsc<S: System>(s: &mut S) -> Result<Flow, Fault> {
    if s.cr4_has(Atom::Tsd, cr4::TSD) {
        s.require_cpl_0()?;
    }
    let t = s.time_stamp();
    set_pair(s.state_mut(), t);
    Ok(Flow::Continue)
}

pub(super) fn set_pair(cpu: &mut State, value: u64) {
    cpu.set_r32(reg::AX, value as u32);
    cpu.set_r32(reg::DX, (value >> 32) as u32);
}

/// RDPMC: two counters, which count nothing.
///
/// # Errors
/// #GP(0) without CR4.PCE at CPL > 0, or for a counter that is not there.
pub fn rdpmc<S: System>(s: &mut S) -> Result<Flow, Fault> {
    if !s.cr4_has(Atom::Pce, cr4::PCE) {
        s.require_cpl_0()?;
    }
    let exists = s.state().r32(reg::CX) < 2;
    if !s.ask(Atom::ValueLegal, exists) {
        return Err(Fault::GP0);
    }
    set_pair(s.state_mut(), 0);
    Ok(Flow::Continue)
}

/// RDTSCP: the counter, and IA32_TSC_AUX in ECX.
///
/// # Errors
/// #GP(0) with CR4.TSD at CPL > 0.
pub fn rdtscp<S: System>(s: &mut S) -> Result<Flow, Fault> {
    let flow = rdtsc(s)?;
    let aux = s.state().tsc_aux;
    s.state_mut().set_r32(reg::CX, aux);
    Ok(flow)
}

/// RDPID: IA32_TSC_AUX, at every CPL.
///
/// # Errors
/// None.
pub fn rdpid<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let aux = s.state().tsc_aux;
    s.state_mut().set_r32(insn.reg[0], aux);
    Ok(Flow::Continue)
}

/// CPUID (SDM vol. 2): what the model shows. Not privileged, and shows the machine: sensitive. CPUID faulting
/// (SDM vol. 4, MSR 140H) keeps it for CPL 0; there is no SMM, which it would not hold in.
///
/// # Errors
/// #GP(0) with CPUID faulting at CPL > 0.
pub fn cpuid<S: System>(s: &mut S) -> Result<Flow, Fault> {
    let faulting = s.state().cpuid_faulting;
    if s.ask(Atom::CpuidFaulting, faulting) {
        s.require_cpl_0()?;
    }
    let chip = Chip { apic: s.apic_enabled(), osxsave: s.os_xsave(), model: s.state().model };
    let cpu = s.state_mut();
    let [a, b, c, d] = chip.leaf(cpu.r32(reg::AX), cpu.r32(reg::CX));
    for (r, v) in [(reg::AX, a), (reg::BX, b), (reg::CX, c), (reg::DX, d)] {
        cpu.set_r32(r, v);
    }
    Ok(Flow::Continue)
}
