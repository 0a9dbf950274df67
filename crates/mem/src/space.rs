//! One address space's shadow: flat arrays over the 2^20 pages of a 32-bit linear space.

use crate::MemoryError;
use crate::tagged::Tagged;
use memmap2::MmapMut;

/// Names a space within [`crate::Memory`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub u16);

/// What a shadow's meaning depends on besides its table: paging mode and control bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Role(pub u32);

/// Pages of a 32-bit linear space.
pub(crate) const PAGES: usize = 1 << 20;
/// Arrays a space: read, write, execute, for supervisor and then for user.
pub(crate) const ARRAYS: usize = 6;
/// A seventh array: for each page with entries, its node in the reverse map.
pub(crate) const NODES: usize = ARRAYS;
/// Arrays in all.
const ALL: usize = ARRAYS + 1;
/// Entries in one host page of an array.
const CHUNK: usize = 512;
const CHUNKS: usize = ALL * PAGES / CHUNK;

pub(crate) struct Space {
    pub(crate) table: u32,
    pub(crate) role: Role,
    /// Clock of the last activation, for eviction.
    pub(crate) used: u64,
    map: MmapMut,
    present: Vec<u64>,
    /// A bit for each word of `present` that is not 0.
    inhabited: Vec<u64>,
    chunks: Vec<u64>,
    touched: usize,
    /// Copies of entries for compiled code, where an engine wants them.
    pub(crate) tagged: Option<Tagged>,
}

