//! Keys that wait until the keyboard has room and the guest has had time for those before.

use crate::{Machine, Nanos};
use dev::keys::Key;
use std::collections::VecDeque;

/// Virtual time between two strokes: quicker than a person, slow enough for a BIOS buffer of
/// sixteen that a program empties at each timer tick.
const PACE: Nanos = 12_000_000;
/// Strokes that may wait; what is pasted beyond them is lost.
const MOST: usize = 16 << 10;

/// A key pressed or released.
pub type Stroke = (Key, bool);

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Wait {
    Stroke(Stroke),
    Pause(Nanos),
}

/// The strokes that wait.
#[derive(Debug, Default)]
pub struct Typist {
    waiting: VecDeque<Wait>,
    next: Nanos,
}

impl Typist {
    /// Presses or releases a key. What was pressed is released, however many wait.
    pub fn stroke(&mut self, key: Key, down: bool) {
        if self.waiting.len() < if down { MOST } else { 2 * MOST } {
            self.waiting.push_back(Wait::Stroke((key, down)));
        }
    }

    /// Forgets what waits, for a machine that starts anew or at another time.
    pub fn clear(&mut self) {
        *self = Typist::default();
    }

    /// Lets time pass before the next stroke.
    pub fn pause(&mut self, time: Nanos) {
        if self.waiting.len() < MOST {
            self.waiting.push_back(Wait::Pause(time));
        }
    }

    /// Presses keys one after the other, and releases them in the opposite order.
    pub fn chord(&mut self, keys: &[Key]) {
        keys.iter().for_each(|&k| self.stroke(k, true));
        keys.iter().rev().for_each(|&k| self.stroke(k, false));
    }

    /// Types text on a US keyboard; characters that it has not are left out.
    pub fn text(&mut self, text: &str) {
        let shift = Key::from_qcode("shift");
        for (key, shifted) in text.chars().filter_map(Key::for_char) {
            let keys: Vec<Key> = shift.filter(|_| shifted).into_iter().chain([key]).collect();
            self.chord(&keys);
        }
    }

    /// Whether everything was typed.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives the machine what its keyboard takes by now.
    pub fn pump(&mut self, machine: &mut Machine) {
        while let Some(&next) = self.waiting.front() {
            let now = machine.now();
            if now < self.next {
                return;
            }
            let time = match next {
                Wait::Pause(time) => time,
                Wait::Stroke((key, down)) if machine.key(key, down) => PACE,
                Wait::Stroke(_) => return,
            };
            self.waiting.pop_front();
            self.next = now + time;
        }
    }
}
