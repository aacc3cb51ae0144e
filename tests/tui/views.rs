//! The views of one layer, one site in all layers, one tensor and attention: what they draw, and where clicks
//! in them lead.

use std::sync::Arc;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use paritty::model::{Checkpoint, Site};
use paritty::palette::Ground;
use paritty::session::{Command, Focus, Layers, Scores, Wanted};
use paritty::tui::Keymap;
use paritty::tui::app::{Action, App};
use paritty::tui::panes::Context;
use paritty::tui::theme::Theme;
use paritty::tui::views::View;
use paritty::tui::{PaneKind, view};
use ratatui::layout::Rect;

use crate::drawing::{DEPTHS, TRUE, draw, focused, refocus, text};
use crate::snapshots::Scene;

fn looking_at(scene: &Scene, view: View) -> App {
    let mut app = focused(scene);
    app.update(Action::Look(view));
    refocus(scene, &mut app);
    app
}

/// A session whose values under the cursor are these.
fn with_focus(scene: &Scene, view: View, change: impl FnOnce(&mut Focus)) -> App {
    let mut app = looking_at(scene, view);
    let mut focus = (**app.snapshot().focus.as_ref().expect("answered")).clone();
    change(&mut focus);
    let mut snapshot = (**app.snapshot()).clone();
    snapshot.focus = Some(Arc::new(focus));
    app.set_snapshot(Arc::new(snapshot));
    app
}

fn click(app: &App, theme: Theme, (width, height): (u16, u16), x: u16, y: u16) -> Option<Action> {
    let event = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: x,
        row: y,
        modifiers: KeyModifiers::NONE,
    };
    let keymap = Keymap::default();
    let context = Context::new(app, &theme, &keymap);
    view::mouse(event, context, Rect::new(0, 0, width, height))
}

/// Every action that a click into a pane asks for, with its place.
fn clicks(app: &App, pane: PaneKind, size: (u16, u16)) -> Vec<(Action, (u16, u16))> {
    let layout = view::layout(app, Rect::new(0, 0, size.0, size.1)).expect("room");
    let area = layout.area(pane).expect("shown");
    let places = (area.y + 1..area.bottom()).flat_map(|y| (area.x + 1..area.right()).map(move |x| (x, y)));
    places.filter_map(|(x, y)| Some((click(app, TRUE, size, x, y)?, (x, y)))).collect()
}

/// What one pane shows.
fn pane_text(app: &App, pane: PaneKind, theme: Theme, (width, height): (u16, u16)) -> String {
    let buffer = draw(app, theme, width, height);
    let area = view::layout(app, buffer.area).and_then(|layout| layout.area(pane)).expect("shown");
    let line = |y| (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (area.top()..area.bottom()).map(|y| line(y) + "\n").collect()
}

fn line_with<'a>(shown: &'a str, wanted: &str) -> &'a str {
    shown.lines().find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("{wanted}\n{shown}"))
}

#[test]
fn a_view_asks_for_what_it_shows_and_no_other_does() {
    for &view in View::ALL {
        let mut app = focused(&Scene::faulty());
        app.update(Action::Look(view));
        app.update(Action::Left);
        let Some(Command::Focus(wanted)) = app.wanted_focus() else { panic!("{view:?}") };
        assert_eq!(wanted.needs.layers, view == View::Channels, "{view:?}");
        assert_eq!(wanted.needs.scores, view == View::Attention, "{view:?}");
    }
}

