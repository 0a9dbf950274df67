//! Motorola MC146818A real-time clock (data sheet ADI-1011) with the PC's 128 bytes of CMOS RAM.
//!
//! The time registers are computed from virtual time; while SET halts the clock they are plain memory.

use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::{Nanos, SECOND, earlier, tick_time, ticks};

/// The time base in hertz.
pub const HZ: u32 = 32_768;
/// UIP rises 244 µs before the update cycle, which takes 1984 µs; the new time is there at its end.
pub const UIP_TIME: Nanos = 2_228_000;
/// The PC's century byte.
pub const CENTURY: u8 = 0x32;

const REG_A: u8 = 10;
const REG_B: u8 = 11;
const REG_C: u8 = 12;
const REG_D: u8 = 13;
const B_SET: u8 = 0x80;
const B_PIE: u8 = 0x40;
const B_AIE: u8 = 0x20;
/// Square wave enable.
const B_SQWE: u8 = 0x08;
const B_UIE: u8 = 0x10;
const B_BINARY: u8 = 0x04;
const B_24H: u8 = 0x02;
const DAY: i64 = 86_400;
/// The seconds that the calendar can show: years 0 to 9999.
const SECONDS: std::ops::Range<i64> = -62_167_219_200..253_402_300_800;

/// A moment in the civil calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
}

/// Days since 1 January 1970 of a date in the Gregorian calendar; months and days may lie outside.
fn days(c: Civil) -> i64 {
    // Years that begin in March put the leap day last.
    let months = c.year * 12 + c.month - 3;
    let (y, m) = (months.div_euclid(12), months.rem_euclid(12));
    let day_of_year = (153 * m + 2) / 5 + c.day - 1;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468
}

fn civil(days: i64) -> Civil {
    let z = days + 719_468;
    let (era, in_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let y = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * y + y / 4 - y / 100);
    let m = (5 * in_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    Civil { year: era * 400 + y + i64::from(month <= 2), month, day: in_year - (153 * m + 2) / 5 + 1 }
}

/// The clock and its memory, behind ports 70h and 71h.
#[derive(Debug)]
pub struct Rtc {
    cmos: Vec<u8>,
    index: u8,
    nmi_masked: bool,
    /// Seconds since 1970 on the guest's clock at virtual time `base`.
    base_seconds: i64,
    /// In nanoseconds of virtual time; negative when the clock's phase says so.
    base: i64,
    /// What the guest added to the day of the week.
    weekday_shift: u8,
    flags: u8,
    seen: u64,
}

fn signed(now: Nanos) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX)
}

impl Rtc {
    /// A clock that shows `epoch` seconds since 1 January 1970 (already in the guest's time zone) at virtual time 0;
    /// 24 hours, BCD, no interrupts.
    pub fn new(epoch: i64) -> Self {
        let mut cmos = vec![0; 128];
        cmos[usize::from(REG_A)] = 0x26;
        cmos[usize::from(REG_B)] = B_24H;
        cmos[usize::from(REG_D)] = 0x80;
        Rtc {
            cmos,
            index: 0,
            nmi_masked: false,
            base_seconds: epoch.clamp(SECONDS.start, SECONDS.end - 1),
            base: 0,
            weekday_shift: 0,
            flags: 0,
            seen: 0,
        }
    }

    fn reg(&self, index: u8) -> u8 {
        self.cmos[usize::from(index & 0x7f)]
    }

    fn set(&mut self, index: u8, value: u8) {
        self.cmos[usize::from(index & 0x7f)] = value;
    }

    fn divider_runs(&self) -> bool {
        self.reg(REG_A) >> 4 & 7 < 3
    }

    fn counting(&self) -> bool {
        self.reg(REG_B) & B_SET == 0 && self.divider_runs()
    }

    /// The guest's clock in seconds since 1970, kept within the calendar.
    fn seconds(&self, now: Nanos) -> i64 {
        let passed = signed(now).saturating_sub(self.base).div_euclid(SECOND as i64);
        let span = SECONDS.end - SECONDS.start;
        SECONDS.start + (self.base_seconds.saturating_add(passed) - SECONDS.start).rem_euclid(span)
    }

