//! Guest-physical memory, memory traces, shadow page tables as data, and the page walker.
//!
//! All raw access to guest RAM of the whole project happens here. No `&[u8]` over guest RAM is
//! ever formed: bytes are copied in and out.

mod arena;
mod bulk;
mod physical;
mod rmap;
mod shadow;
mod space;
mod tagged;
mod trace;
mod tracing;
mod walk;

pub use arena::{Arena, HostAddress};
pub use physical::Window;
pub use shadow::{Arrays, Memory, MemoryError, PageKind, Rights};
pub use space::{Role, SpaceId};
pub use tagged::{TAGGED_ENTRIES, Tables};
pub use trace::{TableUse, Trace};
pub use walk::{Access, PageError, Paging, Physical, Walk, walk};

/// Bytes of a page.
pub const PAGE: u32 = 4096;
/// Log2 of [`PAGE`].
pub const PAGE_SHIFT: u32 = 12;
