//! The most likely tokens in one order, with what both sides say of each.
//!
//! ```text
//! ─ tokens by the reference's probability ────────── KL 0.412 · first differs · 5/8 · margin 1.3 ─
//!            ─────── reference ───────  ─────── candidate ───────
//! token      rank   logit      p         rank   logit      p           Δp
//! ␣the          1  12.345   .620 ██████     3  10.21    .110 ██     -.510
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::list::fit;
use super::logits::{bar, figures, visible_spaces};
use super::{Context, frame, heading, put, span};
use crate::compare::Ranked;
use crate::figures::probability;
use crate::session::Focus;
use crate::text::safe;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;
use crate::tui::words;

const PANE: PaneKind = PaneKind::Ranking;

/// Columns of the figures of one side, without its bar.
const FIGURES: usize = 6 + 1 + 8 + 1 + 5;
/// Columns of the difference.
const CHANGE: usize = 8;

/// Widths of one screen.
struct Widths {
    name: usize,
    /// Of one side's bar.
    bar: usize,
    /// Whether logits are shown.
    logits: bool,
}

impl Widths {
    fn new(width: usize) -> Self {
        let logits = width >= 72;
        let figures = if logits { FIGURES } else { FIGURES - 9 };
        let name = (width / 5).clamp(6, 20);
        let left = width.saturating_sub(name + 2 * (figures + 2) + CHANGE);
        Self { name, bar: (left / 2).saturating_sub(1).min(24), logits }
    }

    fn side(&self) -> usize {
        let figures = if self.logits { FIGURES } else { FIGURES - 9 };
        figures + 1 + self.bar
    }
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let focus = app.shown().any();
    let right = focus.and_then(|f| figures(context, f));
    let order = words::ranking(app.ranking());
    let title = heading(context, PANE, &format!("tokens by {order}"));
    let inner = frame(context, PANE, &title, right.as_ref(), area, buf);
    if inner.is_empty() {
        return;
    }
    let Some(focus) = focus.filter(|f| !f.top.rows.is_empty()) else {
        let text = if focus.is_some() { "no logits at this position" } else { "reading …" };
        put(buf, inner, 0, &Line::from(span(text, theme.style(Role::Dim))));
        return;
    };
    let widths = Widths::new(inner.width as usize);
    let dim = theme.style(Role::Dim);
    let side = |name: &str, role| span(&format!("{name:^w$}", w = widths.side()), theme.bold(role));
    let head = vec![
        span(&format!("{:w$}  ", "", w = widths.name), dim),
        side("reference", Role::Reference),
        Span::raw("  "),
        side("candidate", Role::Candidate),
    ];
    put(buf, inner, 0, &Line::from(head));
    let columns = |w: &Widths| {
        let logit = if w.logits { format!(" {:>8}", "logit") } else { String::new() };
        format!("{:>6}{logit} {:>5} {:b$}", "rank", "p", "", b = w.bar)
    };
    let names = format!(
        "{:w$}  {}  {}{:>c$}",
        "token",
        columns(&widths),
        columns(&widths),
        "Δp",
        w = widths.name,
        c = CHANGE
    );
    put(buf, inner, 1, &Line::from(span(names.trim_end(), dim)));
    let rows = (inner.height as usize).saturating_sub(2);
    let scroll = (app.scroll(PANE) as usize).min(focus.top.rows.len().saturating_sub(rows));
    for (y, ranked) in (2u16..).zip(focus.top.rows.iter().skip(scroll).take(rows)) {
        put(buf, inner, y, &row(context, focus, ranked, &widths));
    }
    let current = focus.position == app.cursor().position && focus.top.ranking == app.ranking();
    if !current {
        buf.set_style(inner, Style::new().add_modifier(Modifier::DIM));
    }
}

fn row(context: Context<'_>, focus: &Focus, ranked: &Ranked, widths: &Widths) -> Line<'static> {
    let theme = context.theme;
    let known =
        focus.pieces.iter().find(|(id, _)| *id == ranked.token).map(|(_, text)| safe(text).into_owned());
    let piece = known.filter(|p| !p.is_empty()).unwrap_or_else(|| format!("[{}]", ranked.token));
    let piece = fit(&piece, widths.name);
    let mut spans = visible_spaces(context, &piece);
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat((widths.name + 2).saturating_sub(used))));
    let first = |side: usize| ranked.ranks[side] == Some(0);
    for (side, role) in [(0, Role::Reference), (1, Role::Candidate)] {
        let rank = ranked.ranks[side].map_or_else(|| "-".to_owned(), |rank| (rank + 1).to_string());
        let logit = match ranked.logits[side] {
            _ if !widths.logits => String::new(),
            Some(v) if v.abs() < 1e5 => format!(" {v:>8.3}"),
            Some(v) if v.is_finite() => format!(" {v:>8.1e}"),
            Some(v) => format!(" {v:>8}"),
            None => format!(" {:>8}", "-"),
        };
        let share = ranked.probabilities[side];
        let p = share.map_or_else(|| "-".to_owned(), probability);
        let style = if first(side) { theme.bold(Role::Text) } else { theme.style(Role::Text) };
        spans.push(span(&format!("{rank:>6}{logit} {p:>5} "), style));
        let bar = bar(share.unwrap_or(0.0), widths.bar);
        let space = " ".repeat(widths.bar.saturating_sub(bar.chars().count()));
        spans.push(Span::styled(bar, theme.style(role)));
        spans.push(Span::raw(space));
        if side == 0 {
            spans.push(Span::raw("  "));
        }
    }
    let change = ranked.probabilities[1].zip(ranked.probabilities[0]).map(|(c, r)| c - r);
    let role = if change.is_some_and(|d| d.abs() >= 0.01) { Role::Caution } else { Role::Dim };
    spans.push(span(
        &format!("{:>CHANGE$}", change.map_or_else(|| "-".to_owned(), signed)),
        theme.style(role),
    ));
    Line::from(spans)
}

/// A difference of probabilities: `+.012`, `-.510`, `0`.
fn signed(d: f32) -> String {
    if d.is_nan() {
        "NaN".to_owned()
    } else if d.abs() < 0.0005 {
        "·".to_owned()
    } else {
        let sign = if d > 0.0 { '+' } else { '-' };
        format!("{sign}{}", probability(d.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_signs() {
        assert_eq!(signed(0.25), "+.250");
        assert_eq!(signed(-0.51), "-.510");
        assert_eq!(signed(1e-6), "·");
        assert_eq!(signed(f32::NAN), "NaN");
    }
}
