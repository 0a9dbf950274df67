//! The whole machine in a file.

mod container;
mod cpu;

pub use container::{Reader, Section, SnapshotError, Writer};
