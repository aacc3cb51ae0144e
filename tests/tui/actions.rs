//! What actions do to the state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use paritty::compare::Verdict;
use paritty::model::{Checkpoint, Site};
use paritty::palette::Ground;
use paritty::session::{Command, RunState, Snapshot, SourceState, Wanted};
use paritty::tui::app::{Action, App, Effect, ExportWhat, Overlay};
use paritty::tui::panes::Context;
use paritty::tui::theme::{Depth, Theme};
use paritty::tui::view;
use paritty::tui::views::View;
use paritty::tui::{Keymap, PaneKind};
use ratatui::layout::Rect;

use crate::snapshots::{Scene, empty};

fn at(site: Site, layer: usize) -> Checkpoint {
    Checkpoint::layer(site, layer)
}

fn place(app: &App) -> (u32, Checkpoint) {
    (app.cursor().position, app.cursor().checkpoint)
}

fn commands(app: &mut App) -> Vec<Command> {
    let effects = app.take_effects();
    effects.into_iter().filter_map(|e| if let Effect::Send(c) = e { Some(c) } else { None }).collect()
}

fn up_to(scene: &Scene, positions: u32) -> Snapshot {
    let mut snapshot = scene.snapshot();
    snapshot.columns.truncate(positions as usize);
    if scene.fault.is_none_or(|(at, _)| positions <= at) {
        snapshot.verdict = Arc::new(Verdict::Pending);
    }
    snapshot
}

#[test]
fn the_cursor_follows_and_is_led_to_the_first_divergence_once() {
    let scene = Scene::faulty();
    let mut app = App::new(Arc::new(up_to(&scene, 3)));
    assert_eq!(app.cursor().position, 2);
    app.set_snapshot(Arc::new(up_to(&scene, 10)));
    assert_eq!(app.cursor().position, 9);
    app.set_snapshot(Arc::new(up_to(&scene, 20)));
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
    assert!(!app.following());
    app.set_snapshot(Arc::new(up_to(&scene, 30)));
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
    app.update(Action::Left);
    app.set_snapshot(Arc::new(up_to(&scene, 31)));
    assert_eq!(app.cursor().position, 16, "the user has moved: nobody else moves the cursor");
    app.update(Action::HistoryBack);
    assert_eq!(app.cursor().position, 9, "back to where it was before the jump");
    app.update(Action::Follow);
    assert_eq!(app.cursor().position, 30);
}

#[test]
fn a_user_who_moves_first_is_left_alone() {
    let scene = Scene::faulty();
    let mut app = App::new(Arc::new(up_to(&scene, 10)));
    app.update(Action::First);
    app.set_snapshot(Arc::new(scene.snapshot()));
    assert_eq!(app.cursor().position, 0);
    app.update(Action::FirstDivergence);
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
}

#[test]
fn a_verdict_that_is_taken_back_lets_the_cursor_go() {
    let scene = Scene::faulty();
    let mut app = App::new(Arc::new(up_to(&scene, 20)));
    assert_eq!(app.cursor().position, 17);
    app.set_snapshot(Arc::new(up_to(&Scene::clean(), 21)));
    assert!(app.following());
    assert_eq!(place(&app), (20, Checkpoint::LOGITS));
}

#[test]
fn moving_stays_inside() {
    let mut app = App::new(Arc::new(Scene::clean().snapshot()));
    app.update(Action::Last);
    app.update(Action::Right);
    assert_eq!(app.cursor().position, 39);
    app.update(Action::FarLeft);
    assert_eq!(app.cursor().position, 29);
    app.update(Action::First);
    app.update(Action::Left);
    assert_eq!(app.cursor().position, 0);
    for _ in 0..5 {
        app.update(Action::PageUp);
    }
    assert_eq!(app.cursor().checkpoint, Checkpoint::LOGITS);
    app.update(Action::Down);
    app.update(Action::Down);
    assert_eq!(app.cursor().checkpoint, at(Site::LOut, 5), "a quiet layer is shown by what it hands on");
    for _ in 0..5 {
        app.update(Action::PageDown);
    }
    assert_eq!(app.cursor().checkpoint, Checkpoint::global(Site::Embd));
}

