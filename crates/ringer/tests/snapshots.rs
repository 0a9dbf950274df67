//! Snapshots from the command line: a machine is saved over QMP, loaded by another process, and
//! refused where going on would be wrong.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, Running, connect, looping_rom, output, refused, ringer};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A machine that is controlled.
struct Controlled {
    process: Running,
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Controlled {
    /// A machine with these arguments that is controlled over QMP.
    fn start(files: &Files, arguments: &[&str]) -> Controlled {
        let socket = files.absent("socket");
        let mut command = ringer();
        command.args(["run", "--headless", "--serial", "none", &format!("--qmp=unix:{socket}")]);
        let process = Running(command.args(arguments).spawn().unwrap());
        let stream = connect(Path::new(&socket));
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let answers = BufReader::new(stream.try_clone().unwrap());
        let mut running = Controlled { process, stream, answers };
        running.line();
        running.execute("qmp_capabilities", "{}");
        running
    }

    fn line(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The answer to a command, events left out.
    fn execute(&mut self, command: &str, arguments: &str) -> serde_json::Value {
        writeln!(self.stream, "{{\"execute\": \"{command}\", \"arguments\": {arguments}}}").unwrap();
        loop {
            let answer = self.line();
            if answer.get("event").is_none() {
                return answer;
            }
        }
    }

    fn save(&mut self, to: &str) -> serde_json::Value {
        self.execute("snapshot-save", &format!("{{\"filename\": \"{to}\"}}"))
    }

    fn quit(mut self) {
        self.execute("quit", "{}");
        assert!(self.process.0.wait().unwrap().success());
    }
}

/// A BIOS that jumps to itself.
fn bios(files: &Files) -> String {
    files.put("bios", &looping_rom())
}

/// A snapshot of a machine with one disk.
fn saved(files: &Files, disk: &str) -> String {
    let snapshot = files.absent("snapshot");
    let bios = bios(files);
    let mut machine = Controlled::start(files, &["--bios", &bios, "--disk", disk, "--memory", "4M"]);
    assert!(machine.save(&snapshot)["return"].is_object());
    machine.quit();
    snapshot
}

#[test]
fn a_machine_goes_on_in_another_process() {
    let files = Files::new();
    let disk = files.put("disk", &[7; 4096]);
    let snapshot = saved(&files, &disk);
    let ends = ["--headless", "--serial", "none", "--instructions", "1000000000"];
    // no BIOS is looked for: it is in the snapshot
    let out = output(&[&["run", "--load", &snapshot, "--disk", &disk], &ends[..]].concat());
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut again = Controlled::start(&files, &["--load", &snapshot, "--disk", &disk]);
    let registers = again.execute("human-monitor-command", "{\"command-line\": \"info registers\"}");
    assert!(registers["return"].as_str().unwrap().contains("CS =f000 ffff0000"), "{registers}");
    assert!(again.save(&snapshot)["return"].is_object(), "over the one that it came from");
    again.quit();
}

#[test]
fn other_media_are_refused() {
    let files = Files::new();
    let (disk, other) = (files.put("disk", &[7; 4096]), files.put("other", &[7; 8192]));
    let snapshot = saved(&files, &disk);
    let with = |arguments: &[&str], words: &[&str]| {
        refused(&[&["run", "--load", &snapshot, "--serial", "none"], arguments].concat(), 1, words);
    };
    with(&["--disk", &other], &[&snapshot, "a medium of 8 sectors", "a medium of 16 sectors"]);
    with(&[], &[&snapshot, "IDE place 1 had a medium of 8 sectors, and has nothing"]);
    with(&["--disk", &disk, "--floppy", &other], &[&snapshot, "floppy drive 1 had nothing"]);
    assert_eq!(std::fs::read(&disk).unwrap(), [7; 4096]);
    // what another machine has written since is not what this one's guest remembers
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(&disk, [8; 4096]).unwrap();
    with(&["--disk", &disk], &[&snapshot, "the image in IDE place 1 has been written since"]);
    assert_eq!(std::fs::read(&disk).unwrap(), [8; 4096]);
}

#[test]
fn damaged_files_are_refused() {
    let files = Files::new();
    let disk = files.put("disk", &[7; 4096]);
    let snapshot = saved(&files, &disk);
    let whole = std::fs::read(&snapshot).unwrap();
    let with = |bytes: &[u8], words: &[&str]| {
        let bad = files.put("bad", bytes);
        refused(
            &["run", "--serial", "none", "--load", &bad, "--disk", &disk],
            1,
            &[&[&bad[..]], words].concat(),
        );
    };
    with(b"", &["no snapshot"]);
    with(&[0x55; 5000], &["no snapshot"]);
    for part in 1..8 {
        with(&whole[..whole.len() * part / 8], &["truncated"]);
    }
    with(&whole[..whole.len() - 1], &["truncated"]);
    for part in 1..8 {
        let mut bad = whole.clone();
        bad[whole.len() * part / 8] ^= 0x40;
        with(&bad, &["section"]);
    }
    let mut later = whole.clone();
    later[16] = 9;
    with(&later, &["version 9", "a later Ringer wrote it"]);
    let gone = files.absent("gone");
    refused(&["run", "--load", &gone], 1, &["the snapshot", &gone, "No such file"]);
    refused(&["run", "--load", &gone, "--bios", &gone], 2, &["--load", "--bios"]);
    assert_eq!(std::fs::read(&disk).unwrap(), [7; 4096]);
}

#[test]
fn a_snapshot_is_written_whole_or_not_at_all() {
    let files = Files::new();
    let bios = bios(&files);
    let mut machine = Controlled::start(&files, &["--bios", &bios, "--memory", "4M"]);
    let nowhere = files.absent("nowhere/snapshot");
    let error = machine.save(&nowhere);
    assert!(error["error"]["desc"].as_str().unwrap().contains(&nowhere), "{error}");
    let kept = files.put("kept", b"as it was");
    let text = "{\"filename\": \"".to_owned() + &kept + "\"}";
    let error = machine.execute("snapshot-load", &text);
    assert!(error["error"]["desc"].as_str().unwrap().contains("no snapshot"), "{error}");
    assert_eq!(std::fs::read(&kept).unwrap(), b"as it was");
    assert!(machine.save(&kept)["return"].is_object());
    assert!(std::fs::read(&kept).unwrap().starts_with(b"RINGER SNAPSHOT\n"));
    let left = std::fs::read_dir(Path::new(&kept).parent().unwrap()).unwrap().count();
    assert_eq!(left, 3, "the BIOS, the socket, the snapshot");
    machine.quit();
}
