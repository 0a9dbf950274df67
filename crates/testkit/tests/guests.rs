//! Real guests, each booted and asked for something that it can only answer if it runs.
//!
//! `cargo xtask guests` fetches them; without, their trials are reported as ignored, aloud. So is
//! the no-BIOS Linux, which no package has: `RINGER_JSLINUX` names its directory, or it lies in
//! `../shared/guests/jslinux` next to the workspace.

use cpu::CpuModel;
use libtest_mimic::{Arguments, Failed, Trial};
use machine::{Exit, Image, boot::recognise};
use std::fs::read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::console::Console;
use xtask::guests::{self, file};

/// Host seconds after which a guest counts as hung.
const PATIENCE: Duration = Duration::from_secs(600);

type Outcome = Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        with("flat_linux_answers", no_bios_linux().is_some(), flat_linux_answers),
        with("grub_invaders_plays", have(&[file::INVADERS]), grub_invaders_plays),
        with("gnu_mach_panics_for_want_of_a_bootstrap", have(&[file::MACH]), gnu_mach_panics),
        with("debian_gives_a_shell", have(&[file::KERNEL, file::INITRD]), debian_gives_a_shell),
        with("debian_uses_the_newest_cpu", have(&[file::KERNEL, file::INITRD]), debian_on_the_newest),
        with("two_boots_are_the_same", have(&[file::KERNEL, file::INITRD]), two_boots_are_the_same),
        with("programs_compute_the_same", have(&[file::KERNEL, file::PROGRAMS, file::ROOT]), programs),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn have(files: &[&str]) -> bool {
    files.iter().all(|f| guests::find(f).is_some())
}

fn with(name: &'static str, present: bool, run: fn() -> Outcome) -> Trial {
    if !present {
        eprintln!("SKIPPED: {name}: its guest is absent; `cargo xtask guests` fetches those that Debian has");
    }
    Trial::test(name, run).with_ignored_flag(!present)
}

fn prepared(name: &str) -> Result<Vec<u8>, Failed> {
    let path = guests::directory().join(name);
    Ok(read(&path).map_err(|e| format!("{}: {e}", path.display()))?)
}

fn no_bios_linux() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/guests/jslinux");
    let directory = std::env::var_os("RINGER_JSLINUX").map_or_else(beside, PathBuf::from);
    directory.join("linuxstart.bin").exists().then_some(directory)
}

fn flat_linux_answers() -> Outcome {
    let directory = no_bios_linux().ok_or("the guest has gone")?;
    let image = Image::Flat {
        loader: read(directory.join("linuxstart.bin"))?,
        kernel: read(directory.join("vmlinux-2.6.20.bin"))?,
        initrd: Some(read(directory.join("root.bin"))?),
        append: "console=ttyS0 root=/dev/ram0 rw init=/sbin/init notsc=1".to_owned(),
    };
    let mut console = Console::boot(&image, 32 << 20, PATIENCE)?;
    console.wait_for("~ # ")?;
    let answer = console.command("echo $((6*7))", "~ # ")?;
    expect("6 times 7", answer.trim(), "42")
}

fn expect(what: &str, got: &str, wanted: &str) -> Outcome {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?} instead of {wanted:?}").into()) }
}

fn multiboot(name: &str) -> Result<Console, Failed> {
    let image = recognise(prepared(name)?, None, String::new()).map_err(|e| e.to_string())?;
    Ok(Console::boot(&image, 64 << 20, PATIENCE)?)
}

fn grub_invaders_plays() -> Outcome {
    let mut console = multiboot(file::INVADERS)?;
    // the player's ship, and a formation above it that moves
    console.wait_for_screen("/ \\")?;
    let invaders = |screen: &str| screen.lines().filter(|row| row.matches("-*-").count() >= 3).count();
    let first = console.screen();
    if invaders(&first) < 5 {
        return Err(format!("no formation:\n{first}").into());
    }
    for _ in 0..500 {
        if let Some(exit) = console.step(u64::MAX) {
            return Err(format!("the game ended: {exit:?}").into());
        }
        let now = console.screen();
        if now != first && invaders(&now) >= 5 {
            return Ok(());
        }
    }
    Err(format!("the formation stands still:\n{first}").into())
}

