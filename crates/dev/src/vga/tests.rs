use super::*;
use crate::testing::{fuzz, round_trip};

/// The adapter with its memory.
struct Rig {
    vga: Vga,
    vram: Vec<u8>,
}

fn rig() -> Rig {
    let (vga, mut vram) = (Vga::new(), vec![0; 1 << 24]);
    vga.blank_text(&mut vram);
    Rig { vga, vram }
}

impl Rig {
    fn index(&mut self, port: u16, index: u8, value: u8) {
        self.vga.write(port - FIRST_PORT, index);
        self.vga.write(port + 1 - FIRST_PORT, value);
    }

    fn write(&mut self, at: u32, value: u8) {
        self.vga.write_memory(at, value, &mut self.vram);
    }

    fn read(&mut self, at: u32) -> u8 {
        self.vga.read_memory(at, &self.vram)
    }

    fn print(&mut self, at: u32, text: &str) {
        for (i, b) in text.bytes().enumerate() {
            self.write(0x1_8000 + at + 2 * i as u32, b);
            self.write(0x1_8001 + at + 2 * i as u32, 0x1f);
        }
    }

    fn text(&self) -> Text {
        self.vga.text(&self.vram)
    }

    fn frame(&self) -> Frame {
        self.vga.frame(&self.vram, 0)
    }

    /// Sequencer, graphics controller, CRTC and attribute registers at once.
    fn program(&mut self, seq: &[u8], crtc: &[(u8, u8)], gc: &[u8], attr: &[(u8, u8)]) {
        self.index(0x3d4, 0x11, 0);
        seq.iter().enumerate().for_each(|(n, &v)| self.index(0x3c4, n as u8, v));
        crtc.iter().for_each(|&(n, v)| self.index(0x3d4, n, v));
        gc.iter().enumerate().for_each(|(n, &v)| self.index(0x3ce, n as u8, v));
        self.vga.read(0x2a, 0);
        for &(n, v) in attr {
            self.vga.write(0x10, n);
            self.vga.write(0x10, v);
        }
        self.vga.write(0x10, 0x20);
    }

    /// Mode 12h: 640 by 480, four planes, and colours 0-15 of the DAC.
    fn mode_12(&mut self) {
        let mut attributes: Vec<(u8, u8)> = (0..6).map(|n| (n, n)).collect();
        attributes.extend([(0x10, 0x01), (0x12, 0x0f), (0x13, 0)]);
        let crtc = [(7, 0x3e), (9, 0x40), (0x12, 0xdf), (0x13, 0x28), (0x14, 0), (0x17, 0xe3), (0x18, 0xff)];
        self.program(&[3, 1, 15, 0, 6], &crtc, &[0, 0, 0, 0, 0, 0, 5, 15, 0xff], &attributes);
    }

    /// 256 colours of 320 by 200; chained or not.
    fn mode_13(&mut self, chained: bool) {
        let (memory, dwords, mode) = if chained { (0x0e, 0x40, 0xa3) } else { (0x06, 0x00, 0xe3) };
        let crtc =
            [(7, 0x1f), (9, 0x41), (0x12, 0x8f), (0x13, 0x28), (0x14, dwords), (0x17, mode), (0x18, 0xff)];
        self.program(
            &[3, 1, 15, 0, memory],
            &crtc,
            &[0, 0, 0, 0, 0, 0x40, 5, 15, 0xff],
            &[(0x10, 0x41), (0x13, 0)],
        );
    }

    fn vbe(&mut self, values: &[(u16, u16)]) {
        for &(n, v) in values {
            self.vga.write_vbe(0, n, &mut self.vram);
            self.vga.write_vbe(1, v, &mut self.vram);
        }
    }
}

#[test]
fn text_screen() {
    let mut r = rig();
    r.print(0, "Hello");
    r.print(24 * 160 + 150, "there");
    let text = r.text();
    assert_eq!((text.cols, text.rows, text.cursor), (80, 25, Some((0, 0))));
    assert_eq!(text.row(0), "Hello");
    assert_eq!(text.row(24).trim_start(), "there");
    assert_eq!(text.row(25), "");
    assert_eq!(text.cells[0], Cell { character: b'H', attribute: 0x1f });
    assert_eq!(text.cells[5], Cell { character: b' ', attribute: 0x07 });
    assert_eq!((r.read(0x1_8000), r.read(0x1_8001)), (b'H', 0x1f));
    assert_eq!(r.read(0), 0xff, "the window is at B8000h");
    assert!(r.vga.is_text());
}

