//! What is in the machine's drives.

use crate::Pc;
use crate::snapshot::PLACES;
use dev::block::SECTOR;
use dev::floppy::FloppyState;
use dev::ide::{Drive, IdeState, Identity};
use dev::{Block, BlockError};

/// What the guest wrote may not be on a medium.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what was written to the medium in {place} could not be made durable: {why}")]
pub struct Unflushed {
    /// The drive.
    pub place: &'static str,
    /// What the host said.
    pub why: BlockError,
}

impl Pc {
    /// Puts a medium into a floppy drive (0 or 1).
    pub fn insert_floppy(&mut self, drive: usize, medium: Box<dyn Block>) {
        self.floppy.insert(drive, medium);
        self.describe_drives();
    }

    /// Takes the medium out of a floppy drive.
    pub fn eject_floppy(&mut self, drive: usize) -> Option<Box<dyn Block>> {
        self.floppy.eject(drive)
    }

    /// Connects a hard disk: 0 and 1 are master and slave of the first channel, 2 and 3 of the second.
    pub fn attach_disk(&mut self, place: usize, medium: Box<dyn Block>) {
        self.ide.attach(place / 2, place % 2, Drive::disk(medium, identity("RINGER HARD DISK", place)));
        self.describe_drives();
    }

    /// Connects a CD-ROM drive, with a disc or without.
    pub fn attach_cdrom(&mut self, place: usize, medium: Option<Box<dyn Block>>) {
        self.ide.attach(place / 2, place % 2, Drive::cdrom(medium, identity("RINGER CD-ROM", place)));
        self.describe_drives();
    }

    /// Whether a place holds a CD-ROM drive.
    pub fn has_cdrom(&self, place: usize) -> bool {
        self.ide.capacity(place / 2, place % 2).is_some_and(|(cdrom, _)| cdrom)
    }

    /// Puts a disc into a CD-ROM drive.
    ///
    /// # Errors
    /// The disc, if that place holds no such drive.
    pub fn insert_disc(&mut self, place: usize, medium: Box<dyn Block>) -> Result<(), Box<dyn Block>> {
        self.ide.insert(place / 2, place % 2, medium)
    }

    /// Takes the disc out of a CD-ROM drive.
    pub fn eject_disc(&mut self, place: usize) -> Option<Box<dyn Block>> {
        self.ide.eject(place / 2, place % 2)
    }

    /// Moves all drives over from another board, with what is in them.
    pub(crate) fn take_media(&mut self, from: &mut Pc) {
        for drive in 0..2 {
            if from.floppy.capacity(drive).is_some() {
                self.floppy.add_drive(drive);
            }
            if let Some(medium) = from.floppy.eject(drive) {
                self.floppy.insert(drive, medium);
            }
        }
        for place in 0..4 {
            if let Some(drive) = from.ide.detach(place / 2, place % 2) {
                self.ide.attach(place / 2, place % 2, drive.renewed());
            }
        }
    }

    /// Tells CMOS which drives there are: floppies in 10h, disks from 12h on, and the equipment byte 14h.
    fn describe_drives(&mut self) {
        let types = self.floppy.cmos_types();
        let count = u8::from(types >> 4 != 0) + u8::from(types & 15 != 0);
        let floppies = if count == 0 { 0 } else { 1 | (count - 1) << 6 };
        self.rtc.set_cmos(0x10, types);
        // coprocessor, and the keyboard and display that are always there
        self.rtc.set_cmos(0x14, 0x06 | floppies);
        self.describe_disks();
        self.rtc.update_checksum();
    }

