//! The VGA with Bochs's VBE extensions (IBM VGA Technical Reference, "Video Subsystem"; Bochs's
//! vbe_display_api.txt). Its memory is the board's: [`crate::VideoMemory`], in which the four planes are
//! interleaved, byte `offset * 4 + plane`, and VBE modes lie in a line from 0.

mod font;
mod memory;
mod render;
#[cfg(test)]
mod tests;
mod text;
mod timing;
mod vbe;

use crate::VideoMemory;
use crate::pci::PciFunction;
use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;

/// Where the first I/O port is that offsets are relative to.
pub const FIRST_PORT: u16 = 0x3b0;
/// How many ports there are.
pub const PORTS: u16 = 0x30;
/// Where the memory window begins that memory offsets are relative to.
pub const WINDOW: u32 = 0xa_0000;
/// Bytes of that window.
pub const WINDOW_SIZE: u32 = 0x2_0000;
/// Bytes of one of the four planes.
const PLANE: usize = 0x1_0000;

const SEQ: [u8; 5] = [0x03, 0x00, 0x03, 0x00, 0x02];
const GC: [u8; 9] = [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff];
#[rustfmt::skip]
const CRTC: [u8; 25] = [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
#[rustfmt::skip]
const ATTRIBUTE: [u8; 21] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
    0x0c, 0x00, 0x0f, 0x08, 0x00,
];

pub use render::Frame;
pub use text::{Cell, Text};
use vbe::{Vbe, VbeStateV1};

/// The adapter.
#[derive(Debug)]
pub struct Vga {
    misc: u8,
    feature: u8,
    seq_index: u8,
    seq: [u8; 5],
    gc_index: u8,
    gc: [u8; 9],
    crtc_index: u8,
    crtc: [u8; 25],
    attr_index: u8,
    attr: [u8; 21],
    /// The next write to 3C0h is data.
    attr_data: bool,
    pel_mask: u8,
    dac_read: u8,
    dac_write: u8,
    /// Which of red, green and blue comes next.
    dac_component: u8,
    /// The last index was written for reading.
    dac_reading: bool,
    /// 256 colours of three components of 6 bits.
    palette: Vec<u8>,
    /// What the last read of memory has left, a byte a plane.
    latch: [u8; 4],
    vbe: Vbe,
}

impl Default for Vga {
    fn default() -> Self {
        Self::new()
    }
}

impl Vga {
    /// The adapter in mode 3 (80 by 25 in colour), as its BIOS leaves it; see [`Vga::blank_text`].
    pub fn new() -> Self {
        Vga {
            misc: 0x67,
            feature: 0,
            seq_index: 0,
            seq: SEQ,
            gc_index: 0,
            gc: GC,
            crtc_index: 0,
            crtc: CRTC,
            attr_index: 0x20,
            attr: ATTRIBUTE,
            attr_data: false,
            pel_mask: 0xff,
            dac_read: 0,
            dac_write: 0,
            dac_component: 0,
            dac_reading: false,
            palette: default_palette(),
            latch: [0; 4],
            vbe: Vbe::default(),
        }
    }

    /// The CRTC and status ports answer at 3Dxh, else at 3Bxh.
    fn colour(&self) -> bool {
        self.misc & 1 != 0
    }

    /// Port `offset` from 3B0h with 3B4h, 3B5h and 3BAh taken as 3D4h, 3D5h and 3DAh; `None` if it does not answer.
    fn port(&self, offset: u16) -> Option<u16> {
        match offset {
            0x04 | 0x05 | 0x0a => (!self.colour()).then_some(offset + 0x20),
            0x24 | 0x25 | 0x2a => self.colour().then_some(offset),
            _ => Some(offset),
        }
    }

