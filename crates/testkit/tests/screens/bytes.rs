//! Modes of 256 colours: mode 13h, its planes chained or not.

use crate::Case;
use crate::guest::{attributes, bios, crtc, dac, fill, fill_planes, index, noise_bytes, out};
use crate::picture::{self, Picture};
use crate::planar::planes;
use crate::writes::pass;
use test_roms::asm::{Asm, Assembled};

const SEED: u32 = 2000;
pub(crate) const MASKED: &str =
    "QEMU is wrong: it has no PEL mask (port 3C6h), which the manual's DAC takes every index through";
const CHAINED: &str = "QEMU is wrong: it writes chained planes past the graphics controller, of which the manual makes no \
     exception";
/// Bytes that are combined.
const PART: usize = 40_000;
const PANNING: &str = "QEMU is wrong: it does not pan (attribute register 13h)";

fn mode_13(a: &mut Asm) -> Assembled {
    bios(a, 0x13)?;
    dac(a)?;
    fill(a, "dots", 0xa000, SEED, 64000)
}

/// 320 by 200, each dot twice as wide and high. The last line's panned end comes from behind it.
fn picture(mask: u8, pan: usize) -> Picture {
    let (mut memory, dac) = (noise_bytes(SEED, 64000), picture::dac());
    memory.resize(0x1_0000, 0);
    Picture::of(640, 400, |x, y| dac[usize::from(memory[y / 2 * 320 + x / 2 + pan] & mask)])
}

/// 320 by 240 with a byte of each plane an address (IBM VGA Technical Reference, "Sequencer":
/// chain 4 off; CRTC in byte mode, 480 lines).
fn unchained(a: &mut Asm) -> Assembled {
    bios(a, 0x13)?;
    dac(a)?;
    index(a, 0x3c4, 4, 6)?;
    out(a, 0x3c2, 0xe3)?;
    // of which the line compare register keeps its upper bits
    crtc(
        a,
        &[
            (6, 0x0d),
            (7, 0x3e),
            (9, 0x41),
            (0x10, 0xea),
            (0x11, 0x0c),
            (0x12, 0xdf),
            (0x14, 0),
            (0x15, 0xe7),
            (0x16, 6),
            (0x17, 0xe3),
        ],
    )
}

/// Two pages of it.
const PAGE: usize = 80 * 240;

fn unchained_picture(start: usize) -> Picture {
    let (planes, dac) = (planes(SEED, 2 * PAGE as u32), picture::dac());
    Picture::of(640, 480, |x, y| dac[usize::from(planes[x / 2 % 4][start + y / 2 * 80 + x / 8])])
}

/// 360 by 480: 90 characters at 28 MHz, each line once.
fn wide() -> Case {
    const BYTES: u32 = 90 * 480;
    Case::new(
        "bytes_unchained_360_by_480",
        |a| {
            unchained(a)?;
            out(a, 0x3c2, 0xe7)?;
            crtc(a, &[(0, 0x6b), (1, 89), (2, 90), (3, 0x8e), (4, 0x5e), (5, 0x8a), (9, 0x40), (0x13, 45)])?;
            fill_planes(a, SEED, BYTES)
        },
        |_| {
            let (planes, dac) = (planes(SEED, BYTES), picture::dac());
            Picture::of(720, 480, |x, y| dac[usize::from(planes[x / 2 % 4][y * 90 + x / 8])])
        },
    )
}

/// Mode X, showing the page that starts there.
fn page(name: &str, start: u32) -> Case {
    Case::new(
        name,
        move |a| {
            unchained(a)?;
            fill_planes(a, SEED, 2 * PAGE as u32)?;
            crtc(a, &[(0x0c, start >> 8), (0x0d, start & 0xff)])
        },
        move |_| unchained_picture(start as usize),
    )
}

/// Chained planes are behind the graphics controller like others: exclusive or, by a bit mask, with noise.
fn combined() -> Case {
    let old = || noise_bytes(SEED, 64000);
    let picture = |bytes: Vec<u8>| {
        let dac = picture::dac();
        Picture::of(640, 400, |x, y| dac[usize::from(bytes[y / 2 * 320 + x / 2])])
    };
    Case::new(
        "bytes_through_the_graphics_controller",
        |a| {
            mode_13(a)?;
            index(a, 0x3ce, 3, 0x18)?;
            index(a, 0x3ce, 8, 0x3c)?;
            pass(a, 0, 0, PART, Some(SEED + 1))
        },
        move |_| {
            let mut bytes = old();
            for (byte, data) in bytes.iter_mut().zip(noise_bytes(SEED + 1, PART)) {
                *byte ^= data & 0x3c;
            }
            picture(bytes)
        },
    )
    .but_qemu(CHAINED, move |_| {
        let mut bytes = old();
        bytes[..PART].copy_from_slice(&noise_bytes(SEED + 1, PART));
        picture(bytes)
    })
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("bytes_13h", mode_13, |_| picture(0xff, 0)),
        Case::new(
            "bytes_pel_mask",
            |a| {
                mode_13(a)?;
                out(a, 0x3c6, 0x5a)
            },
            |_| picture(0x5a, 0),
        )
        .but_qemu(MASKED, |_| picture(0xff, 0)),
        // of 256 colours, panning goes by two
        Case::new(
            "bytes_panning",
            |a| {
                mode_13(a)?;
                attributes(a, &[(0x13, 4)])
            },
            |_| picture(0xff, 2),
        )
        .but_qemu(PANNING, |_| picture(0xff, 0)),
        Case::new(
            "bytes_split_screen",
            |a| {
                unchained(a)?;
                fill_planes(a, SEED, 2 * PAGE as u32)?;
                crtc(a, &[(0x0c, 0x4b), (0x0d, 0), (7, 0x2e), (9, 1), (0x18, 99)])
            },
            |_| {
                let (above, below) = (unchained_picture(PAGE), unchained_picture(0));
                Picture::of(640, 480, |x, y| match y {
                    0..100 => above.pixels[y * 640 + x],
                    _ => below.pixels[(y - 100) * 640 + x],
                })
            },
        ),
        combined(),
        wide(),
        page("bytes_unchained_320_by_240", 0),
        page("bytes_page_flip", PAGE as u32),
    ]
}
