//! Images, BIOSes and snapshots: what is wrong with them is said in one sentence, and no image is
//! harmed; what the guest flushed is on the host's disk.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, output, refused};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use test_roms::asm;
use test_roms::asm::{Asm, Assembled, assemble, rom};

use iced_x86::code_asm::*;

/// A BIOS of 64 KiB that runs `body` in 16-bit real mode at F000:0000.
fn bios(body: impl Fn(&mut Asm) -> Assembled) -> Vec<u8> {
    let assembly = assemble(|a| {
        a.section(16, 0)?;
        body(a)?;
        a.section(16, 0xfff0)?;
        a.db(&[0xea, 0x00, 0x00, 0x00, 0xf0]) // jmp F000:0000
    });
    rom(&assembly.unwrap().pieces, 0, 0x1_0000, |at| at).unwrap()
}

/// Asks for a reset, which ends a run with `--no-reboot`.
fn end(a: &mut Asm) -> Assembled {
    asm! { a => mov dx, 0xcf9u32; mov al, 6u32; out dx, al; label "end"; jmp a.to("end"); }
    Ok(())
}

fn idle_bios() -> Vec<u8> {
    bios(end)
}

/// Waits until the drive is no longer busy.
fn ready(a: &mut Asm, name: &str) -> Assembled {
    asm! { a => mov dx, 0x1f7u32; label name; in_ al, dx; test al, 0x80; jnz a.to(name); }
    Ok(())
}

/// Writes a sector of the first disk; leaves what the drive says of it in AL.
fn write_sector(a: &mut Asm, sector: u32, fill: u32) -> Assembled {
    ready(a, &format!("ready {sector}"))?;
    let registers = [(0x1f6, 0xe0), (0x1f2, 1), (0x1f3, sector), (0x1f4, 0), (0x1f5, 0), (0x1f7, 0x30)];
    for (port, value) in registers {
        asm! { a => mov dx, port; mov al, value; out dx, al; }
    }
    ready(a, &format!("data {sector}"))?;
    let again = format!("word {sector}");
    asm! { a => mov dx, 0x1f0u32; mov cx, 256u32; mov ax, fill * 0x101; label &again; out dx, ax; loop_ a.to(&again); }
    ready(a, &format!("written {sector}"))
}

fn flush(a: &mut Asm) -> Assembled {
    asm! { a => mov dx, 0x1f7u32; mov al, 0xe7u32; out dx, al; }
    ready(a, "flushed")
}

const HEADLESS: [&str; 5] = ["run", "--headless", "--serial", "none", "--no-reboot"];

fn run(arguments: &[&str]) -> std::process::Output {
    output(&[&HEADLESS, arguments].concat())
}

#[test]
fn images_that_cannot_be_used() {
    let files = Files::new();
    let bios = files.put("bios", &idle_bios());
    let (gone, empty) = (files.absent("gone"), files.put("empty", b""));
    let odd = files.put("odd", &[0; 1000]);
    let directory = files.0.path().display().to_string();
    for drive in ["--disk", "--floppy", "--cdrom"] {
        let refused =
            |image: &str, words: &[&str]| refused(&["run", "--bios", &bios, drive, image], 1, words);
        refused(&gone, &[&gone, "No such file"]);
        refused(&empty, &[&empty, "it is empty"]);
        refused(&odd, &[&odd, "1000 bytes, is not a multiple of 512"]);
        refused(&directory, &["it is a directory"]);
    }
    assert_eq!(std::fs::read(&odd).unwrap(), [0; 1000]);
    let unknown = files.put("unknown", &[1; 4096]);
    refused(&["run", &unknown], 1, &[&unknown, "--floppy, --disk, --cdrom or --kernel"]);
    refused(&["run", "--bios", &bios, "--disk", &unknown, "--boot", "x"], 2, &["--boot", "a, c and d"]);
}

#[test]
fn an_image_is_one_machines() {
    let files = Files::new();
    let (bios, disk) = (files.put("bios", &idle_bios()), files.put("disk", &[7; 4096]));
    let held = std::fs::File::options().read(true).write(true).open(&disk).unwrap();
    held.try_lock().unwrap();
    refused(&["run", "--bios", &bios, "--disk", &disk], 1, &[&disk, "another machine uses it"]);
    refused(&["run", "--bios", &bios, "--disk", &disk, "--snapshot"], 1, &[&disk, "another machine uses it"]);
    drop(held);
    refused(&["run", "--bios", &bios, "--disk", &disk, "--disk", &disk], 1, &[&disk, "another machine"]);
    assert!(run(&["--bios", &bios, "--disk", &disk]).status.success());
    assert_eq!(std::fs::read(&disk).unwrap(), [7; 4096]);
}

#[test]
fn an_image_that_may_only_be_read() {
    let files = Files::new();
    let writes = bios(|a| {
        write_sector(a, 1, 0x55)?;
        end(a)
    });
    let (bios, disk) = (files.put("bios", &writes), files.put("disk", &[7; 4096]));
    for how in ["--snapshot", "--read-only"] {
        assert!(run(&["--bios", &bios, "--disk", &disk, how]).status.success(), "{how}");
        assert_eq!(std::fs::read(&disk).unwrap(), [7; 4096], "{how}");
    }
    std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o400)).unwrap();
    // root may write whatever the mode says
    if std::fs::File::options().write(true).open(&disk).is_err() {
        refused(&["run", "--bios", &bios, "--disk", &disk], 1, &[&disk, "--read-only", "--snapshot"]);
    } else {
        eprintln!("SKIPPED in part: this user can write every file");
    }
}