#[test]
fn start_address_and_cursor() {
    let mut r = rig();
    r.print(160, "second");
    r.index(0x3d4, 0x0d, 80);
    r.index(0x3d4, 0x0f, 80 + 85);
    assert_eq!(r.text().row(0), "second");
    assert_eq!(r.text().cursor, Some((5, 1)));
    r.index(0x3d4, 0x0a, 0x20);
    assert_eq!(r.text().cursor, None);
}

#[test]
fn crtc_write_protection() {
    let mut r = rig();
    r.index(0x3d4, 1, 0x27);
    assert_eq!(r.text().cols, 80);
    r.index(0x3d4, 0x11, 0x0e);
    r.index(0x3d4, 1, 0x27);
    assert_eq!(r.text().cols, 40);
    r.index(0x3d4, 9, 0x47);
    assert_eq!(r.text().rows, 50, "an 8-line font");
}

#[test]
fn attribute_flip_flop() {
    let mut vga = Vga::new();
    vga.read(0x2a, 0);
    vga.write(0x10, 0x01);
    vga.write(0x10, 0x3f);
    vga.write(0x10, 0x21);
    vga.write(0x10, 0x00);
    assert_eq!(vga.read(0x11, 0), 0x3f, "the palette does not change while it is shown");
    vga.write(0x10, 0x13);
    vga.read(0x2a, 0);
    vga.write(0x10, 0x30);
    assert_eq!(vga.read(0x10, 0), 0x30, "reading 3DAh makes the next write an index");
}

/// Mode 3 has 900 dots of 28.322 MHz a line and 449 lines: 70.08 Hz.
#[test]
fn retrace_comes_with_time() {
    let mut vga = Vga::new();
    let frame = vga.timing().frame_time();
    assert!((14_250_000..14_290_000).contains(&frame), "{frame}");
    let line = frame / 449;
    let mut status = |t| vga.read(0x2a, t);
    assert_eq!(status(0), 0);
    assert_eq!(status(27_000), 1, "horizontal");
    assert_eq!(status(405 * line), 1);
    assert_eq!(status(413 * line), 9);
    assert_eq!(status(416 * line), 1);
    assert_eq!(status(frame + 1000), 0);
}

#[test]
fn monochrome_ports() {
    let mut vga = Vga::new();
    assert_eq!(vga.read(0x04, 0), 0xff);
    vga.write(0x12, 0x66);
    vga.write(0x04, 0x0e);
    assert_eq!((vga.read(0x04, 0), vga.read(0x24, 0)), (0x0e, 0xff));
}

#[test]
fn dac_counts_through_three_components() {
    let mut vga = Vga::new();
    vga.write(0x18, 5);
    [1, 2, 0xff, 4].into_iter().for_each(|v| vga.write(0x19, v));
    vga.write(0x17, 5);
    assert_eq!([0; 4].map(|_| vga.read(0x19, 0)), [1, 2, 0x3f, 4]);
    let vga = Vga::new();
    assert_eq!([1, 6, 15].map(|i| vga.colour_of(i)), [[0, 0, 170], [170, 85, 0], [255; 3]]);
}

// The way that fonts are loaded: sequential access to plane 2 at A0000h.
#[test]
fn fonts_go_to_plane_2() {
    let mut r = rig();
    r.print(0, "A");
    r.index(0x3c4, 2, 4);
    r.index(0x3c4, 4, 7);
    r.index(0x3ce, 4, 2);
    r.index(0x3ce, 5, 0);
    r.index(0x3ce, 6, 0);
    r.write(1, 0x7e);
    r.write(0, 0x81);
    assert_eq!([r.read(0), r.read(1)], [0x81, 0x7e]);
    assert_eq!(r.text().row(0), "A");
}

