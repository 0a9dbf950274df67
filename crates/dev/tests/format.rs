//! The encoded form of version 1 of every device's state is frozen: a snapshot made today loads in every later
//! version. If this test fails, then either a power-on value changed (put the new numbers here) or
//! the format did, which needs a new version instead.

use serde::Serialize;

/// Length and FNV-1a hash of the postcard encoding.
fn fingerprint(state: &impl Serialize) -> (usize, u32) {
    let bytes = postcard::to_stdvec(state).expect("encodes");
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |h, &b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    (bytes.len(), hash)
}

#[test]
fn version_1_does_not_change() {
    let found = [
        ("acpi_pm", fingerprint(&dev::acpi_pm::AcpiPm::new().save())),
        ("dma8237", fingerprint(&dev::dma8237::Dma::new().save())),
        ("floppy", fingerprint(&dev::floppy::Floppy::new().save())),
        ("ide", fingerprint(&dev::ide::Ide::new().save())),
        ("fw_cfg", fingerprint(&dev::fw_cfg::FwCfg::new().save())),
        ("ioapic", fingerprint(&dev::ioapic::IoApic::new().save())),
        ("lapic", fingerprint(&dev::lapic::Lapic::new(true).save())),
        ("i8042", fingerprint(&dev::i8042::I8042::new().save())),
        ("isa_debug", fingerprint(&dev::isa_debug::IsaDebug::new().save())),
        ("ne2000", fingerprint(&dev::ne2000::Ne2000::new(dev::ne2000::Model::Rtl8029, [2; 6]).save())),
        ("pci", fingerprint(&dev::pci::PciBus::new().save())),
        ("pic8259", fingerprint(&dev::pic8259::PicPair::new().save())),
        ("pit8254", fingerprint(&dev::pit8254::Pit::new().save())),
        ("port61", fingerprint(&dev::port61::Port61::new().save())),
        ("port92", fingerprint(&dev::port92::Port92::new().save())),
        ("rtc146818", fingerprint(&dev::rtc146818::Rtc::new(0).save())),
        ("uart16550", fingerprint(&dev::uart16550::Uart::new().save())),
        ("vga", fingerprint(&dev::vga::Vga::new().save())),
    ];
    let expected = [
        ("acpi_pm", (10, 0x404b_a46d)),
        ("dma8237", (75, 0x4132cb59)),
        ("floppy", (46, 0xce410af7)),
        ("ide", (69, 0xba8af70f)),
        ("fw_cfg", (3, 0x4ab0f7b7)),
        ("ioapic", (77, 0x810e_1dcf)),
        ("lapic", (56, 0x254e_6e8c)),
        ("i8042", (71, 0x5f6c_f157)),
        ("isa_debug", (3, 0x4ab0_f7b7)),
        ("ne2000", (16445, 0x2cb8_e1b4)),
        ("pci", (784, 0x6650b832)),
        ("pic8259", (31, 0x2326_0505)),
        ("pit8254", (63, 0x881c_02ed)),
        ("port61", (2, 0x1176_97cd)),
        ("port92", (3, 0x4ab0_f7b7)),
        ("rtc146818", (138, 0x0838_5704)),
        ("uart16550", (15, 0x9a13_970b)),
        ("vga", (862, 0xc54f_d5f7)),
    ];
    assert_eq!(found[..], expected[..], "{found:#x?}");
}
