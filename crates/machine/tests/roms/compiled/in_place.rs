//! Sensitive instructions of a supervisor that are done in place, where mode and privilege change under them.

use super::*;

/// A procedure that both privileges call in turn, with IOPL 3 and with 0, where CLI faults for one of them.
#[test]
fn by_both_privileges() {
    for iopl in [3, 0] {
        let mut o = Rig::protected(move |a| {
            let g = gate(KCODE, a.at("kernel"), 0xee, 0);
            asm! { a => mov dword_ptr(IDT + 0x40 * 8), g as u32; mov dword_ptr(IDT + 0x40 * 8 + 4), (g >> 32) as u32; }
            on(a, 13, "fault")?;
            asm! { a =>
                mov ebp, TIMES;
                mov eax, u32::from(UDATA);
                mov ds, ax;
                mov es, ax;
                push u32::from(UDATA) as i32;
                push USER_STACK as i32;
                push iopl << 12 | 0x202;
                push u32::from(UCODE) as i32;
                push a.at("user") as i32;
                iretd;
                label "user";
                label "again";
                call a.to("both");
                int 0x40;
                dec ebp;
                jnz a.to("again");
                mov ebp, 0x7000_0000;
                int 0x40;
                label "kernel";
                cmp ebp, 0x7000_0000;
                je a.to("done");
                call a.to("both");
                iretd;
                label "fault"; // CLI of the user: over it
                add esp, 4;
                inc dword_ptr(RESULT + 12);
                inc dword_ptr(esp);
                iretd;
                label "both";
                add eax, ebp;
                pushfd;
                pop ecx;
                label "cli";
                cli;
                pushfd;
                push ss;
                push cs;
                pop edx;
                add dword_ptr(RESULT), edx;
                pop edx;
                add dword_ptr(RESULT), edx;
                pop edx;
                xor ecx, edx;
                add dword_ptr(RESULT + 4), ecx;
                mov edi, cs;
                mov si, ss;
                add dword_ptr(RESULT + 8), edi;
                ret;
            }
            Ok(())
        })
        .hot()
        .run();
        let selectors = u32::from(KCODE) + u32::from(UCODE) + u32::from(KDATA) + u32::from(UDATA);
        let user_cli = if iopl == 3 { 0 } else { TIMES };
        assert_eq!(o.result(3), user_cli);
        assert_eq!(o.result(0) & 0xffff, TIMES * selectors);
    }
}

/// 16-bit code with a 32-bit stack, in real and in protected mode in turn.
#[test]
fn with_cr0_pe_on_and_off() {
    Rig::real(|a| {
        asm! { a => lgdt ptr(a.at("table")); mov eax, cr0; or al, 1; mov cr0, eax; mov bx, u32::from(OWN); mov ss, bx; mov esp, STACK; mov cx, TIMES; label "again"; }
        asm! { a => mov eax, cr0; or al, 1; mov cr0, eax; call a.to("both"); mov eax, cr0; and al, 0xfeu32; mov cr0, eax; call a.to("both"); dec cx; jnz a.to("again"); jmp a.to("done"); label "both"; add ax, cx; cli; pushfd; }
        a.db(&[0x66, 0x0f, 0xa0])?; // PUSH FS, 32 bits
        asm! { a => pop ebx; xor dword_ptr(RESULT).cs(), ebx; pop ebx; add dword_ptr(RESULT + 4).cs(), ebx; mov edi, fs; mov si, cs; add dword_ptr(RESULT + 8).cs(), edi; ret; label "table"; }
        a.dw(&[0x7ff])?;
        a.dd(&[GDT])
    })
    .descriptor(OWN, segment(0, 0xf_ffff, 0x93, 0xc))
    .hot()
    .run();
}

