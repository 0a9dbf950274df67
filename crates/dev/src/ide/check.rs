//! Which saved states a channel can be in: whatever passes here can go on without a panic, and without reaching
//! beyond its medium or its buffer.

use super::bus_master::BusMaster;
use super::drive::{self, DriveStateV1};
use super::{CHUNK, ChannelStateV1, Drive, HOB, Ide, IdeStateV1, NIEN, SRST, Work, slot};
use crate::block::SECTOR;
use crate::state::{StateError, ensure};

fn e(ok: bool, field: &'static str) -> Result<(), StateError> {
    ensure(ok, "ide", field)
}

/// Whether a device of this kind can hold such a state.
pub(super) fn possible(s: &IdeStateV1) -> Result<(), StateError> {
    s.channels.iter().try_for_each(channel)
}

/// Whether a state is of these very drives.
pub(super) fn fits(ide: &Ide, s: &IdeStateV1) -> Result<(), StateError> {
    let place = |d: &Option<Drive>| d.as_ref().map(|d| (d.cdrom, d.capacity));
    let saved = |d: &Option<DriveStateV1>| d.as_ref().map(|d| (d.cdrom, d.capacity));
    let same = ide
        .channels
        .iter()
        .zip(&s.channels)
        .all(|(live, frozen)| live.drives.iter().zip(&frozen.drives).all(|(a, b)| place(a) == saved(b)));
    e(same, "drives")
}

fn channel(c: &ChannelStateV1) -> Result<(), StateError> {
    BusMaster::check(&c.bus_master)?;
    c.drives.iter().flatten().try_for_each(drive)?;
    e(c.device & !0x5f == 0 && c.target & !0x5f == 0, "device")?;
    e(c.control & !(NIEN | SRST | HOB) == 0, "control")?;
    e(c.buffer.len() <= CHUNK, "buffer")?;
    e(c.at <= c.stop && c.stop as usize <= c.buffer.len(), "at")?;
    work(c)
}

fn drive(d: &DriveStateV1) -> Result<(), StateError> {
    e(d.multiple <= drive::MOST_MULTIPLE && !(d.cdrom && d.multiple > 0), "multiple")?;
    e((1..=16).contains(&d.own_heads) && (1..=63).contains(&d.own_track), "own_heads")?;
    e((1..=16).contains(&d.heads) && d.track > 0, "heads")
}

/// What each kind of work takes for granted.
fn work(c: &ChannelStateV1) -> Result<(), StateError> {
    let is = |works: &[Work]| works.iter().any(|&w| w as u8 == c.work);
    e(c.work <= Work::DmaParameters as u8, "work")?;
    let drive = c.drives[slot(c.target)].as_ref();
    if is(&[Work::Read, Work::Write, Work::DmaRead, Work::DmaWrite]) {
        let d = drive.filter(|d| !d.cdrom);
        let end = c.sector.checked_add(c.left.into());
        e(d.zip(end).is_some_and(|(d, end)| end <= d.capacity), "sector")?;
        e(c.buffer.len().is_multiple_of(SECTOR), "buffer")?;
    }
    if is(&[Work::Read, Work::Write]) {
        e((1..=drive::MOST_MULTIPLE.into()).contains(&c.block), "block")?;
    }
    if is(&[Work::TakePacket, Work::TakeParameters, Work::GivePacket, Work::DmaPacket, Work::DmaParameters]) {
        e(drive.is_some_and(|d| d.cdrom), "work")?;
        // a disc may have been taken out since, but it had such a sector
        e(c.sector <= u32::MAX.into(), "sector")?;
        e((2..=0xfffe).contains(&c.block), "block")?;
    }
    if is(&[Work::DmaRead, Work::DmaWrite, Work::DmaPacket, Work::DmaParameters]) {
        e(c.stop as usize == c.buffer.len(), "stop")?;
    }
    match c.work {
        // the next block is coming, so there is one
        w if w == Work::Read as u8 => e(c.event.is_none() || c.left > 0, "left"),
        w if w == Work::Write as u8 => e(c.left > 0 && c.buffer.len() == sectors(c, c.block), "buffer"),
        w if w == Work::DmaWrite as u8 => e(c.buffer.len() <= sectors(c, (CHUNK / SECTOR) as u32), "buffer"),
        _ => Ok(()),
    }
}

/// Bytes of the next sectors of a command, `most` of them.
fn sectors(c: &ChannelStateV1, most: u32) -> usize {
    c.left.min(most) as usize * SECTOR
}
