//! The accessor through which the monitor's interpreters reach the virtual machine: its state, its window, its ports.

use super::chip::Ports;
use super::layout::WINDOW;
use super::relocate::PLACE;
use super::shadow::{Shadow, translate};
use cpu::{Fault, State, cr0};
use mem::{Access, Memory};
use vmm::{Atom, Privilege, System};

/// A virtual machine in the hands of an interpreter.
pub struct Virtual<'a> {
    pub(super) cpu: &'a mut State,
    pub(super) mem: &'a mut Memory,
    pub(super) ports: &'a mut Ports,
    pub(super) shadow: &'a mut Shadow,
    /// The interpreter has changed the address space.
    pub(super) changed: bool,
}

impl Virtual<'_> {
    /// The guest-physical address of a linear one.
    fn physical(&mut self, linear: u32, write: bool, privilege: Privilege) -> Result<u32, Fault> {
        if self.cpu.cr0 & cr0::PG == 0 {
            return Ok(linear);
        }
        let user = self.cpu.cpl == 3 && privilege == Privilege::Current;
        let walk = translate(self.cpu, self.mem, linear, Access { write, user, fetch: false })?;
        Ok(walk.frame as u32 | linear & 0xfff)
    }

    /// A byte of the guest's memory. What a system structure has outside of the window is not there.
    fn byte(&self, at: u32) -> u8 {
        let mut byte = [0];
        if at < WINDOW {
            self.mem.read_physical(u64::from(PLACE + at), &mut byte);
        }
        byte[0]
    }

    fn put(&mut self, at: u32, byte: u8) {
        if at >= WINDOW {
            return;
        }
        self.mem.write_physical(u64::from(PLACE + at), &[byte]);
        if self.shadow.is_traced(at & !0xfff) {
            self.shadow.wrote(self.mem, at & !0xfff, at & 0xfff);
        }
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
    fn load(&mut self, linear: u32, size: u32, privilege: Privilege) -> Result<u64, Fault> {
        let mut value = 0;
        for n in 0..size {
            let at = self.physical(linear.wrapping_add(n), false, privilege)?;
            value |= u64::from(self.byte(at)) << (8 * n);
        }
        Ok(value)
    }
    fn store(&mut self, linear: u32, size: u32, value: u64, privilege: Privilege) -> Result<(), Fault> {
        let mut places = [0; 8];
        for (n, place) in (0..size).zip(&mut places) {
            *place = self.physical(linear.wrapping_add(n), true, privilege)?;
        }
        for (n, place) in (0..size).zip(places) {
            self.put(place, (value >> (8 * n)) as u8);
        }
        Ok(())
    }
    fn probe(&mut self, linear: u32, size: u32, write: bool, privilege: Privilege) -> Result<(), Fault> {
        for n in 0..size {
            self.physical(linear.wrapping_add(n), write, privilege)?;
        }
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
    fn address_space_changed(&mut self) {
        self.changed = true;
    }
    fn invalidate_page(&mut self, linear: u32) {
        self.shadow.drop_page(self.mem, linear >> 12);
    }
    fn watchpoints_changed(&mut self) {}
}
