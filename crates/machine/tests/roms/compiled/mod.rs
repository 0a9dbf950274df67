//! Loops that run often enough to be compiled, and what makes compiled code wrong or stale.
//!
//! Every test runs on the engines of [`crate::engines`], which have to agree; what is asserted
//! besides is what the manual says.

mod by_dma;
mod faults;
mod flags;
mod in_place;
mod jumps;
mod modes;
mod quick;
mod remapped;
mod rewritten;
mod segments;
mod sensitive;
mod stepped;
mod strings;
mod timed;
mod units;
mod whole;

use crate::rig::*;
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

/// Iterations: more than it takes for anything to be compiled, and then some compiled ones.
const TIMES: u32 = 20;
/// 1 + 2 + ... + [`TIMES`].
const SUM: u32 = TIMES * (TIMES + 1) / 2;
const PT: u32 = TABLES + 0x1000;
/// A page for tries, and its entry.
const PAGE: u32 = 0x20_0000;
const ENTRY: u32 = PT + 0x200 * 4;
/// Room for code below 64 KiB: sections go here.
const ROOM: u32 = 0xa000;

/// Sends a vector to a handler of the test's own.
fn on(a: &mut Asm, vector: u32, label: &str) -> Assembled {
    let (g, at) = (gate(KCODE, a.at(label), 0x8e, 0), IDT + vector * 8);
    asm! { a => mov dword_ptr(at), g as u32; mov dword_ptr(at + 4), (g >> 32) as u32; }
    Ok(())
}

/// Writes MOV EAX, imm32; RET.
fn write_routine(a: &mut Asm, at: u32, value: u32) -> Assembled {
    asm! { a =>
        mov byte_ptr(at), 0xb8;
        mov dword_ptr(at + 1), value;
        mov byte_ptr(at + 5), 0xc3;
    }
    Ok(())
}
