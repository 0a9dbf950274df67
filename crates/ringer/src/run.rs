//! `ringer run`: a machine between the guest and the user.

use crate::cli::{Run, Serial};
use crate::terminal::{Escapes, RawTerminal};
use crate::{load, report, signals::Signals};
use anyhow::{Context, bail};
use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Exit, Image, Machine};
use std::fs::File;
use std::io::{ErrorKind, Read, Write, stdin, stdout};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The real-time clock of a deterministic run: the year 2000.
const DETERMINISTIC_EPOCH: i64 = 946_684_800;
/// RAM of the embedded guest.
const EMBEDDED_MEMORY: u64 = 16 << 20;

/// Instructions between looks at the user's keys and signals, where the guest sends nothing.
const STEP: u64 = 2_000_000;

/// Bytes that may wait for a guest to take them. A pipe stands still beyond that; of what is typed,
/// the rest is lost, since Ctrl-a x may come after it.
const MOST_WAITING: usize = 64 << 10;
/// Reads that may wait to be looked at.
const MOST_READ: usize = 16;

/// Boots the embedded guest: what it says, and then what it took. Its time is that of its
/// instructions, so that it says the same every time.
pub(crate) fn embedded() -> anyhow::Result<ExitCode> {
    let config = Config {
        memory: EMBEDDED_MEMORY,
        model: CpuModel::N270,
        deterministic: true,
        epoch: DETERMINISTIC_EPOCH,
    };
    let mut machine = Machine::new(config, Box::new(Interpreter::default()))?;
    machine.boot(&Image::Rom(test_roms::DEFAULT_GUEST.to_vec()))?;
    let (started, mut out) = (Instant::now(), stdout());
    let signals = Signals::catch()?;
    let exit = loop {
        let exit = machine.run(machine.cpu().retired + STEP);
        let mut bytes = Vec::new();
        machine.serial_output(0, &mut bytes);
        out.write_all(&bytes).and_then(|()| out.flush()).context("writing what the guest says")?;
        if let Some(code) = signals.caught() {
            return Ok(code);
        }
        if !matches!(exit, Exit::Slice | Exit::Limit) {
            break exit;
        }
    };
    if exit != Exit::PowerOff {
        bail!("the embedded guest did not power off: {exit:?}");
    }
    let meter = report::text(&mut machine, started.elapsed());
    writeln!(out, "\nThe efficiency meter:\n\n{meter}").context("writing the efficiency meter")?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the machine that the options describe.
pub(crate) fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let Some(image) = load::image(run)? else {
        eprintln!(
            "ringer: nothing to boot: give --kernel or --rom, or no argument at all for the embedded guest"
        );
        return Ok(ExitCode::from(2));
    };
    let mut session = Session::new(run)?;
    session.boot(&image, run)?;
    session.go(run, &image)
}

/// What came from the user.
enum Input {
    Bytes(Vec<u8>),
    End,
}

/// Where the serial port's bytes go and come from.
struct Line {
    out: Option<Box<dyn Write>>,
    input: Receiver<Input>,
    /// Received and not yet taken by the guest.
    waiting: Vec<u8>,
    _terminal: Option<RawTerminal>,
}

impl Line {
    fn typed(&self) -> bool {
        self._terminal.is_some()
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= MOST_WAITING && !self.typed()
    }

    fn add(&mut self, bytes: Vec<u8>) {
        self.waiting.extend(bytes);
        if self.typed() {
            self.waiting.truncate(MOST_WAITING);
        }
    }
}

struct Session {
    machine: Machine,
    line: Line,
    debug: Option<File>,
    signals: Signals,
    started: Instant,
}

impl Session {
    fn new(run: &Run) -> anyhow::Result<Session> {
        let epoch = if run.deterministic { DETERMINISTIC_EPOCH } else { now() };
        let config = Config { memory: run.memory, model: run.cpu, deterministic: run.deterministic, epoch };
        let machine = Machine::new(config, Box::new(Interpreter::default()))?;
        // before the terminal is made raw, so that nothing can end the process while it is
        let signals = Signals::catch()?;
        let line = open(run.serial.as_ref().unwrap_or(&Serial::Stdio), &signals)?;
        let debug = run.debug_console.as_ref().map(|path| {
            File::create(path).with_context(|| format!("the debug console's file {}", path.display()))
        });
        let debug = debug.transpose()?;
        Ok(Session { machine, line, debug, signals, started: Instant::now() })
    }

    fn boot(&mut self, image: &Image, run: &Run) -> anyhow::Result<()> {
        let name = run.kernel.as_ref().or(run.rom.as_ref());
        let name = name.map_or_else(String::new, |p| p.display().to_string());
        self.machine.boot(image).with_context(|| format!("cannot boot {name}"))
    }

