//! Code that is there once: the way in, and the dispatcher.

use crate::backend::{Backend, BackendError, Effort, signature};
use crate::context::{self, Exit};
use crate::jumps::{Jump, SETS, SPREAD, Set};
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

/// A routine in Rust, of the context and more, made one that keeps all registers.
pub(crate) fn keeping(
    backend: &mut Backend,
    routine: u64,
    arguments: usize,
) -> Result<Vec<u8>, BackendError> {
    let convention = backend.host_convention();
    backend.compile(signature(CallConv::PreserveAll, arguments), Effort::None, |b| {
        let p = parameters(b);
        let s = b.import_signature(signature(convention, arguments));
        let f = b.ins().iconst(I64, routine as i64);
        b.ins().call_indirect(s, f, &p);
        b.ins().return_(&[]);
    })
}

/// The bit of a write entry that says that stores ask the map of code first ([`mem::Arrays`]).
const FINE: i64 = i64::MIN;

/// What looks at a write entry that is not plain: the entry to add goes into the slot, or 0 where one of the grains from
/// the first to the last byte holds code. Where there is none, `across` looks for it ([`crate::across`]).
pub(crate) fn fine(backend: &mut Backend, across: u64) -> Result<Vec<u8>, BackendError> {
    backend.compile(crate::access::fine_signature(), Effort::Speed, |b| {
        let p = parameters(b);
        let (ctx, entry, linear, kind) = (p[0], p[1], p[2], p[3]);
        let size = b.ins().band_imm_u(kind, 0xffff);
        let (look, none, good) = (b.create_block(), b.create_block(), b.create_block());
        let missing = b.create_block();
        b.ins().brif(entry, look, &[], missing, &[]);
        b.seal_block(missing);
        b.switch_to_block(missing);
        let s = b.import_signature(signature(CallConv::PreserveAll, 3));
        let f = b.ins().iconst(I64, across as i64);
        b.ins().call_indirect(s, f, &[ctx, linear, kind]);
        b.ins().return_(&[]);
        b.seal_block(look);
        b.switch_to_block(look);
        let entry = b.ins().band_imm_s(entry, !FINE);
        let inside = b.create_block();
        let offset = b.ins().band_imm_u(linear, 4095);
        let end = b.ins().iadd(offset, size);
        let across = b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, end, 4096);
        b.ins().brif(across, none, &[], inside, &[]);
        b.seal_block(inside);
        b.switch_to_block(inside);
        let hit = hits_code(b, ctx, entry, linear, size);
        b.ins().brif(hit, none, &[], good, &[]);
        b.seal_block(none);
        b.seal_block(good);
        b.switch_to_block(good);
        b.ins().store(own(), entry, ctx, context::SLOT);
        b.ins().return_(&[]);
        b.switch_to_block(none);
        let zero = b.ins().iconst(I64, 0);
        b.ins().store(own(), zero, ctx, context::SLOT);
        b.ins().return_(&[]);
    })
}

/// Not 0 where one of the grains that the bytes touch holds code.
fn hits_code(b: &mut FunctionBuilder<'_>, ctx: Value, entry: Value, linear: Value, size: Value) -> Value {
    let host = b.ins().iadd(entry, linear);
    let arena = b.ins().load(I64, own(), ctx, context::ARENA);
    let physical = b.ins().isub(host, arena);
    let frame = b.ins().ushr_imm_u(physical, 12);
    let at = b.ins().ishl_imm_u(frame, 3);
    let map = b.ins().load(I64, own(), ctx, context::CODE_MAP);
    let at = b.ins().iadd(map, at);
    let grains = b.ins().load(I64, own(), at, 0);
    // all bytes lie in one page
    let offset = b.ins().band_imm_u(physical, 4095);
    let first = b.ins().ushr_imm_u(offset, 6);
    let end = b.ins().iadd(offset, size);
    let end = b.ins().iadd_imm_s(end, -1);
    let last = b.ins().ushr_imm_u(end, 6);
    let count = b.ins().isub(last, first);
    let sixty_three = b.ins().iconst(I64, 63);
    let unused = b.ins().isub(sixty_three, count);
    let ones = b.ins().iconst(I64, -1);
    let mask = b.ins().ushr(ones, unused);
    let mask = b.ins().ishl(mask, first);
    b.ins().band(grains, mask)
}

fn parameters(b: &mut FunctionBuilder<'_>) -> Vec<Value> {
    let start = b.create_block();
    b.append_block_params_for_function_params(start);
    b.switch_to_block(start);
    b.seal_block(start);
    b.block_params(start).to_vec()
}

/// From one region to the next by the jump cache; back to Rust where it has nothing. A guess holds
/// only while the page at the address is the one that it was made for.
pub(crate) fn dispatch(backend: &mut Backend) -> Result<Vec<u8>, BackendError> {
    backend.compile(region_signature(), Effort::Speed, |b| {
        let p = parameters(b);
        let (ctx, state) = (p[0], p[1]);
        let eip = b.ins().load(I32, own(), state, offset_of!(State, eip) as i32);
        let cs =
            offset_of!(State, seg) + size_of::<Segment>() * usize::from(seg::CS) + offset_of!(Segment, base);
        let cs = b.ins().load(I32, own(), state, cs as i32);
        let linear = b.ins().iadd(eip, cs);
        let page = b.ins().ushr_imm_u(linear, 12);
        let set = b.ins().imul_imm_u(linear, i64::from(SPREAD));
        let set = b.ins().ushr_imm_u(set, i64::from(32 - SETS.trailing_zeros()));
        let set = b.ins().uextend(I64, set);
        let set = b.ins().ishl_imm_u(set, i64::from(size_of::<Set>().trailing_zeros()));
        let jumps = b.ins().load(I64, own(), ctx, context::JUMP_CACHE);
        let first = b.ins().iadd(jumps, set);
        let key = b.ins().load(I64, own(), ctx, context::KEY);
        let wide = b.ins().uextend(I64, linear);
        let wanted = b.ins().bor(key, wide);
        let (same, other, miss) = (b.create_block(), b.create_block(), b.create_block());
        let jump = b.append_block_param(same, I64);
        b.set_cold_block(other);
        b.set_cold_block(miss);
        let right = has_tag(b, first, wanted);
        b.ins().brif(right, same, &[first.into()], other, &[]);
        b.seal_block(other);
        b.switch_to_block(other);
        let second = b.ins().iadd_imm_s(first, size_of::<Jump>() as i64);
        let right = has_tag(b, second, wanted);
        b.ins().brif(right, same, &[second.into()], miss, &[]);
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

fn has_tag(b: &mut FunctionBuilder<'_>, jump: Value, wanted: Value) -> Value {
    let tag = b.ins().load(I64, own(), jump, offset_of!(Jump, tag) as i32);
    b.ins().icmp(IntCC::Equal, tag, wanted)
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
    let good = b.ins().icmp(IntCC::Equal, entry, expected);
    let on = b.create_block();
    b.ins().brif(good, on, &[], miss, &[]);
    b.seal_block(on);
    b.switch_to_block(on);
    let index = b.ins().load(I64, own(), jump, offset_of!(Jump, index) as i32);
    let s = b.import_signature(region_signature());
    b.ins().return_call_indirect(s, code, &[ctx, state, index]);
}
