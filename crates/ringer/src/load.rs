//! Reading the files that are to be booted.

use crate::cli::Run;
use anyhow::{Context, bail};
use machine::{Firmware, Image};
use std::io::Read;
use std::path::Path;

/// No kernel, initrd or ROM for a 32-bit machine is larger.
const MOST: u64 = 3 << 30;

/// A whole file, with its name in every error.
fn read(what: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let context = || format!("{what} {}", path.display());
    let file = std::fs::File::open(path).with_context(context)?;
    if file.metadata().with_context(context)?.is_dir() {
        bail!("{}: it is a directory", context());
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).with_context(context)?;
    match bytes.len() as u64 {
        0 => bail!("{}: the file is empty", context()),
        n if n > MOST => bail!("{}: the file is larger than any 32-bit machine's memory", context()),
        _ => Ok(bytes),
    }
}

/// The image that the options name; `None` where they name none.
pub(crate) fn image(run: &Run) -> anyhow::Result<Option<Image>> {
    if let Some(path) = &run.rom {
        return Ok(Some(Image::Rom(read("the ROM", path)?)));
    }
    if let Some(path) = &run.bios {
        let bios = read("the BIOS", path)?;
        let video = std::fs::read("/usr/share/seabios/vgabios-stdvga.bin").ok();
        return Ok(Some(Image::Firmware(Firmware { bios, video, order: vec![] })));
    }
    let Some(path) = &run.kernel else { return Ok(None) };
    let kernel = read("the kernel", path)?;
    let initrd = run.initrd.as_deref().map(|p| read("the initrd", p)).transpose()?;
    let append = run.append.clone();
    if let Some(loader) = &run.loader {
        let loader = read("the loader", loader)?;
        return Ok(Some(Image::Flat { loader, kernel, initrd, append }));
    }
    let image = machine::boot::recognise(kernel, initrd, append);
    let image = image.with_context(|| format!("the kernel {}", path.display()))?;
    if let (Image::Linux { initrd: Some(initrd), .. }, Some(path)) = (&image, &run.initrd) {
        machine::boot::check_initrd(initrd).with_context(|| format!("the initrd {}", path.display()))?;
    }
    Ok(Some(image))
}
