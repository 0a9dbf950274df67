//! The pair of Intel 8259A programmable interrupt controllers (data sheet 231468), with the PIIX3's
//! edge/level control registers (82371SB data sheet 290550, ports 4D0h and 4D1h).

use crate::state::{StateError, device_state, ensure, frozen};

const ICW1: u8 = 0x10;
const ICW1_IC4: u8 = 0x01;
const ICW1_SNGL: u8 = 0x02;
const ICW4_AEOI: u8 = 0x02;
const ICW4_SFNM: u8 = 0x10;
/// The master's input that the slave drives.
const CASCADE: u8 = 2;
/// Inputs whose trigger mode may be switched to level; IRQ 0, 1, 2, 8 and 13 are always edge.
const ELCR_WRITABLE: [u8; 2] = [0xf8, 0xde];

/// One 8259A.
#[derive(Debug, Default)]
struct Chip {
    /// The levels of the inputs IR0-IR7.
    lines: u8,
    /// Edges seen and not yet acknowledged; an edge is forgotten when its input falls.
    edges: u8,
    elcr: u8,
    isr: u8,
    imr: u8,
    icw1: u8,
    icw2: u8,
    icw3: u8,
    icw4: u8,
    /// The initialization word that is expected next at A0 = 1 (2, 3, 4), or 0.
    expected: u8,
    special_mask: bool,
    poll: bool,
    read_isr: bool,
    rotate_on_aeoi: bool,
    /// The input of lowest priority.
    lowest: u8,
}

impl Chip {
    fn irr(&self) -> u8 {
        self.lines & (self.edges | self.elcr)
    }

    fn set_line(&mut self, line: u8, level: bool) {
        let bit = 1 << (line & 7);
        if !level {
            self.lines &= !bit;
            self.edges &= !bit;
        } else if self.lines & bit == 0 {
            self.lines |= bit;
            self.edges |= bit;
        }
    }

    /// The inputs from the highest to the lowest priority.
    fn by_priority(&self) -> impl Iterator<Item = u8> + use<> {
        let first = self.lowest.wrapping_add(1);
        (0..8).map(move |i| first.wrapping_add(i) & 7)
    }

    /// The request that may interrupt now. `nested_slave`: a slave in service does not lock out itself
    /// (special fully nested mode).
    fn request(&self, nested_slave: bool) -> Option<u8> {
        let wanted = self.irr() & !self.imr;
        let blocking = if self.special_mask { self.isr & !self.imr } else { self.isr };
        for level in self.by_priority() {
            let bit = 1 << level;
            let blocks = blocking & bit != 0;
            if blocks && !(nested_slave && level == CASCADE) {
                return None;
            }
            if wanted & bit != 0 && (self.isr & bit == 0 || nested_slave && level == CASCADE) {
                return Some(level);
            }
            if blocks {
                return None;
            }
        }
        None
    }

    /// The INTA sequence for an input: request to in-service, or automatic end of interrupt.
    fn take(&mut self, level: u8) {
        self.edges &= !(1 << level);
        if self.icw4 & ICW4_AEOI == 0 {
            self.isr |= 1 << level;
        } else if self.rotate_on_aeoi {
            self.lowest = level;
        }
    }

    fn highest_in_service(&self) -> Option<u8> {
        let candidates = if self.special_mask { self.isr & !self.imr } else { self.isr };
        self.by_priority().find(|level| candidates & (1 << level) != 0)
    }

    fn init(&mut self, icw1: u8) {
        let (lines, elcr) = (self.lines, self.elcr);
        *self = Chip { lines, elcr, icw1, expected: 2, lowest: 7, ..Chip::default() };
    }

    fn write_icw(&mut self, value: u8) {
        let after_icw3 = if self.icw1 & ICW1_IC4 != 0 { 4 } else { 0 };
        match self.expected {
            2 => {
                self.icw2 = value & 0xf8;
                self.expected = if self.icw1 & ICW1_SNGL != 0 { after_icw3 } else { 3 };
            }
            3 => {
                self.icw3 = value;
                self.expected = after_icw3;
            }
            _ => {
                self.icw4 = value;
                self.expected = 0;
            }
        }
    }

    fn write_ocw2(&mut self, value: u8) {
        let level = value & 7;
        match value >> 5 {
            0 => self.rotate_on_aeoi = false,
            4 => self.rotate_on_aeoi = true,
            6 => self.lowest = level,
            2 => {}
            command => {
                let level = if command & 2 != 0 { Some(level) } else { self.highest_in_service() };
                let Some(level) = level else { return };
                self.isr &= !(1 << level);
                if command & 4 != 0 {
                    self.lowest = level;
                }
            }
        }
    }

