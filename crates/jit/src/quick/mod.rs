//! The quick tier: code that is written in one pass, at a twentieth of Cranelift's cost, for what is warm.
//!
//! It reads the same bodies ([`sem::Emit`]) over the same plans ([`crate::plan`]) as Cranelift's tiers do, and its
//! regions are left, linked and dropped as theirs are. A guest register is in memory whenever an instruction ends, so
//! that there is nothing to put back where a region is left; within a block and those that only it leads to, values
//! stay in registers of the host. Blocks count their runs, and what gets hot is compiled for good.

mod access;
mod aside;
mod asm;
mod emit;
mod flags;
mod region;
mod temps;
mod ways;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use region::build;
