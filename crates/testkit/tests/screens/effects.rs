//! What attribute controller and CRTC make of a planar screen.

use crate::Case;
use crate::guest::{attributes, bios, crtc, dac, fill_planes, index, out};
use crate::picture::{self, Picture};
use crate::planar::{SEED, Screen, planes};
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const PANNING: &str = "QEMU is wrong: it does not pan (attribute register 13h)";
const OFF: &str = "QEMU is wrong: it ignores the screen-off bit of the clocking mode register (bit 5)";
const BYTES: u32 = 60_000;

/// Mode 12h with a change, and what is seen of it.
fn changed(name: &str, change: fn(&mut Asm) -> Assembled, screen: Screen) -> Case {
    Case::new(
        name,
        move |a| {
            bios(a, 0x12)?;
            dac(a)?;
            fill_planes(a, SEED, BYTES)?;
            change(a)
        },
        move |_| screen.draw(&planes(SEED, BYTES)),
    )
}

/// The display switched off.
fn dark(name: &str, off: fn(&mut Asm) -> Assembled) -> Case {
    Case::new(
        name,
        move |a| {
            bios(a, 0x12)?;
            fill_planes(a, SEED, BYTES)?;
            off(a)
        },
        |_| Picture::of(640, 480, |_, _| 0),
    )
}

/// With `P5, P4 select` (bit 7 of the mode) the colour select register gives bits 4 and 5 too.
fn selected(select: usize, whole: bool) -> [u32; 16] {
    let dac = picture::dac();
    std::array::from_fn(|n| {
        let own = usize::from(crate::text::COLOUR[n]);
        dac[if whole { own & 15 | select << 4 } else { own | select >> 2 << 6 }]
    })
}

fn palette() -> Vec<Case> {
    let base = Screen::mode_12;
    let dac = picture::dac();
    vec![
        changed(
            "planar_palette",
            |a| {
                let values: Vec<(u32, u32)> = (0..16).map(|n| (n, 0x3f - 3 * n)).collect();
                attributes(a, &values)
            },
            Screen { colours: std::array::from_fn(|n| dac[0x3f - 3 * n]), ..base() },
        ),
        changed(
            "planar_colour_plane_enable",
            |a| attributes(a, &[(0x12, 0b1010)]),
            Screen { enabled: 0b1010, ..base() },
        ),
        changed(
            "planar_colour_select_of_2_bits",
            |a| attributes(a, &[(0x14, 0b1001)]),
            Screen { colours: selected(0b1001, false), ..base() },
        ),
        changed(
            "planar_colour_select_of_4_bits",
            |a| attributes(a, &[(0x10, 0x81), (0x14, 0b0110)]),
            Screen { colours: selected(0b0110, true), ..base() },
        ),
        changed(
            "planar_pel_mask",
            |a| out(a, 0x3c6, 0x2d),
            Screen { colours: crate::text::COLOUR.map(|n| dac[usize::from(n & 0x2d)]), ..base() },
        )
        .but_qemu(crate::bytes::MASKED, move |_| base().draw(&planes(SEED, BYTES))),
    ]
}

fn places() -> Vec<Case> {
    let base = Screen::mode_12;
    let pan = Screen { pan: 3, ..base() };
    let split = Screen { split: 200, start: 0x1234, ..base() };
    let panned = Screen { pan: 5, ..split.clone() };
    let fixed = Screen { split_pans: false, ..panned.clone() };
    // bit 8 of the line compare register is in the overflow register, bit 9 in the maximum scan line's
    fn halves(a: &mut Asm) -> Assembled {
        crtc(a, &[(0x0c, 0x12), (0x0d, 0x34), (7, 0x2e), (9, 0), (0x18, 200)])
    }
    vec![
        changed("planar_panning", |a| attributes(a, &[(0x13, 3)]), pan)
            .but_qemu(PANNING, move |_| base().draw(&planes(SEED, BYTES))),
        changed("planar_byte_panning", |a| crtc(a, &[(8, 0x40)]), Screen { start: 2, ..base() })
            .but_qemu("QEMU is wrong: it ignores byte panning (CRTC 08h, bits 5 and 6)", move |_| {
                base().draw(&planes(SEED, BYTES))
            }),
        changed(
            "planar_start_address_and_logical_width",
            |a| crtc(a, &[(0x0c, 0x12), (0x0d, 0x34), (0x13, 60)]),
            Screen { start: 0x1234, stride: 120, ..base() },
        ),
        changed("planar_split_screen", halves, split.clone()),
        changed(
            "planar_split_screen_panned",
            |a| {
                halves(a)?;
                attributes(a, &[(0x13, 5)])
            },
            panned,
        )
        .but_qemu(PANNING, {
            let split = split.clone();
            move |_| split.draw(&planes(SEED, BYTES))
        }),
        changed(
            "planar_split_screen_with_a_fixed_half",
            |a| {
                halves(a)?;
                attributes(a, &[(0x10, 0x21), (0x13, 5)])
            },
            fixed,
        )
        .but_qemu(PANNING, move |_| split.draw(&planes(SEED, BYTES))),
    ]
}

fn off() -> Vec<Case> {
    let lit = |_: &[u8]| {
        let colours = crate::vbe::bios_colours();
        Screen { colours, ..Screen::mode_12() }.draw(&planes(SEED, BYTES))
    };
    vec![
        dark("off_by_the_sequencer", |a| index(a, 0x3c4, 1, 0x21)).but_qemu(OFF, lit),
        dark("off_by_the_attribute_controller", |a| {
            asm! { a => mov dx, 0x3dau32; in_ al, dx; }
            out(a, 0x3c0, 0)
        })
        .without_qemu("a dark screen leaves as large a picture as QEMU has dumped before, if it has"),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    [palette(), places(), off()].into_iter().flatten().collect()
}
