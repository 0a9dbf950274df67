//! Debian: its installer, and an installed system on a disk.

use super::{Failed, Outcome, PATIENCE, prepared};
use dev::Block;
use dev::block::SECTOR;
use disk::{Access, Complaints, Log, Logged, RawImage};
use machine::{Exit, Image};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::bios;
use testkit::console::Console;
use xtask::guests::file;

/// Points at which a host stops after the guest has synced.
const STOPS: usize = 8;

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
    let disk = copy(dir.path())?;
    let mut machine = bios::machine(&[], 256 << 20)?;
    let (logged, log) = Logged::new(open(&disk)?);
    machine.board().attach_disk(0, Box::new(logged));
    let mut c = Console::over(machine, PATIENCE);
    c.wait_for("ringer login: ")?;
    c.type_line("root");
    c.wait_for("Password: ")?;
    c.type_line("ringer");
    c.wait_for("# ")?;
    let interrupts = c.command("grep -c -e IO-APIC.*ata_piix -e 'LOC: *[1-9]' /proc/interrupts", "# ")?;
    super::contains("/proc/interrupts", &interrupts, "3")?;
    c.command("echo forty-two > /root/kept", "# ")?;
    c.command("sync; echo $((41+1)) synced", "42 synced")?;
    let synced = log.len();
    c.wait_for("# ")?;
    c.type_line("systemctl poweroff");
    let exit = c.wait_for_end()?;
    if exit != Exit::PowerOff {
        return Err(format!("it ended by {exit:?}").into());
    }
    drop(c);
    check_file_system(&disk, dir.path(), &["-f", "-n"], 0)?;
    stopped_hosts(&log, synced, dir.path())
}

/// A copy of the prepared disk.
fn copy(dir: &Path) -> Result<PathBuf, Failed> {
    let copy = dir.join("disk.img");
    // sparse, unlike a plain copy
    run(Command::new("cp").arg("--sparse=always").arg(prepared(file::DISK)).arg(&copy))?;
    Ok(copy)
}

fn open(disk: &Path) -> Result<Box<RawImage>, Failed> {
    let image = RawImage::open(disk, Access::ReadWrite, Complaints::default());
    Ok(Box::new(image.map_err(|e| e.to_string())?))
}

/// What the guest has synced is there wherever the host stops afterwards: the journal makes the file system
/// whole, and the file is in it.
fn stopped_hosts(log: &Log, synced: usize, dir: &Path) -> Outcome {
    for n in 0..STOPS {
        let cut = synced + n * (log.len() - synced) / STOPS;
        let disk = copy(dir)?;
        let mut image = open(&disk)?;
        for (sector, bytes) in log.survives(cut, n as u64) {
            image.write(sector, &bytes).map_err(|e| e.to_string())?;
        }
        drop(image);
        // 1: corrected what always can be, the journal and the superblock's counts; more would be refused
        check_file_system(&disk, dir, &["-f", "-p"], 1).map_err(|e| format!("{e:?} after {cut} events"))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String, Failed> {
    let out = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    if out.status.success() { Ok(said) } else { Err(format!("{command:?}: {said}").into()) }
}

/// `e2fsck` ends with `most` at most, and the file is there.
fn check_file_system(disk: &Path, dir: &Path, options: &[&str], most: i32) -> Outcome {
    let partition = dir.join("partition");
    let mut from = File::open(disk)?;
    std::io::Seek::seek(&mut from, std::io::SeekFrom::Start(2048 * SECTOR as u64))?;
    std::io::copy(&mut from, &mut File::create(&partition)?)?;
    let mut e2fsck = Command::new("e2fsck");
    let checked = e2fsck.args(options).arg(&partition).output().map_err(|e| format!("e2fsck: {e}"))?;
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    if checked.status.code().is_none_or(|code| code > most) {
        return Err(format!("e2fsck: {said}").into());
    }
    let kept = run(Command::new("debugfs").args(["-R", "cat /root/kept"]).arg(&partition))?;
    super::contains("the file", &kept, "forty-two")
}
