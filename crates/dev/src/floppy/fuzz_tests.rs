//! Whatever a snapshot says: it is refused, or the controller goes on from there.

use super::tests::{Rig, rig};
use super::*;
use crate::testing::Random;

/// Any access, or time.
pub(super) fn access(rig: &mut Rig, r: &mut Random) {
    let (offset, value) = (u16::from(r.byte() & 7), r.byte());
    match r.byte() & 3 {
        0 => {
            rig.f.read(offset, rig.now);
        }
        1 => rig.f.write(offset, value, rig.now),
        2 => rig.f.write(5, value, rig.now),
        _ => {
            rig.now += u64::from(value) * 1000;
            rig.f.advance(rig.now, &mut rig.dma, &mut rig.mem);
        }
    }
}

/// A transfer under way, by DMA or without.
fn start_something(rig: &mut Rig, r: &mut Random) {
    const COMMANDS: [u8; 11] = [0xe6, 0xc5, 0x4d, 0x46, 0x45, 0x4a, 0x42, 0xd1, 0xd6, 0xcc, 0xc9];
    rig.dma(if r.below(2) == 0 { 0x44 } else { 0x48 }, 0x1000, 2048);
    let specify = [3, 0xaf, 2 | r.below(2) as u8];
    let command = [COMMANDS[r.below(11) as usize], 0, 0, 0, 1, 2, 18, 27, 0xff];
    let length = commands::length(Some(command[0]));
    specify.iter().chain(&command[..length]).for_each(|&b| rig.f.write(5, b, rig.now));
    for _ in 0..r.below(300) {
        access(rig, r);
    }
}

fn change(s: &mut FloppyStateV1, r: &mut Random) {
    let n = [0, 1, 0xff, 0xffff, r.next()][r.below(5) as usize];
    match r.below(18) {
        0 => s.phase = n as u8 % 6,
        1 => s.command = [r.byte()].repeat(r.below(11) as usize),
        2 => s.command.iter_mut().take(1).for_each(|c| *c = n as u8),
        3 => s.results = std::iter::repeat_n(n as u8, r.below(12) as usize).collect(),
        4 => s.buffer = vec![n as u8; [0, 1, 4, 512, 513, 0x1000][r.below(6) as usize]],
        5 => s.at = n as u16,
        6 => s.senses = std::iter::repeat_n(n as u16, r.below(10) as usize).collect(),
        7 => s.seeks[r.below(4) as usize] = Some(n >> 40),
        8 => s.targets[r.below(4) as usize] = n as u8,
        9 => s.event = (n & 1 == 0).then_some(n >> 40),
        10 => s.chrn[r.below(4) as usize] = n as u8,
        11 => s.left = n as u16,
        12 => s.specified[1] = n as u8,
        13 => s.configured[1] = n as u8,
        14 => s.drives[r.below(2) as usize].track = n as u8,
        15 if n & 1 == 0 => s.drives[r.below(2) as usize].format = Some(n as u8 % 16),
        15 => s.flush_at = (n & 1 == 0).then_some(n >> 40),
        16 => s.dor = n as u8,
        _ => s.rate = n as u8,
    }
}

#[test]
fn no_snapshot_breaks_it() {
    let (mut rig, mut accepted) = (rig(), 0);
    let base = rig.f.save();
    for seed in 0..20_000 {
        let mut r = Random(seed * 7919 + 1);
        rig.f.restore(&base).expect("its own");
        start_something(&mut rig, &mut r);
        let FloppyState::V1(mut s) = rig.f.save();
        (0..=r.below(4)).for_each(|_| change(&mut s, &mut r));
        if rig.f.restore(&FloppyState::V1(s)).is_err() {
            continue;
        }
        accepted += 1;
        for _ in 0..40 {
            (0..30).for_each(|_| access(&mut rig, &mut r));
            let state = rig.f.save();
            assert_eq!(rig.f.restore(&state), Ok(()), "what it reaches can be saved: {state:?}");
        }
    }
    assert!(accepted > 2000, "{accepted}");
}

/// The command in execution selects a side that is not there; a buffer that is no sector.
#[test]
fn states_that_no_controller_reaches_are_refused() {
    let FloppyState::V1(base) = rig().f.save();
    let restored = |s: FloppyStateV1| rig().f.restore(&FloppyState::V1(s));
    let write = FloppyStateV1 { phase: 3, buffer: vec![0], command: vec![0x88], ..base.clone() };
    assert!(restored(write.clone()).is_err());
    let command = vec![0xc5, 0, 0, 0, 1, 2, 18, 27, 0xff];
    assert!(restored(FloppyStateV1 { command: command.clone(), ..write.clone() }).is_err());
    assert_eq!(restored(FloppyStateV1 { command, buffer: vec![0; 512], ..write }), Ok(()));
    assert_eq!(restored(base), Ok(()));
}
