//! How a weight is read where that is not as it lies in the file: the mistakes that engines,
//! converters and damaged files make with weights. One description serves the fault that our engine
//! makes, the model file that is rewritten for another engine, and the test of a suspicion.

use super::misread;
use crate::gguf::{Gguf, GgufError, TensorInfo, WeightType};

/// One departure from reading a weight as it lies in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// The buffer is taken for its transpose: the value at (i, o) of `[n_in, n_out]` is the one at
    /// flat index i · n_out + o.
    Transposed,
    /// Rows come from elsewhere.
    Rows(RowOrder),
    /// Blocks of this type are unpacked wrongly, as [`super::misread`] says.
    Misread(WeightType),
    /// Values are changed.
    Values(ValueChange),
}

/// Which row stands for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// Row r is row r + shift; beyond the ends, the nearest there is.
    Shifted(i32),
    /// Heads of this many rows stand in reverse order.
    HeadsReversed(usize),
    /// In heads of this many rows, the first half takes the even rows and the second the odd ones: what
    /// converters do to make neighbours into halves.
    Halved(usize),
    /// The reverse of `Halved`.
    Interleaved(usize),
}

impl RowOrder {
    /// The row that stands at `row` of `rows`.
    pub fn source(self, row: usize, rows: usize) -> usize {
        match self {
            Self::Shifted(by) => row.saturating_add_signed(by as isize).min(rows.saturating_sub(1)),
            Self::HeadsReversed(dim) if dim > 0 && rows >= dim => {
                let heads = rows / dim;
                if row / dim < heads { (heads - 1 - row / dim) * dim + row % dim } else { row }
            }
            Self::Halved(dim) if dim > 1 => {
                let (head, r, half) = (row / dim * dim, row % dim, dim / 2);
                head + if r < half { 2 * r } else { 2 * (r - half) + 1 }
            }
            Self::Interleaved(dim) if dim > 1 => {
                let (head, r, half) = (row / dim * dim, row % dim, dim / 2);
                head + if r % 2 == 0 { r / 2 } else { half + r / 2 }
            }
            Self::HeadsReversed(_) | Self::Halved(_) | Self::Interleaved(_) => row,
        }
    }
}

/// What happens to values.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueChange {
    /// Times this.
    Scaled(f32),
    /// Plus this.
    Raised(f32),
    /// This, whatever they were.
    Set(f32),
    /// Rounded to bf16.
    Bf16,
    /// Each times 1 + share · a number evenly spread over −1 to 1.
    Noise {
        /// Largest relative change.
        share: f32,
        /// Start of the random numbers.
        seed: u64,
    },
    /// The value at `channel` of row `row`, plus `by`.
    Element {
        /// Row.
        row: usize,
        /// Index in it.
        channel: usize,
        /// What is added.
        by: f32,
    },
    /// Rows `first .. first + count` times a factor.
    Rows {
        /// First row.
        first: usize,
        /// How many.
        count: usize,
        /// The factor; 0 clears them.
        factor: f32,
    },
}

