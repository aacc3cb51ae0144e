//! Commands for the engines.

use crate::fault::FAULTS;
use crate::garbage::CLASSES;
use crate::session::{CHANGES, Change, Command, Feed, STOPS, Stop};
use crate::text::safe_short;
use crate::tui::app::entry::Candidate;
use crate::tui::app::{Action, App};

/// Fastest speed that is taken for a number: beyond it, nothing is held back.
const FASTEST: f32 = 100_000.0;

/// Every condition; its word where more must follow.
pub(super) fn stops(app: &App) -> Vec<Candidate> {
    let mut all = Vec::new();
    for &(form, help) in STOPS {
        let word = form.split(' ').next().unwrap_or(form);
        match word {
            "position" => all.push(Candidate::new(
                format!("position {}", app.cursor().position),
                "the cursor's position is computed",
            )),
            "garbage" => {
                all.push(Candidate::new(word, help));
                let of = |id: &str| Candidate::new(format!("garbage {id}"), "garbage of this class");
                all.extend(CLASSES.iter().map(|class| of(class.id())));
            }
            _ if form == word => all.push(Candidate::new(word, help)),
            _ => all.push(Candidate {
                text: format!("{word} "),
                form: form[word.len()..].trim_start().to_owned(),
                ..Candidate::new("", help)
            }),
        }
    }
    all
}

/// `CONDITION`.
pub(super) fn until(_: &App, text: &str) -> Result<Action, String> {
    let stop: Stop = text.parse().map_err(|e| format!("{e}"))?;
    Ok(Action::Session(Command::RunUntil(stop)))
}

/// `[CONDITION]`.
pub(super) fn add_break(app: &App, text: &str) -> Result<Action, String> {
    let stop = match text {
        "" => Stop::Position(app.cursor().position),
        text => text.parse().map_err(|e| format!("{e}"))?,
    };
    Ok(Action::Break(stop))
}

/// Every breakpoint by its number.
pub(super) fn breakpoints(app: &App) -> Vec<Candidate> {
    let numbered = app.breakpoints().iter().zip(1..);
    let mut all: Vec<Candidate> =
        numbered.map(|(stop, n)| Candidate::new(n.to_string(), stop.to_string())).collect();
    all.push(Candidate::new("all", "every breakpoint"));
    all
}

/// `N|all`.
pub(super) fn delete(app: &App, text: &str) -> Result<Action, String> {
    let count = app.breakpoints().len();
    if text == "all" {
        return Ok(Action::Unbreak(None));
    }
    match text.parse::<usize>() {
        Ok(n) if (1..=count).contains(&n) => Ok(Action::Unbreak(Some(n - 1))),
        _ if count == 0 => Err("there are no breakpoints".to_owned()),
        _ => Err(format!(
            "`{}` is no breakpoint; expected a number from 1 to {count}, or `all`",
            safe_short(text, 40)
        )),
    }
}

/// Some speeds.
pub(super) fn speeds(_: &App) -> Vec<Candidate> {
    let some = ["1", "5", "20"].map(|n| Candidate::new(n, "positions a second at most"));
    [vec![Candidate::new("max", "as fast as it goes")], some.to_vec()].concat()
}

/// `N|max`.
pub(super) fn speed(_: &App, text: &str) -> Result<Action, String> {
    let speed = match text {
        "max" => None,
        text => Some(text.parse::<f32>().ok().filter(|n| *n > 0.0 && *n <= FASTEST).ok_or_else(|| {
            format!("`{}` is no speed; expected positions a second, above 0, or `max`", safe_short(text, 40))
        })?),
    };
    Ok(Action::Session(Command::Speed(speed)))
}

/// Both feeds.
pub(super) fn feeds(_: &App) -> Vec<Candidate> {
    vec![
        Candidate::new("reference", "both sides get the reference's tokens"),
        Candidate::new("free", "each side goes on with its own most likely token"),
    ]
}

/// `reference|free`.
pub(super) fn feed(_: &App, text: &str) -> Result<Action, String> {
    let feed: Feed = text.parse().map_err(|e| format!("{e}"))?;
    Ok(Action::Session(Command::Feed(feed)))
}

/// Every change; its word where more must follow.
pub(super) fn changes(app: &App) -> Vec<Candidate> {
    let mut all = Vec::new();
    for &(form, help) in CHANGES {
        let word = form.split(' ').next().unwrap_or(form);
        match word {
            "graft" => {
                let cursor = app.cursor();
                let cell = format!("graft {} at {}", cursor.checkpoint, cursor.position);
                all.push(Candidate::new(cell, "the reference's values at the cursor's cell"));
            }
            "kv" => {
                for format in ["f16", "f32"] {
                    all.push(Candidate::new(format!("kv {format}"), help));
                }
            }
            "fault" => {
                all.push(Candidate::new("fault none", "no mistakes"));
                let of = |id: &str, text: &str| Candidate::new(format!("fault {id}"), text);
                all.extend(FAULTS.iter().map(|fault| of(fault.id(), fault.title())));
            }
            _ if form == word => all.push(Candidate::new(word, help)),
            _ => all.push(Candidate {
                text: format!("{word} "),
                form: form[word.len()..].trim_start().to_owned(),
                ..Candidate::new("", help)
            }),
        }
    }
    // The many mistakes behind the few other changes.
    all.sort_by_key(|c| (c.text.starts_with("fault "), !c.text.starts_with("graft ")));
    all
}

/// `CHANGE`; `graft` alone is at the cursor.
pub(super) fn what_if(_: &App, text: &str) -> Result<Action, String> {
    if text == "graft" {
        return Ok(Action::WhatIfGraft);
    }
    let change: Change = text.parse().map_err(|e| format!("{e}"))?;
    Ok(Action::Session(Command::Rerun(change)))
}
