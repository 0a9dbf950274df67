//! A file that is there whole, or not at all.

use super::SnapshotError;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes a file through a temporary one beside it, which takes its name once everything is on
/// the disk; what was there before stays until then.
///
/// # Errors
/// What `write` returns, or the host's error; there is no partial file then.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let directory = match path.parent() {
        Some(d) if !d.as_os_str().is_empty() => d,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    {
        let mut out = BufWriter::new(&mut file);
        write(&mut out)?;
        out.flush()?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // the name is durable once the directory is; not every host can do that
    if let Ok(d) = std::fs::File::open(directory) {
        let _ = d.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_what_was_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x");
        write_atomically(&path, |w| Ok(w.write_all(b"old")?)).expect("written");
        let failed = write_atomically(&path, |w| {
            w.write_all(b"new")?;
            Err(SnapshotError::Truncated)
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).expect("there"), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }
}
