//! What Linux takes for an initial RAM disk, so that a wrong file is refused before the kernel's
//! panic: an archive (Documentation/driver-api/early-userspace/buffer-format), packed or not, or
//! the image of a file system.

use super::BootError;
use std::io::{ErrorKind, Read, sink};

/// How packed archives start (lib/decompress.c).
const PACKED: [&[u8]; 7] = [
    &[0x1f, 0x9e],
    b"BZh",
    &[0x5d, 0, 0],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    &[0x89, b'L', b'Z', b'O'],
    &[0x02, 0x21, 0x4c, 0x18],
    &[0x28, 0xb5, 0x2f, 0xfd],
];
/// How file systems are known (init/do_mounts_rd.c and, at the end, fs/fat): where, and by what.
const FILE_SYSTEMS: [(usize, &[u8]); 9] = [
    (0, b"-rom1fs-"),
    (0, b"hsqs"),
    (0, &[0x45, 0x3d, 0xcd, 0x28]),
    (512, &[0x45, 0x3d, 0xcd, 0x28]),
    (1024 + 56, &[0x53, 0xef]),
    (1024 + 16, &[0x7f, 0x13]),
    (1024 + 16, &[0x8f, 0x13]),
    (1024 + 16, &[0x68, 0x24]),
    (510, &[0x55, 0xaa]),
];

/// As much is unpacked to see whether an archive is whole: more than any machine has memory.
const MOST_UNPACKED: u64 = 4 << 30;

/// Finds out whether Linux could take a file for its initrd.
///
/// # Errors
/// The file is of no known format, or ends too early where that can be seen.
pub fn check(file: &[u8]) -> Result<(), BootError> {
    let has = |&(at, magic): &(usize, &[u8])| file.get(at..).is_some_and(|f| f.starts_with(magic));
    if file.starts_with(&[0x1f, 0x8b]) {
        return check_gzip(file);
    }
    if file.starts_with(b"070701") || file.starts_with(b"070702") {
        return check_archive(file);
    }
    if PACKED.iter().any(|magic| file.starts_with(magic)) || FILE_SYSTEMS.iter().any(has) {
        return Ok(());
    }
    Err(format("it is neither a cpio archive, packed or not, nor the image of a file system"))
}

fn format(why: &'static str) -> BootError {
    BootError::Format { expected: "an initrd", why }
}

/// The first member must be whole; others may follow.
fn check_gzip(file: &[u8]) -> Result<(), BootError> {
    let unpacked = std::io::copy(&mut flate2::read::GzDecoder::new(file).take(MOST_UNPACKED), &mut sink());
    match unpacked {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err(format("its gzip data is truncated")),
        Err(_) => Err(format("its gzip data is damaged")),
    }
}

/// Follows the first archive's entries to their end mark; others may follow.
fn check_archive(file: &[u8]) -> Result<(), BootError> {
    let truncated = || format("the archive is truncated");
    let mut at = 0usize;
    loop {
        let header = file.get(at..).and_then(|f| f.get(..110)).ok_or_else(truncated)?;
        if !header.starts_with(b"07070") {
            return Err(format("the archive is damaged"));
        }
        let field = |n: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * n..][..8]).unwrap_or_default();
            usize::from_str_radix(digits, 16).map_err(|_| format("the archive is damaged"))
        };
        let (size, name_size) = (field(6)?, field(11)?);
        let name = file.get(at + 110..).and_then(|f| f.get(..name_size)).ok_or_else(truncated)?;
        if name == b"TRAILER!!!\0" {
            return Ok(());
        }
        let next = (at + 110 + name_size).next_multiple_of(4) as u64 + size as u64;
        at = usize::try_from(next.next_multiple_of(4)).map_err(|_| truncated())?;
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use std::io::Write;

    fn archive() -> Vec<u8> {
        let entry = |name: &str, body: &str| {
            let mut fields = [0usize; 13];
            (fields[6], fields[11]) = (body.len(), name.len() + 1);
            let mut e = b"070701".to_vec();
            fields.iter().for_each(|f| e.extend(format!("{f:08x}").bytes()));
            e.extend(name.bytes().chain([0]));
            e.resize(e.len().next_multiple_of(4), 0);
            e.extend(body.bytes());
            e.resize(e.len().next_multiple_of(4), 0);
            e
        };
        [entry("init", "#!/bin/sh"), entry("TRAILER!!!", "")].concat()
    }

    #[test]
    fn archives_are_followed_to_their_end() {
        let whole = archive();
        assert_eq!(check(&whole), Ok(()));
        // the last three bytes only fill the end mark's name up to four
        for n in 6..whole.len() - 3 {
            let why = check(&whole[..n]).unwrap_err().to_string();
            assert!(why.contains("truncated"), "{n}: {why}");
        }
    }

    #[test]
    fn packed_archives_are_unpacked() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&archive()).unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(check(&packed), Ok(()));
        let why = check(&packed[..packed.len() / 2]).unwrap_err().to_string();
        assert_eq!(why, "not an initrd: its gzip data is truncated");
    }

    #[test]
    fn other_files_are_refused_and_images_not() {
        assert!(check(b"").is_err());
        assert!(check(b"hello, world").is_err());
        let mut ext2 = vec![0; 4096];
        ext2[1080..1082].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(check(&ext2), Ok(()));
    }
}
