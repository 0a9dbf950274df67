//! Operands: directed lists and seeded random ones that lie near what matters.

use float::F80;

/// Pairs of a run, unless RINGER_FLOAT_CASES says otherwise.
pub(crate) fn cases() -> u32 {
    std::env::var("RINGER_FLOAT_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(1_000_000)
}

/// The seed of a run, from RINGER_SEED or fixed.
pub(crate) fn seed() -> u64 {
    std::env::var("RINGER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x005e_ed0f_10a7)
}

/// xorshift64*.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(salt: u64) -> Rng {
        Rng((seed() ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// Bits in which runs and borders are likely.
    pub(crate) fn bits(&mut self) -> u64 {
        let shift = self.below(64) as u32;
        match self.below(6) {
            0 => 1 << shift,
            1 => !0 << shift,
            2 => (!0 << shift) ^ (1 << self.below(64)),
            3 => self.next() << shift,
            4 => (1 << shift) | (1 << self.below(64)) | self.below(2),
            _ => self.next(),
        }
    }

    fn exponent(&mut self, bias: u64, top: u64) -> u64 {
        match self.below(8) {
            0 => self.below(3),
            1 => top - self.below(3),
            2 => self.below(top + 1),
            3 => bias - 70 + self.below(140),
            4 => bias / 2 - 35 + self.below(70),
            5 => top - bias / 2 - 35 + self.below(70),
            _ => bias - 8 + self.below(16),
        }
        .min(top)
    }

    /// Any 80-bit pattern; unsupported ones are rare.
    pub(crate) fn f80(&mut self) -> F80 {
        if self.below(16) == 0 {
            let s = special80();
            return s[self.below(s.len() as u64) as usize];
        }
        let exp = match self.below(4) {
            // Near the bounds of single and double precision.
            0 => {
                [16383 - 126, 16383 - 149, 16383 + 127, 16383 - 1022, 16383 - 1074, 16383 + 1023]
                    [self.below(6) as usize]
                    + self.below(9)
                    - 4
            }
            _ => self.exponent(0x3fff, 0x7fff),
        };
        let integer = u64::from(exp != 0 && self.below(64) != 0) << 63;
        F80 { sig: self.bits() | integer, se: exp as u16 | (self.below(2) as u16) << 15 }
    }

    /// Operands of which the second is often close to the first.
    pub(crate) fn pair80(&mut self) -> (F80, F80) {
        let a = self.f80();
        let mut b = self.f80();
        if self.below(4) == 0 && a.se & 0x7fff < 0x7f00 && a.se & 0x7fff > 0x100 {
            b.se = (b.se & 0x8000) | ((a.se & 0x7fff) + self.below(140) as u16 - 70);
            b.sig |= 1 << 63;
        }
        (a, b)
    }

    pub(crate) fn f32(&mut self) -> u32 {
        let exp = self.exponent(127, 255) as u32;
        (self.bits() as u32 & 0x7f_ffff) ^ ((self.bits() >> 41) as u32)
            | exp << 23
            | (self.below(2) as u32) << 31
    }

    pub(crate) fn f64(&mut self) -> u64 {
        if self.below(8) == 0 {
            // What narrows to near a border of single precision.
            let exp = [897, 874, 1150, 1023][self.below(4) as usize] + self.below(7) - 3;
            return self.bits() >> 12 | exp << 52 | self.below(2) << 63;
        }
        self.bits() >> 12 | self.exponent(1023, 2047) << 52 | self.below(2) << 63
    }

    /// An x87 control word; half of them mask everything.
    pub(crate) fn control(&mut self) -> u16 {
        let masks = match self.below(4) {
            0 => self.below(64),
            1 => 0,
            _ => 0x3f,
        } as u16;
        let pc = self.below(4) as u16;
        0x40 | masks | pc << 8 | (self.below(4) as u16) << 10
    }
}

/// Both signs of every kind of encoding.
pub(crate) fn special80() -> &'static [F80] {
    static LIST: std::sync::OnceLock<Vec<F80>> = std::sync::OnceLock::new();
    LIST.get_or_init(|| {
        let exponents = [
            0, 1, 2, 63, 64, 65, 0x3bcd, 0x3c01, 0x3f6a, 0x3f81, 0x3fbf, 0x3ffd, 0x3ffe, 0x3fff, 0x4000,
            0x400d, 0x400e, 0x401e, 0x403a, 0x403d, 0x403e, 0x403f, 0x407e, 0x43fe, 0x7ffd, 0x7ffe, 0x7fff,
        ];
        let significands = [
            0,
            1,
            0x3fff_ffff_ffff_ffff,
            0x7fff_ffff_ffff_ffff,
            1 << 62,
            1 << 63,
            (1 << 63) + 1,
            0xbfff_ffff_ffff_ffff,
            3 << 62,
            (3 << 62) + 5,
            0xde0b_6b3a_763f_fffe,
            0xffff_ff80_0000_0000,
            0xffff_ff7f_ffff_ffff,
            0x8000_0080_0000_0000,
            0x8000_0000_0000_0400,
            0xffff_ffff_ffff_fc00,
            0xffff_ffff_ffff_ffff,
        ];
        let all = |se: u16| significands.map(|sig| F80 { sig, se });
        exponents.into_iter().flat_map(|e| [e, e | 0x8000]).flat_map(all).collect()
    })
}

pub(crate) fn special32() -> Vec<u32> {
    let exponents = [0u32, 1, 2, 24, 103, 125, 126, 127, 128, 150, 157, 158, 159, 190, 253, 254, 255];
    let fractions = [0u32, 1, 2, 0x3f_ffff, 0x40_0000, 0x40_0001, 0x7f_fffe, 0x7f_ffff];
    let all = |e: u32| fractions.map(|f| e << 23 | f);
    exponents.into_iter().flat_map(all).flat_map(|x| [x, x | 1 << 31]).collect()
}

pub(crate) fn special64() -> Vec<u64> {
    let exponents =
        [0u64, 1, 2, 53, 873, 874, 896, 897, 1022, 1023, 1053, 1054, 1085, 1086, 1150, 2045, 2046, 2047];
    let fractions =
        [0u64, 1, 2, 1 << 28, 1 << 29, 3 << 28, (1 << 51) - 1, 1 << 51, (1 << 51) + 1, (1 << 52) - 1];
    let all = |e: u64| fractions.map(|f| e << 52 | f);
    exponents.into_iter().flat_map(all).flat_map(|x| [x, x | 1 << 63]).collect()
}

/// Collects differences and fails with the first few.
pub(crate) struct Report {
    what: String,
    bad: Vec<String>,
    count: usize,
    total: usize,
}

impl Report {
    pub(crate) fn new(what: &str) -> Report {
        Report { what: what.into(), bad: Vec::new(), count: 0, total: 0 }
    }

    pub(crate) fn check(&mut self, good: bool, text: impl FnOnce() -> String) {
        self.total += 1;
        if !good {
            self.count += 1;
            if self.bad.len() < 8 {
                self.bad.push(text());
            }
        }
    }

    pub(crate) fn finish(self) {
        assert!(
            self.count == 0,
            "{}: {} of {} differ (seed {}):\n{}",
            self.what,
            self.count,
            self.total,
            seed(),
            self.bad.join("\n")
        );
    }
}
