//! Random loops in regions, whose blocks hand each other what is known and what is not yet computed: floating point
//! whose results nobody looks at but for their flags, operands from memory before those from registers, pages that
//! accesses remember while they move on, turns unrolled, code that loops write in themselves. The budget ends
//! anywhere, or about there. Compiled code against the interpreter, which the host's processor checks.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

#[path = "float_vs_host/operands.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod operands;

use cpu::{Engine, State, StopReason, rights, seg};
use interp::Interpreter;
use jit::{Arithmetic, Config, Jit, Lookup};
use mem::Memory;
use operands::Rng;
use testkit::flat::{Flat, protected};
use testkit::random::Random;

/// Below 64 KiB, for code of 16 bits.
const CODE: u32 = 0x8000;
/// Numbers; the end of a page is in their midst.
const DATA: u32 = 0x40_0e00;
const BYTES: usize = 0x400;
/// Where EBP points: the end of that page.
const EDGE: u32 = 0x40_1000;
const RAM: u64 = 8 << 20;

/// Programs, unless RINGER_CASES says otherwise.
fn programs() -> u64 {
    std::env::var("RINGER_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(40)
}

/// The program to begin with, unless RINGER_FIRST says otherwise.
fn first() -> u64 {
    std::env::var("RINGER_FIRST").ok().and_then(|s| s.parse().ok()).unwrap_or(0)
}

/// What a program may contain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Theme {
    Numbers,
    Pages,
    Written,
}

struct Program {
    r: Random,
    theme: Theme,
    wide: bool,
    code: Vec<u8>,
    /// Offsets of bytes that may be written.
    soft: Vec<u32>,
    /// Offsets of addresses of such bytes that are still open.
    open: Vec<usize>,
}

impl Program {
    fn new(seed: u64, theme: Theme, wide: bool) -> Program {
        let mut p = Program {
            r: Random::new(seed),
            theme,
            wide,
            code: Vec::new(),
            soft: Vec::new(),
            open: Vec::new(),
        };
        for _ in 0..1 + p.r.below(3) {
            p.repeated();
        }
        let back = -(p.code.len() as i32 + if wide { 5 } else { 3 });
        p.code.push(0xe9);
        if wide {
            p.code.extend(back.to_le_bytes())
        } else {
            p.code.extend((back as i16).to_le_bytes())
        }
        for at in std::mem::take(&mut p.open) {
            let n = p.r.below(p.soft.len().max(1) as u32) as usize;
            let to = p.soft.get(n).map_or(DATA, |off| CODE + off);
            p.code[at..at + 4].copy_from_slice(&to.to_le_bytes());
        }
        p
    }

    /// One loop of a few turns, perhaps with another within.
    fn repeated(&mut self) {
        let turns = 1 + self.r.below(12) as u8;
        self.code.extend([0xb9, turns, 0]);
        if self.wide {
            self.code.extend([0, 0]);
        }
        let head = self.code.len();
        for _ in 0..1 + self.r.below(8) {
            if self.code.len() - head < 90 {
                self.step();
            }
        }
        let back = |code: &[u8], len: usize| (head as i32 - (code.len() + len) as i32) as u8;
        match self.r.below(5) {
            0 => {
                let to = back(&self.code, 2);
                self.code.extend([0xe2, to]);
            }
            1 => {
                // LOOPNE
                let to = back(&self.code, 2);
                self.code.extend([0xe0, to]);
            }
            2 => {
                // DEC ECX; JECXZ over; JMP
                self.code.extend([0x49, 0xe3, 2]);
                let to = back(&self.code, 2);
                self.code.extend([0xeb, to]);
            }
            _ => {
                self.code.push(0x49);
                let to = back(&self.code, 2);
                self.code.extend([0x75, to]);
            }
        }
    }

