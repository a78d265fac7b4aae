//! The checksum that Ogg and MPEG-TS share.

/// The CRC of these bytes after others whose CRC is `sum`: polynomial 04c11db7, no reflection. The formats differ in the
/// sum that they begin with.
pub(super) fn crc32(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| {
        let index = (sum >> 24) as u8 ^ byte;
        (sum << 8) ^ OF_BYTES[usize::from(index)]
    })
}

/// The checksum of each single byte.
static OF_BYTES: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            let carry = sum >> 31;
            sum = (sum << 1) ^ (carry * 0x04c1_1db7);
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};
