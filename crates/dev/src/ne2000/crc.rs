//! The CRC of Ethernet frames (IEEE 802.3, clause 3.2.9).

/// The generator polynomial, bit 0 first.
const POLYNOMIAL: u32 = 0xedb8_8320;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

/// The shift register after these bytes.
fn register(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &b| crc >> 8 ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ b)])
}

/// The frame check sequence as it follows the frame.
pub(super) fn fcs(frame: &[u8]) -> [u8; 4] {
    (!register(frame)).to_le_bytes()
}

/// Which of the 64 multicast filter bits an address selects: the register's first six bits, the
/// first one highest.
pub(super) fn hash(address: &[u8]) -> usize {
    (register(address).reverse_bits() >> 26) as usize
}
