//! The twelve bytes of 6-bit scales and minima that Q4_K and Q5_K share.

/// Scales and minima of the eight groups of 32. The first four of each are the low six bits of bytes
/// 0–3 and 4–7; the others have their low four bits in bytes 8–11 and their high two bits in the top
/// bits of the first eight.
#[inline(always)]
pub(super) fn unpack(packed: &[u8]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut mins) = ([0; 8], [0; 8]);
    for j in 0..4 {
        scales[j] = packed[j] & 63;
        mins[j] = packed[j + 4] & 63;
        scales[j + 4] = (packed[j + 8] & 15) | (packed[j] >> 6 << 4);
        mins[j + 4] = (packed[j + 8] >> 4) | (packed[j + 4] >> 6 << 4);
    }
    (scales, mins)
}
