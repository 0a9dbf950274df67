//! A screen's picture in a file: PNG and PPM.

use dev::vga::Frame;

fn bytes(frame: &Frame) -> Vec<u8> {
    frame.pixels.iter().flat_map(|p| [(p >> 16) as u8, (p >> 8) as u8, *p as u8]).collect()
}

/// As a PNG of 8-bit RGB; empty for a picture that PNG cannot hold (one without pixels).
pub fn png(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let (Ok(width), Ok(height)) = (u32::try_from(frame.width), u32::try_from(frame.height)) else {
        return out;
    };
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut w| w.write_image_data(&bytes(frame)));
    if written.is_ok() { out } else { Vec::new() }
}

/// As a binary portable pixmap (P6).
pub fn ppm(frame: &Frame) -> Vec<u8> {
    let mut out = format!("P6\n{} {}\n255\n", frame.width, frame.height).into_bytes();
    out.extend(bytes(frame));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame { width: 2, height: 1, pixels: vec![0xff_0000, 0x01_0203] }
    }

    #[test]
    fn a_pixmap_is_its_bytes() {
        assert_eq!(ppm(&frame()), b"P6\n2 1\n255\n\xff\x00\x00\x01\x02\x03");
    }

    #[test]
    fn a_png_decodes_to_the_same() {
        let file = png(&frame());
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().expect("a header");
        let mut out = vec![0; 6];
        let info = reader.next_frame(&mut out).expect("a picture");
        assert_eq!((info.width, info.height, &out[..]), (2, 1, &[0xff, 0, 0, 1, 2, 3][..]));
    }
}
