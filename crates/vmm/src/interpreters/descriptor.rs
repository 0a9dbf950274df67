//! Descriptors and gates as they lie in the GDT, LDT and IDT (SDM vol. 3A, 3.4.5, 3.5, 5.8.3).

use crate::{Atom, Privilege, System};
use cpu::{Fault, Segment, rights};

/// Makes a fault from an error code: [`Fault::gp`], [`Fault::ts`], [`Fault::np`], [`Fault::ss`].
pub type Raise = fn(u16) -> Fault;

/// A fault whose error code names a selector; `ext` is the EXT bit (SDM vol. 3A, 6.13).
pub fn error(raise: Raise, selector: u16, ext: u16) -> Fault {
    raise(selector & 0xfffc | ext)
}

/// What a descriptor describes (SDM vol. 3A, tables 3-1 and 3-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// A code segment.
    Code,
    /// A data or stack segment.
    Data,
    /// A TSS that no task runs on.
    AvailableTss,
    /// The TSS of a running or waiting task.
    BusyTss,
    /// A local descriptor table.
    Ldt,
    /// A call gate.
    CallGate,
    /// A task gate.
    TaskGate,
    /// An interrupt gate: clears IF.
    InterruptGate,
    /// A trap gate: leaves IF.
    TrapGate,
    /// A reserved type.
    Reserved,
}

/// A descriptor, and where it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// The selector that named it (for the IDT: the vector times 8, plus 2).
    pub selector: u16,
    /// Linear address of its first byte.
    pub address: u32,
    low: u32,
    high: u32,
}

impl Descriptor {
    /// A descriptor from its eight bytes.
    #[inline]
    pub fn new(selector: u16, address: u32, bytes: u64) -> Descriptor {
        Descriptor { selector, address, low: bytes as u32, high: (bytes >> 32) as u32 }
    }

    /// The upper doubleword, of which LAR shows a part.
    pub fn high(&self) -> u32 {
        self.high
    }

    /// [`rights`], bytes 5 and 6 without the limit's upper bits.
    #[inline]
    pub fn rights(&self) -> u16 {
        (self.high >> 8) as u16 & 0xf0ff
    }

    #[inline]
    fn has(&self, bit: u16) -> bool {
        self.rights() & bit != 0
    }

    /// The four bits of the type field.
    pub fn type_bits(&self) -> u16 {
        self.rights() & rights::TYPE
    }

    /// What it describes.
    #[inline]
    pub fn class(&self) -> Class {
        if self.has(rights::S) {
            return if self.has(rights::CODE) { Class::Code } else { Class::Data };
        }
        match self.type_bits() {
            0x1 | 0x9 => Class::AvailableTss,
            0x3 | 0xb => Class::BusyTss,
            0x2 => Class::Ldt,
            0x4 | 0xc => Class::CallGate,
            0x5 => Class::TaskGate,
            0x6 | 0xe => Class::InterruptGate,
            0x7 | 0xf => Class::TrapGate,
            _ => Class::Reserved,
        }
    }

    /// A gate or TSS of the 32-bit kind.
    pub fn wide(&self) -> bool {
        self.type_bits() & 8 != 0
    }

    /// Descriptor privilege level.
    #[inline]
    pub fn dpl(&self) -> u8 {
        (self.high >> 13 & 3) as u8
    }

    /// Requested privilege level of the selector that named it.
    #[inline]
    pub fn rpl(&self) -> u8 {
        (self.selector & 3) as u8
    }

    /// The present bit.
    #[inline]
    pub fn present(&self) -> bool {
        self.has(rights::PRESENT)
    }

    /// A conforming code segment.
    #[inline]
    pub fn conforming(&self) -> bool {
        self.class() == Class::Code && self.has(rights::DIRECTION)
    }

    /// A writable data segment.
    #[inline]
    pub fn writable(&self) -> bool {
        self.class() == Class::Data && self.has(rights::WRITABLE)
    }

    /// A data segment or a readable code segment.
    #[inline]
    pub fn readable(&self) -> bool {
        match self.class() {
            Class::Data => true,
            Class::Code => self.has(rights::WRITABLE),
            _ => false,
        }
    }

    /// Segment base.
    #[inline]
    pub fn base(&self) -> u32 {
        self.low >> 16 | (self.high & 0xff) << 16 | self.high & 0xff00_0000
    }

    /// Segment limit in bytes, the granularity bit applied.
    #[inline]
    pub fn limit(&self) -> u32 {
        let raw = self.low & 0xffff | self.high & 0xf_0000;
        if self.has(rights::GRANULAR) { raw << 12 | 0xfff } else { raw }
    }

    /// The segment register that a load of this descriptor gives.
    #[inline(always)]
    pub fn segment(&self) -> Segment {
        let mut out = Segment {
            base: self.base(),
            limit: self.limit(),
            rights: self.rights(),
            selector: self.selector,
            ..Segment::default()
        };
        out.refresh();
        out
    }

