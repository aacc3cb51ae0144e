//! KL divergence over positions as bars, in decades; the cursor's is marked.
//!
//! ```text
//! ─ KL over positions ─── 1e-6 … 10 nats · here 0.412 ─
//!                   ▂▇██▇
//! ▁▁▁▂▁▁▁▁▁▂▁▁▁▁▁▁▁▁█████
//!                     ▲17
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::{Context, frame, heading, put, span};
use crate::figures::figure;
use crate::tui::app::{Action, App};
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

const PANE: PaneKind = PaneKind::Kl;

/// Decades that the bars span: from the KL of correct engines' noise to that of unrelated distributions.
const DECADES: std::ops::RangeInclusive<f64> = -6.0..=1.0;
/// From here on the distributions differ visibly: one hundredth of a nat.
const VISIBLE: f64 = 0.01;

/// Positions shown, and how many share one column.
struct Bins {
    first: usize,
    size: usize,
    columns: usize,
}

impl Bins {
    fn new(app: &App, width: usize) -> Self {
        let len = app.axis().len();
        let size = len.div_ceil(width.max(1)).max(1);
        Self { first: 0, size, columns: len.div_ceil(size) }
    }

    fn slots(&self, column: usize, len: usize) -> std::ops::Range<usize> {
        let start = (self.first + column * self.size).min(len);
        start..(start + self.size).min(len)
    }
}

/// Draws it.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (context.app, context.theme);
    let position = app.cursor().position;
    let title = heading(context, PANE, "KL");
    let here = app.marks(position).and_then(|m| m.column.logits).map(|l| l.kl);
    let said = here.map_or_else(|| "none here".to_owned(), |kl| format!("{} nats here", figure(kl)));
    let right = Line::from(vec![
        span(&said, theme.style(Role::Text)),
        span(" · bars from 1e-6 to 10", theme.style(Role::Dim)),
    ]);
    let inner = frame(context, PANE, &title, Some(&right), area, buf);
    if inner.height < 2 || app.axis().is_empty() {
        return;
    }
    let bins = Bins::new(app, inner.width as usize);
    let height = (inner.height - 1).min(12);
    let top = inner.bottom() - 1 - height;
    for column in 0..bins.columns {
        let slots = &app.axis()[bins.slots(column, app.axis().len())];
        let kls = slots.iter().filter_map(|&slot| Some(app.slot_marks(slot)?.column.logits?.kl));
        let worst = kls.reduce(|a, b| if a.is_nan() || a > b { a } else { b });
        let at_cursor = slots.iter().any(|s| s.position == position);
        let Some(kl) = worst else { continue };
        let role = match kl {
            _ if at_cursor => Role::Accent,
            kl if !kl.is_finite() => Role::Nonfinite,
            kl if kl >= VISIBLE => Role::Bad,
            _ => Role::Good,
        };
        bar(kl, (inner.x + column as u16, top, height), theme.style(role), buf);
    }
    let at = app.slot(position).map_or(0, |slot| slot / bins.size) as u16;
    let digits = position.to_string();
    let label = if at + (digits.len() as u16) < inner.width {
        (at, format!("▲{digits}"))
    } else {
        ((at + 1).saturating_sub(digits.len() as u16 + 1), format!("{digits}▲"))
    };
    let ruler =
        Rect { x: inner.x + label.0.min(inner.width), width: inner.width.saturating_sub(label.0), ..inner };
    put(buf, ruler, inner.height - 1, &Line::from(span(&label.1, theme.bold(Role::Accent))));
}

/// One bar, in eighths of a line.
fn bar(kl: f64, (x, top, height): (u16, u16, u16), style: Style, buf: &mut Buffer) {
    const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let eighths = eighths(kl, height);
    for line in 0..height {
        let left = eighths.saturating_sub(8 * line).min(8);
        let y = top + height - 1 - line;
        if left > 0
            && let Some(cell) = buf.cell_mut((x, y))
        {
            cell.set_symbol(EIGHTHS[left as usize]).set_style(style);
        }
    }
}

/// Eighths of a line for a bar of this height; the least is always seen, NaN and infinity fill it.
fn eighths(kl: f64, height: u16) -> u16 {
    if !kl.is_finite() {
        return 8 * height;
    }
    let (low, high) = (*DECADES.start(), *DECADES.end());
    let share = ((kl.max(1e-12).log10() - low) / (high - low)).clamp(0.0, 1.0);
    ((share * f64::from(8 * height)).round() as u16).max(1)
}

/// The position at column `x`.
pub fn hit(context: Context<'_>, area: Rect, x: u16, _: u16) -> Option<Action> {
    let wall = 1 + u16::from(area.x > 0);
    let bins = Bins::new(context.app, area.width.saturating_sub(wall) as usize);
    let column = x.checked_sub(area.x + wall)? as usize;
    let slot = bins.slots(column, context.app.axis().len()).next()?;
    Some(Action::SelectPosition(context.app.axis()[slot].position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_decades() {
        assert_eq!(eighths(0.0, 7), 1);
        assert_eq!(eighths(1e-3, 7), 24);
        assert_eq!(eighths(1e3, 7), 56);
        assert_eq!(eighths(f64::NAN, 2), 16);
    }
}
