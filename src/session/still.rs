//! A snapshot of finished traces, without a session: for pictures and reports.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{DiagnosisState, Focus, RunState, SideStatus, Snapshot, SourceState, Wanted, look};
use crate::compare::{Cells, Column, Comparison, Verdict};
use crate::model::Checkpoint;
use crate::text::{safe, safe_short};
use crate::trace::{Notes, Store};

/// One finished trace, or two that were compared.
#[derive(Debug)]
pub struct Still<'a> {
    reference: &'a Store,
    candidate: Option<&'a Store>,
    comparison: &'a Comparison,
    /// Texts of the tokens that the traces themselves name.
    pieces: HashMap<u32, String>,
    nothing: Store,
}

impl<'a> Still<'a> {
    /// Two traces and their comparison, concluded. Without a candidate, the reference alone:
    /// `comparison` is then that with [`Still::nothing`], which finds garbage and compares nothing.
    pub fn new(reference: &'a Store, candidate: Option<&'a Store>, comparison: &'a Comparison) -> Self {
        let mut pieces = HashMap::new();
        for store in [Some(reference), candidate].into_iter().flatten() {
            for token in store.positions().filter_map(|p| store.token(p)) {
                if let Some(piece) = &token.piece {
                    pieces.entry(token.id).or_insert_with(|| piece.clone());
                }
            }
        }
        Self { reference, candidate, comparison, pieces, nothing: Self::nothing() }
    }

    /// The trace that holds nothing.
    pub fn nothing() -> Store {
        Store::new(Path::new(""))
    }

    /// Whether there is a candidate.
    pub fn is_pair(&self) -> bool {
        self.candidate.is_some()
    }

    fn stores(&self) -> [&Store; 2] {
        [self.reference, self.candidate.unwrap_or(&self.nothing)]
    }

    /// Everything but a cell's values.
    pub fn snapshot(&self) -> Snapshot {
        let alone = self.candidate.is_none();
        let columns = self.comparison.columns();
        Snapshot {
            revision: 1,
            work: 0,
            settled: true,
            model: model(self.reference),
            reference: side(Some(self.reference)),
            candidate: side(self.candidate),
            tokens: Arc::new(look::tokens(self.stores(), |id| self.pieces.get(&id).cloned())),
            rows: self.comparison.rows(),
            columns: if alone { columns.iter().map(|c| findings(c)).collect() } else { columns.to_vec() },
            verdict: if alone { Arc::new(Verdict::Pending) } else { self.comparison.verdict() },
            run: RunState::Static,
            step: self.candidate.map_or(0, |s| s.position_count() as u32),
            stepping: Arc::default(),
            focus: None,
            records: Arc::default(),
            diagnosis: DiagnosisState::NotAsked,
            message: None,
        }
    }

    /// The values of one cell.
    pub fn focus(&self, position: u32, checkpoint: Checkpoint) -> Focus {
        self.look(Wanted::cell(position, checkpoint))
    }

    /// The values of one cell, and what else is wanted of its place.
    pub fn look(&self, wanted: Wanted) -> Focus {
        let piece = |id| self.pieces.get(&id).cloned();
        look::focus(self.stores(), self.comparison, wanted, None, piece)
    }
}

/// What a column says of one run alone: its garbage, and nothing about what the other one lacks.
fn findings(column: &Column) -> Arc<Column> {
    Arc::new(Column { cells: Cells::default(), logits: None, ..column.clone() })
}

fn model(store: &Store) -> String {
    let name = store.header().map(|h| h.model.name.as_str()).filter(|n| !n.is_empty());
    safe_short(name.map_or_else(|| stem(store), str::to_owned).as_str(), 60)
}

fn stem(store: &Store) -> String {
    store.path().file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

fn side(store: Option<&Store>) -> SideStatus {
    let header = store.and_then(Store::header);
    let known = |text: Option<&str>| safe_short(text.unwrap_or_default(), 40);
    let positions = store.map_or(0, |s| s.positions().count() as u32);
    let team = store.map(|s| s.team().filter(|t| !t.is_empty()).map_or_else(|| stem(s), str::to_owned));
    let mut remarks = Vec::new();
    if let Some(fault) = header.and_then(|h| h.settings.fault.as_deref()) {
        remarks.push(format!("fault: {}", safe_short(fault, 40)));
    }
    if store.is_some_and(|s| !s.has_ended()) {
        remarks.push("no terminating line".to_owned());
    }
    SideStatus {
        team: known(team.as_deref()),
        backend: known(header.map(|h| h.backend.as_str())),
        remark: (!remarks.is_empty()).then(|| safe(&remarks.join(", ")).into_owned()),
        state: SourceState::Ended,
        positions,
        expected: None,
        notes: store.map_or_else(Notes::default, |s| s.notes().clone()),
    }
}
