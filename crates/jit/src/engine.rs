//! The engine: interprets what is cold, enters what is compiled, compiles what gets hot.

use crate::across::{across, store_across};
use crate::attempt::{attempt, attempt_flags};
use crate::backend::{Addresses, Backend, BackendError};
use crate::cache::{CodeCache, NoExecutableMemory};
use crate::callout::callout;
use crate::config::{Arithmetic, Config, Lookup};
use crate::context::{Context, Exit};
use crate::formation::Compilers;
use crate::heat::Heat;
use crate::hints::Hints;
use crate::key::Key;
use crate::mapped::{Mapped, Sink, Source};
use crate::mxcsr;
use crate::region::Options;
use crate::regions::Regions;
use crate::settle::settle;
use crate::stubs;
use crate::tagged::{missed, store_missed};
use crate::whole::whole;
use crate::worker::{Compiler, Worker};
use crate::x87;
use cpu::{Engine, Meter, Monitor, State, StopReason, seg};
use interp::Interpreter;
use mem::{Memory, PAGE_SHIFT, Trace};

/// Why there is no JIT on this host.
#[derive(Debug, thiserror::Error)]
pub enum JitError {
    /// See [`NoExecutableMemory`].
    #[error(transparent)]
    Memory(#[from] NoExecutableMemory),
    /// See [`BackendError`].
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What routines that compiled code calls need of the engine that entered it.
pub(crate) struct Call {
    pub(crate) cpu: *mut State,
    pub(crate) mem: *mut Memory,
    pub(crate) monitor: *mut (dyn Monitor + 'static),
    pub(crate) interpreter: *mut Interpreter,
    pub(crate) reason: Option<StopReason>,
}

type Enter = unsafe extern "C" fn(*mut Context, *mut State, u64, u64);

/// The JIT engine.
pub struct Jit {
    pub(crate) interpreter: Interpreter,
    pub(crate) regions: Regions,
    pub(crate) cache: CodeCache,
    pub(crate) compilers: Compilers,
    pub(crate) context: Box<Context>,
    enter: Enter,
    pub(crate) heat: Heat,
    pub(crate) hints: Hints,
    pub(crate) hot: u32,
    /// See [`Config::warm`].
    pub(crate) warm: Option<u32>,
    /// For the quick tier.
    #[cfg(target_arch = "x86_64")]
    pub(crate) addresses: Addresses,
    /// The monitor counts forms: it does all sensitive instructions itself.
    pub(crate) counted: bool,
    /// The budget ended, and the guest stands anywhere in a block.
    interrupted: bool,
    pub(crate) meter: Meter,
    pub(crate) sink: Option<Sink>,
}

impl Jit {
    /// An engine that compiles a block's region when the interpreter has run it `hot` times; with 0,
    /// before it has run at all, which is for tests.
    ///
    /// # Errors
    /// The host has no back end, or gives no executable memory.
    pub fn new(hot: u32) -> Result<Jit, JitError> {
        Jit::with(Config { hot, ..Config::default() })
    }

    /// As [`Jit::new`], with so many bytes for machine code.
    ///
    /// # Errors
    /// As [`Jit::new`], and where the bytes do not hold the engine's own code.
    pub fn with_cache(hot: u32, bytes: usize) -> Result<Jit, JitError> {
        Jit::with(Config { hot, code: bytes, ..Config::default() })
    }

    /// An engine as it is asked for.
    ///
    /// # Errors
    /// As [`Jit::with_cache`].
    pub fn with(Config { hot, warm, code, lookup, arithmetic }: Config) -> Result<Jit, JitError> {
        let arithmetic = if cfg!(target_arch = "x86_64") { arithmetic } else { Arithmetic::Checked };
        let mut backend = Backend::new()?;
        let mut cache = CodeCache::new(code)?;
        let mut place = |code: Vec<u8>| {
            cache.place(&code).ok_or_else(|| BackendError::Refused("no room for the first code".to_owned()))
        };
        let enter = place(stubs::enter(&mut backend)?)?;
        let dispatch = place(stubs::dispatch(&mut backend)?)?;
        let x87_in = place(stubs::keeping(&mut backend, bring_x87_in as *const () as u64, 2)?)?;
        let (load, store) = match lookup {
            Lookup::Flat => (across as *const (), store_across as *const ()),
            Lookup::Tagged => (missed as *const (), store_missed as *const ()),
        };
        let across = place(stubs::keeping(&mut backend, load as u64, 3)?)?;
        let fine = place(stubs::fine(&mut backend, across)?)?;
        let store_across = place(stubs::keeping(&mut backend, store as u64, 4)?)?;
        cache.keep();
        // SAFETY: the address is that of code compiled for exactly this signature and the host's
        // convention, complete, and executable as long as `cache`, which this engine owns.
        let enter = unsafe { std::mem::transmute::<usize, Enter>(enter as usize) };
        let addresses = Addresses {
            dispatch,
            callout: callout as *const () as u64,
            attempt: attempt as *const () as u64,
            attempt_flags: attempt_flags as *const () as u64,
            whole: whole as *const () as u64,
            settle: settle_flags as *const () as u64,
            x87_in,
            x87_function: x87_function as *const () as u64,
            fine,
            across,
            store_across,
        };
        let options = Options { host: backend.host_convention(), lookup, arithmetic };
        Ok(Jit {
            interpreter: Interpreter::default(),
            regions: Regions::new(dispatch),
            cache,
            compilers: Compilers::Here(Box::new(Compiler { backend, options, addresses })),
            context: Box::new(Context::new(lookup, arithmetic)),
            enter,
            heat: Heat::default(),
            hints: Hints::default(),
            hot,
            warm: warm.filter(|_| cfg!(target_arch = "x86_64") && lookup == Lookup::Flat),
            #[cfg(target_arch = "x86_64")]
            addresses,
            counted: false,
            interrupted: false,
            meter: Meter::default(),
            sink: None,
        })
    }

    /// Tells of the engine's own code now, and of each region when it is compiled.
    pub fn map_code(&mut self, mut sink: Sink) {
        let (address, bytes) = self.cache.permanent();
        sink(Mapped { address, bytes, source: Source::Engine });
        self.sink = Some(sink);
    }

    /// An engine with the usual threshold, which compiles beside the guest where the host has a core to
    /// spare. When code becomes compiled changes nothing that the guest sees.
    ///
    /// # Errors
    /// As [`Jit::new`].
    pub fn with_defaults() -> Result<Jit, JitError> {
        Ok(Jit::with(Config::default())?.beside())
    }

    /// Has a thread compile, if there are cores for it and the host gives one.
    pub fn beside(mut self) -> Jit {
        let spare = std::thread::available_parallelism().is_ok_and(|n| n.get() > 1);
        if spare && matches!(self.compilers, Compilers::Here(_)) {
            self.compilers = match self.compilers {
                Compilers::Here(compiler) => match Worker::start(compiler) {
                    Ok(worker) => Compilers::Beside(worker),
                    Err(compiler) => Compilers::Here(compiler),
                },
                beside => beside,
            };
        }
        self
    }
}

impl Engine for Jit {
    fn run(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        until: u64,
    ) -> StopReason {
        cpu.until = until;
        cpu.leave = false;
        if self.counted != monitor.counts_forms() {
            self.counted = !self.counted;
            self.flush();
        }
        // code of the quick tier may be all that the guest runs: then nobody else asks for what is done
        self.collect();
        loop {
            if mem.has_traces() {
                self.invalidate(mem);
            }
            if cpu.retired >= until {
                self.interrupted = true;
                return StopReason::Budget;
            }
            if let Err(reason) = self.once(cpu, mem, monitor) {
                return reason;
            }
        }
    }

    fn flush(&mut self) {
        self.interpreter.flush();
        self.regions.clear();
        self.cache.clear();
        self.heat.clear();
        self.hints = Hints::default();
    }

    fn meter(&self) -> Option<Meter> {
        Some(Meter {
            regions: self.regions.len() as u64,
            code_bytes: self.cache.used() as u64,
            called: self.context.called,
            in_place: self.context.in_place,
            user: self.meter.user + self.context.called_user,
            repeated: self.context.repeated,
            repeated_user: self.context.repeated_user,
            ..self.meter
        })
    }
}

impl Jit {
    /// Runs compiled code at EIP, or a block of the interpreter.
    #[inline]
    fn once(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
    ) -> Result<(), StopReason> {
        let key = Key::of(cpu);
        let linear = cpu.seg[usize::from(seg::CS)].base.wrapping_add(cpu.eip);
        let mut entry = mem.lookup_execute(linear);
        if entry == 0 {
            // a new address space shows nothing yet of what has long been compiled
            interp::show_code(cpu, mem, monitor)?;
            if mem.has_traces() {
                return Ok(());
            }
            entry = mem.lookup_execute(linear);
        }
        let door = self.regions.find(linear, key, entry, || mem.physical_of(entry, linear));
        // where one instruction is asked for, the interpreter is nearer
        let door = door.filter(|_| cpu.until - cpu.retired > 1 || self.hot == 0);
        let began = cpu.retired;
        let Some((code, index)) = door else {
            if self.hot == 0 && self.compile_at_once(cpu, mem, monitor, key, linear) {
                return Ok(());
            }
            return self.interpret(cpu, mem, monitor, key);
        };
        match self.enter(cpu, mem, monitor, key, code, index) {
            Ok(_) if cpu.leave => Err(StopReason::Leave),
            Ok(Exit::Lookup) => Ok(()),
            Ok(Exit::Budget) => {
                self.sample(cpu, mem);
                // the next turn begins where this one has ended: at a door, if anything of the budget is left
                let enough = cpu.about && cpu.retired > began && cpu.retired < cpu.until;
                if enough { Err(StopReason::Budget) } else { self.interpret(cpu, mem, monitor, key) }
            }
            Ok(Exit::Hot) => {
                self.promote(cpu, mem);
                Ok(())
            }
            Ok(Exit::Redo) if std::mem::take(&mut self.context.crossed) != 0 => {
                self.interpret(cpu, mem, monitor, key)
            }
            Ok(Exit::Redo) => self.redo(cpu, mem, monitor, key),
            Ok(_) => self.interpret(cpu, mem, monitor, key),
            Err(reason) => Err(reason),
        }
    }

    /// Compiles what has not run yet, for tests: whether there is code now.
    fn compile_at_once(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        key: Key,
        linear: u32,
    ) -> bool {
        if cpu.eip > cpu.segment(seg::CS).limit
            || monitor.fetch(cpu, mem, linear).is_err()
            || mem.has_traces()
        {
            return false;
        }
        let entry = mem.lookup_execute(linear);
        if entry == 0 {
            return false;
        }
        if self.warm != Some(0) || !self.compile_quickly(cpu, mem, key) {
            self.compile(cpu, mem, key);
        }
        self.regions.has_door(mem.physical_of(entry, linear), key)
    }

    /// Has the interpreter run from EIP to where a region may be entered; compiles what is hot.
    fn interpret(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        key: Key,
    ) -> Result<(), StopReason> {
        if cpu.retired >= cpu.until || mem.has_code_writes() {
            return Ok(());
        }
        self.collect();
        self.consider(cpu, mem, key);
        // the interpreter comes back where the mode changes
        let (before, user) = (cpu.retired, in_user_mode(cpu));
        let whole = !std::mem::take(&mut self.interrupted);
        let stopped = self.interpreter.stretch(cpu, mem, monitor, whole);
        self.meter.interpreted += cpu.retired - before;
        self.meter.user += if user { cpu.retired - before } else { 0 };
        stopped
    }

    fn enter(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        key: Key,
        code: u64,
        index: u64,
    ) -> Result<Exit, StopReason> {
        // SAFETY: only the lifetime changes: the pointer is used by routines that compiled code
        // calls, all before this function returns, while `monitor` is borrowed.
        let monitor =
            unsafe { std::mem::transmute::<*mut (dyn Monitor + '_), *mut (dyn Monitor + 'static)>(monitor) };
        let mut call = Call { cpu, mem, monitor, interpreter: &mut self.interpreter, reason: None };
        let context = &mut *self.context;
        // SAFETY: `call.mem` was made from a unique borrow above.
        refresh(context, unsafe { &mut *call.mem });
        context.jumps = self.regions.jumps.address();
        context.key = u64::from(key.0) << 32;
        context.left = (cpu.until - cpu.retired) as i64;
        context.flags_kinds = 0;
        context.call = &raw mut call as u64;
        self.meter.entries += 1;
        mxcsr::bring_in(context.arithmetic, cpu);
        // SAFETY: `code` came from `Regions`, which holds addresses of regions that are in the code
        // cache, compiled for this signature. The pointers are valid for the whole call; compiled
        // code and what it calls are the only users of state and context meanwhile.
        unsafe { (self.enter)(context, cpu, code, index) };
        mxcsr::take_out(context.arithmetic, cpu);
        settle(context, cpu);
        take_x87_out(context, cpu);
        cpu.retired = cpu.until - context.left as u64;
        if let Some(reason) = call.reason {
            return Err(reason);
        }
        Ok(match context.exit {
            1 => Exit::Budget,
            2 => Exit::Redo,
            3 => Exit::Stopped,
            4 => Exit::Hot,
            _ => Exit::Lookup,
        })
        .inspect(|&exit| self.meter.exits[exit as usize] += 1)
    }

    /// Has the interpreter redo an instruction. Where that happens again and again, and not because
    /// pages are met for the first time, its region is compiled otherwise: first with each access
    /// of its block looked up for itself, then with the instruction done outside.
    fn redo(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        monitor: &mut dyn Monitor,
        key: Key,
    ) -> Result<(), StopReason> {
        let linear = cpu.segment(seg::CS).base.wrapping_add(cpu.eip);
        let (id, fills, retired) = (self.context.region, mem.fills, cpu.retired);
        let done = self.interpret(cpu, mem, monitor, key);
        if mem.fills != fills || matches!(done, Err(StopReason::Fault(_))) {
            return done;
        }
        let Some(region) = self.regions.get_mut(id) else { return done };
        if !region.redone.note(retired) {
            return done;
        }
        let entry = mem.lookup_execute(linear);
        if entry != 0 {
            self.hints.learn(mem.physical_of(entry, linear));
            self.regions.kill_with_parts(id);
        }
        done
    }

    /// Drops what was made from code that has been written.
    #[cold]
    fn invalidate(&mut self, mem: &mut Memory) {
        for t in mem.take_code_writes() {
            let Trace::Code { frame, grains } = t else { continue };
            self.interpreter.forget(frame, grains);
            let (dropped, entries) = self.regions.forget(frame, grains);
            self.meter.invalidations += dropped as u64;
            if dropped > 0 {
                self.hints.change(frame, dropped);
            }
            // code that changes has to get hot again: else it would be compiled at each change
            for (at, key) in entries {
                let enough = self.warm.unwrap_or(self.hot).min(self.hot);
                let enough = self.hints.hot(at >> PAGE_SHIFT, enough);
                self.interpreter.ask_later(at, key.size(), enough);
                self.heat.cool((at, key), self.left(0));
            }
            mem.set_code(frame, self.interpreter.code_in(frame) | self.regions.code_in(frame));
        }
    }
}

/// Protected mode at CPL 3.
pub(crate) fn in_user_mode(cpu: &State) -> bool {
    cpu.cpl == 3 && cpu.protected()
}

/// Where compiled code finds the shadow now.
pub(crate) fn refresh(context: &mut Context, mem: &mut Memory) {
    let arrays = mem.arrays();
    (context.read, context.write, context.execute) = (arrays.read, arrays.write, arrays.execute);
    if context.lookup == Lookup::Tagged {
        let tables = mem.tables();
        (context.read, context.write) = (tables.read, tables.write);
    }
    (context.code_map, context.arena) = (mem.code_map(), mem.arena_base());
}

/// Compiled code's way to canonical flags.
unsafe extern "C" fn settle_flags(context: *mut Context, cpu: *mut State) {
    // SAFETY: compiled code passes on what `Jit::enter` gave it: valid, and used by nobody else now.
    let (context, cpu) = unsafe { (&mut *context, &mut *cpu) };
    settle(context, cpu);
}

/// Compiled code's way to have the guest's x87 unit in the host's; it stays where it is if it cannot.
unsafe extern "C" fn bring_x87_in(context: *mut Context, cpu: *mut State) {
    // SAFETY: as in `settle_flags`.
    let (context, cpu) = unsafe { (&mut *context, &mut *cpu) };
    if context.x87_live == 0 && x87::may_live(&cpu.fpu) {
        x87::load(&cpu.fpu);
        context.x87_live = 1;
    }
}

/// Compiled code's way to a function of [`x87::Function`], the guest's x87 unit being in the host's: whether it has
/// been performed.
extern "C" fn x87_function(number: u64) -> u32 {
    x87::Function::numbered(number).is_some_and(x87::perform).into()
}

/// Takes the guest's x87 unit back to where Rust looks for it.
#[inline]
pub(crate) fn take_x87_out(context: &mut Context, cpu: &mut State) {
    if std::mem::take(&mut context.x87_live) != 0 {
        x87::save(&mut cpu.fpu);
    }
}
