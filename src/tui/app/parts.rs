//! What the state is made of.

use std::sync::Arc;

use crate::model::Checkpoint;
use crate::session::{Command, Focus, Snapshot};

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

/// How deep one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Layers by positions.
    Overview,
    /// The checkpoints of one layer by positions.
    Layer,
    /// One tensor.
    Tensor,
    /// The page of keys.
    Help,
}

/// The panes that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaneKind {
    /// The strip of tokens with flags.
    Tokens,
    /// The parity map.
    Map,
    /// Heatmaps of reference, candidate, difference.
    SideBySide,
    /// The most likely tokens of both sides.
    Logits,
    /// The worst elements of the tensor.
    Elements,
    /// The verdict with its evidence.
    Verdict,
    /// Findings of garbage.
    Garbage,
}

impl PaneKind {
    /// All, in the order of [`super::Action::FocusNext`].
    pub const ALL: [Self; 7] = [
        Self::Map,
        Self::SideBySide,
        Self::Logits,
        Self::Elements,
        Self::Verdict,
        Self::Garbage,
        Self::Tokens,
    ];

    /// Name for titles, messages and file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Map => "parity map",
            Self::SideBySide => "side by side",
            Self::Logits => "logits",
            Self::Elements => "worst elements",
            Self::Verdict => "verdict",
            Self::Garbage => "garbage",
        }
    }

    /// Whether ↑ and ↓ scroll it instead of moving the cursor.
    pub fn scrolls(self) -> bool {
        matches!(self, Self::Logits | Self::Elements | Self::Verdict | Self::Garbage)
    }

    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|&p| p == self).unwrap_or(0)
    }
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
    /// How deep the screen looks: layers, the checkpoints of one, a tensor.
    pub depth: View,
    /// The data.
    pub snapshot: Arc<Snapshot>,
    /// The cell under the cursor.
    pub cursor: Cursor,
}

/// What an action asks of the world outside the state.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell the session.
    Send(Command),
    /// Draw a picture.
    Export(ExportRequest),
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
