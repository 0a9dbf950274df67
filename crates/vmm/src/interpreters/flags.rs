//! PUSHF, POPF, CLI, STI (SDM vol. 2): the interrupt flag and what privilege hides.

use super::flag_image::{ORDINARY, implemented, pushed_flags, real_mode_mask};
use super::operand::{drop_stack, peek, push};
use super::operand_size;
use crate::System;
use cpu::{Fault, Flow, Insn, InterruptShadow, eflags};

/// PUSHF, PUSHFD.
///
/// # Errors
/// #GP(0) in V86 mode with IOPL < 3 and no VME; faults of the stack.
pub fn pushf<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let mut image = pushed_flags(s.state()) & !(eflags::VM | eflags::RF);
    if s.protection_enabled() && s.virtual_8086() && s.iopl_below_3() {
        if insn.op32 || !s.vme() {
            return Err(Fault::GP0);
        }
        // VME: VIF in the place of IF, IOPL as 3
        image = image & !eflags::IF | eflags::IOPL | (image & eflags::VIF) >> 10;
    }
    push(s, operand_size(insn), image)?;
    Ok(Flow::Continue)
}

/// POPF, POPFD. In protected mode with CPL > IOPL the interrupt flag stays as it was, silently.
///
/// # Errors
/// #GP(0) in V86 mode with IOPL < 3 (with VME: where TF would be set, or IF with VIP); faults
/// of the stack.
pub fn popf<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let bytes = operand_size(insn);
    let protected = s.protection_enabled();
    if protected && s.virtual_8086() && s.iopl_below_3() {
        return popf_v86(s, insn);
    }
    let value = peek(s, bytes, 0)?;
    let unprivileged = ORDINARY | eflags::IF | eflags::IOPL | eflags::AC | eflags::ID;
    let mut mask = unprivileged & implemented(s.state().model);
    if bytes == 2 {
        mask &= 0xffff;
    }
    if protected {
        if s.cpl_above_0() {
            mask &= !eflags::IOPL;
        }
        if s.iopl_below_cpl() {
            mask &= !eflags::IF;
        }
    }
    if !protected {
        mask = real_mode_mask(s.state(), mask);
    }
    drop_stack(s.state_mut(), bytes);
    change_flags(s, value, mask | if bytes == 4 { eflags::RF } else { 0 });
    Ok(Flow::Continue)
}

fn popf_v86<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    if insn.op32 || !s.vme() {
        return Err(Fault::GP0);
    }
    let value = peek(s, 2, 0)?;
    let wants_interrupts = value & eflags::IF != 0;
    if value & eflags::TF != 0 || wants_interrupts && s.virtual_interrupt_pending() {
        return Err(Fault::GP0);
    }
    drop_stack(s.state_mut(), 2);
    let vif = (value & eflags::IF) << 10;
    let mask = eflags::ARITHMETIC | eflags::DF | eflags::NT | eflags::VIF;
    change_flags(s, value & !eflags::VIF | vif, mask);
    Ok(Flow::Continue)
}

/// Sets the flags in `mask` from `value` (RF in the mask clears it), and has the dispatcher
/// look where TF, IF or AC came on.
pub fn change_flags<S: System>(s: &mut S, value: u32, mask: u32) {
    let cpu = s.state_mut();
    let old = cpu.flags_image();
    let new = old & !mask | value & mask & !eflags::RF;
    cpu.set_flags_image(new);
    if new & !old & eflags::IF != 0 {
        s.interrupts_opened();
    }
    if new & !old & eflags::AC != 0 || new & eflags::TF != old & eflags::TF {
        s.leave();
    }
}

/// CLI.
///
/// # Errors
/// #GP(0) where IOPL < CPL and neither PVI nor VME stands in.
pub fn cli<S: System>(s: &mut S) -> Result<Flow, Fault> {
    if virtualised(s)? {
        s.state_mut().eflags &= !eflags::VIF;
    } else {
        s.state_mut().eflags &= !eflags::IF;
    }
    Ok(Flow::Continue)
}

/// STI. Interrupts stay off for one more instruction where they were off.
///
/// # Errors
/// As [`cli`]; also where VIP is set and VIF stands in.
pub fn sti<S: System>(s: &mut S) -> Result<Flow, Fault> {
    if virtualised(s)? {
        if s.virtual_interrupt_pending() {
            return Err(Fault::GP0);
        }
        s.state_mut().eflags |= eflags::VIF;
        return Ok(Flow::Continue);
    }
    let cpu = s.state_mut();
    if cpu.eflags & eflags::IF == 0 {
        cpu.eflags |= eflags::IF;
        if cpu.in_shadow() == InterruptShadow::None {
            cpu.shadow = InterruptShadow::Sti;
            cpu.shadow_until = cpu.retired + 2;
        }
        s.interrupts_opened();
    }
    Ok(Flow::Continue)
}

/// Whether VIF stands in for IF (SDM vol. 3B, 21.3 and 21.4).
fn virtualised<S: System>(s: &mut S) -> Result<bool, Fault> {
    if !s.protection_enabled() {
        return Ok(false);
    }
    if s.virtual_8086() {
        return match s.iopl_below_3() {
            false => Ok(false),
            true if s.vme() => Ok(true),
            true => Err(Fault::GP0),
        };
    }
    if !s.iopl_below_cpl() {
        return Ok(false);
    }
    if s.cpl_is_3() && s.pvi() { Ok(true) } else { Err(Fault::GP0) }
}
