//! What is typed: the command line, the search, the palette, marks; breakpoints, hints and what a click
//! does to them.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use paritty::model::{Checkpoint, Site};
use paritty::palette::Ground;
use paritty::session::{Change, Command, Feed, RunState, Snapshot, Stepping, Stop};
use paritty::tui::app::overlay::search::Hit;
use paritty::tui::app::{Action, App, Effect, Overlay, Place, Typed};
use paritty::tui::panes::Context;
use paritty::tui::theme::{Depth, Theme};
use paritty::tui::views::View;
use paritty::tui::{Keymap, command, view};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::snapshots::{Scene, empty};

const THEME: Theme = Theme::new(Depth::TrueColor, Ground::Dark);

fn app_of(snapshot: Snapshot) -> App {
    let mut app = App::new(Arc::new(snapshot));
    app.set_commands(command::table(&Keymap::default()));
    app
}

fn app() -> App {
    app_of(Scene::faulty().snapshot())
}

/// Presses keys as a terminal sends them: `⏎` Enter, `⇥` Tab, `⎋` Esc, `⌫` Backspace, `↑`, `↓`, `←`;
/// `⌃x` with Ctrl.
fn press(app: &mut App, keys: &str) {
    let keymap = Keymap::default();
    let mut keys = keys.chars();
    while let Some(c) = keys.next() {
        let event: KeyEvent = match c {
            '⏎' => KeyCode::Enter.into(),
            '⇥' => KeyCode::Tab.into(),
            '⎋' => KeyCode::Esc.into(),
            '⌫' => KeyCode::Backspace.into(),
            '↑' => KeyCode::Up.into(),
            '↓' => KeyCode::Down.into(),
            '←' => KeyCode::Left.into(),
            '⌃' => KeyEvent::new(KeyCode::Char(keys.next().expect("a letter")), KeyModifiers::CONTROL),
            c => KeyCode::Char(c).into(),
        };
        if let Some(action) = keymap.action(event, app.place()) {
            app.update(action);
        }
    }
}

fn commands(app: &mut App) -> Vec<Command> {
    let effects = app.take_effects();
    effects.into_iter().filter_map(|e| if let Effect::Send(c) = e { Some(c) } else { None }).collect()
}

fn line(app: &App) -> &str {
    match app.overlay() {
        Overlay::Command(line) => line.editor.text(),
        other => panic!("{other:?}"),
    }
}

fn error(app: &App) -> &str {
    match app.overlay() {
        Overlay::Command(line) => line.error.as_deref().unwrap_or("no error"),
        other => panic!("{other:?} {:?}", app.message()),
    }
}

fn said(app: &App) -> &str {
    app.message().map_or("", |message| &message.text)
}

fn draw(app: &App, width: u16, height: u16) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    let keymap = Keymap::default();
    let context = Context::new(app, &THEME, &keymap);
    view::render(context, buffer.area, &mut buffer);
    buffer
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    (0..area.height).map(|y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect()).collect()
}

fn click(app: &App, (width, height): (u16, u16), column: u16, row: u16) -> Option<Action> {
    let kind = MouseEventKind::Down(MouseButton::Left);
    let keymap = Keymap::default();
    let context = Context::new(app, &THEME, &keymap);
    let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    view::mouse(event, context, Rect::new(0, 0, width, height))
}

#[test]
fn commands_do_what_they_say() {
    let mut app = app();
    press(&mut app, ":goto 12⏎");
    assert_eq!((app.cursor().position, app.place()), (12, Place::View(View::Overview)));
    press(&mut app, ":30⏎");
    assert_eq!(app.cursor().position, 30);
    press(&mut app, ":checkpoint Qcur-2⏎");
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::Qcur, 2));
    press(&mut app, ":layer 5⏎");
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::Qcur, 5));
    press(&mut app, "<");
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::Qcur, 2), "commands are jumps");
    press(&mut app, ":view tensor⏎");
    assert_eq!(app.view(), View::Tensor);
    press(&mut app, ":next-div⏎");
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::FfnUp, 5), "a name may be cut short");
    press(&mut app, ":q⏎");
    assert!(app.take_effects().iter().any(|e| matches!(e, Effect::Quit)));
}

