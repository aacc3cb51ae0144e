//! What a newer snapshot changes.

use std::sync::Arc;
use std::time::Duration;

use super::Slot;
use super::diagnosis::same_diagnosis;
use crate::session::{SideStatus, Snapshot, SourceState};

/// Whether two snapshots show the same; a session also publishes when only time has passed.
pub(super) fn looks_the_same(a: &Snapshot, b: &Snapshot) -> bool {
    let same_focus = match (&a.focus, &b.focus) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    same_focus
        && same_diagnosis(&a.diagnosis, &b.diagnosis)
        && Arc::ptr_eq(&a.tokens, &b.tokens)
        && (Arc::ptr_eq(&a.rows, &b.rows) || a.rows == b.rows)
        && a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(a, b)| Arc::ptr_eq(a, b))
        && (Arc::ptr_eq(&a.verdict, &b.verdict) || a.verdict == b.verdict)
        && (&a.model, &a.message, a.run, a.step, &a.stepping)
            == (&b.model, &b.message, b.run, b.step, &b.stepping)
        && shown_of(&a.reference) == shown_of(&b.reference)
        && shown_of(&a.candidate) == shown_of(&b.candidate)
}

/// A side as it is shown: stalled sources in whole seconds.
fn shown_of(side: &SideStatus) -> SideStatus {
    let mut side = side.clone();
    if let SourceState::Stalled(time) = &mut side.state {
        *time = Duration::from_secs(time.as_secs());
    }
    side
}

/// The union of the tokens' and the columns' positions.
pub(super) fn axis(snapshot: &Snapshot) -> Vec<Slot> {
    let (tokens, columns) = (&snapshot.tokens, &snapshot.columns);
    let mut axis = Vec::with_capacity(tokens.len().max(columns.len()));
    let (mut t, mut c) = (0, 0);
    while t < tokens.len() || c < columns.len() {
        let of_token = tokens.get(t).map(|token| token.position);
        let of_column = columns.get(c).map(|column| column.position);
        let Some(position) = of_token.into_iter().chain(of_column).min() else { break };
        let token = (of_token == Some(position)).then_some(t);
        let column = (of_column == Some(position)).then_some(c);
        t += usize::from(token.is_some());
        c += usize::from(column.is_some());
        axis.push(Slot { position, token, column });
    }
    axis
}
