//! QEMU's own client drives a FreeDOS machine over the QEMU Machine Protocol: it types, takes a
//! picture, saves, loads, resets, powers down.
//!
//! `cargo xtask guests` brings the client and the BIOS; the floppy is `RINGER_FREEDOS`, or lies in
//! `../shared/guests`. What is absent is reported as ignored, aloud.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

#[path = "../common/mod.rs"]
mod common;

use common::{Running, connect, looping_rom, ringer};
use libtest_mimic::{Arguments, Failed, Trial};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use xtask::guests::{self, file};

const CLIENT: &str = include_str!("client.py");
/// Host seconds for the machine to listen.
const PATIENCE: Duration = Duration::from_secs(60);

type Outcome = Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let client = guests::freedos().is_some() && guests::find(file::QMP_PYTHON).is_some();
    if !client {
        eprintln!("SKIPPED: a FreeDOS floppy or PyPI's qemu.qmp is absent; see `cargo xtask guests`");
    }
    let trials = vec![
        Trial::test("qemu_qmp_drives_freedos", qemu_qmp).with_ignored_flag(!client),
        Trial::test("what_is_no_qmp_is_answered_with_errors", malformed),
        Trial::test("a_socket_left_behind_is_taken_over", stale),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn start(socket: &Path, arguments: &[&str]) -> Running {
    let mut command = ringer();
    command.arg("run").args(arguments).args(["--headless", "--serial", "none"]);
    command.arg(format!("--qmp=unix:{}", socket.display()));
    Running(command.spawn().unwrap())
}

fn qemu_qmp() -> Outcome {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("qmp");
    let floppy = guests::freedos().ok_or("the floppy has gone")?;
    let bios = guests::find(file::BIOS).ok_or("the BIOS has gone")?;
    let video = guests::find(file::VIDEO_BIOS).ok_or("the video BIOS has gone")?;
    let name = |p: &Path| p.display().to_string();
    let (floppy, bios, video) = (name(&floppy), name(&bios), name(&video));
    let arguments =
        ["--floppy", &floppy, "--snapshot", "--memory", "16M", "--bios", &bios, "--vga-bios", &video];
    let mut machine = start(&socket, &arguments);
    drop(connect(&socket));
    let python = guests::directory().join(file::QMP_PYTHON);
    let client =
        Command::new(python).args(["-c", CLIENT]).arg(&socket).arg(dir.path()).arg(&floppy).output()?;
    if !client.status.success() {
        return Err(String::from_utf8_lossy(&client.stderr).into_owned().into());
    }
    let status = machine.0.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the machine ended with {status}").into()) }
}

fn rom(dir: &Path) -> String {
    let path = dir.join("rom");
    std::fs::write(&path, looping_rom()).unwrap();
    path.display().to_string()
}

fn malformed() -> Outcome {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("qmp");
    let mut machine = start(&socket, &["--rom", &rom(dir.path())]);
    let stream = connect(&socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut next = |what: &str| -> Result<serde_json::Value, Failed> {
        let line = lines.next().ok_or(format!("no answer to {what}"))??;
        Ok(serde_json::from_str(&line)?)
    };
    next("connecting")?["QMP"]["version"]["qemu"]["major"].as_u64().ok_or("no greeting")?;
    let long = format!("{{\"execute\": \"{}\"}}", "x".repeat(2 << 20));
    let cases = [
        (r#"{"execute": "query-status"}"#, "CommandNotFound", "qmp_capabilities"),
        (r#"{"execute": ]"#, "GenericError", "JSON parse error"),
        ("[1, 2]", "GenericError", "must be a JSON object"),
        (r#"{"arguments": {}}"#, "GenericError", "lacks member 'execute'"),
        (r#"{"execute": "stop", "extra": 1}"#, "GenericError", "'extra' is unexpected"),
        (r#"{"execute": 7}"#, "GenericError", "must be a string"),
        (&long, "GenericError", "JSON parse error"),
    ];
    for (request, class, text) in cases {
        let shown = &request[..request.len().min(40)];
        (&stream).write_all(format!("{request}\n").as_bytes())?;
        let error = next(shown)?;
        let described = error["error"]["desc"].as_str().is_some_and(|d| d.contains(text));
        if error["error"]["class"] != class || !described {
            return Err(format!("{shown}: {error}").into());
        }
    }
    (&stream).write_all(b"{\"execute\": \"qmp_capabilities\", \"id\": 7}\n{\"execute\": \"quit\"}\n")?;
    let ready = next("qmp_capabilities")?;
    if ready["id"] != 7 || !ready["return"].is_object() {
        return Err(format!("qmp_capabilities: {ready}").into());
    }
    let status = machine.0.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the machine ended with {status}").into()) }
}

fn stale() -> Outcome {
    let dir = tempfile::tempdir()?;
    let (socket, rom) = (dir.path().join("qmp"), rom(dir.path()));
    drop(std::os::unix::net::UnixListener::bind(&socket)?);
    let first = start(&socket, &["--rom", &rom]);
    drop(connect(&socket));
    let second =
        ringer().args(["run", "--rom", &rom, &format!("--qmp=unix:{}", socket.display())]).output()?;
    drop(first);
    let text = String::from_utf8(second.stderr)?;
    let named = text.contains("the QMP socket") && text.lines().count() == 1;
    if second.status.code() == Some(1) && named { Ok(()) } else { Err(text.into()) }
}