    fn write_ocw3(&mut self, value: u8) {
        if value & 0x40 != 0 {
            self.special_mask = value & 0x20 != 0;
        }
        self.poll = value & 0x04 != 0;
        if value & 0x02 != 0 {
            self.read_isr = value & 0x01 != 0;
        }
    }

    fn write(&mut self, a0: bool, value: u8) {
        match (a0, self.expected) {
            (false, _) if value & ICW1 != 0 => self.init(value),
            (false, _) if value & 0x08 != 0 => self.write_ocw3(value),
            (false, _) => self.write_ocw2(value),
            (true, 0) => self.imr = value,
            (true, _) => self.write_icw(value),
        }
    }

    fn read(&self, a0: bool) -> u8 {
        match (a0, self.read_isr) {
            (true, _) => self.imr,
            (false, true) => self.isr,
            (false, false) => self.irr(),
        }
    }
}

/// The master and slave 8259A as a PC wires them: 16 inputs, the slave on the master's IR2.
#[derive(Debug)]
pub struct PicPair {
    chips: [Chip; 2],
}

impl Default for PicPair {
    fn default() -> Self {
        Self::new()
    }
}

impl PicPair {
    /// Both chips as after power-on: the guest has to initialize them before they are of use.
    pub fn new() -> Self {
        let chip = || Chip { lowest: 7, ..Chip::default() };
        PicPair { chips: [chip(), chip()] }
    }

    /// Sets the level of an interrupt input, 0 to 15; input 2 is the cascade and is ignored.
    pub fn set_irq(&mut self, line: u8, level: bool) {
        if line < 16 && line != CASCADE {
            self.chips[usize::from(line >> 3)].set_line(line, level);
            self.cascade();
        }
    }

    /// The levels of the inputs 0 to 15, one bit each; 2 is what the slave drives.
    pub fn levels(&self) -> u16 {
        u16::from_le_bytes(self.chips.each_ref().map(|c| c.lines))
    }

    /// The level of the master's INT output, which is the CPU's INTR input.
    pub fn pending(&self) -> bool {
        self.chips[0].request(self.sfnm()).is_some()
    }

    /// The CPU's interrupt acknowledge cycle; returns the vector. Without a request this is the
    /// spurious IRQ 7 or 15 (data sheet: "a default IR7"), which sets no in-service bit.
    pub fn acknowledge(&mut self) -> u8 {
        let sfnm = self.sfnm();
        self.chips[0].poll = false;
        let Some(level) = self.chips[0].request(sfnm) else { return self.chips[0].icw2 | 7 };
        self.chips[0].take(level);
        if level != CASCADE || self.chips[0].icw1 & ICW1_SNGL != 0 {
            return self.chips[0].icw2 | level;
        }
        self.acknowledge_slave()
    }

    fn acknowledge_slave(&mut self) -> u8 {
        let request = self.chips[1].request(false);
        if let Some(level) = request {
            self.chips[1].take(level);
        }
        // The slave's INT falls during the cycle, so what is still pending makes a new edge.
        self.chips[0].set_line(CASCADE, false);
        self.cascade();
        self.chips[1].icw2 | request.unwrap_or(7)
    }

    /// Reads port `offset` (A0) of a chip: 0 is the master (20h), 1 the slave (A0h).
    pub fn read(&mut self, chip: usize, offset: u16) -> u8 {
        let chip = chip & 1;
        if self.chips[chip].poll {
            return self.poll(chip);
        }
        self.chips[chip].read(offset & 1 != 0)
    }

    /// A read after a poll command works as the acknowledge cycle (data sheet, "The Poll Command").
    fn poll(&mut self, chip: usize) -> u8 {
        let sfnm = chip == 0 && self.sfnm();
        self.chips[chip].poll = false;
        let Some(level) = self.chips[chip].request(sfnm) else { return 0 };
        self.chips[chip].take(level);
        if chip == 1 {
            self.chips[0].set_line(CASCADE, false);
        }
        self.cascade();
        0x80 | level
    }

    /// Writes port `offset` (A0) of a chip: 0 is the master (20h), 1 the slave (A0h).
    pub fn write(&mut self, chip: usize, offset: u16, value: u8) {
        self.chips[chip & 1].write(offset & 1 != 0, value);
        self.cascade();
    }

    /// Reads the edge/level control register of a chip (4D0h, 4D1h).
    pub fn read_elcr(&self, chip: usize) -> u8 {
        self.chips[chip & 1].elcr
    }

    /// Writes the edge/level control register of a chip: a set bit makes the input level-triggered.
    pub fn write_elcr(&mut self, chip: usize, value: u8) {
        self.chips[chip & 1].elcr = value & ELCR_WRITABLE[chip & 1];
        self.cascade();
    }

    fn sfnm(&self) -> bool {
        self.chips[0].icw4 & ICW4_SFNM != 0
    }

