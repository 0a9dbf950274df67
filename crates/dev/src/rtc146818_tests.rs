use super::*;
use crate::testing::{fuzz, round_trip};

/// Saturday, 29 February 2020, 23:59:58.
const EPOCH: i64 = 1_583_020_798;

fn get(rtc: &mut Rtc, index: u8, now: Nanos) -> u8 {
    rtc.write(0, index, now);
    rtc.read(1, now)
}

fn put(rtc: &mut Rtc, index: u8, value: u8, now: Nanos) {
    rtc.write(0, index, now);
    rtc.write(1, value, now);
}

fn time(rtc: &mut Rtc, now: Nanos) -> [u8; 8] {
    [CENTURY, 9, 8, 7, 4, 2, 0, 6].map(|i| get(rtc, i, now))
}

#[test]
fn calendar_in_bcd_and_binary() {
    let mut rtc = Rtc::new(EPOCH);
    assert_eq!(time(&mut rtc, 0), [0x20, 0x20, 0x02, 0x29, 0x23, 0x59, 0x58, 7]);
    assert_eq!(time(&mut rtc, 2 * SECOND), [0x20, 0x20, 0x03, 0x01, 0, 0, 0, 1]);
    put(&mut rtc, REG_B, B_24H | B_BINARY, 0);
    assert_eq!(time(&mut rtc, SECOND), [20, 20, 2, 29, 23, 59, 59, 7]);
}

#[test]
fn twelve_hour_mode_has_a_pm_bit() {
    let mut rtc = Rtc::new(EPOCH);
    put(&mut rtc, REG_B, 0, 0);
    assert_eq!(get(&mut rtc, 4, 0), 0x91);
    assert_eq!(get(&mut rtc, 4, 2 * SECOND), 0x12, "midnight is 12 AM");
    assert_eq!(get(&mut rtc, 4, (2 + 12 * 3600) * SECOND), 0x92, "noon is 12 PM");
}

// "The UIP bit [...] goes high 244 µs before the update cycle", which takes 1984 µs at 32.768 kHz.
#[test]
fn update_in_progress() {
    let mut rtc = Rtc::new(EPOCH);
    assert_eq!(get(&mut rtc, REG_A, SECOND - UIP_TIME - 1), 0x26);
    assert_eq!(get(&mut rtc, REG_A, SECOND - UIP_TIME), 0xa6);
    assert_eq!(get(&mut rtc, 0, SECOND - 1), 0x58);
    assert_eq!(get(&mut rtc, REG_A, SECOND), 0x26);
    assert_eq!(get(&mut rtc, 0, SECOND), 0x59);
}

#[test]
fn periodic_interrupt_at_1024_hz() {
    let mut rtc = Rtc::new(EPOCH);
    put(&mut rtc, REG_B, B_PIE | B_24H, 0);
    let mut count = 0;
    while let Some(t) = rtc.deadline().filter(|&t| t <= SECOND) {
        rtc.advance(t);
        assert!(rtc.irq());
        assert_eq!(get(&mut rtc, REG_C, t) & 0xc0, 0xc0);
        assert!(!rtc.irq());
        count += 1;
    }
    assert_eq!(count, 1024);
    assert_eq!(get(&mut rtc, REG_C, SECOND), 0, "reading C clears all flags");
}

// The flags are set whether or not their interrupts are enabled.
#[test]
fn flags_without_interrupts() {
    let mut rtc = Rtc::new(EPOCH);
    assert_eq!(get(&mut rtc, REG_C, SECOND), B_PIE | B_UIE);
    assert!(!rtc.irq());
    assert_eq!(rtc.deadline(), None);
}

#[test]
fn update_and_alarm_interrupts() {
    let mut rtc = Rtc::new(EPOCH);
    for (register, value) in [(1, 0x05), (3, 0x00), (5, 0xff)] {
        put(&mut rtc, register, value, 0); // at every hour's fifth second
    }
    put(&mut rtc, REG_B, B_AIE | B_24H, 0);
    assert_eq!(rtc.deadline(), Some(7 * SECOND));
    rtc.advance(7 * SECOND);
    assert_eq!(get(&mut rtc, REG_C, 7 * SECOND) & 0xa0, 0xa0);
    assert_eq!(rtc.deadline(), Some((7 + 3600) * SECOND));
    put(&mut rtc, REG_B, B_UIE | B_24H, 7 * SECOND);
    assert_eq!(rtc.deadline(), Some(8 * SECOND));
    put(&mut rtc, 3, 0x61, 7 * SECOND);
    put(&mut rtc, REG_B, B_AIE | B_24H, 7 * SECOND);
    assert_eq!(rtc.deadline(), None, "a minute 61 never comes");
}

