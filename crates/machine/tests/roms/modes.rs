//! Modes and the ways between them.

use crate::rig::*;
use iced_x86::code_asm::*;
use isa::CpuModel;
use machine::Exit;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const IF: u32 = 0x200;
const NT: u32 = 0x4000;
const VM: u32 = 0x2_0000;
const VIF: u32 = 0x8_0000;

/// Makes a gate whose offset is a label's.
fn set_gate(a: &mut Asm, at: u32, label: &str, selector: u16, access: u8, count: u8) -> Assembled {
    let g = gate(selector, a.at(label), access, count);
    asm! { a => mov dword_ptr(at), g as u32; mov dword_ptr(at + 4), (g >> 32) as u32; }
    Ok(())
}

/// SDM vol. 3B, 20.1.4: INT pushes FLAGS, CS, IP and clears IF and TF; IRET undoes it.
#[test]
fn real_mode_int_and_iret() {
    let mut o = Rig::real(|a| {
        asm! { a =>
            mov word_ptr(0x40 * 4), a.at("handler");
            mov word_ptr(0x40 * 4 + 2), 0;
            sti;
            int 0x40;
            pushf;
            pop word_ptr(RESULT + 4);
            mov word_ptr(RESULT + 8), sp;
            jmp a.to("done");
            label "handler";
            pushf;
            pop word_ptr(RESULT);
            mov word_ptr(RESULT + 12), sp;
            iret;
        }
        Ok(())
    })
    .run();
    assert_eq!(o.exit, Exit::Stuck);
    let [inside, after, pointer, pointer_inside] = o.results();
    assert_eq!((inside & IF, after & IF), (0, IF));
    assert_eq!((pointer, pointer_inside), (STACK, STACK - 6));
}

/// SDM vol. 3B, 20.1.1 and 8.7.13.4: with A20 masked, addresses wrap at 1 MiB.
#[test]
fn a20_by_port_92_and_by_the_keyboard_controller() {
    let mut o = Rig::real(|a| {
        asm! { a =>
            mov ax, 0xffffu32;
            mov fs, ax;
            mov byte_ptr(0x500), 0x11;
            mov byte_ptr(0x510).fs(), 0x22;
            mov al, byte_ptr(0x500);
            mov byte_ptr(RESULT), al;
            // both gates shut
            mov al, 0xd1u32;
            out 0x64, al;
            mov al, 0xddu32;
            out 0x60, al;
            xor al, al;
            out 0x92, al;
            mov al, byte_ptr(0x510).fs();
            mov byte_ptr(RESULT + 4), al;
            // port 92h
            mov al, 2;
            out 0x92, al;
            mov al, byte_ptr(0x510).fs();
            mov byte_ptr(RESULT + 8), al;
            xor al, al;
            out 0x92, al;
            mov al, byte_ptr(0x510).fs();
            mov byte_ptr(RESULT + 12), al;
            // the keyboard controller
            mov al, 0xd1u32;
            out 0x64, al;
            mov al, 0xdfu32;
            out 0x60, al;
            mov al, byte_ptr(0x510).fs();
            mov byte_ptr(RESULT + 16), al;
        }
        Ok(())
    })
    .run();
    assert_eq!(o.results(), [0x11, 0x11, 0x22, 0x11, 0x22]);
}

/// SDM vol. 3A, 9.9.2: segment registers keep their limits when PE is cleared.
#[test]
fn unreal_mode_keeps_limits() {
    let mut o = Rig::real(|a| {
        asm! { a =>
            lgdt ptr(a.at("table")).cs();
            mov eax, cr0;
            or al, 1;
            mov cr0, eax;
            mov bx, u32::from(KDATA);
            mov fs, bx;
            and al, 0xfeu32;
            mov cr0, eax;
            mov ebx, 0x20_0000;
            mov dword_ptr(ebx).fs(), 0x1234_5678;
            mov eax, dword_ptr(ebx).fs();
            mov dword_ptr(RESULT), eax;
        }
        attempt(a, "other", |a| {
            asm! { a => mov eax, dword_ptr(ebx).gs(); }
            Ok(())
        })?;
        asm! { a => jmp a.to("done"); label "table"; }
        a.dw(&[0x7ff])?;
        a.dd(&[GDT])
    })
    .run();
    assert_eq!(o.result(0), 0x1234_5678);
    assert_eq!(o.dword(0x20_0000), 0x1234_5678);
    assert_eq!(o.vectors(), [13]);
}

