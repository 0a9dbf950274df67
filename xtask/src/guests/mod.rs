//! The guests that tests boot, prepared once in a cache directory from Debian's packages.

mod apt;
mod archive;
mod media;

use crate::command::output;
use anyhow::Context;
use apt::{Apt, empty};
use archive::Archive;
use std::fs;
use std::path::{Path, PathBuf};

const INIT: &str = include_str!("init.sh");
/// What runs over the programs, in a guest and natively.
pub const SUITE: &str = include_str!("suite.sh");

/// A file of a prepared guest, below [`directory`].
pub mod file {
    /// Debian's 686 kernel.
    pub const KERNEL: &str = "debian/vmlinuz";
    /// An initramfs with BusyBox that gives a shell on the console.
    pub const INITRD: &str = "debian/initrd";
    /// GRUB Invaders, multiboot by addresses.
    pub const INVADERS: &str = "multiboot/invaders.exec";
    /// GNU Mach 1.8, multiboot, gzip.
    pub const MACH: &str = "multiboot/gnumach-1.8-486.gz";
    /// An initramfs that runs [`super::SUITE`] and powers off.
    pub const PROGRAMS: &str = "programs/initrd";
    /// The same programs, unpacked.
    pub const ROOT: &str = "programs/root";
    /// SeaBIOS.
    pub const BIOS: &str = "firmware/bios-256k.bin";
    /// SeaBIOS's video BIOS.
    pub const VIDEO_BIOS: &str = "firmware/vgabios-stdvga.bin";
    /// memtest86+ 6.10, a CD.
    pub const MEMTEST: &str = "media/memtest.iso";
    /// GRUB's rescue CD and floppy.
    pub const GRUB_CD: &str = "media/grub.iso";
    /// See [`GRUB_CD`].
    pub const GRUB_FLOPPY: &str = "media/grub.img";
    /// iPXE, a CD.
    pub const IPXE: &str = "media/ipxe.iso";
    /// A CD with isolinux, HDT and memdisk.
    pub const ISOLINUX: &str = "isolinux/isolinux.iso";
    /// The Debian installer's kernel.
    pub const INSTALLER: &str = "installer/linux";
    /// The Debian installer's initramfs.
    pub const INSTALLER_INITRD: &str = "installer/initrd.gz";
    /// A disk with Debian and systemd; root's password is `ringer`.
    pub const DISK: &str = "disk/disk.img";
    /// Python with PyPI's `qemu.qmp`.
    pub const QMP_PYTHON: &str = "qmp/venv/bin/python";
}

/// Programs with few libraries.
const PROGRAMS: [&str; 10] =
    ["gzip", "bzip2", "xz-utils", "zstd", "mawk", "lua5.4", "sqlite3", "bc", "openssl", "perl-base"];

/// Those of their commands that the suite runs.
const COMMANDS: [&str; 11] =
    ["busybox", "gzip", "bzip2", "xz", "zstd", "mawk", "lua5.4", "sqlite3", "bc", "openssl", "perl"];
/// The client that QMP is checked with, from PyPI.
const QMP_CLIENT: &str = "qemu.qmp==0.0.3";
/// What else of the packages is of no use here.
const SUPERFLUOUS: [&str; 6] =
    ["usr/share", "usr/lib/systemd", "usr/lib/i386-linux-gnu/gconv", "usr/lib/dpkg", "var", "etc"];

/// Where prepared guests lie: `RINGER_GUESTS`, or the user's cache.
pub fn directory() -> PathBuf {
    if let Some(named) = std::env::var_os("RINGER_GUESTS") {
        return named.into();
    }
    let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    home.join(".cache/ringer-guests")
}

/// A prepared file, if it is there.
pub fn find(name: &str) -> Option<PathBuf> {
    Some(directory().join(name)).filter(|p| p.exists())
}

/// One step: files that are made together, and a stamp that says from what.
struct Step {
    name: &'static str,
    /// Changes when the recipe does.
    recipe: String,
    files: &'static [&'static str],
    make: fn(&Apt, &Path) -> anyhow::Result<()>,
}

fn steps() -> [Step; 9] {
    [
        Step {
            name: "debian",
            recipe: format!("1 {INIT}"),
            files: &[file::KERNEL, file::INITRD],
            make: debian,
        },
        Step {
            name: "multiboot",
            recipe: "1".to_owned(),
            files: &[file::INVADERS, file::MACH],
            make: multiboot,
        },
        Step {
            name: "programs",
            recipe: format!("1 {PROGRAMS:?} {INIT} {SUITE}"),
            files: &[file::PROGRAMS, file::ROOT],
            make: programs,
        },
        Step {
            name: "firmware",
            recipe: "1".to_owned(),
            files: &[file::BIOS, file::VIDEO_BIOS],
            make: media::firmware,
        },
        Step {
            name: "media",
            recipe: "1".to_owned(),
            files: &[file::MEMTEST, file::GRUB_CD, file::GRUB_FLOPPY, file::IPXE],
            make: media::ready,
        },
        Step {
            name: "isolinux",
            recipe: format!("1 {}", freedos().is_some()),
            files: &[file::ISOLINUX],
            make: media::isolinux,
        },
        Step {
            name: "installer",
            recipe: "1".to_owned(),
            files: &[file::INSTALLER, file::INSTALLER_INITRD],
            make: media::installer,
        },
        Step { name: "disk", recipe: format!("1 {}", media::DISK), files: &[file::DISK], make: media::disk },
        Step { name: "qmp", recipe: QMP_CLIENT.to_owned(), files: &[file::QMP_PYTHON], make: qmp },
    ]
}

