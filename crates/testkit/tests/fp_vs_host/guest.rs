//! The guest: one instruction through an engine.

use cpu::{CpuModel, Engine, Fault, Flow, Fpu, Insn, Monitor, Segment, State, StopReason, cr0, cr4, rights};
use interp::Interpreter;
use mem::{Memory, Rights};
use testkit::host_runner::{Frame, MEMORY};

/// Where the instruction and its memory operand lie.
const CODE: u32 = 0x1000;
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
    fn slow_read(&mut self, _: &mut State, mem: &mut Memory, at: u32, size: u32) -> u64 {
        let mut bytes = [0; 8];
        mem.read_physical(u64::from(at), &mut bytes[..size as usize]);
        u64::from_le_bytes(bytes)
    }
    fn slow_write(&mut self, _: &mut State, mem: &mut Memory, at: u32, size: u32, value: u64) {
        mem.write_physical(u64::from(at), &value.to_le_bytes()[..size as usize]);
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

pub(crate) struct Guest {
    pub(crate) cpu: State,
    mem: Memory,
    engine: Box<dyn Engine>,
    len: u32,
}

fn flat_segment(code: bool) -> Segment {
    let kind = if code { rights::CODE } else { 0 };
    let rights = rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG | kind;
    let mut s = Segment { limit: u32::MAX, rights, selector: 8, ..Segment::default() };
    s.refresh();
    s
}

impl Guest {
    pub(crate) fn new() -> Guest {
        Guest::on(Box::new(Interpreter::default()))
    }

    /// One whose instructions are compiled before they run.
    pub(crate) fn compiling() -> Guest {
        Guest::on(Box::new(jit::Jit::new(0).expect("the host has a JIT")))
    }

    /// Whether compiled code has run, if the engine is one that compiles.
    pub(crate) fn has_compiled(&self) -> Option<bool> {
        self.engine.meter().map(|m| m.entries > 0)
    }

    fn on(engine: Box<dyn Engine>) -> Guest {
        let mut cpu = State::new(CpuModel::N270);
        cpu.cr0 = cr0::PE | cr0::NE | cr0::ET;
        cpu.cr4 = cr4::OSFXSR | cr4::OSXMMEXCPT;
        cpu.seg[..6].fill(flat_segment(false));
        cpu.seg[usize::from(cpu::seg::CS)] = flat_segment(true);
        let mem = Memory::new(1 << 20).expect("memory for a guest");
        Guest { cpu, mem, engine, len: 0 }
    }

    /// Puts the instruction in place.
    pub(crate) fn load(&mut self, bytes: &[u8]) {
        self.engine.flush();
        // HLT behind it ends what is compiled with it, so that a budget of one instruction is enough
        self.mem.load(CODE, &[0xf4; 32]);
        self.mem.load(CODE, bytes);
        self.len = bytes.len() as u32;
    }

    /// Executes it on a frame; gives the fault that it raised.
    pub(crate) fn run(&mut self, frame: &mut Frame, pointer: Option<usize>) -> Option<Fault> {
        self.enter(frame, pointer);
        let until = self.cpu.retired + 1;
        let stop = self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat, until);
        let fault = match stop {
            StopReason::Fault(f) => Some(f),
            _ => {
                assert_eq!(self.cpu.eip, CODE + self.len, "the instruction was decoded to its end");
                None
            }
        };
        self.leave(frame, pointer);
        fault
    }

    /// Goes round a loop for `count` instructions.
    pub(crate) fn spin(&mut self, frame: &Frame, count: u64) {
        self.enter(frame, Some(0));
        let until = self.cpu.retired + count;
        let stop = self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat, until);
        assert_eq!(stop, StopReason::Budget);
    }

    fn enter(&mut self, frame: &Frame, pointer: Option<usize>) {
        self.cpu.eip = CODE;
        self.cpu.set_flags_image(frame.flags as u32);
        for (slot, r) in [0u8, 1, 2, 3, 6, 7].into_iter().enumerate() {
            let value = if pointer == Some(slot) { DATA } else { frame.gpr[slot] as u32 };
            self.cpu.set_r32(r, value);
        }
        let fx = &frame.fx;
        self.cpu.fpu = fpu_from(fx);
        for n in 0..8 {
            self.cpu.xmm[n] = u128::from_le_bytes(at(fx, 160 + 16 * n));
        }
        self.cpu.mxcsr = u32::from_le_bytes(at(fx, 24));
        self.mem.load(DATA, &frame.memory);
    }

    fn leave(&mut self, frame: &mut Frame, pointer: Option<usize>) {
        frame.flags = u64::from(self.cpu.flags_image());
        for (slot, r) in [0u8, 1, 2, 3, 6, 7].into_iter().enumerate() {
            if pointer != Some(slot) {
                frame.gpr[slot] = u64::from(self.cpu.r32(r));
            }
        }
        fpu_into(&self.cpu.fpu, &mut frame.fx);
        for n in 0..8 {
            frame.fx[160 + 16 * n..][..16].copy_from_slice(&self.cpu.xmm[n].to_le_bytes());
        }
        frame.fx[24..28].copy_from_slice(&self.cpu.mxcsr.to_le_bytes());
        let mut memory = [0; MEMORY];
        self.mem.read_physical(u64::from(DATA), &mut memory);
        frame.memory = memory;
    }
}

pub(crate) fn at<const N: usize>(fx: &[u8; 512], offset: usize) -> [u8; N] {
    fx[offset..offset + N].try_into().expect("inside the image")
}

fn fpu_from(fx: &[u8; 512]) -> Fpu {
    let status = u16::from_le_bytes(at(fx, 2));
    let mut fpu = Fpu { control: u16::from_le_bytes(at(fx, 0)), status, occupied: fx[4], ..Fpu::default() };
    for i in 0..8 {
        let r = (usize::from(status >> 11 & 7) + i) & 7;
        fpu.registers[r].significand = u64::from_le_bytes(at(fx, 32 + 16 * i));
        fpu.registers[r].exponent = u16::from_le_bytes(at(fx, 40 + 16 * i));
    }
    fpu
}

fn fpu_into(fpu: &Fpu, fx: &mut [u8; 512]) {
    fx[0..2].copy_from_slice(&fpu.control.to_le_bytes());
    fx[2..4].copy_from_slice(&fpu.status.to_le_bytes());
    fx[4] = fpu.occupied;
    for i in 0..8 {
        let r = (usize::from(fpu.status >> 11 & 7) + i) & 7;
        fx[32 + 16 * i..][..8].copy_from_slice(&fpu.registers[r].significand.to_le_bytes());
        fx[40 + 16 * i..][..2].copy_from_slice(&fpu.registers[r].exponent.to_le_bytes());
    }
}
