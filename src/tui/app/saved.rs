//! What of the screen outlives it: where one was, to be taken up again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{App, Cursor};
use crate::model::Checkpoint;
use crate::tui::kinds::PaneKind;
use crate::tui::views::View;

/// A cell and a channel, as a file holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlace {
    /// Position.
    pub position: u32,
    /// Checkpoint's name.
    pub checkpoint: String,
    /// Channel.
    #[serde(default)]
    pub channel: u32,
}

/// The screen, as a file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedScreen {
    /// The view's id.
    pub view: String,
    /// The focused pane's id.
    pub pane: String,
    /// The cursor.
    pub cursor: SavedPlace,
    /// Whether the cursor stayed at the newest position.
    #[serde(default)]
    pub following: bool,
    /// Whether the map showed everything at once.
    #[serde(default)]
    pub fit: bool,
    /// The user's marks.
    #[serde(default)]
    pub marks: BTreeMap<char, SavedPlace>,
}

/// A saved screen that this program cannot take up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{name}` is not known; expected {expected}")]
pub struct Unknown {
    what: &'static str,
    name: String,
    expected: String,
}

impl From<Cursor> for SavedPlace {
    fn from(cursor: Cursor) -> Self {
        let Cursor { position, checkpoint, channel } = cursor;
        Self { position, checkpoint: checkpoint.to_string(), channel }
    }
}

impl SavedPlace {
    fn cursor(&self) -> Result<Cursor, Unknown> {
        let checkpoint: Checkpoint = self.checkpoint.parse().map_err(|_| {
            let name = crate::text::safe_short(&self.checkpoint, 40);
            Unknown { what: "checkpoint", name, expected: "a name like `Kcur-3`".into() }
        })?;
        Ok(Cursor { position: self.position, checkpoint, channel: self.channel })
    }
}

impl App {
    /// Where the user is.
    pub fn saved(&self) -> SavedScreen {
        SavedScreen {
            view: self.view.info().id.to_owned(),
            pane: self.pane.info().id.to_owned(),
            cursor: self.cursor.into(),
            following: self.following,
            fit: self.fit,
            marks: self.bookmarks().iter().map(|(&letter, &cursor)| (letter, cursor.into())).collect(),
        }
    }

    /// Takes up where a user was; the cursor goes there as soon as the run has got so far.
    ///
    /// # Errors
    /// Names that this program does not know.
    pub fn take_up(&mut self, saved: &SavedScreen) -> Result<(), Unknown> {
        let unknown = |what, name: &str, all: Vec<&str>| Unknown {
            what,
            name: crate::text::safe_short(name, 40),
            expected: format!("one of {}", all.join(", ")),
        };
        let views = || View::ALL.iter().map(|view| view.info().id).collect();
        let panes = || PaneKind::ALL.iter().map(|pane| pane.info().id).collect();
        let view = View::named(&saved.view).ok_or_else(|| unknown("view", &saved.view, views()))?;
        let pane = PaneKind::ALL.iter().copied().find(|pane| pane.info().id == saved.pane);
        let pane = pane.ok_or_else(|| unknown("pane", &saved.pane, panes()))?;
        let cursor = saved.cursor.cursor()?;
        let marks = saved.marks.iter().map(|(&letter, place)| Ok((letter, place.cursor()?)));
        let marks = marks.collect::<Result<_, Unknown>>()?;
        self.view = view;
        self.pane = if view.panes().contains(&pane) { pane } else { view.first_pane() };
        self.fit = saved.fit;
        self.leads = false;
        self.following = saved.following;
        self.set_bookmarks(marks);
        self.awaited = Some(cursor);
        self.arrive();
        Ok(())
    }

    /// Goes to where the user was when the session was left, once that is there.
    pub(super) fn arrive(&mut self) {
        let Some(cursor) = self.awaited else { return };
        let there = self.slot(cursor.position).is_some()
            && self.rows.checkpoints().binary_search(&cursor.checkpoint).is_ok();
        if there {
            self.awaited = None;
            self.cursor = cursor;
            self.anchor = cursor;
        }
    }
}
