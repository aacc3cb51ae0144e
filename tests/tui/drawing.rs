//! What is drawn: at every size, in every view, with every kind of text.

use std::sync::Arc;
use std::time::Instant;

use paritty::model::{Checkpoint, Site};
use paritty::palette::Ground;
use paritty::session::{Command, Snapshot};
use paritty::tui::app::{Action, App};
use paritty::tui::panes::Context;
use paritty::tui::theme::{Depth, Theme};
use paritty::tui::view;
use paritty::tui::views::View;
use paritty::tui::{Keymap, PaneKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use crate::snapshots::{Scene, diagnosed, empty, records};

pub(crate) const TRUE: Theme = Theme::new(Depth::TrueColor, Ground::Dark);
pub(crate) const DEPTHS: [Depth; 4] = [Depth::Mono, Depth::Ansi16, Depth::Indexed256, Depth::TrueColor];

pub(crate) fn draw(app: &App, theme: Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let keymap = Keymap::default();
    let context = Context::new(app, &theme, &keymap);
    terminal.draw(|frame| view::draw(frame, context)).unwrap();
    terminal.backend().buffer().clone()
}

/// The application with the values under the cursor.
pub fn focused(scene: &Scene) -> App {
    let mut app = App::new(Arc::new(scene.snapshot()));
    refocus(scene, &mut app);
    app
}

/// Answers what the screen asks for.
pub fn refocus(scene: &Scene, app: &mut App) {
    if let Some(Command::Focus(wanted)) = app.wanted_focus() {
        app.asked_for_focus();
        app.set_snapshot(Arc::new(scene.answered(wanted)));
    }
}

pub(crate) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        for x in 0..buffer.area.width {
            out.push_str(buffer[(x, y)].symbol());
        }
        out.push('\n');
    }
    out
}

fn color(color: Color) -> String {
    match color {
        Color::Rgb(r, g, b) => format!("{r:02x}{g:02x}{b:02x}"),
        Color::Reset => "-".to_owned(),
        other => other.to_string(),
    }
}

/// Text, then the runs of equal style of every line.
fn dump(buffer: &Buffer) -> String {
    let mut out = text(buffer);
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let style = format!("{}/{} {:?}", color(cell.fg), color(cell.bg), cell.modifier);
            if runs.last().is_none_or(|(_, last)| *last != style) {
                runs.push((x, style));
            }
        }
        let runs: Vec<String> = runs.into_iter().map(|(x, style)| format!(" {x} {style};")).collect();
        out.extend([y.to_string(), ":".to_owned(), runs.concat(), "\n".to_owned()]);
    }
    out
}

#[test]
fn nothing_panics_at_any_size() {
    let scene = Scene::faulty();
    let full = Snapshot {
        diagnosis: diagnosed(40),
        records: Arc::new(records(Instant::now(), 300, 500)),
        ..scene.focused(30, Checkpoint::LOGITS)
    };
    for snapshot in [empty(), scene.snapshot(), Scene::clean().focused(3, Checkpoint::LOGITS), full] {
        for depth in DEPTHS {
            let theme = Theme::new(depth, Ground::Light);
            for (width, height) in [
                (0, 0),
                (1, 1),
                (2, 1),
                (1, 30),
                (39, 10),
                (40, 9),
                (40, 10),
                (41, 11),
                (72, 15),
                (80, 24),
                (120, 40),
                (200, 60),
                (300, 100),
            ] {
                let mut app = App::new(Arc::new(snapshot.clone()));
                for _ in 0..2 {
                    for _ in PaneKind::ALL {
                        draw(&app, theme, width, height);
                        app.update(Action::FocusNext);
                        app.update(Action::PageDown);
                    }
                    app.update(Action::FocusOn(PaneKind::Map));
                    app.update(Action::Fit);
                    for _ in 0..2 {
                        app.update(Action::Drill);
                        draw(&app, theme, width, height);
                    }
                    app.update(Action::Help);
                    draw(&app, theme, width, height);
                    app.update(Action::Leave);
                }
                for &view in View::ALL {
                    app.update(Action::Look(view));
                    // Most panes have something to fold only when there are values.
                    if app.snapshot().focus.is_some() {
                        refocus(&scene, &mut app);
                    }
                    // In small screens panes share a place.
                    for _ in view.panes().iter().filter(|_| width < 100) {
                        app.update(Action::FocusNext);
                        app.update(Action::Down);
                        draw(&app, theme, width, height);
                    }
                    draw(&app, theme, width, height);
                }
            }
        }
    }
}

