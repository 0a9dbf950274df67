//! The emulated processor: Ringer's interpreter, its monitor's routines underneath, memory and a few ports.

use cpu::{Engine, Fault, Flow, Insn, Monitor, State, StopReason};
use interp::Interpreter;
use isa::{Routine, routine};
use mem::{Memory, MemoryError};
use vmm::{Board, Vmm};

/// Which processor it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// x86 as the manual has it.
    Plain,
    /// Every sensitive form is #GP(0) outside of CPL 0; but INT n and its like, which are traps already.
    Modified,
}

impl Manner {
    /// The processor makes a form #GP(0) at a privilege level, whatever the manual says.
    pub(super) fn forbids(self, cpl: u8, routine: Routine) -> bool {
        use Routine as R;
        let trap = matches!(routine, R::Int | R::Int1 | R::Int3 | R::Into | R::Bound | R::Ud);
        self == Manner::Modified && cpl > 0 && !trap
    }
}

/// Ports that answer, and write down what they are told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports {
    /// Port, bytes, value.
    pub written: Vec<(u16, u32, u32)>,
    reads: u32,
}

impl Ports {
    pub(super) fn input(&mut self, port: u16, size: u32) -> u32 {
        self.reads += 1;
        let value = u32::from(port).wrapping_mul(0x9e37_79b9).wrapping_add(self.reads);
        if size == 4 { value } else { value & ((1 << (8 * size)) - 1) }
    }
    pub(super) fn output(&mut self, port: u16, size: u32, value: u32) {
        self.written.push((port, size, value));
    }
}

impl Board for Ports {
    fn port_in(&mut self, _: &mut Memory, _: u64, port: u16, size: u32) -> u32 {
        self.input(port, size)
    }
    fn port_out(&mut self, _: &mut Memory, _: u64, port: u16, size: u32, value: u32) {
        self.output(port, size, value);
    }
    fn mmio_read(&mut self, _: &mut Memory, _: u64, _: u64, _: u32) -> u64 {
        0
    }
    fn mmio_write(&mut self, _: &mut Memory, _: u64, _: u64, _: u32, _: u64) {}
    fn time_stamp(&mut self, now: u64) -> u64 {
        now
    }
    fn apic_base(&self) -> u32 {
        0
    }
    fn set_apic_base(&mut self, _: &mut Memory, _: u32) {}
    fn interrupt_pending(&self) -> bool {
        false
    }
    fn acknowledge(&mut self) -> Option<u8> {
        None
    }
    fn numeric_error(&mut self) {}
    fn attention(&self) -> bool {
        false
    }
}

/// A processor with its memory.
pub struct Chip {
    /// Registers.
    pub cpu: State,
    /// Memory.
    pub mem: Memory,
    /// Ringer's monitor, which here is microcode: it is what sensitive instructions do.
    pub vmm: Vmm<Ports>,
    engine: Interpreter,
    pub(super) manner: Manner,
}

impl Chip {
    pub(super) fn new(cpu: State, memory: u32, manner: Manner) -> Result<Chip, MemoryError> {
        let (mem, vmm) = (Memory::new(u64::from(memory))?, Vmm::new(Ports::default()));
        Ok(Chip { cpu, mem, vmm, engine: Interpreter::default(), manner })
    }

    /// Puts registers and memory into a state.
    pub(super) fn load(&mut self, cpu: &State, at: u32, image: &[u8]) {
        self.cpu = cpu.clone();
        self.mem.write_physical(u64::from(at), image);
        // tables of the program before may have been there
        self.vmm.memory_written(&mut self.mem);
        self.vmm.board = Ports::default();
        self.vmm.synchronise(&self.cpu, &mut self.mem);
    }

    /// Runs until a fault, which is not delivered, or until `until` instructions have retired.
    pub(super) fn run(&mut self, until: u64) -> StopReason {
        let mut gate = Gate { vmm: &mut self.vmm, manner: self.manner };
        self.engine.run(&mut self.cpu, &mut self.mem, &mut gate, until)
    }
}

/// Between engine and monitor: where the modified processor differs.
struct Gate<'a> {
    vmm: &'a mut Vmm<Ports>,
    manner: Manner,
}

impl Monitor for Gate<'_> {
    fn sensitive(&mut self, cpu: &mut State, mem: &mut Memory, insn: &Insn) -> Result<Flow, Fault> {
        if routine(insn.code).is_some_and(|r| self.manner.forbids(cpu.cpl, r)) {
            return Err(Fault::GP0);
        }
        self.vmm.sensitive(cpu, mem, insn)
    }
    fn probe(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        size: u32,
        write: bool,
    ) -> Result<(), Fault> {
        self.vmm.probe(cpu, mem, linear, size, write)
    }
    fn slow_read(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32) -> u64 {
        self.vmm.slow_read(cpu, mem, linear, size)
    }
    fn slow_write(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32, value: u64) {
        self.vmm.slow_write(cpu, mem, linear, size, value);
    }
    fn fetch(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32) -> Result<bool, Fault> {
        self.vmm.fetch(cpu, mem, linear)
    }
    fn fetch_bytes(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        out: &mut [u8],
    ) -> Result<(), (usize, Fault)> {
        self.vmm.fetch_bytes(cpu, mem, linear, out)
    }
}
