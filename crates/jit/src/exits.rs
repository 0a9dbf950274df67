//! The ways out of a region that put back what is only there: each stores what is its own, and all have one end.

use crate::context;
use crate::lower::{Lower, PendingExit, Snapshot, Val, bits};
use cpu::State;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use std::mem::offset_of;

/// Stores all that is only in the region, and where it goes on.
pub(crate) fn put_away(l: &mut Lower<'_, '_>, ip: Value) {
    for slot in bits(l.dirty) {
        let v = l.slot(slot);
        l.put_back(slot, v);
    }
    l.store_flags(l.flags.clone());
    l.store_note(l.note);
    l.store_context(l.left, context::LEFT);
    l.store_own(ip, offset_of!(State, eip) as i32);
}

/// Writes an exit: what differs from memory, and on to the end that all exits have.
pub(crate) fn write_exit(l: &mut Lower<'_, '_>, exit: PendingExit) {
    l.go(exit.block);
    l.start();
    let Snapshot { dirty, flags, left, undone, off, note } = exit.snapshot;
    // one constant says why, and how many instructions of the block are not done
    let why = exit.exit as u64 | undone << 8;
    let (off, why) = (l.b.ins().iconst(I32, i64::from(off)), l.b.ins().iconst(I64, why as i64));
    let mut arguments = vec![left.into(), off.into(), why.into()];
    let shared: Vec<u32> = bits(l.plan.written & GENERAL).collect();
    for &slot in &shared {
        let v = match dirty.iter().find(|(s, _)| *s == slot) {
            Some(&(_, v)) => l.as_slot(slot, v),
            None => l.slot_node(slot),
        };
        arguments.push(v.into());
    }
    for (slot, v) in dirty.into_iter().filter(|(slot, _)| !shared.contains(slot)) {
        l.put_back(slot, v);
    }
    l.store_flags(flags);
    l.store_note(note);
    let tail = tail(l, shared.len());
    l.b.ins().jump(tail, &arguments);
}

/// General registers in a mask.
const GENERAL: crate::effects::Mask = 0xff;

/// The block at the end of all exits.
fn tail(l: &mut Lower<'_, '_>, registers: usize) -> Block {
    if let Some(tail) = l.tail {
        return tail;
    }
    let tail = l.b.create_block();
    l.b.set_cold_block(tail);
    for t in [I64, I32, I64].into_iter().chain(std::iter::repeat_n(I32, registers)) {
        l.b.append_block_param(tail, t);
    }
    l.tail = Some(tail);
    tail
}

/// The end of all exits: general registers, what is left of the budget, where the guest is, and why.
pub(crate) fn write_tail(l: &mut Lower<'_, '_>, tail: Block) {
    l.go(tail);
    l.start();
    let p = l.b.block_params(tail).to_vec();
    let (left, off, why) = (p[0], p[1], p[2]);
    for (slot, &v) in bits(l.plan.written & GENERAL).zip(&p[3..]) {
        l.put_back(slot, Val::Node(v));
    }
    let undone = l.b.ins().ushr_imm_u(why, 8);
    let left = l.b.ins().iadd(left, undone);
    l.store_context(left, context::LEFT);
    let base = l.base();
    let ip = l.b.ins().iadd(base, off);
    l.store_own(ip, offset_of!(State, eip) as i32);
    let exit = l.b.ins().band_imm_u(why, 0xff);
    let exit = l.b.ins().ireduce(I32, exit);
    l.store_context(exit, context::EXIT);
    let region = l.b.ins().iconst(I32, i64::from(l.plan.id));
    l.store_context(region, context::REGION);
    l.b.ins().return_(&[]);
}
