//! The table of pictures: one line each, and how each is composed.

use super::canvas::{Area, Canvas};
use super::font::{columns, fit};
use super::style::Style;
use super::tokens::TokensData;
use super::verdict::{self, tone_color};
use super::{Cursor, Scene, adapt};
use crate::compare::Severity;
use crate::figures::count;
use crate::session::status;
use crate::session::{SideStatus, snapshot::RunState};
use crate::text::safe;
use crate::wording;

type Draw = fn(&Scene<'_>, &mut Canvas<'_>, Area, &Style);
type Data = fn(&Scene<'_>) -> String;

/// What is known about a picture.
#[derive(Debug)]
pub struct ViewInfo {
    /// The picture.
    pub view: View,
    /// Name in commands and file names.
    pub id: &'static str,
    /// Title.
    pub title: &'static str,
    /// What it shows: a sentence.
    pub description: &'static str,
    /// Size in pixels if none is asked for.
    pub size: (u32, u32),
    /// Text that must fit: columns and lines.
    pub text: (u32, u32),
    /// Whether it takes two runs to say anything.
    pub pair: bool,
    /// Whether it shows the values of one cell.
    pub values: bool,
    pub(super) draw: Draw,
    pub(super) data: Data,
}

macro_rules! views {
    ($($view:ident, $id:literal, $title:literal, $description:literal, $size:expr, $text:expr, $pair:literal, $values:literal, $draw:expr, $data:expr;)*) => {
        /// A picture.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is described by its row in VIEWS")]
        pub enum View { $($view),* }

        /// Every picture.
        pub static VIEWS: &[ViewInfo] = &[$(ViewInfo {
            view: View::$view,
            id: $id,
            title: $title,
            description: $description,
            size: $size,
            text: $text,
            pair: $pair,
            values: $values,
            draw: $draw,
            data: $data,
        }),*];
    };
}

// Id, title, what it shows; size, columns and lines of text; whether it takes two runs, whether it
// shows the values of one cell; how it is drawn, the data behind it.
views! {
    Screen, "screen", "overview", "every pane at once: tokens, parity map, values, logits, verdict", (1600, 1000), (164, 50), true, false, screen, |s| adapt::map(s).csv();
    Map, "map", "parity map", "severity of every layer at every position", (1200, 720), (126, 32), true, false, map, |s| adapt::map(s).csv();
    Layer, "layer", "checkpoints of a layer", "severity of every checkpoint of one layer at every position", (1200, 720), (126, 32), true, false, layer, |s| adapt::layer(s).csv();
    Heatmaps, "heatmaps", "values side by side", "reference, candidate and difference of one tensor on one scale", (1400, 720), (140, 32), false, true, heatmaps, |s| adapt::heatmap(s).csv();
    Channels, "channels", "layer × channel", "reference, candidate and difference of one site in every layer on one scale", (1400, 720), (140, 32), false, true, channels, |s| adapt::channels(s).csv();
    Attention, "attention", "head × position", "what each head of a layer looks at, on both sides", (1400, 720), (140, 32), false, false, attention, |s| adapt::attention(s).csv();
    Logits, "logits", "most likely tokens", "the most likely tokens of both sides with probabilities and rank changes", (1100, 560), (112, 26), false, false, logits, |s| adapt::top(s).csv();
    Tokens, "tokens", "tokens and verdict", "the token strip with flags, and the verdict with its evidence", (1200, 640), (118, 28), false, false, tokens, |s| adapt::tokens(s).csv();
    Growth, "growth", "error over depth", "normalised squared error of every checkpoint in order of execution", (1200, 640), (126, 28), true, false, growth, |s| adapt::growth(s).csv();
    Positions, "positions", "error over position", "normalised squared error at every position: median and worst checkpoint, logits", (1200, 640), (126, 28), true, false, positions, |s| adapt::positions(s).csv();
    Scatter, "scatter", "reference against candidate", "every value of one tensor, the logits if no other: the reference's across, the candidate's upwards", (1200, 720), (130, 32), true, true, scatter, |s| adapt::scatter(s).csv();
    Histogram, "histogram", "differences by size", "how many values of one tensor differ by how much", (1200, 600), (126, 27), true, true, histogram, |s| adapt::differences(s).csv();
    Severities, "severities", "severities of all cells", "how many cells of the whole run lie how far from the noise floor", (1200, 600), (126, 27), true, false, severities, |s| adapt::severities(s).csv();
}

impl View {
    /// The picture's row in [`VIEWS`].
    pub fn info(self) -> &'static ViewInfo {
        &VIEWS[self as usize]
    }

    /// The picture of this id.
    pub fn from_id(id: &str) -> Option<Self> {
        VIEWS.iter().find(|v| v.id == id).map(|v| v.view)
    }
}

