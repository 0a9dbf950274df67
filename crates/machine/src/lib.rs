//! The machine: a PC of CPU, memory, monitor, engine and board, and the ways to boot it.
#![forbid(unsafe_code)]

mod access;
mod acpi;
pub mod boot;
mod clock;
mod describe;
mod firmware;
mod hash;
mod monitor;
mod network;
#[cfg(test)]
mod network_tests;
mod pc;
mod pc_apic;
mod pc_media;
mod pc_memory;
mod pc_ports;
mod pc_screen;
mod pc_state;
pub mod picture;
pub mod snapshot;
mod typist;

use cpu::{Activity, CpuModel, Engine, State};
use dev::keys::Key;
use dev::vga::{Frame, Text};
use mem::Memory;
use std::time::Duration;
use vmm::{Outcome, Stats, Vmm};

pub use boot::{BootError, Image};
pub use clock::{Clock, Nanos, TSC_HZ};
pub use firmware::{BootDevice, Firmware};
pub use network::{Nic, NicKind};
pub use pc::Pc;
pub use pc_media::Unflushed;
pub use pc_state::PartError;
pub use typist::{Stroke, Typist};

/// What a machine is made of.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of RAM, [`Config::LEAST_MEMORY`] to [`Config::MOST_MEMORY`].
    pub memory: u64,
    /// The chip.
    pub model: CpuModel,
    /// Time from instructions retired instead of the host's clock.
    pub deterministic: bool,
    /// The real-time clock at the start, in seconds since 1970.
    pub epoch: i64,
}

impl Config {
    /// 1 MiB.
    pub const LEAST_MEMORY: u64 = 1 << 20;
    /// 3 GiB: the rest of the 32-bit space is for devices.
    pub const MOST_MEMORY: u64 = 3 << 30;
}

/// Why a machine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The memory size is out of range.
    #[error("memory of {bytes} bytes: a PC here has 1 MiB to 3 GiB")]
    MemorySize {
        /// Bytes asked for.
        bytes: u64,
    },
    /// The host refused.
    #[error(transparent)]
    Memory(#[from] mem::MemoryError),
}

/// Why [`Machine::run`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The instruction limit was reached.
    Limit,
    /// The slice of time is over; there may be output to take.
    Slice,
    /// The guest switched the machine off.
    PowerOff,
    /// The guest asked for a reset.
    Reset,
    /// A triple fault.
    Shutdown,
    /// Halted with interrupts off or nothing that could ever wake it.
    Stuck,
    /// Idle until the time given, or until input comes. Only with the host's clock; with
    /// deterministic time, idle time passes at once.
    Idle(Duration),
}

/// Instructions between looks at the host's clock, at least and at most.
const SLICES: (u64, u64) = (25_000, 400_000);
/// Events that an idle guest may sleep through before the caller gets a look.
const EVENTS_SLEPT_THROUGH: u32 = 10_000;

/// A whole PC.
pub struct Machine {
    cpu: State,
    mem: Memory,
    vmm: Vmm<Pc>,
    engine: Box<dyn Engine + Send>,
    config: Config,
}

impl Machine {
    /// A machine after reset, with nothing loaded.
    ///
    /// # Errors
    /// The memory size, or the host's refusal.
    pub fn new(config: Config, engine: Box<dyn Engine + Send>) -> Result<Machine, MachineError> {
        if !(Config::LEAST_MEMORY..=Config::MOST_MEMORY).contains(&config.memory) {
            return Err(MachineError::MemorySize { bytes: config.memory });
        }
        let mut mem = pc_memory::memory(config.memory)?;
        let pc = Pc::new(
            Clock::new(config.deterministic),
            config.epoch,
            config.memory,
            pc_apic::has_apic(config.model),
        );
        pc.vga.blank_text(&mut pc_memory::Video(&mut mem));
        let mut machine = Machine { cpu: State::new(config.model), mem, vmm: Vmm::new(pc), engine, config };
        machine.cpu.seg.iter_mut().for_each(cpu::Segment::refresh);
        machine.vmm.synchronise(&machine.cpu, &mut machine.mem);
        Ok(machine)
    }

    /// Puts an image into the machine and the CPU at its start.
    ///
    /// # Errors
    /// [`BootError`].
    pub fn boot(&mut self, image: &Image) -> Result<(), BootError> {
        boot::load(image, &mut self.cpu, &mut self.mem, &mut self.vmm.board)?;
        self.cpu.seg.iter_mut().for_each(cpu::Segment::refresh);
        self.vmm.synchronise(&self.cpu, &mut self.mem);
        Ok(())
    }

