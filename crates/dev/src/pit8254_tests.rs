use super::*;
use crate::testing::{fuzz, round_trip};

/// The middle of tick `t`: accesses there are seen at tick `t`.
fn at(t: u64) -> Nanos {
    tick_time(t, HZ) + 100
}

/// A timer whose counter 0 was given a control word and a count (low byte only) at tick 0.
fn programmed(mode: u8, count: u8) -> Pit {
    let mut pit = Pit::new();
    pit.write(3, 0x10 | mode << 1, at(0));
    pit.write(0, count, at(0));
    pit
}

/// OUT0 at the ticks 0.. as a string of 0 and 1.
fn wave(pit: &mut Pit, ticks: std::ops::Range<u64>) -> String {
    ticks.map(|t| if pit.out(0, at(t)) { '1' } else { '0' }).collect()
}

// The waveforms of the data sheet's mode diagrams; the count is loaded at tick 1.
#[test]
fn mode_0_rises_n_plus_1_clocks_after_the_write() {
    assert_eq!(wave(&mut programmed(0, 4), 0..9), "000001111");
}

#[test]
fn mode_2_is_low_for_one_clock_in_n() {
    assert_eq!(wave(&mut programmed(2, 3), 0..11), "11101101101");
}

#[test]
fn mode_3_even_and_odd() {
    assert_eq!(wave(&mut programmed(3, 4), 0..11), "11100110011");
    // Odd: high for (N + 1) / 2 clocks, low for (N - 1) / 2.
    assert_eq!(wave(&mut programmed(3, 5), 0..12), "111100111001");
}

#[test]
fn mode_4_strobes_once() {
    assert_eq!(wave(&mut programmed(4, 3), 0..8), "11110111");
}

fn counter2(mode: u8, count: u8) -> Pit {
    let mut pit = Pit::new();
    pit.write(3, 0x90 | mode << 1, at(0));
    pit.write(2, count, at(0));
    pit
}

fn wave2(pit: &mut Pit, ticks: std::ops::Range<u64>) -> String {
    ticks.map(|t| if pit.out(2, at(t)) { '1' } else { '0' }).collect()
}

#[test]
fn mode_1_is_a_retriggerable_one_shot() {
    let mut pit = counter2(1, 3);
    assert_eq!(wave2(&mut pit, 0..4), "1111");
    pit.set_gate(2, true, at(4));
    assert_eq!(wave2(&mut pit, 4..7), "100");
    pit.set_gate(2, false, at(6));
    pit.set_gate(2, true, at(6));
    assert_eq!(wave2(&mut pit, 7..12), "00011");
}

#[test]
fn mode_5_strobes_after_a_trigger() {
    let mut pit = counter2(5, 3);
    pit.set_gate(2, true, at(2));
    assert_eq!(wave2(&mut pit, 2..9), "1111011");
}

#[test]
fn gate_pauses_mode_0_and_restarts_mode_2() {
    let mut pit = counter2(0, 4);
    pit.set_gate(2, true, at(1));
    assert_eq!(wave2(&mut pit, 1..3), "00");
    pit.set_gate(2, false, at(3)); // two of four counted
    assert_eq!(wave2(&mut pit, 3..50), "0".repeat(47));
    pit.set_gate(2, true, at(50));
    assert_eq!(wave2(&mut pit, 50..54), "0011");

    let mut pit = counter2(2, 3);
    pit.set_gate(2, true, at(10));
    assert_eq!(wave2(&mut pit, 10..18), "11101101");
    pit.set_gate(2, false, at(19));
    assert!(pit.out(2, at(20)), "a low gate forces OUT high");
}

#[test]
fn a_new_count_waits_for_the_end_of_the_cycle() {
    let mut pit = programmed(2, 4);
    assert_eq!(wave(&mut pit, 0..3), "111");
    pit.write(0, 2, at(2)); // cycle ends at tick 5
    assert_eq!(wave(&mut pit, 3..10), "1010101");
    let mut pit = programmed(3, 8); // high 1-4, low 5-8
    pit.advance(at(2));
    pit.write(0, 4, at(2));
    assert_eq!(wave(&mut pit, 2..12), "1110011001");
}

#[test]
fn a_two_byte_count_holds_mode_0_low() {
    let mut pit = Pit::new();
    pit.write(3, 0x30, at(0));
    pit.write(0, 2, at(0));
    pit.write(0, 0, at(0));
    assert_eq!(wave(&mut pit, 0..5), "00011");
    pit.write(0, 3, at(5));
    assert!(!pit.out(0, at(5)), "the first byte sets OUT low at once");
    assert!(!pit.out(0, at(100)), "and disables counting");
    pit.write(0, 0, at(100));
    assert_eq!(wave(&mut pit, 101..106), "00011");
}

