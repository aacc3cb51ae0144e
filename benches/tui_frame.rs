//! Time of a frame and bytes sent to the terminal, in a session of 80 layers × 4,096 positions × every
//! checkpoint, at three sizes, in every view.
//!
//! `cargo bench --bench tui_frame`; `PARITTY_BENCH_POSITIONS` makes it shorter, `PARITTY_BENCH_JSON=1` prints
//! JSON lines, and `PARITTY_BENCH_GRAPHICS=kitty` (`iterm`, `sixel`) draws heatmaps in pixels. What is drawn goes
//! through the program's own backend into a writer that counts. Times are processor time of the thread that
//! draws, so that other programs on the machine do not count.
//!
//! - *key*: a key moves the cursor, the session answers with the new cell's values, and a frame is drawn;
//! - *late*: the answer takes longer than a frame waits for it, and what was there is drawn dimmed;
//! - *step*: a snapshot with one new position comes while the cursor follows the newest, the session answers
//!   with the values there, and a frame is drawn.

#![allow(clippy::print_stdout, reason = "a bench talks")]

#[path = "../tests/common/snapshots.rs"]
mod snapshots;

mod common;

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{Process, Sample, ms};
use paritty::compare::Column;
use paritty::palette::Ground;
use paritty::session::{Command, Snapshot};
use paritty::tui::app::{Action, App, Target};
use paritty::tui::graphics::{CellSize, Display, Placing, Protocol};
use paritty::tui::panes::Context;
use paritty::tui::theme::{Depth, Theme};
use paritty::tui::views::View;
use paritty::tui::{Keymap, terminal, view};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use snapshots::Scene;

const THEME: Theme = Theme::new(Depth::TrueColor, Ground::Dark);
const SIZES: [(u16, u16); 3] = [(80, 24), (200, 60), (300, 100)];
/// Frames of each kind in each view at each size.
const FRAMES: usize = 100;
/// New positions.
const STEPS: usize = 50;
/// Where keys move the cursor to: along, and now and then to another row or far away.
const MOVES: [Action; 10] = [
    Action::Right,
    Action::Right,
    Action::Up,
    Action::Right,
    Action::FarRight,
    Action::Down,
    Action::Left,
    Action::PageUp,
    Action::Right,
    Action::PageDown,
];

