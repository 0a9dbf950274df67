//! The command line: what users give wrongly is answered with one sentence that names it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, output, refused, ringer};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The headers of a bzImage with one setup sector, and a body that is a loop.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0u8; 1024];
    file[0x1f1] = 1;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x201] = 0x6a;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20cu16.to_le_bytes());
    file[0x211] = 1;
    file[0x1f4..0x1f8].copy_from_slice(&4u32.to_le_bytes());
    file.extend([0xeb, 0xfe]);
    file.resize(1024 + 64, 0x90);
    file
}

/// A multiboot kernel by addresses that runs `code`.
fn multiboot(code: &[u8]) -> Vec<u8> {
    let (at, flags) = (0x10_0000u32, 0x1_0000u32);
    let sum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    let fields = [0x1bad_b002, flags, sum, at, at, 0, 0, at + 32];
    let mut file: Vec<u8> = fields.iter().flat_map(|f| f.to_le_bytes()).collect();
    file.extend(code);
    file
}

/// mov dx, 3fbh; mov al, 3; out dx, al (eight bits a character)
const EIGHT_BITS: &[u8] = &[0x66, 0xba, 0xfb, 0x03, 0xb0, 0x03, 0xee];
/// mov al, 'x'; mov dx, 3f8h; again: out dx, al; jmp again
const TALKS: &[u8] = &[0xb0, b'x', 0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfd];
/// again: in al, 3fdh; test al, 1; jz again; in al, 3f8h; add al, 40h; out 3f8h, al; jmp again
const ANSWERS: &[u8] = &[
    0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7, 0x66, 0xba, 0xf8, 0x03, 0xec, 0x04, 0x40, 0xee,
    0xeb, 0xed,
];
/// jmp $
const LOOPS: &[u8] = &[0xeb, 0xfe];

#[test]
fn missing_files() {
    let files = Files::new();
    let kernel = files.put("kernel", &bzimage());
    let gone = files.absent("gone");
    refused(&["run", "--kernel", &gone], 1, &["the kernel", &gone, "No such file"]);
    refused(&["run", "--kernel", &kernel, "--initrd", &gone], 1, &["the initrd", &gone, "No such file"]);
    refused(&["run", "--rom", &gone], 1, &["the ROM", &gone, "No such file"]);
    refused(&["run", "--kernel", &kernel, "--loader", &gone], 1, &["the loader", &gone, "No such file"]);
}

#[test]
fn empty_files_and_directories() {
    let files = Files::new();
    let (empty, kernel) = (files.put("empty", b""), files.put("kernel", &bzimage()));
    refused(&["run", "--kernel", &empty], 1, &["the kernel", &empty, "empty"]);
    refused(&["run", "--kernel", &kernel, "--initrd", &empty], 1, &["the initrd", &empty, "empty"]);
    refused(&["run", "--rom", &empty], 1, &["the ROM", &empty, "empty"]);
    let directory = files.0.path().display().to_string();
    refused(&["run", "--kernel", &directory], 1, &["the kernel", &directory, "directory"]);
}

#[test]
fn files_of_a_wrong_format() {
    let files = Files::new();
    let (text, kernel) = (files.put("text", b"hello, world\n"), files.put("kernel", &bzimage()));
    refused(&["run", "--kernel", &text], 1, &["the kernel", &text, "not a kernel"]);
    refused(&["run", "--kernel", &kernel, "--initrd", &text], 1, &["the initrd", &text, "not an initrd"]);
    refused(&["run", "--rom", &text], 1, &[&text, "not a ROM", "multiple of 4 KiB"]);
    let mut old = bzimage();
    old[0x206..0x208].copy_from_slice(&0x200u16.to_le_bytes());
    let old = files.put("old", &old);
    refused(&["run", "--kernel", &old], 1, &[&old, "boot protocol", "2.02"]);
}

