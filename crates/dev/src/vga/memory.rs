//! The window of video memory below 1 MiB: write modes, latches, plane selection (IBM VGA Technical
//! Reference, "Graphics Controller").

use super::{PLANE, Vga, WINDOW};
use crate::VideoMemory;

impl Vga {
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

    /// Odd/even addressing: address bit 0 selects the plane, so another takes its place: bit 16 in the
    /// 128 KiB window, else the page bit of the miscellaneous output register (where 1 is the low page).
    fn odd_even(&self, at: usize) -> usize {
        let wide = self.gc[6] >> 2 & 3 == 0;
        let bit = if wide { at >> 16 & 1 } else { usize::from(self.misc & 0x20 == 0) };
        at & !1 | bit
    }

    /// Reads a byte of memory at A0000h + `offset`; FFh where the adapter does not answer.
    pub fn read_memory(&mut self, offset: u32, vram: &dyn VideoMemory) -> u8 {
        let Some(at) = self.decode(offset) else { return 0xff };
        if self.vbe.is_linear() {
            return byte(vram, self.vbe.banked(at as u32));
        }
        let select = usize::from(self.gc[4] & 3);
        let (at, plane) = if self.chain_4() {
            (at & !3, at & 3)
        } else if self.gc[5] & 0x10 != 0 {
            (self.odd_even(at), at & 1 | select & 2)
        } else {
            (at, select)
        };
        vram.read(self.planes_at(at), &mut self.latch);
        if self.gc[5] & 8 == 0 {
            return self.latch[plane];
        }
        self.compare()
    }

    /// Where the four bytes of an address in the planes are. VBE's planes may have several banks of 64 KiB.
    fn planes_at(&self, at: usize) -> u32 {
        let at = (at % PLANE) as u32;
        4 * if self.vbe.is_on() { self.vbe.banked(at) } else { at }
    }

    /// Read mode 1: a bit is set where every plane that is cared for has the colour compared with.
    fn compare(&self) -> u8 {
        let planes = self.latch.iter().enumerate().filter(|(n, _)| self.gc[7] >> n & 1 != 0);
        planes.fold(0xff, |equal, (n, &b)| equal & if self.gc[2] >> n & 1 != 0 { b } else { !b })
    }

    /// Writes a byte of memory at A0000h + `offset`.
    pub fn write_memory(&mut self, offset: u32, value: u8, vram: &mut dyn VideoMemory) {
        let Some(at) = self.decode(offset) else { return };
        if self.vbe.is_linear() {
            return vram.write(self.vbe.banked(at as u32), &[value]);
        }
        let (at, planes) = if self.chain_4() {
            (at & !3, 1 << (at & 3))
        } else if self.seq[4] & 4 == 0 {
            (self.odd_even(at), if at & 1 != 0 { 0b1010 } else { 0b0101 })
        } else {
            (at, 0b1111)
        };
        let planes = planes & self.seq[2];
        let new = self.written(value);
        let at = self.planes_at(at);
        if planes & 15 == 15 {
            return vram.write(at, &new);
        }
        (0..4)
            .filter(|n| planes >> n & 1 != 0)
            .for_each(|n| vram.write(at + n, &new[n as usize..=n as usize]));
    }

    /// What a write of `value` makes of the four planes, by write mode.
    fn written(&self, value: u8) -> [u8; 4] {
        let rotated = value.rotate_right(u32::from(self.gc[3] & 7));
        let mode = self.gc[5] & 3;
        if mode == 1 {
            return self.latch;
        }
        let mask = if mode == 3 { self.gc[8] & rotated } else { self.gc[8] };
        std::array::from_fn(|n| {
            let ones = |bits: u8| if bits >> n & 1 != 0 { 0xff } else { 0 };
            let source = match mode {
                2 => ones(value),
                3 => ones(self.gc[0]),
                _ if self.gc[1] >> n & 1 != 0 => ones(self.gc[0]),
                _ => rotated,
            };
            let latch = self.latch[n];
            let result = match self.gc[3] >> 3 & 3 {
                _ if mode == 3 => source,
                1 => source & latch,
                2 => source | latch,
                3 => source ^ latch,
                _ => source,
            };
            result & mask | latch & !mask
        })
    }
}

fn byte(vram: &dyn VideoMemory, at: u32) -> u8 {
    let mut b = [0];
    vram.read(at, &mut b);
    b[0]
}
