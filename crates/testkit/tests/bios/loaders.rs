//! Boot loaders, and small systems on CDs and floppies.

use super::{Outcome, contains, prepared, start};
use testkit::bios::Drive;
use xtask::guests::{self, file};

fn cd(name: &str) -> Drive {
    Drive::Cdrom(prepared(name))
}

/// A minute of its tests.
pub(crate) fn memtest() -> Outcome {
    let mut c = start(&[cd(file::MEMTEST)], 64)?;
    c.wait_for_screen("Memtest86+")?;
    c.wait_for_screen("Time:  0:01:0")?;
    contains("memtest86+", &c.screen(), "Errors: 0\n")
}

fn grub(drive: Drive) -> Outcome {
    let mut c = start(&[drive], 64)?;
    c.wait_for_screen("GNU GRUB  version 2.06")?;
    c.wait_for_screen("Memtest86+")?;
    c.keys("c");
    c.wait_for_screen("\ngrub>")?;
    c.keys("echo six times seven\n");
    c.wait_for_screen("\nsix times seven")?;
    Ok(())
}

pub(crate) fn grub_cd() -> Outcome {
    grub(cd(file::GRUB_CD))
}

pub(crate) fn grub_floppy() -> Outcome {
    grub(Drive::Floppy(prepared(file::GRUB_FLOPPY)))
}

pub(crate) fn hdt() -> Outcome {
    let mut c = start(&[cd(file::ISOLINUX)], 64)?;
    c.wait_for_screen("boot:")?;
    c.keys("hdt\n");
    c.wait_for_screen("Main Menu")?;
    contains("HDT", &c.screen(), "Hardware Detection Tool 0.5.2")?;
    contains("HDT", &c.screen(), "PCI Devices( 5)")
}

pub(crate) fn memdisk() -> Outcome {
    let mut c = start(&[cd(file::ISOLINUX)], 64)?;
    c.wait_for_screen("boot:")?;
    c.keys("dos\n");
    c.wait_for_screen("A:\\>")?;
    c.keys("ver\n");
    c.wait_for_screen("FreeCom version")?;
    Ok(())
}

/// A kernel of 2002 from its floppy, by DMA.
pub(crate) fn boote() -> Outcome {
    let floppy = Drive::Floppy(guests::boote().ok_or("the floppy has gone")?);
    let mut c = start(&[floppy], 24)?;
    c.wait_for_screen("Please press Enter to activate this console.")?;
    c.keys("\n");
    c.wait_for_screen("[bootE Linux][~]$")?;
    c.keys("cat /proc/version\n");
    c.wait_for_screen("\nLinux version 2.4.20")?;
    Ok(())
}
