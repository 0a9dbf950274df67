//! Text modes: every cell a character and an attribute of noise.

use crate::Case;
use crate::guest::{attributes, bios, bios_bx, crtc, dac, fill, index, keep_font, load_font, noise_bytes};
use crate::picture::{Picture, through};
use iced_x86::code_asm::*;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled};

/// The palette of the text modes in colour (IBM VGA Technical Reference, "BIOS": mode tables).
pub(crate) const COLOUR: [u8; 16] =
    [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f];
/// That of mode 7.
const MONOCHROME: [u8; 16] = [0, 8, 8, 8, 8, 8, 8, 8, 0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18];
/// The characters whose eighth dot goes on into the ninth ("Attribute Mode Control Register", bit 2).
const JOINED: std::ops::RangeInclusive<u8> = 0xc0..=0xdf;
/// Those that QEMU takes for it.
const QEMU_JOINED: std::ops::RangeInclusive<u8> = 0xb0..=0xdf;
/// The seed of the cells.
const CELLS: u32 = 5;
const SEGMENT: u32 = 0xb800;

const NINTH: &str = "QEMU is wrong: it repeats the eighth dot for B0h to BFh as well; the manual's line graphics are C0h to DFh";
const NARROW: &str = "QEMU is wrong: with the dot clock halved it draws characters of 8 dots, whatever the clocking \
     mode register's bit 0 says, and so a screen of 640 dots for 720";
const WHOLE: &str = "QEMU is wrong: it shows whole rows of characters alone; and its ninth dots are too many";
const UNDERLINE: &str = "QEMU is wrong: it knows no underline location register (CRTC 14h)";
const DOUBLE: &str = "QEMU is wrong: its text modes do not double lines (CRTC 09h, bit 7)";
const PANNING: &str = "QEMU is wrong: its text modes do not pan (attribute register 13h)";
const ROW_SCAN: &str = "QEMU is wrong: its text modes ignore the preset row scan (CRTC 08h)";
const SPLIT: &str =
    "QEMU is wrong: its text modes split between rows of characters, and neither pan nor scroll by lines";

/// A text screen, by the manual.
#[derive(Clone)]
pub(crate) struct Screen {
    pub(crate) cols: usize,
    /// Scan lines, of which the last may be a part of a row.
    pub(crate) lines: usize,
    /// Lines of a character.
    pub(crate) height: usize,
    /// Bytes of a character in the font that is given.
    pub(crate) glyphs: usize,
    pub(crate) dots: usize,
    /// Screen dots of a character's dot.
    pub(crate) wide: usize,
    pub(crate) palette: [u8; 16],
    /// The characters that go on into the ninth dot.
    pub(crate) joined: Option<std::ops::RangeInclusive<u8>>,
    pub(crate) underline: Option<usize>,
    /// Scan lines of a line.
    pub(crate) tall: usize,
    /// Dots, lines and cells that the picture is shifted by.
    pub(crate) pan: usize,
    pub(crate) scan: usize,
    pub(crate) start: usize,
    /// The line below which the screen starts over with cell 0.
    pub(crate) split: usize,
    /// Whether blinking characters are dark; none: bit 7 of attributes is of the background.
    pub(crate) dark: Option<bool>,
    /// The cursor's cell and lines.
    pub(crate) cursor: Option<(usize, std::ops::RangeInclusive<usize>)>,
}

impl Screen {
    /// Mode 3's.
    pub(crate) fn new() -> Screen {
        Screen {
            cols: 80,
            lines: 400,
            height: 16,
            glyphs: 16,
            dots: 9,
            wide: 1,
            tall: 1,
            palette: COLOUR,
            joined: Some(JOINED),
            underline: None,
            pan: 0,
            scan: 0,
            start: 0,
            split: usize::MAX,
            dark: None,
            cursor: None,
        }
    }

    /// As QEMU draws it.
    pub(crate) fn by_qemu(self) -> Screen {
        Screen {
            tall: 1,
            lines: self.lines / self.height * self.height,
            dark: None,
            joined: self.joined.map(|_| QEMU_JOINED),
            underline: None,
            pan: 0,
            scan: 0,
            ..self
        }
    }

    /// The cell and the place in it of a dot of the screen: cell, dot, line.
    pub(crate) fn place(&self, x: usize, y: usize) -> (usize, usize, usize) {
        let x = x / self.wide + self.pan;
        let (y, start) = if y > self.split { (y - self.split - 1, 0) } else { (y + self.scan, self.start) };
        let y = y / self.tall;
        (start + y / self.height * self.cols + x / self.dots, x % self.dots, y % self.height)
    }

