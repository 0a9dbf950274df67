//! A drive on an IDE cable: its registers, its medium, and what IDENTIFY says of it.

use super::geometry::{self, Geometry, Translation};
use crate::block::SECTOR;
use crate::state::frozen;
use crate::{Block, BlockError};

/// Status register (ATA/ATAPI-6, 7.15).
pub(super) mod status {
    pub(crate) const BSY: u8 = 0x80;
    pub(crate) const DRDY: u8 = 0x40;
    pub(crate) const DF: u8 = 0x20;
    pub(crate) const DSC: u8 = 0x10;
    pub(crate) const DRQ: u8 = 0x08;
    pub(crate) const ERR: u8 = 0x01;
}
/// Error register (ATA/ATAPI-6, 7.9).
pub(super) mod error {
    pub(crate) const UNCORRECTABLE: u8 = 0x40;
    pub(crate) const ID_NOT_FOUND: u8 = 0x10;
    pub(crate) const ABORT: u8 = 0x04;
}

/// Sectors that READ and WRITE MULTIPLE move at most between two interrupts.
pub(super) const MOST_MULTIPLE: u8 = 16;

/// What a drive says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Up to 20 characters.
    pub serial: String,
    /// Up to 40 characters.
    pub model: String,
}

/// The registers that a drive shows when it is selected. Pairs hold the byte written last and the
/// one before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Registers {
    pub(super) feature: [u8; 2],
    pub(super) count: [u8; 2],
    pub(super) low: [u8; 2],
    pub(super) mid: [u8; 2],
    pub(super) high: [u8; 2],
    pub(super) status: u8,
    pub(super) error: u8,
}

frozen! {
    /// A drive's registers, version 1.
    RegistersStateV1 of Registers {
        feature: [u8; 2], count: [u8; 2], low: [u8; 2], mid: [u8; 2], high: [u8; 2], status: u8, error: u8,
    }
}

/// A hard disk, or a CD-ROM drive with or without a disc.
pub struct Drive {
    pub(super) cdrom: bool,
    pub(super) medium: Option<Box<dyn Block>>,
    /// Sectors of 512 bytes; 0: no medium.
    pub(super) capacity: u64,
    pub(super) identity: Identity,
    pub(super) regs: Registers,
    /// How the BIOS is to see it.
    translation: Translation,
    /// The translation after power-on.
    pub(super) own_heads: u8,
    pub(super) own_track: u8,
    /// The translation in use.
    pub(super) heads: u8,
    pub(super) track: u8,
    pub(super) multiple: u8,
    /// What SET FEATURES has set: 20h is multiword DMA 0, 40h Ultra DMA 0.
    pub(super) mode: u8,
    pub(super) write_cache: bool,
    pub(super) power: u8,
    /// Sense key, additional code, qualifier.
    pub(super) sense: [u8; 3],
    /// The disc was changed, and nobody has been told.
    pub(super) attention: bool,
    pub(super) prevented: bool,
    /// The tray is out: nobody reaches the disc in it.
    pub(super) open: bool,
    /// What GET EVENT STATUS NOTIFICATION has to tell.
    pub(super) media_event: u8,
}

frozen! {
    /// A drive, version 1; its medium and its name are the board's.
    DriveStateV1 of Drive {
        cdrom: bool, capacity: u64, regs: RegistersStateV1, own_heads: u8, own_track: u8, heads: u8, track: u8,
        multiple: u8, mode: u8, write_cache: bool, power: u8, sense: [u8; 3], attention: bool, prevented: bool,
        open: bool, media_event: u8,
    }
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Drive {{ cdrom: {}, capacity: {} }}", self.cdrom, self.capacity)
    }
}

impl Drive {
    /// A hard disk, with the geometry that its partition table was made for.
    pub fn disk(mut medium: Box<dyn Block>, identity: Identity) -> Drive {
        let g = Geometry::of(medium.as_mut());
        Drive::new(false, Some(medium), identity, &g)
    }

