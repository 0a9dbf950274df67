use super::*;
use crate::block::MemoryBlock;

pub(super) struct Rig {
    pub(super) f: Floppy,
    pub(super) dma: Dma,
    pub(super) mem: Vec<u8>,
    pub(super) now: Nanos,
}

/// A 1.44M medium whose sectors begin with their own number, in a controller out of reset.
pub(super) fn rig() -> Rig {
    let image: Vec<u8> = (0..2880u32).flat_map(|n| n.to_le_bytes().repeat(128)).collect();
    let mut f = Floppy::new();
    f.insert(0, Box::new(MemoryBlock::new(image)));
    let mut r = Rig { f, dma: Dma::new(), mem: vec![0; 0x2_0000], now: 0 };
    r.f.write(2, 0x1c, 0);
    r.f.write(7, 0, 0);
    (0..4).for_each(|_| drop(r.command(&[8])));
    r
}

impl Rig {
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some(t) = self.f.deadline().filter(|&t| t < self.now + 1_000_000_000) else { return };
            self.now = t;
            self.f.advance(t, &mut self.dma, &mut self.mem);
        }
        panic!("it never ends");
    }

    /// Sends a command, lets it run and reads all results.
    fn command(&mut self, bytes: &[u8]) -> Vec<u8> {
        for &b in bytes {
            assert_eq!(self.f.read(4, self.now) & 0xc0, 0x80, "ready for a byte");
            self.f.write(5, b, self.now);
        }
        self.settle();
        self.results()
    }

    fn results(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.f.read(4, self.now) & 0xf0 == 0xd0 {
            out.push(self.f.read(5, self.now));
        }
        out
    }

    pub(super) fn dma(&mut self, mode: u8, at: u32, len: u16) {
        let d = &mut self.dma;
        d.write(0x0c, 0);
        d.write(0x0b, mode | 2);
        [at as u8, (at >> 8) as u8].iter().for_each(|&b| d.write(4, b));
        d.write(0x81, (at >> 16) as u8);
        (len - 1).to_le_bytes().iter().for_each(|&b| d.write(5, b));
        d.write(0x0a, 2);
    }

    fn seek(&mut self, track: u8) {
        self.command(&[0x0f, 0, track]);
        assert_eq!(self.command(&[8]), [0x20, track]);
    }

    fn dword(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.mem[at], self.mem[at + 1], self.mem[at + 2], self.mem[at + 3]])
    }
}

/// 82077AA data sheet, 5.2.3: after a reset, four drives have to be sensed.
#[test]
fn reset_is_sensed_four_times() {
    let mut f = Floppy::new();
    f.write(2, 0x0c, 0);
    assert!(f.irq());
    let mut r = Rig { f, dma: Dma::new(), mem: vec![], now: 0 };
    for unit in 0..4 {
        assert_eq!(r.command(&[8]), [0xc0 | unit, 0]);
        assert!(!r.f.irq());
    }
    assert_eq!(r.command(&[8]), [0x80]);
}

#[test]
fn a_read_over_both_sides_ends_with_terminal_count() {
    let mut r = rig();
    r.seek(3);
    r.dma(0x44, 0x1000, 20 * 512);
    let results = r.command(&[0xe6, 0, 3, 0, 17, 2, 18, 27, 0xff]);
    // sectors 17 and 18 of side 0, then 1 to 18 of side 1: the next one is on cylinder 4
    assert_eq!(results, [0x00, 0, 0, 4, 0, 1, 2]);
    let first = 3 * 36 + 16;
    for n in 0..20 {
        assert_eq!(r.dword(0x1000 + n * 512), first + n as u32);
    }
}

#[test]
fn without_terminal_count_the_track_ends_the_command() {
    let mut r = rig();
    r.dma(0x44, 0x1000, 0x8000);
    assert_eq!(r.command(&[0x46, 0, 0, 0, 18, 2, 18, 27, 0xff]), [0x40, 0x80, 0, 1, 0, 1, 2]);
}

