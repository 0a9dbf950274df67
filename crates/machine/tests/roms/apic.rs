//! The local APIC and the I/O APIC (SDM vol. 3A, chapter 10; 82093AA data sheet 290566).

use crate::rig::*;
use iced_x86::code_asm::*;
use isa::CpuModel;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const LAPIC: u32 = 0xfee0_0000;
const IOAPIC: u32 = 0xfec0_0000;
const ID_VERSION: u32 = 0x30;
const TPR: u32 = 0x80;
const EOI: u32 = 0xb0;
const SVR: u32 = 0xf0;
const ESR: u32 = 0x280;
const ICR: u32 = 0x300;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_ERROR: u32 = 0x370;
const INITIAL: u32 = 0x380;
const DIVIDE: u32 = 0x3e0;
const TO_SELF: u32 = 1 << 18;

/// EBP is the local APIC, which is enabled in any case, and ESI the I/O APIC.
fn start(a: &mut Asm) -> Assembled {
    asm! { a => mov ebp, LAPIC; mov esi, IOAPIC; }
    local(a, SVR, 0x1ff)
}

/// Writes a register of the local APIC.
fn local(a: &mut Asm, register: u32, value: u32) -> Assembled {
    asm! { a => mov dword_ptr(ebp + register), value; }
    Ok(())
}

/// Writes the lower half of an entry of the I/O APIC.
fn pin(a: &mut Asm, pin: u32, value: u32) -> Assembled {
    asm! { a => mov dword_ptr(esi), 0x10 + 2 * pin; mov dword_ptr(esi + 0x10), value; }
    Ok(())
}

fn on(a: &mut Asm, vector: u32, label: &str) -> Assembled {
    let (g, at) = (gate(KCODE, a.at(label), 0x8e, 0), IDT + vector * 8);
    asm! { a => mov dword_ptr(at), g as u32; mov dword_ptr(at + 4), (g >> 32) as u32; }
    Ok(())
}

fn out_ports(a: &mut Asm, values: &[(u32, u8)]) -> Assembled {
    for &(port, value) in values {
        asm! { a => mov edx, port; mov al, u32::from(value); out dx, al; }
    }
    Ok(())
}

/// The PIT as a rate generator, of 100,000 / 119,318 ms.
fn pit(a: &mut Asm) -> Assembled {
    out_ports(a, &[(0x43, 0x34), (0x40, (1000 & 0xff) as u8), (0x40, (1000 >> 8) as u8)])
}

/// Both PICs at vectors 20h and 28h, only the timer open.
fn pics(a: &mut Asm) -> Assembled {
    let words =
        [(0x20, 0x11), (0xa0, 0x11), (0x21, 0x20), (0xa1, 0x28), (0x21, 4), (0xa1, 2), (0x21, 1), (0xa1, 1)];
    out_ports(a, &words)?;
    out_ports(a, &[(0x21, 0xfe), (0xa1, 0xff)])
}

/// HLT with interrupts on, until result `n` has reached `count`.
fn sleep_until(a: &mut Asm, n: u32, count: u32, name: &str) -> Assembled {
    asm! { a =>
        label name;
        sti;
        hlt;
        cli;
        cmp dword_ptr(RESULT + 4 * n), count;
        jb a.to(name);
    }
    Ok(())
}

/// A handler that counts in result `n` and ends the interrupt.
fn counting(a: &mut Asm, label: &str, n: u32) -> Assembled {
    asm! { a => label label; inc dword_ptr(RESULT + 4 * n); }
    local(a, EOI, 0)?;
    asm! { a => iretd; }
    Ok(())
}

/// 10.5.4: the periodic timer wakes an idle CPU.
#[test]
fn the_timer_wakes_an_idle_machine() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0x40, "tick")?;
        local(a, DIVIDE, 0xb)?;
        local(a, LVT_TIMER, 0x2_0040)?;
        local(a, INITIAL, 10_000)?;
        sleep_until(a, 0, 5, "sleep")?;
        asm! { a => jmp a.to("done"); }
        counting(a, "tick", 0)
    })
    .run();
    assert_eq!((o.result(0), o.faults()), (5, vec![]));
    // five times 100 microseconds
    let now = o.machine.now();
    assert!((500_000..=700_000).contains(&now), "{now}");
}

