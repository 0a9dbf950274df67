//! The engines that the ROMs run on, and the comparison of what they did.

use crate::rig::Outcome;
use cpu::Engine;
use interp::Interpreter;
use jit::{Arithmetic, Config, Jit, Lookup};

/// An engine and what to call it.
pub(crate) struct Made {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Box<dyn Engine + Send>,
}

/// The one to trust.
pub(crate) const REFERENCE: Made = Made { name: "interpreter", make: || Box::new(Interpreter::default()) };

/// The ones that have to do the same: with everything compiled before it runs, with what the
/// interpreter has run three times, so that both kinds of code and the ways between them are met,
/// as on hosts that are other than this, by the quick tier, and by all of them one after the other.
pub(crate) const OTHERS: [Made; 5] = [
    Made { name: "compiled at once", make: || jit(Config { hot: 0, ..Config::default() }) },
    Made { name: "compiled after three runs", make: || jit(Config { hot: 3, ..Config::default() }) },
    Made { name: "compiled at once, as for another host", make: || jit(ELSEWHERE) },
    Made {
        name: "written in one pass at once",
        make: || jit(Config { hot: 0, warm: Some(0), ..Config::default() }),
    },
    Made { name: "in all tiers", make: || jit(Config { hot: 6, warm: Some(2), ..Config::default() }) },
];

/// The other forms of the shadow and of arithmetic.
const ELSEWHERE: Config =
    Config { hot: 0, warm: None, code: 16 << 20, lookup: Lookup::Tagged, arithmetic: Arithmetic::Checked };

fn jit(config: Config) -> Box<dyn Engine + Send> {
    Box::new(Jit::with(config).unwrap())
}

/// Exit, exceptions, time, registers, memory and devices are the same, and so is the number for
/// all of it. The more telling comes first.
pub(crate) fn compare(name: &str, reference: &mut Outcome, other: &mut Outcome) {
    let (ours, theirs) = (listing(reference), listing(other));
    let memory = first_difference(reference, other);
    assert!(
        ours == theirs && memory.is_none(),
        "{name}: memory differs first at {memory:x?}\nit should be {ours}\nand is {theirs}"
    );
    let (ours, theirs) = (reference.machine.devices(), other.machine.devices());
    let devices: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
    assert!(devices.is_empty(), "{name}: other states of {devices:?}");
    assert_eq!(reference.machine.state_hash(), other.machine.state_hash(), "{name}: the state's hash");
}

fn listing(o: &Outcome) -> String {
    let cpu = o.machine.cpu();
    let registers: Vec<_> = cpu.gpr[..8].iter().map(|r| format!("{r:x}")).collect();
    let records: String = o.log.iter().map(|r| format!("\n    {r:x?}")).collect();
    format!(
        "{:?} at {:x}:{:x} after {} instructions; registers {}; flags {:x}; exceptions{records}",
        o.exit,
        cpu.segment(cpu::seg::CS).selector,
        cpu.eip,
        cpu.retired,
        registers.join(" "),
        cpu.flags_image(),
    )
}

/// Address, the reference's byte and the other's.
fn first_difference(reference: &mut Outcome, other: &mut Outcome) -> Option<(u32, u8, u8)> {
    let mut page = [[0u8; 4096]; 2];
    for frame in 0..(8 << 20) / 4096 {
        reference.machine.read_physical(frame * 4096, &mut page[0]);
        other.machine.read_physical(frame * 4096, &mut page[1]);
        if let Some(n) = (0..4096).find(|&n| page[0][n] != page[1][n]) {
            return Some((frame as u32 * 4096 + n as u32, page[0][n], page[1][n]));
        }
    }
    None
}
