//! Prompts: a line where the footer is, and a list of what there is above it.
//!
//! ```text
//! ━ commands ━━━━━━━━━━━━━━━━━━━━━━━━
//!  goto N      position N
//! :go▏
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::popup::{Popup, Row};
use super::{Context, put, span, wrapped};
use crate::text::safe_short;
use crate::tui::app::entry::Candidate;
use crate::tui::app::overlay::bookmarks::Bookmarking;
use crate::tui::app::overlay::command_line::CommandLine;
use crate::tui::app::overlay::editor::Editor;
use crate::tui::app::overlay::palette::{ItemKind, Palette};
use crate::tui::app::overlay::search::Search;
use crate::tui::app::{Overlay, Typed};
use crate::tui::theme::Role;

/// Draws what is open, if anything is.
pub fn draw(context: Context<'_>, over: Rect, footer: Rect, buf: &mut Buffer) {
    if let Some(popup) = popup(context, over.width) {
        popup.draw(context, over, buf);
    }
    let theme = context.theme;
    let said = |text: &str, role: Role| vec![span(text, theme.style(role))];
    match context.app.overlay() {
        Overlay::None | Overlay::Help { .. } => {}
        Overlay::Command(line) => {
            let right = match &line.error {
                Some(_) => Vec::new(),
                None => said("Enter runs · Tab completes · ↑ earlier · Esc", Role::Dim),
            };
            input(context, ":", &line.editor, right, footer, buf);
        }
        Overlay::Search(search) => {
            input(context, "/", &search.editor, search_state(context, search), footer, buf);
        }
        Overlay::Palette(palette) => {
            let right = said("Enter does it · ↑↓ choose · Esc", Role::Dim);
            input(context, "›", &palette.editor, right, footer, buf);
        }
        Overlay::Bookmark(what) => {
            let text = match what {
                Bookmarking::Set => "a letter or digit marks this place",
                Bookmarking::Go => "the letter of a mark goes there",
            };
            asked(context, text, "Esc", footer, buf);
        }
        Overlay::Breakpoints => {
            asked(context, ":delete N takes one away, :break adds one", "any key closes", footer, buf);
        }
    }
}

/// What a click on a line of the screen chooses.
pub fn hit(context: Context<'_>, over: Rect, y: u16) -> Option<Typed> {
    popup(context, over.width)?.hit(over, y).map(Typed::Pick)
}

fn popup(context: Context<'_>, width: u16) -> Option<Popup> {
    match context.app.overlay() {
        Overlay::None | Overlay::Help { .. } | Overlay::Search(_) => None,
        Overlay::Command(line) => commands(context, line, width),
        Overlay::Palette(palette) => Some(found(palette)),
        Overlay::Bookmark(what) => bookmarks(context, *what),
        Overlay::Breakpoints => Some(Popup {
            title: "breakpoints".to_owned(),
            right: "any run pauses at the first that is met".to_owned(),
            rows: (1..)
                .zip(context.app.breakpoints())
                .map(|(n, stop): (usize, _)| Row {
                    name: n.to_string(),
                    help: stop.to_string(),
                    ..Row::default()
                })
                .collect(),
            chosen: None,
            is_error: false,
        }),
    }
}

fn commands(context: Context<'_>, line: &CommandLine, width: u16) -> Option<Popup> {
    let row = |candidate: &Candidate| Row {
        name: candidate.text.trim_end().to_owned(),
        form: candidate.form.clone(),
        help: candidate.help.clone(),
        right: candidate.keys.clone(),
        places: Vec::new(),
    };
    let about = context.app.command_of(line).filter(|_| line.editor.text().contains(' '));
    let title = match about {
        Some(entry) => format!("{}: {}", entry.usage(), entry.help),
        None => "commands".to_owned(),
    };
    let count = line.candidates.len();
    let right = if count > 1 { format!("{count}") } else { String::new() };
    if let Some(error) = &line.error {
        let lines = wrapped(error, width.saturating_sub(2).max(1) as usize);
        let rows = lines.into_iter().map(|name| Row { name, ..Row::default() }).collect();
        return Some(Popup { title, right: "not done".to_owned(), rows, chosen: None, is_error: true });
    }
    (count > 0 || about.is_some()).then(|| Popup {
        title,
        right,
        rows: line.candidates.iter().map(row).collect(),
        chosen: line.chosen,
        is_error: false,
    })
}

