//! A medium that remembers in which order it was written: what a host that stops at some point
//! may have of it.

use dev::block::SECTOR;
use dev::{Block, BlockError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What reached the medium.
#[derive(Debug, Clone)]
enum Event {
    Write { sector: u64, bytes: Vec<u8> },
    Flush,
}

/// The record of a medium, shared with the machine that writes it.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Event>>>);

/// A medium whose writes and flushes are recorded on their way to another.
pub struct Logged {
    inner: Box<dyn Block>,
    log: Log,
}

impl Logged {
    /// A medium over another one, and its record.
    pub fn new(inner: Box<dyn Block>) -> (Logged, Log) {
        let log = Log::default();
        (Logged { inner, log: log.clone() }, log)
    }
}

impl Block for Logged {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }
    fn writable(&self) -> bool {
        self.inner.writable()
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        self.inner.read(sector, out)
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.inner.write(sector, bytes)?;
        self.log.note(Event::Write { sector, bytes: bytes.to_vec() });
        Ok(())
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        self.inner.flush()?;
        self.log.note(Event::Flush);
        Ok(())
    }
    fn stamp(&self) -> Option<u64> {
        self.inner.stamp()
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// The sectors of the writes among some events, in their order.
fn sectors(events: &[Event]) -> impl Iterator<Item = (u64, [u8; SECTOR])> {
    events.iter().flat_map(|e| {
        let (sector, bytes) = match e {
            Event::Write { sector, bytes } => (*sector, &bytes[..]),
            Event::Flush => (0, &[][..]),
        };
        let parts = bytes.as_chunks::<SECTOR>().0;
        (sector..).zip(parts).map(|(n, part)| (n, *part))
    })
}

impl Log {
    fn note(&self, event: Event) {
        if let Ok(mut events) = self.0.lock() {
            events.push(event);
        }
    }

    /// Writes and flushes so far.
    pub fn len(&self) -> usize {
        self.0.lock().map_or(0, |e| e.len())
    }

    /// Whether nothing was written or flushed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flushes so far.
    pub fn flushes(&self) -> usize {
        self.0.lock().map_or(0, |e| e.iter().filter(|e| matches!(e, Event::Flush)).count())
    }

    /// What the host's disk may have got if it stops after `cut` events, by sector: all that was flushed, and of
    /// the rest, sector by sector, what `seed` lets through, in an order that it chooses.
    pub fn survives(&self, cut: usize, seed: u64) -> BTreeMap<u64, [u8; SECTOR]> {
        let events = self.0.lock().map(|e| e[..cut.min(e.len())].to_vec()).unwrap_or_default();
        let flushed = events.iter().rposition(|e| matches!(e, Event::Flush)).map_or(0, |n| n + 1);
        let mut survivors: BTreeMap<_, _> = sectors(&events[..flushed]).collect();
        let mut loose: Vec<_> = sectors(&events[flushed..]).collect();
        let mut random = Random(seed | 1);
        while !loose.is_empty() {
            let (n, part) = loose.swap_remove(random.below(loose.len() as u64) as usize);
            if random.below(2) == 0 {
                survivors.insert(n, part);
            }
        }
        survivors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dev::block::MemoryBlock;

    #[test]
    fn what_was_flushed_is_always_there() {
        let (mut b, log) = Logged::new(Box::new(MemoryBlock::new(vec![0; 8 * SECTOR])));
        b.write(1, &[1; SECTOR]).expect("written");
        b.flush().expect("flushed");
        b.write(2, &[2; SECTOR]).expect("written");
        b.write(1, &[3; SECTOR]).expect("written");
        assert_eq!((log.len(), log.flushes()), (4, 1));
        let (mut with, mut without) = (0, 0);
        for seed in 0..100 {
            assert_eq!(log.survives(2, seed).into_iter().collect::<Vec<_>>(), [(1, [1; SECTOR])]);
            let survivors = log.survives(4, seed);
            assert!(matches!(survivors[&1][0], 1 | 3));
            if survivors.contains_key(&2) { with += 1 } else { without += 1 }
        }
        assert!(with > 10 && without > 10);
    }
}
