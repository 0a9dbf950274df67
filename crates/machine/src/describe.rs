//! The instruction at EIP as text, for traces.

use crate::Pc;
use cpu::{CodeSize, Monitor, State, reg, seg};
use mem::Memory;
use std::fmt::Write;
use vmm::Vmm;

pub(crate) fn instruction(cpu: &mut State, mem: &mut Memory, vmm: &mut Vmm<Pc>) -> String {
    let cs = *cpu.segment(seg::CS);
    let mut bytes = [0; isa::MAX_LENGTH];
    let linear = cs.base.wrapping_add(cpu.eip);
    let fetched = match vmm.fetch_bytes(cpu, mem, linear, &mut bytes) {
        Ok(()) => bytes.len(),
        Err((n, _)) => n,
    };
    let bits = if cpu.code_size() == CodeSize::Bits16 { 16 } else { 32 };
    let (text, len) = isa::disassemble(&bytes[..fetched], bits, cpu.eip);
    let mut line = format!("{:04x}:{:08x} ", cs.selector, cpu.eip);
    for b in &bytes[..len] {
        // a String takes every write
        let _ = write!(line, "{b:02x}");
    }
    let r = |n| cpu.r32(n);
    let _ = write!(
        line,
        "  {text}  eax={:x} ecx={:x} edx={:x} ebx={:x} esp={:x} ebp={:x} esi={:x} edi={:x} efl={:x}",
        r(reg::AX),
        r(reg::CX),
        r(reg::DX),
        r(reg::BX),
        r(reg::SP),
        r(reg::BP),
        r(reg::SI),
        r(reg::DI),
        cpu.flags_image(),
    );
    line
}
