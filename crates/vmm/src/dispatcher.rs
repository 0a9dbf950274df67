//! The dispatcher: gets control at every trap, decides who handles it, resumes the guest.

use crate::Board;
use crate::allocator::shadow::{ShadowPolicy, ShadowStats};
use crate::allocator::watch;
use crate::interpreters;
use crate::interpreters::interrupt::{self, Event, EventKind};
use crate::live::Live;
use crate::profile::Profile;
use cpu::{
    Activity, Engine, Fault, Flow, Insn, InterruptShadow, Monitor, State, StopReason, cr0, cr4, eflags, seg,
    vector,
};
use isa::{Routine, routine};
use mem::{Access, Memory, PAGE};

/// Why [`Vmm::run`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As many instructions have retired as were asked for.
    Budget,
    /// HLT, and no interrupt to wake it.
    Halted,
    /// A triple fault.
    Shutdown,
    /// The board asks for attention.
    Attention,
}

/// The modes that instructions are counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mode {
    /// CR0.PE = 0.
    Real,
    /// EFLAGS.VM = 1.
    Virtual8086,
    /// Protected mode, CPL 0 to 2.
    Supervisor,
    /// Protected mode, CPL 3.
    User,
}

impl Mode {
    fn of(cpu: &State) -> Mode {
        match (cpu.cr0 & cr0::PE != 0, cpu.protected(), cpu.cpl) {
            (false, _, _) => Mode::Real,
            (true, false, _) => Mode::Virtual8086,
            (true, true, 3) => Mode::User,
            _ => Mode::Supervisor,
        }
    }
}

/// Counters of the dispatcher's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Returns of the engine to the dispatcher.
    pub exits: u64,
    /// Of these, for a fault, by vector.
    pub faults: [u64; 32],
    /// Of these, because an instruction asked for the dispatcher.
    pub requests: u64,
    /// Of these, because the budget of instructions was spent.
    pub budgets: u64,
    /// Instructions retired in each mode, by [`Mode`].
    pub retired: [u64; 4],
    /// Maskable hardware interrupts delivered.
    pub interrupts: u64,
    /// Sensitive instructions interpreted.
    pub sensitive: u64,
    /// Accesses through the slow path.
    pub slow_accesses: u64,
    /// The shadow's own.
    pub shadow: ShadowStats,
}

/// The virtual machine monitor of one virtual CPU.
pub struct Vmm<B> {
    /// The board.
    pub board: B,
    shadow: ShadowPolicy,
    stats: Stats,
    /// The mode that the CPU was last seen in, and the retired count up to which it is counted.
    mode: Mode,
    counted: u64,
    /// The instruction was an INT that was delivered: no single-step trap follows it.
    interrupted_itself: bool,
    profile: Option<Box<Profile>>,
}

impl<B: Board> Vmm<B> {
    /// A monitor over a board.
    pub fn new(board: B) -> Vmm<B> {
        Vmm {
            board,
            shadow: ShadowPolicy::default(),
            stats: Stats::default(),
            mode: Mode::Real,
            counted: 0,
            interrupted_itself: false,
            profile: None,
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        Stats { shadow: self.shadow.stats, ..self.stats }
    }

    /// Begins to count sensitive instructions by form, mode and place.
    pub fn start_profile(&mut self) {
        self.profile.get_or_insert_default();
    }

    /// What was counted, if it was asked for.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_deref()
    }

