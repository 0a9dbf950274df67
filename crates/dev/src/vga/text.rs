//! What a text mode shows, as characters.

use super::{PLANE, Vga};
use crate::VideoMemory;

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

impl Vga {
    /// Whether the adapter is in a text mode.
    pub fn is_text(&self) -> bool {
        self.gc[6] & 1 == 0 && !self.vbe.is_on()
    }

    /// Blank characters, and a font where there is none yet: the screen that a kernel finds which no BIOS
    /// has loaded.
    pub fn blank_text(&self, vram: &mut dyn VideoMemory) {
        for at in 0..0x4000 {
            vram.write(at * 8, &[b' ', 7]);
        }
        super::font::load(vram);
    }

    /// The displayed rows and columns of characters.
    fn size(&self) -> (usize, usize) {
        let double = if self.crtc[9] & 0x80 != 0 { 2 } else { 1 };
        let height = (usize::from(self.crtc[9] & 0x1f) + 1) * double;
        ((self.lines() / height).max(1), usize::from(self.crtc[1]) + 1)
    }

    /// The character at a value of the CRTC's address counter.
    pub(super) fn cell(&self, address: usize, memory: &[u8]) -> Cell {
        let at = self.plane_address(address, 0) % PLANE * 4;
        let byte = |n: usize| memory.get(at + n).copied().unwrap_or(0);
        Cell { character: byte(0), attribute: byte(1) }
    }

    /// What the text screen shows. In a graphics mode the cells mean nothing: ask [`Vga::is_text`].
    pub fn text(&self, vram: &dyn VideoMemory) -> Text {
        let mut memory = vec![0; 4 * PLANE];
        vram.read(0, &mut memory);
        let (rows, cols) = self.size();
        let (start, stride) = (self.crtc_word(0x0c), usize::from(self.crtc[0x13]) * 2);
        let addresses = (0..rows).flat_map(|row| (0..cols).map(move |col| start + row * stride + col));
        let cells = addresses.map(|address| self.cell(address & 0xffff, &memory)).collect();
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
}
