use super::*;
use crate::testing::{fuzz, round_trip};

const TPR: u16 = 0x80;
const PPR: u16 = 0xa0;
const EOI: u16 = 0xb0;
const LDR: u16 = 0xd0;
const DFR: u16 = 0xe0;
const SVR: u16 = 0xf0;
const ESR: u16 = 0x280;
const ICR: u16 = 0x300;
const ICR_HIGH: u16 = 0x310;
const LVT: u16 = 0x320;
const LVT_LINT0: u16 = 0x350;
const LVT_LINT1: u16 = 0x360;
const LVT_ERROR: u16 = 0x370;
const INITIAL: u16 = 0x380;
const CURRENT: u16 = 0x390;
const DIVIDE: u16 = 0x3e0;
/// To itself.
const SELF: u32 = 1 << 18;

/// One that is software-enabled, with the spurious vector FFh.
fn apic() -> Lapic {
    let mut a = Lapic::new(true);
    a.write(SVR, 0x1ff, 0);
    a
}

fn message(vector: u8) -> Message {
    Message { vector, mode: delivery::FIXED, level: false, logical: false, destination: 0 }
}

/// Whether a vector is set in the eight registers from an offset on.
fn set_in(a: &mut Lapic, offset: u16, vector: u8) -> bool {
    let register = offset + u16::from(vector >> 5) * 0x10;
    a.read(register, 0) >> (vector & 31) & 1 != 0
}

fn isr(a: &mut Lapic, vector: u8) -> bool {
    set_in(a, 0x100, vector)
}
fn tmr(a: &mut Lapic, vector: u8) -> bool {
    set_in(a, 0x180, vector)
}
fn irr(a: &mut Lapic, vector: u8) -> bool {
    set_in(a, 0x200, vector)
}

/// 10.4.7.1, "Local APIC State After Power-Up or Reset".
#[test]
fn registers_after_reset() {
    let mut a = Lapic::new(true);
    let expected = [
        (0x20, 0),
        (0x30, 0x0005_0014),
        (TPR, 0),
        (PPR, 0),
        (LDR, 0),
        (DFR, 0xffff_ffff),
        (SVR, 0xff),
        (ESR, 0),
        (ICR, 0),
        (ICR_HIGH, 0),
        (INITIAL, 0),
        (CURRENT, 0),
        (DIVIDE, 0),
    ];
    for (offset, value) in expected {
        assert_eq!(a.read(offset, 0), value, "{offset:x}");
    }
    (0..6).for_each(|n| assert_eq!(a.read(LVT + n * 0x10, 0), 0x1_0000));
    assert_eq!(a.base(), 0xfee0_0900);
    assert_eq!(a.page(), Some(0xfee0_0000));
}

/// 10.8.3.1: classes are vectors divided by 16; what is delivered is above both the task's priority and
/// all that is in service.
#[test]
fn priorities() {
    let mut a = apic();
    assert_eq!([0x31, 0x52, 0x45].map(|v| a.receive(message(v))), [true; 3]);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x52));
    assert!(isr(&mut a, 0x52) && !irr(&mut a, 0x52) && irr(&mut a, 0x45));
    assert_eq!(a.read(PPR, 0), 0x50);
    assert!(!a.intr());
    a.receive(message(0x5f));
    assert!(!a.intr(), "of the same class");
    a.receive(message(0x60));
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x60));
    a.write(EOI, 0, 0);
    assert!(!isr(&mut a, 0x60) && isr(&mut a, 0x52));
    a.write(EOI, 0, 0);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x5f));
    a.write(EOI, 0, 0);
    a.write(TPR, 0x45, 0);
    assert_eq!(a.read(PPR, 0), 0x45, "all of TPR where that is the higher one");
    assert!(!a.intr(), "TPR holds class 4 off, whatever its low bits");
    a.write(TPR, 0x3f, 0);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x45));
}

/// 10.9: a request that is gone at the acknowledge gives the spurious vector, and nothing is in service.
#[test]
fn spurious() {
    let mut a = apic();
    a.write(SVR, 0x1ef, 0);
    a.receive(message(0x31));
    a.write(TPR, 0x30, 0);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0xef));
    assert!(!isr(&mut a, 0xef) && irr(&mut a, 0x31));
}