    /// The accessor that interpreters of the running machine get.
    pub fn live<'a>(&'a mut self, cpu: &'a mut State, mem: &'a mut Memory) -> Live<'a, B> {
        Live { cpu, mem, board: &mut self.board, shadow: &mut self.shadow, plain: false }
    }

    /// Brings the shadow in line with the state, after it was set from outside.
    pub fn synchronise(&mut self, cpu: &State, mem: &mut Memory) {
        self.shadow.activate(cpu, mem);
    }

    /// Acts on what bus masters wrote while the CPU did not run.
    pub fn memory_written(&mut self, mem: &mut Memory) {
        if mem.has_traces() {
            self.shadow.tables_written(mem);
        }
    }

    /// Runs the guest until `until` instructions have retired, or about as many ([`State::about`]), or something
    /// happens.
    pub fn run(&mut self, cpu: &mut State, mem: &mut Memory, engine: &mut dyn Engine, until: u64) -> Outcome {
        loop {
            if self.board.attention() {
                return Outcome::Attention;
            }
            self.interrupts(cpu, mem);
            match cpu.activity {
                Activity::Shutdown => return Outcome::Shutdown,
                Activity::Halted => return Outcome::Halted,
                Activity::Running if cpu.retired >= until => return Outcome::Budget,
                Activity::Running => {
                    if self.resume(cpu, mem, engine, until) {
                        return Outcome::Budget;
                    }
                }
            }
        }
    }

    /// Lets the engine run once, and handles what it comes back with; whether it has had about enough.
    fn resume(&mut self, cpu: &mut State, mem: &mut Memory, engine: &mut dyn Engine, until: u64) -> bool {
        if virtual_interrupt_due(cpu) {
            self.fault(cpu, mem, Fault::GP0);
            return false;
        }
        let stepping = cpu.eflags & eflags::TF != 0;
        let breakpoints = watch::any_execution(cpu);
        if breakpoints && self.execution_breakpoint(cpu, mem) {
            return false;
        }
        let aligned = cpu.alignment_checked();
        let one = stepping || breakpoints || aligned || cpu.retired < cpu.shadow_until;
        let (before, at) = (cpu.retired, cpu.eip);
        (self.mode, self.counted) = (Mode::of(cpu), before);
        let limit = if one { cpu.retired + 1 } else { until };
        // RF covers this one instruction; an RF that the instruction itself loads is the next one's
        let resumed = cpu.eflags & eflags::RF != 0;
        cpu.eflags &= !eflags::RF;
        self.interrupted_itself = false;
        if aligned {
            cpu.set_aligned(true);
        }
        let about = cpu.about;
        cpu.about &= !one;
        let reason = engine.run(cpu, mem, self, limit);
        cpu.about = about;
        if aligned {
            cpu.set_aligned(false);
        }
        self.count_exit(&reason);
        self.count_mode(cpu);
        if resumed && cpu.retired > before && cpu.eip == at && self.repeats(cpu, mem) {
            cpu.eflags |= eflags::RF;
        }
        let stepped = stepping && cpu.retired > before && !self.interrupted_itself;
        let enough = matches!(reason, StopReason::Budget) && !one;
        match reason {
            StopReason::Fault(fault) => self.fault(cpu, mem, fault),
            StopReason::Budget | StopReason::Leave => self.traps(cpu, mem, stepped),
        }
        enough
    }

    /// Counts what has retired since the last time to the mode that it ran in.
    fn count_mode(&mut self, cpu: &State) {
        self.stats.retired[self.mode as usize] += cpu.retired.saturating_sub(self.counted);
        (self.mode, self.counted) = (Mode::of(cpu), cpu.retired);
    }

    fn count_exit(&mut self, reason: &StopReason) {
        self.stats.exits += 1;
        match reason {
            StopReason::Fault(_) => {}
            StopReason::Budget => self.stats.budgets += 1,
            StopReason::Leave => self.stats.requests += 1,
        }
    }

    /// The instruction at EIP is a repeated one, which stands between two iterations.
    fn repeats(&mut self, cpu: &mut State, mem: &mut Memory) -> bool {
        let mut bytes = [0; isa::MAX_LENGTH];
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let got = self.fetch_bytes(cpu, mem, linear, &mut bytes).map_or_else(|(n, _)| n, |()| bytes.len());
        let insn = isa::decode(&bytes[..got], cpu.code_size(), cpu.model);
        insn.is_ok_and(|i| i.prefix.repeated())
    }

    /// Debug traps after an instruction: single step and data breakpoints. MOV SS and POP SS
    /// put them off to the end of the next instruction (SDM vol. 3A, 6.8.3).
    fn traps(&mut self, cpu: &mut State, mem: &mut Memory, stepped: bool) {
        if !stepped && cpu.debug_hits == 0 || cpu.in_shadow() == InterruptShadow::MovSs {
            return;
        }
        if cpu.activity == Activity::Shutdown {
            return;
        }
        cpu.dr[6] |= if stepped { 0x4000 } else { 0 };
        self.deliver_trap(cpu, mem);
    }

    fn deliver_trap(&mut self, cpu: &mut State, mem: &mut Memory) {
        cpu.dr[6] |= std::mem::take(&mut cpu.debug_hits);
        let event = Event::plain(vector::DB, EventKind::Exception, cpu.eip);
        interrupt::inject(&mut self.live(cpu, mem), event);
    }

    /// What the delivery of an event met, a task's T bit or a watched stack, traps before the
    /// first instruction of the handler (SDM vol. 3B, 17.3.1.5).
    fn delivery_traps(&mut self, cpu: &mut State, mem: &mut Memory) {
        if cpu.debug_hits != 0 && cpu.activity == Activity::Running {
            self.deliver_trap(cpu, mem);
        }
    }

    /// #DB as a fault before the instruction, unless RF holds it off.
    fn execution_breakpoint(&mut self, cpu: &mut State, mem: &mut Memory) -> bool {
        if cpu.eflags & eflags::RF != 0 || cpu.in_shadow() == InterruptShadow::MovSs {
            return false;
        }
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let hits = watch::execution_hits(cpu, linear);
        if hits != 0 {
            cpu.dr[6] |= hits;
            self.fault(cpu, mem, Fault::DB);
        }
        hits != 0
    }

    fn fault(&mut self, cpu: &mut State, mem: &mut Memory, fault: Fault) {
        self.stats.faults[usize::from(fault.vector) % 32] += 1;
        cpu.debug_hits = 0;
        // a fault takes the time of an instruction: handlers that fault for ever must not stop time
        cpu.retired += 1;
        if fault == Fault::MF && cpu.cr0 & cr0::NE == 0 {
            // FERR# to the PIC; the instruction waits for the interrupt
            self.board.numeric_error();
            return;
        }
        interrupt::deliver_fault(&mut self.live(cpu, mem), fault);
        self.delivery_traps(cpu, mem);
    }

    /// NMI and maskable interrupts, between instructions.
    fn interrupts(&mut self, cpu: &mut State, mem: &mut Memory) {
        if cpu.activity == Activity::Shutdown {
            return;
        }
        let shadow = cpu.in_shadow();
        if cpu.nmi_pending && !cpu.nmi_blocked && shadow != InterruptShadow::MovSs {
            cpu.nmi_pending = false;
            return self.interrupt(cpu, mem, vector::NMI, EventKind::Nmi);
        }
        let open = cpu.eflags & eflags::IF != 0 && shadow == InterruptShadow::None;
        if open
            && self.board.interrupt_pending()
            && let Some(vector) = self.board.acknowledge()
        {
            self.stats.interrupts += 1;
            self.interrupt(cpu, mem, vector, EventKind::Hardware);
        }
    }

    fn interrupt(&mut self, cpu: &mut State, mem: &mut Memory, vector: u8, kind: EventKind) {
        let event = Event::plain(vector, kind, cpu.eip);
        interrupt::inject(&mut self.live(cpu, mem), event);
        self.delivery_traps(cpu, mem);
    }
}

