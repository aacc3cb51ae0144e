//! What a key or the mouse asks for.

use super::overlay::typed::Typed;
use super::{Row, Target};
use crate::model::Checkpoint;
use crate::session::{Command, Stop};
use crate::tui::graphics::Choice;
use crate::tui::kinds::PaneKind;
use crate::tui::layout::SplitId;
use crate::tui::views::View;

/// Everything that can be asked of the screen. Keys are bound to actions in one table,
/// [`crate::tui::keymap`].
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One position back.
    Left,
    /// One position on.
    Right,
    /// Several positions back.
    FarLeft,
    /// Several positions on.
    FarRight,
    /// The first position.
    First,
    /// The last position.
    Last,
    /// One row towards the logits; scrolls up in a pane of text.
    Up,
    /// One row towards the embedding; scrolls down in a pane of text.
    Down,
    /// Several rows towards the logits.
    PageUp,
    /// Several rows towards the embedding.
    PageDown,
    /// From layers to the checkpoints of one, and from there to the tensor.
    Drill,
    /// Out again; closes the help.
    Leave,
    /// The first divergence.
    FirstDivergence,
    /// The next place where an error enters.
    NextDivergence,
    /// The previous place where an error enters.
    PreviousDivergence,
    /// Keep the cursor at the newest position.
    Follow,
    /// Where the cursor was before the last jump.
    HistoryBack,
    /// The other way.
    HistoryForward,
    /// This place.
    Jump(Target),
    /// The next thing that was searched for.
    NextHit,
    /// The one before.
    PreviousHit,
    /// Ask for a letter that marks the place under the cursor.
    AskBookmark,
    /// Ask for the letter of a marked place.
    AskWhichBookmark,
    /// Mark the place under the cursor with this letter.
    Bookmark(char),
    /// Go to the place with this letter.
    GoToBookmark(char),
    /// The channel before.
    ChannelBack,
    /// The next channel.
    ChannelOn,
    /// The channel with the largest difference.
    WorstChannel,
    /// Tell the session something that takes an argument.
    Session(Command),
    /// Compute one position.
    Step,
    /// Run, or pause when running.
    ToggleRun,
    /// Stop computing.
    Pause,
    /// Forget the newest position.
    StepBack,
    /// Start failed engines anew.
    Restart,
    /// Compute until the cursor's position.
    RunToCursor,
    /// Ask until when to compute.
    AskUntil,
    /// Set a breakpoint at the cursor's position, or clear it.
    ToggleBreakpoint,
    /// Set a breakpoint.
    Break(Stop),
    /// Clear the n-th breakpoint (counted from 0), or all.
    Unbreak(Option<usize>),
    /// List the breakpoints.
    ListBreakpoints,
    /// Compute the candidate anew with the reference's values in the cell under the cursor.
    WhatIfGraft,
    /// The next pane.
    FocusNext,
    /// The pane before.
    FocusPrevious,
    /// Another view.
    Look(View),
    /// The whole map at once, or one column a position.
    Fit,
    /// Show the diagnosis and ask for one; call it off while it is being made.
    Diagnose,
    /// To the cell that the verdict or the diagnosis speaks of.
    Evidence,
    /// The next order of the most likely tokens.
    Order,
    /// Export the focused pane.
    ExportPane,
    /// Export the screen.
    ExportScreen,
    /// Open or close the help.
    Help,
    /// Open the command line.
    OpenCommandLine,
    /// Open the search.
    OpenSearch,
    /// Open the palette.
    OpenPalette,
    /// What was typed into what is open.
    Type(Typed),
    /// Suggest the next useful key, or stop doing so.
    Hints(bool),
    /// Show heatmaps in this way, or say in which they are shown.
    Graphics(Option<Choice>),
    /// Draw everything anew.
    Redraw,
    /// Leave the terminal to the shell until resumed.
    Suspend,
    /// End.
    Quit,
    /// The mouse chose a cell of the map.
    Select {
        /// Its position.
        position: u32,
        /// Its row.
        row: Row,
    },
    /// The mouse chose a position in the strip of tokens.
    SelectPosition(u32),
    /// The mouse chose a row of a list.
    Choose(PaneKind, usize),
    /// The mouse chose a channel of a checkpoint.
    SelectChannel(Checkpoint, u32),
    /// The mouse chose a pane.
    FocusOn(PaneKind),
    /// The mouse took hold of a split.
    Grab(SplitId),
    /// It moved it: percent of the first part.
    Drag(SplitId, u8),
    /// It let go.
    Drop,
    /// The wheel was turned over this pane, by this many notches, down when positive.
    Wheel(PaneKind, i16),
}
