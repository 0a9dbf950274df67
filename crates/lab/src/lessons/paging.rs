//! Shadow page tables, and a guest that spares its monitor the work.

use super::other;
use crate::x86::{Bare, Deprivileged, Manner, Program, compare_paged, differences};
use cpu::{Activity, eflags};
use std::io::{self, Write};

/// Pages at 4 MiB: one is there, one is read-only, the others are missing. The table is at E000h.
const STORY: &[(&str, &[u8])] = &[
    ("mov eax, 11h", &[0xb8, 0x11, 0, 0, 0]),
    ("mov [400000h], eax", &[0xa3, 0, 0, 0x40, 0]),
    ("mov ebx, [401000h]", &[0x8b, 0x1d, 0, 0x10, 0x40, 0]),
    ("mov dword [0e000h], 8007h", &[0xc7, 0x05, 0, 0xe0, 0, 0, 0x07, 0x80, 0, 0]),
    ("mov ecx, [400000h]", &[0x8b, 0x0d, 0, 0, 0x40, 0]),
    ("mov [402000h], eax", &[0xa3, 0, 0x20, 0x40, 0]),
    ("mov edx, [0e000h]", &[0x8b, 0x15, 0, 0xe0, 0, 0]),
    ("hlt", &[0xf4]),
];

/// `shadow-paging`.
pub(super) fn shadow(out: &mut dyn Write) -> io::Result<()> {
    let code: Vec<u8> = STORY.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let program = Program::paged_of(&code);
    let mut bare = Bare::new(Manner::Modified).map_err(other)?;
    let mut guest = Deprivileged::new(Manner::Modified).map_err(other)?;
    guest.shadow.log = Some(Vec::new());
    bare.load(&program);
    guest.load(&program);
    writeln!(out, "The guest's table names frames of its 64 KiB; the processor walks the monitor's table.")?;
    writeln!(out, "It starts with paging on, and nothing is shown.\n")?;
    let mut step = 0;
    while bare.state().activity == Activity::Running && step < 100 {
        let text = bare.next();
        step += 1;
        bare.run(step);
        guest.run(step);
        let same = differences(bare.state(), guest.state()).is_empty() && bare.memory() == guest.memory();
        writeln!(out, "{text:<28}{}", if same { "" } else { "DIFFERENT" })?;
        for line in guest.shadow.log.iter_mut().flat_map(std::mem::take) {
            writeln!(out, "    {line}")?;
        }
    }
    let c = guest.shadow.counts();
    writeln!(
        out,
        "\n{} pages shown, {} page faults given to the guest, {} stores to its tables traced, {} pages taken away",
        c.fills, c.reflected, c.traced, c.dropped
    )?;
    writeln!(
        out,
        "EDX has A and D as the bare processor sets them: {:08x}, {:08x}",
        bare.state().r32(2),
        guest.state().r32(2)
    )?;
    let report = compare_paged(500, 1).map_err(other)?;
    let found = report.difference.map_or("no difference".to_owned(), |d| d.to_string());
    writeln!(out, "{} random programs that change their tables: {found}", report.programs)
}

/// What a kernel does with interrupts off: eight entries of a page table; then it writes to a port and waits.
fn native() -> Program {
    // sti; mov [400000h], eax; pushfd; pop esi; cli
    let mut code = vec![0xfb, 0xa3, 0, 0, 0x40, 0, 0x9c, 0x5e, 0xfa];
    for n in 0..8u8 {
        code.extend([0xc7, 0x05, 4 * n, 0xe0, 0, 0, 0x07, 0x80, 0, 0]);
    }
    // push esi; popfd; mov eax, 78h; out 40h, eax; hlt
    code.extend([0x56, 0x9d, 0xb8, 0x78, 0, 0, 0, 0xe7, 0x40, 0xf4]);
    Program::paged_of(&code)
}

/// A list for a call, in the guest's memory.
const LIST: usize = 0x5100;

/// The same kernel, rewritten for the monitor.
fn paravirtual() -> Program {
    let call = |number: u8, ebx: u16, ecx: u8| {
        let [low, high] = ebx.to_le_bytes();
        vec![0xb8, number, 0, 0, 0, 0xbb, low, high, 0, 0, 0xb9, ecx, 0, 0, 0, 0xcd, 0x82]
    };
    // mov esi, eax behind the call that switches interrupts off; mov eax, 0; mov ebx, esi; int 82h
    let code = [
        call(0, 1, 0),
        vec![0xa3, 0, 0, 0x40, 0],
        call(0, 0, 0),
        vec![0x89, 0xc6],
        call(3, LIST as u16, 8),
        vec![0xb8, 0, 0, 0, 0, 0x89, 0xf3, 0xcd, 0x82],
        call(2, 0x78, 0x40),
        call(1, 0, 0),
    ];
    let mut program = Program::paged_of(&code.concat());
    for n in 0..8 {
        let pair = [0xe000 + 4 * n as u32, 0x8007].map(u32::to_le_bytes).concat();
        program.image[LIST + 8 * n..][..8].copy_from_slice(&pair);
    }
    program
}

/// `paravirtual`.
pub(super) fn calls(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "A kernel saves IF, switches interrupts off, writes eight entries of a page table, restores IF, writes to"
    )?;
    writeln!(out, "a port and waits for an interrupt.\n")?;
    let runs = [
        ("as it is, on the modified processor", native(), Manner::Modified),
        ("as it is, on x86", native(), Manner::Plain),
        ("rewritten, on x86", paravirtual(), Manner::Plain),
    ];
    writeln!(
        out,
        "                                     interpreted  stores traced  calls  in all  IF  port"
    )?;
    for (name, program, manner) in runs {
        let mut guest = Deprivileged::new(manner).map_err(other)?;
        guest.hypercalls = true;
        guest.load(&program);
        // what is before the kernel's own work: CR3 and CR0
        guest.run(5);
        let before = guest.counts().interpreted;
        guest.run(1000);
        let (c, traced) = (guest.counts(), guest.shadow.counts().traced);
        let interpreted = c.interpreted - before;
        let on = u8::from(guest.state().eflags & eflags::IF != 0);
        let port = guest.ports().written.last().map_or(0, |(_, _, value)| *value);
        writeln!(
            out,
            "{name:<36} {interpreted:>11} {traced:>14} {:>6} {:>7} {on:>3}  {port:x}",
            c.hypercalls,
            interpreted + traced + c.hypercalls
        )?;
    }
    writeln!(
        out,
        "\nAs it is, on x86, it waits for ever. Rewritten it is right, and calls less; but it is another kernel:"
    )?;
    writeln!(out, "what was given up is the equivalence of what runs bare and what runs virtually.")
}
