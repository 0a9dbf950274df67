use super::*;
use crate::block::{MemoryBlock, SECTOR};
use crate::testing::Random;
use std::sync::{Arc, Mutex};

pub(super) struct Rig {
    pub(super) ide: Ide,
    pub(super) mem: Vec<u8>,
    pub(super) now: Nanos,
}

pub(super) fn identity() -> Identity {
    Identity { serial: "R1".to_owned(), model: "RINGER DISK".to_owned() }
}

/// Sectors that begin with their own number.
pub(super) fn numbered(sectors: u32) -> MemoryBlock {
    MemoryBlock::new((0..sectors).flat_map(|n| n.to_le_bytes().repeat(SECTOR / 4)).collect())
}

/// A disk of 4 MiB as first master, a CD of 1 MiB as second master.
pub(super) fn rig() -> Rig {
    let mut ide = Ide::new();
    ide.attach(0, 0, Drive::disk(Box::new(numbered(8192)), identity()));
    ide.attach(1, 0, Drive::cdrom(Some(Box::new(numbered(2048))), identity()));
    Rig { ide, mem: vec![0; 0x4_0000], now: 0 }
}

impl Rig {
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            let Some(t) = self.ide.deadline() else { return };
            self.now = t;
            self.ide.advance(t, Some(&mut self.mem));
        }
        panic!("it never ends");
    }

    fn set(&mut self, channel: usize, values: &[(u16, u8)]) {
        values.iter().for_each(|&(at, v)| self.ide.write(channel, at, v, self.now));
    }

    /// Sector by LBA28, count and command.
    pub(super) fn command(&mut self, lba: u32, count: u8, command: u8) -> u8 {
        let b = lba.to_le_bytes();
        self.set(0, &[(6, 0xe0 | b[3]), (2, count), (3, b[0]), (4, b[1]), (5, b[2]), (7, command)]);
        self.settle();
        self.ide.alternate_status(0)
    }

    fn words(&mut self, channel: usize, n: usize) -> Vec<u16> {
        (0..n).map(|_| self.ide.read_data(channel, 2, self.now) as u16).collect()
    }

    pub(super) fn packet(&mut self, packet: &[u8], dma: bool, limit: u16) -> u8 {
        let [low, high] = limit.to_le_bytes();
        self.set(1, &[(6, 0xa0), (1, dma.into()), (4, low), (5, high), (7, 0xa0)]);
        self.settle();
        assert_eq!(self.ide.read(1, 2), 1, "a packet is wanted");
        let mut p = [0; 12];
        p[..packet.len()].copy_from_slice(packet);
        for pair in p.as_chunks::<2>().0 {
            self.ide.write_data(1, 2, u16::from_le_bytes(*pair).into(), self.now);
        }
        self.settle();
        self.ide.alternate_status(1)
    }

    /// All data of a packet by PIO.
    pub(super) fn packet_data(&mut self, packet: &[u8], limit: u16) -> Vec<u8> {
        let mut status = self.packet(packet, false, limit);
        let mut out = Vec::new();
        while status & 8 != 0 {
            assert!(self.ide.irq(1));
            assert_eq!(self.ide.read(1, 2), 2, "data to the host");
            let n = usize::from(u16::from_le_bytes([self.ide.read(1, 4), self.ide.read(1, 5)]));
            assert!(n <= usize::from(limit) || limit == 0);
            out.extend(self.words(1, n.div_ceil(2)).iter().flat_map(|w| w.to_le_bytes()).take(n));
            self.settle();
            status = self.ide.alternate_status(1);
        }
        out
    }

    fn table(&mut self, at: usize, entries: &[(u32, u16, bool)]) {
        for (n, &(to, count, last)) in entries.iter().enumerate() {
            let d = [to.to_le_bytes(), (u32::from(count) | u32::from(last) << 31).to_le_bytes()].concat();
            self.mem[at + n * 8..at + n * 8 + 8].copy_from_slice(&d);
        }
        for (n, b) in (at as u32).to_le_bytes().iter().enumerate() {
            self.ide.write_bus_master(4 + n as u16, *b, self.now);
        }
    }

    fn dword(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.mem[at], self.mem[at + 1], self.mem[at + 2], self.mem[at + 3]])
    }
}

