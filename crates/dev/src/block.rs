//! What a drive needs of the host: 512-byte sectors, handed in by the board.

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// Why the host could not do what a drive asked for. The guest sees the drive's own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The sectors lie beyond the end.
    #[error("sectors beyond the end of the image")]
    Range,
    /// The medium takes no writes.
    #[error("the image is read-only")]
    ReadOnly,
    /// The host failed: its disk is full, the file has gone.
    #[error("{0}")]
    Host(String),
}

/// A medium of 512-byte sectors. Lengths of buffers are multiples of [`SECTOR`]; an implementation
/// refuses ranges beyond its end. A write may be held back until [`Block::flush`].
pub trait Block: Send {
    /// Sectors of 512 bytes.
    fn sectors(&self) -> u64;

    /// Whether writes are taken.
    fn writable(&self) -> bool;

    /// Reads whole sectors from `sector` on.
    ///
    /// # Errors
    /// [`BlockError`]; what `out` holds is then unspecified.
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError>;

    /// Writes whole sectors from `sector` on.
    ///
    /// # Errors
    /// [`BlockError`]; some of the sectors may have been written.
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError>;

    /// Makes everything written so far durable. What could not be made so once is lost for good: all later calls
    /// fail as well.
    ///
    /// # Errors
    /// [`BlockError::Host`].
    fn flush(&mut self) -> Result<(), BlockError>;

    /// What is written lives in this process alone.
    fn is_private(&self) -> bool {
        false
    }

    /// What was written, for a snapshot, of a medium that [is private](Block::is_private); `None`: the medium
    /// is elsewhere and keeps its writes by itself.
    fn private_writes(&self) -> Option<Vec<u8>> {
        None
    }

    /// A number that is another one after somebody has written the medium where it lies; `None`: nobody else
    /// can reach it.
    fn stamp(&self) -> Option<u64> {
        None
    }

    /// Puts [`Block::private_writes`] back; `false` if they do not fit.
    fn set_private_writes(&mut self, _saved: &[u8]) -> bool {
        false
    }
}

/// A medium in memory, for tests and for what is discarded with the machine.
#[derive(Debug, Clone)]
pub struct MemoryBlock {
    bytes: Vec<u8>,
    writable: bool,
}

impl MemoryBlock {
    /// A writable medium with these bytes, filled up with zeroes to a whole sector.
    pub fn new(mut bytes: Vec<u8>) -> MemoryBlock {
        bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
        MemoryBlock { bytes, writable: true }
    }

    /// The same medium, write-protected.
    pub fn read_only(self) -> MemoryBlock {
        MemoryBlock { writable: false, ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn range(&self, sector: u64, len: usize) -> Result<std::ops::Range<usize>, BlockError> {
        let start = usize::try_from(sector).ok().and_then(|s| s.checked_mul(SECTOR));
        let start = start.ok_or(BlockError::Range)?;
        let end = start.checked_add(len).filter(|&e| e <= self.bytes.len()).ok_or(BlockError::Range)?;
        Ok(start..end)
    }
}

impl Block for MemoryBlock {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR) as u64
    }
    fn writable(&self) -> bool {
        self.writable
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        let range = self.range(sector, out.len())?;
        out.copy_from_slice(&self.bytes[range]);
        Ok(())
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        if !self.writable {
            return Err(BlockError::ReadOnly);
        }
        let range = self.range(sector, bytes.len())?;
        self.bytes[range].copy_from_slice(bytes);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_protection_are_kept() {
        let mut m = MemoryBlock::new(vec![1; 700]);
        assert_eq!(m.sectors(), 2);
        assert_eq!(m.write(1, &[7; SECTOR]), Ok(()));
        let mut out = [0; SECTOR];
        assert_eq!((m.read(1, &mut out), out[0]), (Ok(()), 7));
        assert_eq!(m.read(2, &mut out), Err(BlockError::Range));
        assert_eq!(m.read(u64::MAX, &mut out), Err(BlockError::Range));
        assert_eq!(m.read_only().write(0, &[0; SECTOR]), Err(BlockError::ReadOnly));
    }
}
