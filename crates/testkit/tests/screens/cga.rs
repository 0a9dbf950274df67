//! The CGA's graphics modes: lines in two banks, and dots of two bits or one.

use crate::Case;
use crate::guest::{bios, dac, fill, noise_bytes};
use crate::picture::{Picture, through};

const SEED: u32 = 31;
/// The palettes of modes 4 and 5, and of 6 (IBM VGA Technical Reference, mode tables).
const FOUR: [u8; 16] = [0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17];
const TWO: [u8; 16] =
    [0, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17];

/// 200 lines, each shown twice; odd ones lie 8 KiB behind the even ones.
fn picture(bits: usize, palette: &[u8; 16]) -> Picture {
    let (memory, colours) = (noise_bytes(SEED, 0x4000), through(palette));
    Picture::of(640, 400, |x, y| {
        let (dot, y) = (x / bits, y / 2);
        let per_byte = 8 / bits;
        let byte = memory[y % 2 * 0x2000 + y / 2 * 80 + dot / per_byte];
        let shift = 8 - bits - dot % per_byte * bits;
        colours[usize::from(byte >> shift) & ((1 << bits) - 1)]
    })
}

fn case(mode: u32, bits: usize, palette: &'static [u8; 16]) -> Case {
    Case::new(
        format!("cga_{mode:02x}h"),
        move |a| {
            bios(a, mode)?;
            dac(a)?;
            fill(a, "dots", 0xb800, SEED, 0x4000)
        },
        move |_| picture(bits, palette),
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![case(4, 2, &FOUR), case(5, 2, &FOUR), case(6, 1, &TWO)]
}
