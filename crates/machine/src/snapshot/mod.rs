//! The whole machine in a file: configuration, CPU, memory, clock, devices, and what drives hold.
//!
//! What is not there is what no guest can see: shadows, translations, counters. Media that keep
//! their writes by themselves (image files) are named by their size and by when they were last
//! written; whoever loads a snapshot brings the same ones.

mod container;
mod cpu;
mod file;
#[cfg(test)]
mod tests;

use crate::pc_memory::BANK;
use crate::pc_state::{self, PartError};
use crate::{BootDevice, Clock, Config, Firmware, Machine, Nic, NicKind, Pc};
use ::cpu::{CpuModel, Engine};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{Read, Write};

pub use container::{Reader, Section, SnapshotError, Writer};
pub use file::write_atomically;

/// Where media are.
pub(crate) const PLACES: [&str; 6] =
    ["floppy drive 1", "floppy drive 2", "IDE place 1", "IDE place 2", "IDE place 3", "IDE place 4"];
/// The section of the CPU's registers that only later models have.
const LATER: &str = "cpu-later";
/// Bytes of memory in a section.
const CHUNK: usize = 16 << 20;

/// What the machine is made of, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MachineV1 {
    memory: u64,
    model: String,
    deterministic: bool,
    epoch: i64,
    /// Virtual time: with deterministic time what idling added, else what has passed.
    clock: u64,
    /// Bytes of BIOS; 0: no firmware.
    bios: u32,
    video: Option<Vec<u8>>,
    order: Vec<u8>,
    /// Sectors of the media by place: two floppies, then four IDE places; `None` is no drive.
    media: Vec<Option<(bool, u64)>>,
    /// When each of them was last written where it lies. A guest that goes on over a medium which has changed
    /// behind its back destroys what is on it.
    stamps: Vec<Option<u64>>,
}

/// The network card, version 1: a section of its own, behind the machine's, where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct NicV1 {
    pci: bool,
    mac: [u8; 6],
}

/// What the machine is made of, and what has been read of the file beyond.
struct Head {
    machine: MachineV1,
    nic: Option<Nic>,
    next: Option<Section>,
}

/// Compared a page at a time, which is many bytes at once.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROES: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROES.len()).all(|page| page == &ZEROES[..page.len()])
}

fn unusable(section: &str, why: impl std::fmt::Display) -> SnapshotError {
    SnapshotError::Unusable { section: section.to_owned(), why: why.to_string() }
}

fn decode<'a, T: Deserialize<'a>>(s: &'a Section) -> Result<T, SnapshotError> {
    pc_state::decode(s.version, &s.bytes).map_err(|e| part_error(&s.name, e))
}

fn part_error(name: &str, e: PartError) -> SnapshotError {
    match e {
        PartError::Newer { found, known } => SnapshotError::Newer {
            what: format!("its section {name:?}"),
            found: found.into(),
            known: known.into(),
        },
        other => unusable(name, other),
    }
}

impl Machine {
    /// Writes the whole machine. Media are flushed first.
    ///
    /// # Errors
    /// The host's; or that of a medium which has lost what the guest wrote: going on from such a snapshot would
    /// destroy what it holds.
    pub fn save<W: Write>(&mut self, out: W) -> Result<W, SnapshotError> {
        self.vmm.board.flush_media()?;
        let mut w = Writer::new(out)?;
        let machine = pc_state::encode("machine", &self.describe_machine());
        let cpu = pc_state::encode("cpu", &cpu::CpuV1::of(&self.cpu));
        let nic = self.vmm.board.nic().map(|n| NicV1 { pci: n.kind == NicKind::Pci, mac: n.mac });
        let nic = nic.map(|n| pc_state::encode("nic", &n));
        let later = cpu::LaterV1::of(&self.cpu).map(|l| pc_state::encode(LATER, &l));
        let parts = [machine].into_iter().chain(nic).chain([cpu]).chain(later);
        for part in parts.chain(self.vmm.board.parts()) {
            w.section(part.name, part.version, &part.bytes)?;
        }
        for (name, bytes) in self.vmm.board.private_writes() {
            for (n, chunk) in bytes.chunks(CHUNK).enumerate() {
                w.section(&format!("{name}.{n}"), 1, chunk)?;
            }
        }
        self.save_memory(&mut w)?;
        w.finish()
    }

