//! One operation on a machine, of those that its guest and its user have.

use crate::{Input, Rig};
use dev::keys::Key;
use machine::Nanos;

/// Where the targets put the display's memory and registers.
pub const FRAME_BUFFER: u32 = 0xe000_0000;
/// See [`FRAME_BUFFER`].
pub const DISPLAY_REGISTERS: u32 = 0xe200_0000;

/// Ranges of ports, so that each is hit as often as another.
const PORTS: &[(u16, u8)] = &[
    (0x00, 16),
    (0x80, 16),
    (0xc0, 32),
    (0x20, 2),
    (0xa0, 2),
    (0x40, 4),
    (0x60, 5),
    (0x61, 1),
    (0x92, 1),
    (0x70, 2),
    (0x3f8, 8),
    (0x2f8, 8),
    (0x3f0, 8),
    (0x1f0, 8),
    (0x170, 8),
    (0x3f6, 1),
    (0x376, 1),
    (0xc040, 16),
    (0x3b0, 0x30),
    (0x3c0, 0x20),
    (0x1ce, 2),
    (0xcf8, 8),
    (0xcf9, 1),
    (0xb000, 0x40),
    (0xb2, 2),
    (0x510, 2),
    (0xe9, 1),
    (0x402, 1),
    (0x4d0, 2),
    (0xf0, 1),
    (0x80, 1),
    (0xc000, 32),
    (0x300, 32),
    (0xae00, 32),
    (0xaf00, 32),
];
const VGA_PORTS: &[(u16, u8)] = &[(0x3b0, 0x30), (0x3c0, 0x20), (0x1ce, 2), (0xcf8, 8)];
/// Index and data.
const PAIRS: [(u16, u16); 7] = [
    (0x3c4, 0x3c5),
    (0x3ce, 0x3cf),
    (0x3d4, 0x3d5),
    (0x3b4, 0x3b5),
    (0x3c0, 0x3c0),
    (0x3c8, 0x3c9),
    (0x70, 0x71),
];
/// Places on the PCI bus.
const PLACES: [u8; 7] = [0, 8, 9, 11, 16, 24, 32];
/// Where memory of devices is.
const MEMORY: [(u32, u32); 7] = [
    (0xa_0000, 0x1_0000),
    (0xb_0000, 0x1_0000),
    (FRAME_BUFFER, 0x100_0000),
    (DISPLAY_REGISTERS + 0x400, 0x20),
    (DISPLAY_REGISTERS + 0x500, 0x16),
    (0xfee0_0000, 0x400),
    (0xfec0_0000, 0x40),
];
/// Registers of a mode of the display, of which an input changes some: sequencer 1 to 4, graphics 5 and 6,
/// CRTC 9 and 17h, attribute 10h.
const MODES: [[u8; 9]; 6] = [
    [0x00, 0x03, 0x00, 0x02, 0x10, 0x0e, 0x4f, 0xa3, 0x0c],
    [0x01, 0x0f, 0x00, 0x06, 0x00, 0x05, 0x40, 0xe3, 0x01],
    [0x01, 0x0f, 0x00, 0x0e, 0x40, 0x05, 0x41, 0xa3, 0x41],
    [0x01, 0x0f, 0x00, 0x06, 0x40, 0x05, 0x41, 0xe3, 0x41],
    [0x09, 0x03, 0x00, 0x02, 0x30, 0x0f, 0xc1, 0xa2, 0x01],
    [0x01, 0x01, 0x00, 0x06, 0x00, 0x0d, 0xc1, 0xc2, 0x01],
];

/// Of what the operations are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// Everything that has ports.
    Ports,
    /// The display and the APICs.
    Memory,
}

/// Takes an operation from the input and does it.
pub fn step(rig: &mut Rig, input: &mut Input, devices: Devices) {
    let kind = input.byte();
    match devices {
        Devices::Memory => memory_step(rig, input, kind),
        Devices::Ports => match kind % 32 {
            0..=7 => ports(rig, input, kind % 8, PORTS),
            8 | 9 => ram(rig, input),
            10..=12 => pass(rig, input.time()),
            13..=18 => drives(rig, input, kind % 6),
            19 => indexed(rig, input),
            20 => vbe(rig, input),
            21 => configuration(rig, input),
            22 | 23 => card(rig, input),
            24 | 25 => user(rig, input),
            26 => interrupts(rig, input),
            27 => drop(rig.machine.new_frame()),
            28 => look(rig, input),
            29 => rig.change((input.byte() % 4).into()),
            30 => mode(rig, input),
            _ => board(rig, input),
        },
    }
}