fn gnu_mach_panics() -> Outcome {
    let mut console = multiboot(file::MACH)?;
    console.wait_for_screen("panic ")?;
    console.wait_for_screen("bootstrap_create: No bootstrap code loaded")?;
    Ok(())
}

fn debian(initrd: &str, append: &str, memory: u64) -> Result<Console, Failed> {
    debian_on(CpuModel::N270, initrd, append, memory)
}

fn debian_on(model: CpuModel, initrd: &str, append: &str, memory: u64) -> Result<Console, Failed> {
    let append = format!("console=ttyS0 {append}");
    let image =
        recognise(prepared(file::KERNEL)?, Some(prepared(initrd)?), append).map_err(|e| e.to_string())?;
    Ok(Console::boot_on(model, &image, memory, PATIENCE)?)
}

/// The kernel saves its tasks' registers by XSAVE there, and sees UMIP.
fn debian_on_the_newest() -> Outcome {
    let mut console = debian_on(CpuModel::Newest, file::INITRD, "quiet", 256 << 20)?;
    console.wait_for(PROMPT)?;
    let flags = console.command("grep flags /proc/cpuinfo", PROMPT)?;
    let has = |name: &str| flags.split_whitespace().any(|f| f == name);
    if !["xsave", "umip", "rdtscp"].into_iter().all(has) {
        return Err(format!("its flags: {flags}").into());
    }
    let answer = console.command("echo $((6*7))", PROMPT)?;
    expect("6 times 7", answer.trim(), "42")
}

const PROMPT: &str = "guest# ";

fn debian_gives_a_shell() -> Outcome {
    let mut console = debian(file::INITRD, "quiet", 256 << 20)?;
    console.wait_for("The guest is ready.")?;
    console.wait_for(PROMPT)?;
    let release = console.command("uname -r", PROMPT)?;
    if !release.contains("-686") {
        return Err(format!("uname -r: {release:?}").into());
    }
    let model = console.command("grep 'model name' /proc/cpuinfo", PROMPT)?;
    if !model.contains("N270") {
        return Err(format!("model name: {model:?}").into());
    }
    let interrupts = console.command("cat /proc/interrupts", PROMPT)?;
    uses_the_apics(&interrupts)?;
    let answer = console.command("echo $((6*7))", PROMPT)?;
    expect("6 times 7", answer.trim(), "42")?;
    console.type_line("poweroff -f");
    match console.wait_for_end()? {
        Exit::PowerOff => Ok(()),
        other => Err(format!("{other:?} instead of power off").into()),
    }
}

/// The PIT came through the I/O APIC, and the local timer took over.
fn uses_the_apics(interrupts: &str) -> Outcome {
    let count = |line: &str| line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0u64);
    let at_least =
        |name: &str, least| interrupts.lines().any(|l| l.trim_start().starts_with(name) && count(l) >= least);
    let io_apic = interrupts.lines().any(|l| l.contains("IO-APIC") && l.contains("timer"));
    if io_apic && at_least("0:", 1) && at_least("LOC:", 10) && at_least("ERR:", 0) {
        return Ok(());
    }
    Err(format!("/proc/interrupts: {interrupts}").into())
}

/// Instructions between two comparisons.
const INTERVAL: u64 = 10_000_000;
/// Instructions compared unless `RINGER_LOCKSTEP` gives another number (`all`: to the shell).
const COMPARED: u64 = 600_000_000;

