//! What arrives: the newest records of both runs.

use super::{Arrangement, RowsOf, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::Records;

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "records",
    title: "records",
    about: "records of both traces as they arrive, with the engine's own names and their sizes",
    help: &[
        "The newest record is at the bottom, and the list stays there until you move up; G follows again.",
        "The newest thousand are kept. Enter (or a second click) goes to a record's tensor, < comes back.",
    ],
    arrangement: Arrangement {
        large: Tree::Panes(&[Records]),
        medium: Tree::Panes(&[Records]),
        small: Tree::Panes(&[Records]),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows::CELL,
};
