//! What comes out: the most likely tokens of both sides, and the text.

use super::{Arrangement, RowsOf, Share, Shows, Tree, ViewInfo};
use crate::tui::kinds::PaneKind::{Kl, Ranking, Texts};

/// The view.
pub static VIEW: ViewInfo = ViewInfo {
    id: "logits",
    title: "logits",
    about: "what both runs expect next, how far their distributions are apart, and the text so far",
    help: &[
        "o orders the tokens by the reference, by the candidate, or by the difference of their probabilities.",
        "KL is that of the candidate's distribution from the reference's, in nats; bars are decades.",
        "Where both runs go on with tokens of their own, the texts part at the marked token.",
    ],
    arrangement: Arrangement {
        large: Tree::Columns(
            Share::Percent(58),
            &Tree::Panes(&[Ranking]),
            &Tree::Rows(Share::Percent(68), &Tree::Panes(&[Texts]), &Tree::Panes(&[Kl])),
        ),
        medium: Tree::Rows(
            Share::Percent(56),
            &Tree::Panes(&[Ranking]),
            &Tree::Columns(Share::Percent(62), &Tree::Panes(&[Texts]), &Tree::Panes(&[Kl])),
        ),
        small: Tree::Panes(&[Ranking, Texts, Kl]),
    },
    rows: RowsOf::Checkpoints,
    shows: Shows::CELL,
};