/// 10.5.4: one-shot, and a running CPU is interrupted at the time; the current count says how far it is.
#[test]
fn a_single_shot_interrupts_in_time() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0x40, "tick")?;
        local(a, DIVIDE, 0xb)?;
        local(a, LVT_TIMER, 0x40)?;
        local(a, INITIAL, 20_000)?;
        asm! { a =>
            sti;
            label "wait";
            mov eax, dword_ptr(ebp + 0x390);
            inc dword_ptr(RESULT + 4);
            cmp dword_ptr(RESULT), 0;
            je a.to("wait");
            mov eax, dword_ptr(ebp + 0x390);
            mov dword_ptr(RESULT + 8), eax;
            mov ecx, 100_000;
            label "more";
            dec ecx;
            jnz a.to("more");
            jmp a.to("done");
        }
        counting(a, "tick", 0)
    })
    .run();
    let [count, turns, left] = o.results();
    assert_eq!((count, left), (1, 0));
    // 200 microseconds at 5 ns an instruction, four of them a turn
    assert!((9_900..10_100).contains(&turns), "{turns}");
}

/// 10.8.3.1: a vector whose class is not above TPR's waits in IRR; then it comes before the next instruction.
#[test]
fn tpr_holds_off_and_lets_in() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0x41, "ipi")?;
        local(a, TPR, 0x40)?;
        local(a, ICR, TO_SELF | 0x41)?;
        asm! { a =>
            sti;
            nop;
            nop;
            mov eax, dword_ptr(ebp + 0x220);
            mov dword_ptr(RESULT + 4), eax;
            mov eax, dword_ptr(RESULT);
            mov dword_ptr(RESULT + 8), eax;
        }
        local(a, TPR, 0x3f)?;
        asm! { a => mov eax, dword_ptr(RESULT); mov dword_ptr(RESULT + 12), eax; jmp a.to("done"); }
        counting(a, "ipi", 0)
    })
    .run();
    assert_eq!(o.results(), [1, 2, 0, 1]);
}

/// 10.8.3: a higher class interrupts a handler, the same class waits for its end.
#[test]
fn interrupts_nest_by_class() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        for (v, label) in [(0x31, "low"), (0x3f, "same"), (0x51, "high")] {
            on(a, v, label)?;
        }
        asm! { a => mov ebx, RESULT; }
        local(a, ICR, TO_SELF | 0x31)?;
        asm! { a => sti; nop; nop; jmp a.to("done"); }
        let note = |a: &mut Asm, n: u32| -> Assembled {
            asm! { a => mov dword_ptr(ebx), n; add ebx, 4; }
            Ok(())
        };
        asm! { a => label "low"; }
        note(a, 1)?;
        local(a, ICR, TO_SELF | 0x3f)?;
        local(a, ICR, TO_SELF | 0x51)?;
        asm! { a => sti; nop; nop; cli; }
        note(a, 2)?;
        local(a, EOI, 0)?;
        asm! { a => iretd; label "same"; }
        note(a, 3)?;
        local(a, EOI, 0)?;
        asm! { a => iretd; label "high"; }
        note(a, 4)?;
        local(a, EOI, 0)?;
        asm! { a => iretd; }
        Ok(())
    })
    .run();
    assert_eq!(o.results(), [1, 4, 2, 3]);
}

/// The timer's edges at pin 2, where IRQ 0 is wired, without the 8259A.
#[test]
fn the_pit_interrupts_through_pin_2() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0x50, "tick")?;
        local(a, LVT_LINT0, 0x1_0700)?;
        pin(a, 2, 0x50)?;
        pit(a)?;
        sleep_until(a, 0, 4, "sleep")?;
        asm! { a => mov dword_ptr(esi), 0x14; mov eax, dword_ptr(esi + 0x10); mov dword_ptr(RESULT + 4), eax; }
        asm! { a => jmp a.to("done"); }
        counting(a, "tick", 0)
    })
    .run();
    assert_eq!(o.results(), [4, 0x50]);
    // the output rises when the mode is set, then every 838 microseconds
    let now = o.machine.now();
    assert!((2_500_000..3_400_000).contains(&now), "{now}");
}

