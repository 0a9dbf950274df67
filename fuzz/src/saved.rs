//! Snapshots of machines in the midst of things, to be damaged; and a look at all of a machine.

use crate::{Input, Make, Rig};
use machine::snapshot::{Reader, Section, Writer};
use std::sync::OnceLock;

/// A good snapshot in its sections, and what loads it.
#[derive(Clone)]
pub struct Saved {
    pub make: Make,
    pub inside: [bool; 4],
    pub sections: Vec<Section>,
}

impl Saved {
    /// All of them.
    pub fn all() -> &'static [Saved] {
        static ALL: OnceLock<Vec<Saved>> = OnceLock::new();
        ALL.get_or_init(|| (0..8).map(|n| Saved::of(rig(n))).collect())
    }

    fn of(mut rig: Rig) -> Saved {
        let file = rig.save();
        let mut reader = Reader::new(&file[..]).expect("a snapshot");
        let mut sections = Vec::new();
        while let Some(section) = reader.next_section().expect("a section") {
            // memory costs most of the time, and has no structure
            if !section.name.starts_with("memory.") {
                sections.push(section);
            }
        }
        let (make, inside) = rig.make();
        Saved { make, inside, sections }
    }

    /// The file, with the right lengths and checksums.
    pub fn file(&self) -> Vec<u8> {
        let mut w = Writer::new(Vec::new()).expect("a vector takes all");
        for s in &self.sections {
            w.section(&s.name, s.version, &s.bytes).expect("a vector takes all");
        }
        w.finish().expect("a vector takes all")
    }
}