/// IBM VGA Technical Reference, "Graphics Controller", write modes 0 to 3.
#[test]
fn write_modes() {
    let mut r = rig();
    r.mode_12();
    r.vram.fill(0);
    let planes = |r: &Rig, at: usize| [0, 1, 2, 3].map(|n| r.vram[at * 4 + n]);
    r.index(0x3c4, 2, 0b0101);
    r.write(0, 0xf0);
    assert_eq!(planes(&r, 0), [0xf0, 0, 0xf0, 0], "the map mask");
    r.index(0x3c4, 2, 15);
    r.read(0);
    r.index(0x3ce, 8, 0x0f);
    r.write(0, 0xff);
    assert_eq!(planes(&r, 0), [0xff, 0x0f, 0xff, 0x0f], "the bit mask keeps the latches' bits");
    r.index(0x3ce, 8, 0xff);
    r.index(0x3ce, 0, 0b1000);
    r.index(0x3ce, 1, 0b1100);
    r.index(0x3ce, 3, 4);
    r.write(1, 0x1e);
    assert_eq!(planes(&r, 1), [0xe1, 0xe1, 0, 0xff], "rotation, and set/reset where enabled");
    r.index(0x3ce, 1, 0);
    r.index(0x3ce, 3, 0x18);
    r.read(1);
    r.write(1, 0xff);
    assert_eq!(planes(&r, 1), [0x1e, 0x1e, 0xff, 0], "exclusive or with the latches");
    r.index(0x3ce, 3, 0);
    r.index(0x3ce, 5, 1);
    r.read(1);
    r.write(7, 0);
    assert_eq!(planes(&r, 7), [0x1e, 0x1e, 0xff, 0], "mode 1 copies the latches");
    r.index(0x3ce, 5, 2);
    r.index(0x3ce, 8, 0x80);
    r.read(9);
    r.write(9, 0b0110);
    assert_eq!(planes(&r, 9), [0, 0x80, 0x80, 0], "mode 2 writes a colour");
    r.index(0x3ce, 5, 3);
    r.index(0x3ce, 8, 0xf0);
    r.index(0x3ce, 0, 15);
    r.read(10);
    r.write(10, 0x3c);
    assert_eq!(planes(&r, 10), [0x30; 4], "mode 3 has the data as a further bit mask");
    r.index(0x3ce, 5, 8);
    r.index(0x3ce, 2, 6);
    r.index(0x3ce, 7, 15);
    assert_eq!(r.read(9), 0x80, "read mode 1 compares colours");
    r.index(0x3ce, 7, 0b1001);
    assert_eq!(r.read(9), 0xff, "planes that are not cared for");
}

#[test]
fn text_is_drawn_with_its_font() {
    let mut r = rig();
    r.print(2, "I");
    let f = r.frame();
    assert_eq!((f.width, f.height), (720, 400));
    // white on blue; the letter's stem is in its third column of five, shifted by two
    assert_eq!([9, 12, 13, 17].map(|x| f.pixels[7 * 720 + x]), [0xaa, 0xff_ffff, 0xaa, 0xaa]);
    // the cursor's two lines
    assert_eq!((f.pixels[13 * 720], f.pixels[12 * 720]), (0xaa_aaaa, 0));
    r.index(0x3c4, 1, 0x20);
    assert!(r.frame().pixels.iter().all(|&p| p == 0), "the screen is off");
}

#[test]
fn planar_dots() {
    let mut r = rig();
    r.mode_12();
    r.vram.fill(0);
    r.index(0x3c4, 2, 0b0001);
    r.write(80, 0x80);
    r.index(0x3c4, 2, 0b0100);
    r.write(80, 0x81);
    let f = r.frame();
    assert_eq!((f.width, f.height), (640, 480));
    assert_eq!([0, 1, 7, 8].map(|x| f.pixels[640 + x]), [0xaa_00aa, 0, 0xaa_0000, 0]);
    // the split screen starts over at the top, and panning shifts
    r.index(0x3d4, 0x18, 99);
    r.index(0x3d4, 7, 0x2e);
    r.index(0x3d4, 9, 0);
    assert_eq!(r.frame().pixels[101 * 640], 0xaa_00aa);
    r.index(0x3d4, 0x0d, 80);
    assert_eq!(r.frame().pixels[0], 0xaa_00aa);
}

#[test]
fn bytes_chained_and_not() {
    let mut r = rig();
    r.mode_13(true);
    r.vram.fill(0);
    (0..4).for_each(|n| r.write(320 + n, 1 + n as u8));
    let f = r.frame();
    assert_eq!((f.width, f.height), (640, 400));
    // each byte is two dots wide and two lines high
    let colours = [0xaa, 0xaa00, 0xaaaa, 0xaa_0000];
    assert_eq!(
        [0, 1, 2, 4, 6].map(|x| f.pixels[2 * 640 + x]),
        [colours[0], colours[0], colours[1], colours[2], colours[3]]
    );
    assert_eq!(f.pixels[3 * 640], colours[0]);
    r.mode_13(false);
    r.vram.fill(0);
    r.index(0x3c4, 2, 4);
    r.write(80, 1);
    assert_eq!(r.frame().pixels[2 * 640 + 4], 0xaa, "plane 2 has the third dot");
}

