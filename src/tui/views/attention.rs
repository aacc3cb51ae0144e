//! What does each head look at: the attention of one layer at one position.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Attention, Map, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "attention",
    title: "attention",
    about: "what each head of a layer looks at: heads by positions, on both sides",
    help: &[
        "One row a head, one column a position that it can see. Probabilities if they were recorded, else the \
         scores before them; flash attention keeps neither.",
        "↑ and ↓ move through the layers; a click goes to the position that is looked at.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Percent(62),
            &Tree::Panes(&[Attention]),
            &Tree::Columns(
                Share::Percent(38),
                &Tree::Panes(&[Map]),
                &Tree::Columns(Share::Percent(54), &Tree::Panes(&[SideBySide]), &Tree::Panes(&[Verdict])),
            ),
        ),
        medium: Tree::Rows(
            Share::Percent(60),
            &Tree::Panes(&[Attention]),
            &Tree::Columns(Share::Percent(56), &Tree::Panes(&[Map, SideBySide]), &Tree::Panes(&[Verdict])),
        ),
        small: Tree::Rows(
            Share::AllBut(6),
            &Tree::Panes(&[Attention, Map, SideBySide]),
            &Tree::Panes(&[Verdict]),
        ),
    },
    rows: RowsOf::Layers,
    shows: Shows { channel: false, layers: false, scores: true },
};