#[test]
fn truncated_files() {
    let files = Files::new();
    let whole = bzimage();
    let kernel = files.put("kernel", &whole);
    for (name, bytes) in [("body", &whole[..1040]), ("setup", &whole[..700]), ("header", &whole[..0x212])] {
        let cut = files.put(name, bytes);
        refused(&["run", "--kernel", &cut], 1, &[&cut, "not a Linux bzImage"]);
    }
    let cut = files.put("initrd", b"070701000000");
    refused(&["run", "--kernel", &kernel, "--initrd", &cut], 1, &["the initrd", &cut, "truncated"]);
    let cut = files.put("initrd.gz", &[0x1f, 0x8b, 8, 0, 0]);
    refused(&["run", "--kernel", &kernel, "--initrd", &cut], 1, &["the initrd", &cut, "truncated"]);
    let cut = files.put("multiboot", &multiboot(LOOPS)[..28]);
    refused(&["run", "--kernel", &cut], 1, &[&cut, "multiboot", "cut off"]);
    let cut = files.put("multiboot.gz", &[0x1f, 0x8b, 8, 0, 0]);
    refused(&["run", "--kernel", &cut], 1, &[&cut, "gzip data is damaged"]);
    let rom = files.put("rom", &[0; 4095]);
    refused(&["run", "--rom", &rom], 1, &[&rom, "not a ROM"]);
}

#[test]
fn what_does_not_fit_the_memory() {
    let files = Files::new();
    let mut large = bzimage();
    large.resize(3 << 20, 0);
    let kernel = files.put("kernel", &large);
    refused(&["run", "--kernel", &kernel, "--memory", "2M"], 1, &[&kernel, "bytes of memory"]);
    let line = "x".repeat(5000);
    let kernel = files.put("small", &bzimage());
    refused(&["run", "--kernel", &kernel, "--append", &line], 1, &[&kernel, "command line"]);
}

#[test]
fn options_out_of_range() {
    let files = Files::new();
    let kernel = files.put("kernel", &bzimage());
    for bad in ["0", "512K", "4G", "99999999999G", "much", "-1M", ""] {
        let memory = format!("--memory={bad}");
        refused(&["run", "--kernel", &kernel, &memory], 2, &["--memory"]);
    }
    refused(&["run", "--kernel", &kernel, "--cpu", "z80"], 2, &["--cpu", "z80", "no such CPU", "n270"]);
    refused(&["run", "--kernel", &kernel, "--serial", "tcp:1"], 2, &["--serial", "tcp:1"]);
    for bad in ["usb", "pci,mac=1", "isa,mac=01:00:00:00:00:00", "none,mac=02:00:00:00:00:00", ""] {
        refused(&["run", "--kernel", &kernel, &format!("--nic={bad}")], 2, &["--nic"]);
    }
    refused(&["run", "--kernel", &kernel, "--engine", "magic"], 2, &["--engine", "magic", "interpreter"]);
    refused(&["run", "--kernel", &kernel, "--rom", &kernel], 2, &["--rom", "--kernel"]);
    refused(&["run", "--initrd", &kernel], 2, &["--kernel"]);
    refused(&["run", "--nonsense"], 2, &["--nonsense"]);
    refused(&["nonsense"], 2, &["nonsense"]);
    refused(&["run"], 2, &["nothing to boot", "--kernel"]);
}

#[test]
fn serial_ports_that_cannot_be_had() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(LOOPS));
    let nowhere = files.absent("nowhere/file");
    let serial = format!("file:{nowhere}");
    refused(&["run", "--kernel", &kernel, "--serial", &serial], 1, &["the serial port", &nowhere]);
    let serial = format!("unix:{nowhere}");
    refused(&["run", "--kernel", &kernel, "--serial", &serial], 1, &["the serial port", &nowhere]);
}

#[test]
fn a_triple_fault_is_told() {
    let files = Files::new();
    // lidt with limit 0, ud2
    let code = [0x0f, 0x01, 0x1d, 0, 0, 0x20, 0, 0x0f, 0x0b];
    let kernel = files.put("kernel", &multiboot(&code));
    refused(&["run", "--kernel", &kernel], 1, &["triple fault"]);
    // cli; hlt
    let kernel = files.put("halts", &multiboot(&[0xfa, 0xf4]));
    refused(&["run", "--kernel", &kernel], 1, &["halted with interrupts off"]);
}