    /// The picture of cells whose glyphs `font` has, by code and attribute.
    pub(crate) fn draw(&self, cells: &[u8], font: &dyn Fn(u8, u8) -> usize, bytes: &[u8]) -> Picture {
        let colours = through(&self.palette);
        Picture::of(self.cols * self.dots * self.wide, self.lines, |x, y| {
            let (cell, dot, line) = self.place(x, y);
            let (code, attribute) = (cells[2 * cell], cells[2 * cell + 1]);
            let glyph = bytes[font(code, attribute) * self.glyphs + line];
            let lit = match dot {
                0..8 => glyph >> (7 - dot) & 1 != 0,
                _ => self.joined.as_ref().is_some_and(|j| j.contains(&code)) && glyph & 1 != 0,
            };
            let lit = lit || self.underline == Some(line) && attribute & 0x77 == 1;
            let lit = lit && !(self.dark == Some(true) && attribute & 0x80 != 0);
            let lit =
                lit || self.cursor.as_ref().is_some_and(|(at, lines)| *at == cell && lines.contains(&line));
            let paper = if self.dark.is_some() { attribute >> 4 & 7 } else { attribute >> 4 };
            colours[usize::from(if lit { attribute & 15 } else { paper })]
        })
    }

    /// The picture of this test's cells.
    fn picture(&self, font: &[u8]) -> Picture {
        self.draw(&noise_bytes(CELLS, 0x8000), &|code, _| code.into(), font)
    }
}

/// A mode without cursor and blinking, with this test's DAC and cells.
pub(crate) fn still(a: &mut Asm, mode: u32, segment: u32) -> Assembled {
    bios(a, mode)?;
    steady(a, if mode == 7 { 6 } else { 4 })?;
    if mode == 7 {
        let palette: Vec<(u32, u32)> = (0..).zip(MONOCHROME.map(u32::from)).collect();
        attributes(a, &palette)?;
        attributes(a, &[(0x11, 0), (0x12, 15), (0x13, 8), (0x14, 0)])?;
        index(a, 0x3b4, 0x14, 15)?;
    }
    dac(a)?;
    fill(a, "cells", segment, CELLS, 0x8000)
}

/// The cursor goes, and attributes' bit 7 is of the background (INT 10h's function 1003h would do,
/// did SeaVGABIOS not look for input status 1 at 3DAh in mode 7 as well; so the other attribute registers
/// are not as it means them, either).
fn steady(a: &mut Asm, attribute_mode: u32) -> Assembled {
    asm! { a => mov cx, 0x2000u32; }
    bios(a, 0x100)?;
    attributes(a, &[(0x10, attribute_mode)])
}

fn modes() -> Vec<Case> {
    let colour = |mode: u32, screen: Screen, why| {
        let qemu = if mode < 2 { Screen { dots: 8, ..screen.clone() } } else { screen.clone() }.by_qemu();
        Case::new(
            format!("text_{mode:02x}h"),
            move |a| {
                still(a, mode, SEGMENT)?;
                keep_font(a, 6, 0, 4096)
            },
            move |font| screen.picture(font),
        )
        .but_qemu(why, move |font| qemu.picture(font))
    };
    let narrow = || Screen { cols: 40, wide: 2, ..Screen::new() };
    let monochrome = Screen { palette: MONOCHROME, underline: Some(15), ..Screen::new() };
    let qemu = monochrome.clone().by_qemu();
    vec![
        colour(0, narrow(), NARROW),
        colour(1, narrow(), NARROW),
        colour(2, Screen::new(), NINTH),
        colour(3, Screen::new(), NINTH),
        Case::new(
            "text_07h",
            |a| {
                still(a, 7, 0xb000)?;
                keep_font(a, 6, 0, 4096)
            },
            move |font| monochrome.picture(font),
        )
        .but_qemu(UNDERLINE, move |font| qemu.picture(font)),
    ]
}

/// A font of the guest's own.
fn user(mode: u32, screen: Screen) -> Case {
    let qemu = if mode < 2 { Screen { dots: 8, ..screen.clone() } } else { screen.clone() }.by_qemu();
    Case::new(
        format!("text_{mode:02x}h_with_a_font_of_its_own"),
        move |a| {
            still(a, mode, SEGMENT)?;
            load_font(a, 70, 16, 0)
        },
        move |_| screen.picture(&noise_bytes(70, 4096)),
    )
    .but_qemu(if mode < 2 { NARROW } else { NINTH }, move |_| qemu.picture(&noise_bytes(70, 4096)))
}

