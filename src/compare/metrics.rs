//! The sums behind every figure of a cell, in one pass over both rows.
//!
//! Values are widened to f64 before they are subtracted, so nothing is lost to rounding or
//! overflow: the square of the largest f32 fits f64 with room for 10²³⁰ of them.

use super::CellMetrics;

/// Sums over one pair of rows; `a` is the reference, `b` the candidate. Channels where both hold
/// the same non-finite value agree and are left out of the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Σa².
    pub aa: f64,
    /// Σb².
    pub bb: f64,
    /// Σab.
    pub ab: f64,
    /// Σ(a−b)².
    pub dd: f64,
    /// Largest |a−b|.
    pub max_abs: f64,
    /// Where; the first such channel.
    pub max_at: u32,
    /// Non-finite values of the reference.
    pub nonfinite_reference: u32,
    /// Non-finite values of the candidate.
    pub nonfinite_candidate: u32,
    /// Channels where one side's non-finite value is not matched by the other's.
    pub unmatched: u32,
    /// First of these channels.
    pub unmatched_at: u32,
    /// Channels looked at.
    pub compared: u32,
}

/// Channels summed before the running maximum is looked at; 8 KB of both rows stay in the first
/// level cache for the second look.
const BLOCK: usize = 1024;
/// Independent accumulators: enough to hide the latency of an addition on current processors.
const LANES: usize = 16;

/// Sums over the common part of both rows.
pub fn sums(reference: &[f32], candidate: &[f32]) -> Sums {
    let mut total = Sums::default();
    total.add(0, reference, candidate);
    total
}

impl Sums {
    /// Adds a piece of both rows whose first element is channel `first`.
    pub fn add(&mut self, first: usize, reference: &[f32], candidate: &[f32]) {
        let n = reference.len().min(candidate.len());
        let blocks = reference[..n].chunks(BLOCK).zip(candidate[..n].chunks(BLOCK));
        for (index, (a, b)) in blocks.enumerate() {
            let start = first + index * BLOCK;
            let block = block_sums(a, b);
            // A non-finite value on either side makes Σ(a−b)² non-finite, and nothing else can.
            if block.dd.is_finite() {
                self.take(start, a, b, &block);
            } else {
                self.careful(start, a, b);
            }
        }
        self.compared += n as u32;
    }

    fn take(&mut self, start: usize, a: &[f32], b: &[f32], block: &BlockSums) {
        self.aa += block.aa;
        self.bb += block.bb;
        self.ab += block.ab;
        self.dd += block.dd;
        if block.max > self.max_abs {
            let at = a.iter().zip(b).position(|(&x, &y)| (f64::from(x) - f64::from(y)).abs() == block.max);
            self.max_abs = block.max;
            self.max_at = (start + at.unwrap_or(0)) as u32;
        }
    }

    #[cold]
    fn careful(&mut self, start: usize, a: &[f32], b: &[f32]) {
        for (i, (&x, &y)) in a.iter().zip(b).enumerate() {
            self.nonfinite_reference += u32::from(!x.is_finite());
            self.nonfinite_candidate += u32::from(!y.is_finite());
            if x.is_finite() && y.is_finite() {
                let (x, y) = (f64::from(x), f64::from(y));
                let d = (x - y).abs();
                self.aa += x * x;
                self.bb += y * y;
                self.ab += x * y;
                self.dd += d * d;
                if d > self.max_abs {
                    self.max_abs = d;
                    self.max_at = (start + i) as u32;
                }
            } else if x != y && !(x.is_nan() && y.is_nan()) {
                if self.unmatched == 0 {
                    self.unmatched_at = (start + i) as u32;
                }
                self.unmatched += 1;
            }
        }
    }

    /// √(Σ(a−b)²/Σa²): NaN where a non-finite value is unmatched, 0 where both rows are zero,
    /// infinite where only the reference is.
    pub fn relative_error(&self) -> f64 {
        self.nmse().sqrt()
    }

