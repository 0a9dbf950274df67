//! Single-step vectors captured from an Intel 8086 and a Harris 80C286.

use cpu::{CpuModel, Engine, Segment, State, eflags, reg, seg};
use flate2::read::GzDecoder;
use mem::Memory;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use vmm::{Board, Outcome, Vmm};

/// Real mode reaches FFFF:FFFF, 64 KiB less 16 bytes above one megabyte.
const RAM: u64 = 0x11_0000;
/// More instructions than any vector runs, a REP iteration counted as one.
const MOST: u64 = 0x2_0000;
/// More exits to the dispatcher than any vector has.
const MOST_TURNS: u32 = 1000;

/// One vector: a line of a file.
#[derive(Deserialize, Debug)]
pub struct Vector {
    idx: u32,
    name: String,
    bytes: String,
    initial: Snapshot,
    #[serde(rename = "final")]
    after: Snapshot,
    exception: Option<Exception>,
}

/// Registers (in a final state only those that change) and memory.
#[derive(Deserialize, Debug)]
struct Snapshot {
    regs: BTreeMap<String, u16>,
    ram: Vec<(u32, u8)>,
}

/// The exception that the instruction raised.
#[derive(Deserialize, Debug)]
struct Exception {
    number: u8,
}

/// What became of one file.
#[derive(Debug, Default)]
pub struct Tally {
    /// Vectors run.
    pub run: usize,
    /// A description of each that differs.
    pub failures: Vec<String>,
}

/// Where the vectors are, if anywhere.
pub fn directory() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("RINGER_VECTORS") {
        return Some(PathBuf::from(named));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    beside.is_dir().then_some(beside)
}

/// The forms in a directory, by name, with their files.
pub fn forms(directory: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.strip_suffix(".jsonl.gz")?.to_owned(), entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Names of the general registers, by number.
const GENERAL: [(&str, u8); 8] = [
    ("ax", reg::AX),
    ("cx", reg::CX),
    ("dx", reg::DX),
    ("bx", reg::BX),
    ("sp", reg::SP),
    ("bp", reg::BP),
    ("si", reg::SI),
    ("di", reg::DI),
];
/// Names of the segment registers.
const SEGMENTS: [(&str, u8); 4] = [("es", seg::ES), ("cs", seg::CS), ("ss", seg::SS), ("ds", seg::DS)];
/// Flags that a form leaves undefined and for which no rule of the chip's is known: they are not
/// compared, nor is the image of them that a divide error pushes.
const UNKNOWN: [(CpuModel, &str, u32); 6] = [
    // the 80286 shows some intermediate step of its division, which is nowhere described
    (CpuModel::I286, "F6.6", eflags::ARITHMETIC),
    (CpuModel::I286, "F6.7", eflags::ARITHMETIC),
    (CpuModel::I286, "F7.6", eflags::ARITHMETIC),
    (CpuModel::I286, "F7.7", eflags::ARITHMETIC),
    // AAM divides too; its flags are known unless the base is 0
    (CpuModel::I286, "D4", eflags::ARITHMETIC),
    // OF comes from inside of AAD's multiplication, not from the addition behind it
    (CpuModel::I286, "D5", eflags::OF),
];

/// Forms that the chips were asked without what Ringer's machine has.
const OUT_OF_PLACE: [(CpuModel, &str, &str); 1] =
    [(CpuModel::I8086, "D8 D9 DA DB DC DD DE DF", "captured without a coprocessor, so that ESC did nothing")];

/// Why a form is not run, if it is not.
pub fn out_of_place(model: CpuModel, form: &str) -> Option<&'static str> {
    let names = |list: &str| list.split(' ').any(|f| f == form);
    OUT_OF_PLACE.iter().find(|(m, list, _)| *m == model && names(list)).map(|&(_, _, why)| why)
}

/// The flags that a vector is compared in.
const FLAGS: u32 = eflags::ARITHMETIC | eflags::TF | eflags::IF | eflags::DF;

/// A board with nothing on it; it ends a run that does not get anywhere, and that of an 8086 after
/// each instruction, exceptions included.
struct Bus {
    turns: std::cell::Cell<u32>,
    most_turns: u32,
}

