//! KVM as an oracle for states of any mode: CPL 0, CPL 3, V86 and real mode.
//!
//! A virtual machine is put into a state of the classifier's model, runs the one instruction, and halts: behind it, where
//! it leads to, or in the handler of the exception that it raised. Nothing is needed of KVM besides to deliver exceptions:
//! no INT, no IRET, no loading of tables, since where a host has no hardware for such code KVM's own emulator answers,
//! which does not know all of that. What it cannot do is no opinion, and said to be none.

mod landing;
mod registers;
mod results;
mod watchdog;

use classify::axes::Choice;
use classify::relocation::Relocation;
use classify::world::{Level, Posed, World};
use classify::{CodeMode, Configuration, Form};
use cpu::{CpuModel, State, cr0, eflags, reg, vector};
use isa::Routine;
use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2, kvm_sregs, kvm_userspace_memory_region};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use memmap2::MmapMut;
use std::fmt;
use watchdog::Watchdog;

/// Bytes of the machine's memory: all that real mode and V86 mode can name.
const MEMORY: usize = 0x11_0000;

/// The mode that a state is of.
pub fn mode(cpu: &State) -> &'static str {
    match (cpu.cr0 & cr0::PE != 0, cpu.eflags & eflags::VM != 0, cpu.cpl) {
        (false, ..) => "in real mode",
        (_, true, _) => "in V86 mode",
        (.., 0) => "at CPL 0",
        _ => "at CPL 3",
    }
}

/// Accesses to ports that a run may make.
const MOST_ACCESSES: usize = 16;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The instruction was done.
    Completes,
    /// It raised an exception, or went through the gate of its own vector (INT n).
    Traps(u8),
    /// KVM has not said, and why.
    Silent(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Completes => f.write_str("completes"),
            Outcome::Traps(vector) => write!(f, "traps with vector {vector}"),
            Outcome::Silent(why) => f.write_str(why),
        }
    }
}

const UNKNOWN: Outcome = Outcome::Silent("its emulator does not know the instruction");

/// A virtual machine that is asked about instructions.
#[derive(Debug)]
pub struct Kvm {
    vcpu: VcpuFd,
    /// The state that KVM has made, for what the model says nothing of.
    usual: kvm_sregs,
    watchdog: Watchdog,
    emulated: bool,
    // dropped after the vCPU: the kernel writes to the memory while that exists
    _vm: VmFd,
    memory: MmapMut,
}

/// An innocuous body, which the model does not run, gets operands that can be divided by.
fn divisible(posed: &mut Posed) {
    posed.run.before.set_r32(reg::DX, 0);
    if let Some(low) = posed.memory.get_mut(posed.operand as usize) {
        *low = 1;
    }
}

/// What KVM can show of the host, and what its emulator adds (MOVBE, RDPID).
fn identity(kvm: &kvm_ioctls::Kvm) -> Result<CpuId, kvm_ioctls::Error> {
    let mut all = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
    // an older kernel does not tell
    let Ok(emulated) = kvm.get_emulated_cpuid(KVM_MAX_CPUID_ENTRIES) else { return Ok(all) };
    for leaf in all.as_mut_slice() {
        let same = |e: &&kvm_cpuid_entry2| e.function == leaf.function && e.index == leaf.index;
        if let Some(more) = emulated.as_slice().iter().find(same) {
            (leaf.ebx, leaf.ecx, leaf.edx) = (leaf.ebx | more.ebx, leaf.ecx | more.ecx, leaf.edx | more.edx);
        }
    }
    Ok(all)
}

impl Kvm {
    /// A machine.
    ///
    /// # Errors
    /// Why this host has none to ask.
    pub fn new() -> Result<Kvm, String> {
        let cannot = |what: &'static str| move |e: kvm_ioctls::Error| format!("{what}: {e}");
        let kvm = kvm_ioctls::Kvm::new().map_err(cannot("/dev/kvm cannot be opened"))?;
        let vm = kvm.create_vm().map_err(cannot("KVM makes no machine"))?;
        // wanted by processors that run real mode as a task of their own; others have no use for it
        let _ = vm.set_tss_address(0xfffb_d000);
        let mut memory = MmapMut::map_anon(MEMORY).map_err(|e| e.to_string())?;
        let region = kvm_userspace_memory_region {
            memory_size: MEMORY as u64,
            userspace_addr: memory.as_mut_ptr() as u64,
            ..Default::default()
        };
        // SAFETY: the mapping is of that size and lives longer than machine and vCPU (the order of fields in `Kvm`). The
        // guest writes to it in `KVM_RUN` alone, which borrows all of `Kvm`, so that nobody looks at it then.
        unsafe { vm.set_user_memory_region(region) }.map_err(cannot("KVM takes no memory"))?;
        let vcpu = vm.create_vcpu(0).map_err(cannot("KVM makes no processor"))?;
        let identity = identity(&kvm).map_err(cannot("KVM has no CPUID"))?;
        vcpu.set_cpuid2(&identity).map_err(cannot("KVM does not take its own CPUID"))?;
        let usual = vcpu.get_sregs().map_err(cannot("KVM does not show a processor"))?;
        let watchdog = Watchdog::new()?;
        let mut kvm = Kvm { vcpu, usual, watchdog, emulated: false, _vm: vm, memory };
        kvm.emulated = kvm.lacks_fld1();
        Ok(kvm)
    }