/// ATA/ATAPI-6, 8.15.
#[test]
fn identify_describes_the_disk() {
    let mut r = rig();
    assert_eq!(r.command(0, 0, 0xec), 0x58);
    assert!(r.ide.irq(0));
    let w = r.words(0, 256);
    assert_eq!((w[1], w[3], w[6]), (8, 16, 63));
    assert_eq!((w[60], w[61], w[100]), (8192, 0, 8192));
    assert_eq!((w[27], w[28]), (u16::from_be_bytes(*b"RI"), u16::from_be_bytes(*b"NG")));
    assert_eq!(r.ide.read(0, 7), 0x50);
    assert!(!r.ide.irq(0));
}

#[test]
fn sectors_are_read_by_every_address() {
    let mut r = rig();
    assert_eq!(r.command(8190, 2, 0x20), 0x58);
    assert_eq!(r.words(0, 256)[0], 8190);
    r.settle();
    assert_eq!(r.words(0, 256)[0], 8191);
    assert_eq!(r.ide.alternate_status(0), 0x50);
    // cylinder 1, head 2, sector 3
    r.set(0, &[(6, 0xa2), (2, 1), (3, 3), (4, 1), (5, 0), (7, 0x20)]);
    r.settle();
    assert_eq!(r.words(0, 1)[0], 16 * 63 + 2 * 63 + 2);
    // 48 bits: the high bytes are written first
    r.set(0, &[(6, 0xe0), (2, 0), (2, 1), (3, 0), (3, 7), (4, 0), (4, 1), (5, 0), (5, 0), (7, 0x24)]);
    r.settle();
    assert_eq!(r.words(0, 1)[0], 0x107);
    assert_eq!(r.command(8191, 2, 0x20), 0x51);
    assert_eq!(r.ide.read(0, 1), 0x10);
}

#[test]
fn multiple_moves_blocks() {
    let mut r = rig();
    assert_eq!(r.command(0, 1, 0xc4), 0x51);
    assert_eq!(r.command(0, 4, 0xc6), 0x50);
    assert_eq!(r.command(10, 6, 0xc4), 0x58);
    let w = r.words(0, 4 * 256);
    assert_eq!((w[0], w[3 * 256]), (10, 13));
    r.settle();
    assert_eq!(r.words(0, 2 * 256)[256], 15);
    assert_eq!(r.ide.alternate_status(0), 0x50);
    assert_eq!(r.command(0, 3, 0xc6), 0x51);
}

/// Records what reaches it.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Block for Recorder {
    fn sectors(&self) -> u64 {
        100
    }
    fn writable(&self) -> bool {
        true
    }
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), crate::BlockError> {
        Err(crate::BlockError::Host("gone".to_owned()))
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), crate::BlockError> {
        self.0.lock().expect("sound").push(format!("write {sector} {} {}", bytes.len() / SECTOR, bytes[0]));
        Ok(())
    }
    fn flush(&mut self) -> Result<(), crate::BlockError> {
        let mut log = self.0.lock().expect("sound");
        if log.first().is_some_and(|l| l == "broken") {
            return Err(crate::BlockError::Host("gone".to_owned()));
        }
        log.push("flush".to_owned());
        Ok(())
    }
}

#[test]
fn writes_and_flushes_reach_the_medium() {
    let (mut r, log) = (rig(), Recorder::default());
    r.ide.attach(0, 0, Drive::disk(Box::new(log.clone()), identity()));
    assert_eq!(r.command(5, 2, 0x30), 0x58);
    assert!(!r.ide.irq(0), "no interrupt before the first block");
    for n in [1u32, 2] {
        (0..256).for_each(|_| r.ide.write_data(0, 2, n, 0));
        r.settle();
        assert!(r.ide.irq(0));
    }
    assert_eq!(r.ide.read(0, 7), 0x50);
    r.command(0, 0, 0xe7);
    r.set(0, &[(1, 0x82)]);
    r.command(0, 0, 0xef);
    r.command(9, 1, 0x30);
    (0..256).for_each(|_| r.ide.write_data(0, 2, 3, 0));
    r.settle();
    let log = log.0.lock().expect("sound").join(", ");
    assert_eq!(log, "write 5 1 1, write 6 1 2, flush, flush, write 9 1 3, flush");
    assert_eq!(r.command(7, 1, 0x20), 0x51, "the host cannot read");
    assert_eq!((r.ide.read(0, 1), r.ide.read(0, 3)), (0x40, 7));
}

