//! Cylinders, heads and sectors of a disk that has none: what its partition table was made with, or what every
//! ATA disk says (ATA/ATAPI-6, 6.2.1); and how a BIOS makes INT 13h's geometry of them.

use crate::Block;
use crate::block::SECTOR;

/// Heads and sectors a track of a disk without a table.
const HEADS: u8 = 16;
const TRACK: u8 = 63;
/// Cylinders that IDENTIFY DEVICE tells of at most.
const MOST_CYLINDERS: u64 = 16_383;
/// Cylinders that INT 13h and a partition table can name.
const BIOS_CYLINDERS: u64 = 1024;
/// The partition that stands for a GUID partition table.
const PROTECTIVE: u8 = 0xee;

/// How a BIOS translates a disk's geometry for INT 13h: CMOS register 39h has it, two bits a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Translation {
    /// Not at all.
    #[default]
    None = 0,
    /// 63 sectors a track, and as many heads as it takes: 16, 32, 64, 128 or 255.
    Lba = 1,
    /// Twice the heads and half the cylinders, until these are 1024 at most.
    Large = 2,
}

/// A disk's geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// At least 1.
    pub cylinders: u16,
    /// 1 to 16.
    pub heads: u8,
    /// 1 to 63.
    pub sectors: u8,
    /// What the BIOS is to make of it.
    pub translation: Translation,
}

/// Cylinders of so many sectors: at least one, and no more than IDENTIFY DEVICE tells of.
pub(super) fn cylinders(capacity: u64, heads: u8, track: u8) -> u16 {
    let a_cylinder = (u64::from(heads) * u64::from(track)).max(1);
    (capacity / a_cylinder).clamp(1, MOST_CYLINDERS) as u16
}

impl Geometry {
    /// The geometry of a medium.
    pub(super) fn of(medium: &mut dyn Block) -> Geometry {
        let capacity = medium.sectors();
        let mut record = [0; SECTOR];
        let table = medium.read(0, &mut record).ok().and_then(|()| from_table(&record, capacity));
        let whole = |heads, sectors, translation| {
            let cylinders = cylinders(capacity, heads, sectors);
            Geometry { cylinders, heads, sectors, translation }
        };
        match table {
            // who made the table saw the disk as it is
            Some((heads @ 1..=16, sectors)) => whole(heads as u8, sectors, Translation::None),
            Some((heads, TRACK)) if large(capacity) == heads => whole(HEADS, TRACK, Translation::Large),
            Some(_) => whole(HEADS, TRACK, Translation::Lba),
            None if capacity <= BIOS_CYLINDERS * u64::from(HEADS) * u64::from(TRACK) => {
                whole(HEADS, TRACK, Translation::None)
            }
            None => whole(HEADS, TRACK, Translation::Lba),
        }
    }
}

/// The heads that doubling leads to; 0 where it does not.
fn large(capacity: u64) -> u16 {
    let (mut heads, mut cylinders) = (u16::from(HEADS), u64::from(cylinders(capacity, HEADS, TRACK)));
    while cylinders > BIOS_CYLINDERS {
        (heads, cylinders) = (heads * 2, cylinders / 2);
    }
    if heads <= 128 { heads } else { 0 }
}

/// Heads and sectors a track by the first partition whose end tells them: partitions end with a cylinder.
fn from_table(record: &[u8; SECTOR], capacity: u64) -> Option<(u16, u8)> {
    let entries = record[446..510].as_chunks::<16>().0;
    let is_table = record[510..] == [0x55, 0xaa] && entries.iter().all(|e| e[0] & 0x7f == 0);
    entries.iter().filter(|_| is_table).find_map(|e| from_entry(e, capacity))
}

fn from_entry(e: &[u8; 16], capacity: u64) -> Option<(u16, u8)> {
    let dword = |at: usize| u64::from(u32::from_le_bytes([e[at], e[at + 1], e[at + 2], e[at + 3]]));
    let (heads, sectors) = (u16::from(e[5]) + 1, e[6] & 63);
    let cylinder = u64::from(e[6] & 0xc0) << 2 | u64::from(e[7]);
    let end = dword(8) + dword(12);
    if matches!(e[4], 0 | PROTECTIVE) || heads == 1 || sectors == 0 || dword(12) == 0 || end > capacity {
        return None;
    }
    // an end within a cylinder would not fit; what lies beyond the last cylinder cannot be told
    let fits = end == (cylinder + 1) * u64::from(heads) * u64::from(sectors);
    (fits || cylinder + 1 >= BIOS_CYLINDERS - 1).then_some((heads, sectors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlockError;

    /// A disk of which only the first sector is there.
    struct Sparse(u64, [u8; SECTOR]);

    impl Block for Sparse {
        fn sectors(&self) -> u64 {
            self.0
        }
        fn writable(&self) -> bool {
            false
        }
        fn read(&mut self, _: u64, out: &mut [u8]) -> Result<(), BlockError> {
            out.copy_from_slice(&self.1);
            Ok(())
        }
        fn write(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
            Err(BlockError::ReadOnly)
        }
        fn flush(&mut self) -> Result<(), BlockError> {
            Ok(())
        }
    }

    /// The geometry by a table with one partition, from the second track to the last of `cylinders`.
    fn with_table(capacity: u64, (cylinders, heads, sectors): (u64, u64, u64)) -> Geometry {
        let mut record = [0; SECTOR];
        let last = (cylinders - 1).min(1023);
        let count = (cylinders * heads * sectors - sectors) as u32;
        record[446..458].copy_from_slice(&[
            0x80,
            1,
            1,
            0,
            6,
            heads as u8 - 1,
            (sectors | last >> 2 & 0xc0) as u8,
            last as u8,
            sectors as u8,
            0,
            0,
            0,
        ]);
        record[458..462].copy_from_slice(&count.to_le_bytes());
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        Geometry::of(&mut Sparse(capacity, record))
    }

    fn shape(g: Geometry) -> (u16, u8, u8, Translation) {
        (g.cylinders, g.heads, g.sectors, g.translation)
    }

    #[test]
    fn a_table_tells_what_it_was_made_with() {
        const GIB: u64 = 2 << 20;
        // 42 MB of 977 cylinders, 5 heads, 17 sectors, and some sectors more
        assert_eq!(shape(with_table(83_050, (977, 5, 17))), (977, 5, 17, Translation::None));
        assert_eq!(shape(with_table(2 * GIB, (261, 255, 63))), (4161, 16, 63, Translation::Lba));
        assert_eq!(shape(with_table(2 * GIB, (520, 128, 63))), (4161, 16, 63, Translation::Large));
        assert_eq!(shape(with_table(20 * GIB, (2610, 255, 63))), (16_383, 16, 63, Translation::Lba));
    }

    #[test]
    fn without_a_table_it_is_the_usual_one() {
        let blank = |n| shape(Geometry::of(&mut Sparse(n, [0; SECTOR])));
        assert_eq!(blank(1024 * 16 * 63), (1024, 16, 63, Translation::None));
        assert_eq!(blank(1024 * 16 * 63 + 1008), (1025, 16, 63, Translation::Lba));
        assert_eq!(blank(1), (1, 16, 63, Translation::None));
        // a partition that ends within a cylinder tells nothing
        let mut record = [0; SECTOR];
        record[446..462].copy_from_slice(&[0, 1, 1, 0, 6, 5, 7, 3, 63, 0, 0, 0, 0, 9, 0, 0]);
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(Geometry::of(&mut Sparse(9000, record)).heads, 16);
    }
}
