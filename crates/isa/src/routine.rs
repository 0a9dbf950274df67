//! The sensitive instructions, and which of the monitor's interpreters each form needs.

use iced_x86::{Code, Mnemonic, OpCodeOperandKind};
use std::sync::LazyLock;

/// One interpreter of the monitor. Names follow the manual's mnemonics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs)]
pub enum Routine {
    // vmm/src/interpreters/flags.rs
    Pushf,
    Popf,
    Cli,
    Sti,
    // interpreters/io.rs
    In,
    Out,
    Ins,
    Outs,
    // interpreters/segments.rs
    MovToSreg,
    MovFromSreg,
    PushSreg,
    PopSreg,
    LoadFarPointer,
    // interpreters/transfer.rs
    CallFar,
    JmpFar,
    RetFar,
    Iret,
    Int,
    Int1,
    Int3,
    Into,
    Bound,
    Sysenter,
    Sysexit,
    Syscall,
    Sysret,
    // interpreters/descriptors.rs
    Lar,
    Lsl,
    Verr,
    Verw,
    Arpl,
    Lgdt,
    Lidt,
    Lldt,
    Ltr,
    Sgdt,
    Sidt,
    Sldt,
    Str,
    // interpreters/control.rs
    Smsw,
    Lmsw,
    Clts,
    MovToCr,
    MovFromCr,
    MovToDr,
    MovFromDr,
    Invlpg,
    Invd,
    Wbinvd,
    Hlt,
    Rdmsr,
    Wrmsr,
    Rdtsc,
    Rdtscp,
    Rdpid,
    Rdpmc,
    Cpuid,
    Monitor,
    Mwait,
    Rsm,
    Ud,
    // interpreters/fpu.rs
    Fnstenv,
    Fldenv,
    Fnsave,
    Frstor,
    Fxsave,
    Fxrstor,
    Fwait,
    // interpreters/xsave.rs
    Xgetbv,
    Xsetbv,
    Xsave,
    Xsavec,
    Xrstor,
}

/// Of every form: asked at each sensitive instruction that runs, so found out once.
static ROUTINES: LazyLock<Box<[Option<Routine>]>> =
    LazyLock::new(|| Code::values().map(|c| by_operands(c).or_else(|| by_mnemonic(c.mnemonic()))).collect());

/// The monitor's interpreter of a form, if it is sensitive. On an 8086 or 286 the same forms
/// are sensitive.
#[inline]
pub fn routine(code: Code) -> Option<Routine> {
    ROUTINES[code as usize]
}

/// MOV, PUSH, POP, CALL and JMP are sensitive in some forms only.
fn by_operands(code: Code) -> Option<Routine> {
    use OpCodeOperandKind as K;
    let info = code.op_code();
    let (first, second) = (info.op0_kind(), info.op1_kind());
    match code.mnemonic() {
        Mnemonic::Mov => match (first, second) {
            (K::seg_reg, _) => Some(Routine::MovToSreg),
            (_, K::seg_reg) => Some(Routine::MovFromSreg),
            (K::cr_reg, _) => Some(Routine::MovToCr),
            (_, K::cr_reg) => Some(Routine::MovFromCr),
            (K::dr_reg, _) => Some(Routine::MovToDr),
            (_, K::dr_reg) => Some(Routine::MovFromDr),
            _ => None,
        },
        Mnemonic::Push => is_segment(first).then_some(Routine::PushSreg),
        Mnemonic::Pop => is_segment(first).then_some(Routine::PopSreg),
        Mnemonic::Call => is_far(code).then_some(Routine::CallFar),
        Mnemonic::Jmp => is_far(code).then_some(Routine::JmpFar),
        _ => None,
    }
}

fn is_segment(k: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind as K;
    matches!(k, K::es | K::cs | K::ss | K::ds | K::fs | K::gs)
}

fn is_far(code: Code) -> bool {
    matches!(
        code,
        Code::Call_ptr1616
            | Code::Call_ptr1632
            | Code::Call_m1616
            | Code::Call_m1632
            | Code::Jmp_ptr1616
            | Code::Jmp_ptr1632
            | Code::Jmp_m1616
            | Code::Jmp_m1632
    )
}

fn by_mnemonic(m: Mnemonic) -> Option<Routine> {
    use Mnemonic as M;
    Some(match m {
        M::Pushf | M::Pushfd => Routine::Pushf,
        M::Popf | M::Popfd => Routine::Popf,
        M::Cli => Routine::Cli,
        M::Sti => Routine::Sti,
        M::In => Routine::In,
        M::Out => Routine::Out,
        M::Insb | M::Insw | M::Insd => Routine::Ins,
        M::Outsb | M::Outsw | M::Outsd => Routine::Outs,
        M::Lds | M::Les | M::Lss | M::Lfs | M::Lgs => Routine::LoadFarPointer,
        M::Retf => Routine::RetFar,
        M::Iret | M::Iretd => Routine::Iret,
        M::Int => Routine::Int,
        M::Int1 => Routine::Int1,
        M::Int3 => Routine::Int3,
        M::Into => Routine::Into,
        M::Bound => Routine::Bound,
        M::Sysenter => Routine::Sysenter,
        M::Sysexit => Routine::Sysexit,
        M::Syscall => Routine::Syscall,
        M::Sysret => Routine::Sysret,
        M::Lar => Routine::Lar,
        M::Lsl => Routine::Lsl,
        M::Verr => Routine::Verr,
        M::Verw => Routine::Verw,
        M::Arpl => Routine::Arpl,
        M::Lgdt => Routine::Lgdt,
        M::Lidt => Routine::Lidt,
        M::Lldt => Routine::Lldt,
        M::Ltr => Routine::Ltr,
        M::Sgdt => Routine::Sgdt,
        M::Sidt => Routine::Sidt,
        M::Sldt => Routine::Sldt,
        M::Str => Routine::Str,
        M::Smsw => Routine::Smsw,
        M::Lmsw => Routine::Lmsw,
        M::Clts => Routine::Clts,
        M::Invlpg => Routine::Invlpg,
        M::Invd => Routine::Invd,
        M::Wbinvd | M::Wbnoinvd => Routine::Wbinvd,
        M::Hlt => Routine::Hlt,
        M::Rdmsr => Routine::Rdmsr,
        M::Wrmsr => Routine::Wrmsr,
        M::Rdtsc => Routine::Rdtsc,
        M::Rdtscp => Routine::Rdtscp,
        M::Rdpid => Routine::Rdpid,
        M::Rdpmc => Routine::Rdpmc,
        M::Cpuid => Routine::Cpuid,
        M::Monitor => Routine::Monitor,
        M::Mwait => Routine::Mwait,
        M::Rsm => Routine::Rsm,
        M::Ud0 | M::Ud1 | M::Ud2 => Routine::Ud,
        M::Fnstenv | M::Fstenv => Routine::Fnstenv,
        M::Fldenv => Routine::Fldenv,
        M::Fnsave | M::Fsave => Routine::Fnsave,
        M::Frstor => Routine::Frstor,
        M::Fxsave => Routine::Fxsave,
        M::Fxrstor => Routine::Fxrstor,
        M::Wait => Routine::Fwait,
        M::Xgetbv => Routine::Xgetbv,
        M::Xsetbv => Routine::Xsetbv,
        M::Xsave | M::Xsaveopt => Routine::Xsave,
        M::Xsavec => Routine::Xsavec,
        M::Xrstor => Routine::Xrstor,
        _ => return None,
    })
}
