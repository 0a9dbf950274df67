//! Configurations: which bits of the machine are set.

use super::error::UnknownName;
use super::load::Isa;
use std::collections::BTreeSet;

/// The configuration bits that are set. Every verdict is relative to one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configuration(BTreeSet<String>);

impl Configuration {
    /// What the ISA's manifest gives as its default.
    pub fn default_of(isa: &Isa) -> Configuration {
        Configuration(isa.default.iter().cloned().collect())
    }

    /// The ISA's default changed by a list like `UMIP,TSD,!OSXSAVE`: a name sets its bit, a
    /// name behind `!` clears it. Case does not matter, nor does space.
    ///
    /// # Errors
    /// A name that is no bit of this ISA.
    pub fn parse(isa: &Isa, list: &str) -> Result<Configuration, UnknownName> {
        let mut out = Configuration::default_of(isa);
        for item in list.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            let (clear, name) = match item.strip_prefix('!') {
                Some(name) => (true, name.trim()),
                None => (false, item),
            };
            let bit = isa.bits.iter().find(|b| b.name.eq_ignore_ascii_case(name));
            let Some(bit) = bit else {
                let known = isa.bits.iter().map(|b| b.name.as_str());
                return Err(UnknownName::new("configuration bit", name, known));
            };
            out.put(&bit.name, !clear);
        }
        Ok(out)
    }

    /// The bit is set.
    pub fn has(&self, bit: &str) -> bool {
        self.0.contains(bit)
    }

    /// The same with one bit set or cleared.
    #[must_use]
    pub fn with(&self, bit: &str, set: bool) -> Configuration {
        let mut out = self.clone();
        out.put(bit, set);
        out
    }

    fn put(&mut self, bit: &str, set: bool) {
        if set {
            self.0.insert(bit.to_owned());
        } else {
            self.0.remove(bit);
        }
    }

    /// The bits that are set, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}
