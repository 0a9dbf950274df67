//! Guest exceptions as values.

/// Exception vectors (SDM vol. 3A, table 6-1).
#[allow(missing_docs)]
pub mod vector {
    pub const DE: u8 = 0;
    pub const DB: u8 = 1;
    pub const NMI: u8 = 2;
    pub const BP: u8 = 3;
    pub const OF: u8 = 4;
    pub const BR: u8 = 5;
    pub const UD: u8 = 6;
    pub const NM: u8 = 7;
    pub const DF: u8 = 8;
    pub const TS: u8 = 10;
    pub const NP: u8 = 11;
    pub const SS: u8 = 12;
    pub const GP: u8 = 13;
    pub const PF: u8 = 14;
    pub const MF: u8 = 16;
    pub const AC: u8 = 17;
    pub const MC: u8 = 18;
    pub const XM: u8 = 19;
}

/// A guest exception on its way to delivery. Not an error: the guest's own business.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The vector ([`vector`]).
    pub vector: u8,
    /// The error code, for those vectors that push one.
    pub code: Option<u16>,
    /// The faulting linear address of a #PF (to be put into CR2 at delivery).
    pub address: u32,
}

impl Fault {
    /// #UD.
    pub const UD: Fault = Fault::plain(vector::UD);
    /// #NM.
    pub const NM: Fault = Fault::plain(vector::NM);
    /// #DE.
    pub const DE: Fault = Fault::plain(vector::DE);
    /// #MF.
    pub const MF: Fault = Fault::plain(vector::MF);
    /// #XM.
    pub const XM: Fault = Fault::plain(vector::XM);
    /// #BR.
    pub const BR: Fault = Fault::plain(vector::BR);
    /// #DB as a fault or trap; DR6 is set beforehand.
    pub const DB: Fault = Fault::plain(vector::DB);
    /// #AC(0).
    pub const AC: Fault = Fault::with_code(vector::AC, 0);
    /// #GP(0).
    pub const GP0: Fault = Fault::gp(0);

    /// A vector without error code.
    pub const fn plain(vector: u8) -> Fault {
        Fault { vector, code: None, address: 0 }
    }
    /// A vector with error code.
    pub const fn with_code(vector: u8, code: u16) -> Fault {
        Fault { vector, code: Some(code), address: 0 }
    }
    /// #GP(code).
    pub const fn gp(code: u16) -> Fault {
        Fault::with_code(vector::GP, code)
    }
    /// #SS(code).
    pub const fn ss(code: u16) -> Fault {
        Fault::with_code(vector::SS, code)
    }
    /// #NP(code).
    pub const fn np(code: u16) -> Fault {
        Fault::with_code(vector::NP, code)
    }
    /// #TS(code).
    pub const fn ts(code: u16) -> Fault {
        Fault::with_code(vector::TS, code)
    }
    /// #PF(code) at a linear address.
    pub const fn page(code: PageFaultCode, address: u32) -> Fault {
        Fault { vector: vector::PF, code: Some(code.0), address }
    }
    /// The limit violation of a segment: #SS(0) for SS, else #GP(0).
    pub const fn limit(segment: u8) -> Fault {
        if segment == isa::seg::SS { Fault::ss(0) } else { Fault::GP0 }
    }
}

/// The error code of a page fault (SDM vol. 3A, 4.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageFaultCode(pub u16);

impl PageFaultCode {
    /// The page was present: a protection violation.
    pub const PRESENT: u16 = 1;
    /// The access was a write.
    pub const WRITE: u16 = 2;
    /// The access was made at CPL 3.
    pub const USER: u16 = 4;
    /// A reserved bit was set.
    pub const RESERVED: u16 = 8;
    /// The access was an instruction fetch (with NX).
    pub const FETCH: u16 = 16;
}
