//! The firmware configuration device that QEMU defines and SeaBIOS asks (QEMU's
//! docs/specs/fw_cfg.rst): a 16-bit selector at 510h, a byte of data at 511h.

use crate::state::{StateError, device_state, ensure, frozen};

/// First port.
pub const PORT: u16 = 0x510;
/// First selector of a named file.
const FIRST_FILE: u16 = 0x20;
/// Selector of the directory of files.
const DIRECTORY: u16 = 0x19;
/// Named files at most.
const MOST_FILES: usize = 64;
/// Bytes of a file's name in the directory, the final zero included.
const NAME: usize = 56;

/// The device: items that the board has put in, and what the guest is reading.
#[derive(Debug, Default)]
pub struct FwCfg {
    items: Vec<(u16, Vec<u8>)>,
    files: Vec<(String, Vec<u8>)>,
    selector: u16,
    offset: u32,
}

impl FwCfg {
    /// A device with its signature and the interface version: no DMA.
    pub fn new() -> FwCfg {
        let mut f = FwCfg::default();
        f.set(0, b"QEMU");
        f.set(1, &1u32.to_le_bytes());
        f
    }

    /// Puts a numbered item in, in place of an earlier one.
    pub fn set(&mut self, selector: u16, bytes: &[u8]) {
        self.items.retain(|(s, _)| *s != selector);
        self.items.push((selector, bytes.to_vec()));
    }

    /// Puts a named file in, in place of an earlier one; a name of more than 55 bytes, or a 65th
    /// file, is left out.
    pub fn set_file(&mut self, name: &str, bytes: &[u8]) {
        self.files.retain(|(n, _)| n != name);
        if name.len() < NAME && self.files.len() < MOST_FILES {
            self.files.push((name.to_owned(), bytes.to_vec()));
            self.files.sort();
        }
    }

    /// The directory: a count, then size, selector, reserved and name of each; big-endian.
    fn directory(&self) -> Vec<u8> {
        let mut out = (self.files.len() as u32).to_be_bytes().to_vec();
        for (n, (name, bytes)) in self.files.iter().enumerate() {
            out.extend((bytes.len() as u32).to_be_bytes());
            out.extend((FIRST_FILE + n as u16).to_be_bytes());
            out.extend([0, 0]);
            let mut field = [0; NAME];
            field[..name.len()].copy_from_slice(name.as_bytes());
            out.extend(field);
        }
        out
    }

    fn byte(&self) -> u8 {
        let at = self.offset as usize;
        let item = match self.selector {
            DIRECTORY => return self.directory().get(at).copied().unwrap_or(0),
            s if (FIRST_FILE..0x4000).contains(&s) => {
                self.files.get(usize::from(s - FIRST_FILE)).map(|(_, bytes)| bytes)
            }
            s => self.items.iter().find(|(n, _)| *n == s).map(|(_, bytes)| bytes),
        };
        item.and_then(|bytes| bytes.get(at)).copied().unwrap_or(0)
    }

    /// Reads a byte of data (511h); past an item's end there are zeroes.
    pub fn read(&mut self) -> u8 {
        let value = self.byte();
        self.offset = self.offset.saturating_add(1);
        value
    }

    /// Selects an item (a word to 510h) and goes to its start.
    pub fn select(&mut self, selector: u16) {
        (self.selector, self.offset) = (selector, 0);
    }

    fn check(_: &FwCfgStateV1) -> Result<(), StateError> {
        ensure(true, "fw_cfg", "selector")
    }
}

frozen! {
    /// What the guest is reading, version 1. The items are the board's configuration.
    FwCfgStateV1 of FwCfg { selector: u16, offset: u32 }
}
device_state!(FwCfg, FwCfgState, FwCfgStateV1);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(f: &mut FwCfg, selector: u16, n: usize) -> Vec<u8> {
        f.select(selector);
        (0..n).map(|_| f.read()).collect()
    }

    #[test]
    fn the_signature_comes_first_and_zeroes_follow_an_item() {
        let mut f = FwCfg::new();
        assert_eq!(read(&mut f, 0, 6), b"QEMU\0\0");
        assert_eq!(read(&mut f, 0x7777, 2), [0, 0]);
    }

    #[test]
    fn the_directory_names_files_in_order() {
        let mut f = FwCfg::new();
        f.set_file("etc/z", &[1, 2, 3]);
        f.set_file("bootorder", b"x");
        let d = read(&mut f, DIRECTORY, 4 + 128);
        assert_eq!(d[..4], [0, 0, 0, 2]);
        assert_eq!((&d[4..10], &d[12..22]), (&[0, 0, 0, 1, 0, 0x20][..], &b"bootorder\0"[..]));
        assert_eq!(d[68..74], [0, 0, 0, 3, 0, 0x21]);
        assert_eq!(read(&mut f, 0x21, 4), [1, 2, 3, 0]);
    }

    #[test]
    fn a_restored_reader_goes_on() {
        let mut f = FwCfg::new();
        f.select(0);
        f.read();
        let mut g = FwCfg::new();
        g.restore(&f.save()).expect("fits");
        assert_eq!(g.read(), b'E');
    }
}