#[test]
fn commands_for_the_session_are_sent() {
    for (typed, sent) in [
        ("until divergence", Command::RunUntil(Stop::Divergence)),
        ("until token ^a b|c", Command::RunUntil("token ^a b|c".parse().unwrap())),
        ("break nonfinite", Command::Breakpoints(vec![Stop::NonFinite])),
        ("break", Command::Breakpoints(vec![Stop::Position(17)])),
        ("speed 5", Command::Speed(Some(5.0))),
        ("speed max", Command::Speed(None)),
        ("feed free", Command::Feed(Feed::Free)),
        ("what-if kv f16", Command::Rerun(Change::Kv16(true))),
        ("what-if undo", Command::Rerun(Change::Undo)),
        ("what-if fault rope-pairing@2", Command::Rerun("fault rope-pairing@2".parse().unwrap())),
        ("step", Command::Step),
    ] {
        let mut app = app();
        press(&mut app, &format!(":{typed}⏎"));
        assert_eq!(commands(&mut app), [sent], "{typed}");
        assert_eq!(*app.overlay(), Overlay::None, "{typed}");
    }
    let mut app = app();
    press(&mut app, ":what-if graft⏎");
    let graft = Change::Graft { position: 17, checkpoint: Checkpoint::layer(Site::KcurRope, 3) };
    assert_eq!(commands(&mut app), [Command::Rerun(graft.clone())]);
    assert!(said(&app).contains("what if Kcur_rope-3 at position 17 were right?"), "{}", said(&app));
    press(&mut app, "i");
    assert_eq!(commands(&mut app), [Command::Rerun(graft)]);
    press(&mut app, "c");
    assert_eq!(commands(&mut app), [Command::RunUntil(Stop::Position(17))]);
    press(&mut app, "uargmax⏎");
    assert_eq!(commands(&mut app), [Command::RunUntil(Stop::ArgmaxDiffers)]);

    let mut traces = app_of(Snapshot { run: RunState::Static, ..Scene::faulty().snapshot() });
    for keys in [":until divergence⏎", "i", "B", ":feed free⏎", "c"] {
        press(&mut traces, keys);
        assert!(said(&traces).contains("both runs are traces"), "{keys}: {}", said(&traces));
    }
    assert!(commands(&mut traces).is_empty());
}

#[test]
fn errors_say_what_was_expected_and_keep_what_was_typed() {
    for (typed, expected) in [
        ("goto 99", "expected a number from 0 to 39"),
        ("goto", "expected `goto N`"),
        ("layer 6", "expected a number from 0 to 5"),
        ("checkpoint Qcur-17", "neither side has recorded `Qcur-17`"),
        ("checkpoint nonsense", "expected a name like `embd`"),
        ("channel 4", "no values have been read here yet"),
        ("view nowhere", "there are: overview"),
        ("until", "expected `until CONDITION`"),
        ("until severity x", "expected `severity N`"),
        ("break soon", "`soon` is no condition"),
        ("delete 1", "there are no breakpoints"),
        ("speed 0", "expected positions a second, above 0, or `max`"),
        ("speed NaN", "above 0"),
        ("feed me", "there are: reference"),
        ("what-if", "expected `what-if CHANGE`"),
        ("what-if graft nothing at 3", "is not a checkpoint"),
        ("mark ab", "expected one letter or digit"),
        ("go-to-mark a", "no mark a is set"),
        ("hints maybe", "expected `on` or `off`"),
        ("step 5", "`step` stands alone; `5` is too much"),
        ("stpe", "did you mean `step`?"),
        ("s", "`s` may be"),
    ] {
        let mut app = app();
        press(&mut app, &format!(":{typed}⏎"));
        assert!(error(&app).contains(expected), "{typed}: {}", error(&app));
        assert_eq!(line(&app), typed);
        assert!(commands(&mut app).is_empty());
        let shown = rows(&draw(&app, 120, 30)).join("\n");
        let start: String = error(&app).chars().take(60).collect();
        assert!(shown.contains(&start), "{shown}");
        press(&mut app, "x");
        assert_eq!(error(&app), "no error", "the next key takes it away");
    }
}

