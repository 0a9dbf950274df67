//! Boot loaders, and small systems on CDs and floppies.

use super::{Failed, Outcome, contains, prepared, start};
use dev::keys::Key;
use machine::{Nic, NicKind};
use testkit::bios::Drive;
use testkit::console::Console;
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

/// iPXE's shell types a command and comes back.
fn shell(c: &mut Console, line: &str) -> Result<String, Failed> {
    c.keys(&format!("{line}\n"));
    c.wait_for_screen(&format!("iPXE> {line}"))?;
    c.wait_for_screen_where("the prompt", |s| s.trim_end().ends_with("iPXE>"))?;
    Ok(c.screen())
}

/// iPXE drives the card, gets an address, and is told at once that nobody answers a connection.
fn ipxe(kind: NicKind, driver: &str) -> Outcome {
    let mut c = start(&[cd(file::IPXE)], 64)?;
    c.machine.board().attach_nic(Nic { kind, mac: Nic::MAC });
    // the CD's loader asks what to boot if Scroll Lock is on; the shell is iPXE's command line's
    c.wait_for_screen("Booting from")?;
    let lock = Key::from_qcode("scroll_lock").ok_or("no such key")?;
    for down in [true, false] {
        c.machine.key(lock, down);
    }
    c.wait_for_screen("boot:")?;
    c.keys("ipxe.lkrn shell\n");
    c.wait_for_screen("\niPXE>")?;
    // DHCP alone: nobody answers IPv6's solicitations
    let configured = shell(&mut c, "ifconf -c dhcp net0")?;
    contains("dhcp", &configured, "Configuring [dhcp] (net0 52:54:00:12:34:56)")?;
    contains("dhcp", &configured, ".. ok\n")?;
    contains("the address", &shell(&mut c, "show net0/ip")?, "= 10.0.2.15\n")?;
    contains("the route", &shell(&mut c, "route")?, "net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2\n")?;
    contains("the card", &shell(&mut c, "ifstat")?, driver)?;
    let fetched = shell(&mut c, "imgfetch http://192.0.2.1/x")?;
    contains("a connection", &fetched, "http://192.0.2.1/x... Connection reset")
}

pub(crate) fn ipxe_pci() -> Outcome {
    ipxe(NicKind::Pci, "using rtl8029 on 0000:00:03.0 (open)")
}

pub(crate) fn ipxe_isa() -> Outcome {
    ipxe(NicKind::Isa, "using ne on ISA0300 (open)")
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
