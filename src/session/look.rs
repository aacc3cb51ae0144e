//! What a snapshot shows of two runs, read from their stores.

use std::collections::BTreeSet;

use super::{Focus, TokenView};
use crate::compare::{CellState, Comparison, logits};
use crate::model::Checkpoint;
use crate::text::safe_short;
use crate::trace::{Store, Tensor};

/// Lines of the top-k table.
const TOP_K: usize = 20;
/// Characters of a token's text.
const TEXT: usize = 40;

/// Tokens by position, the reference's first. `piece` gives the text of a token whose trace does not.
pub(super) fn tokens(stores: [&Store; 2], piece: impl Fn(u32) -> Option<String>) -> Vec<TokenView> {
    let positions: BTreeSet<u32> = stores.iter().flat_map(|s| s.positions()).collect();
    positions
        .into_iter()
        .map(|position| {
            let token = stores.iter().find_map(|s| s.token(position));
            let text = token.map(|t| t.piece.clone().or_else(|| piece(t.id)));
            TokenView {
                position,
                id: token.map(|t| t.id),
                text: match (token, text.flatten()) {
                    (_, Some(text)) => safe_short(&text, TEXT),
                    (Some(token), None) => format!("#{}", token.id),
                    (None, None) => String::new(),
                },
                from_prompt: token.is_some_and(|t| t.from_prompt),
            }
        })
        .collect()
}

/// The values of a cell and the most likely tokens at its position.
pub(super) fn focus(
    [reference, candidate]: [&Store; 2],
    comparison: &Comparison,
    (position, checkpoint): (u32, Checkpoint),
    piece: impl Fn(u32) -> Option<String>,
) -> Focus {
    let read = |store: &Store, checkpoint| {
        let mut tensor = Tensor::default();
        // What cannot be read is shown as missing; the column says `Unreadable`.
        store.read(position, checkpoint, &mut tensor).ok().filter(|there| *there).map(|_| tensor)
    };
    let values = |t: Option<Tensor>| t.map(|t| t.values).unwrap_or_default();
    let (ref_logits, cand_logits) =
        (values(read(reference, Checkpoint::LOGITS)), values(read(candidate, Checkpoint::LOGITS)));
    let top = logits::top_k(&ref_logits, &cand_logits, TOP_K);
    let text = |token| piece(token).map_or_else(|| format!("#{token}"), |p| safe_short(&p, TEXT));
    let pieces = top.reference.iter().chain(&top.candidate).map(|e| (e.token, text(e.token))).collect();
    let column = comparison.columns().iter().find(|c| c.position == position);
    let (metrics, severity) = match column.and_then(|c| c.cell(checkpoint)).map(|c| c.state) {
        Some(CellState::Compared { metrics, severity, .. }) => (Some(metrics), Some(severity)),
        _ => (None, None),
    };
    Focus {
        position,
        checkpoint,
        reference: read(reference, checkpoint),
        candidate: read(candidate, checkpoint),
        metrics,
        severity,
        top,
        pieces,
        logits: column.and_then(|c| c.logits),
    }
}
