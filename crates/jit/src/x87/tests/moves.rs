//! The guest's FPU to the host's and back.

use super::super::{load, may_live, save};
use super::operands::Rng;
use super::states;
use core::arch::asm;
use cpu::Fpu;

#[test]
fn all_bits_come_back() {
    let mut rng = Rng::new(1);
    for n in 0..1u32 << 17 {
        let mut before = states::fpu(&mut rng);
        // every tag pattern under every TOP
        before.occupied = n as u8;
        before.status = before.status & !0x3800 | ((n >> 8 & 7) as u16) << 11;
        (before.opcode, before.ip, before.cs, before.dp, before.ds) = (1, 2, 3, 4, 5);
        let mut after = Fpu { opcode: 1, ip: 2, cs: 3, dp: 4, ds: 5, ..Fpu::default() };
        load(&before);
        save(&mut after);
        assert_eq!(before, after);
    }
}

#[test]
fn a_turned_host_does_not_matter() {
    let before = states::fpu(&mut Rng::new(2));
    for n in 0..8 {
        let mut after = Fpu::default();
        for _ in 0..n {
            // SAFETY: turns TOP, which the next `load` does not rely on, and `save` leaves zero.
            unsafe { asm!("fincstp") };
        }
        load(&before);
        save(&mut after);
        assert_eq!(before, after);
    }
}

#[test]
fn the_host_is_left_clean() {
    load(&states::fpu(&mut Rng::new(3)));
    save(&mut Fpu::default());
    let mut environment = [0u32; 7];
    // SAFETY: FNSTENV writes 28 bytes, and masks what was masked.
    unsafe { asm!("fnstenv [{}]", in(reg) environment.as_mut_ptr()) };
    let words = [0, 1, 2].map(|n| environment[n] & 0xffff);
    assert_eq!((words[0], words[1] & 0x3800, words[2]), (0x37f, 0, 0xffff));
}

#[test]
fn who_may_live() {
    let good = Fpu::default();
    assert!(may_live(&good));
    assert!(may_live(&Fpu { control: 0x1f7f, status: 0x7f7f, ..good }));
    for bit in [0, 1, 2, 3, 4, 5, 6] {
        assert!(!may_live(&Fpu { control: 0x37f & !(1 << bit), ..good }), "mask {bit}");
    }
    for bit in [7, 13, 14, 15] {
        assert!(!may_live(&Fpu { control: 0x37f | 1 << bit, ..good }), "reserved bit {bit}");
    }
    assert!(!may_live(&Fpu { status: 0x80, ..good }));
    assert!(!may_live(&Fpu { status: 0x8000, ..good }));
}

/// `cargo test --release -p jit cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost() {
    const ROUNDS: u32 = 1_000_000;
    let mut fpu = states::fpu(&mut Rng::new(4));
    let best = (0..10).map(|_| {
        let start = std::time::Instant::now();
        for _ in 0..ROUNDS {
            load(std::hint::black_box(&fpu));
            save(std::hint::black_box(&mut fpu));
        }
        start.elapsed() / ROUNDS
    });
    println!("load and save: {:?}", best.min());
}