    /// Reads port 3B0h + `offset`; FFh where nothing answers.
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        match self.port(offset) {
            Some(0x10) => self.attr_index,
            Some(0x11) => get(&self.attr, self.attr_index & 0x1f),
            Some(0x12) => 0x10, // input status 0: a display is there
            Some(0x14) => self.seq_index,
            Some(0x15) => get(&self.seq, self.seq_index),
            Some(0x16) => self.pel_mask,
            Some(0x17) => {
                if self.dac_reading {
                    3
                } else {
                    0
                }
            }
            Some(0x18) => self.dac_write,
            Some(0x19) => self.read_dac(),
            Some(0x1a) => self.feature,
            Some(0x1c) => self.misc,
            Some(0x1e) => self.gc_index,
            Some(0x1f) => get(&self.gc, self.gc_index),
            Some(0x24) => self.crtc_index,
            Some(0x25) => get(&self.crtc, self.crtc_index),
            Some(0x2a) => self.read_status_1(now),
            _ => 0xff,
        }
    }

    /// Writes port 3B0h + `offset`.
    pub fn write(&mut self, offset: u16, value: u8) {
        match self.port(offset) {
            Some(0x10) => self.write_attribute(value),
            Some(0x12) => self.misc = value,
            Some(0x14) => self.seq_index = value & 7,
            Some(0x15) => put(&mut self.seq, self.seq_index, value),
            Some(0x16) => self.pel_mask = value,
            Some(0x17) => (self.dac_read, self.dac_component, self.dac_reading) = (value, 0, true),
            Some(0x18) => (self.dac_write, self.dac_component, self.dac_reading) = (value, 0, false),
            Some(0x19) => self.write_dac(value),
            Some(0x1e) => self.gc_index = value & 15,
            Some(0x1f) => put(&mut self.gc, self.gc_index, value),
            Some(0x24) => self.crtc_index = value & 0x3f,
            Some(0x25) => self.write_crtc(value),
            Some(0x2a) => self.feature = value,
            _ => {}
        }
    }

    /// Input status 1: bit 0 display disabled (a retrace of either kind), bit 3 vertical retrace. Reading it
    /// makes the next write to 3C0h an index.
    fn read_status_1(&mut self, now: Nanos) -> u8 {
        self.attr_data = false;
        let beam = self.timing().beam(now);
        u8::from(!beam.displaying) | u8::from(beam.retrace) << 3
    }

    fn write_attribute(&mut self, value: u8) {
        self.attr_data = !self.attr_data;
        if self.attr_data {
            self.attr_index = value & 0x3f;
            return;
        }
        // While the palette is shown (bit 5 of the index), its 16 registers do not change.
        let index = self.attr_index & 0x1f;
        if index >= 16 || self.attr_index & 0x20 == 0 {
            put(&mut self.attr, index, value);
        }
    }

    /// Bit 7 of register 11h protects registers 0-7, but for bit 4 of register 7.
    fn write_crtc(&mut self, value: u8) {
        let protected = self.crtc[0x11] & 0x80 != 0;
        match self.crtc_index {
            7 if protected => self.crtc[7] = self.crtc[7] & !0x10 | value & 0x10,
            0..=7 if protected => {}
            index => put(&mut self.crtc, index, value),
        }
    }

    fn read_dac(&mut self) -> u8 {
        let value = self.palette[usize::from(self.dac_read) * 3 + usize::from(self.dac_component % 3)];
        self.dac_component = (self.dac_component + 1) % 3;
        self.dac_read = self.dac_read.wrapping_add(u8::from(self.dac_component == 0));
        value
    }

    fn write_dac(&mut self, value: u8) {
        let at = usize::from(self.dac_write) * 3 + usize::from(self.dac_component % 3);
        self.palette[at] = if self.vbe.wide_dac() { value } else { value & 0x3f };
        self.dac_component = (self.dac_component + 1) % 3;
        self.dac_write = self.dac_write.wrapping_add(u8::from(self.dac_component == 0));
    }

    fn crtc_word(&self, high: usize) -> usize {
        usize::from(self.crtc[high]) << 8 | usize::from(self.crtc[high + 1])
    }

    /// Writes a VBE register; switching a mode on may clear the memory.
    pub fn write_vbe(&mut self, offset: u16, value: u16, vram: &mut dyn VideoMemory) {
        let was_on = self.vbe.is_on();
        if self.vbe.write(offset, value, vram.size()) {
            vbe::clear(vram, self.vbe.bytes());
        }
        if self.vbe.is_on() && !was_on {
            self.enter_vbe();
        }
    }

    /// The VGA's registers become those of a VBE mode: a window of 64 KiB at A0000h, its bytes in a row
    /// or, of 4 bits a pixel, each an address of four planes.
    fn enter_vbe(&mut self) {
        self.gc[6] = self.gc[6] & !0x0c | 0x05;
        self.gc[5] &= !0x70;
        self.seq[1] &= !8;
        self.seq[4] = self.seq[4] & !8 | if self.vbe.is_linear() { 0x0c } else { 4 };
        if self.vbe.is_linear() {
            self.gc[5] |= 0x40;
            self.seq[2] |= 15;
        }
    }

    /// Reads a VBE register: the index at offset 0, the data at 1.
    pub fn read_vbe(&self, offset: u16, vram_size: u32) -> u16 {
        self.vbe.read(offset, vram_size)
    }

    /// The part of video memory that is shown now: its first byte and its length.
    pub fn visible_range(&self) -> (u32, u32) {
        if self.vbe.is_on() { self.vbe.visible() } else { (0, 4 * PLANE as u32) }
    }

    /// The colour of attribute colour `index` (0-15) as red, green and blue of 8 bits.
    pub fn colour_of(&self, index: u8) -> [u8; 3] {
        let attr = self.attr[usize::from(index & 15)] & 0x3f;
        let select = self.attr[0x14];
        let low = if self.attr[0x10] & 0x80 != 0 { attr & 0x0f | (select & 3) << 4 } else { attr };
        let dac = usize::from((low | (select & 0x0c) << 4) & self.pel_mask) * 3;
        self.dac(dac / 3)
    }

    /// A colour of the DAC with 8 bits a component.
    fn dac(&self, index: usize) -> [u8; 3] {
        let wide = self.vbe.wide_dac();
        [0, 1, 2].map(|i| {
            let c = self.palette[index * 3 + i];
            if wide { c } else { c << 2 | c >> 4 }
        })
    }

    fn check(s: &VgaStateV1) -> Result<(), StateError> {
        ensure(s.palette.len() == 768, "vga", "palette")?;
        ensure(s.vbe.fits(), "vga", "vbe")?;
        ensure(s.dac_component < 3, "vga", "dac_component")?;
        ensure(s.seq_index < 8 && s.gc_index < 16, "vga", "seq_index, gc_index")?;
        ensure(s.crtc_index < 64 && s.attr_index < 64, "vga", "crtc_index, attr_index")
    }
}

