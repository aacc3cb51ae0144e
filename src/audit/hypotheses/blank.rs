//! Channels, or whole heads, that hold nothing: zero, NaN or infinity, and the rest is right.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Case, Hypothesis, Trial};
use crate::audit::change::Change;

/// See the module.
pub struct Blank;

impl Hypothesis for Blank {
    fn id(&self) -> &'static str {
        "blank-values"
    }
    fn is_general(&self) -> bool {
        true
    }
    fn trials(&self, case: &Case<'_, '_>) -> Vec<Trial> {
        if !case.is_output() || case.node.op.grows() {
            return Vec::new();
        }
        let mut rows = case.rows();
        let Some((_, first, right)) = rows.next() else { return Vec::new() };
        let blank = |x: f32| !x.is_finite() || x == 0.0;
        let mut channels: BTreeSet<usize> = (0..first.len())
            .filter(|&c| blank(first[c]) && right[c].is_finite() && (right[c] != 0.0 || first[c] != 0.0))
            .collect();
        let kind = |x: f32| (x.is_nan(), x.is_infinite(), x.is_sign_negative());
        for (_, row, _) in rows {
            channels.retain(|&c| row.get(c).is_some_and(|&x| blank(x) && kind(x) == kind(first[c])));
        }
        let Some(&one) = channels.first() else { return Vec::new() };
        let alike = channels.iter().all(|&c| kind(first[c]) == kind(first[one]));
        let what = match first[one] {
            _ if !alike => "zero or not finite",
            x if x.is_nan() => "NaN",
            x if x == f32::NEG_INFINITY => "−∞",
            x if x.is_infinite() => "infinite",
            _ => "zero",
        };
        let says = format!("{} {what}", place(case, &channels, first.len()));
        let values: Vec<(usize, f64)> = channels.iter().map(|&c| (c, f64::from(first[c]))).collect();
        let post = move |_: u32, out: &mut [f64]| {
            for &(c, x) in &values {
                if let Some(out) = out.get_mut(c) {
                    *out = x;
                }
            }
        };
        vec![Trial::new(0, says, Change { post: Some(Arc::new(post)), ..case.with(|_| {}) })]
    }
}

/// The channels in words, with the verb: `values 3, 5 are`.
pub(super) fn place(case: &Case<'_, '_>, channels: &BTreeSet<usize>, width: usize) -> String {
    if channels.len() == width {
        return "all values are".to_owned();
    }
    let list = |numbers: &mut dyn Iterator<Item = usize>| {
        let shown: Vec<String> = numbers.take(7).map(|n| n.to_string()).collect();
        let more = shown.len() > 6;
        format!("{}{}", shown[..shown.len().min(6)].join(", "), if more { " …" } else { "" })
    };
    let head = case.graph().attention().map_or(0, |a| a.head_dim);
    if head > 1 && width.is_multiple_of(head) && width > head {
        let heads: BTreeSet<usize> = channels.iter().map(|c| c / head).collect();
        if heads.len() * head == channels.len() {
            let (noun, verb) = if heads.len() == 1 { ("head", "is") } else { ("heads", "are") };
            return format!("{noun} {} {verb}", list(&mut heads.into_iter()));
        }
    }
    let (noun, verb) = if channels.len() == 1 { ("value", "is") } else { ("values", "are") };
    format!("{noun} {} {verb}", list(&mut channels.iter().copied()))
}
