//! A machine between the guest and the user.

use crate::cli::{Run, Serial};
use crate::run::{DETERMINISTIC_EPOCH, STEP};
use crate::serial::{self, Line};
use crate::{report, signals::Signals};
use anyhow::Context;
use interp::Interpreter;
use machine::{Config, Exit, Image, Machine};
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest sleep of an idle guest's host thread.
const NAP: Duration = Duration::from_millis(20);

/// What is to become of the machine.
enum Next {
    /// It goes on.
    On,
    /// It ends, with this exit code.
    End(ExitCode),
}

/// A running machine and everything that the user sees of it.
pub(crate) struct Session<'a> {
    run: &'a Run,
    image: Image,
    machine: Machine,
    line: Line,
    debug: Option<File>,
    signals: Signals,
    started: Instant,
}

impl<'a> Session<'a> {
    /// A machine as the options describe it, with the image in it.
    pub(crate) fn new(run: &'a Run, image: Image) -> anyhow::Result<Session<'a>> {
        let epoch = if run.deterministic { DETERMINISTIC_EPOCH } else { now() };
        let config = Config { memory: run.memory, model: run.cpu, deterministic: run.deterministic, epoch };
        let machine = Machine::new(config, Box::new(Interpreter::default()))?;
        let debug = run.debug_console.as_ref().map(|path| {
            File::create(path).with_context(|| format!("the debug console's file {}", path.display()))
        });
        let debug = debug.transpose()?;
        // before the terminal is made raw, so that nothing can end the process while it is
        let signals = Signals::catch()?;
        let line = serial::open(run.serial.as_ref().unwrap_or(&Serial::Stdio), &signals)?;
        let mut session = Session { run, image, machine, line, debug, signals, started: Instant::now() };
        for (n, path) in run.floppy.iter().enumerate() {
            let image = disk::RawImage::open(path, disk::Access::ReadOnly, disk::Complaints::default())
                .with_context(|| format!("the floppy {}", path.display()))?;
            session.machine.board().insert_floppy(n, Box::new(disk::Overlay::new(Box::new(image))));
        }
        session.boot()?;
        Ok(session)
    }

    fn boot(&mut self) -> anyhow::Result<()> {
        let name = self.run.kernel.as_ref().or(self.run.rom.as_ref()).or(self.run.bios.as_ref());
        let name = name.map_or_else(String::new, |p| p.display().to_string());
        self.machine.boot(&self.image).with_context(|| format!("cannot boot {name}"))
    }

    /// Runs the machine to its end.
    pub(crate) fn go(mut self) -> anyhow::Result<ExitCode> {
        let code = loop {
            if let Next::End(code) = self.exchange()? {
                break code;
            }
            if let Next::End(code) = self.step()? {
                break code;
            }
        };
        self.exchange()?;
        if let Some(format) = self.run.stats {
            report::print(&mut self.machine, format, self.started.elapsed());
        }
        Ok(code)
    }

    /// Lets the guest run a little.
    fn step(&mut self) -> anyhow::Result<Next> {
        let limit = self.run.instructions.unwrap_or(u64::MAX);
        let step = if self.run.trace { self.trace() } else { self.machine.cpu().retired + STEP };
        let next = match self.machine.run(step.min(limit)) {
            Exit::Slice => Next::On,
            Exit::Limit if self.machine.cpu().retired < limit => Next::On,
            Exit::Limit | Exit::PowerOff => Next::End(ExitCode::SUCCESS),
            Exit::Idle(time) => {
                self.line.wait(time.min(NAP));
                Next::On
            }
            Exit::Reset => self.reset()?,
            Exit::Shutdown => self.ended("the guest has shut down: a triple fault"),
            Exit::Stuck => self.ended("the guest has halted with interrupts off"),
        };
        Ok(next)
    }

    /// A PC with a BIOS starts again; a kernel that was loaded directly does so if asked to.
    fn reset(&mut self) -> anyhow::Result<Next> {
        let firmware = matches!(self.image, Image::Firmware(_));
        if self.run.no_reboot || !firmware && !self.run.reboot {
            return Ok(Next::End(ExitCode::SUCCESS));
        }
        self.machine.reset();
        if !firmware {
            self.boot()?;
        }
        Ok(Next::On)
    }

    fn ended(&self, why: &str) -> Next {
        let cpu = self.machine.cpu();
        eprintln!("ringer: {why} at {:04x}:{:08x}", cpu.seg[1].selector, cpu.eip);
        Next::End(ExitCode::from(1))
    }

    /// Prints the instruction at EIP; returns the limit that runs just it.
    fn trace(&mut self) -> u64 {
        let line = self.machine.describe();
        // a closed standard error is no reason to stop the guest
        let _ = writeln!(std::io::stderr(), "{line}");
        self.machine.cpu().retired + 1
    }

    /// Moves everything between guest and user, both ways.
    fn exchange(&mut self) -> anyhow::Result<Next> {
        self.say()?;
        if !self.line.exchange(&mut self.machine)? {
            return Ok(Next::End(ExitCode::SUCCESS));
        }
        Ok(self.signals.caught().map_or(Next::On, Next::End))
    }

    fn say(&mut self) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        self.machine.board().debug_output(&mut bytes);
        if let Some(file) = &mut self.debug {
            file.write_all(&bytes).context("writing what the debug console says")?;
        }
        Ok(())
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}
