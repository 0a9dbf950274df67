//! Segment registers with their hidden part, and descriptor tables.

/// Bits of [`Segment::rights`]: bytes 5 and 6 of a descriptor (SDM vol. 3A, 3.4.5).
#[allow(missing_docs)]
pub mod rights {
    pub const TYPE: u16 = 0x000f;
    pub const ACCESSED: u16 = 0x0001;
    /// Data: writable. Code: readable.
    pub const WRITABLE: u16 = 0x0002;
    /// Data: expand-down. Code: conforming.
    pub const DIRECTION: u16 = 0x0004;
    pub const CODE: u16 = 0x0008;
    /// Set for code and data, clear for system descriptors.
    pub const S: u16 = 0x0010;
    pub const DPL: u16 = 0x0060;
    pub const PRESENT: u16 = 0x0080;
    pub const AVL: u16 = 0x1000;
    pub const BIG: u16 = 0x4000;
    pub const GRANULAR: u16 = 0x8000;
    /// Not of the descriptor: the register was loaded with a null selector and holds no segment.
    pub const UNUSABLE: u16 = 0x0100;
}

/// A segment register, LDTR or TR: selector and cached descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Segment {
    /// Linear address of offset 0.
    pub base: u32,
    /// The last valid offset in bytes (expand-up) or the last invalid one (expand-down).
    pub limit: u32,
    /// [`rights`].
    pub rights: u16,
    /// The visible selector.
    pub selector: u16,
    /// Every offset may be read without a check; see [`Segment::refresh`].
    pub flat_read: bool,
    /// Every offset may be written without a check.
    pub flat_write: bool,
    /// The last offset that may be read, -1 for none; segments that expand down have none here
    /// and are checked in full.
    pub read_last: i64,
    /// As `read_last`, for writing.
    pub write_last: i64,
}

impl Segment {
    /// A segment of real or V86 mode: base 16 times the selector, 64 KiB, with the given DPL.
    pub fn real(selector: u16, dpl: u16) -> Segment {
        let rights = rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | dpl << 5;
        let mut s =
            Segment { base: u32::from(selector) << 4, limit: 0xffff, rights, selector, ..Segment::default() };
        s.refresh();
        s
    }

    /// A register loaded with a null selector.
    pub fn null(selector: u16) -> Segment {
        Segment { selector, rights: rights::UNUSABLE, read_last: -1, write_last: -1, ..Segment::default() }
    }

    /// Derives the flat bits and the last offsets. Call after any change of the other fields.
    #[inline(always)]
    pub fn refresh(&mut self) {
        let whole = self.base == 0 && self.limit == u32::MAX && self.usable() && !self.expand_down();
        self.flat_read = whole && self.readable();
        self.flat_write = whole && self.writable();
        let up = self.usable() && !self.expand_down();
        let last = |permitted: bool| if up && permitted { i64::from(self.limit) } else { -1 };
        (self.read_last, self.write_last) = (last(self.readable()), last(self.writable()));
    }

    /// Holds a segment (SDM: a null selector gives #GP on use).
    #[inline(always)]
    pub fn usable(&self) -> bool {
        self.rights & rights::UNUSABLE == 0
    }
    /// A code segment.
    #[inline(always)]
    pub fn code(&self) -> bool {
        self.rights & rights::CODE != 0
    }
    /// Data, or readable code.
    #[inline(always)]
    pub fn readable(&self) -> bool {
        self.rights & (rights::CODE | rights::WRITABLE) != rights::CODE
    }
    /// Writable data.
    #[inline(always)]
    pub fn writable(&self) -> bool {
        self.rights & (rights::CODE | rights::WRITABLE) == rights::WRITABLE
    }
    /// Expand-down data.
    #[inline(always)]
    pub fn expand_down(&self) -> bool {
        self.rights & (rights::CODE | rights::DIRECTION) == rights::DIRECTION
    }
    /// D/B: 32-bit code, 32-bit stack pointer, 4 GiB upper bound of expand-down.
    #[inline(always)]
    pub fn big(&self) -> bool {
        self.rights & rights::BIG != 0
    }
    /// Descriptor privilege level.
    pub fn dpl(&self) -> u8 {
        (self.rights >> 5 & 3) as u8
    }
    /// Requested privilege level of the visible selector.
    pub fn rpl(&self) -> u8 {
        (self.selector & 3) as u8
    }

    /// Whether the `size` bytes at `offset` lie inside the limit (SDM vol. 3A, 5.3). An access
    /// that wraps past the top of the segment lies outside.
    #[inline]
    pub fn covers(&self, offset: u32, size: u32) -> bool {
        let Some(last) = offset.checked_add(size - 1) else {
            return self.limit == u32::MAX && !self.expand_down();
        };
        if !self.expand_down() {
            return last <= self.limit;
        }
        let top = if self.big() { u32::MAX } else { 0xffff };
        offset > self.limit && last <= top
    }

    /// Whether an access is permitted by type and limit.
    #[inline]
    pub fn permits(&self, offset: u32, size: u32, write: bool) -> bool {
        let kind = if write { self.writable() } else { self.readable() };
        self.usable() && kind && self.covers(offset, size)
    }
}

/// GDTR or IDTR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct DescriptorTable {
    /// Linear address.
    pub base: u32,
    /// The last valid byte's offset.
    pub limit: u16,
}
