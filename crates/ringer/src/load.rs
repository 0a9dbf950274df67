//! Reading the files that are to be booted.

use crate::cli::Run;
use crate::firmware::firmware;
use crate::media::Media;
use anyhow::{Context, bail};
use machine::Image;
use std::io::Read;
use std::path::Path;

/// No kernel, initrd or ROM for a 32-bit machine is larger.
const MOST: u64 = 3 << 30;

/// A whole file, with its name in every error.
pub(crate) fn read(what: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
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
pub(crate) fn image(run: &Run, media: &Media) -> anyhow::Result<Option<Image>> {
    if run.load.is_some() {
        return Ok(None);
    }
    if let Some(path) = &run.rom {
        return Ok(Some(Image::Rom(read("the ROM", path)?)));
    }
    if let Some(path) = &media.kernel {
        return kernel(run, path).map(Some);
    }
    if !media.any() && run.bios.is_none() {
        return Ok(None);
    }
    Ok(Some(Image::Firmware(firmware(run, media.order(run.boot.as_deref()))?)))
}

fn kernel(run: &Run, path: &Path) -> anyhow::Result<Image> {
    let kernel = read("the kernel", path)?;
    let initrd = run.initrd.as_deref().map(|p| read("the initrd", p)).transpose()?;
    let append = run.append.clone();
    if let Some(loader) = &run.loader {
        let loader = read("the loader", loader)?;
        return Ok(Image::Flat { loader, kernel, initrd, append });
    }
    let image = machine::boot::recognise(kernel, initrd, append);
    let image = image.with_context(|| format!("the kernel {}", path.display()))?;
    if let (Image::Linux { initrd: Some(initrd), .. }, Some(path)) = (&image, &run.initrd) {
        machine::boot::check_initrd(initrd).with_context(|| format!("the initrd {}", path.display()))?;
    }
    Ok(image)
}
