//! What does it look like: one tensor of both sides, value by value.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Elements, Garbage, Logits, Map, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "tensor",
    title: "tensor",
    about: "what one tensor looks like on both sides, and its worst elements with their bits",
    help: &[
        "Reference and candidate share one scale; the difference is enlarged by the power of ten in its heading.",
        "[ and ] move to another channel, w to that with the largest difference.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Percent(66),
            &Tree::Panes(&[SideBySide, Map]),
            &Tree::Columns(
                Share::Percent(34),
                &Tree::Panes(&[Elements, Logits]),
                &Tree::Columns(Share::Percent(50), &Tree::Panes(&[Verdict]), &Tree::Panes(&[Garbage])),
            ),
        ),
        medium: Tree::Rows(
            Share::Percent(66),
            &Tree::Panes(&[SideBySide, Map]),
            &Tree::Columns(
                Share::Percent(62),
                &Tree::Panes(&[Elements, Logits]),
                &Tree::Panes(&[Verdict, Garbage]),
            ),
        ),
        small: Tree::Rows(
            Share::AllBut(6),
            &Tree::Panes(&[SideBySide, Map, Elements, Logits, Garbage]),
            &Tree::Panes(&[Verdict]),
        ),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows { channel: true, ..Shows::CELL },
};
