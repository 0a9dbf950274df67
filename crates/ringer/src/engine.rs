//! Which engine runs the guest.

use crate::cli::EngineName;
use cpu::Engine;
use interp::Interpreter;
use jit::Jit;

/// The engine of that name; the interpreter, with a word about it, where the host cannot have the JIT.
pub(crate) fn engine(name: EngineName) -> Box<dyn Engine + Send> {
    if name == EngineName::Interpreter {
        return Box::new(Interpreter::default());
    }
    match Jit::with_defaults() {
        Ok(jit) => Box::new(jit),
        Err(why) => {
            eprintln!("ringer: no JIT, the interpreter runs instead: {why}");
            Box::new(Interpreter::default())
        }
    }
}
