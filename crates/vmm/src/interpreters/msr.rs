//! Model-specific registers.

use super::control::set_pair;
use crate::{APIC_BASE, APIC_BSP, APIC_ENABLE, Atom, System};
use cpu::{CpuModel, Fault, Flow, reg};

/// Their numbers (SDM vol. 4, table 2-2; 0CEH and 140H: table 2-20).
mod number {
    pub(super) const TSC: u32 = 0x10;
    pub(super) const PLATFORM_ID: u32 = 0x17;
    pub(super) const APIC_BASE: u32 = 0x1b;
    pub(super) const BIOS_SIGN_ID: u32 = 0x8b;
    pub(super) const PLATFORM_INFO: u32 = 0xce;
    pub(super) const MISC_FEATURES_ENABLES: u32 = 0x140;
    pub(super) const SYSENTER_CS: u32 = 0x174;
    pub(super) const SYSENTER_EIP: u32 = 0x176;
    pub(super) const MISC_ENABLE: u32 = 0x1a0;
    pub(super) const EFER: u32 = 0xc000_0080;
    pub(super) const TSC_AUX: u32 = 0xc000_0103;
}

/// EFER.NXE; the models here know no other bit.
const EFER_NXE: u64 = 1 << 11;

/// MSR_PLATFORM_INFO: CPUID faulting can be had.
const CPUID_FAULTING: u64 = 1 << 31;

/// RDMSR.
///
/// # Errors
/// #GP(0) at CPL > 0 or for a register that is not there.
pub fn rdmsr<S: System>(s: &mut S) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    let n = s.state().r32(reg::CX);
    let value = match n {
        number::TSC => s.time_stamp(),
        number::PLATFORM_ID | number::BIOS_SIGN_ID if s.state().model >= CpuModel::Pentium2 => 0,
        // the Pentium's APIC is switched by a pin
        number::APIC_BASE if s.state().model >= CpuModel::Pentium2 => s.apic_base().into(),
        number::SYSENTER_CS..=number::SYSENTER_EIP if s.state().model >= CpuModel::Pentium2 => {
            u64::from(s.state().sysenter[(n - number::SYSENTER_CS) as usize])
        }
        number::MISC_ENABLE if s.state().model >= CpuModel::Pentium4 => 1,
        number::EFER if s.state().model >= CpuModel::N270 => s.state().efer,
        number::PLATFORM_INFO if s.state().model >= CpuModel::Newest => CPUID_FAULTING,
        number::MISC_FEATURES_ENABLES if s.state().model >= CpuModel::Newest => {
            u64::from(s.state().cpuid_faulting)
        }
        number::TSC_AUX if s.state().model >= CpuModel::Newest => s.state().tsc_aux.into(),
        _ => return illegal(s),
    };
    set_pair(s.state_mut(), value);
    Ok(Flow::Continue)
}

fn illegal<S: System>(s: &mut S) -> Result<Flow, Fault> {
    s.ask(Atom::ValueLegal, false);
    Err(Fault::GP0)
}

/// WRMSR.
///
/// # Errors
/// #GP(0) at CPL > 0, for a register that is not there or a value that it does not take.
pub fn wrmsr<S: System>(s: &mut S) -> Result<Flow, Fault> {
    s.require_cpl_0()?;
    let n = s.state().r32(reg::CX);
    let value = u64::from(s.state().r32(reg::AX)) | u64::from(s.state().r32(reg::DX)) << 32;
    match n {
        number::TSC => {
            let now = s.time_stamp();
            let cpu = s.state_mut();
            cpu.tsc_offset = cpu.tsc_offset.wrapping_add(value.wrapping_sub(now));
        }
        number::BIOS_SIGN_ID if s.state().model >= CpuModel::Pentium2 => {}
        number::APIC_BASE if s.state().model >= CpuModel::Pentium2 => {
            let known = u64::from(APIC_BASE | APIC_ENABLE | APIC_BSP);
            if !s.ask(Atom::ValueLegal, value & !known == 0) {
                return Err(Fault::GP0);
            }
            s.set_apic_base(value as u32);
        }
        number::SYSENTER_CS..=number::SYSENTER_EIP if s.state().model >= CpuModel::Pentium2 => {
            s.state_mut().sysenter[(n - number::SYSENTER_CS) as usize] = value as u32;
        }
        number::MISC_ENABLE if s.state().model >= CpuModel::Pentium4 => {}
        number::EFER if s.state().model >= CpuModel::N270 && value & !EFER_NXE == 0 => {
            s.state_mut().efer = value;
            s.address_space_changed();
        }
        number::MISC_FEATURES_ENABLES if s.state().model >= CpuModel::Newest && value < 2 => {
            s.state_mut().cpuid_faulting = value == 1;
        }
        number::TSC_AUX if s.state().model >= CpuModel::Newest && value >> 32 == 0 => {
            s.state_mut().tsc_aux = value as u32;
        }
        _ => return illegal(s),
    }
    Ok(Flow::Continue)
}
