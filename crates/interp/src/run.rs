//! The engine: from block to block until the dispatcher is wanted.

use crate::block::{Block, Op, decode_op};
use crate::cache::{At, Cache};
use crate::eval::Stop;
use cpu::{Engine, Fault, Key, Monitor, State, StopReason, seg};
use isa::MAX_LENGTH;
use mem::Memory;

const CROSSINGS: usize = 256;

/// A decoded instruction that lies across two pages, valid for exactly these bytes.
#[derive(Clone, Copy)]
struct Crossing {
    bytes: [u8; MAX_LENGTH],
    key: Key,
    op: Op,
}

/// The interpreter with its cache of decoded blocks.
pub struct Interpreter {
    cache: Cache,
    crossings: Vec<Option<Crossing>>,
}

impl Default for Interpreter {
    fn default() -> Interpreter {
        Interpreter { cache: Cache::new(), crossings: vec![None; CROSSINGS] }
    }
}

impl Engine for Interpreter {
    fn run(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        until: u64,
    ) -> StopReason {
        cpu.until = until;
        cpu.leave = false;
        while cpu.retired < until {
            if mem.has_traces() {
                self.cache.invalidate(mem);
            }
            if let Err(reason) = self.chain::<false>(cpu, mem, monitor, true) {
                return reason;
            }
        }
        StopReason::Budget
    }

    fn flush(&mut self) {
        self.cache.clear();
        self.crossings.fill(None);
    }
}

/// What an engine that uses the interpreter for code that is not worth more wants of it. The caller
/// has set [`State::until`] and [`State::leave`], and looks after writes to code.
impl Interpreter {
    /// Runs the block at EIP, and those after it up to one that is due ([`Interpreter::ask_again`]), until
    /// the budget ends or a trace waits. Counts the runs of each; `whole` says that the guest came to the first one
    /// by itself: where a budget ended before, it is a part of another, and does not count.
    ///
    /// # Errors
    /// Why the dispatcher is wanted.
    pub fn stretch(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        whole: bool,
    ) -> Result<(), StopReason> {
        self.chain::<true>(cpu, mem, monitor, whole)
    }

    /// How often [`Interpreter::stretch`] has run the block of code of this size at an address of the arena, if it is
    /// known and due: a new one is.
    pub fn due(&self, physical: u32, key: Key) -> Option<u32> {
        let block = self.cache.at(physical, key)?;
        (block.runs.get() >= block.due.get()).then(|| block.runs.get())
    }

    /// The block at an address of the arena is due when it has run `runs` times.
    pub fn ask_again(&self, physical: u32, key: Key, runs: u32) {
        if let Some(block) = self.cache.at(physical, key) {
            block.due.set(runs);
        }
    }

    /// The block at an address of the arena is due when it has run `more` times from now on.
    pub fn ask_later(&self, physical: u32, key: Key, more: u32) {
        if let Some(block) = self.cache.at(physical, key) {
            block.due.set(block.runs.get().saturating_add(more));
        }
    }

    /// Runs one instruction; of a repeated one as many iterations as the budget has.
    ///
    /// # Errors
    /// Why the dispatcher is wanted.
    pub fn single_step(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
    ) -> Result<(), StopReason> {
        match self.here(cpu, mem, None).map(|id| self.cache.block(id)) {
            Some(block) if fits(cpu, block) => {
                let bytes = block.ops.get(1).map_or(block.bytes, |op| u32::from(op.offset));
                run_ops(&block.ops[..1], bytes, cpu, mem, monitor)
            }
            Some(_) => self.single(cpu, mem, monitor),
            None => {
                let retired = cpu.retired;
                self.prepare(cpu, mem, monitor)?;
                // prepared only, or nothing to prepare: then the instruction is done
                if cpu.retired == retired { self.single(cpu, mem, monitor) } else { Ok(()) }
            }
        }
    }

