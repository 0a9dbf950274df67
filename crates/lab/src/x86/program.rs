//! Random programs for a 32-bit supervisor: arithmetic, and sensitive instructions between.

use super::layout as at;
use crate::random::Random;
use cpu::eflags as f;

const AX: u8 = 0;
/// Registers that programs use: all but ESP.
const GENERAL: [u8; 7] = [0, 1, 2, 3, 5, 6, 7];
/// What POPF is given: of EFLAGS all but TF, NT, AC and what no program loads.
const FLAGS: u32 = f::ARITHMETIC | f::IF | f::IOPL | f::DF | f::ID;

/// A family of sensitive instructions.
pub struct Sensitive {
    /// The manual's mnemonic, or what it is.
    pub name: &'static str,
    /// On x86 as it is it does not trap at CPL 3.
    pub critical: bool,
    emit: fn(&mut Code<'_>),
}

impl Sensitive {
    /// A family of instructions that trap, or that need not.
    pub(super) const fn of(name: &'static str, emit: fn(&mut Code<'_>)) -> Sensitive {
        Sensitive { name, critical: false, emit }
    }
}

/// The families that programs are made of.
pub const SENSITIVE: &[Sensitive] = &[
    Sensitive { name: "POPF", critical: true, emit: popf },
    Sensitive { name: "PUSHF", critical: true, emit: pushf },
    Sensitive { name: "PUSH CS", critical: true, emit: |c| c.push_segment(0x0e) },
    Sensitive { name: "PUSH SS", critical: true, emit: |c| c.push_segment(0x16) },
    Sensitive { name: "MOV from CS", critical: true, emit: |c| c.store_segment(1) },
    Sensitive { name: "MOV from SS", critical: true, emit: |c| c.store_segment(2) },
    Sensitive { name: "SMSW", critical: true, emit: |c| c.on_register(&[0x0f, 0x01], 4) },
    Sensitive { name: "SGDT", critical: true, emit: |c| c.on_memory(&[0x0f, 0x01], 0, data_place) },
    Sensitive { name: "SIDT", critical: true, emit: |c| c.on_memory(&[0x0f, 0x01], 1, data_place) },
    Sensitive { name: "SLDT", critical: true, emit: sldt },
    Sensitive { name: "STR", critical: true, emit: |c| c.on_register(&[0x0f, 0x00], 1) },
    Sensitive { name: "LAR", critical: true, emit: |c| c.look_up(0x02) },
    Sensitive { name: "LSL", critical: true, emit: |c| c.look_up(0x03) },
    Sensitive { name: "VERR", critical: true, emit: |c| c.verify(4) },
    Sensitive { name: "VERW", critical: true, emit: |c| c.verify(5) },
    Sensitive { name: "MOV to a segment register", critical: true, emit: load_segment },
    Sensitive { name: "CLI", critical: false, emit: |c| c.bytes(&[0xfa]) },
    Sensitive { name: "STI", critical: false, emit: |c| c.bytes(&[0xfb]) },
    Sensitive { name: "MOV from CR", critical: false, emit: from_cr },
    Sensitive { name: "MOV to CR", critical: false, emit: to_cr },
    Sensitive { name: "MOV DR", critical: false, emit: debug_register },
    Sensitive { name: "LMSW", critical: false, emit: lmsw },
    Sensitive { name: "CLTS", critical: false, emit: |c| c.bytes(&[0x0f, 0x06]) },
    Sensitive { name: "LGDT", critical: false, emit: |c| c.on_memory(&[0x0f, 0x01], 2, gdt_image) },
    Sensitive { name: "LIDT", critical: false, emit: |c| c.on_memory(&[0x0f, 0x01], 3, idt_image) },
    Sensitive { name: "LTR", critical: false, emit: ltr },
    Sensitive { name: "IN", critical: false, emit: input },
    Sensitive { name: "OUT", critical: false, emit: output },
    Sensitive { name: "INT n", critical: false, emit: |c| c.bytes(&[0xcd, at::RETURNS]) },
    Sensitive { name: "INT3", critical: false, emit: |c| c.bytes(&[0xcc]) },
    Sensitive { name: "IRET", critical: true, emit: to_user_and_back },
    Sensitive { name: "HLT", critical: false, emit: halt },
];

/// A program in its window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The window's bytes.
    pub image: Vec<u8>,
    /// Where its code ends.
    pub end: u32,
}