    /// The disks in CMOS: types in 12h, 19h and 1Ah with the geometry from 1Bh and from 24h on (IBM PC/AT Technical
    /// Reference, "Real-time clock/CMOS RAM", and the fixed disk's parameter table, which type 47 keeps there); the
    /// BIOS's translation in 39h, two bits a disk.
    fn describe_disks(&mut self) {
        const USERS: u8 = 47;
        let disks = [0, 1, 2, 3].map(|place| self.ide.geometry(place / 2, place % 2));
        let [first, second, ..] = disks.map(|d| d.is_some());
        self.rtc.set_cmos(0x12, if first { 0xf0 } else { 0 } | if second { 0x0f } else { 0 });
        for (place, (n, at)) in [(0x19, 0x1b), (0x1a, 0x24)].into_iter().enumerate() {
            self.rtc.set_cmos(n, if disks[place].is_some() { USERS } else { 0 });
            for (at, byte) in (at..).zip(disks[place].map_or([0; 9], disk_table)) {
                self.rtc.set_cmos(at, byte);
            }
        }
        let bits = |n: usize| disks[n].map_or(0, |d| (d.translation as u8) << (2 * n));
        self.rtc.set_cmos(0x39, bits(0) | bits(1) | bits(2) | bits(3));
    }

    /// Every medium with the name of its place in snapshots.
    fn media(&mut self) -> Vec<(&'static str, &mut Box<dyn Block>)> {
        const FLOPPIES: [&str; 2] = ["floppy0", "floppy1"];
        const PLACES: [&str; 4] = ["ide0", "ide1", "ide2", "ide3"];
        let floppies = self.floppy.media().map(|(n, m)| (FLOPPIES[n & 1], m));
        let drives = self.ide.media().map(|(c, s, m)| (PLACES[(2 * c + s) & 3], m));
        floppies.chain(drives).collect()
    }

    /// What is in each place: whether a CD-ROM drive, and how many sectors.
    pub(crate) fn media_sizes(&self) -> Vec<Option<(bool, u64)>> {
        let floppies = (0..2).map(|n| self.floppy.capacity(n).map(|c| (false, c)));
        let drives = (0..4).map(|p| self.ide.capacity(p / 2, p % 2));
        floppies.chain(drives).collect()
    }

    /// When each medium was last written where it lies, by place as in [`Pc::media_sizes`].
    pub(crate) fn media_stamps(&mut self) -> Vec<Option<u64>> {
        const PLACES: [&str; 6] = ["floppy0", "floppy1", "ide0", "ide1", "ide2", "ide3"];
        let media = self.media();
        let stamp = |place| media.iter().find(|(name, _)| *name == place).and_then(|(_, m)| m.stamp());
        PLACES.iter().map(|place| stamp(*place)).collect()
    }