#[test]
fn the_overview_chooses_what_stands_out() {
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    app.update(Action::Left);
    assert_eq!(place(&app), (16, at(Site::LOut, 3)));
    app.update(Action::Right);
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
}

#[test]
fn drilling_goes_through_the_layer_to_the_tensor_and_back() {
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    assert_eq!(app.map_rows().len(), 9);
    app.update(Action::Drill);
    assert_eq!((app.view(), app.map_rows().len()), (View::Layer, 17));
    app.update(Action::Up);
    assert_eq!(app.cursor().checkpoint, at(Site::Kq, 3));
    app.update(Action::Drill);
    assert_eq!(app.view(), View::Tensor);
    app.update(Action::ChannelOn);
    app.update(Action::Leave);
    app.update(Action::Leave);
    app.update(Action::Leave);
    assert_eq!(app.view(), View::Overview);
    app.update(Action::PageUp);
    app.update(Action::PageUp);
    app.update(Action::Drill);
    assert_eq!(app.view(), View::Tensor, "logits have no layer to look into");
}

#[test]
fn divergences_are_visited_in_order_and_history_leads_back() {
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    app.update(Action::First);
    app.update(Action::NextDivergence);
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
    app.update(Action::NextDivergence);
    assert_eq!(place(&app), (30, at(Site::FfnUp, 5)));
    app.update(Action::NextDivergence);
    assert_eq!(place(&app), (30, at(Site::FfnUp, 5)));
    assert_eq!(app.message().unwrap().text, "no divergence after this one");
    app.update(Action::PreviousDivergence);
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
    app.update(Action::HistoryBack);
    assert_eq!(place(&app), (30, at(Site::FfnUp, 5)));
    app.update(Action::HistoryForward);
    assert_eq!(place(&app), (17, at(Site::KcurRope, 3)));
    let mut clean = App::new(Arc::new(Scene::clean().snapshot()));
    clean.update(Action::NextDivergence);
    assert_eq!(clean.message().unwrap().text, "no divergence so far");
}

#[test]
fn engines_are_told_what_they_can_do() {
    let scene = Scene::clean();
    let with = |run| App::new(Arc::new(Snapshot { run, ..scene.snapshot() }));
    let mut app = with(RunState::Paused);
    for action in [Action::Step, Action::ToggleRun, Action::StepBack, Action::Pause] {
        app.update(action);
    }
    assert_eq!(commands(&mut app), [Command::Step, Command::Run, Command::Back, Command::Pause]);
    let mut app = with(RunState::Running);
    app.update(Action::ToggleRun);
    assert_eq!(commands(&mut app), [Command::Pause]);
    let mut app = with(RunState::Static);
    app.update(Action::Step);
    assert!(commands(&mut app).is_empty());
    assert!(app.message().unwrap().text.contains("no engine"));
    let mut app = with(RunState::Finished);
    app.update(Action::Step);
    app.update(Action::StepBack);
    assert_eq!(commands(&mut app), [Command::Back]);
}

#[test]
fn the_cell_under_the_cursor_is_asked_for_once() {
    let scene = Scene::clean();
    let mut app = App::new(Arc::new(scene.snapshot()));
    let (position, checkpoint) = place(&app);
    assert_eq!(app.wanted_focus(), Some(Command::Focus(Wanted::cell(position, checkpoint))));
    app.asked_for_focus();
    assert_eq!(app.wanted_focus(), None);
    app.update(Action::Left);
    app.update(Action::Left);
    let wanted = Some(Command::Focus(Wanted::cell(position - 2, checkpoint)));
    assert_eq!(app.wanted_focus(), wanted, "only the last place is asked for");
    app.asked_for_focus();
    assert_eq!(App::new(Arc::new(empty())).wanted_focus(), None);
}