fn memory_step(rig: &mut Rig, input: &mut Input, kind: u8) {
    match kind % 24 {
        0..=5 => device_memory(rig, input),
        6..=8 => fill(rig, input),
        9 | 10 => indexed(rig, input),
        11 | 12 => vbe(rig, input),
        13 => mode(rig, input),
        14 => ports(rig, input, kind % 8, VGA_PORTS),
        15 => pass(rig, input.time()),
        16 => configuration(rig, input),
        17 => apic(rig, input),
        18 => interrupts(rig, input),
        19 => look(rig, input),
        20 => drop(rig.machine.new_frame()),
        21 => ports(rig, input, kind % 8, PORTS),
        22 => apic_base(rig, input),
        _ => board(rig, input),
    }
}

/// Reads and writes of ports, single ones and strings of them.
fn ports(rig: &mut Rig, input: &mut Input, kind: u8, table: &[(u16, u8)]) {
    let (first, count) = input.pick(table);
    let port = first.wrapping_add(u16::from(input.byte() % count));
    let m = &mut rig.machine;
    match kind {
        0..=2 => m.port_out(port, 1, input.byte().into()),
        3 | 4 => drop(m.port_in(port, 1)),
        5 => {
            let size = input.pick(&[2, 4]);
            let value = if size == 2 { input.word().into() } else { input.dword() };
            m.port_out(port, size, value);
        }
        6 => {
            let size = input.pick(&[1, 2, 4]);
            for chunk in input.string().chunks(size) {
                let value = chunk.iter().rev().fold(0, |v, &b| v << 8 | u32::from(b));
                m.port_out(port, size as u32, value);
            }
        }
        _ => {
            let [size, count] = input.array();
            for _ in 0..=u16::from(count) * if size & 4 != 0 { 8 } else { 1 } {
                m.port_in(port, 1 << (size % 3));
            }
        }
    }
}

/// Stores into RAM: what DMA reads, and tables of physical regions.
fn ram(rig: &mut Rig, input: &mut Input) {
    let at = u32::from(input.byte()) << 4;
    let bytes = input.string();
    for (n, &b) in bytes.iter().enumerate() {
        rig.machine.physical_store(at + n as u32, 1, b.into());
    }
}

fn pass(rig: &mut Rig, time: Nanos) {
    rig.machine.pass(time);
}

/// Commands of the drives.
fn drives(rig: &mut Rig, input: &mut Input, kind: u8) {
    let base = input.pick(&[0x1f0, 0x170]);
    let m = &mut rig.machine;
    match kind {
        0 | 1 => {
            // the task file, with the previous bytes for 48-bit commands
            for port in [1, 2, 2, 3, 3, 4, 5, 6, 7] {
                m.port_out(base + port, 1, input.byte().into());
            }
        }
        2 => {
            let [drive, features, count] = input.array();
            m.port_out(base + 6, 1, u32::from(drive));
            m.port_out(base + 1, 1, features.into());
            m.port_out(base + 4, 1, count.into());
            m.port_out(base + 5, 1, u32::from(count >> 4));
            m.port_out(base + 7, 1, 0xa0);
            m.pass(2_000_000);
            for word in input.array::<12>().chunks(2) {
                m.port_out(base, 2, u32::from(word[0]) | u32::from(word[1]) << 8);
            }
            m.pass(20_000_000);
        }
        3 => {
            // a table of one or two regions, and the engine started
            let [at, low, high, count, command] = input.array();
            let table = u32::from(at) << 4;
            let region = u64::from(low) << 1 | u64::from(high) << 13 | u64::from(count) << 33;
            m.physical_store(table, 8, region | u64::from(command >> 7) << 63);
            let port = 0xc040 + (base & 0x80 ^ 0x80) / 16;
            m.port_out(port + 4, 4, table);
            m.port_out(port, 1, command.into());
        }
        4 => {
            // a floppy command; each of its bytes when the controller has had time
            for &byte in input.string().iter().take(12) {
                m.port_out(0x3f5, 1, byte.into());
                m.pass(50_000);
            }
        }
        _ => {
            // channel 2 of the DMA controller
            let [mode, address, page, count, mask] = input.array();
            m.port_out(0x0b, 1, mode.into());
            m.port_out(0x0c, 1, 0);
            m.port_out(0x04, 1, address.into());
            m.port_out(0x04, 1, address.into());
            m.port_out(0x81, 1, u32::from(page));
            m.port_out(0x05, 1, count.into());
            m.port_out(0x05, 1, u32::from(count >> 3));
            m.port_out(0x0a, 1, mask.into());
        }
    }
}

