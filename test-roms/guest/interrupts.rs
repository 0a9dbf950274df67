//! The interrupt table, the timer, system calls, and the protection fault that makes a
//! privileged instruction what it is.

use super::console::say;
use super::layout::*;
use crate::asm;
use crate::asm::{Asm, Assembled};
use iced_x86::code_asm::*;

/// Vectors.
const GENERAL_PROTECTION: u32 = 13;
const PAGE_FAULT: u32 = 14;
const TIMER: u32 = 0x20;
pub(crate) const SYSTEM_CALL: u32 = 0x80;

/// The PIT's 1.193182 MHz in 200 Hz.
const DIVISOR: u16 = 5966;

/// System calls, by EAX.
pub(crate) const CALL_EXIT: u32 = 0;
/// Prints `[task X] `, the text at EBX, ECX as EAX says, and the text at EDX.
pub(crate) const CALL_TEXT: u32 = 1;
pub(crate) const CALL_DECIMAL: u32 = 2;
pub(crate) const CALL_HEXADECIMAL: u32 = 3;

/// What every handler begins with, once an error code lies on the stack.
pub(crate) fn enter(a: &mut Asm) -> Assembled {
    asm! { a =>
        pushad;
        push ds;
        push es;
        mov eax, i32::from(KERNEL_DATA);
        mov ds, ax;
        mov es, ax;
        cld;
    }
    Ok(())
}

/// What every handler ends with.
pub(crate) fn leave(a: &mut Asm) -> Assembled {
    asm! { a =>
        pop es;
        pop ds;
        popad;
        add esp, 4; // the error code
        iretd;
    }
    Ok(())
}

/// All of it.
pub(crate) fn routines(a: &mut Asm) -> Assembled {
    table(a)?;
    timer(a)?;
    system_call(a)?;
    protection_fault(a)?;
    unexpected(a)
}

fn table(a: &mut Asm) -> Assembled {
    let gates = [
        (GENERAL_PROTECTION, "protection fault", 0x8e00),
        (PAGE_FAULT, "page fault", 0x8e00),
        (TIMER, "timer", 0x8e00),
        // DPL 3: for the tasks
        (SYSTEM_CALL, "system call", 0xee00),
    ];
    asm! { a =>
        label "make idt";
        xor ecx, ecx;
        label "next gate";
        mov eax, a.at("unexpected");
        mov ebx, 0x8e00;
        call a.to("set gate");
        inc ecx;
        cmp ecx, 256;
        jb a.to("next gate");
    }
    for (vector, handler, kind) in gates {
        asm! { a =>
            mov ecx, vector;
            mov eax, a.at(handler);
            mov ebx, kind;
            call a.to("set gate");
        }
    }
    asm! { a =>
        lidt ptr(a.at("idtr"));
        ret;
        // vector ECX: handler EAX, type and DPL EBX
        label "set gate";
        mov dword_ptr(ecx * 8 + IDT as i32), eax;
        mov word_ptr(ecx * 8 + (IDT + 2) as i32), u32::from(KERNEL_CODE);
        mov dword_ptr(ecx * 8 + (IDT + 4) as i32), eax;
        mov word_ptr(ecx * 8 + (IDT + 4) as i32), bx;
        ret;
        label "idtr";
    }
    a.dw(&[256 * 8 - 1])?;
    a.dd(&[IDT])
}

fn timer(a: &mut Asm) -> Assembled {
    a.label("timer on")?;
    for (port, value) in [
        // 8254: counter 0 is a rate generator
        (0x43, 0x34),
        (0x40, u32::from(DIVISOR & 0xff)),
        (0x40, u32::from(DIVISOR >> 8)),
        // 8259A pair: IRQs at 20h and 28h, only the timer let through
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xfe),
        (0xa1, 0xff),
    ] {
        asm! { a => mov al, value; out port, al; }
    }
    asm! { a => ret; label "timer"; push 0; }
    enter(a)?;
    asm! { a =>
        mov al, 0x20; // end of interrupt
        out 0x20, al;
        inc dword_ptr(TICKS);
        jmp a.to("schedule");
    }
    Ok(())
}

fn system_call(a: &mut Asm) -> Assembled {
    asm! { a => label "system call"; push 0; }
    enter(a)?;
    asm! { a =>
        mov eax, dword_ptr(esp + FRAME_EAX);
        cmp eax, CALL_EXIT;
        je a.to("end task");
    }
    say(a, "[task ")?;
    asm! { a => call a.to("print task"); }
    say(a, "] ")?;
    asm! { a =>
        mov esi, dword_ptr(esp + FRAME_EBX);
        call a.to("print text");
        mov eax, dword_ptr(esp + FRAME_ECX);
        cmp dword_ptr(esp + FRAME_EAX), CALL_DECIMAL;
        jb a.to("number printed");
        ja a.to("in hexadecimal");
        call a.to("print decimal");
        jmp a.to("number printed");
        label "in hexadecimal";
        call a.to("print hexadecimal");
        label "number printed";
        mov esi, dword_ptr(esp + FRAME_EDX);
        call a.to("print text");
    }
    leave(a)
}

/// #GP from a task: CLI is interpreted (it does nothing), HLT ends the task.
fn protection_fault(a: &mut Asm) -> Assembled {
    a.label("protection fault")?;
    enter(a)?;
    asm! { a =>
        test byte_ptr(esp + FRAME_CS), 3;
        jz a.to("unexpected, entered");
        mov ebx, dword_ptr(esp + FRAME_EIP);
        mov al, byte_ptr(ebx);
        cmp al, 0xfa;
        je a.to("interpret cli");
        cmp al, 0xf4;
        je a.to("interpret hlt");
        jmp a.to("unexpected, entered");
        label "interpret cli";
    }
    say(a, "[kernel] General protection fault at ")?;
    asm! { a => mov eax, ebx; call a.to("print hexadecimal"); }
    say(a, "h: CLI at CPL 3. It is privileged, so it trapped. The\n")?;
    say(a, "         interpreter for CLI notes the wish, keeps the interrupts, and steps over it.\n")?;
    asm! { a => inc dword_ptr(esp + FRAME_EIP); }
    leave(a)?;
    a.label("interpret hlt")?;
    say(a, "[kernel] General protection fault again: HLT at CPL 3. The interpreter for HLT ends task ")?;
    asm! { a => call a.to("print task"); }
    say(a, ".\n")?;
    asm! { a => jmp a.to("end task"); }
    Ok(())
}

/// What must not happen.
fn unexpected(a: &mut Asm) -> Assembled {
    asm! { a => label "unexpected"; push 0; }
    enter(a)?;
    a.label("unexpected, entered")?;
    say(a, "[kernel] An exception that nobody planned. Power off.\n")?;
    asm! { a => jmp a.to("power off"); }
    Ok(())
}
