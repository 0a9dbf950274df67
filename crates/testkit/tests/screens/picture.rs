//! Pictures: those expected, those of files, and what differs between two.

use crate::guest::noise_bytes;

/// A picture, line by line, red in bits 16-23.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<u32>,
}

/// How far a colour is told exactly, so that two adapters may round the rest as they like.
#[derive(Clone, Copy)]
pub(crate) enum Colours {
    /// 6 bits a component: the DAC's.
    Dac,
    /// 5 bits a component: the modes of 15 bits a pixel.
    Fives,
    /// 5 bits a component, 6 of green: the modes of 16 bits a pixel.
    Words,
    /// All 8 bits.
    All,
}

impl Colours {
    fn mask(self) -> u32 {
        match self {
            Colours::Dac => 0xfc_fcfc,
            Colours::Fives => 0xf8_f8f8,
            Colours::Words => 0xf8_fcf8,
            Colours::All => 0xff_ffff,
        }
    }
}

impl Picture {
    /// A picture by a rule from column and line.
    pub(crate) fn of(width: usize, height: usize, rule: impl Fn(usize, usize) -> u32) -> Picture {
        let pixels = (0..width * height).map(|n| rule(n % width, n / width)).collect();
        Picture { width, height, pixels }
    }

    /// The same with less exact colours.
    pub(crate) fn rounded(mut self, colours: Colours) -> Picture {
        self.pixels.iter_mut().for_each(|p| *p &= colours.mask());
        self
    }

    fn from_bytes(width: usize, height: usize, bytes: &[u8]) -> Picture {
        let pixels = bytes.chunks_exact(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]])).collect();
        Picture { width, height, pixels }
    }

    /// Decodes a PNG of 8-bit RGB.
    pub(crate) fn from_png(file: &[u8]) -> Result<Picture, String> {
        let mut reader =
            png::Decoder::new(std::io::Cursor::new(file)).read_info().map_err(|e| e.to_string())?;
        let mut bytes = vec![0; reader.output_buffer_size().ok_or("a PNG of no size")?];
        let info = reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
        Ok(Picture::from_bytes(info.width as usize, info.height as usize, &bytes))
    }

    /// Reads a binary pixmap (P6) of 8 bits a component; `None` while it is incomplete.
    pub(crate) fn from_ppm(file: &[u8]) -> Option<Picture> {
        let mut fields = Vec::new();
        let mut at = 0;
        while fields.len() < 4 {
            let length = file[at..].iter().position(u8::is_ascii_whitespace)?;
            fields.push(std::str::from_utf8(&file[at..at + length]).ok()?);
            at += length + 1;
        }
        let (width, height) = (fields[1].parse().ok()?, fields[2].parse().ok()?);
        let picture = Picture::from_bytes(width, height, &file[at..]);
        (fields[0] == "P6" && picture.pixels.len() == width * height).then_some(picture)
    }

    /// How another picture differs from this, the expected one.
    pub(crate) fn differs(&self, found: &Picture) -> Option<String> {
        let size = |p: &Picture| (p.width, p.height);
        if size(self) != size(found) {
            return Some(format!("size {:?}, expected {:?}", size(found), size(self)));
        }
        let mut wrong = (0..self.pixels.len()).filter(|&n| self.pixels[n] != found.pixels[n]);
        let first = wrong.next()?;
        let (x, y) = (first % self.width, first / self.width);
        let (is, wanted) = (found.pixels[first], self.pixels[first]);
        let count = wrong.count() + 1;
        Some(format!("{count} pixels, the first at {x}, {y}: {is:06x}, expected {wanted:06x}"))
    }
}

/// A component of 6 bits in 8: the upper bits repeat below.
fn widen(c: u8) -> u32 {
    let c = u32::from(c & 0x3f);
    c << 2 | c >> 4
}

/// What [`crate::guest::dac`] makes of the DAC: 256 colours.
pub(crate) fn dac() -> Vec<u32> {
    let bytes = noise_bytes(99, 768);
    bytes.chunks_exact(3).map(|c| widen(c[0]) << 16 | widen(c[1]) << 8 | widen(c[2])).collect()
}

/// Sixteen colours through the attribute controller's palette and that DAC.
pub(crate) fn through(palette: &[u8; 16]) -> [u32; 16] {
    let dac = dac();
    palette.map(|n| dac[usize::from(n)])
}
