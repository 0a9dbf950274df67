//! The VGA's registers and memory, as far as text consoles need them (IBM VGA Technical Reference, "Video
//! Subsystem"): all register files, text memory through odd/even addressing, plain planar and chain-4 accesses.
//!
//! Write modes, latches, set/reset and logical operations are not here yet; [`VgaText::write_memory`] is where
//! they belong.

use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;

/// Where the first I/O port is that offsets are relative to.
pub const FIRST_PORT: u16 = 0x3b0;
/// How many ports there are.
pub const PORTS: u16 = 0x30;
/// Where the memory window begins that memory offsets are relative to.
pub const WINDOW: u32 = 0xa_0000;
/// Bytes of that window.
pub const WINDOW_SIZE: u32 = 0x2_0000;
/// A scan line of the 70 Hz text mode, in nanoseconds: 900 dots of 28.322 MHz.
pub const LINE_TIME: Nanos = 31_778;
/// Scan lines of a frame, with vertical blanking.
pub const FRAME_LINES: u64 = 449;
const VISIBLE_LINES: u64 = 400;
const VISIBLE_TIME: Nanos = 25_422;
const RETRACE_LINES: std::ops::Range<u64> = 412..414;
/// Bytes of one of the four planes.
const PLANE: usize = 0x1_0000;

const SEQ: [u8; 5] = [0x03, 0x00, 0x03, 0x00, 0x02];
const GC: [u8; 9] = [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff];
#[rustfmt::skip]
const CRTC: [u8; 25] = [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
#[rustfmt::skip]
const ATTRIBUTE: [u8; 21] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
    0x0c, 0x00, 0x0f, 0x08, 0x00,
];

/// One character of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The character's code, usually in code page 437.
    pub character: u8,
    /// Bits 0-3 foreground, 4-6 background, 7 blink or bright background.
    pub attribute: u8,
}

/// What a text mode shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Characters in a row.
    pub cols: usize,
    /// Rows.
    pub rows: usize,
    /// `rows * cols` cells, row by row.
    pub cells: Vec<Cell>,
    /// The cursor's column and row, if it is on and on the screen.
    pub cursor: Option<(usize, usize)>,
}

impl Text {
    /// A row as text: codes that are not printable ASCII become `?` (NUL a space), trailing spaces go.
    pub fn row(&self, row: usize) -> String {
        let cells = self.cells.iter().skip(row.saturating_mul(self.cols)).take(self.cols);
        let line: String = cells
            .map(|c| match c.character {
                0 | 0xff => ' ',
                b @ 0x20..=0x7e => char::from(b),
                _ => '?',
            })
            .collect();
        line.trim_end().to_owned()
    }
}

/// The adapter.
#[derive(Debug)]
pub struct VgaText {
    misc: u8,
    feature: u8,
    seq_index: u8,
    seq: [u8; 5],
    gc_index: u8,
    gc: [u8; 9],
    crtc_index: u8,
    crtc: [u8; 25],
    attr_index: u8,
    attr: [u8; 21],
    /// The next write to 3C0h is data.
    attr_data: bool,
    pel_mask: u8,
    dac_read: u8,
    dac_write: u8,
    /// Which of red, green and blue comes next.
    dac_component: u8,
    /// The last index was written for reading.
    dac_reading: bool,
    /// 256 colours of three components of 6 bits.
    palette: Vec<u8>,
    /// The four planes, interleaved: byte `offset * 4 + plane`.
    memory: Vec<u8>,
}

impl Default for VgaText {
    fn default() -> Self {
        Self::new()
    }
}

impl VgaText {
    /// The adapter in mode 3 (80 by 25 in colour) with a blank screen, as its BIOS leaves it.
    pub fn new() -> Self {
        let mut memory = vec![0; 4 * PLANE];
        memory.chunks_exact_mut(4).step_by(2).take(0x4000).for_each(|c| (c[0], c[1]) = (b' ', 7));
        VgaText {
            misc: 0x67,
            feature: 0,
            seq_index: 0,
            seq: SEQ,
            gc_index: 0,
            gc: GC,
            crtc_index: 0,
            crtc: CRTC,
            attr_index: 0x20,
            attr: ATTRIBUTE,
            attr_data: false,
            pel_mask: 0xff,
            dac_read: 0,
            dac_write: 0,
            dac_component: 0,
            dac_reading: false,
            palette: default_palette(),
            memory,
        }
    }

    /// The CRTC and status ports answer at 3Dxh, else at 3Bxh.
    fn colour(&self) -> bool {
        self.misc & 1 != 0
    }

