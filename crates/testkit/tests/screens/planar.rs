//! Planar modes: each of four planes full of noise.

use crate::Case;
use crate::guest::{attributes, bios, dac, fill_planes, noise_bytes};
use crate::picture::{Picture, through};
use crate::text::COLOUR;

pub(crate) const SEED: u32 = 1000;
/// The palette of modes 0Dh and 0Eh (IBM VGA Technical Reference, mode tables).
const BRIGHT: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17];
const MODE_F: [u8; 16] = [0, 8, 0, 0, 0x18, 0x18, 0, 0, 0, 8, 0, 0, 0, 0x18, 0, 0];
/// Where plane 0 alone is of use.
const TWO: [u8; 16] = [0, 0x3f, 0, 0x3f, 0, 0x3f, 0, 0x3f, 0, 0x3f, 0, 0x3f, 0, 0x3f, 0, 0x3f];

/// A planar screen, by the manual.
#[derive(Clone)]
pub(crate) struct Screen {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Screen dots of a dot, to the right and down.
    pub(crate) zoom: (usize, usize),
    /// Bytes from a line to the next.
    pub(crate) stride: usize,
    pub(crate) colours: [u32; 16],
    /// The planes that are shown.
    pub(crate) enabled: u8,
    pub(crate) start: usize,
    pub(crate) pan: usize,
    /// The screen line below which it starts over at address 0, and whether it pans there.
    pub(crate) split: usize,
    pub(crate) split_pans: bool,
}

impl Screen {
    pub(crate) fn new(width: usize, height: usize, palette: &[u8; 16]) -> Screen {
        Screen {
            width,
            height,
            zoom: (1, 1),
            stride: width / 8,
            colours: through(palette),
            enabled: 15,
            start: 0,
            pan: 0,
            split: usize::MAX,
            split_pans: true,
        }
    }

    /// Mode 12h's.
    pub(crate) fn mode_12() -> Screen {
        Screen::new(640, 480, &COLOUR)
    }

    pub(crate) fn draw(&self, planes: &[Vec<u8>; 4]) -> Picture {
        Picture::of(self.width * self.zoom.0, self.height * self.zoom.1, |x, y| {
            let below = y > self.split;
            let (y, start) = if below { (y - self.split - 1, 0) } else { (y, self.start) };
            let pan = if below && !self.split_pans { 0 } else { self.pan };
            let (x, y) = (x / self.zoom.0 + pan, y / self.zoom.1);
            let at = (start + y * self.stride + x / 8) % planes[0].len();
            let bit = |plane: usize| planes[plane][at] >> (7 - x % 8) & 1;
            let colour = bit(0) | bit(1) << 1 | bit(2) << 2 | bit(3) << 3;
            self.colours[usize::from(colour & self.enabled)]
        })
    }
}

/// Planes with noise in their first `count` bytes, and zeroes behind.
pub(crate) fn planes(seed: u32, count: u32) -> [Vec<u8>; 4] {
    [0, 1, 2, 3].map(|plane| {
        let mut bytes = noise_bytes(seed + plane, count as usize);
        bytes.resize(0x1_0000, 0);
        bytes
    })
}

fn case(mode: u32, screen: Screen) -> Case {
    let count = (screen.stride * screen.height) as u32;
    let enabled = u32::from(screen.enabled);
    Case::new(
        format!("planar_{mode:02x}h"),
        move |a| {
            bios(a, mode)?;
            dac(a)?;
            attributes(a, &[(0x12, enabled)])?;
            fill_planes(a, SEED, count)
        },
        move |_| screen.draw(&planes(SEED, count)),
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(0x0d, Screen { zoom: (2, 2), ..Screen::new(320, 200, &BRIGHT) }),
        case(0x0e, Screen { zoom: (1, 2), ..Screen::new(640, 200, &BRIGHT) }),
        // planes 0 and 2 are all that mode 0Fh has
        case(0x0f, Screen { enabled: 5, ..Screen::new(640, 350, &MODE_F) }),
        case(0x10, Screen::new(640, 350, &COLOUR)),
        case(0x11, Screen::new(640, 480, &TWO)),
        case(0x12, Screen::mode_12()),
        case(0x6a, Screen::new(800, 600, &COLOUR)),
    ]
}
