//! Links: the ways from one region to another that are known when it is compiled.
//!
//! A link is a cell that compiled code jumps through. It leads to the dispatcher until there is a region with
//! the wanted entry, and again when that region is dropped. The code asks the execute shadow only where the
//! target is in another page than the jump.

use crate::key::Key;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Compiled code knows where this is, and reads the first two words.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Link {
    /// Host address of code with a region's signature.
    pub(crate) code: AtomicU64,
    /// The number of the entry; the dispatcher does not ask.
    pub(crate) index: AtomicU64,
    /// Where it leads, from the head of the region.
    pub(crate) off: u32,
    /// The same as an address in the arena.
    pub(crate) physical: u32,
    /// The execute entry of the page there.
    pub(crate) entry: u64,
    /// That page's place in the plan, if the region has code in it.
    pub(crate) page: Option<usize>,
}

impl Link {
    /// A link that leads nowhere yet.
    pub(crate) fn new(off: u32, physical: u32, entry: u64, page: Option<usize>) -> Link {
        Link { code: AtomicU64::new(0), index: AtomicU64::new(0), off, physical, entry, page }
    }

    // only the thread that runs compiled code sets links, and not while it does
    fn lead_to(&self, (code, index): (u64, u64)) {
        self.code.store(code, Relaxed);
        self.index.store(index, Relaxed);
    }
}

/// Which links want to lead to a place: by region and number.
#[derive(Default)]
pub(crate) struct Wanted(FxHashMap<(u32, Key), Vec<(u32, usize)>>);

impl Wanted {
    /// Notes the links of a region, and where each leads for now.
    pub(crate) fn add(&mut self, region: u32, key: Key, links: &[Link], door: impl Fn(u32) -> (u64, u64)) {
        for (n, link) in links.iter().enumerate() {
            link.lead_to(door(link.physical));
            self.0.entry((link.physical, key)).or_default().push((region, n));
        }
    }

    /// Forgets the links of a region.
    pub(crate) fn remove(&mut self, region: u32, key: Key, links: &[Link]) {
        for link in links {
            let Some(wanting) = self.0.get_mut(&(link.physical, key)) else { continue };
            wanting.retain(|w| w.0 != region);
            if wanting.is_empty() {
                self.0.remove(&(link.physical, key));
            }
        }
    }

    /// Lets all links that want to lead to a place do so.
    pub(crate) fn lead<'a>(
        &self,
        place: (u32, Key),
        door: (u64, u64),
        links: impl Fn(u32) -> Option<&'a [Link]>,
    ) {
        for &(region, n) in self.0.get(&place).into_iter().flatten() {
            if let Some(link) = links(region).and_then(|links| links.get(n)) {
                link.lead_to(door);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