    /// What was written to media that live in this process alone.
    pub(crate) fn private_writes(&mut self) -> Vec<(&'static str, Vec<u8>)> {
        let writes = |(name, m): (&'static str, &mut Box<dyn Block>)| Some((name, m.private_writes()?));
        self.media().into_iter().filter_map(writes).collect()
    }

    /// The most bytes that the private writes of a place can have; `None`: there is no medium, or one that
    /// keeps its writes by itself.
    pub(crate) fn private_room(&mut self, place: &str) -> Option<u64> {
        let (_, medium) = self.media().into_iter().find(|(name, m)| *name == place && m.is_private())?;
        // a sector and its number
        Some(medium.sectors().saturating_mul(SECTOR as u64 + 8))
    }

    /// Puts private writes back, in parts by name; `Err` names one that does not fit.
    pub(crate) fn set_private_writes(&mut self, parts: &[(String, Vec<u8>)]) -> Result<(), String> {
        for (name, medium) in self.media() {
            let own = parts.iter().filter(|(n, _)| n == name).flat_map(|(_, b)| b).copied();
            let bytes: Vec<u8> = own.collect();
            if medium.is_private() && !medium.set_private_writes(&bytes) {
                return Err(name.to_owned());
            }
        }
        Ok(())
    }

    /// The state of the drives, to be put back by [`Pc::take_back`].
    pub(crate) fn drives(&self) -> (FloppyState, IdeState) {
        (self.floppy.save(), self.ide.save())
    }

    /// Takes media back that were moved to another board, without a word to the guest.
    pub(crate) fn take_back(&mut self, from: &mut Pc, (floppy, ide): &(FloppyState, IdeState)) {
        self.take_media(from);
        // the very drives that this state was of
        let _ = self.floppy.restore(floppy);
        let _ = self.ide.restore(ide);
    }

    /// Makes all that the guest wrote durable.
    ///
    /// # Errors
    /// The first medium for which the host could not do so, now or before; all have been tried.
    pub fn flush_media(&mut self) -> Result<(), Unflushed> {
        let floppies = self.floppy.media().map(|(n, m)| (PLACES[n & 1], m));
        let drives = self.ide.media().map(|(c, s, m)| (PLACES[2 + ((2 * c + s) & 3)], m));
        let flushed =
            floppies.chain(drives).map(|(place, m)| m.flush().map_err(|why| Unflushed { place, why }));
        flushed.fold(Ok(()), Result::and)
    }
}

/// A disk as CMOS has it: cylinders, heads, no precompensation, control byte, landing zone, sectors a track.
fn disk_table(g: dev::ide::Geometry) -> [u8; 9] {
    let [low, high] = g.cylinders.to_le_bytes();
    let many = u8::from(g.heads > 8) << 3;
    [low, high, g.heads, 0xff, 0xff, 0xc0 | many, low, high, g.sectors]
}

fn identity(model: &str, place: usize) -> Identity {
    Identity { serial: format!("RINGER{place:04}"), model: model.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::{Clock, Pc};
    use dev::block::MemoryBlock;

    #[test]
    fn an_empty_drive_outlives_a_reset() {
        let new = || Pc::new(Clock::new(true), 0, 1 << 20, false);
        let (mut pc, mut after) = (new(), new());
        pc.insert_floppy(0, Box::new(MemoryBlock::new(vec![0; 2880 * 512])));
        assert!(pc.eject_floppy(0).is_some());
        after.take_media(&mut pc);
        assert_eq!(after.media_sizes()[..2], [Some((false, 0)), None]);
    }

    /// A disk of 1025 cylinders is one that a BIOS has to translate.
    #[test]
    fn cmos_describes_the_disks() {
        let mut pc = Pc::new(Clock::new(true), 0, 1 << 20, false);
        let bytes = |pc: &Pc, from: u8, n: u8| (from..from + n).map(|at| pc.rtc.cmos(at)).collect::<Vec<_>>();
        pc.attach_disk(1, Box::new(MemoryBlock::new(vec![0; 2 * 16 * 63 * 512])));
        assert_eq!((pc.rtc.cmos(0x12), bytes(&pc, 0x19, 2)), (0x0f, vec![0, 47]));
        assert_eq!(bytes(&pc, 0x24, 9), [2, 0, 16, 0xff, 0xff, 0xc8, 2, 0, 63]);
        assert_eq!(pc.rtc.cmos(0x39), 0);
        pc.attach_disk(0, Box::new(MemoryBlock::new(vec![0; 1025 * 16 * 63 * 512])));
        pc.attach_disk(3, Box::new(MemoryBlock::new(vec![0; 1025 * 16 * 63 * 512])));
        assert_eq!((pc.rtc.cmos(0x12), pc.rtc.cmos(0x39)), (0xff, 0x41));
        assert_eq!(bytes(&pc, 0x1b, 3), [1, 4, 16]);
        let sum = bytes(&pc, 0x10, 0x1e).iter().map(|&b| u16::from(b)).sum::<u16>();
        assert_eq!(bytes(&pc, 0x2e, 2), sum.to_be_bytes());
        pc.attach_cdrom(0, None);
        assert_eq!((pc.rtc.cmos(0x12), pc.rtc.cmos(0x39)), (0x0f, 0x40));
    }
}
