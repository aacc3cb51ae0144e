//! Commands for what is looked at.

use crate::text::safe_short;
use crate::tui::app::entry::Candidate;
use crate::tui::app::{Action, App};
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
