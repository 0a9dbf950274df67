//! What a guest has flushed survives a host that stops at any point: a guest of its own writes a disk by PIO,
//! by multiple sectors and by bus master, flushes, and says so; then every cut of the disk's record, with
//! unflushed writes dropped and reordered, is held against what it had said.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use cpu::CpuModel;
use dev::block::{MemoryBlock, SECTOR};
use dev::{Block, BlockError};
use disk::{Log, Logged};
use iced_x86::code_asm::*;
use machine::{Config, Exit, Firmware, Image, Machine};
use std::collections::BTreeMap;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled, assemble, rom};

/// Rounds of writes with a flush behind each.
const ROUNDS: u16 = 120;
/// Writes of a round.
const WRITES: u16 = 5;
/// The disk's first sectors, among which the guest chooses.
const PLACES: u32 = 64;
/// Points at which the host stops.
const CUTS: usize = 1000;

const TURN: u32 = 0x600;
const LEFT: u32 = 0x602;
const SEED: u32 = 0x604;
const TABLE: u32 = 0x500;
const BUFFER: u32 = 0x1000;
const BUS_MASTER: u32 = 0xc000;

/// The next of the guest's random numbers.
fn next(seed: u32) -> u32 {
    seed.wrapping_mul(1_103_515_245).wrapping_add(12_345)
}

/// Sectors that a write of a round has, which is how it is done: PIO, multiple sectors, bus master.
fn length(round: u16) -> u32 {
    [3, 4, 2][usize::from(round % 3)]
}

fn out(a: &mut Asm, port: u32, value: u32) -> Assembled {
    asm! { a => mov dx, port; mov al, value; out dx, al; }
    Ok(())
}

fn out_dword(a: &mut Asm, port: u32, value: u32) -> Assembled {
    asm! { a => mov dx, port; mov eax, value; out dx, eax; }
    Ok(())
}

/// Waits until these bits of the drive's status are clear.
fn wait(a: &mut Asm, bits: u32, name: &str) -> Assembled {
    asm! { a => mov dx, 0x1f7u32; label name; in_ al, dx; test al, bits; jnz a.to(name); }
    Ok(())
}

/// A command over `count` sectors from the one in BL.
fn command(a: &mut Asm, count: u32, command: u32) -> Assembled {
    out(a, 0x1f6, 0xe0)?;
    out(a, 0x1f2, count)?;
    asm! { a => mov dx, 0x1f3u32; mov al, bl; out dx, al; }
    out(a, 0x1f4, 0)?;
    out(a, 0x1f5, 0)?;
    out(a, 0x1f7, command)
}

fn words(a: &mut Asm, count: u32) -> Assembled {
    asm! { a => mov cx, count; mov dx, 0x1f0u32; }
    a.rep().outsw()
}

fn set_up(a: &mut Asm) -> Assembled {
    // the bus master's ports at C000h, and the IDE function on the bus
    out_dword(a, 0xcf8, 0x8000_0920)?;
    out_dword(a, 0xcfc, BUS_MASTER)?;
    out_dword(a, 0xcf8, 0x8000_0904)?;
    out_dword(a, 0xcfc, 5)?;
    // no interrupts, and four sectors a block
    out(a, 0x3f6, 2)?;
    wait(a, 0x80, "there")?;
    command(a, 4, 0xc6)?;
    wait(a, 0x80, "set")?;
    asm! { a =>
        mov dword_ptr(TABLE), BUFFER;
        mov dword_ptr(TABLE + 4), 0x8000_0000u32 | (length(2) * 512);
        mov dword_ptr(SEED), 1u32;
        mov bp, 0u32;
        cld;
    }
    Ok(())
}

/// One write, by the way of its round, whose number modulo 3 is in DX.
fn write(a: &mut Asm) -> Assembled {
    asm! { a => mov si, BUFFER; cmp dx, 1u32; je a.to("multiple"); ja a.to("master"); }
    command(a, length(0), 0x30)?;
    asm! { a => mov word_ptr(LEFT), length(0); label "sector"; }
    wait(a, 0x80, "ready")?;
    words(a, 256)?;
    asm! { a => dec word_ptr(LEFT); jnz a.to("sector"); jmp a.to("written"); label "multiple"; }
    command(a, length(1), 0xc5)?;
    wait(a, 0x80, "block")?;
    words(a, 256 * length(1))?;
    asm! { a => jmp a.to("written"); label "master"; }
    out_dword(a, BUS_MASTER + 4, TABLE)?;
    out(a, BUS_MASTER + 2, 6)?;
    command(a, length(2), 0xca)?;
    out(a, BUS_MASTER, 1)?;
    wait(a, 0x88, "moved")?;
    out(a, BUS_MASTER, 0)?;
    asm! { a => label "written"; }
    wait(a, 0x80, "done")
}

