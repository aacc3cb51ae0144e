//! Many rows by many columns: a tile of products is added up in registers, so that a value is widened and loaded
//! once for several products. For any processor, for AVX2 with FMA and for AVX-512.

use crate::engine::cpu::dot;

/// Values of a row that are taken at once: those of all columns stay in the cache meanwhile.
const PIECE: usize = 1024;

/// Adds the products of `rows` (one after the other, each as long as a column) and `columns` to `out`:
/// `out[row * stride + column]`. The sums are f64.
pub fn add_products(rows: &[f32], columns: &[&[f64]], out: &mut [f64], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") {
            return pieces(rows, columns, out, stride, |a, b| {
                // SAFETY: the processor has the feature that the function is compiled for.
                #[allow(unsafe_code)]
                unsafe {
                    x86::avx512(a, b)
                }
            });
        }
        if has!("avx2") && has!("fma") {
            return pieces(rows, columns, out, stride, |a, b| {
                // SAFETY: as above.
                #[allow(unsafe_code)]
                unsafe {
                    x86::avx2(a, b)
                }
            });
        }
    }
    pieces(rows, columns, out, stride, plain::<2, 2>);
}

fn pieces<const R: usize, const C: usize>(
    rows: &[f32],
    columns: &[&[f64]],
    out: &mut [f64],
    stride: usize,
    tile: impl Fn([&[f32]; R], [&[f64]; C]) -> [[f64; C]; R],
) {
    let Some(len) = columns.first().map(|column| column.len()).filter(|&len| len > 0) else { return };
    for start in (0..len).step_by(PIECE) {
        let part = start..len.min(start + PIECE);
        let row = |r: usize| &rows[r * len..][part.clone()];
        let n = rows.len() / len;
        for first in (0..n).step_by(R) {
            let height = R.min(n - first);
            // A row or column that is not there is the last one again, and its sum is dropped.
            let a: [&[f32]; R] = std::array::from_fn(|r| row(first + r.min(height - 1)));
            for (group, columns) in columns.chunks(C).enumerate() {
                let last = columns.len() - 1;
                let b: [&[f64]; C] = std::array::from_fn(|c| &columns[c.min(last)][part.clone()]);
                let sums = tile(a, b);
                for (r, sums) in sums.iter().enumerate().take(height) {
                    let out = &mut out[(first + r) * stride + group * C..];
                    for (out, sum) in out.iter_mut().zip(sums).take(columns.len()) {
                        *out += sum;
                    }
                }
            }
        }
    }
}

/// Sums of one tile, on any processor.
fn plain<const R: usize, const C: usize>(rows: [&[f32]; R], columns: [&[f64]; C]) -> [[f64; C]; R] {
    rows.map(|row| columns.map(|column| dot::f32_f64(row, column)))
}

