//! Which code becomes regions, and when: what is hot, and once more what the guest is mostly in.

use crate::config::QUICKER;
use crate::engine::Jit;
use crate::heat::Heat;
use crate::hints::Hints;
use crate::key::Key;
use crate::mapped::{Mapped, Source};
use crate::plan::{Plan, Tier};
use crate::planner::{Profile, plan};
use crate::region;
use crate::regions::{Regions, address};
use crate::worker::{Compiler, Job, Made, Worker, thread_time};
use cpu::{CpuModel, State, seg};
use interp::Interpreter;
use mem::{Memory, PAGE_SHIFT};
use std::time::Duration;

/// Who compiles.
pub(crate) enum Compilers {
    /// The engine itself, while the guest waits.
    Here(Box<Compiler>),
    /// A thread, while the guest goes on in the interpreter.
    Beside(Worker),
}

struct Ran<'a> {
    interpreter: &'a Interpreter,
    regions: &'a Regions,
    heat: &'a Heat,
    hints: &'a Hints,
    /// Runs that make a block worth a place in a region.
    warm: u32,
    /// Runs that such a block of the quick tier has left at most.
    cool: i32,
    /// The region that is compiled again.
    replaces: Option<u32>,
    tier: Tier,
    in_place: bool,
    key: Key,
    size: cpu::Key,
}

impl Profile for Ran<'_> {
    fn ran(&self, physical: u32) -> bool {
        let counted = self.heat.left((physical, self.key)).filter(|_| self.tier != Tier::Quick);
        let quick = counted.is_some_and(|left| left < self.cool);
        quick || self.interpreter.runs(physical, self.size) >= self.warm
    }
    fn compiled(&self, physical: u32) -> bool {
        if self.tier == Tier::Quick {
            return self.regions.expects_other_door(physical, self.key, self.replaces);
        }
        self.regions.expects_better_door(physical, self.key, self.replaces)
    }
    fn outside(&self, physical: u32) -> bool {
        self.hints.outside(physical)
    }
    fn apart(&self, physical: u32) -> bool {
        self.hints.apart(physical)
    }
    fn in_place(&self) -> bool {
        self.in_place
    }
    fn followers(&self, physical: u32, bytes: u32) -> Vec<u32> {
        self.interpreter.followers(physical, self.size, bytes).collect()
    }
}

impl Jit {
    /// Compiles the block at EIP if it has run often, and says when it is looked at again.
    #[inline]
    pub(crate) fn consider(&mut self, cpu: &State, mem: &mut Memory, key: Key) {
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let entry = mem.lookup_execute(linear);
        if entry == 0 {
            return;
        }
        let physical = mem.physical_of(entry, linear);
        if self.regions.has_door(physical, key) {
            // one instruction was for the interpreter: it is to stop here again
            return self.interpreter.ask_again(physical, cpu.key(), 0);
        }
        let Some(runs) = self.interpreter.due(physical, cpu.key()) else { return };
        let hot = self.hints.hot(physical >> PAGE_SHIFT, self.hot);
        if runs < hot {
            return self.consider_quick(cpu, mem, key, (physical, runs));
        }
        // the blocks of a loop get hot in the same turn: the first one's region has them all
        if self.regions.will_cover(physical, key) {
            return self.interpreter.ask_later(physical, cpu.key(), hot);
        }
        // the region may be dropped one day
        self.interpreter.ask_again(physical, cpu.key(), runs.saturating_add(64));
        self.compile(cpu, mem, key);
    }

    /// As [`Jit::consider`], for a block that is not hot.
    fn consider_quick(&mut self, cpu: &State, mem: &mut Memory, key: Key, (physical, runs): (u32, u32)) {
        let frame = physical >> PAGE_SHIFT;
        let hot = self.hints.hot(frame, self.hot);
        let warm = self.warm.map_or(hot, |warm| self.hints.hot(frame, warm).min(hot));
        if runs < warm {
            return self.interpreter.ask_again(physical, cpu.key(), warm);
        }
        // where there is no code for it, it has to get hot
        self.interpreter.ask_again(physical, cpu.key(), hot);
        if warm < hot {
            self.compile_quickly(cpu, mem, key);
        }
    }