impl Space {
    pub(crate) fn new(table: u32, role: Role) -> Result<Space, MemoryError> {
        let len = ALL * PAGES * 8;
        let map = memmap2::MmapOptions::new()
            .len(len)
            .no_reserve_swap()
            .map_anon()
            .map_err(|_| MemoryError::Map { bytes: len as u64 })?;
        // huge pages would make each sparse array cost megabytes; where the host refuses the advice
        // it has none
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::NoHugePage);
        Ok(Space {
            table,
            role,
            used: 0,
            map,
            present: vec![0; PAGES / 64],
            inhabited: vec![0; PAGES / 4096],
            chunks: vec![0; CHUNKS / 64],
            touched: 0,
            tagged: None,
        })
    }

    /// Start of an array, for the current view.
    pub(crate) fn array(&self, array: usize) -> *const u64 {
        // SAFETY: the array is reduced to below ALL, so the result stays inside the mapping.
        unsafe { self.map.as_ptr().cast::<u64>().add(array % ALL * PAGES) }
    }

    fn slot(&mut self, array: usize, page: u32) -> *mut u64 {
        let index = array % ALL * PAGES + page as usize % PAGES;
        // SAFETY: the index is reduced to below ALL * PAGES, the mapping's length in entries.
        unsafe { self.map.as_mut_ptr().cast::<u64>().add(index) }
    }

    pub(crate) fn get(&self, array: usize, page: u32) -> u64 {
        let index = array % ALL * PAGES + page as usize % PAGES;
        // SAFETY: as in `slot`.
        unsafe { self.map.as_ptr().cast::<u64>().add(index).read() }
    }

    /// The one place where an entry changes, but for [`Space::wipe`]: a copy of what was there goes.
    fn write(&mut self, array: usize, page: u32, entry: u64) {
        // SAFETY: `slot` points into the mapping, which `&mut self` owns.
        unsafe { self.slot(array, page).write(entry) };
        if let Some(tagged) = &mut self.tagged {
            tagged.purge(array, page.into());
        }
    }

    /// Sets an entry; returns whether a host page of the arrays was touched for the first time.
    pub(crate) fn set(&mut self, array: usize, page: u32, entry: u64) -> bool {
        self.write(array, page, entry);
        let chunk = (array * PAGES + page as usize) / CHUNK;
        let (word, bit) = (chunk / 64, 1 << (chunk % 64));
        let new = self.chunks[word] & bit == 0;
        self.chunks[word] |= bit;
        self.touched += usize::from(new);
        new
    }

    /// Zeroes an entry without touching memory that was never used.
    pub(crate) fn clear(&mut self, array: usize, page: u32) {
        let chunk = (array * PAGES + page as usize) / CHUNK;
        if self.chunks[chunk / 64] & 1 << (chunk % 64) != 0 {
            self.write(array, page, 0);
        }
    }

    pub(crate) fn is_present(&self, page: u32) -> bool {
        self.present[page as usize / 64] & 1 << (page % 64) != 0
    }

    pub(crate) fn set_present(&mut self, page: u32, present: bool) {
        let bit = 1 << (page % 64);
        let word = &mut self.present[page as usize / 64];
        *word = if present { *word | bit } else { *word & !bit };
        let (group, bit) = (page as usize / 4096, 1 << (page / 64 % 64));
        self.inhabited[group] = match *word {
            0 => self.inhabited[group] & !bit,
            _ => self.inhabited[group] | bit,
        };
    }

    /// The first page from `page` on, and before `end`, that has entries.
    pub(crate) fn next_present(&self, page: u32, end: u32) -> Option<u32> {
        let mut page = u64::from(page);
        while page < u64::from(end) {
            let word = self.present[page as usize / 64] >> (page % 64);
            if word != 0 {
                let found = page as u32 + word.trailing_zeros();
                return (found < end).then_some(found);
            }
            page = self.next_inhabited(page / 64 + 1) * 64;
        }
        None
    }

    /// The number of the first word of `present`, from one on, that is not 0; or how many words there are.
    fn next_inhabited(&self, word: u64) -> u64 {
        let (mut group, mut skip) = (word / 64, word % 64);
        while let Some(bits) = self.inhabited.get(group as usize) {
            let bits = bits >> skip << skip;
            if bits != 0 {
                return group * 64 + u64::from(bits.trailing_zeros());
            }
            (group, skip) = (group + 1, 0);
        }
        self.present.len() as u64
    }

    /// Host pages in use by the arrays.
    pub(crate) fn touched(&self) -> usize {
        self.touched
    }

    /// Gives all array memory back to the host; the caller has emptied the reverse map.
    pub(crate) fn wipe(&mut self) {
        self.present.fill(0);
        self.inhabited.fill(0);
        if let Some(tagged) = &mut self.tagged {
            tagged.clear();
        }
        #[cfg(target_os = "linux")]
        // SAFETY: the mapping is private and anonymous, so MADV_DONTNEED makes it read as zeroes,
        // which are valid entries (absent); no reference into it is held.
        let dropped = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) }.is_ok();
        #[cfg(not(target_os = "linux"))]
        let dropped = false;
        if !dropped {
            self.map.fill(0);
        }
        self.chunks.fill(0);
        self.touched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Pages near each other, far apart, and at both ends.
    fn page(n: u32) -> u32 {
        match n % 4 {
            0 => n / 4 % 130,
            1 => PAGES as u32 - 1 - n / 4 % 130,
            2 => n.wrapping_mul(2_654_435_761) % PAGES as u32,
            _ => (n / 4 % 7) * 4096 + n % 3 * 63,
        }
    }

    fn present(space: &Space, first: u32, end: u32) -> Vec<u32> {
        let next = |from: &u32| space.next_present(*from + 1, end);
        std::iter::successors(space.next_present(first, end), next).collect()
    }

    #[test]
    fn present_pages_are_those_that_were_set() {
        let mut space = Space::new(0, Role(0)).unwrap();
        let mut set = BTreeSet::new();
        for n in 0..6000u32 {
            let (p, on) = (page(n), n % 5 < 3);
            space.set_present(p, on);
            if on {
                set.insert(p)
            } else {
                set.remove(&p)
            };
            let (first, count) = (page(n * 7), n * n % 9000);
            if n % 50 == 0 {
                let end = u64::from(first) + u64::from(count);
                let expected: Vec<u32> =
                    set.range(first..).copied().filter(|&p| u64::from(p) < end).collect();
                let count = count.min(PAGES as u32 - first);
                assert_eq!(present(&space, first, first + count), expected, "{n}");
            }
        }
        assert_eq!(present(&space, 0, PAGES as u32), set.iter().copied().collect::<Vec<_>>());
        space.wipe();
        assert_eq!(present(&space, 0, PAGES as u32), []);
    }
}
