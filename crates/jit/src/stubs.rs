//! Code that is there once: the way in, and the dispatcher.

use crate::backend::{Backend, BackendError, Effort, signature};
use crate::context::{self, Exit, JUMPS, Jump};
use crate::lower::own;
use crate::region::region_signature;
use cpu::{Segment, State, seg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use std::mem::offset_of;

/// From Rust into a region: context, state, code, number of the entry.
pub(crate) fn enter(backend: &mut Backend) -> Result<Vec<u8>, BackendError> {
    let convention = backend.host_convention();
    backend.compile(signature(convention, 4), Effort::None, |b| {
        let p = parameters(b);
        let s = b.import_signature(region_signature());
        b.ins().call_indirect(s, p[2], &[p[0], p[1], p[3]]);
        b.ins().return_(&[]);
    })
}

/// A routine in Rust, of context and state, made one that keeps all registers.
pub(crate) fn keeping(backend: &mut Backend, routine: u64) -> Result<Vec<u8>, BackendError> {
    let convention = backend.host_convention();
    backend.compile(signature(CallConv::PreserveAll, 2), Effort::None, |b| {
        let p = parameters(b);
        let s = b.import_signature(signature(convention, 2));
        let f = b.ins().iconst(I64, routine as i64);
        b.ins().call_indirect(s, f, &[p[0], p[1]]);
        b.ins().return_(&[]);
    })
}

fn parameters(b: &mut FunctionBuilder<'_>) -> Vec<Value> {
    let start = b.create_block();
    b.append_block_params_for_function_params(start);
    b.switch_to_block(start);
    b.seal_block(start);
    b.block_params(start).to_vec()
}

/// Which entry of the jump cache a linear address has.
pub(crate) fn jump_slot(linear: u32) -> usize {
    (linear ^ linear >> 12) as usize % JUMPS
}

/// From one region to the next by the jump cache; back to Rust where it has nothing. A guess holds
/// only while the page at the address is the one that it was made for.
pub(crate) fn dispatch(backend: &mut Backend) -> Result<Vec<u8>, BackendError> {
    backend.compile(region_signature(), Effort::Speed, |b| {
        let p = parameters(b);
        let (ctx, state) = (p[0], p[1]);
        let eip = b.ins().load(I32, own(), state, offset_of!(State, eip) as i32);
        let cs = offset_of!(State, seg) + size_of::<Segment>() * usize::from(seg::CS) + offset_of!(Segment, base);
        let cs = b.ins().load(I32, own(), state, cs as i32);
        let linear = b.ins().iadd(eip, cs);
        let page = b.ins().ushr_imm_u(linear, 12);
        let slot = b.ins().bxor(linear, page);
        let slot = b.ins().band_imm_u(slot, JUMPS as i64 - 1);
        let slot = b.ins().uextend(I64, slot);
        let slot = b.ins().ishl_imm_u(slot, i64::from(size_of::<Jump>().trailing_zeros()));
        let jumps = b.ins().load(I64, own(), ctx, context::JUMP_CACHE);
        let jump = b.ins().iadd(jumps, slot);
        let tag = b.ins().load(I64, own(), jump, offset_of!(Jump, tag) as i32);
        let key = b.ins().load(I64, own(), ctx, context::KEY);
        let wide = b.ins().uextend(I64, linear);
        let wanted = b.ins().bor(key, wide);
        let right = b.ins().icmp(IntCC::Equal, tag, wanted);
        let (same, miss) = (b.create_block(), b.create_block());
        b.set_cold_block(miss);
        b.ins().brif(right, same, &[], miss, &[]);
        b.seal_block(same);
        b.switch_to_block(same);
        hit(b, ctx, state, jump, page, miss);
        b.seal_block(miss);
        b.switch_to_block(miss);
        let why = b.ins().iconst(I32, Exit::Lookup as i64);
        b.ins().store(own(), why, ctx, context::EXIT);
        b.ins().return_(&[]);
    })
}

fn hit(
    b: &mut FunctionBuilder<'_>,
    ctx: Value,
    state: Value,
    jump: Value,
    page: Value,
    miss: cranelift_codegen::ir::Block,
) {
    let execute = b.ins().load(I64, own(), ctx, context::EXECUTE);
    let page = b.ins().uextend(I64, page);
    let at = b.ins().ishl_imm_u(page, 3);
    let at = b.ins().iadd(execute, at);
    let entry = b.ins().load(I64, own(), at, 0);
    let expected = b.ins().load(I64, own(), jump, offset_of!(Jump, entry) as i32);
    let code = b.ins().load(I64, own(), jump, offset_of!(Jump, code) as i32);
    let here = b.ins().icmp(IntCC::Equal, entry, expected);
    let there = b.ins().icmp_imm_s(IntCC::NotEqual, code, 0);
    let good = b.ins().band(here, there);
    let on = b.create_block();
    b.ins().brif(good, on, &[], miss, &[]);
    b.seal_block(on);
    b.switch_to_block(on);
    let index = b.ins().load(I64, own(), jump, offset_of!(Jump, index) as i32);
    let s = b.import_signature(region_signature());
    b.ins().return_call_indirect(s, code, &[ctx, state, index]);
}
