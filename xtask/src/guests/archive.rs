//! An initramfs: the "newc" form of cpio (Documentation/driver-api/early-userspace/buffer-format).

use anyhow::Context;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive under construction. The same entries give the same bytes.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    inodes: u32,
}

impl Archive {
    /// Everything below a directory, in order of names.
    pub(super) fn tree(&mut self, root: &Path, below: &str) -> anyhow::Result<()> {
        let here = root.join(below);
        let entries = fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))?;
        let mut names = entries.map(|e| Ok(e?.file_name())).collect::<anyhow::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let name = name.to_string_lossy();
            let path = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
            let file = root.join(&path);
            let data = fs::symlink_metadata(&file)?;
            if data.is_dir() {
                self.directory(&path);
                self.tree(root, &path)?;
            } else if data.is_symlink() {
                self.link(&path, &fs::read_link(&file)?.to_string_lossy());
            } else {
                self.file(&path, data.permissions().mode() & 0o777, &fs::read(&file)?);
            }
        }
        Ok(())
    }

    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, (0, 0), &[]);
    }

    pub(super) fn file(&mut self, name: &str, mode: u32, body: &[u8]) {
        self.entry(name, FILE | mode, (0, 0), body);
    }

    pub(super) fn link(&mut self, name: &str, target: &str) {
        self.entry(name, LINK, (0, 0), target.as_bytes());
    }

    pub(super) fn character_device(&mut self, name: &str, numbers: (u32, u32)) {
        self.entry(name, CHARACTER_DEVICE, numbers, &[]);
    }

    /// The archive with its end mark.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), body: &[u8]) {
        self.inodes += 1;
        let fields = [
            self.inodes,
            mode,
            0, // uid
            0, // gid
            1, // links
            0, // time
            body.len() as u32,
            0, // major and minor of the device that it lies on
            0,
            major,
            minor,
            name.len() as u32 + 1,
            0, // checksum
        ];
        self.bytes.extend(b"070701");
        for f in fields {
            self.bytes.extend(format!("{f:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(body);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_the_end_is_marked() {
        let mut a = Archive::default();
        a.file("a", 0o755, b"hello");
        let bytes = a.finish();
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..117], b"hello");
        assert_eq!(&bytes[120..126], b"070701");
        assert!(bytes.len() % 512 == 0 && bytes.windows(10).any(|w| w == b"TRAILER!!!"));
    }
}
