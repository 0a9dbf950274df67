//! Ringer's part: the image runs until its picture stands.

use crate::guest::{DONE, FONT};
use crate::picture::Picture;
use machine::{Exit, Machine};
use std::path::Path;
use testkit::bios::{self, Drive};

/// Instructions after which a guest counts as hung.
const MOST: u64 = 400_000_000;

/// Bytes of the guest's font that are looked at.
const FONT_SIZE: usize = 0x2000;

/// Runs an image until it says that it has drawn.
pub(crate) fn run(image: &Path) -> Result<Machine, String> {
    let mut machine = bios::machine(&[Drive::Floppy(image.to_owned())], 32 << 20)?;
    let mut said = Vec::new();
    while !said.windows(DONE.len()).any(|w| w == DONE) {
        let exit = machine.run(machine.cpu().retired + 200_000);
        machine.board().debug_output(&mut said);
        if !matches!(exit, Exit::Slice | Exit::Limit) || machine.cpu().retired > MOST {
            let screen = machine.text().map(|t| (0..t.rows).map(|r| t.row(r) + "\n").collect::<String>());
            return Err(format!("{exit:?} at {}\n{}", machine.describe(), screen.unwrap_or_default()));
        }
    }
    Ok(machine)
}

/// The picture by way of a PNG.
pub(crate) fn picture(machine: &mut Machine) -> Result<Picture, String> {
    Picture::from_png(&machine::picture::png(&machine.frame()))
}

/// The font that the guest has kept.
pub(crate) fn font(machine: &mut Machine) -> Vec<u8> {
    let mut font = vec![0; FONT_SIZE];
    machine.read_physical(FONT.into(), &mut font);
    font
}
