//! The second way to a host address ([`Lookup::Tagged`](crate::Lookup)): a direct-mapped table with tags, whose
//! entries are copies of those of the flat arrays ([`mem::Tables`]).
//!
//! A page that is not in the table goes the way of accesses across pages, which finds it in the arrays; only here the
//! table gets it as well. So a page that another one has ousted costs a call, and the region is not left.

use crate::access::Ways;
use crate::across;
use crate::context::Context;
use crate::engine::Call;
use crate::lower::{Lower, own};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use mem::{PAGE, PAGE_SHIFT, TAGGED_ENTRIES};

/// Log2 of the bytes of an entry: the tag, and behind it what is added.
const ENTRY_SHIFT: u32 = 4;

impl Lower<'_, '_> {
    /// As [`Lower::look_inside`], in a table; the block is for what is not in it as well.
    pub(crate) fn look_in_table(&mut self, linear: Value, size: u32, write: bool, ways: Ways) -> Block {
        // the cold block can be reached in two ways: what the exit puts back has to be at hand before
        self.leave();
        let cold = match size {
            1 => self.b.create_block(),
            _ => self.stay_in_page(linear, size),
        };
        self.b.set_cold_block(cold);
        let wide = self.b.ins().uextend(I64, linear);
        let at = self.b.ins().ushr_imm_u(wide, i64::from(PAGE_SHIFT - ENTRY_SHIFT));
        let at = self.b.ins().band_imm_u(at, i64::from((TAGGED_ENTRIES - 1) << ENTRY_SHIFT));
        let table = self.array(write);
        let at = self.b.ins().iadd(table, at);
        let tag = self.b.ins().load(I64, own(), at, 0);
        let wanted = self.b.ins().bor_imm_u(wide, i64::from(PAGE - 1));
        let here = self.b.ins().icmp(IntCC::Equal, tag, wanted);
        let hit = self.b.create_block();
        self.b.ins().brif(here, hit, &[], cold, &[]);
        self.go(hit);
        let entry = self.b.ins().load(I64, own(), at, 1 << (ENTRY_SHIFT - 1));
        if write {
            self.permit_store(entry, wide, size, ways);
        } else {
            self.b.ins().jump(ways.plain, &[entry.into()]);
        }
        cold
    }
}

/// As [`across::across`], for what is across pages or was not in the table, which has it from now on.
pub(crate) unsafe extern "C" fn missed(context: *mut Context, linear: u64, kind: u64) {
    // SAFETY: the caller's promise is that of `across`.
    unsafe {
        refill(context, linear, (kind as u16).into(), kind >> across::WRITE != 0);
        across::across(context, linear, kind);
    }
}

/// As [`across::store_across`], likewise.
pub(crate) unsafe extern "C" fn store_missed(context: *mut Context, linear: u64, size: u64, value: u64) {
    // SAFETY: as in `missed`.
    unsafe {
        refill(context, linear, size as u32, true);
        across::store_across(context, linear, size, value);
    }
}

/// Copies an entry from the arrays, where the access is within a page.
///
/// # Safety
/// The context is the one that [`crate::Jit`] has entered compiled code with, which calls this.
unsafe fn refill(context: *mut Context, linear: u64, size: u32, write: bool) {
    let linear = linear as u32;
    if linear % PAGE + size > PAGE {
        return;
    }
    // SAFETY: the caller's promise; `call` is on `Jit::enter`'s stack, its memory was borrowed for as long as that
    // runs, and compiled code has no reference into it.
    let mem = unsafe { &mut *(*((*context).call as *const Call)).mem };
    mem.refill(linear, write);
}