    /// A CD-ROM drive, with a disc or without.
    pub fn cdrom(medium: Option<Box<dyn Block>>, identity: Identity) -> Drive {
        let none = Geometry { cylinders: 1, heads: 1, sectors: 1, translation: Translation::None };
        Drive::new(true, medium, identity, &none)
    }

    /// The same drive with the same medium after power-on.
    #[must_use]
    pub fn renewed(self) -> Drive {
        let (g, open) = (self.geometry(), self.open);
        Drive { open, ..Drive::new(self.cdrom, self.medium, self.identity, &g) }
    }

    fn new(cdrom: bool, medium: Option<Box<dyn Block>>, identity: Identity, g: &Geometry) -> Drive {
        let mut d = Drive {
            cdrom,
            capacity: medium.as_ref().map_or(0, |m| m.sectors()),
            medium,
            identity,
            regs: Registers::default(),
            translation: g.translation,
            own_heads: g.heads,
            own_track: g.sectors,
            heads: g.heads,
            track: g.sectors,
            multiple: 0,
            mode: 0x42,
            write_cache: true,
            power: 0xff,
            sense: [0; 3],
            attention: false,
            prevented: false,
            open: false,
            media_event: 0,
        };
        d.reset();
        d
    }

    /// RESET; nothing keeps the tray shut after it (MMC-3, PREVENT ALLOW MEDIUM REMOVAL).
    pub(super) fn reset(&mut self) {
        self.show_signature();
        (self.multiple, self.power) = (0, 0xff);
        (self.prevented, self.sense) = (false, [0; 3]);
    }

    /// The signature that tells the kind of drive (ATA/ATAPI-6, 9.12).
    pub(super) fn show_signature(&mut self) {
        let (mid, high) = if self.cdrom { (0x14, 0xeb) } else { (0, 0) };
        self.regs = Registers {
            count: [1, 0],
            low: [1, 0],
            mid: [mid, 0],
            high: [high, 0],
            error: 1,
            status: if self.cdrom { 0 } else { status::DRDY | status::DSC },
            ..Registers::default()
        };
    }

    /// A disc goes into a CD-ROM drive.
    pub(super) fn insert(&mut self, medium: Box<dyn Block>) {
        self.capacity = medium.sectors();
        self.medium = Some(medium);
        (self.open, self.attention, self.media_event) = (false, true, 2);
    }

    /// There is a disc, and the tray is in.
    pub(super) fn has_disc(&self) -> bool {
        self.medium.is_some() && !self.open
    }

    pub(super) fn open_tray(&mut self) {
        if !self.open {
            (self.open, self.media_event) = (true, 3);
        }
    }

    pub(super) fn close_tray(&mut self) {
        if std::mem::take(&mut self.open) && self.medium.is_some() {
            (self.attention, self.media_event) = (true, 2);
        }
    }

    pub(super) fn eject(&mut self) -> Option<Box<dyn Block>> {
        (self.capacity, self.attention, self.media_event) = (0, true, 3);
        self.medium.take()
    }

    /// The geometry after power-on.
    pub(super) fn geometry(&self) -> Geometry {
        let (heads, sectors) = (self.own_heads, self.own_track);
        let cylinders = geometry::cylinders(self.capacity, heads, sectors);
        Geometry { cylinders, heads, sectors, translation: self.translation }
    }

