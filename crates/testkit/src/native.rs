//! The host CPU at CPL 3 as an oracle for 32-bit user code: a test is entered and left by far
//! jumps between 64-bit and compatibility mode, and its faults are caught as signals.
//!
//! Everything lies below 4 GiB, where nothing else of the process does: one page of stubs, one of
//! test code, two of data, two of stack. Whatever else a test touches faults.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The page with the ways in and out, and the state passed through them.
/// It lies far from the other pages, which tests miss by little.
pub(crate) const STUBS: u32 = 0x5a5a_0000;
const ENTRY: u32 = STUBS;
/// Where a test goes when it is done.
pub(crate) const DONE: u32 = STUBS + 0x100;
const EXIT64: u32 = STUBS + 0x200;
const CONTEXT: u32 = STUBS + 0x2000;
/// The page of test code.
pub const CODE: u32 = 0x20_4000;
/// Bytes of data and of stack, each between absent pages.
pub const AREA: usize = 0x2000;
/// The pages of data.
pub const DATA: u32 = 0x21_0000;
/// The pages of stack.
pub const STACK: u32 = 0x22_0000;

/// General registers in the encoding's order, and EFLAGS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Registers {
    /// EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.
    pub general: [u32; 8],
    /// EFLAGS.
    pub flags: u32,
}

/// How a test faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostFault {
    /// The vector.
    pub vector: u8,
    /// The error code.
    pub code: u32,
    /// The faulting address of a #PF.
    pub address: u32,
    /// EIP.
    pub eip: u32,
}

#[repr(C)]
struct Context {
    rsp: u64,
    padding: u64,
    registers: Registers,
    faulted: u32,
    vector: u32,
    code: u32,
    address: u32,
    eip: u32,
}

const GENERAL: u32 = CONTEXT + 0x10;
const FLAGS: u32 = GENERAL + 0x20;
/// ESP while the way out stores the flags.
const SCRATCH: u32 = CONTEXT + 0x800;

/// The host's memory for tests; there is one.
#[derive(Debug)]
pub struct Native(#[allow(dead_code, reason = "held, not looked at")] MutexGuard<'static, ()>);

fn map(at: u32, len: usize, protection: i32) -> Result<(), String> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a new mapping at an address that the kernel checks to be free.
    let got = unsafe { libc::mmap(at as usize as *mut libc::c_void, len, protection, flags, -1, 0) };
    if got as usize == at as usize { Ok(()) } else { Err(format!("cannot map {len:#x} bytes at {at:#x}")) }
}

fn prepare() -> Result<(), String> {
    let write = libc::PROT_READ | libc::PROT_WRITE;
    for (at, len) in [(STUBS, 0x1000), (CODE, 0x1000)] {
        map(at, len, write | libc::PROT_EXEC)?;
    }
    for (at, len) in [(CONTEXT, 0x1000), (DATA, AREA), (STACK, AREA)] {
        map(at, len, write)?;
    }
    write_stubs();
    for signal in [libc::SIGSEGV, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGBUS] {
        // SAFETY: the action is zero but for the handler, which only touches its context and, for
        // faults in compatibility mode, the page of `Context`.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
    Ok(())
}

/// `op` with an absolute 32-bit address.
fn absolute(out: &mut Vec<u8>, op: &[u8], address: u32) {
    out.extend_from_slice(op);
    out.extend_from_slice(&address.to_le_bytes());
}

fn write_stubs() {
    let mut entry = Vec::new();
    absolute(&mut entry, &[0xbc], FLAGS); // mov esp, flags
    entry.push(0x9d); // popfd
    for n in 0..8u8 {
        absolute(&mut entry, &[0x8b, 0x05 | n << 3], GENERAL + 4 * u32::from(n)); // mov r, [..]
    }
    let next = ENTRY + entry.len() as u32 + 5;
    absolute(&mut entry, &[0xe9], CODE.wrapping_sub(next)); // jmp
    let mut done = Vec::new();
    for n in 0..8u8 {
        absolute(&mut done, &[0x89, 0x05 | n << 3], GENERAL + 4 * u32::from(n)); // mov [..], r
    }
    absolute(&mut done, &[0xbc], SCRATCH); // mov esp, scratch
    done.push(0x9c); // pushfd
    absolute(&mut done, &[0x8f, 0x05], FLAGS); // pop [flags]
    absolute(&mut done, &[0xea], EXIT64); // jmp 33h:exit
    done.extend_from_slice(&[0x33, 0]);
    let mut exit = Vec::new();
    absolute(&mut exit, &[0x48, 0x8b, 0x24, 0x25], CONTEXT); // mov rsp, [context]
    exit.push(0xc3); // ret
    for (at, bytes) in [(ENTRY, entry), (DONE, done), (EXIT64, exit)] {
        poke(at, &bytes);
    }
}

/// Writes into one of the areas; the callers' ranges are constants or checked.
fn poke(at: u32, bytes: &[u8]) {
    // SAFETY: the areas are mapped writable (`prepare` ran before) and no reference to them exists.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as usize as *mut u8, bytes.len()) }
}

/// Enters compatibility mode at [`ENTRY`]; comes back through [`EXIT64`].
#[unsafe(naked)]
unsafe extern "C" fn enter(context: *mut Context) {
    core::arch::naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "lea rax, [rip + 2f]",
        "push rax",
        "mov [rdi], rsp",
        "mov ecx, 0x2b",
        "mov ds, ecx",
        "mov es, ecx",
        "mov eax, {entry}",
        "push 0x23",
        "push rax",
        "retfq",
        "2:",
        "cld",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        entry = const ENTRY,
    )
}

