//! The same construction on the processor that Ringer emulates: a small 32-bit supervisor at CPL 3, by trap-and-emulate
//! on #GP (Robin and Irvine, USENIX Security 2000, for why it fails; the paper, section 4, for how it would work).
//!
//! The monitor's relocation-bounds register is segmentation: each segment that the guest has loaded is moved to the
//! guest's window, cut off at its end, and made one of privilege level 3 ([`f`]). Its IDTR has no entries, so that
//! INT n traps as well. What traps at virtual CPL 0, one of [`vmm`]'s own routines does on the virtual state, through an
//! accessor of its own ([`system::Virtual`]).
//!
//! On x86 as it is, some sensitive instructions do not trap, and the guest notices. On the *modified* machine every
//! form with a routine is #GP(0) outside of CPL 0, and the guest cannot tell.

mod bare;
mod chip;
mod compare;
mod layout;
mod monitor;
mod paged;
mod program;
mod relocate;
mod shadow;
pub mod system;

pub use bare::Bare;
pub use chip::{Chip, Manner, Ports};
pub use compare::{Difference, Report, Source, compare, compare_paged, differences};
pub use layout::{CODE, WINDOW};
pub use monitor::{Counts, Deprivileged};
pub use program::{Program, SENSITIVE, Sensitive};
pub use relocate::{PLACE, f, segment};
pub use shadow::{Shadow, ShadowCounts};
