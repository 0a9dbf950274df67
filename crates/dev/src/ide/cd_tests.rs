//! What MMC-3 says of a CD-ROM drive's packets, beyond plain reading.

use super::tests::{Rig, numbered, rig};
use super::*;

/// Sense key, code and qualifier of the last failure.
fn sense(r: &mut Rig) -> [u8; 3] {
    let s = r.packet_data(&[3, 0, 0, 0, 18], 0);
    [s[2], s[12], s[13]]
}

/// START STOP UNIT, GET EVENT STATUS NOTIFICATION, MECHANISM STATUS.
#[test]
fn a_tray_that_comes_back_has_its_disc() {
    let mut r = rig();
    assert_eq!(r.packet(&[0x1b, 0, 0, 0, 2], false, 0), 0x40);
    assert_eq!(r.ide.capacity(1, 0), Some((true, 2048)), "the medium is the board's as before");
    assert_eq!(r.packet(&[0], false, 0), 0x41);
    assert_eq!(sense(&mut r), [2, 0x3a, 2]);
    assert_eq!(r.packet_data(&[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], 0)[4..6], [3, 1]);
    assert_eq!(r.packet_data(&[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8], 0)[1], 0x10);
    // a saved state has the tray out, and so it stays when the board is reset
    let mut other = rig();
    other.ide.restore(&r.ide.save()).expect("fits");
    let drive = other.ide.detach(1, 0).expect("a drive").renewed();
    other.ide.attach(1, 0, drive);
    assert_eq!(other.packet(&[0], false, 0), 0x41);
    assert_eq!(sense(&mut other), [2, 0x3a, 2]);
    assert_eq!(r.packet(&[0x1b, 0, 0, 0, 3], false, 0), 0x40);
    assert_eq!(r.packet_data(&[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], 0)[4..6], [2, 2]);
    assert_eq!(r.packet(&[0], false, 0), 0x41);
    assert_eq!(sense(&mut r), [6, 0x28, 0]);
    assert_eq!(r.packet_data(&[0x28, 0, 0, 0, 0, 3, 0, 0, 1], 0)[0], 12);
}

/// PREVENT ALLOW MEDIUM REMOVAL ends with a reset.
#[test]
fn a_reset_lets_the_disc_go() {
    for device_reset in [true, false] {
        let mut r = rig();
        r.packet(&[0x1e, 0, 0, 0, 1], false, 0);
        assert_eq!(r.packet(&[0x1b, 0, 0, 0, 2], false, 0), 0x41);
        assert_eq!(sense(&mut r), [5, 0x53, 2]);
        if device_reset {
            r.ide.write(1, 7, 8, r.now);
        } else {
            r.ide.control(1, 4, r.now);
            r.ide.control(1, 0, r.now);
        }
        r.settle();
        assert_eq!(r.packet(&[0x1b, 0, 0, 0, 2], false, 0), 0x40);
    }
}

/// READ CAPACITY names the last sector that READ gives.
#[test]
fn a_last_sector_that_is_not_whole_is_not_there() {
    let mut r = rig();
    r.ide.attach(1, 0, Drive::cdrom(Some(Box::new(numbered(403))), super::tests::identity()));
    assert_eq!(r.packet_data(&[0x25], 0)[3], 99);
    assert_eq!(r.packet_data(&[0x28, 0, 0, 0, 0, 99, 0, 0, 1], 0).len(), 2048);
    assert_eq!(r.packet(&[0x28, 0, 0, 0, 0, 100, 0, 0, 1], false, 0), 0x41);
}

/// More sectors than 16 bits count.
#[test]
fn a_long_read_is_not_cut() {
    let mut r = rig();
    let disc = crate::block::MemoryBlock::new(vec![0; 0x1_0001 * 2048]);
    r.ide.attach(1, 0, Drive::cdrom(Some(Box::new(disc)), super::tests::identity()));
    r.packet(&[0xa8, 0, 0, 0, 0, 0, 0, 1, 0, 1], false, 0);
    let c = &r.ide.channels[1];
    assert_eq!(c.sector + u64::from(c.left), 0x1_0001);
}

