//! The reverse map: from a frame to the shadow entries that show it.

use crate::SpaceId;

const END: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    space: SpaceId,
    page: u32,
    next: u32,
}

/// Singly linked lists of (space, linear page) a frame, in one pool.
pub(crate) struct ReverseMap {
    heads: Vec<u32>,
    pool: Vec<Node>,
    free: u32,
}

impl ReverseMap {
    pub(crate) fn new(frames: usize) -> ReverseMap {
        ReverseMap { heads: vec![END; frames], pool: Vec::new(), free: END }
    }

    pub(crate) fn add(&mut self, frame: u32, space: SpaceId, page: u32) {
        let Some(head) = self.heads.get_mut(frame as usize) else { return };
        let node = Node { space, page, next: *head };
        if self.free == END {
            *head = self.pool.len() as u32;
            self.pool.push(node);
        } else {
            *head = self.free;
            self.free = self.pool[*head as usize].next;
            self.pool[*head as usize] = node;
        }
    }

    pub(crate) fn remove(&mut self, frame: u32, space: SpaceId, page: u32) {
        let Some(&head) = self.heads.get(frame as usize) else { return };
        let (mut previous, mut at) = (END, head);
        while at != END {
            let node = self.pool[at as usize];
            if node.space == space && node.page == page {
                if previous == END {
                    self.heads[frame as usize] = node.next;
                } else {
                    self.pool[previous as usize].next = node.next;
                }
                self.pool[at as usize].next = self.free;
                self.free = at;
                return;
            }
            (previous, at) = (at, node.next);
        }
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
