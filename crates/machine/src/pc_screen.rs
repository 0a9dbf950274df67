//! What the board's display shows.

use crate::Pc;
use crate::pc_memory::{FLASH, VIDEO, Video};
use dev::Nanos;
use dev::vga::{Frame, Text, VgaState};
use mem::Memory;

/// What the last picture was made of, video memory aside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    adapter: VgaState,
    /// Of the cursor and of blinking characters.
    phase: u64,
}

impl Pc {
    /// What a text mode shows; `None` in a graphics mode.
    pub(crate) fn text(&self, mem: &mut Memory) -> Option<Text> {
        self.vga.is_text().then(|| self.vga.text(&Video(mem)))
    }

    /// The picture on the screen.
    pub(crate) fn frame(&self, mem: &mut Memory, now: Nanos) -> Frame {
        self.vga.frame(&Video(mem), now)
    }

    /// The picture, if it may be another one than at the last call: the traces of video memory say whether it
    /// was written.
    pub(crate) fn new_frame(&mut self, mem: &mut Memory, now: Nanos) -> Option<Frame> {
        let (start, len) = self.vga.visible_range();
        let start = start.min(VIDEO);
        let len = len.min(VIDEO - start);
        let written = !mem.take_screen_writes(mem.bank() + FLASH + start, len).is_empty();
        let shown = Some(Shown { adapter: self.vga.save(), phase: self.vga.phase(now) });
        let same = !written && self.shown == shown;
        self.shown = shown;
        (!same).then(|| self.frame(mem, now))
    }

    /// The colours of a text mode's sixteen attributes.
    pub fn text_colours(&self) -> [[u8; 3]; 16] {
        std::array::from_fn(|n| self.vga.colour_of(n as u8))
    }
}
