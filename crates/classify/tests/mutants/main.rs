//! The mutation tests that need the derivation: of the specifications, each condition and flag of which is changed;
//! and for those of the monitor's routines the list of all questions that an exploration of the model meets, so that
//! one that no test of `vmm` asks is not forgotten.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod edits;
mod explored;
#[path = "../../../vmm/tests/mutants/place.rs"]
mod place;
#[path = "../../../isa/tests/spec_x86.rs"]
mod spec_x86;
mod specs;
