//! Accesses of a block that lie near each other: one look at the shadow serves them all.

use crate::key::Key;
use crate::plan::Step;
use cranelift_codegen::ir::Value;

/// Bytes that a group spans at most.
const WIDEST: u32 = 256;

/// Accesses whose addresses differ by constants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The symbol that they all have.
    id: u32,
    /// The first byte's offset from the symbol.
    low: u32,
    /// Bytes from the first to the last.
    pub(crate) size: u32,
    pub(crate) write: bool,
    /// How many there are.
    count: u32,
    /// Host address of the first byte, once it was looked up.
    pub(crate) host: Option<Value>,
}

/// The groups of a block, and for each access of each instruction its group and place in it.
pub(crate) type Grouping = (Vec<Group>, Vec<Vec<Option<(usize, u32)>>>);

/// Finds the groups of a block. Only flat segments: others have limits to look at.
pub(crate) fn group(key: Key, steps: &[Step]) -> Grouping {
    let mut groups: Vec<Group> = Vec::new();
    let mut members = Vec::new();
    for s in steps {
        let of_step = s.effects.touches.iter().map(|t| {
            let (id, at) = t.at?;
            let flat = key.flat(t.seg, false) && key.flat(t.seg, true) && id != u32::MAX;
            flat.then(|| (join(&mut groups, id, at, t.size, t.write), at))
        });
        members.push(of_step.collect::<Vec<_>>());
    }
    let place = |(n, at): (usize, u32)| {
        let g = &groups[n];
        (g.count > 1).then(|| (n, at.wrapping_sub(g.low)))
    };
    let members = members.into_iter().map(|m| m.into_iter().map(|t| t.and_then(place)).collect()).collect();
    (groups, members)
}

/// Puts an access into the last group of its symbol that it fits, or into a new one.
fn join(groups: &mut Vec<Group>, id: u32, at: u32, size: u32, write: bool) -> usize {
    for (n, g) in groups.iter_mut().enumerate().rev().filter(|(_, g)| g.id == id) {
        // as signed distances: symbols wrap as addresses do
        let from = at.wrapping_sub(g.low) as i32;
        let (low, end) = (from.min(0), (i64::from(from) + i64::from(size)).max(i64::from(g.size)));
        let span = end - i64::from(low);
        if span <= i64::from(WIDEST) {
            g.low = g.low.wrapping_add(low as u32);
            g.size = span as u32;
            g.write |= write;
            g.count += 1;
            return n;
        }
    }
    groups.push(Group { id, low: at, size, write, count: 1, host: None });
    groups.len() - 1
}
