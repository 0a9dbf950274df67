//! A machine of flat memory without paging, with a small set of descriptors.

use crate::mutant::{DELIVERY, Watch};
use cpu::{CpuModel, Fault, Flow, PageFaultCode, State, cr0, eflags, reg, seg};
use isa::Routine;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::Location;
use std::sync::Mutex;
use vmm::interpreters::descriptor::{Descriptor, read_at};
use vmm::interpreters::interpret;
use vmm::interpreters::interrupt::{self, Event};
use vmm::{Atom, Privilege, System};

pub(crate) const GDT: u32 = 0x1000;
pub(crate) const IDT: u32 = 0x2000;
pub(crate) const LDT: u32 = 0x3000;
pub(crate) const TSS: u32 = 0x4000;
pub(crate) const TSS2: u32 = 0x5000;
pub(crate) const TSS16: u32 = 0x6000;
pub(crate) const CODE: u32 = 0x7000;
pub(crate) const STACK: u32 = 0x8000;
pub(crate) const STACK0: u32 = 0x9000;

pub(crate) const CODE0: u16 = 0x08;
pub(crate) const DATA0: u16 = 0x10;
pub(crate) const CODE3: u16 = 0x1b;
pub(crate) const DATA3: u16 = 0x23;
pub(crate) const TASK: u16 = 0x28;
pub(crate) const CONFORMING: u16 = 0x30;
pub(crate) const LOCAL: u16 = 0x38;
pub(crate) const CODE16: u16 = 0x40;
pub(crate) const DATA16: u16 = 0x48;
pub(crate) const ABSENT_DATA: u16 = 0x50;
pub(crate) const CALL_GATE: u16 = 0x58;
pub(crate) const TASK2: u16 = 0x60;
pub(crate) const TASK16: u16 = 0x68;
pub(crate) const TASK_GATE: u16 = 0x70;
pub(crate) const SHORT_TASK: u16 = 0x78;
pub(crate) const READ_ONLY: u16 = 0x80;
pub(crate) const EXECUTE_ONLY: u16 = 0x88;
pub(crate) const ABSENT_CODE: u16 = 0x90;
pub(crate) const CALL_GATE16: u16 = 0x98;
/// Beyond the GDT.
pub(crate) const OUTSIDE: u16 = 0xa0;

pub(crate) use cpu::descriptor::{gate, segment};

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) cpu: State,
    pub(crate) memory: Vec<u8>,
    /// Linear addresses that are not present.
    pub(crate) hole: Range<u32>,
    /// Linear addresses that cannot be written.
    pub(crate) read_only: Range<u32>,
    pub(crate) asked: BTreeSet<Atom>,
    /// An atom that is answered wrongly.
    pub(crate) lie: Option<Atom>,
    pub(crate) space_changes: u32,
    pub(crate) apic_base: u32,
    /// Ports that were read or written, with the size.
    pub(crate) ports: Vec<(u16, u32)>,
    pub(crate) watch: Watch,
}

impl Fake {
    /// Real mode at 0700:0000 with a stack at 0800:0100.
    pub(crate) fn real(model: CpuModel) -> Fake {
        let cpu = State::new(model);
        let memory = vec![0; 0x2_0000];
        let (asked, apic_base) = (BTreeSet::new(), 0xfee0_0900);
        let (lie, watch) = (None, Watch::default());
        let (hole, read_only) = (0..0, 0..0);
        let mut f = Fake {
            cpu,
            memory,
            hole,
            read_only,
            asked,
            lie,
            space_changes: 0,
            apic_base,
            ports: Vec::new(),
            watch,
        };
        f.cpu.seg = [cpu::Segment::real(0, 0); 8];
        f.cpu.seg[1] = cpu::Segment::real(0x700, 0);
        f.cpu.seg[2] = cpu::Segment::real(0x800, 0);
        f.cpu.eip = 0;
        f.cpu.set_r32(reg::SP, 0x100);
        f
    }

    /// Protected mode at a privilege level, 32-bit flat segments.
    pub(crate) fn protected(cpl: u8) -> Fake {
        let mut f = Fake::real(CpuModel::N270);
        f.fill_tables();
        f.cpu.cr0 |= cr0::PE;
        f.cpu.gdtr = cpu::DescriptorTable { base: GDT, limit: 0x9f };
        f.cpu.idtr = cpu::DescriptorTable { base: IDT, limit: 0x3ff };
        f.cpu.cpl = cpl;
        let (code, data) = if cpl == 3 { (CODE3, DATA3) } else { (CODE0, DATA0) };
        for n in 0..6 {
            f.put_segment(n, if n == seg::CS { code } else { data });
        }
        f.cpu.tr = f.descriptor(TASK).segment();
        f.set_access(TASK, 0x8b);
        f.cpu.tr.rights |= 2;
        f.cpu.eip = CODE;
        f.cpu.set_r32(reg::SP, if cpl == 3 { STACK } else { STACK0 - 0x100 });
        f
    }