impl Program {
    /// A random program: about half of it innocuous, the rest of the families given.
    pub fn random<'a>(r: &'a mut Random, families: &'a [&'a Sensitive]) -> Program {
        Program::with_start(r, families, &[])
    }

    /// The same, behind some bytes of code.
    pub(super) fn with_start<'a>(r: &'a mut Random, families: &'a [&'a Sensitive], start: &[u8]) -> Program {
        let units = 20 + r.below(40);
        let mut code = Code { random: r, bytes: start.to_vec(), families, inner: false };
        for n in GENERAL {
            let value = code.random.next() as u32;
            code.mov(n, value);
        }
        for _ in 0..units {
            if families.is_empty() || code.random.percent(55) {
                code.innocuous();
            } else {
                let family = code.random.pick(families);
                (family.emit)(&mut code);
            }
        }
        code.bytes(&[0xf4]);
        Program::of(&code.bytes)
    }

    /// A program of the bytes given, at [`at::CODE`]; what does not fit in 4 KiB is left away.
    pub fn of(code: &[u8]) -> Program {
        let mut image = at::image();
        let code = &code[..code.len().min(0x1000)];
        image[at::CODE as usize..][..code.len()].copy_from_slice(code);
        Program { image, end: at::CODE + code.len() as u32 }
    }
}

/// Code that is being written.
pub(super) struct Code<'a> {
    pub(super) random: &'a mut Random,
    bytes: Vec<u8>,
    families: &'a [&'a Sensitive],
    /// Between a way to user mode and the way back.
    inner: bool,
}

fn data_place(r: &mut Random) -> u32 {
    at::DATA + r.below(0x700) as u32
}
fn gdt_image(r: &mut Random) -> u32 {
    at::TABLES + 8 * r.below(2) as u32
}
fn idt_image(r: &mut Random) -> u32 {
    at::TABLES + 16 + 8 * r.below(2) as u32
}

impl Code<'_> {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    pub(super) fn register(&mut self) -> u8 {
        self.random.pick(&GENERAL)
    }
    /// MOV r32, imm32.
    pub(super) fn mov(&mut self, n: u8, value: u32) {
        self.bytes(&[0xb8 + n]);
        self.bytes(&value.to_le_bytes());
    }
    /// An instruction with a register operand.
    fn on_register(&mut self, opcode: &[u8], extension: u8) {
        let n = self.register();
        self.bytes(opcode);
        self.bytes(&[0xc0 | extension << 3 | n]);
    }
    /// An instruction with a memory operand.
    pub(super) fn on_memory(&mut self, opcode: &[u8], extension: u8, place: fn(&mut Random) -> u32) {
        let to = place(self.random);
        self.bytes(opcode);
        self.bytes(&[extension << 3 | 5]);
        self.bytes(&to.to_le_bytes());
    }
    fn push_segment(&mut self, opcode: u8) {
        let n = self.register();
        self.bytes(&[opcode, 0x58 + n]);
    }
    fn store_segment(&mut self, segment: u8) {
        self.on_register(&[0x8c], segment);
    }
    fn selector(&mut self) -> u32 {
        let all = [at::CODE0, at::DATA0, at::CODE3, at::DATA3, at::TASK, at::LOCAL, at::READ_ONLY, 0, 0x7c];
        // a supervisor asks in the name of a user
        u32::from(self.random.pick(&all) | self.random.pick(&[0, 3]))
    }
    /// LAR or LSL of a selector.
    fn look_up(&mut self, opcode: u8) {
        let (from, to, selector) = (self.register(), self.register(), self.selector());
        self.mov(from, selector);
        self.bytes(&[0x0f, opcode, 0xc0 | to << 3 | from]);
    }
    /// VERR or VERW of a selector, and what ZF says.
    fn verify(&mut self, extension: u8) {
        let (n, selector) = (self.register(), self.selector());
        self.mov(n, selector);
        self.bytes(&[0x0f, 0x00, 0xc0 | extension << 3 | n, 0x0f, 0x94, 0xc0]);
    }

    /// Something that no definition minds.
    fn innocuous(&mut self) {
        let (a, b, n) = (self.register(), self.register(), self.random.next());
        let byte = (n >> 32) as u8;
        match n % 12 {
            0 => self.mov(a, (n >> 16) as u32),
            1..4 => {
                self.bytes(&[[0x01, 0x29, 0x31, 0x21, 0x09, 0x11][(n >> 8) as usize % 6], 0xc0 | b << 3 | a])
            }
            4 => self.bytes(&[0x83, 0xc0 | (byte & 7) << 3 | a, byte]),
            5 => self.bytes(&[if byte & 1 == 0 { 0x40 } else { 0x48 } + a]),
            6 => self.bytes(&[0xc1, 0xe0 | (byte & 1) << 3 | a, byte]),
            7 => self.on_memory(&[0x89], a, data_place),
            8 => self.on_memory(&[0x8b], a, data_place),
            9 => self.bytes(&[0x50 + a, 0x58 + b]),
            // a jump over one instruction
            10 => self.bytes(&[0x70 | byte & 15, 2, 0x31, 0xc0 | b << 3 | a]),
            _ => self.bytes(&[0x0f, 0xaf, 0xc0 | a << 3 | b]),
        }
    }
}

