//! What VM/370 did for guests that know of it, or that get more of the machine than others: handshaking, and virtual =
//! real (Creasy, "The Origin of the VM/370 Time-Sharing System", IBM J. Res. Dev. 25(5), 1981; IBM's VM/370 System
//! Programmer's Guide). Its DIAGNOSE, a privileged instruction that no real machine gives a meaning, is here an address
//! in instructions that take none.

use super::other;
use super::programs::{SIZE, system};
use crate::coded::run;
use crate::monitor::{Discipline, Interpreters, Monitor, Virtual};
use crate::third::{Cause, Instruction, Isa, Machine, Op, Real, Variant, Word, assemble};
use std::io::{self, Write};

/// Steps that no program here needs.
const ENOUGH: u64 = 1 << 20;
/// The address by which a guest speaks to its monitor.
const DIAGNOSE: Word = 77;
/// What RMODE answers to it; no machine has a mode 2.
const A_MONITOR: Word = 2;
/// Words of a line.
const LINE: Word = 8;

/// A supervisor that writes lines to the console, and asks first who is there.
const WRITER: &str = "
            .word 0
            .psw s stop 0 96
            JMP start
two:        .word 2
one:        .word 1
left:       .word lines
a:          .word 11
b:          .word 12
c:          .word 13
d:          .word 14
e:          .word 15
f:          .word 16
g:          .word 17
h:          .word 18
start:      .word ask               ; RMODE with an address: A is 0 on a machine, 2 of a monitor
            SUB two
            BZ together
alone:      LD a
            OUT
            LD b
            OUT
            LD c
            OUT
            LD d
            OUT
            LD e
            OUT
            LD f
            OUT
            LD g
            OUT
            LD h
            OUT
            LD left
            SUB one
            ST left
            BNZ alone
stop:       HALT
together:   LI a
            .word write             ; OUT with an address: a line at once
            LD left
            SUB one
            ST left
            BNZ together
            HALT
";

fn writer(lines: Word) -> io::Result<Real> {
    let [ask, write] = [Op::Rmode, Op::Out].map(|op| Instruction::new(op, DIAGNOSE).encode());
    let words = [("lines", lines), ("ask", ask), ("write", write)];
    let program = assemble(WRITER, &words).map_err(other)?;
    let mut machine = Real::new(Isa::full(Variant::Virtualizable), SIZE);
    machine.store.memory.iter_mut().zip(&program.words).for_each(|(to, word)| *to = *word);
    Ok(machine)
}

fn advance(v: &mut Virtual<'_>) {
    v.processor.psw.p = v.format.address(v.processor.psw.p + 1);
}

/// RMODE by a monitor that shakes hands.
fn who(v: &mut Virtual<'_>, a: Word) -> Result<(), Cause> {
    if a != DIAGNOSE {
        return Interpreters::default().of(Op::Rmode)(v, a);
    }
    v.processor.acc = A_MONITOR;
    advance(v);
    Ok(())
}

/// OUT likewise: a line from the address in A on.
fn line(v: &mut Virtual<'_>, a: Word) -> Result<(), Cause> {
    if a != DIAGNOSE {
        return Interpreters::default().of(Op::Out)(v, a);
    }
    let from = v.processor.acc;
    let words = (0..LINE).map(|n| v.operand(from.wrapping_add(n))).collect::<Result<Vec<Word>, Cause>>()?;
    v.console.extend(words);
    advance(v);
    Ok(())
}

/// `handshake`.
pub(super) fn handshake(out: &mut dyn Write) -> io::Result<()> {
    let start = writer(20)?;
    let mut bare = start.clone();
    run(&mut bare, ENOUGH);
    writeln!(out, "One system, not changed from run to run: it asks who is there, and writes 20 lines.\n")?;
    writeln!(out, "{:40} {:>6} {:>12}  words written", "", "steps", "interpreted")?;
    let row = |out: &mut dyn Write, name: &str, steps: u64, interpreted: u64, console: &[Word]| {
        let same = if console == bare.store.console { "the same" } else { "OTHERS" };
        writeln!(out, "{name:40} {steps:>6} {interpreted:>12}  {}, {same}", console.len())
    };
    row(out, "the bare machine", bare.processor.steps, 0, &bare.store.console)?;
    let mut counts = Vec::new();
    for (name, shakes) in
        [("a monitor that keeps to the machine", false), ("a monitor that shakes hands", true)]
    {
        let mut monitor = Monitor::new(Real::new(start.isa(), SIZE + 8), Discipline::Trapping);
        monitor.add(SIZE).map_err(other)?;
        monitor.load(&start.store.memory, &start.processor);
        if shakes {
            monitor.interpreters.set(Op::Rmode, who);
            monitor.interpreters.set(Op::Out, line);
        }
        run(&mut monitor, ENOUGH);
        let guest = monitor.guest();
        row(out, name, guest.processor.steps, guest.counts.interpreted, &guest.console)?;
        counts.push(guest.counts.interpreted);
    }
    let times = counts[0] as f64 / counts[1].max(1) as f64;
    writeln!(
        out,
        "\nThe monitor is called {times:.1} times less. A paravirtual system runs on its monitor alone; this one runs"
    )?;
    writeln!(
        out,
        "everywhere, and on a monitor that answers it can tell: it gave up the equivalence by asking. OS/VS1 under"
    )?;
    writeln!(
        out,
        "VM/370 left paging to it as well, was told when a page was missed so that another task could run, and"
    )?;
    writeln!(out, "closed its spool files by DIAGNOSE.")
}

