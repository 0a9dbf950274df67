//! A machine whose serial console and screen a test drives.

use cpu::CpuModel;
use machine::{Config, Exit, Image, Machine, Typist};
use std::time::{Duration, Instant};

/// Instructions between looks at what the guest has sent.
const STEP: u64 = 2_000_000;

/// A running machine, with all that it has sent.
pub struct Console {
    /// The machine.
    pub machine: Machine,
    /// Everything that the first serial port has sent.
    pub output: Vec<u8>,
    /// Sent to the guest and not yet taken.
    waiting: Vec<u8>,
    typist: Typist,
    /// Output up to here has been waited for.
    seen: usize,
    until: Instant,
}

impl Console {
    /// Boots an image with deterministic time. After `limit` of the host's time, whatever is
    /// waited for has failed.
    ///
    /// # Errors
    /// The machine cannot be made, or the image not be booted.
    pub fn boot(image: &Image, memory: u64, limit: Duration) -> Result<Console, String> {
        Console::boot_on(CpuModel::N270, image, memory, limit)
    }

    /// As [`Console::boot`], on another CPU.
    ///
    /// # Errors
    /// As [`Console::boot`].
    pub fn boot_on(model: CpuModel, image: &Image, memory: u64, limit: Duration) -> Result<Console, String> {
        let config = Config { memory, model, deterministic: true, epoch: 946_684_800 };
        let mut machine = Machine::new(config, crate::engine()?).map_err(|e| e.to_string())?;
        machine.boot(image).map_err(|e| e.to_string())?;
        Ok(Console::over(machine, limit))
    }

    /// A console over a machine that is ready to run.
    pub fn over(machine: Machine, limit: Duration) -> Console {
        let until = Instant::now() + limit;
        let typist = Typist::default();
        Console { machine, output: Vec::new(), waiting: Vec::new(), typist, seen: 0, until }
    }

    /// Runs a little, at most to `limit` instructions in all, and moves bytes both ways. Some: the
    /// machine cannot go on or has reached the limit.
    pub fn step(&mut self, limit: u64) -> Option<Exit> {
        let limit = limit.min(self.machine.cpu().retired + STEP);
        let exit = self.machine.run(limit);
        self.machine.serial_output(0, &mut self.output);
        if !self.waiting.is_empty() {
            let taken = self.machine.serial_input(0, &self.waiting);
            self.waiting.drain(..taken);
        }
        self.typist.pump(&mut self.machine);
        match exit {
            Exit::Slice | Exit::Limit => None,
            Exit::Idle(time) => {
                std::thread::sleep(time.min(Duration::from_millis(10)));
                None
            }
            end => Some(end),
        }
    }

    fn run_until(&mut self, what: &str, mut done: impl FnMut(&mut Console) -> bool) -> Result<(), String> {
        while !done(self) {
            if let Some(exit) = self.step(u64::MAX) {
                return Err(format!("{exit:?} before {what}:\n{}", self.tail()));
            }
            if Instant::now() > self.until {
                return Err(format!("no {what} within the time:\n{}", self.tail()));
            }
        }
        Ok(())
    }

    /// Runs until the guest sends `text`; returns what came before it.
    ///
    /// # Errors
    /// It ends first, or takes too long.
    pub fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let mut found = None;
        self.run_until(&format!("{text:?}"), |c| {
            let new = &c.output[c.seen..];
            found = new.windows(text.len()).position(|w| w == text.as_bytes()).map(|n| c.seen + n);
            found.is_some()
        })?;
        let at = found.unwrap_or(self.output.len());
        let before = String::from_utf8_lossy(&self.output[self.seen..at]).into_owned();
        self.seen = at + text.len();
        Ok(before)
    }

    /// Runs until a row of the text screen contains `text`.
    ///
    /// # Errors
    /// It ends first, or takes too long.
    pub fn wait_for_screen(&mut self, text: &str) -> Result<(), String> {
        self.run_until(&format!("{text:?} on the screen"), |c| c.screen().contains(text))
    }

    /// Runs until the rows of the text screen are as wanted, everything having been typed.
    ///
    /// # Errors
    /// It ends first, or takes too long.
    pub fn wait_for_screen_where(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<(), String> {
        self.run_until(what, |c| c.typist.is_idle() && wanted(&c.screen()))
    }

    /// Types on the keyboard.
    pub fn keys(&mut self, text: &str) {
        self.typist.text(text);
    }

    /// Whether the keyboard has taken all that was typed.
    pub fn keys_typed(&self) -> bool {
        self.typist.is_idle()
    }

    /// Runs until the machine ends by itself.
    ///
    /// # Errors
    /// It takes too long.
    pub fn wait_for_end(&mut self) -> Result<Exit, String> {
        loop {
            if let Some(exit) = self.step(u64::MAX) {
                return Ok(exit);
            }
            if Instant::now() > self.until {
                return Err(format!("no end within the time:\n{}", self.tail()));
            }
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.waiting.extend(line.bytes().chain([b'\n']));
    }

    /// Types a command and returns what the guest printed until it asked with `prompt` again.
    ///
    /// # Errors
    /// As for [`Console::wait_for`].
    pub fn command(&mut self, line: &str, prompt: &str) -> Result<String, String> {
        self.type_line(line);
        self.wait_for(line)?;
        self.wait_for(prompt)
    }

    /// The rows of the text screen.
    pub fn screen(&mut self) -> String {
        let Some(text) = self.machine.text() else { return String::new() };
        (0..text.rows).map(|r| text.row(r) + "\n").collect()
    }

    /// The last lines of the output, and the screen where it shows something.
    pub fn tail(&mut self) -> String {
        let start = self.output.len().saturating_sub(1500);
        let mut tail = String::from_utf8_lossy(&self.output[start..]).into_owned();
        let screen = self.screen();
        if !screen.trim().is_empty() {
            tail += &format!("\n-- screen --\n{}", screen.trim_end());
        }
        tail
    }
}
