//! Which sensitive instructions a guest runs, in which mode and where.

use crate::Mode;
use isa::Code;
use std::collections::HashMap;

/// Places kept, at most: a guest can run sensitive instructions anywhere.
const MOST_SITES: usize = 1 << 16;

/// How often.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// Done, or refused with a fault.
    pub run: u64,
    /// Of these, refused.
    pub trapped: u64,
}

/// Counts by form and mode, and by place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Profile {
    forms: HashMap<(Code, Mode), Times>,
    sites: HashMap<(u32, Code, Mode), u64>,
    elsewhere: u64,
}

impl Profile {
    /// Counts an instruction at a linear address.
    pub(crate) fn note(&mut self, code: Code, mode: Mode, linear: u32, trapped: bool) {
        let times = self.forms.entry((code, mode)).or_default();
        times.run += 1;
        times.trapped += u64::from(trapped);
        let place = (linear, code, mode);
        if self.sites.len() < MOST_SITES || self.sites.contains_key(&place) {
            *self.sites.entry(place).or_default() += 1;
        } else {
            self.elsewhere += 1;
        }
    }

    /// The forms that ran, those that did most often first.
    pub fn forms(&self) -> Vec<((Code, Mode), Times)> {
        let mut all: Vec<_> = self.forms.iter().map(|(k, v)| (*k, *v)).collect();
        all.sort_by_key(|((code, mode), times)| {
            (std::cmp::Reverse(times.run), *code as usize, *mode as usize)
        });
        all
    }

    /// Linear addresses at which a form ran in a mode, with how often, most often first.
    pub fn sites(&self, form: (Code, Mode)) -> Vec<(u32, u64)> {
        let own = self.sites.iter().filter(|((_, code, mode), _)| (*code, *mode) == form);
        let mut all: Vec<(u32, u64)> = own.map(|((linear, ..), n)| (*linear, *n)).collect();
        all.sort_by_key(|(linear, n)| (std::cmp::Reverse(*n), *linear));
        all
    }

    /// How often some ran at places beyond those that are kept.
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_bounds() {
        let mut p = Profile::default();
        for n in 0..MOST_SITES as u32 + 10 {
            p.note(Code::Cli, Mode::Supervisor, n, false);
        }
        (0..3).for_each(|_| p.note(Code::Sti, Mode::User, 7, true));
        p.note(Code::Cli, Mode::Supervisor, 5, false);
        let cli = Times { run: MOST_SITES as u64 + 11, trapped: 0 };
        let sti = Times { run: 3, trapped: 3 };
        assert_eq!(p.forms(), [((Code::Cli, Mode::Supervisor), cli), ((Code::Sti, Mode::User), sti)]);
        assert_eq!(p.sites((Code::Cli, Mode::Supervisor))[..2], [(5, 2), (0, 1)]);
        assert_eq!(p.elsewhere(), 10 + 3);
    }
}