    /// ModRM of a register, or of memory, with what comes before it.
    fn operand(&mut self, prefix: &[u8], opcode: &[u8], reg: u8, memory: bool, aligned: bool) {
        if memory && !self.wide {
            self.code.push(0x67);
        }
        self.code.extend(prefix);
        self.code.extend(opcode);
        let reg = (reg & 7) << 3;
        if !memory {
            let rm = self.r.below(3) as u8;
            return self.code.push(0xc0 | reg | rm);
        }
        let aligned = aligned && !self.r.once_in(30);
        match self.r.below(if self.theme == Theme::Pages { 6 } else { 3 }) {
            0 | 3 => {
                // [EBP + disp8]
                let disp = self.r.below(128) as u8 ^ 0x80 ^ (self.r.below(2) as u8) << 7;
                self.code.extend([0x45 | reg, if aligned { disp & 0xf0 } else { disp }]);
            }
            1 | 4 => self.code.extend([0x07 | reg]),         // [EDI]
            2 => self.code.extend([0x06 | reg]),             // [ESI]
            _ => self.code.extend([0x44 | reg, 0x05, 0xf0]), // [EBP + EAX - 16]
        }
    }

    fn sse(&mut self) {
        let reg = self.r.below(3) as u8;
        let memory = self.r.once_in(3);
        let kind = self.r.below(4) as usize;
        let prefix: &[u8] = [&[][..], &[0x66], &[0xf3], &[0xf2]][kind];
        let packed = kind < 2;
        match self.r.below(27) {
            0..12 => {
                let op = [0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f, 0x51][self.r.below(7) as usize];
                self.operand(prefix, &[0x0f, op], reg, memory, packed);
            }
            12 => {
                self.operand(prefix, &[0x0f, 0xc2], reg, memory, packed);
                let predicate = self.r.below(8) as u8;
                self.code.push(predicate);
            }
            13..15 => {
                let op = 0x2e + self.r.below(2) as u8;
                self.operand(if packed { prefix } else { &[] }, &[0x0f, op], reg, memory, false);
                self.skip();
            }
            // conversions among numbers, from and to integers
            15 => self.operand(prefix, &[0x0f, 0x5a], reg, memory, packed),
            16 => {
                let op = 0x2c + self.r.below(2) as u8;
                let prefix = if packed { &[0xf2][..] } else { prefix };
                self.operand(prefix, &[0x0f, op], 0, memory, false);
            }
            17 => self.operand(if packed { &[0xf3] } else { prefix }, &[0x0f, 0x2a], reg, memory, false),
            18 => {
                let prefix: &[u8] = [&[][..], &[0x66], &[0xf3]][self.r.below(3) as usize];
                self.operand(prefix, &[0x0f, 0x5b], reg, memory, true);
            }
            19 => {
                let prefix: &[u8] = [&[0x66][..], &[0xf2]][self.r.below(2) as usize];
                let op = [0x7c, 0x7d, 0xd0, 0xe6][self.r.below(4) as usize];
                self.operand(prefix, &[0x0f, op], reg, memory, true);
            }
            // shuffles and logic
            20 => {
                let prefix = if packed { prefix } else { &[] };
                let op = [0x14, 0x15, 0x54, 0x55, 0x57][self.r.below(5) as usize];
                self.operand(prefix, &[0x0f, op], reg, memory, true);
            }
            21 => {
                // STMXCSR and LDMXCSR of a stack cell below the numbers
                let op = 2 + self.r.below(2) as u8;
                if !self.wide {
                    self.code.push(0x67);
                }
                self.code.extend([0x0f, 0xae, 0x44 | op << 3, 0x24, 0xf0]);
            }
            // loads and stores
            n => {
                let op = if n == 22 { 0x11 } else { 0x10 };
                self.operand(prefix, &[0x0f, op], reg, true, false);
            }
        }
    }

    /// A jump over a few instructions.
    fn skip(&mut self) {
        let cc = self.r.below(16) as u8;
        let at = self.code.len();
        self.code.extend([0x70 | cc, 0]);
        for _ in 0..self.r.below(3) {
            self.plain();
        }
        self.code[at + 1] = (self.code.len() - at - 2) as u8;
    }