    /// How often [`Interpreter::stretch`] has run the block of code of this size at an address of the
    /// arena.
    pub fn runs(&self, physical: u32, key: Key) -> u32 {
        self.cache.at(physical, key).map_or(0, |block| block.runs.get())
    }

    /// The linear addresses of what came last after the block at an address of the arena, if it has so many bytes: the
    /// latest first.
    pub fn followers(&self, physical: u32, key: Key, bytes: u32) -> impl Iterator<Item = u32> {
        let block = self.cache.at(physical, key).filter(|b| b.bytes == bytes);
        let guesses = block.map(|b| b.next.get()).into_iter().flatten();
        guesses.filter(|g| g.is_one()).map(|g| g.linear)
    }

    /// Drops what was decoded from some 64-byte grains of a frame.
    pub fn forget(&mut self, frame: u32, grains: u64) {
        self.cache.forget(frame, grains);
    }

    /// The 64-byte grains of a frame that hold decoded code.
    pub fn code_in(&self, frame: u32) -> u64 {
        self.cache.code_in(frame)
    }
}

impl Interpreter {
    /// From block to block. `COUNTED`: counts, and stops before one that is due, unless it is the first.
    #[inline(always)]
    fn chain<const COUNTED: bool>(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        whole: bool,
    ) -> Result<(), StopReason> {
        let (start, mut from) = (cpu.retired, None);
        loop {
            from = self.here(cpu, mem, from);
            match from.map(|id| self.cache.block(id)) {
                Some(block) if COUNTED && cpu.retired != start && block.runs.get() >= block.due.get() => {
                    return Ok(());
                }
                Some(block) => {
                    if COUNTED && (whole || cpu.retired != start) {
                        block.runs.set(block.runs.get().saturating_add(1));
                    }
                    if fits(cpu, block) {
                        run_block(block, cpu, mem, monitor)?;
                    } else {
                        self.single(cpu, mem, monitor)?;
                    }
                }
                None => self.prepare(cpu, mem, monitor)?,
            }
            if cpu.retired >= cpu.until || mem.has_traces() {
                return Ok(());
            }
        }
    }

    /// The block at EIP, if it is known; `from` came before it.
    #[inline(always)]
    fn here(&self, cpu: &State, mem: &Memory, from: Option<u32>) -> Option<u32> {
        let linear = cpu.seg[usize::from(seg::CS)].base.wrapping_add(cpu.eip);
        let entry = mem.lookup_execute(linear);
        if entry == 0 {
            return None;
        }
        self.cache.guess(from, At { linear, physical: mem.physical_of(entry, linear), key: cpu.key() })
    }

    /// Makes the block that is missing, or does one instruction without.
    #[cold]
    #[inline(never)]
    fn prepare(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
    ) -> Result<(), StopReason> {
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        if mem.lookup_execute(linear) == 0 || cpu.eip > cpu.segment(seg::CS).limit {
            let shown = show_code(cpu, mem, monitor)?;
            // the walk may have set bits in a table that is code as well: whoever runs the engine
            // has to look first
            if mem.has_code_writes() {
                return Ok(());
            }
            if !shown {
                return self.single(cpu, mem, monitor);
            }
        }
        let entry = mem.lookup_execute(linear);
        let at = At { linear, physical: mem.physical_of(entry, linear), key: cpu.key() };
        self.cache.find(mem, at, cpu.code_size(), cpu.model);
        Ok(())
    }

