//! A machine with something in every place, made from two bytes of an input.

use crate::Input;
use dev::block::{MemoryBlock, SECTOR};
use dev::{Block, BlockError};
use disk::Overlay;
use interp::Interpreter;
use isa::CpuModel;
use machine::snapshot::SnapshotError;
use machine::{BootDevice, Config, Firmware, Image, Machine, Nic, NicKind, Pc};

/// Sectors of floppies.
const FLOPPIES: [u64; 8] = [0, 720, 2880, 5760, 320, 1440, 2400, 3444];

/// What a machine is made of.
#[derive(Clone, Copy)]
pub struct Make(pub [u8; 2]);

/// A machine, and what is in its drives.
pub struct Rig {
    pub machine: Machine,
    make: Make,
    /// Which of the removable media are in: two floppies, two CDs.
    inside: [bool; 4],
}

/// A medium whose sectors are told apart by their content, and cost nothing.
struct Pattern(u64);

impl Block for Pattern {
    fn sectors(&self) -> u64 {
        self.0
    }
    fn writable(&self) -> bool {
        false
    }
    fn read(&mut self, sector: u64, out: &mut [u8]) -> Result<(), BlockError> {
        let end = sector.checked_add((out.len() / SECTOR) as u64).filter(|&end| end <= self.0);
        end.ok_or(BlockError::Range)?;
        for (n, part) in out.chunks_mut(SECTOR).enumerate() {
            part.fill(sector as u8 ^ n as u8);
        }
        Ok(())
    }
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        Err(BlockError::ReadOnly)
    }
    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }
}

impl Make {
    pub fn new(input: &mut Input) -> Make {
        Make(input.array())
    }

    fn floppy(self, drive: usize) -> Option<Box<dyn Block>> {
        let sectors = FLOPPIES[usize::from(self.0[0] >> (3 * drive) & 7)];
        (sectors > 0).then(|| -> Box<dyn Block> {
            match self.0[0] & 0x40 {
                0 => Box::new(Overlay::new(Box::new(Pattern(sectors)))),
                _ => Box::new(Pattern(sectors)),
            }
        })
    }

    fn cd(self, n: usize) -> Box<dyn Block> {
        Box::new(MemoryBlock::new(vec![n as u8 + 1; 70_000]).read_only())
    }

    fn nic(self) -> Option<Nic> {
        let kind = match self.0[1] & 3 {
            0 => return None,
            1 => NicKind::Isa,
            _ => NicKind::Pci,
        };
        Some(Nic { kind, mac: Nic::MAC })
    }

    /// Puts everything into the drives but for what is not `inside`.
    fn fill(self, pc: &mut Pc, inside: [bool; 4]) {
        for (drive, inside) in inside.into_iter().take(2).enumerate() {
            if let Some(medium) = self.floppy(drive) {
                pc.insert_floppy(drive, medium);
            }
            if !inside {
                pc.eject_floppy(drive);
            }
        }
        pc.attach_disk(0, Box::new(Overlay::new(Box::new(Pattern(100_000)))));
        match self.0[1] & 4 {
            0 => pc.attach_disk(1, Box::new(Overlay::new(Box::new(Pattern(1 << 29))))),
            _ => pc.attach_disk(1, Box::new(Pattern(63))),
        }
        for (n, place) in [2, 3].into_iter().enumerate() {
            pc.attach_cdrom(place, inside[2 + n].then(|| self.cd(n)));
        }
        if let Some(nic) = self.nic() {
            pc.attach_nic(nic);
        }
    }
}

impl Rig {
    pub fn new(make: Make) -> Rig {
        let model = if make.0[1] & 8 == 0 { CpuModel::N270 } else { CpuModel::I286 };
        let config = Config { memory: 2 << 20, model, deterministic: true, epoch: 1_000_000_000 };
        let mut machine = Machine::new(config, engine()).expect("2 MiB");
        let inside = [true, true, true, make.0[1] & 16 == 0];
        make.fill(machine.board(), inside);
        if make.0[1] & 0x20 != 0 {
            let video = (make.0[1] & 0x40 != 0).then(|| vec![0x55; 2000]);
            let order = vec![BootDevice::Cdrom, BootDevice::Floppy];
            let image = Image::Firmware(Firmware { bios: vec![0xf4; 0x1_0000], video, order });
            machine.boot(&image).expect("a BIOS of 64 KiB");
        }
        let mut rig = Rig { machine, make, inside };
        rig.configure();
        rig
    }

    /// Ports of the bus master, and of a card on PCI; the display's memory and registers.
    fn configure(&mut self) {
        let bars = [
            (dev::pci::IDE, 0x20, 0xc041),
            (dev::pci::devfn(3, 0), 0x10, 0xc001),
            (dev::pci::devfn(2, 0), 0x10, crate::ops::FRAME_BUFFER),
            (dev::pci::devfn(2, 0), 0x18, crate::ops::DISPLAY_REGISTERS),
        ];
        for (place, register, value) in bars {
            self.pci(place, register, 4, value);
            self.pci(place, 4, 2, 7);
        }
    }

    /// Writes a register of PCI's configuration.
    pub fn pci(&mut self, place: u8, register: u8, size: u32, value: u32) {
        let address = 0x8000_0000 | u32::from(place) << 8 | u32::from(register & 0xfc);
        self.machine.port_out(0xcf8, 4, address);
        self.machine.port_out(0xcfc + u16::from(register & 3), size, value);
    }

    /// Takes a removable medium out, or puts it back.
    pub fn change(&mut self, n: usize) {
        let pc = self.machine.board();
        let inside = self.inside[n];
        match (n, inside) {
            (0 | 1, true) => drop(pc.eject_floppy(n)),
            (0 | 1, false) => {
                if let Some(medium) = self.make.floppy(n) {
                    pc.insert_floppy(n, medium);
                }
            }
            // a guest may have locked the door, or opened the tray
            (_, true) if pc.eject_disc(n).is_none() => return,
            (_, true) => {}
            (_, false) => {
                if pc.insert_disc(n, self.make.cd(n - 2)).is_err() {
                    return;
                }
            }
        }
        self.inside[n] = !inside;
    }

    pub fn save(&mut self) -> Vec<u8> {
        self.machine.save(Vec::new()).expect("a vector takes all")
    }

    /// A machine from a snapshot, with this one's media.
    ///
    /// # Errors
    /// The snapshot cannot be used.
    pub fn load(make: Make, inside: [bool; 4], snapshot: &[u8]) -> Result<Rig, SnapshotError> {
        let machine = Machine::load(snapshot, engine(), |pc| make.fill(pc, inside))?;
        Ok(Rig { machine, make, inside })
    }

    pub fn make(&self) -> (Make, [bool; 4]) {
        (self.make, self.inside)
    }

    /// A saved machine is the machine: it saves the same, and goes on in the same way.
    pub fn round_trip(&mut self) {
        let saved = self.save();
        let mut other = Rig::load(self.make, self.inside, &saved).expect("what was saved loads");
        assert!(other.save() == saved, "a loaded machine saves something else");
        for m in [&mut self.machine, &mut other.machine] {
            m.pass(3_000_000);
            m.pass(300_000_000);
        }
        assert!(other.save() == self.save(), "a loaded machine goes on in another way");
    }
}

fn engine() -> Box<Interpreter> {
    Box::default()
}
