//! A rig for ROM tests: a ROM of 128 KiB whose lower half is copied to RAM at 0, handlers that
//! write down every exception and go on where the test says, and a look at the outcome.

use crate::engines::{self, Made};
use iced_x86::code_asm::*;
use isa::CpuModel;
use machine::{Config, Exit, Image, Machine};
use std::collections::HashMap;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled, Assembly, assemble, rom};

/// Results: doublewords from here.
pub(crate) const RESULT: u32 = 0x600;
/// Where the handlers go on.
pub(crate) const RESUME: u32 = 0x6f0;
/// Where the next record goes.
const LOG_END: u32 = 0x6f4;
/// Records of exceptions, [`RECORD`] bytes each.
const LOG: u32 = 0x700;
const RECORD: u32 = 32;
pub(crate) const GDT: u32 = 0x1000;
pub(crate) const IDT: u32 = 0x1800;
pub(crate) const TSS: u32 = 0x2000;
/// Page tables, empty unless the test fills them.
pub(crate) const TABLES: u32 = 0x3000;
/// 32-bit code.
pub(crate) const CODE: u32 = 0x6000;
/// 16-bit code.
pub(crate) const CODE16: u32 = 0x9000;
/// Tops of the kernel's and the program's stack.
pub(crate) const STACK: u32 = 0xe000;
pub(crate) const USER_STACK: u32 = 0xf000;

pub(crate) const KCODE: u16 = 0x08;
pub(crate) const KDATA: u16 = 0x10;
pub(crate) const UCODE: u16 = 0x1b;
pub(crate) const UDATA: u16 = 0x23;
pub(crate) const TASK: u16 = 0x28;
/// First selector that is a test's own.
pub(crate) const OWN: u16 = 0x30;

pub(crate) use cpu::descriptor::{gate, segment};

/// One exception, as the handler found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) vector: u32,
    pub(crate) error: u32,
    pub(crate) eip: u32,
    pub(crate) cs: u32,
    pub(crate) flags: u32,
    pub(crate) cr2: u32,
    pub(crate) dr6: u32,
    pub(crate) esp: u32,
}

type Part = Box<dyn Fn(&mut Asm) -> Assembled>;

/// A test's ROM in the making.
pub(crate) struct Rig {
    model: CpuModel,
    limit: u64,
    memory: Vec<(u32, Vec<u8>)>,
    parts: Vec<Part>,
    disk: Option<Vec<u8>>,
    protected: bool,
    hot: bool,
    profiled: Option<u64>,
}

/// How it went.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) machine: Machine,
    pub(crate) log: Vec<Record>,
    /// What the engines that compile did.
    pub(crate) meters: Vec<cpu::Meter>,
    labels: HashMap<String, u32>,
}

impl Outcome {
    pub(crate) fn dword(&mut self, at: u32) -> u32 {
        self.machine.memory().dword(at).unwrap()
    }
    pub(crate) fn result(&mut self, n: u32) -> u32 {
        self.dword(RESULT + 4 * n)
    }
    pub(crate) fn results<const N: usize>(&mut self) -> [u32; N] {
        std::array::from_fn(|n| self.result(n as u32))
    }
    pub(crate) fn at(&self, label: &str) -> u32 {
        self.labels[label]
    }
    /// Vectors and error codes of the exceptions.
    pub(crate) fn faults(&self) -> Vec<(u32, u32)> {
        self.log.iter().map(|r| (r.vector, r.error)).collect()
    }
    pub(crate) fn vectors(&self) -> Vec<u32> {
        self.log.iter().map(|r| r.vector).collect()
    }
}

impl Rig {
    /// Code that begins in 16-bit real mode with CS, DS, ES and SS 0.
    pub(crate) fn real(body: impl Fn(&mut Asm) -> Assembled + 'static) -> Rig {
        Rig::new(false, CODE16, 16, body)
    }

    /// Code that begins in flat 32-bit protected mode at CPL 0, with a TSS.
    pub(crate) fn protected(body: impl Fn(&mut Asm) -> Assembled + 'static) -> Rig {
        Rig::new(true, CODE, 32, body)
    }