/// A machine with many things going on.
fn rig(n: u8) -> Rig {
    const MAKES: [[u8; 2]; 8] =
        [[0x12, 1], [0x0b, 2], [0x53, 0x22], [0x25, 0x62], [0x1a, 0x0a], [0, 0], [0x2d, 6], [0x31, 0x12]];
    let mut rig = Rig::new(Make(MAKES[usize::from(n)]));
    let m = &mut rig.machine;
    // timers, a recalibrating floppy, a serial port in the midst of a byte, keys, a mouse
    for (port, value) in [
        (0x43, 0x34),
        (0x40, 0x10),
        (0x40, 0x20),
        (0x70, 0x0b),
        (0x71, 0x42),
        (0x21, 0xb8),
        (0xa1, 0x00),
        (0x3fb, 0x03),
        (0x3f9, 0x0f),
        (0x3f8, 0x41),
        (0x3f8, 0x42),
        (0x64, 0xa8),
        (0x64, 0xd4),
        (0x60, 0xf4),
        (0x3f2, 0x1c),
        (0x3f5, 0x07),
        (0x3f5, 0x00),
    ] {
        m.port_out(port, 1, value);
    }
    m.pass(100_000);
    m.mouse(5, 6, 0, 1);
    if n & 1 != 0 {
        m.pass(900_000_000);
        // a read of a sector by DMA, still on its way
        for byte in [0xe6, 0, 0, 0, 1, 2, 18, 27, 0xff] {
            m.port_out(0x3f5, 1, byte);
            m.pass(40_000);
        }
    }
    if n & 2 != 0 {
        // sectors to be read by program, and a packet that is expected
        for (port, value) in
            [(0x1f6, 0xe0), (0x1f2, 3), (0x1f3, 7), (0x1f7, 0x20), (0x176, 0xa0), (0x177, 0xa0)]
        {
            m.port_out(port, 1, value);
        }
        m.pass(10_000_000);
        for _ in 0..40 {
            m.port_in(0x1f0, 2);
        }
    } else {
        // a write by the bus master
        m.physical_store(0x500, 8, 0x8000_0400_0000_1000);
        m.port_out(0xc044, 4, 0x500);
        for (port, value) in [(0x1f6, 0xe0), (0x1f2, 2), (0x1f7, 0xca), (0xc040, 1)] {
            m.port_out(port, 1, value);
        }
    }
    if n & 4 != 0 {
        for (index, value) in [(1, 320), (2, 200), (3, 16), (4, 0x41), (6, 400), (8, 8), (9, 4)] {
            m.port_out(0x1ce, 2, index);
            m.port_out(0x1cf, 2, value);
        }
        protect(m, n);
    }
    let base = if n == 0 { 0x300 } else { 0xc000 };
    // an ARP request on the wire
    for (at, value) in
        [(0, 0x21), (0xe, 0x48), (1, 0x46), (2, 0x80), (3, 0x46), (0xc, 0x1c), (0, 0x62), (0, 0x22)]
    {
        m.port_out(base + at, 1, value);
    }
    for (at, value) in [(8, 0), (9, 0x40), (0xa, 60), (0xb, 0), (0, 0x12)] {
        m.port_out(base + at, 1, value);
    }
    let mut frame = vec![0xff_u8; 6];
    frame.extend([
        0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56,
    ]);
    frame.extend([10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
    frame.resize(60, 0);
    frame.iter().for_each(|&b| m.port_out(base + 16, 1, b.into()));
    for (at, value) in [(4, 0x40), (5, 60), (6, 0), (0, 0x26)] {
        m.port_out(base + at, 1, value);
    }
    m.pass(if n & 1 == 0 { 20_000 } else { 100_000 });
    rig
}

/// Paging, by two levels or by PAE, of a 32-bit CPU.
fn protect(m: &mut machine::Machine, n: u8) {
    let c = m.cpu_mut();
    (c.cr3, c.eip) = (0x2000, 0x1000);
    if n & 1 == 0 {
        c.cr0 |= 0x8000_0001;
    } else {
        c.cr4 |= 0x30;
        c.pdptes = [0x3001, 0, 0, 0x3001];
        c.cr0 |= 0x8000_0001;
    }
    m.synchronise();
}

/// Looks at everything, and lets time and the CPU go on.
pub fn touch(rig: &mut Rig) {
    let m = &mut rig.machine;
    drop((m.info_registers(), m.info_pic(), m.info_mem(), m.describe(), m.frame(), m.text(), m.new_frame()));
    for time in [0, 1, 1_000, 1_000_000, 1_000_000_000, 100_000_000_000] {
        m.pass(time);
        let limit = m.cpu().retired + 300;
        m.run(limit);
    }
    for ports in
        [0..=0x110, 0x170..=0x178, 0x1ce..=0x1cf, 0x1f0..=0x1f8, 0x2f8..=0x2ff, 0x300..=0x31f, 0x370..=0x400]
    {
        for port in ports {
            m.port_in(port, 1);
        }
    }
    for ports in [0x4d0..=0x4d1, 0x510..=0x511, 0xcf8..=0xcff, 0xb000..=0xb03f, 0xc000..=0xc04f] {
        for port in ports {
            m.port_in(port, 2);
        }
    }
    for at in [0xa_0000, 0xb_8000, 0xfee0_0020, 0xfee0_0390, 0xfec0_0010, 0xe000_0000, 0xe200_0500] {
        m.physical_load(at, 4);
        m.physical_store(at, 4, 0x1234);
    }
    for _ in 0..4 {
        m.interrupt();
    }
    m.key(dev::keys::Key::from_number(0x1e).expect("A"), true);
    m.mouse(1, 2, 3, 4);
    m.serial_input(0, b"x");
    m.serial_output(1, &mut Vec::new());
    drop((m.frame(), m.text(), m.new_frame()));
}

/// Damages a snapshot as the input says.
pub fn damage(saved: &mut Saved, input: &mut Input) {
    for _ in 0..=input.byte() % 6 {
        if saved.sections.is_empty() {
            return;
        }
        let n = usize::from(input.byte()) % saved.sections.len();
        let kind = input.byte();
        let section = &mut saved.sections[n];
        let bytes = &mut section.bytes;
        let at = usize::from(input.word()) % (bytes.len() + 1);
        match kind % 16 {
            0..=4 if at < bytes.len() => bytes[at] = input.byte(),
            5 => drop(bytes.splice(at..at, varint(input))),
            6 | 7 => {
                // one number in place of another
                let end = bytes[at..].iter().position(|b| b & 0x80 == 0).map_or(bytes.len(), |n| at + n + 1);
                drop(bytes.splice(at..end, varint(input)));
            }
            8 => bytes.truncate(at),
            9 => drop(bytes.splice(at..at, input.string().iter().copied())),
            10 => {
                let end = bytes.len().min(at + usize::from(input.byte()));
                drop(bytes.drain(at..end));
            }
            11 => {
                let given = input.string();
                let end = bytes.len().min(at + given.len());
                drop(bytes.splice(at..end, given.iter().copied()));
            }
            12 => {
                let name = input.pick(&[
                    "memory.0",
                    "memory.1",
                    "memory.9",
                    "floppy0.0",
                    "ide0.0",
                    "ide1.3",
                    "ide2.0",
                ]);
                let bytes = input.string().to_vec();
                saved.sections.insert(n, Section { name: name.to_owned(), version: 1, bytes });
            }
            13 => {
                let copy = section.clone();
                let to = usize::from(input.byte()) % (saved.sections.len() + 1);
                saved.sections.insert(to, copy);
            }
            14 => drop(saved.sections.remove(n)),
            15 if kind & 16 == 0 => {
                let number = u64::from_le_bytes(input.array());
                section.name = format!("memory.{number}");
            }
            15 => section.version = input.word(),
            _ => {}
        }
    }
}

/// A number as the encoding has it, with those that are on an edge.
fn varint(input: &mut Input) -> Vec<u8> {
    let [kind, value] = input.array();
    let mut n = match kind & 3 {
        0 => u64::from(value),
        1 => (1u64 << (value & 63)).wrapping_sub((value >> 6).into()),
        2 => u64::MAX >> (value & 63),
        _ => u64::from_le_bytes(input.array()),
    };
    let mut out = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}
