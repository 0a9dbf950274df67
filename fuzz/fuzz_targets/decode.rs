//! Any bytes decode to an instruction of at most 15 bytes or to an error, on every model.
#![no_main]

use isa::{CodeSize, CpuModel, DecodeError, MAX_LENGTH, decode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for (_, model) in CpuModel::ALL {
        for size in [CodeSize::Bits16, CodeSize::Bits32] {
            match decode(bytes, size, model) {
                Ok(insn) => assert!((1..=MAX_LENGTH.min(bytes.len())).contains(&usize::from(insn.len))),
                Err(DecodeError::Truncated) => assert!(bytes.len() < MAX_LENGTH),
                Err(DecodeError::TooLong | DecodeError::Undefined) => {}
            }
        }
    }
});
