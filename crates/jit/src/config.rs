//! What an engine is made with.

/// Runs of a block by the interpreter before it becomes the head of a region.
const HOT: u32 = 3000;
/// Runs of a block by the interpreter before the quick tier writes code for it.
const WARM: u32 = 32;
/// Runs of a block in the quick tier's code that are worth as much as one of the interpreter's: compiling it for good
/// saves a nanosecond an instruction, and not eight.
pub(crate) const QUICKER: u32 = 8;
/// Bytes of the code cache.
const CODE: usize = 48 << 20;

/// How compiled code finds the host address of a load or a store. The guest sees no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lookup {
    /// In arrays over the 2^20 pages of a 32-bit linear space.
    #[default]
    Flat,
    /// In direct-mapped tables with tags ([`mem::Tables`]), as 64-bit linear spaces will need them.
    Tagged,
}

/// How compiled code computes under MXCSR, and keeps its flags exact. The guest sees no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    /// By the very same instructions under the guest's own MXCSR: on hosts of x86-64.
    Host,
    /// By the host's arithmetic on operands that were looked at, with results that are looked at: they raise no flag
    /// that is not set already.
    Checked,
}

impl Default for Arithmetic {
    fn default() -> Arithmetic {
        if cfg!(target_arch = "x86_64") { Arithmetic::Host } else { Arithmetic::Checked }
    }
}

/// What an engine is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Runs of a block by the interpreter before its region is compiled; with 0 that happens before it has run at all,
    /// which is for tests.
    pub hot: u32,
    /// Runs of a block by the interpreter before code is written for it in one pass, on hosts of x86-64 and with
    /// [`Lookup::Flat`]; nothing where there is no such tier. With 0 that happens, before it has run at all, where
    /// `hot` is 0 as well.
    pub warm: Option<u32>,
    /// Bytes for machine code.
    pub code: usize,
    /// The form of the shadow that compiled code looks at.
    pub lookup: Lookup,
    /// How compiled code computes with floating-point numbers.
    pub arithmetic: Arithmetic,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hot: HOT,
            warm: Some(WARM),
            code: CODE,
            lookup: Lookup::Flat,
            arithmetic: Arithmetic::default(),
        }
    }
}