/// Where a guest keeps four words that its channel is to read.
const RECORD: Word = 56;
const RECORD_LEN: Word = 4;

/// A channel: it reads the words that a list names, in the real memory, and asks nobody.
fn channel(memory: &[Word], list: &[Word]) -> Vec<Option<Word>> {
    list.iter().map(|at| memory.get(*at as usize).copied()).collect()
}

/// `virtual-real`.
pub(super) fn virtual_real(out: &mut dyn Write) -> io::Result<()> {
    let os = system(Variant::Virtualizable, 10, 5).map_err(other)?;
    let mut alone = os.clone();
    run(&mut alone, ENOUGH);
    // the supervisors are interpreted: the machine's first words are the monitor's while a guest runs on it
    let mut monitor = Monitor::new(Real::new(os.isa(), 2 * SIZE + 8), Discipline::Hybrid);
    monitor.add_real(SIZE).map_err(other)?;
    monitor.add(SIZE).map_err(other)?;
    let names = ["virtual = real", "an ordinary guest"];
    for n in 0..names.len() {
        monitor.choose(n);
        monitor.load(&os.store.memory, &os.processor);
        let record = &mut monitor.memory_mut()[RECORD as usize..][..RECORD_LEN as usize];
        (1..).zip(record).for_each(|(word, to)| *to = 100 * (n as Word + 1) + word);
    }
    monitor.round_robin(ENOUGH);
    writeln!(out, "Two guests run the same system; then each has a channel read four words at {RECORD}.\n")?;
    let list: Vec<Word> = (RECORD..RECORD + RECORD_LEN).collect();
    for (n, name) in names.iter().enumerate() {
        let region = monitor.guests()[n].region;
        let same = monitor.guests()[n].console == alone.store.console;
        writeln!(
            out,
            "{name}, at {} in the machine; its console is {} on the bare machine",
            region.base,
            if same { "the same as" } else { "ANOTHER THAN" }
        )?;
        let memory = monitor.host().memory();
        let own = channel(&memory[region.range()], &list);
        let moved: Vec<Word> = list.iter().map(|at| at + region.base as Word).collect();
        let changed = list.iter().zip(&moved).filter(|(a, b)| a != b).count();
        for (what, list, words) in [("as it wrote it", &list, 0), ("translated", &moved, changed)] {
            let read = channel(memory, list);
            let whose = if read == own { "its own" } else { "NOT ITS OWN" };
            writeln!(out, "    list {what:14}  {words} words of it changed, read {}: {whose}", shown(&read))?;
        }
    }
    let beyond = monitor.guests()[1].region.base as Word + RECORD;
    let read = channel(monitor.host().memory(), &[beyond]);
    let other = channel(&monitor.host().memory()[monitor.guests()[1].region.range()], &[RECORD]);
    writeln!(
        out,
        "\nA list of the first guest's that names {beyond}, which is beyond its end, reads {}: {} word.",
        shown(&read),
        if read == other { "the other's" } else { "no other's" }
    )?;
    writeln!(
        out,
        "Where addresses are real a list need not be looked at, and is not: such a guest has to be trusted, it is the"
    )?;
    writeln!(
        out,
        "only one, and its memory is never another's. VM/370 kept its page 0 elsewhere; here the first two words are."
    )
}

fn shown(words: &[Option<Word>]) -> String {
    let words: Vec<String> =
        words.iter().map(|w| w.map_or("nothing".to_owned(), |w| w.to_string())).collect();
    words.join(" ")
}
