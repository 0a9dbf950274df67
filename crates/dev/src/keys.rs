//! The keys of a PC keyboard: QEMU's names for them (QKeyCode), their scan codes of set 1, and the
//! keys that type a character on a US keyboard.

/// A key, by its place in [`KEYS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u8);

/// Name, and the make code of set 1; bit 8: after the prefix E0h.
const KEYS: &[(&str, u16)] = &[
    ("esc", 0x01),
    ("1", 0x02),
    ("2", 0x03),
    ("3", 0x04),
    ("4", 0x05),
    ("5", 0x06),
    ("6", 0x07),
    ("7", 0x08),
    ("8", 0x09),
    ("9", 0x0a),
    ("0", 0x0b),
    ("minus", 0x0c),
    ("equal", 0x0d),
    ("backspace", 0x0e),
    ("tab", 0x0f),
    ("q", 0x10),
    ("w", 0x11),
    ("e", 0x12),
    ("r", 0x13),
    ("t", 0x14),
    ("y", 0x15),
    ("u", 0x16),
    ("i", 0x17),
    ("o", 0x18),
    ("p", 0x19),
    ("bracket_left", 0x1a),
    ("bracket_right", 0x1b),
    ("ret", 0x1c),
    ("ctrl", 0x1d),
    ("a", 0x1e),
    ("s", 0x1f),
    ("d", 0x20),
    ("f", 0x21),
    ("g", 0x22),
    ("h", 0x23),
    ("j", 0x24),
    ("k", 0x25),
    ("l", 0x26),
    ("semicolon", 0x27),
    ("apostrophe", 0x28),
    ("grave_accent", 0x29),
    ("shift", 0x2a),
    ("backslash", 0x2b),
    ("z", 0x2c),
    ("x", 0x2d),
    ("c", 0x2e),
    ("v", 0x2f),
    ("b", 0x30),
    ("n", 0x31),
    ("m", 0x32),
    ("comma", 0x33),
    ("dot", 0x34),
    ("slash", 0x35),
    ("shift_r", 0x36),
    ("asterisk", 0x37),
    ("alt", 0x38),
    ("spc", 0x39),
    ("caps_lock", 0x3a),
    ("f1", 0x3b),
    ("f2", 0x3c),
    ("f3", 0x3d),
    ("f4", 0x3e),
    ("f5", 0x3f),
    ("f6", 0x40),
    ("f7", 0x41),
    ("f8", 0x42),
    ("f9", 0x43),
    ("f10", 0x44),
    ("num_lock", 0x45),
    ("scroll_lock", 0x46),
    ("kp_7", 0x47),
    ("kp_8", 0x48),
    ("kp_9", 0x49),
    ("kp_subtract", 0x4a),
    ("kp_4", 0x4b),
    ("kp_5", 0x4c),
    ("kp_6", 0x4d),
    ("kp_add", 0x4e),
    ("kp_1", 0x4f),
    ("kp_2", 0x50),
    ("kp_3", 0x51),
    ("kp_0", 0x52),
    ("kp_decimal", 0x53),
    ("less", 0x56),
    ("f11", 0x57),
    ("f12", 0x58),
    ("kp_equals", 0x59),
    ("hiragana", 0x70),
    ("ro", 0x73),
    ("henkan", 0x79),
    ("muhenkan", 0x7b),
    ("yen", 0x7d),
    ("kp_comma", 0x7e),
    ("audioprev", 0x110),
    ("audionext", 0x119),
    ("kp_enter", 0x11c),
    ("ctrl_r", 0x11d),
    ("audiomute", 0x120),
    ("calculator", 0x121),
    ("audioplay", 0x122),
    ("audiostop", 0x124),
    ("volumedown", 0x12e),
    ("volumeup", 0x130),
    ("ac_home", 0x132),
    ("kp_divide", 0x135),
    ("print", 0x137),
    ("sysrq", 0x54),
    ("alt_r", 0x138),
    ("pause", PAUSE),
    ("home", 0x147),
    ("up", 0x148),
    ("pgup", 0x149),
    ("left", 0x14b),
    ("right", 0x14d),
    ("end", 0x14f),
    ("down", 0x150),
    ("pgdn", 0x151),
    ("insert", 0x152),
    ("delete", 0x153),
    ("meta_l", 0x15b),
    ("meta_r", 0x15c),
    ("menu", 0x15d),
    ("compose", 0x15d),
    ("power", 0x15e),
    ("sleep", 0x15f),
    ("wake", 0x163),
];

/// The key that has no break code and a code of its own shape.
const PAUSE: u16 = 0x2e1;

