//! The recording accessor: system state that answers an interpreter's questions and keeps them.

use crate::layout;
use cpu::{Fault, Flow, Insn, State};
use isa::Routine;
use std::panic::Location;
use vmm::interpreters::interpret;
use vmm::{Atom, Privilege, System};

/// Memory that remembers what it was before.
pub(crate) struct Memory {
    bytes: Box<[u8]>,
    /// Address and byte before, of each write.
    log: Vec<(u32, u8)>,
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory { bytes: vec![0; layout::SIZE].into(), log: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn read(&self, at: u32, size: u32) -> u64 {
        let index = at as usize % layout::SIZE;
        match self.bytes.get(index..index + size as usize) {
            Some(bytes) => bytes.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)),
            None => (0..size).rev().fold(0, |v, n| v << 8 | self.read(at.wrapping_add(n), 1)),
        }
    }

    pub(crate) fn write(&mut self, at: u32, size: u32, value: u64) {
        for (n, byte) in (0..size).zip(value.to_le_bytes()) {
            let at = at.wrapping_add(n) % layout::SIZE as u32;
            let slot = &mut self.bytes[at as usize];
            if *slot != byte {
                self.log.push((at, *slot));
                *slot = byte;
            }
        }
    }

    /// How far the log goes.
    pub(crate) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Takes the writes behind a mark back.
    pub(crate) fn undo(&mut self, mark: usize) {
        while self.log.len() > mark {
            if let Some((at, byte)) = self.log.pop() {
                self.bytes[at as usize] = byte;
            }
        }
    }

    /// What was written behind a mark and is now another byte, by address, into `out`.
    pub(crate) fn changes(&self, mark: usize, out: &mut Vec<(u32, u8)>) {
        out.clear();
        for (n, (at, before)) in self.log[mark..].iter().enumerate() {
            let first = !self.log[mark..mark + n].iter().any(|(a, _)| a == at);
            let now = self.bytes[*at as usize];
            if first && now != *before {
                out.push((*at, now));
            }
        }
        out.sort_unstable();
    }

    /// Makes what was written the state to go back to.
    pub(crate) fn settle(&mut self) {
        self.log.clear();
    }
}

/// What an instruction did to what is neither registers nor memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A port was read, which devices take note of.
    PortRead(u16),
    /// A value went out to a port.
    PortWrite(u16, u32),
    /// A page's translation was dropped.
    Invalidated(u32),
    /// IA32_APIC_BASE was written.
    ApicBase(u32),
}

/// The model while an instruction runs.
pub(crate) struct Model<'a> {
    pub(crate) cpu: State,
    pub(crate) memory: &'a mut Memory,
    pub(crate) path: &'a mut Vec<(Atom, bool)>,
    pub(crate) places: &'a mut Vec<&'static Location<'static>>,
    pub(crate) effects: &'a mut Vec<Effect>,
    /// What devices answer.
    pub(crate) devices: u32,
    pub(crate) apic_base: u32,
}

impl Model<'_> {
    /// Interprets one instruction as the dispatcher does; a fault puts EIP back.
    pub(crate) fn interpret(&mut self, insn: &Insn, routine: Routine) -> Result<Flow, Fault> {
        let start = self.cpu.eip;
        self.cpu.eip = start.wrapping_add(u32::from(insn.len));
        let result = interpret(self, insn, routine);
        if result.is_err() {
            self.cpu.eip = start;
        }
        result
    }
}

impl System for Model<'_> {
    fn state(&self) -> &State {
        &self.cpu
    }
    fn state_mut(&mut self) -> &mut State {
        &mut self.cpu
    }
    fn ask(&mut self, atom: Atom, truth: bool) -> bool {
        self.path.push((atom, truth));
        self.places.push(Location::caller());
        truth
    }
    fn load(&mut self, linear: u32, size: u32, _: Privilege) -> Result<u64, Fault> {
        Ok(self.memory.read(linear, size))
    }
    fn store(&mut self, linear: u32, size: u32, value: u64, _: Privilege) -> Result<(), Fault> {
        self.memory.write(linear, size, value);
        Ok(())
    }
    fn probe(&mut self, _: u32, _: u32, _: bool, _: Privilege) -> Result<(), Fault> {
        Ok(())
    }
    fn port_in(&mut self, port: u16, size: u32) -> u32 {
        self.effects.push(Effect::PortRead(port));
        if size == 4 { self.devices } else { self.devices & ((1 << (8 * size)) - 1) }
    }
    fn port_out(&mut self, port: u16, _: u32, value: u32) {
        self.effects.push(Effect::PortWrite(port, value));
    }
    fn time_stamp(&mut self) -> u64 {
        self.cpu.tsc_offset
    }
    fn physical_dword(&mut self, at: u32) -> u32 {
        self.memory.read(at, 4) as u32
    }
    fn apic_base(&mut self) -> u32 {
        self.apic_base
    }
    fn set_apic_base(&mut self, value: u32) {
        self.effects.push(Effect::ApicBase(value));
    }
    fn address_space_changed(&mut self) {}
    fn invalidate_page(&mut self, linear: u32) {
        self.effects.push(Effect::Invalidated(linear));
    }
    fn watchpoints_changed(&mut self) {}
}
