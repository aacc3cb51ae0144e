//! Folding many values into the one that stands for them: plain passes over rows, which the compiler makes
//! quick. A picture of all layers stands for millions of values.

/// Bits of an infinity; the magnitudes of what is not finite are no less.
const INFINITE: i32 = 0x7f80_0000;

/// The bits of a magnitude, which are ordered as magnitudes are.
fn magnitude(value: f32) -> i32 {
    (value.to_bits() & 0x7fff_ffff) as i32
}

/// The value furthest from zero, the first one of several; one that is not finite wins over all others.
pub fn furthest(values: &[f32]) -> Option<f32> {
    let most = values.iter().fold(-1, |most, &value| most.max(magnitude(value)));
    let wins = |value: &&f32| if most < INFINITE { magnitude(**value) == most } else { !value.is_finite() };
    values.iter().find(wins).copied()
}

/// Folds one more value into what stands for others.
pub fn fold_in(cell: &mut Option<f32>, new: f32) {
    let wins = cell.is_none_or(|old| old.is_finite() && !(new.abs() <= old.abs()));
    if wins {
        *cell = Some(new);
    }
}

/// The largest finite magnitude.
pub fn largest(values: &[f32]) -> f32 {
    let finite = |value: f32| {
        let bits = magnitude(value);
        if bits < INFINITE { bits } else { 0 }
    };
    f32::from_bits(values.iter().fold(0, |most, &value| most.max(finite(value))) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fold_as_their_values_do_one_by_one() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let rows: [&[f32]; 9] = [
            &[],
            &[0.0, -0.0],
            &[-0.0, 0.0],
            &[1.0, -2.0, 2.0, 0.5],
            &[1e-42, -1e-40],
            &[1.0, -inf, nan, inf],
            &[nan, 9.0, -inf],
            &[3.0, f32::MAX, -f32::MAX],
            &[-7.0],
        ];
        for row in rows {
            let mut cell = None;
            for &value in row {
                fold_in(&mut cell, value);
            }
            assert_eq!(furthest(row).map(f32::to_bits), cell.map(f32::to_bits), "{row:?}");
            let plain = row.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f32::max);
            assert_eq!(largest(row).to_bits(), plain.to_bits(), "{row:?}");
        }
    }
}