#[test]
fn the_pipeline_shows_where_severity_enters_and_what_feeds_what() {
    let app = looking_at(&Scene::faulty(), View::Layer);
    for size in [(120, 44), (200, 60)] {
        let shown = pane_text(&app, PaneKind::Pipeline, TRUE, size);
        let order =
            ["l_out ", "ffn_swiglu", "kqv_out", "kq_soft_max", "Kcur_rope", "Kcur ", "attn_norm", "l_out-2"];
        let at = |name: &str| {
            shown
                .lines()
                .skip(2)
                .position(|line| line.contains(&format!(" {name}")))
                .unwrap_or_else(|| panic!("{name}\n{shown}"))
        };
        let lines: Vec<usize> = order.iter().map(|name| at(name)).collect();
        assert!(lines.is_sorted(), "execution goes upwards: {lines:?}\n{shown}");
        let entrance = line_with(&shown, "◆ Kcur_rope");
        assert!(entrance.contains("━━") && entrance.contains('◄'), "{entrance}");
        assert_eq!(shown.matches("◆ Kcur_rope").count(), 1);
        assert!(line_with(&shown, " attn_norm ").contains('◄'), "fed by the layer before\n{shown}");
        assert!(!line_with(&shown, " l_out-2").contains('◄'), "its inputs are not of this layer\n{shown}");
        assert!(shown.contains("severity") && shown.contains("nmse"), "{shown}");
    }
    let small = text(&draw(&app, TRUE, 80, 24));
    assert!(small.contains("◆ Kcur_rope"), "the cursor's row is in sight\n{small}");
}

#[test]
fn a_pipeline_says_what_is_missing_and_what_is_not_finite() {
    let scene = Scene::faulty();
    let go = |position: u32, checkpoint: Checkpoint| {
        let mut app = looking_at(&scene, View::Layer);
        app.update(Action::SelectPosition(position));
        app.update(Action::SelectChannel(checkpoint, 0));
        app
    };
    for depth in DEPTHS {
        let theme = Theme::new(depth, Ground::Dark);
        let app = go(5, Checkpoint::layer(Site::Kq, 1));
        let shown = pane_text(&app, PaneKind::Pipeline, theme, (160, 45));
        assert!(line_with(&shown, " kq  ").contains("ref only"), "{shown}");
        let app = go(9, Checkpoint::layer(Site::Kq, 0));
        let shown = pane_text(&app, PaneKind::Pipeline, theme, (160, 45));
        assert!(line_with(&shown, " kq_soft_max").contains("shapes ≠"), "{shown}");
        let app = go(30, Checkpoint::layer(Site::FfnUp, 5));
        let shown = pane_text(&app, PaneKind::Pipeline, theme, (160, 45));
        let nan = line_with(&shown, "◇ ffn_up");
        assert!(nan.contains("×××××") && nan.contains('∞'), "told by its sign\n{nan}");
    }
}

#[test]
fn a_click_in_the_pipeline_selects_and_a_second_one_drills() {
    let app = looking_at(&Scene::faulty(), View::Layer);
    for size in [(80, 24), (120, 40), (200, 60)] {
        let buffer = draw(&app, TRUE, size.0, size.1);
        let mut found = 0;
        for (action, (_, y)) in clicks(&app, PaneKind::Pipeline, size) {
            let row: String = (0..size.0).map(|x| buffer[(x, y)].symbol()).collect();
            match action {
                Action::SelectChannel(checkpoint, _) => {
                    assert!(row.contains(checkpoint.site().name()), "{checkpoint}: {row}");
                    found += 1;
                }
                Action::Drill => assert!(row.contains("◆ Kcur_rope"), "{row}"),
                other => assert!(matches!(other, Action::FocusOn(_) | Action::Grab(_)), "{other:?}"),
            }
        }
        assert!(found > 100, "{size:?}: {found}");
    }
}

#[test]
fn channels_show_every_layer_and_point_at_the_cursor() {
    let scene = Scene::faulty();
    let mut app = looking_at(&scene, View::Channels);
    let shown = text(&draw(&app, TRUE, 120, 40));
    for wanted in
        ["Kcur_rope · position 17: layer × channel", "reference", "candidate", "diff", "▲17", "× NaN ∞ Inf"]
    {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    let label = |layer: usize| {
        let start = format!("l {layer} ");
        shown
            .lines()
            .position(|line| line.trim_start().starts_with(&start))
            .unwrap_or_else(|| panic!("{layer}\n{shown}"))
    };
    let lines: Vec<usize> = (0..6).rev().map(label).collect();
    assert!(lines.is_sorted(), "the last layer on top: {lines:?}\n{shown}");
    assert!(!shown.contains("reading …"));
    app.update(Action::Up);
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::KcurRope, 4));
    let shown = text(&draw(&app, TRUE, 120, 40));
    assert!(
        !line_with(&shown, "layer × channel").contains("reading"),
        "the same layers are still shown\n{shown}"
    );
    app.update(Action::Left);
    assert!(text(&draw(&app, TRUE, 120, 40)).contains("reading …"), "another position is another table");
}