    /// One instruction by its bytes: it crosses a page or the limit of CS, or is not in memory.
    #[cold]
    #[inline(never)]
    fn single(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
    ) -> Result<(), StopReason> {
        let cs = *cpu.segment(seg::CS);
        let linear = cs.base.wrapping_add(cpu.eip);
        let left = u64::from(cs.limit) + 1 - u64::from(cpu.eip.min(cs.limit));
        let mut bytes = [0; MAX_LENGTH];
        let want = left.min(MAX_LENGTH as u64) as usize;
        let (got, fault) = match monitor.fetch_bytes(cpu, mem, linear, &mut bytes[..want]) {
            Ok(()) => (want, Fault::GP0),
            Err((n, fault)) => (n, fault),
        };
        if cpu.eip > cs.limit {
            return Err(StopReason::Fault(Fault::GP0));
        }
        let key = cpu.key();
        let slot = &mut self.crossings[linear as usize % CROSSINGS];
        let op = match slot {
            Some(c) if c.bytes == bytes && c.key == key && got == MAX_LENGTH => c.op,
            _ => {
                let op =
                    decode_op(&bytes[..got], cpu.code_size(), cpu.model).ok_or(StopReason::Fault(fault))?;
                *slot = (got == MAX_LENGTH).then_some(Crossing { bytes, key, op });
                op
            }
        };
        run_ops(&[op], u32::from(op.insn.len), cpu, mem, monitor)
    }
}

/// Has the page of EIP shown to engines; whether it can be.
///
/// # Errors
/// The fault that its not being there is.
pub fn show_code(cpu: &mut State, mem: &mut Memory, monitor: &mut dyn Monitor) -> Result<bool, StopReason> {
    let cs = cpu.segment(seg::CS);
    if cpu.eip > cs.limit {
        return Err(StopReason::Fault(Fault::GP0));
    }
    let linear = cs.base.wrapping_add(cpu.eip);
    monitor.fetch(cpu, mem, linear).map_err(StopReason::Fault)?;
    Ok(mem.lookup_execute(linear) != 0)
}

/// The block is not empty and lies inside the limit of CS.
#[inline(always)]
fn fits(cpu: &State, block: &Block) -> bool {
    let last = u64::from(cpu.eip) + u64::from(block.bytes) - 1;
    last <= u64::from(cpu.segment(seg::CS).limit) && !block.ops.is_empty()
}

#[inline(always)]
fn run_block(
    block: &Block,
    cpu: &mut State,
    mem: &mut Memory,
    monitor: &mut dyn Monitor,
) -> Result<(), StopReason> {
    let left = cpu.until - cpu.retired;
    if left < block.ops.len() as u64 {
        let ops = &block.ops[..left as usize];
        let next = block.ops[left as usize].offset;
        return run_ops(ops, u32::from(next), cpu, mem, monitor);
    }
    run_ops(&block.ops, block.bytes, cpu, mem, monitor)
}

/// Runs instructions that start at EIP and end `bytes` further, unless the last one branches.
#[inline(always)]
fn run_ops(
    ops: &[Op],
    bytes: u32,
    cpu: &mut State,
    mem: &mut Memory,
    monitor: &mut dyn Monitor,
) -> Result<(), StopReason> {
    let start = cpu.eip;
    for op in ops {
        if let Err(stop) = (op.handler)(cpu, mem, monitor, op) {
            return Err(stopped(stop, op, start, cpu));
        }
    }
    cpu.retired += ops.len() as u64;
    if !ops.last().is_some_and(|op| op.branches) {
        cpu.eip = start.wrapping_add(bytes);
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn stopped(stop: Stop, op: &Op, start: u32, cpu: &mut State) -> StopReason {
    let this = start.wrapping_add(u32::from(op.offset));
    match stop {
        Stop::Elsewhere => return StopReason::Leave,
        Stop::Fault(fault) => {
            // the 8086 knows no faults: its divide error comes after the instruction
            let after = cpu.model == cpu::CpuModel::I8086 && *fault == Fault::DE;
            cpu.eip = if after { this.wrapping_add(u32::from(op.insn.len)) } else { this };
            cpu.retired += u64::from(op.index);
            return StopReason::Fault(*fault);
        }
        Stop::Again => {
            cpu.eip = this;
            cpu.retired += u64::from(op.index);
        }
        Stop::Done | Stop::Slow => {
            if !op.branches {
                cpu.eip = this.wrapping_add(u32::from(op.insn.len));
            }
            cpu.retired += u64::from(op.index) + 1;
        }
    }
    StopReason::Leave
}
