//! What is in a floppy drive: the formats of a PC, told by an image's size.

use crate::Block;
use crate::block::SECTOR;
use crate::state::{Freeze, frozen};

/// Cylinders, heads and sectors of a medium, and how fast its bits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Tracks a side.
    pub cylinders: u8,
    /// Sides.
    pub heads: u8,
    /// Sectors of 512 bytes a track.
    pub sectors: u8,
    /// The data rate as CCR codes it: 0 is 500, 1 is 300, 2 is 250, 3 is 1000 kbit/s.
    pub rate: u8,
    /// The drive's type in CMOS register 10h: 1 is 360K, 2 1.2M, 3 720K, 4 1.44M, 5 2.88M.
    pub drive_type: u8,
}

/// Every format: cylinders, heads, sectors, rate, drive type.
const FORMATS: [(u8, u8, u8, u8, u8); 13] = [
    (40, 1, 8, 2, 1),  // 160K
    (40, 1, 9, 2, 1),  // 180K
    (40, 2, 8, 2, 1),  // 320K
    (40, 2, 9, 2, 1),  // 360K
    (80, 2, 9, 2, 3),  // 720K
    (80, 2, 10, 2, 3), // 800K
    (80, 2, 15, 0, 2), // 1.2M
    (80, 2, 18, 0, 4), // 1.44M
    (80, 2, 20, 0, 4), // 1.6M
    (80, 2, 21, 0, 4), // 1.68M, DMF
    (82, 2, 21, 0, 4), // 1.72M
    (83, 2, 21, 0, 4), // 1.74M
    (80, 2, 36, 3, 5), // 2.88M
];

impl Geometry {
    /// The format of an image with so many sectors of 512 bytes, if it is one of a PC.
    pub fn of(sectors: u64) -> Option<Geometry> {
        FORMATS.iter().map(Geometry::from).find(|g| g.total() == sectors)
    }

    /// The format of a medium that an image fills only in part, as images made by programs that
    /// cut off what is empty: the smallest one with room for it.
    pub fn with_room(sectors: u64) -> Option<Geometry> {
        let all = FORMATS.iter().map(Geometry::from);
        all.filter(|g| sectors > 0 && g.total() >= sectors).min_by_key(Geometry::total)
    }

    /// The number of a medium's format in the list.
    fn format_of(medium: &mut dyn Block) -> Option<u8> {
        let sectors = medium.sectors();
        let mut boot = [0; SECTOR];
        let by_boot = medium.read(0, &mut boot).ok().and_then(|()| Geometry::by_boot_sector(&boot, sectors));
        let g = Geometry::of(sectors).or(by_boot).or_else(|| Geometry::with_room(sectors))?;
        FORMATS.iter().position(|f| Geometry::from(f) == g).map(|n| n as u8)
    }

    /// The format that a FAT file system says it was made for, if there is such a one and the image is a part of it:
    /// sectors in all at 13h, a track's at 18h, heads at 1Ah (Microsoft FAT specification 1.03, "BPB").
    fn by_boot_sector(boot: &[u8; SECTOR], sectors: u64) -> Option<Geometry> {
        let word = |at: usize| u16::from_le_bytes([boot[at], boot[at + 1]]);
        let says = |g: &Geometry| {
            u64::from(word(0x13)) == g.total()
                && word(0x18) == u16::from(g.sectors)
                && word(0x1a) == u16::from(g.heads)
        };
        let is_fat = matches!(boot[0], 0xeb | 0xe9) && usize::from(word(0x0b)) == SECTOR;
        FORMATS.iter().map(Geometry::from).filter(|g| is_fat && g.total() >= sectors).find(says)
    }

    fn from(&(cylinders, heads, sectors, rate, drive_type): &(u8, u8, u8, u8, u8)) -> Geometry {
        Geometry { cylinders, heads, sectors, rate, drive_type }
    }

    /// Sectors in all.
    pub fn total(&self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors)
    }

    /// The sector's number from 0, if the medium has it; sectors count from 1.
    pub(super) fn sector(&self, cylinder: u8, head: u8, sector: u8) -> Option<u64> {
        let inside = cylinder < self.cylinders && head < self.heads && (1..=self.sectors).contains(&sector);
        let track = u64::from(cylinder) * u64::from(self.heads) + u64::from(head);
        inside.then(|| track * u64::from(self.sectors) + u64::from(sector) - 1)
    }
}