    /// An integer instruction.
    fn plain(&mut self) {
        let stores = self.theme == Theme::Pages || self.r.once_in(3);
        match self.r.below(12) {
            0 => self.code.push(0x40),
            1 => self.code.extend([0x01, 0xc2]),
            2 => {
                self.soft.push(self.code.len() as u32 + 1);
                let k = self.r.below(256) as u8;
                self.code.extend([0x04, k]);
            }
            3 => self.code.extend([0x83, 0xe0, 0x1f]),
            4 => self.operand(&[], &[0x8b], 2, true, false),
            5 if stores => self.operand(&[], &[0x01], 0, true, false),
            6 if stores => self.operand(&[], &[0x89], 2, true, false),
            7 => self.code.extend([0x0f, 0x92, 0xc2]),
            8 => {
                // MOV ESI and EDI to where the numbers begin, and to the page before
                let (op, to) = if self.r.once_in(2) { (0xbe, DATA) } else { (0xbf, EDGE - 0x40) };
                if !self.wide {
                    self.code.push(0x66);
                }
                self.code.push(op);
                self.code.extend(to.to_le_bytes());
            }
            _ => {
                // ADD ESI and EDI
                let (which, by) =
                    (0xc6 + self.r.below(2) as u8, [4u8, 8, 16, 0xf0][self.r.below(4) as usize]);
                if !self.wide {
                    self.code.push(0x66);
                }
                self.code.extend([0x83, which, by]);
            }
        }
    }

    fn step(&mut self) {
        match self.theme {
            Theme::Written if self.r.once_in(3) => {
                // now and then INC BYTE of what may be written
                self.code.extend([0xf6, 0xc1, 3, 0x75]);
                self.code.push(if self.wide { 6 } else { 7 });
                if !self.wide {
                    self.code.push(0x67);
                }
                self.code.extend([0xfe, 0x05]);
                self.open.push(self.code.len());
                self.code.extend([0; 4]);
            }
            Theme::Numbers if !self.r.once_in(4) => self.sse(),
            Theme::Pages if self.r.once_in(4) => self.sse(),
            _ if self.r.once_in(6) => self.skip(),
            _ => self.plain(),
        }
    }
}

struct Party<E> {
    engine: E,
    cpu: State,
    mem: Memory,
}

impl<E: Engine> Party<E> {
    fn new(engine: E, code: &[u8], cpu: &State, data: &[u8]) -> Party<E> {
        let mut mem = Memory::new(RAM).unwrap();
        mem.load(CODE, code);
        mem.load(DATA, data);
        Party { engine, cpu: cpu.clone(), mem }
    }

    /// Runs until so many instructions have retired, over faults, after which the code starts anew.
    fn run(&mut self, until: u64) -> Vec<StopReason> {
        let mut faults = Vec::new();
        while self.cpu.retired < until {
            match self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat::default(), until) {
                StopReason::Budget => return faults,
                StopReason::Leave => {}
                stop => {
                    faults.push(stop);
                    self.cpu.eip = CODE;
                    self.cpu.retired += 1;
                    (self.cpu.gpr[6], self.cpu.gpr[7]) = (u64::from(DATA), u64::from(EDGE - 0x20));
                }
            }
        }
        faults
    }

    fn seen(&self) -> String {
        let c = &self.cpu;
        let mut bytes = [0; BYTES];
        self.mem.read_physical(u64::from(DATA), &mut bytes);
        let sum = bytes.iter().fold(0u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let vectors: Vec<String> = c.xmm[..4].iter().map(|x| format!("{x:032x}")).collect();
        format!(
            "after {} at {:x}: {:x?} flags {:x} mxcsr {:x}\n{}\nmemory {sum:x}",
            c.retired,
            c.eip,
            &c.gpr[..8],
            c.flags_image(),
            c.mxcsr,
            vectors.join(" ")
        )
    }
}

