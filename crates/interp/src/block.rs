//! Decoded blocks: straight runs of instructions inside one page.

use crate::cache::Guess;
use crate::eval::{Eval, Status, Stop};
use crate::restless::Decoded;
use cpu::{CodeSize, Fault, Flow, Insn, Monitor, State};
use isa::{CpuModel, DecodeError, MAX_LENGTH, Routine, decode, routine};
use mem::{Memory, PAGE};
use sem::Body;
use sem::shape::{Dynamic, Kinds, Picker};
use std::cell::Cell;
use std::marker::PhantomData;

/// Executes one decoded instruction.
pub(crate) type Handler = fn(&mut State, &mut Memory, &mut dyn Monitor, &Op) -> Status;

/// One instruction of a block.
#[derive(Clone, Copy)]
pub(crate) struct Op {
    pub(crate) handler: Handler,
    pub(crate) insn: Insn,
    /// Bytes from the block's first.
    pub(crate) offset: u16,
    /// Instructions before it in the block.
    pub(crate) index: u16,
    /// It sets EIP itself.
    pub(crate) branches: bool,
}

/// At most this many instructions a block.
const LONGEST: usize = 64;

/// One cache line.
#[repr(align(64))]
pub(crate) struct Block {
    pub(crate) ops: Box<[Op]>,
    pub(crate) bytes: u32,
    /// Physical address of the first byte.
    pub(crate) physical: u32,
    pub(crate) key: cpu::Key,
    /// How often it has run, as far as somebody wants to know ([`crate::Interpreter::stretch`]).
    pub(crate) runs: Cell<u32>,
    /// From so many runs on, that somebody is asked before it runs.
    pub(crate) due: Cell<u32>,
    /// What came after it, the latest first.
    pub(crate) next: Cell<[Guess; 2]>,
}

struct ToHandler;

impl Picker for ToHandler {
    type Out = Handler;
    fn make<B: Body, K: Kinds>(self) -> Handler {
        innocuous::<B, K>
    }
}

/// The fast reading first where the operands' kinds are known; what it cannot do is done again,
/// from the start, by the complete one.
fn innocuous<B: Body, K: Kinds>(
    cpu: &mut State,
    mem: &mut Memory,
    monitor: &mut dyn Monitor,
    op: &Op,
) -> Status {
    if K::OP0.is_none() {
        return complete::<B>(cpu, mem, monitor, op);
    }
    // whatever stops it, nothing has changed
    if B::run(&mut Eval::<K, true> { cpu, mem, monitor, op, kinds: PhantomData }).is_ok() {
        return Ok(());
    }
    complete::<B>(cpu, mem, monitor, op)
}

#[inline(never)]
fn complete<B: Body>(cpu: &mut State, mem: &mut Memory, monitor: &mut dyn Monitor, op: &Op) -> Status {
    let mut e = Eval::<Dynamic, false> { cpu, mem, monitor, op, kinds: PhantomData };
    B::run(&mut e)?;
    if e.cpu.leave { Err(Stop::Done) } else { Ok(()) }
}

/// Hands a sensitive instruction to the monitor, and goes on in the block where it left all
/// that the block depends on as it was.
fn sensitive(cpu: &mut State, mem: &mut Memory, monitor: &mut dyn Monitor, op: &Op) -> Status {
    let (block_ip, block_retired, key) = (cpu.eip, cpu.retired, cpu.key());
    let this = block_ip.wrapping_add(u32::from(op.offset));
    cpu.eip = this;
    cpu.retired += u64::from(op.index);
    let retired = cpu.retired;
    let base = cpu.segment(cpu::seg::CS).base;
    let linear = base.wrapping_add(this);
    let page = mem.lookup_execute(linear);
    match monitor.sensitive(cpu, mem, &op.insn) {
        Ok(flow) => {
            let next = this.wrapping_add(u32::from(op.insn.len));
            let repeated = cpu.retired - retired;
            // the block goes on only in the page that it was decoded from
            let stays = cpu.eip == next && cpu.segment(cpu::seg::CS).base == base;
            let here = stays && mem.lookup_execute(linear) == page;
            if flow == Flow::Continue && here && !cpu.leave && cpu.key() == key {
                cpu.eip = block_ip;
                cpu.retired = block_retired + repeated;
                return Ok(());
            }
            cpu.retired += 1;
            Err(Stop::Elsewhere)
        }
        Err(fault) => {
            cpu.eip = block_ip;
            cpu.retired -= u64::from(op.index);
            Err(Stop::fault(fault))
        }
    }
}