/// A font of the BIOS's, which functions 11`function`h load and 1130h tells of in parts of its bytes.
fn smaller(
    name: &str,
    function: u32,
    parts: &'static [(u32, u32)],
    screen: Screen,
    why: &'static str,
) -> Case {
    let qemu = screen.clone().by_qemu();
    Case::new(
        name,
        move |a| {
            bios(a, 3)?;
            bios_bx(a, 0x1100 | function, 0)?;
            steady(a, 4)?;
            dac(a)?;
            fill(a, "cells", SEGMENT, CELLS, 0x8000)?;
            let mut to = 0;
            for &(which, count) in parts {
                keep_font(a, which, to, count)?;
                to += count;
            }
            Ok(())
        },
        move |font| screen.picture(font),
    )
    .but_qemu(why, move |font| qemu.picture(font))
}

fn fonts() -> Vec<Case> {
    let low = Screen { height: 8, glyphs: 8, ..Screen::new() };
    let middle = Screen { height: 14, glyphs: 14, ..Screen::new() };
    vec![
        user(1, Screen { cols: 40, wide: 2, ..Screen::new() }),
        user(3, Screen::new()),
        smaller("text_80_by_50", 0x12, &[(3, 1024), (4, 1024)], low, NINTH),
        smaller("text_80_by_28", 0x11, &[(2, 256 * 14)], middle, WHOLE),
        two_fonts(),
    ]
}

/// Attribute bit 3 chooses between two fonts where the character map select register names two:
/// maps 1 (bits 2, 3, 5 for bit 3 set) and 2 (bits 0, 1, 4).
fn two_fonts() -> Case {
    let draw = |screen: Screen| {
        let fonts: Vec<u8> = [71, 72].into_iter().flat_map(|seed| noise_bytes(seed, 4096)).collect();
        let which = |code: u8, attribute: u8| usize::from(code) + usize::from(attribute & 8 == 0) * 256;
        screen.draw(&noise_bytes(CELLS, 0x8000), &which, &fonts)
    };
    Case::new(
        "text_512_characters",
        |a| {
            still(a, 3, SEGMENT)?;
            load_font(a, 71, 16, 1)?;
            load_font(a, 72, 16, 6)?;
            // A: map 1, by bits 2-3; B: map 6, by bits 0-1 and 4 as the upper one
            bios_bx(a, 0x1103, 0b01_0110)
        },
        move |_| draw(Screen::new()),
    )
    .but_qemu(NINTH, move |_| draw(Screen::new().by_qemu()))
}

/// A change to mode 3, and what is seen of it.
fn changed(
    name: &str,
    change: fn(&mut Asm) -> Assembled,
    screen: Screen,
    why: &'static str,
    qemu: Screen,
) -> Case {
    Case::new(
        name,
        move |a| {
            still(a, 3, SEGMENT)?;
            load_font(a, 70, 16, 0)?;
            change(a)
        },
        move |_| screen.picture(&noise_bytes(70, 4096)),
    )
    .but_qemu(why, move |_| qemu.picture(&noise_bytes(70, 4096)))
}

fn changes() -> Vec<Case> {
    let base = Screen::new;
    let start = Screen { start: 0x123, ..base() };
    let pan = Screen { pan: 4, ..base() };
    let double = Screen { height: 8, tall: 2, glyphs: 16, ..base() };
    let scan = Screen { scan: 5, ..base() };
    let split = Screen { split: 100, start: 0x123, pan: 4, scan: 5, ..base() };
    vec![
        changed(
            "text_without_line_graphics",
            |a| attributes(a, &[(0x10, 0)]),
            Screen { joined: None, ..base() },
            "",
            Screen { joined: None, ..base() },
        ),
        changed(
            "text_of_8_dots",
            |a| index(a, 0x3c4, 1, 1),
            Screen { dots: 8, ..base() },
            "",
            Screen { dots: 8, ..base() },
        ),
        changed(
            "text_start_address",
            |a| crtc(a, &[(0x0c, 1), (0x0d, 0x23)]),
            start.clone(),
            NINTH,
            start.by_qemu(),
        ),
        // of nine dots, 8 is no shift, and 0 to 7 are shifts by one to eight
        changed("text_panning", |a| attributes(a, &[(0x13, 3)]), pan.clone(), PANNING, pan.by_qemu()),
        changed("text_preset_row_scan", |a| crtc(a, &[(8, 5)]), scan.clone(), ROW_SCAN, scan.by_qemu()),
        changed("text_of_double_lines", |a| crtc(a, &[(9, 0xc7)]), double.clone(), DOUBLE, double.by_qemu()),
        changed(
            "text_split_screen",
            |a| {
                crtc(a, &[(8, 5), (0x0c, 1), (0x0d, 0x23), (9, 0x0f), (7, 0x0f), (0x18, 100)])?;
                attributes(a, &[(0x13, 3)])
            },
            split.clone(),
            SPLIT,
            // line 100 is in the seventh row
            Screen { split: 7 * 16 - 1, ..split.by_qemu() },
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    [modes(), fonts(), changes()].into_iter().flatten().collect()
}
