//! What is where in the guest's window, and the tables that its memory starts with.

use cpu::{CpuModel, DescriptorTable, Segment, State, cr0, reg, rights, seg};

/// Bytes of the guest's window.
pub const WINDOW: u32 = 0x1_0000;
pub(super) const GDT: u32 = 0x1000;
/// A second GDT of equal contents, for LGDT.
pub(super) const GDT_COPY: u32 = 0x1800;
pub(super) const IDT: u32 = 0x2000;
/// A second IDT of equal contents, for LIDT.
pub(super) const IDT_COPY: u32 = 0x2800;
pub(super) const LDT: u32 = 0x3000;
pub(super) const TSS: u32 = 0x4000;
/// Where instructions store.
pub(super) const DATA: u32 = 0x5000;
/// Images for LGDT and LIDT, two of each.
pub(super) const TABLES: u32 = 0x5800;
/// What handlers count.
pub(super) const COUNTERS: u32 = 0x5f00;
pub(super) const HANDLERS: u32 = 0x6000;
/// Where programs start.
pub const CODE: u32 = 0x7000;
pub(super) const STACK3: u32 = 0x9000;
pub(super) const STACK0: u32 = 0xa000;
/// The stack of a supervisor at the start.
pub(super) const STACK: u32 = 0xb000;

pub(super) const CODE0: u16 = 0x08;
pub(super) const DATA0: u16 = 0x10;
pub(super) const CODE3: u16 = 0x1b;
pub(super) const DATA3: u16 = 0x23;
pub(super) const TASK: u16 = 0x28;
pub(super) const LOCAL: u16 = 0x30;
pub(super) const OTHER_TASK: u16 = 0x38;
pub(super) const READ_ONLY: u16 = 0x40;
/// The GDT's limit.
pub(super) const GDT_LIMIT: u16 = 0x47;
/// The IDT's limit: 64 vectors.
pub(super) const IDT_LIMIT: u16 = 0x1ff;
/// The vector whose handler returns.
pub(super) const RETURNS: u8 = 0x30;
/// The vector whose handler goes on at CPL 0.
pub(super) const ENTERS: u8 = 0x31;

pub(super) use cpu::descriptor::segment as descriptor;

/// A gate of the supervisor's.
fn gate(offset: u32, access: u8) -> u64 {
    cpu::descriptor::gate(CODE0, offset, access, 0)
}

fn put(image: &mut [u8], at: u32, bytes: &[u8]) {
    image[at as usize..][..bytes.len()].copy_from_slice(bytes);
}

/// A window with tables and handlers, and nothing else.
pub(super) fn image() -> Vec<u8> {
    let mut image = vec![0; WINDOW as usize];
    let whole = WINDOW - 1;
    let entries = [
        (CODE0, descriptor(0, whole, 0x9b, 4)),
        (DATA0, descriptor(0, whole, 0x93, 4)),
        (CODE3, descriptor(0, whole, 0xfb, 4)),
        (DATA3, descriptor(0, whole, 0xf3, 4)),
        (TASK, descriptor(TSS, 0x67, 0x8b, 0)),
        (LOCAL, descriptor(LDT, 0xf, 0x82, 0)),
        (OTHER_TASK, descriptor(TSS, 0x67, 0x89, 0)),
        (READ_ONLY, descriptor(0, whole, 0xf1, 4)),
    ];
    for (selector, bytes) in entries {
        for table in [GDT, GDT_COPY] {
            put(&mut image, table + u32::from(selector & !7), &bytes.to_le_bytes());
        }
    }
    put(&mut image, LDT + 8, &descriptor(0, whole, 0xf3, 4).to_le_bytes());
    put(&mut image, TSS + 4, &STACK0.to_le_bytes());
    put(&mut image, TSS + 8, &u32::from(DATA0).to_le_bytes());
    put(&mut image, TSS + 0x66, &0x68u16.to_le_bytes());
    interrupts(&mut image);
    let pointers = [(GDT, GDT_LIMIT), (GDT_COPY, GDT_LIMIT), (IDT, IDT_LIMIT), (IDT_COPY, IDT_LIMIT)];
    for (n, (base, limit)) in pointers.into_iter().enumerate() {
        put(&mut image, TABLES + 8 * n as u32, &limit.to_le_bytes());
        put(&mut image, TABLES + 8 * n as u32 + 2, &base.to_le_bytes());
    }
    image
}

/// Exceptions are counted and end the program; two vectors are for programs.
fn interrupts(image: &mut [u8]) {
    for vector in 0..64u8 {
        let handler = HANDLERS + 16 * u32::from(vector);
        let access = if matches!(vector, 3 | 4 | RETURNS | ENTERS) { 0xee } else { 0x8e };
        for table in [IDT, IDT_COPY] {
            put(image, table + 8 * u32::from(vector), &gate(handler, access).to_le_bytes());
        }
        // inc dword [cs:counter] would not be allowed: ss always can be written
        let counter = (COUNTERS + 4 * u32::from(vector)).to_le_bytes();
        put(image, handler, &[0x36, 0xff, 0x05, counter[0], counter[1], counter[2], counter[3]]);
        let end: &[u8] = match vector {
            3 | 4 | RETURNS => &[0xcf],
            // pop eax; jmp eax
            ENTERS => &[0x58, 0xff, 0xe0],
            _ => &[0xf4],
        };
        put(image, handler + 7, end);
    }
}

/// A segment register with a descriptor of the tables.
fn held(image: &[u8], selector: u16) -> Segment {
    let at = (GDT + u32::from(selector & !7)) as usize;
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&image[at..at + 8]);
    vmm::interpreters::descriptor::Descriptor::new(selector, at as u32, u64::from_le_bytes(bytes)).segment()
}

/// The supervisor's state at the start of a program.
pub(super) fn state(image: &[u8]) -> State {
    let mut s = State::new(CpuModel::N270);
    s.cr0 |= cr0::PE;
    s.gdtr = DescriptorTable { base: GDT, limit: GDT_LIMIT };
    s.idtr = DescriptorTable { base: IDT, limit: IDT_LIMIT };
    for n in 0..6 {
        s.seg[n] = held(image, if n == usize::from(seg::CS) { CODE0 } else { DATA0 });
    }
    s.tr = held(image, TASK);
    s.ldtr = Segment { rights: rights::UNUSABLE, ..Segment::default() };
    s.eip = CODE;
    s.set_r32(reg::SP, STACK);
    s
}