/// ATA/ATAPI-6, chapter 8: FLUSH CACHE, SET FEATURES, SLEEP and STANDBY write the cache.
#[test]
fn lost_writes_are_told_by_every_command_that_flushes() {
    let (mut r, log) = (rig(), Recorder::default());
    log.0.lock().expect("sound").push("broken".to_owned());
    r.ide.attach(0, 0, Drive::disk(Box::new(log), identity()));
    for (command, error) in [(0xe0, 4), (0xe2, 4), (0xe6, 4), (0xe7, 0x40), (0xea, 0x40)] {
        assert_eq!((r.command(0, 0, command), r.ide.read(0, 1)), (0x71, error), "{command:x}");
    }
    r.command(0, 0, 0xe5);
    assert_eq!(r.ide.read(0, 2), 0xff, "it does not stop");
    r.set(0, &[(1, 0x82)]);
    assert_eq!(r.command(0, 0, 0xef), 0x71);
    // IDLE does not flush
    assert_eq!(r.command(0, 0, 0xe3), 0x50);
}

/// A disk with one bad sector, its last but two.
struct Bad(MemoryBlock);

impl Block for Bad {
    fn sectors(&self) -> u64 {
        self.0.sectors()
    }
    fn writable(&self) -> bool {
        true
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), crate::BlockError> {
        let bad = self.sectors() - 3;
        if (sector..sector + (out.len() / SECTOR) as u64).contains(&bad) {
            return Err(crate::BlockError::Host("bad".to_owned()));
        }
        self.0.read(sector, out)
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), crate::BlockError> {
        self.0.write(sector, bytes)
    }
    fn flush(&mut self) -> Result<(), crate::BlockError> {
        Ok(())
    }
}

/// ATA/ATAPI-6, READ DMA: the address of the first sector with an error; what comes before it is transferred.
#[test]
fn a_bad_sector_is_the_one_that_is_named() {
    let mut r = rig();
    r.ide.attach(0, 0, Drive::disk(Box::new(Bad(numbered(100))), identity()));
    r.table(0x100, &[(0x1000, 0x8000, true)]);
    r.ide.write_bus_master(0, 9, r.now);
    assert_eq!(r.command(90, 10, 0xc8), 0x51);
    assert_eq!((r.ide.read(0, 1), r.ide.read(0, 3)), (0x40, 97));
    assert_eq!((r.dword(0x1000 + 6 * 512), r.dword(0x1000 + 7 * 512)), (96, 0));
    r.command(0, 8, 0xc6);
    assert_eq!(r.command(92, 8, 0xc4), 0x51);
    assert_eq!((r.ide.read(0, 1), r.ide.read(0, 3)), (0x40, 97));
    // of a CD, the sectors before
    r.ide.attach(1, 0, Drive::cdrom(Some(Box::new(Bad(numbered(100)))), identity()));
    assert_eq!(r.packet_data(&[0x28, 0, 0, 0, 0, 20, 0, 0, 5], 0).len(), 4 * 2048);
    assert_eq!(r.ide.read(1, 1), 0x34);
}

/// 82371SB, 2.7: a table that is too short stops the engine; the drive waits for the rest.
#[test]
fn sectors_that_a_short_table_brings_are_written() {
    let mut r = rig();
    r.mem[0x1000..0x3000].fill(0x77);
    r.table(0x100, &[(0x1000, 3 * 512 + 100, true)]);
    r.ide.write_bus_master(0, 1, r.now);
    assert_eq!(r.command(30, 5, 0xca), 0x58);
    assert_eq!((r.ide.read_bus_master(2) & 5, r.ide.irq(0)), (0, false));
    let mut other = rig();
    other.ide.restore(&r.ide.save()).expect("such a transfer can be saved");
    let mut medium = [0; 4 * SECTOR];
    r.ide.media().next().expect("a disk").2.read(30, &mut medium).expect("read");
    assert!(medium[..3 * SECTOR].iter().all(|&b| b == 0x77) && medium[3 * SECTOR] == 33);
    // another table brings the rest
    r.ide.write_bus_master(0, 0, r.now);
    r.table(0x100, &[(0x2000, 2 * 512 - 100, true)]);
    r.ide.write_bus_master(0, 1, r.now);
    r.settle();
    assert_eq!((r.ide.alternate_status(0), r.ide.irq(0)), (0x50, true));
}

