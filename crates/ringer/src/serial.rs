//! The first serial port's way to the user: terminal, file or socket.

use crate::cli::Serial;
use crate::signals::Signals;
use crate::terminal::{Escapes, RawTerminal};
use anyhow::{Context, bail};
use machine::Machine;
use std::fs::File;
use std::io::{ErrorKind, Read, Write, stdin, stdout};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::time::Duration;

/// Bytes that may wait for a guest to take them. A pipe stands still beyond that; of what is typed,
/// the rest is lost, since Ctrl-a x may come after it.
const MOST_WAITING: usize = 64 << 10;
/// Reads that may wait to be looked at.
const MOST_READ: usize = 16;

/// What came from the user.
enum Input {
    Bytes(Vec<u8>),
    End,
}

/// Where the serial port's bytes go and come from.
pub(crate) struct Line {
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

    /// Moves bytes both ways; false where the user asks for the end.
    pub(crate) fn exchange(&mut self, machine: &mut Machine) -> anyhow::Result<bool> {
        let mut bytes = Vec::new();
        machine.serial_output(0, &mut bytes);
        if !bytes.is_empty() {
            self.send(&bytes)?;
        }
        while !self.is_full() {
            match self.input.try_recv() {
                Ok(Input::Bytes(b)) => self.add(b),
                Ok(Input::End) => return Ok(false),
                Err(_) => break,
            }
        }
        if !self.waiting.is_empty() {
            let taken = machine.serial_input(0, &self.waiting);
            self.waiting.drain(..taken);
        }
        Ok(true)
    }

    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.out = None;
                bail!("the reader of the serial port has gone: standard output is closed")
            }
            Err(e) => Err(e).context("writing what the serial port sends"),
        }
    }

    /// Sleeps, at most until the user's next key.
    pub(crate) fn wait(&mut self, time: Duration) {
        if self.is_full() {
            return std::thread::sleep(time);
        }
        match self.input.recv_timeout(time) {
            Ok(Input::Bytes(b)) => self.add(b),
            Ok(Input::End) => self.input = ended(),
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

/// Opens what the option names.
pub(crate) fn open(serial: &Serial, signals: &Signals) -> anyhow::Result<Line> {
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