/// A level-triggered input that is still active at its EOI interrupts again; remote IRR is set in between.
#[test]
fn a_level_interrupts_until_it_falls() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0x60, "serial")?;
        pin(a, 4, 0x8060)?;
        // the first serial port: OUT2, and an interrupt by the empty transmitter
        out_ports(a, &[(0x3fc, 8), (0x3f9, 2)])?;
        asm! { a =>
            sti;
            mov ecx, 1000;
            label "wait";
            dec ecx;
            jnz a.to("wait");
            cli;
            mov dword_ptr(esi), 0x18;
            mov eax, dword_ptr(esi + 0x10);
            mov dword_ptr(RESULT + 8), eax;
            jmp a.to("done");
            label "serial";
            inc dword_ptr(RESULT);
            mov dword_ptr(esi), 0x18;
            mov eax, dword_ptr(esi + 0x10);
            mov dword_ptr(RESULT + 4), eax;
            // TMR
            mov eax, dword_ptr(ebp + 0x1b0);
            mov dword_ptr(RESULT + 12), eax;
            cmp dword_ptr(RESULT), 3;
            jb a.to("end");
            // the third time its cause is taken away
            mov edx, 0x3fau32;
            in_ al, dx;
            label "end";
        }
        local(a, EOI, 0)?;
        asm! { a => iretd; }
        Ok(())
    })
    .run();
    assert_eq!(o.results(), [3, 0xc060, 0x8060, 1]);
}

/// MP specification 3.6.2.2: virtual wire mode, in which firmware leaves the machine; LINT0's mask closes it.
#[test]
fn the_8259_comes_through_lint0() {
    let mut o = Rig::protected(|a| {
        asm! { a => mov ebp, LAPIC; }
        on(a, 0x20, "tick")?;
        pics(a)?;
        local(a, LVT_LINT0, 0x1_0700)?;
        pit(a)?;
        asm! { a =>
            sti;
            mov ecx, 500_000;
            label "masked";
            dec ecx;
            jnz a.to("masked");
            cli;
            mov eax, dword_ptr(RESULT);
            mov dword_ptr(RESULT + 4), eax;
        }
        local(a, LVT_LINT0, 0x700)?;
        sleep_until(a, 0, 3, "sleep")?;
        asm! { a => jmp a.to("done"); label "tick"; inc dword_ptr(RESULT); }
        asm! { a => push eax; mov al, 0x20u32; out 0x20, al; pop eax; iretd; }
        Ok(())
    })
    .limit(3_000_000)
    .run();
    assert_eq!(o.results(), [3, 0]);
}

/// 82093AA, delivery mode ExtINT: the 8259A's request comes through the I/O APIC.
#[test]
fn the_8259_comes_through_the_io_apic() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0x20, "tick")?;
        pics(a)?;
        local(a, LVT_LINT0, 0x1_0700)?;
        pin(a, 0, 0x700)?;
        pit(a)?;
        sleep_until(a, 0, 3, "sleep")?;
        asm! { a => jmp a.to("done"); label "tick"; inc dword_ptr(RESULT); }
        asm! { a => push eax; mov al, 0x20u32; out 0x20, al; pop eax; iretd; }
        Ok(())
    })
    .run();
    assert_eq!(o.result(0), 3);
}

/// NMIs: by an interprocessor interrupt, and by an input of the I/O APIC, which wakes a CPU that
/// has interrupts off.
#[test]
fn nmis() {
    let o = Rig::protected(|a| {
        start(a)?;
        local(a, ICR, 2 << 18 | 0x400)?;
        asm! { a => label "first"; nop; }
        pin(a, 2, 0x400)?;
        pit(a)?;
        asm! { a => hlt; label "woken"; nop; hlt; }
        pin(a, 2, 0x1_0400)?;
        Ok(())
    })
    .run();
    assert_eq!(o.vectors()[..2], [2, 2]);
    assert_eq!(o.log[0].eip, o.at("first"));
    assert!(o.log.len() >= 3 && o.log.iter().any(|r| r.eip == o.at("woken")), "{:x?}", o.log);
}

/// 10.5.3: an illegal vector in ICR is an error.
#[test]
fn an_illegal_vector_is_an_error() {
    let mut o = Rig::protected(|a| {
        start(a)?;
        on(a, 0xfe, "error")?;
        local(a, LVT_ERROR, 0xfe)?;
        local(a, ICR, TO_SELF | 5)?;
        asm! { a => sti; nop; nop; cli; }
        local(a, ESR, 0)?;
        asm! { a => mov eax, dword_ptr(ebp + ESR); mov dword_ptr(RESULT + 4), eax; jmp a.to("done"); }
        counting(a, "error", 0)
    })
    .run();
    assert_eq!(o.results(), [1, 0x20]);
}