/// Enters V86 mode at a label of the 16-bit section, with IOPL and other flags.
fn to_v86(a: &mut Asm, label: &str, flags: u32) -> Assembled {
    for value in [0u32, 0, 0, 0, 0, USER_STACK, flags | VM | 2, 0, a.at(label)] {
        asm! { a => push value as i32; }
    }
    asm! { a => iretd; }
    Ok(())
}

/// The instructions that IOPL rules in V86 mode.
fn iopl_sensitive(a: &mut Asm, n: usize) -> Assembled {
    match n {
        0 => a.cli(),
        1 => a.sti(),
        2 => a.pushf(),
        3 => a.popf(),
        4 => a.int(0x40),
        5 => a.iret(),
        _ => a.hlt(),
    }
}

/// SDM vol. 3B, 20.2.7 and 20.2.8: below IOPL 3, CLI, STI, PUSHF, POPF, INT n and IRET go to
/// the monitor; HLT and ports without the bitmap's leave always do.
#[test]
fn v86_below_iopl_3_traps_to_the_monitor() {
    let o = Rig::protected(|a| {
        for n in 0..7 {
            resume_at(a, &format!("monitor {n}"))?;
            to_v86(a, &format!("v86 {n}"), 0)?;
            a.label(&format!("monitor {n}"))?;
            a.nop()?;
        }
        resume_at(a, "monitor port")?;
        to_v86(a, "v86 port", 0x3000)?;
        asm! { a => label "monitor port"; }
        Ok(())
    })
    .also(|a| {
        a.section(16, CODE16)?;
        for n in 0..7 {
            a.label(&format!("v86 {n}"))?;
            iopl_sensitive(a, n)?;
        }
        asm! { a => label "v86 port"; in_ al, 0x21; }
        Ok(())
    })
    .run();
    assert_eq!(o.faults(), [(13, 0); 8]);
    for (n, r) in o.log.iter().enumerate().take(7) {
        assert_eq!(r.eip, o.at(&format!("v86 {n}")), "{n}");
        assert_eq!(r.flags & VM, VM);
        assert_eq!(r.cs, 0);
        // above EIP, CS and EFLAGS lie the other six of the nine doublewords
        assert_eq!(r.esp, STACK - 24);
    }
}

/// SDM vol. 3B, 20.3 and table 20-2: with VME, VIF stands in for IF, and the redirection bitmap
/// sends INT n to the 8086 program's own handler.
#[test]
fn v86_mode_extensions() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            mov dword_ptr(0x40 * 4), a.at("own handler");
            mov eax, cr4;
            or eax, 1;
            mov cr4, eax;
        }
        resume_at(a, "monitor")?;
        to_v86(a, "v86", 0)?;
        asm! { a => label "monitor"; }
        Ok(())
    })
    .descriptor(TASK, segment(TSS, 0x1ff, 0x89, 0))
    // an I/O bitmap at 88h; the redirection bitmap before it has bit 41h set
    .poke(TSS + 0x66, &[0x88, 0])
    .poke(TSS + 0x68 + 8, &[2])
    .poke(TSS + 0x88, &[0xff; 0x178])
    .also(|a| {
        a.section(16, CODE16)?;
        asm! { a =>
            label "v86";
            sti;
            pushf;
            pop word_ptr(RESULT);
            cli;
            pushf;
            pop word_ptr(RESULT + 4);
            sti;
            int 0x40;
            pushf;
            pop word_ptr(RESULT + 12);
            label "to the monitor";
            int 0x41;
            label "own handler";
            pushf;
            pop word_ptr(RESULT + 8);
            iret;
        }
        Ok(())
    })
    .run();
    let [on, off, inside, after] = o.results();
    // PUSHF shows VIF as IF, and IOPL as 3
    assert_eq!([on, off, inside, after].map(|f| f & IF), [IF, 0, 0, IF]);
    assert_eq!(on & 0x3000, 0x3000);
    assert_eq!(o.faults(), [(13, 0)]);
    assert_eq!(o.log[0].eip, o.at("to the monitor"));
    assert_eq!(o.log[0].flags & (VIF | IF), VIF);
}