    /// When the seconds counted since the base reach `n`.
    fn second_time(&self, n: i64) -> Nanos {
        let t = n.saturating_mul(SECOND as i64).saturating_add(self.base);
        u64::try_from(t).unwrap_or(0)
    }

    fn passed(&self, now: Nanos) -> i64 {
        signed(now).saturating_sub(self.base).div_euclid(SECOND as i64)
    }

    fn encode(&self, value: i64) -> u8 {
        let v = (value & 0x7f) as u8;
        if self.reg(REG_B) & B_BINARY != 0 { v } else { ((v / 10) << 4) | (v % 10) }
    }

    fn decode(&self, value: u8) -> i64 {
        let v = i64::from(value);
        if self.reg(REG_B) & B_BINARY != 0 { v } else { (v >> 4) * 10 + (v & 15) }
    }

    fn encode_hour(&self, hour: i64) -> u8 {
        if self.reg(REG_B) & B_24H != 0 {
            return self.encode(hour);
        }
        let pm = u8::from(hour >= 12) << 7;
        self.encode((hour + 11) % 12 + 1) | pm
    }

    fn decode_hour(&self, value: u8) -> i64 {
        if self.reg(REG_B) & B_24H != 0 {
            return self.decode(value);
        }
        self.decode(value & 0x7f) % 12 + if value & 0x80 != 0 { 12 } else { 0 }
    }

    /// Stores the time of `now` in the time registers.
    fn show(&mut self, now: Nanos) {
        let seconds = self.seconds(now);
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let c = civil(day);
        let weekday = (day + 4 + i64::from(self.weekday_shift)).rem_euclid(7) + 1;
        self.set(0, self.encode(second % 60));
        self.set(2, self.encode(second / 60 % 60));
        self.set(4, self.encode_hour(second / 3600));
        self.set(6, self.encode(weekday));
        self.set(7, self.encode(c.day));
        self.set(8, self.encode(c.month));
        self.set(9, self.encode(c.year % 100));
        self.set(CENTURY, self.encode(c.year / 100));
    }

    /// Makes the time registers the clock's time; keeps the phase within the second.
    fn take_over(&mut self, now: Nanos) {
        let field = |i| self.decode(self.reg(i));
        let year = field(CENTURY) * 100 + field(9);
        let day = days(Civil { year, month: field(8), day: field(7) });
        let hour = self.decode_hour(self.reg(4));
        let seconds = day * DAY + hour * 3600 + field(2) * 60 + field(0);
        let weekday = field(6) - 1;
        self.weekday_shift = (weekday - day - 4).rem_euclid(7) as u8;
        let phase = signed(now).saturating_sub(self.base).rem_euclid(SECOND as i64);
        self.base = signed(now).saturating_sub(phase);
        self.base_seconds = seconds.clamp(SECONDS.start, SECONDS.end - 1);
    }

    fn is_time(index: u8) -> bool {
        matches!(index, 0 | 2 | 4 | 6..=9 | CENTURY)
    }

    /// Whether an update is in progress: the time registers are about to change.
    fn uip(&self, now: Nanos) -> bool {
        let phase = signed(now).saturating_sub(self.base).rem_euclid(SECOND as i64);
        self.counting() && phase >= (SECOND - UIP_TIME) as i64
    }