impl Board for Bus {
    fn port_in(&mut self, _: &mut Memory, _: u64, _: u16, _: u32) -> u32 {
        u32::MAX
    }
    fn port_out(&mut self, _: &mut Memory, _: u64, _: u16, _: u32, _: u32) {}
    fn mmio_read(&mut self, _: &mut Memory, _: u64, _: u64, _: u32) -> u64 {
        u64::MAX
    }
    fn mmio_write(&mut self, _: &mut Memory, _: u64, _: u64, _: u32, _: u64) {}
    fn time_stamp(&mut self, now: u64) -> u64 {
        now
    }
    fn apic_base(&self) -> u32 {
        0
    }
    fn set_apic_base(&mut self, _: &mut Memory, _: u32) {}
    fn interrupt_pending(&self) -> bool {
        false
    }
    fn acknowledge(&mut self) -> Option<u8> {
        None
    }
    fn numeric_error(&mut self) {}
    fn attention(&self) -> bool {
        self.turns.set(self.turns.get() + 1);
        self.turns.get() > self.most_turns
    }
}

/// A CPU with memory to run vectors on.
pub struct Bench {
    model: CpuModel,
    mem: Memory,
    engine: Box<dyn Engine>,
}

impl Bench {
    /// A bench for one chip.
    ///
    /// # Errors
    /// The host has no memory for it.
    pub fn new(model: CpuModel, engine: Box<dyn Engine>) -> Result<Bench, mem::MemoryError> {
        let mut mem = Memory::new(RAM)?;
        mem.start_dirty_log();
        Ok(Bench { model, mem, engine })
    }

