//! Words, and what a program status word holds.

/// A word of memory or of the accumulator, of [`Format::word_bits`] bits.
pub type Word = u64;

/// How wide addresses and words are. The small format makes the state space small enough to be looked at whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Bits of an address, a program counter, a relocation and the timer; a bound has one more.
    pub address_bits: u32,
    /// Bits of a word: at least those of a PSW.
    pub word_bits: u32,
}

impl Format {
    /// For programs: 15-bit addresses, 64-bit words.
    pub const FULL: Format = Format { address_bits: 15, word_bits: 64 };
    /// For enumeration: two words of memory; a word holds a PSW and nothing more, not even the trap's cause.
    pub const SMALL: Format = Format { address_bits: 1, word_bits: 5 };

    /// The part of a word that is an address.
    #[inline(always)]
    pub fn address(self, w: Word) -> Word {
        w & ((1 << self.address_bits) - 1)
    }
    /// The part of a number that fits in a word.
    #[inline(always)]
    pub fn word(self, w: Word) -> Word {
        w & (Word::MAX >> (64 - self.word_bits))
    }
    /// The greatest bound.
    fn bound(self, w: Word) -> Word {
        w & ((2 << self.address_bits) - 1)
    }
}

/// M.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mode {
    /// s.
    Supervisor,
    /// u.
    User,
}

impl Mode {
    /// Both.
    pub const BOTH: [Mode; 2] = [Mode::Supervisor, Mode::User];

    /// The paper's letter.
    pub fn letter(self) -> char {
        if self == Mode::User { 'u' } else { 's' }
    }
}

/// R = (l, b).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Relocation {
    /// What is added to every address.
    pub l: Word,
    /// The first address that is too high.
    pub b: Word,
}

impl Relocation {
    /// As a word.
    pub fn pack(self, f: Format) -> Word {
        self.l | self.b << f.address_bits
    }
    /// From a word; any word will do.
    pub fn unpack(w: Word, f: Format) -> Relocation {
        Relocation { l: f.address(w), b: f.bound(w >> f.address_bits) }
    }
}

/// Why a trap was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Cause {
    /// An address beyond the bound or beyond memory.
    Memory = 1,
    /// A privileged instruction in user mode.
    Privileged,
    /// SVC.
    Supervisor,
    /// Not an instruction.
    Illegal,
    /// The timer has run down.
    Timer,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 5] =
        [Cause::Memory, Cause::Privileged, Cause::Supervisor, Cause::Illegal, Cause::Timer];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Memory => "memory trap",
            Cause::Privileged => "privileged instruction trap",
            Cause::Supervisor => "supervisor call",
            Cause::Illegal => "illegal instruction trap",
            Cause::Timer => "timer trap",
        }
    }
}

/// The program status word (M, P, R).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Psw {
    /// M.
    pub mode: Mode,
    /// P.
    pub p: Word,
    /// R.
    pub r: Relocation,
}

impl Psw {
    /// As a word; `cause` is what a trap adds.
    pub fn pack(self, f: Format, cause: Option<Cause>) -> Word {
        let n = f.address_bits;
        let cause = cause.map_or(0, |c| c as Word);
        let mode = Word::from(self.mode == Mode::User);
        f.word(mode | self.p << 1 | self.r.pack(f) << (1 + n) | cause.wrapping_shl(3 * n + 2))
    }
    /// From a word; any word will do, and a cause in it means nothing.
    pub fn unpack(w: Word, f: Format) -> Psw {
        let mode = if w & 1 == 1 { Mode::User } else { Mode::Supervisor };
        Psw { mode, p: f.address(w >> 1), r: Relocation::unpack(w >> (1 + f.address_bits), f) }
    }
}

impl std::fmt::Display for Psw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "M={} P={} R=({}, {})", self.mode.letter(), self.p, self.r.l, self.r.b)
    }
}