    /// What answers: KVM's emulator, or the host's processor.
    pub fn who(&self) -> &'static str {
        if self.emulated { "KVM's emulator" } else { "the processor, by KVM" }
    }

    /// x87 arithmetic: every processor has it, and KVM's emulator has not.
    fn lacks_fld1(&mut self) -> bool {
        let form = Form::decode(&[0xd9, 0xe8], CodeMode::Bits32, CpuModel::Newest);
        form.is_some_and(|form| {
            let mut world = World::new(&form, Configuration::default());
            self.at_0(&mut world, &Choice::default(), None) == UNKNOWN
        })
    }

    /// Puts it into a state of the model: that, and how the run of the instruction ended.
    pub fn ask(
        &mut self,
        world: &mut World,
        choice: &Choice,
        level: Level,
        x: Option<Relocation>,
    ) -> (Posed, Outcome) {
        let mut posed = world.pose(choice, level, x);
        if world.form().routine.is_none() {
            divisible(&mut posed);
        }
        let outcome = self.run_in(&posed);
        // above CPL 0 what the emulator does not know is #UD, which is no answer but where it is one at CPL 0
        let doubtful = outcome == Outcome::Traps(vector::UD) && posed.run.before.cpl > 0 && self.emulated;
        let unknown = doubtful && self.at_0(world, choice, x) != outcome;
        (posed, if unknown { UNKNOWN } else { outcome })
    }

    fn at_0(&mut self, world: &mut World, choice: &Choice, x: Option<Relocation>) -> Outcome {
        self.run_in(&world.pose(choice, Level::Supervisor, x))
    }

    fn run_in(&mut self, posed: &Posed) -> Outcome {
        landing::prepare(&mut self.memory, posed);
        if let Err(why) = registers::set(&self.vcpu, &self.usual, &posed.run.before) {
            return Outcome::Silent(why);
        }
        let _running = self.watchdog.watch();
        for _ in 0..MOST_ACCESSES {
            let why = match self.vcpu.run() {
                Ok(VcpuExit::Hlt) => return self.end(posed),
                // nobody is at the ports
                Ok(VcpuExit::IoIn(_, data) | VcpuExit::MmioRead(_, data)) => {
                    data.fill(0xff);
                    continue;
                }
                Ok(VcpuExit::IoOut(..) | VcpuExit::MmioWrite(..)) => continue,
                Ok(VcpuExit::InternalError) => return UNKNOWN,
                Ok(VcpuExit::Shutdown) => "it shut down",
                Ok(VcpuExit::FailEntry(..)) => "the processor refused the state",
                Ok(_) => "it stopped for a reason of its own",
                Err(_) => break,
            };
            return Outcome::Silent(why);
        }
        Outcome::Silent("it did not come to an end")
    }

    /// Compares what the instruction left, of the run last asked for: the first thing that is not as the model has it.
    /// `None`: nothing can be compared, as the model does not run it or it was not done, not at CPL 0 or in real mode, or
    /// switched tasks.
    pub fn compare(&self, posed: &Posed) -> Option<Result<(), &'static str>> {
        let (before, after) = (&posed.run.before, &posed.run.after);
        let routine = isa::routine(posed.insn.code)?;
        let level_0 = before.cpl == 0 && after.cpl == 0;
        // what a task leaves in its state segment is only in part what the manual settles
        let switched = before.tr.selector != after.tr.selector && routine != Routine::Ltr;
        if posed.run.trap.is_some() || !level_0 || switched {
            return None;
        }
        let (general, system) = (self.vcpu.get_regs().ok()?, self.vcpu.get_sregs().ok()?);
        let mut prepared = vec![0; MEMORY];
        landing::prepare(&mut prepared, posed);
        let found = results::difference(posed, (&general, &system), (&prepared, &self.memory));
        Some(found.map_or(Ok(()), Err))
    }

    /// What the place of the halt says.
    fn end(&self, posed: &Posed) -> Outcome {
        match (self.vcpu.get_regs(), self.vcpu.get_sregs()) {
            (Ok(general), Ok(system)) => landing::outcome(&self.memory, posed, &general, &system),
            _ => Outcome::Silent("KVM does not show its registers"),
        }
    }
}
