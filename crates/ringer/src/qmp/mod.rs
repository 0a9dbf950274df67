//! The QEMU Machine Protocol on a Unix socket (QEMU's docs/interop/qmp-spec.rst).

mod arguments;
mod commands;
mod server;

pub(crate) use arguments::{Arguments, QmpError};
pub(crate) use commands::{Control, Input, Picture, execute};
pub(crate) use server::Qmp;
