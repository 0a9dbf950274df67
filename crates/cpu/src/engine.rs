//! How an engine reaches the monitor without knowing it, and the monitor an engine.

use crate::{Fault, Insn, State};
use mem::Memory;

/// What execution does after a sensitive instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// On with the next instruction, or wherever EIP points now.
    Continue,
    /// Back to the dispatcher, which looks at the state.
    Leave,
}

/// Why an engine came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// The instruction at EIP raised this; nothing of it was committed.
    Fault(Fault),
    /// As many instructions have retired as were asked for.
    Budget,
    /// The state asks for the dispatcher's attention ([`State::leave`]).
    Leave,
}

/// A slow access that was found permitted: where the bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Linear address of the first byte.
    pub linear: u32,
    /// Bytes.
    pub size: u32,
}

/// What engines ask of the virtual machine monitor. EIP and the retired count are exact
/// whenever one of these is called.
pub trait Monitor {
    /// Interprets the sensitive instruction at EIP. On success EIP says where to go on.
    ///
    /// # Errors
    /// The fault that the instruction raises; EIP then still points at it.
    fn sensitive(&mut self, cpu: &mut State, mem: &mut Memory, insn: &Insn) -> Result<Flow, Fault>;

    /// Interprets a sensitive instruction, EIP being behind it already, if it takes nothing but the CPU and memory that
    /// the shadow shows, and raises no fault: whether that is so. If not, nothing has changed. It then leaves all
    /// shadow entries as they are. Only for instructions that commit nothing before their last access.
    fn attempt(&mut self, _: &mut State, _: &mut Memory, _: &Insn) -> bool {
        false
    }

    /// It wants to see every sensitive instruction itself.
    fn counts_forms(&self) -> bool {
        false
    }

    /// Finds whether `size` bytes at `linear` may be read (or written) with the current
    /// privilege, fills the shadow, sets A and D bits.
    ///
    /// # Errors
    /// The page fault.
    fn probe(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        size: u32,
        write: bool,
    ) -> Result<(), Fault>;

    /// Reads up to 8 bytes that were probed: MMIO, page-crossing, watched.
    fn slow_read(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32) -> u64;

    /// Writes up to 8 bytes that were probed: MMIO, page-crossing, traced, watched.
    fn slow_write(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32, size: u32, value: u64);

    /// Makes the page of `linear` executable in the shadow, or says why it is not.
    /// `Ok(false)` means that it may be executed but is not memory that can be shadowed.
    ///
    /// # Errors
    /// The page fault.
    fn fetch(&mut self, cpu: &mut State, mem: &mut Memory, linear: u32) -> Result<bool, Fault>;

    /// Reads up to 15 code bytes one by one where [`Monitor::fetch`] found no shadow.
    ///
    /// # Errors
    /// The page fault of the first byte that cannot be fetched, and the number of bytes before it.
    fn fetch_bytes(
        &mut self,
        cpu: &mut State,
        mem: &mut Memory,
        linear: u32,
        out: &mut [u8],
    ) -> Result<(), (usize, Fault)>;
}

/// The efficiency meter: what an engine that compiles has done (Popek and Goldberg's efficiency
/// property in figures). Instructions are retired ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Meter {
    /// Instructions that the interpreter ran, redone ones included.
    pub interpreted: u64,
    /// Instructions that compiled code had done by a routine outside.
    pub called: u64,
    /// Of both, the instructions of protected mode at CPL 3.
    pub user: u64,
    /// Iterations of repeated instructions after the first that such a routine did: whole runs of a page at a time,
    /// not instruction by instruction. They count as neither.
    pub repeated: u64,
    /// Of these, at CPL 3.
    pub repeated_user: u64,
    /// Sensitive instructions that compiled code has done in place, in the monitor's stead.
    pub in_place: u64,
    /// Entries into compiled code from the engine's own loop.
    pub entries: u64,
    /// Exits to that loop: no compiled target, budget, instruction redone by the interpreter, stop,
    /// code to be compiled for good.
    pub exits: [u64; 5],
    /// Regions in being.
    pub regions: u64,
    /// Regions compiled so far.
    pub compiled_regions: u64,
    /// Guest instructions in them.
    pub compiled_instructions: u64,
    /// Time spent compiling, in nanoseconds.
    pub compile_nanos: u64,
    /// Of the regions, those that were written in one pass.
    pub quick_regions: u64,
    /// Guest instructions in them.
    pub quick_instructions: u64,
    /// Time spent on them.
    pub quick_nanos: u64,
    /// Bytes of machine code in the cache.
    pub code_bytes: u64,
    /// Regions dropped because their code was written.
    pub invalidations: u64,
    /// Times that the code cache was full and emptied.
    pub flushes: u64,
}

/// An engine: runs guest code from [`State`] until something needs the dispatcher.
pub trait Engine {
    /// Runs until `cpu.retired` reaches `until` (exactly, or about that: [`State::about`]), a fault, or a request to
    /// leave.
    fn run(&mut self, cpu: &mut State, mem: &mut Memory, monitor: &mut dyn Monitor, until: u64)
    -> StopReason;

    /// Forgets all translations.
    fn flush(&mut self);

    /// What it has compiled and run; `None` for an engine that does not compile.
    fn meter(&self) -> Option<Meter> {
        None
    }
}
