//! The picture that the screen shows, dot by dot.

use super::{PLANE, Vga};
use crate::VideoMemory;
use crate::time::Nanos;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Pixels in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Line by line: red in bits 16-23, green in 8-15, blue in 0-7.
    pub pixels: Vec<u32>,
}

/// Half a period of the cursor's blinking: eight frames of 70 Hz.
const CURSOR_TIME: Nanos = 114_000_000;

impl Frame {
    fn black(width: usize, height: usize) -> Frame {
        Frame { width, height, pixels: vec![0; width * height] }
    }
}

fn rgb([r, g, b]: [u8; 3]) -> u32 {
    u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b)
}

/// What of a scan line follows from its number: the address counter at its left end, the line
/// within the character row, and the dots by which it is shifted.
struct Line {
    counter: usize,
    row_line: usize,
    pan: usize,
    text_pan: usize,
}

impl Vga {
    /// The phase of what changes by time alone: 0 where nothing blinks.
    pub fn phase(&self, now: Nanos) -> u64 {
        if self.is_text() { now / CURSOR_TIME % 4 } else { 0 }
    }

    /// The picture at `now`.
    pub fn frame(&self, vram: &dyn VideoMemory, now: Nanos) -> Frame {
        if self.vbe.is_linear() {
            return self.linear_frame(vram);
        }
        if self.vbe.is_on() {
            return self.vbe_planar_frame(vram);
        }
        let (width, height) = self.frame_size();
        let mut frame = Frame::black(width, height);
        if self.is_dark() {
            return frame;
        }
        let mut memory = vec![0; 4 * PLANE];
        vram.read(0, &mut memory);
        let colours: [u32; 16] = std::array::from_fn(|n| rgb(self.colour_of(n as u8)));
        for (y, out) in frame.pixels.chunks_exact_mut(width).enumerate() {
            let line = self.line(y);
            match (self.is_text(), self.gc[5] >> 5 & 3) {
                (true, _) => self.text_line(&line, &memory, &colours, now, out),
                (false, 0) => self.planar_line(&line, &memory, &colours, out),
                (false, 1) => self.pairs_line(&line, &memory, &colours, out),
                (false, _) => self.bytes_line(&line, &memory, out),
            }
        }
        frame
    }

    /// The screen is off: by the sequencer, or while the palette is being written.
    fn is_dark(&self) -> bool {
        self.seq[1] & 0x20 != 0 || self.seq[0] & 3 != 3 || self.attr_index & 0x20 == 0
    }

    /// Dots and lines of a mode of the VGA itself; a halved dot clock makes dots twice as wide.
    fn frame_size(&self) -> (usize, usize) {
        let dots = if self.is_text() { self.dots() } else { 8 };
        ((usize::from(self.crtc[1]) + 1) * dots * self.dot_width(), self.lines())
    }

    fn dot_width(&self) -> usize {
        if self.seq[1] & 8 != 0 { 2 } else { 1 }
    }

    fn line(&self, y: usize) -> Line {
        let o = usize::from(self.crtc[7]);
        let compare =
            usize::from(self.crtc[0x18]) | (o >> 4 & 1) << 8 | usize::from(self.crtc[9] >> 6 & 1) << 9;
        let below = y > compare;
        let start = self.crtc_word(0x0c) + usize::from(self.crtc[8] >> 5 & 3);
        let (y, start) = if below { (y - compare - 1, 0) } else { (y, start) };
        let y = if self.crtc[9] & 0x80 != 0 { y / 2 } else { y };
        let y = if below { y } else { y + usize::from(self.crtc[8] & 0x1f) };
        let height = usize::from(self.crtc[9] & 0x1f) + 1;
        let fixed = below && self.attr[0x10] & 0x20 != 0;
        let pan = usize::from(self.attr[0x13] & 15);
        let stride = usize::from(self.crtc[0x13]) * 2;
        Line {
            counter: start + y / height * stride,
            row_line: y % height,
            pan: if fixed { 0 } else { pan },
            text_pan: if fixed { 0 } else { self.text_pan(pan) },
        }
    }

    /// The address in the planes of a value of the address counter, in a line of its row: byte, word or
    /// doubleword mode, and CGA's and Hercules' interleaved lines (CRTC registers 14h and 17h).
    pub(super) fn plane_address(&self, counter: usize, row_line: usize) -> usize {
        let mode = self.crtc[0x17];
        let counter = counter & 0xffff;
        let mut at = if self.crtc[0x14] & 0x40 != 0 {
            counter << 2 | counter >> 14 & 3
        } else if mode & 0x40 != 0 {
            counter
        } else {
            counter << 1 | counter >> (if mode & 0x20 != 0 { 15 } else { 13 }) & 1
        };
        if mode & 1 == 0 && !self.is_text() {
            at = at & !0x2000 | (row_line & 1) << 13;
        }
        if mode & 2 == 0 && !self.is_text() {
            at = at & !0x4000 | (row_line >> 1 & 1) << 14;
        }
        at & 0xffff
    }

