//! Where in a layer does it break: the layer's checkpoints by positions.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Garbage, Logits, Map, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "layer",
    title: "layer",
    about: "where severity enters: every checkpoint of one layer",
    help: &[
        "The map shows the checkpoints of the cursor's layer in order of execution, the first at the bottom.",
        "Enter looks at the tensor under the cursor.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Map(52, 66),
            &Tree::Columns(Share::Percent(46), &Tree::Panes(&[Map]), &Tree::Panes(&[SideBySide])),
            &Tree::Columns(
                Share::Percent(34),
                &Tree::Panes(&[Logits]),
                &Tree::Columns(Share::Percent(50), &Tree::Panes(&[Verdict]), &Tree::Panes(&[Garbage])),
            ),
        ),
        medium: Tree::Rows(
            Share::Map(52, 66),
            &Tree::Columns(Share::Percent(46), &Tree::Panes(&[Map]), &Tree::Panes(&[SideBySide])),
            &Tree::Columns(Share::Percent(50), &Tree::Panes(&[Logits]), &Tree::Panes(&[Verdict, Garbage])),
        ),
        small: Tree::Rows(
            Share::AllBut(6),
            &Tree::Panes(&[Map, SideBySide, Logits, Garbage]),
            &Tree::Panes(&[Verdict]),
        ),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows::CELL,
};
