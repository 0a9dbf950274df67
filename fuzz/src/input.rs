//! The fuzzer's bytes, taken from the front; zeroes behind their end.

/// What is left of an input.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to `n` bytes.
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes(N);
        std::array::from_fn(|n| taken.get(n).copied().unwrap_or(0))
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn dword(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// A length in a byte, and so many bytes.
    pub fn string(&mut self) -> &'a [u8] {
        let n = self.byte().into();
        self.bytes(n)
    }

    /// One of a list.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// A span of time: mostly what devices take, at most some hours.
    pub fn time(&mut self) -> u64 {
        let [shift, value] = self.array();
        u64::from(value) << (shift % 38)
    }
}
