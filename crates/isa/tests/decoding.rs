//! What the decoder says of bytes that are no whole instruction.

use isa::{CodeSize, CpuModel, DecodeError, MAX_LENGTH, decode};

/// Prefixes alone, as many as an instruction may have bytes, are too long and not cut off: an engine that is told that more
/// is needed has no more to give. LOCK is what the decoder of the 8086 takes out before it looks at the rest.
#[test]
fn nothing_but_prefixes() {
    for (_, model) in CpuModel::ALL {
        for prefix in [0x26, 0x2e, 0x36, 0x3e, 0xf0, 0xf2, 0xf3] {
            let bytes = [prefix; MAX_LENGTH];
            let decoded = |n: usize| decode(&bytes[..n], CodeSize::Bits16, model);
            assert_eq!(decoded(MAX_LENGTH), Err(DecodeError::TooLong), "{prefix:02x} on {model:?}");
            assert_eq!(decoded(5), Err(DecodeError::Truncated), "{prefix:02x} on {model:?}");
        }
    }
}

/// F1 is LOCK as well on the 8086, and other prefixes may stand between.
#[test]
fn locks_of_the_8086() {
    let mut bytes = [0xf1; MAX_LENGTH];
    bytes[3] = 0x2e;
    let decoded = |bytes: &[u8]| decode(bytes, CodeSize::Bits16, CpuModel::I8086);
    assert_eq!(decoded(&bytes), Err(DecodeError::TooLong));
    assert_eq!(decoded(&bytes[..14]), Err(DecodeError::Truncated));
    bytes[14] = 0x90;
    assert_eq!(decoded(&bytes).map(|insn| insn.len), Ok(15), "fourteen prefixes and NOP");
}
