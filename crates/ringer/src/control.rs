//! The machine as QMP controls it.

use crate::cli::Run;
use crate::media::Removable;
use crate::qmp::{Control, Input, Picture, QmpError};
use dev::keys::Key;
use disk::Complaints;
use machine::snapshot::{SnapshotError, write_atomically};
use machine::{Machine, Nanos, Typist};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

/// Bytes of memory copied at a time.
const CHUNK: usize = 1 << 20;

/// What QMP asked of the session since it was last looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) quit: bool,
    pub(crate) reset: bool,
    pub(crate) stopped: bool,
    pub(crate) resumed: bool,
    pub(crate) power_button: bool,
}

/// A machine with what its keyboard and mouse are to do.
pub(crate) struct Controlled<'a> {
    pub(crate) machine: &'a mut Machine,
    pub(crate) typist: &'a mut Typist,
    pub(crate) paused: &'a mut bool,
    pub(crate) buttons: &'a mut u8,
    pub(crate) wishes: &'a mut Wishes,
    pub(crate) run: &'a Run,
    pub(crate) complaints: &'a Complaints,
}

fn host(path: &Path, e: impl std::fmt::Display) -> QmpError {
    QmpError::generic(format!("{}: {e}", path.display()))
}

impl Control for Controlled<'_> {
    fn running(&self) -> bool {
        !*self.paused
    }

    fn set_running(&mut self, on: bool) {
        if on == *self.paused {
            *self.paused = !on;
            self.machine.set_running(on);
            if on {
                self.wishes.resumed = true;
            } else {
                self.wishes.stopped = true;
            }
        }
    }

    fn quit(&mut self) {
        self.wishes.quit = true;
    }

    fn reset(&mut self) -> Result<(), QmpError> {
        self.wishes.reset = true;
        Ok(())
    }

    fn power_button(&mut self) {
        self.machine.power_button();
        self.wishes.power_button = true;
    }

    fn send_keys(&mut self, keys: &[Key], hold: u64) {
        let hold: Nanos = hold * 1_000_000;
        keys.iter().for_each(|&k| self.typist.stroke(k, true));
        self.typist.pause(hold);
        keys.iter().rev().for_each(|&k| self.typist.stroke(k, false));
    }

    fn input(&mut self, event: Input) {
        match event {
            Input::Key(key, down) => self.typist.stroke(key, down),
            Input::Button(bit, true) => *self.buttons |= bit,
            Input::Button(bit, false) => *self.buttons &= !bit,
            Input::Move(..) | Input::Wheel(_) => {}
        }
        let (dx, dy, dz) = match event {
            // QEMU counts downwards, the mouse upwards
            Input::Move(x, y) => (x, -y, 0),
            Input::Wheel(z) => (0, 0, z),
            Input::Key(..) => return,
            Input::Button(..) => (0, 0, 0),
        };
        self.machine.mouse(dx, dy, dz, *self.buttons);
    }

    fn screendump(&mut self, to: &Path, how: Picture) -> Result<(), QmpError> {
        let frame = self.machine.frame();
        let bytes = match how {
            Picture::Png => machine::picture::png(&frame),
            Picture::Ppm => machine::picture::ppm(&frame),
        };
        std::fs::write(to, bytes).map_err(|e| host(to, e))
    }

    fn save_memory(&mut self, at: u64, size: u64, to: &Path) -> Result<(), QmpError> {
        if at.checked_add(size).is_none_or(|end| end > 1 << 32) {
            return Err(QmpError::generic("the range ends beyond 4 GiB"));
        }
        let mut out = BufWriter::new(File::create(to).map_err(|e| host(to, e))?);
        let mut chunk = vec![0; CHUNK];
        for start in (at..at + size).step_by(CHUNK) {
            let part = &mut chunk[..CHUNK.min((at + size - start) as usize)];
            self.machine.read_physical(start, part);
            out.write_all(part).map_err(|e| host(to, e))?;
        }
        out.flush().map_err(|e| host(to, e))
    }

    fn save(&mut self, to: &Path) -> Result<(), QmpError> {
        save(self.machine, to).map_err(|e| host(to, e))
    }

    fn load(&mut self, from: &Path) -> Result<(), QmpError> {
        let file = File::open(from).map_err(|e| host(from, e))?;
        let engine = crate::engine::another(self.run).map_err(|e| QmpError::generic(format!("{e:#}")))?;
        self.machine.load_in_place(BufReader::new(file), engine).map_err(|e| host(from, e))?;
        self.typist.clear();
        self.machine.set_running(!*self.paused);
        Ok(())
    }

    fn change_medium(&mut self, device: &str, to: Option<&Path>) -> Result<(), QmpError> {
        let drive = Removable::named(device).ok_or_else(|| QmpError::device_not_found(device))?;
        let done = drive.change(to, self.run, self.machine.board(), self.complaints);
        done.map_err(|e| QmpError::generic(format!("{e:#}")))
    }

    fn info(&mut self, name: &str) -> Option<String> {
        match name {
            "registers" => Some(self.machine.info_registers()),
            "mem" => Some(self.machine.info_mem()),
            "pic" => Some(self.machine.info_pic()),
            "status" => Some(format!("VM status: {}\r\n", if *self.paused { "paused" } else { "running" })),
            _ => None,
        }
    }
}

/// Saves a machine to a file, whole or not at all.
pub(crate) fn save(machine: &mut Machine, to: &Path) -> Result<(), SnapshotError> {
    write_atomically(to, |out| machine.save(out).map(drop))
}
