//! Guests for lockstep runs: prepared ones by name, files, and random bytes.

use super::Guest;
use crate::bios::{self, Drive};
use crate::random::Random;
use crate::random_guest::{self, Mode};
use cpu::{CpuModel, Engine};
use disk::Medium;
use machine::{Config, Exit, Image, Machine};
use std::path::Path;
use xtask::guests::{self, file};

/// Instructions after which a guest of random bytes is put somewhere else.
const MOVED_EVERY: u64 = 100_000;
/// Instructions after which it gets new bytes...
const FILLED_EVERY: u64 = 1_000_000;
/// ... and ends that it comes to by itself.
const FILLED_AFTER: u32 = 1024;

/// How a guest is started.
#[derive(Clone, Debug)]
pub enum Start {
    /// An image without firmware.
    Image(Image),
    /// By the BIOS, from drives.
    Drives(Vec<Drive>),
    /// Random bytes, by a seed; the mode is by the seed as well.
    Random(u64),
}

/// A guest and the memory it gets.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// How it is started.
    pub start: Start,
    /// Bytes of RAM; random bytes have their own.
    pub memory: u64,
}

impl Chosen {
    /// A prepared guest, or the file of a kernel or medium, with `memory` bytes if that is said.
    ///
    /// # Errors
    /// There is no such guest, or it is not prepared.
    pub fn by_name(name: &str, memory: Option<u64>) -> Result<Chosen, String> {
        let (start, usual) = match name {
            "embedded" => (Start::Image(Image::Rom(test_roms::DEFAULT_GUEST.to_vec())), 16 << 20),
            "debian" => (debian()?, 64 << 20),
            "freedos" => {
                let floppy =
                    guests::freedos().ok_or("there is no FreeDOS floppy; RINGER_FREEDOS names one")?;
                (Start::Drives(vec![Drive::Floppy(floppy)]), 32 << 20)
            }
            "memtest" => (Start::Drives(vec![Drive::Cdrom(prepared(file::MEMTEST)?)]), 32 << 20),
            other => (by_file(Path::new(other))?, 64 << 20),
        };
        Ok(Chosen { start, memory: memory.unwrap_or(usual) })
    }

    /// A kernel with what belongs to it.
    ///
    /// # Errors
    /// A file cannot be read, or is no kernel.
    pub fn kernel(kernel: &Path, initrd: Option<&Path>, append: &str, memory: u64) -> Result<Chosen, String> {
        let initrd = initrd.map(read).transpose()?;
        let image = machine::boot::recognise(read(kernel)?, initrd, append.to_owned());
        let image = image.map_err(|e| format!("{}: {e}", kernel.display()))?;
        Ok(Chosen { start: Start::Image(image), memory })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn prepared(name: &str) -> Result<std::path::PathBuf, String> {
    guests::find(name).ok_or_else(|| format!("{name} is not prepared; `cargo xtask guests` does that"))
}

fn debian() -> Result<Start, String> {
    let (kernel, initrd) = (prepared(file::KERNEL)?, prepared(file::INITRD)?);
    Chosen::kernel(&kernel, Some(&initrd), "console=ttyS0", 0).map(|c| c.start)
}

fn by_file(path: &Path) -> Result<Start, String> {
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|e| format!("{:?} is no guest's name, nor a file: {e}", path.display()))?;
    let drive = match disk::recognise(&bytes[..bytes.len().min(disk::HEAD)], bytes.len() as u64) {
        Medium::Floppy => Drive::Floppy(path.to_owned()),
        Medium::HardDisk => Drive::Disk(path.to_owned()),
        Medium::Cdrom => Drive::Cdrom(path.to_owned()),
        _ => return Chosen::kernel(path, None, "console=ttyS0", 0).map(|c| c.start),
    };
    Ok(Start::Drives(vec![drive]))
}

impl Guest for Chosen {
    fn machine(&self, engine: Box<dyn Engine + Send>) -> Result<Machine, String> {
        match &self.start {
            Start::Drives(drives) => bios::machine_on(drives, self.memory, engine),
            Start::Image(image) => boot(image, self.memory, engine),
            Start::Random(seed) => {
                let mut machine = random_guest::machine(*seed, engine).map_err(|e| e.to_string())?;
                place(&mut machine, *seed, 0, true);
                Ok(machine)
            }
        }
    }

    fn ended(&self, machine: &mut Machine, end: Exit, starts: u32) -> bool {
        match &self.start {
            Start::Random(seed) => {
                let number = (machine.cpu().retired << 20) + u64::from(starts) + 1;
                place(machine, *seed, number, (starts + 1).is_multiple_of(FILLED_AFTER));
                true
            }
            _ if end == Exit::Reset && machine.has_firmware() => {
                machine.reset();
                true
            }
            _ => false,
        }
    }

    fn period(&self) -> Option<u64> {
        matches!(self.start, Start::Random(_)).then_some(MOVED_EVERY)
    }

    fn refresh(&self, machine: &mut Machine, at: u64) {
        if let Start::Random(seed) = self.start {
            place(machine, seed, at, at.is_multiple_of(FILLED_EVERY));
        }
    }
}

fn boot(image: &Image, memory: u64, engine: Box<dyn Engine + Send>) -> Result<Machine, String> {
    let config = Config { memory, model: CpuModel::N270, deterministic: true, epoch: 946_684_800 };
    let mut machine = Machine::new(config, engine).map_err(|e| e.to_string())?;
    machine.boot(image).map_err(|e| e.to_string())?;
    Ok(machine)
}

/// Puts the CPU somewhere in random bytes, new ones if so said: always the same by seed and number.
fn place(machine: &mut Machine, seed: u64, number: u64, fill: bool) {
    let mut random = Random::new(seed ^ number.rotate_left(32));
    let mode = Mode::ALL[(seed % 4) as usize];
    if fill {
        random_guest::fill(machine, mode, &mut random);
    }
    random_guest::start(machine.cpu_mut(), mode, &mut random);
    machine.synchronise();
}
