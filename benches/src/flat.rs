//! Small code on an engine alone: no machine around it, memory as it is.

use cpu::{Engine, State, StopReason};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebp, ebx, ecx, edi, edx, esi};
use jit::{Config, Jit, Lookup};
use mem::Memory;
use testkit::flat::{Flat, protected};

/// Where code starts.
pub const CODE: u32 = 0x1_0000;
/// Data: six pages from here.
const DATA: u32 = 0x2_0000;
const RAM: u64 = 1 << 20;

/// Code in memory, on a JIT that compiles what it meets.
pub struct Alone {
    /// The engine.
    pub engine: Jit,
    cpu: State,
    mem: Memory,
}

impl Alone {
    /// At the start of the code; the registers point to a page each.
    ///
    /// # Errors
    /// The host's refusal, in words.
    pub fn new(code: &[u8]) -> Result<Alone, String> {
        Alone::with(code, Lookup::Flat)
    }

    /// As [`Alone::new`], with one of the forms of the shadow.
    ///
    /// # Errors
    /// As [`Alone::new`].
    pub fn with(code: &[u8], lookup: Lookup) -> Result<Alone, String> {
        Alone::by(code, Config { hot: 0, lookup, ..Config::default() })
    }

    /// As [`Alone::new`], by an engine as it is asked for.
    ///
    /// # Errors
    /// As [`Alone::new`].
    pub fn by(code: &[u8], config: Config) -> Result<Alone, String> {
        let mut mem = Memory::new(RAM).map_err(|e| e.to_string())?;
        mem.load(CODE, code);
        let engine = Jit::with(config).map_err(|e| e.to_string())?;
        let mut alone = Alone { engine, cpu: protected(CODE), mem };
        alone.restart();
        Ok(alone)
    }

    /// Back to the start of the code.
    pub fn restart(&mut self) {
        self.cpu.eip = CODE;
        (0..8).for_each(|n| self.cpu.set_r32(n, DATA + u32::from(n) * 0x1000));
        self.cpu.set_r32(1, 0);
    }

    /// Runs so many instructions; whether they were run.
    pub fn run(&mut self, instructions: u64) -> bool {
        let until = self.cpu.retired + instructions;
        loop {
            match self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat::default(), until) {
                StopReason::Budget => return true,
                StopReason::Leave => {}
                StopReason::Fault(_) => return false,
            }
        }
    }
}

type Written = Result<Vec<u8>, IcedError>;

fn assembled(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Written {
    let mut a = CodeAssembler::new(32)?;
    write(&mut a)?;
    a.assemble(u64::from(CODE))
}

/// A loop around some code.
fn repeated(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Written {
    assembled(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        write(a)?;
        a.jmp(again)
    })
}

/// Instructions of [`plain`].
pub const PLAIN: u64 = 48;

/// Ordinary code: arithmetic, loads, stores, a branch forward now and then.
///
/// # Errors
/// The assembler's.
pub fn plain() -> Written {
    repeated(|a| {
        for n in 0..6u32 {
            let mut over = a.create_label();
            a.mov(eax, dword_ptr(ebx + n * 8))?;
            a.add(eax, edx)?;
            a.mov(dword_ptr(esi + n * 4), eax)?;
            a.cmp(eax, 1000 + n)?;
            a.jb(over)?;
            a.lea(edx, dword_ptr(edx + eax * 2))?;
            a.shr(edx, 3)?;
            a.set_label(&mut over)?;
            if n < 5 {
                a.inc(ecx)?;
            }
        }
        Ok(())
    })
}

/// Two regions, each two instructions, that jump to each other through a register.
///
/// # Errors
/// The assembler's.
pub fn chained() -> Written {
    let jump = |to: u32| {
        assembled(|a| {
            a.mov(eax, to)?;
            a.jmp(eax)
        })
    };
    let mut both = jump(CODE + 128)?;
    both.resize(128, 0x90);
    both.extend(jump(CODE)?);
    Ok(both)
}

/// Accesses in [`loads`] and [`stores`]: one more instruction is the jump.
pub const ACCESSES: u64 = 5;

/// Loads from five pages.
///
/// # Errors
/// The assembler's.
pub fn loads() -> Written {
    repeated(|a| [ebx, edx, ebp, esi, edi].into_iter().try_for_each(|base| a.mov(eax, dword_ptr(base))))
}

/// Stores to five pages.
///
/// # Errors
/// The assembler's.
pub fn stores() -> Written {
    repeated(|a| [ebx, edx, ebp, esi, edi].into_iter().try_for_each(|base| a.mov(dword_ptr(base), eax)))
}

/// A string instruction of no iterations, which a routine outside does; and the jump.
///
/// # Errors
/// The assembler's.
pub fn called_out() -> Written {
    repeated(|a| a.rep().stosb())
}

/// Nothing but the jump.
///
/// # Errors
/// The assembler's.
pub fn empty() -> Written {
    repeated(|_| Ok(()))
}

/// A store beside the code: into its page, not into its bytes; and the jump.
///
/// # Errors
/// The assembler's.
pub fn beside_code() -> Written {
    repeated(|a| a.mov(dword_ptr(CODE + 0x800), eax))
}

/// Instructions of a turn of [`into_code`].
pub const INTO_CODE: u64 = 6;

/// A store into an instruction that has been compiled and runs next, which has it compiled again:
/// [`INTO_CODE`] instructions.
///
/// # Errors
/// The assembler's.
pub fn into_code() -> Written {
    let mut code = assembled(|a| {
        a.mov(edx, CODE + 128)?;
        a.inc(dword_ptr(edx + 1))?;
        a.jmp(edx)
    })?;
    code.resize(128, 0x90);
    code.extend(assembled(|a| {
        a.mov(eax, 0)?;
        a.mov(edx, CODE)?;
        a.jmp(edx)
    })?);
    Ok(code)
}