    /// V86 mode at 0700:0000 with a stack at 0800:0100.
    pub(crate) fn v86(iopl: u32) -> Fake {
        let mut f = Fake::protected(0);
        f.cpu.eflags |= eflags::VM | iopl << 12;
        f.cpu.cpl = 3;
        for n in 0..6 {
            f.cpu.seg[n] = cpu::Segment::real(0x100 * (n as u16 + 1), 3);
        }
        f.cpu.seg[1] = cpu::Segment::real(0x700, 3);
        f.cpu.seg[2] = cpu::Segment::real(0x800, 3);
        f.cpu.eip = 0;
        f.cpu.set_r32(reg::SP, 0x100);
        f
    }

    fn fill_tables(&mut self) {
        let g = |f: &mut Fake, selector: u16, value: u64| f.write(GDT + u32::from(selector & !7), 8, value);
        g(self, CODE0, segment(0, 0xf_ffff, 0x9a, 0xc));
        g(self, DATA0, segment(0, 0xf_ffff, 0x92, 0xc));
        g(self, CODE3, segment(0, 0xf_ffff, 0xfa, 0xc));
        g(self, DATA3, segment(0, 0xf_ffff, 0xf2, 0xc));
        g(self, TASK, segment(TSS, 0x87 + 0x20, 0x89, 0));
        g(self, CONFORMING, segment(0, 0xffff, 0x9e, 4));
        g(self, LOCAL, segment(LDT, 0xf, 0x82, 0));
        g(self, CODE16, segment(0, 0xffff, 0x9a, 0));
        g(self, DATA16, segment(0, 0xffff, 0x92, 0));
        g(self, ABSENT_DATA, segment(0, 0xffff, 0x12, 0));
        g(self, CALL_GATE, gate(CODE0, 0xabcd, 0xec, 2));
        g(self, TASK2, segment(TSS2, 0x67, 0x89, 0));
        g(self, TASK16, segment(TSS16, 0x2b, 0x81, 0));
        g(self, TASK_GATE, gate(TASK2, 0, 0xe5, 0));
        g(self, SHORT_TASK, segment(TSS2, 0x66, 0x89, 0));
        g(self, READ_ONLY, segment(0, 0xff, 0xf0, 0));
        g(self, EXECUTE_ONLY, segment(0, 0xffff, 0x98, 4));
        g(self, ABSENT_CODE, segment(0, 0xffff, 0x1a, 4));
        g(self, CALL_GATE16, gate(CODE16, 0x4321, 0xe4, 1));
        self.write(LDT + 8, 8, segment(0x1_0000, 0xfff, 0x92, 4));
        self.write(TSS + 4, 4, u64::from(STACK0));
        self.write(TSS + 8, 4, u64::from(DATA0));
    }

    /// A gate of the IDT.
    pub(crate) fn idt(&mut self, vector: u8, value: u64) {
        self.write(IDT + u32::from(vector) * 8, 8, value);
    }

    pub(crate) fn set_access(&mut self, selector: u16, access: u8) {
        self.write(GDT + u32::from(selector & !7) + 5, 1, u64::from(access));
    }

    pub(crate) fn access(&self, selector: u16) -> u8 {
        self.read(GDT + u32::from(selector & !7) + 5, 1) as u8
    }

    pub(crate) fn descriptor(&mut self, selector: u16) -> Descriptor {
        read_at(self, selector, GDT + u32::from(selector & !7)).unwrap()
    }

    pub(crate) fn put_segment(&mut self, n: u8, selector: u16) {
        let d = self.descriptor(selector);
        self.cpu.seg[usize::from(n)] = d.segment();
    }

    /// Memory repeats through the address space.
    fn index(&self, at: u32, n: u32) -> usize {
        at.wrapping_add(n) as usize % self.memory.len()
    }

    pub(crate) fn read(&self, at: u32, size: u32) -> u64 {
        (0..size).rev().fold(0, |v, n| v << 8 | u64::from(self.memory[self.index(at, n)]))
    }