impl Step {
    fn stamp(&self, cache: &Path) -> PathBuf {
        cache.join(self.name).join("stamp")
    }

    fn prepare(&self, apt: &Apt, cache: &Path) -> anyhow::Result<()> {
        let place = cache.join(self.name);
        empty(&place)?;
        (self.make)(apt, &place).with_context(|| format!("the guest {}", self.name))?;
        Ok(fs::write(self.stamp(cache), &self.recipe)?)
    }

    fn is_done(&self, cache: &Path) -> bool {
        let stamped = fs::read_to_string(self.stamp(cache)).is_ok_and(|s| s == self.recipe);
        stamped && self.files.iter().all(|f| cache.join(f).exists())
    }
}

/// Fetches and prepares what is missing.
///
/// # Errors
/// apt-get, dpkg or the network is missing, or the cache cannot be written.
pub fn prepare() -> anyhow::Result<()> {
    let cache = directory();
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let cache = cache.canonicalize()?;
    let missing: Vec<Step> = steps().into_iter().filter(|s| !s.is_done(&cache)).collect();
    if missing.is_empty() {
        println!("guests: all prepared in {}", cache.display());
        return Ok(());
    }
    let apt = Apt::new(&cache)?;
    let mut first = Ok(());
    for step in missing {
        let done = step.prepare(&apt, &cache);
        match (&done, &first) {
            (Ok(()), _) => println!("guests: {} prepared in {}", step.name, cache.display()),
            (Err(e), Err(_)) => println!("guests: {} is missing: {e:#}", step.name),
            (Err(_), Ok(())) => first = done,
        }
    }
    first
}

/// A FreeDOS floppy of 1.44 MB: `RINGER_FREEDOS`, or beside the workspace. No package has one.
pub fn freedos() -> Option<PathBuf> {
    beside("RINGER_FREEDOS", "freedos-1440.img")
}

/// A BootE Linux floppy: `RINGER_BOOTE`, or beside the workspace.
pub fn boote() -> Option<PathBuf> {
    beside("RINGER_BOOTE", "boote-linux-2.4.20.img")
}

fn beside(variable: &str, name: &str) -> Option<PathBuf> {
    let there = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/guests").join(name);
    Some(std::env::var_os(variable).map_or_else(there, PathBuf::from)).filter(|p| p.is_file())
}

/// The one file in `directory` whose name starts so, moved to `to`.
fn take(directory: &Path, start: &str, to: &Path) -> anyhow::Result<()> {
    let mut files = fs::read_dir(directory)?.filter_map(|e| Some(e.ok()?.path()));
    let found = files.find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start)));
    let found = found.with_context(|| format!("{} holds no {start}", directory.display()))?;
    fs::rename(&found, to).with_context(|| format!("cannot move {}", found.display()))
}

fn debian(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let unpacked = place.join("unpacked");
    apt.unpack(&[&apt.kernel()?, "busybox-static"], &unpacked)?;
    take(&unpacked.join("boot"), "vmlinuz-", &place.join("vmlinuz"))?;
    let mut archive = skeleton();
    archive.directory("bin");
    archive.file("bin/busybox", 0o755, &fs::read(unpacked.join("bin/busybox"))?);
    archive.link("bin/sh", "busybox");
    fs::write(place.join("initrd"), archive.finish())?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

fn multiboot(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let unpacked = place.join("unpacked");
    apt.unpack(&["grub-invaders", "gnumach-image-1.8-486"], &unpacked)?;
    let boot = unpacked.join("boot");
    take(&boot, "invaders.exec", &place.join("invaders.exec"))?;
    take(&boot, "gnumach-1.8-486", &place.join("gnumach-1.8-486.gz"))?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

fn programs(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let root = place.join("root");
    let mut packages = vec!["busybox-static"];
    packages.extend(PROGRAMS);
    apt.unpack_with_libraries(&packages, &root)?;
    trim(&root)?;
    let mut archive = skeleton();
    archive.file("suite.sh", 0o644, SUITE.as_bytes());
    archive.tree(&root, "")?;
    archive.link("bin/sh", "busybox");
    fs::write(place.join("initrd"), archive.finish())?;
    Ok(())
}

/// No guest, but what one is driven with.
fn qmp(_: &Apt, place: &Path) -> anyhow::Result<()> {
    output("python3", ["-m", "venv", "venv"], place).context("apt-get install python3-venv")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", QMP_CLIENT];
    output("venv/bin/python", pip, place)?;
    Ok(())
}

/// Removes what the suite does not need.
fn trim(root: &Path) -> anyhow::Result<()> {
    for d in SUPERFLUOUS.map(|d| root.join(d)) {
        if d.exists() {
            fs::remove_dir_all(&d).with_context(|| format!("cannot remove {}", d.display()))?;
        }
    }
    for d in ["bin", "sbin", "usr/bin", "usr/sbin"].map(|d| root.join(d)) {
        let Ok(entries) = fs::read_dir(&d) else { continue };
        for entry in entries {
            let entry = entry?;
            if !COMMANDS.iter().any(|c| entry.file_name() == *c) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// What every initramfs has.
fn skeleton() -> Archive {
    let mut archive = Archive::default();
    for d in ["dev", "proc", "sys", "tmp"] {
        archive.directory(d);
    }
    // the kernel opens it for init before anything is mounted
    archive.character_device("dev/console", (5, 1));
    archive.file("init", 0o755, INIT.as_bytes());
    archive
}
