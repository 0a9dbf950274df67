//! The keyboard on the controller's first port (IBM PS/2 Technical Reference, "Keyboard"): commands and the three
//! scan code sets. What the host types comes in as set 1 codes.

use std::collections::VecDeque;

use crate::state::frozen;

/// How many bytes of scan codes wait at most.
pub const CODE_LIMIT: usize = 64;
const RESPONSE_LIMIT: usize = 16;
pub(crate) const ACK: u8 = 0xfa;
pub(crate) const RESEND: u8 = 0xfe;
const ECHO: u8 = 0xee;
const TEST_PASSED: u8 = 0xaa;

/// The controller's translation of set 2 into set 1 (make codes).
#[rustfmt::skip]
const SET2_TO_SET1: [u8; 144] = [
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
];

/// Set 1 make codes and the set 3 codes of keys where set 3 differs from set 2.
#[rustfmt::skip]
const SET3: [(u8, u8); 23] = [
    (0x01, 0x08), (0x3b, 0x07), (0x3c, 0x0f), (0x3d, 0x17), (0x3e, 0x1f), (0x3f, 0x27), (0x40, 0x2f), (0x41, 0x37),
    (0x42, 0x3f), (0x43, 0x47), (0x44, 0x4f), (0x57, 0x56), (0x58, 0x5e), (0x1d, 0x11), (0x38, 0x19), (0x3a, 0x14),
    (0x2b, 0x5c), (0x45, 0x76), (0x46, 0x5f), (0x37, 0x7e), (0x4a, 0x84), (0x4e, 0x7c), (0x56, 0x13),
];
/// The same for keys that set 1 prefixes with E0h.
#[rustfmt::skip]
const SET3_E0: [(u8, u8); 18] = [
    (0x1c, 0x79), (0x1d, 0x58), (0x35, 0x77), (0x37, 0x57), (0x38, 0x39), (0x47, 0x6e), (0x48, 0x63), (0x49, 0x6f),
    (0x4b, 0x61), (0x4d, 0x6a), (0x4f, 0x65), (0x50, 0x60), (0x51, 0x6d), (0x52, 0x67), (0x53, 0x64), (0x5b, 0x8b),
    (0x5c, 0x8c), (0x5d, 0x8d),
];

/// The controller's translation of one byte; the break prefix F0h is the caller's to note.
pub(crate) fn translate(set2: u8) -> u8 {
    SET2_TO_SET1.get(usize::from(set2)).copied().unwrap_or(set2)
}

/// The set 2 code of a set 1 make code.
fn set2_code(make: u8) -> u8 {
    // F7 and SysRq are the two keys with codes above 80h.
    let found = SET2_TO_SET1.iter().rposition(|&set1| set1 == make);
    found.map_or(0, |code| code as u8)
}

fn set3_code(make: u8, extended: bool) -> Option<u8> {
    let table: &[(u8, u8)] = if extended { &SET3_E0 } else { &SET3 };
    let special = table.iter().find(|(set1, _)| *set1 == make).map(|(_, set3)| *set3);
    special.or_else(|| (!extended).then(|| set2_code(make)))
}

/// The keyboard.
#[derive(Debug)]
pub struct Keyboard {
    set: u8,
    scanning: bool,
    leds: u8,
    typematic: u8,
    /// In set 3, keys send break codes.
    set3_breaks: bool,
    /// The command whose argument comes next.
    command: Option<u8>,
    /// What was sent last, for RESEND.
    last: u8,
    /// E0h or E1h seen in what the host types.
    prefix: u8,
    responses: VecDeque<u8>,
    codes: VecDeque<u8>,
}

impl Keyboard {
    pub(crate) fn new() -> Self {
        Keyboard {
            set: 2,
            scanning: true,
            leds: 0,
            typematic: 0x2b,
            set3_breaks: false,
            command: None,
            last: 0,
            prefix: 0,
            responses: VecDeque::new(),
            codes: VecDeque::new(),
        }
    }

    fn defaults(&mut self) {
        (self.set, self.typematic, self.set3_breaks, self.prefix) = (2, 0x2b, false, 0);
        self.codes.clear();
    }