#[test]
fn tab_completes_names_and_arguments() {
    let mut app = app();
    press(&mut app, ":got⇥");
    assert_eq!(line(&app), "goto ");
    press(&mut app, "⌃u");
    press(&mut app, "check⇥Kcur_rope-⇥⇥");
    assert_eq!(line(&app), "checkpoint Kcur_rope-1");
    press(&mut app, "⏎:until garb⇥⇥⇥");
    assert_eq!(line(&app), "until garbage heap-pointer");
    press(&mut app, "⌃ubr⇥");
    assert_eq!(line(&app), "break", "as far as `break`, `breakpoint` and `breakpoints` agree");
    press(&mut app, "⌃uuntil sev⇥5⏎");
    assert_eq!(commands(&mut app), [Command::RunUntil(Stop::Severity(5.0))]);
    press(&mut app, ":view ten⇥⏎");
    assert_eq!(app.view(), View::Tensor);
    press(&mut app, ":layer 1⏎:ov");
    let Overlay::Command(line) = app.overlay() else { panic!() };
    assert!(line.candidates.is_empty(), "views are completed behind `view`");
}

#[test]
fn lines_are_edited_and_remembered() {
    let mut app = app();
    press(&mut app, ":goto 3⏎:goto 4⏎:goto 3⏎:la");
    press(&mut app, "↑");
    assert_eq!(line(&app), "goto 3");
    press(&mut app, "↑↑↑");
    assert_eq!(line(&app), "goto 4", "each line once, and no further than the oldest");
    press(&mut app, "↓↓");
    assert_eq!(line(&app), "la", "what was being typed comes back");
    press(&mut app, "⌃a⌃k↑←5⏎");
    assert!(error(&app).contains("`53`"), "typed before the cursor: {}", error(&app));
    press(&mut app, "⌃w⌃w");
    assert_eq!(line(&app), "3", "words before the cursor went");
    press(&mut app, "⌃e⌃ugoto 5⏎");
    assert_eq!(app.cursor().position, 5);
    press(&mut app, ":x⌫⌫");
    assert_eq!(*app.overlay(), Overlay::None, "out of an empty line");
    press(&mut app, ":⏎");
    assert_eq!(*app.overlay(), Overlay::None);
    press(&mut app, ":goto 9⎋");
    assert_eq!((app.cursor().position, app.overlay()), (5, &Overlay::None));
}

#[test]
fn lines_of_earlier_screens_come_back_and_only_new_ones_are_handed_on() {
    let mut app = app();
    app.set_typed_before(["goto 1", "goto 2"].map(String::from).to_vec());
    press(&mut app, ":↑↑");
    assert_eq!(line(&app), "goto 1");
    assert!(app.typed_here().is_empty());
    press(&mut app, "⏎:goto 3⏎:goto 99⎋:goto 3⏎");
    assert_eq!(app.typed_here(), ["goto 1", "goto 3"], "each once, in order, and none that meant nothing");
}

#[test]
fn in_every_prompt_escape_closes_and_interrupt_quits() {
    for open in [":", "/", "p", "m", "u"] {
        let mut app = app();
        let before = app.cursor();
        press(&mut app, open);
        assert_eq!(app.place(), Place::Prompt, "{open}");
        app.update(Action::Type(Typed::Paste("quit\n".to_owned())));
        assert!(app.take_effects().is_empty(), "a pasted line break runs nothing");
        press(&mut app, "⎋");
        assert_eq!((app.overlay(), app.cursor()), (&Overlay::None, before), "{open}");
        press(&mut app, open);
        press(&mut app, "⌃c");
        assert!(app.take_effects().iter().any(|e| matches!(e, Effect::Quit)), "{open}");
    }
    let mut app = app();
    app.update(Action::Type(Typed::Paste(":quit\n".to_owned())));
    assert!(app.take_effects().is_empty() && *app.overlay() == Overlay::None);
}

