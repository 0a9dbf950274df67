//! f: from the states of a virtual machine to those of the real one under its monitor (section 4, equivalence).

use super::{Monitor, Region};
use crate::third::{Machine, Mode, Processor, Psw, Real, Relocation, Store, Word};

/// What of a virtual machine's state no register of the machine holds while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tables {
    /// The virtual M.
    pub mode: Mode,
    /// The virtual R.
    pub r: Relocation,
    /// The virtual timer.
    pub timer: Word,
    /// The virtual mask.
    pub mask: bool,
    /// The virtual processor is halted.
    pub halted: bool,
    /// The virtual count of steps.
    pub steps: u64,
}

/// A state of the real machine, as far as it belongs to one virtual machine: its words, the PSW and the accumulator that
/// it runs with, and what the monitor has in its tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    /// Where the words are.
    pub region: Region,
    /// The words.
    pub window: &'a [Word],
    /// The PSW that the machine has while the guest runs.
    pub psw: Psw,
    /// The accumulator.
    pub acc: Word,
    /// The monitor's tables.
    pub tables: Tables,
    /// What the guest wrote to its console.
    pub console: &'a [Word],
}

impl Tables {
    fn of(p: &Processor) -> Tables {
        let Processor { psw: Psw { mode, r, .. }, timer, mask, halted, steps, .. } = *p;
        Tables { mode, r, timer, mask, halted, steps }
    }
}

/// f: the image of a virtual machine's state, for a guest that was given a region.
pub fn f(state: &Real, region: Region) -> Image<'_> {
    let p = &state.processor;
    Image {
        region,
        window: &state.store.memory,
        psw: region.compose(p.psw),
        acc: p.acc,
        tables: Tables::of(p),
        console: &state.store.console,
    }
}

/// The state that an image is of: f is one-one.
pub fn inverse(image: &Image<'_>, isa: crate::third::Isa) -> Real {
    let Tables { mode, r, timer, mask, halted, steps } = image.tables;
    let psw = Psw { mode, p: image.psw.p, r };
    let mut state = Real::new(isa, 0);
    state.processor = Processor { psw, acc: image.acc, timer, mask, halted, steps };
    state.store = Store { memory: image.window.to_vec(), console: image.console.to_vec() };
    state
}

impl<H: Machine> Monitor<H> {
    /// What the machine and the tables hold of the chosen guest. It is to be f of the bare machine's state.
    pub fn image(&self) -> Image<'_> {
        let guest = self.guest();
        let p = &guest.processor;
        Image {
            region: guest.region,
            window: &self.host().memory()[guest.region.range()],
            psw: guest.region.compose(p.psw),
            acc: p.acc,
            tables: Tables::of(p),
            console: &guest.console,
        }
    }
}