    pub(crate) fn write(&mut self, at: u32, size: u32, value: u64) {
        for n in 0..size {
            let index = self.index(at, n);
            self.memory[index] = (value >> (8 * n)) as u8;
        }
    }

    /// Items of 4 bytes from the top of the stack.
    pub(crate) fn stack32<const N: usize>(&self) -> [u32; N] {
        let at = self.cpu.seg[2].base + self.cpu.r32(reg::SP);
        std::array::from_fn(|n| self.read(at + 4 * n as u32, 4) as u32)
    }

    /// Items of 2 bytes from the top of the stack.
    pub(crate) fn stack16<const N: usize>(&self) -> [u16; N] {
        let at = self.cpu.seg[2].base + u32::from(self.cpu.r16(reg::SP));
        std::array::from_fn(|n| self.read(at + 2 * n as u32, 2) as u16)
    }

    /// Pushes so that the last item is on top.
    pub(crate) fn push32(&mut self, items: &[u32]) {
        for &item in items {
            let sp = self.cpu.r32(reg::SP) - 4;
            self.cpu.set_r32(reg::SP, sp);
            self.write(self.cpu.seg[2].base + sp, 4, u64::from(item));
        }
    }

    pub(crate) fn push16(&mut self, items: &[u16]) {
        for &item in items {
            let sp = self.cpu.r16(reg::SP) - 2;
            self.cpu.set_r16(reg::SP, sp);
            self.write(self.cpu.seg[2].base + u32::from(sp), 2, u64::from(item));
        }
    }

    /// Interprets one instruction as the dispatcher does.
    pub(crate) fn run(&mut self, bytes: &[u8]) -> Result<Flow, Fault> {
        let insn = isa::decode(bytes, self.cpu.code_size(), self.cpu.model).unwrap();
        assert_eq!(usize::from(insn.len), bytes.len());
        let routine = isa::routine(insn.code).unwrap();
        let eip = self.cpu.eip;
        self.cpu.eip = eip.wrapping_add(u32::from(insn.len));
        let result = self.watched(name_of(routine), |f| interpret(f, &insn, routine));
        if result.is_err() {
            self.cpu.eip = eip;
        } else {
            self.cpu.retired += 1;
        }
        result
    }

    /// Has a routine run, mutated if there is a mutant.
    pub(crate) fn watched<T>(
        &mut self,
        name: &'static str,
        work: impl Fn(&mut Fake) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let start = Watch::postpones().then(|| self.clone());
        self.watch.begin(name, None);
        let mut result = work(self);
        if let (Err(fault), Some(start)) = (&result, start)
            && let Some(n) = self.watch.postponed()
        {
            let mut other = start;
            other.watch.begin(name, Some(n));
            let later = work(&mut other);
            if later.as_ref().is_err_and(|l| l != fault) {
                (*self, result) = (other, later);
            }
        }
        let result = result.map_err(|fault| self.watch.fault(fault));
        self.watch.end();
        result
    }

    /// Runs an instruction that must fault and change nothing.
    pub(crate) fn faults(&mut self, bytes: &[u8]) -> Fault {
        let before = self.clone();
        let fault = self.run(bytes).unwrap_err();
        self.unchanged(&before);
        fault
    }

    /// Registers and memory are as before; accessed bits may be set (SDM vol. 3A, 3.4.5.1: whenever a selector
    /// is loaded, which may come before the check that fails).
    pub(crate) fn unchanged(&self, before: &Fake) {
        assert_eq!(before.cpu, self.cpu);
        let accessed =
            |at: usize| at % 8 == 5 && ((GDT..IDT).contains(&(at as u32)) || LDT as usize == at & !0xfff);
        let same = |at: usize| (self.memory[at] ^ before.memory[at]) & !u8::from(accessed(at)) == 0;
        if self.memory != before.memory {
            assert_eq!((0..self.memory.len()).find(|at| !same(*at)), None, "a fault left memory written");
        }
    }

    /// Code of 16 bits, and a chip that knows no other.
    pub(crate) fn on_a_286(mut self) -> Fake {
        self.cpu.model = CpuModel::I286;
        for n in 0..6 {
            let segment = &mut self.cpu.seg[n];
            segment.rights &= !(cpu::rights::BIG | cpu::rights::GRANULAR);
            segment.limit &= 0xffff;
            segment.refresh();
        }
        self
    }

