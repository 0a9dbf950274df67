//! The devices of the PC as pure register machines.
#![forbid(unsafe_code)]