/// With VME or PVI, VIF and VIP both set make the next instruction #GP(0): the monitor's chance to
/// deliver the virtual interrupt (SDM vol. 3B, 21.3.3 and 21.4).
fn virtual_interrupt_due(cpu: &State) -> bool {
    let both = eflags::VIF | eflags::VIP;
    if cpu.eflags & both != both || cpu.cr0 & cr0::PE == 0 {
        return false;
    }
    match cpu.eflags & eflags::VM != 0 {
        true => cpu.cr4 & cr4::VME != 0,
        false => cpu.cr4 & cr4::PVI != 0 && cpu.cpl == 3,
    }
}

fn data(cpu: &State, write: bool) -> Access {
    Access { write, user: cpu.cpl == 3, fetch: false }
}

/// Where EIP is.
fn linear_eip(cpu: &State) -> u32 {
    cpu.segment(cpu::seg::CS).base.wrapping_add(cpu.eip)
}

impl<B: Board> Monitor for Vmm<B> {
    fn sensitive(&mut self, cpu: &mut State, mem: &mut Memory, insn: &Insn) -> Result<Flow, Fault> {
        self.stats.sensitive += 1;
        let Some(routine) = routine(insn.code) else { return Err(Fault::UD) };
        let start = cpu.eip;
        let place = self.profile.is_some().then(|| (Mode::of(cpu), linear_eip(cpu)));
        cpu.eip = start.wrapping_add(u32::from(insn.len));
        let result = interpreters::interpret(&mut self.live(cpu, mem), insn, routine);
        if result.is_err() {
            cpu.eip = start;
        }
        if let (Some(profile), Some((mode, linear))) = (&mut self.profile, place) {
            profile.note(insn.code, mode, linear, result.is_err());
        }
        // INT n, INT3, INTO clear TF, and with it the trap that was to follow (SDM vol. 3B, 17.3.1.4)
        if Mode::of(cpu) != self.mode {
            self.count_mode(cpu);
        }
        let int = matches!(routine, Routine::Int | Routine::Int1 | Routine::Int3 | Routine::Into);
        self.interrupted_itself = int && result.is_ok() && cpu.eflags & eflags::TF == 0;
        result
    }

