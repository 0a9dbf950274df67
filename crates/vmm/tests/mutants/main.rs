//! The mutation test of the monitor's routines: every check that a routine makes is dropped, inverted, given another
//! fault and another place, mechanically, and each time a test of `tests/interpreters` has to fail; or
//! `equivalent.tsv` says why nobody could see a difference.
#![allow(clippy::unwrap_used)]

#[path = "../interpreters/apic.rs"]
mod apic;
#[path = "../interpreters/coprocessor.rs"]
mod coprocessor;
#[path = "../interpreters/descriptors.rs"]
mod descriptors;
#[path = "../interpreters/events.rs"]
mod events;
#[path = "../interpreters/extended.rs"]
mod extended;
#[path = "../interpreters/fake.rs"]
mod fake;
#[path = "../interpreters/flags.rs"]
mod flags;
#[path = "../interpreters/interrupts.rs"]
mod interrupts;
#[path = "../interpreters/limits.rs"]
mod limits;
#[path = "../interpreters/mutant.rs"]
mod mutant;
#[path = "../interpreters/order.rs"]
mod order;
#[path = "../interpreters/ports.rs"]
mod ports;
#[path = "../interpreters/privileged.rs"]
mod privileged;
#[path = "../interpreters/segments.rs"]
mod segments;
#[path = "../interpreters/selectors/mod.rs"]
mod selectors;
#[path = "../interpreters/switches.rs"]
mod switches;
#[path = "../interpreters/tasks.rs"]
mod tasks;
#[path = "../interpreters/transfers.rs"]
mod transfers;
#[path = "../interpreters/ways.rs"]
mod ways;

mod driver;
mod list;
mod place;
mod sources;