/// SDM vol. 3A, 5.8.3 to 5.8.6: a call gate inwards copies parameters to the inner stack, and
/// RET with an immediate drops them from both.
#[test]
fn call_gate_inwards_and_back() {
    let mut o = Rig::protected(|a| {
        set_gate(a, GDT + u32::from(OWN), "service", KCODE, 0xec, 2)?;
        resume_at(a, "end")?;
        to_user(a, "user", 2)?;
        asm! { a =>
            label "user";
            push 0x1111;
            push 0x2222;
        }
        a.db(&[0x9a, 0, 0, 0, 0, OWN as u8 | 3, 0])?;
        asm! { a =>
            mov dword_ptr(RESULT + 16), esp;
            mov ax, cs;
            mov dword_ptr(RESULT + 20), eax;
            label "no more";
            hlt;
            label "service";
            mov eax, dword_ptr(esp + 8);
            mov dword_ptr(RESULT), eax;
            mov eax, dword_ptr(esp + 12);
            mov dword_ptr(RESULT + 4), eax;
            mov dword_ptr(RESULT + 8), esp;
            xor eax, eax;
            mov ax, cs;
            mov dword_ptr(RESULT + 12), eax;
            retf_1 8;
            label "end";
        }
        Ok(())
    })
    .run();
    let results = o.results();
    let expected = [0x2222, 0x1111, STACK - 24, KCODE.into(), USER_STACK, UCODE.into()];
    assert_eq!(results, expected);
    assert_eq!(o.faults(), [(13, 0)]);
    assert_eq!(o.log[0].eip, o.at("no more"));
}

/// SDM vol. 3A, 5.8.3: the gate's DPL must admit CPL and RPL.
#[test]
fn a_call_gate_of_dpl_0_is_shut_to_programs() {
    let o = Rig::protected(|a| {
        set_gate(a, GDT + u32::from(OWN), "end", KCODE, 0x8c, 0)?;
        resume_at(a, "end")?;
        to_user(a, "user", 2)?;
        a.label("user")?;
        a.db(&[0x9a, 0, 0, 0, 0, OWN as u8 | 3, 0])?;
        a.label("end")
    })
    .run();
    assert_eq!(o.faults(), [(13, OWN.into())]);
}

/// A TSS whose task starts at a label, at CPL 0.
fn second_task(a: &mut Asm, tss: u32, label: &str, trap: u32) -> Assembled {
    let (code, data) = (u32::from(KCODE), u32::from(KDATA));
    let fields = [
        (0x20, a.at(label)),
        (0x24, 2),
        (0x38, STACK - 0x800),
        (0x48, data),
        (0x4c, code),
        (0x50, data),
        (0x54, data),
    ];
    for (at, value) in fields.into_iter().chain([(0x64, trap)]) {
        asm! { a => mov dword_ptr(tss + at), value; }
    }
    Ok(())
}

const SECOND: u32 = 0x2200;