    fn cascade(&mut self) {
        let int = self.chips[1].request(false).is_some();
        self.chips[0].set_line(CASCADE, int);
    }

    fn check(state: &PicStateV1) -> Result<(), StateError> {
        for (chip, writable) in state.chips.iter().zip(ELCR_WRITABLE) {
            ensure(chip.lowest < 8, "pic8259", "lowest")?;
            ensure(matches!(chip.expected, 0 | 2..=4), "pic8259", "expected")?;
            ensure(chip.elcr & !writable == 0, "pic8259", "elcr")?;
            ensure(chip.icw2 & 7 == 0, "pic8259", "icw2")?;
        }
        Ok(())
    }
}

frozen! {
    /// The registers of one 8259A, version 1.
    ChipStateV1 of Chip {
        lines: u8, edges: u8, elcr: u8, isr: u8, imr: u8, icw1: u8, icw2: u8, icw3: u8, icw4: u8, expected: u8,
        special_mask: bool, poll: bool, read_isr: bool, rotate_on_aeoi: bool, lowest: u8,
    }
}
frozen! {
    /// The pair, version 1.
    PicStateV1 of PicPair { chips: [ChipStateV1; 2] }
}
device_state!(PicPair, PicState, PicStateV1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fuzz, round_trip};

    /// The PC's initialization: vectors 08h and 70h.
    fn pc_with(icw4: [u8; 2]) -> PicPair {
        let mut pic = PicPair::new();
        for (chip, base, icw3) in [(0, 0x08, 4), (1, 0x70, 2)] {
            pic.write(chip, 0, 0x11);
            pic.write(chip, 1, base);
            pic.write(chip, 1, icw3);
            pic.write(chip, 1, icw4[chip]);
        }
        pic
    }

    fn pc() -> PicPair {
        pc_with([1, 1])
    }

    fn isr(pic: &mut PicPair, chip: usize) -> u8 {
        pic.write(chip, 0, 0x0b);
        pic.read(chip, 0)
    }

    // "Fully nested mode": lower and equal priorities wait for the end of interrupt.
    #[test]
    fn fully_nested_priority() {
        let mut pic = pc();
        pic.set_irq(4, true);
        assert_eq!(pic.acknowledge(), 0x0c);
        pic.set_irq(5, true);
        assert!(!pic.pending(), "IR5 waits for IR4");
        pic.set_irq(1, true);
        assert!(pic.pending(), "IR1 interrupts IR4");
        assert_eq!(pic.acknowledge(), 0x09);
        assert_eq!(isr(&mut pic, 0), 0x12);
        pic.write(0, 0, 0x20); // non-specific EOI ends IR1
        assert_eq!(isr(&mut pic, 0), 0x10);
        assert!(!pic.pending());
        pic.write(0, 0, 0x64); // specific EOI of IR4
        assert!(pic.pending());
        assert_eq!(pic.acknowledge(), 0x0d);
    }

    #[test]
    fn slave_requests_go_through_ir2() {
        let mut pic = pc();
        pic.set_irq(14, true);
        pic.set_irq(8, true);
        assert_eq!(pic.acknowledge(), 0x70);
        assert_eq!((isr(&mut pic, 0), isr(&mut pic, 1)), (0x04, 0x01));
        pic.write(1, 0, 0x20);
        assert!(!pic.pending(), "the master still has IR2 in service");
        pic.write(0, 0, 0x20);
        assert_eq!(pic.acknowledge(), 0x76);
    }

    // "the IR inputs must remain high until after the falling edge of the first INTA. If the IR input goes low
    // before this time a DEFAULT IR7 will occur".
    #[test]
    fn spurious_ir7_sets_no_isr() {
        let mut pic = pc();
        pic.set_irq(3, true);
        pic.set_irq(3, false);
        assert!(!pic.pending());
        assert_eq!(pic.acknowledge(), 0x0f);
        assert_eq!(isr(&mut pic, 0), 0);
    }

    #[test]
    fn spurious_irq15_leaves_ir2_in_service() {
        let mut pic = pc();
        pic.write(1, 1, 0);
        pic.chips[0].set_line(CASCADE, true); // the slave's INT, which falls before the second INTA
        assert_eq!(pic.acknowledge(), 0x77);
        assert_eq!((isr(&mut pic, 0), isr(&mut pic, 1)), (0x04, 0));
    }

    #[test]
    fn an_edge_interrupts_once_and_a_level_again() {
        let mut pic = pc();
        pic.set_irq(5, true);
        pic.acknowledge();
        pic.write(0, 0, 0x20);
        assert!(!pic.pending(), "edge: the input must fall first");
        pic.write_elcr(0, 0xff);
        assert_eq!(pic.read_elcr(0), 0xf8, "IRQ 0-2 are always edge");
        assert!(pic.pending(), "level: requests as long as it is high");
        assert_eq!(pic.acknowledge(), 0x0d);
        pic.set_irq(5, false);
        pic.write(0, 0, 0x20);
        assert!(!pic.pending());
    }

    #[test]
    fn automatic_eoi_and_rotation() {
        let mut pic = pc_with([3, 1]);
        pic.set_irq(1, true);
        pic.acknowledge();
        assert_eq!(isr(&mut pic, 0), 0);
        pic.write(0, 0, 0x80); // rotate in automatic EOI mode
        pic.set_irq(3, true);
        pic.set_irq(4, true);
        assert_eq!(pic.acknowledge(), 0x0b);
        pic.set_irq(3, false);
        pic.set_irq(3, true);
        assert_eq!(pic.acknowledge(), 0x0c, "IR3 is now the lowest");
    }

    #[test]
    fn rotation_on_eoi_and_set_priority() {
        let mut pic = pc();
        pic.set_irq(4, true);
        pic.acknowledge();
        pic.write(0, 0, 0xa0); // rotate on non-specific EOI: IR4 becomes lowest
        pic.set_irq(0, true);
        pic.set_irq(5, true);
        assert_eq!(pic.acknowledge(), 0x0d);
        pic.write(0, 0, 0x20);
        pic.write(0, 0, 0xc7); // set priority: IR7 lowest
        assert_eq!(pic.acknowledge(), 0x08);
    }

    // "Special mask mode": a masked level in service does not inhibit lower levels, nor is it ended by a
    // non-specific EOI.
    #[test]
    fn special_mask_mode() {
        let mut pic = pc();
        pic.set_irq(3, true);
        pic.acknowledge();
        pic.set_irq(6, true);
        assert!(!pic.pending());
        pic.write(0, 1, 0x08);
        assert!(!pic.pending());
        pic.write(0, 0, 0x68);
        assert_eq!(pic.acknowledge(), 0x0e);
        pic.write(0, 0, 0x20);
        assert_eq!(isr(&mut pic, 0), 0x08);
    }

    #[test]
    fn poll_reads_the_level_and_acknowledges() {
        let mut pic = pc();
        pic.write(0, 0, 0x0c);
        assert_eq!(pic.read(0, 0), 0);
        pic.set_irq(6, true);
        pic.write(0, 0, 0x0c);
        assert_eq!(pic.read(0, 0), 0x86);
        assert_eq!(isr(&mut pic, 0), 0x40);
    }

    #[test]
    fn special_fully_nested_mode_lets_a_higher_slave_request_in() {
        for (icw4, expected) in [(0x01, false), (0x11, true)] {
            let mut pic = pc_with([icw4, 1]);
            pic.set_irq(12, true);
            assert_eq!(pic.acknowledge(), 0x74);
            pic.set_irq(8, true);
            assert_eq!(pic.pending(), expected);
        }
    }

    #[test]
    fn icw1_clears_the_mask_and_the_edges() {
        let mut pic = pc();
        pic.write(0, 1, 0xff);
        pic.set_irq(1, true);
        pic.write(0, 0, 0x11);
        assert_eq!(pic.read(0, 0), 0, "the edge sense circuit is reset");
        for icw in [0x20, 4, 1] {
            pic.write(0, 1, icw);
        }
        assert_eq!(pic.read(0, 1), 0);
        assert!(!pic.pending());
        pic.set_irq(1, false);
        pic.set_irq(1, true);
        assert_eq!(pic.acknowledge(), 0x21);
    }

    #[test]
    fn state_round_trip() {
        let mut pic = pc();
        pic.set_irq(4, true);
        pic.acknowledge();
        pic.set_irq(12, true);
        let state = pic.save();
        let mut other = PicPair::new();
        other.restore(&round_trip(&state)).expect("valid");
        assert_eq!(other.save(), state);
        let PicState::V1(mut bad) = state;
        bad.chips[0].lowest = 8;
        assert!(other.restore(&PicState::V1(bad)).is_err());
    }

    #[test]
    fn random_accesses_never_panic() {
        let mut pic = PicPair::new();
        fuzz(1, |r, _| {
            let (chip, offset, value) = (r.below(3) as usize, r.below(3) as u16, r.byte());
            match r.below(8) {
                0 => _ = pic.read(chip, offset),
                1 => pic.write(chip, offset, value),
                2 => pic.write_elcr(chip, value),
                3 if pic.pending() => _ = pic.acknowledge(),
                4 => _ = pic.acknowledge(),
                _ => pic.set_irq(r.below(20) as u8, value & 1 != 0),
            }
            let PicState::V1(state) = pic.save();
            assert!(PicPair::check(&state).is_ok());
        });
    }
}
