//! The virtual machine monitor of Popek and Goldberg: a dispatcher, an allocator, and one
//! interpreter for each sensitive instruction.
#![forbid(unsafe_code)]

pub mod allocator;
mod dispatcher;
pub mod interpreters;
mod live;
mod profile;
mod system;

pub use dispatcher::{Mode, Outcome, Stats, Vmm};
pub use live::Live;
pub use profile::{Profile, Times};
pub use system::{APIC_BASE, APIC_BSP, APIC_ENABLE, Atom, Board, Privilege, System};