/// SDM vol. 3A, 7.3 and table 7-2: CALL nests a task (NT, link, both busy), IRET returns.
#[test]
fn task_switch_by_call_and_back_by_iret() {
    let mut o = Rig::protected(|a| {
        second_task(a, SECOND, "second", 0)?;
        a.mov(ebx, 0x5555)?;
        a.db(&[0x9a, 0, 0, 0, 0, OWN as u8, 0])?;
        asm! { a =>
            mov dword_ptr(RESULT + 16), ebx;
            pushfd;
            pop dword_ptr(RESULT + 20);
            str ax;
            mov dword_ptr(RESULT + 24), eax;
            movzx eax, byte_ptr(GDT + u32::from(OWN) + 5);
            mov dword_ptr(RESULT + 28), eax;
            jmp a.to("done");
            label "second";
            xor eax, eax;
            str ax;
            mov dword_ptr(RESULT), eax;
            pushfd;
            pop dword_ptr(RESULT + 4);
            movzx eax, word_ptr(SECOND);
            mov dword_ptr(RESULT + 8), eax;
            mov eax, cr0;
            mov dword_ptr(RESULT + 12), eax;
            mov ebx, 0x6666;
            movzx eax, byte_ptr(GDT + u32::from(OWN) + 5);
            mov dword_ptr(RESULT + 32), eax;
            xor eax, eax;
            iretd;
        }
        Ok(())
    })
    .descriptor(OWN, segment(SECOND, 0x67, 0x89, 0))
    .run();
    let [task, flags, link, control, kept, flags_back, tr_back, type_back, type_inside] = o.results();
    assert!(o.log.is_empty(), "{:?}", o.log);
    assert_eq!((task, link), (OWN.into(), TASK.into()));
    assert_eq!((flags & NT, flags_back & NT), (NT, 0));
    assert_eq!(control & 8, 8, "TS");
    assert_eq!((kept, tr_back & 0xffff), (0x5555, TASK.into()));
    assert_eq!((type_inside, type_back), (0x8b, 0x89));
}

/// SDM vol. 3B, 17.3.1.5: the T bit traps before the new task's first instruction, also where
/// an exception's task gate made the switch.
#[test]
fn the_t_bit_traps_before_the_first_instruction() {
    let jump = Rig::protected(|a| {
        second_task(a, SECOND, "second", 1)?;
        resume_at(a, "end")?;
        a.db(&[0xea, 0, 0, 0, 0, OWN as u8, 0])?;
        asm! { a => label "second"; mov dword_ptr(RESULT), 1; label "end"; }
        Ok(())
    });
    let exception = Rig::protected(|a| {
        second_task(a, SECOND, "second", 1)?;
        set_gate(a, IDT + 6 * 8, "second", OWN, 0x85, 0)?;
        resume_at(a, "end")?;
        asm! { a => ud2; label "second"; mov dword_ptr(RESULT), 1; label "end"; }
        Ok(())
    });
    for rig in [jump, exception] {
        let mut o = rig.descriptor(OWN, segment(SECOND, 0x67, 0x89, 0)).run();
        assert_eq!(o.vectors(), [1]);
        assert_eq!(o.log[0].eip, o.at("second"));
        assert_eq!(o.log[0].dr6 & 0x8000, 0x8000, "BT");
        assert_eq!(o.result(0), 0);
    }
}

/// SDM vol. 3A, table 6-5: a contributory fault while one is delivered is a double fault.
#[test]
fn double_fault() {
    let o = Rig::protected(|a| {
        attempt(a, "end", |a| {
            asm! { a => mov eax, 0xfff8u32; mov ds, ax; }
            Ok(())
        })
    })
    .poke(IDT + 13 * 8 + 5, &[0x0e])
    .run();
    assert_eq!(o.faults(), [(8, 0)]);
}

/// SDM vol. 3A, interrupt 8: a fault on the way to the double-fault handler shuts down.
#[test]
fn triple_fault() {
    let mut o = Rig::protected(|a| {
        asm! { a => lidt ptr(a.at("none")); mov dword_ptr(RESULT), 1; ud2; label "none"; }
        a.dw(&[0])?;
        a.dd(&[0])
    })
    .run();
    assert_eq!(o.exit, Exit::Shutdown);
    assert_eq!(o.result(0), 1);
}

