//! Debian: its installer, and an installed system on a disk.

use super::{Failed, Outcome, PATIENCE, prepared};
use dev::block::SECTOR;
use machine::{Exit, Image};
use std::fs::File;

use std::path::Path;
use std::process::Command;
use testkit::bios::{self};
use testkit::console::Console;
use xtask::guests::file;

pub(crate) fn installer() -> Outcome {
    let image = Image::Linux {
        kernel: std::fs::read(prepared(file::INSTALLER))?,
        initrd: Some(std::fs::read(prepared(file::INSTALLER_INITRD))?),
        append: "console=ttyS0 mitigations=off".to_owned(),
    };
    let mut c = Console::boot(&image, 512 << 20, PATIENCE)?;
    c.wait_for("Select a language")?;
    Ok(())
}

/// From its own master boot record to a login, a file and power-off; the file system is sound.
pub(crate) fn systemd() -> Outcome {
    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("disk.img");
    // sparse, unlike a plain copy
    run(Command::new("cp").arg("--sparse=always").arg(prepared(file::DISK)).arg(&copy))?;
    let mut machine = bios::machine(&[], 256 << 20)?;
    let image = disk::RawImage::open(&copy, disk::Access::ReadWrite, disk::Complaints::default());
    machine.board().attach_disk(0, Box::new(image.map_err(|e| e.to_string())?));
    let mut c = Console::over(machine, PATIENCE);
    c.wait_for("ringer login: ")?;
    c.type_line("root");
    c.wait_for("Password: ")?;
    c.type_line("ringer");
    c.wait_for("# ")?;
    let interrupts = c.command("grep -c -e IO-APIC.*ata_piix -e 'LOC: *[1-9]' /proc/interrupts", "# ")?;
    super::contains("/proc/interrupts", &interrupts, "3")?;
    c.command("echo forty-two > /root/kept", "# ")?;
    c.type_line("systemctl poweroff");
    let exit = c.wait_for_end()?;
    if exit != Exit::PowerOff {
        return Err(format!("it ended by {exit:?}").into());
    }
    drop(c);
    check_file_system(&copy, dir.path())
}

fn run(command: &mut Command) -> Result<String, Failed> {
    let out = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    if out.status.success() { Ok(said) } else { Err(format!("{command:?}: {said}").into()) }
}

/// `e2fsck -f` finds nothing to correct, and the file is there.
fn check_file_system(disk: &Path, dir: &Path) -> Outcome {
    let partition = dir.join("partition");
    let mut from = File::open(disk)?;
    std::io::Seek::seek(&mut from, std::io::SeekFrom::Start(2048 * SECTOR as u64))?;
    std::io::copy(&mut from, &mut File::create(&partition)?)?;
    run(Command::new("e2fsck").args(["-f", "-n"]).arg(&partition))?;
    let kept = run(Command::new("debugfs").args(["-R", "cat /root/kept"]).arg(&partition))?;
    super::contains("the file", &kept, "forty-two")
}
