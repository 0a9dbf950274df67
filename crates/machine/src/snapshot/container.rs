//! The file of a snapshot: named, versioned, checksummed sections.
//!
//! `"RINGER SNAPSHOT\n"`, the format version (u32), then sections: length of the name (u8), name,
//! version (u16), raw length (u64), stored length (u64), CRC-32 of the stored bytes (u32), the bytes
//! compressed by zstd. A section with the empty name ends the file; its raw length is the count of
//! sections before it, its checksum the CRC-32 of all headers. Numbers are little-endian.

use std::io::{Read, Write};

const MAGIC: &[u8; 16] = b"RINGER SNAPSHOT\n";
/// The version of the format that this program writes.
const FORMAT: u32 = 1;
/// Bytes of a section, raw, at most.
const MOST: u64 = 64 << 20;
/// Sections at most: a hostile file names no more.
const MOST_SECTIONS: u64 = 4096;
/// zstd's level: RAM is mostly zeroes and repeats.
const LEVEL: i32 = 1;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The host failed.
    #[error(transparent)]
    Host(#[from] std::io::Error),
    /// A medium has lost what the guest wrote.
    #[error(transparent)]
    Unflushed(#[from] crate::Unflushed),
    /// The file is something else.
    #[error("it is no snapshot of a Ringer machine")]
    NotASnapshot,
    /// A later program wrote it.
    #[error(
        "{what} has version {found}, and this program knows versions up to {known}: a later Ringer wrote it"
    )]
    Newer {
        /// The file, or the section.
        what: String,
        /// The version found.
        found: u32,
        /// The latest one known.
        known: u32,
    },
    /// The file ends too early.
    #[error("it is truncated")]
    Truncated,
    /// A checksum or a length does not fit.
    #[error("its section {0:?} is damaged")]
    Damaged(String),
    /// A section is not there.
    #[error("its section {0:?} is missing")]
    Missing(&'static str),
    /// A section that nobody knows.
    #[error("it has a section {0:?}, which this program does not know")]
    Unknown(String),
    /// A section holds what no machine can.
    #[error("its section {section:?} cannot be used: {why}")]
    Unusable {
        /// The section.
        section: String,
        /// What is wrong.
        why: String,
    },
    /// The machine has other drives or media.
    #[error("it was made with other media: {0}")]
    Media(String),
    /// An image is no longer what the guest's caches say.
    #[error("the image in {0} has been written since; going on over it would destroy what it holds")]
    Written(&'static str),
    /// The machine has another network card, or none.
    #[error("it was made with another network card: it had {saved}, and the machine has {found}")]
    Nic {
        /// The card in the snapshot.
        saved: String,
        /// The machine's.
        found: String,
    },
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// 1 to 32 bytes of ASCII.
    pub name: String,
    /// The version of its encoding.
    pub version: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Writes sections one after the other.
pub struct Writer<W> {
    out: W,
    headers: crc32fast::Hasher,
    count: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the file's head.
    ///
    /// # Errors
    /// The host's.
    pub fn new(mut out: W) -> Result<Writer<W>, SnapshotError> {
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        Ok(Writer { out, headers: crc32fast::Hasher::new(), count: 0 })
    }

    /// Writes a section.
    ///
    /// # Errors
    /// The host's.
    pub fn section(&mut self, name: &str, version: u16, bytes: &[u8]) -> Result<(), SnapshotError> {
        let stored = zstd::bulk::compress(bytes, LEVEL)?;
        self.header(name, version, bytes.len() as u64, stored.len() as u64, crc32fast::hash(&stored))?;
        self.out.write_all(&stored)?;
        self.count += 1;
        Ok(())
    }

    fn header(
        &mut self,
        name: &str,
        version: u16,
        raw: u64,
        stored: u64,
        sum: u32,
    ) -> Result<(), SnapshotError> {
        let mut h = vec![name.len() as u8];
        h.extend(name.as_bytes());
        h.extend(version.to_le_bytes());
        h.extend(raw.to_le_bytes());
        h.extend(stored.to_le_bytes());
        h.extend(sum.to_le_bytes());
        self.headers.update(&h);
        self.out.write_all(&h)?;
        Ok(())
    }

    /// Writes the end; gives the file back.
    ///
    /// # Errors
    /// The host's.
    pub fn finish(mut self) -> Result<W, SnapshotError> {
        let (count, sum) = (self.count, self.headers.clone().finalize());
        self.header("", 0, count, 0, sum)?;
        Ok(self.out)
    }
}

/// Reads sections one after the other.
pub struct Reader<R> {
    input: R,
    headers: crc32fast::Hasher,
    count: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the file's head.
    ///
    /// # Errors
    /// It is no snapshot, or a later one.
    pub fn new(mut input: R) -> Result<Reader<R>, SnapshotError> {
        let mut head = [0; 20];
        input.read_exact(&mut head).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => SnapshotError::NotASnapshot,
            _ => SnapshotError::Host(e),
        })?;
        let found = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
        if &head[..16] != MAGIC || found == 0 {
            return Err(SnapshotError::NotASnapshot);
        }
        if found > FORMAT {
            return Err(SnapshotError::Newer { what: "the file".to_owned(), found, known: FORMAT });
        }
        Ok(Reader { input, headers: crc32fast::Hasher::new(), count: 0 })
    }

    /// The next section; `None` at the end of the file.
    ///
    /// # Errors
    /// The file is truncated or damaged.
    pub fn next_section(&mut self) -> Result<Option<Section>, SnapshotError> {
        let before = self.headers.clone().finalize();
        let len = usize::from(self.take::<1>()?[0]);
        if len > 32 {
            return Err(SnapshotError::Damaged("?".to_owned()));
        }
        let mut name = vec![0; len];
        self.fill(&mut name)?;
        let name = String::from_utf8(name).map_err(|_| SnapshotError::Damaged("?".to_owned()))?;
        let version = u16::from_le_bytes(self.take()?);
        let (raw, stored) = (u64::from_le_bytes(self.take()?), u64::from_le_bytes(self.take()?));
        let sum = u32::from_le_bytes(self.take()?);
        if name.is_empty() {
            return self.end(version, raw, stored, sum == before);
        }
        self.count += 1;
        if raw > MOST || stored > zstd::zstd_safe::compress_bound(raw as usize) as u64 {
            return Err(SnapshotError::Damaged(name));
        }
        self.body(name, version, (raw, stored), sum).map(Some)
    }

    fn body(
        &mut self,
        name: String,
        version: u16,
        (raw, stored): (u64, u64),
        sum: u32,
    ) -> Result<Section, SnapshotError> {
        if self.count > MOST_SECTIONS {
            return Err(SnapshotError::Damaged(name));
        }
        let mut packed = Vec::new();
        let got = (&mut self.input).take(stored).read_to_end(&mut packed)?;
        if got as u64 != stored {
            return Err(SnapshotError::Truncated);
        }
        if crc32fast::hash(&packed) != sum {
            return Err(SnapshotError::Damaged(name));
        }
        let bytes = zstd::bulk::decompress(&packed, raw as usize).ok();
        match bytes.filter(|b| b.len() as u64 == raw) {
            Some(bytes) => Ok(Section { name, version, bytes }),
            None => Err(SnapshotError::Damaged(name)),
        }
    }

    fn end(
        &mut self,
        version: u16,
        count: u64,
        stored: u64,
        sum: bool,
    ) -> Result<Option<Section>, SnapshotError> {
        let rest = self.input.read(&mut [0])?;
        let whole = version == 0 && count == self.count && stored == 0 && sum && rest == 0;
        if whole { Ok(None) } else { Err(SnapshotError::Damaged("the end".to_owned())) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), SnapshotError> {
        self.input.read_exact(out).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => SnapshotError::Truncated,
            _ => SnapshotError::Host(e),
        })?;
        self.headers.update(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut w = Writer::new(Vec::new()).expect("a vector takes all");
        w.section("one", 1, b"the first").expect("written");
        w.section("two", 7, &[0; 5000]).expect("written");
        w.finish().expect("written")
    }

    fn read(bytes: &[u8]) -> Result<Vec<Section>, SnapshotError> {
        let mut r = Reader::new(bytes)?;
        let mut out = Vec::new();
        while let Some(s) = r.next_section()? {
            out.push(s);
        }
        Ok(out)
    }

    #[test]
    fn sections_come_back() {
        let sections = read(&file()).expect("reads");
        assert_eq!((sections[0].name.as_str(), &sections[0].bytes[..]), ("one", &b"the first"[..]));
        assert_eq!((sections[1].version, sections[1].bytes.len()), (7, 5000));
    }

    #[test]
    fn every_truncation_and_every_changed_bit_is_seen() {
        let whole = file();
        for n in 0..whole.len() {
            assert!(read(&whole[..n]).is_err(), "cut at {n}");
            for bit in 0..8 {
                let mut bad = whole.clone();
                bad[n] ^= 1 << bit;
                assert!(read(&bad).is_err(), "bit {bit} of byte {n}");
            }
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(read(&longer).is_err());
    }

    #[test]
    fn a_later_format_is_named_so() {
        let mut f = file();
        f[16] = 2;
        assert!(matches!(read(&f), Err(SnapshotError::Newer { found: 2, .. })));
        assert!(matches!(read(b"hello"), Err(SnapshotError::NotASnapshot)));
    }
}
