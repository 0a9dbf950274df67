//! The monitor: runs the guest's supervisor at CPL 3 and interprets what traps.

use super::chip::{Chip, Manner, Ports};
use super::layout::{WINDOW, state};
use super::program::Program;
use super::relocate::{HOST_GDT, HOST_MEMORY, HOST_TSS, OWN_FLAGS, PLACE, f, shadow_descriptor};
use super::shadow::{Fill, Shadow, place, translate};
use super::system::Virtual;
use cpu::{Activity, Fault, PageFaultCode, Segment, State, StopReason, cr0, seg, vector};
use isa::{DecodeError, Insn, MAX_LENGTH, Routine, routine};
use mem::{Access, MemoryError};
use vmm::interpreters::descriptor::Descriptor;
use vmm::interpreters::{interpret, interrupt::deliver_fault};

/// What became of the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// On the processor itself.
    pub direct: u64,
    /// By an interpreter.
    pub interpreted: u64,
    /// Faults that the guest was given.
    pub reflected: u64,
}

/// A guest at CPL 3 under its monitor.
pub struct Deprivileged {
    chip: Chip,
    /// The virtual state: what the guest takes for its processor.
    guest: State,
    ports: Ports,
    counts: Counts,
    /// The shadow page tables, for guests with paging.
    pub shadow: Shadow,
    /// An instruction whose interpreter is left out, to see the comparison fail.
    pub skip: Option<Routine>,
}

impl Deprivileged {
    /// A monitor on a processor.
    ///
    /// # Errors
    /// The host has not the address space.
    pub fn new(manner: Manner) -> Result<Deprivileged, MemoryError> {
        let guest = State::new(cpu::CpuModel::N270);
        Ok(Deprivileged {
            chip: Chip::new(guest.clone(), HOST_MEMORY, manner)?,
            guest,
            ports: Ports::default(),
            counts: Counts::default(),
            shadow: Shadow::default(),
            skip: None,
        })
    }

    /// Before the first instruction of a program.
    pub fn load(&mut self, program: &Program) {
        self.guest = state(&program.image);
        self.chip.load(&f(&self.guest), PLACE, &program.image);
        (self.ports, self.counts) = (Ports::default(), Counts::default());
        self.shadow.reset();
        // the TSS ends before its map of ports: there are none for the guest
        self.chip.mem.write_physical(u64::from(HOST_TSS) + 0x66, &0x68u16.to_le_bytes());
        self.shadow_gdt();
    }

    /// Runs until the guest halts or `until` instructions have retired.
    pub fn run(&mut self, until: u64) {
        while self.guest.retired < until && self.guest.activity == Activity::Running {
            if let StopReason::Fault(fault) = self.enter(until) {
                self.trap(fault);
            }
        }
    }

    /// Lets the guest run on the processor until that faults.
    fn enter(&mut self, until: u64) -> StopReason {
        let was = self.chip.cpu.cr3;
        self.chip.cpu = f(&self.guest);
        if self.paging() {
            self.shadow.serve(&mut self.chip.mem, self.guest.cpl == 3);
        }
        let Chip { cpu, mem, vmm, .. } = &mut self.chip;
        // the processor hears of writes to the tables that it walks
        vmm.memory_written(mem);
        if cpu.cr3 != was {
            vmm.synchronise(cpu, mem);
        }
        let entered = cpu.seg;
        let reason = self.chip.run(until);
        self.take_back(&entered);
        reason
    }

    fn paging(&self) -> bool {
        self.guest.cr0 & cr0::PG != 0
    }

    /// Brings the virtual state up to date: the inverse of f, as far as a program can change its registers.
    fn take_back(&mut self, entered: &[Segment; 8]) {
        let real = &self.chip.cpu;
        let guest = &mut self.guest;
        self.counts.direct += real.retired - guest.retired;
        (guest.gpr, guest.eip, guest.retired) = (real.gpr, real.eip, real.retired);
        (guest.flags_result, guest.flags_aux) = (real.flags_result, real.flags_aux);
        guest.eflags = guest.eflags & !OWN_FLAGS | real.eflags & OWN_FLAGS;
        for (n, entered) in entered.iter().enumerate().take(6) {
            if self.chip.cpu.seg[n] != *entered {
                self.guest.seg[n] = self.loaded(self.chip.cpu.seg[n].selector);
            }
        }
    }