/// Tiles in vector registers. A macro, since a function that is compiled for a feature takes no types that depend on it.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm256_cvtps_pd, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_setzero_pd,
        _mm512_cvtps_pd, _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_setzero_pd,
    };

    macro_rules! tile {
        ($name:ident, $features:literal, $rows:literal by $columns:literal, $lanes:literal,
         $zero:ident, $load:ident, $load_half:ident, $widen:ident, $fma:ident) => {
            #[target_feature(enable = $features)]
            #[allow(unsafe_code)]
            pub fn $name(rows: [&[f32]; $rows], columns: [&[f64]; $columns]) -> [[f64; $columns]; $rows] {
                let a = rows.map(|row| row.as_chunks::<$lanes>());
                let b = columns.map(|column| column.as_chunks::<$lanes>());
                let of_rows = a.iter().map(|(lanes, _)| lanes.len()).min().unwrap_or(0);
                let steps = b.iter().map(|(lanes, _)| lanes.len()).min().unwrap_or(0).min(of_rows);
                let (a_lanes, b_lanes) = (a.map(|a| &a.0[..steps]), b.map(|b| &b.0[..steps]));
                let mut sums = [[$zero(); $columns]; $rows];
                for k in 0..steps {
                    // SAFETY: as many values are read as the array has.
                    let wide = a_lanes.map(|a| $widen(unsafe { $load_half(a[k].as_ptr()) }));
                    for c in 0..$columns {
                        // SAFETY: as above.
                        let column = unsafe { $load(b_lanes[c][k].as_ptr()) };
                        for r in 0..$rows {
                            sums[r][c] = $fma(wide[r], column, sums[r][c]);
                        }
                    }
                }
                let mut out = [[0.0; $columns]; $rows];
                for r in 0..$rows {
                    for c in 0..$columns {
                        // SAFETY: a vector is its values, and any bits are values.
                        let lanes: [f64; $lanes] = unsafe { std::mem::transmute(sums[r][c]) };
                        let mut sum = 0.0;
                        for lane in lanes {
                            sum += lane;
                        }
                        for (&a, &b) in a[r].1.iter().zip(b[c].1) {
                            sum += f64::from(a) * b;
                        }
                        out[r][c] = sum;
                    }
                }
                out
            }
        };
    }

    tile!(avx512, "avx512f", 4 by 4, 8, _mm512_setzero_pd, _mm512_loadu_pd, _mm256_loadu_ps, _mm512_cvtps_pd, _mm512_fmadd_pd);
    tile!(avx2, "avx2,fma", 2 by 4, 4, _mm256_setzero_pd, _mm256_loadu_pd, _mm_loadu_ps, _mm256_cvtps_pd, _mm256_fmadd_pd);
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variant = fn(&[f32], &[&[f64]], &mut [f64], usize);

    /// Every variant that this processor can run.
    fn variants() -> Vec<Variant> {
        let mut variants: Vec<Variant> =
            vec![add_products, |a, b, out, stride| pieces(a, b, out, stride, plain::<2, 3>)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has the features.
            #[allow(unsafe_code)]
            variants.push(|a, b, out, stride| pieces(a, b, out, stride, |a, b| unsafe { x86::avx2(a, b) }));
        }
        variants
    }

    #[test]
    fn every_size_is_the_plain_sum() {
        for (n, m, len) in [(1, 1, 1), (3, 5, 7), (4, 4, 32), (5, 9, 1023), (2, 3, 2050), (7, 1, 100)] {
            let rows: Vec<f32> = (0..n * len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 51.0).collect();
            let columns: Vec<Vec<f64>> = (0..m)
                .map(|c| (0..len).map(|i| f64::from(((i + c) * 53 % 89) as u32) / 45.0 - 1.0).collect())
                .collect();
            let borrowed: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            for variant in variants() {
                let mut out = vec![0.25; n * (m + 1)];
                variant(&rows, &borrowed, &mut out, m + 1);
                for r in 0..n {
                    for (c, column) in columns.iter().enumerate() {
                        let terms =
                            || rows[r * len..][..len].iter().zip(column).map(|(a, b)| f64::from(*a) * b);
                        let scale: f64 = terms().map(f64::abs).sum();
                        // Each of `len` additions rounds by 2⁻⁵³ of at most Σ|terms|.
                        let bound = len as f64 * f64::EPSILON * scale.max(1.0);
                        let off = (out[r * (m + 1) + c] - 0.25 - terms().sum::<f64>()).abs();
                        assert!(off <= bound, "{n} {m} {len}: {off}");
                    }
                    assert_eq!(out[r * (m + 1) + m], 0.25);
                }
            }
        }
    }

    #[test]
    fn nothing_hides_nan() {
        for at in [0, 31, 1030] {
            let mut row = vec![1.0_f32; 1031];
            row[at] = f32::NAN;
            let mut out = vec![0.0; 2];
            add_products(&row, &[&[0.0; 1031], &[1.0; 1031]], &mut out, 2);
            assert!(out[0].is_nan() && out[1].is_nan());
        }
    }
}