    fn describe_machine(&mut self) -> MachineV1 {
        let order = |d: &BootDevice| match d {
            BootDevice::Floppy => b'a',
            BootDevice::Disk => b'c',
            BootDevice::Cdrom => b'd',
        };
        let board = &mut self.vmm.board;
        MachineV1 {
            memory: self.config.memory,
            model: self.config.model.name().to_owned(),
            deterministic: self.config.deterministic,
            epoch: self.config.epoch,
            clock: board.clock.saved(),
            bios: board.flash,
            video: board.firmware.video.clone(),
            order: board.firmware.order.iter().map(order).collect(),
            media: board.media_sizes(),
            stamps: board.media_stamps(),
        }
    }

    /// Memory in chunks; those that are all zeroes are left out.
    fn save_memory<W: Write>(&mut self, w: &mut Writer<W>) -> Result<(), SnapshotError> {
        let all = self.mem.len() + u64::from(BANK);
        let mut chunk = Vec::new();
        for at in (0..all).step_by(CHUNK) {
            chunk.resize(CHUNK.min((all - at) as usize), 0);
            self.mem.read_arena(at as u32, &mut chunk);
            if !is_zero(&chunk) {
                w.section(&format!("memory.{}", at / CHUNK as u64), 1, &chunk)?;
            }
        }
        Ok(())
    }

    /// A machine as it was saved, with the media that `media` puts into the drives of its board. The
    /// network card is in it; `media` may insist on one by putting it in.
    ///
    /// # Errors
    /// [`SnapshotError`]: the file is damaged, from a later program, or of a machine with other
    /// media or another network card.
    pub fn load<R: Read>(
        input: R,
        engine: Box<dyn Engine + Send>,
        media: impl FnOnce(&mut Pc),
    ) -> Result<Machine, SnapshotError> {
        let mut reader = Reader::new(input)?;
        let saved = Machine::first(&mut reader)?;
        let mut machine = saved.make(engine)?;
        media(&mut machine.vmm.board);
        saved.compare(&mut machine.vmm.board)?;
        machine.restore(&mut reader, saved)?;
        Ok(machine)
    }

    /// Replaces this machine by a saved one; the media stay in their drives. After an error
    /// everything is as it was.
    ///
    /// # Errors
    /// As for [`Machine::load`].
    pub fn load_in_place<R: Read>(
        &mut self,
        input: R,
        engine: Box<dyn Engine + Send>,
    ) -> Result<(), SnapshotError> {
        // the new machine first, without media; then these move over, and back if that fails
        let mut reader = Reader::new(input)?;
        let saved = Machine::first(&mut reader)?;
        self.vmm.board.flush_media()?;
        saved.compare(&mut self.vmm.board)?;
        let mut machine = saved.make(engine)?;
        let (private, drives) = (self.vmm.board.private_writes(), self.vmm.board.drives());
        machine.vmm.board.take_media(&mut self.vmm.board);
        if let Err(e) = machine.restore(&mut reader, saved) {
            self.vmm.board.take_back(&mut machine.vmm.board, &drives);
            let named: Vec<_> = private.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
            // they were these media's own a moment ago
            let _ = self.vmm.board.set_private_writes(&named);
            return Err(e);
        }
        if self.vmm.board.speaker.is_some() {
            machine.listen();
        }
        *self = machine;
        Ok(())
    }

