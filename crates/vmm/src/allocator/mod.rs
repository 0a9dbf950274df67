//! The allocator: who may touch what. Guest memory and the shadow policy; I/O permission is
//! `interpreters::io`, since the guest's own tables decide it.

pub mod shadow;
pub mod watch;
