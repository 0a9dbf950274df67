//! A raw image: the file's bytes are the medium's.

use dev::block::SECTOR;
use dev::{Block, BlockError};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Why an image cannot be used. The caller adds the file's name.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The host cannot open or read it.
    #[error("{0}")]
    Host(#[from] std::io::Error),
    /// It may be read and not written.
    #[error(
        "it cannot be written; a read-only run (--read-only) or one that discards what is written (--snapshot) can use it"
    )]
    NotWritable,
    /// It is no file.
    #[error("it is a directory")]
    Directory,
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is no whole number of sectors.
    #[error("its size, {0} bytes, is not a multiple of 512: it is truncated, or no raw image")]
    OddSize(u64),
    /// Another machine has it.
    #[error("another machine uses it; two writers would destroy it")]
    Locked,
}

/// What the machine may do with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it; others may as well.
    ReadOnly,
    /// Read and write it; nobody else may use it.
    ReadWrite,
}

/// What the host refused while the guest was running, for the user to hear once.
#[derive(Debug, Clone, Default)]
pub struct Complaints(Arc<Mutex<Vec<String>>>);

impl Complaints {
    /// Takes what was noted since the last call.
    pub fn take(&self) -> Vec<String> {
        self.0.lock().map(|mut c| std::mem::take(&mut *c)).unwrap_or_default()
    }

    fn note(&self, what: String) {
        if let Ok(mut c) = self.0.lock()
            && c.len() < 16
            && !c.contains(&what)
        {
            c.push(what);
        }
    }
}

/// A raw image file.
#[derive(Debug)]
pub struct RawImage {
    file: File,
    name: String,
    sectors: u64,
    access: Access,
    unflushed: bool,
    /// Why a flush failed. The host tells it once: it drops what it could not write, and the next flush succeeds
    /// (Linux, fsync(2)). The guest has to hear of it whenever it asks.
    lost: Option<BlockError>,
    complaints: Complaints,
}

impl RawImage {
    /// Opens and locks an image.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(path: &Path, access: Access, complaints: Complaints) -> Result<RawImage, DiskError> {
        let write = access == Access::ReadWrite;
        let file = OpenOptions::new().read(true).write(write).open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::IsADirectory => DiskError::Directory,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem if write => {
                DiskError::NotWritable
            }
            _ => DiskError::Host(e),
        })?;
        if file.metadata()?.is_dir() {
            return Err(DiskError::Directory);
        }
        let locked = if write { file.try_lock() } else { file.try_lock_shared() };
        locked.map_err(|e| match e {
            TryLockError::WouldBlock => DiskError::Locked,
            TryLockError::Error(e) => DiskError::Host(e),
        })?;
        let sectors = Self::measure(&file)?;
        let name = path.display().to_string();
        Ok(RawImage { file, name, sectors, access, unflushed: false, lost: None, complaints })
    }

    /// Sectors of a file, a block device included.
    fn measure(mut file: &File) -> Result<u64, DiskError> {
        let len = std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        match len {
            0 => Err(DiskError::Empty),
            n if n % SECTOR as u64 != 0 => Err(DiskError::OddSize(n)),
            n => Ok(n / SECTOR as u64),
        }
    }

    /// The byte offset of a range that lies inside.
    fn offset(&self, sector: u64, len: usize) -> Result<u64, BlockError> {
        let count = len.div_ceil(SECTOR) as u64;
        let inside = sector.checked_add(count).is_some_and(|end| end <= self.sectors);
        if inside { Ok(sector * SECTOR as u64) } else { Err(BlockError::Range) }
    }

    fn host(&self, what: &str, e: &std::io::Error) -> BlockError {
        self.complaints.note(format!("{} {}: {e}", what, self.name));
        BlockError::Host(e.to_string())
    }
}