/// PCI 2.1, 6.2.2: a function whose command register forbids it masters no bus.
#[test]
fn without_the_bus_a_transfer_waits() {
    let mut r = rig();
    r.table(0x100, &[(0x1000, 512, true)]);
    r.ide.write_bus_master(0, 9, r.now);
    r.set(0, &[(6, 0xe0), (2, 1), (3, 20), (7, 0xc8)]);
    for _ in 0..10 {
        r.now = r.ide.deadline().expect("it waits");
        r.ide.advance(r.now, None);
    }
    assert_eq!((r.ide.alternate_status(0), r.dword(0x1000)), (0x58, 0));
    r.settle();
    assert_eq!((r.ide.alternate_status(0), r.dword(0x1000)), (0x50, 20));
}

/// ATA/ATAPI-6, IDENTIFY DEVICE word 82 and CHECK POWER MODE: what is read spins the disk up.
#[test]
fn power_management_is_there_and_told() {
    let mut r = rig();
    r.command(0, 0, 0xec);
    let w = r.words(0, 256);
    assert_eq!((w[82] & 8, w[85] & 8), (8, 8));
    let mode = |r: &mut Rig| {
        r.command(0, 0, 0xe5);
        r.ide.read(0, 2)
    };
    r.command(0, 0, 0xe0);
    assert_eq!(mode(&mut r), 0);
    r.command(0, 1, 0x20);
    r.words(0, 256);
    assert_eq!(mode(&mut r), 0xff);
}

/// A channel without drives has one status, by whichever register.
#[test]
fn an_empty_channel_reads_the_same_everywhere() {
    let mut ide = Ide::new();
    assert_eq!((ide.read(0, 7), ide.alternate_status(0), ide.read_data(0, 2, 0)), (0x7f, 0x7f, 0xffff));
}

#[test]
fn dma_follows_the_table_both_ways() {
    let mut r = rig();
    r.table(0x100, &[(0x1000, 512, false), (0x3000, 0, true)]);
    r.command(20, 3, 0xc8);
    assert!(!r.ide.irq(0));
    r.ide.write_bus_master(0, 9, r.now);
    r.settle();
    assert_eq!((r.dword(0x1000), r.dword(0x3000), r.dword(0x3200)), (20, 21, 22));
    assert!(r.ide.irq(0));
    assert_eq!(r.ide.read_bus_master(2), 5, "the table is longer than the transfer");
    r.ide.write_bus_master(0, 0, r.now);
    r.ide.write_bus_master(2, 4, r.now);
    r.table(0x100, &[(0x1000, 512, true)]);
    r.mem[0x1000] = 0x99;
    // the engine may be started first
    r.ide.write_bus_master(0, 1, r.now);
    assert_eq!(r.command(30, 1, 0xca), 0x50);
    assert_eq!(r.ide.read_bus_master(2), 4);
    assert_eq!(r.command(30, 1, 0x20), 0x58);
    assert_eq!(r.words(0, 1)[0], 0x99);
}

#[test]
fn a_reset_in_the_midst_shows_the_signatures() {
    let mut r = rig();
    r.command(0, 8, 0x20);
    r.ide.control(0, 4, r.now);
    assert_eq!(r.ide.alternate_status(0), 0x80);
    r.ide.control(0, 0, r.now);
    r.ide.control(1, 4, r.now);
    r.ide.control(1, 0, r.now);
    r.settle();
    assert_eq!([1, 2, 3, 4, 5, 7].map(|n| r.ide.read(0, n)), [1, 1, 1, 0, 0, 0x50]);
    assert_eq!([1, 2, 3, 4, 5, 7].map(|n| r.ide.read(1, n)), [1, 1, 1, 0x14, 0xeb, 0]);
    // an absent slave has no status
    r.set(0, &[(6, 0xb0)]);
    assert_eq!(r.ide.read(0, 7), 0);
    assert!(!r.ide.irq(0));
}

