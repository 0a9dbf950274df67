//! The scheduler, and the programs of the three tasks.

use super::console::{say, zero_ended};
use super::interrupts::{CALL_DECIMAL, CALL_EXIT, CALL_HEXADECIMAL, CALL_TEXT, SYSTEM_CALL, leave};
use super::layout::*;
use crate::asm;
use crate::asm::{Asm, Assembled};
use iced_x86::code_asm::*;

/// Numbers that the sieve of task A has room for, and how often it runs.
const SIEVE: u32 = USER_HEAP_SIZE;
const SIEVES: u32 = 4;
/// Steps of task B's Fibonacci count.
const FIBONACCI: u32 = 15_000_000;
/// Rounds of task C's checksum over its own page of code.
const ROUNDS: u32 = 200;

/// Entry points, in the order of the tasks.
const ENTRIES: [&str; 3] = ["task a", "task b", "task c"];

/// Round robin over the tasks that live.
pub(crate) fn scheduler(a: &mut Asm) -> Assembled {
    make(a)?;
    asm! { a =>
        // the running task is put aside; the frame of its interrupt is on its kernel stack
        label "schedule";
        mov ebx, dword_ptr(CURRENT);
        mov ecx, ebx;
        shl ebx, 4;
        mov dword_ptr(ebx + TASKS as i32), esp;
        label "try next";
        inc ecx;
        cmp ecx, TASK_COUNT;
        jb a.to("task number");
        xor ecx, ecx;
        label "task number";
        mov ebx, ecx;
        shl ebx, 4;
        cmp dword_ptr(ebx + (TASKS + 8) as i32), 0;
        je a.to("try next");
        cmp ecx, dword_ptr(CURRENT);
        je a.to("run current");
        inc dword_ptr(SWITCHES);
        cmp dword_ptr(SWITCHES), 3;
        ja a.to("switch");
        // a task that has ended waits for nothing
        mov eax, dword_ptr(CURRENT);
        shl eax, 4;
        cmp dword_ptr(eax + (TASKS + 8) as i32), 0;
        je a.to("switch");
    }
    say(a, "[kernel] Timer: task ")?;
    asm! { a => call a.to("print task"); mov dword_ptr(CURRENT), ecx; }
    say(a, " has to wait, and task ")?;
    asm! { a => call a.to("print task"); }
    say(a, " goes on in its own address space.\n")?;
    asm! { a =>
        label "switch";
        mov dword_ptr(CURRENT), ecx;
        // the task in CURRENT: its address space, its kernel stack, its registers
        label "run current";
        mov ebx, dword_ptr(CURRENT);
        shl ebx, 4;
        mov eax, dword_ptr(ebx + (TASKS + 4) as i32);
        mov cr3, eax;
        mov eax, dword_ptr(ebx + (TASKS + 12) as i32);
        mov dword_ptr(TSS + 4), eax;
        mov esp, dword_ptr(ebx + TASKS as i32);
    }
    leave(a)?;
    asm! { a =>
        label "end task";
        mov ebx, dword_ptr(CURRENT);
        shl ebx, 4;
        mov dword_ptr(ebx + (TASKS + 8) as i32), 0;
        dec dword_ptr(ALIVE);
        jnz a.to("schedule");
        jmp a.to("the end");
    }
    Ok(())
}

/// The task table, and on each kernel stack a frame that looks like an interrupted program.
fn make(a: &mut Asm) -> Assembled {
    a.label("make tasks")?;
    for (task, entry) in (0..TASK_COUNT).zip(ENTRIES) {
        let top = KERNEL_STACKS + (task + 1) * 0x1000;
        let frame = top - FRAME_SIZE;
        let slot = TASKS + task * 16;
        let word = |offset: i32| dword_ptr(frame + offset as u32);
        asm! { a =>
            mov edi, frame;
            mov ecx, FRAME_SIZE / 4;
            xor eax, eax;
            rep_stosd;
            mov word(0), u32::from(USER_DATA); // ES
            mov word(4), u32::from(USER_DATA); // DS
            mov word(FRAME_EIP), a.at(entry);
            mov word(FRAME_CS), u32::from(USER_CODE);
            mov word(FRAME_CS + 4), 0x202; // EFLAGS: IF, IOPL 0
            mov word(FRAME_CS + 8), USER_STACK_PAGE + 0x1000;
            mov word(FRAME_CS + 12), u32::from(USER_DATA); // SS
            mov dword_ptr(slot), frame;
            mov dword_ptr(slot + 4), DIRECTORIES + task * 0x1000;
            mov dword_ptr(slot + 8), 1;
            mov dword_ptr(slot + 12), top;
        }
    }
    asm! { a => mov dword_ptr(ALIVE), TASK_COUNT; ret; }
    Ok(())
}

/// A text of a program, to be placed behind its code.
type Texts<'a> = Vec<(String, &'a str)>;

/// Emits a system call that prints a line: a text, a number by `call` (from ECX), a text.
fn tell<'a>(a: &mut Asm, texts: &mut Texts<'a>, call: u32, before: &'a str, after: &'a str) -> Assembled {
    let names = [before, after].map(|text| {
        let name = format!("text {}", texts.len());
        texts.push((name.clone(), text));
        name
    });
    asm! { a =>
        mov ebx, a.at(&names[0]);
        mov edx, a.at(&names[1]);
        mov eax, call;
        int SYSTEM_CALL;
    }
    Ok(())
}