    fn attempt(&mut self, cpu: &mut State, mem: &mut Memory, insn: &Insn) -> bool {
        let Some(routine) = routine(insn.code) else { return false };
        let mut live = Live { plain: true, ..self.live(cpu, mem) };
        let done = interpreters::attempt(&mut live, insn, routine);
        self.stats.sensitive += u64::from(done);
        if let Some(profile) = self.profile.as_mut().filter(|_| done) {
            // EIP is behind it
            let linear = linear_eip(cpu).wrapping_sub(u32::from(insn.len));
            profile.note(insn.code, Mode::of(cpu), linear, false);
        }
        done
    }

    fn counts_forms(&self) -> bool {
        self.profile.is_some()
    }

    fn probe(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        size: u32,
        write: bool,
    ) -> Result<(), Fault> {
        let access = data(cpu, write);
        self.live(cpu, mem).find(linear, size, access)
    }

    fn slow_read(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32) -> u64 {
        self.stats.slow_accesses += 1;
        let access = data(cpu, false);
        self.live(cpu, mem).read(linear, size, access).unwrap_or(u64::MAX)
    }

    fn slow_write(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32, value: u64) {
        self.stats.slow_accesses += 1;
        let access = data(cpu, true);
        // probed before: the only writes since are this instruction's own
        let _ = self.live(cpu, mem).write(linear, size, value, access);
    }

    fn fetch(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32) -> Result<bool, Fault> {
        let access = Access { write: false, user: cpu.cpl == 3, fetch: true };
        self.shadow.fill(cpu, mem, linear, access)?;
        Ok(mem.lookup_execute(linear) != 0)
    }

    fn fetch_bytes(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        out: &mut [u8],
    ) -> Result<(), (usize, Fault)> {
        let room = (PAGE - linear % PAGE) as usize;
        let first = room.min(out.len());
        let (this, next) = out.split_at_mut(first);
        self.fetch_part(cpu, mem, linear, this).map_err(|f| (0, f))?;
        if next.is_empty() {
            return Ok(());
        }
        self.fetch_part(cpu, mem, linear.wrapping_add(first as u32), next).map_err(|f| (first, f))
    }
}

impl<B: Board> Vmm<B> {
    /// Fetches bytes that lie in one page.
    fn fetch_part(
        &mut self,
        cpu: &State,
        mem: &mut Memory,
        linear: u32,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let entry = mem.lookup_execute(linear);
        if entry != 0 {
            mem.read_arena(mem.physical_of(entry, linear), out);
            return Ok(());
        }
        let access = Access { write: false, user: cpu.cpl == 3, fetch: true };
        let physical = self.shadow.fill(cpu, mem, linear, access)?;
        if mem.resolve(physical).is_some() {
            mem.read_physical(physical, out);
            return Ok(());
        }
        for (n, b) in out.iter_mut().enumerate() {
            *b = self.board.mmio_read(mem, cpu.retired, physical + n as u64, 1) as u8;
        }
        Ok(())
    }
}