fn popf(c: &mut Code<'_>) {
    let (n, value) = (c.register(), c.random.next() as u32 & FLAGS | f::RESERVED1);
    c.mov(n, value);
    c.bytes(&[0x50 + n, 0x9d]);
}

fn pushf(c: &mut Code<'_>) {
    let n = c.register();
    c.bytes(&[0x9c, 0x58 + n]);
}

fn sldt(c: &mut Code<'_>) {
    let n = c.register();
    c.mov(n, u32::from(at::LOCAL));
    c.bytes(&[0x0f, 0x00, 0xd0 | n]);
    c.on_register(&[0x0f, 0x00], 0);
}

/// DS or ES; the selector is then read, as programs that save and restore do.
fn load_segment(c: &mut Code<'_>) {
    let n = c.register();
    let selector = c.random.pick(&[at::DATA0, at::DATA3, at::DATA3 & !3, at::CODE0, at::DATA0 | 3]);
    let segment = c.random.pick(&[0, 3]);
    c.mov(n, u32::from(selector));
    c.bytes(&[0x8e, 0xc0 | segment << 3 | n, 0x8c, 0xc0 | segment << 3 | n]);
}

fn from_cr(c: &mut Code<'_>) {
    let (n, cr) = (c.register(), c.random.pick(&[0, 2, 3, 4]));
    c.bytes(&[0x0f, 0x20, 0xc0 | cr << 3 | n]);
}

fn to_cr(c: &mut Code<'_>) {
    let n = c.register();
    match c.random.below(3) {
        0 => {
            let change = c.random.next() as u32 & (cpu::cr0::TS | cpu::cr0::MP | cpu::cr0::NE | cpu::cr0::WP);
            c.bytes(&[0x0f, 0x20, 0xc0 | n, 0x81, 0xf0 | n]);
            c.bytes(&change.to_le_bytes());
            c.bytes(&[0x0f, 0x22, 0xc0 | n]);
        }
        1 => c.bytes(&[0x0f, 0x22, 0xd0 | n]),
        _ => {
            let value =
                c.random.next() as u32 & (cpu::cr4::TSD | cpu::cr4::DE | cpu::cr4::PGE | cpu::cr4::MCE);
            c.mov(n, value);
            c.bytes(&[0x0f, 0x22, 0xe0 | n]);
        }
    }
}

fn debug_register(c: &mut Code<'_>) {
    let (n, dr, direction) = (c.register(), c.random.below(4) as u8, c.random.pick(&[0x21, 0x23]));
    c.bytes(&[0x0f, direction, 0xc0 | dr << 3 | n]);
}

fn lmsw(c: &mut Code<'_>) {
    let (n, value) = (c.register(), c.random.below(16) as u32 | 1);
    c.mov(n, value & !4);
    c.bytes(&[0x0f, 0x01, 0xf0 | n]);
}

fn ltr(c: &mut Code<'_>) {
    let n = c.register();
    c.mov(n, u32::from(at::OTHER_TASK));
    c.bytes(&[0x0f, 0x00, 0xd8 | n]);
}

fn input(c: &mut Code<'_>) {
    let port = c.random.next() as u8;
    c.bytes(&[0xe4 | port & 1, port]);
}

fn output(c: &mut Code<'_>) {
    let port = c.random.next() as u8;
    c.bytes(&[0xe6 | port & 1, port]);
}

/// Seldom: it is the end.
fn halt(c: &mut Code<'_>) {
    if c.random.percent(5) {
        c.bytes(&[0xf4]);
    }
}

/// IRET to CPL 3, some instructions there, and a way back.
fn to_user_and_back(c: &mut Code<'_>) {
    if std::mem::replace(&mut c.inner, true) {
        return;
    }
    c.mov(AX, u32::from(at::DATA3));
    c.bytes(&[0x8e, 0xd8, 0x8e, 0xc0, 0x50, 0x68]);
    c.bytes(&at::STACK3.to_le_bytes());
    c.bytes(&[0x68, 0x02, 0x02, 0, 0, 0x6a, at::CODE3 as u8, 0x68]);
    let next = at::CODE + c.bytes.len() as u32 + 5;
    c.bytes(&next.to_le_bytes());
    c.bytes(&[0xcf]);
    for _ in 0..c.random.below(6) {
        c.innocuous();
    }
    if c.random.percent(20) {
        // a user that tries what is not for users
        (c.random.pick(c.families).emit)(c);
    }
    c.bytes(&[0xcd, at::ENTERS]);
    c.inner = false;
}