/// Two single numbers or a double one; the tame ones are such of which few operations make anything but numbers.
fn number(rng: &mut Rng, tame: bool) -> u64 {
    let single = |rng: &mut Rng| rng.next() & 0x7f_ffff | (120 + rng.below(14)) << 23;
    match rng.below(if tame { 2 } else { 4 }) {
        0 => rng.next() >> 12 | (1016 + rng.below(14)) << 52,
        1 => single(rng) | single(rng) << 32,
        2 => rng.f64(),
        _ => u64::from(rng.f32()) | u64::from(rng.f32()) << 32,
    }
}

/// Other numbers, and an MXCSR with few flags: all of them would soon be set.
fn stir(cpu: &mut State, rng: &mut Rng) -> Vec<u8> {
    let zeros = [0, 0, 0, 0x40, 0x8000, 0x8040][rng.below(6) as usize];
    let rounding = if rng.below(3) == 0 { (rng.below(4) as u32) << 13 } else { 0 };
    let masks = if rng.below(12) == 0 { (rng.below(64) as u32) << 7 } else { 0x1f80 };
    cpu.mxcsr = masks | [0, 0x20][rng.below(2) as usize] | zeros | rounding;
    let tame = rng.below(4) != 0;
    cpu.xmm.iter_mut().for_each(|x| {
        let tame = tame && rng.below(6) != 0;
        *x = u128::from(number(rng, tame)) | u128::from(number(rng, tame)) << 64;
    });
    let mut data: Vec<u8> = (0..BYTES / 8).flat_map(|_| number(rng, tame).to_le_bytes()).collect();
    // what LDMXCSR finds
    data[0x10..0x14].copy_from_slice(&(0x1f80 | (rng.below(4) as u32) << 13).to_le_bytes());
    data
}

fn prepared(seed: u64, wide: bool) -> (State, Vec<u8>) {
    let (mut rng, mut r) = (Rng::new(seed + 7), Random::new(seed + 13));
    let mut cpu = protected(CODE);
    if !wide {
        let cs = &mut cpu.seg[usize::from(seg::CS)];
        cs.rights &= !rights::BIG;
        cs.refresh();
    }
    (0..4).for_each(|n| cpu.set_r32(n, r.value()));
    for (n, v) in [(4, DATA + 0x20), (5, EDGE), (6, DATA), (7, EDGE - 0x20)] {
        cpu.set_r32(n, v);
    }
    cpu.set_r32(0, cpu.r32(0) & 0x1f);
    cpu.set_arithmetic_flags(r.bits() as u32);
    let data = stir(&mut cpu, &mut rng);
    (cpu, data)
}

fn configs() -> [Config; 6] {
    let at_once = Config { hot: 0, ..Config::default() };
    [
        at_once,
        Config { hot: 4, ..at_once },
        Config { lookup: Lookup::Tagged, ..at_once },
        Config { arithmetic: Arithmetic::Checked, ..at_once },
        Config { warm: Some(0), ..at_once },
        Config { hot: 6, warm: Some(2), ..at_once },
    ]
}

