//! Options and what they mean.

use crate::nic::{self, NicChoice};
use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use dev::keys::Key;
use isa::CpuModel;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ringer                                     boot the embedded guest
  ringer run freedos.img                     a floppy, disk or CD image, by what is in it
  ringer run --disk debian.img --snapshot    a disk, with what is written discarded
  ringer run --kernel vmlinuz --initrd initrd.gz --append 'console=ttyS0' --serial stdio
  ringer run --kernel grub-invaders.exec     a multiboot kernel
  ringer run --rom bios.bin --cpu 486        a ROM, from its reset vector
  ringer run dos.img --nic isa               an NE2000 at ports 300h with IRQ 10
  ringer prove ia32-pentium                  which instructions keep the Pentium from being virtualized
  ringer explain popf                        what POPF is, why, and what a monitor does with it
  ringer lab                                 lessons of the theory, run while they are told
  ringer completions bash                    shell completions

In a terminal, Ctrl-a x ends the machine, Ctrl-a Ctrl-a sends Ctrl-a, and on a text screen Ctrl-a d
presses Ctrl-Alt-Delete.

Exit codes: 0 the guest powered off or was ended; 1 an input could not be used, or the guest
cannot go on; 2 the command line is wrong; 130, 143, 129 or 131 ended by SIGINT, SIGTERM,
SIGHUP or SIGQUIT (in a raw terminal, Ctrl-C goes to the guest).";

/// A whole-system x86 PC emulator.
#[derive(Parser)]
#[command(name = "ringer", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a machine.
    Run(Box<Run>),
    /// Ask whether an instruction set meets the conditions of Popek and Goldberg's theorems.
    Prove(crate::prove::Prove),
    /// Tell the class of an instruction, derived from what it does.
    Classify(crate::classify::Classify),
    /// Tell what an instruction is, why, with its witness, and what each kind of monitor does with it.
    Explain(crate::explain::Explain),
    /// Tell a lesson of virtualizability theory, running what it tells of.
    Lab(crate::lab::Lab),
    /// Run a witness again.
    Replay(crate::replay::Replay),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How --stats prints.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Which engine runs innocuous code.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// Hot code compiled for the host; the rest evaluated.
    Jit,
    /// Evaluation over decoded blocks.
    Interpreter,
}

/// How the guest's screen is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum DisplayName {
    /// Not at all.
    None,
    /// Text modes, in the terminal.
    Text,
    /// Text and graphics, in a window; the host key (--host-key) is the user's own: alone it takes or releases the
    /// mouse, with F it fills the screen, with 1 to 4 it scales, with D it sends Ctrl-Alt-Delete, with P it presses
    /// the power button, with Q it ends the machine.
    Window,
}

/// A picture to be taken.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Shot {
    /// When, in seconds of the guest's time.
    pub(crate) at: f64,
    /// Where to.
    pub(crate) file: PathBuf,
}

fn parse_shot(text: &str) -> Result<Shot, String> {
    let (at, file) = text.split_once(':').ok_or("expected SECONDS:FILE.png")?;
    let at: f64 = at.parse().map_err(|_| "the seconds are not a number".to_owned())?;
    if !at.is_finite() || at < 0.0 || file.is_empty() {
        return Err("expected SECONDS:FILE.png".to_owned());
    }
    Ok(Shot { at, file: file.into() })
}

fn parse_key(name: &str) -> Result<Key, String> {
    Key::from_qcode(name)
        .ok_or_else(|| "no such key; QEMU's names are ctrl_r, f12, scroll_lock and so on".to_owned())
}

fn parse_qmp(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err("expected unix:PATH".to_owned()),
    }
}

fn parse_speaker(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("wav:") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err("expected wav:FILE".to_owned()),
    }
}

fn parse_boot(text: &str) -> Result<String, String> {
    let known = !text.is_empty() && text.chars().all(|c| matches!(c, 'a' | 'c' | 'd'));
    if known { Ok(text.to_owned()) } else { Err("expected letters out of a, c and d".to_owned()) }
}