/// ATA/ATAPI-6, 9.10: EXECUTE DEVICE DIAGNOSTIC ends with an interrupt, a software reset without one.
#[test]
fn the_diagnostic_interrupts_and_a_reset_does_not() {
    let mut r = rig();
    r.set(0, &[(7, 0x90)]);
    assert_eq!(r.ide.alternate_status(0), 0x80);
    r.settle();
    assert!(r.ide.irq(0));
    assert_eq!([1, 2, 3, 4, 5, 7].map(|n| r.ide.read(0, n)), [1, 1, 1, 0, 0, 0x50]);
    assert!(!r.ide.irq(0));
    r.set(0, &[(7, 0x90)]);
    r.ide.control(0, 4, r.now);
    r.set(0, &[(7, 0x90)]);
    r.ide.control(0, 0, r.now);
    r.settle();
    assert!(!r.ide.irq(0));
}

/// ATA/ATAPI-6, 7.7: the device register is the host's to write only between commands.
#[test]
fn a_command_stays_with_its_drive() {
    let mut r = rig();
    r.ide.attach(0, 1, Drive::cdrom(None, identity()));
    r.set(0, &[(6, 0xe0), (2, 1), (3, 7), (4, 0), (5, 0), (7, 0x20), (6, 0xb0)]);
    // the slave is not busy, and takes no command while its master is
    r.set(0, &[(7, 0xa1)]);
    assert_eq!(r.ide.alternate_status(0) & 0x80, 0);
    r.settle();
    assert_eq!((r.ide.alternate_status(0), r.words(0, 1)[0]), (0, 0xffff));
    // nor does a reset of the slave disturb the master
    r.set(0, &[(7, 8), (6, 0xe0)]);
    r.settle();
    assert_eq!((r.ide.alternate_status(0), r.words(0, 1)[0]), (0x58, 7));
    // data that the host leaves are gone with the next command
    r.set(0, &[(6, 0xb0), (7, 0xa1)]);
    r.settle();
    assert_eq!((r.ide.alternate_status(0), r.words(0, 1)[0]), (0x58, 0x8580));
    r.set(0, &[(6, 0xe0)]);
    assert_eq!(r.ide.alternate_status(0), 0x50);
    // an absent slave
    r.ide.detach(0, 1);
    r.set(0, &[(7, 0xec), (6, 0xf0)]);
    r.settle();
    r.set(0, &[(7, 0xec), (6, 0xe0)]);
    assert_eq!(r.ide.alternate_status(0), 0x58);
}

#[test]
fn interrupts_can_be_switched_off() {
    let mut r = rig();
    r.ide.control(0, 2, 0);
    r.command(0, 0, 0xec);
    assert!(!r.ide.irq(0));
    r.ide.control(0, 0, 0);
    assert!(r.ide.irq(0));
}

/// ATA/ATAPI-6, 9.8, and MMC-3.
#[test]
fn packets_answer() {
    let mut r = rig();
    r.set(1, &[(6, 0xa0), (7, 0xec)]);
    r.settle();
    assert_eq!((r.ide.read(1, 7), r.ide.read(1, 4), r.ide.read(1, 5)), (0x51, 0x14, 0xeb));
    assert_eq!(r.packet_data(&[0x25], 0), [0, 0, 1, 0xff, 0, 0, 8, 0]);
    let inquiry = r.packet_data(&[0x12, 0, 0, 0, 36], 0);
    assert_eq!((inquiry.len(), inquiry[0], &inquiry[8..14]), (36, 5, &b"RINGER"[..]));
    let sectors = r.packet_data(&[0x28, 0, 0, 0, 0, 3, 0, 0, 2], 1000);
    assert_eq!((sectors.len(), sectors[0], sectors[2048], sectors[512]), (4096, 12, 16, 13));
    let toc = r.packet_data(&[0x43, 2, 0, 0, 0, 0, 0, 0, 0xff], 0);
    assert_eq!(toc[..12], [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0]);
    // beyond the end
    assert_eq!(r.packet(&[0x28, 0, 0, 0, 2, 0, 0, 0, 1], false, 0), 0x41);
    assert_eq!(r.ide.read(1, 1), 0x54);
    let sense = r.packet_data(&[3, 0, 0, 0, 18], 0);
    assert_eq!((sense[2], sense[12]), (5, 0x21));
    assert_eq!(r.packet_data(&[3, 0, 0, 0, 18], 0)[2], 0);
}

