//! Page tables, and the page fault as the allocator's way to grant memory.

use super::console::say;
use super::interrupts::{enter, leave};
use super::layout::*;
use crate::asm;
use crate::asm::{Asm, Assembled};
use iced_x86::code_asm::*;

/// Bits of a page-table entry.
const PRESENT: u32 = 1;
const WRITABLE: u32 = 2;
const USER_PAGE: u32 = 4;

/// The table-making routine and the page-fault handler.
pub(crate) fn routines(a: &mut Asm) -> Assembled {
    make(a)?;
    page_fault(a)
}

/// Offset of the entry of a page in a page table.
fn entry(linear: u32) -> u32 {
    (linear >> 12 & 0x3ff) * 4
}

fn make(a: &mut Asm) -> Assembled {
    asm! { a =>
        label "make page tables";
        mov dword_ptr(NEXT_FRAME), FREE_FRAMES;
        // all empty
        xor eax, eax;
        mov edi, DIRECTORIES;
        mov ecx, (TABLES_END - DIRECTORIES) / 4;
        rep_stosd;
        // the first 4 MiB, as they are, for the kernel alone
        mov edi, KERNEL_TABLE;
        mov eax, PRESENT | WRITABLE;
        label "next kernel page";
        stosd;
        add eax, 0x1000;
        cmp eax, 0x40_0000;
        jb a.to("next kernel page");
    }
    for task in 0..TASK_COUNT {
        let directory = DIRECTORIES + task * 0x1000;
        let table = USER_TABLES + task * 0x1000;
        asm! { a =>
            mov dword_ptr(directory), KERNEL_TABLE | PRESENT | WRITABLE;
            mov dword_ptr(directory + (USER >> 22) * 4), table | PRESENT | WRITABLE | USER_PAGE;
            mov dword_ptr(table + entry(USER_STACK_PAGE)),
                (STACK_FRAMES + task * 0x1000) | PRESENT | WRITABLE | USER_PAGE;
        }
        for page in 0..USER_PAGES {
            let at = table + entry(USER + page * 0x1000);
            let frame = USER_IN_ROM + page * 0x1000;
            asm! { a => mov dword_ptr(at), frame | PRESENT | USER_PAGE; }
        }
    }
    asm! { a => ret; }
    Ok(())
}

/// #PF: a page of the heap gets a frame, and the instruction runs again; anything else is fatal.
fn page_fault(a: &mut Asm) -> Assembled {
    a.label("page fault")?;
    enter(a)?;
    asm! { a =>
        mov ebx, cr2;
        mov eax, ebx;
        sub eax, USER_HEAP;
        cmp eax, USER_HEAP_SIZE;
        jae a.to("unexpected, entered");
        test byte_ptr(esp + FRAME_ERROR), PRESENT;
        jnz a.to("unexpected, entered");
        inc dword_ptr(PAGE_FAULTS);
        cmp dword_ptr(PAGE_FAULTS), 1;
        jne a.to("grant");
    }
    say(a, "[kernel] Page fault at ")?;
    asm! { a => mov eax, ebx; call a.to("print hexadecimal"); }
    say(a, "h, error code ")?;
    asm! { a => mov eax, dword_ptr(esp + FRAME_ERROR); call a.to("print decimal"); }
    say(a, ": the dispatcher got control, the allocator maps a frame,\n")?;
    say(a, "         and the instruction runs again. The other pages come the same way, silently.\n")?;
    asm! { a =>
        label "grant";
        // the frame, cleared
        mov edx, dword_ptr(NEXT_FRAME);
        add dword_ptr(NEXT_FRAME), 0x1000;
        mov edi, edx;
        xor eax, eax;
        mov ecx, 0x400;
        rep_stosd;
        // its entry in the running task's page table
        mov eax, dword_ptr(CURRENT);
        shl eax, 12;
        shr ebx, 12;
        and ebx, 0x3ff;
        or edx, PRESENT | WRITABLE | USER_PAGE;
        mov dword_ptr(eax + ebx * 4 + USER_TABLES as i32), edx;
    }
    leave(a)
}
