//! The power management registers of the PIIX4 (82371AB data sheet 290562, section 7.2) at PMBA, as ACPI names
//! them, and the APM ports B2h and B3h through which firmware hands over to ACPI.

use crate::state::{StateError, device_state, ensure, frozen};
use crate::time::{Nanos, tick_time, ticks};

/// The power management timer's clock in hertz.
pub const HZ: u32 = 3_579_545;
/// What the FADT gives as ACPI_ENABLE: written to [`APM_CONTROL`], it sets SCI_EN.
pub const ACPI_ENABLE: u8 = 0xf1;
/// What the FADT gives as ACPI_DISABLE.
pub const ACPI_DISABLE: u8 = 0xf0;
/// SLP_TYP of soft off (S5) in the PIIX4; the DSDT's `_S5` has to say the same.
pub const SLP_TYP_S5: u8 = 0;
/// The port of the APM control register.
pub const APM_CONTROL: u16 = 0xb2;

const TMR_STS: u16 = 0x0001;
const GBL_STS: u16 = 0x0020;
const PWRBTN_STS: u16 = 0x0100;
const WAK_STS: u16 = 0x8000;
const PM1_STS_BITS: u16 = 0x8d31;
const PM1_EN_BITS: u16 = 0x0521;
const PM1_CNT_BITS: u16 = 0x1c07;
const SCI_EN: u16 = 0x0001;
const GBL_RLS: u16 = 0x0004;
const SLP_EN: u16 = 0x2000;
const GP_BITS: u16 = 0x0f01;
/// The timer's bits that count up between two changes of its most significant bit.
const HALF: u64 = 1 << 23;

/// The register block.
#[derive(Debug, Default)]
pub struct AcpiPm {
    pm1_sts: u16,
    pm1_en: u16,
    pm1_cnt: u16,
    gp_sts: u16,
    gp_en: u16,
    apm_control: u8,
    apm_status: u8,
    poweroff: bool,
    seen: u64,
}

impl AcpiPm {
    /// After power-on: nothing enabled, SCI_EN clear (legacy mode).
    pub fn new() -> Self {
        Self::default()
    }

    /// The 24-bit timer at `now`.
    pub fn timer(now: Nanos) -> u32 {
        (ticks(now, HZ) & 0xff_ffff) as u32
    }

    /// Sets or clears SCI_EN, as firmware does that hands over in ACPI mode.
    pub fn set_sci_enabled(&mut self, on: bool) {
        self.pm1_cnt = self.pm1_cnt & !SCI_EN | u16::from(on);
    }

    fn sync(&mut self, now: Nanos) {
        let now = now.max(self.seen);
        // "This bit gets set any time bit 23 changes": TMR_STS.
        if ticks(now, HZ) / HALF != ticks(self.seen, HZ) / HALF {
            self.pm1_sts |= TMR_STS;
        }
        self.seen = now;
    }

    /// Reads `size` bytes (1, 2 or 4; else 4) at PMBA + `offset`; the timer is read in one piece.
    pub fn read(&mut self, offset: u16, size: u8, now: Nanos) -> u32 {
        self.sync(now);
        let size = if matches!(size, 1 | 2) { size } else { 4 };
        (0..u16::from(size))
            .fold(0, |value, i| value | u32::from(self.read_byte(offset.wrapping_add(i), now)) << (8 * i))
    }

    fn read_byte(&self, offset: u16, now: Nanos) -> u8 {
        let word = match offset & 0x3e {
            0x00 => self.pm1_sts,
            0x02 => self.pm1_en,
            0x04 => self.pm1_cnt,
            0x08 => Self::timer(now) as u16,
            0x0a => (Self::timer(now) >> 16) as u16,
            0x0c => self.gp_sts,
            0x0e => self.gp_en,
            _ => 0,
        };
        word.to_le_bytes()[usize::from(offset & 1)]
    }