/// V86 mode runs what a supervisor in 16-bit code runs, and PUSHF faults there.
#[test]
fn in_v86_mode_as_well() {
    let o = Rig::protected(|a| {
        on(a, 13, "fault")?;
        let [low, high, ..] = ROOM.to_le_bytes();
        asm! { a => mov ebp, TIMES; label "again"; }
        a.db(&[0x66, 0x9a, low, high, OWN as u8, 0])?;
        asm! { a =>
            push 0;
            push 0;
            push 0;
            push 0;
            push 0;
            push 0x8000;
            push 0x2_0002;
            push 0;
            push ROOM as i32;
            mov dword_ptr(RESULT + 12), esp;
            iretd;
            label "fault";
            add esp, 4;
            mov ecx, dword_ptr(esp);
            add dword_ptr(RESULT).ss(), ecx;
            mov eax, u32::from(KDATA);
            mov ds, ax;
            mov es, ax;
            mov esp, STACK;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .also(|a| {
        a.section(16, ROOM)?;
        // MOV AX, CS; PUSHFD; POP EAX; CLI; RETF
        a.db(&[0x8c, 0xc8, 0x66, 0x9c, 0x66, 0x58, 0xfa, 0xcb])
    })
    .descriptor(OWN, segment(0, 0xffff, 0x9b, 0))
    .hot()
    .run();
    let mut o = o;
    assert_eq!(o.result(0), TIMES * (ROOM + 2));
}

/// Stacks that are no flat ones: a limit that a selector fits, with the upper half of its place outside; across pages
/// that lie apart; and a pointer that wraps.
#[test]
fn at_odd_ends_of_the_stack() {
    let mut o = Rig::protected(|a| {
        paging_on(a)?;
        asm! { a =>
            mov ebp, TIMES;
            label "again";
            mov eax, u32::from(OWN);
            mov ss, ax;
            mov esp, 0x104;
            push fs;
            push ds;
            mov ecx, dword_ptr(PAGE + 0xfc);
            add dword_ptr(RESULT), ecx;
            add dword_ptr(RESULT + 4), esp;
            mov eax, u32::from(KDATA);
            mov ss, ax;
            mov esp, PAGE + 0x1002;
            sub esp, 0;
            pushfd;
            add dword_ptr(RESULT + 8), esp;
            mov esp, PAGE + 0x1002;
            push ds;
            mov esp, PAGE + 0x1003;
            push es;
            mov ecx, dword_ptr(PAGE + 0xffe);
            add dword_ptr(RESULT + 12), ecx;
            mov esp, STACK;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .dwords(ENTRY + 4, &[(PAGE + 0x5000) | 7])
    .descriptor(OWN, segment(PAGE, 0x101, 0x93, 4))
    .hot()
    .run();
    assert_eq!(o.results(), [TIMES * u32::from(KDATA), TIMES * 0xfc, TIMES * (PAGE + 0xffe)]);
}

/// A page of code that is not shown, or not there, in each turn: what the walk notes, and the fault.
#[test]
fn code_that_comes_and_goes() {
    let mut o = Rig::protected(|a| {
        on(a, 14, "fault")?;
        write_routine(a, PAGE, 5)?;
        paging_on(a)?;
        asm! { a =>
            mov ebp, 2 * TIMES;
            xor edi, edi;
            label "again";
            mov eax, ebp;
            and eax, 1;
            or eax, PAGE | 6;
            mov dword_ptr(ENTRY), eax;
            invlpg byte_ptr(PAGE);
            mov eax, PAGE;
            call eax;
            add dword_ptr(RESULT), eax;
            mov ecx, dword_ptr(ENTRY);
            and ecx, 0x61;
            add edi, ecx;
            mov eax, cr3;
            mov cr3, eax;
            dec ebp;
            jnz a.to("again");
            mov dword_ptr(RESULT + 4), edi;
            jmp a.to("done");
            label "fault";
            add esp, 4;
            inc dword_ptr(RESULT + 8);
            or dword_ptr(ENTRY), 1;
            iretd;
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.results(), [10 * TIMES, 2 * TIMES * 0x21, TIMES]);
}

/// Code in a page table, in the grain of the entry that its fetches and those of others set bits of.
#[test]
fn code_beside_the_entry_of_code() {
    let mut o = Rig::protected(|a| {
        write_routine(a, PAGE, 5)?;
        write_routine(a, ENTRY + 8, 7)?;
        paging_on(a)?;
        asm! { a =>
            mov ebp, TIMES;
            label "again";
            mov dword_ptr(ENTRY), PAGE | 7;
            invlpg byte_ptr(PAGE);
            mov eax, ENTRY + 8;
            call eax;
            add dword_ptr(RESULT), eax;
            mov eax, PAGE;
            call eax;
            add dword_ptr(RESULT), eax;
            mov ecx, dword_ptr(ENTRY);
            add dword_ptr(RESULT + 4), ecx;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .paged()
    .hot()
    .run();
    assert_eq!(o.results(), [12 * TIMES, TIMES.wrapping_mul(PAGE | 0x27)]);
}

/// Forms that are counted from the midst of a hot loop on are all counted.
#[test]
fn forms_are_counted_from_any_time_on() {
    // the ROM is copied first, and the loop has been compiled in all tiers when the counting begins
    let copied = 0x8000;
    let o = Rig::protected(|a| {
        asm! { a =>
            mov ebp, 50 * TIMES;
            label "again";
            mov eax, ds;
            push es;
            pushfd;
            cli;
            add esp, 8;
            dec ebp;
            jnz a.to("again");
        }
        Ok(())
    })
    .profiled(copied + 8 * 25 * u64::from(TIMES))
    .hot()
    .run();
    let times: Vec<u64> = o.machine.profile().unwrap().forms().iter().map(|(_, t)| t.run).collect();
    assert!(times.len() >= 4 && times[..4].iter().all(|&n| (400..600).contains(&n)), "{times:?}");
    assert!(o.meters.iter().any(|m| m.in_place > 0), "{:?}", o.meters);
}