/// Counts what would be sent.
#[derive(Clone, Default)]
struct Counter(Rc<Cell<usize>>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal that shows an app.
struct Shown {
    app: App,
    keymap: Keymap,
    terminal: Terminal<CrosstermBackend<Counter>>,
    /// Heatmaps in pixels, where that is asked for.
    display: Option<Display>,
    sent: Counter,
}

/// What `PARITTY_BENCH_GRAPHICS` asks for: pixels by this protocol instead of half blocks.
fn display() -> Option<Display> {
    let protocol = match std::env::var("PARITTY_BENCH_GRAPHICS").ok()?.as_str() {
        "kitty" => Protocol::Kitty,
        "iterm" => Protocol::Iterm,
        "sixel" => Protocol::Sixel,
        other => panic!("PARITTY_BENCH_GRAPHICS is kitty, iterm or sixel, not {other}"),
    };
    let cell = CellSize::new(8, 16).expect("a size");
    Some(Display::new(Placing { protocol, cell, colors: 256 }, 0))
}

/// Times and bytes of one kind of frame.
#[derive(Default)]
struct Frames {
    times: Sample<Duration>,
    bytes: Sample<usize>,
}

impl Shown {
    fn new(snapshot: &Arc<Snapshot>, view: View, (width, height): (u16, u16)) -> Self {
        let mut app = App::new(Arc::clone(snapshot));
        app.update(Action::Look(view));
        let sent = Counter::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let backend = CrosstermBackend::new(sent.clone());
        let terminal =
            Terminal::with_options(backend, TerminalOptions { viewport }).expect("a terminal of fixed size");
        Self { app, keymap: Keymap::default(), terminal, display: display(), sent }
    }

    /// Changes the state, draws a frame, and says what processor time that took and what it sent.
    fn frame(&mut self, change: impl FnOnce(&mut App)) -> (Duration, usize) {
        self.sent.0.set(0);
        let begun = common::processor_of_thread();
        change(&mut self.app);
        let context = Context::new(&self.app, &THEME, &self.keymap);
        terminal::frame(&mut self.terminal, self.display.as_mut(), |frame, pictures| {
            view::draw(frame, Context { pictures, ..context });
        })
        .expect("drawn");
        (common::processor_of_thread().saturating_sub(begun), self.sent.0.get())
    }

    /// A frame with a newer snapshot.
    fn take(&mut self, snapshot: Arc<Snapshot>) -> (Duration, usize) {
        self.frame(|app| {
            app.set_snapshot(snapshot);
        })
    }

    /// The session's answer to what the screen wants now, if it wants anything.
    fn answer(&mut self, scene: &Scene) -> Option<Arc<Snapshot>> {
        let Some(Command::Focus(wanted)) = self.app.wanted_focus() else { return None };
        self.app.asked_for_focus();
        let focus = Some(Arc::new(scene.answer(wanted)));
        Some(Arc::new(Snapshot { focus, ..Snapshot::clone(self.app.snapshot()) }))
    }
}

impl Frames {
    fn add(&mut self, (time, bytes): (Duration, usize)) {
        self.times.add(time);
        self.bytes.add(bytes);
    }
}

/// The cursor moves through the middle of the session; answers come in time, or late.
fn keys(shown: &mut Shown, scene: &Scene, frames: usize, late: bool) -> Frames {
    let middle = Target { position: Some(scene.positions / 2), ..Target::default() };
    shown.frame(|app| app.update(Action::Jump(middle)));
    let mut all = Frames::default();
    for action in MOVES.iter().cycle().take(frames) {
        let (mut frame, mut before) = (None, Duration::ZERO);
        if late {
            frame = Some(shown.frame(|app| app.update(action.clone())));
        } else {
            let begun = common::processor_of_thread();
            shown.app.update(action.clone());
            before = common::processor_of_thread().saturating_sub(begun);
        }
        let answer = shown.answer(scene).unwrap_or_else(|| Arc::clone(shown.app.snapshot()));
        let (time, bytes) = shown.take(answer);
        all.add(frame.unwrap_or((before + time, bytes)));
    }
    all
}

/// One position after the other comes, and the cursor follows.
fn steps(shown: &mut Shown, scene: &Scene, whole: &Snapshot, steps: usize) -> Frames {
    let first = whole.columns.len() - steps;
    shown.take(up_to(whole, first));
    shown.frame(|app| app.update(Action::Last));
    shown.frame(|app| app.update(Action::Follow));
    let mut all = Frames::default();
    for n in first + 1..=whole.columns.len() {
        let focus = shown.app.snapshot().focus.clone();
        let newer = Arc::new(Snapshot { focus, ..Snapshot::clone(&up_to(whole, n)) });
        let begun = common::processor_of_thread();
        shown.app.set_snapshot(newer);
        let before = common::processor_of_thread().saturating_sub(begun);
        let answer = shown.answer(scene).unwrap_or_else(|| Arc::clone(shown.app.snapshot()));
        let (time, bytes) = shown.take(answer);
        all.add((before + time, bytes));
    }
    all
}

/// The session when so many positions were there.
fn up_to(whole: &Snapshot, columns: usize) -> Arc<Snapshot> {
    let mut tokens = whole.tokens.to_vec();
    tokens.truncate(columns);
    let columns = whole.columns[..columns].to_vec();
    Arc::new(Snapshot { tokens: Arc::new(tokens), columns, ..whole.clone() })
}

/// The same with every position judged anew, as when the noise of a pair becomes known.
fn judged_anew(whole: &Snapshot) -> Arc<Snapshot> {
    let copy = |column: &Arc<Column>| Arc::new(Column::clone(column));
    Arc::new(Snapshot { columns: whole.columns.iter().map(copy).collect(), ..whole.clone() })
}

fn main() {
    let asked = common::asked();
    let positions = if asked { common::from_environment("PARITTY_BENCH_POSITIONS", 4096) } else { 8 };
    let (frames, new) = if asked { (FRAMES, STEPS.min(positions as usize / 2)) } else { (2, 2) };
    let json = std::env::var_os("PARITTY_BENCH_JSON").is_some();
    let scene = Scene::whole(positions);
    let before = Process::this().memory("VmRSS:");
    let whole = Arc::new(scene.snapshot());
    let cells: usize = whole.columns.iter().map(|c| c.cells.len()).sum();
    let used = Process::this().memory("VmRSS:").saturating_sub(before);
    if !json {
        println!("{}; {} layers × {positions} positions: {cells} cells", common::machine(), scene.layers);
        println!("the snapshot of them all takes {} MB", used >> 20);
        println!("milliseconds of processor time a frame and kilobytes sent: median, 99th percentile\n");
        println!(
            "{:<20} {:>16} {:>16} {:>16} {:>16} {:>16}",
            "", "key", "late", "step", "kB a key", "kB a step"
        );
    }
    for size in SIZES {
        for &view in View::ALL {
            let mut shown = Shown::new(&whole, view, size);
            let [key, late] = [false, true].map(|late| keys(&mut shown, &scene, frames, late));
            let step = steps(&mut shown, &scene, &whole, new);
            let name = format!("{}×{} {}", size.0, size.1, view.info().id);
            if json {
                let times = |f: &Frames| [f.times.median(), f.times.late()].map(|t| t.as_secs_f64() * 1e3);
                let bytes = |f: &Frames| [f.bytes.median(), f.bytes.late()];
                let line = serde_json::json!({
                    "width": size.0, "height": size.1, "view": view.info().id, "cells": cells,
                    "key_ms": times(&key), "late_ms": times(&late), "step_ms": times(&step),
                    "key_bytes": bytes(&key), "step_bytes": bytes(&step),
                });
                println!("{line}");
                continue;
            }
            let times = |f: &Frames| format!("{} {:>6}", ms(f.times.median()), ms(f.times.late()));
            let kb = |bytes: usize| format!("{:.1}", bytes as f64 / 1e3);
            let bytes = |f: &Frames| format!("{} {:>6}", kb(f.bytes.median()), kb(f.bytes.late()));
            println!(
                "{name:<20} {:>16} {:>16} {:>16} {:>16} {:>16}",
                times(&key),
                times(&late),
                times(&step),
                bytes(&key),
                bytes(&step)
            );
        }
    }
    let other = judged_anew(&whole);
    let mut shown = Shown::new(&whole, View::Overview, SIZES[2]);
    let mut all = Sample::default();
    for snapshot in [&other, &whole].into_iter().cycle().take(10) {
        all.add(shown.take(Arc::clone(snapshot)).0);
    }
    if !json {
        println!(
            "\nevery position judged anew, {}×{} overview: {}",
            SIZES[2].0,
            SIZES[2].1,
            common::in_words(&all)
        );
    }
}