    /// Reads sectors, or as many as come before one that cannot be read: their bytes, and what happened then. `unit`:
    /// bytes of a sector as the host counts them.
    pub(super) fn read_good(
        &mut self,
        sector: u64,
        unit: usize,
        out: &mut [u8],
    ) -> (usize, Result<(), BlockError>) {
        if self.read(sector, out).is_ok() {
            return (out.len(), Ok(()));
        }
        let mut good = 0;
        for part in out.chunks_mut(unit) {
            if let Err(e) = self.read(sector + (good / SECTOR) as u64, part) {
                return (good, Err(e));
            }
            good += part.len();
        }
        (good, Ok(()))
    }

    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        self.power = 0xff;
        self.medium.as_mut().map_or(Err(BlockError::Range), |m| m.read(sector, out))
    }

    pub(super) fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let through = !self.write_cache;
        self.power = 0xff;
        let medium = self.medium.as_mut().ok_or(BlockError::Range)?;
        medium.write(sector, bytes)?;
        if through { medium.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), BlockError> {
        self.medium.as_mut().map_or(Ok(()), |m| m.flush())
    }

    /// IDENTIFY DEVICE, or IDENTIFY PACKET DEVICE (ATA/ATAPI-6, 8.15 and 8.16): 256 words.
    pub(super) fn identify(&self) -> Vec<u8> {
        let mut w = [0u16; 256];
        text(&mut w[10..20], &self.identity.serial);
        text(&mut w[23..27], "1.0");
        text(&mut w[27..47], &self.identity.model);
        w[49] = 0x0f00; // DMA, LBA, IORDY
        w[53] = 7;
        let (multiword, ultra) = match self.mode {
            0x20..=0x22 => (1 << (self.mode - 0x20), 0),
            0x40..=0x45 => (0, 1u16 << (self.mode - 0x40)),
            _ => (0, 0),
        };
        w[63] = 7 | multiword << 8;
        w[64] = 3; // PIO modes 3 and 4
        w[65..69].fill(120);
        w[80] = 0x7e; // ATA-1 to ATA/ATAPI-6
        w[88] = 0x3f | ultra << 8;
        if self.cdrom {
            self.identify_packet(&mut w)
        } else {
            self.identify_disk(&mut w)
        }
        w.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn identify_packet(&self, w: &mut [u16; 256]) {
        w[0] = 0x8580; // CD-ROM, removable, 12-byte packets, DRQ within 50 us
        w[82] = 0x0218; // DEVICE RESET, PACKET, power management
        w[83] = 0x4000;
        w[84] = 0x4000;
        w[85] = 0x0218;
        w[87] = 0x4000;
    }

    fn identify_disk(&self, w: &mut [u16; 256]) {
        let lba28 = self.capacity.min(0x0fff_ffff) as u32;
        w[0] = 0x0040;
        let g = self.geometry();
        (w[1], w[3], w[6]) = (g.cylinders, g.heads.into(), g.sectors.into());
        w[47] = 0x8000 | u16::from(MOST_MULTIPLE);
        let now = geometry::cylinders(self.capacity, self.heads, self.track);
        let current = (u32::from(now) * u32::from(self.heads) * u32::from(self.track)).to_le_bytes();
        (w[54], w[55], w[56]) = (now, self.heads.into(), self.track.into());
        w[57] = u16::from_le_bytes([current[0], current[1]]);
        w[58] = u16::from_le_bytes([current[2], current[3]]);
        w[59] = if self.multiple > 0 { 0x100 | u16::from(self.multiple) } else { 0 };
        (w[60], w[61]) = (lba28 as u16, (lba28 >> 16) as u16);
        w[82] = 0x4028; // NOP, write cache, power management
        w[83] = 0x7400; // FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses
        w[84] = 0x4000;
        w[85] = 0x4008 | u16::from(self.write_cache) << 5;
        w[86] = 0x3400;
        w[87] = 0x4000;
        w[93] = 0x600b; // hardware reset result, 80-conductor cable
        for (n, word) in w[100..104].iter_mut().enumerate() {
            *word = (self.capacity >> (16 * n)) as u16;
        }
    }
}

/// Characters in words, the first of each in the high byte, filled up with spaces.
fn text(words: &mut [u16], what: &str) {
    let mut bytes = what.bytes().map(|b| if b.is_ascii_graphic() { b } else { b' ' });
    for w in words {
        *w = u16::from_be_bytes([bytes.next().unwrap_or(b' '), bytes.next().unwrap_or(b' ')]);
    }
}
