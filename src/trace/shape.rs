//! Shapes, in the two orders in which traces give them.
//!
//! paritty's own are lists, fastest axis first, as ggml has them: `[64,32]` is 32 heads of 64.
//! The study's are strings in row-major order (slowest axis first), as NumPy and PyTorch have
//! them: `"[1,151936]"` is one row of 151936. Both become fastest axis first. Axes of 1 at the
//! slow end say nothing (a batch of one, ggml's four axes) and are dropped. A list in a trace
//! without a header may come from a writer that thinks in rows, so there leading axes of 1 are
//! dropped too; otherwise a list is never turned around.

use super::limits::{MAX_RANK, MAX_VALUES};
use super::scan::{quote, whole_number};

/// A shape, fastest axis first, within the limits on rank and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    axes: [u32; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// One row.
    pub fn row(length: u32) -> Self {
        let mut axes = [0; MAX_RANK];
        axes[0] = length;
        Self { axes, rank: 1 }
    }

    /// The axes, fastest first.
    pub fn axes(&self) -> &[u32] {
        &self.axes[..self.rank]
    }

    /// Product of the axes.
    pub fn len(&self) -> u64 {
        self.axes().iter().map(|&n| u64::from(n)).product()
    }

    /// Reads the raw JSON of a `shape` field. `has_header`: whether the trace began with one.
    pub fn parse(raw: &[u8], has_header: bool) -> Result<Self, String> {
        if let Some(inner) = raw.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")) {
            let inner = inner.trim_ascii();
            let mut shape = Self::numbers(inner.strip_prefix(b"torch.Size").unwrap_or(inner))?;
            shape.axes[..shape.rank].reverse();
            Ok(shape.without_slow_ones())
        } else if raw.first() == Some(&b'[') {
            let mut shape = Self::numbers(raw)?;
            while !has_header && shape.rank > 1 && shape.axes[0] == 1 {
                shape.axes.copy_within(1.., 0);
                shape.rank -= 1;
            }
            Ok(shape.without_slow_ones())
        } else if raw.iter().all(u8::is_ascii_digit) {
            Self::numbers(raw)
        } else {
            Err(format!("shape: a list of numbers was expected, not `{}`", quote(raw)))
        }
    }

    /// Numbers between brackets or parentheses (or bare), divided by commas or `x`.
    fn numbers(text: &[u8]) -> Result<Self, String> {
        // `torch.Size([1, 8])` has both kinds.
        let inner = [(b"(", b")"), (b"[", b"]")].iter().fold(text.trim_ascii(), |text, &(open, close)| {
            text.strip_prefix(open).and_then(|t| t.strip_suffix(close)).unwrap_or(text).trim_ascii()
        });
        // Python writes a tuple of one as `(5,)`.
        let inner = inner.strip_suffix(b",").unwrap_or(inner);
        let mut shape = Self { axes: [0; MAX_RANK], rank: 0 };
        let mut product = 1_u64;
        for part in inner.split(|b| matches!(b, b',' | b'x')) {
            let part = part.trim_ascii();
            let axis = whole_number(part).filter(|&n| n > 0 && n <= MAX_VALUES).ok_or_else(|| {
                format!("shape: an axis of 1 to {MAX_VALUES} was expected, not `{}`", quote(part))
            })?;
            // Neither factor exceeds 2^28, so this cannot overflow.
            product *= axis;
            if shape.rank == MAX_RANK || product > MAX_VALUES {
                return Err(format!("shape: more than {MAX_RANK} axes or {MAX_VALUES} values"));
            }
            shape.axes[shape.rank] = axis as u32;
            shape.rank += 1;
        }
        Ok(shape)
    }

    fn without_slow_ones(mut self) -> Self {
        while self.rank > 1 && self.axes[self.rank - 1] == 1 {
            self.rank -= 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_become_fastest_first() {
        let cases: &[(&str, bool, &[u32])] = &[
            ("[151936]", true, &[151936]),
            ("\"[151936]\"", false, &[151936]),
            ("\"[1,151936]\"", false, &[151936]),
            ("\"[1, 1, 32, 64]\"", false, &[64, 32]),
            ("\"torch.Size([1, 32, 64])\"", false, &[64, 32]),
            ("\"(5,)\"", false, &[5]),
            ("\"32x64\"", false, &[64, 32]),
            ("\"151936\"", false, &[151936]),
            ("[64,32]", true, &[64, 32]),
            ("[64,32]", false, &[64, 32]),
            ("[2048, 1, 1, 1]", true, &[2048]),
            ("[1,151936]", false, &[151936]),
            ("[256,1,4]", true, &[256, 1, 4]),
            ("[1,1,4]", true, &[1, 1, 4]),
            ("[1]", false, &[1]),
            ("\"[1,1]\"", false, &[1]),
            ("7", true, &[7]),
        ];
        for (raw, has_header, expected) in cases {
            let shape = Shape::parse(raw.as_bytes(), *has_header).unwrap_or_else(|e| panic!("{raw}: {e}"));
            assert_eq!(shape.axes(), *expected, "{raw}");
        }
    }

    #[test]
    fn what_no_tensor_has_is_refused() {
        for raw in [
            "[]",
            "\"\"",
            "[0]",
            "[-1]",
            "[1.5]",
            "null",
            "[4294967296]",
            "[65536,65536]",
            "[1,1,1,1,1,1,1,1,1]",
            "[1,,2]",
            "\"[a]\"",
            "{}",
            "\"[1\"",
            "[[1]]",
        ] {
            assert!(Shape::parse(raw.as_bytes(), true).is_err(), "{raw}");
        }
    }
}
