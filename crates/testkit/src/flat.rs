//! A monitor for code without an operating system: linear addresses are physical, and the only
//! sensitive instruction is HLT.

use cpu::{Activity, CpuModel, Fault, Flow, Insn, Monitor, PageFaultCode, Segment, State, cr0, cr4, rights};
use mem::{Memory, PageKind, Rights};

/// The newest model in flat 32-bit protected mode at CPL 0, with the FPU and SSE switched on.
pub fn protected(eip: u32) -> State {
    let segment = |kind: u16| {
        let rights = rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG | kind;
        let mut s = Segment { limit: u32::MAX, rights, selector: 8, ..Segment::default() };
        s.refresh();
        s
    };
    let mut cpu = State::new(CpuModel::N270);
    cpu.cr0 = cr0::PE | cr0::NE | cr0::ET;
    cpu.cr4 = cr4::OSFXSR | cr4::OSXMMEXCPT;
    cpu.seg[..6].fill(segment(0));
    cpu.seg[usize::from(cpu::seg::CS)] = segment(rights::CODE);
    cpu.eip = eip;
    cpu
}

/// Flat memory. Linear addresses that are no memory fault as an absent page does.
#[derive(Debug, Default)]
pub struct Flat {
    /// The sensitive instruction that was refused.
    pub refused: Option<isa::Code>,
    /// Pages that may be read only, as linear page numbers.
    pub read_only: Vec<u32>,
}

impl Monitor for Flat {
    fn sensitive(&mut self, cpu: &mut State, _: &mut Memory, insn: &Insn) -> Result<Flow, Fault> {
        if insn.code.mnemonic() == isa::Mnemonic::Hlt {
            cpu.activity = Activity::Halted;
            cpu.eip = cpu.eip.wrapping_add(u32::from(insn.len));
            return Ok(Flow::Leave);
        }
        self.refused = Some(insn.code);
        cpu.leave = true;
        Ok(Flow::Leave)
    }

    fn probe(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        size: u32,
        write: bool,
    ) -> Result<(), Fault> {
        let last = linear.wrapping_add(size - 1);
        let second = if last >> 12 == linear >> 12 { linear } else { last & !0xfff };
        for at in [linear, second] {
            let physical = at & cpu.a20_mask;
            let protected = self.read_only.contains(&(at >> 12));
            let absent = mem.kind(u64::from(physical)) == PageKind::Mmio;
            if absent || write && protected {
                let bit = |b: bool, mask: u16| if b { mask } else { 0 };
                let code = bit(!absent, PageFaultCode::PRESENT)
                    | bit(write, PageFaultCode::WRITE)
                    | bit(cpu.cpl == 3, PageFaultCode::USER);
                return Err(Fault::page(PageFaultCode(code), at));
            }
            mem.install(at, u64::from(physical), Rights { read: true, write: !protected, execute: false });
        }
        Ok(())
    }

    fn slow_read(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32) -> u64 {
        let mut bytes = [0; 8];
        for (n, b) in bytes.iter_mut().enumerate().take(size as usize) {
            let at = linear.wrapping_add(n as u32) & cpu.a20_mask;
            mem.read_physical(u64::from(at), std::slice::from_mut(b));
        }
        u64::from_le_bytes(bytes)
    }

    fn slow_write(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32, value: u64) {
        for (n, b) in value.to_le_bytes().iter().enumerate().take(size as usize) {
            let at = linear.wrapping_add(n as u32) & cpu.a20_mask;
            mem.write_physical(u64::from(at), &[*b]);
        }
        cpu.leave |= mem.has_traces();
    }

    fn fetch(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32) -> Result<bool, Fault> {
        let physical = linear & cpu.a20_mask;
        if mem.kind(u64::from(physical)) == PageKind::Mmio {
            return Err(absent_code(cpu, linear));
        }
        mem.install(linear, u64::from(physical), Rights { read: false, write: false, execute: true });
        Ok(true)
    }

    fn fetch_bytes(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        out: &mut [u8],
    ) -> Result<(), (usize, Fault)> {
        for (n, b) in out.iter_mut().enumerate() {
            let at = linear.wrapping_add(n as u32);
            let physical = at & cpu.a20_mask;
            if mem.kind(u64::from(physical)) == PageKind::Mmio {
                return Err((n, absent_code(cpu, at)));
            }
            mem.read_physical(u64::from(physical), std::slice::from_mut(b));
        }
        Ok(())
    }
}

/// The fault of a fetch from an absent page.
fn absent_code(cpu: &State, at: u32) -> Fault {
    Fault::page(PageFaultCode(if cpu.cpl == 3 { PageFaultCode::USER } else { 0 }), at)
}