    /// Whether a load of this descriptor would leave a segment register as it is.
    #[inline(always)]
    pub fn describes(&self, segment: &Segment) -> bool {
        let visible = (segment.selector, segment.rights) == (self.selector, self.rights());
        visible && (segment.base, segment.limit) == (self.base(), self.limit())
    }

    /// A gate's selector.
    pub fn target(&self) -> u16 {
        (self.low >> 16) as u16
    }

    /// A gate's offset; a 16-bit gate has no upper half.
    pub fn offset(&self, wide: bool) -> u32 {
        if wide { self.low & 0xffff | self.high & 0xffff_0000 } else { self.low & 0xffff }
    }

    /// A call gate's parameter count.
    pub fn parameters(&self) -> u32 {
        self.high & 0x1f
    }
}

/// The linear address of a selector's descriptor, if the selector lies within its table.
#[inline(always)]
#[track_caller]
pub fn locate<S: System>(s: &mut S, selector: u16) -> Option<u32> {
    let local = s.ask(Atom::SelectorLocal, selector & 4 != 0);
    let (ldtr, gdtr) = (s.state().ldtr, s.state().gdtr);
    let offset = u32::from(selector & 0xfff8);
    let (base, limit, exists) =
        if local { (ldtr.base, ldtr.limit, ldtr.usable()) } else { (gdtr.base, u32::from(gdtr.limit), true) };
    let inside = s.ask(Atom::SelectorInTable, exists && offset + 7 <= limit);
    inside.then(|| base.wrapping_add(offset))
}

/// Reads the descriptor at a linear address. On an 80286 the last two bytes are reserved.
///
/// # Errors
/// A page fault.
#[inline(always)]
#[track_caller]
pub fn read_at<S: System>(s: &mut S, selector: u16, address: u32) -> Result<Descriptor, Fault> {
    let mut bytes = s.load(address, 8, Privilege::Supervisor)?;
    if s.is_286() {
        bytes &= 0xffff_ffff_ffff;
    }
    Ok(Descriptor::new(selector, address, bytes))
}

/// Reads the descriptor of a selector, or `None` outside its table.
///
/// # Errors
/// A page fault.
#[inline(always)]
#[track_caller]
pub fn look_up<S: System>(s: &mut S, selector: u16) -> Result<Option<Descriptor>, Fault> {
    match locate(s, selector) {
        Some(address) => read_at(s, selector, address).map(Some),
        None => Ok(None),
    }
}

/// Reads the descriptor of a selector that must lie within its table.
///
/// # Errors
/// `raise(selector)`, or a page fault.
#[inline(always)]
#[track_caller]
pub fn fetch<S: System>(s: &mut S, selector: u16, raise: Raise, ext: u16) -> Result<Descriptor, Fault> {
    look_up(s, selector)?.ok_or_else(|| error(raise, selector, ext))
}

/// Asks whether a descriptor is of a class. The 32-bit types do not exist on an 80286.
#[track_caller]
pub fn is<S: System>(s: &mut S, d: &Descriptor, class: Class) -> bool {
    let system = !matches!(class, Class::Code | Class::Data);
    let exists = !(system && d.wide() && s.is_286());
    s.ask(Atom::DescriptorType, exists && d.class() == class)
}

/// Requires the present bit.
///
/// # Errors
/// `raise(selector)`.
#[inline(always)]
#[track_caller]
pub fn require_present<S: System>(s: &mut S, d: &Descriptor, raise: Raise, ext: u16) -> Result<(), Fault> {
    if s.ask(Atom::DescriptorPresent, d.present()) { Ok(()) } else { Err(error(raise, d.selector, ext)) }
}

/// Asks whether a descriptor's DPL admits both CPL and the selector's RPL (SDM vol. 3A, 5.6).
#[track_caller]
pub fn admits<S: System>(s: &mut S, d: &Descriptor) -> bool {
    let t = d.dpl() >= s.state().cpl && d.dpl() >= d.rpl();
    s.ask(Atom::PrivilegeAdmits, t)
}

/// Asks whether code is conforming.
#[track_caller]
pub fn conforming<S: System>(s: &mut S, d: &Descriptor) -> bool {
    s.ask(Atom::Conforming, d.conforming())
}

/// Sets the accessed bit in memory if it is clear (SDM vol. 3A, 3.4.5.1).
///
/// # Errors
/// A page fault.
#[inline(always)]
#[track_caller]
pub fn mark_accessed<S: System>(s: &mut S, d: &mut Descriptor) -> Result<(), Fault> {
    if s.ask(Atom::DescriptorAccessed, d.has(rights::ACCESSED)) {
        return Ok(());
    }
    d.high |= u32::from(rights::ACCESSED) << 8;
    let byte = u64::from(d.high >> 8 & 0xff);
    s.store(d.address.wrapping_add(5), 1, byte, Privilege::Supervisor)
}