/// 10.5.4: the divisors, one-shot and periodic counting.
#[test]
fn timer() {
    // at 100 MHz a tick takes 10 ns
    for (divide, by) in [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (0xa, 128), (0xb, 1)] {
        let mut a = apic();
        a.write(DIVIDE, divide, 0);
        a.write(LVT, 0x40, 0);
        a.write(INITIAL, 1000, 500);
        assert_eq!(a.deadline(), Some(500 + 10_000 * by));
        assert_eq!(a.read(CURRENT, 500 + 4_000 * by), 600);
        a.advance(499 + 10_000 * by);
        assert!(!a.intr());
        a.advance(500 + 10_000 * by);
        assert_eq!(a.acknowledge(), Interrupt::Vector(0x40));
        assert_eq!((a.read(CURRENT, u64::MAX), a.deadline(), a.intr()), (0, None, false));
    }
    let mut a = apic();
    a.write(DIVIDE, 0xb, 0);
    a.write(LVT, 0x2_0040, 0);
    a.write(INITIAL, 100, 0);
    for n in 1..5u64 {
        assert_eq!(a.deadline(), Some(n * 1000));
        a.advance(n * 1000);
        assert_eq!(a.acknowledge(), Interrupt::Vector(0x40));
        a.write(EOI, 0, n * 1000);
    }
    // two and a half periods late: one interrupt, and the phase is kept
    assert_eq!(a.read(CURRENT, 7_500), 50);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x40));
    assert_eq!(a.deadline(), Some(8_000));
    a.write(LVT, 0x3_0040, 7_500);
    assert_eq!(a.deadline(), None, "masked, it wakes nobody");
    a.write(LVT, 0x2_0040, 20_300);
    assert_eq!(a.read(CURRENT, 20_300), 70, "and counts all the same");
    a.write(INITIAL, 0, 20_300);
    assert_eq!((a.deadline(), a.read(CURRENT, 30_000)), (None, 0));
}

#[test]
fn a_new_divisor_applies_to_what_is_left() {
    let mut a = apic();
    a.write(DIVIDE, 0xb, 0);
    a.write(LVT, 0x40, 0);
    a.write(INITIAL, 100, 0);
    a.write(DIVIDE, 1, 600);
    assert_eq!(a.read(CURRENT, 600), 40);
    assert_eq!(a.deadline(), Some(600 + 40 * 40));
}

/// 10.5.3 and 10.5.2: vectors 0 to 15 are errors, and the error interrupt comes once until ESR is written.
#[test]
fn errors() {
    let mut a = apic();
    a.write(LVT_ERROR, 0xfe, 0);
    a.write(ICR, SELF | 0x0f, 0);
    assert_eq!(a.read(ESR, 0), 0, "it shows at a write");
    assert_eq!(a.acknowledge(), Interrupt::Vector(0xfe));
    a.write(EOI, 0, 0);
    a.receive(message(3));
    a.read(0x3f0, 0);
    assert!(!a.intr(), "not armed");
    a.write(ESR, 0, 0);
    assert_eq!(a.read(ESR, 0), 0xe0);
    a.write(0x40, 0, 0);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0xfe));
    a.write(ESR, 0, 0);
    assert_eq!(a.read(ESR, 0), 0x80);
    a.write(ESR, 0, 0);
    assert_eq!(a.read(ESR, 0), 0);
    // an error interrupt with an illegal vector is an error
    a.write(LVT_ERROR, 0x0e, 0);
    a.write(ICR, SELF, 0);
    a.write(ESR, 0, 0);
    assert_eq!(a.read(ESR, 0), 0x60);
}

