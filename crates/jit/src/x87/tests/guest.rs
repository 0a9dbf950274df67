//! One instruction through the interpreter.

use cpu::{CpuModel, Engine, Fault, Flow, Fpu, Insn, Monitor, Segment, State, StopReason, cr0, rights};
use interp::Interpreter;
use mem::{Memory, Rights};

const CODE: u32 = 0x1000;
/// Where memory operands lie.
pub(crate) const DATA: u32 = 0x2000;

/// Linear addresses are physical, everything is permitted.
struct Flat;

impl Monitor for Flat {
    fn sensitive(&mut self, _: &mut State, _: &mut Memory, _: &Insn) -> Result<Flow, Fault> {
        Err(Fault::UD)
    }
    fn probe(&mut self, _: &mut State, mem: &mut Memory, at: u32, _: u32, _: bool) -> Result<(), Fault> {
        mem.install(at, u64::from(at), Rights { read: true, write: true, execute: false });
        Ok(())
    }
    fn slow_read(&mut self, _: &mut State, _: &mut Memory, _: u32, _: u32) -> u64 {
        unreachable!("operands are in plain memory")
    }
    fn slow_write(&mut self, _: &mut State, _: &mut Memory, _: u32, _: u32, _: u64) {
        unreachable!("operands are in plain memory")
    }
    fn fetch(&mut self, _: &mut State, mem: &mut Memory, at: u32) -> Result<bool, Fault> {
        mem.install(at, u64::from(at), Rights { read: false, write: false, execute: true });
        Ok(true)
    }
    fn fetch_bytes(
        &mut self,
        _: &mut State,
        mem: &mut Memory,
        at: u32,
        out: &mut [u8],
    ) -> Result<(), (usize, Fault)> {
        mem.read_physical(u64::from(at), out);
        Ok(())
    }
}

/// What goes in and comes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) fpu: Fpu,
    pub(crate) flags: u32,
    pub(crate) ax: u16,
    /// At [`DATA`].
    pub(crate) memory: [u8; 16],
}

pub(crate) struct Guest {
    cpu: State,
    mem: Memory,
    engine: Interpreter,
}

impl Guest {
    pub(crate) fn new() -> Guest {
        let mut cpu = State::new(CpuModel::N270);
        cpu.cr0 = cr0::PE | cr0::NE | cr0::ET;
        let rights = rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG;
        let mut data = Segment { limit: u32::MAX, rights, selector: 8, ..Segment::default() };
        data.refresh();
        let mut code = Segment { rights: rights | rights::CODE, ..data };
        code.refresh();
        cpu.seg[..6].fill(data);
        cpu.seg[usize::from(cpu::seg::CS)] = code;
        let mem = Memory::new(1 << 20).expect("memory for a guest");
        Guest { cpu, mem, engine: Interpreter::default() }
    }

    /// Puts the instruction in place.
    pub(crate) fn load(&mut self, bytes: &[u8]) {
        self.engine.flush();
        self.mem.load(CODE, &[0x90; 32]);
        self.mem.load(CODE, bytes);
    }

    /// Executes it.
    pub(crate) fn run(&mut self, case: &mut Case) {
        self.cpu.eip = CODE;
        self.cpu.fpu = case.fpu;
        self.cpu.set_flags_image(case.flags);
        self.cpu.set_r32(0, case.ax.into());
        self.mem.load(DATA, &case.memory);
        let until = self.cpu.retired + 1;
        let stop = self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat, until);
        assert_eq!(stop, StopReason::Budget);
        case.fpu = self.cpu.fpu;
        case.flags = self.cpu.flags_image();
        case.ax = self.cpu.r32(0) as u16;
        self.mem.read_physical(u64::from(DATA), &mut case.memory);
    }
}
