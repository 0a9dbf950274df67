//! The socket: clients one after the other, whose requests the machine's thread takes between two
//! steps of the guest.

use super::commands::version;
use super::{Arguments, Control, QmpError, execute};
use anyhow::Context;
use serde_json::{Value, json};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Requests that may wait.
const MOST_WAITING: usize = 64;
/// Requests carried out between two steps of the guest.
const MOST_AT_ONCE: usize = 16;
/// Bytes of a request.
const MOST_BYTES: u64 = 1 << 20;
/// How long a client may leave what is said to it unread.
const WRITE_TIME: Duration = Duration::from_secs(2);

/// What the socket's thread has to tell.
enum Incoming {
    Connected(UnixStream),
    Request(Value),
    Malformed,
    Gone,
}

struct Client {
    stream: UnixStream,
    /// Capabilities were negotiated: commands may come, events may go.
    ready: bool,
}

/// The protocol's end on the machine's thread. Dropping it removes the socket.
pub(crate) struct Qmp {
    incoming: Receiver<Incoming>,
    /// What came while the machine was idle.
    early: Option<Incoming>,
    client: Option<Client>,
    path: PathBuf,
}

impl Drop for Qmp {
    fn drop(&mut self) {
        // it may have been removed by somebody else
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Qmp {
    /// Listens on a Unix socket.
    pub(crate) fn listen(path: &Path) -> anyhow::Result<Qmp> {
        remove_stale(path);
        let listener =
            UnixListener::bind(path).with_context(|| format!("the QMP socket {}", path.display()))?;
        let (send, incoming) = sync_channel(MOST_WAITING);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serve(stream, &send).is_none() {
                    return;
                }
            }
        });
        Ok(Qmp { incoming, early: None, client: None, path: path.to_owned() })
    }

    /// Carries out what clients have asked for, as far as the guest can wait.
    pub(crate) fn poll(&mut self, control: &mut dyn Control) {
        for _ in 0..MOST_AT_ONCE {
            let Some(incoming) = self.early.take().or_else(|| self.incoming.try_recv().ok()) else { return };
            match incoming {
                Incoming::Connected(stream) => self.greet(stream),
                Incoming::Request(value) => self.answer(&value, control),
                Incoming::Malformed => {
                    self.send(&json!({ "error": QmpError::generic("JSON parse error").to_value() }));
                }
                Incoming::Gone => self.client = None,
            }
        }
    }

    /// Sleeps, at most until somebody asks for something.
    pub(crate) fn wait(&mut self, time: Duration) {
        if self.early.is_some() {
            return;
        }
        match self.incoming.recv_timeout(time) {
            Ok(incoming) => self.early = Some(incoming),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(time),
        }
    }

    /// Tells the client of an event.
    pub(crate) fn event(&mut self, name: &str, data: Option<Value>) {
        if !self.client.as_ref().is_some_and(|c| c.ready) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = json!({
            "event": name,
            "timestamp": { "seconds": now.as_secs(), "microseconds": now.subsec_micros() },
        });
        if let Some(data) = data {
            event["data"] = data;
        }
        self.send(&event);
    }

    fn greet(&mut self, stream: UnixStream) {
        // without a limit a client that reads nothing would stop the machine
        let _ = stream.set_write_timeout(Some(WRITE_TIME));
        self.client = Some(Client { stream, ready: false });
        self.send(&json!({ "QMP": { "version": version(), "capabilities": [] } }));
    }

    fn send(&mut self, value: &Value) {
        let Some(client) = &mut self.client else { return };
        if client.stream.write_all(format!("{value}\r\n").as_bytes()).is_err() {
            let _ = client.stream.shutdown(std::net::Shutdown::Both);
            self.client = None;
        }
    }

    fn answer(&mut self, request: &Value, control: &mut dyn Control) {
        let mut reply = match self.result(request, control) {
            Ok(value) => json!({ "return": value }),
            Err(e) => json!({ "error": e.to_value() }),
        };
        if let Some(id) = request.get("id") {
            reply["id"] = id.clone();
        }
        self.send(&reply);
    }

    fn result(&mut self, request: &Value, control: &mut dyn Control) -> Result<Value, QmpError> {
        let Some(object) = request.as_object() else {
            return Err(QmpError::generic("QMP input must be a JSON object"));
        };
        if let Some(name) = object.keys().find(|k| !matches!(k.as_str(), "execute" | "arguments" | "id")) {
            return Err(QmpError::generic(format!("QMP input member '{name}' is unexpected")));
        }
        let name = match object.get("execute") {
            Some(Value::String(name)) => name.as_str(),
            Some(_) => return Err(QmpError::generic("QMP input member 'execute' must be a string")),
            None => return Err(QmpError::generic("QMP input lacks member 'execute'")),
        };
        let arguments = Arguments::new(object.get("arguments"))?;
        let ready = self.client.as_ref().is_some_and(|c| c.ready);
        match (name, ready) {
            ("qmp_capabilities", false) => self.negotiate(),
            ("qmp_capabilities", true) => Err(QmpError::command_not_found(name)),
            (_, false) => Err(QmpError::command_not_found(&format!(
                "{name}: capabilities negotiation with 'qmp_capabilities' comes first"
            ))),
            _ => execute(name, arguments, control),
        }
    }

    fn negotiate(&mut self) -> Result<Value, QmpError> {
        if let Some(client) = &mut self.client {
            client.ready = true;
        }
        Ok(json!({}))
    }
}

/// Removes a socket that nobody listens on any more, as an emulator leaves it that was killed.
fn remove_stale(path: &Path) {
    let socket = std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket());
    let refused = |e: std::io::Error| e.kind() == ErrorKind::ConnectionRefused;
    if socket && UnixStream::connect(path).is_err_and(refused) {
        // binding says what is wrong if this fails
        let _ = std::fs::remove_file(path);
    }
}

/// Reads one client's requests; `None` once nobody listens to them.
fn serve(stream: UnixStream, to: &SyncSender<Incoming>) -> Option<()> {
    let Ok(writer) = stream.try_clone() else { return Some(()) };
    to.send(Incoming::Connected(writer)).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        // a stream of values, each of bounded length, with anything or nothing between them
        let mut limited = (&mut reader).take(MOST_BYTES);
        let next = serde_json::Deserializer::from_reader(&mut limited).into_iter::<Value>().next();
        match next {
            Some(Ok(value)) => to.send(Incoming::Request(value)).ok()?,
            None => break,
            Some(Err(e)) if e.is_io() || e.is_eof() && limited.limit() > 0 => break,
            Some(Err(_)) => {
                to.send(Incoming::Malformed).ok()?;
                if skip_line(&mut reader).is_err() {
                    break;
                }
            }
        }
    }
    to.send(Incoming::Gone).ok()
}

/// Drops the rest of a line that was no JSON.
fn skip_line(reader: &mut impl Read) -> std::io::Result<()> {
    let mut byte = [0];
    loop {
        match reader.read(&mut byte) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) if byte[0] == b'\n' => return Ok(()),
            Ok(_) => {}
            Err(e) => return Err(e),
        }
    }
}