    fn respond(&mut self, bytes: &[u8]) {
        if self.responses.len() + bytes.len() <= RESPONSE_LIMIT {
            self.responses.extend(bytes);
        }
    }

    /// The LEDs: bit 0 scroll lock, 1 num lock, 2 caps lock.
    pub fn leds(&self) -> u8 {
        self.leds
    }

    /// A byte from the system: a command or the argument of one.
    pub(crate) fn receive(&mut self, byte: u8) {
        match self.command.take() {
            Some(command) if byte < 0xed || command >= 0xfb => self.argument(command, byte),
            _ => self.start(byte),
        }
    }

    fn start(&mut self, command: u8) {
        match command {
            0xed | 0xf0 | 0xf3 | 0xfb..=0xfd => {
                self.command = Some(command);
                self.respond(&[ACK]);
            }
            0xee => self.respond(&[ECHO]),
            0xf2 => self.respond(&[ACK, 0xab, 0x83]),
            0xf4 => {
                self.codes.clear();
                self.scanning = true;
                self.respond(&[ACK]);
            }
            0xf5 | 0xf6 => {
                self.defaults();
                self.scanning = command == 0xf6;
                self.respond(&[ACK]);
            }
            0xf7..=0xfa => {
                self.set3_breaks = matches!(command, 0xf8 | 0xfa);
                self.respond(&[ACK]);
            }
            0xfe => self.respond(&[self.last]),
            0xff => {
                self.defaults();
                (self.scanning, self.leds) = (true, 0);
                self.respond(&[ACK, TEST_PASSED]);
            }
            _ => self.respond(&[RESEND]),
        }
    }

    fn argument(&mut self, command: u8, byte: u8) {
        match (command, byte) {
            (0xed, _) => self.leds = byte & 7,
            (0xf3, _) => self.typematic = byte & 0x7f,
            (0xf0, 0) => {
                self.respond(&[ACK, self.set]);
                return;
            }
            (0xf0, 1..=3) => {
                self.set = byte;
                self.codes.clear();
            }
            (0xfb..=0xfd, _) => {}
            _ => {
                self.respond(&[RESEND]);
                return;
            }
        }
        self.respond(&[ACK]);
    }

    /// Keys as set 1 codes; `false` if there is no room for all of them or the keyboard does not scan.
    pub(crate) fn key(&mut self, set1: &[u8]) -> bool {
        let room = CODE_LIMIT - self.codes.len().min(CODE_LIMIT);
        if !self.scanning || set1.len().saturating_mul(2) > room {
            return false;
        }
        set1.iter().for_each(|&byte| self.code(byte));
        true
    }

    fn code(&mut self, byte: u8) {
        match self.set {
            1 => self.codes.push_back(byte),
            2 => self.code_in_set_2(byte),
            _ => self.code_in_set_3(byte),
        }
    }

    fn code_in_set_2(&mut self, byte: u8) {
        if matches!(byte, 0xe0 | 0xe1) {
            self.codes.push_back(byte);
            return;
        }
        if byte & 0x80 != 0 {
            self.codes.push_back(0xf0);
        }
        self.codes.push_back(set2_code(byte & 0x7f));
    }

    fn code_in_set_3(&mut self, byte: u8) {
        if matches!(byte, 0xe0 | 0xe1) {
            self.prefix = byte;
            return;
        }
        let (make, released) = (byte & 0x7f, byte & 0x80 != 0);
        let pause = self.prefix == 0xe1;
        if pause && make == 0x1d {
            return;
        }
        let extended = std::mem::take(&mut self.prefix) == 0xe0;
        let code = if pause { Some(0x62) } else { set3_code(make, extended) };
        let modifier = matches!(make, 0x1d | 0x2a | 0x36 | 0x38 | 0x3a);
        let Some(code) = code.filter(|_| !released || !pause && (modifier || self.set3_breaks)) else {
            return;
        };
        if released {
            self.codes.push_back(0xf0);
        }
        self.codes.push_back(code);
    }

