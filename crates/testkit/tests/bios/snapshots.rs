//! A machine that is saved and loaded goes on exactly like one that is not.

use super::{Outcome, prepared};
use machine::{Exit, Machine, Nic, NicKind};
use testkit::bios::{self, Drive};
use testkit::random::Random;
use xtask::guests::{self, file};

/// Instructions that both machines run on after each point.
const ON: u64 = 10_000_000;

fn run_to(machine: &mut Machine, until: u64) -> Result<(), String> {
    while machine.cpu().retired < until {
        match machine.run(until) {
            Exit::Slice | Exit::Limit => machine.serial_output(0, &mut Vec::new()),
            Exit::Reset => machine.reset(),
            end => return Err(format!("{end:?} at {}", machine.cpu().retired)),
        }
    }
    Ok(())
}

/// How many places: RINGER_SNAPSHOT_POINTS, or a few.
fn points(few: usize) -> usize {
    std::env::var("RINGER_SNAPSHOT_POINTS").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

/// Saves and loads at random places of the first `within` instructions.
fn anywhere(drives: &[Drive], memory: u64, points: usize, within: u64, seed: u64) -> Outcome {
    anywhere_on(bios::machine(drives, memory)?, drives, points, within, seed)
}

fn anywhere_on(mut machine: Machine, drives: &[Drive], points: usize, within: u64, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut places: Vec<u64> = (0..points).map(|_| random.bits() % within).collect();
    places.sort_unstable();
    for at in places {
        let at = at.max(machine.cpu().retired + 1);
        run_to(&mut machine, at)?;
        let saved = machine.save(Vec::new()).map_err(|e| e.to_string())?;
        let twin = Machine::load(&saved[..], testkit::engine()?, |board| drop(bios::insert(board, drives)));
        let mut twin = twin.map_err(|e| format!("at {at}: {e}"))?;
        let again = twin.save(Vec::new()).map_err(|e| e.to_string())?;
        if saved != again {
            return Err(format!("at {at}: saving, loading and saving gives another file").into());
        }
        let on = machine.cpu().retired + ON;
        run_to(&mut machine, on)?;
        run_to(&mut twin, on)?;
        if machine.state_hash() != twin.state_hash() {
            return Err(format!(
                "saved at {at}, other state at {on}: {}",
                differing(&mut machine, &mut twin)
            )
            .into());
        }
    }
    Ok(())
}

/// The names of the sections that differ.
fn differing(a: &mut Machine, b: &mut Machine) -> String {
    let sections = |m: &mut Machine| {
        let bytes = m.save(Vec::new()).unwrap_or_default();
        let mut out = Vec::new();
        if let Ok(mut r) = machine::snapshot::Reader::new(&bytes[..]) {
            while let Ok(Some(s)) = r.next_section() {
                out.push(s);
            }
        }
        out
    };
    let (a, b) = (sections(a), sections(b));
    let names = a.iter().filter(|s| !b.contains(s)).map(|s| s.name.clone());
    names.collect::<Vec<_>>().join(", ")
}

pub(crate) fn freedos() -> Outcome {
    let drives = [Drive::Floppy(guests::freedos().ok_or("the floppy has gone")?)];
    anywhere(&drives, 16 << 20, points(12), 500_000_000, 1)
}

/// With a network card, from before its first command to the answer to iPXE's DHCP request.
pub(crate) fn ipxe() -> Outcome {
    let drives = [Drive::Cdrom(prepared(file::IPXE))];
    let mut machine = bios::machine(&drives, 64 << 20)?;
    machine.board().attach_nic(Nic { kind: NicKind::Pci, mac: Nic::MAC });
    anywhere_on(machine, &drives, points(6), 900_000_000, 3)
}

pub(crate) fn debian() -> Outcome {
    anywhere(&[Drive::Disk(prepared(file::DISK))], 128 << 20, points(6), 2_000_000_000, 2)
}

pub(crate) fn damaged() -> Outcome {
    let drives = [Drive::Floppy(guests::freedos().ok_or("the floppy has gone")?)];
    let mut machine = bios::machine(&drives, 16 << 20)?;
    run_to(&mut machine, 300_000_000)?;
    let saved = machine.save(Vec::new()).map_err(|e| e.to_string())?;
    let before = machine.state_hash();
    for n in [0, 15, 40, 1000, saved.len() / 2, saved.len() - 1] {
        let mut bad = saved.clone();
        bad[n] ^= 0x10;
        let cut = machine.load_in_place(&saved[..n], testkit::engine()?);
        let flipped = machine.load_in_place(&bad[..], testkit::engine()?);
        if cut.is_ok() || flipped.is_ok() || machine.state_hash() != before {
            return Err(format!("damage at {n} of {} goes unseen", saved.len()).into());
        }
    }
    run_to(&mut machine, 310_000_000)?;
    let later = machine.state_hash();
    machine.load_in_place(&saved[..], testkit::engine()?).map_err(|e| e.to_string())?;
    run_to(&mut machine, 310_000_000)?;
    if machine.state_hash() == later { Ok(()) } else { Err("it goes on differently".into()) }
}
