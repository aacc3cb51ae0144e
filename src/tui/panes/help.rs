//! Help: every key from the one table, then what the signs mean.
//!
//! ```text
//! ─ help ─────────────────────────────
//! Moving the cursor
//!   ←  h           one position back
//! …
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use super::{Context, frame, span, wrapped};
use crate::compare::Severity;
use crate::palette::{self, SEVERITY_TICKS, Shade};
use crate::tui::app::{Mark, Overlay};
use crate::tui::keymap::Chapter;
use crate::tui::kinds::PaneKind;
use crate::tui::theme::Role;

/// Columns of the signs beside the keys.
const LEGEND: u16 = 60;
/// Columns of the keys at most: longer lines are not read well.
const WIDEST: u16 = 110;

/// `text` after `label`, in lines of at most `width` columns that begin below one another.
fn hanging(label: Span<'static>, text: &str, style: Style, width: u16) -> Vec<Line<'static>> {
    let indent = label.width();
    // One column stays free for the sign that there is more.
    let room = (width as usize).saturating_sub(indent + 1).max(10);
    let mut labels = std::iter::once(label).chain(std::iter::repeat(Span::raw(" ".repeat(indent))));
    let line = |text: String| {
        let label = labels.next().unwrap_or_default();
        Line::from(vec![label, span(&text, style)])
    };
    wrapped(text, room).into_iter().map(line).collect()
}

/// Draws it over everything but the footer.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    let area = area.intersection(buf.area);
    let title = Line::from(span("help", theme.bold(Role::Accent)));
    let right = Line::from(span("↑↓ scroll · Esc closes", theme.style(Role::Dim)));
    let inner = frame(context, PaneKind::Map, &title, Some(&right), area, buf);
    if inner.is_empty() {
        return;
    }
    let wide = inner.width >= 130;
    // The signs beside the keys, where there is room for both.
    let legend_width = if wide { LEGEND } else { inner.width };
    let width = if wide { (inner.width - LEGEND - 2).min(WIDEST) } else { inner.width };
    let left = [about(context, width), keys(context, width)].concat();
    let legend = signs(context, legend_width);
    let lines = if wide { left.clone() } else { [left.clone(), legend.clone()].concat() };
    let most = (lines.len() as u16).saturating_sub(inner.height);
    let scroll = match context.app.overlay() {
        Overlay::Help { scroll } => (*scroll).min(most),
        _ => 0,
    };
    let column = Rect { width, ..inner };
    Paragraph::new(lines).scroll((scroll, 0)).render(column, buf);
    if wide {
        let column = Rect { x: inner.x + width + 2, width: inner.width - width - 2, ..inner };
        Paragraph::new(legend).render(column, buf);
    }
    if scroll < most {
        let x = column.right().min(buf.area.right()) - 1;
        buf[(x, inner.bottom() - 1)].set_symbol("▼").set_style(theme.bold(Role::Accent));
    }
}