/// 10.6.1: destinations and shorthands.
#[test]
fn interprocessor_interrupts() {
    let mut a = apic();
    a.write(0x20, 0x0500_0000, 0);
    a.write(LDR, 0x0200_0000, 0);
    let mut reaches = |high: u32, low: u32| {
        a.write(ICR_HIGH, high << 24, 0);
        a.write(ICR, low | 0x70, 0);
        assert_eq!(a.read(ICR, 0), low | 0x70, "delivery status is idle");
        let reached = irr(&mut a, 0x70);
        put(&mut a.irr, 0x70, false);
        reached
    };
    const LOGICAL: u32 = 0x800;
    assert!(reaches(5, 0) && !reaches(4, 0) && reaches(0xff, 0));
    assert!(reaches(3, LOGICAL) && !reaches(5, LOGICAL) && reaches(2, LOGICAL | 0x100));
    assert!(reaches(0, SELF) && reaches(0, 2 << 18) && !reaches(0, 3 << 18));
    a.write(DFR, 0, 0);
    a.write(LDR, 0x2200_0000, 0);
    let cluster = |d: u8| a.addressed(true, d);
    assert!(cluster(0x22) && cluster(0x23) && cluster(0xf2) && !cluster(0x32) && !cluster(0x21));
    a.write(ICR, 2 << 18 | 0x400, 0);
    assert!(a.nmi() && a.take_nmi() && !a.take_nmi());
    // INIT and start-up
    for low in [SELF | 0x500, SELF | 0x600 | 0x99] {
        a.write(ICR, low, 0);
        assert!(!a.intr() && !a.nmi());
    }
}

/// MP specification 3.6.2.2, virtual wire mode: the 8259A's request passes through.
#[test]
fn lint0_passes_the_8259() {
    let mut a = Lapic::new(true);
    a.set_pin(0, true);
    assert!(!a.intr(), "masked after reset");
    a.virtual_wire();
    assert!(a.intr());
    assert_eq!(a.acknowledge(), Interrupt::External);
    a.write(TPR, 0xf0, 0);
    assert!(a.intr(), "priorities are of vectors of the APIC's own");
    a.set_pin(0, false);
    assert!(!a.intr());
    a.set_pin(0, true);
    a.write(LVT_LINT0, 0x1_0700, 0);
    assert!(!a.intr());
    a.write(LVT_LINT0, 0x0_0700, 0);
    assert!(a.intr());
    a.write(SVR, 0xff, 0);
    assert!(!a.intr(), "10.4.7.2: disabled, all vectors are masked");
    a.write(LVT_LINT0, 0x700, 0);
    assert_eq!(a.read(LVT_LINT0, 0), 0x1_0700, "and stay so");
}

/// 10.5.1: trigger mode, polarity and remote IRR of LINT0.
#[test]
fn lint0_with_a_vector() {
    let mut a = apic();
    a.write(LVT_LINT0, 0x51, 0);
    a.set_pin(0, true);
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x51));
    a.write(EOI, 0, 0);
    assert!(!a.intr(), "an edge interrupts once");
    a.write(LVT_LINT0, 0x8051, 0);
    assert_eq!(a.read(LVT_LINT0, 0), 0xc051, "accepted: remote IRR");
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x51));
    assert!(tmr(&mut a, 0x51));
    a.write(EOI, 0, 0);
    assert_eq!(a.take_eoi(), Some(0x51));
    assert!(a.intr(), "the level is still there");
    a.acknowledge();
    a.set_pin(0, false);
    a.write(EOI, 0, 0);
    assert!(!a.intr());
    assert_eq!(a.read(LVT_LINT0, 0), 0x8051);
    a.write(LVT_LINT0, 0xa051, 0);
    assert!(a.intr(), "active low");
}

#[test]
fn nmi_by_lint1() {
    let mut a = Lapic::new(true);
    a.set_pin(1, true);
    a.set_pin(1, false);
    assert!(!a.nmi(), "masked after reset");
    a.virtual_wire();
    assert!(!a.nmi_by_lint0());
    a.set_pin(1, true);
    assert!(a.take_nmi());
    a.set_pin(1, true);
    assert!(!a.nmi(), "an edge");
    a.write(LVT_LINT1, 0x1_0400, 0);
    a.set_pin(1, false);
    a.set_pin(1, true);
    assert!(!a.nmi());
}