#[test]
fn a_click_on_a_channel_selects_layer_and_channel() {
    let scene = Scene::faulty();
    let app = looking_at(&scene, View::Channels);
    let mut layers = std::collections::BTreeSet::new();
    let mut channels = std::collections::BTreeSet::new();
    for (action, _) in clicks(&app, PaneKind::Channels, (200, 60)) {
        if let Action::SelectChannel(checkpoint, channel) = action {
            assert_eq!(checkpoint.site(), Site::KcurRope);
            layers.insert(checkpoint.layer_index());
            channels.insert(channel);
        }
    }
    assert_eq!(layers.len(), 6, "every layer can be clicked");
    assert!(channels.len() > 40 && channels.iter().all(|&c| c < 128), "{channels:?}");
}

#[test]
fn what_is_not_finite_is_seen_in_every_table() {
    let scene = Scene { n_embd: 4096, ..Scene::faulty() };
    let mut app = looking_at(&scene, View::Channels);
    app.update(Action::SelectPosition(30));
    refocus(&scene, &mut app);
    for depth in DEPTHS {
        let shown = text(&draw(&app, Theme::new(depth, Ground::Dark), 120, 40));
        // Beside the legend's own.
        assert!(shown.matches('×').count() >= 6 && shown.matches('∞').count() >= 2, "{depth:?}\n{shown}");
    }
}

#[test]
fn layers_that_were_not_read_are_named() {
    let app = with_focus(&Scene::faulty(), View::Channels, |focus| {
        let layers = focus.layers.as_ref().unwrap();
        focus.layers = Some(Arc::new(Layers { left_out: 3, ..(**layers).clone() }));
    });
    assert!(text(&draw(&app, TRUE, 160, 40)).contains("3 layers not read"));
    let app = with_focus(&Scene::faulty(), View::Channels, |focus| focus.layers = Some(Arc::default()));
    assert!(text(&draw(&app, TRUE, 160, 40)).contains("neither side has recorded this site"));
}