#[test]
fn set_halts_the_clock_and_clears_uie() {
    let mut rtc = Rtc::new(EPOCH);
    put(&mut rtc, REG_B, B_SET | B_UIE | B_24H, 0);
    assert_eq!(get(&mut rtc, REG_B, 0), B_SET | B_24H);
    for (register, value) in [(0, 0x30), (2, 0x15), (4, 0x08), (7, 0x31), (8, 0x12), (9, 0x99), (6, 0x06)] {
        put(&mut rtc, register, value, 0);
    }
    put(&mut rtc, CENTURY, 0x19, 0);
    assert_eq!(get(&mut rtc, 0, 9 * SECOND), 0x30);
    put(&mut rtc, REG_B, B_24H, 10 * SECOND);
    assert_eq!(time(&mut rtc, 11 * SECOND), [0x19, 0x99, 0x12, 0x31, 0x08, 0x15, 0x31, 6]);
}

// "When the divider is changed from reset, the first update cycle is one-half second later."
#[test]
fn divider_reset_starts_half_a_second_before_an_update() {
    let mut rtc = Rtc::new(EPOCH);
    put(&mut rtc, REG_A, 0x70, 0);
    let t = 10 * SECOND + 1234;
    put(&mut rtc, REG_A, 0x26, t);
    assert_eq!(get(&mut rtc, 0, t + SECOND / 2 - 1), 0x58);
    assert_eq!(get(&mut rtc, 0, t + SECOND / 2), 0x59);
}

#[test]
fn memory_size_and_checksum() {
    let mut rtc = Rtc::new(EPOCH);
    rtc.set_memory_size(128 << 20);
    let word = |i| u16::from_le_bytes([rtc.cmos(i), rtc.cmos(i + 1)]);
    assert_eq!((word(0x15), word(0x17), word(0x30), word(0x34)), (640, 65535, 65535, 1792));
    assert_eq!([rtc.cmos(0x2e), rtc.cmos(0x2f)], (0x80u16 + 0x02 + 0xff + 0xff).to_be_bytes());
    rtc.set_memory_size(4 << 20);
    assert_eq!([rtc.cmos(0x17), rtc.cmos(0x18)], 3072u16.to_le_bytes());
}

#[test]
fn index_port_masks_the_nmi() {
    let mut rtc = Rtc::new(EPOCH);
    rtc.write(0, 0x8f, 0);
    rtc.write(1, 0x0a, 0);
    assert!(rtc.nmi_masked());
    assert_eq!(get(&mut rtc, 0x0f, 0), 0x0a);
    assert!(!rtc.nmi_masked());
    assert_eq!(get(&mut rtc, REG_D, 0), 0x80);
}

#[test]
fn state_round_trip() {
    let mut rtc = Rtc::new(EPOCH);
    put(&mut rtc, 0x40, 0x77, 3 * SECOND);
    let state = rtc.save();
    let mut other = Rtc::new(0);
    other.restore(&round_trip(&state)).expect("valid");
    assert_eq!(time(&mut other, 5 * SECOND), time(&mut rtc, 5 * SECOND));
    let RtcState::V1(mut bad) = state;
    bad.cmos.pop();
    assert!(other.restore(&RtcState::V1(bad)).is_err());
}

#[test]
fn random_accesses_never_panic() {
    let mut rtc = Rtc::new(EPOCH);
    fuzz(7, |r, now| {
        let index = if r.below(2) == 0 { r.below(16) as u8 } else { r.byte() };
        match r.below(4) {
            0 => _ = get(&mut rtc, index, now),
            1 => put(&mut rtc, index, r.byte(), now),
            2 => _ = (rtc.irq(), rtc.deadline()),
            _ => rtc.advance(now),
        }
        let RtcState::V1(state) = rtc.save();
        assert_eq!(Rtc::check(&state), Ok(()));
    });
}