#[test]
fn a_search_goes_along_and_esc_goes_back() {
    let mut app = app();
    press(&mut app, ":goto 0⏎");
    let before = app.cursor();
    press(&mut app, "/Kcur_r");
    let Overlay::Search(search) = app.overlay() else { panic!() };
    assert_eq!((search.hits.len(), search.at), (6, Some(4)), "from the cursor on");
    assert!(matches!(search.hits[0], Hit::Checkpoint(c) if c == Checkpoint::layer(Site::KcurRope, 0)));
    assert_eq!(app.cursor().checkpoint.site(), Site::KcurRope);
    let shown = rows(&draw(&app, 120, 30));
    assert!(shown[29].contains("/Kcur_r") && shown[29].contains("5 of 6 · Kcur_rope-4"), "{}", shown[29]);
    press(&mut app, "⎋");
    assert_eq!(app.cursor(), before);

    press(&mut app, "/Kcur_rope-3⏎");
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::KcurRope, 3));
    press(&mut app, "<");
    assert_eq!(app.cursor(), before, "a search is one jump");
    press(&mut app, "/nowhere");
    assert_eq!(app.cursor(), before);
    press(&mut app, "⏎");
    assert_eq!(said(&app), "no token and no checkpoint holds `nowhere`");
}

#[test]
fn hits_are_gone_through_in_order_and_round() {
    let mut app = app();
    // The scene's text repeats itself every few positions.
    let word = app.snapshot().tokens[3].text.trim().to_lowercase();
    let all: Vec<u32> = app
        .snapshot()
        .tokens
        .iter()
        .filter(|t| t.text.to_lowercase().contains(&word))
        .map(|t| t.position)
        .collect();
    assert!(all.len() >= 2, "{word}");
    press(&mut app, &format!(":goto {}⏎/{word}⏎", all[0]));
    assert_eq!(app.cursor().position, all[0]);
    for &next in all[1..].iter().chain([&all[0]]) {
        press(&mut app, ";");
        assert_eq!(app.cursor().position, next, "{}", said(&app));
    }
    press(&mut app, ",");
    assert_eq!(app.cursor().position, *all.last().unwrap());
    assert!(said(&app).starts_with(&format!("{0} of {0}: token", all.len())), "{}", said(&app));
    let mut fresh = app_of(empty());
    press(&mut fresh, ";");
    assert!(said(&fresh).contains("nothing was searched for yet"));
}

#[test]
fn the_palette_puts_what_was_meant_first() {
    let first = |typed: &str| {
        let mut app = app();
        press(&mut app, "p");
        press(&mut app, typed);
        let Overlay::Palette(palette) = app.overlay() else { panic!() };
        palette.found().next().map(|(item, _)| item.name.clone()).unwrap_or_default()
    };
    for (typed, wanted) in [
        ("step", "step"),
        ("nxdiv", "next-divergence"),
        ("first div", "first-divergence"),
        ("rtc", "run-to-cursor"),
        ("view tens", "view tensor"),
        ("until", "until CONDITION"),
        ("kcurrope3", "Kcur_rope-3"),
        ("result output", "result_output"),
        ("position 23", "position 23"),
        ("suspnd", "suspend"),
    ] {
        let found = first(typed);
        assert!(found.starts_with(wanted), "{typed}: {found}");
    }
    assert_eq!(first("zzzzqqqq"), "");

    let mut app = app();
    press(&mut app, "pkcurrope3⏎");
    assert_eq!(app.cursor().checkpoint, Checkpoint::layer(Site::KcurRope, 3));
    press(&mut app, "⌃pgoto⏎");
    assert_eq!(line(&app), "goto ", "what takes an argument is asked for it");
    press(&mut app, "⎋pposition 2↓⏎");
    assert_ne!(app.cursor().position, 17);
    press(&mut app, "p");
    let shown = rows(&draw(&app, 100, 30)).join("\n");
    assert!(shown.contains("palette") && shown.contains("view layer"), "{shown}");
}

