//! The BIOS images of the host.

use crate::cli::Run;
use anyhow::{Context, bail};
use machine::{BootDevice, Firmware};
use std::path::{Path, PathBuf};

/// Where Debian, Fedora, Arch, Homebrew and others keep SeaBIOS.
const PLACES: [&str; 6] = [
    "/usr/share/seabios",
    "/usr/share/qemu",
    "/usr/lib/seabios",
    "/usr/local/share/qemu",
    "/opt/homebrew/share/qemu",
    "/usr/share/seavgabios",
];
/// Bytes of a video BIOS: C0000h to CFFFFh.
const MOST_VIDEO: usize = 0x1_0000;
const BIOS: [&str; 2] = ["bios-256k.bin", "bios.bin"];
const VIDEO: [&str; 2] = ["vgabios-stdvga.bin", "vgabios.bin"];

/// BIOS and video BIOS, as the options say or as found.
pub(crate) fn firmware(run: &Run, order: Vec<BootDevice>) -> anyhow::Result<Firmware> {
    let Some(bios) = run.bios.clone().or_else(|| find(&BIOS)) else {
        bail!(
            "no BIOS found: install SeaBIOS (apt-get install seabios; dnf install seabios-bin seavgabios-bin; or QEMU, which \
             brings it), or give one with --bios"
        );
    };
    let bios_bytes = read("the BIOS", &bios)?;
    check(&bios, &bios_bytes)?;
    let Some(video) = run.vga_bios.clone().or_else(|| find(&VIDEO)) else {
        eprintln!(
            "ringer: no video BIOS found, and the screen stays dark: install it (apt-get install seabios; dnf install \
             seavgabios-bin), or give one with --vga-bios"
        );
        return Ok(Firmware { bios: bios_bytes, video: None, order });
    };
    let video = Some(video_bios(&video)?);
    Ok(Firmware { bios: bios_bytes, video, order })
}

fn find(names: &[&str]) -> Option<PathBuf> {
    let candidates = PLACES.iter().flat_map(|d| names.iter().map(move |n| Path::new(d).join(n)));
    candidates.into_iter().find(|p| p.is_file())
}

fn read(what: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    crate::load::read(what, path)
}

/// An option ROM (PCI Firmware Specification 3.0, 5.1.1): its signature, and its length in 512-byte units.
fn video_bios(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = read("the video BIOS", path)?;
    let (fits, len) = (bytes.len() <= MOST_VIDEO, bytes.get(2).map_or(0, |&n| usize::from(n) * 512));
    if !fits || !bytes.starts_with(&[0x55, 0xaa]) || len == 0 || len > bytes.len() {
        bail!(
            "the video BIOS {}: it is no option ROM, of 55AAh at its start and up to 64 KiB",
            path.display()
        );
    }
    Ok(bytes)
}

fn check(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fits = bytes.len() <= Firmware::MOST_BIOS && bytes.len().is_multiple_of(0x1_0000);
    let size = bytes.len();
    let bad = || {
        format!(
            "the BIOS {}: its size, {size} bytes, must be a multiple of 64 KiB up to 256 KiB",
            path.display()
        )
    };
    fits.then_some(()).with_context(bad)
}
