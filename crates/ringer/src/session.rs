//! A machine between the guest and the user.

use crate::cli::{DisplayName, Run, Serial, Shot};
use crate::control::{Controlled, Wishes};
use crate::display::UserEvent;
use crate::display::text::{Cell, Page, TextDisplay};
use crate::display::window::WindowDisplay;
use crate::engine::engine;
use crate::media::Media;
use crate::nic;
use crate::qmp::Qmp;
use crate::run::{DETERMINISTIC_EPOCH, STEP};
use crate::serial::{self, Line};
use crate::sound::Recording;
use crate::{profile, report, signals::Signals};
use anyhow::Context;
use disk::Complaints;
use machine::{Config, Exit, Image, Machine, Typist};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, IsTerminal, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest sleep of an idle guest's host thread.
const NAP: Duration = Duration::from_millis(20);

/// Time between two drawings of the screen.
const FRAME_TIME: Duration = Duration::from_millis(50);
/// The same in a window, which shows motion.
const WINDOW_FRAME_TIME: Duration = Duration::from_millis(16);

/// What shows the guest's screen.
enum Screen {
    None,
    Terminal(TextDisplay),
    Window(Box<WindowDisplay>),
}

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
    /// What the machine starts with, and again after a reset; a loaded machine has its firmware alone.
    image: Option<Image>,
    machine: Machine,
    line: Line,
    debug: Option<File>,
    sound: Option<Recording>,
    screen: Screen,
    /// When the screen was last drawn.
    drawn: Instant,
    typist: Typist,
    qmp: Option<Qmp>,
    /// QMP has stopped the machine.
    paused: bool,
    /// Mouse buttons that QMP holds down.
    buttons: u8,
    /// Pictures still to be taken, the next one last.
    shots: Vec<Shot>,
    complaints: Complaints,
    signals: Signals,
    started: Instant,
}

