//! What passes between I/O APICs and local APICs (Intel SDM vol. 3A, 10.6; 82093AA data sheet 290566).

/// Delivery modes, as bits 10:8 of all redirection and local vector table entries encode them.
pub mod delivery {
    /// The vector, to all CPUs that the destination names.
    pub const FIXED: u8 = 0;
    /// The vector, to the one of them whose priority is lowest.
    pub const LOWEST: u8 = 1;
    /// System management interrupt.
    pub const SMI: u8 = 2;
    /// NMI.
    pub const NMI: u8 = 4;
    /// INIT.
    pub const INIT: u8 = 5;
    /// Start-up, in interprocessor interrupts alone.
    pub const STARTUP: u8 = 6;
    /// As if from an 8259A, which gives the vector.
    pub const EXTINT: u8 = 7;
}

/// An interrupt message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The vector, if the delivery mode has one.
    pub vector: u8,
    /// The [`delivery`] mode.
    pub mode: u8,
    /// Level-triggered: the end of the interrupt is to be told to the I/O APICs.
    pub level: bool,
    /// The destination is a set of logical APIC IDs, not an APIC ID.
    pub logical: bool,
    /// The destination; FFh is everyone.
    pub destination: u8,
}

/// An APIC's registers are 32 bits wide and 16 bytes apart. This says which one an access at `offset` means, and
/// the bit at which the access begins; `None` for the unused bytes between two registers.
pub fn register_at(offset: u16) -> Option<(u16, u32)> {
    (offset & 0xc == 0).then_some((offset & !0xf, 8 * u32::from(offset & 3)))
}