#[test]
fn every_size_says_what_it_can() {
    let app = focused(&Scene::faulty());
    assert!(text(&draw(&app, TRUE, 40, 9)).contains("terminal too small"));
    for (width, height) in [(40, 10), (60, 16), (80, 24), (120, 40), (200, 60)] {
        let shown = text(&draw(&app, TRUE, width, height));
        assert!(shown.contains("parity map"), "{width}×{height}\n{shown}");
        assert!(shown.contains("? help"), "{width}×{height}\n{shown}");
    }
    assert!(text(&draw(&app, TRUE, 120, 40)).contains("● live 40/64"));
    let shown = text(&draw(&app, TRUE, 80, 24));
    for wanted in [
        "● 40/64",
        "◆ 40/64",
        "llama.cpp ↔ paritty",
        "replay of a recorded trace",
        "fault: rope-pairing",
        "DIVERGED",
        "first divergence: position 17",
        "layer 3 · position 17 · Kcur_rope",
        "214",
        "nmse",
        "cos",
        "KL 0.412",
        "reference",
        "candidate",
        "Enter drill",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    for row in ["out", "norm", "l 5", "l 0", "embd"] {
        assert!(shown.lines().any(|l| l.trim_start().starts_with(row)), "{row}\n{shown}");
    }
}

/// The colours of the map's cells at `label`'s row, one a position.
fn map_row(buffer: &Buffer, label: &str) -> Vec<(String, Color)> {
    let y = (0..buffer.area.height)
        .find(|&y| (0..6).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim() == label)
        .unwrap_or_else(|| panic!("{label}\n{}", text(buffer)));
    (0..buffer.area.width).map(|x| (buffer[(x, y)].symbol().to_owned(), buffer[(x, y)].bg)).collect()
}

#[test]
fn origin_knock_on_noise_missing_and_nan_look_different() {
    let scene = Scene::faulty();
    let mut app = focused(&scene);
    app.update(Action::First);
    refocus(&scene, &mut app);
    let buffer = draw(&app, TRUE, 200, 60);
    let row = map_row(&buffer, "l 3");
    // The map's cells start after a label of four and a space; 40 positions on 92 columns: two each.
    let cells: Vec<&(String, Color)> = row[6..].chunks(2).map(|c| &c[0]).collect();
    assert_eq!(cells[17].0, "◆");
    assert_eq!(cells[16].0, " ");
    assert_eq!(cells[18].0, " ");
    assert_ne!(cells[16].1, cells[18].1);
    assert_eq!(map_row(&buffer, "l 4")[6 + 2 * 17].0, " ", "what follows is no origin");
    assert_eq!(map_row(&buffer, "l 2")[6 + 2 * 8].0, "·");
    assert_eq!(map_row(&buffer, "l 0")[6 + 2 * 11].0, "≠");
    let nan = &map_row(&buffer, "l 5")[6 + 2 * 30];
    assert_eq!(nan.0, "◇");
    assert_ne!(nan.1, cells[18].1);
}

#[test]
fn colours_follow_the_terminal() {
    let app = focused(&Scene::faulty());
    for depth in DEPTHS {
        let buffer = draw(&app, Theme::new(depth, Ground::Dark), 120, 40);
        for cell in &buffer.content {
            for color in [cell.fg, cell.bg] {
                let allowed = match color {
                    Color::Reset => true,
                    Color::Rgb(..) => depth == Depth::TrueColor,
                    Color::Indexed(_) => depth == Depth::Indexed256,
                    _ => depth == Depth::Ansi16,
                };
                assert!(allowed, "{color:?} at {depth:?}");
            }
        }
    }
}

#[test]
fn hostile_text_stays_text() {
    let evil = "a\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{9b}31m\u{202e}b\u{200b}";
    let scene = Scene::faulty();
    let mut snapshot: Snapshot = scene.focused(17, Checkpoint::layer(Site::KcurRope, 3));
    snapshot.model = evil.to_owned();
    snapshot.message = Some(evil.to_owned());
    for side in [&mut snapshot.reference, &mut snapshot.candidate] {
        side.team = evil.to_owned();
        side.backend = evil.to_owned();
        side.remark = Some(evil.to_owned());
        side.state = paritty::session::SourceState::Failed(evil.to_owned());
        side.notes.skipped_count = 1;
        side.notes.skipped = vec![(1, evil.to_owned())];
    }
    for token in Arc::make_mut(&mut snapshot.tokens) {
        token.text = evil.to_owned();
    }
    let mut focus = (**snapshot.focus.as_ref().unwrap()).clone();
    for (_, piece) in &mut focus.pieces {
        *piece = evil.to_owned();
    }
    snapshot.focus = Some(Arc::new(focus));
    if let paritty::session::DiagnosisState::Done(mut found) = diagnosed(40) {
        let change = Arc::make_mut(&mut found);
        change.sentences[0].text = evil.to_owned();
        change.sides[0].sentences[0].text = evil.to_owned();
        change.faulty[0].sentence = evil.to_owned();
        change.faulty[0].mistake = Some(evil.to_owned());
        change.faulty[0].evidence = vec![evil.to_owned()];
        snapshot.diagnosis = paritty::session::DiagnosisState::Done(found);
    }
    let mut arrived = records(Instant::now(), 20, 20);
    for record in &mut arrived.newest {
        record.record.tensor = Some(evil.into());
        record.record.op = Some(evil.into());
    }
    snapshot.records = Arc::new(arrived);
    let stepping = paritty::session::Stepping {
        stopped: Some((3, evil.to_owned())),
        changes: vec![evil.to_owned()],
        ..Default::default()
    };
    snapshot.stepping = Arc::new(stepping);
    for column in &mut snapshot.columns {
        for finding in &mut Arc::make_mut(column).garbage_reference {
            finding.evidence = evil.to_owned();
            finding.glyph = '\u{1b}';
        }
    }
    let harmless = |s: &str| s.chars().all(|c| !c.is_control() && !matches!(c, '\u{200b}' | '\u{202e}'));
    for line in paritty::tui::plain::lines(&snapshot) {
        assert!(harmless(&line), "{line:?}");
    }
    let verdict = paritty::compare::Verdict::DifferentComputation { evidence: evil.to_owned() };
    for verdict in [snapshot.verdict.clone(), Arc::new(verdict)] {
        let snapshot = Snapshot { verdict, message: None, ..snapshot.clone() };
        let mut app = App::new(Arc::new(snapshot));
        app.tell(evil, true);
        for (width, height) in [(80, 24), (200, 60)] {
            for &pane in PaneKind::ALL {
                app.update(Action::FocusOn(pane));
                app.tell(evil, true);
                let buffer = draw(&app, TRUE, width, height);
                assert!(buffer.content.iter().all(|cell| harmless(cell.symbol())));
            }
            for &view in View::ALL {
                app.update(Action::Look(view));
                let buffer = draw(&app, TRUE, width, height);
                assert!(buffer.content.iter().all(|cell| harmless(cell.symbol())), "{view:?}");
            }
        }
    }
}

#[test]
fn values_of_another_cell_are_dimmed() {
    let scene = Scene::faulty();
    let mut app = focused(&scene);
    assert!(!text(&draw(&app, TRUE, 120, 40)).contains("reading …"));
    app.update(Action::Left);
    assert!(text(&draw(&app, TRUE, 120, 40)).contains("reading …"));
    refocus(&scene, &mut app);
    assert!(!text(&draw(&app, TRUE, 120, 40)).contains("reading …"));
}

#[test]
fn long_text_scrolls_to_its_end_and_no_further() {
    let mut app = focused(&Scene::faulty());
    app.update(Action::FocusOn(PaneKind::Verdict));
    let before = text(&draw(&app, TRUE, 80, 24));
    assert!(before.contains('▼') && !before.contains("cells that the candidate lacks"), "{before}");
    for _ in 0..50 {
        app.update(Action::Down);
    }
    let after = text(&draw(&app, TRUE, 80, 24));
    assert!(after.contains("lacks") && !after.contains("first divergence"), "{after}");
    let verdict = after.lines().rev().nth(1).unwrap();
    assert!(verdict.contains("lacks"), "the last line stands at the bottom\n{after}");
}

#[test]
fn help_lists_every_key_with_scrolling() {
    let mut app = focused(&Scene::clean());
    app.update(Action::Help);
    let mut seen = String::new();
    for _ in 0..20 {
        seen.push_str(&text(&draw(&app, TRUE, 120, 24)));
        app.update(Action::PageDown);
    }
    for binding in Keymap::default().bindings() {
        assert!(seen.contains(&*binding.help), "{}", binding.help);
    }
    assert!(seen.contains("an error enters"));
}

#[test]
fn the_tensor_view_shows_bits() {
    let scene = Scene::faulty();
    let mut app = focused(&scene);
    app.update(Action::Drill);
    let layer = text(&draw(&app, TRUE, 120, 40));
    for name in ["attn_norm", "Kcur_rope", "l_out"] {
        assert!(layer.contains(name), "{layer}");
    }
    app.update(Action::Drill);
    let tensor = text(&draw(&app, TRUE, 120, 40));
    assert!(tensor.contains("worst elements") && tensor.contains("ULP"), "{tensor}");
    let Some(focus) = &app.snapshot().focus else { panic!() };
    let bits = format!("{:08x}", focus.reference.as_ref().unwrap().values[17].to_bits());
    assert!(tensor.contains(&bits), "{bits}\n{tensor}");
}

#[test]
fn screens_with_colours() {
    let scene = Scene {
        layers: 2,
        positions: 12,
        fault: Some((5, Checkpoint::layer(Site::QcurRope, 1))),
        oddities: true,
        n_embd: 32,
        n_vocab: 60,
    };
    let mut app = focused(&scene);
    insta::assert_snapshot!("overview_truecolor_80x24", dump(&draw(&app, TRUE, 80, 24)));
    let mono = Theme::new(Depth::Mono, Ground::Dark);
    insta::assert_snapshot!("overview_mono_80x24", dump(&draw(&app, mono, 80, 24)));
    app.update(Action::Drill);
    insta::assert_snapshot!(
        "layer_256_60x16",
        dump(&draw(&app, Theme::new(Depth::Indexed256, Ground::Light), 60, 16))
    );
}

#[test]
fn plain_lines_carry_the_facts() {
    let scene = Scene::faulty();
    let lines =
        paritty::tui::plain::lines(&scene.focused(17, Checkpoint::layer(Site::KcurRope, 3))).join("\n");
    for wanted in [
        "model: Shakespeare 3M F16",
        "reference: llama.cpp (CPU), live 40/64, replay of a recorded trace",
        "candidate: paritty (CPU), ready 40/64, fault: rope-pairing",
        "first divergence: position 17, layer 3, Kcur_rope-3",
        "inputs agree, the worst is Kcur-3 with 0.410×",
        "an error enters at Kcur_rope-3",
        "KL 0.412 nats, first token differs",
        "garbage: position 30, candidate, nan at result_output",
        "cell: position 17, Kcur_rope-3",
        "reference expects next: “ the” .620",
    ] {
        assert!(lines.contains(wanted), "{wanted}\n{lines}");
    }
    assert!(paritty::tui::plain::lines(&empty()).len() >= 5);
}
