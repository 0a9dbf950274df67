//! A second form of a space's read and write entries, for compiled code: direct-mapped tables with tags.
//!
//! 64-bit linear spaces will have nothing else, being too large for flat arrays. Here the arrays are the truth. A
//! table holds copies of some of their entries: those that compiled code missed there and asked for
//! ([`Memory::refill`]). Whatever is written into an array takes the copy away.

use crate::space::Space;
use crate::{Memory, PAGE_SHIFT};

/// Entries of a table; a power of two. An entry is 16 bytes: the tag, then what an array has for the page.
pub const TAGGED_ENTRIES: u32 = 4096;

/// Tables a space: read and write, for supervisor and then for user.
const TABLES: usize = 4;

/// Host addresses of what compiled code looks at in the place of [`crate::Arrays`]: the tables of the current space
/// and privilege, of [`TAGGED_ENTRIES`] each. A page's entry is at the low bits of its number. It is the page's where
/// its first 8 bytes are the linear address of the page's last byte; behind them is an entry as
/// [`crate::Arrays`] has it, and never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tables {
    /// For loads.
    pub read: u64,
    /// For stores.
    pub write: u64,
}

/// Tag and entry. All zero is no page's: no page ends at 0.
type Slot = [u64; 2];

/// The tables of one space.
pub(crate) struct Tagged {
    slots: Box<[Slot]>,
}

/// The tag of a page of a linear space of up to 64 bits.
fn tag(page: u64) -> u64 {
    page << PAGE_SHIFT | ((1 << PAGE_SHIFT) - 1)
}

/// The table of an array of [`Space`]; those for fetches have none.
fn table_of(array: usize) -> Option<usize> {
    match array {
        0 | 1 => Some(array),
        3 | 4 => Some(array - 1),
        _ => None,
    }
}

impl Tagged {
    pub(crate) fn new() -> Tagged {
        Tagged { slots: vec![[0; 2]; TABLES * TAGGED_ENTRIES as usize].into() }
    }

    fn slot(&mut self, array: usize, page: u64) -> Option<&mut Slot> {
        let index = (page % u64::from(TAGGED_ENTRIES)) as usize;
        self.slots.get_mut(table_of(array)? * TAGGED_ENTRIES as usize + index)
    }

    /// Puts a copy of an array's entry in the place of another page's.
    fn fill(&mut self, array: usize, page: u64, entry: u64) {
        if let Some(slot) = self.slot(array, page) {
            *slot = [tag(page), entry];
        }
    }

    /// Takes the copy of an array's entry away, if there is one.
    pub(crate) fn purge(&mut self, array: usize, page: u64) {
        if let Some(slot) = self.slot(array, page).filter(|s| s[0] == tag(page)) {
            *slot = [0; 2];
        }
    }

    /// Takes all copies away.
    pub(crate) fn clear(&mut self) {
        self.slots.fill([0; 2]);
    }

    /// Where the table of an array is.
    fn address(&self, array: usize) -> u64 {
        let first = table_of(array).map_or(0, |t| t * TAGGED_ENTRIES as usize);
        self.slots.get(first..).map_or(0, |s| s.as_ptr() as u64)
    }
}

impl Space {
    /// Tables beside the arrays from now on, if there were none.
    pub(crate) fn keep_tables(&mut self) {
        self.tagged.get_or_insert_with(Tagged::new);
    }

    /// The tables that go with the arrays from `first` on; zeros where there are none.
    pub(crate) fn tables(&self, first: usize) -> Tables {
        let address = |array| self.tagged.as_ref().map_or(0, |t| t.address(array));
        Tables { read: address(first), write: address(first + 1) }
    }

    /// Copies an entry of an array into its table, if there are both.
    fn refill(&mut self, array: usize, page: u32) {
        let entry = self.get(array, page);
        if let Some(t) = self.tagged.as_mut().filter(|_| entry != 0) {
            t.fill(array, page.into(), entry);
        }
    }
}

impl Memory {
    /// The tables that compiled code looks at now; they change when [`Memory::arrays`] do. All spaces have some from the
    /// first call on: 256 KiB each, which cost memory where they are touched.
    #[inline]
    pub fn tables(&mut self) -> Tables {
        if !self.tagged {
            self.keep_tables();
        }
        self.view_tables()
    }

    #[cold]
    fn keep_tables(&mut self) {
        self.tagged = true;
        self.spaces.iter_mut().flatten().for_each(Space::keep_tables);
        self.set_view();
    }

    /// Compiled code has not found a page in a table: copies the array's entry there, if there is one.
    pub fn refill(&mut self, linear: u32, write: bool) {
        let array = if self.user { 3 } else { 0 } + usize::from(write);
        if let Some(Some(space)) = self.spaces.get_mut(usize::from(self.current.0)) {
            space.refill(array, linear >> PAGE_SHIFT);
        }
    }
}

#[cfg(test)]
mod tests;
