//! Ends a run that does not end by itself: a signal makes `KVM_RUN` come back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A run has at least so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks after the thread that made it.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Odd while something runs.
    count: Arc<AtomicU64>,
}

/// Something runs until this is dropped.
pub(super) struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

impl Watchdog {
    pub(super) fn new() -> Result<Watchdog, String> {
        vmm_sys_util::signal::register_signal_handler(libc::SIGUSR2, nothing).map_err(|e| e.to_string())?;
        // SAFETY: it has no arguments and only tells the thread's number.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        let count = Arc::new(AtomicU64::new(0));
        let weak = Arc::downgrade(&count);
        let builder = std::thread::Builder::new().name("kvm watchdog".to_owned());
        builder.spawn(move || watch(&weak, thread)).map_err(|e| e.to_string())?;
        Ok(Watchdog { count })
    }

    pub(super) fn watch(&self) -> Running {
        self.count.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.count))
    }
}

/// Until nobody is left to look after: what still runs as it did at the last look gets a signal.
fn watch(count: &Weak<AtomicU64>, thread: i64) {
    let mut last = 0;
    while let Some(count) = count.upgrade() {
        let now = count.load(Ordering::SeqCst);
        if now % 2 == 1 && now == last {
            // SAFETY: the process is this one, and the signal has a handler that does nothing; a thread that is no more
            // is an error that says so.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR2) };
        }
        last = now;
        drop(count);
        std::thread::sleep(PATIENCE);
    }
}
