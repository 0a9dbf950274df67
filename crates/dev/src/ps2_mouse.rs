//! The mouse on the controller's second port (IBM PS/2 Technical Reference, "Mouse"), with Microsoft's IntelliMouse
//! sequences that switch on the wheel (sample rates 200, 100, 80) and two more buttons (200, 200, 80).

use std::collections::VecDeque;

use crate::ps2_keyboard::{ACK, RESEND};
use crate::state::frozen;

/// How many bytes wait at most.
pub const QUEUE_LIMIT: usize = 64;
/// How far an axis may run ahead of what was sent.
const AXIS_LIMIT: i32 = 0x1000;

/// The mouse.
#[derive(Debug)]
pub struct Mouse {
    /// 0 standard, 3 with wheel, 4 with five buttons.
    id: u8,
    reporting: bool,
    remote: bool,
    wrap: bool,
    scaling: bool,
    resolution: u8,
    rate: u8,
    /// The last three sample rates.
    rates: [u8; 3],
    command: Option<u8>,
    last: u8,
    dx: i32,
    dy: i32,
    dz: i32,
    buttons: u8,
    sent_buttons: u8,
    queue: VecDeque<u8>,
}

impl Mouse {
    pub(crate) fn new() -> Self {
        Mouse {
            id: 0,
            reporting: false,
            remote: false,
            wrap: false,
            scaling: false,
            resolution: 2,
            rate: 100,
            rates: [0; 3],
            command: None,
            last: 0,
            dx: 0,
            dy: 0,
            dz: 0,
            buttons: 0,
            sent_buttons: 0,
            queue: VecDeque::new(),
        }
    }

    fn defaults(&mut self) {
        (self.reporting, self.remote, self.wrap, self.scaling) = (false, false, false, false);
        (self.resolution, self.rate) = (2, 100);
        self.forget_motion();
    }

    fn forget_motion(&mut self) {
        (self.dx, self.dy, self.dz) = (0, 0, 0);
        self.sent_buttons = self.buttons;
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.queue.len() + bytes.len() <= QUEUE_LIMIT {
            self.queue.extend(bytes);
        }
    }

    /// A byte from the system. Any byte but a repeat of itself ends what was being sent.
    pub(crate) fn receive(&mut self, byte: u8) {
        if byte != 0xfe {
            self.queue.clear();
        }
        if self.wrap && !matches!(byte, 0xec | 0xff) {
            self.push(&[byte]);
        } else if let Some(command) = self.command.take() {
            self.argument(command, byte);
        } else {
            self.start(byte);
        }
    }

    fn argument(&mut self, command: u8, byte: u8) {
        if command == 0xe8 {
            self.resolution = byte & 3;
        } else {
            self.rate = byte;
            self.rates = [self.rates[1], self.rates[2], byte];
            match self.rates {
                [200, 100, 80] => self.id = 3,
                [200, 200, 80] => self.id = 4,
                _ => {}
            }
        }
        self.push(&[ACK]);
    }

    fn start(&mut self, command: u8) {
        match command {
            0xfe => return self.push(&[self.last]),
            0xe1..=0xe5 | 0xed | 0xef | 0xf1 | 0xf7..=0xfd | ..=0xe0 => return self.push(&[RESEND]),
            _ => self.push(&[ACK]),
        }
        match command {
            0xe6 | 0xe7 => self.scaling = command == 0xe7,
            0xe8 | 0xf3 => self.command = Some(command),
            0xe9 => self.push(&[self.status(), self.resolution, self.rate]),
            0xea => self.remote = false,
            0xeb => self.packet(false),
            0xec | 0xee => self.wrap = command == 0xee,
            0xf0 => self.remote = true,
            0xf2 => self.push(&[self.id]),
            0xf4 | 0xf5 => {
                self.reporting = command == 0xf4;
                self.forget_motion();
            }
            0xf6 => self.defaults(),
            0xff => {
                self.defaults();
                (self.id, self.rates) = (0, [0; 3]);
                self.push(&[0xaa, 0x00]);
            }
            _ => {}
        }
    }

    fn status(&self) -> u8 {
        let b = self.buttons;
        // Left is bit 2, middle bit 1, right bit 0.
        let buttons = (b & 1) << 2 | (b >> 2 & 1) << 1 | b >> 1 & 1;
        buttons | u8::from(self.scaling) << 4 | u8::from(self.reporting) << 5 | u8::from(self.remote) << 6
    }

    /// Motion to the right, upwards and of the wheel (towards the user), and the buttons held: bit 0 left, 1 right,
    /// 2 middle, 3 and 4 the side buttons.
    pub(crate) fn motion(&mut self, dx: i32, dy: i32, dz: i32, buttons: u8) {
        let add = |axis: i32, d: i32| axis.saturating_add(d).clamp(-AXIS_LIMIT, AXIS_LIMIT);
        self.buttons = buttons & 0x1f;
        if !self.reporting && !self.remote {
            return;
        }
        (self.dx, self.dy, self.dz) = (add(self.dx, dx), add(self.dy, dy), add(self.dz, dz));
        let room = self.queue.len() + 4 <= QUEUE_LIMIT;
        if self.streams() && (self.queue.is_empty() || room && self.buttons != self.sent_buttons) {
            self.packet(self.scaling);
        }
    }

    /// Something to report without being asked.
    fn streams(&self) -> bool {
        let moved = (self.dx, self.dy) != (0, 0) || self.dz != 0 && self.id >= 3;
        let active = self.reporting && !self.remote && !self.wrap && self.command.is_none();
        active && (moved || self.buttons != self.sent_buttons)
    }

