//! The 8042 keyboard controller of the PS/2 (IBM PS/2 Technical Reference, "Keyboard/Auxiliary Device Controller"),
//! at ports 60h and 64h, with a keyboard and a mouse.
//!
//! A byte from a device takes [`BYTE_TIME`] on its way, so that the interrupt line falls between two bytes.

use std::collections::VecDeque;

use crate::ps2_keyboard::{Keyboard, KeyboardStateV1, translate};
use crate::ps2_mouse::{Mouse, MouseStateV1};
use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::Nanos;

/// The time that a byte takes from a device to the output buffer, in nanoseconds.
pub const BYTE_TIME: Nanos = 400_000;
const REPLY_LIMIT: usize = 16;

const ST_OBF: u8 = 0x01;
const ST_SYS: u8 = 0x04;
const ST_COMMAND: u8 = 0x08;
const ST_NOT_INHIBITED: u8 = 0x10;
const ST_AUX_OBF: u8 = 0x20;
const CMD_KBD_INT: u8 = 0x01;
const CMD_AUX_INT: u8 = 0x02;
const CMD_SYS: u8 = 0x04;
const CMD_KBD_OFF: u8 = 0x10;
const CMD_AUX_OFF: u8 = 0x20;
const CMD_TRANSLATE: u8 = 0x40;

/// The controller and its two devices.
#[derive(Debug)]
pub struct I8042 {
    keyboard: Keyboard,
    mouse: Mouse,
    /// The controller's RAM; byte 0 is the command byte.
    ram: [u8; 32],
    full: bool,
    /// The byte in the output buffer came from the auxiliary device.
    from_aux: bool,
    buffer: u8,
    /// The last write was to port 64h.
    last_was_command: bool,
    /// The controller command whose data comes next to port 60h.
    command: Option<u8>,
    /// The controller's own bytes that found the output buffer full: the byte, and 100h for the auxiliary flag.
    replies: VecDeque<u16>,
    /// Translation has seen F0h: the next code is a break.
    break_next: bool,
    a20: bool,
    reset: bool,
    /// Before this, no waiting byte enters the output buffer.
    ready_at: u64,
}

impl Default for I8042 {
    fn default() -> Self {
        Self::new()
    }
}

impl I8042 {
    /// The controller as a PC's power-on test leaves it: keyboard interrupt and translation on, mouse off, A20 on.
    pub fn new() -> Self {
        let mut ram = [0; 32];
        ram[0] = CMD_KBD_INT | CMD_SYS | CMD_AUX_OFF | CMD_TRANSLATE;
        I8042 {
            keyboard: Keyboard::new(),
            mouse: Mouse::new(),
            ram,
            full: false,
            from_aux: false,
            buffer: 0,
            last_was_command: false,
            command: None,
            replies: VecDeque::new(),
            break_next: false,
            a20: true,
            reset: false,
            ready_at: 0,
        }
    }

    fn on(&self, bit: u8) -> bool {
        self.ram[0] & bit != 0
    }

    /// Keys typed, as scan codes of set 1 (make, break, E0h and E1h prefixes); `false` if the keyboard has no room
    /// for all of them or is switched off, and takes none.
    pub fn key(&mut self, set1: &[u8], now: Nanos) -> bool {
        self.sync(now);
        let was_idle = !self.waiting();
        let taken = self.keyboard.key(set1);
        self.start_transfer(was_idle, now);
        taken
    }

    /// Motion to the right, upwards and of the wheel (positive towards the user), in counts, and the buttons held:
    /// bit 0 left, 1 right, 2 middle, 3 and 4 the side buttons.
    pub fn mouse(&mut self, dx: i32, dy: i32, dz: i32, buttons: u8, now: Nanos) {
        self.sync(now);
        let was_idle = !self.waiting();
        self.mouse.motion(dx, dy, dz, buttons);
        self.start_transfer(was_idle, now);
    }

    /// The keyboard's LEDs: bit 0 scroll lock, 1 num lock, 2 caps lock.
    pub fn leds(&self) -> u8 {
        self.keyboard.leds()
    }

    /// Whether the controller lets A20 through.
    pub fn a20(&self) -> bool {
        self.a20
    }

    /// Sets the controller's A20 output, for a board that keeps it in step with port 92h.
    pub fn set_a20(&mut self, on: bool) {
        self.a20 = on;
    }

