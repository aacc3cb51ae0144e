//! Inner products, compiled once for any processor and once for AVX2 with FMA.
//!
//! Partial sums of [`PIECE`] products stay in the lanes' precision; pieces are added in f64, so the
//! error of a long row is that of a short one (about 1e-7 relative to Σ|a·b|).

/// Values summed in lanes before they are added to the f64 total.
pub const PIECE: usize = 256;

/// Independent accumulators: enough to hide the latency of four 8-lane FMAs.
const LANES: usize = 32;

/// Σ a·b in f32 lanes. Slices of unequal length are cut to the shorter one.
pub fn f32_f32(a: &[f32], b: &[f32]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if has_avx2_fma() {
        // SAFETY: the processor has the features that the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { f32_f32_avx2(a, b) };
    }
    sum_pieces(a, b, |a, b| lanes_f32(a, b, |x, y, acc| x * y + acc))
}

/// Σ a·b in f64 lanes, `a` widened. Slices of unequal length are cut to the shorter one.
pub fn f32_f64(a: &[f32], b: &[f64]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if has_avx2_fma() {
        // SAFETY: the processor has the features that the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { f32_f64_avx2(a, b) };
    }
    lanes_f64(a, b)
}

/// Σ a² in f64 lanes.
pub fn square(a: &[f32]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if has_avx2_fma() {
        // SAFETY: the processor has the features that the function is compiled for.
        #[allow(unsafe_code)]
        return unsafe { square_avx2(a) };
    }
    lanes_square(a)
}

#[cfg(target_arch = "x86_64")]
fn has_avx2_fma() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn f32_f32_avx2(a: &[f32], b: &[f32]) -> f64 {
    sum_pieces(a, b, |a, b| lanes_f32(a, b, f32::mul_add))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn f32_f64_avx2(a: &[f32], b: &[f64]) -> f64 {
    lanes_f64(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn square_avx2(a: &[f32]) -> f64 {
    lanes_square(a)
}

#[inline(always)]
fn sum_pieces(a: &[f32], b: &[f32], piece: impl Fn(&[f32], &[f32]) -> f32) -> f64 {
    a.chunks(PIECE).zip(b.chunks(PIECE)).map(|(a, b)| piece(a, b) as f64).sum()
}

#[inline(always)]
fn lanes_f32(a: &[f32], b: &[f32], mul_add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut acc = [0.0f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for i in 0..LANES {
            acc[i] = mul_add(a[i], b[i], acc[i]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            acc[i] += acc[i + width];
        }
        width /= 2;
    }
    let rest: f32 = a_rest.iter().zip(b_rest).fold(0.0, |sum, (&a, &b)| mul_add(a, b, sum));
    acc[0] + rest
}

#[inline(always)]
fn lanes_f64(a: &[f32], b: &[f64]) -> f64 {
    const WIDE: usize = 16;
    let mut acc = [0.0f64; WIDE];
    let (a_lanes, a_rest) = a.as_chunks::<WIDE>();
    let (b_lanes, b_rest) = b.as_chunks::<WIDE>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for i in 0..WIDE {
            acc[i] += a[i] as f64 * b[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| a as f64 * b).sum();
    acc.iter().sum::<f64>() + rest
}

#[inline(always)]
fn lanes_square(a: &[f32]) -> f64 {
    const WIDE: usize = 16;
    let mut acc = [0.0f64; WIDE];
    let (lanes, rest) = a.as_chunks::<WIDE>();
    for a in lanes {
        for i in 0..WIDE {
            let wide = a[i] as f64;
            acc[i] += wide * wide;
        }
    }
    acc.iter().sum::<f64>() + rest.iter().map(|&a| a as f64 * a as f64).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_exact_sums_at_every_length() {
        for n in (0..70).chain([255, 256, 257, 1000, 4099]) {
            let a: Vec<f32> = (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 51.0).collect();
            let b: Vec<f32> = (0..n).map(|i| ((i * 53 % 89) as f32 - 44.0) / 45.0).collect();
            let wide: Vec<f64> = b.iter().map(|&v| v as f64).collect();
            let exact: f64 = a.iter().zip(&wide).map(|(&a, b)| a as f64 * b).sum();
            let scale: f64 = a.iter().zip(&wide).map(|(&a, b)| (a as f64 * b).abs()).sum::<f64>().max(1e-30);
            // f32 products and at most 8 additions per lane: a few units of 2^-24.
            assert!((f32_f32(&a, &b) - exact).abs() <= 5e-7 * scale, "{n}");
            assert!((f32_f64(&a, &wide) - exact).abs() <= 1e-15 * scale * (n.max(1) as f64), "{n}");
            let own: Vec<f64> = a.iter().map(|&v| v as f64).collect();
            assert!((square(&a) - f32_f64(&a, &own)).abs() <= 1e-15 * (n.max(1) as f64), "{n}");
        }
    }

    #[test]
    fn nothing_hides_nan() {
        for at in [0, 31, 32, 299] {
            let mut a = vec![1.0f32; 300];
            a[at] = f32::NAN;
            assert!(f32_f32(&a, &vec![1.0; 300]).is_nan());
            assert!(f32_f64(&a, &vec![1.0; 300]).is_nan());
        }
    }
}
