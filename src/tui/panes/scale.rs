//! The scale that heatmaps of both sides share, and that of their difference.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::span;
use crate::figures::figure;
use crate::palette;
use crate::tui::theme::{Role, Theme};

/// Candidate minus reference; equal infinities do not differ.
pub fn difference(reference: f32, candidate: f32) -> f32 {
    if reference == candidate { 0.0 } else { candidate - reference }
}

/// The largest power of ten by which the difference can be enlarged within the scale; at most 10⁶.
pub fn enlargement(worst: f32, limit: f32) -> u32 {
    if worst > 0.0 && limit > 0.0 { (limit / worst).log10().floor().clamp(0.0, 6.0) as u32 } else { 0 }
}

/// `-2.1 ▓▓▓▓░░░░▓▓▓▓ +2.1   remark   × NaN ∞ Inf`, as much of it as fits in `width` columns: the first of
/// the remarks that does, then the signs.
pub fn legend(theme: &Theme, limit: f32, remarks: &[&str], width: u16) -> Line<'static> {
    const WIDTH: usize = 12;
    let dim = theme.style(Role::Dim);
    let mut spans = vec![span(&format!("-{} ", figure(limit as f64)), dim)];
    if theme.paints() {
        let table = palette::value_table(theme.ground);
        for i in 0..WIDTH {
            let color = theme.color(table[i * (palette::TABLE_LEN - 1) / (WIDTH - 1)]);
            spans.push(Span::styled("█", Style::new().fg(color)));
        }
    } else {
        spans.push(Span::styled("█▓▒░", theme.style(Role::Reference)));
        spans.push(Span::raw(" "));
        spans.push(Span::styled("░▒▓█", theme.style(Role::Candidate)));
    }
    spans.push(span(&format!(" +{}", figure(limit as f64)), dim));
    let mut line = Line::from(spans);
    let width = width as usize;
    let remarks = remarks.iter().map(|remark| span(&format!("   {remark}"), dim));
    let signs = Span::styled("   × NaN ∞ Inf", theme.style(Role::Nonfinite));
    let room = |line: &Line<'_>| width.saturating_sub(line.width());
    let fitting = remarks.into_iter().find(|remark| remark.width() <= room(&line));
    line.spans.extend(fitting);
    if signs.width() <= room(&line) {
        line.spans.push(signs);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_enlarged_within_the_scale() {
        assert_eq!(enlargement(0.0, 1.0), 0);
        assert_eq!(enlargement(2.0, 1.0), 0);
        assert_eq!(enlargement(0.05, 1.0), 1);
        assert_eq!(enlargement(1e-12, 1.0), 6);
        assert_eq!(enlargement(f32::NAN, 1.0), 0);
        assert!(difference(f32::INFINITY, f32::INFINITY) == 0.0);
        assert!(difference(f32::INFINITY, 1.0) == f32::NEG_INFINITY);
        assert!(difference(1.0, f32::NAN).is_nan());
    }
}
