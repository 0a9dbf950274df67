//! FreeDOS from its floppy.

use super::{Failed, Outcome, PATIENCE, contains, start};
use dev::block::SECTOR;
use std::process::Command;
use testkit::bios::{self, Drive};
use testkit::console::Console;
use xtask::guests;

fn floppy() -> Result<Drive, Failed> {
    Ok(Drive::Floppy(guests::freedos().ok_or("the floppy has gone")?))
}

/// Types a command at the prompt and returns the screen when the prompt is there again.
fn command(c: &mut Console, line: &str) -> Result<String, Failed> {
    c.keys(&format!("cls\n{line}\n"));
    c.wait_for_screen(&format!("A:\\>{line}"))?;
    c.wait_for_screen_where("the prompt", |s| s.trim_end().ends_with("A:\\>"))?;
    Ok(c.screen())
}

pub(crate) fn answers() -> Outcome {
    let mut c = start(&[floppy()?], 16)?;
    c.wait_for_screen("A:\\>")?;
    contains("ver", &command(&mut c, "ver")?, "FreeCom version 0.82")?;
    let listing = command(&mut c, "dir")?;
    contains("dir", &listing, "KERNEL   SYS")?;
    contains("dir", &listing, "bytes free")
}

/// A copy is there after a reset, and mtools on the host reads it.
pub(crate) fn file_survives() -> Outcome {
    let path = guests::freedos().ok_or("the floppy has gone")?;
    let mut machine = bios::machine(&[], 16 << 20)?;
    machine.board().insert_floppy(0, Box::new(bios::in_memory(&path)?));
    let mut c = Console::over(machine, PATIENCE);
    c.wait_for_screen("A:\\>")?;
    contains("copy", &command(&mut c, "copy readme.txt kept.txt")?, "kept.txt")?;
    c.machine.reset();
    c.wait_for_screen_where("a blank screen", |s| !s.contains("kept.txt"))?;
    c.wait_for_screen("A:\\>")?;
    contains("dir after the reset", &command(&mut c, "dir kept.txt")?, "KEPT     TXT")?;
    let image = take_floppy(&mut c)?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), image)?;
    let read = |name: &str| {
        let out = Command::new("mcopy").arg("-i").arg(file.path()).args([&format!("::{name}"), "-"]).output();
        out.map(|o| o.stdout).map_err(|e| format!("mcopy: {e}"))
    };
    let (original, copy) = (read("README.TXT")?, read("KEPT.TXT")?);
    if original.len() == 214 && original == copy { Ok(()) } else { Err("mtools reads another file".into()) }
}

fn take_floppy(c: &mut Console) -> Result<Vec<u8>, Failed> {
    let mut medium = c.machine.board().eject_floppy(0).ok_or("there is no floppy")?;
    let mut bytes = vec![0; medium.sectors() as usize * SECTOR];
    medium.read(0, &mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// Turn by turn in one process, each with its own screen.
pub(crate) fn two_machines() -> Outcome {
    let mut both = [start(&[floppy()?], 8)?, start(&[floppy()?], 16)?];
    both[0].keys("echo first\n");
    both[1].keys("echo second\n");
    for _ in 0..600 {
        for c in &mut both {
            if let Some(exit) = c.step(u64::MAX) {
                return Err(format!("{exit:?}").into());
            }
        }
        let done = both.each_mut().map(|c| c.screen().trim_end().ends_with("A:\\>"));
        if done == [true, true] && both[0].keys_typed() && both[1].keys_typed() {
            contains("the first screen", &both[0].screen(), "first")?;
            return contains("the second screen", &both[1].screen(), "second");
        }
    }
    Err(format!("they do not come to an end:\n{}\n{}", both[0].screen(), both[1].screen()).into())
}