    /// What a segment register holds that the guest has loaded without a trap (plain x86 only).
    fn loaded(&self, selector: u16) -> Segment {
        if selector & 0xfffc == 0 {
            return Segment::null(selector);
        }
        let at = self.guest.gdtr.base.wrapping_add(u32::from(selector & !7));
        Descriptor::new(selector, at, self.guest_bytes(at)).segment()
    }

    fn guest_bytes(&self, at: u32) -> u64 {
        let mut bytes = [0; 8];
        if at < WINDOW - 8 {
            self.chip.mem.read_physical(u64::from(PLACE + at), &mut bytes);
        }
        u64::from_le_bytes(bytes)
    }

    /// The dispatcher: a page fault may be the shadow's; an instruction that has an interpreter is interpreted; another
    /// fault is the guest's.
    fn trap(&mut self, fault: Fault) {
        if fault.vector == vector::PF && self.paging() {
            return self.page_fault(fault);
        }
        let sensitive = self.instruction().and_then(|insn| Some((insn, routine(insn.code)?)));
        let outcome = match sensitive {
            Some((insn, routine)) if !self.chip.manner.forbids(self.guest.cpl, routine) => {
                self.interpret(&insn, routine)
            }
            _ => Err(fault),
        };
        self.guest.retired += 1;
        if let Err(fault) = outcome {
            self.reflect(fault);
        }
    }

    /// Gives a fault to the guest.
    fn reflect(&mut self, fault: Fault) {
        self.counts.reflected += 1;
        self.with_system(|s| deliver_fault(s, fault));
    }

    /// Shows the page and has the instruction done again, or gives the fault to the guest.
    fn page_fault(&mut self, fault: Fault) {
        let (linear, write) = (fault.address, fault.code.unwrap_or(0) & PageFaultCode::WRITE != 0);
        match self.shadow.fill(&self.guest, &mut self.chip.mem, linear, write) {
            Ok(Fill::Shown) => {}
            Ok(Fill::Traced(frame)) => self.traced_store(linear, frame),
            Err(fault) => {
                self.guest.retired += 1;
                self.reflect(fault);
            }
        }
    }

    /// Has the processor do one instruction that stores to a guest table, and looks what it has changed there.
    fn traced_store(&mut self, linear: u32, frame: u32) {
        let mut open = vec![(linear >> 12, frame, self.frame(frame))];
        self.shadow.open(&mut self.chip.mem, linear >> 12, frame);
        loop {
            let StopReason::Fault(fault) = self.enter(self.guest.retired + 1) else { break };
            let (linear, write) = (fault.address, fault.code.unwrap_or(0) & PageFaultCode::WRITE != 0);
            if fault.vector != vector::PF {
                self.trap(fault);
                break;
            }
            match self.shadow.fill(&self.guest, &mut self.chip.mem, linear, write) {
                Ok(Fill::Shown) => {}
                Ok(Fill::Traced(frame)) => {
                    open.push((linear >> 12, frame, self.frame(frame)));
                    self.shadow.open(&mut self.chip.mem, linear >> 12, frame);
                }
                Err(fault) => {
                    self.guest.retired += 1;
                    self.reflect(fault);
                    break;
                }
            }
        }
        for (page, frame, before) in open {
            self.shadow.drop_page(&mut self.chip.mem, page);
            self.shadow.counts.traced += 1;
            if frame >= WINDOW {
                self.chip.mem.write_physical(u64::from(place(frame)), &before);
            }
            let after = self.frame(frame);
            let dwords = before.chunks(4).zip(after.chunks(4)).enumerate();
            for (n, _) in dwords.filter(|(_, (x, y))| x != y) {
                self.shadow.wrote(&mut self.chip.mem, frame, 4 * n as u32);
            }
        }
    }

