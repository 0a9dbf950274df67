//! The JIT: [`sem::Emit`] by Cranelift, over regions of hot blocks.
