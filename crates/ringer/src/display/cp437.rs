//! Code page 437, in which text screens of a PC are written.

/// The character of each code from 00h to 1Fh and from 7Fh on.
const LOW: &str = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const HIGH: &str = "⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

/// The character of a code.
pub(crate) fn character(code: u8) -> char {
    let found = match code {
        0..0x20 => LOW.chars().nth(usize::from(code)),
        0x20..0x7f => Some(char::from(code)),
        _ => HIGH.chars().nth(usize::from(code - 0x7f)),
    };
    found.unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_place_for_every_code() {
        assert_eq!((LOW.chars().count(), HIGH.chars().count()), (32, 129));
        let known =
            [(0x41, 'A'), (0x80, 'Ç'), (0xb3, '│'), (0xc4, '─'), (0xdb, '█'), (0xe1, 'ß'), (0xfe, '■')];
        for (code, c) in known {
            assert_eq!(character(code), c);
        }
    }
}
