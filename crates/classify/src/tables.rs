//! What the model's memory holds: descriptor tables, tasks, gates.

use crate::Configuration;
use crate::layout as at;
use crate::model::Memory;
use cpu::descriptor::{gate, segment};
use cpu::{Segment, eflags};
use vmm::interpreters::descriptor::Descriptor;

/// Descriptor tables and their lengths.
pub(crate) fn tables() -> impl Iterator<Item = (u32, u32)> {
    let gdt = at::GDT.into_iter().map(|t| (t, u32::from(at::GDT_LIMIT)));
    gdt.chain(at::LDT.into_iter().map(|t| (t, at::LDT_LIMIT)))
}

/// A register that holds what the GDT describes.
pub(crate) fn held(memory: &Memory, selector: u16) -> Segment {
    let at = at::GDT[0] + u32::from(selector & !7);
    Descriptor::new(selector, at, memory.read(at, 8)).segment()
}

/// What the LDT describes.
const LOCAL: [(u16, u8); 7] = [
    (at::LOCAL_DATA, 0xf3),
    (at::LOCAL_DATA0, 0x93),
    (at::LOCAL_CODE3, 0xfb),
    (at::LOCAL_CODE0, 0x9b),
    (at::LOCAL_ABSENT, 0x73),
    (at::LOCAL_CONFORMING, 0x9f),
    (at::LOCAL_READ_ONLY, 0xf1),
];

/// Tables, tasks and gates.
pub(crate) fn fill(memory: &mut Memory, code32: bool, configuration: Configuration) {
    let big = if code32 { 4 } else { 0 };
    for table in at::GDT {
        fill_gdt(memory, table, big);
    }
    for table in at::LDT {
        for (selector, access) in LOCAL {
            memory.write(table + u32::from(selector & !7), 8, segment(at::WINDOW[0], 0xffff, access, big));
        }
    }
    for table in at::IDT {
        (0..32).for_each(|v| memory.write(table + v * 8, 8, gate(at::CODE0, at::TARGET, 0x8e, 0)));
    }
    for tss in at::TSS {
        memory.write(tss, 2, at::BUSY_TASK.into());
        memory.write(tss + 4, 4, at::INNER_STACK.into());
        memory.write(tss + 8, 2, at::DATA0.into());
        memory.write(tss + 0x66, 2, 0x88);
        let denied = if configuration.has(Configuration::IOBITMAP) { 0 } else { 0xff };
        (0x88..0x110).for_each(|n| memory.write(tss + n, 1, denied));
    }
    fill_tasks(memory);
    memory.settle();
}

fn fill_gdt(memory: &mut Memory, table: u32, big: u8) {
    let mut put = |selector: u16, d: u64| memory.write(table + u32::from(selector & !7), 8, d);
    let shown = |access| segment(at::WINDOW[0], 0xffff, access, big);
    let held = [(at::CODE0, 0x9b), (at::DATA0, 0x93), (at::CODE3, 0xfb), (at::DATA3, 0xf3)];
    let others =
        [(at::OTHER_CODE0, 0x9b), (at::OTHER_DATA0, 0x93), (at::OTHER_CODE3, 0xfb), (at::OTHER_DATA3, 0xf3)];
    let kinds = [
        (at::CONFORMING, 0x9f),
        (at::EXECUTE_ONLY, 0xf9),
        (at::READ_ONLY, 0xf1),
        (at::ABSENT_DATA, 0x73),
        (at::ABSENT_CODE, 0x7b),
        (at::EXPAND_DOWN, 0xf7),
    ];
    held.into_iter().chain(others).chain(kinds).for_each(|(s, access)| put(s, shown(access)));
    for n in 0..2 {
        put(at::TASK[n], segment(at::TSS[n], 0x10f, 0x8b, 0));
        put(at::LOCAL_TABLE[n], segment(at::LDT[n], at::LDT_LIMIT, 0x82, 0));
    }
    put(at::TASK2, segment(at::TSS2, 0x67, 0xe9, 0));
    put(at::BUSY_TASK, segment(at::TSS2, 0x67, 0xeb, 0));
    put(at::TASK16, segment(at::TSS16, 0x2b, 0xe1, 0));
    put(at::SHORT_TASK, segment(at::TSS2, 0x2a, 0xe9, 0));
    put(at::GATE_INWARD, gate(at::CODE0, at::TARGET, 0xec, 1));
    put(at::GATE_LEVEL, gate(at::CODE3, at::TARGET, 0xec, 0));
    put(at::GATE16, gate(at::CODE0, at::TARGET, 0xe4, 0));
    put(at::GATE0, gate(at::CODE0, at::TARGET, 0x8c, 0));
    put(at::GATE_CONFORMING, gate(at::CONFORMING, at::TARGET, 0xec, 0));
    put(at::GATE_NULL, gate(0, at::TARGET, 0xec, 0));
    put(at::TASK_GATE, gate(at::TASK2, 0, 0xe5, 0));
    put(at::ABSENT_GATE, gate(at::CODE0, at::TARGET, 0x6c, 0));
}

fn fill_tasks(memory: &mut Memory) {
    let t = at::TSS2;
    memory.write(t + 0x1c, 4, at::TABLES[0].into());
    memory.write(t + 0x20, 4, at::TARGET.into());
    memory.write(t + 0x24, 4, eflags::RESERVED1.into());
    memory.write(t + 0x38, 4, at::STACK.into());
    let selectors = [at::DATA3, at::CODE0, at::DATA0, at::DATA3, at::DATA3, at::DATA3, 0];
    for (n, s) in (0u32..).zip(selectors) {
        memory.write(t + 0x48 + 4 * n, 2, s.into());
    }
    let t = at::TSS16;
    memory.write(t + 14, 2, at::TARGET.into());
    memory.write(t + 16, 2, eflags::RESERVED1.into());
    memory.write(t + 26, 2, at::STACK.into());
    for (n, s) in (0u32..).zip([at::DATA3, at::CODE0, at::DATA0, at::DATA3, 0]) {
        memory.write(t + 34 + 2 * n, 2, s.into());
    }
}