#[test]
fn a_full_disk_is_told_to_the_guest_and_the_user() {
    let files = Files::new();
    // the error bit of the drive's status, as the debug console's one letter
    let writes = bios(|a| {
        write_sector(a, 1, 0x55)?;
        asm! { a => and al, 1u32; add al, u32::from(b'0'); out 0xe9, al; }
        end(a)
    });
    let (bios, said) = (files.put("bios", &writes), files.absent("said"));
    let disk = files.put("disk", &[7; 4096]);
    let out = run(&["--bios", &bios, "--disk", &disk, "--debug-console", &said]);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(std::fs::read(&said).unwrap(), b"0");
    assert_eq!(std::fs::read(&disk).unwrap()[512..1024], [0x55; 512]);
    // a limit on the size of files stands for the full disk: the signal would end the process. The JIT's
    // memory is a file to the host as well, so that it is left out
    let limited = format!(
        "trap '' XFSZ; ulimit -f 0; exec {} {} --engine interpreter --bios {bios} --disk {disk} --debug-console /dev/stdout",
        assert_cmd::cargo::cargo_bin("ringer").display(),
        HEADLESS.join(" ")
    );
    let out = Command::new("bash").args(["-c", &limited]).output().unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!((out.status.code(), &out.stdout[..]), (Some(0), &b"1"[..]), "{told}");
    assert_eq!(told.trim_end().lines().count(), 1, "{told}");
    assert!(told.contains(&disk) && told.contains("File too large"), "{told}");
}

#[test]
fn bioses_that_cannot_be_used() {
    let files = Files::new();
    let disk = files.put("disk", &[0; 4096]);
    let gone = files.absent("gone");
    let with = |bios: &str, words: &[&str]| refused(&["run", "--bios", bios, "--disk", &disk], 1, words);
    with(&gone, &[&gone, "No such file"]);
    for (size, name) in [(1000, "odd"), (0x5_0000, "large")] {
        let bios = files.put(name, &vec![0; size]);
        with(&bios, &[&bios, &size.to_string(), "multiple of 64 KiB up to 256 KiB"]);
    }
    let bios = files.put("bios", &idle_bios());
    let bad: [(&str, &[u8]); 3] =
        [("text", b"hello"), ("cut", &[0x55, 0xaa, 2, 0]), ("huge", &[0; 0x1_0001])];
    for (name, bytes) in bad {
        let video = files.put(name, bytes);
        refused(&["run", "--bios", &bios, "--vga-bios", &video], 1, &[&video, "no option ROM"]);
    }
}

#[test]
fn a_flush_of_the_guest_reaches_the_hosts_disk() {
    if Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("SKIPPED: strace is absent");
    }
    let files = Files::new();
    let flushes = bios(|a| {
        write_sector(a, 1, 0x55)?;
        flush(a)?;
        write_sector(a, 2, 0x66)?;
        end(a)
    });
    let (bios, disk, log) = (files.put("bios", &flushes), files.put("disk", &[0; 4096]), files.absent("log"));
    let ringer = assert_cmd::cargo::cargo_bin("ringer");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=pwrite64,fdatasync,fsync", "-o", &log]).arg(ringer).args(HEADLESS);
    let out = strace.args(["--bios", &bios, "--disk", &disk]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let log = std::fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = log.lines().filter(|l| l.contains(&disk)).collect();
    let place = |what: &str| calls.iter().position(|l| l.contains(what));
    let (first, second) = (place("512, 512)").unwrap(), place("512, 1024)").unwrap());
    let flushed = calls.iter().position(|l| l.contains("fdatasync(")).unwrap();
    assert!(first < flushed && flushed < second, "{log}");
    // and at the end, what was not flushed by the guest
    assert!(calls[second..].iter().any(|l| l.contains("fdatasync(")), "{log}");
    let image = std::fs::read(&disk).unwrap();
    assert!(image[512..1024] == [0x55; 512] && image[1024..1536] == [0x66; 512]);
}

#[test]
fn the_speaker_is_recorded() {
    let files = Files::new();
    // a divisor of 1000: 1193 Hz
    let beeps = bios(|a| {
        for (port, value) in [(0x43u32, 0xb6u32), (0x42, 0xe8), (0x42, 0x03), (0x61, 0x03)] {
            asm! { a => mov al, value; out port, al; }
        }
        asm! { a => label "play"; jmp a.to("play"); }
        Ok(())
    });
    let (bios, wav) = (files.put("bios", &beeps), files.absent("wav"));
    let out = run(&[
        "--bios",
        &bios,
        "--deterministic",
        "--instructions",
        "100000000",
        "--speaker",
        &format!("wav:{wav}"),
    ]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let bytes = std::fs::read(&wav).unwrap();
    assert!(bytes.starts_with(b"RIFF") && bytes[8..12] == *b"WAVE");
    let samples: Vec<i16> = bytes[44..].as_chunks::<2>().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
    let seconds = samples.len() as f64 / 44_100.0;
    assert!((0.45..0.55).contains(&seconds), "{seconds} s of 100 million instructions");
    let crossings = samples.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count() as f64;
    let hertz = crossings / 2.0 / seconds;
    assert!((1150.0..1240.0).contains(&hertz), "{hertz} Hz");
}
