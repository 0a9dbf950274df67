//! The data register as a stream: what string instructions move, many words at a time.

use super::{Channel, Ide, Work};

impl Channel {
    /// Bytes that can be moved without anything happening: all of the present block but its last four.
    fn quiet(&self, works: &[Work]) -> usize {
        let moving = works.iter().any(|&w| w as u8 == self.work) && self.moves_data();
        let end = (self.stop as usize).min(self.buffer.len());
        if moving { end.saturating_sub(self.at as usize + 4) } else { 0 }
    }
}

impl Ide {
    /// The next bytes of the data register, `most` of them or fewer, a multiple of 4: what as many reads would give, and
    /// none of them would change anything else.
    pub fn give(&mut self, channel: usize, most: usize) -> &[u8] {
        let c = &mut self.channels[channel & 1];
        let n = c.quiet(&[Work::Read, Work::Give, Work::GivePacket]).min(most) & !3;
        let at = c.at as usize;
        c.at += n as u32;
        c.buffer.get(at..at + n).unwrap_or(&[])
    }

    /// Writes the data register with the first of some bytes; how many, a multiple of 4: as many writes would change
    /// nothing else.
    pub fn take(&mut self, channel: usize, bytes: &[u8]) -> usize {
        let c = &mut self.channels[channel & 1];
        let n = c.quiet(&[Work::Write, Work::TakePacket, Work::TakeParameters]).min(bytes.len()) & !3;
        let at = c.at as usize;
        let Some(to) = c.buffer.get_mut(at..at + n) else { return 0 };
        to.copy_from_slice(&bytes[..n]);
        c.at += n as u32;
        n
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rig;

    const READ: u8 = 0x20;
    const WRITE: u8 = 0x30;

    #[test]
    fn a_read_gives_all_of_a_block_but_its_last_words() {
        let mut r = rig();
        assert_eq!(r.ide.give(0, 4096), [0; 0], "nothing was asked for");
        r.command(5, 2, READ);
        for sector in [5u32, 6] {
            assert_eq!(r.ide.give(0, 7), sector.to_le_bytes());
            assert_eq!(r.ide.give(0, 4096), sector.to_le_bytes().repeat(126));
            assert_eq!(r.ide.give(0, 4096), [0; 0]);
            assert_eq!((r.ide.take(0, &[0; 64]), r.ide.alternate_status(0) & 8), (0, 8));
            assert_eq!(r.ide.read_data(0, 4, r.now), sector);
            assert_eq!(r.ide.alternate_status(0) & 8, 0, "the last word ends the block");
            r.settle();
        }
        assert_eq!(r.ide.give(0, 4096), [0; 0]);
        assert_eq!(r.ide.give(1, 4096), [0; 0]);
    }

    #[test]
    fn a_write_takes_all_of_a_block_but_its_last_words() {
        let mut r = rig();
        r.command(9, 1, WRITE);
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(r.ide.take(0, &bytes), 256);
        assert_eq!((r.ide.take(0, &bytes), r.ide.take(0, &bytes)), (252, 0));
        r.ide.write_data(0, 4, 0xdead_beef, r.now);
        r.settle();
        r.command(9, 1, READ);
        assert_eq!(r.ide.give(0, 512), [&bytes[..], &bytes[..252]].concat());
        assert_eq!(r.ide.read_data(0, 4, r.now), 0xdead_beef);
    }
}
