//! Runs of string elements inside one page, at memory speed.

use crate::{HostAddress, Memory};

impl Memory {
    /// Copies `count` elements of `size` bytes upwards, one after the other as REP MOVS does:
    /// where the destination lies inside the source's run, elements just written are read again.
    pub fn copy_run(&mut self, from: HostAddress, to: HostAddress, size: u64, count: u64) {
        let len = size * count;
        let gap = to.0.wrapping_sub(from.0);
        if gap >= len {
            return self.arena_mut().copy_within(from, to, len);
        }
        if gap != 0 && gap.is_multiple_of(size) {
            return self.copy_pattern(from, to, gap, len);
        }
        for n in 0..count {
            let (a, b) = (HostAddress(from.0 + n * size), HostAddress(to.0 + n * size));
            self.arena_mut().copy_within(a, b, size);
        }
    }

    /// An overlapping copy at distance `gap` repeats the first `gap` bytes; each pass doubles them.
    fn copy_pattern(&mut self, from: HostAddress, to: HostAddress, gap: u64, len: u64) {
        let mut done = 0;
        while done < len {
            let n = (gap + done).min(len - done);
            self.arena_mut().copy_within(from, HostAddress(to.0 + done), n);
            done += n;
        }
    }

    /// Stores `count` elements of `size` bytes (1, 2, 4 or 8) upwards.
    pub fn fill_run(&mut self, to: HostAddress, size: u64, count: u64, value: u64) {
        let pattern = match size {
            1 => (value & 0xff) * 0x0101_0101_0101_0101,
            2 => (value & 0xffff) * 0x0001_0001_0001_0001,
            4 => (value & 0xffff_ffff) * 0x0000_0001_0000_0001,
            _ => value,
        };
        self.arena_mut().fill(to, size * count, pattern);
    }

    /// How many of the `count` elements at `at`, upwards, come before the first that equals
    /// (`until_equal`) or differs from `value`; that one is counted in as well.
    pub fn scan_run(&self, at: HostAddress, size: u64, count: u64, value: u64, until_equal: bool) -> u64 {
        for n in 0..count {
            if (self.element(HostAddress(at.0 + n * size), size) == value) == until_equal {
                return n + 1;
            }
        }
        count
    }

    /// As [`Memory::scan_run`] for two runs compared with each other.
    pub fn compare_run(
        &self,
        a: HostAddress,
        b: HostAddress,
        size: u64,
        count: u64,
        until_equal: bool,
    ) -> u64 {
        for n in 0..count {
            let (x, y) = (HostAddress(a.0 + n * size), HostAddress(b.0 + n * size));
            if (self.element(x, size) == self.element(y, size)) == until_equal {
                return n + 1;
            }
        }
        count
    }

    fn element(&self, at: HostAddress, size: u64) -> u64 {
        match size {
            1 => u64::from(self.read::<1>(at)[0]),
            2 => u64::from(u16::from_le_bytes(self.read(at))),
            4 => u64::from(u32::from_le_bytes(self.read(at))),
            _ => u64::from_le_bytes(self.read(at)),
        }
    }
}