    fn first<R: Read>(reader: &mut Reader<R>) -> Result<Head, SnapshotError> {
        let machine = match reader.next_section()? {
            Some(s) if s.name == "machine" => decode(&s)?,
            _ => return Err(SnapshotError::Missing("machine")),
        };
        match reader.next_section()? {
            Some(s) if s.name == "nic" => {
                let NicV1 { pci, mac } = decode(&s)?;
                let kind = if pci { NicKind::Pci } else { NicKind::Isa };
                Ok(Head { machine, nic: Some(Nic { kind, mac }), next: None })
            }
            next => Ok(Head { machine, nic: None, next }),
        }
    }

    fn restore<R: Read>(&mut self, reader: &mut Reader<R>, mut saved: Head) -> Result<(), SnapshotError> {
        let mut missing = self.vmm.board.part_names();
        missing.push("cpu");
        if cpu::LaterV1::belongs(self.config.model) {
            missing.push(LATER);
        }
        let mut later: Option<cpu::LaterV1> = None;
        let mut private: Vec<(String, Vec<u8>)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(s) = saved.next.take().map_or_else(|| reader.next_section(), |s| Ok(Some(s)))? {
            missing.retain(|name| *name != s.name);
            if !seen.insert(s.name.clone()) {
                return Err(unusable(&s.name, "it is there twice"));
            }
            if s.name == "cpu" {
                let cpu: cpu::CpuV1 = decode(&s)?;
                self.cpu = cpu.thaw(self.config.model).map_err(|field| unusable("cpu", field))?;
            } else if s.name == LATER && cpu::LaterV1::belongs(self.config.model) {
                later = Some(decode(&s)?);
            } else if let Some((name, number)) = s.name.split_once('.') {
                let count = number.parse::<usize>().ok().filter(|n| n.to_string() == number);
                let number = count.ok_or_else(|| SnapshotError::Unknown(s.name.clone()))?;
                match name {
                    "memory" => self.restore_memory(number, &s.bytes)?,
                    _ => {
                        self.check_private(&s, name, number, &private)?;
                        private.push((name.to_owned(), s.bytes));
                    }
                }
            } else if !self.restore_part(&s)? {
                return Err(SnapshotError::Unknown(s.name));
            }
        }
        if let Some(name) = missing.first() {
            return Err(SnapshotError::Missing(name));
        }
        if let Some(later) = later {
            later.thaw(&mut self.cpu).map_err(|field| unusable(LATER, field))?;
        }
        self.vmm.board.set_private_writes(&private).map_err(SnapshotError::Unknown)?;
        if saved.machine.clock > Clock::END {
            return Err(unusable("machine", "its clock is out of range"));
        }
        self.vmm.board.clock.restore(saved.machine.clock);
        self.vmm.board.after_restore(&mut self.mem);
        self.synchronise();
        Ok(())
    }

    fn restore_part(&mut self, s: &Section) -> Result<bool, SnapshotError> {
        self.vmm.board.restore_part(&s.name, s.version, &s.bytes).map_err(|e| part_error(&s.name, e))
    }

    /// What a medium that is there can have written, in parts that are counted: a small file could name
    /// any number of large ones.
    fn check_private(
        &mut self,
        s: &Section,
        name: &str,
        number: usize,
        parts: &[(String, Vec<u8>)],
    ) -> Result<(), SnapshotError> {
        let Some(most) = self.vmm.board.private_room(name) else {
            // the image was not written then, and the guest's caches are not of what it holds
            return Err(SnapshotError::Media(format!(
                "what was written to {name} is in the snapshot, and not in an image; --snapshot takes it from there"
            )));
        };
        let before = parts.iter().filter(|(n, _)| n == name).map(|(_, bytes)| bytes.len() as u64);
        let (count, len) = before.fold((0, 0), |(count, sum), len| (count + 1, sum + len));
        if number != count || len + s.bytes.len() as u64 > most {
            return Err(unusable(&s.name, "no medium can have written this"));
        }
        Ok(())
    }