#[test]
fn a_changed_disc_is_told_once() {
    let mut r = rig();
    drop(r.ide.eject(1, 0).expect("a disc"));
    assert_eq!(r.packet(&[0], false, 0), 0x41);
    assert_eq!(r.packet_data(&[3, 0, 0, 0, 18], 0)[12], 0x3a);
    assert!(r.ide.insert(1, 0, Box::new(numbered(400))).is_ok());
    assert_eq!(r.packet(&[0], false, 0), 0x41);
    assert_eq!(r.packet_data(&[3, 0, 0, 0, 18], 0)[12], 0x28);
    assert_eq!(r.packet(&[0], false, 0), 0x40);
    assert_eq!(r.packet_data(&[0x25], 0)[3], 99);
    assert!(r.ide.insert(0, 0, Box::new(numbered(4))).is_err());
}

#[test]
fn packets_move_by_dma() {
    let mut r = rig();
    for (n, b) in 0x100u32.to_le_bytes().iter().enumerate() {
        r.ide.write_bus_master(12 + n as u16, *b, 0);
    }
    r.mem[0x100..0x108].copy_from_slice(&[0, 0x20, 0, 0, 0, 0x10, 0, 0x80]);
    r.packet(&[0x28, 0, 0, 0, 0, 1, 0, 0, 2], true, 0);
    assert!(!r.ide.irq(1));
    r.ide.write_bus_master(8, 9, r.now);
    r.settle();
    assert_eq!((r.dword(0x2000), r.dword(0x2800)), (4, 8));
    assert_eq!((r.ide.read_bus_master(10), r.ide.read(1, 7)), (4, 0x40));
}

#[test]
fn a_restored_transfer_goes_on() {
    let mut a = rig();
    a.command(100, 4, 0x20);
    a.words(0, 100);
    let mut b = rig();
    b.ide.restore(&a.ide.save()).expect("fits");
    b.now = a.now;
    for r in [&mut a, &mut b] {
        assert_eq!(r.words(0, 156).last(), Some(&0));
        r.settle();
        assert_eq!(r.words(0, 256)[0], 101);
    }
    assert_eq!(a.ide.save(), b.ide.save());
    let mut other = Ide::new();
    assert!(other.restore(&a.ide.save()).is_err());
}

#[test]
fn saved_transfers_are_possible_ones() {
    let mut r = rig();
    r.command(0, 2, 0x30);
    let IdeState::V1(saved) = r.ide.save();
    let restore = |change: &dyn Fn(&mut ChannelStateV1)| {
        let (mut state, mut r) = (saved.clone(), rig());
        change(&mut state.channels[0]);
        let result = r.ide.restore(&IdeState::V1(state));
        r.settle();
        result
    };
    assert!(restore(&|_| ()).is_ok());
    assert!(restore(&|c| c.buffer.truncate(100)).is_err());
    assert!(restore(&|c| (c.at, c.stop, c.buffer) = (0, 100, vec![0; 100])).is_err());
    assert!(restore(&|c| c.sector = u64::MAX).is_err());
    // none left to be read, from the first sector on
    let none = |work: Work| {
        move |c: &mut ChannelStateV1| {
            (c.work, c.event, c.left) = (work as u8, Some(0), 0);
            (c.at, c.stop, c.buffer) = (0, 0, Vec::new());
        }
    };
    assert!(restore(&none(Work::Read)).is_err() && restore(&none(Work::Write)).is_err());
}

#[test]
fn no_sequence_of_accesses_breaks_it() {
    for seed in 0..100 {
        let (mut r, mut random) = (rig(), Random(seed * 7919 + 1));
        (0..1000).for_each(|_| fuzz_tests::access(&mut r, &mut random));
        let state = r.ide.save();
        assert_eq!(r.ide.restore(&state), Ok(()));
    }
}
