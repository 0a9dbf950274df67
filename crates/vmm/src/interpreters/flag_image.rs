//! EFLAGS as the interpreters push and pop it.

use crate::System;
use cpu::{CpuModel, Flow, State, cr0, eflags as f};

/// Flags that every way of loading them may change.
pub const ORDINARY: u32 = f::ARITHMETIC | f::TF | f::DF | f::NT;

/// The flags that the model has at all (SDM vol. 3A, 2.3; vol. 3B, 22.15).
#[inline]
pub fn implemented(model: CpuModel) -> u32 {
    let base = f::ARITHMETIC | f::TF | f::IF | f::DF;
    match model {
        CpuModel::I8086 => base,
        CpuModel::I286 => base | f::IOPL | f::NT,
        CpuModel::I386 => base | f::IOPL | f::NT | f::RF | f::VM,
        CpuModel::I486 => base | f::IOPL | f::NT | f::RF | f::VM | f::AC | f::ID,
        _ => base | f::IOPL | f::NT | f::RF | f::VM | f::AC | f::ID | f::VIF | f::VIP,
    }
}

/// EFLAGS as interrupts push it, and PUSHF (which then clears VM and RF). On an 8086 bits 12 to
/// 15 read as ones, on an 80286 in real mode as zeros (SDM
/// vol. 3B, chapter 22, "EFLAGS Pushed on the Stack").
#[inline]
pub fn pushed_flags(cpu: &State) -> u32 {
    let image = cpu.flags_image();
    match cpu.model {
        CpuModel::I8086 => image & 0x0fff | 0xf000,
        CpuModel::I286 if cpu.cr0 & cr0::PE == 0 => image & 0x0fff,
        _ => image,
    }
}

/// The flags under `mask` that a load in real mode changes: an 80286 keeps IOPL and NT clear there.
pub fn real_mode_mask(cpu: &State, mask: u32) -> u32 {
    let mask = mask & implemented(cpu.model);
    if cpu.model == CpuModel::I286 { mask & !(f::IOPL | f::NT) } else { mask }
}

/// Takes the flags under `mask` from an image. RF is cleared unless the mask has it.
pub fn merge<S: System>(s: &mut S, image: u32, mask: u32) {
    let mask = mask & implemented(s.state().model);
    let old = s.state().flags_image() & !f::RF;
    s.state_mut().set_flags_image(old & !mask | image & mask);
}

/// Leaves the engine if the change from `old` lets an interrupt in, or asks for single steps or
/// checks of alignment.
pub fn flow_after<S: System>(s: &mut S, old: u32) -> Flow {
    let new = s.state().eflags;
    let on = new & !old;
    if on & f::IF != 0 {
        s.interrupts_opened();
    }
    if on & (f::VIF | f::AC) != 0 || new & f::TF != 0 {
        s.leave();
        return Flow::Leave;
    }
    Flow::Continue
}