    fn restore_memory(&mut self, number: usize, bytes: &[u8]) -> Result<(), SnapshotError> {
        let all = self.mem.len() + u64::from(BANK);
        let at = (number as u64).checked_mul(CHUNK as u64).filter(|at| bytes.len() <= CHUNK && *at <= all);
        let Some(at) = at.filter(|at| at + bytes.len() as u64 <= all) else {
            return Err(unusable("memory", "it is larger than the machine's memory"));
        };
        // pages of zeroes are there already, and cost nothing so
        for (n, page) in bytes.chunks(4096).enumerate() {
            if !is_zero(page) {
                self.mem.write_arena((at as usize + n * 4096) as u32, page);
            }
        }
        Ok(())
    }
}

impl Head {
    /// An empty machine of this make, with its network card.
    fn make(&self, engine: Box<dyn Engine + Send>) -> Result<Machine, SnapshotError> {
        let mut machine = self.machine.make(engine)?;
        if let Some(nic) = self.nic {
            machine.vmm.board.attach_nic(nic);
        }
        Ok(machine)
    }

    /// Whether a board has the same media and the same network card.
    fn compare(&self, board: &mut Pc) -> Result<(), SnapshotError> {
        self.machine.check_media(board)?;
        let name = |nic: Option<Nic>| nic.map_or_else(|| "none".to_owned(), |n| n.to_string());
        match (self.nic, board.nic()) {
            (saved, found) if saved == found => Ok(()),
            (saved, found) => Err(SnapshotError::Nic { saved: name(saved), found: name(found) }),
        }
    }
}

impl MachineV1 {
    /// The media are those of the snapshot, as they then were.
    fn check_media(&self, board: &mut Pc) -> Result<(), SnapshotError> {
        let found = board.media_sizes();
        if found != self.media {
            return Err(SnapshotError::Media(differences(&self.media, &found)));
        }
        let stamps = board.media_stamps();
        let mut places = PLACES.iter().zip(self.stamps.iter().zip(&stamps));
        match places.find(|(_, (saved, found))| saved.is_some() && saved != found) {
            Some((place, _)) => Err(SnapshotError::Written(place)),
            None => Ok(()),
        }
    }

    /// An empty machine of this make.
    fn make(&self, engine: Box<dyn Engine + Send>) -> Result<Machine, SnapshotError> {
        let model = CpuModel::from_name(&self.model)
            .ok_or_else(|| unusable("machine", format!("there is no CPU {:?}", self.model)))?;
        if self.bios as usize > Firmware::MOST_BIOS || self.media.len() != 6 || self.stamps.len() != 6 {
            return Err(unusable("machine", "its numbers are out of range"));
        }
        let config =
            Config { memory: self.memory, model, deterministic: self.deterministic, epoch: self.epoch };
        let mut machine = Machine::new(config, engine).map_err(|e| unusable("machine", e))?;
        machine.clear_memory();
        let device = |b: &u8| match b {
            b'a' => BootDevice::Floppy,
            b'c' => BootDevice::Disk,
            _ => BootDevice::Cdrom,
        };
        let order = self.order.iter().take(8).map(device).collect();
        let firmware = Firmware { bios: Vec::new(), video: self.video.clone(), order };
        if self.bios > 0 {
            machine.vmm.board.remember_firmware(&firmware, self.bios, &mut machine.mem);
        }
        Ok(machine)
    }
}

/// How the drives differ, in words.
fn differences(saved: &[Option<(bool, u64)>], found: &[Option<(bool, u64)>]) -> String {
    let name = |m: &Option<(bool, u64)>| match m {
        None => "nothing".to_owned(),
        Some((true, 0)) => "an empty CD-ROM drive".to_owned(),
        Some((true, n)) => format!("a CD of {n} sectors"),
        Some((false, n)) => format!("a medium of {n} sectors"),
    };
    let pairs = PLACES.iter().zip(saved.iter().zip(found)).filter(|(_, (a, b))| a != b);
    let parts: Vec<String> =
        pairs.map(|(p, (a, b))| format!("{p} had {}, and has {}", name(a), name(b))).collect();
    parts.join("; ")
}
