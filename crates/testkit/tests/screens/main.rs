//! What the screen shows, mode by mode: boot programs set a mode, draw, and stop; the picture must be
//! the one that the drawing rule and IBM's manual give, which the tests work out by themselves.
//!
//! The same floppy image runs under QEMU, where there is one, and must look the same there, dot for
//! dot. Where QEMU's adapter is known not to do what the manual says, its case says so and says what
//! QEMU shows instead; a QEMU that shows neither fails. What is absent is reported as ignored, aloud.

mod bytes;
mod cga;
mod effects;
mod guest;
mod picture;
mod planar;
mod qemu;
mod ringer;
mod text;
mod timing;
mod vbe;
mod writes;

use libtest_mimic::{Arguments, Failed, Trial};
use picture::{Colours, Picture};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use test_roms::asm::{Asm, Assembled};
use testkit::bios;

/// A picture; what the guest has kept of its font goes in.
type Draw = Box<dyn Fn(&[u8]) -> Picture + Send + Sync>;
type Program = Box<dyn Fn(&mut Asm) -> Assembled + Send + Sync>;

/// What QEMU shows instead of what it should, and why that is wrong or no matter.
struct Departure {
    why: &'static str,
    shows: Draw,
}

/// A boot program and its picture.
struct Case {
    name: String,
    program: Program,
    picture: Draw,
    qemu: Option<Departure>,
    /// Why QEMU's picture says nothing.
    not_qemu: Option<&'static str>,
    colours: Colours,
}

impl Case {
    fn new(
        name: impl Into<String>,
        program: impl Fn(&mut Asm) -> Assembled + Send + Sync + 'static,
        picture: impl Fn(&[u8]) -> Picture + Send + Sync + 'static,
    ) -> Case {
        Case {
            name: name.into(),
            program: Box::new(program),
            picture: Box::new(picture),
            qemu: None,
            not_qemu: None,
            colours: Colours::Dac,
        }
    }

    /// QEMU shows another picture.
    fn but_qemu(
        mut self,
        why: &'static str,
        shows: impl Fn(&[u8]) -> Picture + Send + Sync + 'static,
    ) -> Case {
        self.qemu = Some(Departure { why, shows: Box::new(shows) });
        self
    }

    /// QEMU's picture depends on what was before.
    fn without_qemu(self, why: &'static str) -> Case {
        Case { not_qemu: Some(why), ..self }
    }

    fn with_colours(self, colours: Colours) -> Case {
        Case { colours, ..self }
    }

    fn image(&self) -> Result<(TempDir, PathBuf), Failed> {
        image(&self.program)
    }

    fn under_ringer(&self) -> Result<(), Failed> {
        let (_directory, image) = self.image()?;
        let mut machine = ringer::run(&image)?;
        let expected = (self.picture)(&ringer::font(&mut machine));
        match expected.differs(&ringer::picture(&mut machine)?) {
            None => Ok(()),
            Some(how) => Err(how.into()),
        }
    }

    fn under_qemu(&self) -> Result<(), Failed> {
        let (directory, image) = self.image()?;
        let mut machine = ringer::run(&image)?;
        let font = ringer::font(&mut machine);
        let ours = ringer::picture(&mut machine)?.rounded(self.colours);
        let mut qemu = qemu::Qemu::start(&image, directory.path())?;
        qemu.wait()?;
        let theirs = qemu.picture()?.rounded(self.colours);
        let Some(how) = ours.differs(&theirs) else { return Ok(()) };
        let Some(departure) = &self.qemu else { return Err(format!("QEMU differs: {how}").into()) };
        match (departure.shows)(&font).rounded(self.colours).differs(&theirs) {
            None => Ok(()),
            Some(other) => {
                Err(format!("QEMU differs: {how}; and not as known ({}): {other}", departure.why).into())
            }
        }
    }
}

/// The floppy of a program, in a directory that goes with it.
fn image(program: &dyn Fn(&mut Asm) -> Assembled) -> Result<(TempDir, PathBuf), Failed> {
    let directory = tempfile::tempdir()?;
    let image = directory.path().join("floppy.img");
    std::fs::write(&image, guest::floppy(program)?)?;
    Ok((directory, image))
}

fn cases() -> Vec<Case> {
    [
        text::cases(),
        cga::cases(),
        planar::cases(),
        writes::cases(),
        effects::cases(),
        bytes::cases(),
        vbe::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether the host has QEMU.
fn has_qemu() -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|d| d.join(qemu::PROGRAM).is_file())
}

fn main() {
    let arguments = Arguments::from_args();
    let firmware = bios::firmware(Vec::new()).is_some_and(|f| f.video.is_some());
    let both = firmware && has_qemu();
    if !firmware {
        eprintln!("SKIPPED: all pictures: there is no SeaBIOS; `cargo xtask guests` fetches it");
    }
    if firmware && !both {
        eprintln!("SKIPPED: the comparisons with QEMU: there is no {}", qemu::PROGRAM);
    }
    let mut trials = Vec::new();
    for case in cases() {
        let case = Arc::new(case);
        let name = case.name.clone();
        if let Some(why) = case.not_qemu {
            eprintln!("SKIPPED: qemu::{name}: {why}");
        }
        let compared = both && case.not_qemu.is_none();
        let again = case.clone();
        trials.push(
            Trial::test(format!("ringer::{name}"), move || case.under_ringer()).with_ignored_flag(!firmware),
        );
        trials.push(
            Trial::test(format!("qemu::{name}"), move || again.under_qemu()).with_ignored_flag(!compared),
        );
    }
    trials.extend(timing::trials(firmware, both));
    libtest_mimic::run(&arguments, trials).exit();
}
