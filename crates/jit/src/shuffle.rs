//! Rearrangements of packed data in compiled code: bytes chosen from two vectors.

use crate::lower::Lower;
use crate::wide::Wide;
use cranelift_codegen::ir::types::I8X16;
use cranelift_codegen::ir::{ConstantData, InstBuilder, Value};
use sem::fp::PackedOp;

/// Byte `i` of lanes of `size` bytes, of which `lane` says where they come from.
fn by_lanes(size: u8, lane: impl Fn(u8) -> u8) -> impl Fn(u8) -> u8 {
    move |i| lane(i / size) * size + i % size
}

fn two_bits(imm: u8, n: u8) -> u8 {
    imm >> (2 * n) & 3
}

/// Which lane of `a`, then `b`, a lane of the result is.
type Choice = Box<dyn Fn(u8) -> u8>;

/// Lanes of both in turn, from lane `from` on, of `count` a vector.
fn interleave(from: u8, count: u8) -> Choice {
    Box::new(move |n| from + n / 2 + (n & 1) * count)
}

/// The size of lanes in bytes, and where they come from.
fn lanes_of(op: PackedOp, imm: u8) -> Option<(u8, Choice)> {
    use PackedOp as P;
    Some(match op {
        P::UnpackLowB => (1, interleave(0, 16)),
        P::UnpackLowW => (2, interleave(0, 8)),
        P::UnpackLowD => (4, interleave(0, 4)),
        P::UnpackLowQ => (8, interleave(0, 2)),
        P::UnpackHighB => (1, interleave(8, 16)),
        P::UnpackHighW => (2, interleave(4, 8)),
        P::UnpackHighD => (4, interleave(2, 4)),
        P::UnpackHighQ => (8, interleave(1, 2)),
        P::ShuffleD => (4, Box::new(move |n| 4 + two_bits(imm, n))),
        P::ShuffleLowW => (2, Box::new(move |n| 8 + if n < 4 { two_bits(imm, n) } else { n })),
        P::ShuffleHighW => (2, Box::new(move |n| 8 + if n < 4 { n } else { 4 + two_bits(imm, n - 4) })),
        P::ShuffleSingle => (4, Box::new(move |n| two_bits(imm, n) + if n < 2 { 0 } else { 4 })),
        P::ShuffleDouble => (8, Box::new(move |n| (imm >> n & 1) + 2 * n)),
        P::DuplicateEven => (4, Box::new(|n| 4 + (n & 2))),
        P::DuplicateOdd => (4, Box::new(|n| 4 + (n | 1))),
        P::DuplicateLow => (8, Box::new(|_| 2)),
        P::MergeHighQ => (8, Box::new(|n| if n == 0 { 3 } else { 1 })),
        _ => return None,
    })
}

impl Lower<'_, '_> {
    pub(crate) fn shuffle_operation(&mut self, op: PackedOp, imm: u8, a: Wide, b: Wide) -> Option<Wide> {
        use PackedOp as P;
        if let Some((size, lane)) = lanes_of(op, imm) {
            return Some(self.chosen_lanes(a, b, by_lanes(size, lane)));
        }
        Some(match op {
            P::ShlBytes => self.shifted_bytes(a, Wide::Const(0), 16u8.saturating_sub(imm)),
            P::ShrBytes => self.shifted_bytes(Wide::Const(0), a, imm),
            P::AlignRight if imm > 16 => self.shifted_bytes(Wide::Const(0), a, imm - 16),
            P::AlignRight => self.shifted_bytes(a, b, imm),
            P::ShuffleB => self.shuffled_by(a, b),
            _ => return None,
        })
    }

    /// Bytes of `a` (0 to 15) and `b` (16 to 31), as `from` says. Those of one vector are taken from
    /// it alone.
    fn chosen_lanes(&mut self, a: Wide, b: Wide, from: impl Fn(u8) -> u8) -> Wide {
        let (a, b) = match ((0..16).any(|i| from(i) < 16), (0..16).any(|i| from(i) >= 16)) {
            (false, true) => (b, b),
            (true, false) => (a, a),
            _ => (a, b),
        };
        let (x, y) = (self.vector(a), self.vector(b));
        Wide::Vector(self.shuffled(x, y, from))
    }

    /// As `from` says, out of two vectors of bytes.
    pub(crate) fn shuffled(&mut self, x: Value, y: Value, from: impl Fn(u8) -> u8) -> Value {
        let bytes: [u8; 16] =
            std::array::from_fn(|i| if x == y { from(i as u8) & 15 } else { from(i as u8) });
        let k = self.b.func.dfg.immediates.push(ConstantData::from(&bytes[..]));
        self.b.ins().shuffle(x, y, k)
    }

    /// The 16 bytes from byte `n` on of `low`, then `high`, then zeros.
    fn shifted_bytes(&mut self, high: Wide, low: Wide, n: u8) -> Wide {
        match n {
            0 => low,
            16 => high,
            17.. => Wide::Const(0),
            n => {
                let (low, high) = (self.vector(low), self.vector(high));
                Wide::Vector(self.shuffled(low, high, |i| n + i))
            }
        }
    }

    /// PSHUFB: 0 where the byte's number has its top bit set.
    fn shuffled_by(&mut self, a: Wide, numbers: Wide) -> Wide {
        let (a, numbers) = (self.vector(a), self.vector(numbers));
        if cfg!(target_arch = "x86_64") {
            return Wide::Vector(self.b.ins().x86_pshufb(a, numbers));
        }
        // elsewhere numbers above 15 give 0
        let kept = self.mask(I8X16, u128::MAX / 0xff * 0x8f);
        let numbers = self.b.ins().band(numbers, kept);
        Wide::Vector(self.b.ins().swizzle(a, numbers))
    }
}
