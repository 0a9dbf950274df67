//! The configuration under which a verdict holds: the bits of system state that a monitor chooses.

use cpu::{State, cr4, eflags};
use vmm::Atom;

/// Bits of system state that a verdict is relative to. The mode (CPL) is none of them: it is what the
/// definitions quantify over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Configuration(u16);

/// What present-day systems switch on, and nothing else.
impl Default for Configuration {
    fn default() -> Configuration {
        Configuration::OSXSAVE
    }
}

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $bit:expr;)*) => {
        impl Configuration {
            $($(#[$doc])* pub const $name: Configuration = Configuration(1 << $bit);)*
            /// Every bit with its name, which is the specifications' as well.
            pub const ALL: &'static [(&'static str, Configuration)] =
                &[$((stringify!($name), Configuration::$name)),*];
        }
    };
}

bits! {
    /// IOPL is 3, so that CPL <= IOPL in user mode; else it is 0.
    IOPL3 = 0;
    /// User mode is virtual-8086 mode.
    VM = 1;
    /// CR4.VME.
    VME = 2;
    /// CR4.PVI.
    PVI = 3;
    /// CR4.TSD.
    TSD = 4;
    /// CR4.PCE.
    PCE = 5;
    /// CR4.UMIP.
    UMIP = 6;
    /// The I/O permission bitmap of the task allows the port.
    IOBITMAP = 7;
    /// CR4.OSXSAVE; set where nothing is said, as the specifications have it.
    OSXSAVE = 8;
    /// CPUID faulting (MISC_FEATURES_ENABLES).
    CPUIDFAULT = 9;
    /// Supervisor mode is real mode.
    REAL = 10;
}

/// Why a configuration could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no configuration bit {name:?}; there are {known}")]
pub struct UnknownBit {
    name: String,
    known: String,
}

impl Configuration {
    /// No bit.
    pub const NONE: Configuration = Configuration(0);

    /// All bits that are set in either.
    pub fn with(self, other: Configuration) -> Configuration {
        Configuration(self.0 | other.0)
    }

    /// The same with other values of some bits.
    pub fn toggled(self, other: Configuration) -> Configuration {
        Configuration(self.0 ^ other.0)
    }

    /// The same with some bits clear.
    pub fn without(self, other: Configuration) -> Configuration {
        Configuration(self.0 & !other.0)
    }

    /// Only those bits that are in `mask` as well.
    pub fn masked(self, mask: Configuration) -> Configuration {
        Configuration(self.0 & mask.0)
    }

    /// Whether all bits of the other are set.
    pub fn has(self, other: Configuration) -> bool {
        self.0 & other.0 == other.0
    }

    /// What differs from the default: names of bits that are set, or behind ! clear, separated by commas.
    pub fn names(self) -> String {
        let differ = Configuration::ALL.iter().filter(|(_, bit)| self.has(*bit) != Self::default().has(*bit));
        let mark = |bit| if self.has(bit) { "" } else { "!" };
        differ.map(|(name, bit)| format!("{}{name}", mark(*bit))).collect::<Vec<_>>().join(",")
    }

    /// Reads names separated by commas, as [`Configuration::names`] writes them; none gives the default.
    ///
    /// # Errors
    /// A name that is none.
    pub fn parse(text: &str) -> Result<Configuration, UnknownBit> {
        let mut words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
        words.try_fold(Configuration::default(), |all, word| match word.strip_prefix('!') {
            Some(name) => Ok(all.without(Configuration::named(name)?)),
            None => Ok(all.with(Configuration::named(word)?)),
        })
    }

    fn named(name: &str) -> Result<Configuration, UnknownBit> {
        let found = Configuration::ALL.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, bit)| *bit).ok_or_else(|| {
            let known: Vec<&str> = Configuration::ALL.iter().map(|(n, _)| *n).collect();
            UnknownBit { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// The bits that answer an atom.
    pub fn of_atom(atom: Atom) -> Configuration {
        match atom {
            Atom::IoplBelowCpl | Atom::IoplBelow3 => Configuration::IOPL3,
            Atom::Virtual8086 | Atom::ProtectionEnabled => Configuration::VM,
            Atom::Vme => Configuration::VME,
            Atom::Pvi => Configuration::PVI,
            Atom::Tsd => Configuration::TSD,
            Atom::Pce => Configuration::PCE,
            Atom::Umip => Configuration::UMIP,
            Atom::PortAllowed => Configuration::IOBITMAP,
            Atom::OsXsave => Configuration::OSXSAVE,
            Atom::CpuidFaulting => Configuration::CPUIDFAULT,
            _ => Configuration::NONE,
        }
    }

    /// Every configuration over the bits of `mask`.
    pub fn lattice(mask: Configuration) -> impl Iterator<Item = Configuration> {
        (0..1u16 << Configuration::ALL.len()).map(Configuration).filter(move |c| c.0 & !mask.0 == 0)
    }

    /// Sets the control bits of a state; the mode is the world's business.
    pub(crate) fn apply(self, cpu: &mut State) {
        let cr4 = [
            (Configuration::VME, cr4::VME),
            (Configuration::PVI, cr4::PVI),
            (Configuration::TSD, cr4::TSD),
            (Configuration::PCE, cr4::PCE),
            (Configuration::UMIP, cr4::UMIP),
            (Configuration::OSXSAVE, cr4::OSXSAVE),
        ];
        cpu.cr4 = cr4.iter().filter(|(bit, _)| self.has(*bit)).fold(0, |all, (_, cr4)| all | cr4);
        cpu.cpuid_faulting = self.has(Configuration::CPUIDFAULT);
        if self.has(Configuration::IOPL3) {
            cpu.eflags |= eflags::IOPL;
        }
    }
}