    /// The four bytes of the planes.
    fn planes(&self, line: &Line, column: usize, memory: &[u8]) -> [u8; 4] {
        let at = self.plane_address(line.counter + column, line.row_line) % PLANE * 4;
        std::array::from_fn(|n| memory.get(at + n).copied().unwrap_or(0))
    }

    /// Shift mode 0: a bit of each plane is a dot.
    fn planar_line(&self, line: &Line, memory: &[u8], colours: &[u32; 16], out: &mut [u32]) {
        let (wide, enabled) = (self.dot_width(), self.attr[0x12] & 15);
        let pan = line.pan & 7;
        for (x, dots) in out.chunks_mut(wide).enumerate() {
            let x = x + pan;
            let planes = self.planes(line, x / 8, memory);
            let bit = 7 - x % 8;
            let colour = (0..4).fold(0, |c, n| c | (planes[n] >> bit & 1) << n);
            dots.fill(colours[usize::from(colour & enabled)]);
        }
    }

    /// Shift mode 1: two bits of a byte are a dot, first plane 0, then plane 1; planes 2 and 3 give the
    /// upper bits of the colour.
    fn pairs_line(&self, line: &Line, memory: &[u8], colours: &[u32; 16], out: &mut [u32]) {
        let (wide, enabled) = (self.dot_width(), self.attr[0x12] & 15);
        for (x, dots) in out.chunks_mut(wide).enumerate() {
            let x = x + (line.pan & 7);
            let planes = self.planes(line, x / 8, memory);
            let (plane, shift) = (x / 4 % 2, 6 - x % 4 * 2);
            let colour = planes[plane] >> shift & 3 | (planes[plane + 2] >> shift & 3) << 2;
            dots.fill(colours[usize::from(colour & enabled)]);
        }
    }

    /// 256 colours: a byte of a plane is a dot of two widths.
    fn bytes_line(&self, line: &Line, memory: &[u8], out: &mut [u32]) {
        let wide = 2 * self.dot_width();
        for (x, dots) in out.chunks_mut(wide).enumerate() {
            let x = x + (line.pan >> 1 & 3);
            let colour = self.planes(line, x / 4, memory)[x % 4] & self.pel_mask;
            dots.fill(rgb(self.dac(colour.into())));
        }
    }

    /// How many dots a text mode's lines are shifted to the left by. Of nine dots, 8 is no shift, and 0 to 7
    /// are shifts by one to eight (IBM VGA Technical Reference, "Horizontal PEL Panning Register").
    fn text_pan(&self, pan: usize) -> usize {
        match (self.dots(), pan) {
            (9, 0..8) => pan + 1,
            (9, _) => 0,
            _ => pan & 7,
        }
    }

    fn text_line(&self, line: &Line, memory: &[u8], colours: &[u32; 16], now: Nanos, out: &mut [u32]) {
        let (dots, wide, pan) = (self.dots(), self.dot_width(), line.text_pan);
        let dark = self.attr[0x10] & 8 != 0 && !(now / (2 * CURSOR_TIME)).is_multiple_of(2);
        for column in 0..=out.len() / (dots * wide) {
            let counter = (line.counter + column) & 0xffff;
            let cell = self.cell(counter, memory);
            let (ink, paper) = self.ink_and_paper(cell.attribute, dark);
            let bits = self.glyph_line(cell.character, cell.attribute, line.row_line, memory);
            let bits = if self.cursor_covers(counter, line.row_line, now) { 0x1ff } else { bits };
            for x in 0..dots {
                let Some(at) = (column * dots + x).checked_sub(pan) else { continue };
                let Some(out) = out.get_mut(at * wide..(at + 1) * wide) else { break };
                let lit = bits >> (8 - x.min(8)) & 1 != 0;
                out.fill(colours[usize::from(if lit { ink } else { paper })]);
            }
        }
    }

    /// The two colours of a cell, in a phase in which blinking characters are dark or not.
    fn ink_and_paper(&self, attribute: u8, dark: bool) -> (u8, u8) {
        let (ink, paper) = (attribute & 15, attribute >> 4);
        if self.attr[0x10] & 8 == 0 {
            return (ink, paper);
        }
        let hidden = dark && attribute & 0x80 != 0;
        (if hidden { paper & 7 } else { ink }, paper & 7)
    }

