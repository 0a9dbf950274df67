//! A machine is saved in the midst of a repeated string instruction, of a DMA transfer, in an interrupt's shadow,
//! between a device's event and its interrupt, and goes on like the one that was not.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use cpu::{CpuModel, InterruptShadow};
use dev::block::{MemoryBlock, SECTOR};
use iced_x86::code_asm::*;
use machine::{Config, Exit, Firmware, Image, Machine};
use std::collections::HashMap;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled, assemble, rom};

const TABLE: u32 = 0x500;
const BUFFER: u32 = 0x1000;
const COPY: u32 = 0x3000;
const TICKS: u32 = 0x600;
/// Instructions that both machines run on after each moment.
const ON: u64 = 60_000;

fn out(a: &mut Asm, port: u32, value: u32) -> Assembled {
    asm! { a => mov dx, port; mov al, value; out dx, al; }
    Ok(())
}

fn out_dword(a: &mut Asm, port: u32, value: u32) -> Assembled {
    asm! { a => mov dx, port; mov eax, value; out dx, eax; }
    Ok(())
}

/// The timer at some 5 kHz on vector 8, and the IDE bus master at C000h.
fn set_up(a: &mut Asm) -> Assembled {
    let ports =
        [(0x20, 0x11), (0x21, 8), (0x21, 4), (0x21, 1), (0x21, 0xfe), (0x43, 0x34), (0x40, 0xee), (0x40, 0)];
    for (port, value) in ports {
        asm! { a => mov al, value as u32; out port as u32, al; }
    }
    out_dword(a, 0xcf8, 0x8000_0920)?;
    out_dword(a, 0xcfc, 0xc000)?;
    out_dword(a, 0xcf8, 0x8000_0904)?;
    out_dword(a, 0xcfc, 5)?;
    out(a, 0x3f6, 2)?;
    asm! { a =>
        mov sp, 0x7000u32;
        mov word_ptr(8 * 4), a.at("tick");
        mov word_ptr(8 * 4 + 2), 0xf000u32;
        mov dword_ptr(TABLE), BUFFER;
        mov dword_ptr(TABLE + 4), 0x8000_0000u32 | (8 * 512);
        cld;
    }
    Ok(())
}

/// Reads eight sectors by DMA while it copies memory and takes interrupts.
fn guest(a: &mut Asm) -> Assembled {
    a.section(16, 0)?;
    set_up(a)?;
    asm! { a => label "again"; }
    out_dword(a, 0xc004, TABLE)?;
    out(a, 0xc002, 6)?;
    for (port, value) in [(0x1f6, 0xe0), (0x1f2, 8), (0x1f3, 0), (0x1f4, 0), (0x1f5, 0), (0x1f7, 0xc8)] {
        out(a, port, value)?;
    }
    out(a, 0xc000, 9)?;
    asm! { a =>
        label "transfer";
        sti;
        mov si, BUFFER;
        mov di, COPY;
        mov cx, 300u32;
        label "repeat";
    }
    a.rep().movsw()?;
    asm! { a =>
        cli;
        mov ax, 0u32;
        mov ss, ax;
        mov sp, 0x7000u32;
        mov dx, 0x1f7u32;
        in_ al, dx;
        test al, 0x88;
        jnz a.to("transfer");
        label "moved";
    }
    out(a, 0xc000, 0)?;
    asm! { a =>
        sti;
        hlt;
        jmp a.to("again");
        label "tick";
        push ax;
        inc dword_ptr(TICKS);
        mov al, 0x20u32;
        out 0x20, al;
        pop ax;
        iret;
    }
    a.section(16, 0xfff0)?;
    a.db(&[0xea, 0x00, 0x00, 0x00, 0xf0]) // jmp F000:0000
}

type Make = fn() -> Box<dyn cpu::Engine + Send>;

fn disk() -> Box<MemoryBlock> {
    Box::new(MemoryBlock::new((0..64 * SECTOR).map(|n| ((n * 7) >> 3) as u8).collect()))
}

fn machine(engine: Make) -> (Machine, HashMap<String, u32>) {
    let assembly = assemble(guest).unwrap();
    let bios = rom(&assembly.pieces, 0, 0x1_0000, |at| at).unwrap();
    let config = Config { memory: 1 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, engine()).unwrap();
    machine.board().attach_disk(0, disk());
    machine.boot(&Image::Firmware(Firmware { bios, ..Firmware::default() })).unwrap();
    (machine, assembly.labels)
}

fn run_to(machine: &mut Machine, until: u64) {
    while machine.cpu().retired < until {
        let before = machine.cpu().retired;
        assert!(matches!(machine.run(until), Exit::Limit | Exit::Slice));
        assert!(machine.cpu().retired > before, "the guest sleeps for ever");
    }
}

/// What is special about the present moment.
fn moment(machine: &Machine, labels: &HashMap<String, u32>) -> Option<&'static str> {
    let cpu = machine.cpu();
    let inside = |from: &str, to: &str| (labels[from]..labels[to]).contains(&cpu.eip);
    match cpu.in_shadow() {
        InterruptShadow::None if cpu.eip == labels["repeat"] && cpu.r32(1) != 300 => Some("repeat"),
        InterruptShadow::None if inside("transfer", "moved") => Some("transfer"),
        InterruptShadow::None if cpu.eip >= labels["tick"] => Some("interrupt"),
        InterruptShadow::None => None,
        InterruptShadow::MovSs => Some("MOV SS"),
        _ => Some("STI"),
    }
}

#[test]
fn saved_at_any_moment() {
    saved(|| Box::new(interp::Interpreter::default()));
}

#[test]
fn saved_at_any_moment_of_compiled_code() {
    saved(|| Box::new(jit::Jit::new(3).unwrap()));
}

fn saved(engine: Make) {
    let (mut machine, labels) = machine(engine);
    run_to(&mut machine, 2_000);
    let mut met: HashMap<&str, usize> = HashMap::new();
    while machine.cpu().retired < 40_000 {
        let next = machine.cpu().retired + 1;
        run_to(&mut machine, next);
        let Some(what) = moment(&machine, &labels) else { continue };
        let count = met.entry(what).or_default();
        // the rarer ones all, of the others some
        if *count >= 12 || matches!(what, "repeat" | "transfer") && next % 97 != 0 {
            continue;
        }
        *count += 1;
        let saved = machine.save(Vec::new()).unwrap();
        let mut twin = Machine::load(&saved[..], engine(), |board| board.attach_disk(0, disk())).unwrap();
        assert!(saved == twin.save(Vec::new()).unwrap(), "{what} at {next}: it is saved otherwise");
        run_to(&mut twin, next + ON);
        let mut original = Machine::load(&saved[..], engine(), |board| board.attach_disk(0, disk())).unwrap();
        run_to(&mut original, next + 1);
        run_to(&mut original, next + ON);
        assert_eq!(twin.state_hash(), original.state_hash(), "{what} at {next}: stopping changes it");
    }
    for what in ["repeat", "transfer", "interrupt", "MOV SS", "STI"] {
        assert!(met.get(what).is_some_and(|&n| n > 3), "{what}: {met:?}");
    }
    // and the machine that was saved so often is the one that never was
    let (mut other, _) = self::machine(engine);
    let end = machine.cpu().retired + ON;
    run_to(&mut machine, end);
    run_to(&mut other, end);
    assert_eq!(machine.state_hash(), other.state_hash());
    let mut ticks = [0; 4];
    machine.read_physical(u64::from(TICKS), &mut ticks);
    assert!(u32::from_le_bytes(ticks) > 1, "interrupts came");
}
