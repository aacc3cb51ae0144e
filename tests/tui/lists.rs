//! Views with lists: what is chosen, where Enter leads, what is drawn.

use std::sync::Arc;
use std::time::Instant;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use paritty::compare::{Ranking, Verdict};
use paritty::model::{Checkpoint, Site};
use paritty::session::{Command, DiagnosisState, Feed, Snapshot, Stepping, TokenView};
use paritty::tui::app::{Action, App, Effect};
use paritty::tui::panes::Context;
use paritty::tui::view;
use paritty::tui::views::View;
use paritty::tui::{Keymap, PaneKind};
use ratatui::layout::Rect;

use crate::drawing::{TRUE, draw, text};
use crate::snapshots::{Scene, diagnosed, empty, records};

fn open(snapshot: Snapshot, view: View) -> App {
    let mut app = App::new(Arc::new(snapshot));
    app.update(Action::Look(view));
    app
}

fn place(app: &App) -> (u32, Checkpoint) {
    (app.cursor().position, app.cursor().checkpoint)
}

fn commands(app: &mut App) -> Vec<Command> {
    let effects = app.take_effects();
    effects.into_iter().filter_map(|e| if let Effect::Send(c) = e { Some(c) } else { None }).collect()
}

fn click(app: &App, x: u16, y: u16) -> Option<Action> {
    let keymap = Keymap::default();
    let context = Context::new(app, &TRUE, &keymap);
    let kind = MouseEventKind::Down(MouseButton::Left);
    let event = MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE };
    view::mouse(event, context, Rect::new(0, 0, 120, 40))
}

/// The line of the screen that holds `wanted`.
fn line_of(shown: &str, wanted: &str) -> u16 {
    shown.lines().position(|l| l.contains(wanted)).unwrap_or_else(|| panic!("{wanted}\n{shown}")) as u16
}

#[test]
fn a_list_is_moved_through_and_entered_and_history_leads_back_to_it() {
    let mut app = open(Scene::faulty().snapshot(), View::Garbage);
    let list = PaneKind::Findings;
    assert_eq!((app.pane(), app.list_len(list), app.chosen(list)), (list, 4, Some(0)));
    let before = place(&app);
    app.update(Action::Down);
    app.update(Action::Down);
    assert_eq!((app.chosen(list), place(&app)), (Some(2), before), "the choice moves, the cursor does not");
    for (action, row) in
        [(Action::PageDown, 3), (Action::Up, 2), (Action::First, 0), (Action::Last, 3), (Action::Down, 3)]
    {
        app.update(action);
        assert_eq!(app.chosen(list), Some(row));
    }
    app.update(Action::Up);
    app.update(Action::Drill);
    assert_eq!((app.view(), place(&app)), (View::Tensor, (30, Checkpoint::LOGITS)));
    app.update(Action::HistoryBack);
    assert_eq!((app.view(), app.pane(), place(&app)), (View::Garbage, list, before));
    assert_eq!(app.chosen(list), Some(2), "the choice is still there");
    app.update(Action::HistoryForward);
    assert_eq!((app.view(), place(&app)), (View::Tensor, (30, Checkpoint::LOGITS)));
}

#[test]
fn a_choice_stays_with_its_finding_when_others_come_before_it() {
    let scene = Scene::faulty();
    let mut app = open(scene.snapshot(), View::Garbage);
    app.update(Action::Last);
    let chosen = |app: &App| app.finding(app.chosen(PaneKind::Findings).unwrap()).map(|f| f.position);
    assert_eq!(chosen(&app), Some(33));
    let mut snapshot = scene.snapshot();
    let finding = snapshot.columns[7].garbage_reference[0].clone();
    Arc::make_mut(&mut snapshot.columns[2]).garbage_candidate = vec![finding; 5];
    app.set_snapshot(Arc::new(snapshot));
    assert_eq!((app.list_len(PaneKind::Findings), chosen(&app)), (9, Some(33)));
}

#[test]
fn the_values_of_the_chosen_finding_are_asked_for() {
    let mut app = open(Scene::faulty().snapshot(), View::Garbage);
    app.update(Action::Down);
    let Some(Command::Focus(wanted)) = app.wanted_focus() else { panic!() };
    assert_eq!((wanted.position, wanted.checkpoint), (20, Checkpoint::LOGITS));
    app.update(Action::Look(View::Overview));
    let Some(Command::Focus(wanted)) = app.wanted_focus() else { panic!() };
    assert_eq!((wanted.position, wanted.checkpoint), place(&app));
}

