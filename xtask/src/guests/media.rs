//! Media that a BIOS boots: CDs, floppies and a disk, made of Debian's packages.

use super::{Apt, take};
use crate::command::output;
use anyhow::Context;
use std::fs;
use std::path::Path;

/// The menu of the isolinux CD.
const ISOLINUX: &str = "\
PROMPT 1
TIMEOUT 0
SAY The test CD: hdt or dos
LABEL hdt
  COM32 hdt.c32
LABEL dos
  KERNEL memdisk
  INITRD floppy.img
";
/// Modules of the CD's loader, with what they need.
const MODULES: [&str; 6] =
    ["ldlinux.c32", "hdt.c32", "libcom32.c32", "libutil.c32", "libmenu.c32", "libgpl.c32"];
/// How the disk is made: as root, in its directory, whose name comes first.
pub(super) const DISK: &str = include_str!("disk.sh");

/// SeaBIOS and its video BIOS.
pub(super) fn firmware(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let unpacked = place.join("unpacked");
    apt.unpack(&["seabios"], &unpacked)?;
    for name in ["bios-256k.bin", "vgabios-stdvga.bin"] {
        take(&unpacked.join("usr/share/seabios"), name, &place.join(name))?;
    }
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

/// Bootable media that packages bring whole.
pub(super) fn ready(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let unpacked = place.join("unpacked");
    apt.unpack(&["memtest86+", "grub-rescue-pc", "ipxe"], &unpacked)?;
    let lib = unpacked.join("usr/lib");
    take(&lib.join("memtest86+"), "memtest86+ia32.iso", &place.join("memtest.iso"))?;
    take(&lib.join("grub-rescue"), "grub-rescue-cdrom.iso", &place.join("grub.iso"))?;
    take(&lib.join("grub-rescue"), "grub-rescue-floppy.img", &place.join("grub.img"))?;
    take(&lib.join("ipxe"), "ipxe.iso", &place.join("ipxe.iso"))?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

/// A CD with isolinux, the Hardware Detection Tool, and memdisk with the floppy that
/// `RINGER_FREEDOS` names, if there is one.
pub(super) fn isolinux(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let unpacked = place.join("unpacked");
    apt.unpack(&["isolinux", "syslinux-common"], &unpacked)?;
    let (lib, tree) = (unpacked.join("usr/lib"), place.join("tree"));
    fs::create_dir_all(&tree)?;
    take(&lib.join("ISOLINUX"), "isolinux.bin", &tree.join("isolinux.bin"))?;
    take(&lib.join("syslinux"), "memdisk", &tree.join("memdisk"))?;
    for name in MODULES {
        take(&lib.join("syslinux/modules/bios"), name, &tree.join(name))?;
    }
    fs::write(tree.join("isolinux.cfg"), ISOLINUX)?;
    if let Some(floppy) = super::freedos() {
        fs::copy(&floppy, tree.join("floppy.img")).with_context(|| format!("{}", floppy.display()))?;
    }
    let options = "-as mkisofs -quiet -o isolinux.iso -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
                   -boot-info-table tree";
    output("xorriso", options.split_whitespace(), place).context("the CD (apt-get install xorriso)")?;
    fs::remove_dir_all(tree)?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

/// Debian's installer, for the network.
pub(super) fn installer(apt: &Apt, place: &Path) -> anyhow::Result<()> {
    let unpacked = place.join("unpacked");
    apt.unpack(&["debian-installer-12-netboot-i386"], &unpacked)?;
    let found = output("find", ["unpacked", "-path", "*text*", "-name", "linux"], place)?;
    let kernel = place.join(found.lines().next().context("the package has no kernel")?);
    fs::rename(&kernel, place.join("linux"))?;
    fs::rename(kernel.with_file_name("initrd.gz"), place.join("initrd.gz"))?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

/// A disk with Debian 12, systemd, ext4 and GRUB in its master boot record.
pub(super) fn disk(_: &Apt, place: &Path) -> anyhow::Result<()> {
    fs::write(place.join("make.sh"), DISK)?;
    output("sh", ["make.sh"], place)
        .context("the disk (apt-get install mmdebstrap arch-test fdisk e2fsprogs grub-pc-bin grub-common)")?;
    Ok(())
}