impl Block for RawImage {
    fn sectors(&self) -> u64 {
        self.sectors
    }
    fn writable(&self) -> bool {
        self.access == Access::ReadWrite
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        let at = self.offset(sector, out.len())?;
        self.file.read_exact_at(out, at).map_err(|e| self.host("reading", &e))
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        if self.access == Access::ReadOnly {
            return Err(BlockError::ReadOnly);
        }
        let at = self.offset(sector, bytes.len())?;
        self.unflushed = true;
        self.file.write_all_at(bytes, at).map_err(|e| self.host("writing", &e))
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        if self.unflushed && self.lost.is_none() {
            self.lost = self.file.sync_data().err().map(|e| self.host("flushing", &e));
            self.unflushed = false;
        }
        self.lost.clone().map_or(Ok(()), Err)
    }
    /// The file's time of modification, in nanoseconds since 1970.
    fn stamp(&self) -> Option<u64> {
        let modified = self.file.metadata().and_then(|m| m.modified()).ok()?;
        modified.duration_since(std::time::UNIX_EPOCH).ok().map(|d| d.as_nanos() as u64)
    }
}

impl Drop for RawImage {
    fn drop(&mut self) {
        // an error has been noted
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn image(len: usize) -> tempfile::NamedTempFile {
        let mut f = tempfile::NamedTempFile::new().expect("a file");
        f.write_all(&vec![7; len]).expect("written");
        f
    }

    fn open(f: &tempfile::NamedTempFile, access: Access) -> Result<RawImage, DiskError> {
        RawImage::open(f.path(), access, Complaints::default())
    }

    #[test]
    fn sectors_are_read_and_written_within_the_file() {
        let f = image(2048);
        let mut d = open(&f, Access::ReadWrite).expect("opens");
        assert_eq!(
            (d.sectors(), d.write(3, &[9; 512]), d.write(4, &[9; 512])),
            (4, Ok(()), Err(BlockError::Range))
        );
        assert_eq!(d.read(u64::MAX, &mut [0; 512]), Err(BlockError::Range));
        assert_eq!(d.flush(), Ok(()));
        assert_eq!(std::fs::read(f.path()).expect("reads")[1536..], [9; 512]);
    }

    #[test]
    fn a_writer_is_alone() {
        let f = image(512);
        let writer = open(&f, Access::ReadWrite).expect("opens");
        assert!(matches!(open(&f, Access::ReadWrite), Err(DiskError::Locked)));
        assert!(matches!(open(&f, Access::ReadOnly), Err(DiskError::Locked)));
        drop(writer);
        let _reader = open(&f, Access::ReadOnly).expect("opens");
        let mut second = open(&f, Access::ReadOnly).expect("readers share");
        assert_eq!(second.write(0, &[0; 512]), Err(BlockError::ReadOnly));
        assert!(matches!(open(&f, Access::ReadWrite), Err(DiskError::Locked)));
    }

    #[test]
    fn bad_files_are_named_so() {
        assert!(matches!(open(&image(0), Access::ReadOnly), Err(DiskError::Empty)));
        assert!(matches!(open(&image(700), Access::ReadOnly), Err(DiskError::OddSize(700))));
        let dir = tempfile::tempdir().expect("a directory");
        let e = RawImage::open(dir.path(), Access::ReadOnly, Complaints::default());
        assert!(matches!(e, Err(DiskError::Directory)));
        let e = RawImage::open(&dir.path().join("none"), Access::ReadOnly, Complaints::default());
        assert!(matches!(e, Err(DiskError::Host(_))));
    }

    #[test]
    fn what_the_host_refuses_is_noted_once() {
        let c = Complaints::default();
        let mut full = RawImage {
            file: OpenOptions::new().read(true).write(true).open("/dev/full").expect("there on Linux"),
            name: "full".to_owned(),
            sectors: 8,
            access: Access::ReadWrite,
            unflushed: false,
            lost: None,
            complaints: c.clone(),
        };
        for _ in 0..3 {
            assert!(matches!(full.write(0, &[0; 512]), Err(BlockError::Host(_))));
        }
        assert_eq!(c.take().len(), 1);
    }

    /// fsync(2): after an error, the pages that were not written count as clean.
    #[test]
    fn a_failed_flush_is_never_forgotten() {
        let f = image(512);
        let mut d = open(&f, Access::ReadWrite).expect("opens");
        d.write(0, &[9; 512]).expect("written");
        // what has no disk below cannot be synchronised
        let file = std::mem::replace(&mut d.file, File::open("/dev/null").expect("there on Linux"));
        assert!(matches!(d.flush(), Err(BlockError::Host(_))));
        d.file = file;
        assert!(matches!(d.flush(), Err(BlockError::Host(_))));
        d.write(0, &[9; 512]).expect("written");
        assert!(matches!(d.flush(), Err(BlockError::Host(_))));
    }
}
