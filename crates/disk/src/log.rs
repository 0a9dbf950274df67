//! A medium that remembers in which order it was written: what a host that stops at some point
//! may have of it.

use dev::block::SECTOR;
use dev::{Block, BlockError};
use std::sync::{Arc, Mutex};

/// What reached the medium.
#[derive(Debug, Clone)]
enum Event {
    Write { sector: u64, bytes: Vec<u8> },
    Flush,
}

/// The record of a medium, shared with the machine that writes it.
#[derive(Debug, Clone)]
pub struct Log {
    start: Arc<Vec<u8>>,
    events: Arc<Mutex<Vec<Event>>>,
}

/// A medium in memory whose writes and flushes are recorded.
pub struct LoggedBlock {
    now: Vec<u8>,
    log: Log,
}

impl LoggedBlock {
    /// A medium with these bytes, a whole number of sectors, and its record.
    pub fn new(bytes: Vec<u8>) -> (LoggedBlock, Log) {
        let log = Log { start: Arc::new(bytes.clone()), events: Arc::default() };
        (LoggedBlock { now: bytes, log: log.clone() }, log)
    }

    fn range(&self, sector: u64, len: usize) -> Result<std::ops::Range<usize>, BlockError> {
        let start =
            usize::try_from(sector).ok().and_then(|s| s.checked_mul(SECTOR)).ok_or(BlockError::Range)?;
        let end = start.checked_add(len).filter(|&e| e <= self.now.len()).ok_or(BlockError::Range)?;
        Ok(start..end)
    }

    fn note(&self, event: Event) {
        if let Ok(mut events) = self.log.events.lock() {
            events.push(event);
        }
    }
}

impl Block for LoggedBlock {
    fn sectors(&self) -> u64 {
        (self.now.len() / SECTOR) as u64
    }
    fn writable(&self) -> bool {
        true
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        let range = self.range(sector, out.len())?;
        out.copy_from_slice(&self.now[range]);
        Ok(())
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let range = self.range(sector, bytes.len())?;
        self.now[range].copy_from_slice(bytes);
        self.note(Event::Write { sector, bytes: bytes.to_vec() });
        Ok(())
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        self.note(Event::Flush);
        Ok(())
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

impl Log {
    fn events(&self) -> Vec<Event> {
        self.events.lock().map(|e| e.clone()).unwrap_or_default()
    }

    /// Writes and flushes so far.
    pub fn len(&self) -> usize {
        self.events.lock().map_or(0, |e| e.len())
    }

    /// Whether nothing was written or flushed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flushes so far.
    pub fn flushes(&self) -> usize {
        self.events().iter().filter(|e| matches!(e, Event::Flush)).count()
    }

    /// What the medium may hold if the host stops after `cut` events: all that was flushed, and of
    /// the rest, sector by sector, what `seed` lets through, in an order that it chooses.
    pub fn image_at(&self, cut: usize, seed: u64) -> Vec<u8> {
        let events = self.events();
        let events = &events[..cut.min(events.len())];
        let flushed = events.iter().rposition(|e| matches!(e, Event::Flush)).map_or(0, |n| n + 1);
        let mut image = self.start.to_vec();
        let sectors = |events: &[Event]| {
            let mut out = Vec::new();
            for e in events {
                if let Event::Write { sector, bytes } = e {
                    let parts = bytes.as_chunks::<SECTOR>().0.iter().enumerate();
                    out.extend(parts.map(|(n, p)| (*sector as usize + n, *p)));
                }
            }
            out
        };
        let put = |image: &mut Vec<u8>, (n, part): (usize, [u8; SECTOR])| {
            image[n * SECTOR..(n + 1) * SECTOR].copy_from_slice(&part);
        };
        sectors(&events[..flushed]).into_iter().for_each(|s| put(&mut image, s));
        let mut loose = sectors(&events[flushed..]);
        let mut random = Random(seed | 1);
        while !loose.is_empty() {
            let one = loose.swap_remove(random.below(loose.len() as u64) as usize);
            if random.below(2) == 0 {
                put(&mut image, one);
            }
        }
        image
    }

    /// The sectors that the last flush before `cut` made durable, as they then were.
    pub fn durable_at(&self, cut: usize) -> Vec<(u64, Vec<u8>)> {
        let events = self.events();
        let events = &events[..cut.min(events.len())];
        let flushed = events.iter().rposition(|e| matches!(e, Event::Flush)).map_or(0, |n| n + 1);
        let mut last = std::collections::BTreeMap::new();
        for e in &events[..flushed] {
            if let Event::Write { sector, bytes } = e {
                for (n, part) in bytes.as_chunks::<SECTOR>().0.iter().enumerate() {
                    last.insert(sector + n as u64, part.to_vec());
                }
            }
        }
        // what was written again since may be either
        for e in &events[flushed..] {
            if let Event::Write { sector, bytes } = e {
                (0..bytes.len() / SECTOR).for_each(|n| drop(last.remove(&(sector + n as u64))));
            }
        }
        last.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_flushed_is_always_there() {
        let (mut b, log) = LoggedBlock::new(vec![0; 8 * SECTOR]);
        b.write(1, &[1; SECTOR]).expect("written");
        b.flush().expect("flushed");
        b.write(2, &[2; SECTOR]).expect("written");
        b.write(1, &[3; SECTOR]).expect("written");
        let (mut with, mut without) = (0, 0);
        for seed in 0..100 {
            let image = log.image_at(2, seed);
            assert_eq!(image[SECTOR], 1);
            let image = log.image_at(4, seed);
            assert!(matches!(image[SECTOR], 1 | 3));
            if image[2 * SECTOR] == 2 { with += 1 } else { without += 1 }
        }
        assert!(with > 10 && without > 10);
        assert_eq!(log.durable_at(3), [(1, vec![1; SECTOR])]);
        assert_eq!(log.durable_at(4), []);
    }
}
