//! What is no number at all: every finding of garbage in both runs.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Finding, Findings};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "garbage",
    title: "garbage",
    about: "every value that no correct pass produces, of both runs, with its evidence and bits",
    help: &[
        "↑ and ↓ choose a finding, Enter (or a second click) goes to its tensor, < comes back.",
        "Findings are the engine's fault, the logger's (it recorded something else), or nobody's.",
    ],
    arrangement: Arrangement {
        large: Tree::Columns(Share::Percent(54), &Tree::Panes(&[Findings]), &Tree::Panes(&[Finding])),
        medium: Tree::Rows(Share::Percent(54), &Tree::Panes(&[Findings]), &Tree::Panes(&[Finding])),
        small: Tree::Panes(&[Findings, Finding]),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows::CELL,
};