    /// Writes code for the region at EIP in one pass; whether there is some.
    pub(crate) fn compile_quickly(&mut self, cpu: &State, mem: &mut Memory, key: Key) -> bool {
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let entry = mem.lookup_execute(linear);
        if entry == 0 || self.regions.expects_door(mem.physical_of(entry, linear), key) {
            return false;
        }
        let began = thread_time();
        let Some(plan) = self.plan((cpu.model, linear), mem, key, Tier::Quick, None) else { return false };
        if self.heat.is_full(plan.blocks.len()) {
            self.forget_code();
        }
        let counters = plan.blocks.iter().map(|b| self.counter(&plan, linear, b.off)).collect();
        self.write_quickly(mem, plan, linear, counters, began)
    }

    /// The address of the counter of a block.
    fn counter(&mut self, plan: &Plan, head: u32, off: u32) -> u64 {
        let at = address(plan, head, off).unwrap_or(0);
        let left = self.left(self.interpreter.runs(at, plan.key.size()));
        self.heat.counter((at, plan.key), left)
    }

    #[cfg(target_arch = "x86_64")]
    fn write_quickly(
        &mut self,
        mem: &mut Memory,
        mut plan: Plan,
        head: u32,
        counters: Vec<u64>,
        began: Duration,
    ) -> bool {
        plan.id = self.regions.reserve();
        let Some(code) = crate::quick::build(&plan, self.addresses, &counters) else {
            self.regions.give_back(plan.id);
            return false;
        };
        let serial = self.announce(mem, &plan, head);
        let nanos = (thread_time() - began).as_nanos() as u64;
        self.meter.compile_nanos += nanos;
        self.meter.quick_nanos += nanos;
        self.meter.quick_regions += 1;
        self.meter.quick_instructions += plan.instructions as u64;
        self.install(Made { job: Job { plan, head, serial }, code: Some(code), nanos });
        true
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn write_quickly(&mut self, _: &mut Memory, _: Plan, _: u32, _: Vec<u64>, _: Duration) -> bool {
        false
    }

    /// Runs in the quick tier's code after which a block is hot that the interpreter has run so often; as good as never
    /// where nothing is to be waited for.
    pub(crate) fn left(&self, runs: u32) -> i32 {
        let left = self.hot.saturating_sub(runs).saturating_mul(QUICKER).max(1);
        if self.hot == 0 { i32::MAX } else { i32::try_from(left).unwrap_or(i32::MAX) }
    }

    /// A block of the quick tier is hot: its region is compiled for good, and the code at hand used until that is done.
    pub(crate) fn promote(&mut self, cpu: &State, mem: &mut Memory) {
        let (id, key) = (self.context.region, Key::of(cpu));
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let entry = mem.lookup_execute(linear);
        if entry == 0 {
            return;
        }
        let physical = mem.physical_of(entry, linear);
        if self.regions.has_better_door(physical, key) {
            // another region has the block: this one's way there is not to be used any more
            return self.regions.kill(id);
        }
        if self.regions.expects_better_door(physical, key, None) {
            return;
        }
        if let Some(plan) = self.plan((cpu.model, linear), mem, key, Tier::First, None) {
            self.order(mem, plan, linear);
        }
    }

    /// Compiles the region at EIP.
    pub(crate) fn compile(&mut self, cpu: &State, mem: &mut Memory, key: Key) {
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let entry = mem.lookup_execute(linear);
        if entry == 0 || self.regions.expects_door(mem.physical_of(entry, linear), key) {
            return;
        }
        let tier = if self.hot == 0 { Tier::Second } else { Tier::First };
        if let Some(plan) = self.plan((cpu.model, linear), mem, key, tier, None) {
            self.order(mem, plan, linear);
        }
    }

    /// The plan of a region with its head at a linear address, which may replace another.
    fn plan(
        &self,
        head: (CpuModel, u32),
        mem: &Memory,
        key: Key,
        tier: Tier,
        replaces: Option<u32>,
    ) -> Option<Plan> {
        let profile = Ran {
            interpreter: &self.interpreter,
            regions: &self.regions,
            heat: &self.heat,
            hints: &self.hints,
            warm: if tier == Tier::Quick { self.warm.unwrap_or(0) } else { self.hot } / 4,
            cool: self.left(self.hot / 4),
            tier,
            replaces,
            in_place: !self.counted,
            key,
            size: key.size(),
        };
        plan(head, mem, key, &profile, tier)
    }

    /// The budget has ended in a region, with EIP at one of its doors: where that happens often it is compiled again
    /// from its head, with more in it, and is used until that is done.
    pub(crate) fn sample(&mut self, cpu: &State, mem: &mut Memory) {
        let (id, key) = (self.context.region, Key::of(cpu));
        let Some(region) = self.regions.get_mut(id) else { return };
        let (head, of) = region.head;
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        if !region.sample() || of != key {
            return;
        }
        let Some(linear) = beside(mem, linear, head) else { return };
        if self.regions.expects_better_door(head, key, Some(id)) {
            return;
        }
        let plan = self.plan((cpu.model, linear), mem, key, Tier::Second, Some(id)).filter(|p| p.gains);
        if let Some(plan) = plan {
            let replaces = self.regions.serial(id).map(|serial| (id, serial));
            self.order(mem, Plan { replaces, ..plan }, linear);
        }
    }

    /// Notes a plan that becomes code; the number that its region will be recognised by.
    fn announce(&mut self, mem: &mut Memory, plan: &Plan, head: u32) -> u64 {
        // seen from now on, so that what is written meanwhile is known
        for p in &plan.pages {
            mem.add_code(p.frame, p.grains);
        }
        self.regions.announce(plan, head, &region::entry_offsets(plan))
    }

    /// Has a plan compiled: by the worker, or at once where there is none.
    fn order(&mut self, mem: &mut Memory, mut plan: Plan, head: u32) {
        plan.id = self.regions.reserve();
        let serial = self.announce(mem, &plan, head);
        let job = Job { plan, head, serial };
        let made = match &mut self.compilers {
            Compilers::Here(compiler) => compiler.compile(job),
            Compilers::Beside(worker) => match worker.hand_over(job) {
                Ok(()) => return,
                Err(id) => return self.regions.kill(id),
            },
        };
        self.meter.compile_nanos += made.nanos;
        self.install(made);
    }

    /// Takes what the worker has done.
    #[inline]
    pub(crate) fn collect(&mut self) {
        while let Compilers::Beside(worker) = &self.compilers
            && let Some(made) = worker.take()
        {
            self.meter.compile_nanos += made.nanos;
            self.install(made);
        }
    }

    /// Runs after which a block that is in a region, but cannot be entered, is looked at again: the next tier's.
    fn more_runs(&self, physical: u32, size: cpu::Key) -> u32 {
        let frame = physical >> PAGE_SHIFT;
        let hot = self.hints.hot(frame, self.hot);
        let warm = self.warm.map_or(hot, |warm| self.hints.hot(frame, warm));
        if self.interpreter.runs(physical, size).saturating_add(warm) < hot { warm } else { hot }
    }

    /// There is no room: everything goes, and what is hot comes back.
    fn forget_code(&mut self) {
        self.regions.clear();
        self.cache.clear();
        self.heat.clear();
        self.meter.flushes += 1;
    }

    fn install(&mut self, made: Made) {
        let Made { job: Job { plan, head, serial }, code, .. } = made;
        if !self.regions.awaits(plan.id, serial) {
            return;
        }
        if let Some((old, announced)) = plan.replaces.filter(|_| code.is_some())
            && self.regions.awaits(old, announced)
        {
            self.regions.kill(old);
        }
        let Some(bytes) = code else { return self.regions.kill(plan.id) };
        let Some(code) = self.cache.place(&bytes) else {
            return self.forget_code();
        };
        if let Some(sink) = &mut self.sink {
            let quick = plan.tier == Tier::Quick;
            let source = Source::Guest { linear: head, code32: plan.key.code32(), quick };
            sink(Mapped { address: code, bytes: bytes.len(), source });
        }
        self.meter.compiled_regions += 1;
        self.meter.compiled_instructions += plan.instructions as u64;
        let offsets = region::entry_offsets(&plan);
        let (id, size) = (plan.id, plan.key.size());
        let closed = if plan.tier == Tier::Quick { Vec::new() } else { self.regions.supersede(id) };
        let doors = self.regions.install(plan, head, &offsets, code);
        // what cannot be entered, but is run as often again in spite of it, gets a region of its own
        for &(physical, _) in self.regions.blocks(id) {
            let more = self.more_runs(physical, size);
            self.interpreter.ask_later(physical, size, more);
        }
        // likewise what could be entered before: the region may have the middle of a procedure only, or a procedure
        // within the one that calls it
        for physical in closed.into_iter().chain(doors) {
            self.interpreter.ask_again(physical, size, 0);
        }
    }
}

/// The linear address of an address of the arena, in the page of another linear address.
fn beside(mem: &Memory, linear: u32, physical: u32) -> Option<u32> {
    let entry = mem.lookup_execute(linear);
    let here = if entry == 0 { return None } else { mem.physical_of(entry, linear) };
    (here >> PAGE_SHIFT == physical >> PAGE_SHIFT).then(|| linear.wrapping_sub(here).wrapping_add(physical))
}
