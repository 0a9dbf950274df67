//! Code for both engines, and the whole state afterwards.

use cpu::{Engine, State, StopReason};
use interp::Interpreter;
use jit::{Arithmetic, Config, Jit};
use mem::Memory;
use testkit::flat::{Flat, protected};

const CODE: u32 = 0x1000;
pub(crate) const DATA: u32 = 0x2000;
const HLT: u8 = 0xf4;

struct Machine<E> {
    engine: E,
    mem: Memory,
}

impl<E: Engine> Machine<E> {
    fn new(engine: E) -> Machine<E> {
        Machine { engine, mem: Memory::new(1 << 20).unwrap() }
    }

    fn load(&mut self, bytes: &[u8]) {
        self.engine.flush();
        let _ = self.mem.take_code_writes();
        let mut code = bytes.to_vec();
        code.push(HLT);
        self.mem.load(CODE, &code);
    }

    /// Runs to the end of the code; the memory then.
    fn run(&mut self, cpu: &mut State, memory: &[u8; 64]) -> (StopReason, [u8; 64]) {
        self.mem.load(DATA, memory);
        let until = cpu.retired + 100;
        let reason = self.engine.run(cpu, &mut self.mem, &mut Flat::default(), until);
        let mut after = [0; 64];
        self.mem.read_physical(u64::from(DATA), &mut after);
        (reason, after)
    }
}

pub(crate) fn blank() -> State {
    let mut cpu = protected(CODE);
    cpu.fpu.occupied = 0xff;
    cpu
}

/// Two states in words, where they differ.
fn differences(a: &State, b: &State) -> String {
    let mut out = String::new();
    let mut note = |name: &str, a: String, b: String| {
        if a != b {
            out += &format!("\n    {name}: interpreted {a}, compiled {b}");
        }
    };
    note("general", format!("{:x?}", &a.gpr[..8]), format!("{:x?}", &b.gpr[..8]));
    note("eip", format!("{:x}", a.eip), format!("{:x}", b.eip));
    note("flags", format!("{:x}", a.flags_image()), format!("{:x}", b.flags_image()));
    note("retired", a.retired.to_string(), b.retired.to_string());
    note("mxcsr", format!("{:x}", a.mxcsr), format!("{:x}", b.mxcsr));
    note("fpu", format!("{:x?}", a.fpu), format!("{:x?}", b.fpu));
    for n in 0..8 {
        note(&format!("xmm{n}"), format!("{:032x}", a.xmm[n]), format!("{:032x}", b.xmm[n]));
    }
    note("activity", format!("{:?}", a.activity), format!("{:?}", b.activity));
    out
}

pub(crate) struct Pair {
    model: Machine<Interpreter>,
    jit: Machine<Jit>,
}

impl Pair {
    pub(crate) fn with(arithmetic: Arithmetic) -> Pair {
        let jit = Jit::with(Config { hot: 0, arithmetic, ..Config::default() }).unwrap();
        Pair { model: Machine::new(Interpreter::default()), jit: Machine::new(jit) }
    }

    pub(crate) fn load(&mut self, bytes: &[u8]) {
        self.model.load(bytes);
        self.jit.load(bytes);
    }

    /// Runs both; whether the code was compiled and ran to its end.
    pub(crate) fn case(&mut self, before: &State, memory: &[u8; 64]) -> Result<bool, String> {
        let (mut a, mut b) = (before.clone(), before.clone());
        let old = self.jit.engine.meter().unwrap();
        let (stop_a, memory_a) = self.model.run(&mut a, memory);
        let (stop_b, memory_b) = self.jit.run(&mut b, memory);
        let new = self.jit.engine.meter().unwrap();
        let mut text = differences(&a, &b);
        if format!("{stop_a:?}") != format!("{stop_b:?}") {
            text += &format!("\n    stop: {stop_a:?}, {stop_b:?}");
        }
        if memory_a != memory_b {
            text += &format!("\n    memory: {memory_a:02x?}\n            {memory_b:02x?}");
        }
        let outside = new.interpreted + new.called - old.interpreted - old.called;
        // HLT is always done outside
        if text.is_empty() { Ok(outside <= 1) } else { Err(text) }
    }
}
