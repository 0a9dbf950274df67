//! The terminal: raw while a guest has it, restored whatever happens.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, stdin};

/// A terminal in raw mode; dropping it restores what was before.
pub(crate) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Makes standard input's terminal raw; `None` where it is no terminal.
    pub(crate) fn enter() -> Option<RawTerminal> {
        if !stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // output stays cooked enough for messages of our own
        raw.output_modes = before.output_modes;
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(RawTerminal { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // nothing better can be done where even this fails
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// What the user typed, with the escape sequences of Ctrl-a taken out.
#[derive(Default)]
pub(crate) struct Escapes {
    pending: bool,
}

/// Ctrl-a.
const ESCAPE: u8 = 1;

impl Escapes {
    /// Splits input into bytes for the guest; `None` where Ctrl-a x asks for the end.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(typed.len());
        for &b in typed {
            match (std::mem::take(&mut self.pending), b) {
                (true, b'x' | b'X') => return None,
                (true, ESCAPE) => out.push(ESCAPE),
                (true, other) => out.extend([ESCAPE, other]),
                (false, ESCAPE) => self.pending = true,
                (false, other) => out.push(other),
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_x_ends_and_ctrl_a_twice_is_one() {
        let mut e = Escapes::default();
        assert_eq!(e.filter(b"ab\x01"), Some(b"ab".to_vec()));
        assert_eq!(e.filter(b"\x01c"), Some(b"\x01c".to_vec()));
        assert_eq!(e.filter(b"\x01x"), None);
        assert_eq!(Escapes::default().filter(b"\x01q"), Some(b"\x01q".to_vec()));
    }
}
