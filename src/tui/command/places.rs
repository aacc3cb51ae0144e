//! Commands that move the cursor.

use crate::model::Checkpoint;
use crate::text::safe_short;
use crate::tui::app::entry::Candidate;
use crate::tui::app::{Action, App, Target};

/// Arguments that are any number of no use as a list.
pub(super) fn nothing(_: &App) -> Vec<Candidate> {
    Vec::new()
}

/// Every position with its token.
pub(super) fn positions(app: &App) -> Vec<Candidate> {
    let token = |slot| app.token(slot).map(|t| format!("“{}”", safe_short(&t.text, 24))).unwrap_or_default();
    app.axis().iter().map(|&slot| Candidate::new(slot.position.to_string(), token(slot))).collect()
}

/// `N`.
pub(super) fn goto(app: &App, text: &str) -> Result<Action, String> {
    let position = text.parse().ok().filter(|&position| app.slot(position).is_some());
    let position = position.ok_or_else(|| match (app.axis().first(), app.axis().last()) {
        (Some(first), Some(last)) => format!(
            "`{}` is no position; expected a number from {} to {}",
            safe_short(text, 40),
            first.position,
            last.position
        ),
        _ => "there are no positions yet".to_owned(),
    })?;
    Ok(Action::Jump(Target { position: Some(position), ..Target::default() }))
}

/// Every checkpoint of the session.
pub(super) fn checkpoints(app: &App) -> Vec<Candidate> {
    app.checkpoints().iter().map(|c| Candidate::new(c.to_string(), "")).collect()
}

/// `NAME`.
pub(super) fn checkpoint(app: &App, text: &str) -> Result<Action, String> {
    let known = app.checkpoints();
    let wanted: Option<Checkpoint> = text.parse().ok();
    let checkpoint = wanted.filter(|c| known.binary_search(c).is_ok()).ok_or_else(|| {
        let short = safe_short(text, 40);
        match (wanted, known.first()) {
            (_, None) => "nothing has been recorded yet".to_owned(),
            (Some(_), _) => format!("neither side has recorded `{short}`; Tab lists what there is"),
            (None, Some(first)) => {
                format!("`{short}` is no checkpoint; expected a name like `{first}`; Tab lists them")
            }
        }
    })?;
    Ok(Action::Jump(Target { checkpoint: Some(checkpoint), ..Target::default() }))
}

/// Every layer.
pub(super) fn layers(app: &App) -> Vec<Candidate> {
    let mut layers: Vec<usize> = app.checkpoints().iter().filter_map(|c| c.layer_index()).collect();
    layers.dedup();
    layers.into_iter().map(|layer| Candidate::new(layer.to_string(), "")).collect()
}

/// `N`: the cursor's checkpoint there, or what the layer hands on.
pub(super) fn layer(app: &App, text: &str) -> Result<Action, String> {
    let known = app.checkpoints();
    let layer: Option<usize> = text.parse().ok();
    let members: Vec<Checkpoint> =
        known.iter().copied().filter(|c| layer.is_some() && c.layer_index() == layer).collect();
    let Some(&last) = members.last() else {
        let short = safe_short(text, 40);
        return Err(match known.iter().filter_map(|c| c.layer_index()).max() {
            Some(last) => format!("`{short}` is no layer; expected a number from 0 to {last}"),
            None => "no layer has been recorded yet".to_owned(),
        });
    };
    let same = members.iter().copied().find(|c| c.site() == app.cursor().checkpoint.site());
    Ok(Action::Jump(Target { checkpoint: Some(same.unwrap_or(last)), ..Target::default() }))
}

/// `N`.
pub(super) fn channel(app: &App, text: &str) -> Result<Action, String> {
    let channels = app.channels();
    let channel: Option<u32> = text.parse().ok().filter(|&n| n < channels);
    match (channel, channels) {
        (Some(_), _) => Ok(Action::Jump(Target { channel, ..Target::default() })),
        (None, 0) => Err("no values have been read here yet".to_owned()),
        (None, _) => Err(format!(
            "`{}` is no channel here; expected a number from 0 to {}",
            safe_short(text, 40),
            channels - 1
        )),
    }
}

/// Every letter that is in use.
pub(super) fn bookmarks(app: &App) -> Vec<Candidate> {
    let place = |(letter, at): (&char, &crate::tui::app::Cursor)| {
        Candidate::new(letter.to_string(), format!("position {}, {}", at.position, at.checkpoint))
    };
    app.bookmarks().iter().map(place).collect()
}

/// `LETTER`.
pub(super) fn mark(_: &App, text: &str) -> Result<Action, String> {
    letter(text).map(Action::Bookmark)
}

/// `LETTER` of a mark that is set.
pub(super) fn go_to_mark(app: &App, text: &str) -> Result<Action, String> {
    let letter = letter(text)?;
    if app.bookmarks().contains_key(&letter) {
        Ok(Action::GoToBookmark(letter))
    } else {
        Err(format!("no mark {letter} is set; `mark {letter}` sets it under the cursor"))
    }
}

fn letter(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_alphanumeric() => Ok(c),
        _ => Err(format!("`{}` names no mark; expected one letter or digit", safe_short(text, 40))),
    }
}