fn exit(a: &mut Asm) -> Assembled {
    asm! { a => mov eax, CALL_EXIT; int SYSTEM_CALL; }
    Ok(())
}

/// The three programs.
pub(crate) fn programs(a: &mut Asm) -> Assembled {
    let mut texts = Texts::new();
    primes(a, &mut texts)?;
    critical(a, &mut texts)?;
    checksum(a, &mut texts)?;
    for (name, text) in texts {
        a.label(&name)?;
        a.db(&zero_ended(text))?;
    }
    Ok(())
}

/// Task A: memory on demand, and the sieve of Eratosthenes in it.
fn primes(a: &mut Asm, texts: &mut Texts<'_>) -> Assembled {
    asm! { a => label "task a"; }
    tell(a, texts, CALL_TEXT, "I sieve for primes in a megabyte that nobody has given me yet.\n", "")?;
    asm! { a =>
        mov ebp, SIEVES;
        // all numbers may be prime: 0 says so
        label "sieve";
        xor eax, eax;
        mov edi, USER_HEAP;
        mov ecx, SIEVE / 4;
        rep_stosd;
        mov esi, 2;
        label "next number";
        cmp byte_ptr(esi + USER_HEAP as i32), 0;
        jne a.to("not prime");
        mov edi, esi;
        imul_2 edi, edi;
        label "strike out";
        cmp edi, SIEVE;
        jae a.to("not prime");
        mov byte_ptr(edi + USER_HEAP as i32), 1;
        add edi, esi;
        jmp a.to("strike out");
        label "not prime";
        inc esi;
        cmp esi, 1024; // whose square is the end
        jb a.to("next number");
        // count those that are left
        xor ecx, ecx;
        mov esi, 2;
        label "count";
        cmp byte_ptr(esi + USER_HEAP as i32), 1;
        adc ecx, 0;
        inc esi;
        cmp esi, SIEVE;
        jb a.to("count");
        dec ebp;
        jnz a.to("sieve");
    }
    tell(a, texts, CALL_DECIMAL, "There are ", " primes below 1048576.\n")?;
    exit(a)
}

/// Task B: the instructions that made the x86 hard to virtualize, then a Fibonacci number.
fn critical(a: &mut Asm, texts: &mut Texts<'_>) -> Assembled {
    asm! { a => label "task b"; }
    tell(a, texts, CALL_TEXT, "I try to switch interrupts off. First with CLI:\n", "")?;
    asm! { a => cli; }
    tell(a, texts, CALL_TEXT, "Now with POPF, from an image of EFLAGS with IF = 0.\n", "")?;
    asm! { a =>
        pushfd;
        and dword_ptr(esp), !0x200i32;
        popfd;
        // what EFLAGS says of IF now
        pushfd;
        pop ecx;
        shr ecx, 9;
        and ecx, 1;
    }
    tell(
        a,
        texts,
        CALL_DECIMAL,
        "No trap, and PUSHF says IF = ",
        ": POPF was ignored without a word. It is sensitive,\n         not privileged. A monitor that only waits for traps would never hear of it.\n",
    )?;
    asm! { a => smsw ecx; }
    tell(
        a,
        texts,
        CALL_HEXADECIMAL,
        "SMSW shows me CR0: ",
        "h. Sensitive and unprivileged, too: by the\n         theorem, no monitor for this machine works by traps alone. Ringer interprets instead.\n",
    )?;
    asm! { a =>
        xor eax, eax;
        mov edx, 1;
        mov ecx, FIBONACCI;
        label "fibonacci";
        xadd edx, eax;
        dec ecx;
        jnz a.to("fibonacci");
        mov ecx, eax;
    }
    tell(a, texts, CALL_HEXADECIMAL, "The 15000000th Fibonacci number ends in ", "h.\n")?;
    exit(a)
}

/// Task C: the CRC-32 of its first page, bit by bit, and an end by HLT.
fn checksum(a: &mut Asm, texts: &mut Texts<'_>) -> Assembled {
    asm! { a => label "task c"; }
    tell(a, texts, CALL_TEXT, "I add up my own code. Nearly all that I do is innocuous.\n", "")?;
    asm! { a =>
        mov ebp, ROUNDS;
        mov eax, 0xffff_ffffu32;
        label "round";
        mov esi, USER;
        label "next byte";
        movzx ecx, byte_ptr(esi);
        xor eax, ecx;
        mov ecx, 8;
        label "next bit";
        shr eax, 1;
        sbb edx, edx; // all ones if a one came out
        and edx, 0xedb8_8320u32;
        xor eax, edx;
        dec ecx;
        jnz a.to("next bit");
        inc esi;
        cmp esi, USER + 0x1000;
        jb a.to("next byte");
        dec ebp;
        jnz a.to("round");
        mov ecx, eax;
        not ecx;
    }
    tell(
        a,
        texts,
        CALL_HEXADECIMAL,
        "The CRC-32 of my page, 200 times over, is ",
        "h. Now I halt the machine:\n",
    )?;
    asm! { a => hlt; }
    exit(a)
}