#[test]
fn a_write_goes_to_the_medium_and_terminal_count_pads_with_zeroes() {
    let mut r = rig();
    r.mem[0x2000..0x2400].fill(0xaa);
    r.dma(0x48, 0x2000, 700);
    assert_eq!(r.command(&[0xc5, 0, 0, 0, 1, 2, 18, 27, 0xff])[0], 0);
    assert!(r.f.flush_at.is_some());
    let mut medium = r.f.eject(0).expect("a medium");
    let mut out = [1; 1024];
    medium.read(0, &mut out).expect("read");
    assert!(out[..700].iter().all(|&b| b == 0xaa) && out[700..].iter().all(|&b| b == 0));
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut r = rig();
    r.dma(0x44, 0x1000, 512);
    assert_eq!(r.command(&[0x46, 0, 0, 0, 19, 2, 19, 27, 0xff])[..2], [0x40, 0x04]);
    r.dma(0x44, 0x1000, 512);
    assert_eq!(r.command(&[0x46, 0, 5, 0, 1, 2, 18, 27, 0xff])[..3], [0x40, 0x04, 0x10]);
    // the wrong data rate finds no address mark
    r.f.write(7, 2, 0);
    assert_eq!(r.command(&[0x4a, 0])[..2], [0x40, 0x05]);
    assert_eq!(r.command(&[0x46, 1, 0, 0, 1, 2, 18, 27, 0xff])[..2], [0x41, 0x05]);
}

#[test]
fn write_protection_and_format() {
    let mut r = rig();
    r.mem[..8].copy_from_slice(&[0, 0, 1, 2, 0, 0, 2, 2]);
    r.dma(0x48, 0, 8);
    assert_eq!(r.command(&[0x4d, 0, 2, 2, 84, 0xf6])[..3], [0, 0, 0]);
    r.dma(0x44, 0x1000, 512);
    r.command(&[0x46, 0, 0, 0, 2, 2, 18, 27, 0xff]);
    assert_eq!(r.mem[0x1000..0x1200], [0xf6; 512]);
    r.f.insert(0, Box::new(MemoryBlock::new(vec![0; 1_474_560]).read_only()));
    r.dma(0x48, 0, 512);
    assert_eq!(r.command(&[0xc5, 0, 0, 0, 1, 2, 18, 27, 0xff])[..2], [0x40, 0x02]);
    assert_eq!(r.command(&[4, 0])[0] & 0x40, 0x40);
}

#[test]
fn steady_writing_is_flushed_all_the_same() {
    let mut r = rig();
    let deadlines = [0, 500_000_000].map(|pause| {
        r.now += pause;
        r.dma(0x48, 0, 512);
        r.command(&[0xc5, 0, 0, 0, 1, 2, 18, 27, 0xff]);
        r.f.flush_at
    });
    assert!(deadlines[0].is_some());
    assert_eq!(deadlines[0], deadlines[1], "the first write's");
}

/// 82077AA data sheet, FORMAT TRACK: identifiers, as the image cannot hold them, at a rate that it has not.
#[test]
fn a_track_of_another_format_is_not_formatted() {
    let mut r = rig();
    for id in [[0, 0, 19, 2], [1, 0, 1, 2], [0, 1, 1, 2], [0, 0, 1, 3]] {
        r.mem[..4].copy_from_slice(&id);
        r.dma(0x48, 0, 4);
        assert_eq!(r.command(&[0x4d, 0, 2, 1, 84, 0xf6])[..3], [0x40, 1, 0], "{id:?}");
    }
    r.mem[..4].copy_from_slice(&[0, 0, 1, 2]);
    r.dma(0x48, 0, 4);
    r.f.write(7, 2, 0);
    assert_eq!(r.command(&[0x4d, 0, 2, 1, 84, 0xf6])[..3], [0x40, 1, 0]);
    r.f.write(7, 0, 0);
    r.dma(0x48, 0, 4);
    assert_eq!(r.command(&[0x4d, 0, 2, 1, 84, 0xf6])[..3], [0, 0, 0]);
}

