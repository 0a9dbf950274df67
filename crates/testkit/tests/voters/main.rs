//! QEMU and Bochs as voters on the classes: both run every 32-bit form that Ringer executes once at CPL 3, by the same
//! ROM, and so does Ringer itself. Who traps where the class says otherwise has an entry in the ledger. XED's data say
//! what is ring 0's, and are held against the specification likewise.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod rom;

use classify::ledger::{Disagreement, Voter, rulings, unexplained};
use classify::xed::Xed;
use classify::{Class, CodeMode, Configuration, Form, derive, forms};
use cpu::{CpuModel, vector as v};
use isa::Routine as R;
use isa::spec::Specs;
use libtest_mimic::{Arguments, Failed, Trial};
use machine::{Config, Exit, Image, Machine};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Forms a ROM: Bochs' loader takes no more than 64 KiB here.
const BATCH: usize = 1500;

fn main() {
    let arguments = Arguments::from_args();
    let ringer = Trial::test("ringer", || vote("ringer", None, run_ringer));
    let peers = [
        ("qemu", "qemu-system-i386", Voter::Qemu, run_qemu as fn(&Path) -> Vec<u8>),
        ("bochs", "bochs", Voter::Bochs, run_bochs),
    ];
    let peers = peers.map(|(name, program, voter, run)| {
        let absent = !installed(program);
        if absent {
            eprintln!("SKIPPED: {program} absent");
        }
        Trial::test(name, move || vote(name, Some(voter), run)).with_ignored_flag(absent)
    });
    let data = xed_data();
    if data.is_none() {
        eprintln!("SKIPPED: XED's data absent: RINGER_XED may say where they are");
    }
    let xed = Trial::test("xed", || xed(xed_data())).with_ignored_flag(data.is_none());
    libtest_mimic::run(&arguments, [ringer, xed].into_iter().chain(peers).collect()).exit();
}

/// The directory of XED's data files: RINGER_XED, or where .ci/run puts them.
fn xed_data() -> Option<PathBuf> {
    let said = std::env::var_os("RINGER_XED").map(PathBuf::from);
    let cache = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/ringer-xed"));
    said.or(cache).filter(|directory| directory.join("xed-isa.txt").is_file())
}

/// XED marks instructions of ring 0: those, and no others, are privileged.
fn xed(data: Option<PathBuf>) -> Result<(), Failed> {
    let xed = Xed::read(&data.ok_or("no data")?)?;
    let specs = Specs::embedded();
    let (mut found, mut asked) = (Vec::new(), 0);
    for isa in ["ia32", "x86-64"] {
        let (differences, pairs) = xed.against(&specs.isa(isa)?);
        found.extend(differences);
        asked += pairs;
    }
    println!("xed: {} instructions, {asked} pairs, {} disagreements", xed.len(), found.len());
    let rulings = rulings()?;
    let (open, idle) = unexplained(&found, &rulings, Voter::Xed);
    // another release may mark others
    println!("xed: {} of the ledger's rulings are of other releases", idle.len());
    let enough = xed.len() > 1500 && asked > 8000;
    if open.is_empty() && enough { Ok(()) } else { Err(format!("{asked} pairs, {open:#?}").into()) }
}

fn installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|d: PathBuf| d.join(program).is_file())
}

/// What is asked: all forms but those whose end says nothing.
fn asked() -> Vec<Form> {
    let mut all = forms::all(CodeMode::Bits32, CpuModel::N270);
    all.retain(|f| f.routine != Some(R::Int));
    all
}

fn vote(name: &str, voter: Option<Voter>, run: fn(&Path) -> Vec<u8>) -> Result<(), Failed> {
    let forms = asked();
    let directory = tempfile::tempdir()?;
    let mut ends = Vec::new();
    for batch in forms.chunks(BATCH) {
        let bytes: Vec<Vec<u8>> = batch.iter().map(|f| f.bytes.clone()).collect();
        let file = directory.path().join("vote.bin");
        std::fs::write(&file, rom::build(&bytes)?)?;
        let said = run(&file);
        let vectors = vectors(&said);
        if vectors.len() != batch.len() {
            let next = batch.get(vectors.len()).map(|f| f.bytes.clone());
            let why =
                format!("{name} came to {} of {} instructions, {next:02x?}", vectors.len(), batch.len());
            return Err(why.into());
        }
        ends.extend(vectors);
    }
    let found: Vec<Disagreement> =
        forms.iter().zip(ends).filter_map(|(f, end)| disagreement(f, end, voter)).collect();
    println!("{name}: {} forms, {} disagreements", forms.len(), found.len());
    let Some(voter) = voter else {
        return if found.is_empty() { Ok(()) } else { Err(format!("{found:#?}").into()) };
    };
    let rulings = rulings()?;
    let (open, idle) = unexplained(&found, &rulings, voter);
    // another release may have other faults
    println!("{name}: {} of the ledger's rulings are of other releases", idle.len());
    if open.is_empty() { Ok(()) } else { Err(format!("{open:#?}").into()) }
}

