//! The reverse map: from a frame to the shadow entries that show it.

use crate::SpaceId;

const END: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    space: SpaceId,
    page: u32,
    frame: u32,
    next: u32,
    previous: u32,
}

/// Doubly linked lists of (space, linear page) a frame, in one pool. A guest may show one frame
/// in a million places, so that nothing is searched for: an entry is known by its node.
pub(crate) struct ReverseMap {
    heads: Vec<u32>,
    pool: Vec<Node>,
    free: u32,
}

impl ReverseMap {
    pub(crate) fn new(frames: usize) -> ReverseMap {
        ReverseMap { heads: vec![END; frames], pool: Vec::new(), free: END }
    }

    /// Enters a place into a frame's list; returns the node to [`ReverseMap::remove`] it by.
    pub(crate) fn add(&mut self, frame: u32, space: SpaceId, page: u32) -> Option<u32> {
        let next = *self.heads.get(frame as usize)?;
        let node = Node { space, page, frame, next, previous: END };
        let at = if self.free == END {
            self.pool.push(node);
            self.pool.len() as u32 - 1
        } else {
            let at = self.free;
            self.free = self.pool[at as usize].next;
            self.pool[at as usize] = node;
            at
        };
        if let Some(n) = self.pool.get_mut(next as usize) {
            n.previous = at;
        }
        self.heads[frame as usize] = at;
        Some(at)
    }

    pub(crate) fn remove(&mut self, at: u32) {
        let Some(&Node { frame, next, previous, .. }) = self.pool.get(at as usize) else { return };
        match self.pool.get_mut(previous as usize) {
            Some(n) => n.next = next,
            None => self.heads[frame as usize] = next,
        }
        if let Some(n) = self.pool.get_mut(next as usize) {
            n.previous = previous;
        }
        self.pool[at as usize].next = self.free;
        self.free = at;
    }

    /// The frame that a node in use is listed under.
    pub(crate) fn frame(&self, at: u32) -> Option<u32> {
        self.pool.get(at as usize).map(|node| node.frame)
    }

    pub(crate) fn users(&self, frame: u32) -> impl Iterator<Item = (SpaceId, u32)> + '_ {
        let mut at = self.heads.get(frame as usize).copied().unwrap_or(END);
        std::iter::from_fn(move || {
            let node = self.pool.get(at as usize)?;
            at = node.next;
            Some((node.space, node.page))
        })
    }
}
