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

/// The BIOS's RSDP, RSDT and MADT, with one CPU, one I/O APIC, and the timer at its input 2.
pub(crate) fn madt() -> Outcome {
    let mut c = start(&[cd(file::MEMTEST)], 64)?;
    c.wait_for_screen("Memtest86+")?;
    let mut memory = vec![0; 64 << 20];
    c.machine.read_physical(0, &mut memory);
    let read = |at: u32, len: usize| memory.get(at as usize..).and_then(|m| m.get(..len)).unwrap_or_default();
    let dword = |at: u32| read(at, 4).iter().rev().fold(0, |v, &b| v << 8 | u32::from(b));
    let rsdp = (0xf_0000..0x10_0000).step_by(16).find(|&at| read(at, 8) == b"RSD PTR ").ok_or("no RSDP")?;
    let rsdt = dword(rsdp + 16);
    let mut entries = (36..dword(rsdt + 4)).step_by(4).map(|n| dword(rsdt + n));
    let madt = entries.find(|&at| read(at, 4) == b"APIC").ok_or("no MADT")?;
    let table = read(madt, dword(madt + 4) as usize);
    if table.iter().fold(0u8, |sum, &b| sum.wrapping_add(b)) != 0 || dword(madt + 36) != 0xfee0_0000 {
        return Err(format!("its MADT: {table:x?}").into());
    }
    let wanted: [&[u8]; 3] =
        [&[0, 8, 0, 0, 1, 0, 0, 0], &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0], &[2, 10, 0, 0, 2, 0, 0, 0]];
    let mut rest = &table[44..];
    let mut found = 0;
    while let [_, len, ..] = rest
        && *len >= 2
        && let Some((entry, behind)) = rest.split_at_checked(usize::from(*len))
    {
        found += wanted.iter().filter(|w| entry.starts_with(w)).count();
        rest = behind;
    }
    if found == 3 { Ok(()) } else { Err(format!("its MADT has {found} of 3 entries: {table:x?}").into()) }
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
