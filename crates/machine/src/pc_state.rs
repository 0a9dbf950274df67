//! The board's state as named parts: what a snapshot holds, and what the state hash covers.

use crate::Pc;
use serde::{Deserialize, Serialize};

/// A named part of a machine's state, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: &'static str,
    /// The version of its encoding.
    pub(crate) version: u16,
    /// The encoding.
    pub(crate) bytes: Vec<u8>,
}

/// Why a part could not be put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// It is not the encoding of its version.
    #[error("its bytes are not what version {0} has")]
    Encoding(u16),
    /// A later program wrote it.
    #[error("it has version {found}, and this program knows {known}")]
    Newer {
        /// The version found.
        found: u16,
        /// The latest one known.
        known: u16,
    },
    /// The device can have no such state.
    #[error(transparent)]
    State(#[from] dev::StateError),
    /// The network can have no such state.
    #[error(transparent)]
    Network(#[from] net::StateError),
}

/// The board's own wires, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WiresV1 {
    ferr: bool,
    a20: bool,
    power_off: bool,
    reset: bool,
    init: bool,
}

/// Decodes the whole of `bytes`, of the one version that there is.
pub(crate) fn decode<'a, T: Deserialize<'a>>(version: u16, bytes: &'a [u8]) -> Result<T, PartError> {
    if version > 1 {
        return Err(PartError::Newer { found: version, known: 1 });
    }
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(PartError::Encoding(version)),
    }
}

/// Encodes version 1 of a part.
pub(crate) fn encode(name: &'static str, state: &impl Serialize) -> Part {
    // encoding into a growing vector cannot fail
    Part { name, version: 1, bytes: postcard::to_stdvec(state).unwrap_or_default() }
}

/// One list of the devices, for saving and for restoring.
macro_rules! devices {
    ($($name:literal { $($field:tt)+ })*) => {
        impl Pc {
            /// The state of every device and of the board's wires.
            pub(crate) fn parts(&self) -> Vec<Part> {
                let wires = WiresV1 {
                    ferr: self.ferr,
                    a20: self.a20,
                    power_off: self.requests.power_off,
                    reset: self.requests.reset,
                    init: self.requests.init,
                };
                let mut parts = vec![encode("board", &wires), $(encode($name, &self.$($field)+.save())),*];
                if let Some(link) = &self.link {
                    parts.extend([encode("ne2000", &link.card().save()), encode("net", &link.wire())]);
                }
                parts
            }

            /// The names of the parts that every board has.
            const PARTS: &[&str] = &["board", $($name),*];

            /// Puts one part back; `Ok(false)`: there is no part of that name.
            ///
            /// # Errors
            /// [`PartError`]; the part is then as it was.
            pub(crate) fn restore_part(
                &mut self,
                name: &str,
                version: u16,
                bytes: &[u8],
            ) -> Result<bool, PartError> {
                match name {
                    "board" => self.restore_wires(&decode(version, bytes)?),
                    $($name => self.$($field)+.restore(&decode(version, bytes)?)?,)*
                    _ => return self.restore_link(name, version, bytes),
                }
                Ok(true)
            }
        }
    };
}

devices! {
    "pic8259" { pic }
    "lapic" { lapic }
    "ioapic" { ioapic }
    "pit8254" { pit }
    "port61" { port61 }
    "port92" { port92 }
    "rtc146818" { rtc }
    "serial0" { uarts[0] }
    "serial1" { uarts[1] }
    "i8042" { i8042 }
    "pci" { pci }
    "acpi_pm" { pm }
    "vga" { vga }
    "isa_debug" { debug }
    "fw_cfg" { fw_cfg }
    "dma8237" { dma }
    "floppy" { floppy }
    "ide" { ide }
}

impl Pc {
    /// The names of all parts of this board.
    pub(crate) fn part_names(&self) -> Vec<&'static str> {
        let link: &[&str] = if self.link.is_some() { &["ne2000", "net"] } else { &[] };
        Pc::PARTS.iter().chain(link).copied().collect()
    }

    /// A part that boards with a network card have.
    fn restore_link(&mut self, name: &str, version: u16, bytes: &[u8]) -> Result<bool, PartError> {
        let Some(link) = &mut self.link else { return Ok(false) };
        match name {
            "ne2000" => link.card_mut().restore(&decode(version, bytes)?)?,
            "net" => link.restore_wire(decode(version, bytes)?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn restore_wires(&mut self, w: &WiresV1) {
        (self.ferr, self.a20) = (w.ferr, w.a20);
        self.requests.power_off = w.power_off;
        self.requests.reset = w.reset;
        self.requests.init = w.init;
    }
}