#[test]
fn the_change_line_falls_with_a_step() {
    let mut r = rig();
    assert_eq!(r.f.read(7, 0), 0x80);
    r.seek(1);
    assert_eq!(r.f.read(7, 0), 0);
    drop(r.f.eject(0));
    r.seek(2);
    assert_eq!(r.f.read(7, 0), 0x80);
}

#[test]
fn a_drive_that_is_not_there_has_no_track_0() {
    let mut r = rig();
    r.command(&[7, 1]);
    assert_eq!(r.command(&[8]), [0x71, 0]);
}

#[test]
fn the_fifo_register_moves_sectors_without_dma() {
    let mut r = rig();
    r.command(&[3, 0xaf, 3]);
    r.command(&[0x46, 0, 0, 0, 2, 2, 2, 27, 0xff]);
    let mut bytes = Vec::new();
    while r.f.read(4, 0) & 0x20 != 0 {
        bytes.push(r.f.read(5, r.now));
    }
    assert_eq!((bytes.len(), bytes[0]), (512, 1));
    assert_eq!(r.results(), [0x40, 0x80, 0, 1, 0, 1, 2]);
}

#[test]
fn small_commands_answer_as_the_data_sheet_says() {
    let mut r = rig();
    assert_eq!(r.command(&[0x10]), [0x90]);
    assert_eq!(r.command(&[0x94]), [0x10]);
    assert_eq!(r.command(&[0x14]), [0x00]);
    // PART ID came with the 82078
    assert_eq!([r.command(&[0x1f]), r.command(&[0x18])], [[0x80], [0x80]]);
    r.command(&[0x13, 0, 0x57, 0]);
    assert_eq!(r.command(&[0x0e])[8..], [0x57, 0]);
    assert_eq!(r.command(&[0x56, 0, 0, 0, 1, 2, 18, 27, 0])[..3], [0, 0, 0]);
}

#[test]
fn a_restored_transfer_goes_on() {
    let (mut a, mut b) = (rig(), rig());
    for r in [&mut a, &mut b] {
        r.dma(0x44, 0x1000, 10 * 512);
        [0x46, 0, 0, 0, 1, 2, 18, 27, 0xff].iter().for_each(|&v| r.f.write(5, v, r.now));
        for _ in 0..4 {
            r.now = r.f.deadline().expect("it runs");
            r.f.advance(r.now, &mut r.dma, &mut r.mem);
        }
    }
    let mut c = rig();
    c.f.restore(&b.f.save()).expect("fits");
    c.dma.restore(&b.dma.save()).expect("fits");
    (c.mem, c.now) = (b.mem, b.now);
    a.settle();
    c.settle();
    assert_eq!((a.results(), &a.mem), (c.results(), &c.mem));
    // another medium is refused
    let mut other = Floppy::new();
    assert!(other.restore(&a.f.save()).is_err());
}

#[test]
fn a_saved_write_is_of_a_whole_sector() {
    let mut r = rig();
    r.command(&[3, 0xdf, 3]);
    r.command(&[0xc5, 0, 0, 0, 1, 2, 18, 27, 0xff]);
    let FloppyState::V1(mut state) = r.f.save();
    assert_eq!(state.buffer.len(), SECTOR);
    assert!(r.f.restore(&FloppyState::V1(state.clone())).is_ok());
    state.buffer.truncate(100);
    assert!(r.f.restore(&FloppyState::V1(state)).is_err());
}

#[test]
fn no_sequence_of_accesses_breaks_it() {
    for seed in 0..200 {
        let mut random = crate::testing::Random(seed * 7919 + 1);
        let mut r = rig();
        for _ in 0..2000 {
            fuzz_tests::access(&mut r, &mut random);
            let state = r.f.save();
            assert_eq!(r.f.restore(&state), Ok(()), "{state:?}");
        }
    }
}
