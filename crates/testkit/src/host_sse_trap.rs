//! SSE instructions with unmasked exceptions: what MXCSR shows when #XM arrives.

use crate::host_fpu::{Sse, SseOp};
use std::cell::Cell;
use std::sync::Once;

/// All exceptions of MXCSR masked.
const MASKED: u32 = 0x1f80;
/// Where MXCSR lies in the image that FXSAVE makes (SDM vol. 1, table 10-2).
const MXCSR_OFFSET: usize = 24;

thread_local! {
    static TRAPPED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Notes MXCSR and masks everything, so that the instruction completes when it is run again.
extern "C" fn on_sigfpe(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a context of this type (SA_SIGINFO), whose image of the SSE state
    // is valid, writable and restored when the handler returns.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let mxcsr = context.uc_mcontext.fpregs.byte_add(MXCSR_OFFSET).cast::<u32>();
        if *mxcsr & MASKED == MASKED {
            // Not ours: an integer division, say. Next time it ends the process.
            libc::signal(libc::SIGFPE, libc::SIG_DFL);
            return;
        }
        TRAPPED.set(Some(*mxcsr));
        *mxcsr |= MASKED;
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the action is zero but for the handler and its flags; the handler only touches its
        // context and a thread-local without a destructor.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigfpe as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGFPE, &raw const action, std::ptr::null_mut());
        }
    });
}

impl Sse {
    /// Runs one instruction under any `mxcsr`. Also gives MXCSR as #XM found it, if it came.
    pub fn run_trapping(op: SseOp, mxcsr: u32, a: u64, b: u64) -> (Sse, Option<u32>) {
        install();
        TRAPPED.set(None);
        let done = Sse::execute(op, mxcsr, a, b);
        (done, TRAPPED.take())
    }
}