    /// Runs until something happens that the caller should know of, at the latest when `limit`
    /// instructions have retired in all.
    pub fn run(&mut self, limit: u64) -> Exit {
        let (mut slept, mut retired) = (0, self.cpu.retired);
        self.cpu.about = !self.config.deterministic;
        loop {
            let now = self.vmm.board.clock.look(self.cpu.retired);
            self.vmm.board.advance(&mut self.mem, now);
            self.vmm.memory_written(&mut self.mem);
            if let Some(exit) = self.board_requests() {
                return exit;
            }
            if self.cpu.retired >= limit {
                return Exit::Limit;
            }
            let until = self.until().min(limit);
            let outcome = self.vmm.run(&mut self.cpu, &mut self.mem, self.engine.as_mut(), until);
            match outcome {
                // the chipset answers a shutdown cycle with a reset
                Outcome::Shutdown if self.vmm.board.flash > 0 => {
                    self.cpu.activity = Activity::Running;
                    self.vmm.board.shutdown();
                }
                Outcome::Shutdown => return Exit::Shutdown,
                Outcome::Halted => {
                    if let Some(exit) = self.halted() {
                        return exit;
                    }
                    // timers whose interrupts are masked wake nothing, and may tick for ever
                    let awake = self.cpu.retired != std::mem::replace(&mut retired, self.cpu.retired);
                    slept = if awake { 0 } else { slept + 1 };
                    if slept > EVENTS_SLEPT_THROUGH {
                        return Exit::Slice;
                    }
                    continue;
                }
                Outcome::Budget | Outcome::Attention => {}
            }
            if self.vmm.board.has_output() {
                return Exit::Slice;
            }
        }
    }

    /// The retired count at which to look at the devices again.
    fn until(&mut self) -> u64 {
        let deadline = self.vmm.board.plan();
        let clock = &self.vmm.board.clock;
        match (clock.is_deterministic(), deadline) {
            (true, Some(d)) => clock.instructions_until(d, self.cpu.retired).max(self.cpu.retired + 1),
            (true, None) => self.cpu.retired + 1_000_000,
            (false, d) => {
                // an instruction takes a nanosecond or more: a deadline is approached in steps
                let now = clock.now(self.cpu.retired);
                let left = d.map_or(u64::MAX, |d| d.saturating_sub(now));
                self.cpu.retired + (left / 4).clamp(SLICES.0, SLICES.1)
            }
        }
    }

    /// HLT: on to the next event of a device.
    fn halted(&mut self) -> Option<Exit> {
        let now = self.vmm.board.now(self.cpu.retired);
        let deadline = self.vmm.board.deadline();
        if self.vmm.board.has_output() {
            return Some(Exit::Slice);
        }
        let open = self.cpu.eflags & cpu::eflags::IF != 0 || self.vmm.board.nmi_may_come();
        match deadline {
            Some(d) if open && self.config.deterministic => {
                self.vmm.board.clock.skip_to(d, self.cpu.retired);
                None
            }
            Some(d) if open && d <= now => None,
            Some(d) if open => Some(Exit::Idle(Duration::from_nanos(d - now))),
            None if open => Some(Exit::Idle(Duration::MAX)),
            _ => Some(Exit::Stuck),
        }
    }

    /// What the board wants done with the CPU.
    fn board_requests(&mut self) -> Option<Exit> {
        let requests = self.vmm.board.take_requests();
        if requests.a20_changed && self.config.model >= CpuModel::I286 {
            let lines = if self.config.model == CpuModel::I286 { 0xff_ffff } else { u32::MAX };
            self.cpu.a20_mask = if self.vmm.board.a20() { lines } else { lines & !0x10_0000 };
            self.vmm.synchronise(&self.cpu, &mut self.mem);
        }
        if requests.init {
            let a20 = self.cpu.a20_mask;
            self.reset_cpu();
            self.vmm.board.init_apic();
            self.cpu.a20_mask = a20;
            self.synchronise();
        }
        self.cpu.nmi_pending |= self.vmm.board.lapic.take_nmi();
        if requests.power_off {
            return Some(Exit::PowerOff);
        }
        requests.reset.then_some(Exit::Reset)
    }

    /// What the board's reset line does: CPU and devices start anew. Time goes on, RAM and the
    /// battery-backed CMOS keep what they have, media stay in their drives. A machine without
    /// firmware has to be booted again.
    pub fn reset(&mut self) {
        self.engine.flush();
        self.reset_cpu();
        let board = &mut self.vmm.board;
        board.reset(&mut self.mem);
        self.synchronise();
    }

    /// Zeroes all memory, for a saved one to be put in.
    pub(crate) fn clear_memory(&mut self) {
        if let Ok(mem) = pc_memory::memory(self.config.memory) {
            self.mem = mem;
        }
    }

    fn reset_cpu(&mut self) {
        let retired = self.cpu.retired;
        self.cpu = State::new(self.config.model);
        self.cpu.retired = retired;
        self.cpu.seg.iter_mut().for_each(cpu::Segment::refresh);
    }

    /// Address, bytes and text of the instruction at EIP.
    pub fn describe(&mut self) -> String {
        describe::instruction(&mut self.cpu, &mut self.mem, &mut self.vmm)
    }

