//! Bochs's VBE extensions at 1CEh and 1CFh (vbe_display_api.txt), and SeaVGABIOS's functions over them.

use crate::Case;
use crate::guest::{
    bios, bios_bx, dac, fill, fill_linear, fill_planes, frame_buffer, noise, noise_bytes, vbe,
};
use crate::picture::{self, Colours, Picture};
use crate::planar;
use crate::text::COLOUR;
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

const SEED: u32 = 4000;
const MAP_MASK: &str = "QEMU is wrong: with VBE on it has sequencer registers of its own, of whose map mask the guest's \
     writes to 3C5h know nothing, so that modes of 4 bits a pixel, which vbe_display_api.txt has as planar \
     as the VGA's, stay black";
/// Bytes of a plane in a bank.
const BANK: u32 = 0x1_0000;
/// The enable register: on, with a linear frame buffer.
const LINEAR: u32 = 0x41;
const WIDE_DAC: u32 = 0x20;
const SIZES: [(u32, u32); 4] = [(640, 480), (800, 600), (1024, 768), (1280, 1024)];

/// The colours of planar modes as the BIOS leaves them: those of the EGA's 64.
pub(crate) fn bios_colours() -> [u32; 16] {
    let part = |n: u8, bit: u8| u32::from(n >> bit & 1) * 0xaa + u32::from(n >> (bit + 3) & 1) * 0x55;
    COLOUR.map(|n| part(n, 2) << 16 | part(n, 1) << 8 | part(n, 0))
}

/// A mode, by the ports.
fn mode(a: &mut Asm, (width, height): (u32, u32), depth: u32, enable: u32) -> Assembled {
    vbe(a, 4, 0)?;
    vbe(a, 1, width)?;
    vbe(a, 2, height)?;
    vbe(a, 3, depth)?;
    vbe(a, 4, enable)
}

/// Bytes of a pixel.
fn bytes(depth: u32) -> u32 {
    depth.div_ceil(8)
}

/// A pixel's colour.
fn colour(depth: u32, pixel: &[u8], dac: &[u32]) -> u32 {
    let value = pixel.iter().rev().fold(0, |v, &b| v << 8 | u32::from(b));
    // a component of `bits` from bit `at` on, its upper bits repeated below
    let part = |at: u32, bits: u32| {
        let c = value >> at & ((1 << bits) - 1);
        c << (8 - bits) | c >> (2 * bits - 8)
    };
    match depth {
        8 => dac[value as usize],
        15 => part(10, 5) << 16 | part(5, 5) << 8 | part(0, 5),
        16 => part(11, 5) << 16 | part(5, 6) << 8 | part(0, 5),
        _ => value & 0xff_ffff,
    }
}

/// A window of `width` by `height` pixels at `x`, `y` of lines of `across` pixels, full of noise.
fn window((width, height): (u32, u32), depth: u32, across: u32, (x, y): (u32, u32)) -> Picture {
    let size = (across * (y + height) * bytes(depth)) as usize;
    let memory: Vec<u8> = noise(SEED).take(size.div_ceil(4)).flat_map(u32::to_le_bytes).collect();
    let dac = picture::dac();
    Picture::of(width as usize, height as usize, |column, line| {
        let at = ((y as usize + line) * across as usize + x as usize + column) * bytes(depth) as usize;
        colour(depth, &memory[at..at + bytes(depth) as usize], &dac)
    })
}

fn colours(depth: u32) -> Colours {
    match depth {
        8 => Colours::Dac,
        15 => Colours::Fives,
        16 => Colours::Words,
        _ => Colours::All,
    }
}

/// The linear frame buffer, by the ports.
fn linear(size: (u32, u32), depth: u32) -> Case {
    Case::new(
        format!("vbe_{}_by_{}_of_{depth}_bits", size.0, size.1),
        move |a| {
            mode(a, size, depth, LINEAR)?;
            dac(a)?;
            frame_buffer(a)?;
            fill_linear(a, "dots", SEED, size.0 * size.1 * bytes(depth) / 4)
        },
        move |_| window(size, depth, size.0, (0, 0)),
    )
    .with_colours(colours(depth))
}

/// A window of a larger picture.
fn scrolled(depth: u32) -> Case {
    let (size, across, at) = ((800, 600), 1024, (40, 77));
    Case::new(
        format!("vbe_virtual_width_and_offsets_of_{depth}_bits"),
        move |a| {
            mode(a, size, depth, LINEAR)?;
            vbe(a, 6, across)?;
            vbe(a, 8, at.0)?;
            vbe(a, 9, at.1)?;
            dac(a)?;
            frame_buffer(a)?;
            fill_linear(a, "dots", SEED, across * (at.1 + size.1) * bytes(depth) / 4)
        },
        move |_| window(size, depth, across, at),
    )
    .with_colours(colours(depth))
}