/// A register behind an index.
fn indexed(rig: &mut Rig, input: &mut Input) {
    let (index_port, data) = input.pick(&PAIRS);
    let [index, value] = input.array();
    if index_port == 0x3c0 {
        rig.machine.port_in(0x3da, 1);
    }
    rig.machine.port_out(index_port, 1, index.into());
    rig.machine.port_out(data, 1, value.into());
}

fn vbe(rig: &mut Rig, input: &mut Input) {
    let index = input.byte() % 12;
    let value = input.word();
    rig.machine.port_out(0x1ce, 2, index.into());
    rig.machine.port_out(0x1cf, 2, value.into());
    rig.machine.port_in(0x1cf, 2);
}

/// A register of PCI's configuration.
fn configuration(rig: &mut Rig, input: &mut Input) {
    let (place, register) = (input.pick(&PLACES), input.byte());
    let size = input.pick(&[1, 2, 4]);
    let value = input.dword();
    rig.pci(place, register, size, value);
    rig.machine.port_in(0xcfc, 4);
}

/// The network card: sets it up, or sends a frame.
fn card(rig: &mut Rig, input: &mut Input) {
    let (base, kind) = (input.pick(&[0xc000, 0x300]), input.byte());
    let m = &mut rig.machine;
    let mut out = |offset: u16, value: u8| m.port_out(base + offset, 1, value.into());
    if kind & 1 == 0 {
        // ring, boundary, current page, what is received, and started
        let [start, stop, receive, transmit] = input.array();
        for (offset, value) in [(0, 0x21), (0xe, 0x49), (1, start), (2, stop), (3, start)] {
            out(offset, value);
        }
        for (offset, value) in [(0xc, receive), (0xd, transmit), (7, 0xff), (0xf, 0x7f)] {
            out(offset, value);
        }
        for (offset, value) in [(0, 0x61), (7, start.wrapping_add(1)), (0, 0x22)] {
            out(offset, value);
        }
        return;
    }
    let page = input.byte();
    let frame = input.string();
    let len = frame.len().max(usize::from(kind & 0xfe) * 6) as u16;
    let [low, high] = (frame.len() as u16).to_le_bytes();
    for (offset, value) in [(0, 0x22), (8, 0), (9, page), (0xa, low), (0xb, high), (0, 0x12)] {
        out(offset, value);
    }
    frame.iter().for_each(|&b| out(16, b));
    let [low, high] = len.to_le_bytes();
    for (offset, value) in [(4, page), (5, low), (6, high), (0, 0x26)] {
        out(offset, value);
    }
}

/// Keys, the mouse, a line, buttons.
fn user(rig: &mut Rig, input: &mut Input) {
    let m = &mut rig.machine;
    match input.byte() % 8 {
        0 | 1 => {
            let [key, down] = input.array();
            if let Some(key) = Key::from_number(key.into()) {
                m.key(key, down & 1 != 0);
            }
        }
        2 => {
            let [dx, dy, dz, buttons] = input.array();
            m.mouse((dx as i8).into(), (dy as i8).into(), (dz as i8).into(), buttons);
        }
        3 => m.mouse(input.dword() as i32, input.dword() as i32, input.dword() as i32, input.byte()),
        4 => {
            let port = (input.byte() & 1).into();
            m.serial_input(port, input.string());
        }
        5 => m.serial_output((input.byte() & 1).into(), &mut Vec::new()),
        6 => m.power_button(),
        _ => m.nmi_button(),
    }
}

/// The CPU acknowledges interrupts, and ends them.
fn interrupts(rig: &mut Rig, input: &mut Input) {
    let end = input.byte();
    for _ in 0..8 {
        if rig.machine.interrupt().is_none() {
            break;
        }
        if end & 1 != 0 {
            rig.machine.port_out(0xa0, 1, 0x20);
            rig.machine.port_out(0x20, 1, 0x20);
        }
        if end & 2 != 0 {
            rig.machine.physical_store(0xfee0_00b0, 4, 0);
        }
    }
}