/// 10.4.3: globally disabled, the pins are INTR and NMI, and what the registers held is gone.
#[test]
fn switched_off() {
    let mut a = apic();
    a.write(LVT, 0x2_0040, 0);
    a.write(INITIAL, 100, 0);
    a.receive(message(0x31));
    a.set_base(DEFAULT_BASE | BASE_BSP);
    assert_eq!((a.page(), a.intr(), a.deadline()), (None, false, None));
    assert!(!a.receive(message(0x31)));
    a.set_pin(0, true);
    assert!(a.intr());
    assert_eq!(a.acknowledge(), Interrupt::External);
    a.set_pin(1, true);
    assert!(a.take_nmi());
    a.set_base(0x1234_5000 | BASE_ENABLE | 0xff);
    assert_eq!((a.base(), a.page()), (0x1234_5800, Some(0x1234_5000)));
    assert_eq!((a.read(SVR, 0), a.intr()), (0xff, false));
    let mut none = Lapic::new(false);
    none.set_base(u32::MAX);
    assert_eq!((none.base(), none.page()), (0, None));
    none.set_pin(0, true);
    assert!(none.intr());
}

/// 10.4.7.2: software-disabled, it takes no vectors, keeps those that it has, and takes NMIs.
#[test]
fn software_disabled() {
    let mut a = apic();
    a.receive(message(0x31));
    a.write(SVR, 0xff, 0);
    assert!(!a.receive(message(0x41)));
    assert!(a.receive(Message { mode: delivery::NMI, ..message(0) }) && a.take_nmi());
    assert_eq!(a.acknowledge(), Interrupt::Vector(0x31));
}

#[test]
fn extint_messages_ask_the_8259() {
    let mut a = apic();
    assert!(a.receive(Message { mode: delivery::EXTINT, ..message(0) }));
    assert!(a.intr());
    assert_eq!(a.acknowledge(), Interrupt::External);
    assert!(!a.intr());
}

/// 10.4.7.3: INIT leaves the APIC ID alone.
#[test]
fn init() {
    let mut a = apic();
    a.write(0x20, 0x0300_0000, 0);
    a.write(TPR, 0x20, 0);
    a.receive(message(0x31));
    a.init();
    assert_eq!((a.read(0x20, 0), a.read(TPR, 0), a.read(SVR, 0)), (0x0300_0000, 0, 0xff));
    assert!(!a.intr());
}

#[test]
fn state_round_trip() {
    let mut a = apic();
    a.virtual_wire();
    a.write(LVT, 0x2_0040, 10);
    a.write(INITIAL, 12345, 20);
    a.receive(Message { level: true, ..message(0x99) });
    a.acknowledge();
    a.receive(message(0x98));
    a.set_pin(0, true);
    let state = a.save();
    let mut other = Lapic::new(true);
    other.restore(&round_trip(&state)).expect("valid");
    assert_eq!(other.save(), state);
    assert_eq!(other.deadline(), a.deadline());
    assert!(Lapic::new(false).restore(&state).is_err());
    let LapicState::V1(good) = state;
    let spoil: [fn(&mut LapicStateV1); 8] = [
        |s| s.base |= 1,
        |s| s.dfr = 16,
        |s| s.svr = 0x400,
        |s| s.svr = 0xff,
        |s| s.lvt[0] |= 0x700,
        |s| s.irr[0] |= 1,
        |s| s.timer.count = s.timer.initial + 1,
        |s| s.eoi = Some(1),
    ];
    for spoil in spoil {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(other.restore(&LapicState::V1(bad)).is_err());
    }
}

#[test]
fn random_accesses_never_panic() {
    let mut a = Lapic::new(true);
    fuzz(3, |r, now| {
        let (offset, value) = (r.below(0x48) as u16 * 0x10, r.next() as u32);
        // values that make sense, too
        let value = if r.below(2) == 0 { value & 0x3_87ff } else { value };
        match r.below(12) {
            0..4 => a.write(offset, value, now),
            4 => _ = a.read(offset, now),
            5 => a.advance(now),
            6 => _ = a.acknowledge(),
            7 => a.set_pin(r.below(3) as usize, value & 1 != 0),
            8 => {
                let mode = r.below(8) as u8;
                let (level, logical) = (value & 1 != 0, value & 2 != 0);
                a.receive(Message { vector: r.byte(), mode, level, logical, destination: r.byte() });
            }
            9 if r.below(16) == 0 => a.set_base(value),
            10 if r.below(16) == 0 => a.virtual_wire(),
            _ => a.write(SVR, 0x1ff, now),
        }
        a.take_eoi();
        a.advance(now);
        assert!(a.deadline().is_none_or(|d| d > now || now == u64::MAX));
        let LapicState::V1(state) = a.save();
        assert_eq!(Lapic::check(&state), Ok(()));
    });
}
