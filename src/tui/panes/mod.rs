//! The panes, one a file: each draws what the state says into its rectangle and changes nothing.

pub mod attention;
pub mod channels;
pub mod diagnosis;
pub mod elements;
pub mod finding;
pub mod findings;
pub mod footer;
pub mod garbage;
pub mod grid;
mod heatmap;
pub mod help;
pub mod histogram;
pub mod kl;
mod list;
pub mod logits;
pub mod map;
pub mod operation;
pub mod operations;
pub mod pipeline;
mod pixels;
mod popup;
pub mod prompt;
pub mod ranking;
pub mod records;
pub mod scale;
pub mod scatter;
pub mod side_by_side;
pub mod texts;
pub mod title;
pub mod tokens;
pub mod triptych;
pub mod verdict;
pub mod wires;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget, Wrap};

use super::app::{Action, App};
use super::graphics::Pictures;
use super::keymap::Keymap;
use super::kinds::PaneKind;
use super::theme::{Role, Theme};
use crate::plot::fold;
use crate::text::safe;

/// What every pane draws with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The state.
    pub app: &'a App,
    /// The colours.
    pub theme: &'a Theme,
    /// The keys.
    pub keymap: &'a Keymap,
    /// Takes heatmaps in pixels, where the terminal shows them.
    pub pictures: Option<&'a Pictures>,
}

impl<'a> Context<'a> {
    /// For a terminal that shows characters only.
    pub fn new(app: &'a App, theme: &'a Theme, keymap: &'a Keymap) -> Self {
        Self { app, theme, keymap, pictures: None }
    }
}

type Draw = fn(Context<'_>, Rect, &mut Buffer);
/// What a click at a place (the last two numbers) in a pane's rectangle chooses.
type Hit = fn(Context<'_>, Rect, u16, u16) -> Option<Action>;

/// How a pane is drawn, and what a click in it chooses.
fn face(pane: PaneKind) -> (Draw, Option<Hit>) {
    match pane {
        PaneKind::Tokens => (tokens::draw, Some(tokens::hit)),
        PaneKind::Map => (map::draw, Some(map::hit)),
        PaneKind::SideBySide => (side_by_side::draw, None),
        PaneKind::Logits => (logits::draw, None),
        PaneKind::Elements => (elements::draw, None),
        PaneKind::Verdict => (verdict::draw, None),
        PaneKind::Garbage => (garbage::draw, None),
        PaneKind::Findings => (findings::draw, Some(findings::hit)),
        PaneKind::Finding => (finding::draw, None),
        PaneKind::Diagnosis => (diagnosis::draw, None),
        PaneKind::Operations => (operations::draw, Some(operations::hit)),
        PaneKind::Operation => (operation::draw, None),
        PaneKind::Records => (records::draw, Some(records::hit)),
        PaneKind::Ranking => (ranking::draw, None),
        PaneKind::Texts => (texts::draw, None),
        PaneKind::Kl => (kl::draw, Some(kl::hit)),
        PaneKind::Pipeline => (pipeline::draw, Some(pipeline::hit)),
        PaneKind::Channels => (channels::draw, Some(channels::hit)),
        PaneKind::Attention => (attention::draw, Some(attention::hit)),
        PaneKind::Histogram => (histogram::draw, None),
        PaneKind::Scatter => (scatter::draw, None),
    }
}

/// Draws one pane.
pub fn draw(pane: PaneKind, context: Context<'_>, area: Rect, buf: &mut Buffer) {
    face(pane).0(context, area, buf);
}

/// What a click into a pane chooses.
pub fn hit(pane: PaneKind, context: Context<'_>, area: Rect, x: u16, y: u16) -> Option<Action> {
    face(pane).1?(context, area, x, y)
}

/// A piece of text that comes from data: control characters are made visible.
pub(super) fn span(text: &str, style: Style) -> Span<'static> {
    Span::styled(safe(text).into_owned(), style)
}

/// Writes a line, clipped to `area`; `y` counts from the area's top.
pub(super) fn put(buf: &mut Buffer, area: Rect, y: u16, line: &Line<'_>) {
    let area = area.intersection(buf.area);
    if y < area.height && area.width > 0 {
        buf.set_line(area.x, area.y + y, line, area.width);
    }
}

/// Draws the rule above a pane with its title (and what stands at its right end), and the line that
/// parts it from the pane on its left. What is left is the pane's own.
///
/// ```text
/// ┬─ title ─────────────── right ─
/// │ inner
/// ```
pub(super) fn frame(
    context: Context<'_>,
    pane: PaneKind,
    title: &Line<'_>,
    right: Option<&Line<'_>>,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return area;
    }
    let focused = context.app.pane() == pane;
    let rule = context.theme.style(if focused { Role::Accent } else { Role::Line });
    let wall = context.theme.style(Role::Line);
    let has_wall = area.x > buf.area.x;
    let dash = if focused { "━" } else { "─" };
    for x in area.left()..area.right() {
        buf[(x, area.y)].set_symbol(dash).set_style(rule);
    }
    let mut inner = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if has_wall {
        buf[(area.x, area.y)].set_symbol("┬").set_style(wall);
        for y in inner.top()..inner.bottom() {
            buf[(area.x, y)].set_symbol("│").set_style(wall);
        }
        inner.x += 1;
        inner.width -= 1;
    }
    let (start, room) = (inner.x + 1, inner.width.saturating_sub(3));
    let mut line = Line::from(vec![Span::raw(" ")]);
    line.spans.extend(title.spans.iter().cloned());
    line.spans.push(Span::raw(" "));
    let title_width = (line.width() as u16).min(room);
    if room > 0 {
        buf.set_line(start, area.y, &line, room);
    }
    if let Some(right) = right {
        // What does not fit goes, from the end on.
        let mut spans = right.spans.clone();
        let width = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>() as u16 + 2;
        while !spans.is_empty() && title_width + width(&spans) >= room {
            spans.pop();
        }
        if !spans.is_empty() {
            let width = width(&spans);
            spans.insert(0, Span::raw(" "));
            spans.push(Span::raw(" "));
            buf.set_line(start + room - width, area.y, &Line::from(spans), width);
        }
    }
    // One column of air on the left, where there is room.
    if inner.width > 2 {
        inner.x += 1;
        inner.width -= 1;
    }
    inner
}