#[test]
fn a_click_chooses_and_a_second_one_goes() {
    let mut app = open(Scene::faulty().snapshot(), View::Garbage);
    let shown = text(&draw(&app, TRUE, 120, 40));
    let y = line_of(&shown, "  30  candidate");
    assert_eq!(click(&app, 30, y), Some(Action::Choose(PaneKind::Findings, 2)));
    for _ in 0..2 {
        app.update(click(&app, 30, y).unwrap());
    }
    assert_eq!((app.view(), app.cursor().position), (View::Tensor, 30));
}

#[test]
fn garbage_is_listed_with_counts_evidence_and_bits() {
    let scene = Scene::faulty();
    let mut app = open(scene.focused(30, Checkpoint::LOGITS), View::Garbage);
    app.update(Action::Down);
    app.update(Action::Down);
    let shown = text(&draw(&app, TRUE, 120, 40));
    for wanted in [
        "reference  heap-pointer 3",
        "candidate  nan 1",
        "3 of 4",
        "N nan",
        "engine",
        "nan · position 30 · result_output · candidate",
        "low halves of addresses",
        "2 values from channel 0 on · 90.0 % sure · the engine's fault",
        "7f800000",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    let bits = scene.focus(30, Checkpoint::LOGITS).reference.unwrap().values[1].to_bits();
    assert!(shown.contains(&format!("{bits:08x}")), "{shown}");
    assert!(text(&draw(&open(empty(), View::Garbage), TRUE, 80, 24)).contains("no garbage so far"));
}

#[test]
fn thousands_of_findings_are_drawn_around_the_choice() {
    let mut snapshot = Scene::faulty().snapshot();
    let finding = snapshot.columns[7].garbage_reference[0].clone();
    for column in &mut snapshot.columns {
        Arc::make_mut(column).garbage_candidate = vec![finding.clone(); 500];
    }
    let mut app = open(snapshot, View::Garbage);
    app.update(Action::Last);
    let shown = text(&draw(&app, TRUE, 80, 24));
    assert!(shown.contains("20003 of 20003") && shown.contains('▲'), "{shown}");
    assert_eq!(app.listed(PaneKind::Findings, 10), 19993..20003);
}

#[test]
fn a_diagnosis_is_asked_for_called_off_and_made_anew() {
    let scene = Scene::faulty();
    let mut app = App::new(Arc::new(scene.snapshot()));
    app.update(Action::Diagnose);
    assert_eq!((app.view(), commands(&mut app)), (View::Diagnosis, vec![Command::Diagnose]));
    let with = |diagnosis| Arc::new(Snapshot { diagnosis, ..scene.snapshot() });
    let running = |done| DiagnosisState::Running { done, of: 400, what: "auditing the candidate".to_owned() };
    assert!(app.set_snapshot(with(running(100))));
    assert!(app.set_snapshot(with(running(101))), "progress is seen");
    let shown = text(&draw(&app, TRUE, 80, 24));
    assert!(shown.contains("auditing the candidate") && shown.contains("101 of 400"), "{shown}");
    for action in [Action::Diagnose, Action::Leave] {
        app.update(action);
        assert_eq!((app.view(), commands(&mut app)), (View::Diagnosis, vec![Command::CancelDiagnosis]));
    }
    app.set_snapshot(with(diagnosed(40)));
    app.update(Action::Leave);
    assert_eq!((app.view(), commands(&mut app)), (View::Overview, vec![]), "nothing to call off");
    app.update(Action::Diagnose);
    assert_eq!((app.view(), commands(&mut app)), (View::Diagnosis, vec![]), "it is shown, not made anew");
    app.update(Action::Diagnose);
    assert_eq!(commands(&mut app), [Command::Diagnose]);
}

#[test]
fn a_diagnosis_names_operation_mistake_and_evidence_and_leads_there() {
    let snapshot = Snapshot { diagnosis: diagnosed(40), ..Scene::faulty().snapshot() };
    let mut app = open(snapshot, View::Diagnosis);
    let shown = text(&draw(&app, TRUE, 120, 40));
    for wanted in [
        "✘ FAULTY",
        "made in 2.3 s",
        "the candidate is wrong: rope-pairing in layer 3",
        "Qcur_rope-3",
        "rope-pairing",
        "14 of 0–39",
        "nmse 3.10e-2 before",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    app.update(Action::Down);
    assert!(text(&draw(&app, TRUE, 120, 40)).contains("Kcur_rope is wrong"));
    app.update(Action::Drill);
    assert_eq!((app.view(), place(&app)), (View::Tensor, (18, Checkpoint::layer(Site::KcurRope, 3))));
}

#[test]
fn evidence_is_reached_from_anywhere() {
    let scene = Scene::faulty();
    let mut app = App::new(Arc::new(scene.snapshot()));
    app.update(Action::First);
    app.update(Action::Evidence);
    assert_eq!((app.view(), place(&app)), (View::Tensor, (17, Checkpoint::layer(Site::KcurRope, 3))));
    app.set_snapshot(Arc::new(Snapshot { diagnosis: diagnosed(40), ..scene.snapshot() }));
    for site in [Site::QcurRope, Site::KcurRope, Site::QcurRope] {
        app.update(Action::Evidence);
        assert_eq!(place(&app), (18, Checkpoint::layer(site, 3)));
    }
    let mut nothing =
        App::new(Arc::new(Snapshot { verdict: Arc::new(Verdict::Pending), ..scene.snapshot() }));
    nothing.update(Action::Evidence);
    assert!(nothing.message().is_some_and(|m| m.text.contains("no cell")));
}

#[test]
fn faulty_operations_stand_out_on_the_map() {
    let scene = Scene::faulty();
    let without = App::new(Arc::new(scene.snapshot()));
    assert!(!text(&draw(&without, TRUE, 200, 60)).contains('✘'));
    let app = App::new(Arc::new(Snapshot { diagnosis: diagnosed(40), ..scene.snapshot() }));
    let shown = text(&draw(&app, TRUE, 200, 60));
    let rows: Vec<&str> = shown.lines().filter(|l| l.contains('✘')).collect();
    assert!(shown.contains("✘ faulty"), "the legend says what it is\n{shown}");
    let cells: Vec<usize> =
        rows.iter().filter(|l| l.trim_start().starts_with("l 3")).map(|l| l.matches('✘').count()).collect();
    assert_eq!(cells, [14], "{shown}");
    assert!(rows.iter().all(|l| l.trim_start().starts_with("l 3") || l.contains("faulty")), "{shown}");
}

#[test]
fn the_verdict_says_how_to_ask_and_what_was_found() {
    let scene = Scene::faulty();
    let shown = text(&draw(&App::new(Arc::new(scene.snapshot())), TRUE, 120, 40));
    assert!(shown.contains("D diagnose"), "{shown}");
    let snapshot = Snapshot { diagnosis: diagnosed(40), ..scene.snapshot() };
    let shown = text(&draw(&App::new(Arc::new(snapshot)), TRUE, 120, 40));
    assert!(shown.contains("diagnosis: the candidate is wrong"), "{shown}");
    assert!(shown.contains("v evidence"), "{shown}");
}

#[test]
fn records_follow_until_moved_and_cost_nothing_elsewhere() {
    let start = Instant::now();
    let base = Scene::faulty().snapshot();
    let with =
        |kept, count| Arc::new(Snapshot { records: Arc::new(records(start, kept, count)), ..base.clone() });
    let list = PaneKind::Records;
    let serial = |app: &App| app.record(app.chosen(list).unwrap()).map(|r| r.serial);
    let mut app = App::new(with(50, 50));
    assert!(!app.set_snapshot(with(100, 100)), "records alone are no reason to draw the overview anew");
    app.update(Action::Look(View::Records));
    assert!(app.set_snapshot(with(200, 200)));
    assert!(!app.set_snapshot(with(200, 200)), "nothing has arrived");
    assert_eq!((serial(&app), app.follows_records()), (Some(199), true));
    app.update(Action::Up);
    app.update(Action::Up);
    app.set_snapshot(with(200, 300));
    assert_eq!((serial(&app), app.follows_records()), (Some(197), false));
    let shown = text(&draw(&app, TRUE, 80, 24));
    assert!(shown.contains("stopped here"), "{shown}");
    app.set_snapshot(with(200, 900));
    assert_eq!(serial(&app), Some(700), "what is kept no more gives its place to the oldest");
    app.update(Action::Last);
    app.set_snapshot(with(200, 1000));
    assert_eq!(serial(&app), Some(999));
    let shown = text(&draw(&app, TRUE, 80, 24));
    // 2 kB ten milliseconds apart, in turn: 50 a second and 0.1 MB on each side.
    for wanted in
        ["500 records", "50/s", "0.102 MB/s", "Kcur_rope-3", "Kcur-3 (view)", "f32", "64×8", "2048", "9.99 s"]
    {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
}

#[test]
fn tokens_are_ranked_in_three_orders() {
    let scene = Scene::faulty();
    let mut app = open(scene.focused(17, Checkpoint::layer(Site::KcurRope, 3)), View::Logits);
    let shown = text(&draw(&app, TRUE, 120, 40));
    for wanted in [
        "tokens by the reference's probability",
        "KL 0.412",
        "␣the",
        "12.500",
        ".620",
        "-.510",
        "same on both",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    for ranking in [Ranking::Candidate, Ranking::Difference, Ranking::Reference] {
        app.update(Action::Order);
        let Some(Command::Focus(wanted)) = app.wanted_focus() else { panic!() };
        assert_eq!(wanted.needs.ranking, ranking);
        app.asked_for_focus();
    }
}

#[test]
fn the_text_shows_where_both_sides_part() {
    let scene = Scene::clean();
    let mut snapshot = scene.focused(39, Checkpoint::LOGITS);
    for token in &mut Arc::make_mut(&mut snapshot.tokens)[20..] {
        *token = TokenView { candidate: Some((7, " xyzzy".to_owned())), ..token.clone() };
    }
    let mut app = open(snapshot, View::Logits);
    app.update(Action::Last);
    let shown = text(&draw(&app, TRUE, 120, 40));
    assert!(shown.contains("they part at position 20"), "{shown}");
    assert!(shown.contains("xyzzy xyzzy"), "{shown}");
    app.update(Action::First);
    assert!(!text(&draw(&app, TRUE, 120, 40)).contains("xyzzy"));
}

#[test]
fn the_title_says_how_it_steps() {
    let stepping = Stepping {
        until: Some("severity 50".parse().unwrap()),
        breakpoints: vec!["argmax".parse().unwrap(), "nonfinite".parse().unwrap()],
        speed: Some(4.0),
        feed: Feed::Free,
        stopped: None,
        fork: Some(17),
        changes: vec!["kv f16".to_owned()],
    };
    let snapshot =
        |stepping: &Stepping| Snapshot { stepping: Arc::new(stepping.clone()), ..Scene::clean().snapshot() };
    let title = |stepping: &Stepping, width| {
        let shown = text(&draw(&App::new(Arc::new(snapshot(stepping))), TRUE, width, 40));
        shown.lines().next().unwrap_or_default().to_owned()
    };
    let wide = title(&stepping, 200);
    for wanted in ["until severity 50", "what if: kv f16", "fork at 17", "4/s", "2 breakpoints", "paused"] {
        assert!(wide.contains(wanted), "{wanted}: {wide}");
    }
    let narrow = title(&stepping, 80);
    assert!(narrow.contains("until severity 50") && narrow.contains("paused · step 40"), "{narrow}");
    let stopped =
        Stepping { stopped: Some((12, "a value of the candidate is NaN".to_owned())), ..Stepping::default() };
    assert!(title(&stopped, 120).contains("stopped at 12: a value of the candidate is NaN"));
    assert!(title(&stopped, 80).contains("stopped at 12"), "{}", title(&stopped, 80));
}

#[test]
fn in_half_blocks_faulty_operations_and_entrances_have_signs_of_their_own() {
    let scene = Scene::faulty();
    // Two rows a line: there are fewer lines than layers.
    let signs = |snapshot: Snapshot| {
        let buffer = draw(&App::new(Arc::new(snapshot)), TRUE, 110, 12);
        let text = text(&buffer);
        let map: Vec<&str> =
            text.lines().skip(4).filter(|line| line.contains('▀') || line.contains('▄')).collect();
        ["✘", "◆", "◇"].map(|sign| map.iter().any(|line| line.contains(sign)))
    };
    assert_eq!(signs(scene.snapshot()), [false, true, true]);
    assert_eq!(signs(Snapshot { diagnosis: diagnosed(40), ..scene.snapshot() }), [true, true, true]);
}