fn look(rig: &mut Rig, input: &mut Input) {
    let m = &mut rig.machine;
    match input.byte() % 4 {
        0 => {
            let frame = m.frame();
            assert_eq!(frame.pixels.len(), frame.width * frame.height);
        }
        1 => {
            if let Some(text) = m.text() {
                assert_eq!(text.cells.len(), text.rows * text.cols);
                (0..text.rows).for_each(|row| drop(text.row(row)));
            }
        }
        2 => m.read_physical(input.dword().into(), &mut [0; 300]),
        _ => drop((m.info_pic(), m.info_registers(), m.info_mem(), m.describe())),
    }
}

/// Registers of a mode of the display, some of them changed.
fn mode(rig: &mut Rig, input: &mut Input) {
    const WHERE: [(u16, u8); 9] = [
        (0x3c4, 1),
        (0x3c4, 2),
        (0x3c4, 3),
        (0x3c4, 4),
        (0x3ce, 5),
        (0x3ce, 6),
        (0x3d4, 9),
        (0x3d4, 0x17),
        (0x3c0, 0x30),
    ];
    let values = input.pick(&MODES);
    let [which, change] = input.array();
    let m = &mut rig.machine;
    m.port_in(0x3da, 1);
    for (n, ((port, index), value)) in WHERE.into_iter().zip(values).enumerate() {
        let value = if usize::from(which) == n { change } else { value };
        m.port_out(port, 1, index.into());
        m.port_out(if port == 0x3c0 { port } else { port + 1 }, 1, value.into());
    }
}

/// What the board does: resets, the CPU's turn.
fn board(rig: &mut Rig, input: &mut Input) {
    let m = &mut rig.machine;
    match input.byte() % 8 {
        0 => m.reset(),
        1 => {
            let requests = m.board().take_requests();
            if requests.reset {
                m.reset();
            }
        }
        // these media fail at times
        2 => drop(m.board().flush_media()),
        3 => m.board().debug_output(&mut Vec::new()),
        4 => m.drop_shadows(),
        _ => {
            let limit = m.cpu().retired + 500;
            m.run(limit);
        }
    }
}

fn device_address(input: &mut Input) -> u32 {
    let (first, len) = input.pick(&MEMORY);
    let offset = match len {
        0x1_0000 => input.word().into(),
        0x400 => u32::from(input.byte()) << 4,
        0x100_0000 => input.dword(),
        _ => input.byte().into(),
    };
    first + offset % len
}

fn device_memory(rig: &mut Rig, input: &mut Input) {
    let (at, kind) = (device_address(input), input.byte());
    let size = [1, 2, 4, 8, 3, 4][usize::from(kind >> 1) % 6];
    match kind & 1 {
        0 => drop(rig.machine.physical_load(at, size)),
        _ => rig.machine.physical_store(at, size, u64::from(input.dword()) * 0x1_0001),
    }
}

/// A run of stores, as a program fills the screen or copies by the latches.
fn fill(rig: &mut Rig, input: &mut Input) {
    let at = device_address(input);
    let [count, step, value, kind] = input.array();
    let mut place = at;
    for n in 0..=u32::from(count) {
        if kind & 1 != 0 {
            rig.machine.physical_load(place, 1);
        }
        let next = if kind & 2 != 0 { value.wrapping_add(n as u8) } else { value };
        rig.machine.physical_store(place, 1, next.into());
        place = place.wrapping_add(step.into());
    }
}

/// A register of the APICs that is one.
fn apic(rig: &mut Rig, input: &mut Input) {
    const LOCAL: [u32; 14] =
        [0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320, 0x350, 0x360, 0x380, 0x3e0];
    let m = &mut rig.machine;
    let [which, index] = input.array();
    if which & 1 == 0 {
        let value = input.dword();
        let base = u64::from(machine_apic(m));
        m.physical_store((base as u32) + LOCAL[usize::from(index) % LOCAL.len()], 4, value.into());
    } else {
        m.physical_store(0xfec0_0000, 4, (index % 0x42).into());
        m.physical_store(0xfec0_0010, 4, input.dword().into());
    }
}

fn machine_apic(m: &mut machine::Machine) -> u32 {
    m.apic_base() & 0xffff_f000
}

fn apic_base(rig: &mut Rig, input: &mut Input) {
    let [place, enable] = input.array();
    let page = match place {
        0..=0x7f => 0xfee0_0000,
        // somewhere in RAM, in the video window, in the BIOS
        _ => u32::from(place & 0x7f) << 14,
    };
    rig.machine.set_apic_base(page | 0x100 | u32::from(enable & 1 == 0) << 11);
}