    /// Port `offset` from 3B0h with 3B4h, 3B5h and 3BAh taken as 3D4h, 3D5h and 3DAh; `None` if it does not answer.
    fn port(&self, offset: u16) -> Option<u16> {
        match offset {
            0x04 | 0x05 | 0x0a => (!self.colour()).then_some(offset + 0x20),
            0x24 | 0x25 | 0x2a => self.colour().then_some(offset),
            _ => Some(offset),
        }
    }

    /// Reads port 3B0h + `offset`; FFh where nothing answers.
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        match self.port(offset) {
            Some(0x10) => self.attr_index,
            Some(0x11) => get(&self.attr, self.attr_index & 0x1f),
            Some(0x12) => 0x10, // input status 0: a display is there
            Some(0x14) => self.seq_index,
            Some(0x15) => get(&self.seq, self.seq_index),
            Some(0x16) => self.pel_mask,
            Some(0x17) => {
                if self.dac_reading {
                    3
                } else {
                    0
                }
            }
            Some(0x18) => self.dac_write,
            Some(0x19) => self.read_dac(),
            Some(0x1a) => self.feature,
            Some(0x1c) => self.misc,
            Some(0x1e) => self.gc_index,
            Some(0x1f) => get(&self.gc, self.gc_index),
            Some(0x24) => self.crtc_index,
            Some(0x25) => get(&self.crtc, self.crtc_index),
            Some(0x2a) => self.read_status_1(now),
            _ => 0xff,
        }
    }

    /// Writes port 3B0h + `offset`.
    pub fn write(&mut self, offset: u16, value: u8) {
        match self.port(offset) {
            Some(0x10) => self.write_attribute(value),
            Some(0x12) => self.misc = value,
            Some(0x14) => self.seq_index = value & 7,
            Some(0x15) => put(&mut self.seq, self.seq_index, value),
            Some(0x16) => self.pel_mask = value,
            Some(0x17) => (self.dac_read, self.dac_component, self.dac_reading) = (value, 0, true),
            Some(0x18) => (self.dac_write, self.dac_component, self.dac_reading) = (value, 0, false),
            Some(0x19) => self.write_dac(value),
            Some(0x1e) => self.gc_index = value & 15,
            Some(0x1f) => put(&mut self.gc, self.gc_index, value),
            Some(0x24) => self.crtc_index = value & 0x3f,
            Some(0x25) => self.write_crtc(value),
            Some(0x2a) => self.feature = value,
            _ => {}
        }
    }

    /// Input status 1: bit 0 display disabled (a retrace of either kind), bit 3 vertical retrace. Reading it
    /// makes the next write to 3C0h an index.
    fn read_status_1(&mut self, now: Nanos) -> u8 {
        self.attr_data = false;
        let line = now / LINE_TIME % FRAME_LINES;
        let blank = line >= VISIBLE_LINES || now % LINE_TIME >= VISIBLE_TIME;
        u8::from(blank) | u8::from(RETRACE_LINES.contains(&line)) << 3
    }

    fn write_attribute(&mut self, value: u8) {
        self.attr_data = !self.attr_data;
        if self.attr_data {
            self.attr_index = value & 0x3f;
            return;
        }
        // While the palette is shown (bit 5 of the index), its 16 registers do not change.
        let index = self.attr_index & 0x1f;
        if index >= 16 || self.attr_index & 0x20 == 0 {
            put(&mut self.attr, index, value);
        }
    }

    /// Bit 7 of register 11h protects registers 0-7, but for bit 4 of register 7.
    fn write_crtc(&mut self, value: u8) {
        let protected = self.crtc[0x11] & 0x80 != 0;
        match self.crtc_index {
            7 if protected => self.crtc[7] = self.crtc[7] & !0x10 | value & 0x10,
            0..=7 if protected => {}
            index => put(&mut self.crtc, index, value),
        }
    }

    fn read_dac(&mut self) -> u8 {
        let value = self.palette[usize::from(self.dac_read) * 3 + usize::from(self.dac_component % 3)];
        self.dac_component = (self.dac_component + 1) % 3;
        self.dac_read = self.dac_read.wrapping_add(u8::from(self.dac_component == 0));
        value
    }

    fn write_dac(&mut self, value: u8) {
        let at = usize::from(self.dac_write) * 3 + usize::from(self.dac_component % 3);
        self.palette[at] = value & 0x3f;
        self.dac_component = (self.dac_component + 1) % 3;
        self.dac_write = self.dac_write.wrapping_add(u8::from(self.dac_component == 0));
    }

    /// Where the memory is in the window at A0000h: start and length (graphics register 6, bits 2-3).
    pub fn window(&self) -> (u32, u32) {
        match self.gc[6] >> 2 & 3 {
            0 => (WINDOW, 0x2_0000),
            1 => (WINDOW, 0x1_0000),
            2 => (0xb_0000, 0x8000),
            _ => (0xb_8000, 0x8000),
        }
    }

    /// The address within the planes of offset `offset` from A0000h; `None` outside the window.
    fn decode(&self, offset: u32) -> Option<usize> {
        let (start, length) = self.window();
        let at = offset.checked_sub(start - WINDOW)?;
        (at < length && self.misc & 2 != 0).then_some(at as usize)
    }

    fn chain_4(&self) -> bool {
        self.seq[4] & 8 != 0
    }

    /// Reads a byte of memory at A0000h + `offset`; FFh where the adapter does not answer.
    pub fn read_memory(&self, offset: u32) -> u8 {
        let Some(at) = self.decode(offset) else { return 0xff };
        let select = usize::from(self.gc[4] & 3);
        let (at, plane) = if self.chain_4() {
            (at & !3, at & 3)
        } else if self.gc[5] & 0x10 != 0 {
            (self.odd_even(at), at & 1 | select & 2)
        } else {
            (at, select)
        };
        self.memory[at % PLANE * 4 + plane]
    }

    /// Odd/even addressing: address bit 0 selects the plane, so another takes its place: bit 16 in the
    /// 128 KiB window, else the page bit of the miscellaneous output register (where 1 is the low page).
    fn odd_even(&self, at: usize) -> usize {
        let wide = self.gc[6] >> 2 & 3 == 0;
        let bit = if wide { at >> 16 & 1 } else { usize::from(self.misc & 0x20 == 0) };
        at & !1 | bit
    }

    /// Writes a byte of memory at A0000h + `offset`, to the planes that the map mask enables.
    pub fn write_memory(&mut self, offset: u32, value: u8) {
        let Some(at) = self.decode(offset) else { return };
        let (at, planes) = if self.chain_4() {
            (at & !3, 1 << (at & 3))
        } else if self.seq[4] & 4 == 0 {
            (self.odd_even(at), if at & 1 != 0 { 0b1010 } else { 0b0101 })
        } else {
            (at, 0b1111)
        };
        let planes = planes & self.seq[2];
        let cell = self.memory.iter_mut().skip(at % PLANE * 4).take(4);
        cell.enumerate().filter(|(plane, _)| planes >> plane & 1 != 0).for_each(|(_, byte)| *byte = value);
    }

    /// Whether the adapter is in a text mode.
    pub fn is_text(&self) -> bool {
        self.gc[6] & 1 == 0
    }

    /// The displayed rows and columns of characters.
    fn size(&self) -> (usize, usize) {
        let overflow = usize::from(self.crtc[7]);
        let lines = usize::from(self.crtc[0x12]) | (overflow >> 1 & 1) << 8 | (overflow >> 6 & 1) << 9;
        let double = if self.crtc[9] & 0x80 != 0 { 2 } else { 1 };
        let height = (usize::from(self.crtc[9] & 0x1f) + 1) * double;
        (((lines + 1) / height).max(1), usize::from(self.crtc[1]) + 1)
    }

    fn crtc_word(&self, high: usize) -> usize {
        usize::from(self.crtc[high]) << 8 | usize::from(self.crtc[high + 1])
    }

    /// The character at a CRTC address: word mode (register 17h, bit 6 clear) shifts it left, with bit 13 or 15 of
    /// the address counter in bit 0.
    fn cell(&self, address: usize) -> Cell {
        let mode = self.crtc[0x17];
        let at = if mode & 0x40 != 0 {
            address
        } else {
            address << 1 | address >> (if mode & 0x20 != 0 { 15 } else { 13 }) & 1
        };
        let at = at % PLANE * 4;
        Cell { character: self.memory[at], attribute: self.memory[at + 1] }
    }

    /// What the text screen shows. In a graphics mode the cells mean nothing: ask [`VgaText::is_text`].
    pub fn screen(&self) -> Text {
        let (rows, cols) = self.size();
        let (start, stride) = (self.crtc_word(0x0c), usize::from(self.crtc[0x13]) * 2);
        let addresses = (0..rows).flat_map(|row| (0..cols).map(move |col| start + row * stride + col));
        let cells = addresses.map(|address| self.cell(address & 0xffff)).collect();
        Text { cols, rows, cells, cursor: self.cursor(rows, cols) }
    }

    fn cursor(&self, rows: usize, cols: usize) -> Option<(usize, usize)> {
        let (first, last) = (self.crtc[0x0a] & 0x1f, self.crtc[0x0b] & 0x1f);
        let on = self.crtc[0x0a] & 0x20 == 0 && first <= last && first <= self.crtc[9] & 0x1f;
        let at = self.crtc_word(0x0e).wrapping_sub(self.crtc_word(0x0c)) & 0xffff;
        let stride = (usize::from(self.crtc[0x13]) * 2).max(1);
        let (col, row) = (at % stride, at / stride);
        (on && col < cols && row < rows).then_some((col, row))
    }

    /// The colour of attribute colour `index` (0-15) as red, green and blue of 8 bits.
    pub fn colour_of(&self, index: u8) -> [u8; 3] {
        let attr = self.attr[usize::from(index & 15)] & 0x3f;
        let select = self.attr[0x14];
        let low = if self.attr[0x10] & 0x80 != 0 { attr & 0x0f | (select & 3) << 4 } else { attr };
        let dac = usize::from((low | (select & 0x0c) << 4) & self.pel_mask) * 3;
        [0, 1, 2].map(|i| self.palette[dac + i] << 2 | self.palette[dac + i] >> 4)
    }

    fn check(s: &VgaTextStateV1) -> Result<(), StateError> {
        ensure(s.palette.len() == 768 && s.palette.iter().all(|&c| c < 64), "vga_text", "palette")?;
        ensure(s.memory.len() == 4 * PLANE, "vga_text", "memory")?;
        ensure(s.dac_component < 3, "vga_text", "dac_component")?;
        ensure(s.seq_index < 8 && s.gc_index < 16, "vga_text", "seq_index, gc_index")?;
        ensure(s.crtc_index < 64 && s.attr_index < 64, "vga_text", "crtc_index, attr_index")
    }
}

