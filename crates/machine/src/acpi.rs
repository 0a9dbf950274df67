//! ACPI tables for kernels that are loaded without firmware (ACPI 6.5, chapter 5): the power
//! button, soft off, the PM timer, the PCI root with its interrupts, and the APICs.

use crate::pc::{PM_BASE, SCI_IRQ};
use crate::pc_apic::PIRQ_ROUTES;
use acpi_tables::{Aml, aml};
use dev::pci::PciBus;

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

/// The links of the SCI and of PIRQA to PIRQD.
const LINKS: [&str; 5] = ["LNKS", "LNKA", "LNKB", "LNKC", "LNKD"];

/// An interrupt link (ACPI 6.2.13) that stays as it is wired: level-triggered, and high as ISA's
/// lines are, whichever interrupt controllers are in use.
fn link(n: usize) -> Vec<u8> {
    let irq = if n == 0 { SCI_IRQ } else { PIRQ_ROUTES[n - 1] };
    let interrupt = aml::Interrupt::new(true, false, false, true, irq.into());
    let resources = aml::ResourceTemplate::new(vec![&interrupt]);
    let hid = aml::EISAName::new("PNP0C0F");
    let (hid, uid) = (aml::Name::new("_HID".into(), &hid), aml::Name::new("_UID".into(), &(n as u8)));
    let (prs, crs) = (aml::Name::new("_PRS".into(), &resources), aml::Name::new("_CRS".into(), &resources));
    let srs = aml::Method::new("_SRS".into(), 1, false, vec![]);
    let mut out = Vec::new();
    aml::Device::new(LINKS[n].into(), vec![&hid, &uid, &prs, &crs, &srs]).to_aml_bytes(&mut out);
    out
}

/// The PCI routing table (ACPI 6.2.13): which link an interrupt pin of a slot is at.
fn routing() -> aml::PackageBuilder {
    let mut table = aml::PackageBuilder::new();
    for (slot, pin) in (0..32u8).flat_map(|slot| (0..4u8).map(move |pin| (slot, pin))) {
        let pirq = PciBus::pirq_of(dev::pci::devfn(slot, 0), pin + 1);
        // the power management function's interrupt is the SCI
        let sci = slot == dev::pci::POWER_MANAGEMENT >> 3 && pin == 0;
        let link = aml::Path::new(LINKS[if sci { 0 } else { usize::from(pirq) + 1 }]);
        let address = u32::from(slot) << 16 | 0xffff;
        table.add_element(&aml::Package::new(vec![&address, &pin, &link, &aml::ZERO]));
    }
    table
}

/// \_S5 for soft off, and the PCI root bridge with its windows and interrupts.
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
    let routing = routing();
    let prt = aml::Name::new("_PRT".into(), &routing);
    let pci = aml::Device::new("PCI0".into(), vec![&hid, &bbn, &crs, &prt]);
    let links = Encoded((0..LINKS.len()).flat_map(link).collect());
    aml::Scope::new("_SB_".into(), vec![&links, &pci]).to_aml_bytes(&mut body);
    table(b"DSDT", 1, &body)
}

/// What is AML already.
struct Encoded(Vec<u8>);

impl Aml for Encoded {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.0);
    }
}

/// The APICs and what is wired to them (ACPI 5.2.12), with 8259As beside them.
fn madt() -> Vec<u8> {
    /// MPS INTI flags: active high, edge- or level-triggered.
    const EDGE: u8 = 0x5;
    const LEVEL: u8 = 0xd;
    let mut b = dev::lapic::DEFAULT_BASE.to_le_bytes().to_vec();
    b.extend(1u32.to_le_bytes());
    // the CPU, enabled, with APIC ID 0; the I/O APIC with ID 0, its inputs from GSI 0 on
    b.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    b.extend([1, 12, 0, 0]);
    b.extend(dev::ioapic::BASE.to_le_bytes());
    b.extend(0u32.to_le_bytes());
    let [_, second, .., third] = PIRQ_ROUTES;
    for (irq, gsi, flags) in
        [(0, 2, EDGE), (SCI_IRQ, SCI_IRQ, LEVEL), (second, second, LEVEL), (third, third, LEVEL)]
    {
        b.extend([2, 10, 0, irq, gsi, 0, 0, 0, flags, 0]);
    }
    // NMI at LINT1 of all CPUs
    b.extend([4, 6, 0xff, 0, 0, 1]);
    table(b"APIC", 1, &b)
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

/// The tables as one image for [`AT`]. `apic`: the machine has APICs.
pub(crate) fn tables(memory: u64, apic: bool) -> Vec<u8> {
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
    let mut listed = fadt.to_le_bytes().to_vec();
    if apic {
        listed.extend(place(&mut image, madt()).to_le_bytes());
    }
    let rsdt = place(&mut image, table(b"RSDT", 1, &listed));
    image[..8].copy_from_slice(b"RSD PTR ");
    image[9..15].copy_from_slice(&OEM);
    image[16..20].copy_from_slice(&rsdt.to_le_bytes());
    checksum(&mut image[..20], 8);
    image
}