fn guest(a: &mut Asm) -> Assembled {
    a.section(16, 0)?;
    set_up(a)?;
    asm! { a =>
        label "round";
        mov word_ptr(TURN), 0u32;
        label "turn";
        // what is written: the round and the turn
        mov ax, bp;
        shl ax, 3u32;
        add ax, word_ptr(TURN);
        mov di, BUFFER;
        mov cx, 1024u32;
    }
    a.rep().stosw()?;
    asm! { a =>
        imul_3 eax, dword_ptr(SEED), 1_103_515_245;
        add eax, 12_345;
        mov dword_ptr(SEED), eax;
        shr eax, 16u32;
        and ax, PLACES - 1;
        mov bx, ax;
        mov ax, bp;
        xor dx, dx;
        mov cx, 3u32;
        div cx;
    }
    write(a)?;
    asm! { a => inc word_ptr(TURN); cmp word_ptr(TURN), u32::from(WRITES); jb a.to("turn"); }
    out(a, 0x1f7, 0xe7)?;
    wait(a, 0x80, "flushed")?;
    out(a, 0xe9, u32::from(b'.'))?;
    asm! { a => inc bp; cmp bp, u32::from(ROUNDS); jb a.to("round"); cli; hlt; }
    a.section(16, 0xfff0)?;
    a.db(&[0xea, 0x00, 0x00, 0x00, 0xf0]) // jmp F000:0000
}

/// How long the record was when the guest had said so often that a round is safe.
struct Said {
    rounds: usize,
    events: usize,
}

/// Runs the guest over a disk; what it said, and when.
fn run(disk: Box<dyn Block>, log: &Log) -> Vec<Said> {
    let assembly = assemble(guest).unwrap();
    let bios = rom(&assembly.pieces, 0, 0x1_0000, |at| at).unwrap();
    let config = Config { memory: 1 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::new(interp::Interpreter::default())).unwrap();
    machine.board().attach_disk(0, disk);
    machine.boot(&Image::Firmware(Firmware { bios, ..Firmware::default() })).unwrap();
    let (mut said, mut marks) = (Vec::new(), Vec::new());
    loop {
        let exit = machine.run(machine.cpu().retired + 200);
        machine.board().debug_output(&mut marks);
        said.push(Said { rounds: marks.len(), events: log.len() });
        match exit {
            Exit::Limit | Exit::Slice => assert!(machine.cpu().retired < 50_000_000, "the guest hangs"),
            Exit::Stuck => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(marks.len(), usize::from(ROUNDS));
    said
}

/// Every write of the guest to each sector, in order: its round and its value.
fn writes() -> BTreeMap<u64, Vec<(usize, u16)>> {
    let (mut seed, mut all) = (1, BTreeMap::<u64, Vec<(usize, u16)>>::new());
    for round in 0..ROUNDS {
        for turn in 0..WRITES {
            seed = next(seed);
            let first = u64::from(seed >> 16 & (PLACES - 1));
            for n in 0..u64::from(length(round)) {
                all.entry(first + n).or_default().push((usize::from(round), round << 3 | turn));
            }
        }
    }
    all
}

/// What is wrong with what survives, if `safe` rounds have to be there.
fn wrong(survivors: &BTreeMap<u64, [u8; SECTOR]>, safe: usize) -> Option<String> {
    writes().iter().find_map(|(sector, writes)| {
        let found = survivors.get(sector).unwrap_or(&[0; SECTOR]);
        let before = writes.iter().rfind(|(round, _)| *round < safe).map_or(0, |(_, value)| *value);
        let later = writes.iter().filter(|(round, _)| *round >= safe).map(|(_, value)| *value);
        let whole = |value: u16| found.chunks(2).all(|w| w == value.to_le_bytes());
        let fits = [before].into_iter().chain(later).any(whole);
        (!fits).then(|| format!("sector {sector} holds {:02x?}, {safe} rounds being safe", &found[..4]))
    })
}

/// The first cut that loses something, of [`CUTS`].
fn cut(log: &Log, said: &[Said]) -> Option<String> {
    (0..CUTS).find_map(|n| {
        let cut = n * log.len() / CUTS;
        let safe = said.iter().rfind(|s| s.events <= cut).map_or(0, |s| s.rounds);
        wrong(&log.survives(cut, n as u64), safe).map(|why| format!("cut {n} after {cut} events: {why}"))
    })
}

fn blank() -> Box<MemoryBlock> {
    Box::new(MemoryBlock::new(vec![0; 256 * SECTOR]))
}

#[test]
fn every_flushed_sector_survives_every_cut() {
    let (disk, log) = Logged::new(blank());
    let said = run(Box::new(disk), &log);
    assert!(log.len() >= CUTS && log.flushes() >= usize::from(ROUNDS), "{} events", log.len());
    assert_eq!(cut(&log, &said), None);
    let everything = log.survives(log.len(), 0);
    assert_eq!(
        wrong(&everything, usize::from(ROUNDS)),
        None,
        "the guest writes what this test thinks it does"
    );
}

/// A disk whose cache is never emptied.
struct Forgetful(Logged);

impl Block for Forgetful {
    fn sectors(&self) -> u64 {
        self.0.sectors()
    }
    fn writable(&self) -> bool {
        true
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        self.0.read(sector, out)
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.0.write(sector, bytes)
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }
}

#[test]
fn a_disk_that_does_not_flush_is_found_out() {
    let (disk, log) = Logged::new(blank());
    let said = run(Box::new(Forgetful(disk)), &log);
    assert!(cut(&log, &said).is_some());
}
