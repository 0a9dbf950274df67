//! Debug exceptions (SDM vol. 3B, chapter 17).

use crate::rig::*;
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const TF: u32 = 0x100;
const RF: u32 = 0x1_0000;

/// Sets or clears TF.
fn trap_flag(a: &mut Asm, on: bool) -> Assembled {
    asm! { a => pushfd; }
    if on {
        asm! { a => or dword_ptr(esp), TF; }
    } else {
        asm! { a => and dword_ptr(esp), !TF; }
    }
    asm! { a => popfd; }
    Ok(())
}

fn eips(o: &Outcome) -> Vec<u32> {
    o.log.iter().map(|r| r.eip).collect()
}

/// 17.3.1.4: the trap comes after the instruction that follows the one that set TF, and after
/// the one that clears it.
#[test]
fn single_step() {
    let o = Rig::protected(|a| {
        trap_flag(a, true)?;
        asm! { a =>
            nop;
            label "one";
            nop;
            label "two";
            pushfd;
            label "three";
            and dword_ptr(esp), !TF;
            label "four";
            popfd;
            label "five";
            nop;
        }
        Ok(())
    })
    .run();
    assert_eq!(eips(&o), ["one", "two", "three", "four", "five"].map(|l| o.at(l)));
    assert!(o.log.iter().all(|r| r.vector == 1 && r.dr6 & 0x4000 != 0));
    assert!(o.log[..4].iter().all(|r| r.flags & TF != 0));
}

/// 17.3.1.4: INT n clears TF, so nothing traps at its handler's first instruction; after the
/// handler's IRET, stepping goes on behind INT's successor.
#[test]
fn int_drops_the_trap() {
    let o = Rig::protected(|a| {
        let g = gate(KCODE, a.at("handler"), 0x8e, 0);
        asm! { a => mov dword_ptr(IDT + 0x40 * 8), g as u32; mov dword_ptr(IDT + 0x40 * 8 + 4), (g >> 32) as u32; }
        trap_flag(a, true)?;
        asm! { a => int 0x40; label "after"; nop; label "next"; nop; label "end"; }
        resume_at(a, "done")?;
        asm! { a => jmp a.to("done"); label "handler"; nop; iretd; }
        Ok(())
    })
    .run();
    // the IRET that loads TF does not trap; the NOP behind it does
    assert_eq!(eips(&o)[..2], ["next", "end"].map(|l| o.at(l)));
    assert!(!eips(&o).contains(&o.at("handler")));
}

/// Enables breakpoint 0 at a label or address, by its DR7 fields.
fn breakpoint(a: &mut Asm, at: u32, kind_and_length: u32) -> Assembled {
    asm! { a =>
        mov eax, at;
        mov dr0, eax;
        mov eax, 3 | kind_and_length << 16;
        mov dr7, eax;
    }
    Ok(())
}

/// 17.3.1.1: an instruction breakpoint is a fault; the handler's RF lets the instruction run once.
#[test]
fn execution_breakpoint_and_rf() {
    let mut o = Rig::protected(|a| {
        let g = gate(KCODE, a.at("handler"), 0x8e, 0);
        asm! { a => mov dword_ptr(IDT + 8), g as u32; mov dword_ptr(IDT + 12), (g >> 32) as u32; }
        breakpoint(a, a.at("here"), 0)?;
        asm! { a =>
            mov ecx, 3;
            label "here";
            inc dword_ptr(RESULT);
            dec ecx;
            jnz a.to("here");
            jmp a.to("done");
            label "handler";
            inc dword_ptr(RESULT + 4);
            mov eax, dword_ptr(esp);
            mov dword_ptr(RESULT + 8), eax;
            mov eax, dword_ptr(esp + 8);
            mov dword_ptr(RESULT + 12), eax;
            or dword_ptr(esp + 8), RF;
            iretd;
        }
        Ok(())
    })
    .limit(100_000)
    .run();
    let [ran, hits, eip, flags] = o.results();
    assert_eq!((ran, hits), (3, 3));
    assert_eq!(eip, o.at("here"));
    assert_eq!(flags & RF, 0, "an instruction breakpoint pushes RF clear");
}

/// 17.3.1.2: a data breakpoint is a trap after the access; reads do not meet a write breakpoint.
#[test]
fn data_breakpoints() {
    let o = Rig::protected(|a| {
        // write, 4 bytes
        breakpoint(a, RESULT, 0b1101)?;
        asm! { a =>
            mov eax, dword_ptr(RESULT);
            mov dword_ptr(RESULT + 4), 1;
            mov dword_ptr(RESULT - 4), 1;
            label "write";
            mov byte_ptr(RESULT + 3), 1;
            label "written";
            nop;
        }
        // read or write, 1 byte
        breakpoint(a, RESULT + 9, 0b0011)?;
        asm! { a =>
            mov al, byte_ptr(RESULT + 8);
            mov ax, word_ptr(RESULT + 8);
            label "read";
            nop;
        }
        Ok(())
    })
    .run();
    assert_eq!(eips(&o), ["written", "read"].map(|l| o.at(l)));
    assert!(o.log.iter().all(|r| r.vector == 1 && r.dr6 & 1 != 0));
}

/// SDM vol. 3A, 6.8.3: MOV SS holds off debug traps to the end of the next instruction.
#[test]
fn mov_ss_puts_debug_traps_off() {
    let o = Rig::protected(|a| {
        breakpoint(a, RESULT, 0b1111)?;
        asm! { a =>
            mov dword_ptr(RESULT - 4), 0;
            mov ebx, RESULT;
            xor edx, edx;
            mov dx, ss;
        }
        asm! { a => mov eax, dr7; and eax, !3; mov dr7, eax; mov dword_ptr(RESULT), edx; or eax, 3; mov dr7, eax; }
        asm! { a =>
            mov ss, word_ptr(ebx);
            nop;
            label "after the next";
            nop;
        }
        asm! { a => xor eax, eax; mov dr7, eax; mov dr6, eax; }
        trap_flag(a, true)?;
        asm! { a =>
            mov ss, dx;
            nop;
            label "stepped";
            nop;
            label "again";
        }
        trap_flag(a, false)
    })
    .run();
    assert_eq!(eips(&o)[..3], ["after the next", "stepped", "again"].map(|l| o.at(l)));
}

/// 17.2.4: with GD, an access to a debug register is a fault.
#[test]
fn general_detect() {
    let o = Rig::protected(|a| {
        asm! { a => mov eax, 0x2000; mov dr7, eax; }
        attempt(a, "end", |a| {
            asm! { a => label "access"; mov ebx, dr0; }
            Ok(())
        })
    })
    .run();
    assert_eq!(o.vectors(), [1]);
    assert_eq!(o.log[0].eip, o.at("access"));
}
