//! What an image is, by its content and size.

use dev::block::SECTOR;
use dev::floppy::Geometry;

/// What somebody handed us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A floppy, by its size.
    Floppy,
    /// A hard disk, by its boot signature.
    HardDisk,
    /// A CD, by its ISO 9660 descriptor.
    Cdrom,
    /// A Linux bzImage.
    Linux,
    /// A multiboot kernel.
    Multiboot,
    /// None of these.
    Unknown,
}

/// Bytes from the start of an image that [`recognise`] looks at.
pub const HEAD: usize = 40 << 10;

/// What the image is whose first bytes (at least [`HEAD`], or all of it) and size are given.
/// A hybrid image, CD and disk in one, is a CD.
pub fn recognise(head: &[u8], size: u64) -> Medium {
    let at = |n: usize, what: &[u8]| head.get(n..n + what.len()) == Some(what);
    if at(32769, b"CD001") {
        return Medium::Cdrom;
    }
    if at(0x202, b"HdrS") {
        return Medium::Linux;
    }
    let whole = size.is_multiple_of(SECTOR as u64);
    if whole && Geometry::of(size / SECTOR as u64).is_some() {
        return Medium::Floppy;
    }
    let boots = whole && at(510, &[0x55, 0xaa]);
    // GRUB behind a boot record has a multiboot header of its own
    if is_multiboot(head) && !(boots && has_partitions(head)) {
        return Medium::Multiboot;
    }
    match boots {
        true if !has_partitions(head) && Geometry::with_room(size / SECTOR as u64).is_some() => {
            Medium::Floppy
        }
        true => Medium::HardDisk,
        false => Medium::Unknown,
    }
}

/// The boot record's table has an entry, and each entry is marked as one or the other (00h or 80h).
fn has_partitions(head: &[u8]) -> bool {
    let Some(table) = head.get(446..510) else { return false };
    let entries = table.as_chunks::<16>().0;
    entries.iter().all(|e| e[0] & 0x7f == 0) && entries.iter().any(|e| e[4] != 0)
}

/// The multiboot header (Multiboot Specification 0.6.96, 3.1.1): aligned, in the first 8 KiB.
fn is_multiboot(head: &[u8]) -> bool {
    let words: Vec<u32> = head.as_chunks::<4>().0.iter().take(2048).map(|c| u32::from_le_bytes(*c)).collect();
    words.windows(3).any(|w| w[0] == 0x1bad_b002 && w[0].wrapping_add(w[1]).wrapping_add(w[2]) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_before_size() {
        let mut cd = vec![0; HEAD];
        cd[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(recognise(&cd, 1 << 30), Medium::HardDisk);
        cd[32769..32774].copy_from_slice(b"CD001");
        assert_eq!(recognise(&cd, 1 << 30), Medium::Cdrom);
        assert_eq!(recognise(&[0; 512], 1_474_560), Medium::Floppy);
        assert_eq!(recognise(&[0; 512], 1_474_561), Medium::Unknown);
        let mut kernel = vec![0; 1024];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(recognise(&kernel, 5_000_000), Medium::Linux);
        let mut mb = vec![0; 4096];
        for (n, v) in [0x1bad_b002u32, 3, 0u32.wrapping_sub(0x1bad_b005)].iter().enumerate() {
            mb[64 + 4 * n..68 + 4 * n].copy_from_slice(&v.to_le_bytes());
        }
        assert_eq!(recognise(&mb, 4096), Medium::Multiboot);
        mb[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(recognise(&mb, 4096), Medium::Multiboot);
        mb[450] = 0x83;
        assert_eq!(recognise(&mb, 4096), Medium::HardDisk, "GRUB behind a boot record");
        assert_eq!(recognise(&[], 0), Medium::Unknown);
    }
}