    fn new(protected: bool, base: u32, bits: u32, body: impl Fn(&mut Asm) -> Assembled + 'static) -> Rig {
        let tss = segment(TSS, 0x67, 0x89, 0);
        let gdt = [0, 0x9b, 0x93, 0xfb, 0xf3].map(|a| if a == 0 { 0 } else { segment(0, 0xf_ffff, a, 0xc) });
        let rig = Rig {
            model: CpuModel::N270,
            limit: 1_000_000,
            memory: Vec::new(),
            parts: Vec::new(),
            disk: None,
            protected,
            hot: false,
            profiled: None,
        };
        let rig = rig.poke(LOG_END, &LOG.to_le_bytes()).poke(TSS + 4, &STACK.to_le_bytes());
        let rig = rig.poke(TSS + 8, &u32::from(KDATA).to_le_bytes()).poke(TSS + 0x64, &[0, 0, 0x68, 0]);
        let rig = gdt.into_iter().chain([tss]).zip(0..).fold(rig, |rig, (d, n)| rig.descriptor(n * 8, d));
        rig.also(move |a| {
            a.section(bits, base)?;
            asm! { a => label "body"; }
            body(a)?;
            asm! { a => label "done"; cli; hlt; jmp a.to("done"); }
            Ok(())
        })
    }

    /// More sections.
    pub(crate) fn also(mut self, part: impl Fn(&mut Asm) -> Assembled + 'static) -> Rig {
        self.parts.push(Box::new(part));
        self
    }

    pub(crate) fn model(mut self, model: CpuModel) -> Rig {
        self.model = model;
        self
    }

    /// The first hard disk.
    pub(crate) fn disk(mut self, bytes: Vec<u8>) -> Rig {
        self.disk = Some(bytes);
        self
    }

    pub(crate) fn limit(mut self, instructions: u64) -> Rig {
        self.limit = instructions;
        self
    }

    /// Bytes of RAM below 64 KiB.
    pub(crate) fn poke(mut self, at: u32, bytes: &[u8]) -> Rig {
        self.memory.push((at, bytes.to_vec()));
        self
    }

    pub(crate) fn dwords(self, at: u32, values: &[u32]) -> Rig {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.poke(at, &bytes)
    }

    pub(crate) fn descriptor(self, selector: u16, descriptor: u64) -> Rig {
        self.poke(GDT + u32::from(selector & !7), &descriptor.to_le_bytes())
    }

    /// Page tables that show the first 4 MiB as they are, to programs as well. The table lies at
    /// [`TABLES`] + 1000h.
    pub(crate) fn paged(self) -> Rig {
        let entries: Vec<u32> = (0..1024).map(|n| n << 12 | 7).collect();
        self.dwords(TABLES, &[(TABLES + 0x1000) | 7]).dwords(TABLES + 0x1000, &entries)
    }

    /// A test of compiled code: every engine that compiles has to have run some.
    pub(crate) fn hot(mut self) -> Rig {
        self.hot = true;
        self
    }

    /// The monitor counts what it interprets after so many instructions.
    pub(crate) fn profiled(mut self, after: u64) -> Rig {
        self.profiled = Some(after);
        self
    }

    /// Assembles, boots, runs to the end on every engine. They have to agree in everything; the
    /// outcome is the interpreter's.
    pub(crate) fn run(self) -> Outcome {
        let (image, labels) = self.image();
        let mut outcome = self.run_on(&engines::REFERENCE, &image, &labels);
        for made in &engines::OTHERS {
            let mut other = self.run_on(made, &image, &labels);
            engines::compare(made.name, &mut outcome, &mut other);
            let meter = other.machine.meter().unwrap();
            let sensitive = other.machine.stats().sensitive + meter.in_place;
            assert_eq!(outcome.machine.profile(), other.machine.profile(), "{}", made.name);
            assert_eq!(sensitive, outcome.machine.stats().sensitive, "{}: {meter:?}", made.name);
            assert!(!self.hot || meter.entries > 0, "{}: nothing was compiled: {meter:?}", made.name);
            outcome.meters.push(meter);
        }
        outcome
    }

