//! Disassembly for traces and messages.

use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};

/// The first instruction of `bytes` in NASM syntax, and its length (0 where there is none).
pub fn disassemble(bytes: &[u8], bits: u32, ip: u32) -> (String, usize) {
    let mut decoder = Decoder::with_ip(bits, bytes, u64::from(ip), DecoderOptions::NONE);
    let i = decoder.decode();
    if i.is_invalid() {
        return ("(no instruction)".to_owned(), 0);
    }
    let mut text = String::new();
    NasmFormatter::new().format(&i, &mut text);
    (text, i.len())
}