fn cpuid_edx(a: &mut Asm, n: u32) -> Assembled {
    asm! { a => mov eax, 1; cpuid; mov dword_ptr(RESULT + 4 * n), edx; }
    Ok(())
}

fn set_base(a: &mut Asm, value: u32) -> Assembled {
    asm! { a => mov ecx, 0x1b; xor edx, edx; mov eax, value; wrmsr; }
    Ok(())
}

/// 10.4.3 and 10.4.4: switched off, the chip has no APIC and INTR is the 8259A's; the page moves, over RAM too.
#[test]
fn the_base_register() {
    const ELSEWHERE: u32 = 0x20_0000;
    let mut o = Rig::protected(|a| {
        asm! { a => mov ebp, LAPIC; mov ecx, 0x1b; rdmsr; mov dword_ptr(RESULT), eax; }
        cpuid_edx(a, 1)?;
        set_base(a, LAPIC | 0x100)?;
        cpuid_edx(a, 2)?;
        asm! { a => mov eax, dword_ptr(ebp + ID_VERSION); mov dword_ptr(RESULT + 12), eax; }
        asm! { a => mov dword_ptr(ELSEWHERE + ID_VERSION), 0x1234_5678; }
        set_base(a, ELSEWHERE | 0x900)?;
        asm! { a => mov eax, dword_ptr(ELSEWHERE + ID_VERSION); mov dword_ptr(RESULT + 16), eax; }
        asm! { a => mov eax, dword_ptr(ebp + ID_VERSION); mov dword_ptr(RESULT + 20), eax; }
        set_base(a, LAPIC | 0x900)?;
        asm! { a => mov eax, dword_ptr(ELSEWHERE + ID_VERSION); mov dword_ptr(RESULT + 24), eax; }
        asm! { a => mov al, byte_ptr(ebp + 0x32u32); mov byte_ptr(RESULT + 28), al; }
        attempt(a, "reserved", |a| set_base(a, LAPIC | 0xd00))?;
        set_base(a, LAPIC | 0x100)?;
        on(a, 0x20, "tick")?;
        pics(a)?;
        pit(a)?;
        sleep_until(a, 8, 2, "sleep")?;
        asm! { a => jmp a.to("done"); label "tick"; inc dword_ptr(RESULT + 32); }
        asm! { a => push eax; mov al, 0x20u32; out 0x20, al; pop eax; iretd; }
        Ok(())
    })
    .run();
    let [base, with, without, gone, moved, old, ram, byte, ticks] = o.results();
    assert_eq!((base, with >> 9 & 1, without >> 9 & 1), (0xfee0_0900, 1, 0));
    assert_eq!((gone, moved, old, ram), (u32::MAX, 0x5_0014, u32::MAX, 0x1234_5678));
    assert_eq!((byte, ticks), (5, 2), "a byte of a register; the 8259A alone");
    assert_eq!(o.faults(), [(13, 0)]);
}

/// Which models have what: the Pentium an APIC without the MSR, older ones nothing.
#[test]
fn models() {
    for (model, version, bit) in [
        (CpuModel::I386, u32::MAX, 0),
        (CpuModel::I486, u32::MAX, 0),
        (CpuModel::Pentium, 0x5_0014, 1),
        (CpuModel::Pentium3, 0x5_0014, 1),
    ] {
        let mut o = Rig::protected(move |a| {
            asm! { a => mov ebp, LAPIC; mov esi, IOAPIC; }
            asm! { a => mov eax, dword_ptr(ebp + ID_VERSION); mov dword_ptr(RESULT), eax; }
            asm! { a => mov eax, dword_ptr(esi); mov dword_ptr(RESULT + 4), eax; }
            if model >= CpuModel::I486 {
                cpuid_edx(a, 2)?;
            }
            if model == CpuModel::Pentium {
                attempt(a, "rdmsr", |a| {
                    asm! { a => mov ecx, 0x1b; rdmsr; }
                    Ok(())
                })?;
            }
            Ok(())
        })
        .model(model)
        .run();
        let [found, select, features] = o.results();
        assert_eq!((found, features >> 9 & 1), (version, bit), "{model:?}");
        assert_eq!(select, if bit == 1 { 0 } else { u32::MAX }, "{model:?}");
        assert_eq!(o.vectors(), if model == CpuModel::Pentium { vec![13] } else { vec![] }, "{model:?}");
    }
}
