//! Disk, floppy and CD images in files, as devices see them: sectors.
#![forbid(unsafe_code)]

mod log;
mod overlay;
mod raw;
mod recognise;

pub use log::{Log, Logged};
pub use overlay::Overlay;
pub use raw::{Access, Complaints, DiskError, RawImage};
pub use recognise::{HEAD, Medium, recognise};
