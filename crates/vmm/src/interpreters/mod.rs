//! One interpreter for each sensitive instruction, by family.

pub mod code;
pub mod control;
pub mod cpuid;
pub mod descriptor;
pub mod descriptors;
pub mod fastcall;
pub mod flag_image;
pub mod flags;
pub mod fpu;
mod gates;
pub mod interrupt;
pub mod io;
pub mod msr;
pub mod operand;
pub mod returns;
pub mod segments;
pub mod software;
pub mod stack;
mod task_state;
pub mod tasks;
pub mod transfer;
pub mod xsave;

use crate::System;
use cpu::{Fault, Flow, Insn};
use isa::Routine;

/// 2 or 4 bytes.
pub fn operand_size(insn: &Insn) -> u32 {
    if insn.op32 { 4 } else { 2 }
}

/// Interprets one sensitive instruction.
///
/// # Errors
/// The fault that it raises.
pub fn interpret<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> Result<Flow, Fault> {
    interpret_transfers(s, insn, routine)
}

/// Interprets one of those sensitive instructions that are frequent and small: they commit nothing before their last
/// access, and change neither mode nor address space. Whether it was one, and raised no fault.
#[inline]
pub fn attempt<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> bool {
    use Routine as R;
    let done = match routine {
        R::Cli => flags::cli(s),
        R::Sti => flags::sti(s),
        R::Pushf => flags::pushf(s, insn),
        R::Popf => flags::popf(s, insn),
        R::PushSreg => segments::push_sreg(s, insn),
        R::PopSreg => segments::pop_sreg(s, insn),
        R::MovToSreg => segments::mov_to_sreg(s, insn),
        R::MovFromSreg => segments::mov_from_sreg(s, insn),
        R::Rdtsc => control::rdtsc(s),
        _ => return false,
    };
    done.is_ok()
}

/// Flags, ports, control and debug registers, the FPU's environment.
fn interpret_system<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> Result<Flow, Fault> {
    use Routine as R;
    match routine {
        R::Pushf => flags::pushf(s, insn),
        R::Popf => flags::popf(s, insn),
        R::Cli => flags::cli(s),
        R::Sti => flags::sti(s),
        R::In => io::input(s, insn),
        R::Out => io::output(s, insn),
        R::Ins => io::ins(s, insn),
        R::Outs => io::outs(s, insn),
        R::Smsw => control::smsw(s, insn),
        R::Lmsw => control::lmsw(s, insn),
        R::Clts => control::clts(s),
        R::MovToCr => control::mov_to_cr(s, insn),
        R::MovFromCr => control::mov_from_cr(s, insn),
        R::MovToDr => control::mov_to_dr(s, insn),
        R::MovFromDr => control::mov_from_dr(s, insn),
        R::Invlpg => control::invlpg(s, insn),
        R::Invd | R::Wbinvd => control::cache_control(s),
        R::Hlt => control::hlt(s),
        R::Rdmsr => msr::rdmsr(s),
        R::Wrmsr => msr::wrmsr(s),
        R::Rdtsc => control::rdtsc(s),
        R::Rdtscp => control::rdtscp(s),
        R::Rdpid => control::rdpid(s, insn),
        R::Rdpmc => control::rdpmc(s),
        R::Cpuid => control::cpuid(s),
        R::Fnstenv => fpu::fnstenv(s, insn),
        R::Fldenv => fpu::fldenv(s, insn),
        R::Fnsave => fpu::fnsave(s, insn),
        R::Frstor => fpu::frstor(s, insn),
        R::Fxsave => fpu::fxsave(s, insn),
        R::Fxrstor => fpu::fxrstor(s, insn),
        R::Fwait => fpu::wait(s),
        R::Xgetbv => xsave::xgetbv(s),
        R::Xsetbv => xsave::xsetbv(s),
        R::Xsave => xsave::xsave(s, insn),
        R::Xsavec => xsave::xsavec(s, insn),
        R::Xrstor => xsave::xrstor(s, insn),
        // UD2 is meant to; MONITOR and MWAIT are not of these models' CPUID, nor is there SMM
        _ => Err(Fault::UD),
    }
}

/// Segment registers, far transfers, interrupts, and on to the other families.
fn interpret_transfers<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> Result<Flow, Fault> {
    use Routine as R;
    match routine {
        R::MovToSreg => segments::mov_to_sreg(s, insn),
        R::MovFromSreg => segments::mov_from_sreg(s, insn),
        R::PushSreg => segments::push_sreg(s, insn),
        R::PopSreg => segments::pop_sreg(s, insn),
        R::LoadFarPointer => segments::load_far_pointer(s, insn),
        R::Bound => segments::bound(s, insn),
        R::CallFar => transfer::call_far(s, insn),
        R::JmpFar => transfer::jmp_far(s, insn),
        R::RetFar => returns::ret_far(s, insn),
        R::Iret => returns::iret(s, insn),
        R::Int => software::int(s, insn),
        R::Int1 => software::int1(s, insn),
        R::Int3 => software::int3(s, insn),
        R::Into => software::into(s, insn),
        R::Sysenter => fastcall::sysenter(s, insn),
        R::Sysexit => fastcall::sysexit(s, insn),
        R::Syscall | R::Sysret => fastcall::absent(s, insn),
        _ => interpret_descriptors(s, insn, routine),
    }
}

fn interpret_descriptors<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> Result<Flow, Fault> {
    use Routine as R;
    match routine {
        R::Lar => descriptors::lar(s, insn),
        R::Lsl => descriptors::lsl(s, insn),
        R::Verr => descriptors::verr(s, insn),
        R::Verw => descriptors::verw(s, insn),
        R::Arpl => descriptors::arpl(s, insn),
        R::Lgdt => descriptors::lgdt(s, insn),
        R::Lidt => descriptors::lidt(s, insn),
        R::Lldt => descriptors::lldt(s, insn),
        R::Ltr => descriptors::ltr(s, insn),
        R::Sgdt => descriptors::sgdt(s, insn),
        R::Sidt => descriptors::sidt(s, insn),
        R::Sldt => descriptors::sldt(s, insn),
        R::Str => descriptors::str(s, insn),
        _ => interpret_system(s, insn, routine),
    }
}
