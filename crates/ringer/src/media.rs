//! The images that the options name, recognised, opened and put into drives.

use crate::cli::Run;
use anyhow::{Context, bail};
use dev::Block;
use disk::{Access, Complaints, Medium, Overlay, RawImage};
use machine::{BootDevice, Pc};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Drives on the IDE cables.
const PLACES: usize = 4;
/// Where a CD-ROM drive goes: master of the second channel.
const CDROM_PLACE: usize = 2;

/// What goes where.
#[derive(Debug, Default, Clone)]
pub(crate) struct Media {
    pub(crate) floppies: Vec<PathBuf>,
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) cdrom: Option<PathBuf>,
    /// A kernel that was given as the image.
    pub(crate) kernel: Option<PathBuf>,
}

impl Media {
    /// The media that the options name, the positional image by what it is.
    pub(crate) fn of(run: &Run) -> anyhow::Result<Media> {
        let mut media = Media {
            floppies: run.floppy.clone(),
            disks: run.disk.clone(),
            cdrom: run.cdrom.clone(),
            kernel: run.kernel.clone(),
        };
        if let Some(path) = &run.image {
            match look(path)? {
                Medium::Floppy => media.floppies.insert(0, path.clone()),
                Medium::HardDisk => media.disks.insert(0, path.clone()),
                Medium::Cdrom => media.cdrom = Some(path.clone()),
                Medium::Linux | Medium::Multiboot => media.kernel = Some(path.clone()),
                Medium::Unknown => bail!(
                    "the image {}: neither a floppy by its size, nor a disk with a boot sector, nor an ISO 9660 CD, nor a \
                     kernel; --floppy, --disk, --cdrom or --kernel says what it is",
                    path.display()
                ),
            }
        }
        Ok(media)
    }

    /// Whether the machine needs a BIOS to start.
    pub(crate) fn any(&self) -> bool {
        !self.floppies.is_empty() || !self.disks.is_empty() || self.cdrom.is_some()
    }

    /// What to boot from where no order was given: what there is, CD last where there is a disk.
    pub(crate) fn order(&self, given: Option<&str>) -> Vec<BootDevice> {
        let by_letter = |c: char| match c {
            'a' => Some(BootDevice::Floppy),
            'c' => Some(BootDevice::Disk),
            'd' => Some(BootDevice::Cdrom),
            _ => None,
        };
        if let Some(order) = given {
            return order.chars().filter_map(by_letter).collect();
        }
        let there = [
            (!self.floppies.is_empty(), BootDevice::Floppy),
            (!self.disks.is_empty(), BootDevice::Disk),
            (self.cdrom.is_some(), BootDevice::Cdrom),
        ];
        there.iter().filter(|(is, _)| *is).map(|(_, device)| *device).collect()
    }

    /// Opens the images and puts them into the machine's drives.
    pub(crate) fn insert(&self, run: &Run, board: &mut Pc, complaints: &Complaints) -> anyhow::Result<()> {
        if self.floppies.len() > 2 {
            bail!("there are two floppy drives, and {} images", self.floppies.len());
        }
        for (drive, path) in self.floppies.iter().enumerate() {
            board.insert_floppy(drive, open("the floppy", path, run, complaints)?);
        }
        let cdrom = self.cdrom.as_ref().map(|_| CDROM_PLACE);
        let mut places = (0..PLACES).filter(|&p| Some(p) != cdrom);
        for path in &self.disks {
            let Some(place) = places.next() else { bail!("there is room for four drives on the IDE cables") };
            board.attach_disk(place, open("the disk", path, run, complaints)?);
        }
        let disc = self.cdrom.as_ref().map(|path| open_read_only("the CD", path, complaints)).transpose()?;
        if let Some(place) = cdrom.or_else(|| places.find(|&p| p == CDROM_PLACE)) {
            board.attach_cdrom(place, disc);
        }
        Ok(())
    }
}

/// A drive whose medium can be taken out, by QEMU's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removable {
    /// `floppy0` or `floppy1`.
    Floppy(usize),
    /// `ide0-cd0` to `ide1-cd1`.
    Cdrom(usize),
}

impl Removable {
    /// The drive of that name.
    pub(crate) fn named(name: &str) -> Option<Removable> {
        Some(match name {
            "floppy0" => Removable::Floppy(0),
            "floppy1" => Removable::Floppy(1),
            "ide0-cd0" => Removable::Cdrom(0),
            "ide0-cd1" => Removable::Cdrom(1),
            "ide1-cd0" => Removable::Cdrom(2),
            "ide1-cd1" => Removable::Cdrom(3),
            _ => return None,
        })
    }

    /// Takes the medium out and puts another one in, if one is named. An image that cannot be used leaves
    /// what was there.
    pub(crate) fn change(
        self,
        file: Option<&Path>,
        run: &Run,
        board: &mut Pc,
        complaints: &Complaints,
    ) -> anyhow::Result<()> {
        match self {
            Removable::Floppy(drive) => {
                let medium = file.map(|f| open("the floppy", f, run, complaints)).transpose()?;
                drop(board.eject_floppy(drive));
                if let Some(medium) = medium {
                    board.insert_floppy(drive, medium);
                }
            }
            Removable::Cdrom(place) => {
                let disc = file.map(|f| open_read_only("the CD", f, complaints)).transpose()?;
                if !board.has_cdrom(place) {
                    bail!("there is no CD-ROM drive in that place");
                }
                drop(board.eject_disc(place));
                if let Some(disc) = disc {
                    // the place was looked at
                    drop(board.insert_disc(place, disc));
                }
            }
        }
        Ok(())
    }
}

/// What an image is, by its first bytes and size.
fn look(path: &Path) -> anyhow::Result<Medium> {
    let context = || format!("the image {}", path.display());
    let file = std::fs::File::open(path).with_context(context)?;
    let meta = file.metadata().with_context(context)?;
    if meta.is_dir() {
        bail!("{}: it is a directory", context());
    }
    if meta.is_file() && meta.len() == 0 {
        bail!("{}: it is empty", context());
    }
    let mut head = Vec::new();
    file.take(disk::HEAD as u64).read_to_end(&mut head).with_context(context)?;
    Ok(disk::recognise(&head, meta.len()))
}

fn open(what: &str, path: &Path, run: &Run, complaints: &Complaints) -> anyhow::Result<Box<dyn Block>> {
    if run.read_only {
        return open_read_only(what, path, complaints);
    }
    if run.snapshot {
        return Ok(Box::new(Overlay::new(open_read_only(what, path, complaints)?)));
    }
    let image = RawImage::open(path, Access::ReadWrite, complaints.clone());
    Ok(Box::new(image.with_context(|| format!("{what} {}", path.display()))?))
}

fn open_read_only(what: &str, path: &Path, complaints: &Complaints) -> anyhow::Result<Box<dyn Block>> {
    let image = RawImage::open(path, Access::ReadOnly, complaints.clone());
    Ok(Box::new(image.with_context(|| format!("{what} {}", path.display()))?))
}