    /// Σ(a−b)²/Σa², with the rules of [`Sums::relative_error`].
    pub fn nmse(&self) -> f64 {
        if self.unmatched > 0 {
            f64::NAN
        } else if self.dd == 0.0 {
            0.0
        } else {
            self.dd / self.aa
        }
    }

    /// Cosine of the angle; 1 for two zero rows, 0 for one.
    pub fn cosine(&self) -> f64 {
        if self.unmatched > 0 {
            f64::NAN
        } else if self.aa == 0.0 && self.bb == 0.0 {
            1.0
        } else if self.aa == 0.0 || self.bb == 0.0 {
            0.0
        } else {
            // Two factors, because the product of both sums could leave f64.
            (self.ab / self.aa.sqrt() / self.bb.sqrt()).clamp(-1.0, 1.0)
        }
    }

    /// The figures of the cell; `of` is how many values the larger shape promises.
    pub fn metrics(&self, of: u32) -> CellMetrics {
        let (max_abs, max_at) = if self.unmatched > 0 {
            (f32::INFINITY, self.unmatched_at)
        } else {
            (self.max_abs as f32, self.max_at)
        };
        CellMetrics {
            nmse: self.nmse(),
            cosine: self.cosine(),
            max_abs,
            max_at,
            nonfinite_reference: self.nonfinite_reference,
            nonfinite_candidate: self.nonfinite_candidate,
            compared: self.compared,
            of: of.max(self.compared),
        }
    }
}

/// The larger of two figures where NaN is worse than anything.
pub fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b <= a { a } else { b }
}

