//! The devices of an i440FX/PIIX3-class PC as pure register machines.
//!
//! No device does host I/O, knows another device, or reads a clock: the board hands in virtual
//! time ([`Nanos`]) with every access, samples the output pins afterwards (`irq`, `out`, `a20`, ...)
//! and wires them. The conventions that all devices share:
//!
//! - `read` and `write` take an offset relative to the device's base; what a guest writes can never
//!   panic, and every queue is bounded;
//! - `deadline()` is the absolute time of the next event that can change an output by itself, and
//!   `advance(now)` brings the device to that time; time that runs backwards counts as no time;
//! - `save()` yields a versioned, serializable state of frozen structs and `restore()` validates one.
#![forbid(unsafe_code)]

pub mod acpi_pm;
pub mod apic_bus;
pub mod block;
pub mod bus;
pub mod dma8237;
pub mod floppy;
pub mod fw_cfg;
pub mod i8042;
pub mod ide;
pub mod ioapic;
pub mod isa_debug;
pub mod keys;
pub mod lapic;
pub mod ne2000;
pub mod pci;
pub mod pic8259;
pub mod pit8254;
pub mod port61;
pub mod port92;
pub mod ps2_keyboard;
pub mod ps2_mouse;
pub mod rtc146818;
pub mod speaker;
pub mod state;
pub mod time;
pub mod uart16550;
pub mod vga;

#[cfg(test)]
mod testing;

pub use block::{Block, BlockError};
pub use bus::{DmaMemory, VideoMemory};
pub use state::StateError;
pub use time::Nanos;