/// What [`frame`] leaves of the area.
pub(super) fn inner_of(area: Rect) -> Rect {
    let wall = u16::from(area.x > 0);
    let (x, width) = (area.x + wall, area.width.saturating_sub(wall));
    let air = u16::from(width > 2);
    Rect { x: x + air, y: area.y + 1, width: width - air, height: area.height.saturating_sub(1) }
}

/// A pane's title in the weight that its focus asks for.
pub(super) fn heading(context: Context<'_>, pane: PaneKind, text: &str) -> Line<'static> {
    let role = if context.app.pane() == pane { Role::Accent } else { Role::Text };
    Line::from(span(text, context.theme.bold(role)))
}

/// Wrapped lines, scrolled as far as the state says and the text allows.
pub(super) fn text(context: Context<'_>, pane: PaneKind, lines: Vec<Line<'_>>, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false });
    // Counted no further than needed to know whether there is more below.
    let most = context.app.scroll(pane).saturating_add(area.height).saturating_add(1);
    let rows = wrapped_rows(&paragraph, area.width, most);
    let scroll = context.app.scroll(pane).min(rows.saturating_sub(area.height));
    paragraph.scroll((scroll, 0)).render(area, buf);
    let style = context.theme.style(Role::Accent);
    let right = area.right() - 1;
    if scroll > 0 {
        buf[(right, area.top())].set_symbol("▲").set_style(style);
    }
    if rows > scroll + area.height {
        buf[(right, area.bottom() - 1)].set_symbol("▼").set_style(style);
    }
}

/// Rows of a wrapped paragraph up to `most`, as drawing it into a scratch buffer shows them.
fn wrapped_rows(paragraph: &Paragraph<'_>, width: u16, most: u16) -> u16 {
    let area = Rect::new(0, 0, width, most.min(500));
    let mut scratch = Buffer::empty(area);
    paragraph.clone().render(area, &mut scratch);
    let blank = |y: u16| (0..width).all(|x| scratch[(x, y)].symbol() == " ");
    (0..area.height).rev().find(|&y| !blank(y)).map_or(0, |y| y + 1)
}

/// In lines of at most `width` characters, between words.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