    /// Gives bytes to a serial port's receiver; returns how many it took.
    pub fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        let now = self.vmm.board.now(self.cpu.retired);
        let taken = self.vmm.board.serial_input(port, bytes, now);
        if taken > 0 && self.cpu.activity == Activity::Halted {
            self.vmm.board.advance(&mut self.mem, now);
        }
        taken
    }

    /// What a text mode shows; `None` in a graphics mode.
    pub fn text(&mut self) -> Option<Text> {
        self.vmm.board.text(&mut self.mem)
    }

    /// Copies physical memory out, video memory as the CPU would see it; what is no memory reads as ones.
    pub fn read_physical(&mut self, at: u64, out: &mut [u8]) {
        self.mem.read_physical(at, out);
        let now = self.now();
        self.vmm.board.read_video(&mut self.mem, at, out, now);
    }

    /// Presses ACPI's power button.
    pub fn power_button(&mut self) {
        self.vmm.board.power_button();
    }

    /// Presses the NMI button.
    pub fn nmi_button(&mut self) {
        self.vmm.board.nmi_button();
    }

    /// The picture on the screen.
    pub fn frame(&mut self) -> Frame {
        let now = self.now();
        self.vmm.board.frame(&mut self.mem, now)
    }

    /// The picture, if it may be another one than at the last call.
    pub fn new_frame(&mut self) -> Option<Frame> {
        let now = self.now();
        self.vmm.board.new_frame(&mut self.mem, now)
    }

    /// A BIOS starts the machine again after a reset.
    pub fn has_firmware(&self) -> bool {
        self.vmm.board.flash > 0
    }

    /// Records what the PC speaker plays from now on; [`Pc::sound`] takes it.
    pub fn listen(&mut self) {
        let now = self.now();
        self.vmm.board.start_listening(now);
    }

    /// Stops virtual time, or lets it go on, for a machine that is not run for a while.
    pub fn set_running(&mut self, on: bool) {
        self.vmm.board.clock.set_running(on);
    }

    /// The present virtual time.
    pub fn now(&self) -> Nanos {
        self.vmm.board.now(self.cpu.retired)
    }

    /// Presses or releases a key; `false` if the keyboard has no room for it now.
    pub fn key(&mut self, key: Key, down: bool) -> bool {
        let now = self.now();
        self.vmm.board.key(key, down, now)
    }

    /// Moves the mouse by counts to the right and upwards, turns its wheel, and sets its buttons:
    /// bit 0 left, 1 right, 2 middle, 3 and 4 the side buttons.
    pub fn mouse(&mut self, dx: i32, dy: i32, dz: i32, buttons: u8) {
        let now = self.now();
        self.vmm.board.mouse(dx, dy, dz, buttons, now);
    }

    /// Takes what a serial port has sent.
    pub fn serial_output(&mut self, port: usize, out: &mut Vec<u8>) {
        self.vmm.board.serial_output(port, out);
    }

    /// The CPU.
    pub fn cpu(&self) -> &State {
        &self.cpu
    }

    /// The CPU, for tests that set it up.
    pub fn cpu_mut(&mut self) -> &mut State {
        &mut self.cpu
    }

    /// Guest memory.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.mem
    }

    /// The board.
    pub fn board(&mut self) -> &mut Pc {
        &mut self.vmm.board
    }

    /// What the monitor counted.
    pub fn stats(&self) -> Stats {
        self.vmm.stats()
    }

    /// Begins to count sensitive instructions by form, mode and place.
    pub fn start_profile(&mut self) {
        self.vmm.start_profile();
    }

    /// What was counted of them, if it was asked for.
    pub fn profile(&self) -> Option<&vmm::Profile> {
        self.vmm.profile()
    }

    /// What the engine has compiled, if it compiles.
    pub fn meter(&self) -> Option<cpu::Meter> {
        self.engine.meter()
    }

    /// After the CPU or memory was changed from outside.
    pub fn synchronise(&mut self) {
        self.vmm.synchronise(&self.cpu, &mut self.mem);
    }

    /// Drops every shadow and every translation. Changes nothing that the guest can see.
    pub fn drop_shadows(&mut self) {
        self.mem.drop_all();
        self.vmm.synchronise(&self.cpu, &mut self.mem);
    }

    /// The state of every device, by name: what a snapshot holds of them, for comparisons.
    pub fn devices(&self) -> Vec<(&'static str, Vec<u8>)> {
        self.vmm.board.parts().into_iter().map(|p| (p.name, p.bytes)).collect()
    }

    /// A hash of CPU, RAM and devices.
    pub fn state_hash(&self) -> u64 {
        hash::state(&self.cpu, self.mem.hash(), &self.vmm.board)
    }

    /// As [`Machine::state_hash`], of memory only the first `bytes`: RAM, then flash, then video memory. For many machines
    /// that do not live long, where most of the last is as it was.
    pub fn state_hash_of(&self, bytes: u64) -> u64 {
        hash::state(&self.cpu, self.mem.hash_of(bytes), &self.vmm.board)
    }
}
