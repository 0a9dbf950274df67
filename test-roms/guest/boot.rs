//! From the reset vector to protected mode, and the end.

use super::console::say;
use super::layout::*;
use crate::asm;
use crate::asm::{Asm, Assembled};
use iced_x86::code_asm::*;

/// F000:FFF0, where an x86 begins.
pub(crate) fn reset(a: &mut Asm) -> Assembled {
    a.section(16, RESET)?;
    let start = START as u16;
    // a far jump, so that CS gets an ordinary base
    let [low, high] = start.to_le_bytes();
    a.db(&[0xea, low, high, 0x00, 0xf0])
}

/// Real mode: as short as can be.
pub(crate) fn real_mode(a: &mut Asm) -> Assembled {
    a.section(16, START)?;
    asm! { a =>
        cli;
        cld;
        lgdt ptr(a.at("first gdtr") & 0xffff).cs();
        mov eax, 0x11u32; // CR0.PE; caches on
        mov cr0, eax;
        jmp_far32 KERNEL_CODE, a.at("protected mode");
        label "first gdtr";
    }
    a.dw(&[6 * 8 - 1])?;
    let gdt = a.at("gdt");
    a.dd(&[gdt])
}

/// A flat segment with the given access byte.
fn flat(access: u64) -> u64 {
    0x00cf_0000_0000_ffff | access << 40
}

/// Everything up to the first task.
pub(crate) fn protected_mode(a: &mut Asm) -> Assembled {
    asm! { a =>
        label "protected mode";
        mov eax, i32::from(KERNEL_DATA);
        mov ds, ax;
        mov es, ax;
        mov ss, ax;
        mov esp, BOOT_STACK;
        xor eax, eax;
        mov fs, ax;
        mov gs, ax;
        // variables, and a GDT that can be written: descriptors have an accessed bit
        mov edi, CURRENT;
        mov ecx, 0x100 / 4;
        rep_stosd;
        mov esi, a.at("gdt");
        mov edi, GDT;
        mov ecx, 6 * 8;
        rep_movsb;
        lgdt ptr(a.at("second gdtr"));
        // the TSS serves one purpose: the stack for the way from CPL 3 to CPL 0
        mov edi, TSS;
        mov ecx, 0x68 / 4;
        rep_stosd;
        mov dword_ptr(TSS + 8), u32::from(KERNEL_DATA);
        mov dword_ptr(TSS + 0x64), 0x68_0000; // no I/O bitmap: no ports for the tasks
        mov eax, i32::from(TASK_STATE);
        ltr ax;
        call a.to("serial on");
    }
    introduction(a)?;
    asm! { a =>
        call a.to("make page tables");
        mov eax, DIRECTORIES;
        mov cr3, eax;
        mov eax, cr0;
        or eax, 0x8001_0000u32; // PG, and WP: read-only is read-only for the kernel too
        mov cr0, eax;
    }
    say(a, "[kernel] Paging is on. Each task has a page directory of its own: a task switch loads CR3.\n")?;
    asm! { a =>
        call a.to("make idt");
        call a.to("timer on");
        call a.to("make tasks");
    }
    say(a, "[kernel] The timer interrupts 200 times a second. Three tasks take turns at CPL 3.\n\n")?;
    asm! { a =>
        jmp a.to("run current");
        label "gdt";
    }
    let tss = 0x0000_8900_0000_0067 | u64::from(TSS) << 16;
    a.dq(&[0, flat(0x9b), flat(0x93), flat(0xfb), flat(0xf3), tss])?;
    a.label("second gdtr")?;
    a.dw(&[6 * 8 - 1])?;
    a.dd(&[GDT])?;
    the_end(a)
}

fn introduction(a: &mut Asm) -> Assembled {
    say(a, "\nThis is Ringer's own guest: a small kernel and three tasks in a ROM of 64 KiB.\n\n")?;
    say(a, "Popek and Goldberg (1974) sort a machine's instructions. Privileged ones trap when a\n")?;
    say(a, "program runs them. Sensitive ones change the machine's resources, or show them. All\n")?;
    say(a, "others are innocuous and need nobody. Where every sensitive instruction is privileged, a\n")?;
    say(a, "monitor can be built of three parts: a dispatcher, to which every trap goes; an allocator,\n")?;
    say(a, "which grants resources; and interpreters, which do what the trapped instruction wanted.\n\n")?;
    say(a, "[kernel] From the reset vector in real mode to protected mode: CPL 0.\n")
}

/// Statistics, and soft off through ACPI.
fn the_end(a: &mut Asm) -> Assembled {
    a.label("the end")?;
    say(a, "\n[kernel] All tasks have ended. The dispatcher counted ")?;
    asm! { a => mov eax, dword_ptr(TICKS); call a.to("print decimal"); }
    say(a, " timer ticks and ")?;
    asm! { a => mov eax, dword_ptr(SWITCHES); call a.to("print decimal"); }
    say(a, " task switches,\n         the allocator granted ")?;
    asm! { a => mov eax, dword_ptr(PAGE_FAULTS); call a.to("print decimal"); }
    say(a, " pages on demand. Power off.\n")?;
    asm! { a =>
        label "power off";
        cli;
        // firmware's work: give the PIIX4's power management its ports, and switch them on
        mov edi, 0x8000_0b40u32; // bus 0, device 1, function 3, register 40h
        mov ecx, 0xb001;
        call a.to("configure");
        mov edi, 0x8000_0b80u32;
        mov ecx, 1;
        call a.to("configure");
        // PM1 control: SLP_EN, with the sleep type of S5
        mov dx, 0xb004;
        mov ax, 0x2000;
        out dx, ax;
        // no power management here: halt for good
        label "halted";
        hlt;
        jmp a.to("halted");
        // ECX into the PCI register EDI
        label "configure";
        mov dx, 0xcf8;
        mov eax, edi;
        out dx, eax;
        mov dx, 0xcfc;
        mov eax, ecx;
        out dx, eax;
        ret;
    }
    Ok(())
}