impl ValueChange {
    /// Changes the values of row `row`.
    pub fn apply(&self, row: usize, values: &mut [f32]) {
        match *self {
            Self::Scaled(factor) => each(values, |v| v * factor),
            Self::Raised(by) => each(values, |v| v + by),
            Self::Set(value) => values.fill(value),
            Self::Bf16 => each(values, |v| half::bf16::from_f32(v).to_f32()),
            Self::Noise { share, seed } => {
                let mut state = seed ^ (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for v in values {
                    *v *= 1.0 + share * even(&mut state);
                }
            }
            Self::Element { row: at, channel, by } => {
                if let Some(v) = values.get_mut(channel).filter(|_| row == at) {
                    *v += by;
                }
            }
            Self::Rows { first, count, factor } => {
                if row >= first && row - first < count {
                    each(values, |v| v * factor);
                }
            }
        }
    }
}

fn each(values: &mut [f32], change: impl Fn(f32) -> f32) {
    for v in values {
        *v = change(*v);
    }
}

/// A number evenly spread over −1 to 1 (splitmix64).
fn even(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// The row that stands at `row` of `rows` after every reordering in `views`, the last one outermost;
/// `None` if there is any other view among them.
pub fn row_behind(views: &[View], row: usize, rows: usize) -> Option<usize> {
    views.iter().rev().try_fold(row, |row, view| match view {
        View::Rows(order) => Some(order.source(row, rows)),
        _ => None,
    })
}

/// All values of `info` as read through `views`, in order, widened to f32.
pub fn read(gguf: &Gguf, info: &TensorInfo, views: &[View]) -> Result<Vec<f32>, GgufError> {
    let dequantize = gguf.dequantizer(info)?;
    let mut bytes = std::borrow::Cow::Borrowed(gguf.data(info));
    for view in views {
        if *view == View::Misread(info.weight_type) {
            misread::rewrite(info.weight_type, bytes.to_mut());
        }
    }
    let mut values = vec![0.0; info.elements() as usize];
    dequantize(&bytes, &mut values);
    let (n_in, rows) = (info.row_len(), info.rows().max(1));
    for view in views {
        match view {
            View::Transposed => {
                let before = values.clone();
                for (o, row) in values.chunks_exact_mut(n_in).enumerate() {
                    for (i, v) in row.iter_mut().enumerate() {
                        *v = before[i * rows + o];
                    }
                }
            }
            View::Rows(order) => {
                let before = values.clone();
                for (row, out) in values.chunks_exact_mut(n_in).enumerate() {
                    out.copy_from_slice(&before[order.source(row, rows) * n_in..][..n_in]);
                }
            }
            View::Values(change) => {
                values.chunks_exact_mut(n_in).enumerate().for_each(|(row, v)| change.apply(row, v));
            }
            View::Misread(_) => {}
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_and_undo_each_other() {
        for order in [RowOrder::HeadsReversed(4), RowOrder::Halved(4), RowOrder::Interleaved(4)] {
            let mut seen: Vec<usize> = (0..12).map(|r| order.source(r, 12)).collect();
            assert_ne!(seen, (0..12).collect::<Vec<_>>());
            seen.sort_unstable();
            assert_eq!(seen, (0..12).collect::<Vec<_>>(), "{order:?}");
        }
        let both = [View::Rows(RowOrder::Halved(8)), View::Rows(RowOrder::Interleaved(8))];
        assert!((0..24).all(|r| row_behind(&both, r, 24) == Some(r)));
        assert_eq!(RowOrder::Halved(4).source(1, 4), 2);
        assert_eq!(RowOrder::Shifted(1).source(11, 12), 11);
        assert_eq!(row_behind(&[View::Transposed], 0, 1), None);
    }

    #[test]
    fn changes_hit_what_they_name() {
        let mut values = [1.0, 2.0, 3.0];
        ValueChange::Element { row: 1, channel: 2, by: 0.5 }.apply(0, &mut values);
        assert_eq!(values, [1.0, 2.0, 3.0]);
        ValueChange::Element { row: 1, channel: 2, by: 0.5 }.apply(1, &mut values);
        assert_eq!(values, [1.0, 2.0, 3.5]);
        ValueChange::Rows { first: 2, count: 1, factor: 0.0 }.apply(1, &mut values);
        assert_eq!(values, [1.0, 2.0, 3.5]);
        ValueChange::Bf16.apply(0, &mut values);
        assert_eq!(values, [1.0, 2.0, 3.5]);
        let mut noisy = [1.0f32; 1000];
        ValueChange::Noise { share: 0.1, seed: 7 }.apply(3, &mut noisy);
        let mean = noisy.iter().sum::<f32>() / 1000.0;
        assert!(noisy.iter().all(|v| (0.9..=1.1).contains(v)) && (mean - 1.0).abs() < 0.01, "{mean}");
        let mut again = [1.0f32; 1000];
        ValueChange::Noise { share: 0.1, seed: 7 }.apply(3, &mut again);
        assert_eq!(noisy, again);
    }
}
