//! The scale that heatmaps of both sides share, and that of their difference.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::span;
use crate::figures::figure;
use crate::palette;
pub use crate::palette::{difference, enlargement};
use crate::tui::theme::{Role, Theme};

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
