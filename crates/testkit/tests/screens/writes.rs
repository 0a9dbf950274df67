//! Write modes 0 to 3 and read mode 1 in mode 12h, each over its part of a screen of noise
//! (IBM VGA Technical Reference, "Graphics Controller").

use crate::Case;
use crate::guest::{bios, dac, fill_planes, index, noise_bytes};
use crate::planar::{SEED, Screen, planes};
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

/// What the CPU writes has this seed and up, part by part.
const DATA: u32 = 3000;
/// Bytes of a part, of which a screen has eight.
const PART: usize = 4800;

/// Graphics controller registers.
fn controller(a: &mut Asm, values: &[(u32, u32)]) -> Assembled {
    values.iter().try_for_each(|&(register, value)| index(a, 0x3ce, register, value))
}

/// Reads each of `count` bytes from `from` on and writes noise, or what it has read, to the one from `to` on.
pub(crate) fn pass(a: &mut Asm, from: usize, to: usize, count: usize, data: Option<u32>) -> Assembled {
    let name = format!("part {to}");
    asm! { a =>
        mov ax, 0xa000u32;
        mov es, ax;
        mov si, from as u32;
        mov di, to as u32;
        mov cx, count as u32;
        mov ebx, data.unwrap_or(0);
        label &name;
        mov al, byte_ptr(si).es();
    }
    if data.is_some() {
        asm! { a =>
            imul_3 ebx, ebx, 1_103_515_245;
            add ebx, 12_345;
            mov eax, ebx;
            shr eax, 16u32;
        }
    }
    asm! { a => stosb; inc si; dec cx; jnz a.to(&name); }
    Ok(())
}

/// Registers 0 (set/reset), 1 (its enable), 3 (rotation and function), 5 (mode) and 8 (bit mask).
fn part(a: &mut Asm, n: usize, [set, enable, function, mode, mask]: [u32; 5]) -> Assembled {
    controller(a, &[(0, set), (1, enable), (3, function), (5, mode), (8, mask)])?;
    pass(a, n * PART, n * PART, PART, Some(DATA + n as u32))
}

fn program(a: &mut Asm) -> Assembled {
    bios(a, 0x12)?;
    dac(a)?;
    fill_planes(a, SEED, 8 * PART as u32)?;
    part(a, 0, [0, 0, 3, 0, 0x3c])?;
    part(a, 1, [0b0101, 0b0011, 0x18, 0, 0xff])?;
    part(a, 2, [0b1001, 0b1110, 0x08, 0, 0xf7])?;
    part(a, 3, [0, 0, 0x10, 0, 0xff])?;
    part(a, 4, [15, 15, 0, 2, 0xaa])?;
    part(a, 5, [0b0110, 0, 1, 3, 0x7e])?;
    // write mode 1 copies the latches to planes 0, 1 and 3
    controller(a, &[(5, 1), (8, 0)])?;
    index(a, 0x3c4, 2, 0b1011)?;
    pass(a, 0, 6 * PART, PART, Some(0))?;
    index(a, 0x3c4, 2, 15)?;
    // read mode 1: where planes 0, 2 and 3 have 1, 1 and 0
    controller(a, &[(0, 0), (1, 0), (2, 0b0101), (3, 0), (5, 8), (7, 0b1101), (8, 0xff)])?;
    pass(a, 7 * PART, 7 * PART, PART, None)
}

/// All ones where bit `plane` of `bits` is set.
fn ones(bits: u8, plane: usize) -> u8 {
    if bits >> plane & 1 != 0 { 0xff } else { 0 }
}

/// What a write of `data` over `old` leaves in part `n`'s plane.
fn written(n: usize, plane: usize, data: u8, old: u8) -> u8 {
    let masked = |new: u8, mask: u8| new & mask | old & !mask;
    match n {
        0 => masked(data.rotate_right(3), 0x3c),
        1 => old ^ if plane < 2 { ones(0b0101, plane) } else { data },
        2 => masked(old & if plane > 0 { ones(0b1001, plane) } else { data }, 0xf7),
        3 => old | data,
        4 => masked(ones(data, plane), 0xaa),
        _ => masked(ones(0b0110, plane), data.rotate_right(1) & 0x7e),
    }
}

fn expected() -> [Vec<u8>; 4] {
    let old = planes(SEED, 8 * PART as u32);
    let mut new = old.clone();
    for n in 0..6 {
        for (i, data) in noise_bytes(DATA + n as u32, PART).into_iter().enumerate() {
            let at = n * PART + i;
            (0..4).for_each(|plane| new[plane][at] = written(n, plane, data, old[plane][at]));
        }
    }
    for plane in [0, 1, 3] {
        new[plane].copy_within(0..PART, 6 * PART);
    }
    for at in 7 * PART..8 * PART {
        let equal = old[0][at] & old[2][at] & !old[3][at];
        (0..4).for_each(|plane| new[plane][at] = equal);
    }
    new
}

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("planar_write_and_read_modes", program, |_| Screen::mode_12().draw(&expected()))]
}