/// Title, model, both sides and the verdict's headline; returns what is left.
fn header(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, title: &str, style: &Style) -> Area {
    let roles = style.roles();
    let unit = style.unit();
    let area = area.inset(unit * 2, unit * 3 / 2);
    let ink = style.title(roles.text);
    let title = fit(title, ink.face.columns_in(area.w));
    canvas.text(area.x, area.y, &title, ink);
    let room = style.normal.columns_in(area.w - ink.face.width(&title) - 3 * unit);
    let model = fit(&safe(&scene.snapshot.model), room);
    let y = area.y + (style.large.line() - style.normal.line());
    canvas.text_right(area.right(), y, &model, style.ink(roles.dim));
    let mut y = area.y + style.large.line() + unit / 4;
    sides(scene, canvas, Area::new(area.x, y, area.w, style.small.line()), style);
    y += style.small.line() + unit / 2;
    if adapt::is_alone(scene.snapshot) {
        return area.split_top(y + unit / 2 - area.y).1;
    }
    let headline = wording::headline(&scene.snapshot.verdict);
    let text = fit(&headline.text, style.normal.columns_in(area.w));
    canvas.text(area.x, y, &text, style.ink(tone_color(headline.tone, style)));
    area.split_top(y + style.normal.line() + unit - area.y).1
}

/// Both sides' states in one line.
fn sides(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let roles = style.roles();
    let advance = style.small.advance();
    let mut x = area.x;
    let parts = [
        ("reference", &scene.snapshot.reference, roles.reference),
        ("candidate", &scene.snapshot.candidate, roles.candidate),
    ];
    // A trace alone has no other side.
    for (name, side, color) in parts.into_iter().filter(|p| !p.1.team.is_empty()) {
        let remark = side.remark.as_deref().map_or(String::new(), |r| format!(", {}", safe(r)));
        let pieces = [
            (name.to_owned(), color),
            (format!("{}{remark}", status::engine(side)), roles.text),
            ("●".to_owned(), tone_color(status::state_tone(&side.state), style)),
            (status::state(side), roles.dim),
        ];
        for (text, color) in pieces {
            let text = fit(&text, style.small.columns_in(area.right() - x));
            canvas.text(x, area.y, &text, style.label(color));
            x += style.small.width(&text) + advance;
        }
        x += advance * 3;
    }
}

fn framed(
    scene: &Scene<'_>,
    canvas: &mut Canvas<'_>,
    area: Area,
    style: &Style,
    (title, pane, note): (&str, &str, &str),
) -> Area {
    let rest = header(scene, canvas, area, title, style);
    style.pane(canvas, rest, pane, note)
}

const MAP_PANE: &str = "layer × position, worst severity";

fn map(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let data = adapt::map(scene);
    let note = format!("{}, {}", count(data.rows.len(), "row"), count(data.positions.len(), "position"));
    let body = framed(scene, canvas, area, style, ("parity map", MAP_PANE, &note));
    data.draw(canvas, body, style, true);
}

fn layer(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let name = adapt::layer_name(scene.cursor.checkpoint);
    let title = format!("checkpoints of {name}");
    let body = framed(
        scene,
        canvas,
        area,
        style,
        (&title, "checkpoint × position, severity", "executed from below upwards"),
    );
    adapt::layer(scene).draw(canvas, body, style, true);
}

fn cell_title(scene: &Scene<'_>) -> String {
    wording::place(scene.cursor.position, scene.cursor.checkpoint)
}

fn cell_lines(scene: &Scene<'_>) -> String {
    let figures = adapt::focus(scene).and_then(|f| f.metrics.as_ref().map(|m| wording::cell(m, f.severity)));
    figures.map_or(String::new(), |f| f.join(" · "))
}

fn heatmaps(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let meaning = scene.cursor.checkpoint.site().info().meaning;
    let title = format!("values at {}", cell_title(scene));
    let body = framed(scene, canvas, area, style, (&title, meaning, ""));
    draw_values(scene, canvas, body, style, true);
}

fn draw_values(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style, legend: bool) {
    if adapt::focus(scene).is_none() {
        style.nothing(canvas, area, "the values of this cell were not read");
        return;
    }
    let (line, rest) = area.split_top(style.normal.line() + style.unit() / 2);
    let text = fit(&cell_lines(scene), style.normal.columns_in(line.w));
    let beyond = adapt::focus(scene).and_then(|f| f.severity).is_some_and(Severity::is_beyond_noise);
    let roles = style.roles();
    canvas.text(line.x, line.y, &text, style.ink(if beyond { roles.bad } else { roles.good }));
    adapt::heatmap(scene).draw(canvas, rest, style, legend);
}