fn found(palette: &Palette) -> Popup {
    let rows = palette.found().map(|(item, places)| Row {
        name: item.name.clone(),
        places: places.to_vec(),
        form: String::new(),
        help: match item.kind {
            ItemKind::Command => item.help.clone(),
            ItemKind::Checkpoint => "checkpoint".to_owned(),
            ItemKind::Position => String::new(),
        },
        right: item.keys.clone(),
    });
    let rows: Vec<Row> = rows.collect();
    let right = match palette.count {
        0 => "nothing has a name like that".to_owned(),
        1 => "1 found".to_owned(),
        n => format!("{} of {n}", palette.chosen + 1),
    };
    Popup { title: "palette".to_owned(), right, rows, chosen: Some(palette.chosen), is_error: false }
}

fn bookmarks(context: Context<'_>, what: Bookmarking) -> Option<Popup> {
    let app = context.app;
    let rows: Vec<Row> = app
        .bookmarks()
        .iter()
        .map(|(letter, at)| {
            let token = app.slot(at.position).and_then(|i| app.token(app.axis()[i]));
            let text = token.map(|t| format!(" · “{}”", safe_short(&t.text, 24))).unwrap_or_default();
            let help = format!("position {} · {}{text}", at.position, at.checkpoint);
            Row { name: letter.to_string(), help, ..Row::default() }
        })
        .collect();
    let right = if what == Bookmarking::Set { "a letter in use is moved" } else { "" };
    let popup =
        Popup { title: "marks".to_owned(), right: right.to_owned(), rows, chosen: None, is_error: false };
    (!popup.rows.is_empty()).then_some(popup)
}

fn search_state(context: Context<'_>, search: &Search) -> Vec<Span<'static>> {
    let theme = context.theme;
    let hit = search.at.and_then(|at| Some((at, *search.hits.get(at)?)));
    match hit {
        Some((at, hit)) => vec![
            span(&format!("{} of {}", at + 1, search.hits.len()), theme.bold(Role::Accent)),
            span(&format!(" · {}", context.app.name_of_hit(hit)), theme.style(Role::Text)),
            span(" · Enter stays · ↑↓ others · Esc", theme.style(Role::Dim)),
        ],
        None if search.editor.text().is_empty() => {
            vec![span("tokens and checkpoints; ↑ the last search · Esc", theme.style(Role::Dim))]
        }
        None => vec![span("no token and no checkpoint", theme.bold(Role::Bad))],
    }
}

/// A prompt with its text, and what there is to say at the right, as far as there is room.
fn input(
    context: Context<'_>,
    sign: &str,
    editor: &Editor,
    right: Vec<Span<'static>>,
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = context.theme;
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    // The footer's own text and weight go.
    Clear.render(area, buf);
    buf.set_style(area, theme.base());
    let (before, after) = editor.halves();
    let text = |text: &str| span(text, theme.style(Role::Text));
    let mut rest = after.chars();
    let at: String = rest.next().unwrap_or(' ').into();
    // The part around the cursor, where not everything fits.
    let room = (area.width as usize).saturating_sub(4);
    let mut start = before;
    while Span::raw(start).width() > room {
        let mut chars = start.chars();
        chars.next();
        start = chars.as_str();
    }
    let mut line = Line::from(vec![
        Span::styled(format!(" {sign}"), theme.bold(Role::Accent)),
        text(if start.len() < before.len() { "…" } else { "" }),
        text(start),
        Span::styled(at, theme.style(Role::Text).add_modifier(Modifier::REVERSED)),
        text(rest.as_str()),
    ]);
    let used = line.width();
    put(buf, area, 0, &line);
    line.spans = right;
    // What does not fit goes, from the end on.
    while !line.spans.is_empty() && used + line.width() + 4 > area.width as usize {
        line.spans.pop();
    }
    let width = line.width() as u16;
    if width > 0 {
        put(buf, Rect { x: area.right() - width - 1, width, ..area }, 0, &line);
    }
}

/// A question that one key answers.
fn asked(context: Context<'_>, text: &str, out: &str, area: Rect, buf: &mut Buffer) {
    let theme = context.theme;
    let area = area.intersection(buf.area);
    Clear.render(area, buf);
    buf.set_style(area, theme.base());
    let line = Line::from(vec![
        Span::styled(" ? ", theme.bar(Role::Accent)),
        span(&format!(" {text}"), theme.bold(Role::Accent)),
        span(&format!(" · {out}"), theme.style(Role::Dim)),
    ]);
    put(buf, area, 0, &line);
}
