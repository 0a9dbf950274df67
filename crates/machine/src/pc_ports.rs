//! The I/O port map of the board.

use crate::Pc;
use crate::pc::{PM_BASE, VBE, VBE_LAST};
use crate::pc_memory::VIDEO;
use dev::Nanos;

/// Ports of the first and second serial port.
const SERIAL: [u16; 2] = [0x3f8, 0x2f8];
/// Bytes of the power-management block.
const PM_SIZE: u16 = 0x40;

impl Pc {
    /// The power-management block's base, if PCI configuration has it on.
    fn pm_base(&self) -> u16 {
        self.pci.pm_base().unwrap_or(PM_BASE)
    }

    /// Reads a port. Ports wider than a device are read byte by byte; empty ones give ones.
    pub(crate) fn read_port(&mut self, port: u16, size: u32, now: Nanos) -> u32 {
        let value = match port {
            0xcf8 if size == 4 => self.pci.read_address(),
            VBE..=VBE_LAST if size == 2 => self.vga.read_vbe(port - VBE, VIDEO).into(),
            0xcfc..=0xcff => self.pci.read_data(port - 0xcfc, size as u8),
            0x1f0 | 0x170 if size > 1 => self.ide.read_data(ide_channel(port), size, now),
            _ if port.wrapping_sub(self.pm_base()) < PM_SIZE => {
                self.pm.read(port - self.pm_base(), size as u8, now)
            }
            _ => self.read_nic(port, size, now).unwrap_or_else(|| {
                (0..size).fold(0, |value, n| {
                    value | u32::from(self.read_byte_port(port.wrapping_add(n as u16), now)) << (8 * n)
                })
            }),
        };
        self.lines();
        self.check_plan();
        value
    }

    /// Writes a port.
    pub(crate) fn write_port(&mut self, port: u16, size: u32, value: u32, now: Nanos) {
        match port {
            0xcf8 if size == 4 => self.pci.write_address(value),
            0xcfc..=0xcff => self.pci.write_data(port - 0xcfc, size as u8, value),
            dev::fw_cfg::PORT if size == 2 => self.fw_cfg.select(value as u16),
            0x1f0 | 0x170 if size > 1 => self.ide.write_data(ide_channel(port), size, value, now),
            _ if port.wrapping_sub(self.pm_base()) < PM_SIZE => {
                self.pm.write(port - self.pm_base(), size as u8, value, now);
            }
            _ if self.write_nic(port, size, value, now) => {}
            _ => {
                for n in 0..size {
                    self.write_byte_port(port.wrapping_add(n as u16), (value >> (8 * n)) as u8, now);
                }
            }
        }
        self.lines();
        self.check_plan();
    }

    fn read_byte_port(&mut self, port: u16, now: Nanos) -> u8 {
        match port {
            0x00..=0x0f | 0x81..=0x8f | 0xc0..=0xdf => self.dma.read(port),
            0x20 | 0x21 => self.pic.read(0, port & 1),
            0xa0 | 0xa1 => self.pic.read(1, port & 1),
            0x40..=0x43 => self.pit.read(port & 3, now),
            0x60 => self.i8042.read(0, now),
            0x61 => self.port61.read(&mut self.pit, now),
            0x64 => self.i8042.read(4, now),
            0x70 | 0x71 => self.rtc.read(port & 1, now),
            0x80 => self.debug.post_code(),
            0x92 => self.port92.read(),
            0xb2 | 0xb3 => self.pm.read_apm(port - 0xb2),
            0xe9 => self.debug.read_console(),
            0x171..=0x177 | 0x1f1..=0x1f7 => self.ide.read(ide_channel(port), port & 7),
            0x2f8..=0x2ff => self.uarts[1].read(port - SERIAL[1], now),
            0x3f8..=0x3ff => self.uarts[0].read(port - SERIAL[0], now),
            0x3b0..=0x3df => self.vga.read(port - 0x3b0, now),
            0x3f0..=0x3f5 | 0x3f7 => self.floppy.read(port - 0x3f0, now),
            0x376 | 0x3f6 => self.ide.alternate_status(ide_channel(port)),
            0x402 => self.debug.read_console(),
            0x4d0 | 0x4d1 => self.pic.read_elcr(usize::from(port & 1)),
            0x511 => self.fw_cfg.read(),
            0xcf9 => self.pci.read_reset(),
            // PCI and CPU hotplug, of which the firmware's ACPI tables speak: nothing has changed
            0xae00..=0xae1f | 0xaf00..=0xaf1f | 0xafe0..=0xafe3 => 0,
            _ => match self.bus_master_offset(port) {
                Some(offset) => self.ide.read_bus_master(offset),
                None => 0xff,
            },
        }
    }

    /// The offset of a port in the IDE bus master's block, where PCI configuration has put it.
    fn bus_master_offset(&self, port: u16) -> Option<u16> {
        let base = self.pci.function(dev::pci::IDE)?.bar(4)?;
        u16::try_from(u32::from(port).wrapping_sub(base)).ok().filter(|&offset| base != 0 && offset < 16)
    }

    fn write_byte_port(&mut self, port: u16, value: u8, now: Nanos) {
        if matches!(port, 0x42 | 0x43 | 0x61) {
            self.listen(now);
        }
        match port {
            0x00..=0x0f | 0x81..=0x8f | 0xc0..=0xdf => self.dma.write(port, value),
            0x20 | 0x21 => self.pic.write(0, port & 1, value),
            0xa0 | 0xa1 => self.pic.write(1, port & 1, value),
            0x40..=0x43 => self.pit.write(port & 3, value, now),
            0x60 => self.i8042.write(0, value, now),
            0x61 => self.port61.write(value, &mut self.pit, now),
            0x64 => self.i8042.write(4, value, now),
            0x70 | 0x71 => self.rtc.write(port & 1, value, now),
            0x80 => self.debug.write_post(value),
            0x92 => self.port92.write(value),
            0xb2 | 0xb3 => self.pm.write_apm(port - 0xb2, value),
            0xe9 => self.debug.write_console(value),
            // F0h clears FERR# (80287 and later boards)
            0xf0 => self.ferr = false,
            0x171..=0x177 | 0x1f1..=0x1f7 => self.ide.write(ide_channel(port), port & 7, value, now),
            0x376 | 0x3f6 => self.ide.control(ide_channel(port), value, now),
            0x2f8..=0x2ff => self.uarts[1].write(port - SERIAL[1], value, now),
            0x3f8..=0x3ff => self.uarts[0].write(port - SERIAL[0], value, now),
            0x3b0..=0x3df => self.vga.write(port - 0x3b0, value),
            0x3f0..=0x3f5 | 0x3f7 => self.floppy.write(port - 0x3f0, value, now),
            // the firmware's debug output
            0x402 => self.debug.write_console(value),
            0x4d0 | 0x4d1 => self.pic.write_elcr(usize::from(port & 1), value),
            0xcf9 => self.pci.write_reset(value),
            _ => {
                if let Some(offset) = self.bus_master_offset(port) {
                    self.ide.write_bus_master(offset, value, now);
                }
            }
        }
    }
}

/// The IDE channel to which a port of the task file belongs.
pub(crate) fn ide_channel(port: u16) -> usize {
    usize::from(port & 0x80 == 0)
}
