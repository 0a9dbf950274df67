//! One interpreter for each sensitive instruction, by family.

pub mod operand;
