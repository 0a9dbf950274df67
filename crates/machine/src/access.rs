//! The CPU's accesses to the board, made from outside: for programs that test the devices without
//! guest code.

use crate::{Machine, Nanos};
use mem::PAGE;
use vmm::Board;

impl Machine {
    /// Reads 1, 2 or 4 bytes from a port.
    pub fn port_in(&mut self, port: u16, size: u32) -> u32 {
        let value = self.vmm.board.port_in(&mut self.mem, self.cpu.retired, port, size);
        self.vmm.memory_written(&mut self.mem);
        value
    }

    /// Writes 1, 2 or 4 bytes to a port.
    pub fn port_out(&mut self, port: u16, size: u32, value: u32) {
        self.vmm.board.port_out(&mut self.mem, self.cpu.retired, port, size, value);
        self.vmm.memory_written(&mut self.mem);
    }

    /// Loads 1 to 8 bytes of memory, or of a device's, from a physical address.
    pub fn physical_load(&mut self, at: u32, size: u32) -> u64 {
        if at % PAGE + size > PAGE {
            let low = PAGE - at % PAGE;
            let high = self.physical_load(at.wrapping_add(low), size - low);
            return self.physical_load(at, low) | high << (8 * low);
        }
        if self.mem.resolve(at.into()).is_none() {
            return self.vmm.board.mmio_read(&mut self.mem, self.cpu.retired, at.into(), size);
        }
        let mut bytes = [0; 8];
        self.mem.read_physical(at.into(), &mut bytes[..size as usize]);
        u64::from_le_bytes(bytes)
    }

    /// Stores 1 to 8 bytes to memory, or to a device's, at a physical address.
    pub fn physical_store(&mut self, at: u32, size: u32, value: u64) {
        if at % PAGE + size > PAGE {
            let low = PAGE - at % PAGE;
            self.physical_store(at, low, value);
            return self.physical_store(at.wrapping_add(low), size - low, value >> (8 * low));
        }
        if self.mem.resolve_write(at.into()).is_some() {
            self.mem.write_physical(at.into(), &value.to_le_bytes()[..size as usize]);
        } else if self.mem.resolve(at.into()).is_none() {
            self.vmm.board.mmio_write(&mut self.mem, self.cpu.retired, at.into(), size, value);
        }
        self.vmm.memory_written(&mut self.mem);
    }

    /// Lets deterministic time pass without an instruction.
    pub fn pass(&mut self, time: Nanos) {
        let until = self.now().saturating_add(time);
        self.vmm.board.clock.skip_to(until, self.cpu.retired);
        self.vmm.board.advance(&mut self.mem, until);
        self.vmm.memory_written(&mut self.mem);
    }

    /// Acknowledges an interrupt, if the board has one for the CPU.
    pub fn interrupt(&mut self) -> Option<u8> {
        let pending = self.vmm.board.interrupt_pending();
        if pending { self.vmm.board.acknowledge() } else { None }
    }

    /// IA32_APIC_BASE; 0: there is no local APIC.
    pub fn apic_base(&self) -> u32 {
        self.vmm.board.apic_base()
    }

    /// Writes IA32_APIC_BASE: base, enable and the boot processor's bit.
    pub fn set_apic_base(&mut self, value: u32) {
        self.vmm.board.set_apic_base(&mut self.mem, value);
    }
}
