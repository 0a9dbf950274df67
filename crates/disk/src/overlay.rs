//! Writes kept in memory above an image that stays as it is.

use dev::block::SECTOR;
use dev::{Block, BlockError};
use std::collections::BTreeMap;

/// A writable medium over a base; what is written goes with the machine.
pub struct Overlay {
    base: Box<dyn Block>,
    /// Sectors written, at most those of the base.
    written: BTreeMap<u64, Box<[u8; SECTOR]>>,
}

impl Overlay {
    /// Nothing written yet.
    pub fn new(base: Box<dyn Block>) -> Overlay {
        Overlay { base, written: BTreeMap::new() }
    }

    fn check(&self, sector: u64, len: usize) -> Result<(), BlockError> {
        let count = len.div_ceil(SECTOR) as u64;
        let inside = sector.checked_add(count).is_some_and(|end| end <= self.base.sectors());
        if inside { Ok(()) } else { Err(BlockError::Range) }
    }
}

impl Block for Overlay {
    fn sectors(&self) -> u64 {
        self.base.sectors()
    }
    fn writable(&self) -> bool {
        true
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        self.check(sector, out.len())?;
        self.base.read(sector, out)?;
        let end = sector + (out.len() / SECTOR) as u64;
        for (&n, bytes) in self.written.range(sector..end) {
            let at = (n - sector) as usize * SECTOR;
            out[at..at + SECTOR].copy_from_slice(&bytes[..]);
        }
        Ok(())
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.check(sector, bytes.len())?;
        for (n, part) in bytes.as_chunks::<SECTOR>().0.iter().enumerate() {
            self.written.insert(sector + n as u64, Box::new(*part));
        }
        Ok(())
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }
    fn is_private(&self) -> bool {
        true
    }
    fn stamp(&self) -> Option<u64> {
        self.base.stamp()
    }
    fn private_writes(&self) -> Option<Vec<u8>> {
        let parts = self
            .written
            .iter()
            .flat_map(|(n, bytes)| n.to_le_bytes().into_iter().chain(bytes.iter().copied()));
        Some(parts.collect())
    }
    fn set_private_writes(&mut self, saved: &[u8]) -> bool {
        let (parts, rest) = saved.as_chunks::<{ 8 + SECTOR }>();
        let mut written = BTreeMap::new();
        for part in parts {
            let (number, bytes) = part.split_at(8);
            let number = number.try_into().map_or(u64::MAX, u64::from_le_bytes);
            let Ok(bytes) = <[u8; SECTOR]>::try_from(bytes) else { return false };
            if number >= self.base.sectors() {
                return false;
            }
            written.insert(number, Box::new(bytes));
        }
        self.written = written;
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dev::block::MemoryBlock;

    #[test]
    fn the_base_stays_as_it_is() {
        let base = MemoryBlock::new(vec![1; 4 * SECTOR]).read_only();
        let mut o = Overlay::new(Box::new(base.clone()));
        o.write(1, &[2; 2 * SECTOR]).expect("written");
        let mut out = [0; 4 * SECTOR];
        o.read(0, &mut out).expect("read");
        assert_eq!([0, 1, 2, 3].map(|n| out[n * SECTOR]), [1, 2, 2, 1]);
        assert_eq!(o.write(3, &[0; 2 * SECTOR]), Err(BlockError::Range));
        assert!(base.bytes().iter().all(|&b| b == 1));
    }

    #[test]
    fn what_was_written_can_be_saved() {
        let base = MemoryBlock::new(vec![1; 4 * SECTOR]);
        let mut a = Overlay::new(Box::new(base.clone()));
        a.write(2, &[5; SECTOR]).expect("written");
        let saved = a.private_writes().expect("an overlay has them");
        let mut b = Overlay::new(Box::new(base));
        assert!(b.set_private_writes(&saved));
        let mut out = [0; SECTOR];
        b.read(2, &mut out).expect("read");
        assert_eq!(out, [5; SECTOR]);
        assert!(!b.set_private_writes(&saved[1..]));
    }
}
