//! Whatever a snapshot says: it is refused, or the channel goes on from there.

use super::tests::{Rig, rig};
use super::*;
use crate::testing::Random;

/// Something that a field may hold or not: mostly one that is near a bound.
fn number(r: &mut Random) -> u64 {
    match r.below(4) {
        0 => r.below(3),
        1 => [u64::MAX, u32::MAX.into(), 0xffff, 0xfffe, 1 << 31, 8191, 8192, 2048][r.below(8) as usize],
        2 => r.below(0x1_0001),
        _ => r.next(),
    }
}

fn change_channel(c: &mut ChannelStateV1, r: &mut Random) {
    let n = number(r);
    match r.below(16) {
        0 => c.device = n as u8,
        1 => c.target = n as u8,
        2 => c.control = n as u8,
        3 => c.command = n as u8,
        4 | 5 => c.work = r.below(14) as u8,
        6 => c.event = (n & 1 == 0).then_some(n >> 40),
        7 => c.buffer = vec![n as u8; (n & 0x1ffff) as usize],
        8 => c.buffer = vec![0x28; r.below(4) as usize * 512],
        9 => c.at = n as u32,
        10 => c.stop = n as u32,
        11 => c.sector = n,
        12 => c.left = n as u32,
        13 => c.block = n as u32,
        14 => c.packet[(n % 12) as usize] = r.byte(),
        _ => (c.at, c.stop) = (0, c.buffer.len() as u32),
    }
}

fn change_drive(d: &mut DriveStateV1, r: &mut Random) {
    let n = number(r) as u8;
    match r.below(10) {
        0 => d.cdrom = !d.cdrom,
        1 => d.capacity = number(r),
        2 => d.regs.status = n,
        3 => d.heads = n,
        4 => d.track = n,
        5 => d.multiple = n,
        6 => d.mode = n,
        7 => d.regs.count = [n, r.byte()],
        8 => d.sense = [n; 3],
        _ => d.media_event = n,
    }
}

fn change_bus_master(b: &mut BusMasterStateV1, r: &mut Random) {
    let n = number(r);
    match r.below(6) {
        0 => b.command = n as u8,
        1 => b.status = n as u8,
        2 => b.table = n as u32,
        3 => b.next = n as u32,
        4 => b.address = n as u32,
        _ => b.left = n as u32,
    }
}

fn change(s: &mut IdeStateV1, r: &mut Random) {
    let c = &mut s.channels[r.below(2) as usize];
    match r.below(8) {
        0 => change_bus_master(&mut c.bus_master, r),
        1 => c.drives[r.below(2) as usize].iter_mut().for_each(|d| change_drive(d, r)),
        _ => change_channel(c, r),
    }
}

/// Any access, or time.
pub(super) fn access(rig: &mut Rig, r: &mut Random) {
    let (channel, value, offset) = (r.below(2) as usize, r.byte(), r.below(8) as u16);
    match r.below(8) {
        0 => {
            rig.ide.read(channel, offset);
        }
        1 | 2 => rig.ide.write(channel, offset, value, rig.now),
        3 => (0..600).for_each(|_| {
            rig.ide.read_data(channel, 4, rig.now);
        }),
        4 => (0..600).for_each(|_| rig.ide.write_data(channel, 4, r.next() as u32, rig.now)),
        5 => rig.ide.write_bus_master(r.below(16) as u16, value, rig.now),
        6 if r.below(20) == 0 => rig.ide.control(channel, value, rig.now),
        _ => {
            rig.now += r.below(100_000);
            rig.ide.advance(rig.now, Some(&mut rig.mem));
        }
    }
}

/// Likely commands, so that the states to start from are not idle.
fn start_something(rig: &mut Rig, r: &mut Random) {
    const COMMANDS: [u8; 10] = [0x20, 0x30, 0xc4, 0xc5, 0xc8, 0xca, 0x24, 0x35, 0xec, 0xc6];
    let command = COMMANDS[r.below(10) as usize];
    rig.command(r.below(0x2000) as u32, [1, 4, 16, 0][r.below(4) as usize], command);
    let read = [0x28, 0, 0, 0, 0, 5, 0, 0, 9];
    let raw = [0xbe, 0, 0, 0, 0, 5, 0, 0, 60, 0xf8];
    match r.below(5) {
        0 => drop(rig.packet(&raw, r.below(2) == 0, 0xfffe)),
        2 => drop(rig.packet(&[0x55, 0, 0, 0, 0, 0, 0, 0, 20], true, 512)),
        3 => drop(rig.packet(&read, r.below(2) == 0, 0xfffe)),
        1 => drop(rig.packet(&[0x55, 0, 0, 0, 0, 0, 0, 0, 20], false, 512)),
        _ => {}
    }
}

#[test]
fn no_snapshot_breaks_it() {
    let (mut rig, mut accepted) = (rig(), 0);
    let base = rig.ide.save();
    for seed in 0..3000 {
        let mut r = Random(seed * 7919 + 1);
        rig.ide.restore(&base).expect("its own");
        start_something(&mut rig, &mut r);
        let IdeState::V1(mut s) = rig.ide.save();
        (0..=r.below(4)).for_each(|_| change(&mut s, &mut r));
        if rig.ide.restore(&IdeState::V1(s)).is_err() {
            continue;
        }
        accepted += 1;
        for _ in 0..10 {
            (0..10).for_each(|_| access(&mut rig, &mut r));
            let state = rig.ide.save();
            assert_eq!(rig.ide.restore(&state), Ok(()), "what it reaches can be saved");
        }
    }
    assert!(accepted > 300, "{accepted}");
}

/// Each of these made a later access panic, or never end.
#[test]
fn states_that_no_channel_reaches_are_refused() {
    let base = || {
        let IdeState::V1(s) = rig().ide.save();
        s
    };
    let channel = |n: usize, change: fn(&mut ChannelStateV1)| {
        let mut s = base();
        change(&mut s.channels[n]);
        rig().ide.restore(&IdeState::V1(s))
    };
    let refused = [
        channel(0, |c| (c.work, c.event, c.block) = (2, Some(0), 1)),
        channel(0, |c| (c.work, c.event, c.block, c.left) = (3, Some(0), 1, 1)),
        channel(0, |c| (c.work, c.left, c.sector) = (8, 1, u64::MAX)),
        channel(0, |c| (c.work, c.left, c.block) = (2, 1, 0xfffe)),
        channel(1, |c| (c.work, c.event, c.sector, c.left, c.block) = (6, Some(0), u64::MAX / 2, 1, 2)),
        channel(1, |c| (c.work, c.left, c.block) = (6, 1, 0)),
        channel(0, |c| (c.work, c.block) = (6, 2)),
    ];
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    assert_eq!(channel(0, |_| ()), Ok(()));
}