#[test]
fn a_snapshot_in_which_only_time_has_passed_is_not_drawn() {
    let scene = Scene::faulty();
    let mut snapshot = scene.focused(17, at(Site::KcurRope, 3));
    snapshot.reference.state = SourceState::Stalled(Duration::from_millis(3100));
    let mut app = App::new(Arc::new(snapshot.clone()));
    snapshot.revision += 1;
    snapshot.reference.state = SourceState::Stalled(Duration::from_millis(3900));
    assert!(!app.set_snapshot(Arc::new(snapshot.clone())));
    snapshot.reference.state = SourceState::Stalled(Duration::from_secs(4));
    assert!(app.set_snapshot(Arc::new(snapshot.clone())), "another second");
    Arc::make_mut(&mut snapshot.columns[3]).complete = false;
    assert!(app.set_snapshot(Arc::new(snapshot)));
}

#[test]
fn exports_name_what_is_focused() {
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    app.update(Action::FocusOn(PaneKind::Logits));
    app.update(Action::ExportPane);
    app.update(Action::ExportScreen);
    let effects = app.take_effects();
    let [Effect::Export(pane), Effect::Export(screen)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((pane.what, screen.what), (ExportWhat::Pane(PaneKind::Logits), ExportWhat::Screen));
    assert_eq!(pane.cursor, app.cursor());
    app.exported(Ok(vec![PathBuf::from("out.png"), PathBuf::from("out.npz")]));
    assert_eq!(app.message().unwrap().text, "saved out.png .npz");
    app.exported(Err("disk full".to_owned()));
    assert!(app.message().unwrap().is_error);
    app.update(Action::Left);
    assert_eq!(app.message(), None, "the next key takes the message away");
}

#[test]
fn help_and_scrolling_leave_the_cursor_alone() {
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    let before = app.cursor();
    app.update(Action::Help);
    app.update(Action::Down);
    assert_eq!(*app.overlay(), Overlay::Help { scroll: 1 });
    app.update(Action::Leave);
    app.update(Action::FocusOn(PaneKind::Verdict));
    app.update(Action::Down);
    assert_eq!(app.scroll(PaneKind::Verdict), 1);
    assert_eq!(app.cursor(), before);
    app.update(Action::Quit);
    assert!(app.take_effects().iter().any(|e| matches!(e, Effect::Quit)));
}

#[test]
fn a_run_that_starts_anew_keeps_the_cursor_inside() {
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    app.update(Action::Last);
    let mut short = up_to(&Scene::clean(), 5);
    Arc::make_mut(&mut short.tokens).truncate(5);
    short.rows = short.rows[..20].into();
    app.set_snapshot(Arc::new(short));
    assert_eq!(app.cursor().position, 4);
    assert!(app.snapshot().rows.contains(&app.cursor().checkpoint));
    app.set_snapshot(Arc::new(empty()));
    for action in [
        Action::Left,
        Action::Right,
        Action::Up,
        Action::Down,
        Action::Last,
        Action::Drill,
        Action::NextDivergence,
    ] {
        app.update(action);
    }
}

#[test]
fn every_click_lands_where_the_cell_is_drawn() {
    let theme = Theme::new(Depth::TrueColor, Ground::Dark);
    let keymap = Keymap::default();
    for (width, height) in [(80u16, 24u16), (120, 40), (200, 60)] {
        let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
        app.update(Action::First);
        let area = Rect::new(0, 0, width, height);
        let layout = view::layout(&app, area).unwrap();
        let map = layout.area(PaneKind::Map).unwrap();
        let mut hits = 0;
        for y in map.top()..map.bottom() {
            for x in map.left()..map.right() {
                let click = MouseEvent {
                    kind: MouseEventKind::Down(MouseButton::Left),
                    column: x,
                    row: y,
                    modifiers: KeyModifiers::NONE,
                };
                let context = Context::new(&app, &theme, &keymap);
                let action = view::mouse(click, context, area);
                let Some(Action::Select { position, row }) = action else { continue };
                hits += 1;
                let mut clicked = App::new(Arc::clone(app.snapshot()));
                clicked.update(Action::First);
                clicked.update(Action::Select { position, row });
                assert_eq!(clicked.cursor().position, position);
                assert!(
                    row.contains(clicked.cursor().checkpoint) || (position, row) == (0, app.map_rows()[0])
                );
                // A second click on the same cell drills.
                if clicked.view() == View::Overview {
                    let buffer = {
                        let mut buffer = ratatui::buffer::Buffer::empty(area);
                        let context = Context::new(&clicked, &theme, &keymap);
                        view::render(context, area, &mut buffer);
                        buffer
                    };
                    let accent = theme.bar(paritty::tui::theme::Role::Accent).bg.unwrap();
                    assert_eq!(buffer[(x, y)].bg, accent, "{width}×{height} ({x}, {y})");
                }
            }
        }
        assert!(hits > 100, "{width}×{height}: {hits}");
    }
}

#[test]
fn the_line_between_panes_can_be_dragged() {
    let theme = Theme::new(Depth::TrueColor, Ground::Dark);
    let keymap = Keymap::default();
    let area = Rect::new(0, 0, 120, 40);
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    let map = |app: &App| view::layout(app, area).unwrap().area(PaneKind::Map).unwrap();
    let before = map(&app);
    let event = |kind, column| MouseEvent { kind, column, row: before.y + 4, modifiers: KeyModifiers::NONE };
    for (kind, column) in [
        (MouseEventKind::Down(MouseButton::Left), before.right()),
        (MouseEventKind::Drag(MouseButton::Left), 90),
        (MouseEventKind::Up(MouseButton::Left), 90),
    ] {
        let context = Context::new(&app, &theme, &keymap);
        let action = view::mouse(event(kind, column), context, area).expect("the line is there");
        app.update(action);
    }
    assert_eq!(map(&app).right(), 90);
    let context = Context::new(&app, &theme, &keymap);
    let moved = view::mouse(event(MouseEventKind::Drag(MouseButton::Left), 40), context, area);
    assert_eq!(moved, None, "it was let go");
}

#[test]
fn every_view_has_its_key_and_can_be_left() {
    let keymap = Keymap::default();
    let mut app = App::new(Arc::new(Scene::faulty().snapshot()));
    for (&view, digit) in View::ALL.iter().zip('1'..) {
        let action = keymap.action(crossterm::event::KeyCode::Char(digit).into(), app.place());
        app.update(action.expect("bound"));
        assert_eq!((app.view(), app.pane()), (view, view.first_pane()));
        for _ in 0..view.panes().len() {
            app.update(Action::FocusNext);
        }
        assert_eq!(app.pane(), view.first_pane(), "Tab goes round");
        app.update(Action::Leave);
        app.update(Action::Leave);
        assert_eq!(app.view(), View::Overview);
    }
}

#[test]
fn a_screen_that_was_left_is_taken_up_again() {
    let scene = Scene::faulty();
    let mut app = App::new(Arc::new(scene.snapshot()));
    app.update(Action::FirstDivergence);
    app.update(Action::Look(View::Tensor));
    app.update(Action::FocusOn(PaneKind::Elements));
    app.update(Action::ChannelOn);
    let saved = app.saved();
    let text = serde_json::to_string(&saved).unwrap();
    let read: paritty::tui::app::SavedScreen = serde_json::from_str(&text).unwrap();
    // The run begins anew and grows past the place.
    let mut young = up_to(&scene, 3);
    Arc::make_mut(&mut young.tokens).truncate(3);
    let mut again = App::new(Arc::new(young));
    again.take_up(&read).unwrap();
    assert_eq!((again.view(), again.pane()), (View::Tensor, PaneKind::Elements));
    assert_ne!(place(&again), place(&app));
    again.set_snapshot(Arc::new(up_to(&scene, 30)));
    assert_eq!(again.cursor(), app.cursor());
    again.update(Action::Left);
    again.set_snapshot(Arc::new(scene.snapshot()));
    assert_eq!(again.cursor().position, app.cursor().position - 1, "only once");

    let bad = paritty::tui::app::SavedScreen { view: "nonsense".into(), ..saved };
    let said = again.take_up(&bad).unwrap_err().to_string();
    assert!(said.contains("`nonsense`") && said.contains("overview"), "{said}");
}