#[test]
fn marks_are_set_listed_and_gone_to() {
    let mut app = app();
    press(&mut app, "'");
    assert!(said(&app).contains("no marks yet"));
    press(&mut app, "ma");
    assert_eq!(said(&app), "mark a: position 17, Kcur_rope-3");
    let there = app.cursor();
    press(&mut app, "gmb'");
    let shown = rows(&draw(&app, 100, 30)).join("\n");
    assert!(shown.contains("position 17 · Kcur_rope-3"), "{shown}");
    press(&mut app, "a");
    assert_eq!(app.cursor(), there);
    press(&mut app, "<");
    assert_eq!(app.cursor().position, 0, "going to a mark is a jump");
    press(&mut app, "'c");
    assert_eq!(said(&app), "no mark c");
    for key in ["m#", "m⏎", "m⇥"] {
        press(&mut app, key);
        assert!(said(&app).contains("a letter or a digit"), "{key}");
    }
    assert_eq!(app.bookmarks().keys().collect::<String>(), "ab");
    press(&mut app, ":go-to-mark a⏎");
    assert_eq!(app.cursor(), there);
}

#[test]
fn breakpoints_are_set_shown_and_taken_away() {
    let mut app = app();
    press(&mut app, ":goto 8⏎B:break divergence⏎");
    let both = vec![Stop::Position(8), Stop::Divergence];
    assert_eq!(
        commands(&mut app),
        [Command::Breakpoints(vec![Stop::Position(8)]), Command::Breakpoints(both.clone())]
    );
    press(&mut app, "⎋:breakpoints⏎");
    let shown = rows(&draw(&app, 120, 40)).join("\n");
    for wanted in ["breakpoints", "1  position 8", "2  divergence"] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    press(&mut app, "⎋⎋");
    let buffer = draw(&app, 120, 40);
    let shown = rows(&buffer);
    assert!(shown[4].contains('●'), "the strip of tokens: {}", shown[4]);
    let ruler = shown.iter().find(|row| row.contains("●8")).unwrap_or_else(|| panic!("{}", shown.join("\n")));
    assert!(!ruler.contains('▲'), "{ruler}");
    press(&mut app, "L");
    let shown = rows(&draw(&app, 120, 40)).join("\n");
    assert!(shown.contains("▲18") && shown.matches('●').count() >= 3, "{shown}");

    // What the session says counts; a newer snapshot without news changes nothing.
    let stepping = Stepping { breakpoints: both, ..Stepping::default() };
    let mut newer = Snapshot { stepping: Arc::new(stepping), ..Scene::faulty().snapshot() };
    app.set_snapshot(Arc::new(newer.clone()));
    press(&mut app, ":delete 1⏎");
    assert_eq!(commands(&mut app), [Command::Breakpoints(vec![Stop::Divergence])]);
    newer.step += 1;
    app.set_snapshot(Arc::new(newer));
    assert_eq!(app.breakpoints(), [Stop::Divergence]);
    press(&mut app, ":delete all⏎");
    assert_eq!(commands(&mut app), [Command::Breakpoints(vec![])]);
}

#[test]
fn why_a_run_paused_is_said_and_looked_at() {
    let mut app = app();
    press(&mut app, ":goto 2⏎");
    let stepping = Stepping {
        stopped: Some((12, "paused at position 12: the most likely tokens differ".to_owned())),
        ..Stepping::default()
    };
    app.set_snapshot(Arc::new(Snapshot { stepping: Arc::new(stepping), ..Scene::faulty().snapshot() }));
    assert!(said(&app).starts_with("paused at position 12"));
    assert_eq!(app.cursor().position, 12);
    let shown = rows(&draw(&app, 140, 40));
    assert!(shown[0].contains("stopped at 12"), "{}", shown[0]);
    press(&mut app, "<");
    assert_eq!(app.cursor().position, 2);
}

