//! Whose mistake, in which operation, of what kind: the diagnosis with its evidence.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Diagnosis, Operation, Operations};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "diagnosis",
    title: "diagnosis",
    about: "which operation is wrong, what kind of mistake it is, and whose",
    help: &[
        "D diagnoses what both traces hold: every operation is computed again alone from its own recorded \
         inputs. One that no correct arithmetic explains is faulty, and the kinds of mistakes are tried on it.",
        "↑ and ↓ choose an operation, Enter (or v, or a second click) goes to its tensor, < comes back.",
        "On the map ✘ then marks operations that are faulty themselves; what is only reached by them has none.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Percent(36),
            &Tree::Panes(&[Diagnosis]),
            &Tree::Columns(Share::Percent(50), &Tree::Panes(&[Operations]), &Tree::Panes(&[Operation])),
        ),
        medium: Tree::Rows(
            Share::Percent(36),
            &Tree::Panes(&[Diagnosis]),
            &Tree::Rows(Share::Percent(50), &Tree::Panes(&[Operations]), &Tree::Panes(&[Operation])),
        ),
        small: Tree::Rows(
            Share::Percent(50),
            &Tree::Panes(&[Diagnosis]),
            &Tree::Panes(&[Operations, Operation]),
        ),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows::CELL,
};
