//! What the state is made of.

use std::sync::Arc;

use crate::model::Checkpoint;
use crate::plot::screenshot::Screenshot;
use crate::session::{Command, Focus, Snapshot};
use crate::tui::graphics::Choice;
use crate::tui::kinds::PaneKind;
use crate::tui::views::View;

/// What the cursor points at; every view shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Position.
    pub position: u32,
    /// Checkpoint.
    pub checkpoint: Checkpoint,
    /// Index into the values.
    pub channel: u32,
}

/// Where the cursor is to go; what is not said stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Position.
    pub position: Option<u32>,
    /// Checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Index into the values.
    pub channel: Option<u32>,
}

/// What is to be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportWhat {
    /// One pane.
    Pane(PaneKind),
    /// All of them.
    Screen,
}

/// A picture that the user asked for.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// What to draw.
    pub what: ExportWhat,
    /// The view.
    pub view: View,
    /// The data.
    pub snapshot: Arc<Snapshot>,
    /// The cell under the cursor.
    pub cursor: Cursor,
    /// What the terminal shows of it, with colours; whoever draws fills it in.
    pub text: String,
    /// The same as characters for a picture; whoever draws fills it in, too.
    pub shown: Option<Screenshot>,
}

/// What an action asks of the world outside the state.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell the session.
    Send(Command),
    /// Draw a picture.
    Export(ExportRequest),
    /// Show heatmaps in this way, or say in which they are shown.
    Graphics(Option<Choice>),
    /// Draw everything anew.
    Redraw,
    /// Give the terminal back until resumed.
    Suspend,
    /// End.
    Quit,
}

/// A line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What.
    pub text: String,
    /// Whether something went wrong.
    pub is_error: bool,
}

/// The values under the cursor, as far as they are known.
#[derive(Clone, Debug)]
pub enum Shown<'a> {
    /// They are here.
    Current(&'a Focus),
    /// They are being read; these belong to another cell.
    Stale(&'a Focus),
    /// Nothing was read yet.
    Nothing,
}

impl<'a> Shown<'a> {
    /// The values, whether or not they are those of the cursor.
    pub fn any(&self) -> Option<&'a Focus> {
        match self {
            Self::Current(focus) | Self::Stale(focus) => Some(focus),
            Self::Nothing => None,
        }
    }

    /// Whether they are those of the cursor.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Current(_))
    }
}

/// One place of the position axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The position.
    pub position: u32,
    pub(super) token: Option<usize>,
    pub(super) column: Option<usize>,
}