    /// A far CALL (9Ah) or JMP (EAh) with the address in it.
    pub(crate) fn far(&mut self, op: u8, selector: u16, offset: u32) -> Result<(), Fault> {
        let mut bytes = vec![op];
        let wide = self.cpu.code_size() == cpu::CodeSize::Bits32;
        bytes.extend(&offset.to_le_bytes()[..if wide { 4 } else { 2 }]);
        bytes.extend(selector.to_le_bytes());
        self.run(&bytes).map(|_| ())
    }

    /// Runs an instruction on the memory at DS:100h, given its opcode and the `reg` field.
    pub(crate) fn at_100(&mut self, op: &[u8], reg: u8) -> Result<(), Fault> {
        let wide = self.cpu.code_size() == cpu::CodeSize::Bits32;
        let mut bytes = op.to_vec();
        bytes.push(reg << 3 | if wide { 5 } else { 6 });
        bytes.extend(&[0, 1, 0, 0][..if wide { 4 } else { 2 }]);
        self.run(&bytes).map(|_| ())
    }

    /// Pushes items of the size of the code.
    pub(crate) fn push(&mut self, items: &[u32]) {
        if self.cpu.code_size() == cpu::CodeSize::Bits32 {
            self.push32(items);
        } else {
            items.iter().for_each(|item| self.push16(&[*item as u16]));
        }
    }

    pub(crate) fn selector(&self, n: u8) -> u16 {
        self.cpu.segment(n).selector
    }

    fn check(&self, linear: u32, size: u32, write: bool) -> Result<(), Fault> {
        let last = linear.wrapping_add(size - 1);
        let barred = |at: u32| self.hole.contains(&at) || write && self.read_only.contains(&at);
        if (linear..=last).any(barred) {
            let at = linear.max(self.hole.start);
            return Err(Fault::page(PageFaultCode(u16::from(write) * PageFaultCode::WRITE), at));
        }
        Ok(())
    }
}

/// A routine's name, as records have it.
fn name_of(routine: Routine) -> &'static str {
    static NAMES: Mutex<BTreeMap<String, &str>> = Mutex::new(BTreeMap::new());
    let name = format!("{routine:?}");
    let mut names = NAMES.lock().unwrap();
    names.entry(name.clone()).or_insert_with(|| name.leak())
}

/// Delivers an event; the fault that this raises.
pub(crate) fn deliver(f: &mut Fake, event: Event) -> Result<(), Fault> {
    f.watched(DELIVERY, |f| interrupt::deliver(f, event))
}

/// Delivers an event, and what comes of it.
pub(crate) fn inject(f: &mut Fake, event: Event) {
    let _ = f.watched(DELIVERY, |f| {
        interrupt::inject(f, event);
        Ok(())
    });
}

/// Delivers a fault of the instruction at EIP, and what comes of it.
pub(crate) fn deliver_fault(f: &mut Fake, fault: Fault) {
    let _ = f.watched(DELIVERY, |f| {
        interrupt::deliver_fault(f, fault);
        Ok(())
    });
}

impl System for Fake {
    fn state(&self) -> &State {
        &self.cpu
    }
    fn state_mut(&mut self) -> &mut State {
        &mut self.cpu
    }
    fn ask(&mut self, atom: Atom, truth: bool) -> bool {
        self.asked.insert(atom);
        self.watch.answer(atom, truth ^ (self.lie == Some(atom)), Location::caller())
    }
    fn load(&mut self, linear: u32, size: u32, _: Privilege) -> Result<u64, Fault> {
        self.check(linear, size, false)?;
        Ok(self.read(linear, size))
    }
    fn store(&mut self, linear: u32, size: u32, value: u64, _: Privilege) -> Result<(), Fault> {
        self.check(linear, size, true)?;
        self.write(linear, size, value);
        Ok(())
    }
    fn probe(&mut self, linear: u32, size: u32, write: bool, _: Privilege) -> Result<(), Fault> {
        self.check(linear, size, write)
    }
    fn port_in(&mut self, port: u16, size: u32) -> u32 {
        self.ports.push((port, size));
        0
    }
    fn port_out(&mut self, port: u16, size: u32, _: u32) {
        self.ports.push((port, size));
    }
    fn time_stamp(&mut self) -> u64 {
        0
    }
    fn apic_base(&mut self) -> u32 {
        self.apic_base
    }
    fn set_apic_base(&mut self, value: u32) {
        self.apic_base = value;
    }
    fn physical_dword(&mut self, at: u32) -> u32 {
        self.read(at, 4) as u32
    }
    fn address_space_changed(&mut self) {
        self.space_changes += 1;
    }
    fn invalidate_page(&mut self, _: u32) {}
    fn watchpoints_changed(&mut self) {}
}
