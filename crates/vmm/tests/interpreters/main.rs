//! The interpreters of segment loads, far transfers, interrupts, tasks and descriptor tables,
//! each against what the manual says.
#![allow(clippy::unwrap_used)]

mod apic;
mod coprocessor;
mod descriptors;
mod events;
mod extended;
mod fake;
mod flags;
mod interrupts;
mod limits;
mod mutant;
mod order;
mod ports;
mod privileged;
mod robustness;
mod segments;
mod selectors;
mod switches;
mod tasks;
mod transfers;
mod ways;