fn undefined(_: &mut State, _: &mut Memory, _: &mut dyn Monitor, _: &Op) -> Status {
    Err(Stop::fault(Fault::UD))
}

fn too_long(_: &mut State, _: &mut Memory, _: &mut dyn Monitor, _: &Op) -> Status {
    Err(Stop::fault(Fault::GP0))
}

fn handler(insn: &Insn) -> Handler {
    if routine(insn.code).is_some() {
        return sensitive;
    }
    sem::bind(insn, ToHandler).unwrap_or(undefined)
}

/// The instruction ends its block: it may go elsewhere, or what follows depends on it.
fn ends_block(insn: &Insn) -> bool {
    branches(insn)
        || repeats(insn)
        || routine(insn.code).is_some_and(|r| {
            matches!(
                r,
                Routine::CallFar
                    | Routine::JmpFar
                    | Routine::RetFar
                    | Routine::Iret
                    | Routine::Int
                    | Routine::Int1
                    | Routine::Int3
                    | Routine::Sysenter
                    | Routine::Sysexit
                    | Routine::Syscall
                    | Routine::Sysret
                    | Routine::Hlt
                    | Routine::Ud
                    | Routine::MovToCr
                    | Routine::Lmsw
            )
        })
}

/// A repeated string instruction: how many it retires is not known beforehand, so that nothing
/// may stand behind it in a block that was checked against the budget.
fn repeats(insn: &Insn) -> bool {
    use isa::Code as C;
    let string = matches!(
        insn.code,
        C::Movsb_m8_m8
            | C::Movsw_m16_m16
            | C::Movsd_m32_m32
            | C::Stosb_m8_AL
            | C::Stosw_m16_AX
            | C::Stosd_m32_EAX
            | C::Lodsb_AL_m8
            | C::Lodsw_AX_m16
            | C::Lodsd_EAX_m32
            | C::Scasb_AL_m8
            | C::Scasw_AX_m16
            | C::Scasd_EAX_m32
            | C::Cmpsb_m8_m8
            | C::Cmpsw_m16_m16
            | C::Cmpsd_m32_m32
    );
    insn.prefix.repeated() && (string || matches!(routine(insn.code), Some(Routine::Ins | Routine::Outs)))
}

/// The innocuous instruction sets EIP itself.
fn branches(insn: &Insn) -> bool {
    use isa::Mnemonic as M;
    let code = insn.code;
    routine(code).is_none()
        && (matches!(
            code.mnemonic(),
            M::Jmp | M::Call | M::Ret | M::Jcxz | M::Jecxz | M::Loop | M::Loope | M::Loopne
        ) || code.is_jcc_short()
            || code.is_jcc_near())
}

/// Decodes the instruction in `bytes`; errors become instructions that fault.
pub(crate) fn decode_op(bytes: &[u8], size: CodeSize, model: CpuModel) -> Option<Op> {
    let (insn, handler): (Insn, Handler) = match decode(bytes, size, model) {
        Ok(insn) => (insn, handler(&insn)),
        Err(DecodeError::Truncated) => return None,
        Err(DecodeError::TooLong) => (Insn::blank(isa::Code::INVALID), too_long),
        Err(DecodeError::Undefined) => (Insn::blank(isa::Code::INVALID), undefined),
    };
    Some(Op { handler, insn, offset: 0, index: 0, branches: branches(&insn) })
}

/// Decodes the block at `physical`, up to a branch or the end of the page. Empty where already
/// the first instruction crosses it. `before` is what was decoded there from other bytes.
pub(crate) fn decode_block(
    mem: &Memory,
    physical: u32,
    size: CodeSize,
    model: CpuModel,
    before: Option<&Decoded>,
) -> (Vec<Op>, u32) {
    let mut ops: Vec<Op> = Vec::new();
    let mut offset = 0;
    let room = PAGE - physical % PAGE;
    while offset < room && ops.len() < LONGEST {
        let mut bytes = [0; MAX_LENGTH];
        let n = (room - offset).min(MAX_LENGTH as u32) as usize;
        mem.read_arena(physical + offset, &mut bytes[..n]);
        let known = before.and_then(|b| b.same(offset, &bytes[..n]));
        let Some(mut op) = known.or_else(|| decode_op(&bytes[..n], size, model)) else { break };
        op.offset = offset as u16;
        op.index = ops.len() as u16;
        let invalid = op.insn.code == isa::Code::INVALID;
        offset += if invalid { n as u32 } else { u32::from(op.insn.len) };
        ops.push(op);
        if invalid || ends_block(&op.insn) {
            break;
        }
    }
    (ops, offset)
}