impl<'a> Session<'a> {
    /// A machine as the options describe it, with the image in it.
    pub(crate) fn new(run: &'a Run, image: Option<Image>, media: &Media) -> anyhow::Result<Session<'a>> {
        let epoch = if run.deterministic { DETERMINISTIC_EPOCH } else { now() };
        let config = Config { memory: run.memory, model: run.cpu, deterministic: run.deterministic, epoch };
        let complaints = Complaints::default();
        let machine = match &run.load {
            Some(path) => loaded(path, run, media, &complaints)?,
            None => {
                let mut machine = Machine::new(config, engine(run)?)?;
                media.insert(run, machine.board(), &complaints)?;
                nic::attach(run, image.as_ref(), machine.board());
                machine
            }
        };
        let debug = run.debug_console.as_ref().map(|path| {
            File::create(path).with_context(|| format!("the debug console's file {}", path.display()))
        });
        let debug = debug.transpose()?;
        // before the terminal is made raw, so that nothing can end the process while it is
        let signals = Signals::catch()?;
        let firmware = machine.has_firmware() || matches!(image, Some(Image::Firmware(_)));
        let text = shows_text(run, firmware);
        let window = run.display == Some(DisplayName::Window);
        let quiet = text || window && firmware;
        let serial = run.serial.clone().unwrap_or(if quiet { Serial::None } else { Serial::Stdio });
        if text && serial == Serial::Stdio {
            anyhow::bail!(
                "the terminal can show the screen or the serial port: give --serial another place, or --headless"
            );
        }
        let line = serial::open(&serial, &signals)?;
        let mut shots = run.screenshot_at.clone();
        shots.sort_by(|a, b| b.at.total_cmp(&a.at));
        let mut session = Session {
            run,
            image,
            machine,
            line,
            debug,
            sound: run.speaker.as_deref().map(Recording::create).transpose()?,
            screen: Screen::None,
            drawn: Instant::now(),
            typist: Typist::default(),
            qmp: run.qmp.as_deref().map(Qmp::listen).transpose()?,
            paused: false,
            buttons: 0,
            shots,
            complaints,
            signals,
            started: Instant::now(),
        };
        if run.classify.is_some() {
            session.machine.start_profile();
        }
        if session.sound.is_some() {
            session.machine.listen();
        }
        if run.load.is_none() {
            session.boot()?;
        }
        if text {
            session.screen = Screen::Terminal(TextDisplay::open()?);
        } else if window {
            session.screen = Screen::Window(Box::new(WindowDisplay::open(run.host_key)?));
        }
        Ok(session)
    }

    fn boot(&mut self) -> anyhow::Result<()> {
        let run = self.run;
        let name = run.kernel.as_ref().or(run.image.as_ref()).or(run.rom.as_ref()).or(run.bios.as_ref());
        let name = name.map_or_else(String::new, |p| p.display().to_string());
        let Some(image) = &self.image else { return Ok(()) };
        self.machine.boot(image).with_context(|| format!("cannot boot {name}"))
    }

    /// Runs the machine to its end.
    pub(crate) fn go(mut self) -> anyhow::Result<ExitCode> {
        let code = loop {
            if let Next::End(code) = self.exchange()? {
                break code;
            }
            if let Next::End(code) = self.control()? {
                break code;
            }
            if self.paused {
                self.nap(NAP);
                continue;
            }
            if let Next::End(code) = self.step()? {
                break code;
            }
        };
        self.exchange()?;
        // the terminal is the user's again before anything is said
        self.screen = Screen::None;
        let flushed = self.machine.board().flush_media();
        self.say()?;
        if let Some(recording) = self.sound.take() {
            recording.finish()?;
        }
        if let Some(format) = self.run.stats {
            report::print(&mut self.machine, format, self.started.elapsed());
        }
        if let Some(file) = &self.run.classify {
            profile::write(&self.machine, file)?;
        }
        flushed?;
        Ok(code)
    }

    /// Lets the guest run a little.
    fn step(&mut self) -> anyhow::Result<Next> {
        let limit = self.run.instructions.unwrap_or(u64::MAX);
        let step = if self.run.trace { self.trace() } else { self.machine.cpu().retired + STEP };
        let next = match self.machine.run(step.min(limit)) {
            Exit::Slice => Next::On,
            Exit::Limit if self.machine.cpu().retired < limit => Next::On,
            Exit::PowerOff => {
                self.event("SHUTDOWN", Some(json!({ "guest": true, "reason": "guest-shutdown" })));
                Next::End(ExitCode::SUCCESS)
            }
            Exit::Limit => Next::End(ExitCode::SUCCESS),
            Exit::Idle(time) => {
                self.nap(time.min(NAP));
                Next::On
            }
            Exit::Reset => {
                self.event("RESET", Some(json!({ "guest": true, "reason": "guest-reset" })));
                self.reset(self.run.reboot)?
            }
            Exit::Shutdown => self.ended("the guest has shut down: a triple fault"),
            // what it last said is to be seen, and a reset can start it again
            Exit::Stuck if self.qmp.is_some() || !matches!(self.screen, Screen::None) => {
                self.nap(NAP);
                Next::On
            }
            Exit::Stuck => self.ended("the guest has halted with interrupts off"),
        };
        Ok(next)
    }

    /// A PC with a BIOS starts again; a kernel that was loaded directly does so if asked to.
    fn reset(&mut self, kernel_too: bool) -> anyhow::Result<Next> {
        let firmware = self.machine.has_firmware();
        let again = firmware || kernel_too && self.image.is_some();
        if self.run.no_reboot || !again {
            return Ok(Next::End(ExitCode::SUCCESS));
        }
        self.machine.reset();
        self.typist.clear();
        if !firmware {
            self.boot()?;
        }
        Ok(Next::On)
    }

    fn event(&mut self, name: &str, data: Option<serde_json::Value>) {
        if let Some(qmp) = &mut self.qmp {
            qmp.event(name, data);
        }
    }

    /// Sleeps, at most until somebody wants something.
    fn nap(&mut self, time: Duration) {
        match &mut self.qmp {
            Some(qmp) => qmp.wait(time),
            None => self.line.wait(time),
        }
    }

    /// Does what QMP's clients ask for.
    fn control(&mut self) -> anyhow::Result<Next> {
        let Some(qmp) = &mut self.qmp else { return Ok(Next::On) };
        let mut wishes = Wishes::default();
        qmp.poll(&mut Controlled {
            machine: &mut self.machine,
            typist: &mut self.typist,
            paused: &mut self.paused,
            buttons: &mut self.buttons,
            wishes: &mut wishes,
            run: self.run,
            complaints: &self.complaints,
        });
        let told = [(wishes.stopped, "STOP"), (wishes.resumed, "RESUME"), (wishes.power_button, "POWERDOWN")];
        told.iter().filter(|(on, _)| *on).for_each(|(_, name)| self.event(name, None));
        if wishes.quit {
            self.event("SHUTDOWN", Some(json!({ "guest": false, "reason": "host-qmp-quit" })));
            return Ok(Next::End(ExitCode::SUCCESS));
        }
        if wishes.reset {
            self.event("RESET", Some(json!({ "guest": false, "reason": "host-qmp-system-reset" })));
            return self.reset(true);
        }
        Ok(Next::On)
    }

    fn ended(&mut self, why: &str) -> Next {
        self.event("SHUTDOWN", Some(json!({ "guest": true, "reason": "guest-panic" })));
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
        if let Some(code) = self.signals.caught() {
            self.event("SHUTDOWN", Some(json!({ "guest": false, "reason": "host-signal" })));
            return Ok(Next::End(code));
        }
        self.show()
    }

    /// Draws the screen now and then, takes pictures that are due, and types what the user typed.
    fn show(&mut self) -> anyhow::Result<Next> {
        while let Some(shot) = self.shots.pop_if(|s| s.at * 1e9 <= self.machine.now() as f64) {
            let png = machine::picture::png(&self.machine.frame());
            let written = std::fs::write(&shot.file, png);
            written.with_context(|| format!("the screenshot {}", shot.file.display()))?;
        }
        let events = match &mut self.screen {
            Screen::None => Vec::new(),
            Screen::Terminal(screen) => screen.events(),
            Screen::Window(screen) => screen.events(),
        };
        for event in events {
            if let Next::End(code) = self.user(event) {
                return Ok(Next::End(code));
            }
        }
        self.draw()?;
        self.typist.pump(&mut self.machine);
        Ok(Next::On)
    }

    fn user(&mut self, event: UserEvent) -> Next {
        match event {
            UserEvent::Key(key, down) => self.typist.stroke(key, down),
            UserEvent::Mouse { dx, dy, dz, buttons } => self.machine.mouse(dx, dy, dz, buttons),
            UserEvent::PowerButton => self.machine.power_button(),
            UserEvent::Quit => {
                self.event("SHUTDOWN", Some(json!({ "guest": false, "reason": "host-ui" })));
                return Next::End(ExitCode::SUCCESS);
            }
        }
        Next::On
    }

    /// Shows what the guest's screen shows, now and then.
    fn draw(&mut self) -> anyhow::Result<()> {
        let waited = self.drawn.elapsed();
        match &mut self.screen {
            Screen::Terminal(screen) if waited >= FRAME_TIME => {
                self.drawn = Instant::now();
                draw(screen, &mut self.machine).context("drawing on the terminal")?;
            }
            Screen::Window(screen) if waited >= WINDOW_FRAME_TIME => {
                self.drawn = Instant::now();
                if let Some(frame) = self.machine.new_frame() {
                    screen.show(frame);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn say(&mut self) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        self.machine.board().debug_output(&mut bytes);
        if let Some(file) = &mut self.debug {
            file.write_all(&bytes).context("writing what the debug console says")?;
        }
        if let Some(recording) = &mut self.sound {
            recording.add(&self.machine.board().sound())?;
        }
        for complaint in self.complaints.take() {
            // a closed standard error is no reason to stop the guest
            let _ = writeln!(std::io::stderr(), "ringer: {complaint}\r");
        }
        Ok(())
    }
}

/// The machine in a snapshot, with the images that the options name.
fn loaded(path: &Path, run: &Run, media: &Media, complaints: &Complaints) -> anyhow::Result<Machine> {
    let context = || format!("the snapshot {}", path.display());
    let file = File::open(path).with_context(context)?;
    let mut inserted = Ok(());
    let engine = engine(run)?;
    let machine = Machine::load(BufReader::new(file), engine, |board| {
        nic::insist(run, board);
        inserted = media.insert(run, board, complaints);
    });
    inserted?;
    machine.with_context(context)
}

/// Whether the terminal shows the guest's screen.
fn shows_text(run: &Run, firmware: bool) -> bool {
    match run.display {
        Some(how) => how == DisplayName::Text,
        None => {
            let terminal = stdin().is_terminal() && stdout().is_terminal();
            !run.headless && run.serial.is_none() && firmware && terminal
        }
    }
}

/// Draws what the machine's screen shows.
fn draw(screen: &mut TextDisplay, machine: &mut Machine) -> std::io::Result<()> {
    let Some(text) = machine.text() else {
        let frame = machine.frame();
        let size = format!("{} by {}", frame.width, frame.height);
        return screen.say(&format!("The guest shows graphics, {size}; --screenshot-at saves them."));
    };
    let colours = machine.board().text_colours();
    let cell = |c: &dev::vga::Cell| Cell {
        code: c.character,
        ink: colours[usize::from(c.attribute & 15)],
        paper: colours[usize::from(c.attribute >> 4 & 7)],
    };
    let cells = text.cells.iter().map(cell).collect();
    screen.show(Page { cols: text.cols, cells, cursor: text.cursor })
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}
