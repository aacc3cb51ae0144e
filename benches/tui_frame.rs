//! Time of one frame: drawing a session of 64 layers × 512 positions, and taking in a snapshot in
//! which one position is new.

#[path = "../tests/common/snapshots.rs"]
mod snapshots;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use paritty::palette::Ground;
use paritty::session::{Command, Snapshot};
use paritty::tui::app::{Action, App};
use paritty::tui::panes::Context;
use paritty::tui::theme::{Depth, Theme};
use paritty::tui::views::View;
use paritty::tui::{Keymap, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use snapshots::Scene;

const THEME: Theme = Theme::new(Depth::TrueColor, Ground::Dark);

fn frames(criterion: &mut Criterion) {
    let scene = Scene::large();
    let first = App::new(Arc::new(scene.snapshot()));
    let cursor = first.cursor();
    let snapshot = Arc::new(scene.focused(cursor.position, cursor.checkpoint));
    let keymap = Keymap::default();
    let mut group = criterion.benchmark_group("frame, 64 layers × 512 positions");
    for (width, height) in [(80, 24), (200, 60)] {
        for (name, actions) in [
            ("overview", &[][..]),
            ("overview, all at once", &[Action::Fit][..]),
            ("layer", &[Action::Drill][..]),
            ("tensor", &[Action::Drill, Action::Drill][..]),
            ("channels", &[Action::Look(View::Channels)][..]),
            ("attention", &[Action::Look(View::Attention)][..]),
        ] {
            let mut app = App::new(Arc::clone(&snapshot));
            for action in actions {
                app.update(action.clone());
            }
            if let Some(Command::Focus(wanted)) = app.wanted_focus() {
                app.asked_for_focus();
                app.set_snapshot(Arc::new(scene.answered(wanted)));
            }
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
            group.bench_function(format!("{width}×{height} {name}"), |bencher| {
                bencher.iter(|| {
                    let context = Context { app: black_box(&app), theme: &THEME, keymap: &keymap };
                    terminal.draw(|frame| view::draw(frame, context)).expect("drawn");
                });
            });
        }
    }
    group.finish();
}

fn snapshots_taken_in(criterion: &mut Criterion) {
    let all = Scene::large().snapshot();
    let mut shorter: Snapshot = all.clone();
    shorter.columns.pop();
    let (all, shorter) = (Arc::new(all), Arc::new(shorter));
    let mut app = App::new(Arc::clone(&shorter));
    app.update(Action::First);
    criterion.bench_function("take in one new position of 512", |bencher| {
        bencher.iter(|| {
            app.set_snapshot(Arc::clone(black_box(&all)));
            app.set_snapshot(Arc::clone(black_box(&shorter)));
        });
    });
}

criterion_group!(benches, frames, snapshots_taken_in);
criterion_main!(benches);