/// The middle value, the lower of two; NaN sorts last. 0 of nothing.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.map(|x| if x.is_nan() { f64::NAN } else { x }).collect();
    if values.is_empty() {
        return 0.0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

struct BlockSums {
    aa: f64,
    bb: f64,
    ab: f64,
    dd: f64,
    max: f64,
}

#[inline(always)]
fn block_sums_body(a: &[f32], b: &[f32]) -> BlockSums {
    let mut aa = [0.0_f64; LANES];
    let mut bb = [0.0_f64; LANES];
    let mut ab = [0.0_f64; LANES];
    let mut dd = [0.0_f64; LANES];
    let mut max = [0.0_f64; LANES];
    let mut step = |xs: &[f32; LANES], ys: &[f32; LANES]| {
        for lane in 0..LANES {
            let (x, y) = (f64::from(xs[lane]), f64::from(ys[lane]));
            let d = x - y;
            aa[lane] += x * x;
            bb[lane] += y * y;
            ab[lane] += x * y;
            dd[lane] += d * d;
            let size = d.abs();
            max[lane] = if size > max[lane] { size } else { max[lane] };
        }
    };
    let (xs, x_rest) = a.as_chunks::<LANES>();
    let (ys, y_rest) = b.as_chunks::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        step(x, y);
    }
    if !x_rest.is_empty() {
        // Zeros on both sides add nothing to any sum.
        let (mut x, mut y) = ([0.0; LANES], [0.0; LANES]);
        x[..x_rest.len()].copy_from_slice(x_rest);
        y[..y_rest.len()].copy_from_slice(y_rest);
        step(&x, &y);
    }
    BlockSums {
        aa: aa.iter().sum(),
        bb: bb.iter().sum(),
        ab: ab.iter().sum(),
        dd: dd.iter().sum(),
        max: max.iter().copied().fold(0.0, f64::max),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn block_sums_avx2(a: &[f32], b: &[f32]) -> BlockSums {
    block_sums_body(a, b)
}

/// The same additions in the same order on every processor, so the same bits; wider registers
/// only make them faster. Products and additions are not fused for the same reason.
fn block_sums(a: &[f32], b: &[f32]) -> BlockSums {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        return unsafe { block_sums_avx2(a, b) };
    }
    block_sums_body(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    fn naive(a: &[f32], b: &[f32]) -> (f64, f64) {
        let dd: f64 = a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
        let aa: f64 = a.iter().map(|&x| f64::from(x).powi(2)).sum();
        let bb: f64 = b.iter().map(|&x| f64::from(x).powi(2)).sum();
        let ab: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
        (dd / aa, ab / (aa * bb).sqrt())
    }

    #[test]
    fn any_length_equals_the_plain_sum() {
        let mut noise = Noise::new(1);
        for n in [1, 2, 15, 16, 17, 1023, 1024, 1025, 5000] {
            let a = noise.row(n);
            let b: Vec<f32> = a.iter().map(|x| x + 0.01 * noise.normal()).collect();
            let s = sums(&a, &b);
            let (nmse, cosine) = naive(&a, &b);
            // Sums of n positive f64 terms in another order: n · 2⁻⁵³ relative at most.
            assert!((s.nmse() / nmse - 1.0).abs() < 1e-12, "{n}");
            assert!((s.cosine() - cosine).abs() < 1e-12, "{n}");
            let worst = (0..n).map(|i| (a[i] - b[i]).abs()).fold(0.0, f32::max);
            let m = s.metrics(n as u32);
            assert!((m.max_abs - worst).abs() <= worst * 1e-6);
            assert!(((a[m.max_at as usize] - b[m.max_at as usize]).abs() - worst).abs() <= worst * 1e-6);
        }
    }

    #[test]
    fn nan_and_infinity_on_one_side_fail_every_gate() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for swap in [false, true] {
                let a = vec![1.0; 3000];
                let mut b = a.clone();
                b[2047] = bad;
                let s = if swap { sums(&b, &a) } else { sums(&a, &b) };
                assert!(s.nmse().is_nan() && s.cosine().is_nan());
                let m = s.metrics(3000);
                assert_eq!((m.max_at, m.max_abs), (2047, f32::INFINITY));
                assert_eq!(m.nonfinite_reference + m.nonfinite_candidate, 1);
            }
        }
    }

    #[test]
    fn the_same_nonfinite_value_on_both_sides_agrees() {
        let a = [1.0, f32::NEG_INFINITY, 3.0, f32::NAN];
        let s = sums(&a, &[1.0, f32::NEG_INFINITY, 3.5, f32::NAN]);
        assert_eq!((s.unmatched, s.nonfinite_reference, s.nonfinite_candidate), (0, 2, 2));
        assert_eq!(s.nmse(), 0.25 / 10.0);
        let s = sums(&a, &[1.0, f32::INFINITY, 3.0, f32::NAN]);
        assert!(s.nmse().is_nan(), "the other infinity is not the same value");
    }

    #[test]
    fn nan_is_worse_than_anything_whenever_it_comes() {
        assert!(worse(f64::NAN, 1.0).is_nan() && worse(1.0, f64::NAN).is_nan());
        assert_eq!((worse(1.0, 2.0), worse(2.0, 1.0)), (2.0, 2.0));
    }

    #[test]
    fn zero_rows_and_extremes() {
        assert_eq!(sums(&[0.0; 8], &[0.0; 8]).nmse(), 0.0);
        assert_eq!(sums(&[0.0; 8], &[0.0; 8]).cosine(), 1.0);
        assert_eq!(sums(&[0.0; 8], &[1.0; 8]).nmse(), f64::INFINITY);
        assert_eq!(sums(&[0.0; 8], &[1.0; 8]).cosine(), 0.0);
        assert_eq!(sums(&[], &[]).nmse(), 0.0);
        let s = sums(&[f32::MAX; 4], &[-f32::MAX; 4]);
        assert_eq!((s.nmse(), s.cosine()), (4.0, -1.0));
        let tiny = f32::from_bits(1);
        assert_eq!(sums(&[tiny; 4], &[tiny * 2.0; 4]).nmse(), 1.0);
    }
}