/// Where the first serial port goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Serial {
    /// The terminal, or standard input and output.
    Stdio,
    /// Output to a file.
    File(PathBuf),
    /// A Unix socket that is listened on.
    Unix(PathBuf),
    /// Nowhere.
    None,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Run {
    /// A floppy, disk or CD image, or a kernel: Ringer finds out which
    #[arg(value_name = "IMAGE", conflicts_with_all = ["kernel", "rom"])]
    pub(crate) image: Option<PathBuf>,
    /// A Linux bzImage or a multiboot kernel
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: Option<PathBuf>,
    /// The initial RAM disk, or the multiboot module
    #[arg(long, value_name = "FILE", conflicts_with = "rom")]
    pub(crate) initrd: Option<PathBuf>,
    /// The kernel's command line
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(crate) append: String,
    /// A loader for 10000h that starts a flat kernel at 100000h without a BIOS
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(crate) loader: Option<PathBuf>,
    /// A ROM image that ends at the top of memory and starts at the reset vector
    #[arg(long, value_name = "FILE", conflicts_with = "kernel")]
    pub(crate) rom: Option<PathBuf>,
    /// The BIOS [default: SeaBIOS, where the host has it]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "rom"])]
    pub(crate) bios: Option<PathBuf>,
    /// The video BIOS [default: SeaBIOS's]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "rom"])]
    pub(crate) vga_bios: Option<PathBuf>,
    /// A floppy image; given twice, one for each drive
    #[arg(long, value_name = "FILE", conflicts_with = "rom")]
    pub(crate) floppy: Vec<PathBuf>,
    /// A raw hard disk image; given up to four times
    #[arg(long, value_name = "FILE", conflicts_with = "rom")]
    pub(crate) disk: Vec<PathBuf>,
    /// A CD image
    #[arg(long, value_name = "FILE", conflicts_with = "rom")]
    pub(crate) cdrom: Option<PathBuf>,
    /// What to boot from, first to last: a floppy, c disk, d CD
    #[arg(long, value_name = "LETTERS", value_parser = parse_boot)]
    pub(crate) boot: Option<String>,
    /// Keep what is written to disks and floppies in memory, and discard it at the end
    #[arg(long)]
    pub(crate) snapshot: bool,
    /// Write-protect disks and floppies
    #[arg(long, conflicts_with = "snapshot")]
    pub(crate) read_only: bool,
    /// RAM, with K, M or G: 1M to 3G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_size)]
    pub(crate) memory: u64,
    /// The chip
    #[arg(long, value_name = "MODEL", default_value = "n270", value_parser = parse_cpu)]
    pub(crate) cpu: CpuModel,
    /// The first serial port: stdio, file:PATH, unix:PATH or none [default: stdio, with --headless or a kernel]
    #[arg(long, value_name = "WHERE", value_parser = parse_serial)]
    pub(crate) serial: Option<Serial>,
    /// The network card, pci (RTL8029), isa (NE2000, ports 300h, IRQ 10) or none, and its address: for example
    /// pci,mac=52:54:00:12:34:56. The guest gets 10.0.2.15 by DHCP; nothing beyond its gateway is reached
    /// [default: pci where a BIOS starts the machine, else none]
    #[arg(long, value_name = "KIND[,mac=ADDRESS]", value_parser = nic::parse)]
    pub(crate) nic: Option<NicChoice>,
    /// A file for what the guest writes to ports E9h and 402h (firmware says there what it does)
    #[arg(long, value_name = "FILE")]
    pub(crate) debug_console: Option<PathBuf>,
    /// No screen: the same as --display none
    #[arg(long)]
    pub(crate) headless: bool,
    /// How to show the guest's screen [default: text, where a BIOS starts the machine in a terminal]
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "headless")]
    pub(crate) display: Option<DisplayName>,
    /// The key that is the user's own in a window, by QEMU's name for it
    #[arg(long, value_name = "KEY", default_value = "ctrl_r", value_parser = parse_key)]
    pub(crate) host_key: Key,
    /// Record what the PC speaker plays: wav:FILE
    #[arg(long, value_name = "wav:FILE", value_parser = parse_speaker)]
    pub(crate) speaker: Option<PathBuf>,
    /// Save the screen as a PNG after so many seconds of the guest's time
    #[arg(long, value_name = "SECONDS:FILE.png", value_parser = parse_shot)]
    pub(crate) screenshot_at: Vec<Shot>,
    /// Be controlled over the QEMU Machine Protocol: unix:PATH
    #[arg(long, value_name = "unix:PATH", value_parser = parse_qmp)]
    pub(crate) qmp: Option<PathBuf>,
    /// Go on from a snapshot; the images are given as when it was made
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "rom", "bios", "boot", "deterministic"])]
    pub(crate) load: Option<PathBuf>,
    /// Time from instructions retired: the same run every time
    #[arg(long)]
    pub(crate) deterministic: bool,
    /// What runs innocuous code
    #[arg(long, value_enum, default_value = "jit")]
    pub(crate) engine: EngineName,
    /// At the end, print what the efficiency property needs
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text", require_equals = true)]
    pub(crate) stats: Option<StatsFormat>,
    /// At the end, write which classes of instructions ran how often, and where the sensitive ones are, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) classify: Option<PathBuf>,
    /// Tell Linux perf which guest code the JIT's code is: writes /tmp/perf-PID.map
    #[arg(long)]
    pub(crate) perf_map: bool,
    /// Print each instruction before it runs, on standard error
    #[arg(long)]
    pub(crate) trace: bool,
    /// End after so many instructions
    #[arg(long, value_name = "N")]
    pub(crate) instructions: Option<u64>,
    /// Boot a kernel again when it asks for a reset, instead of ending
    #[arg(long)]
    pub(crate) reboot: bool,
    /// End when the guest asks for a reset, also where a BIOS would start again
    #[arg(long, conflicts_with = "reboot")]
    pub(crate) no_reboot: bool,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            None => crate::run::embedded(),
            Some(Command::Run(run)) => crate::run::run(&run),
            Some(Command::Prove(prove)) => crate::prove::run(&prove),
            Some(Command::Classify(classify)) => crate::classify::run(&classify),
            Some(Command::Explain(explain)) => crate::explain::run(&explain),
            Some(Command::Lab(lab)) => crate::lab::run(&lab),
            Some(Command::Replay(replay)) => crate::replay::run(&replay),
            Some(Command::Completions { shell }) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "ringer", &mut script);
                std::io::stdout().write_all(&script).context("writing the completions")?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// What is wrong with the command line, in a line: clap's message without usage and advice.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim);
    let message = lines.take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more information"));
    let line = message.filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line).to_owned();
    line + "; see ringer --help"
}

