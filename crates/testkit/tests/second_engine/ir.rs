//! A small block-structured form, and what executes it.
//!
//! Values are numbered and belong to the run of one program; what passes a merge of control flow
//! goes through variables of the CPU's state.

use cpu::{Fault, State, Width, eflags};
use sem::fp::X87;

/// A value: an index into the values of a run.
pub(crate) type Value = usize;

/// A variable of the CPU's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variable {
    General(u8),
    FlagsResult,
    FlagsAux,
    Eip,
    Direction,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Add,
    Sub,
    Mul,
    Udiv,
    Urem,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Sar,
    Eq,
    Ult,
    Slt,
    Ctz,
    Clz,
    Parity,
    Bswap,
}

/// One step of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Constant(Value, u64),
    /// Of two operands (one-operand operations ignore the second).
    Compute(Operation, Width, Value, Value, Value),
    SignExtend(Width, Width, Value, Value),
    /// Cuts to a width.
    Truncate(Width, Value, Value),
    Select(Value, Value, Value, Value),
    Get(Value, Variable),
    Set(Variable, Value),
    Load(Value, Value, Width),
    Store(Value, Value, Width),
    /// Faults where the bytes are not memory.
    Check(Value, u32, bool),
    TrapIf(Value, Fault),
    /// An operation of the FPU, from and to a pair of values.
    X87(X87, [Value; 2], [Value; 2]),
    /// Notes the last FPU instruction: data pointer, opcode, whether there is a data pointer.
    NoteFpu(Value, u16, bool),
}

/// How a block ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Jump(usize),
    Branch(Value, usize, usize),
    Return,
}

#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

/// One instruction, compiled. Block 0 is the entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) blocks: Vec<Block>,
    pub(crate) values: usize,
}

fn sign(w: Width, v: u64) -> i64 {
    let n = 64 - w.bits();
    (v << n) as i64 >> n
}

fn compute(op: Operation, w: Width, a: u64, b: u64) -> u64 {
    let truth = |c: bool| u64::from(c);
    w.mask()
        & match op {
            Operation::Add => a.wrapping_add(b),
            Operation::Sub => a.wrapping_sub(b),
            Operation::Mul => a.wrapping_mul(b),
            Operation::Udiv => a.checked_div(b).unwrap_or(0),
            Operation::Urem => a.checked_rem(b).unwrap_or(0),
            Operation::And => a & b,
            Operation::Or => a | b,
            Operation::Xor => a ^ b,
            Operation::Shl => a.checked_shl(b as u32).unwrap_or(0),
            Operation::Shr => a.checked_shr(b as u32).unwrap_or(0),
            Operation::Sar => (sign(w, a) >> b.min(63)) as u64,
            Operation::Eq => truth(a == b),
            Operation::Ult => truth(a < b),
            Operation::Slt => truth(sign(w, a) < sign(w, b)),
            Operation::Ctz => u64::from(a.trailing_zeros().min(w.bits())),
            Operation::Clz => u64::from(a.leading_zeros() - (64 - w.bits())),
            Operation::Parity => truth((a as u8).count_ones().is_multiple_of(2)),
            Operation::Bswap => a.swap_bytes() >> (64 - w.bits()),
        }
}

fn get(cpu: &State, v: Variable) -> u64 {
    match v {
        Variable::General(r) => cpu.gpr[usize::from(r)],
        Variable::FlagsResult => cpu.flags_result,
        Variable::FlagsAux => cpu.flags_aux,
        Variable::Eip => u64::from(cpu.eip),
        Variable::Direction => u64::from(cpu.eflags & eflags::DF != 0),
    }
}

fn set(cpu: &mut State, v: Variable, x: u64) {
    match v {
        Variable::General(r) => cpu.gpr[usize::from(r)] = x,
        Variable::FlagsResult => cpu.flags_result = x,
        Variable::FlagsAux => cpu.flags_aux = x,
        Variable::Eip => cpu.eip = x as u32,
        Variable::Direction => cpu.eflags = cpu.eflags & !eflags::DF | if x != 0 { eflags::DF } else { 0 },
    }
}

/// Flat memory from address 0.
pub(crate) struct Machine {
    pub(crate) cpu: State,
    pub(crate) memory: Vec<u8>,
}

impl Machine {
    /// Runs a program to its end; its fault, if it raised one.
    pub(crate) fn run(&mut self, program: &Program) -> Option<Fault> {
        let mut values = vec![0u64; program.values];
        let mut at = 0;
        loop {
            let block = &program.blocks[at];
            for step in &block.steps {
                if let Err(fault) = self.step(step, &mut values) {
                    return Some(fault);
                }
            }
            at = match block.end {
                End::Jump(next) => next,
                End::Branch(c, yes, no) => {
                    if values[c] != 0 {
                        yes
                    } else {
                        no
                    }
                }
                End::Return => return None,
            };
        }
    }

    fn step(&mut self, step: &Step, v: &mut [u64]) -> Result<(), Fault> {
        match *step {
            Step::Constant(to, k) => v[to] = k,
            Step::Compute(op, w, to, a, b) => v[to] = compute(op, w, v[a], v[b]),
            Step::SignExtend(from, w, to, a) => v[to] = sign(from, v[a]) as u64 & w.mask(),
            Step::Truncate(w, to, a) => v[to] = v[a] & w.mask(),
            Step::Select(to, c, a, b) => v[to] = if v[c] != 0 { v[a] } else { v[b] },
            Step::Get(to, x) => v[to] = get(&self.cpu, x),
            Step::Set(x, a) => set(&mut self.cpu, x, v[a]),
            Step::Load(to, at, w) => {
                let bytes = &self.memory[v[at] as usize..][..w.bytes() as usize];
                v[to] = bytes.iter().rev().fold(0, |all, &b| all << 8 | u64::from(b));
            }
            Step::Store(at, a, w) => {
                let n = w.bytes() as usize;
                self.memory[v[at] as usize..][..n].copy_from_slice(&v[a].to_le_bytes()[..n]);
            }
            Step::Check(at, size, write) => {
                let end = v[at] + u64::from(size);
                if end > self.memory.len() as u64 {
                    let first = v[at].max(self.memory.len() as u64);
                    let code = if write { 6 } else { 4 };
                    return Err(Fault::page(cpu::PageFaultCode(code), first as u32));
                }
            }
            Step::TrapIf(c, fault) => {
                if v[c] != 0 {
                    return Err(fault);
                }
            }
            Step::X87(op, to, a) => {
                let r = op.eval(&mut self.cpu.fpu, u128::from(v[a[0]]) | u128::from(v[a[1]]) << 64);
                (v[to[0]], v[to[1]]) = (r as u64, (r >> 64) as u64);
            }
            Step::NoteFpu(at, opcode, data) => {
                let cpu = &mut self.cpu;
                if data {
                    (cpu.fpu.dp, cpu.fpu.ds) = (v[at] as u32, cpu.seg[3].selector);
                }
                (cpu.fpu.ip, cpu.fpu.cs) = (cpu.eip, cpu.seg[1].selector);
                cpu.fpu.opcode = opcode;
            }
        }
        Ok(())
    }
}