    fn go(&mut self, run: &Run, image: &Image) -> anyhow::Result<ExitCode> {
        let limit = run.instructions.unwrap_or(u64::MAX);
        let code = loop {
            if !self.exchange()? {
                break ExitCode::SUCCESS;
            }
            if let Some(code) = self.signals.caught() {
                break code;
            }
            let step = if run.trace { self.trace() } else { self.machine.cpu().retired + STEP };
            match self.machine.run(step.min(limit)) {
                Exit::Slice => {}
                Exit::Limit if self.machine.cpu().retired < limit => {}
                Exit::Limit | Exit::PowerOff => break ExitCode::SUCCESS,
                Exit::Idle(time) => self.wait(time),
                Exit::Reset if run.reboot => {
                    self.machine.reset();
                    self.boot(image, run)?;
                }
                Exit::Reset => break ExitCode::SUCCESS,
                Exit::Shutdown => break self.ended("the guest has shut down: a triple fault"),
                Exit::Stuck => break self.ended("the guest has halted with interrupts off"),
            }
        };
        self.exchange()?;
        if let Some(format) = run.stats {
            report::print(&mut self.machine, format, self.started.elapsed());
        }
        Ok(code)
    }

    fn ended(&self, why: &str) -> ExitCode {
        let cpu = self.machine.cpu();
        eprintln!("ringer: {why} at {:04x}:{:08x}", cpu.seg[1].selector, cpu.eip);
        ExitCode::from(1)
    }

    /// Prints the instruction at EIP; returns the limit that runs just it.
    fn trace(&mut self) -> u64 {
        let line = self.machine.describe();
        // a closed standard error is no reason to stop the guest
        let _ = writeln!(std::io::stderr(), "{line}");
        self.machine.cpu().retired + 1
    }

    /// Moves serial bytes both ways; false where the user asks for the end.
    fn exchange(&mut self) -> anyhow::Result<bool> {
        let mut bytes = Vec::new();
        self.machine.serial_output(0, &mut bytes);
        if !bytes.is_empty() {
            self.send(&bytes)?;
        }
        let mut bytes = Vec::new();
        self.machine.board().debug_output(&mut bytes);
        if let Some(file) = &mut self.debug {
            file.write_all(&bytes).context("writing what the debug console says")?;
        }
        while !self.line.is_full() {
            match self.line.input.try_recv() {
                Ok(Input::Bytes(b)) => self.line.add(b),
                Ok(Input::End) => return Ok(false),
                Err(_) => break,
            }
        }
        if !self.line.waiting.is_empty() {
            let taken = self.machine.serial_input(0, &self.line.waiting);
            self.line.waiting.drain(..taken);
        }
        Ok(true)
    }

    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(out) = &mut self.line.out else { return Ok(()) };
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.line.out = None;
                bail!("the reader of the serial port has gone: standard output is closed")
            }
            Err(e) => Err(e).context("writing what the serial port sends"),
        }
    }

    /// Sleeps until the guest's next event or the user's next key.
    fn wait(&mut self, time: Duration) {
        let time = time.min(Duration::from_millis(100));
        if self.line.is_full() {
            return std::thread::sleep(time);
        }
        match self.line.input.recv_timeout(time) {
            Ok(Input::Bytes(b)) => self.line.add(b),
            Ok(Input::End) => self.line.input = ended(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(time),
        }
    }
}

/// A channel that says that the user wants to end.
fn ended() -> Receiver<Input> {
    let (send, receive) = channel();
    // the receiver is alive, so this cannot fail
    let _ = send.send(Input::End);
    receive
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

fn open(serial: &Serial, signals: &Signals) -> anyhow::Result<Line> {
    let (send, input) = sync_channel(MOST_READ);
    let mut line = Line { out: None, input, waiting: Vec::new(), _terminal: None };
    match serial {
        Serial::None => {}
        Serial::File(path) => {
            let file =
                File::create(path).with_context(|| format!("the serial port's file {}", path.display()))?;
            line.out = Some(Box::new(file));
        }
        Serial::Unix(path) => {
            let context = || format!("the serial port's socket {}", path.display());
            let listener = UnixListener::bind(path).with_context(context)?;
            eprintln!("ringer: waiting for a connection to {}", path.display());
            let stream = accept(&listener, signals).with_context(context)?;
            line.out = Some(Box::new(stream.try_clone().with_context(context)?));
            std::thread::spawn(move || read_all(stream, |b| send.send(Input::Bytes(b)).is_ok()));
        }
        Serial::Stdio => {
            line._terminal = RawTerminal::enter();
            line.out = Some(Box::new(stdout()));
            let raw = line._terminal.is_some();
            std::thread::spawn(move || {
                let mut escapes = Escapes::default();
                read_all(stdin(), |b| {
                    let filtered = if raw { escapes.filter(&b) } else { Some(b) };
                    send.send(filtered.map_or(Input::End, Input::Bytes)).is_ok()
                });
            });
        }
    }
    Ok(line)
}

/// The first connection, unless a signal comes first.
fn accept(listener: &UnixListener, signals: &Signals) -> anyhow::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(20)),
            Err(e) => return Err(e.into()),
        }
        if signals.caught().is_some() {
            bail!("a signal came before a connection");
        }
    }
}

/// Hands everything that can be read to `give`, until it has had enough.
fn read_all(mut from: impl Read, mut give: impl FnMut(Vec<u8>) -> bool) {
    let mut buffer = [0; 4096];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 || !give(buffer[..n].to_vec()) {
            return;
        }
    }
}
