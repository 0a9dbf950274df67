//! One number for the whole state, to compare runs.

use crate::Pc;
use cpu::State;
use std::hash::Hasher;

/// FNV-1a: stable over runs and hosts.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

pub(crate) fn state(cpu: &State, mem: u64, pc: &Pc) -> u64 {
    let mut h = Fnv(0xcbf2_9ce4_8422_2325);
    registers(&mut h, cpu);
    h.write_u64(mem);
    pc.parts().iter().for_each(|p| h.write(&p.bytes));
    h.finish()
}

fn registers(h: &mut Fnv, cpu: &State) {
    cpu.gpr[..16].iter().for_each(|&r| h.write_u64(r));
    h.write_u32(cpu.flags_image());
    h.write_u32(cpu.eip);
    h.write_u64(cpu.retired);
    h.write_u8(cpu.cpl);
    h.write_u8(cpu.activity as u8);
    for s in cpu.seg[..6].iter().chain([&cpu.ldtr, &cpu.tr]) {
        h.write_u32(s.base);
        h.write_u32(s.limit);
        h.write_u16(s.rights);
        h.write_u16(s.selector);
    }
    for t in [cpu.gdtr, cpu.idtr] {
        h.write_u32(t.base);
        h.write_u16(t.limit);
    }
    [cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4, cpu.mxcsr, cpu.a20_mask].iter().for_each(|&r| h.write_u32(r));
    cpu.dr.iter().chain(&cpu.sysenter).for_each(|&r| h.write_u32(r));
    cpu.pdptes.iter().for_each(|&p| h.write_u64(p));
    h.write_u64(cpu.efer);
    h.write_u64(cpu.tsc_offset);
    cpu.xmm.iter().for_each(|&x| h.write(&x.to_le_bytes()));
    let f = &cpu.fpu;
    f.registers.iter().for_each(|r| h.write_u64(r.significand));
    f.registers.iter().for_each(|r| h.write_u16(r.exponent));
    [f.control, f.status, f.opcode, f.cs, f.ds].iter().for_each(|&w| h.write_u16(w));
    h.write_u8(f.occupied);
    h.write_u32(f.ip);
    h.write_u32(f.dp);
}
