//! The part of attention scores and probabilities that means something.

use crate::trace::Tensor;

/// The part of `[positions, heads]` that `position` sees: llama.cpp pads the positions to a multiple
/// of 256 and leaves the rest undefined.
pub fn visible(from: &Tensor, position: u32, into: &mut Tensor) {
    into.values.clear();
    into.shape.clear();
    into.exact = from.exact;
    let width = from.shape.first().map_or(0, |&n| n as usize);
    let seen = (position as usize + 1).min(width);
    for row in from.values.chunks(width.max(1)) {
        into.values.extend_from_slice(&row[..seen.min(row.len())]);
    }
    let heads: u32 = from.shape.iter().skip(1).fold(1, |n, &axis| n.saturating_mul(axis));
    into.shape.extend([seen as u32, heads]);
}
