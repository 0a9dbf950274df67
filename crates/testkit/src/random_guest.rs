//! Guests of random bytes.

use crate::random::Random;
use cpu::{Activity, CpuModel, Segment, State, cr0, cr4, eflags, rights, seg};
use machine::{Config, Machine, MachineError};

/// Bytes of RAM.
pub const MEMORY: u64 = 2 << 20;
const SIZE: u32 = MEMORY as u32;
const MODELS: [CpuModel; 5] =
    [CpuModel::N270, CpuModel::I386, CpuModel::I486, CpuModel::Pentium, CpuModel::Pentium3];

/// What the CPU runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Real mode.
    Real,
    /// Protected mode without paging.
    Protected,
    /// Protected mode with paging.
    Paged,
    /// Virtual 8086 mode.
    Virtual8086,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 4] = [Mode::Real, Mode::Protected, Mode::Paged, Mode::Virtual8086];
}

/// A machine without a guest, of a model by the seed.
///
/// # Errors
/// The host's.
pub fn machine(seed: u64, engine: Box<dyn cpu::Engine + Send>) -> Result<Machine, MachineError> {
    let model = MODELS[seed as usize % MODELS.len()];
    Machine::new(Config { memory: MEMORY, model, deterministic: true, epoch: 0 }, engine)
}

fn word(random: &mut Random) -> u32 {
    (random.bits() >> 32) as u32
}

fn flat(code: bool, dpl: u16) -> Segment {
    let kind = if code { rights::CODE } else { 0 };
    let rights =
        rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG | kind | dpl << 5;
    let selector = dpl | if code { 8 } else { 16 };
    let mut s = Segment { base: 0, limit: u32::MAX, rights, selector, ..Segment::default() };
    s.refresh();
    s
}

/// Puts the CPU at a random place in a mode. Control registers keep what the mode needs, and are
/// random otherwise.
pub fn start(cpu: &mut State, mode: Mode, random: &mut Random) {
    let retired = cpu.retired;
    *cpu = State::new(cpu.model);
    cpu.retired = retired;
    for r in 0..8 {
        let value = if word(random) & 1 == 0 { word(random) % SIZE } else { word(random) };
        cpu.set_r32(r, value);
    }
    cpu.eip = word(random) % SIZE;
    cpu.activity = Activity::Running;
    let flags = word(random) & 0x27_7fd5 & !(eflags::TF | eflags::VM);
    cpu.set_flags_image(flags | eflags::RESERVED1);
    cpu.gdtr = cpu::DescriptorTable { base: word(random) % SIZE, limit: word(random) as u16 };
    cpu.idtr = cpu::DescriptorTable { base: word(random) % SIZE, limit: word(random) as u16 };
    let fpu_bits = word(random) & (cr0::MP | cr0::EM | cr0::TS | cr0::NE);
    match mode {
        Mode::Real => {
            cpu.eip &= 0xffff;
            for s in cpu.seg.iter_mut().take(6) {
                *s = Segment::real(word(random) as u16 & 0x1fff, 0);
            }
        }
        Mode::Protected | Mode::Paged => {
            let cpl = if word(random) & 1 == 0 { 0 } else { 3 };
            cpu.cr0 = cr0::PE | cr0::ET | fpu_bits;
            cpu.cpl = cpl;
            cpu.seg.iter_mut().take(6).for_each(|s| *s = flat(false, cpl.into()));
            cpu.seg[usize::from(seg::CS)] = flat(true, cpl.into());
        }
        Mode::Virtual8086 => {
            cpu.cr0 = cr0::PE | cr0::ET | fpu_bits;
            cpu.cr4 = word(random) & cr4::VME;
            cpu.eflags |= eflags::VM;
            cpu.cpl = 3;
            cpu.eip &= 0xffff;
            for s in cpu.seg.iter_mut().take(6) {
                *s = Segment::real(word(random) as u16 & 0x1fff, 3);
            }
        }
    }
    if mode == Mode::Paged {
        cpu.cr0 |= cr0::PG | word(random) & (cr0::WP | cr0::AM);
        cpu.cr3 = (word(random) % SIZE) & !0xfff;
        cpu.cr4 = word(random) & (cr4::PSE | cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::TSD);
        cpu.efer = u64::from(word(random) & 1 << 11);
    }
    cpu.seg.iter_mut().for_each(Segment::refresh);
}

/// Random bytes everywhere; with paging, page tables that mostly lead somewhere.
pub fn fill(machine: &mut Machine, mode: Mode, random: &mut Random) {
    let mut bytes: Vec<u8> = (0..SIZE / 8).flat_map(|_| random.bits().to_le_bytes()).collect();
    if mode == Mode::Paged {
        for entry in bytes.chunks_exact_mut(4) {
            if word(random).is_multiple_of(4) {
                let value = (word(random) % SIZE) & !0xfff | word(random) & 0xfe7 | 7;
                entry.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    // below the video window, and above the ROM area
    machine.memory().load(0, &bytes[..0xa_0000]);
    machine.memory().load(0x10_0000, &bytes[0x10_0000..]);
}
