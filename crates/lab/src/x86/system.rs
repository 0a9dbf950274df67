//! The accessor through which the monitor's interpreters reach the virtual machine: its state, its window, its ports.

use super::chip::Ports;
use super::layout::WINDOW;
use super::relocate::PLACE;
use cpu::{Fault, State};
use mem::Memory;
use vmm::{Atom, Privilege, System};

/// A virtual machine in the hands of an interpreter.
pub struct Virtual<'a> {
    pub(super) cpu: &'a mut State,
    pub(super) mem: &'a mut Memory,
    pub(super) ports: &'a mut Ports,
}

impl Virtual<'_> {
    /// Where bytes of the guest's memory are. What a system structure has outside of the window is not there.
    fn place(linear: u32) -> Option<u64> {
        (linear < WINDOW).then(|| u64::from(PLACE + linear))
    }

    fn byte(&self, linear: u32) -> u8 {
        let mut byte = [0];
        if let Some(at) = Virtual::place(linear) {
            self.mem.read_physical(at, &mut byte);
        }
        byte[0]
    }
}

impl System for Virtual<'_> {
    fn state(&self) -> &State {
        self.cpu
    }
    fn state_mut(&mut self) -> &mut State {
        self.cpu
    }
    fn ask(&mut self, _: Atom, truth: bool) -> bool {
        truth
    }
    fn load(&mut self, linear: u32, size: u32, _: Privilege) -> Result<u64, Fault> {
        let byte = |n: u32| u64::from(self.byte(linear.wrapping_add(n)));
        Ok((0..size).fold(0, |value, n| value | byte(n) << (8 * n)))
    }
    fn store(&mut self, linear: u32, size: u32, value: u64, _: Privilege) -> Result<(), Fault> {
        for n in 0..size {
            if let Some(at) = Virtual::place(linear.wrapping_add(n)) {
                self.mem.write_physical(at, &[(value >> (8 * n)) as u8]);
            }
        }
        Ok(())
    }
    fn probe(&mut self, _: u32, _: u32, _: bool, _: Privilege) -> Result<(), Fault> {
        Ok(())
    }
    fn port_in(&mut self, port: u16, size: u32) -> u32 {
        self.ports.input(port, size)
    }
    fn port_out(&mut self, port: u16, size: u32, value: u32) {
        self.ports.output(port, size, value);
    }
    fn time_stamp(&mut self) -> u64 {
        self.cpu.retired.wrapping_add(self.cpu.tsc_offset)
    }
    fn physical_dword(&mut self, at: u32) -> u32 {
        (0..4).fold(0, |value, n| value | u32::from(self.byte(at.wrapping_add(n))) << (8 * n))
    }
    fn apic_base(&mut self) -> u32 {
        0
    }
    fn set_apic_base(&mut self, _: u32) {}
    // there is no paging, and the processor's registers are made anew before the guest goes on
    fn address_space_changed(&mut self) {}
    fn invalidate_page(&mut self, _: u32) {}
    fn watchpoints_changed(&mut self) {}
}
