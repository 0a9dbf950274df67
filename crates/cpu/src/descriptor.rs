//! Descriptors as bytes, for whoever makes tables.

/// The eight bytes of a segment descriptor: base, 20 bits of limit, the access byte, and G, D/B, L and AVL as `flags` (SDM
/// vol. 3A, 3.4.5).
pub fn segment(base: u32, limit: u32, access: u8, flags: u8) -> u64 {
    let (base, limit) = (u64::from(base), u64::from(limit));
    limit & 0xffff
        | (base & 0xff_ffff) << 16
        | u64::from(access) << 40
        | (limit >> 16 & 0xf | u64::from(flags) << 4) << 48
        | (base >> 24) << 56
}

/// The eight bytes of a gate: a call gate has a count of `parameters` (SDM vol. 3A, 5.8.3 and 6.11).
pub fn gate(selector: u16, offset: u32, access: u8, parameters: u8) -> u64 {
    let offset = u64::from(offset);
    offset & 0xffff
        | u64::from(selector) << 16
        | u64::from(parameters) << 32
        | u64::from(access) << 40
        | (offset >> 16) << 48
}