    /// Runs the first vector of a file, and every one that comes `every` after one that is run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn run_file(&mut self, form: &str, path: &Path, every: usize) -> std::io::Result<Tally> {
        let mut tally = Tally::default();
        let lines = BufReader::new(GzDecoder::new(File::open(path)?)).lines();
        for line in lines.step_by(every) {
            let vector: Vector = serde_json::from_str(&line?)?;
            tally.run += 1;
            if let Err(why) = self.run(form, &vector) {
                let Vector { idx, name, bytes, .. } = &vector;
                tally.failures.push(format!("#{idx} {name} [{bytes}]: {why}"));
            }
        }
        Ok(tally)
    }

    fn run(&mut self, form: &str, v: &Vector) -> Result<(), String> {
        let mut cpu = self.state(&v.initial.regs);
        for &(at, byte) in &v.initial.ram {
            self.mem.write_physical(u64::from(at), &[byte]);
        }
        let ran = self.execute(&mut cpu, v);
        let unknown = UNKNOWN.iter().find(|(m, f, _)| *m == self.model && *f == form && undefined(form, v));
        let unknown = unknown.map_or(0, |(_, _, mask)| *mask);
        let differences = match ran {
            Ok(()) => self.differences(&cpu, v, unknown),
            Err(why) => vec![why],
        };
        self.clear();
        if differences.is_empty() { Ok(()) } else { Err(differences.join(", ")) }
    }

    fn state(&self, regs: &BTreeMap<String, u16>) -> State {
        let mut cpu = State::new(self.model);
        let value = |name: &str| regs.get(name).copied().unwrap_or(0);
        for (name, r) in GENERAL {
            cpu.set_r32(r, u32::from(value(name)));
        }
        for (name, s) in SEGMENTS {
            let segment = &mut cpu.seg[usize::from(s)];
            *segment = Segment::real(value(name), 0);
            segment.refresh();
        }
        cpu.eip = u32::from(value("ip"));
        cpu.set_flags_image(u32::from(value("flags")) & FLAGS);
        cpu
    }

    /// The 286 was stopped by the HLT behind each instruction, the 8086 after the instruction.
    fn execute(&mut self, cpu: &mut State, v: &Vector) -> Result<(), String> {
        let mut vmm = Vmm::new(Bus { turns: Default::default(), most_turns: MOST_TURNS });
        vmm.synchronise(cpu, &mut self.mem);
        let start = cpu.eip;
        let single = self.model == CpuModel::I8086;
        let repeats = repeated_string(&v.bytes);
        while cpu.retired < MOST {
            // an exception is not a retired instruction, but an end as well
            vmm.board.turns.set(if single && !repeats { MOST_TURNS - 1 } else { 0 });
            let until = if single { cpu.retired + 1 } else { MOST };
            match vmm.run(cpu, &mut self.mem, self.engine.as_mut(), until) {
                Outcome::Halted => return Ok(()),
                Outcome::Budget | Outcome::Attention if single && !(repeats && cpu.eip == start) => {
                    return Ok(());
                }
                Outcome::Budget => {}
                other => return Err(format!("ends with {other:?}")),
            }
        }
        Err("does not end".to_owned())
    }

    fn differences(&mut self, cpu: &State, v: &Vector, unknown: u32) -> Vec<String> {
        let mut found = Vec::new();
        let expected =
            |name: &str| v.after.regs.get(name).or_else(|| v.initial.regs.get(name)).copied().unwrap_or(0);
        let mut compare = |name: &str, ours: u16| {
            let theirs = expected(name);
            if ours != theirs {
                found.push(format!("{name} {ours:04x} not {theirs:04x}"));
            }
        };
        for (name, r) in GENERAL {
            compare(name, cpu.r16(r));
        }
        for (name, s) in SEGMENTS {
            compare(name, cpu.segment(s).selector);
        }
        compare("ip", cpu.eip as u16);
        let known = FLAGS & !unknown;
        let (ours, theirs) = (cpu.flags_image() & known, u32::from(expected("flags")) & known);
        if ours != theirs {
            found.push(format!("flags {}", flag_names(ours, theirs)));
        }
        if let (Some(e), false) = (&v.exception, found.is_empty()) {
            found.push(format!("exception {}", e.number));
        }
        self.memory_differences(v, unknown, &mut found);
        found
    }

    /// Every byte that was written anywhere has the value that the vector gives, or none at all.
    fn memory_differences(&mut self, v: &Vector, unknown: u32, found: &mut Vec<String>) {
        let mut expected: BTreeMap<u32, u8> = v.initial.ram.iter().copied().collect();
        expected.extend(v.after.ram.iter().copied());
        // where an exception pushes FLAGS
        let initial = |name: &str| v.initial.regs.get(name).copied().unwrap_or(0);
        let (ss, sp) = (u32::from(initial("ss")) << 4, initial("sp"));
        let pushed: Vec<u32> = match v.exception {
            Some(_) => (1..=2).rev().map(|n| ss + u32::from(sp.wrapping_sub(n))).collect(),
            None => Vec::new(),
        };
        for frame in self.mem.take_dirty() {
            let mut page = [0; 4096];
            self.mem.read_physical(u64::from(frame) << 12, &mut page);
            for (n, &ours) in page.iter().enumerate() {
                let at = (frame << 12) + n as u32;
                let theirs = expected.get(&at).copied().unwrap_or(0);
                let ignored = pushed.iter().zip([unknown, unknown >> 8]).find(|(place, _)| **place == at);
                let ignored = ignored.map_or(0, |(_, mask)| mask as u8);
                if (ours ^ theirs) & !ignored != 0 {
                    found.push(format!("[{at:05x}] {ours:02x} not {theirs:02x}"));
                }
            }
            self.mem.write_physical(u64::from(frame) << 12, &[0; 4096]);
        }
    }

    fn clear(&mut self) {
        for frame in self.mem.take_dirty() {
            self.mem.write_physical(u64::from(frame) << 12, &[0; 4096]);
        }
        self.mem.take_dirty();
        self.engine.flush();
    }
}

/// AAM leaves all six flags to chance only where it faults.
fn undefined(form: &str, v: &Vector) -> bool {
    form != "D4" || v.exception.is_some()
}

/// The instruction is a repeated string instruction.
fn repeated_string(bytes: &str) -> bool {
    let bytes: Vec<u8> =
        (0..bytes.len() / 2).filter_map(|n| u8::from_str_radix(&bytes[2 * n..2 * n + 2], 16).ok()).collect();
    let prefixes = bytes.iter().take_while(|b| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0xf0..=0xf3)).count();
    bytes[..prefixes].iter().any(|b| matches!(b, 0xf2 | 0xf3))
        && matches!(bytes.get(prefixes), Some(0xa4..=0xa7 | 0xaa..=0xaf))
}

/// The flags that differ, each with ours and theirs.
pub(crate) fn flag_names(ours: u32, theirs: u32) -> String {
    let names = [("C", 0), ("P", 2), ("A", 4), ("Z", 6), ("S", 7), ("T", 8), ("I", 9), ("D", 10), ("O", 11)];
    let differ = names.iter().filter(|(_, n)| (ours ^ theirs) >> n & 1 != 0);
    differ
        .map(|(name, n)| format!("{name}={} not {}", ours >> n & 1, theirs >> n & 1))
        .collect::<Vec<_>>()
        .join(" ")
}