/// A drive with what is in it.
#[derive(Default)]
pub(super) struct Drive {
    pub(super) medium: Option<Box<dyn Block>>,
    /// Which format it has, by its number in the list.
    format: Option<u8>,
    /// Where the head stands.
    pub(super) track: u8,
    /// The medium was taken out since the last step.
    pub(super) changed: bool,
    /// Sectors of the medium, for a saved state to name; 0: none.
    pub(super) capacity: u64,
    /// There is a drive.
    pub(super) present: bool,
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Drive {{ geometry: {:?}, track: {} }}", self.geometry(), self.track)
    }
}

impl Drive {
    pub(super) fn geometry(&self) -> Option<Geometry> {
        self.format.and_then(|n| FORMATS.get(usize::from(n))).map(Geometry::from)
    }

    pub(super) fn insert(&mut self, mut medium: Box<dyn Block>) {
        self.capacity = medium.sectors();
        self.format = Geometry::format_of(medium.as_mut());
        self.medium = Some(medium);
        (self.changed, self.present) = (true, true);
    }

    pub(super) fn eject(&mut self) -> Option<Box<dyn Block>> {
        (self.changed, self.capacity, self.format) = (true, 0, None);
        self.medium.take()
    }

    pub(super) fn protected(&self) -> bool {
        self.medium.as_ref().is_some_and(|m| !m.writable())
    }

    /// Moves the head; a step with a medium in the drive resets the change line.
    pub(super) fn seek(&mut self, track: u8) {
        self.track = track.min(85);
        self.changed &= self.medium.is_none();
    }
}

frozen! {
    /// A drive, version 1; its medium is the board's.
    DriveStateV1 of Drive { format: Option<u8>, track: u8, changed: bool, capacity: u64, present: bool }
}

/// Drives thaw only what is theirs: the medium stays.
pub(super) fn fits(drives: &[Drive; 2], saved: &[DriveStateV1; 2]) -> bool {
    drives.iter().zip(saved).all(|(d, s)| {
        let live = Freeze::freeze(d);
        let format = s.format.is_none_or(|n| usize::from(n) < FORMATS.len());
        live.capacity == s.capacity && live.present == s.present && s.track <= 85 && format
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image cut off after its 700th sector, of which the boot sector says what it was.
    #[test]
    fn what_is_cut_off_is_told_by_its_boot_sector() {
        let geometry = |total: u16, track: u16, heads: u16| {
            let mut image = vec![0; 700 * SECTOR];
            image[..13].copy_from_slice(&[0xeb, 0x3c, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            image[0x13..0x15].copy_from_slice(&total.to_le_bytes());
            image[0x18..0x1a].copy_from_slice(&track.to_le_bytes());
            image[0x1a..0x1c].copy_from_slice(&heads.to_le_bytes());
            let mut d = Drive::default();
            d.insert(Box::new(crate::block::MemoryBlock::new(image)));
            d.geometry()
        };
        assert_eq!(geometry(2880, 18, 2), Geometry::of(2880));
        assert_eq!(geometry(2400, 15, 2), Geometry::of(2400));
        // no format, or one that is smaller than the image: by size
        assert_eq!(geometry(2880, 17, 2), Geometry::of(720));
        assert_eq!(geometry(640, 8, 2), Geometry::of(720));
    }

    #[test]
    fn sizes_name_formats() {
        let g = Geometry::of(2880).expect("1.44M");
        assert_eq!((g.cylinders, g.heads, g.sectors, g.rate, g.drive_type), (80, 2, 18, 0, 4));
        assert_eq!(Geometry::of(720).expect("360K").drive_type, 1);
        assert_eq!(Geometry::of(3360).expect("DMF").sectors, 21);
        assert_eq!(Geometry::of(2532), None);
        assert_eq!(Geometry::with_room(2532), Geometry::of(2880));
        assert_eq!((Geometry::with_room(0), Geometry::with_room(5761)), (None, None));
        assert_eq!(g.sector(79, 1, 18), Some(2879));
        assert_eq!(
            (g.sector(80, 0, 1), g.sector(0, 2, 1), g.sector(0, 0, 19), g.sector(0, 0, 0)),
            (None, None, None, None)
        );
    }
}
