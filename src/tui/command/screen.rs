//! Commands for what is looked at.

use crate::text::safe_short;
use crate::tui::app::entry::Candidate;
use crate::tui::app::{Action, App};
use crate::tui::graphics::{Choice, NoGraphics};
use crate::tui::views::View;

/// Every view.
pub(super) fn views(_: &App) -> Vec<Candidate> {
    let of = |view: &View| Candidate::new(view.info().id, view.info().about);
    View::ALL.iter().map(of).collect()
}

/// `NAME`.
pub(super) fn view(_: &App, text: &str) -> Result<Action, String> {
    View::named(text).map(Action::Look).ok_or_else(|| {
        let all: Vec<&str> = View::ALL.iter().map(|view| view.info().id).collect();
        format!("no view is called `{}`; there are: {}", safe_short(text, 40), all.join(", "))
    })
}

/// `on` and `off`.
pub(super) fn switches(_: &App) -> Vec<Candidate> {
    vec![Candidate::new("on", ""), Candidate::new("off", "")]
}

/// `on|off`.
pub(super) fn hints(_: &App, text: &str) -> Result<Action, String> {
    match text {
        "on" => Ok(Action::Hints(true)),
        "off" => Ok(Action::Hints(false)),
        other => Err(format!("`{}`: expected `on` or `off`", safe_short(other, 40))),
    }
}

/// Every way of showing heatmaps.
pub(super) fn graphics_known(_: &App) -> Vec<Candidate> {
    Choice::ALL.map(|choice| Candidate::new(choice.name(), choice.about())).to_vec()
}

/// `[NAME]`.
pub(super) fn graphics(_: &App, text: &str) -> Result<Action, String> {
    match text {
        "" => Ok(Action::Graphics(None)),
        name => {
            name.parse().map(|choice| Action::Graphics(Some(choice))).map_err(|e: NoGraphics| e.to_string())
        }
    }
}