    /// Queues a movement packet; what does not fit stays for the next.
    fn packet(&mut self, scaling: bool) {
        let (dx, dy) = (self.dx.clamp(-255, 255), self.dy.clamp(-255, 255));
        (self.dx, self.dy) = (self.dx - dx, self.dy - dy);
        let (x, y) = if scaling { (scaled(dx), scaled(dy)) } else { (dx, dy) };
        let first = 0x08 | self.buttons & 7 | u8::from(x < 0) << 4 | u8::from(y < 0) << 5;
        self.push(&[first, (x & 0xff) as u8, (y & 0xff) as u8]);
        self.sent_buttons = self.buttons;
        let dz = self.dz.clamp(-8, 7);
        self.dz -= dz;
        match self.id {
            3 => self.push(&[(dz & 0xff) as u8]),
            4 => self.push(&[(dz & 0x0f) as u8 | (self.buttons & 0x18) << 1]),
            _ => self.dz = 0,
        }
    }

    pub(crate) fn has_byte(&self) -> bool {
        !self.queue.is_empty() || self.streams()
    }

    /// The next byte to the controller.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        if self.queue.is_empty() && self.streams() {
            self.packet(self.scaling);
        }
        let byte = self.queue.pop_front()?;
        self.last = byte;
        Some(byte)
    }
}

/// Scaling 2:1 (Technical Reference, "Set Scaling 2:1").
fn scaled(v: i32) -> i32 {
    let size = match v.abs() {
        0 => 0,
        1 | 2 => 1,
        3 => 3,
        4 => 6,
        5 => 9,
        n => (2 * n).min(255),
    };
    size * v.signum()
}

impl MouseStateV1 {
    pub(crate) fn valid(&self) -> bool {
        let axis = |v: i32| (-AXIS_LIMIT..=AXIS_LIMIT).contains(&v);
        let axes = axis(self.dx) && axis(self.dy) && axis(self.dz);
        let buttons = self.buttons < 32 && self.sent_buttons < 32;
        axes && buttons
            && self.queue.len() <= QUEUE_LIMIT
            && matches!(self.id, 0 | 3 | 4)
            && self.resolution < 4
    }
}

frozen! {
    /// The mouse, version 1.
    MouseStateV1 of Mouse {
        id: u8, reporting: bool, remote: bool, wrap: bool, scaling: bool, resolution: u8, rate: u8, rates: [u8; 3],
        command: Option<u8>, last: u8, dx: i32, dy: i32, dz: i32, buttons: u8, sent_buttons: u8, queue: VecDeque<u8>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(m: &mut Mouse) -> Vec<u8> {
        std::iter::from_fn(|| m.next_byte()).collect()
    }

    fn send(m: &mut Mouse, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for &byte in bytes {
            m.receive(byte);
            all.extend(drain(m));
        }
        all
    }

    #[test]
    fn commands() {
        let mut m = Mouse::new();
        assert_eq!(send(&mut m, &[0xff]), [ACK, 0xaa, 0x00]);
        assert_eq!(send(&mut m, &[0xf2]), [ACK, 0]);
        assert_eq!(send(&mut m, &[0xe8, 3, 0xf3, 60]), [ACK; 4]);
        assert_eq!(send(&mut m, &[0xe7, 0xf4, 0xe9]), [ACK, ACK, ACK, 0x30, 3, 60]);
        assert_eq!(send(&mut m, &[0xee, 0x55, 0xec, 0x01]), [ACK, 0x55, ACK, RESEND]);
        for (buttons, status) in [(1, 0x34), (2, 0x31), (4, 0x32), (7, 0x37)] {
            m.motion(0, 0, 0, buttons);
            assert_eq!(send(&mut m, &[0xe9])[1], status);
        }
    }

    #[test]
    fn packets() {
        let mut m = Mouse::new();
        m.motion(5, 5, 0, 0);
        assert!(drain(&mut m).is_empty(), "not reporting");
        send(&mut m, &[0xf4]);
        m.motion(3, -2, 1, 1);
        assert_eq!(drain(&mut m), [0x29, 3, 0xfe]);
        m.motion(300, 0, 0, 1);
        assert_eq!(drain(&mut m), [0x09, 255, 0, 0x09, 45, 0], "what does not fit comes next");
    }

    #[test]
    fn intellimouse() {
        let mut m = Mouse::new();
        send(&mut m, &[0xf3, 200, 0xf3, 100, 0xf3, 80]);
        assert_eq!(send(&mut m, &[0xf2]), [ACK, 3]);
        send(&mut m, &[0xf4]);
        m.motion(0, 0, -1, 0);
        assert_eq!(drain(&mut m), [0x08, 0, 0, 0xff]);
        send(&mut m, &[0xf3, 200, 0xf3, 200, 0xf3, 80]);
        assert_eq!(send(&mut m, &[0xf2]), [ACK, 4]);
        m.motion(0, 0, 1, 0x18);
        assert_eq!(drain(&mut m), [0x08, 0, 0, 0x31]);
    }

    #[test]
    fn a_click_is_not_lost_behind_motion() {
        let mut m = Mouse::new();
        send(&mut m, &[0xf4]);
        m.motion(1, 0, 0, 0);
        m.motion(0, 0, 0, 1);
        m.motion(0, 0, 0, 0);
        assert_eq!(drain(&mut m), [8, 1, 0, 9, 0, 0, 8, 0, 0]);
    }

    #[test]
    fn remote_mode_reports_when_asked() {
        let mut m = Mouse::new();
        send(&mut m, &[0xf0]);
        m.motion(1, 1, 0, 0);
        assert!(drain(&mut m).is_empty());
        assert_eq!(send(&mut m, &[0xeb]), [ACK, 8, 1, 1]);
    }
}
