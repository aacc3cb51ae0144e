//! The four bytes of fifth bits that Q5_0 and Q5_1 share.

/// Five-bit values of byte `j` of `nibbles` (16 bytes): bit j of the word belongs to its low nibble,
/// bit j + 16 to its high one.
#[inline(always)]
pub(super) fn join(bits: u32, nibbles: &[u8], j: usize) -> (i32, i32) {
    let nibble = u32::from(nibbles[j]);
    let low = nibble & 15 | (bits >> j & 1) << 4;
    let high = nibble >> 4 | (bits >> (j + 16) & 1) << 4;
    (low as i32, high as i32)
}

/// The word of fifth bits that starts at byte `at`.
#[inline(always)]
pub(super) fn word<const BYTES: usize>(block: &[u8; BYTES], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}