fn channels(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let info = scene.cursor.checkpoint.site().info();
    let Cursor { position, checkpoint } = scene.cursor;
    let every = if checkpoint.layer_index().is_some() { " in every layer" } else { "" };
    let title = format!("{}{every}, position {position}", checkpoint.site().name());
    let note = adapt::focus(scene).and_then(|f| f.layers.as_deref()).map_or(0, |layers| layers.left_out);
    let note =
        if note > 0 { format!("{} not read: too many values", count(note, "layer")) } else { String::new() };
    let body = framed(scene, canvas, area, style, (&title, info.meaning, &note));
    adapt::channels(scene).draw(canvas, body, style);
}

fn attention(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let scores = adapt::focus(scene).and_then(|f| f.scores.as_deref());
    let shown = scores.and_then(|s| s.reference.as_ref().or(s.candidate.as_ref()).ok());
    let (name, what) = match shown {
        Some(found) => (found.checkpoint.to_string(), found.checkpoint.site().info().meaning),
        None => (adapt::layer_name(scene.cursor.checkpoint), "attention"),
    };
    let title = format!("what each head looks at, {name}, position {}", scene.cursor.position);
    let body = framed(scene, canvas, area, style, (&title, what, ""));
    adapt::attention(scene).draw(canvas, body, style);
}

fn logit_note(scene: &Scene<'_>) -> String {
    let focus = scene.snapshot.focus.as_deref().filter(|f| f.position == scene.cursor.position);
    focus.and_then(|f| f.logits).map_or(String::new(), |m| wording::logits(&m).join(" · "))
}

fn logits(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let title = format!("most likely tokens after position {}", scene.cursor.position);
    let body = framed(scene, canvas, area, style, (&title, "probability", &logit_note(scene)));
    adapt::top(scene).draw(canvas, body, style);
}

fn tokens(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let (title, below, bar) = if adapt::is_alone(scene.snapshot) {
        ("tokens", "garbage", "")
    } else {
        ("tokens and verdict", "verdict", "; the bar is the worst severity at the position")
    };
    let rest = header(scene, canvas, area, title, style);
    let data = adapt::tokens(scene);
    let (strip, lower) = rest.split_top(strip_height(&data, rest.w, style).min(rest.h * 3 / 5));
    let note = format!("{}, sampled ones in blue{bar}", count(data.tokens.len(), "token"));
    let inside = style.pane(canvas, strip, "tokens", &note);
    data.draw(canvas, inside, style);
    let (_, lower) = lower.split_top(style.unit());
    let inside = style.pane(canvas, lower, below, "");
    verdict::draw(canvas, inside, &sentences(scene), style);
}

/// The verdict and what the flags of the strip mean.
fn sentences(scene: &Scene<'_>) -> Vec<wording::Sentence> {
    let garbage = adapt::garbage(scene.snapshot);
    if !adapt::is_alone(scene.snapshot) {
        return wording::verdict(&scene.snapshot.verdict).into_iter().chain(garbage).collect();
    }
    let (tone, text) = match garbage.len() {
        0 => (wording::Tone::Good, "no garbage found"),
        _ => (wording::Tone::Caution, "garbage"),
    };
    std::iter::once(wording::Sentence { tone, text: text.to_owned() }).chain(garbage).collect()
}

fn strip_height(data: &TokensData, width: i32, style: &Style) -> i32 {
    data.height(width - 2 * style.unit(), style) + style.pane_extra()
}

fn growth(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let note = "nmse = Σ(candidate − reference)² / Σ reference²";
    let body = framed(scene, canvas, area, style, ("error over depth", "error of every checkpoint", note));
    adapt::growth(scene).draw(canvas, body, style);
}

fn positions(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let note = "nmse = Σ(candidate − reference)² / Σ reference²";
    let body = framed(scene, canvas, area, style, ("error over position", "error at every position", note));
    adapt::positions(scene).draw(canvas, body, style);
}

fn scatter(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let title = format!("reference against candidate, {}", cell_title(scene));
    let body = framed(scene, canvas, area, style, (&title, "every value", &cell_lines(scene)));
    adapt::scatter(scene).draw(canvas, body, style);
}

fn histogram(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let title = format!("differences by size, {}", cell_title(scene));
    let body = framed(scene, canvas, area, style, (&title, "|candidate − reference|", &cell_lines(scene)));
    adapt::differences(scene).draw(canvas, body, style);
}

