//! A PC BIOS: it lies at the top of 4 GiB, and its last 128 KiB below 1 MiB as well, until it has
//! copied itself into the RAM behind.

use super::BootError;
use crate::Pc;
use crate::firmware::Firmware;
use mem::Memory;

/// Puts the BIOS into its flash memory and lets the chipset decide what shows below 1 MiB.
pub(super) fn load(firmware: &Firmware, mem: &mut Memory, board: &mut Pc) -> Result<(), BootError> {
    let size = firmware.bios.len();
    if size == 0 || size > Firmware::MOST_BIOS || !size.is_multiple_of(0x1_0000) {
        return Err(BootError::Format {
            expected: "a BIOS image",
            why: "its size must be a multiple of 64 KiB up to 256 KiB",
        });
    }
    board.install_firmware(firmware, mem);
    Ok(())
}
