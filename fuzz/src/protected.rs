//! Guests in protected mode whose tables are bytes of the input.

use cpu::{CpuModel, DescriptorTable, Engine, Segment, State, cr0, rights, seg};
use machine::{Config, Machine};

/// Bytes of RAM.
pub const MEMORY: u64 = 1 << 20;
/// Where the GDT, the IDT, the TSS and the page directory are.
pub const GDT: u32 = 0x1000;
/// See [`GDT`].
pub const IDT: u32 = 0x2000;
/// See [`GDT`].
pub const TSS: u32 = 0x3000;
/// See [`GDT`]; two page tables follow.
pub const DIRECTORY: u32 = 0x4000;
/// Where code begins.
pub const CODE: u32 = 0x8000;

fn flat(selector: u16, code: bool, dpl: u16) -> Segment {
    let kind = if code { rights::CODE } else { 0 };
    let rights =
        rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG | kind | dpl << 5;
    let mut s = Segment { limit: u32::MAX, rights, selector, ..Segment::default() };
    s.refresh();
    s
}

/// Flat segments at CPL 0 or 3, a TSS, and the tables where they are.
pub fn start(cpu: &mut State, cpl: u8) {
    cpu.cr0 = cr0::PE | cr0::ET;
    cpu.cpl = cpl;
    for n in 0..6 {
        cpu.seg[n] = flat(0x10 | u16::from(cpl), n == usize::from(seg::CS), cpl.into());
    }
    cpu.gdtr = DescriptorTable { base: GDT, limit: 0xff };
    cpu.idtr = DescriptorTable { base: IDT, limit: 0x7ff };
    cpu.tr = Segment { base: TSS, limit: 0x1ff, rights: 0x8b, selector: 0x28, ..Segment::default() };
    cpu.eip = CODE;
    for (r, value) in [(3, 0xa000), (4, 0xc000), (5, 0xa100), (6, 0xa200), (7, 0xa300)] {
        cpu.set_r32(r, value);
    }
}

/// A machine with an engine; `None`: the host has not the memory.
pub fn machine(engine: Box<dyn Engine + Send>) -> Option<Machine> {
    Machine::new(Config { memory: MEMORY, model: CpuModel::N270, deterministic: true, epoch: 0 }, engine).ok()
}
