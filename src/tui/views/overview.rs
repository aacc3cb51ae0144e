//! Where does it break: layers by positions, with the values, tokens and verdict of the cursor.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Garbage, Logits, Map, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "overview",
    title: "overview",
    about: "where the runs part: every layer at every position",
    help: &[
        "Each cell of the map is one layer at one position; its colour is severity, the divergence as a \
         multiple of the noise between correct engines. ◆ is the first divergence.",
        "Enter looks into the layer, n goes to the next place where an error enters.",
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
    rows: RowsOf::Layers,
    shows: Shows::CELL,
};