/// The ROM has said all.
fn ended(said: &[u8]) -> bool {
    said.iter().skip_while(|b| **b != rom::BEGIN).any(|b| *b == rom::END)
}

/// Pairs of digits from the beginning to the end.
fn vectors(said: &[u8]) -> Vec<u8> {
    let begin = said.iter().position(|b| *b == rom::BEGIN).unwrap_or(said.len());
    let digits: Vec<u8> =
        said[begin..].iter().copied().take_while(|b| *b != rom::END).filter(u8::is_ascii_hexdigit).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok();
    digits.chunks_exact(2).filter_map(pair).collect()
}

fn disagreement(form: &Form, end: u8, voter: Option<Voter>) -> Option<Disagreement> {
    let class = derive(form, Configuration::default()).class;
    if agrees(form, class, end) {
        return None;
    }
    let says = match end {
        rom::COMPLETED => "completes".to_owned(),
        vector => format!("traps with vector {vector}"),
    };
    Some(Disagreement {
        voter: voter.unwrap_or(Voter::Derivation),
        code: form.code(),
        mode: 32,
        configuration: String::new(),
        says,
        specified: class.to_string(),
    })
}

fn agrees(form: &Form, class: Class, end: u8) -> bool {
    // memory and arithmetic traps, and selectors that name what the instruction does not take
    let aside = matches!(end, v::DE | v::BR | v::PF | v::AC | v::MF | v::XM);
    let far = matches!(form.routine, Some(R::CallFar | R::JmpFar | R::RetFar | R::Iret | R::Sysenter));
    let stack = matches!(form.routine, Some(R::MovToSreg | R::PopSreg)) && form.insn.reg[0] == isa::seg::SS;
    let own = matches!(form.routine, Some(R::Int1 | R::Int3 | R::Into | R::Ud));
    let absent = end == v::UD && classify::catalogue::beyond_the_model(form.code());
    // a value that has reserved bits
    let value = matches!(form.routine, Some(R::Fxrstor)) || form.code().mnemonic() == isa::Mnemonic::Ldmxcsr;
    match end {
        rom::COMPLETED => !class.privileged,
        _ if aside || far || stack || value || own || absent => true,
        v::GP | v::UD => class.privileged,
        _ => false,
    }
}

fn run_ringer(file: &Path) -> Vec<u8> {
    let config = Config { memory: 16 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::new(interp::Interpreter::default())).unwrap();
    machine.boot(&Image::Rom(std::fs::read(file).unwrap())).unwrap();
    let mut said = Vec::new();
    while !ended(&said) {
        let exit = machine.run(100_000_000);
        machine.board().debug_output(&mut said);
        if exit != Exit::Slice {
            break;
        }
    }
    said
}

/// Reads what a program prints until the ROM has ended, and ends the program.
fn listen(mut command: Command) -> Vec<u8> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = out.read(&mut buffer) {
            if send.send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let (until, mut said) = (Instant::now() + PATIENCE, Vec::new());
    while let Ok(bytes) = receive.recv_timeout(until.saturating_duration_since(Instant::now())) {
        said.extend(bytes);
        if ended(&said) {
            break;
        }
    }
    drop(receive);
    // it may have ended by itself
    let _ = child.kill();
    let _ = child.wait();
    let _ = reader.join();
    said
}

fn run_qemu(file: &Path) -> Vec<u8> {
    let mut command = Command::new("qemu-system-i386");
    command.args([
        "-cpu",
        "n270",
        "-m",
        "16",
        "-display",
        "none",
        "-nodefaults",
        "-no-reboot",
        "-debugcon",
        "stdio",
    ]);
    command.arg("-bios").arg(file);
    listen(command)
}

/// Debian's has a debugger, which is told to go on, and a display that needs neither terminal nor window.
fn run_bochs(file: &Path) -> Vec<u8> {
    let directory = file.parent().unwrap();
    let text = format!(
        "romimage: file={}, address=0xffff0000\nvgaromimage: file={}\nmegs: 32\n\
         cpu: model=atom_n270, reset_on_triple_fault=0\nport_e9_hack: enabled=1\n\
         display_library: rfb, options=\"timeout=0\"\nsound: waveoutdrv=dummy\nlog: /dev/null\npanic: action=fatal\n",
        file.display(),
        directory.join("vga.bin").display()
    );
    std::fs::write(directory.join("vga.bin"), vec![0; 0x8000]).unwrap();
    std::fs::write(directory.join("bochsrc"), text).unwrap();
    std::fs::write(directory.join("commands"), "c\n").unwrap();
    let mut command = Command::new("bochs");
    command.args(["-q", "-f", "bochsrc", "-rc", "commands"]).current_dir(directory);
    listen(command)
}