    /// Writes `size` bytes (1, 2 or 4; else 4) at PMBA + `offset`.
    pub fn write(&mut self, offset: u16, size: u8, value: u32, now: Nanos) {
        self.sync(now);
        let size = if matches!(size, 1 | 2) { size } else { 4 };
        let mut i = 0;
        while i < size {
            let at = offset.wrapping_add(u16::from(i));
            let (word, mask, step) = if at & 1 == 0 && size - i >= 2 {
                ((value >> (8 * i)) as u16, 0xffff, 2)
            } else {
                let shift = 8 * (at & 1);
                ((value >> (8 * i) & 0xff) as u16 * (1 << shift), 0xff << shift, 1)
            };
            self.write_word(at & 0x3e, word, mask);
            i += step;
        }
    }

    /// Writes the bits `mask` of a 16-bit register.
    fn write_word(&mut self, offset: u16, value: u16, mask: u16) {
        let merge = |old: u16, bits: u16| (old & !mask | value & mask) & bits;
        match offset {
            0x00 => self.pm1_sts &= !(value & mask),
            0x02 => self.pm1_en = merge(self.pm1_en, PM1_EN_BITS),
            0x04 => self.write_control(merge(self.pm1_cnt, PM1_CNT_BITS | SLP_EN)),
            0x0c => self.gp_sts &= !(value & mask),
            0x0e => self.gp_en = merge(self.gp_en, GP_BITS),
            _ => {}
        }
    }

    /// SLP_EN and GBL_RLS are write-only.
    fn write_control(&mut self, value: u16) {
        self.pm1_cnt = value & PM1_CNT_BITS & !GBL_RLS;
        if value & SLP_EN == 0 {
            return;
        }
        match (value >> 10 & 7) as u8 {
            SLP_TYP_S5 => self.poweroff = true,
            // any other sleep is over at once: a guest waits for this bit (ACPI 6.5, 16.1)
            _ => self.pm1_sts |= WAK_STS,
        }
    }

    /// Reads the APM control (offset 0, port B2h) or status (1, B3h) register.
    pub fn read_apm(&self, offset: u16) -> u8 {
        if offset & 1 == 0 { self.apm_control } else { self.apm_status }
    }

    /// Writes an APM register; [`ACPI_ENABLE`] and [`ACPI_DISABLE`] do what the firmware's SMI handler would.
    pub fn write_apm(&mut self, offset: u16, value: u8) {
        if offset & 1 != 0 {
            self.apm_status = value;
            return;
        }
        self.apm_control = value;
        match value {
            ACPI_ENABLE => self.set_sci_enabled(true),
            ACPI_DISABLE => self.set_sci_enabled(false),
            _ => {}
        }
    }

    /// The user pressed the power button.
    pub fn power_button(&mut self) {
        self.pm1_sts |= PWRBTN_STS;
    }

    /// Sets status bits of general purpose event block 0 (only those that the chip has: 0 and 8-11).
    pub fn raise_gpe(&mut self, bits: u16) {
        self.gp_sts |= bits & GP_BITS;
    }

    /// The level of the system control interrupt (IRQ 9).
    pub fn irq(&self) -> bool {
        let pm1 = self.pm1_sts & self.pm1_en & PM1_EN_BITS != 0;
        self.pm1_cnt & SCI_EN != 0 && (pm1 || self.gp_sts & self.gp_en != 0)
    }

    /// Whether the guest switched itself off since the last call.
    pub fn take_poweroff(&mut self) -> bool {
        std::mem::take(&mut self.poweroff)
    }

    /// When the timer's most significant bit changes next, if that would raise the SCI.
    pub fn deadline(&self) -> Option<Nanos> {
        let waits = self.pm1_en & TMR_STS != 0 && self.pm1_sts & TMR_STS == 0;
        waits.then(|| tick_time((ticks(self.seen, HZ) / HALF + 1) * HALF, HZ))
    }

    /// Brings the timer to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.sync(now);
    }

    fn check(s: &AcpiPmStateV1) -> Result<(), StateError> {
        ensure(s.pm1_sts & !PM1_STS_BITS == 0, "acpi_pm", "pm1_sts")?;
        ensure(s.pm1_en & !PM1_EN_BITS == 0, "acpi_pm", "pm1_en")?;
        ensure(s.pm1_cnt & !PM1_CNT_BITS == 0, "acpi_pm", "pm1_cnt")?;
        ensure((s.gp_sts | s.gp_en) & !GP_BITS == 0, "acpi_pm", "gp_sts, gp_en")
    }
}