    /// The periodic interrupt's period in ticks of the time base (data sheet, table 5).
    fn period(&self) -> Option<u64> {
        match self.reg(REG_A) & 15 {
            _ if !self.divider_runs() => None,
            0 => None,
            rate @ 1..=2 => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    fn alarm_matches(&self, register: u8, decoded: i64, value: i64) -> bool {
        self.reg(register) >= 0xc0 || decoded == value
    }

    /// The seconds from `after` (exclusive) to the next moment at which the alarm matches, at most a day.
    fn next_alarm(&self, after: i64) -> Option<i64> {
        let (s, m) = (self.decode(self.reg(1)), self.decode(self.reg(3)));
        let h = self.decode_hour(self.reg(5));
        let from = (after + 1).rem_euclid(DAY);
        let second = (0..60).any(|i| self.alarm_matches(1, s, i));
        if !second || !(0..60).any(|i| self.alarm_matches(3, m, i)) {
            return None;
        }
        for hour in 0..25 {
            let hour = from / 3600 * 3600 + hour * 3600;
            if !self.alarm_matches(5, h, hour / 3600 % 24) {
                continue;
            }
            let minutes = (0..60).filter(|&i| self.alarm_matches(3, m, i));
            let found = minutes.flat_map(|minute| (0..60).map(move |sec| (minute, sec)));
            let found = found.filter(|&(_, sec)| self.alarm_matches(1, s, sec));
            let mut times = found.map(|(minute, sec)| hour + minute * 60 + sec);
            if let Some(time) = times.find(|&time| time >= from) {
                return Some(time - from + 1);
            }
        }
        None
    }

    fn sync(&mut self, now: Nanos) {
        let (from, now) = (self.seen, now.max(self.seen));
        self.seen = now;
        if let Some(period) = self.period()
            && ticks(now, HZ) / period != ticks(from, HZ) / period
        {
            self.flags |= B_PIE;
        }
        let updates = self.passed(now).saturating_sub(self.passed(from));
        if self.counting() && updates > 0 {
            self.flags |= B_UIE;
            let alarm = self.next_alarm(self.seconds(from));
            if alarm.is_some_and(|ahead| ahead <= updates) {
                self.flags |= B_AIE;
            }
        }
    }

    /// RESET: interrupts off and not requested; time and CMOS RAM stay (MC146818 data sheet, RESET).
    pub fn reset(&mut self) {
        let b = self.reg(REG_B);
        self.set(REG_B, b & !(B_PIE | B_AIE | B_UIE | B_SQWE));
        self.flags = 0;
        (self.index, self.nmi_masked) = (0, false);
    }

    /// The IRQ output (IRQ 8), active high.
    pub fn irq(&self) -> bool {
        self.flags & self.reg(REG_B) & (B_PIE | B_AIE | B_UIE) != 0
    }

    /// Whether bit 7 of port 70h masks the NMI.
    pub fn nmi_masked(&self) -> bool {
        self.nmi_masked
    }

    /// When the next enabled interrupt comes due; none while one is already requested.
    pub fn deadline(&self) -> Option<Nanos> {
        if self.irq() {
            return None;
        }
        let enabled = self.reg(REG_B);
        let period = self.period().filter(|_| enabled & B_PIE != 0);
        let periodic = period.map(|p| tick_time((ticks(self.seen, HZ) / p + 1) * p, HZ));
        if !self.counting() {
            return periodic;
        }
        let passed = self.passed(self.seen);
        let update = (enabled & B_UIE != 0).then(|| self.second_time(passed.saturating_add(1)));
        let alarm = if enabled & B_AIE != 0 { self.next_alarm(self.seconds(self.seen)) } else { None };
        let alarm = alarm.map(|ahead| self.second_time(passed.saturating_add(ahead)));
        earlier(periodic, earlier(update, alarm))
    }

    /// Brings the clock to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.sync(now);
    }

    /// Reads port 70h + `offset`. The index port cannot be read and gives FFh.
    pub fn read(&mut self, offset: u16, now: Nanos) -> u8 {
        self.sync(now);
        if offset & 1 == 0 {
            return 0xff;
        }
        match self.index {
            REG_A => self.reg(REG_A) | u8::from(self.uip(now)) << 7,
            REG_C => self.read_c(),
            index => {
                if Self::is_time(index) && self.counting() {
                    self.show(now);
                }
                self.reg(index)
            }
        }
    }

    /// Reading register C clears all flags.
    fn read_c(&mut self) -> u8 {
        let irqf = u8::from(self.irq()) << 7;
        std::mem::take(&mut self.flags) | irqf
    }

    /// Writes port 70h (index, bit 7 masks the NMI) or 71h (data).
    pub fn write(&mut self, offset: u16, value: u8, now: Nanos) {
        self.sync(now);
        if offset & 1 == 0 {
            self.index = value & 0x7f;
            self.nmi_masked = value & 0x80 != 0;
            return;
        }
        match self.index {
            REG_A => self.write_a(value & 0x7f, now),
            REG_B => self.write_b(value, now),
            REG_C | REG_D => {}
            index if Self::is_time(index) && self.counting() => {
                self.show(now);
                self.set(index, value);
                self.take_over(now);
            }
            index => self.set(index, value),
        }
    }

    fn write_a(&mut self, value: u8, now: Nanos) {
        let was_counting = self.counting();
        let ran = self.divider_runs();
        if was_counting {
            self.show(now);
        }
        self.set(REG_A, value);
        if !ran && self.divider_runs() {
            // "the first update cycle begins one-half second later"
            self.base = signed(now).saturating_sub(SECOND as i64 / 2);
        }
        if !was_counting && self.counting() {
            self.take_over(now);
        }
    }

    fn write_b(&mut self, value: u8, now: Nanos) {
        let was_counting = self.counting();
        if was_counting {
            self.show(now);
        }
        // "The UIE bit is cleared [...] when the SET bit goes high."
        let uie = if value & B_SET != 0 { B_UIE } else { 0 };
        self.set(REG_B, value & !uie);
        if !was_counting && self.counting() {
            self.take_over(now);
        }
    }

    /// A byte of CMOS RAM as stored, for firmware set-up and tests.
    pub fn cmos(&self, index: u8) -> u8 {
        self.reg(index)
    }

    /// Sets a byte of CMOS RAM from the host's side. The clock's own registers (0-0Dh, 32h) are left alone.
    pub fn set_cmos(&mut self, index: u8, value: u8) {
        let index = index & 0x7f;
        if index > REG_D && index != CENTURY {
            self.set(index, value);
        }
    }

    /// Sets the standard memory size bytes for `bytes` of RAM: base memory at 15h in KiB, memory above 1 MiB at 17h
    /// and 30h in KiB (at most 65535), above 16 MiB at 34h and above 4 GiB at 5Bh in 64 KiB; and the checksum.
    pub fn set_memory_size(&mut self, bytes: u64) {
        const MIB: u64 = 1 << 20;
        // The board's memory hole below 4 GiB begins at 3 GiB.
        let low = bytes.min(3 << 30);
        let word = |n: u64| u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes();
        let extended = word(low.saturating_sub(MIB) >> 10);
        for (at, value) in [
            (0x15, word((low >> 10).min(640))),
            (0x17, extended),
            (0x30, extended),
            (0x34, word(low.saturating_sub(16 * MIB) >> 16)),
        ] {
            self.set(at, value[0]);
            self.set(at + 1, value[1]);
        }
        let high = (bytes - low) >> 16;
        (0..3).for_each(|i| self.set(0x5b + i, (high >> (8 * i) & 0xff) as u8));
        self.update_checksum();
    }

    /// Stores the checksum of the bytes 10h to 2Dh at 2Eh (high) and 2Fh (low).
    pub fn update_checksum(&mut self) {
        let sum = self.cmos[0x10..=0x2d].iter().fold(0u16, |sum, &b| sum.wrapping_add(b.into()));
        let [high, low] = sum.to_be_bytes();
        self.set(0x2e, high);
        self.set(0x2f, low);
    }

    fn check(s: &RtcStateV1) -> Result<(), StateError> {
        ensure(s.cmos.len() == 128, "rtc146818", "cmos")?;
        ensure(s.index < 128, "rtc146818", "index")?;
        ensure(SECONDS.contains(&s.base_seconds), "rtc146818", "base_seconds")?;
        ensure(s.base >= -(SECOND as i64), "rtc146818", "base")?;
        ensure(s.weekday_shift < 7, "rtc146818", "weekday_shift")?;
        ensure(s.flags & !0x70 == 0, "rtc146818", "flags")
    }
}

frozen! {
    /// The clock, version 1.
    RtcStateV1 of Rtc {
        cmos: Vec<u8>, index: u8, nmi_masked: bool, base_seconds: i64, base: i64, weekday_shift: u8, flags: u8,
        seen: u64,
    }
}
device_state!(Rtc, RtcState, RtcStateV1);

#[cfg(test)]
#[path = "rtc146818_tests.rs"]
mod tests;