fn get(registers: &[u8], index: u8) -> u8 {
    registers.get(usize::from(index)).copied().unwrap_or(0)
}

fn put(registers: &mut [u8], index: u8, value: u8) {
    if let Some(register) = registers.get_mut(usize::from(index)) {
        *register = value;
    }
}

/// The 64 colours of the EGA: bits 0-2 are blue, green and red at two thirds, bits 3-5 at one third.
fn default_palette() -> Vec<u8> {
    let component = |i: usize, bit: usize| (i >> bit & 1) as u8 * 42 + (i >> (bit + 3) & 1) as u8 * 21;
    (0..256).flat_map(|i| [2, 1, 0].map(|bit| component(i, bit))).collect()
}

frozen! {
    /// The adapter, version 1.
    VgaTextStateV1 of VgaText {
        misc: u8, feature: u8, seq_index: u8, seq: [u8; 5], gc_index: u8, gc: [u8; 9], crtc_index: u8, crtc: [u8; 25],
        attr_index: u8, attr: [u8; 21], attr_data: bool, pel_mask: u8, dac_read: u8, dac_write: u8, dac_component: u8,
        dac_reading: bool, palette: Vec<u8>, memory: Vec<u8>,
    }
}
device_state!(VgaText, VgaTextState, VgaTextStateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    fn index(vga: &mut VgaText, port: u16, index: u8, value: u8) {
        vga.write(port - FIRST_PORT, index);
        vga.write(port + 1 - FIRST_PORT, value);
    }

    fn print(vga: &mut VgaText, at: u32, text: &str) {
        for (i, b) in text.bytes().enumerate() {
            vga.write_memory(0x1_8000 + at + 2 * i as u32, b);
            vga.write_memory(0x1_8001 + at + 2 * i as u32, 0x1f);
        }
    }

    #[test]
    fn text_screen() {
        let mut vga = VgaText::new();
        print(&mut vga, 0, "Hello");
        print(&mut vga, 24 * 160 + 150, "there");
        let text = vga.screen();
        assert_eq!((text.cols, text.rows, text.cursor), (80, 25, Some((0, 0))));
        assert_eq!(text.row(0), "Hello");
        assert_eq!(text.row(24).trim_start(), "there");
        assert_eq!(text.row(25), "");
        assert_eq!(text.cells[0], Cell { character: b'H', attribute: 0x1f });
        assert_eq!(text.cells[5], Cell { character: b' ', attribute: 0x07 });
        assert_eq!((vga.read_memory(0x1_8000), vga.read_memory(0x1_8001)), (b'H', 0x1f));
        assert_eq!(vga.read_memory(0), 0xff, "the window is at B8000h");
        assert!(vga.is_text());
    }

    #[test]
    fn start_address_and_cursor() {
        let mut vga = VgaText::new();
        print(&mut vga, 160, "second");
        index(&mut vga, 0x3d4, 0x0d, 80);
        index(&mut vga, 0x3d4, 0x0f, 80 + 85);
        assert_eq!(vga.screen().row(0), "second");
        assert_eq!(vga.screen().cursor, Some((5, 1)));
        index(&mut vga, 0x3d4, 0x0a, 0x20);
        assert_eq!(vga.screen().cursor, None);
    }

    #[test]
    fn crtc_write_protection() {
        let mut vga = VgaText::new();
        index(&mut vga, 0x3d4, 1, 0x27);
        assert_eq!(vga.screen().cols, 80);
        index(&mut vga, 0x3d4, 0x11, 0x0e);
        index(&mut vga, 0x3d4, 1, 0x27);
        assert_eq!(vga.screen().cols, 40);
        index(&mut vga, 0x3d4, 9, 0x47);
        assert_eq!(vga.screen().rows, 50, "an 8-line font");
    }

    #[test]
    fn attribute_flip_flop() {
        let mut vga = VgaText::new();
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

    #[test]
    fn retrace_comes_with_time() {
        let mut vga = VgaText::new();
        let mut status = |t| vga.read(0x2a, t);
        assert_eq!(status(0), 0);
        assert_eq!(status(26_000), 1, "horizontal");
        assert_eq!(status(405 * LINE_TIME), 1);
        assert_eq!(status(412 * LINE_TIME), 9);
        assert_eq!(status(414 * LINE_TIME), 1);
        assert_eq!(status(FRAME_LINES * LINE_TIME), 0);
    }

    #[test]
    fn monochrome_ports() {
        let mut vga = VgaText::new();
        assert_eq!(vga.read(0x04, 0), 0xff);
        vga.write(0x12, 0x66);
        vga.write(0x04, 0x0e);
        assert_eq!((vga.read(0x04, 0), vga.read(0x24, 0)), (0x0e, 0xff));
    }

    #[test]
    fn dac_counts_through_three_components() {
        let mut vga = VgaText::new();
        vga.write(0x18, 5);
        [1, 2, 0xff, 4].into_iter().for_each(|v| vga.write(0x19, v));
        vga.write(0x17, 5);
        assert_eq!([0; 4].map(|_| vga.read(0x19, 0)), [1, 2, 0x3f, 4]);
        let vga = VgaText::new();
        assert_eq!([1, 6, 15].map(|i| vga.colour_of(i)), [[0, 0, 170], [170, 85, 0], [255; 3]]);
    }

    // The way that fonts are loaded: sequential access to plane 2 at A0000h.
    #[test]
    fn fonts_go_to_plane_2() {
        let mut vga = VgaText::new();
        print(&mut vga, 0, "A");
        index(&mut vga, 0x3c4, 2, 4);
        index(&mut vga, 0x3c4, 4, 7);
        index(&mut vga, 0x3ce, 4, 2);
        index(&mut vga, 0x3ce, 5, 0);
        index(&mut vga, 0x3ce, 6, 0);
        vga.write_memory(1, 0x7e);
        vga.write_memory(0, 0x81);
        assert_eq!([vga.read_memory(0), vga.read_memory(1)], [0x81, 0x7e]);
        assert_eq!(vga.screen().row(0), "A");
    }

    #[test]
    fn state_round_trip() {
        let mut vga = VgaText::new();
        print(&mut vga, 0, "saved");
        let state = vga.save();
        let mut other = VgaText::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(other.screen(), vga.screen());
        let VgaTextState::V1(mut bad) = state;
        bad.memory.pop();
        assert!(other.restore(&VgaTextState::V1(bad)).is_err());
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut vga = VgaText::new();
        fuzz(11, |r, now| {
            let (offset, value) = (r.below(0x40) as u16, r.byte());
            match r.below(8) {
                0 | 1 => _ = vga.read(offset, now),
                2..5 => vga.write(offset, value),
                5 => _ = vga.read_memory(r.next() as u32 & 0x3_ffff),
                6 => vga.write_memory(r.next() as u32 & 0x3_ffff, value),
                _ if r.below(500) == 0 => assert!(vga.screen().cells.len() <= 256 * 1024),
                _ => _ = vga.colour_of(value),
            }
        });
        let VgaTextState::V1(state) = vga.save();
        assert_eq!(VgaText::check(&state), Ok(()));
    }
}