fn two_boots_are_the_same() -> Outcome {
    let limit = match std::env::var("RINGER_LOCKSTEP").as_deref() {
        Ok("all") => u64::MAX,
        Ok(n) => n.parse().map_err(|_| format!("RINGER_LOCKSTEP={n}: not a number of instructions"))?,
        Err(_) => COMPARED,
    };
    let other = std::thread::spawn(move || hashes(limit).map_err(|e| format!("{e:?}")));
    let one = hashes(limit)?;
    let other = other.join().map_err(|_| "the other boot panicked")??;
    if let Some(n) = one.iter().zip(&other).position(|(a, b)| a != b) {
        return Err(format!("the states differ after {} instructions", (n as u64 + 1) * INTERVAL).into());
    }
    if one.len() != other.len() || one.len() < 2 {
        return Err(format!("{} and {} states", one.len(), other.len()).into());
    }
    Ok(())
}

/// The state hash at every [`INTERVAL`] of a boot, up to the shell or the limit.
fn hashes(limit: u64) -> Result<Vec<u64>, Failed> {
    let mut console = debian(file::INITRD, "quiet", 64 << 20)?;
    let mut hashes = Vec::new();
    let mut next = INTERVAL;
    while next <= limit && !console.output.windows(PROMPT.len()).any(|w| w == PROMPT.as_bytes()) {
        while console.machine.cpu().retired < next {
            if let Some(exit) = console.step(next) {
                return Err(format!("{exit:?}:\n{}", console.tail()).into());
            }
        }
        hashes.push(console.machine.state_hash());
        next += INTERVAL;
    }
    Ok(hashes)
}

/// The lines "@@ NAME HASH" of the suite.
fn reports(text: &str) -> Vec<String> {
    text.lines().filter_map(|l| Some(l[l.find("@@ ")?..].trim_end().to_owned())).collect()
}

fn programs() -> Outcome {
    let native = natively()?;
    let mut console = debian(file::PROGRAMS, "quiet mitigations=off", 256 << 20)?;
    let exit = console.wait_for_end()?;
    let text = String::from_utf8_lossy(&console.output).into_owned();
    let guest = reports(&text);
    if exit != Exit::PowerOff || guest.len() < 8 {
        return Err(format!("{exit:?} after {} results:\n{}", guest.len(), console.tail()).into());
    }
    let Some(native) = native else {
        eprintln!("SKIPPED: this host runs no i386 programs, so the guest's results are not compared");
        return Ok(());
    };
    let wrong: Vec<_> = native.iter().filter(|n| !guest.contains(n)).map(String::as_str).collect();
    if wrong.is_empty() && native.len() == guest.len() {
        return Ok(());
    }
    Err(format!("natively, and not in the guest:\n{}\nin the guest:\n{}", wrong.join("\n"), guest.join("\n"))
        .into())
}

/// The suite's results on this host, where it can run i386 programs.
fn natively() -> Result<Option<Vec<String>>, Failed> {
    let root = guests::directory().join(file::ROOT);
    let busybox = root.join("bin/busybox");
    let can = Command::new(&busybox).arg("true").stdin(Stdio::null()).status().is_ok_and(|s| s.success());
    if !can {
        return Ok(None);
    }
    let libraries: Vec<String> = ["lib/i386-linux-gnu", "usr/lib/i386-linux-gnu", "lib", "usr/lib"]
        .iter()
        .map(|d| root.join(d).display().to_string())
        .collect();
    let start =
        format!("{} --library-path {}", root.join("lib/ld-linux.so.2").display(), libraries.join(":"));
    let place = std::env::temp_dir().join(format!("ringer-suite-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let output = Command::new(&busybox)
        .args(["sh", "-c", guests::SUITE])
        .env_clear()
        .env("ROOT", &root)
        .env("LD", start)
        .current_dir(&place)
        .stdin(Stdio::null())
        .output();
    std::fs::remove_dir_all(&place)?;
    let output = output?;
    let results = reports(&String::from_utf8_lossy(&output.stdout));
    if results.len() < 8 {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("natively only {} results: {why}", results.len()).into());
    }
    Ok(Some(results))
}