fn parse_cpu(name: &str) -> Result<CpuModel, String> {
    CpuModel::from_name(name).ok_or_else(|| {
        let names: Vec<_> = CpuModel::ALL.iter().map(|(n, _)| *n).collect();
        format!("no such CPU; there are {}", names.join(", "))
    })
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "not a size such as 256M".to_owned())?;
    let bytes = number.checked_mul(unit).ok_or("too large")?;
    if !(machine::Config::LEAST_MEMORY..=machine::Config::MOST_MEMORY).contains(&bytes) {
        return Err("a PC here has 1M to 3G of memory".to_owned());
    }
    Ok(bytes)
}

fn parse_serial(text: &str) -> Result<Serial, String> {
    match text.split_once(':') {
        None if text == "stdio" => Ok(Serial::Stdio),
        None if text == "none" => Ok(Serial::None),
        Some(("file", path)) if !path.is_empty() => Ok(Serial::File(path.into())),
        Some(("unix", path)) if !path.is_empty() => Ok(Serial::Unix(path.into())),
        _ => Err("expected stdio, file:PATH, unix:PATH or none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(parse_size("256M"), Ok(256 << 20));
        assert_eq!(parse_size("3G"), Ok(3 << 30));
        for bad in ["", "M", "4G", "1K", "-1M", "99999999999999999999", "12é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn serial_names_its_place() {
        assert_eq!(parse_serial("file:/x"), Ok(Serial::File("/x".into())));
        assert!(parse_serial("file:").is_err());
        assert!(parse_serial("tcp:1").is_err());
    }
}