    fn image(&self) -> (Vec<u8>, HashMap<String, u32>) {
        let Assembly { pieces, labels } = assemble(|a| {
            start(a, self.protected)?;
            handlers(a)?;
            handlers16(a)?;
            self.parts.iter().try_for_each(|part| part(a))
        })
        .unwrap();
        let place = |base| if base >= 0xf_0000 { base } else { base + 0xe_0000 };
        let mut image = rom(&pieces, 0xe_0000, 0x2_0000, place).unwrap();
        // handlers' table and vector table, then the test's own bytes
        for v in 0..32u32 {
            let handler = labels[&format!("vector {v}")];
            let at = (IDT + v * 8) as usize;
            image[at..at + 8].copy_from_slice(&gate(KCODE, handler, 0x8e, 0).to_le_bytes());
            let handler = labels[&format!("real vector {v}")];
            image[v as usize * 4..][..4].copy_from_slice(&handler.to_le_bytes());
        }
        clear_unused(&mut image, &pieces);
        for (at, bytes) in &self.memory {
            image[*at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        (image, labels)
    }

    fn run_on(&self, made: &Made, image: &[u8], labels: &HashMap<String, u32>) -> Outcome {
        let config = Config { memory: 8 << 20, model: self.model, deterministic: true, epoch: 0 };
        let mut machine = Machine::new(config, (made.make)()).unwrap();
        if let Some(bytes) = &self.disk {
            machine.board().attach_disk(0, Box::new(dev::block::MemoryBlock::new(bytes.clone())));
        }
        machine.boot(&Image::Rom(image.to_vec())).unwrap();
        if let Some(after) = self.profiled {
            machine.run(after);
            machine.start_profile();
        }
        let exit = loop {
            match machine.run(self.limit) {
                Exit::Slice => machine.serial_output(0, &mut Vec::new()),
                exit => break exit,
            }
        };
        let mut outcome =
            Outcome { exit, machine, log: Vec::new(), meters: Vec::new(), labels: labels.clone() };
        let end = outcome.dword(LOG_END);
        for at in (LOG..end).step_by(RECORD as usize).take(64) {
            let mut f = |n: u32| outcome.dword(at + 4 * n);
            let record = Record {
                vector: f(0),
                error: f(1),
                eip: f(2),
                cs: f(3),
                flags: f(4),
                cr2: f(5),
                dr6: f(6),
                esp: f(7),
            };
            outcome.log.push(record);
        }
        outcome
    }
}

/// RAM that no piece and no table fills is to be zero.
fn clear_unused(image: &mut [u8], pieces: &[test_roms::asm::Piece]) {
    let used = |at: usize| {
        at < 128
            || (IDT as usize..IDT as usize + 256).contains(&at)
            || pieces.iter().any(|p| (p.base as usize..p.base as usize + p.bytes.len()).contains(&at))
    };
    for at in (0..0x1_0000).filter(|&at| !used(at)) {
        image[at] = 0;
    }
}

/// The reset vector, the copy to RAM, the first mode.
fn start(a: &mut Asm, protected: bool) -> Assembled {
    a.section(16, 0xf_fff0)?;
    a.db(&[0xea, 0x00, 0xff, 0x00, 0xf0])?;
    a.section(16, 0xf_ff00)?;
    asm! { a =>
        cli;
        cld;
        xor ax, ax;
        mov es, ax;
        mov ss, ax;
        mov sp, STACK;
        mov ax, 0xe000u32;
        mov ds, ax;
        xor si, si;
        xor di, di;
        mov cx, 0x8000u32;
    }
    a.rep().movsw()?;
    asm! { a => mov ds, cx; }
    if !protected {
        let [low, high, ..] = CODE16.to_le_bytes();
        return a.db(&[0xea, low, high, 0, 0]);
    }
    asm! { a =>
        lgdt ptr(a.at("gdtr") & 0xffff).cs();
        lidt ptr(a.at("idtr") & 0xffff).cs();
        mov eax, 0x11u32;
        mov cr0, eax;
        jmp_far32 KCODE, a.at("protected");
        label "gdtr";
    }
    a.dw(&[0x7ff])?;
    a.dd(&[GDT])?;
    a.label("idtr")?;
    a.dw(&[0x7ff])?;
    a.dd(&[IDT])
}

/// Vectors that push an error code.
fn has_code(v: u32) -> bool {
    matches!(v, 8 | 10..=14 | 17)
}

fn handlers(a: &mut Asm) -> Assembled {
    a.section(32, 0x400 + 0x8000)?;
    asm! { a =>
        label "protected";
        mov eax, u32::from(KDATA);
        mov ds, ax;
        mov es, ax;
        mov ss, ax;
        mov esp, STACK;
        mov eax, u32::from(TASK);
        ltr ax;
        mov eax, a.at("body");
        jmp eax;
    }
    for v in 0..32 {
        a.label(&format!("vector {v}"))?;
        if !has_code(v) {
            asm! { a => push 0; }
        }
        asm! { a => push v as i32; jmp a.to("exception"); }
    }
    asm! { a =>
        // ESP: vector, error code, EIP, CS, EFLAGS
        label "exception";
        push eax;
        push ecx;
        mov eax, u32::from(KDATA);
        mov ds, ax;
        mov es, ax;
        mov ecx, dword_ptr(LOG_END);
    }
    for n in 0..5i32 {
        asm! { a => mov eax, dword_ptr(esp + 8 + 4 * n); mov dword_ptr(ecx + 4 * n), eax; }
    }
    asm! { a =>
        mov eax, cr2;
        mov dword_ptr(ecx + 20), eax;
        mov eax, dr6;
        mov dword_ptr(ecx + 24), eax;
        lea eax, dword_ptr(esp + 28);
        mov dword_ptr(ecx + 28), eax;
        add ecx, RECORD;
        mov dword_ptr(LOG_END), ecx;
        pop ecx;
        pop eax;
        add esp, 8;
        cmp dword_ptr(RESUME), 0;
        jne a.to("go on elsewhere");
        iretd;
        label "go on elsewhere";
        mov esp, STACK;
        jmp dword_ptr(RESUME);
    }
    Ok(())
}

fn handlers16(a: &mut Asm) -> Assembled {
    a.section(16, 0x400 + 0x8400)?;
    for v in 0..32 {
        asm! { a => label &format!("real vector {v}"); push v; jmp a.to("real exception"); }
    }
    asm! { a =>
        // SP: vector, IP, CS, FLAGS
        label "real exception";
        push ds;
        push bp;
        push ax;
        push di;
        xor ax, ax;
        mov ds, ax;
        mov bp, sp;
        mov di, word_ptr(LOG_END);
    }
    for (from, to) in [(8, 0), (10, 8), (12, 12), (14, 16)] {
        asm! { a => mov ax, word_ptr(bp + from); mov word_ptr(di + to), ax; }
    }
    asm! { a =>
        lea ax, word_ptr(bp + 10);
        mov word_ptr(di + 28), ax;
        add word_ptr(LOG_END), RECORD;
        pop di;
        pop ax;
        pop bp;
        pop ds;
        add sp, 2;
        cmp word_ptr(RESUME).cs(), 0;
        jne a.to("go on elsewhere in real mode");
        iret;
        label "go on elsewhere in real mode";
        mov sp, STACK;
        jmp word_ptr(RESUME).cs();
    }
    Ok(())
}

/// Says where the handlers go on.
pub(crate) fn resume_at(a: &mut Asm, label: &str) -> Assembled {
    let at = a.at(label);
    if a.bitness() == 16 {
        asm! { a => mov word_ptr(RESUME).cs(), at; }
    } else {
        asm! { a => mov dword_ptr(RESUME).ss(), at; }
    }
    Ok(())
}

/// One try: what `body` does is to fault, and the test goes on behind it.
pub(crate) fn attempt(a: &mut Asm, name: &str, body: impl Fn(&mut Asm) -> Assembled) -> Assembled {
    resume_at(a, name)?;
    body(a)?;
    // what did not fault is written down as vector FFh
    asm! { a =>
        mov edi, dword_ptr(LOG_END);
        mov dword_ptr(edi), 0xff;
        mov dword_ptr(edi + 4), 0;
        add dword_ptr(LOG_END), RECORD;
        label name;
    }
    Ok(())
}

/// Goes to CPL 3 at a label, with the given flags.
pub(crate) fn to_user(a: &mut Asm, label: &str, flags: u32) -> Assembled {
    asm! { a =>
        push u32::from(UDATA) as i32;
        push USER_STACK as i32;
        push flags as i32;
        push u32::from(UCODE) as i32;
        push a.at(label) as i32;
        mov eax, u32::from(UDATA);
        mov ds, ax;
        mov es, ax;
        iretd;
    }
    Ok(())
}

/// Switches paging on with the tables at [`TABLES`].
pub(crate) fn paging_on(a: &mut Asm) -> Assembled {
    asm! { a =>
        mov eax, TABLES;
        mov cr3, eax;
        mov eax, cr0;
        or eax, 0x8000_0000u32;
        mov cr0, eax;
    }
    Ok(())
}
