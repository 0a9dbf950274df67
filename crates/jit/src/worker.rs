//! Compilation beside the guest: a thread that turns plans into machine code.
//!
//! A plan is only data, and code is placed and entered by the engine alone. What was written meanwhile
//! the engine knows by itself: a plan's bytes are traced from the moment that it is announced, and a
//! result that is no longer wanted is dropped.

use crate::backend::{Addresses, Backend, Effort};
use crate::plan::Plan;
use crate::region::{self, Options};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What compilation needs besides a plan.
pub(crate) struct Compiler {
    pub(crate) backend: Backend,
    pub(crate) options: Options,
    pub(crate) addresses: Addresses,
}

/// A region that is to be compiled: its plan, the linear address of its head, and the number that it was
/// announced under.
pub(crate) struct Job {
    pub(crate) plan: Plan,
    pub(crate) head: u32,
    pub(crate) serial: u64,
}

/// A job that is done.
pub(crate) struct Made {
    pub(crate) job: Job,
    /// Nothing where the back end refused, which is an error of this crate.
    pub(crate) code: Option<Vec<u8>>,
    pub(crate) nanos: u64,
}

/// CPU time of the calling thread: what compilation costs, however busy the host is.
pub(crate) fn thread_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

impl Compiler {
    pub(crate) fn compile(&mut self, job: Job) -> Made {
        let start = thread_time();
        let made = self.backend.compile_with_routines(region::region_signature(), Effort::None, |b| {
            region::build(&job.plan, &self.options, self.addresses, b)
        });
        debug_assert!(made.is_ok(), "{made:?}");
        Made { job, code: made.ok(), nanos: (thread_time() - start).as_nanos() as u64 }
    }
}

/// The thread, as the engine sees it. It ends when this is dropped.
pub(crate) struct Worker {
    jobs: Sender<Job>,
    made: Receiver<Made>,
    ready: Arc<AtomicUsize>,
}

impl Worker {
    /// Starts the thread; gives the compiler back where the host has none to give.
    pub(crate) fn start(compiler: Box<Compiler>) -> Result<Worker, Box<Compiler>> {
        let (jobs, todo) = channel::<Job>();
        let (done, made) = channel();
        let ready = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ready);
        // it gets the compiler when it runs, so that it is not lost where there is no thread
        let (give, take) = channel::<Box<Compiler>>();
        let thread = std::thread::Builder::new().name("compiler".to_owned()).spawn(move || {
            let Ok(mut compiler) = take.recv() else { return };
            while let Ok(job) = todo.recv() {
                if done.send(compiler.compile(job)).is_err() {
                    return;
                }
                count.fetch_add(1, Ordering::Release);
            }
        });
        if thread.is_err() {
            return Err(compiler);
        }
        give.send(compiler).map_err(|e| e.0)?;
        Ok(Worker { jobs, made, ready })
    }

    /// Hands a job over; the name of its region where the thread has gone.
    pub(crate) fn hand_over(&self, job: Job) -> Result<(), u32> {
        self.jobs.send(job).map_err(|e| e.0.plan.id)
    }

    /// A job that is done, if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Option<Made> {
        if self.ready.load(Ordering::Acquire) == 0 {
            return None;
        }
        let made = self.made.try_recv().ok()?;
        self.ready.fetch_sub(1, Ordering::Relaxed);
        Some(made)
    }
}