/// READ CD and READ CD MSF: types and parts of sectors.
#[test]
fn sectors_are_read_as_they_are_on_the_disc() {
    let mut r = rig();
    let read = |at: u8, kind: u8, parts: u8| [0xbe, kind << 2, 0, 0, 0, at, 0, 0, 2, parts, 0, 0];
    let raw = r.packet_data(&read(3, 0, 0xf8), 1000);
    assert_eq!((raw.len(), raw[0], raw[1], &raw[12..17]), (4704, 0, 0xff, &[0, 2, 3, 1, 12][..]));
    assert_eq!(raw[2352 + 12..2352 + 17], [0, 2, 4, 1, 16]);
    assert_eq!(r.packet_data(&read(3, 2, 0x10), 0).len(), 4096);
    assert_eq!(r.packet_data(&read(3, 2, 0x20), 0), [0, 2, 3, 1, 0, 2, 4, 1]);
    for (kind, parts, error) in [(1, 0xf8, 0x64), (4, 0x10, 0x64), (0, 0x90, 0x24), (0, 0x12, 0x24)] {
        assert_eq!(r.packet(&read(3, kind, parts), false, 0), 0x41);
        assert_eq!(sense(&mut r), [5, error, 0]);
    }
    let msf = r.packet_data(&[0xb9, 0, 0, 0, 2, 3, 0, 2, 5, 0x10], 0);
    assert_eq!((msf.len(), msf[0], msf[2048]), (4096, 12, 16));
    assert_eq!(r.packet(&[0xb9, 0, 0, 0, 1, 3, 0, 2, 5, 0x10], false, 0), 0x41);
    assert_eq!(sense(&mut r), [5, 0x21, 0]);
}

/// READ SUB-CHANNEL, READ TRACK INFORMATION, GET CONFIGURATION.
#[test]
fn the_drive_describes_itself_and_its_track() {
    let mut r = rig();
    let position = r.packet_data(&[0x42, 2, 0x40, 1, 0, 0, 0, 0, 99], 0);
    assert_eq!(position, [0, 0x15, 0, 12, 1, 0x14, 1, 1, 0, 0, 2, 0, 0, 0, 0, 0]);
    assert_eq!(r.packet_data(&[0x42, 0, 0x40, 2, 0, 0, 0, 0, 99], 0).len(), 24);
    assert_eq!(r.packet_data(&[0x42, 0, 0, 1, 0, 0, 0, 0, 99], 0), [0, 0x15, 0, 0]);
    assert_eq!(r.packet(&[0x42, 0, 0x40, 0, 0, 0, 0, 0, 99], false, 0), 0x41);
    let track = r.packet_data(&[0x52, 1, 0, 0, 0, 1, 0, 0, 99], 0);
    assert_eq!((track.len(), &track[..4], &track[24..28]), (36, &[0, 34, 1, 1][..], &[0, 0, 2, 0][..]));
    assert_eq!(r.packet(&[0x52, 0, 0, 0, 2, 0, 0, 0, 99], false, 0), 0x41);
    let numbers = |r: &mut Rig, request: u8, from: u8| {
        let bytes = r.packet_data(&[0x46, request, 0, from, 0, 0, 0, 1, 0], 0);
        let (mut at, mut out) = (8, Vec::new());
        while at < bytes.len() {
            out.push(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            at += 4 + usize::from(bytes[at + 3]);
        }
        assert_eq!(bytes[..4], (bytes.len() as u32 - 4).to_be_bytes());
        out
    };
    assert_eq!(numbers(&mut r, 0, 0), [0, 1, 2, 3, 0x10, 0x1e, 0x100]);
    assert_eq!(numbers(&mut r, 2, 3), [3]);
    drop(r.ide.eject(1, 0));
    assert_eq!(numbers(&mut r, 1, 2), [2, 3, 0x100]);
}

/// MODE SELECT with the packet command's DMA bit: the parameters come by the bus master.
#[test]
fn parameters_come_by_dma() {
    let mut r = rig();
    r.mem[0x100..0x108].copy_from_slice(&[0, 0x20, 0, 0, 20, 0, 0, 0x80]);
    (0..4u16).for_each(|n| r.ide.write_bus_master(12 + n, 0x100u32.to_le_bytes()[usize::from(n)], 0));
    r.packet(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 20], true, 0);
    assert!(!r.ide.irq(1));
    r.ide.write_bus_master(8, 1, r.now);
    r.settle();
    assert_eq!((r.ide.read_bus_master(10), r.ide.read(1, 2), r.ide.read(1, 7)), (4, 3, 0x40));
}