#[test]
fn help_goes_to_standard_output() {
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"], &["completions", "bash"]] {
        let out = output(arguments);
        assert!(out.status.success() && out.stderr.is_empty() && !out.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn no_terminal_is_needed() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(&[EIGHT_BITS, TALKS].concat()));
    let out = output(&["run", "--kernel", &kernel, "--instructions", "1000000", "--deterministic"]);
    assert!(out.status.success(), "{out:?}");
    assert!(out.stdout.starts_with(b"xxxx") && out.stderr.is_empty());
}

#[test]
fn the_same_run_twice() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(&[EIGHT_BITS, TALKS].concat()));
    let run = || output(&["run", "--kernel", &kernel, "--instructions", "3000000", "--deterministic"]).stdout;
    assert_eq!(run(), run());
}

#[test]
fn a_closed_standard_output_ends_the_run() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(&[EIGHT_BITS, TALKS].concat()));
    for arguments in [&["run", "--kernel", &kernel][..], &[], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = ringer().args(arguments).stdout(writer).output().unwrap();
        let text = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

/// A pseudo-terminal: its controlling side, and the path of the other.
fn terminal() -> (File, PathBuf) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    (File::from(master), PathBuf::from(name.to_str().unwrap()))
}

/// Ringer with that terminal as its three standard streams.
fn run_on(terminal: &Path, kernel: &str) -> Child {
    let open = || OpenOptions::new().read(true).write(true).open(terminal).unwrap();
    let arguments = ["run", "--kernel", kernel];
    ringer().args(arguments).stdin(open()).stdout(open()).stderr(open()).spawn().unwrap()
}

/// Waits until a condition holds.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn signals_restore_the_terminal() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(LOOPS));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (_master, path) = terminal();
        let slave = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let before = tcgetattr(&slave).unwrap();
        assert!(before.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
        let mut child = run_on(&path, &kernel);
        let raw =
            || !tcgetattr(&slave).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ISIG);
        eventually("a raw terminal", raw);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let after = tcgetattr(&slave).unwrap();
        assert_eq!(after.local_modes, before.local_modes);
        assert_eq!(after.input_modes, before.input_modes);
    }
}

#[test]
fn ctrl_c_is_the_guests_and_ctrl_a_x_ends() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(&[EIGHT_BITS, ANSWERS].concat()));
    let (mut master, path) = terminal();
    let slave = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let before = tcgetattr(&slave).unwrap();
    let mut child = run_on(&path, &kernel);
    eventually("a raw terminal", || !tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ISIG));
    std::io::Write::write_all(&mut master, b"\x03").unwrap();
    let mut answer = [0; 1];
    master.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [b'C'], "the guest got Ctrl-C and added 40h to it");
    std::io::Write::write_all(&mut master, b"\x01x").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(tcgetattr(&slave).unwrap().local_modes, before.local_modes);
}

#[test]
fn a_signal_ends_the_wait_for_a_connection() {
    let files = Files::new();
    let kernel = files.put("kernel", &multiboot(LOOPS));
    let socket = files.absent("socket");
    let serial = format!("unix:{socket}");
    let mut child = ringer()
        .args(["run", "--kernel", &kernel, "--serial", &serial])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("a socket", || Path::new(&socket).exists());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn without_arguments_the_embedded_guest_runs() {
    let (one, two) = (output(&[]), output(&[]));
    let text = String::from_utf8(one.stdout).unwrap();
    assert!(one.status.success() && one.stderr.is_empty(), "{text}");
    assert!(text.contains("The efficiency meter:") && text.contains("instructions retired"), "{text}");
    // all but the meter's speed is the same every time
    let said = |text: &str| text.split("The efficiency meter:").next().unwrap_or_default().to_owned();
    assert!(!said(&text).trim().is_empty());
    assert_eq!(said(&text), said(&String::from_utf8(two.stdout).unwrap()));
}
