//! Where compiled code lies, told to whoever wants to know: profilers of the host.

/// A piece of code that is in the cache now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// Its address in the host.
    pub address: u64,
    /// Bytes.
    pub bytes: usize,
    /// What it was made from.
    pub source: Source,
}

/// What compiled code was made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The engine's own: the way in, the dispatcher, routines for x87 instructions.
    Engine,
    /// Guest code.
    Guest {
        /// Linear address of the region's head.
        linear: u32,
        /// It is 32-bit code.
        code32: bool,
        /// The quick tier has written it.
        quick: bool,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Source::Engine => f.write_str("ringer stubs"),
            Source::Guest { linear, code32, quick } => {
                let (size, tier) = (if code32 { 32 } else { 16 }, if quick { ", quick" } else { "" });
                write!(f, "guest {linear:#010x} ({size}-bit{tier})")
            }
        }
    }
}

/// Who wants to know.
pub type Sink = Box<dyn FnMut(Mapped) + Send>;
