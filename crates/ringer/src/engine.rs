//! Which engine runs the guest.

use crate::cli::{EngineName, Run};
use crate::perf_map;
use anyhow::Context;
use cpu::Engine;
use interp::Interpreter;
use jit::Jit;
use std::fs::File;

/// An engine on its own thread or another.
pub(crate) type Boxed = Box<dyn Engine + Send>;

/// The engine that the options name.
pub(crate) fn engine(run: &Run) -> anyhow::Result<Boxed> {
    made(run, perf_map::create)
}

/// Another, after [`engine`], for a machine that is loaded into the same process.
pub(crate) fn another(run: &Run) -> anyhow::Result<Boxed> {
    made(run, perf_map::reopen)
}

fn made(run: &Run, file: fn() -> std::io::Result<File>) -> anyhow::Result<Boxed> {
    if run.engine == EngineName::Interpreter {
        return Ok(Box::new(Interpreter::default()));
    }
    let Some(mut jit) = jit_if_possible() else { return Ok(Box::new(Interpreter::default())) };
    if run.perf_map {
        let file = file().with_context(|| format!("the map for perf {}", perf_map::path().display()))?;
        jit.map_code(perf_map::sink(file));
    }
    Ok(Box::new(jit))
}

/// The JIT, or the interpreter where the host cannot have it.
pub(crate) fn best() -> Boxed {
    match jit_if_possible() {
        Some(jit) => Box::new(jit),
        None => Box::new(Interpreter::default()),
    }
}

/// The JIT; nothing, with a word about it, where the host cannot have it.
fn jit_if_possible() -> Option<Jit> {
    let jit = Jit::with_defaults();
    if let Err(why) = &jit {
        eprintln!("ringer: no JIT, the interpreter runs instead: {why}");
    }
    jit.ok()
}
