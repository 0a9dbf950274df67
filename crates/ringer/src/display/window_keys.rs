//! The desktop's names of keys and the PC keyboard's.

use dev::keys::Key;
use winit::keyboard::KeyCode;

/// Keys whose names differ by more than a prefix.
#[rustfmt::skip]
const NAMES: &[(KeyCode, &str)] = {
    use KeyCode::*;
    &[
        (Escape, "esc"), (Minus, "minus"), (Equal, "equal"), (Backspace, "backspace"), (Tab, "tab"),
        (BracketLeft, "bracket_left"), (BracketRight, "bracket_right"), (Enter, "ret"), (ControlLeft, "ctrl"),
        (Semicolon, "semicolon"), (Quote, "apostrophe"), (Backquote, "grave_accent"), (ShiftLeft, "shift"),
        (Backslash, "backslash"), (Comma, "comma"), (Period, "dot"), (Slash, "slash"), (ShiftRight, "shift_r"),
        (AltLeft, "alt"), (Space, "spc"), (CapsLock, "caps_lock"), (NumLock, "num_lock"),
        (ScrollLock, "scroll_lock"), (NumpadMultiply, "asterisk"), (NumpadSubtract, "kp_subtract"),
        (NumpadAdd, "kp_add"), (NumpadDecimal, "kp_decimal"), (NumpadEnter, "kp_enter"),
        (NumpadDivide, "kp_divide"), (NumpadEqual, "kp_equals"), (NumpadComma, "kp_comma"),
        (IntlBackslash, "less"), (IntlRo, "ro"), (IntlYen, "yen"), (KanaMode, "hiragana"), (Convert, "henkan"),
        (NonConvert, "muhenkan"), (ControlRight, "ctrl_r"), (AltRight, "alt_r"), (PrintScreen, "print"),
        (Pause, "pause"), (Home, "home"), (ArrowUp, "up"), (PageUp, "pgup"), (ArrowLeft, "left"),
        (ArrowRight, "right"), (End, "end"), (ArrowDown, "down"), (PageDown, "pgdn"), (Insert, "insert"),
        (Delete, "delete"), (SuperLeft, "meta_l"), (SuperRight, "meta_r"), (ContextMenu, "menu"),
        (AudioVolumeMute, "audiomute"), (AudioVolumeDown, "volumedown"), (AudioVolumeUp, "volumeup"),
        (MediaPlayPause, "audioplay"), (MediaStop, "audiostop"), (MediaTrackNext, "audionext"),
        (MediaTrackPrevious, "audioprev"), (LaunchApp2, "calculator"), (Power, "power"), (Sleep, "sleep"),
        (WakeUp, "wake"),
    ]
};

/// The guest's key in a place of the host's keyboard.
pub(super) fn key(code: KeyCode) -> Option<Key> {
    if let Some((_, name)) = NAMES.iter().find(|(c, _)| *c == code) {
        return Key::from_qcode(name);
    }
    // KeyA, Digit1, Numpad7, F5
    let name = format!("{code:?}").to_lowercase();
    let stripped = name.strip_prefix("key").or_else(|| name.strip_prefix("digit"));
    let name = match (stripped, name.strip_prefix("numpad")) {
        (Some(letter), _) => letter.to_owned(),
        (None, Some(digit)) => format!("kp_{digit}"),
        (None, None) => name,
    };
    Key::from_qcode(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_the_keys_that_are_printed_on_them() {
        for (code, name) in NAMES {
            assert_eq!(key(*code).map(Key::name), Some(*name));
        }
        let regular = [
            (KeyCode::KeyA, "a"),
            (KeyCode::KeyZ, "z"),
            (KeyCode::Digit0, "0"),
            (KeyCode::Numpad7, "kp_7"),
            (KeyCode::F1, "f1"),
            (KeyCode::F12, "f12"),
        ];
        for (code, name) in regular {
            assert_eq!(key(code).map(Key::name), Some(name));
        }
        assert_eq!(key(KeyCode::Fn), None);
    }
}