/// SDM vol. 2, SYSENTER and SYSEXIT.
#[test]
fn fast_system_calls() {
    let rig = || {
        Rig::protected(|a| {
            for (msr, value) in [(0x174, u32::from(KCODE)), (0x175, STACK - 0x100), (0x176, a.at("service"))]
            {
                asm! { a => mov ecx, msr; mov eax, value; xor edx, edx; wrmsr; }
            }
            resume_at(a, "end")?;
            to_user(a, "user", 0x202)?;
            asm! { a =>
                label "user";
                sysenter;
                label "back";
                mov dword_ptr(RESULT + 12), esp;
                xor eax, eax;
                mov ax, cs;
                mov dword_ptr(RESULT + 16), eax;
                hlt;
                label "service";
                mov dword_ptr(RESULT), esp;
                xor eax, eax;
                mov ax, ss;
                mov dword_ptr(RESULT + 4), eax;
                pushfd;
                pop dword_ptr(RESULT + 8);
                mov edx, a.at("back");
                mov ecx, USER_STACK - 0x40;
                sysexit;
                label "end";
            }
            Ok(())
        })
    };
    let mut o = rig().run();
    let [pointer, stack, flags, back_esp, back_cs] = o.results();
    assert_eq!((pointer, stack, flags & IF), (STACK - 0x100, KDATA.into(), 0));
    assert_eq!((back_esp, back_cs), (USER_STACK - 0x40, UCODE.into()));
    assert_eq!(o.faults(), [(13, 0)], "HLT at CPL 3");
    // a chip without it has no such registers
    assert_eq!(rig().model(CpuModel::Pentium).run().vectors()[0], 13);
}

/// SDM vol. 4 and vol. 2, RDMSR and WRMSR: a register that is not there is #GP(0).
#[test]
fn unknown_msrs() {
    let o = Rig::protected(|a| {
        for n in [0x1234_5678u32, 0x3fff, 0xc000_0082] {
            attempt(a, &format!("read {n}"), |a| {
                asm! { a => mov ecx, n; rdmsr; }
                Ok(())
            })?;
            attempt(a, &format!("write {n}"), |a| {
                asm! { a => mov ecx, n; wrmsr; }
                Ok(())
            })?;
        }
        Ok(())
    })
    .run();
    assert_eq!(o.faults(), [(13, 0); 6]);
}

/// SDM vol. 2, CPUID: family by model, and none on chips before it.
#[test]
fn cpuid_by_model() {
    let run = |model| {
        Rig::protected(|a| {
            attempt(a, "end", |a| {
                asm! { a =>
                    mov eax, 1;
                    cpuid;
                    mov dword_ptr(RESULT), eax;
                    mov dword_ptr(RESULT + 4), edx;
                }
                Ok(())
            })
        })
        .model(model)
        .run()
    };
    assert_eq!(run(CpuModel::I386).vectors(), [6]);
    let families = [
        (CpuModel::Pentium, 5),
        (CpuModel::Pentium2, 6),
        (CpuModel::Pentium3, 6),
        (CpuModel::Pentium4, 15),
        (CpuModel::N270, 6),
    ];
    for (model, family) in families {
        let mut o = run(model);
        assert_eq!(o.vectors(), [0xff], "{model:?}");
        let [signature, features] = o.results();
        assert_eq!(signature >> 8 & 15, family, "{model:?}");
        let sse = features >> 25 & 1 == 1;
        assert_eq!(sse, model >= CpuModel::Pentium3, "{model:?}");
        assert_eq!(signature, model.signature());
    }
}

/// SDM vol. 2, RDTSC: with CR4.TSD it is privileged.
#[test]
fn time_stamp_counter_and_tsd() {
    let mut o = Rig::protected(|a| {
        asm! { a =>
            rdtsc;
            mov dword_ptr(RESULT), eax;
            rdtsc;
            mov dword_ptr(RESULT + 4), eax;
        }
        resume_at(a, "end")?;
        asm! { a => mov eax, cr4; or eax, 4; mov cr4, eax; rdtsc; mov dword_ptr(RESULT + 8), eax; }
        to_user(a, "user", 2)?;
        asm! { a => label "user"; rdtsc; mov dword_ptr(RESULT + 12), 1; hlt; label "end"; }
        Ok(())
    })
    .run();
    let [first, second, third, user] = o.results();
    assert!(first < second && second < third, "{first} {second} {third}");
    assert_eq!(user, 0);
    assert_eq!(o.faults(), [(13, 0)]);
    assert_eq!(o.log[0].eip, o.at("user"));
}
