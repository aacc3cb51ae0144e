//! Where in a layer does it break: the layer's checkpoints by positions.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Garbage, Logits, Map, Pipeline, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "layer",
    title: "layer",
    about: "where severity enters: every checkpoint of one layer",
    help: &[
        "The pipeline shows the layer's checkpoints in order of execution, the first at the bottom. Lines lead \
         from each to those that are computed from it: ╯ and ┴ leave upwards; ╮, ┬, ┤ and ┼ arrive. The bar is severity; \
         noise ends at ┊.",
        "◇ is where an error enters: beyond noise while its inputs are within; ◆ is the first of all.",
        "Enter looks at the tensor under the cursor.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Percent(62),
            &Tree::Columns(
                Share::Percent(48),
                &Tree::Panes(&[Pipeline]),
                &Tree::Columns(Share::Percent(42), &Tree::Panes(&[Map]), &Tree::Panes(&[SideBySide])),
            ),
            &Tree::Columns(
                Share::Percent(34),
                &Tree::Panes(&[Logits]),
                &Tree::Columns(Share::Percent(50), &Tree::Panes(&[Verdict]), &Tree::Panes(&[Garbage])),
            ),
        ),
        medium: Tree::Rows(
            Share::Percent(62),
            &Tree::Columns(Share::Percent(60), &Tree::Panes(&[Pipeline]), &Tree::Panes(&[Map])),
            &Tree::Columns(
                Share::Percent(60),
                &Tree::Panes(&[SideBySide, Logits]),
                &Tree::Panes(&[Verdict, Garbage]),
            ),
        ),
        small: Tree::Rows(
            Share::AllBut(6),
            &Tree::Panes(&[Pipeline, Map, SideBySide, Logits, Garbage]),
            &Tree::Panes(&[Verdict]),
        ),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows::CELL,
};
