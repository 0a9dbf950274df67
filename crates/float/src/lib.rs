//! IEEE 754 arithmetic in software, as the x87 FPU and SSE units perform it.
#![forbid(unsafe_code)]