/// Characters by the key that types them: without and with shift.
const TYPED: &[(&str, char, char)] = &[
    ("1", '1', '!'),
    ("2", '2', '@'),
    ("3", '3', '#'),
    ("4", '4', '$'),
    ("5", '5', '%'),
    ("6", '6', '^'),
    ("7", '7', '&'),
    ("8", '8', '*'),
    ("9", '9', '('),
    ("0", '0', ')'),
    ("minus", '-', '_'),
    ("equal", '=', '+'),
    ("bracket_left", '[', '{'),
    ("bracket_right", ']', '}'),
    ("semicolon", ';', ':'),
    ("apostrophe", '\'', '"'),
    ("grave_accent", '`', '~'),
    ("backslash", '\\', '|'),
    ("comma", ',', '<'),
    ("dot", '.', '>'),
    ("slash", '/', '?'),
];

impl Key {
    /// The key of that name among QEMU's QKeyCodes.
    pub fn from_qcode(name: &str) -> Option<Key> {
        KEYS.iter().position(|(n, _)| *n == name).map(|n| Key(n as u8))
    }

    /// The key with that number in QEMU's numbering: the make code of set 1, plus 80h after E0h.
    pub fn from_number(number: u32) -> Option<Key> {
        let code = u16::try_from(number).ok()?;
        let code = if code >= 0x80 { code & 0x7f | 0x100 } else { code };
        KEYS.iter().position(|(_, c)| *c == code).map(|n| Key(n as u8))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    fn entry(self) -> (&'static str, u16) {
        KEYS.get(usize::from(self.0)).copied().unwrap_or(("unmapped", 0))
    }

    /// The scan codes of set 1 that pressing or releasing it sends (IBM PS/2 Technical Reference,
    /// keyboard section).
    pub fn set1(self, down: bool) -> Vec<u8> {
        let (_, code) = self.entry();
        if code == PAUSE {
            return if down { vec![0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5] } else { Vec::new() };
        }
        let byte = code as u8 | if down { 0 } else { 0x80 };
        match (self.name(), code >> 8) {
            ("print", _) if down => vec![0xe0, 0x2a, 0xe0, byte],
            ("print", _) => vec![0xe0, byte, 0xe0, 0xaa],
            (_, 0) => vec![byte],
            _ => vec![0xe0, byte],
        }
    }

    /// The key that types a character on a US keyboard, and whether with shift.
    pub fn for_char(c: char) -> Option<(Key, bool)> {
        let control = match c {
            ' ' => Some("spc"),
            '\n' | '\r' => Some("ret"),
            '\t' => Some("tab"),
            '\u{8}' | '\u{7f}' => Some("backspace"),
            '\u{1b}' => Some("esc"),
            _ => None,
        };
        if let Some(name) = control {
            return Key::from_qcode(name).map(|k| (k, false));
        }
        if c.is_ascii_alphabetic() {
            let name = c.to_ascii_lowercase().to_string();
            return Key::from_qcode(&name).map(|k| (k, c.is_ascii_uppercase()));
        }
        let (name, plain, _) = TYPED.iter().find(|(_, a, b)| *a == c || *b == c)?;
        Key::from_qcode(name).map(|k| (k, c != *plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::from_qcode(name).unwrap_or_else(|| panic!("no key {name}"))
    }

    #[test]
    fn scan_codes_are_those_of_the_reference() {
        assert_eq!(key("a").set1(true), [0x1e]);
        assert_eq!(key("a").set1(false), [0x9e]);
        assert_eq!(key("right").set1(true), [0xe0, 0x4d]);
        assert_eq!(key("right").set1(false), [0xe0, 0xcd]);
        assert_eq!(key("pause").set1(true), [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
        assert_eq!(key("print").set1(false), [0xe0, 0xb7, 0xe0, 0xaa]);
    }

    #[test]
    fn every_printable_character_has_a_key() {
        for c in (0x20..0x7f).map(char::from) {
            assert!(Key::for_char(c).is_some(), "{c:?}");
        }
        assert_eq!(Key::for_char('A'), Some((key("a"), true)));
        assert_eq!(Key::for_char('_'), Some((key("minus"), true)));
        assert_eq!(Key::for_char('é'), None);
    }

    #[test]
    fn names_are_unique() {
        for (n, (name, _)) in KEYS.iter().enumerate() {
            assert_eq!(Key::from_qcode(name), Some(Key(n as u8)));
        }
        assert_eq!(Key::from_number(0x1c), Key::from_qcode("ret"));
        assert_eq!(Key::from_number(0x9c), Key::from_qcode("kp_enter"));
    }
}
