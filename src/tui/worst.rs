//! The elements in which two tensors differ most, and how they are written.

use std::cmp::Ordering;

use crate::trace::Tensor;

/// Elements that are listed.
const LISTED: usize = 64;

/// A value with this many digits after the point.
pub(super) fn value(v: f32, digits: usize) -> String {
    if v.is_finite() { format!("{v:.digits$e}") } else { format!("{v}") }
}

/// Channels by |difference|, the largest first; what is not finite on one side only comes first.
pub(super) fn worst(reference: &Tensor, candidate: &Tensor) -> Vec<usize> {
    let len = reference.values.len().min(candidate.values.len());
    let size = |c: usize| -> f32 {
        let (a, b) = (reference.values[c], candidate.values[c]);
        let same = a == b || (a.is_nan() && b.is_nan());
        let size = if same { 0.0 } else { (a - b).abs() };
        if size.is_nan() { f32::INFINITY } else { size }
    };
    let mut channels: Vec<usize> = (0..len).collect();
    let by_size = |a: &usize, b: &usize| -> Ordering { size(*b).total_cmp(&size(*a)).then(a.cmp(b)) };
    if len > LISTED {
        channels.select_nth_unstable_by(LISTED, by_size);
        channels.truncate(LISTED);
    }
    channels.sort_by(by_size);
    channels
}

/// Steps between neighbouring floats from `a` to `b`.
pub(super) fn ulps(a: f32, b: f32) -> Option<u64> {
    // Negative floats run backwards in their bits; this puts all of them on one line.
    let place = |v: f32| {
        let bits = i64::from(v.to_bits() & 0x7fff_ffff);
        if v.is_sign_negative() { -bits } else { bits }
    };
    (a.is_finite() && b.is_finite()).then(|| place(a).abs_diff(place(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulps_count_floats() {
        assert_eq!(ulps(1.0, 1.0f32.next_up()), Some(1));
        assert_eq!(ulps(0.0, -0.0), Some(0));
        assert_eq!(ulps(0.0f32.next_down(), 0.0f32.next_up()), Some(2));
        assert_eq!(ulps(1.0, f32::NAN), None);
    }

    #[test]
    fn the_worst_come_first_and_nan_before_them() {
        let tensor = |values: Vec<f32>| Tensor { shape: vec![values.len() as u32], values, exact: true };
        let a = tensor(vec![1.0, 2.0, f32::NAN, 4.0]);
        let b = tensor(vec![1.5, 2.0, f32::NAN, f32::NAN]);
        assert_eq!(worst(&a, &b), [3, 0, 1, 2]);
        let many = tensor((0..1000).map(|i| i as f32).collect());
        let zero = tensor(vec![0.0; 1000]);
        assert_eq!(worst(&many, &zero)[..3], [999, 998, 997]);
    }
}