#[test]
fn hints_follow_the_state_and_go_away_when_used() {
    let mut app = app();
    let footer = |app: &App, width| rows(&draw(app, width, 40))[39].clone();
    assert!(!footer(&app, 160).contains('│'), "not unless asked for");
    app.set_hints(true);
    assert!(footer(&app, 160).contains("Enter looks in"), "{}", footer(&app, 160));
    assert!(!footer(&app, 160).contains("first divergence"), "the cursor is there");
    press(&mut app, "g");
    assert!(footer(&app, 160).contains("f first divergence"), "{}", footer(&app, 160));
    press(&mut app, "fg");
    assert!(!footer(&app, 160).contains("first divergence"), "it was used");
    for width in [40, 60, 80, 120, 300] {
        let shown = footer(&app, width);
        assert!(shown.contains("? help") && shown.contains("q quit"), "{width}: {shown}");
    }
    press(&mut app, ":hints off⏎g");
    assert!(!footer(&app, 160).contains('│'));
}

#[test]
fn what_is_listed_and_what_the_footer_says_can_be_clicked() {
    let size = (120, 30);
    let mut app = app();
    press(&mut app, "g");
    let at = |app: &App, text: &str| {
        let footer = rows(&draw(app, size.0, size.1))[29].clone();
        let bytes = footer.find(text).unwrap_or_else(|| panic!("{text}: {footer}"));
        footer[..bytes].chars().count() as u16
    };
    let footer = at(&app, "Enter drill");
    assert_eq!(click(&app, size, footer + 1, 29), Some(Action::Drill));
    assert_eq!(click(&app, size, at(&app, "←→"), 29), Some(Action::Left));
    assert_eq!(click(&app, size, at(&app, "←→") + 1, 29), Some(Action::Right));
    assert_eq!(click(&app, size, at(&app, "q quit"), 29), Some(Action::Quit));
    assert_eq!(click(&app, size, 119, 29), None);

    press(&mut app, ":layer ");
    let shown = rows(&draw(&app, size.0, size.1));
    let row = shown.iter().position(|row| row.trim() == "4").expect("layers are listed");
    let action = click(&app, size, 3, row as u16).expect("it can be clicked");
    app.update(action);
    assert_eq!(line(&app), "layer 4");
    let outside = click(&app, size, 3, 3).unwrap();
    app.update(outside);
    assert_eq!(*app.overlay(), Overlay::None);
}

#[test]
fn hostile_text_in_prompts_stays_text() {
    let evil = "a\u{1b}[2J\u{1b}]0;x\u{7}\r\n\u{9b}31m\u{202e}b\u{200b}";
    let mut snapshot = Scene::faulty().snapshot();
    for token in Arc::make_mut(&mut snapshot.tokens) {
        token.text = evil.to_owned();
    }
    let harmless = |s: &str| s.chars().all(|c| !c.is_control() && !matches!(c, '\u{200b}' | '\u{202e}'));
    for open in [":", ":goto ", ":until token ", "/", "/a", "p", "pposition", "ma", "'", "u"] {
        let mut app = app_of(snapshot.clone());
        press(&mut app, "mx");
        press(&mut app, open);
        for _ in 0..2 {
            let buffer = draw(&app, 120, 40);
            assert!(buffer.content.iter().all(|cell| harmless(cell.symbol())), "{open}");
            app.update(Action::Type(Typed::Paste(evil.repeat(100))));
        }
        app.update(Action::Type(Typed::Enter));
        let buffer = draw(&app, 120, 40);
        assert!(buffer.content.iter().all(|cell| harmless(cell.symbol())), "{open}");
    }
}

#[test]
fn nothing_panics_with_a_prompt_open() {
    for snapshot in [empty(), Scene::faulty().snapshot()] {
        for open in
            [":", ":goto ", ":checkpoint ", ":what-if ", ":nonsense⏎", "/", "/a", "p", "pa", "ma'", "m"]
        {
            let mut app = app_of(snapshot.clone());
            press(&mut app, open);
            for keys in ["", "⇥", "↑", "↓⏎", "⌫⌫", "⎋"] {
                press(&mut app, keys);
                for (width, height) in [(0, 0), (1, 1), (40, 10), (72, 15), (200, 50)] {
                    draw(&app, width, height);
                    for y in (0..height).step_by(3) {
                        click(&app, (width, height), width / 2, y);
                    }
                }
            }
        }
    }
}