    /// Whether the reset output was pulsed since the last call.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset)
    }

    /// The keyboard's interrupt line (IRQ 1).
    pub fn irq1(&self) -> bool {
        self.full && !self.from_aux && self.on(CMD_KBD_INT)
    }

    /// The mouse's interrupt line (IRQ 12).
    pub fn irq12(&self) -> bool {
        self.full && self.from_aux && self.on(CMD_AUX_INT)
    }

    /// A byte waits for the output buffer.
    fn waiting(&self) -> bool {
        let keyboard = self.keyboard.has_byte() && !self.on(CMD_KBD_OFF);
        let mouse = self.mouse.has_byte() && !self.on(CMD_AUX_OFF);
        !self.replies.is_empty() || keyboard || mouse
    }

    fn start_transfer(&mut self, was_idle: bool, now: Nanos) {
        if was_idle {
            self.ready_at = self.ready_at.max(now.saturating_add(BYTE_TIME));
        }
    }

    /// When the next byte enters the output buffer.
    pub fn deadline(&self) -> Option<Nanos> {
        (!self.full && self.waiting()).then_some(self.ready_at)
    }

    /// Brings the controller to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.sync(now);
    }

    fn sync(&mut self, now: Nanos) {
        while !self.full && now >= self.ready_at && self.waiting() {
            self.transfer();
        }
    }

    fn fill(&mut self, byte: u8, from_aux: bool) {
        (self.full, self.buffer, self.from_aux) = (true, byte, from_aux);
    }

    fn transfer(&mut self) {
        if let Some(reply) = self.replies.pop_front() {
            self.fill(reply.to_le_bytes()[0], reply > 0xff);
        } else if self.keyboard.has_byte() && !self.on(CMD_KBD_OFF) {
            if let Some(byte) = self.keyboard.next_byte() {
                self.take_keyboard_byte(byte);
            }
        } else if let Some(byte) = self.mouse.next_byte() {
            self.fill(byte, true);
        }
    }

    fn take_keyboard_byte(&mut self, byte: u8) {
        if !self.on(CMD_TRANSLATE) {
            self.break_next = false;
            self.fill(byte, false);
        } else if byte == 0xf0 {
            self.break_next = true;
        } else {
            let released = std::mem::take(&mut self.break_next);
            self.fill(translate(byte) | u8::from(released) << 7, false);
        }
    }

    /// A byte of the controller's own: at once if the output buffer is empty.
    fn reply(&mut self, byte: u8, from_aux: bool) {
        if !self.full {
            self.fill(byte, from_aux);
        } else if self.replies.len() < REPLY_LIMIT {
            self.replies.push_back(u16::from_le_bytes([byte, from_aux.into()]));
        }
    }

    /// Reads port 60h (`offset` 0: the output buffer) or 64h (else: status).
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        self.sync(now);
        if offset != 0 {
            return self.status();
        }
        if self.full {
            self.full = false;
            self.ready_at = now.saturating_add(BYTE_TIME);
        }
        self.buffer
    }

    fn status(&self) -> u8 {
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.full, ST_OBF)
            | bit(self.on(CMD_SYS), ST_SYS)
            | bit(self.last_was_command, ST_COMMAND)
            | ST_NOT_INHIBITED
            | bit(self.full && self.from_aux, ST_AUX_OBF)
    }

    /// Writes port 60h (`offset` 0: data) or 64h (else: command).
    pub fn write(&mut self, offset: u16, value: u8, now: Nanos) {
        self.sync(now);
        let was_idle = !self.waiting();
        self.last_was_command = offset != 0;
        if offset != 0 {
            self.command = None;
            self.controller_command(value);
        } else {
            self.data(value);
        }
        self.start_transfer(was_idle, now);
    }

    fn data(&mut self, value: u8) {
        match self.command.take() {
            Some(command @ 0x60..=0x7f) => self.ram[usize::from(command & 31)] = value,
            Some(0xd1) => self.write_output_port(value),
            Some(0xd2) => self.reply(value, false),
            Some(0xd3) => self.reply(value, true),
            Some(0xd4) => self.mouse.receive(value),
            _ => {
                // A byte to the keyboard enables its interface.
                self.ram[0] &= !CMD_KBD_OFF;
                self.keyboard.receive(value);
            }
        }
    }

    fn controller_command(&mut self, command: u8) {
        match command {
            0x20..=0x3f => self.reply(self.ram[usize::from(command & 31)], false),
            0x60..=0x7f | 0xd1..=0xd4 => self.command = Some(command),
            0xa4 => self.reply(0xf1, false), // no password
            0xa7 => self.ram[0] |= CMD_AUX_OFF,
            0xa8 => self.ram[0] &= !CMD_AUX_OFF,
            0xa9 | 0xab => self.reply(0x00, false), // interface tests passed
            0xaa => self.self_test(),
            0xad => self.ram[0] |= CMD_KBD_OFF,
            0xae => self.ram[0] &= !CMD_KBD_OFF,
            0xc0 => self.reply(0x80, false), // input port: keyboard not inhibited
            0xd0 => self.reply(self.output_port(), false),
            0xdd | 0xdf => self.a20 = command == 0xdf,
            0xe0 => self.reply(0x00, false), // test inputs
            0xf0..=0xff => self.reset |= command & 1 == 0,
            _ => {}
        }
    }

    fn self_test(&mut self) {
        self.ram[0] |= CMD_SYS;
        self.replies.clear();
        self.reply(0x55, false);
    }

    fn output_port(&self) -> u8 {
        let irqs = u8::from(self.irq1()) << 4 | u8::from(self.irq12()) << 5;
        0xc1 | u8::from(self.a20) << 1 | irqs
    }

    fn write_output_port(&mut self, value: u8) {
        self.a20 = value & 2 != 0;
        self.reset |= value & 1 == 0;
    }

    fn check(s: &I8042StateV1) -> Result<(), StateError> {
        ensure(s.keyboard.valid(), "i8042", "keyboard")?;
        ensure(s.mouse.valid(), "i8042", "mouse")?;
        ensure(s.replies.len() <= REPLY_LIMIT, "i8042", "replies")?;
        ensure(s.replies.iter().all(|&r| r < 0x200), "i8042", "replies")
    }
}

