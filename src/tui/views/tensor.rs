//! What does it look like: one tensor of both sides, value by value.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Elements, Garbage, Histogram, Logits, Map, Scatter, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "tensor",
    title: "tensor",
    about: "what one tensor looks like on both sides, and its worst elements with their bits",
    help: &[
        "Reference and candidate share one scale; the difference is enlarged by the power of ten in its heading.",
        "The scatter has the reference across and the candidate upwards: what agrees lies on the diagonal. The \
         histogram counts values on a logarithmic scale, those that are not finite apart.",
        "[ and ] move to another channel, w to that with the largest difference.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Percent(56),
            &Tree::Columns(Share::Percent(66), &Tree::Panes(&[SideBySide, Map]), &Tree::Panes(&[Scatter])),
            &Tree::Columns(
                Share::Percent(42),
                &Tree::Panes(&[Elements, Logits]),
                &Tree::Columns(
                    Share::Percent(54),
                    &Tree::Panes(&[Histogram]),
                    &Tree::Panes(&[Verdict, Garbage]),
                ),
            ),
        ),
        medium: Tree::Rows(
            Share::Percent(52),
            &Tree::Columns(
                Share::Percent(66),
                &Tree::Panes(&[SideBySide, Map]),
                &Tree::Panes(&[Verdict, Garbage]),
            ),
            &Tree::Columns(
                Share::Percent(60),
                &Tree::Panes(&[Elements, Histogram, Logits]),
                &Tree::Panes(&[Scatter]),
            ),
        ),
        small: Tree::Rows(
            Share::AllBut(6),
            &Tree::Panes(&[SideBySide, Map, Elements, Scatter, Histogram, Logits, Garbage]),
            &Tree::Panes(&[Verdict]),
        ),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows { channel: true, ..Shows::CELL },
};
