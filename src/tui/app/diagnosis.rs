//! Asking for a diagnosis, and going to the cells that it and the verdict speak of.

use std::collections::HashSet;

use super::{App, Cursor, Effect, Row};
use crate::compare::Verdict;
use crate::session::{Command, DiagnosisState, Snapshot};
use crate::tui::kinds::PaneKind;
use crate::tui::views::View;

/// Cells of operations that are themselves faulty, on either side: as rows of the overview and alone.
pub(super) type FaultyCells = HashSet<(u32, Row)>;

/// The faulty cells of a snapshot.
pub(super) fn faulty_cells(snapshot: &Snapshot) -> FaultyCells {
    let DiagnosisState::Done(found) = &snapshot.diagnosis else { return FaultyCells::new() };
    let mut cells = FaultyCells::new();
    for faulty in &found.faulty {
        for &position in &faulty.positions {
            cells.insert((position, Row::of(faulty.checkpoint)));
            cells.insert((position, Row::Single(faulty.checkpoint)));
        }
    }
    cells
}

/// Whether two states of a diagnosis look the same.
pub(super) fn same_diagnosis(a: &DiagnosisState, b: &DiagnosisState) -> bool {
    use DiagnosisState::{Cancelled, Done, Failed, NotAsked, Running};
    match (a, b) {
        (NotAsked, NotAsked) | (Cancelled, Cancelled) => true,
        (Failed(a), Failed(b)) => a == b,
        (Done(a), Done(b)) => std::sync::Arc::ptr_eq(a, b),
        (Running { done, of, what }, Running { done: d, of: o, what: w }) => (done, of, what) == (d, o, w),
        _ => false,
    }
}

impl App {
    /// Shows the diagnosis and, unless there is one, asks for it; asked in its view, it is made anew, or
    /// called off while it is being made.
    pub(super) fn diagnose(&mut self) {
        let here = self.view == View::Diagnosis;
        if !here {
            self.look(View::Diagnosis);
        }
        match self.snapshot.diagnosis {
            DiagnosisState::Running { .. } if here => {
                self.effects.push(Effect::Send(Command::CancelDiagnosis));
            }
            DiagnosisState::Running { .. } => {}
            DiagnosisState::Done(_) if !here => {}
            _ => self.effects.push(Effect::Send(Command::Diagnose)),
        }
    }

    /// Calls a diagnosis off that is being made while it is looked at. Says whether there was one.
    pub(super) fn call_off(&mut self) -> bool {
        let running = matches!(self.snapshot.diagnosis, DiagnosisState::Running { .. });
        let seen = self.view == View::Diagnosis && running;
        if seen {
            self.effects.push(Effect::Send(Command::CancelDiagnosis));
        }
        seen
    }

    /// Goes to the cell that the diagnosis or the verdict speaks of; from one faulty operation to the next.
    pub(super) fn look_at_evidence(&mut self) {
        if self.view == View::Diagnosis
            && let Some(to) = self.target(PaneKind::Operations)
        {
            return self.visit(to);
        }
        let faulty = self.diagnosed().map(|d| &d.faulty[..]).unwrap_or_default();
        let here = (self.cursor.position, self.cursor.checkpoint);
        let at = faulty.iter().position(|f| (f.worst_at, f.checkpoint) == here);
        let next = at.map_or(0, |at| (at + 1) % faulty.len().max(1));
        let to = faulty.get(next).map(|f| self.cell_of(f)).or_else(|| self.cell_of_verdict());
        match to {
            Some(to) => self.visit(to),
            None => self.tell("the verdict speaks of no cell; D diagnoses both runs", false),
        }
    }

    fn cell_of_verdict(&self) -> Option<Cursor> {
        let channel = self.cursor.channel;
        match &*self.snapshot.verdict {
            Verdict::Diverged { first, .. } => Some(Cursor {
                position: first.position,
                checkpoint: first.checkpoint,
                channel: first.metrics.max_at,
            }),
            Verdict::WithinNoise { worst: Some((position, checkpoint, _)), .. } => {
                Some(Cursor { position: *position, checkpoint: *checkpoint, channel })
            }
            Verdict::Instrument { side, finding, .. } => (0..self.list_len(PaneKind::Findings))
                .filter_map(|row| self.finding(row))
                .find(|f| {
                    f.side.to_string() == *side
                        && (f.finding.class, f.finding.checkpoint) == (finding.class, finding.checkpoint)
                })
                .map(|f| Cursor {
                    position: f.position,
                    checkpoint: f.finding.checkpoint,
                    channel: f.finding.first_channel,
                }),
            _ => None,
        }
    }

    /// Goes to a cell and looks at its tensor; the way back leads to the present view.
    pub(super) fn visit(&mut self, to: Cursor) {
        self.history.leave(self.cursor, self.view);
        self.go(to.position, to.checkpoint);
        self.cursor.channel = to.channel;
        self.look(View::Tensor);
    }
}