frozen! {
    /// The controller and its devices, version 1.
    I8042StateV1 of I8042 {
        keyboard: KeyboardStateV1, mouse: MouseStateV1, ram: [u8; 32], full: bool, from_aux: bool, buffer: u8,
        last_was_command: bool, command: Option<u8>, replies: VecDeque<u16>, break_next: bool, a20: bool, reset: bool,
        ready_at: u64,
    }
}
device_state!(I8042, I8042State, I8042StateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    /// Lets bytes come and reads them all; checks the interrupt of each.
    fn bytes(kbc: &mut I8042, now: &mut Nanos) -> Vec<(u8, bool)> {
        let mut all = Vec::new();
        loop {
            if let Some(t) = kbc.deadline() {
                *now = (*now).max(t);
                kbc.advance(*now);
            }
            let status = kbc.read(4, *now);
            if status & ST_OBF == 0 {
                return all;
            }
            assert_eq!(kbc.irq1() || kbc.irq12(), kbc.on(if kbc.from_aux { 2 } else { 1 }));
            all.push((kbc.read(0, *now), status & ST_AUX_OBF != 0));
            assert!(!kbc.irq1() && !kbc.irq12(), "the line falls between two bytes");
        }
    }

    fn keyboard_bytes(kbc: &mut I8042) -> Vec<u8> {
        bytes(kbc, &mut 0).into_iter().map(|(byte, aux)| if aux { panic!("aux") } else { byte }).collect()
    }

    fn ask(kbc: &mut I8042, command: u8) -> u8 {
        kbc.write(4, command, 0);
        assert_eq!(kbc.read(4, 0) & (ST_OBF | ST_COMMAND), ST_OBF | ST_COMMAND);
        kbc.read(0, 0)
    }

    #[test]
    fn controller_tests_and_command_byte() {
        let mut kbc = I8042::new();
        assert_eq!(ask(&mut kbc, 0xaa), 0x55);
        assert_eq!(ask(&mut kbc, 0xab), 0x00);
        assert_eq!(ask(&mut kbc, 0xa9), 0x00);
        kbc.write(4, 0xa8, 0);
        assert_eq!(ask(&mut kbc, 0x20), 0x45);
        kbc.write(4, 0x60, 0);
        kbc.write(0, 0x77, 0);
        assert_eq!(ask(&mut kbc, 0x20), 0x77);
        kbc.write(4, 0xae, 0);
        assert_eq!(ask(&mut kbc, 0x20), 0x67);
    }

    #[test]
    fn keys_are_translated_to_set_1() {
        let mut kbc = I8042::new();
        let codes = [0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8, 0x41, 0xc1, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
        assert!(kbc.key(&codes, 0));
        assert_eq!(keyboard_bytes(&mut kbc), codes);
        kbc.write(4, 0x60, 0);
        kbc.write(0, 0x05, 0);
        kbc.key(&[0x1e, 0x9e], 0);
        assert_eq!(keyboard_bytes(&mut kbc), [0x1c, 0xf0, 0x1c]);
    }

    // Translation applies to answers too: the identification AB 83 arrives as AB 41.
    #[test]
    fn keyboard_commands_through_the_controller() {
        let mut kbc = I8042::new();
        kbc.write(0, 0xf2, 0);
        assert_eq!(keyboard_bytes(&mut kbc), [0xfa, 0xab, 0x41]);
        kbc.write(0, 0xed, 0);
        kbc.write(0, 0x02, 0);
        assert_eq!((keyboard_bytes(&mut kbc), kbc.leds()), (vec![0xfa, 0xfa], 2));
        kbc.write(0, 0xff, 0);
        assert_eq!(keyboard_bytes(&mut kbc), [0xfa, 0xaa]);
    }

    #[test]
    fn a_disabled_interface_holds_bytes_back() {
        let mut kbc = I8042::new();
        kbc.write(4, 0xad, 0);
        kbc.key(&[0x1e], 0);
        assert_eq!(kbc.deadline(), None);
        kbc.write(4, 0xae, 0);
        assert_eq!(keyboard_bytes(&mut kbc), [0x1e]);
    }

    #[test]
    fn a_byte_takes_its_time() {
        let mut kbc = I8042::new();
        kbc.key(&[0x1e], 1000);
        assert_eq!(kbc.deadline(), Some(1000 + BYTE_TIME));
        kbc.advance(999 + BYTE_TIME);
        assert!(!kbc.irq1());
        kbc.advance(1000 + BYTE_TIME);
        assert!(kbc.irq1() && !kbc.irq12());
    }

    #[test]
    fn mouse_and_loops() {
        let mut kbc = I8042::new();
        kbc.write(4, 0xa8, 0);
        kbc.write(4, 0x60, 0);
        kbc.write(0, 0x47, 0);
        for byte in [0xff, 0xf4] {
            kbc.write(4, 0xd4, 0);
            kbc.write(0, byte, 0);
            let expected: &[_] =
                if byte == 0xff { &[(0xfa, true), (0xaa, true), (0, true)] } else { &[(0xfa, true)] };
            assert_eq!(bytes(&mut kbc, &mut 0), expected);
        }
        kbc.mouse(1, 2, 0, 1, 0);
        assert_eq!(bytes(&mut kbc, &mut 0), [(9, true), (1, true), (2, true)]);
        kbc.write(4, 0xd3, 0);
        kbc.write(0, 0x5a, 0);
        assert!(kbc.irq12());
        assert_eq!(bytes(&mut kbc, &mut 0), [(0x5a, true)]);
        kbc.write(4, 0xd2, 0);
        kbc.write(0, 0xa5, 0);
        assert_eq!(bytes(&mut kbc, &mut 0), [(0xa5, false)]);
    }

    #[test]
    fn a20_and_reset() {
        let mut kbc = I8042::new();
        kbc.write(4, 0xd1, 0);
        kbc.write(0, 0xdd, 0);
        assert!(!kbc.a20() && !kbc.take_reset());
        assert_eq!(ask(&mut kbc, 0xd0) & 3, 1);
        kbc.write(4, 0xd1, 0);
        kbc.write(0, 0xdf, 0);
        assert!(kbc.a20());
        kbc.write(4, 0xfe, 0);
        assert!(kbc.take_reset() && !kbc.take_reset());
        kbc.write(4, 0xff, 0);
        assert!(!kbc.take_reset());
    }

    #[test]
    fn state_round_trip() {
        let mut kbc = I8042::new();
        kbc.key(&[0x1e, 0x9e], 0);
        let state = kbc.save();
        let mut other = I8042::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(keyboard_bytes(&mut other), [0x1e, 0x9e]);
        let I8042State::V1(mut bad) = state;
        bad.keyboard.set = 0;
        assert!(other.restore(&I8042State::V1(bad)).is_err());
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut kbc = I8042::new();
        fuzz(10, |r, now| {
            let value = if r.below(3) == 0 { 0xd0 | r.byte() & 7 } else { r.byte() };
            match r.below(8) {
                0 | 1 => _ = kbc.read(r.below(6) as u16, now),
                2..5 => kbc.write(r.below(2) as u16 * 4, value, now),
                5 => _ = kbc.key(&[value, r.byte(), r.byte()], now),
                6 => kbc.mouse(r.next() as i32, r.next() as i32 >> 22, r.byte() as i32, value, now),
                _ => kbc.advance(now),
            }
            let I8042State::V1(state) = kbc.save();
            assert_eq!(I8042::check(&state), Ok(()));
        });
    }
}
