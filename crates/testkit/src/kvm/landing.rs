//! Where a run may come to: memory is full of HLT wherever the model's has nothing, and each vector has a HLT of its own,
//! so that the place of the halt says what happened. At CPL 3 HLT itself raises #GP, whose frame has its place.

use super::Outcome;
use classify::world::Posed;
use cpu::{cr0, eflags, seg, vector};
use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};

const HLT: u8 = 0xf4;
/// Where the handlers are, from the window's beginning: two bytes a vector.
const HANDLERS: u32 = 0xf000;
/// Where INT n of V86 mode goes that the redirection map sends to the program, from the window's beginning.
const PROGRAM: u32 = 0xfe00;
/// Bits of EFLAGS that are always 0, and the one that is always 1.
const NOT_FLAGS: u32 = 0xffc0_802a;
/// What is free in the model's memory: below its tables, between them and the window, and in the window below the code,
/// behind it and at its end.
const FREE: [std::ops::Range<usize>; 4] =
    [0..0x800, 0x8000..0x1_8000, 0x1_8000..0x1_8c00, 0x1_f000..0x2_0000];
const GATES: u32 = 32;

/// Fills memory for a run.
pub(super) fn prepare(memory: &mut [u8], posed: &Posed) {
    let before = &posed.run.before;
    let (model, beyond) = memory.split_at_mut(posed.memory.len());
    model.copy_from_slice(&posed.memory);
    beyond.fill(HLT);
    for range in FREE {
        model[range].iter_mut().filter(|b| **b == 0).for_each(|b| *b = HLT);
    }
    let window = posed.run.window;
    if before.cr0 & cr0::PE == 0 {
        (0..GATES).for_each(|v| far(memory, before.idtr.base + 4 * v, window, HANDLERS + 2 * v));
    } else {
        gates(memory, posed);
        if before.eflags & eflags::VM != 0 {
            (0..GATES).for_each(|v| far(memory, 4 * v, window, PROGRAM));
        }
    }
    let at = before.segment(seg::CS).base.wrapping_add(before.eip);
    put(memory, at, &posed.bytes);
}

/// The gates that lead to the model's one handler lead to one for each vector.
fn gates(memory: &mut [u8], posed: &Posed) {
    for v in 0..GATES {
        let at = posed.run.before.idtr.base + 8 * v;
        let gate = dword(memory, at) & 0xffff | dword(memory, at + 4) & 0xffff_0000;
        if gate == posed.target {
            put(memory, at, &((HANDLERS + 2 * v) as u16).to_le_bytes());
        }
    }
}

/// A vector of real mode.
fn far(memory: &mut [u8], at: u32, base: u32, offset: u32) {
    put(memory, at, &(base >> 4 << 16 | offset).to_le_bytes());
}

fn put(memory: &mut [u8], at: u32, bytes: &[u8]) {
    if let Some(slot) = memory.get_mut(at as usize..).and_then(|m| m.get_mut(..bytes.len())) {
        slot.copy_from_slice(bytes);
    }
}

fn dword(memory: &[u8], at: u32) -> u32 {
    let bytes = memory.get(at as usize..).and_then(|m| m.first_chunk());
    bytes.map_or(0, |b| u32::from_le_bytes(*b))
}

/// Vectors whose exceptions push an error code.
fn has_code(v: u8) -> bool {
    matches!(v, 8 | 10..=14 | 17)
}

/// What a halt at these registers says.
pub(super) fn outcome(memory: &[u8], posed: &Posed, general: &kvm_regs, system: &kvm_sregs) -> Outcome {
    let halted = linear(&system.cs, general.rip).wrapping_sub(1);
    let handler = halted.wrapping_sub(posed.run.window + HANDLERS);
    if handler >= 2 * GATES {
        return Outcome::Completes;
    }
    let v = (handler / 2) as u8;
    let (start, end) = ends(posed);
    let meant = posed.run.meant && posed.run.trap == Some(v);
    let Some(raised_at) = pushed(memory, v, general, system) else {
        return Outcome::Silent("it left no frame of its exception");
    };
    match v {
        _ if raised_at == start || meant && raised_at == end => Outcome::Traps(v),
        // a trap, which is told of behind the instruction
        vector::DB => Outcome::Traps(v),
        // the halt behind it, at CPL 3
        vector::GP => Outcome::Completes,
        _ => Outcome::Silent("it went on to another exception"),
    }
}

fn ends(posed: &Posed) -> (u32, u32) {
    let start = posed.run.before.eip;
    (start, start.wrapping_add(posed.bytes.len() as u32))
}

fn linear(segment: &kvm_segment, offset: u64) -> u32 {
    (segment.base as u32).wrapping_add(offset as u32)
}

/// EIP in the frame of an exception. KVM's own way to deliver one (Linux 6.18, where it has no hardware for that) leaves the
/// base of SS out, so that both places are looked at: the one that was written has an image of EFLAGS.
fn pushed(memory: &[u8], v: u8, general: &kvm_regs, system: &kvm_sregs) -> Option<u32> {
    let real = system.cr0 & u64::from(cr0::PE) == 0;
    let mask = if system.ss.db != 0 && !real { u64::from(u32::MAX) } else { 0xffff };
    let code = if has_code(v) && !real { 4 } else { 0 };
    let offset = (general.rsp & mask) + code;
    let frames = [linear(&system.ss, offset), offset as u32];
    let (size, image) = if real { (2, 0xffff) } else { (4, u32::MAX) };
    let written = |at: &u32| dword(memory, at + 2 * size) & image & NOT_FLAGS == eflags::RESERVED1;
    frames.into_iter().find(written).map(|at| dword(memory, at) & image)
}
