//! For a node that nothing explains: where and how it is off, in words.

use super::Case;
use super::factor::factor;
use crate::audit::AuditError;
use crate::audit::hypotheses::Finding;
use crate::audit::run::Auditor;
use crate::wording::figure;

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
    for (_, recorded, expected) in case.rows() {
        width = expected.len();
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
    let cosine = both / (own * other).sqrt();
    if cosine.is_finite() {
        parts.push(format!("cosine to what is right {}", crate::wording::cosine(cosine)));
    }
    if let Some(factor) = factor(&case).filter(|f| cosine > 0.99 && (f - 1.0).abs() > 1e-3) {
        parts.push(format!("nearest factor {}", figure(factor)));
    }
    if !finding.clean.is_empty()
        && let (Some(first), Some(last)) = (finding.faulty.iter().min(), finding.clean.iter().max())
        && last < first
    {
        parts.push(format!("from position {first} on"));
    }
    Ok(parts.join("; "))
}