/// What there is to know about the view that the help was opened over.
fn about(context: Context<'_>, width: u16) -> Vec<Line<'static>> {
    let theme = context.theme;
    let view = context.app.view().info();
    let title = span(&format!("{}: ", view.title), theme.bold(Role::Accent));
    let mut lines = hanging(title, view.about, theme.bold(Role::Text), width);
    for text in view.help {
        lines.extend(hanging(Span::raw("  "), text, theme.style(Role::Text), width));
    }
    lines.push(Line::default());
    lines
}

fn keys(context: Context<'_>, width: u16) -> Vec<Line<'static>> {
    let theme = context.theme;
    let mut lines = Vec::new();
    for chapter in Chapter::ALL {
        lines.push(Line::from(span(chapter.title(), theme.bold(Role::Text))));
        for binding in context.keymap.bindings().iter().filter(|b| b.chapter == chapter) {
            let limits = binding.limits().map(|l| format!(" ({l})")).unwrap_or_default();
            let keys =
                if binding.keys.is_empty() { format!(":{}", binding.name) } else { binding.key_names() };
            let label = Span::styled(format!("  {keys:<14} "), theme.bold(Role::Accent));
            let text = format!("{}{limits}", binding.help);
            lines.extend(hanging(label, &text, theme.style(Role::Text), width));
        }
        lines.push(Line::default());
    }
    lines.push(Line::from(span("Commands with arguments", theme.bold(Role::Text))));
    for entry in context.app.commands().iter().filter(|entry| !entry.form.is_empty()) {
        let label = Span::styled(format!("  :{:<21} ", entry.usage()), theme.bold(Role::Accent));
        lines.extend(hanging(label, &entry.help, theme.style(Role::Text), width));
    }
    lines.push(Line::default());
    let mouse = "a click selects a cell (again: drills), a token or a pane, and presses a key of the footer; the \
                 wheel moves or scrolls; the lines between panes can be dragged";
    lines.extend(hanging(span("mouse: ", theme.style(Role::Dim)), mouse, theme.style(Role::Dim), width));
    lines.push(Line::default());
    lines
}

fn signs(context: Context<'_>, width: u16) -> Vec<Line<'static>> {
    let theme = context.theme;
    let mut lines = vec![Line::from(span("Signs and colours", theme.bold(Role::Text)))];
    let mut scale = vec![Span::raw("  ")];
    for (tick, name) in SEVERITY_TICKS {
        let shade = Shade::of_severity(Severity(tick));
        let (glyph, style) = theme.mark(Mark { shade, ..Mark::default() });
        scale.push(Span::styled(format!("{glyph}{glyph}"), style));
        scale.push(Span::styled(format!(" {name}×  "), theme.style(Role::Dim)));
    }
    lines.push(Line::from(scale));
    let noise = "severity: how often the divergence exceeds the noise of correct engines";
    lines.extend(hanging(Span::raw("  "), noise, theme.style(Role::Dim), width));
    let beyond = Shade::of_severity(Severity(palette::SEVERITY_CEILING));
    for (mark, text) in [
        (Mark { shade: beyond, origin: true, first: true, ..Mark::default() }, "the first divergence"),
        (
            Mark { shade: beyond, origin: true, ..Mark::default() },
            "an error enters here too: beyond noise while its inputs are within",
        ),
        (
            Mark { shade: beyond, faulty: true, ..Mark::default() },
            "a faulty operation, once a diagnosis (D) is there: wrong by itself, not by what reached it",
        ),
        (Mark { shade: beyond, ..Mark::default() }, "beyond noise, after an error"),
        (Mark { shade: Shade::Infinite, ..Mark::default() }, "NaN or infinite"),
        (Mark { shade: Shade::Missing, ..Mark::default() }, "only one side has it (yet)"),
        (
            Mark { shade: Shade::Mismatch, ..Mark::default() },
            "cannot be compared: other shape, or its values are not there",
        ),
    ] {
        let (glyph, style) = theme.mark(mark);
        let mut texts = wrapped(text, (width as usize).saturating_sub(7).max(10)).into_iter();
        let first = texts.next().unwrap_or_default();
        let label = [Span::raw("  "), Span::styled(format!("{glyph} "), style)];
        let first = span(&format!("  {first}"), theme.style(Role::Text));
        lines.push(Line::from(label.into_iter().chain([first]).collect::<Vec<_>>()));
        lines.extend(texts.map(|text| Line::from(span(&format!("      {text}"), theme.style(Role::Text)))));
    }
    lines.push(Line::default());
    for (flag, text) in [
        ("·", "under a token: within noise"),
        ("◆", "the first divergence"),
        ("◇", "an error enters at this position too"),
        ("▲", "beyond noise after an error"),
        ("○", "only one side has it (yet)"),
        ("●", "beside the flag, and on the map's ruler: a breakpoint"),
    ] {
        let label = Span::styled(format!("  {flag}   "), theme.bold(Role::Accent));
        lines.extend(hanging(label, text, theme.style(Role::Text), width));
    }
    lines.push(Line::from(span(
        "  other letters name a class of garbage; see the garbage pane",
        theme.style(Role::Dim),
    )));
    lines
}
