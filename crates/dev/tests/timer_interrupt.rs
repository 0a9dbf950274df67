//! The timer through the interrupt controller, wired as a board wires it.

use dev::pic8259::PicPair;
use dev::pit8254::Pit;

/// Counts the timer interrupts that a CPU takes in a second, with the PC's vectors.
fn interrupts_in_a_second(mode: u8, divisor: u16) -> u64 {
    let (mut pit, mut pic) = (Pit::new(), PicPair::new());
    for (offset, value) in [(0, 0x11), (1, 0x20), (1, 0x04), (1, 0x01), (1, 0xfe)] {
        pic.write(0, offset, value);
    }
    let [low, high] = divisor.to_le_bytes();
    pit.write(3, 0x30 | mode << 1, 0);
    pit.write(0, low, 0);
    pit.write(0, high, 0);
    // OUT rose when the mode was set: that interrupt is not counted.
    pic.set_irq(0, pit.irq());
    let mut count = 0;
    if pic.pending() {
        pic.acknowledge();
        pic.write(0, 0, 0x20);
    }
    while let Some(now) = pit.deadline().filter(|&t| t <= 1_000_000_000) {
        pit.advance(now);
        pic.set_irq(0, pit.irq());
        if pic.pending() {
            assert_eq!(pic.acknowledge(), 0x20);
            pic.write(0, 0, 0x20);
            count += 1;
        }
    }
    count
}

#[test]
fn rate_generator_and_square_wave_interrupt_at_their_rate() {
    assert_eq!(interrupts_in_a_second(2, 11_932), 99, "100 Hz, of which the hundredth comes just after");
    assert_eq!(interrupts_in_a_second(3, 11_931), 100);
    assert_eq!(interrupts_in_a_second(3, 0), 18, "the BIOS's 18.2 Hz");
    assert_eq!(interrupts_in_a_second(0, 1000), 1);
    assert_eq!(interrupts_in_a_second(4, 1000), 1);
}