    /// The bytes of a guest's frame.
    fn frame(&self, frame: u32) -> Vec<u8> {
        let mut bytes = vec![0; mem::PAGE as usize];
        self.chip.mem.read_physical(u64::from(place(frame)), &mut bytes);
        bytes
    }

    /// v_i: the routine that the bare processor has for the instruction, on the virtual state. At virtual CPL 3 it raises
    /// what it raises there.
    fn interpret(&mut self, insn: &Insn, routine: Routine) -> Result<(), Fault> {
        let (start, gdtr) = (self.guest.eip, self.guest.gdtr);
        self.guest.eip = start.wrapping_add(u32::from(insn.len));
        let result = match self.skip == Some(routine) {
            true => Ok(cpu::Flow::Continue),
            false => self.with_system(|s| interpret(s, insn, routine)),
        };
        if let Err(fault) = result {
            self.guest.eip = start;
            return Err(fault);
        }
        self.counts.interpreted += 1;
        if self.guest.gdtr != gdtr {
            self.shadow_gdt();
        }
        Ok(())
    }

    /// The instruction at the guest's EIP. The next page is looked at where it is needed only: the walk leaves a mark.
    fn instruction(&mut self) -> Option<Insn> {
        let start = self.guest.segment(seg::CS).base.wrapping_add(self.guest.eip);
        let mut bytes = [0; MAX_LENGTH];
        for n in 0..MAX_LENGTH {
            let at = self.physical(start.wrapping_add(n as u32))?;
            self.chip.mem.read_physical(u64::from(PLACE + at), &mut bytes[n..=n]);
            let decoded = isa::decode(&bytes[..=n], self.guest.code_size(), self.guest.model);
            if decoded != Err(DecodeError::Truncated) {
                return decoded.ok();
            }
        }
        None
    }

    /// Where in its memory the guest's linear address is, if it is there.
    fn physical(&mut self, linear: u32) -> Option<u32> {
        let at = match self.paging() {
            true => {
                let access = Access { write: false, user: self.guest.cpl == 3, fetch: true };
                let walk = translate(&self.guest, &mut self.chip.mem, linear, access).ok()?;
                walk.frame as u32 | linear & 0xfff
            }
            false => linear,
        };
        (at < WINDOW).then_some(at)
    }

    /// Has something done to the virtual machine through the accessor.
    fn with_system<T>(&mut self, act: impl FnOnce(&mut Virtual<'_>) -> T) -> T {
        let mut system = Virtual {
            cpu: &mut self.guest,
            mem: &mut self.chip.mem,
            ports: &mut self.ports,
            shadow: &mut self.shadow,
            changed: false,
        };
        let result = act(&mut system);
        if system.changed && self.paging() {
            self.shadow.clear(&mut self.chip.mem);
        }
        result
    }

    /// Puts what stands for the guest's GDT into the monitor's. Only plain x86 looks at it; a guest that writes to its
    /// table without LGDT would need a trace of the table, which this monitor does not keep.
    fn shadow_gdt(&mut self) {
        for n in 1..9u32 {
            let guest = self.guest_bytes(self.guest.gdtr.base.wrapping_add(8 * n));
            let bytes = shadow_descriptor(guest).to_le_bytes();
            self.chip.mem.write_physical(u64::from(HOST_GDT + 8 * n), &bytes);
        }
    }

    /// The virtual state.
    pub fn state(&self) -> &State {
        &self.guest
    }

    /// The processor's state as the guest left it last.
    pub fn real(&self) -> &State {
        &self.chip.cpu
    }

    /// The virtual ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What became of the instructions.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The window's bytes.
    pub fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; WINDOW as usize];
        self.chip.mem.read_physical(u64::from(PLACE), &mut bytes);
        bytes
    }

    /// The processor's memory outside of the window.
    pub fn outside(&self) -> Vec<u8> {
        let mut bytes = vec![0; HOST_MEMORY as usize];
        self.chip.mem.read_physical(0, &mut bytes);
        bytes[PLACE as usize..][..WINDOW as usize].fill(0);
        bytes
    }
}
