//! The map that Linux `perf` reads to name code that no file holds: a line for each piece, of its
//! address, its size and its name.

use jit::{Mapped, Sink};
use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Result, Write};
use std::path::PathBuf;

/// Where perf looks for it.
pub(crate) fn path() -> PathBuf {
    PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
}

/// A new file. One of an earlier process of that number goes; a link of somebody else's is not followed.
pub(crate) fn create() -> Result<File> {
    match remove_file(path()) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => OpenOptions::new().write(true).create_new(true).open(path()),
    }
}

/// The file of this process, to go on with.
pub(crate) fn reopen() -> Result<File> {
    OpenOptions::new().append(true).open(path())
}

/// Writes what it is told into the file, up to the first failure, which it tells of.
pub(crate) fn sink(file: File) -> Sink {
    let mut file = Some(file);
    Box::new(move |code| {
        if let Some(Err(e)) = file.as_mut().map(|f| f.write_all(line(code).as_bytes())) {
            eprintln!("ringer: the map for perf {} ends here: {e}", path().display());
            file = None;
        }
    })
}

fn line(code: Mapped) -> String {
    format!("{:x} {:x} {}\n", code.address, code.bytes, code.source)
}

#[cfg(test)]
mod tests {
    use super::line;
    use jit::{Mapped, Source};

    #[test]
    fn lines_are_as_perf_reads_them() {
        let source = Source::Guest { linear: 0xc012_3456, code32: true, quick: false };
        let code = Mapped { address: 0x7f00_1234_5640, bytes: 0x1c0, source };
        assert_eq!(line(code), "7f0012345640 1c0 guest 0xc0123456 (32-bit)\n");
        let source = Source::Guest { linear: 0x7c00, code32: false, quick: true };
        assert_eq!(line(Mapped { source, ..code }), "7f0012345640 1c0 guest 0x00007c00 (16-bit, quick)\n");
        assert_eq!(line(Mapped { source: Source::Engine, ..code }), "7f0012345640 1c0 ringer stubs\n");
    }
}
