//! Signals that end the machine, so that the terminal is restored first.

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default, register_usize};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signals that were caught since.
pub(crate) struct Signals {
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches what would end the process from now on. In a raw terminal Ctrl-C is no signal: it
    /// goes to the guest. A second signal ends the process at once: the first may wait for ever
    /// where a reader of the output stands still.
    pub(crate) fn catch() -> anyhow::Result<Signals> {
        let last = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            let number = usize::try_from(signal).unwrap_or_default();
            register_conditional_default(signal, again.clone())
                .and_then(|_| register(signal, again.clone()))
                .and_then(|_| register_usize(signal, last.clone(), number))
                .context("signals cannot be caught")?;
        }
        Ok(Signals { last })
    }

    /// The exit code that says which signal came, as a shell would: 128 and its number.
    pub(crate) fn caught(&self) -> Option<ExitCode> {
        let number = u8::try_from(self.last.load(Ordering::Relaxed)).unwrap_or_default();
        (number != 0).then(|| ExitCode::from(128 + number))
    }
}
