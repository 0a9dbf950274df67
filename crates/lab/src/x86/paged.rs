//! Programs of a supervisor that uses paging, and changes its tables while it goes.

use super::layout as at;
use super::program::{Code, Program, SENSITIVE, Sensitive};
use crate::random::Random;

/// The page directory, the table of the first 4 MiB, where pages are where they seem, and the table of the next.
const DIRECTORY: u32 = 0xc000;
const IDENTITY: u32 = 0xd000;
const TABLE: u32 = 0xe000;
/// Where the next 4 MiB begin, and pages of it that programs use.
const FAR: u32 = 0x40_0000;
const PAGES: u32 = 8;
/// Frames that their entries name: data, a free one, and the table itself.
const FRAMES: [u32; 3] = [at::DATA, 0x8000, TABLE];
/// The handler of page faults.
const HANDLER: u32 = 0x6800;

/// What programs do with pages.
const PAGING: &[Sensitive] = &[
    Sensitive::of("a store to an entry", store_entry),
    Sensitive::of("a load of an entry", load_entry),
    Sensitive::of("bits of an entry off", clear_bits),
    Sensitive::of("a load", |c| access(c, 0x8b)),
    Sensitive::of("a store", |c| access(c, 0x89)),
    Sensitive::of("an addition", |c| access(c, 0x01)),
    Sensitive::of("INVLPG", |c| c.on_memory(&[0x0f, 0x01], 7, far)),
    Sensitive::of("MOV to CR3", |c| {
        c.mov(0, DIRECTORY);
        c.bytes(&[0x0f, 0x22, 0xd8]);
    }),
];

fn far(r: &mut Random) -> u32 {
    FAR + (r.below(u64::from(PAGES)) as u32) * 0x1000 + 4 * r.below(8) as u32
}

fn entry(r: &mut Random) -> u32 {
    TABLE + 4 * r.below(u64::from(PAGES)) as u32
}

fn store_entry(c: &mut Code<'_>) {
    let (to, frame, bits) = (entry(c.random), c.random.pick(&FRAMES), c.random.next() as u32 & 0x66);
    let present = u32::from(c.random.percent(80));
    c.bytes(&[0xc7, 0x05]);
    c.bytes(&to.to_le_bytes());
    c.bytes(&(frame | bits | present).to_le_bytes());
}

fn load_entry(c: &mut Code<'_>) {
    let n = c.register();
    c.on_memory(&[0x8b], n, entry);
}

/// AND, so that A or D are set anew.
fn clear_bits(c: &mut Code<'_>) {
    let keep = !(c.random.next() as u32 & 0x60);
    c.on_memory(&[0x81], 4, entry);
    c.bytes(&keep.to_le_bytes());
}

fn access(c: &mut Code<'_>, opcode: u8) {
    let n = c.register();
    c.on_memory(&[opcode], n, far);
    // into the next page as well
    if c.random.percent(10) {
        let to = FAR + 0xffe + 0x1000 * c.random.below(6) as u32;
        c.bytes(&[opcode, n << 3 | 5]);
        c.bytes(&to.to_le_bytes());
    }
}

impl Program {
    /// A random program that runs with paging.
    pub fn paged(r: &mut Random) -> Program {
        let kept = |s: &&Sensitive| s.name != "MOV to CR" && s.name != "HLT";
        let mut families: Vec<&Sensitive> = SENSITIVE.iter().filter(kept).collect();
        // as often as all the others together
        for _ in 0..4 {
            families.extend(PAGING);
        }
        let mut program = Program::with_start(r, &families, &start());
        with_tables(&mut program.image);
        program
    }

    /// A program of the bytes given, which are run with paging.
    pub fn paged_of(code: &[u8]) -> Program {
        let mut program = Program::of(&[&start(), code].concat());
        with_tables(&mut program.image);
        program
    }
}

/// CR3, and paging on.
fn start() -> Vec<u8> {
    let mut code = vec![0xb8];
    code.extend(DIRECTORY.to_le_bytes());
    code.extend([0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0]);
    code
}

fn put(image: &mut [u8], at: u32, value: u32) {
    image[at as usize..][..4].copy_from_slice(&value.to_le_bytes());
}

/// Page tables, flat segments, and a handler that shows the page that was missed.
fn with_tables(image: &mut [u8]) {
    put(image, DIRECTORY, IDENTITY | 7);
    put(image, DIRECTORY + 4, TABLE | 7);
    for page in 0..at::WINDOW >> 12 {
        put(image, IDENTITY + 4 * page, page << 12 | 7);
    }
    put(image, TABLE, at::DATA | 7);
    put(image, TABLE + 4, 0x8000 | 5);
    for (selector, access) in [(at::CODE0, 0x9b), (at::DATA0, 0x93), (at::CODE3, 0xfb), (at::DATA3, 0xf3)] {
        for table in [at::GDT, at::GDT_COPY] {
            let bytes = at::descriptor(0, 0xf_ffff, access, 0xc).to_le_bytes();
            image[(table + u32::from(selector & !7)) as usize..][..8].copy_from_slice(&bytes);
        }
    }
    // push eax; mov eax, cr2; shr eax, 12; and eax, 7; mov dword [TABLE + 4 * eax], DATA | 7; pop eax; add esp, 4; iret
    let mut code = vec![0x50, 0x0f, 0x20, 0xd0, 0xc1, 0xe8, 12, 0x83, 0xe0, 7, 0xc7, 0x04, 0x85];
    code.extend(TABLE.to_le_bytes());
    code.extend((at::DATA | 7).to_le_bytes());
    code.extend([0x58, 0x83, 0xc4, 4, 0xcf]);
    image[HANDLER as usize..][..code.len()].copy_from_slice(&code);
    for table in [at::IDT, at::IDT_COPY] {
        let gate = u64::from_le_bytes(std::array::from_fn(|n| image[(table + 8 * 14) as usize + n]));
        let gate = gate & !0xffff | u64::from(HANDLER);
        image[(table + 8 * 14) as usize..][..8].copy_from_slice(&gate.to_le_bytes());
    }
}
