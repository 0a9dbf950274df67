//! Bochs's VBE extensions: an index register at 1CEh and a data register at 1CFh.

use crate::VideoMemory;
use crate::state::frozen;

/// The highest version, which has the size of memory and the 8-bit DAC.
const ID: u16 = 0xb0c5;
/// The largest mode.
const MOST_X: u16 = 1600;
const MOST_Y: u16 = 1200;
const MOST_DEPTH: u16 = 32;
/// Bytes of the largest video memory: what lies in a line is numbered by 24 bits.
const MOST_MEMORY: u32 = 1 << 24;
/// Registers.
mod index {
    pub(super) const ID: u16 = 0;
    pub(super) const XRES: u16 = 1;
    pub(super) const YRES: u16 = 2;
    pub(super) const BPP: u16 = 3;
    pub(super) const ENABLE: u16 = 4;
    pub(super) const BANK: u16 = 5;
    pub(super) const VIRT_WIDTH: u16 = 6;
    pub(super) const VIRT_HEIGHT: u16 = 7;
    pub(super) const X_OFFSET: u16 = 8;
    pub(super) const Y_OFFSET: u16 = 9;
    pub(super) const MEMORY: u16 = 10;
}
/// The enable register.
const ON: u16 = 0x01;
const CAPABILITIES: u16 = 0x02;
const WIDE_DAC: u16 = 0x20;
const KEEP_MEMORY: u16 = 0x80;

/// The extension's registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vbe {
    selected: u16,
    id: u16,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) depth: u16,
    enable: u16,
    bank: u16,
    pub(super) virtual_width: u16,
    pub(super) x: u16,
    pub(super) y: u16,
}

impl Default for Vbe {
    fn default() -> Vbe {
        Vbe {
            selected: 0,
            id: ID,
            width: 640,
            height: 480,
            depth: 8,
            enable: 0,
            bank: 0,
            virtual_width: 640,
            x: 0,
            y: 0,
        }
    }
}

frozen! {
    /// The extension's registers, version 1.
    VbeStateV1 of Vbe {
        selected: u16, id: u16, width: u16, height: u16, depth: u16, enable: u16, bank: u16, virtual_width: u16,
        x: u16, y: u16,
    }
}

impl VbeStateV1 {
    /// Whether the extension can hold this.
    pub(super) fn fits(&self) -> bool {
        let depth = matches!(self.depth, 4 | 8 | 15 | 16 | 24 | 32);
        let size = (1..=MOST_X).contains(&self.width) && (1..=MOST_Y).contains(&self.height);
        let lines = u32::from(self.y) + u32::from(self.height);
        let room =
            stride(self.virtual_width, self.depth).checked_mul(lines).is_some_and(|n| n <= MOST_MEMORY);
        let across = self.virtual_width.checked_sub(self.width).is_some_and(|rest| self.x <= rest);
        depth && size && room && across
    }
}

/// Bytes of a line of so many pixels.
fn stride(width: u16, depth: u16) -> u32 {
    let width = u32::from(width);
    match depth {
        4 => width / 8 * 4,
        15 => width * 2,
        d => width * u32::from(d / 8),
    }
}

impl Vbe {
    /// A mode is on.
    pub(super) fn is_on(&self) -> bool {
        self.enable & ON != 0
    }

    /// A mode is on whose memory is a line of pixels.
    pub(super) fn is_linear(&self) -> bool {
        self.is_on() && self.depth > 4
    }

    /// The DAC has 8 bits a component.
    pub(super) fn wide_dac(&self) -> bool {
        self.enable & WIDE_DAC != 0
    }

    /// The place in video memory of an offset in the window.
    pub(super) fn banked(&self, offset: u32) -> u32 {
        (u32::from(self.bank) << 16).wrapping_add(offset)
    }

    /// Bytes of a line in memory.
    pub(super) fn stride(&self) -> u32 {
        stride(self.virtual_width, self.depth)
    }

    /// Bytes of a whole picture.
    pub(super) fn bytes(&self) -> u32 {
        self.stride() * u32::from(self.height)
    }

