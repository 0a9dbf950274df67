//! The interpreters of segment loads, far transfers, interrupts, tasks and descriptor tables,
//! each against what the manual says.
#![allow(clippy::unwrap_used)]

mod apic;
mod descriptors;
mod fake;
mod interrupts;
mod mutant;
mod robustness;
mod segments;
mod selectors;
mod tasks;
mod transfers;
mod ways;
