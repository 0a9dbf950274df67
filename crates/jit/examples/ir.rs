//! What becomes of guest code: the plan of its region, Cranelift's IR, machine code.
//!
//!     cargo run -p jit --example ir -- 01 43 08 49 75 fa
//!
//! 32-bit code in flat segments, with the FPU and SSE switched on, at the end of the page at 10000h:
//! what comes behind it is another region's. `--16` makes it 16-bit code, `--tagged` has it look at tagged tables.

use cpu::{CpuModel, Segment, State, cr0, cr4, rights, seg};
use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};
use jit::Lookup;
use mem::{Memory, Rights};
use std::process::ExitCode;

const PAGE: u32 = 0x1_0000;

fn main() -> ExitCode {
    match explained() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("ir: {why}");
            ExitCode::FAILURE
        }
    }
}

fn explained() -> Result<String, String> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut option = |name: &str| words.iter().position(|w| w == name).map(|n| words.remove(n)).is_some();
    let wide = !option("--16");
    let lookup = if option("--tagged") { Lookup::Tagged } else { Lookup::Flat };
    let bytes = bytes(&words.concat()).ok_or("expected bytes in hexadecimal, such as 01 43 08")?;
    let mut mem = Memory::new(1 << 20).map_err(|e| e.to_string())?;
    let at = PAGE + mem::PAGE - bytes.len() as u32;
    mem.load(at, &bytes);
    mem.install(PAGE, u64::from(PAGE), Rights { read: false, write: false, execute: true });
    let found = jit::explain(&state(wide, at), &mem, lookup).map_err(|e| e.to_string())?;
    let found = found.ok_or("nothing is compiled there")?;
    Ok(format!("{}\n{}\n{}", found.plan, found.ir, disassembled(&found.code)))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pair = |n: usize| u8::from_str_radix(hex.get(n..n + 2)?, 16).ok();
    (0..hex.len())
        .step_by(2)
        .map(pair)
        .collect::<Option<Vec<u8>>>()
        .filter(|b| !b.is_empty() && b.len() < 4000)
}

fn state(wide: bool, at: u32) -> State {
    let segment = |kind: u16| {
        let big = if wide { rights::BIG } else { 0 };
        let rights = rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | big | kind;
        let mut s = Segment { limit: u32::MAX, rights, selector: 8, ..Segment::default() };
        s.refresh();
        s
    };
    let mut cpu = State::new(CpuModel::N270);
    cpu.cr0 = cr0::PE | cr0::NE | cr0::ET;
    cpu.cr4 = cr4::OSFXSR | cr4::OSXMMEXCPT;
    // as after the first inexact result: else arithmetic is not compiled
    cpu.mxcsr |= 0x20;
    cpu.seg[..6].fill(segment(0));
    cpu.seg[usize::from(seg::CS)] = segment(rights::CODE);
    cpu.eip = at;
    cpu
}

/// The host's code, where the host is one whose code this program can read.
fn disassembled(code: &[u8]) -> String {
    if !cfg!(target_arch = "x86_64") {
        return format!("{} bytes of machine code", code.len());
    }
    let mut formatter = NasmFormatter::new();
    let lines = Decoder::new(64, code, DecoderOptions::NONE).into_iter().map(|i| {
        let mut text = String::new();
        formatter.format(&i, &mut text);
        format!("{:6x}  {text}\n", i.ip())
    });
    lines.collect()
}
