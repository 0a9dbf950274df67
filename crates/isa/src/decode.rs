//! Decoding of 16- and 32-bit code through iced-x86.

use crate::{CpuModel, Insn};
use iced_x86::{Code, Decoder, DecoderError, DecoderOptions, Instruction};

/// The longest instruction; one byte more is #GP(0) (SDM vol. 2, 2.3.11).
pub const MAX_LENGTH: usize = 15;

/// The default operand and address size of a code segment (the D bit, and later L).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CodeSize {
    /// Real mode, V86 mode and 16-bit segments.
    Bits16,
    /// Segments with D = 1.
    Bits32,
}

/// Why bytes are not an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes given end within the instruction; the next page decides.
    #[error("the instruction goes on after the last byte given")]
    Truncated,
    /// Longer than [`MAX_LENGTH`]: #GP(0).
    #[error("the instruction is longer than 15 bytes")]
    TooLong,
    /// No instruction of this CPU model: #UD.
    #[error("not an instruction of this CPU")]
    Undefined,
}

fn options(model: CpuModel) -> u32 {
    match model {
        CpuModel::I8086 => DecoderOptions::NONE,
        CpuModel::I286 => DecoderOptions::LOADALL286 | DecoderOptions::OLD_FPU,
        CpuModel::I386 => DecoderOptions::OLD_FPU,
        _ => DecoderOptions::MPX | DecoderOptions::NONE,
    }
}

/// Decodes the instruction at the start of `bytes` (at most 15 are looked at).
///
/// # Errors
/// [`DecodeError`]; `Truncated` only when fewer than 15 bytes were given.
pub fn decode(bytes: &[u8], size: CodeSize, model: CpuModel) -> Result<Insn, DecodeError> {
    let bytes = &bytes[..bytes.len().min(MAX_LENGTH)];
    if model == CpuModel::I8086 {
        return crate::model::decode_8086(bytes);
    }
    if model == CpuModel::I286 && size == CodeSize::Bits16 {
        return crate::model::decode_286(bytes);
    }
    decode_with(bytes, size, model)
}

pub(crate) fn decode_with(bytes: &[u8], size: CodeSize, model: CpuModel) -> Result<Insn, DecodeError> {
    let bits = if size == CodeSize::Bits16 { 16 } else { 32 };
    let mut decoder = Decoder::with_ip(bits, bytes, 0, options(model));
    let i = decoder.decode();
    match decoder.last_error() {
        DecoderError::None => {}
        DecoderError::NoMoreBytes if vector_prefix(bytes) => return Err(DecodeError::Undefined),
        DecoderError::NoMoreBytes if bytes.len() < MAX_LENGTH => return Err(DecodeError::Truncated),
        DecoderError::NoMoreBytes => return Err(DecodeError::TooLong),
        _ if too_long(bytes, decoder.position(), size, model) => return Err(DecodeError::TooLong),
        _ => return Err(DecodeError::Undefined),
    }
    if !model.has(i.code()) {
        return without_repeat(bytes, &i, size, model);
    }
    let mut insn = Insn::new(&i);
    insn.scan_prefixes(bytes);
    insn.set_sizes(bytes, size == CodeSize::Bits32);
    insn.note_escape(bytes);
    if i.code() == Code::INVALID { Err(DecodeError::Undefined) } else { Ok(insn) }
}

/// The form at the start of `bytes` in code of 16, 32 or 64 bits, of any chip, and its length; `None`: there is none.
pub fn identify(bytes: &[u8], bits: u32) -> Option<(Code, usize)> {
    let bits = if matches!(bits, 16 | 64) { bits } else { 32 };
    let mut decoder = Decoder::new(bits, bytes, DecoderOptions::NONE);
    let i = decoder.decode();
    (i.code() != Code::INVALID).then(|| (i.code(), i.len()))
}

/// A repeat prefix that later chips made part of an opcode (TZCNT, LZCNT, PAUSE, ENDBR) is
/// ignored by those before them, which execute the instruction without it.
fn without_repeat(
    bytes: &[u8],
    i: &Instruction,
    size: CodeSize,
    model: CpuModel,
) -> Result<Insn, DecodeError> {
    use iced_x86::Mnemonic as M;
    let later =
        matches!(i.mnemonic(), M::Tzcnt | M::Lzcnt | M::Pause | M::Endbr32 | M::Endbr64 | M::Wbnoinvd);
    let at = bytes.iter().take(i.len()).position(|&b| b == 0xf3).filter(|_| later);
    let Some(at) = at else { return Err(DecodeError::Undefined) };
    let mut rest = [0u8; MAX_LENGTH];
    rest[..at].copy_from_slice(&bytes[..at]);
    rest[at..i.len() - 1].copy_from_slice(&bytes[at + 1..i.len()]);
    let mut insn = decode_with(&rest[..i.len() - 1], size, model)?;
    insn.len += 1;
    Ok(insn)
}

/// LES, LDS or BOUND of a register, which are #UD by their second byte: the decoder takes them for
/// VEX and EVEX and wants more.
fn vector_prefix(bytes: &[u8]) -> bool {
    let is_prefix = |b: &u8| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    let mut rest = bytes.iter().skip_while(|b| is_prefix(b));
    matches!((rest.next(), rest.next()), (Some(0x62 | 0xc4 | 0xc5), Some(0xc0..)))
}

/// Whether an invalid instruction is one by its length alone: prefixes fill all fifteen bytes, or
/// without the first of them it would be an instruction that fills them.
fn too_long(bytes: &[u8], position: usize, size: CodeSize, model: CpuModel) -> bool {
    let is_prefix = |b: &u8| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    if position < MAX_LENGTH || !bytes.first().is_some_and(is_prefix) {
        return false;
    }
    if bytes.iter().all(is_prefix) {
        return true;
    }
    // the byte that is not known may as well be zero
    let mut rest = [0; MAX_LENGTH];
    rest[..MAX_LENGTH - 1].copy_from_slice(&bytes[1..MAX_LENGTH]);
    match decode_with(&rest, size, model) {
        Ok(insn) => usize::from(insn.len) == MAX_LENGTH,
        Err(e) => e == DecodeError::TooLong,
    }
}
