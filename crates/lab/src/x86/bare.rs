//! The guest on the bare processor.

use super::chip::{Chip, Manner, Ports};
use super::layout::{WINDOW, state};
use super::program::Program;
use cpu::{Activity, State, StopReason};
use mem::MemoryError;
use vmm::interpreters::interrupt::deliver_fault;

/// A processor whose memory is the guest's window, with the guest at CPL 0.
pub struct Bare {
    chip: Chip,
}

impl Bare {
    /// A processor; its manner makes no difference to a supervisor.
    ///
    /// # Errors
    /// The host has not the address space.
    pub fn new(manner: Manner) -> Result<Bare, MemoryError> {
        Ok(Bare { chip: Chip::new(State::new(cpu::CpuModel::N270), WINDOW, manner)? })
    }

    /// Before the first instruction of a program.
    pub fn load(&mut self, program: &Program) {
        self.chip.load(&state(&program.image), 0, &program.image);
    }

    /// Runs until HLT or until `until` instructions have retired, delivering what faults there are.
    pub fn run(&mut self, until: u64) {
        while self.chip.cpu.retired < until && self.chip.cpu.activity == Activity::Running {
            if let StopReason::Fault(fault) = self.chip.run(until) {
                let Chip { cpu, mem, vmm, .. } = &mut self.chip;
                cpu.retired += 1;
                deliver_fault(&mut vmm.live(cpu, mem), fault);
            }
        }
    }

    /// Registers.
    pub fn state(&self) -> &State {
        &self.chip.cpu
    }

    /// Ports.
    pub fn ports(&self) -> &Ports {
        &self.chip.vmm.board
    }

    /// The window's bytes.
    pub fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; WINDOW as usize];
        self.chip.mem.read_physical(0, &mut bytes);
        bytes
    }
}
