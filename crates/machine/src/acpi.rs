//! ACPI tables for kernels that are loaded without firmware (ACPI 6.5, chapter 5): the power
//! button, soft off, the PM timer and the PCI root.

use crate::pc::{PM_BASE, SCI_IRQ};
use acpi_tables::{Aml, aml};

/// Where the tables lie: in the BIOS area, where the RSDP is searched for.
pub(crate) const AT: u32 = 0xf_0000;
const OEM: [u8; 6] = *b"RINGER";

fn checksum(table: &mut [u8], at: usize) {
    table[at] = 0;
    table[at] = table.iter().fold(0u8, |sum, &b| sum.wrapping_sub(b));
}

/// A table with its header (ACPI 5.2.6).
fn table(signature: &[u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut t = signature.to_vec();
    t.extend((36 + body.len() as u32).to_le_bytes());
    t.extend([revision, 0]);
    t.extend(OEM);
    t.extend(b"PC      ");
    t.extend(1u32.to_le_bytes());
    t.extend(b"RNGR");
    t.extend(1u32.to_le_bytes());
    t.extend(body);
    checksum(&mut t, 9);
    t
}

/// \_S5 for soft off, and the PCI root bridge with its windows.
fn dsdt(memory: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let s5 = aml::Package::new(vec![&0u8, &0u8, &0u8, &0u8]);
    aml::Name::new("_S5_".into(), &s5).to_aml_bytes(&mut body);
    let buses = aml::AddressSpace::new_bus_number(0u16, 255u16);
    let low_ports = aml::AddressSpace::new_io(0u16, 0xcf7u16, None);
    let high_ports = aml::AddressSpace::new_io(0xd00u16, 0xffffu16, None);
    let cacheable = aml::AddressSpaceCacheable::NotCacheable;
    let video = aml::AddressSpace::new_memory(cacheable, true, 0xa_0000u32, 0xb_ffffu32, None);
    let first = (memory as u32).max(0xc000_0000);
    let window = aml::AddressSpace::new_memory(cacheable, true, first, 0xfebf_ffffu32, None);
    let resources = aml::ResourceTemplate::new(vec![&buses, &low_ports, &high_ports, &video, &window]);
    let hid = aml::EISAName::new("PNP0A03");
    let (hid, bbn, crs) = (
        aml::Name::new("_HID".into(), &hid),
        aml::Name::new("_BBN".into(), &aml::ZERO),
        aml::Name::new("_CRS".into(), &resources),
    );
    let pci = aml::Device::new("PCI0".into(), vec![&hid, &bbn, &crs]);
    aml::Scope::new("_SB_".into(), vec![&pci]).to_aml_bytes(&mut body);
    table(b"DSDT", 1, &body)
}

/// The fixed description table, revision 1 (ACPI 1.0, 5.2.5).
fn fadt(dsdt: u32) -> Vec<u8> {
    let mut b = vec![0u8; 116 - 36];
    let mut put = |at: usize, bytes: &[u8]| b[at - 36..at - 36 + bytes.len()].copy_from_slice(bytes);
    put(40, &dsdt.to_le_bytes());
    put(46, &u16::from(SCI_IRQ).to_le_bytes());
    put(56, &u32::from(PM_BASE).to_le_bytes());
    put(64, &u32::from(PM_BASE + 4).to_le_bytes());
    put(76, &u32::from(PM_BASE + 8).to_le_bytes());
    // lengths of the event, control and timer blocks
    put(88, &[4, 2, 0, 4]);
    // C2 and C3 latencies that say: not there
    put(96, &101u16.to_le_bytes());
    put(98, &1001u16.to_le_bytes());
    // WBINVD works; the sleep button is a control method that is not there
    put(112, &(1u32 | 1 << 5).to_le_bytes());
    table(b"FACP", 1, &b)
}

/// The tables as one image for [`AT`].
pub(crate) fn tables(memory: u64) -> Vec<u8> {
    let mut image = vec![0u8; 64];
    let place = |image: &mut Vec<u8>, t: Vec<u8>| {
        let at = AT + image.len().next_multiple_of(16) as u32;
        image.resize((at - AT) as usize, 0);
        image.extend(t);
        at
    };
    // the FACS must be aligned to 64 bytes
    let mut facs = b"FACS".to_vec();
    facs.extend(64u32.to_le_bytes());
    facs.resize(64, 0);
    let facs = place(&mut image, facs);
    let dsdt = place(&mut image, dsdt(memory));
    let mut fadt = fadt(dsdt);
    fadt[36..40].copy_from_slice(&facs.to_le_bytes());
    checksum(&mut fadt, 9);
    let fadt = place(&mut image, fadt);
    let rsdt = place(&mut image, table(b"RSDT", 1, &fadt.to_le_bytes()));
    image[..8].copy_from_slice(b"RSD PTR ");
    image[9..15].copy_from_slice(&OEM);
    image[16..20].copy_from_slice(&rsdt.to_le_bytes());
    checksum(&mut image[..20], 8);
    image
}
