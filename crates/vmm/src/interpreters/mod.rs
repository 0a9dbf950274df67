//! One interpreter for each sensitive instruction, by family.

pub mod code;
pub mod descriptor;
pub mod descriptors;
pub mod fastcall;
pub mod flag_image;
mod gates;
pub mod interrupt;
pub mod operand;
pub mod returns;
pub mod segments;
pub mod software;
pub mod stack;
mod task_state;
pub mod tasks;
pub mod transfer;

use crate::System;
use cpu::{Fault, Flow, Insn};
use isa::Routine;

/// 2 or 4 bytes.
pub fn operand_size(insn: &Insn) -> u32 {
    if insn.op32 { 4 } else { 2 }
}

/// Interprets an instruction of the segment, transfer and descriptor families; `None` for the
/// other families.
pub fn interpret<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> Option<Result<Flow, Fault>> {
    use Routine as R;
    Some(match routine {
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
        _ => return interpret_descriptors(s, insn, routine),
    })
}

fn interpret_descriptors<S: System>(s: &mut S, insn: &Insn, routine: Routine) -> Option<Result<Flow, Fault>> {
    use Routine as R;
    Some(match routine {
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
        _ => return None,
    })
}
