//! What becomes of some guest code, step by step, for people who want to read it.

use crate::backend::{Addresses, Backend, BackendError, Effort};
use crate::config::{Arithmetic, Lookup};
use crate::key::Key;
use crate::plan::{Block, Plan, Tier};
use crate::planner::{Profile, plan};
use crate::region::{self, Options};
use cpu::State;
use mem::Memory;
use std::fmt::Write;

/// A region in three forms.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What the region consists of.
    pub plan: String,
    /// Cranelift's intermediate representation.
    pub ir: String,
    /// Machine code, for any address.
    pub code: Vec<u8>,
}

/// Every block is worth a place, and none is compiled yet.
struct Everything;

impl Profile for Everything {
    fn ran(&self, _: u32) -> bool {
        true
    }
    fn compiled(&self, _: u32) -> bool {
        false
    }
    fn outside(&self, _: u32) -> bool {
        false
    }
    fn apart(&self, _: u32) -> bool {
        false
    }
    fn in_place(&self) -> bool {
        true
    }
    fn followers(&self, _: u32, _: u32) -> Vec<u32> {
        Vec::new()
    }
}

/// Stand-ins for the engine's own code, easy to find again.
const ADDRESSES: Addresses = Addresses {
    dispatch: 0xd15_0000,
    callout: 0xca1_0000,
    attempt: 0xa77_0000,
    attempt_flags: 0xa78_0000,
    whole: 0x3e9_0000,
    settle: 0x5e7_0000,
    fine: 0xf14_0000,
    across: 0xac0_0000,
    store_across: 0xac1_0000,
    x87_in: 0x870_0000,
    x87_function: 0x871_0000,
};

/// The region at EIP, whose page must be executable in the shadow, with accesses by one form of the shadow; `None`
/// where the JIT compiles nothing there.
///
/// # Errors
/// As [`Jit::new`](crate::Jit::new).
pub fn explain(cpu: &State, mem: &Memory, lookup: Lookup) -> Result<Option<Explained>, BackendError> {
    let mut backend = Backend::new()?;
    let head = cpu.segment(cpu::seg::CS).base.wrapping_add(cpu.eip);
    let Some(plan) = plan((cpu.model, head), mem, Key::of(cpu), &Everything, Tier::First) else {
        return Ok(None);
    };
    let options = Options { host: backend.host_convention(), lookup, arithmetic: Arithmetic::default() };
    let routines = backend
        .write(region::region_signature(), Effort::None, |b| region::build(&plan, &options, ADDRESSES, b));
    let ir = backend.text();
    let code = backend.translate(Effort::None, &routines)?;
    Ok(Some(Explained { plan: text(&plan), ir, code }))
}

fn text(plan: &Plan) -> String {
    let Plan { key, instructions, span, mentioned, written, .. } = plan;
    let mut out = format!(
        "{instructions} instructions from {} to {}, {key:?}, registers mentioned {mentioned:#x}, written {written:#x}\n",
        span.0, span.1
    );
    for (n, b) in plan.blocks.iter().enumerate() {
        // a string takes what is written
        let _ = writeln!(out, "{}", block(n, b));
    }
    out
}

fn block(n: usize, b: &Block) -> String {
    let entry = if b.entry { ", can be entered" } else { "" };
    let check = b.check.map_or(String::new(), |k| format!(", checks the budget for {k}"));
    let mut out = format!(
        "block {n} at +{:#x}{entry}{check}, needs flags: {:?}, dirty registers {:#x}",
        b.off, b.flags, b.dirty
    );
    for s in &b.steps {
        let _ = write!(out, "\n  +{:#x} {:?}: {:?}", s.off, s.insn.code, s.effects.touches);
    }
    let _ = write!(out, "\n  end: {:?}", b.end);
    out
}
