//! The virtual machine monitor of Popek and Goldberg: a dispatcher, an allocator, and one
//! interpreter for each sensitive instruction.
#![forbid(unsafe_code)]

pub mod allocator;
mod dispatcher;
pub mod interpreters;
mod system;

pub use dispatcher::{Event, Vmm};
pub use system::{Atom, Board, Privilege, System};
