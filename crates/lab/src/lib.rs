//! The constructive side of Popek and Goldberg's paper (CACM 17(7), 1974), to be run and to be broken.
#![forbid(unsafe_code)]

pub mod coded;
pub mod definitions;
pub mod equivalence;
mod lessons;
pub mod monitor;
pub mod random;
pub mod third;
pub mod x86;

pub use lessons::{LESSONS, Lesson, lesson};
