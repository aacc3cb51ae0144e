//! What a snapshot shows of two runs, read from their stores.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cells::{column, read};
use super::layers::layers;
use super::scores::scores;
use super::{Focus, TokenView, Wanted};
use crate::compare::{CellState, Comparison, Ranking, TopK, logits};
use crate::model::Checkpoint;
use crate::text::safe_short;
use crate::trace::{Store, Token};

/// Lines of the top-k table.
const TOP_K: usize = 20;
/// Characters of a token's text.
const TEXT: usize = 40;

/// What the strip shows of one position; nothing where neither run has it. `piece` gives the text of a
/// token whose trace does not.
pub(super) fn token(
    stores: [&Store; 2],
    position: u32,
    piece: impl Fn(u32) -> Option<String>,
) -> Option<TokenView> {
    let text = |token: &Token| match token.piece.clone().or_else(|| piece(token.id)) {
        Some(text) => safe_short(&text, TEXT),
        None => format!("#{}", token.id),
    };
    let [reference, candidate] = stores.map(|store| store.token(position));
    let Some(token) = reference.or(candidate) else {
        let there = stores.iter().any(|store| store.has(position));
        return there.then(|| TokenView { position, ..TokenView::default() });
    };
    Some(TokenView {
        position,
        id: Some(token.id),
        text: text(token),
        from_prompt: token.from_prompt,
        candidate: candidate.filter(|c| c.id != token.id).map(|c| (c.id, text(c))),
    })
}

/// Every position's token.
pub(super) fn tokens(stores: [&Store; 2], piece: impl Fn(u32) -> Option<String>) -> Vec<TokenView> {
    let positions: BTreeSet<u32> = stores.iter().flat_map(|s| s.positions()).collect();
    positions.into_iter().filter_map(|position| token(stores, position, &piece)).collect()
}

/// The most likely tokens at a position, with their texts.
fn top(
    stores: [&Store; 2],
    position: u32,
    ranking: Ranking,
    piece: impl Fn(u32) -> Option<String>,
) -> (TopK, Vec<(u32, String)>) {
    let values = |store| read(store, position, Checkpoint::LOGITS).map(|t| t.values).unwrap_or_default();
    let [reference, candidate] = stores.map(values);
    let top = logits::top_k(&reference, &candidate, TOP_K, ranking);
    let listed = top.reference.iter().chain(&top.candidate).map(|entry| entry.token);
    let listed: BTreeSet<u32> = listed.chain(top.rows.iter().map(|row| row.token)).collect();
    let text = |token| piece(token).map_or_else(|| format!("#{token}"), |p| safe_short(&p, TEXT));
    (top, listed.into_iter().map(|token| (token, text(token))).collect())
}

/// The values of a cell, the most likely tokens at its position, and what else is wanted. What `before`
/// holds already is not read again.
pub(super) fn focus(
    stores: [&Store; 2],
    comparison: &Comparison,
    wanted: Wanted,
    before: Option<&Focus>,
    piece: impl Fn(u32) -> Option<String>,
) -> Focus {
    let Wanted { position, checkpoint, needs } = wanted;
    let before = before.filter(|b| b.position == position);
    let [first, second] = stores.map(|store| store.line(position, Checkpoint::LOGITS));
    // Ordering a large vocabulary takes milliseconds: not for every step of the cursor along one position.
    let (top, pieces) =
        match before.filter(|b| b.top_from == [first, second] && b.top.ranking == needs.ranking) {
            Some(same) => (same.top.clone(), same.pieces.clone()),
            None => top(stores, position, needs.ranking, piece),
        };
    // Values that are not there yet are looked for again.
    let top_from =
        [first.filter(|_| !top.reference.is_empty()), second.filter(|_| !top.candidate.is_empty())];
    let column = column(comparison, position);
    let (metrics, severity) = match column.and_then(|c| c.cell(checkpoint)).map(|c| c.state) {
        Some(CellState::Compared { metrics, severity, .. }) => (Some(metrics), Some(severity)),
        _ => (None, None),
    };
    Focus {
        reference: read(stores[0], position, checkpoint),
        candidate: read(stores[1], position, checkpoint),
        layers: needs.layers.then(|| {
            let before = before.and_then(|b| b.layers.as_deref());
            Arc::new(layers(stores, &comparison.rows(), column, wanted, before))
        }),
        scores: needs.scores.then(|| Arc::new(scores(stores, position, checkpoint))),
        metrics,
        severity,
        top,
        top_from,
        pieces,
        logits: column.and_then(|c| c.logits),
        ..Focus::new(wanted)
    }
}