    /// First byte shown, and how many from there on. A wider line than there was when the first line was
    /// chosen moves it beyond the end of memory.
    pub(super) fn visible(&self) -> (u32, u32) {
        let left = match self.depth {
            4 => u32::from(self.x) / 8 * 4,
            _ => self.stride() / u32::from(self.virtual_width.max(1)) * u32::from(self.x),
        };
        (self.stride() * u32::from(self.y) + left, self.bytes())
    }

    pub(super) fn read(&self, offset: u16, memory: u32) -> u16 {
        if offset == 0 {
            return self.selected;
        }
        let capabilities = self.enable & CAPABILITIES != 0;
        match self.selected {
            index::ID => self.id,
            index::XRES if capabilities => MOST_X,
            index::YRES if capabilities => MOST_Y,
            index::BPP if capabilities => MOST_DEPTH,
            index::XRES => self.width,
            index::YRES => self.height,
            index::BPP => self.depth,
            index::ENABLE => self.enable,
            index::BANK => self.bank,
            index::VIRT_WIDTH => self.virtual_width,
            index::VIRT_HEIGHT => u16::try_from(memory / self.stride().max(1)).unwrap_or(u16::MAX),
            index::X_OFFSET => self.x,
            index::Y_OFFSET => self.y,
            index::MEMORY => (memory >> 16) as u16,
            _ => 0xffff,
        }
    }

    /// Writes a register; whether the mode's memory is to be cleared.
    pub(super) fn write(&mut self, offset: u16, value: u16, memory: u32) -> bool {
        if offset == 0 {
            self.selected = value;
            return false;
        }
        match self.selected {
            index::ID if (0xb0c0..=ID).contains(&value) => self.id = value,
            index::XRES..=index::BPP if !self.is_on() => self.shape(value),
            index::ENABLE => return self.switch(value, memory),
            index::BANK => self.bank = value & 0x1ff,
            index::VIRT_WIDTH if value >= self.width => self.widen(value, memory),
            index::X_OFFSET if value <= self.virtual_width - self.width => self.x = value,
            index::Y_OFFSET => self.scroll(value, memory),
            _ => {}
        }
        false
    }

    /// Width, height or depth of the mode to come, which begins with no more than that in memory.
    fn shape(&mut self, value: u16) {
        match self.selected {
            index::XRES if (1..=MOST_X).contains(&value) => self.width = value,
            index::YRES if (1..=MOST_Y).contains(&value) => self.height = value,
            index::BPP if value == 0 => self.depth = 8,
            index::BPP if matches!(value, 4 | 8 | 15 | 16 | 24 | 32) => self.depth = value,
            _ => return,
        }
        (self.virtual_width, self.x, self.y) = (self.width, 0, 0);
    }

    /// A width in memory for which there is room.
    fn widen(&mut self, width: u16, memory: u32) {
        let lines = u32::from(self.y) + u32::from(self.height);
        let room = stride(width, self.depth).checked_mul(lines).is_some_and(|n| n <= memory.min(MOST_MEMORY));
        if room {
            self.virtual_width = width;
            self.x = self.x.min(width - self.width);
        }
    }

    fn scroll(&mut self, y: u16, memory: u32) {
        let lines = memory / self.stride().max(1);
        if u32::from(y) + u32::from(self.height) <= lines {
            self.y = y;
        }
    }

    fn switch(&mut self, value: u16, memory: u32) -> bool {
        let before =
            std::mem::replace(&mut self.enable, value & (ON | CAPABILITIES | 0x40 | WIDE_DAC | KEEP_MEMORY));
        let starts = value & ON != 0 && before & ON == 0;
        if starts {
            (self.virtual_width, self.x, self.y, self.bank) = (self.width, 0, 0, 0);
            if self.bytes() > memory {
                self.enable &= !ON;
                return false;
            }
        }
        starts && value & KEEP_MEMORY == 0
    }
}

/// Zeroes the first bytes of video memory.
pub(super) fn clear(vram: &mut dyn VideoMemory, bytes: u32) {
    let zeroes = [0; 4096];
    for at in (0..bytes).step_by(4096) {
        vram.write(at, &zeroes[..(bytes - at).min(4096) as usize]);
    }
}