#[test]
fn bcd_counts_in_decimal() {
    let mut pit = Pit::new();
    pit.write(3, 0x35, at(0)); // counter 0, both bytes, mode 2, BCD
    pit.write(0, 0x00, at(0));
    pit.write(0, 0x10, at(0)); // 1000
    let read = |pit: &mut Pit, t| u16::from_le_bytes([pit.read(0, at(t)), pit.read(0, at(t))]);
    assert_eq!(read(&mut pit, 1), 0x1000);
    assert_eq!(read(&mut pit, 2), 0x0999);
    assert_eq!(read(&mut pit, 1001), 0x1000);
    pit.write(3, 0x31, at(2000)); // mode 0: the count goes on through 0 to 9999
    pit.write(0, 0x01, at(2000));
    pit.write(0, 0x00, at(2000));
    assert_eq!(read(&mut pit, 2003), 0x9999);
}

#[test]
fn latched_count_stays_until_read() {
    let mut pit = Pit::new();
    pit.write(3, 0x34, at(0));
    pit.write(0, 0x00, at(0));
    pit.write(0, 0x01, at(0));
    pit.write(3, 0x00, at(17)); // loaded at 1: 256 - 16 = 240
    pit.write(3, 0x00, at(30)); // a second latch command is ignored
    assert_eq!([pit.read(0, at(40)), pit.read(0, at(50))], [240, 0]);
    assert_eq!(pit.read(0, at(51)), 206, "then the count itself");
}

// "If both count and status of a counter are latched, the first read operation of that counter will return
// latched status".
#[test]
fn read_back_returns_status_then_count() {
    let mut pit = Pit::new();
    pit.write(3, 0x36, at(0));
    pit.write(0, 0x10, at(0));
    pit.write(0, 0x00, at(0));
    pit.write(3, 0xc2, at(0));
    assert_eq!(pit.read(0, at(0)), 0x80 | 0x40 | 0x36, "OUT high, null count, both bytes, mode 3");
    let _ = (pit.read(0, at(0)), pit.read(0, at(0)));
    pit.write(3, 0xc2, at(10)); // load at 1, low from 9
    assert_eq!(pit.read(0, at(10)), 0x36, "OUT low and the count loaded");
    assert_eq!([pit.read(0, at(11)), pit.read(0, at(11))], [14, 0]);
}

#[test]
fn deadlines_walk_the_edges_without_drift() {
    let mut pit = Pit::new();
    pit.write(3, 0x34, 0);
    pit.write(0, 0xa9, 0); // 1193 = 4a9h, about 1 kHz
    pit.write(0, 0x04, 0);
    let (mut level, mut rises) = (pit.irq(), 0u64);
    while let Some(t) = pit.deadline().filter(|&t| t <= 1_000_000_000) {
        pit.advance(t);
        rises += u64::from(pit.irq() && !level);
        level = pit.irq();
    }
    // Reloads at 1 + k * 1193 ticks, k >= 1, up to tick 1193182.
    assert_eq!(rises, (1_193_182 - 1) / 1193);
    assert_eq!(pit.take_irq0_edges(1_000_000_000), rises);
    assert_eq!(pit.take_irq0_edges(3_600_000_000_000), (3600 * 1_193_182 - 1) / 1193 - rises);
}

#[test]
fn state_round_trip() {
    let mut pit = programmed(3, 9);
    pit.advance(at(12));
    let state = pit.save();
    let mut other = Pit::new();
    other.restore(&round_trip(&state)).expect("valid");
    assert_eq!(wave(&mut other, 12..60), wave(&mut pit, 12..60));
    let PitState::V1(mut bad) = state;
    bad.counters[0].period = 0;
    assert!(other.restore(&PitState::V1(bad)).is_err());
}

#[test]
fn random_accesses_never_panic() {
    let mut pit = Pit::new();
    fuzz(2, |r, now| {
        let (offset, value) = (r.below(5) as u16, r.byte());
        match r.below(8) {
            0 | 1 => _ = pit.read(offset, now),
            2..5 => pit.write(offset, value, now),
            5 => pit.set_gate(r.below(4) as usize, value & 1 != 0, now),
            6 => _ = pit.out(r.below(4) as usize, now),
            _ => pit.advance(now),
        }
        assert!(pit.deadline().is_none_or(|t| t > now || now > 1 << 60));
        let PitState::V1(state) = pit.save();
        assert_eq!(Pit::check(&state), Ok(()));
    });
}
