//! `ringer run`, and the embedded guest that runs without it.

use crate::cli::{EngineName, Run};
use crate::engine::best;
use crate::media::Media;
use crate::session::Session;
use crate::{load, report, signals::Signals};
use anyhow::{Context, bail};
use isa::CpuModel;
use machine::{Config, Exit, Image, Machine};
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Instant;

/// The real-time clock of a deterministic run: the year 2000.
pub(crate) const DETERMINISTIC_EPOCH: i64 = 946_684_800;
/// RAM of the embedded guest.
const EMBEDDED_MEMORY: u64 = 16 << 20;

/// Instructions between looks at the user's keys and signals, where the guest sends nothing.
pub(crate) const STEP: u64 = 2_000_000;

/// Boots the embedded guest: what it says, and then what it took. Its time is that of its
/// instructions, so that it says the same every time.
pub(crate) fn embedded() -> anyhow::Result<ExitCode> {
    let config = Config {
        memory: EMBEDDED_MEMORY,
        model: CpuModel::N270,
        deterministic: true,
        epoch: DETERMINISTIC_EPOCH,
    };
    let mut machine = Machine::new(config, best())?;
    machine.boot(&Image::Rom(test_roms::DEFAULT_GUEST.to_vec()))?;
    let (started, mut out) = (Instant::now(), stdout());
    let signals = Signals::catch()?;
    let exit = loop {
        let exit = machine.run(machine.cpu().retired + STEP);
        let mut bytes = Vec::new();
        machine.serial_output(0, &mut bytes);
        out.write_all(&bytes).and_then(|()| out.flush()).context("writing what the guest says")?;
        if let Some(code) = signals.caught() {
            return Ok(code);
        }
        if !matches!(exit, Exit::Slice | Exit::Limit) {
            break exit;
        }
    };
    if exit != Exit::PowerOff {
        bail!("the embedded guest did not power off: {exit:?}");
    }
    let meter = report::text(&mut machine, started.elapsed());
    writeln!(out, "\nThe efficiency meter:\n\n{meter}").context("writing the efficiency meter")?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the machine that the options describe.
pub(crate) fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let media = Media::of(run)?;
    let image = load::image(run, &media)?;
    if image.is_none() && run.load.is_none() {
        eprintln!(
            "ringer: nothing to boot: give an image, --floppy, --disk, --cdrom, --kernel or --rom, or no argument at all for \
             the embedded guest"
        );
        return Ok(ExitCode::from(2));
    }
    if run.kernel.is_none() && media.kernel.is_none() && (run.initrd.is_some() || !run.append.is_empty()) {
        eprintln!("ringer: --initrd and --append go with a kernel");
        return Ok(ExitCode::from(2));
    }
    if run.perf_map && run.engine != EngineName::Jit {
        eprintln!("ringer: --perf-map goes with --engine jit");
        return Ok(ExitCode::from(2));
    }
    Session::new(run, image, &media)?.go()
}
