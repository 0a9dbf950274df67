//! The window, on a display of its own: what the guest draws is in it, keys and mouse reach the guest.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, Running, ringer};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use test_roms::asm;
use test_roms::asm::{assemble, rom};

use iced_x86::code_asm::*;

const TOOLS: [&str; 3] = ["Xvfb", "xdotool", "xwd"];
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let arguments = Arguments::from_args();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let has = |tool: &&str| std::env::split_paths(&paths).any(|d: PathBuf| d.join(tool).is_file());
    let missing: Vec<&str> = TOOLS.into_iter().filter(|t| !has(t)).collect();
    if !missing.is_empty() {
        eprintln!("SKIPPED: {} absent (apt-get install xvfb xdotool x11-apps)", missing.join(", "));
    }
    let trials = vec![
        Trial::test("keys_mouse_and_picture", window).with_ignored_flag(!missing.is_empty()),
        Trial::test("no_display_is_told", no_display),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A BIOS that fills the text screen with what the keyboard controller last sent, the byte as character and
/// attribute, and prints it on the debug console.
fn bios() -> Vec<u8> {
    let assembly = assemble(|a| {
        a.section(16, 0)?;
        asm! { a =>
            // the keyboard's and the mouse's ports on, scan codes as they come; the mouse reports
            mov al, 0x60u32; out 0x64, al; mov al, 0x40u32; out 0x60, al;
            mov al, 0xa8u32; out 0x64, al;
            mov al, 0xd4u32; out 0x64, al; mov al, 0xf4u32; out 0x60, al;
            mov ax, 0xb800u32;
            mov es, ax;
            cld;
            label "wait";
            in_ al, 0x64;
            test al, 1;
            jz a.to("wait");
            in_ al, 0x60;
            out 0xe9, al;
            mov ah, al;
            xor di, di;
            mov cx, 2000u32;
        }
        a.rep().stosw()?;
        asm! { a => jmp a.to("wait"); }
        a.section(16, 0xfff0)?;
        a.db(&[0xea, 0x00, 0x00, 0x00, 0xf0]) // jmp F000:0000
    });
    rom(&assembly.unwrap().pieces, 0, 0x1_0000, |at| at).unwrap()
}

/// A display server on the first number that is free.
fn server() -> Result<(Running, String), Failed> {
    for n in 70..90 {
        let display = format!(":{n}");
        let mut xvfb = Command::new("Xvfb");
        xvfb.args([&display, "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
        let mut child = Running(xvfb.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let until = Instant::now() + Duration::from_secs(5);
        while child.0.try_wait()?.is_none() && Instant::now() < until {
            if tool(&display, "xdotool", &["getdisplaygeometry"]).is_ok() {
                return Ok((child, display));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Err("no display server starts".into())
}

fn tool(display: &str, name: &str, arguments: &[&str]) -> Result<Vec<u8>, Failed> {
    let out = Command::new(name).args(arguments).env("DISPLAY", display).output()?;
    if out.status.success() { Ok(out.stdout) } else { Err(format!("{name} {arguments:?} failed").into()) }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > until {
            return Err(format!("no {what}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The colour of a pixel of the whole screen, by the dump's header (XWDFile.h): its own length first, bytes a
/// line at word 12, the number of colours at word 19.
fn pixel(display: &str, x: usize, y: usize) -> Result<u32, Failed> {
    let dump = tool(display, "xwd", &["-root", "-silent"])?;
    let word = |n: usize| u32::from_be_bytes(dump[4 * n..4 * n + 4].try_into().unwrap()) as usize;
    let start = word(0) + 12 * word(19) + y * word(12) + 4 * x;
    Ok(u32::from_le_bytes(dump[start..start + 4].try_into()?) & 0xff_ffff)
}

fn window() -> Result<(), Failed> {
    let files = Files::new();
    let (bios, log) = (files.put("bios", &bios()), files.absent("log"));
    let (_server, display) = server()?;
    let mut command = ringer();
    command.args(["run", "--display", "window", "--bios", &bios, "--debug-console", &log]);
    let mut machine = Running(command.env("DISPLAY", &display).env_remove("WAYLAND_DISPLAY").spawn()?);
    let heard = || std::fs::read(&log).unwrap_or_default();
    let x = |arguments: &[&str]| tool(&display, "xdotool", arguments);
    let mut id = String::new();
    eventually("window", || {
        id = x(&["search", "--name", "Ringer"])
            .map(|o| String::from_utf8_lossy(&o).trim().to_owned())
            .unwrap_or_default();
        !id.is_empty()
    })?;
    let title =
        || x(&["getwindowname", &id]).map(|o| String::from_utf8_lossy(&o).into_owned()).unwrap_or_default();
    x(&["windowfocus", "--sync", &id])?;
    // 4Dh is what the right arrow sends behind E0h: a blank in white on red, where it has been drawn
    eventually("answer of the mouse", || heard().contains(&0xfa))?;
    x(&["key", "KP_6"])?;
    eventually("key", || heard().contains(&0x4d))?;
    x(&["keydown", "j"])?;
    eventually("key", || heard().contains(&0x24))?;
    // attribute 24h: red on green; the cell's corner is paper
    eventually("picture", || pixel(&display, 0, 0).is_ok_and(|p| p == 0x00_aa_00))?;
    x(&["keyup", "j"])?;
    eventually("release of the key", || heard().contains(&0xa4))?;
    // a click takes the mouse, and is not the guest's
    let before = heard().len();
    x(&["mousemove", "300", "200", "click", "1"])?;
    eventually("grabbed mouse", || title().contains("releases the mouse"))?;
    x(&["mousemove_relative", "--", "5", "3"])?;
    // to the right and down: X overflow and sign clear, Y sign set
    eventually("movement", || heard()[before..].windows(3).any(|w| w == [0x28, 5, 0xfd]))?;
    x(&["keydown", "Control_R"])?;
    x(&["keyup", "Control_R"])?;
    eventually("released mouse", || title().contains("takes the mouse"))?;
    x(&["keydown", "Control_R", "key", "q", "keyup", "Control_R"])?;
    let mut status = None;
    eventually("end", || {
        status = machine.0.try_wait().unwrap();
        status.is_some()
    })?;
    if status.is_some_and(|s| s.success()) { Ok(()) } else { Err(format!("it ended with {status:?}").into()) }
}

fn no_display() -> Result<(), Failed> {
    let files = Files::new();
    let bios = files.put("bios", &bios());
    let mut command = ringer();
    command.args(["run", "--display", "window", "--bios", &bios]);
    let out =
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET").output()?;
    let text = String::from_utf8(out.stderr)?;
    let told = text.starts_with("ringer: no window can be opened") && text.contains("--headless");
    if out.status.code() == Some(1) && told && text.lines().count() == 1 { Ok(()) } else { Err(text.into()) }
}
