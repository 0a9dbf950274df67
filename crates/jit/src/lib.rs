//! The JIT: [`sem::Emit`] by Cranelift, over regions of hot blocks.

#[allow(dead_code, unused_imports, reason = "the compiler that uses it is not there yet")]
mod x87;
