//! For a node that nothing explains: where and how it is off, in words.

use super::Case;
use super::factor::factor;
use crate::audit::AuditError;
use crate::audit::auditor::Auditor;
use crate::audit::hypotheses::Finding;
use crate::figures::figure;

/// Values that are off by more than this share of the row's typical value count as off.
const OFF: f64 = 1e-4;

/// A clause or two: which channels, heads and positions, how alike both are, whether it grows.
pub(in crate::audit) fn describe(auditor: &Auditor<'_>, finding: &Finding) -> Result<String, AuditError> {
    let stretch = &finding.stretch;
    let positions = super::sample(&finding.faulty, super::SAMPLE);
    let case = Case::new(auditor, stretch, finding.choice, stretch.output(), positions)?;
    let mut parts = Vec::new();
    let (mut both, mut own, mut other) = (0.0, 0.0, 0.0);
    let mut channels: std::collections::BTreeSet<usize> = std::collections::BTreeSet::new();
    let mut width = 0;
    let (mut nans, mut infinite, mut zeros, mut compared) = (0, 0, 0, 0);
    let mut gains: Vec<f64> = Vec::new();
    for (_, recorded, expected) in case.rows() {
        width = expected.len();
        compared += recorded.len();
        nans += recorded.iter().zip(expected).filter(|(a, b)| a.is_nan() && !b.is_nan()).count();
        infinite += recorded.iter().zip(expected).filter(|(a, b)| a.is_infinite() && b.is_finite()).count();
        zeros += recorded.iter().zip(expected).filter(|(a, b)| **a == 0.0 && **b != 0.0).count();
        gains.extend(gain(recorded, expected));
        let typical = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len().max(1) as f64).sqrt();
        for (c, (&a, b)) in recorded.iter().zip(expected).enumerate() {
            let a = f64::from(a);
            both += a * b;
            own += b * b;
            other += a * a;
            if !((a - b).abs() <= OFF * typical) {
                channels.insert(c);
            }
        }
    }
    if width == 0 {
        return Ok("its values cannot be compared".to_owned());
    }
    let grows = case.node.op.grows();
    if channels.is_empty() {
        parts.push("all of its values are nearly right".to_owned());
    } else if channels.len() * 10 >= width * 9 || grows {
        parts.push("nearly all of its values are off".to_owned());
    } else {
        let head = case.graph().attention().map_or(0, |a| a.head_dim);
        let heads: std::collections::BTreeSet<usize> =
            channels.iter().filter_map(|c| c.checked_div(head)).collect();
        let shown: Vec<String> = channels.iter().take(6).map(ToString::to_string).collect();
        let more = if channels.len() > 6 { " …" } else { "" };
        parts.push(format!(
            "{} of {width} values are off (channels {}{more})",
            channels.len(),
            shown.join(", ")
        ));
        if head > 0 && width % head == 0 && heads.len() * head < width {
            let shown: Vec<String> = heads.iter().take(8).map(ToString::to_string).collect();
            parts.push(format!("in heads {}", shown.join(", ")));
        }
    }
    for (n, what) in [(nans, "NaN"), (infinite, "infinite"), (zeros, "zero")] {
        if n > 0 {
            parts.push(format!("{n} of {compared} are {what}"));
        }
    }
    if let (true, [first, rest @ ..]) = (gains.len() == case.rows().count() && gains.len() > 1, &gains[..])
        && rest.iter().any(|g| (g - first).abs() > 1e-3 * first.abs())
    {
        let shown: Vec<String> = gains.iter().map(|g| figure(*g)).collect();
        parts.push(format!("each row is right but for a factor of its own ({})", shown.join(", ")));
    }
    let cosine = both / (own * other).sqrt();
    if cosine.is_finite() {
        parts.push(format!("cosine to what is right {}", crate::figures::cosine(cosine)));
    }
    if let Some(factor) = factor(&case).filter(|f| cosine > 0.99 && (f - 1.0).abs() > 1e-3) {
        parts.push(format!("nearest factor {}", figure(factor)));
    }
    if let [only] = finding.faulty[..]
        && !finding.clean.is_empty()
    {
        parts.push(format!("at position {only} only"));
    } else if !finding.clean.is_empty()
        && let (Some(first), Some(last)) = (finding.faulty.iter().min(), finding.clean.iter().max())
        && last < first
    {
        parts.push(format!("from position {first} on"));
    }
    Ok(parts.join("; "))
}

/// The factor that makes a row right, if there is one.
fn gain(recorded: &[f32], right: &[f64]) -> Option<f64> {
    let (mut both, mut own, mut other) = (0.0, 0.0, 0.0);
    for (&a, b) in recorded.iter().zip(right) {
        let a = f64::from(a);
        both += a * b;
        own += b * b;
        other += a * a;
    }
    // 1 − cos² is the share of the row that no factor explains.
    (1.0 - both * both / (own * other) <= 1e-8).then_some(both / own)
}
