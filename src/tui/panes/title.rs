//! Title: what is compared, and how both sources are doing.
//!
//! ```text
//! paritty  TinyLlama Q4_K_M                              ▶ running  step 38
//! ref llama.cpp (CPU) ● live 41/64 · replay of a …  │ cand paritty (CPU) ◆ ready 38/64
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::list::fit;
use super::{Context, put, span};
use crate::session::status;
use crate::session::{RunState, SideStatus, SourceState};
use crate::text::safe;
use crate::tui::theme::Role;
use crate::tui::words;

/// Draws it in one line or two.
pub fn draw(context: Context<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, snapshot) = (context.theme, context.app.snapshot());
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let right = run_state(context);
    let (sides, named) = sides(context, area.width as usize);
    let mut left = Line::from(vec![
        Span::styled(" paritty ", theme.bar(Role::Accent)),
        Span::raw(" "),
        span(&snapshot.model, theme.bold(Role::Text)),
    ]);
    if area.height == 1 {
        left.spans.push(Span::raw(" "));
        let room = (area.width as usize).saturating_sub(left.width());
        let all = both_sides(context, ("ref", "cand"), Detail::Terse);
        let sides =
            if all.width() <= room { all } else { both_sides(context, ("ref", "cand"), Detail::Bare) };
        left.spans.extend(sides.spans);
        return put(buf, area, 0, &left);
    }
    let room = (area.width as usize).saturating_sub(left.width() + right.width());
    let mut right = right;
    right.spans.splice(0..0, stepping(context, room));
    let width = right.width();
    if !named {
        let (a, b) = (&snapshot.reference, &snapshot.candidate);
        let names = [(words::who(a), words::who(b)), (a.team.clone(), b.team.clone())];
        let fits = |text: &String| left.width() + text.width() + width < area.width as usize;
        let who = names.into_iter().map(|(a, b)| format!("  {a} ↔ {b}")).find(fits);
        left.spans.extend(who.map(|who| span(&who, theme.style(Role::Dim))));
    }
    put(buf, area, 0, &left);
    if width < area.width as usize {
        let place = Rect { x: area.right() - width as u16, width: width as u16, ..area };
        put(buf, place, 0, &right);
    }
    put(buf, area, 1, &sides);
}

/// How much is said of a side, from all to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Name, state in words, remark.
    Full,
    /// State in words, remark.
    Unnamed,
    /// State as a sign with its count, remark.
    Terse,
    /// State as a sign with its count.
    Bare,
}

/// Both sides in full; then without the engines' names; then, where the width does not suffice,
/// with signs in place of words.
fn sides(context: Context<'_>, width: usize) -> (Line<'static>, bool) {
    let full = both_sides(context, ("reference", "candidate"), Detail::Full);
    if full.width() <= width {
        return (full, true);
    }
    let short = both_sides(context, ("ref", "cand"), Detail::Unnamed);
    let terse = both_sides(context, ("ref", "cand"), Detail::Terse);
    (if short.width() <= width { short } else { terse }, false)
}

fn both_sides(context: Context<'_>, words: (&str, &str), detail: Detail) -> Line<'static> {
    let theme = context.theme;
    let snapshot = context.app.snapshot();
    let side = |word: &str, role: Role, status: &SideStatus| -> Vec<Span<'static>> {
        let mut spans = vec![span(&format!(" {word} "), theme.bold(role))];
        if detail == Detail::Full {
            spans.push(span(&format!("{} ", words::who(status)), theme.style(Role::Text)));
        }
        spans.extend(source(context, status, detail <= Detail::Unnamed));
        if let Some(remark) = status.remark.as_ref().filter(|_| detail < Detail::Bare) {
            spans.push(span(&format!(" · {remark}"), theme.bold(Role::Caution)));
        }
        spans
    };
    let mut spans = side(words.0, Role::Reference, &snapshot.reference);
    spans.push(Span::styled(" │", theme.style(Role::Line)));
    spans.extend(side(words.1, Role::Candidate, &snapshot.candidate));
    Line::from(spans)
}

fn source(context: Context<'_>, status: &SideStatus, worded: bool) -> Vec<Span<'static>> {
    let quiet = matches!(status.state, SourceState::Live | SourceState::Ready | SourceState::Ended);
    let text = if quiet && !worded { words::count(status) } else { status::state(status) };
    let style = context.theme.bold(words::role(status::state_tone(&status.state)));
    vec![span(&format!("{} {text}", words::sign(&status.state)), style)]
}

/// How the session steps, as much of it as fits into `room`.
fn stepping(context: Context<'_>, room: usize) -> Vec<Span<'static>> {
    /// Less of a sentence says nothing.
    const LEAST: usize = 14;
    let mut spans = Vec::new();
    let mut left = room.saturating_sub(2);
    for (text, role) in words::stepping(&context.app.snapshot().stepping) {
        let gap = 2;
        let text = safe(&text);
        let text = if text.width() + gap <= left {
            text.into_owned()
        } else if left >= LEAST + gap {
            fit(&text, left - gap)
        } else {
            continue;
        };
        left -= text.width() + gap;
        spans.push(span(&text, context.theme.bold(role)));
        spans.push(Span::raw(" ".repeat(gap)));
    }
    spans
}

fn run_state(context: Context<'_>) -> Line<'static> {
    let theme = context.theme;
    let snapshot = context.app.snapshot();
    let role = match snapshot.run {
        RunState::Running => Role::Good,
        RunState::Paused => Role::Caution,
        RunState::Finished | RunState::Static => Role::Dim,
    };
    let mut spans = vec![span(&words::run(snapshot.run, snapshot.step), theme.bold(role))];
    if context.app.following() {
        spans.insert(0, Span::styled("following  ", theme.style(Role::Dim)));
    }
    spans.push(Span::raw(" "));
    Line::from(spans)
}