fn check(theme: Theme, wide: bool) {
    for n in first()..first() + programs() {
        let seed = n << 3 | (theme as u64) << 1 | u64::from(wide);
        let Program { code, mut r, .. } = Program::new(seed, theme, wide);
        let (cpu, data) = prepared(seed, wide);
        let listing: String = code.iter().map(|b| format!("{b:02x}")).collect();
        let mut rng = Rng::new(seed);
        let mut plain = Party::new(Interpreter::default(), &code, &cpu, &data);
        let mut compiled = configs().map(|c| Party::new(Jit::with(c).unwrap(), &code, &cpu, &data));
        let mut until = 0;
        while until < 500 {
            until += u64::from(1 + if r.once_in(3) { r.below(8) } else { r.below(120) });
            let faults = plain.run(until);
            for (c, config) in compiled.iter_mut().zip(configs()) {
                let program = || format!("{theme:?} #{n} {listing} at {until}, {config:?}");
                assert_eq!(c.run(until), faults, "{}", program());
                if c.seen() != plain.seen() {
                    panic!("{}\ninterpreted {}\ncompiled {}", program(), plain.seen(), c.seen());
                }
            }
            let data = stir(&mut plain.cpu, &mut rng);
            plain.mem.load(DATA, &data);
            for c in &mut compiled {
                (c.cpu.mxcsr, c.cpu.xmm) = (plain.cpu.mxcsr, plain.cpu.xmm);
                c.mem.load(DATA, &data);
            }
        }
        // slices that end about there
        let mut plain = Party::new(Interpreter::default(), &code, &cpu, &data);
        let mut compiled = Party::new(Jit::new(0).unwrap(), &code, &cpu, &data);
        compiled.cpu.about = true;
        let mut slices = 0;
        while compiled.cpu.retired < 300 {
            let before = compiled.cpu.retired;
            let until = before + u64::from(1 + r.below(60));
            let faults = compiled.run(until);
            slices += 1;
            assert!(slices < 1000 && compiled.cpu.retired > before && compiled.cpu.retired <= until);
            assert_eq!(plain.run(compiled.cpu.retired), faults, "{theme:?} #{n} {listing}");
            assert_eq!(plain.seen(), compiled.seen(), "{theme:?} #{n} {listing}, about");
        }
    }
}

/// Budgets end in regions again and again, so that they are compiled anew, with their loops unrolled, and replaced; code
/// is written from outside meanwhile, before a result is there as well as after, and the cache overflows.
fn check_replaced(make: impl Fn() -> Jit) -> u64 {
    let mut compiled_regions = 0;
    for n in first()..first() + programs() / 4 {
        let seed = 1000 + n;
        let wide = n % 2 == 0;
        let Program { code, mut r, soft, .. } = Program::new(seed, Theme::Pages, wide);
        let (cpu, data) = prepared(seed, wide);
        let listing: String = code.iter().map(|b| format!("{b:02x}")).collect();
        let mut plain = Party::new(Interpreter::default(), &code, &cpu, &data);
        let mut compiled = Party::new(make(), &code, &cpu, &data);
        let mut until = 0;
        for slice in 0..200 {
            until += u64::from(100 + r.below(300));
            assert_eq!(plain.run(until), compiled.run(until), "#{n} {listing}");
            assert_eq!(plain.seen(), compiled.seen(), "#{n} {listing} in slice {slice}");
            // first about when regions are compiled anew
            let often = if (30..50).contains(&slice) { 8 } else { 60 };
            if !soft.is_empty() && r.once_in(often) {
                let at = u64::from(CODE + soft[r.below(soft.len() as u32) as usize]);
                let byte = [r.below(256) as u8];
                plain.mem.write_physical(at, &byte);
                compiled.mem.write_physical(at, &byte);
            }
        }
        compiled_regions += compiled.engine.meter().unwrap().compiled_regions;
    }
    compiled_regions
}

#[test]
fn regions_that_are_replaced() {
    let at_once = check_replaced(|| Jit::new(3).unwrap());
    assert!(at_once > programs() / 4);
    check_replaced(|| Jit::new(3).unwrap().beside());
    check_replaced(|| Jit::with_cache(3, 6 << 10).unwrap().beside());
    let tiers = Config { hot: 8, warm: Some(2), ..Config::default() };
    check_replaced(|| Jit::with(tiers).unwrap());
    check_replaced(|| Jit::with(Config { code: 8 << 10, ..tiers }).unwrap().beside());
}

#[test]
fn numbers() {
    check(Theme::Numbers, true);
}

#[test]
fn numbers_in_code_of_16_bits() {
    check(Theme::Numbers, false);
}

#[test]
fn pages() {
    check(Theme::Pages, true);
}

#[test]
fn pages_in_code_of_16_bits() {
    check(Theme::Pages, false);
}

#[test]
fn code_that_loops_write() {
    check(Theme::Written, true);
}

#[test]
fn code_of_16_bits_that_loops_write() {
    check(Theme::Written, false);
}