    pub(crate) fn has_byte(&self) -> bool {
        !self.responses.is_empty() || !self.codes.is_empty()
    }

    /// The next byte to the controller; answers go before scan codes.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        let byte = self.responses.pop_front().or_else(|| self.codes.pop_front())?;
        self.last = byte;
        Some(byte)
    }
}

impl KeyboardStateV1 {
    pub(crate) fn valid(&self) -> bool {
        let queues = self.responses.len() <= RESPONSE_LIMIT && self.codes.len() <= CODE_LIMIT;
        queues && (1..=3).contains(&self.set) && self.leds < 8 && matches!(self.prefix, 0 | 0xe0 | 0xe1)
    }
}

frozen! {
    /// The keyboard, version 1.
    KeyboardStateV1 of Keyboard {
        set: u8, scanning: bool, leds: u8, typematic: u8, set3_breaks: bool, command: Option<u8>, last: u8, prefix: u8,
        responses: VecDeque<u8>, codes: VecDeque<u8>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(k: &mut Keyboard) -> Vec<u8> {
        std::iter::from_fn(|| k.next_byte()).collect()
    }

    fn send(k: &mut Keyboard, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().for_each(|&b| k.receive(b));
        drain(k)
    }

    #[test]
    fn translation_inverts_for_every_key() {
        for make in (0x01..=0x53).chain(0x54..=0x58).chain([0x5b, 0x5c, 0x5d]) {
            assert_eq!(translate(set2_code(make)), make);
        }
        assert_eq!((set2_code(0x41), set2_code(0x54)), (0x83, 0x84), "F7 and SysRq");
    }

    #[test]
    fn the_three_sets() {
        let mut k = Keyboard::new();
        k.key(&[0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8]);
        assert_eq!(drain(&mut k), [0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75]);
        assert_eq!(send(&mut k, &[0xf0, 1]), [ACK, ACK]);
        k.key(&[0x1e, 0x9e]);
        assert_eq!(drain(&mut k), [0x1e, 0x9e]);
        assert_eq!(send(&mut k, &[0xf0, 3]), [ACK, ACK]);
        k.key(&[0x1e, 0x9e, 0xe0, 0x48, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x2a, 0xaa]);
        assert_eq!(drain(&mut k), [0x1c, 0x63, 0x62, 0x12, 0xf0, 0x12]);
        send(&mut k, &[0xf8]);
        k.key(&[0xe0, 0xc8]);
        assert_eq!(drain(&mut k), [0xf0, 0x63]);
        assert_eq!(send(&mut k, &[0xf0, 0]), [ACK, ACK, 3]);
    }

    #[test]
    fn commands() {
        let mut k = Keyboard::new();
        assert_eq!(send(&mut k, &[0xee]), [0xee]);
        assert_eq!(send(&mut k, &[0xf2]), [ACK, 0xab, 0x83]);
        assert_eq!(send(&mut k, &[0xed, 0x05]), [ACK, ACK]);
        assert_eq!(k.leds(), 5);
        assert_eq!(send(&mut k, &[0xf3, 0x20]), [ACK, ACK]);
        assert_eq!(send(&mut k, &[0xed, 0xf4]), [ACK, ACK], "a command ends the wait for an argument");
        assert_eq!(send(&mut k, &[0x12]), [RESEND]);
        assert_eq!([send(&mut k, &[0xee]), send(&mut k, &[0xfe])], [[0xee], [0xee]], "what was sent last");
        assert_eq!(send(&mut k, &[0xf5]), [ACK]);
        assert!(!k.key(&[0x1e]), "scanning is off");
        assert_eq!(send(&mut k, &[0xff]), [ACK, 0xaa]);
        assert!(k.key(&[0x1e]));
    }

    #[test]
    fn keys_are_taken_whole_or_not_at_all() {
        let mut k = Keyboard::new();
        while k.key(&[0x1e, 0x9e]) {}
        assert!(k.codes.len() <= CODE_LIMIT);
        assert!(drain(&mut k).chunks(3).all(|c| c == [0x1c, 0xf0, 0x1c]));
    }
}