fn severities(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let text = ("severities of all cells", "divergence in units of the noise floor", "");
    let body = framed(scene, canvas, area, style, text);
    adapt::severities(scene).draw(canvas, body, style);
}

fn run_state(run: RunState) -> &'static str {
    match run {
        RunState::Paused => "paused",
        RunState::Running => "running",
        RunState::Finished => "finished",
        RunState::Static => "two traces",
    }
}

fn side_text(name: &str, side: &SideStatus) -> String {
    let remark = side.remark.as_deref().map_or(String::new(), |r| format!(", {}", safe(r)));
    format!("{name} {}{remark}", status::engine(side))
}

/// The overview: title line, tokens, then map and logits beside values and verdict.
fn screen(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Area, style: &Style) {
    let roles = style.roles();
    let unit = style.unit();
    let snapshot = scene.snapshot;
    let area = area.inset(unit, unit);
    let (title, rest) = area.split_top(style.large.line() + unit / 2);
    let brand = "paritty";
    canvas.text(title.x, title.y, brand, style.title(roles.accent));
    let mut x = title.x + style.large.width(brand) + 2 * unit;
    let y = title.y + (style.large.line() - style.normal.line()) - 1;
    let step = format!("step {}, {}", snapshot.step, run_state(snapshot.run));
    let end = title.right() - style.normal.width(&step) - 2 * unit;
    let share = |x: i32, of: i32| style.normal.columns_in(((end - x) / of).max(0));
    let model = fit(&safe(&snapshot.model), share(x, 4));
    canvas.text(x, y, &model, style.ink(roles.text).bold());
    x += style.normal.width(&model) + 2 * unit;
    let parts = [
        ("reference", &snapshot.reference, roles.reference),
        ("candidate", &snapshot.candidate, roles.candidate),
    ]
    .map(|(name, side, color)| (side_text(name, side), status::state(side), side, color));
    // Each side gets half the room, or what the other one leaves.
    let needs = parts.each_ref().map(|(text, state, ..)| columns(text) + columns(state) + 6);
    let room = share(x, 1) as i32;
    let rooms = [(room / 2).max(room - needs[1]), (room / 2).max(room - needs[0])];
    for ((text, state, side, color), room) in parts.into_iter().zip(rooms) {
        let text = fit(&text, (room - columns(&state) - 6).max(12) as usize);
        canvas.text(x, y, &text, style.ink(color));
        x += style.normal.width(&text) + unit;
        canvas.text(x, y, "●", style.ink(tone_color(status::state_tone(&side.state), style)));
        x += 2 * unit;
        let state = fit(&state, style.normal.columns_in(end - x));
        canvas.text(x, y, &state, style.ink(roles.dim));
        x += style.normal.width(&state) + 3 * unit;
    }
    canvas.text_right(title.right(), y, &step, style.ink(roles.dim));

    let gap = unit;
    let rest = match &snapshot.message {
        Some(message) => {
            let (rest, foot) = rest.split_bottom(style.normal.line() + unit / 2);
            let text = fit(message, style.normal.columns_in(foot.w));
            canvas.text(foot.x, foot.y + unit / 2, &text, style.ink(roles.caution));
            rest
        }
        None => rest,
    };
    let data = adapt::tokens(scene);
    let most =
        strip_height(&data, rest.w, style).min(TokensData::line_height(style) * 2 + style.pane_extra());
    let (strip, rest) = rest.split_top(most.min(rest.h / 4));
    let note = count(data.tokens.len(), "token");
    let inside = style.pane(canvas, strip, "tokens", &note);
    data.draw(canvas, inside, style);

    let (_, rest) = rest.split_top(gap);
    let (left, right) = rest.split_left(rest.w * 52 / 100);
    let right = Area::new(right.x + gap, right.y, right.w - gap, right.h);
    let (map_area, logit_area) = left.split_top(left.h * 61 / 100);
    let inside = style.pane(canvas, map_area, "parity map", "layer × position, worst severity");
    adapt::map(scene).draw(canvas, inside, style, true);
    let (_, logit_area) = logit_area.split_top(gap);
    let inside = style.pane(canvas, logit_area, "logits, top k", &logit_note(scene));
    adapt::top(scene).draw(canvas, inside, style);

    let (values, verdict_area) = right.split_top(right.h * 61 / 100);
    let inside = style.pane(canvas, values, &cell_title(scene), "");
    draw_values(scene, canvas, inside, style, true);
    let (_, verdict_area) = verdict_area.split_top(gap);
    let inside = style.pane(canvas, verdict_area, "verdict", "");
    verdict::draw(canvas, inside, &sentences(scene), style);
}
