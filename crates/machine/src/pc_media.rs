//! What is in the machine's drives.

use crate::Pc;
use dev::Block;
use dev::floppy::FloppyState;
use dev::ide::{Drive, IdeState, Identity};

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
            let there = from.floppy.capacity(drive).is_some();
            match from.floppy.eject(drive) {
                Some(medium) => self.floppy.insert(drive, medium),
                None if there => self.floppy.add_drive(drive),
                None => {}
            }
        }
        for place in 0..4 {
            let Some(drive) = from.ide.detach(place / 2, place % 2) else { continue };
            let (identity, cdrom) = (drive.identity().clone(), drive.is_cdrom());
            let new = match (cdrom, drive.into_medium()) {
                (true, medium) => Drive::cdrom(medium, identity),
                (false, Some(medium)) => Drive::disk(medium, identity),
                (false, None) => continue,
            };
            self.ide.attach(place / 2, place % 2, new);
        }
    }

    /// Tells CMOS which drives there are: floppies in 10h, disks in 12h, and the equipment byte 14h.
    fn describe_drives(&mut self) {
        let types = self.floppy.cmos_types();
        let count = u8::from(types >> 4 != 0) + u8::from(types & 15 != 0);
        let floppies = if count == 0 { 0 } else { 1 | (count - 1) << 6 };
        self.rtc.set_cmos(0x10, types);
        // coprocessor, and the keyboard and display that are always there
        self.rtc.set_cmos(0x14, 0x06 | floppies);
        self.rtc.update_checksum();
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

    /// How many bytes a medium's private writes can be: every sector with its number.
    pub(crate) fn most_private(&mut self, name: &str) -> Option<u64> {
        let (_, medium) = self.media().into_iter().find(|(n, _)| *n == name)?;
        Some(medium.sectors().saturating_mul(2 * dev::block::SECTOR as u64))
    }

    /// Puts private writes back, in parts by name; `Err` names one for which there is no medium.
    pub(crate) fn set_private_writes(&mut self, parts: &[(String, Vec<u8>)]) -> Result<(), String> {
        let known: Vec<&str> = self.media().into_iter().map(|(name, _)| name).collect();
        if let Some((name, _)) = parts.iter().find(|(n, _)| !known.contains(&n.as_str())) {
            return Err(name.clone());
        }
        for (name, medium) in self.media() {
            let own = parts.iter().filter(|(n, _)| n == name).flat_map(|(_, b)| b).copied();
            let bytes: Vec<u8> = own.collect();
            if medium.private_writes().is_some() && !medium.set_private_writes(&bytes) {
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
    pub fn flush_media(&mut self) {
        self.floppy.flush();
        self.ide.flush();
    }
}

fn identity(model: &str, place: usize) -> Identity {
    Identity { serial: format!("RINGER{place:04}"), model: model.to_owned() }
}