fn get(registers: &[u8], index: u8) -> u8 {
    registers.get(usize::from(index)).copied().unwrap_or(0)
}

fn put(registers: &mut [u8], index: u8, value: u8) {
    if let Some(register) = registers.get_mut(usize::from(index)) {
        *register = value;
    }
}

/// The adapter on the PCI bus, 1234:1111: memory at BAR 0, registers at BAR 2.
pub fn pci_function(memory: u32) -> PciFunction {
    PciFunction::new(0x1234, 0x1111, 0x03_0000, 2)
        .writable(0x04, &[0x03, 0x01])
        .with(0x04, &[0x03])
        .with_bar(0, memory, false)
        .with_bar(2, 0x1000, false)
        .with(0x2c, &[0xf4, 0x1a, 0x00, 0x11])
}

/// The 64 colours of the EGA: bits 0-2 are blue, green and red at two thirds, bits 3-5 at one third.
fn default_palette() -> Vec<u8> {
    let component = |i: usize, bit: usize| (i >> bit & 1) as u8 * 42 + (i >> (bit + 3) & 1) as u8 * 21;
    (0..256).flat_map(|i| [2, 1, 0].map(|bit| component(i, bit))).collect()
}

frozen! {
    /// The adapter, version 1.
    VgaStateV1 of Vga {
        misc: u8, feature: u8, seq_index: u8, seq: [u8; 5], gc_index: u8, gc: [u8; 9], crtc_index: u8, crtc: [u8; 25],
        attr_index: u8, attr: [u8; 21], attr_data: bool, pel_mask: u8, dac_read: u8, dac_write: u8, dac_component: u8,
        dac_reading: bool, palette: Vec<u8>, latch: [u8; 4], vbe: VbeStateV1,
    }
}
device_state!(Vga, VgaState, VgaStateV1);
