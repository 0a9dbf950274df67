//! Developer commands, and where they leave what tests use.
#![forbid(unsafe_code)]

pub mod arm;
mod command;
pub mod guests;
pub mod test;