frozen! {
    /// The power management registers, version 1.
    AcpiPmStateV1 of AcpiPm {
        pm1_sts: u16, pm1_en: u16, pm1_cnt: u16, gp_sts: u16, gp_en: u16, apm_control: u8, apm_status: u8,
        poweroff: bool, seen: u64,
    }
}
device_state!(AcpiPm, AcpiPmState, AcpiPmStateV1);

const _: () = assert!(PM1_EN_BITS & !PM1_STS_BITS == 0 && GBL_STS & PM1_EN_BITS != 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};
    use crate::time::SECOND;

    #[test]
    fn timer_counts_24_bits_at_3579545_hz() {
        let mut pm = AcpiPm::new();
        assert_eq!(pm.read(8, 4, SECOND), 3_579_545);
        assert_eq!(pm.read(8, 4, 5 * SECOND), (5 * 3_579_545) & 0xff_ffff);
        assert_eq!(pm.read(0x0a, 1, SECOND), 0x36);
    }

    #[test]
    fn timer_carry_raises_the_sci() {
        let mut pm = AcpiPm::new();
        pm.write_apm(0, ACPI_ENABLE);
        pm.write(2, 2, 1, 0);
        let due = pm.deadline().expect("enabled");
        assert_eq!(due, tick_time(1 << 23, HZ));
        pm.advance(due - 1);
        assert!(!pm.irq());
        pm.advance(due);
        assert!(pm.irq());
        assert_eq!(pm.deadline(), None);
        pm.write(0, 2, 1, due);
        assert!(!pm.irq());
        assert_eq!(pm.deadline(), Some(tick_time(2 << 23, HZ)));
    }

    #[test]
    fn power_button_needs_sci_en() {
        let mut pm = AcpiPm::new();
        pm.write(3, 1, 0x01, 0); // PWRBTN_EN by a byte access
        pm.power_button();
        assert!(!pm.irq());
        pm.set_sci_enabled(true);
        assert!(pm.irq());
        assert_eq!(pm.read(0, 4, 0), 0x0100_0100);
        pm.write(1, 1, 0x01, 0);
        assert!(!pm.irq());
    }

    #[test]
    fn sleep_and_poweroff() {
        let mut pm = AcpiPm::new();
        pm.write(4, 2, 0x2000 | 1 << 10, 0);
        assert_eq!((pm.read(0, 2, 0), pm.take_poweroff()), (0x8000, false), "it is awake again");
        pm.write(4, 2, 0x2001, 0);
        assert!(pm.take_poweroff());
        assert!(!pm.take_poweroff());
        assert_eq!(pm.read(4, 2, 0), 1, "SLP_EN reads as 0");
    }

    #[test]
    fn gpe_block() {
        let mut pm = AcpiPm::new();
        pm.set_sci_enabled(true);
        pm.write(0x0e, 2, 0xffff, 0);
        assert_eq!(pm.read(0x0e, 2, 0), u32::from(GP_BITS));
        pm.raise_gpe(0x0002);
        assert!(!pm.irq());
        pm.raise_gpe(0x0100);
        assert!(pm.irq());
        pm.write(0x0c, 4, 0xffff_ffff, 0);
        assert!(!pm.irq());
    }

    #[test]
    fn state_round_trip() {
        let mut pm = AcpiPm::new();
        pm.write(4, 2, 0x2401, 7);
        let state = pm.save();
        let mut other = AcpiPm::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(other.save(), state);
        let AcpiPmState::V1(mut bad) = state;
        bad.pm1_en = 0xffff;
        assert!(other.restore(&AcpiPmState::V1(bad)).is_err());
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut pm = AcpiPm::new();
        fuzz(8, |r, now| {
            let (offset, size) = (r.next() as u16, r.below(6) as u8);
            match r.below(6) {
                0 => _ = pm.read(offset, size, now),
                1 => pm.write(offset & 0x0f, size, r.next() as u32, now),
                2 => pm.write_apm(offset, r.byte()),
                3 => pm.raise_gpe(r.next() as u16),
                4 => pm.power_button(),
                _ => pm.advance(now),
            }
            let _ = (pm.irq(), pm.deadline(), pm.read_apm(offset));
            let AcpiPmState::V1(state) = pm.save();
            assert_eq!(AcpiPm::check(&state), Ok(()));
        });
    }
}