/// Notes the fault and the registers, and goes on at [`EXIT64`].
extern "C" fn on_fault(number: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    use libc::*;
    // SAFETY: the kernel passes a valid, writable context of this type (SA_SIGINFO); the page at
    // CONTEXT is mapped, and the test that would use it has stopped.
    unsafe {
        let r = &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs;
        if r[REG_CSGSFS as usize] & 0xffff != 0x23 {
            // not a test's: let it happen again and end the process
            signal(number, SIG_DFL);
            return;
        }
        let c = &mut *(CONTEXT as usize as *mut Context);
        let order = [REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI];
        for (to, from) in c.registers.general.iter_mut().zip(order) {
            *to = r[from as usize] as u32;
        }
        c.registers.flags = r[REG_EFL as usize] as u32;
        c.faulted = 1;
        c.vector = r[REG_TRAPNO as usize] as u32;
        c.code = r[REG_ERR as usize] as u32;
        c.address = r[REG_CR2 as usize] as u32;
        c.eip = r[REG_RIP as usize] as u32;
        r[REG_RIP as usize] = i64::from(EXIT64);
        r[REG_CSGSFS as usize] = r[REG_CSGSFS as usize] & !0xffff | 0x33;
        r[REG_EFL as usize] &= !0x400;
    }
}

/// A stack for the handler, which must not run on a test's.
fn alternate_stack() {
    thread_local! {
        static STACK: Box<[u8]> = Box::leak(vec![0u8; 1 << 16].into_boxed_slice()).to_vec().into_boxed_slice();
    }
    STACK.with(|s| {
        let stack = libc::stack_t { ss_sp: s.as_ptr() as *mut libc::c_void, ss_flags: 0, ss_size: s.len() };
        // SAFETY: the memory lives as long as the thread.
        unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    });
}

impl Native {
    /// The host, if it lets 32-bit code run; waits for whoever has it, since its addresses are fixed.
    ///
    /// # Errors
    /// The addresses are taken.
    pub fn new() -> Result<Native, String> {
        static READY: OnceLock<Result<(), String>> = OnceLock::new();
        static IN_USE: Mutex<()> = Mutex::new(());
        READY.get_or_init(prepare).clone()?;
        alternate_stack();
        // whoever panicked had no state that the next one does not set
        Ok(Native(IN_USE.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Puts code at [`CODE`], a jump to [`DONE`] behind it.
    pub fn set_code(&mut self, code: &[u8]) {
        assert!(code.len() < 0xf00, "the code does not fit its page");
        poke(CODE, code);
        let next = CODE + code.len() as u32 + 5;
        let mut jump = vec![0xe9];
        jump.extend_from_slice(&DONE.wrapping_sub(next).to_le_bytes());
        poke(next - 5, &jump);
    }

    /// Sets the data and the stack.
    pub fn set_areas(&mut self, data: &[u8; AREA], stack: &[u8; AREA]) {
        poke(DATA, data);
        poke(STACK, stack);
    }

    /// Copies the data and the stack out.
    pub fn areas(&self, data: &mut [u8; AREA], stack: &mut [u8; AREA]) {
        // SAFETY: both areas are mapped, AREA bytes each, and nothing runs in them now.
        unsafe {
            std::ptr::copy_nonoverlapping(DATA as usize as *const u8, data.as_mut_ptr(), AREA);
            std::ptr::copy_nonoverlapping(STACK as usize as *const u8, stack.as_mut_ptr(), AREA);
        }
    }

    /// Runs the code with these registers.
    pub fn run(&mut self, registers: &Registers) -> (Registers, Option<HostFault>) {
        let context = CONTEXT as usize as *mut Context;
        // SAFETY: `Context` is plain data in a mapped page. The stubs keep to the calling
        // convention: callee-saved registers and RSP are restored, DF is clear. Test code is
        // 32-bit and reaches only the areas below 4 GiB; its faults end it (`on_fault`).
        unsafe {
            (*context).registers = *registers;
            (*context).faulted = 0;
            enter(context);
            let c = &*context;
            let fault = HostFault { vector: c.vector as u8, code: c.code, address: c.address, eip: c.eip };
            (c.registers, (c.faulted != 0).then_some(fault))
        }
    }
}
