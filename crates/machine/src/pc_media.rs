//! What is in the machine's drives.

use crate::Pc;
use dev::Block;

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

    /// Tells CMOS which drives there are: floppies in 10h, and in the equipment byte 14h.
    fn describe_drives(&mut self) {
        let types = self.floppy.cmos_types();
        let count = u8::from(types >> 4 != 0) + u8::from(types & 15 != 0);
        let floppies = if count == 0 { 0 } else { 1 | (count - 1) << 6 };
        self.rtc.set_cmos(0x10, types);
        // coprocessor, and the keyboard and display that are always there
        self.rtc.set_cmos(0x14, 0x06 | floppies);
        self.rtc.update_checksum();
    }

    /// Makes all that the guest wrote durable.
    pub fn flush_media(&mut self) {
        self.floppy.flush();
    }
}