/// Five banks of 64 KiB at A0000h, the last not whole.
fn banked() -> Case {
    Case::new(
        "vbe_banks",
        |a| {
            mode(a, (640, 480), 8, 1)?;
            dac(a)?;
            for bank in 0..5 {
                vbe(a, 5, bank)?;
                fill(a, &format!("bank {bank}"), 0xa000, SEED + bank, 0x1_0000)?;
            }
            Ok(())
        },
        |_| {
            let memory: Vec<u8> = (0..5).flat_map(|bank| noise_bytes(SEED + bank, 0x1_0000)).collect();
            let dac = picture::dac();
            Picture::of(640, 480, |x, y| dac[usize::from(memory[y * 640 + x])])
        },
    )
}

/// A DAC of 8 bits a component.
fn wide_dac() -> Case {
    Case::new(
        "vbe_dac_of_8_bits",
        |a| {
            mode(a, (640, 480), 8, LINEAR | WIDE_DAC)?;
            dac(a)?;
            frame_buffer(a)?;
            fill_linear(a, "dots", SEED, 640 * 480 / 4)
        },
        |_| {
            let memory: Vec<u8> = noise(SEED).take(640 * 480 / 4).flat_map(u32::to_le_bytes).collect();
            let dac: Vec<u32> =
                noise_bytes(99, 768).chunks(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]])).collect();
            Picture::of(640, 480, |x, y| dac[usize::from(memory[y * 640 + x])])
        },
    )
    .with_colours(Colours::All)
}

/// The video BIOS's function 02h: 800 by 600 of 64 Ki colours.
fn by_bios() -> Case {
    Case::new(
        "vbe_by_the_bios",
        |a| {
            bios_bx(a, 0x4f02, 0x4114)?;
            frame_buffer(a)?;
            fill_linear(a, "dots", SEED, 800 * 600 * 2 / 4)
        },
        |_| window((800, 600), 16, 800, (0, 0)),
    )
    .with_colours(Colours::Words)
}

/// The registers read back, a pixel each, at the top left of a window: identity, size, depth, enable, bank,
/// virtual size (its height is what memory has), offsets, memory in 64 KiB.
fn registers() -> Case {
    let (size, across, at) = ((640, 480), 800, (8, 9));
    let memory = 16 << 20;
    let values = [0xb0c5, 640, 480, 16, LINEAR, 0, across, memory / (2 * across), at.0, at.1, memory >> 16];
    Case::new(
        "vbe_registers",
        move |a| {
            mode(a, size, 16, LINEAR)?;
            [(6, across), (8, at.0), (9, at.1)].iter().try_for_each(|&(n, value)| vbe(a, n, value))?;
            frame_buffer(a)?;
            asm! { a =>
                add edi, 2 * (at.1 * across + at.0);
                xor cx, cx;
                label "register";
                mov dx, 0x1ceu32;
                mov ax, cx;
                out dx, ax;
                inc dx;
                in_ ax, dx;
                mov word_ptr(edi).es(), ax;
                add edi, 2u32;
                inc cx;
                cmp cx, values.len() as u32;
                jne a.to("register");
            }
            Ok(())
        },
        move |_| {
            Picture::of(640, 480, |x, y| match values.get(x) {
                Some(v) if y == 0 => colour(16, &v.to_le_bytes()[..2], &[]),
                _ => 0,
            })
        },
    )
    .with_colours(Colours::Words)
}

/// Four planes, of which the palette of mode 12h makes colours.
fn planes(size: (u32, u32)) -> Case {
    let count = size.0 / 8 * size.1;
    Case::new(
        format!("vbe_{}_by_{}_of_4_bits", size.0, size.1),
        move |a| {
            bios(a, 0x12)?;
            mode(a, size, 4, 1)?;
            dac(a)?;
            fill_planes(a, SEED, count.min(BANK))?;
            vbe(a, 5, 1)?;
            if count > BANK { fill_planes(a, SEED + 50, count - BANK) } else { Ok(()) }
        },
        move |_| {
            let screen = planar::Screen::new(size.0 as usize, size.1 as usize, &COLOUR);
            let (mut planes, upper) = (planar::planes(SEED, BANK), planar::planes(SEED + 50, BANK));
            (0..4).for_each(|n| planes[n].extend(&upper[n]));
            screen.draw(&planes)
        },
    )
    .but_qemu(MAP_MASK, move |_| {
        let paper = picture::dac()[0];
        Picture::of(size.0 as usize, size.1 as usize, |_, _| paper)
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        SIZES.into_iter().flat_map(|size| [8, 15, 16, 24, 32].map(|depth| linear(size, depth))).collect();
    cases.extend([8, 16, 24, 32].map(scrolled));
    cases.extend([
        banked(),
        wide_dac(),
        by_bios(),
        registers(),
        planes((640, 480)),
        planes((800, 600)),
        planes((1024, 768)),
    ]);
    cases
}
