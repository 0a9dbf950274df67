//! Results that have to be computed for their flags' sake.
//!
//! Where the host collects the guest's flags ([`crate::mxcsr`]), an operation must be performed although nobody
//! may ever look at its result; the compiler leaves out what has no use. So each block remembers the results that
//! no operation of that kind and no store has taken, and writes them to a place that nobody reads.

use crate::context;
use crate::lower::{Lower, own};
use crate::wide::Wide;
use cranelift_codegen::ir::{InstBuilder, Value};

impl Lower<'_, '_> {
    /// The result of an operation that may have raised flags.
    pub(crate) fn raises(&mut self, result: Wide) {
        if let Wide::Vector(v) = result {
            self.raised.push(v);
        }
    }

    /// A value is used where it is certainly computed.
    pub(crate) fn used(&mut self, v: Value) {
        self.raised.retain(|&r| r != v);
    }

    /// Has everything computed that the block ending here has raised.
    pub(crate) fn compute_raised(&mut self) {
        for v in std::mem::take(&mut self.raised) {
            self.b.ins().store(own(), v, self.ctx, context::UNREAD);
        }
    }
}
