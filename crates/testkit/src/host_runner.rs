//! Runs one instruction, given as bytes, on the host: loads x87, MMX, SSE and general registers from a
//! frame, executes, and stores them back. The legacy encodings of 32-bit code mean the same in 64-bit
//! mode as long as addresses fit their registers.

use std::cell::Cell;
use std::sync::Once;

/// Bytes of memory that instructions may address.
pub const MEMORY: usize = 64;

/// Everything that goes in and comes out.
#[repr(C, align(64))]
#[derive(Clone)]
pub struct Frame {
    /// The image of FXSAVE in 64-bit mode (SDM vol. 1, table 10-2).
    pub fx: [u8; 512],
    /// RAX, RCX, RDX, RBX, RSI, RDI.
    pub gpr: [u64; 6],
    /// EFLAGS.
    pub flags: u64,
    mxcsr: u32,
    /// An exception (#XM) ended the instruction.
    pub trapped: bool,
    pad: [u8; 3],
    /// Memory operands, aligned to 64 bytes.
    pub memory: [u8; MEMORY],
}

const _: () = assert!(core::mem::offset_of!(Frame, gpr) == 0x200);
const _: () = assert!(core::mem::offset_of!(Frame, flags) == 0x230);
const _: () = assert!(core::mem::offset_of!(Frame, mxcsr) == 0x238);
const _: () = assert!(core::mem::offset_of!(Frame, memory) == 0x240);

impl Default for Frame {
    fn default() -> Frame {
        Frame {
            fx: [0; 512],
            gpr: [0; 6],
            flags: 2,
            mxcsr: 0x1f80,
            trapped: false,
            pad: [0; 3],
            memory: [0; MEMORY],
        }
    }
}

/// push rbx, rbp, r15; mov r15, rdi; fxrstor [r15]; load RAX to RDI and the flags.
#[rustfmt::skip]
const BEFORE: &[u8] = &[
    0x53, 0x55, 0x41, 0x57, 0x49, 0x89, 0xff, 0x41, 0x0f, 0xae, 0x0f,
    0x41, 0xff, 0xb7, 0x30, 0x02, 0, 0, 0x9d,
    0x49, 0x8b, 0x87, 0x00, 0x02, 0, 0, 0x49, 0x8b, 0x8f, 0x08, 0x02, 0, 0,
    0x49, 0x8b, 0x97, 0x10, 0x02, 0, 0, 0x49, 0x8b, 0x9f, 0x18, 0x02, 0, 0,
    0x49, 0x8b, 0xb7, 0x20, 0x02, 0, 0, 0x49, 0x8b, 0xbf, 0x28, 0x02, 0, 0,
];

/// The reverse; FNINIT and the default MXCSR for the caller.
#[rustfmt::skip]
const AFTER: &[u8] = &[
    0x9c, 0x41, 0x8f, 0x87, 0x30, 0x02, 0, 0,
    0x49, 0x89, 0x87, 0x00, 0x02, 0, 0, 0x49, 0x89, 0x8f, 0x08, 0x02, 0, 0,
    0x49, 0x89, 0x97, 0x10, 0x02, 0, 0, 0x49, 0x89, 0x9f, 0x18, 0x02, 0, 0,
    0x49, 0x89, 0xb7, 0x20, 0x02, 0, 0, 0x49, 0x89, 0xbf, 0x28, 0x02, 0, 0,
    0x41, 0x0f, 0xae, 0x07, 0xdb, 0xe3, 0x41, 0x0f, 0xae, 0x97, 0x38, 0x02, 0, 0,
    0x41, 0x5f, 0x5d, 0x5b, 0xc3,
];

const PAGE: usize = 4096;

thread_local! {
    /// Start of the running page, where to go on after an exception, and whether there was one.
    static RUNNING: Cell<(usize, usize, bool)> = const { Cell::new((0, 0, false)) };
}

/// Ends the instruction under test; any other SIGFPE ends the process.
extern "C" fn on_sigfpe(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let (page, next, _) = RUNNING.get();
    // SAFETY: the kernel passes a context of this type (SA_SIGINFO), valid and writable; changing RIP
    // within our page goes on behind the instruction, which has changed nothing but MXCSR.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let rip = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        if (*rip as usize).wrapping_sub(page) >= PAGE {
            libc::signal(libc::SIGFPE, libc::SIG_DFL);
            return;
        }
        *rip = next as i64;
        RUNNING.set((page, next, true));
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the action is zero but for handler and flags; the handler only touches its context and
        // a thread-local without a destructor.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigfpe as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGFPE, &raw const action, std::ptr::null_mut());
        }
    });
}

/// An executable page with one instruction in it.
pub struct Runner {
    page: *mut u8,
    next: usize,
}

impl Runner {
    /// A page for `instruction`. It must be one of x87, MMX or SSE whose memory operand, if it has one, lies
    /// inside [`Frame::memory`] whenever [`Runner::run`] is called.
    ///
    /// # Panics
    /// If the host gives no memory.
    pub fn new(instruction: &[u8]) -> Runner {
        install();
        let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // SAFETY: an anonymous private mapping anywhere.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), PAGE, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        assert!(page != libc::MAP_FAILED, "no executable page");
        let page = page.cast::<u8>();
        let code = [BEFORE, instruction, AFTER].concat();
        // SAFETY: the page is ours, larger than the code, and nothing else knows it.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), page, code.len()) };
        Runner { page, next: page as usize + BEFORE.len() + instruction.len() }
    }

    /// Executes the instruction on a frame.
    pub fn run(&self, frame: &mut Frame) {
        RUNNING.set((self.page as usize, self.next, false));
        // SAFETY: the page holds a function of this type: it saves the registers that its caller owns, leaves
        // x87 and MXCSR as a caller expects them, and writes to the frame alone (see `new`). FXRSTOR does not
        // fault as long as the reserved bits of MXCSR are clear.
        unsafe {
            let code: extern "sysv64" fn(*mut Frame) = std::mem::transmute(self.page);
            code(frame);
        }
        frame.trapped = RUNNING.get().2;
        RUNNING.set((0, 0, false));
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nobody runs in it.
        unsafe { libc::munmap(self.page.cast(), PAGE) };
    }
}