#[test]
fn attention_shows_heads_and_names_the_one_that_looks_elsewhere() {
    let scene = Scene::faulty();
    let mut app = looking_at(&scene, View::Attention);
    let shown = text(&draw(&app, TRUE, 120, 40));
    for wanted in
        ["kq_soft_max-3 · position 17: head × position", "probabilities", "h 0", "h 7", "head 3 at position"]
    {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    app.update(Action::Up);
    assert_eq!(app.cursor().checkpoint.layer_index(), Some(4), "rows are layers");
    assert!(text(&draw(&app, TRUE, 120, 40)).contains("reading …"));
    app.update(Action::First);
    refocus(&scene, &mut app);
    assert!(text(&draw(&app, TRUE, 120, 40)).contains("both sides look alike"));
}

#[test]
fn attention_that_was_not_recorded_says_why() {
    let flash = || Err("flash attention keeps no scores".to_owned());
    let app = with_focus(&Scene::faulty(), View::Attention, |focus| {
        focus.scores = Some(Arc::new(Scores { reference: flash(), candidate: flash() }));
    });
    let shown = text(&draw(&app, TRUE, 120, 40));
    assert!(shown.contains("reference: flash attention keeps no scores"), "{shown}");
    let app = with_focus(&Scene::faulty(), View::Attention, |focus| {
        let scores = focus.scores.as_ref().unwrap();
        focus.scores = Some(Arc::new(Scores { candidate: flash(), ..(**scores).clone() }));
    });
    let shown = text(&draw(&app, TRUE, 120, 40));
    assert!(
        shown.contains("candidate: flash") && shown.contains("not recorded") && shown.contains("h 7"),
        "{shown}"
    );
}

#[test]
fn a_click_in_the_attention_goes_where_the_head_looks() {
    let app = looking_at(&Scene::faulty(), View::Attention);
    let positions: std::collections::BTreeSet<u32> = clicks(&app, PaneKind::Attention, (120, 40))
        .into_iter()
        .filter_map(|(action, _)| if let Action::SelectPosition(p) = action { Some(p) } else { None })
        .collect();
    assert_eq!(positions, (0..=17).collect());
}

#[test]
fn the_tensor_view_shows_how_values_are_spread_and_how_they_agree() {
    let scene = Scene::faulty();
    let mut app = looking_at(&scene, View::Tensor);
    let shown = text(&draw(&app, TRUE, 200, 60));
    for wanted in ["histogram", "reference  128 values", "scatter", "ref → cand ↑"] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    let braille = |text: &str| text.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
    assert!(braille(&shown) > 20, "{shown}");
    app.update(Action::SelectPosition(30));
    refocus(&scene, &mut app);
    let shown = text(&draw(&app, TRUE, 200, 60));
    assert!(shown.contains("2 × NaN") || shown.contains("1 × NaN"), "{shown}");
    assert!(shown.contains("3 not finite"), "{shown}");
    let one_side = with_focus(&scene, View::Tensor, |focus| focus.candidate = None);
    let shown = text(&draw(&one_side, TRUE, 200, 60));
    assert!(shown.contains("both sides are needed for this") && shown.contains("not recorded"), "{shown}");
}

#[test]
fn what_was_folded_for_other_values_is_never_shown() {
    let scene = Scene::faulty();
    for view in [View::Channels, View::Attention, View::Tensor] {
        let mut app = looking_at(&scene, view);
        let before = text(&draw(&app, TRUE, 200, 60));
        assert_eq!(text(&draw(&app, TRUE, 200, 60)), before, "{view:?}");
        app.update(Action::SelectPosition(3));
        refocus(&scene, &mut app);
        let mut fresh = App::new(Arc::clone(app.snapshot()));
        fresh.update(Action::Look(view));
        fresh.update(Action::SelectPosition(3));
        fresh.update(Action::SelectChannel(app.cursor().checkpoint, app.cursor().channel));
        refocus(&scene, &mut fresh);
        assert_eq!(text(&draw(&app, TRUE, 200, 60)), text(&draw(&fresh, TRUE, 200, 60)), "{view:?}");
    }
}

#[test]
fn sites_outside_the_layers_have_their_views_too() {
    let scene = Scene::faulty();
    for view in [View::Layer, View::Channels, View::Attention, View::Tensor] {
        let mut app = looking_at(&scene, view);
        for checkpoint in [Checkpoint::LOGITS, Checkpoint::global(Site::Embd)] {
            app.update(Action::SelectChannel(checkpoint, 0));
            refocus(&scene, &mut app);
            let asked = app.wanted_focus().is_none();
            assert!(asked, "{view:?}");
            let shown = text(&draw(&app, TRUE, 120, 40));
            if view == View::Attention {
                assert!(shown.contains("belongs to no layer"), "{shown}");
            } else {
                assert!(shown.contains(checkpoint.site().name()), "{view:?} {checkpoint}\n{shown}");
            }
        }
    }
    assert_eq!(scene.focus(3, Checkpoint::LOGITS).wanted, Wanted::cell(3, Checkpoint::LOGITS));
}

#[test]
fn in_the_map_of_one_site_rows_are_named_by_their_layers() {
    let app = with_focus(&Scene::faulty(), View::Channels, |_| {});
    let shown = pane_text(&app, PaneKind::Map, TRUE, (200, 60));
    for layer in ["l 0", "l 3", "l 5"] {
        assert!(
            shown.lines().any(|line| line.trim_start_matches(['│', ' ']).starts_with(layer)),
            "{layer}\n{shown}"
        );
    }
}
