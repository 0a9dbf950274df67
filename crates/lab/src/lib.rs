//! The constructive side of Popek and Goldberg's paper (CACM 17(7), 1974), to be run and to be broken.
//!
//! [`third`] is the paper's machine, in variants of which one fulfils theorem 1's condition. [`definitions`] looks at
//! all states of a small one to find its instructions' classes. [`monitor`] is a virtual machine monitor for it, with
//! the homomorphism f as a function, and [`equivalence`] runs random programs bare and under monitors. [`coded`] is a
//! monitor as a program of the machine itself. [`x86`] does the same on the processor that Ringer emulates. What all
//! this shows is told by [`LESSONS`].
//!
//! ```
//! let report = lab::equivalence::equivalence(100, 1);
//! assert!(report.difference.is_none() && report.traps > 100);
//! let lesson = lab::lesson("popf").unwrap();
//! (lesson.run)(&mut std::io::sink()).unwrap();
//! ```
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