    /// Nine bits of a character's line, the leftmost in bit 8.
    fn glyph_line(&self, code: u8, attribute: u8, line: usize, memory: &[u8]) -> u16 {
        let s = self.seq[3];
        let map = if attribute & 8 != 0 { s >> 2 & 3 | s >> 3 & 4 } else { s & 3 | s >> 2 & 4 };
        // maps 0-3 lie 16 KiB apart, 4-7 between them
        let base = usize::from(map & 3) * 0x4000 + usize::from(map >> 2) * 0x2000;
        let at = (base + usize::from(code) * 32 + line.min(31)) * 4 + 2;
        let bits = u16::from(memory.get(at).copied().unwrap_or(0)) << 1;
        // attributes of foreground 1 on background 0 alone (MDA: "underline")
        let underlined =
            self.attr[0x10] & 2 != 0 && attribute & 0x77 == 1 && line == usize::from(self.crtc[0x14] & 0x1f);
        if underlined {
            return 0x1ff;
        }
        // line-drawing characters go on into the ninth dot
        let joined = self.attr[0x10] & 4 != 0 && (0xc0..=0xdf).contains(&code);
        if joined { bits | bits >> 1 & 1 } else { bits }
    }

    fn cursor_covers(&self, counter: usize, line: usize, now: Nanos) -> bool {
        let (first, last) = (usize::from(self.crtc[0x0a] & 0x1f), usize::from(self.crtc[0x0b] & 0x1f));
        let on = self.crtc[0x0a] & 0x20 == 0 && (now / CURSOR_TIME).is_multiple_of(2);
        // the skew moves it to the right by so many characters
        let at = self.crtc_word(0x0e) + usize::from(self.crtc[0x0b] >> 5 & 3);
        on && counter == at & 0xffff && (first..=last).contains(&line)
    }

    /// A VBE mode of one pixel after the other.
    fn linear_frame(&self, vram: &dyn VideoMemory) -> Frame {
        let v = &self.vbe;
        let mut frame = Frame::black(v.width.into(), v.height.into());
        let bytes = (usize::from(v.depth) + 1) / 8;
        let (first, _) = v.visible();
        let mut row = vec![0; frame.width * bytes];
        for (y, out) in frame.pixels.chunks_exact_mut(frame.width).enumerate() {
            vram.read(first.saturating_add(y as u32 * v.stride()), &mut row);
            for (pixel, from) in out.iter_mut().zip(row.chunks_exact(bytes)) {
                *pixel = self.pixel(from);
            }
        }
        frame
    }

    /// A VBE mode of four planes: as the VGA's own, but of planes that may be larger.
    fn vbe_planar_frame(&self, vram: &dyn VideoMemory) -> Frame {
        let v = &self.vbe;
        let mut frame = Frame::black(v.width.into(), v.height.into());
        if self.is_dark() {
            return frame;
        }
        let (enabled, pan) = (self.attr[0x12] & 15, usize::from(self.attr[0x13] & 7));
        let colours: [u32; 16] = std::array::from_fn(|n| rgb(self.colour_of(n as u8)));
        // what is panned in from behind a line is read apart: behind the last there may be no memory
        let whole = frame.width.div_ceil(8) * 4;
        let mut row = vec![0; whole + 4];
        for (y, out) in frame.pixels.chunks_exact_mut(frame.width).enumerate() {
            let at = v.visible().0.wrapping_add(y as u32 * v.stride());
            vram.read(at, &mut row[..whole]);
            if pan > 0 {
                vram.read(at.wrapping_add(whole as u32), &mut row[whole..]);
            }
            for (x, dot) in out.iter_mut().enumerate() {
                let (at, bit) = ((x + pan) / 8 * 4, 7 - (x + pan) % 8);
                let colour = (0..4).fold(0, |c, n| c | (row[at + n] >> bit & 1) << n);
                *dot = colours[usize::from(colour & enabled)];
            }
        }
        frame
    }

    fn pixel(&self, from: &[u8]) -> u32 {
        let five = |v: u16| u32::from(v << 3 | v >> 2);
        match *from {
            [index] => rgb(self.dac((index & self.pel_mask).into())),
            [a, b] => {
                let v = u16::from_le_bytes([a, b]);
                if self.vbe.depth == 15 {
                    five(v >> 10 & 31) << 16 | five(v >> 5 & 31) << 8 | five(v & 31)
                } else {
                    let green = v >> 5 & 63;
                    five(v >> 11) << 16 | u32::from(green << 2 | green >> 4) << 8 | five(v & 31)
                }
            }
            [b, g, r, ..] => rgb([r, g, b]),
            [] => 0,
        }
    }
}
