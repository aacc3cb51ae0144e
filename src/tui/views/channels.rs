//! Does it grow with the layers, and is it some channels or all: one site in every layer.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Channels, Elements, Map, SideBySide, Verdict};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "channels",
    title: "channels",
    about: "one checkpoint in every layer by channels: reference, candidate, difference",
    help: &[
        "Both sides share one scale; the difference is enlarged by the power of ten in its heading. The sign \
         beside a layer is its severity. Where channels share a cell, the value furthest from zero is shown, and \
         one that is not finite before all others.",
        "↑ and ↓ move through the layers, [ and ] through the channels, w goes to the largest difference. A click \
         selects layer and channel.",
    ],
    arrangement: Arrangement {
        large: Tree::Rows(
            Share::Percent(66),
            &Tree::Panes(&[Channels]),
            &Tree::Columns(
                Share::Percent(30),
                &Tree::Panes(&[Map]),
                &Tree::Columns(
                    Share::Percent(52),
                    &Tree::Panes(&[SideBySide, Elements]),
                    &Tree::Panes(&[Verdict]),
                ),
            ),
        ),
        medium: Tree::Rows(
            Share::Percent(66),
            &Tree::Panes(&[Channels]),
            &Tree::Columns(
                Share::Percent(60),
                &Tree::Panes(&[SideBySide, Elements, Map]),
                &Tree::Panes(&[Verdict]),
            ),
        ),
        small: Tree::Rows(
            Share::AllBut(6),
            &Tree::Panes(&[Channels, SideBySide, Elements, Map]),
            &Tree::Panes(&[Verdict]),
        ),
    },
    rows: RowsOf::Site,
    shows: Shows { channel: true, layers: true, scores: false },
};
