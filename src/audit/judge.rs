//! One recorded row against the computed one.

use super::computed::Computed;
use super::floor::{EPSILON, Floor, SUMS};

/// What a row may deviate by.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// The operation's floor.
    pub floor: Floor,
    /// Whether single values are held to their own bound.
    pub values: bool,
    /// What the row's norm may be off by beside the floor: what bridging and coarse recording cost.
    pub extra: f64,
}

/// How far a row is from what was computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// ‖recorded − computed‖ / ‖computed‖.
    pub relative: f64,
    /// What that may be at most.
    pub floor: f64,
    /// Times that the tighter of both bounds is exceeded: at most 1 is explained.
    pub severity: f64,
    /// The value that exceeds its own bound most: channel and how often.
    pub worst: Option<(u32, f64)>,
    /// Values beyond their own bound.
    pub beyond: u32,
    /// Values compared.
    pub compared: u32,
    /// Of those, values whose computed one is finite and not zero: NaN that agrees with NaN, or zero with
    /// zero, proves little.
    pub telling: u32,
}

impl Deviation {
    /// Whether the row is explained. Written so that NaN is not.
    pub fn is_explained(&self) -> bool {
        self.severity <= 1.0
    }
}

/// Compares over the values that were recorded.
pub fn judge(recorded: &[f32], computed: &Computed, tolerance: &Tolerance) -> Deviation {
    let (mut square, mut norm, mut terms) = (0.0, 0.0, 0.0);
    let mut worst: Option<(u32, f64)> = None;
    let (mut beyond, mut telling) = (0, 0);
    let compared = recorded.len().min(computed.values.len());
    for (i, (&a, &b)) in recorded.iter().zip(&computed.values).enumerate() {
        let a = f64::from(a);
        let scale = computed.scale[i];
        let difference = if a == b || (a.is_nan() && b.is_nan()) || overflows(a, b) { 0.0 } else { a - b };
        // `max` would drop NaN.
        let difference = match computed.ambiguity.get(i) {
            Some(&step) if difference.abs() <= step => 0.0,
            _ => difference,
        };
        square += difference * difference;
        if b.is_finite() {
            norm += b * b;
            telling += u32::from(b != 0.0);
        }
        if scale.is_finite() {
            terms += scale * scale;
        }
        // f32's own step near zero is nothing an engine can be held to.
        let bound = tolerance.floor.value * EPSILON * scale + f64::from(f32::MIN_POSITIVE);
        // Of a value that is not finite the bound is none either; what agrees needs none.
        let times = if difference == 0.0 { 0.0 } else { difference.abs() / bound };
        if !(times <= 1.0) {
            beyond += 1;
        }
        if worst.is_none_or(|(_, most)| !(times <= most)) {
            worst = Some((i as u32, times));
        }
    }
    let (difference, norm, terms) = (square.sqrt(), norm.sqrt(), terms.sqrt());
    let allowed = tolerance.floor.row * norm + SUMS * EPSILON * terms + tolerance.extra;
    let of_row = if difference == 0.0 { 0.0 } else { difference / (allowed + f64::from(f32::MIN_POSITIVE)) };
    let of_value = worst.filter(|_| tolerance.values).map_or(0.0, |(_, times)| times);
    let severity = if of_row.is_nan() || of_value.is_nan() { f64::INFINITY } else { of_row.max(of_value) };
    let share = |x: f64| if x == 0.0 { 0.0 } else { x / norm };
    Deviation {
        relative: share(difference),
        floor: share(allowed),
        severity,
        worst: worst.filter(|_| tolerance.values),
        beyond: if tolerance.values { beyond } else { 0 },
        compared: compared as u32,
        telling,
    }
}

/// Whether the recorded value is infinite and the computed one is where f32 ends.
fn overflows(a: f64, b: f64) -> bool {
    a.is_infinite() && b.signum() == a.signum() && b.abs() > f64::from(f32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::floor::floor;
    use crate::model::Op;

    fn judged(recorded: &[f32], values: &[f64]) -> Deviation {
        let scale = values.iter().map(|x| x.abs()).collect();
        let computed = Computed { values: values.to_vec(), scale, ambiguity: Vec::new() };
        let tolerance = Tolerance { floor: floor(&Op::Add), values: true, extra: 0.0 };
        judge(recorded, &computed, &tolerance)
    }

    #[test]
    fn one_wrong_value_shows_beside_a_massive_one() {
        let (mut recorded, values) = (vec![1.0_f32; 1000], vec![1.0_f64; 1000]);
        assert!(judged(&recorded, &values).is_explained());
        recorded[3] = 1.00001;
        let mut massive = values.clone();
        (recorded[0], massive[0]) = (1e6, 1e6);
        let found = judged(&recorded, &massive);
        assert!(!found.is_explained() && found.relative < 1e-10, "{found:?}");
        assert_eq!((found.worst.unwrap().0, found.beyond), (3, 1));
    }

    #[test]
    fn what_is_not_finite_is_never_explained_but_by_itself() {
        assert!(!judged(&[f32::NAN], &[1.0]).is_explained());
        assert!(!judged(&[1.0], &[f64::NAN]).is_explained());
        assert!(!judged(&[f32::INFINITY], &[1.0]).is_explained());
        assert!(judged(&[f32::NAN], &[f64::NAN]).is_explained());
        assert!(judged(&[f32::INFINITY], &[1e39]).is_explained());
        assert!(!judged(&[1.0], &[0.0]).is_explained());
        assert!(judged(&[0.0], &[0.0]).is_explained());
    }
}