#[test]
fn cga_pairs_and_interleaved_lines() {
    let mut r = rig();
    let crtc =
        [(1, 39), (7, 0x1f), (9, 0xc1), (0x12, 0x8f), (0x13, 0x14), (0x14, 0), (0x17, 0xa2), (0x18, 0xff)];
    r.program(
        &[3, 9, 3, 0, 2],
        &crtc,
        &[0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff],
        &[(0x10, 1), (0x12, 3), (0x13, 0)],
    );
    r.vram.fill(0);
    r.write(0x1_8000, 0b00_01_10_11);
    r.write(0x1_8001, 0b11_00_00_00);
    r.write(0x1_a000, 0b01_00_00_00);
    let f = r.frame();
    assert_eq!((f.width, f.height), (640, 400));
    let at = |x: usize, y: usize| f.pixels[y * 640 + 2 * x];
    assert_eq!([0, 1, 2, 3, 4].map(|x| at(x, 0)), [0, 0xaa, 0xaa00, 0xaaaa, 0xaaaa]);
    assert_eq!((at(0, 2), at(1, 2)), (0xaa, 0));
}

#[test]
fn a_wider_line_puts_the_picture_beyond_memory() {
    let mut r = rig();
    r.vram[..64].fill(0xff);
    r.vbe(&[(1, 1), (2, 4), (3, 32), (4, 0xc1), (9, 0xffff), (6, 0xffff)]);
    assert!(r.vga.visible_range().0 > 1 << 24);
    assert_eq!(r.vga.frame(&r.vram, 0).pixels, [0; 4]);
}

#[test]
fn vbe_modes_of_every_depth() {
    let mut r = rig();
    r.vga.write_vbe(0, 0, &mut r.vram);
    assert_eq!(r.vga.read_vbe(1, 1 << 24), 0xb0c5);
    let bytes: [(u16, &[u8], u32); 5] = [
        (8, &[4], 0xaa_0000),
        (15, &[0x1f, 0x7c], 0xff_00ff),
        (16, &[0xe0, 0x07], 0x00_ff00),
        (24, &[1, 2, 3], 0x03_0201),
        (32, &[1, 2, 3, 4], 0x03_0201),
    ];
    for (depth, pixel, colour) in bytes {
        r.vbe(&[(4, 0), (1, 800), (2, 600), (3, depth), (4, 0x41), (6, 1024), (9, 1)]);
        assert!(r.vram[..1024 * 600].iter().all(|&b| b == 0), "cleared");
        let at = 1024 * pixel.len() + 5 * pixel.len();
        r.vram[at..at + pixel.len()].copy_from_slice(pixel);
        let f = r.frame();
        assert_eq!((f.width, f.height, f.pixels[5]), (800, 600, colour), "depth {depth}");
    }
    // 64 KiB banks in the window
    r.vbe(&[(5, 3)]);
    r.write(0x10, 0x77);
    assert_eq!((r.vram[0x3_0010], r.read(0x10)), (0x77, 0x77));
    // a mode that does not fit in memory is not switched on
    let mut small = vec![0; 1 << 18];
    for (n, v) in [(4, 0), (1, 1600), (2, 1200), (3, 32), (4, 1)] {
        r.vga.write_vbe(0, n, &mut small);
        r.vga.write_vbe(1, v, &mut small);
    }
    assert_eq!(r.vga.read_vbe(1, 1 << 18) & 1, 0);
}

#[test]
fn state_round_trip() {
    let mut r = rig();
    r.vbe(&[(1, 1024)]);
    let state = r.vga.save();
    let mut other = Vga::new();
    other.restore(&round_trip(&state)).expect("valid");
    assert_eq!(other.save(), state);
    let VgaState::V1(mut bad) = state;
    bad.palette.pop();
    assert!(other.restore(&VgaState::V1(bad)).is_err());
}

#[test]
fn random_accesses_never_panic() {
    let mut rig = rig();
    fuzz(11, |r, now| {
        let (offset, value) = (r.below(0x40) as u16, r.byte());
        let Rig { vga, vram } = &mut rig;
        match r.below(9) {
            0 | 1 => _ = vga.read(offset, now),
            2..5 => vga.write(offset, value),
            5 => _ = vga.read_memory(r.next() as u32 & 0x3_ffff, vram),
            6 => vga.write_memory(r.next() as u32 & 0x3_ffff, value, vram),
            7 => vga.write_vbe(u16::from(value & 1), r.below(0x700) as u16, vram),
            _ if r.below(400) == 0 => {
                let f = vga.frame(vram, now);
                assert!(f.pixels.len() == f.width * f.height && f.pixels.len() <= 256 * 18 * 1024);
                assert!(vga.text(vram).cells.len() <= 256 * 1024);
            }
            _ => _ = vga.colour_of(value),
        }
    });
    let VgaState::V1(state) = rig.vga.save();
    assert_eq!(Vga::check(&state), Ok(()));
}
