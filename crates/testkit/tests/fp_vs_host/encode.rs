//! Instruction bytes for a form, from what the decoder's tables say of it.

use iced_x86::{Code, MandatoryPrefix, OpCodeOperandKind as K, OpCodeTableKind};

/// One way to write a form.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    pub(crate) code: Code,
    pub(crate) bytes: Vec<u8>,
    /// It has a memory operand at the address in EAX, or EDI if `by_edi`.
    pub(crate) memory: bool,
    pub(crate) by_edi: bool,
}

/// Registers (reg and rm fields) or memory at EAX, and an immediate byte.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) reg: u8,
    pub(crate) rm: u8,
    pub(crate) memory: bool,
    pub(crate) imm: u8,
}

fn is_general(k: K) -> bool {
    matches!(k, K::r32_reg | K::r32_rm | K::r32_or_mem)
}

/// The bytes of `code` with these operands; nothing where the form does not have them.
pub(crate) fn encode(code: Code, choice: Choice) -> Option<Encoding> {
    let info = code.op_code();
    let kinds: Vec<K> = (0..info.op_count()).map(|n| info.op_kind(n)).collect();
    let register = |n: u8, general: bool| if general { 1 + n % 3 } else { n & 7 };
    let mut bytes = Vec::new();
    match info.mandatory_prefix() {
        MandatoryPrefix::P66 => bytes.push(0x66),
        MandatoryPrefix::PF3 => bytes.push(0xf3),
        MandatoryPrefix::PF2 => bytes.push(0xf2),
        _ => {}
    }
    match info.table() {
        OpCodeTableKind::T0F => bytes.push(0x0f),
        OpCodeTableKind::T0F38 => bytes.extend([0x0f, 0x38]),
        OpCodeTableKind::T0F3A => bytes.extend([0x0f, 0x3a]),
        _ => {}
    }
    let only_memory = kinds.contains(&K::mem);
    let may_be_memory = kinds.iter().any(|k| matches!(k, K::r32_or_mem | K::mm_or_mem | K::xmm_or_mem));
    let implied = !only_memory && kinds.iter().all(|k| matches!(k, K::st0 | K::sti_opcode | K::ax));
    if only_memory && !choice.memory || choice.memory && !only_memory && !may_be_memory {
        return None;
    }
    if info.op_code_len() == 2 {
        bytes.push((info.op_code() >> 8) as u8);
    }
    let plus = if kinds.contains(&K::sti_opcode) { choice.rm & 7 } else { 0 };
    bytes.push(info.op_code() as u8 + plus);
    let by_edi = kinds.contains(&K::seg_rDI);
    if !implied {
        let in_reg = kinds.iter().find(|k| matches!(k, K::r32_reg | K::mm_reg | K::xmm_reg));
        let reg = match (info.group_index(), in_reg) {
            (n @ 0.., _) => n as u8,
            (_, Some(&k)) => register(choice.reg, is_general(k)),
            _ => return None,
        };
        let general = kinds.iter().any(|k| matches!(k, K::r32_rm | K::r32_or_mem));
        let rm = if choice.memory { 0 } else { 0xc0 | register(choice.rm, general) };
        bytes.push(reg << 3 | rm);
    }
    if kinds.contains(&K::imm8) {
        bytes.push(choice.imm);
    }
    Some(Encoding { code, bytes, memory: choice.memory || by_edi, by_edi })
}

/// The forms under test: innocuous ones of the units, as far as the chip has them.
pub(crate) fn forms() -> Vec<Code> {
    use iced_x86::CpuidFeature as F;
    let unit = |f: &F| {
        matches!(
            f,
            F::FPU | F::FPU287 | F::FPU387 | F::MMX | F::SSE | F::SSE2 | F::SSE3 | F::SSSE3 | F::CLFSH
        )
    };
    let is_float = |c: &Code| c.cpuid_features().iter().any(unit);
    let in_32_bits = |c: &Code| c.op_code().mode16() || c.op_code().mode32();
    let executed = |c: &Code| {
        in_32_bits(c) && isa::routine(*c).is_none() && isa::CpuModel::N270.has(*c) && !c.op_code().fwait()
    };
    Code::values().filter(|c| is_float(c) && executed(c)).collect()
}
