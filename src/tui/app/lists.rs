//! Panes with a choice: what is in each, which row is chosen, and where Enter goes from there.
//!
//! What is listed is folded once a snapshot; a choice stays with its row when others come or go.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{App, Cursor};
use crate::garbage::Finding;
use crate::session::{Arrived, Diagnosed, DiagnosisState, Faulty, Snapshot, Which};
use crate::tui::kinds::PaneKind;

/// One finding with its place.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Position.
    pub position: u32,
    /// Whose values they are.
    pub side: Which,
    /// What was found.
    pub finding: &'a Finding,
}

/// Where a finding is in the snapshot.
#[derive(Clone, Copy, Debug)]
struct FoundAt {
    column: u32,
    side: Which,
    index: u32,
}

impl FoundAt {
    fn get(self, snapshot: &Snapshot) -> Option<Found<'_>> {
        let column = snapshot.columns.get(self.column as usize)?;
        let findings = match self.side {
            Which::Reference => &column.garbage_reference,
            Which::Candidate => &column.garbage_candidate,
        };
        let finding = findings.get(self.index as usize)?;
        Some(Found { position: column.position, side: self.side, finding })
    }
}

/// A chosen row, and the row that the pane is centred on: a click chooses without moving the list.
#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    row: usize,
    anchor: usize,
}

/// The lists of the screen.
#[derive(Debug, Default)]
pub(super) struct Lists {
    findings: Vec<FoundAt>,
    counts: [BTreeMap<&'static str, usize>; 2],
    choices: BTreeMap<PaneKind, Choice>,
    /// Serials of the chosen record and of that which the list is centred on; none: the newest.
    record: Option<[u64; 2]>,
}

impl Lists {
    /// Folds a newer snapshot; `before` is the one that the choices were made in.
    pub fn take_in(&mut self, before: &Snapshot, now: &Snapshot) {
        let first = self.findings.is_empty();
        let same = before.columns.len() == now.columns.len()
            && before.columns.iter().zip(&now.columns).all(|(a, b)| Arc::ptr_eq(a, b));
        if first || !same {
            let chosen = self
                .finding(self.row(PaneKind::Findings), before)
                .map(|f| (f.position, f.side, f.finding.clone()));
            self.fold_findings(now);
            if let Some((position, side, finding)) = chosen {
                let alike = |at: &FoundAt| {
                    at.get(now).is_some_and(|f| {
                        f.side == side
                            && f.position == position
                            && (f.finding.class, f.finding.checkpoint) == (finding.class, finding.checkpoint)
                            && f.finding.first_channel == finding.first_channel
                    })
                };
                let from =
                    self.findings.partition_point(|at| at.get(now).is_some_and(|f| f.position < position));
                let to = self.findings[from..].iter().position(alike).map(|ahead| from + ahead);
                self.shift(PaneKind::Findings, to);
            }
        }
        if let (Some(old), Some(new)) = (diagnosed(before), diagnosed(now))
            && !std::ptr::eq(old, new)
            && let Some(chosen) = old.faulty.get(self.row(PaneKind::Operations))
        {
            let to =
                new.faulty.iter().position(|f| (f.side, f.checkpoint) == (chosen.side, chosen.checkpoint));
            self.shift(PaneKind::Operations, to);
        }
    }

    fn fold_findings(&mut self, snapshot: &Snapshot) {
        self.findings.clear();
        self.counts = [BTreeMap::new(), BTreeMap::new()];
        for (column, at) in snapshot.columns.iter().zip(0u32..) {
            let sides = [
                (Which::Reference, &column.garbage_reference),
                (Which::Candidate, &column.garbage_candidate),
            ];
            for (side, findings) in sides {
                for (finding, index) in findings.iter().zip(0u32..) {
                    self.findings.push(FoundAt { column: at, side, index });
                    *self.counts[side.index()].entry(finding.class).or_default() += 1;
                }
            }
        }
    }

    fn finding<'a>(&self, row: usize, snapshot: &'a Snapshot) -> Option<Found<'a>> {
        self.findings.get(row)?.get(snapshot)
    }

    fn row(&self, pane: PaneKind) -> usize {
        self.choices.get(&pane).map_or(0, |choice| choice.row)
    }

    /// The chosen row is another one now; the pane moves along with it.
    fn shift(&mut self, pane: PaneKind, to: Option<usize>) {
        let Some(to) = to else { return };
        let choice = self.choices.entry(pane).or_default();
        choice.anchor = (choice.anchor + to).saturating_sub(choice.row);
        choice.row = to;
    }
}

fn diagnosed(snapshot: &Snapshot) -> Option<&Diagnosed> {
    match &snapshot.diagnosis {
        DiagnosisState::Done(found) => Some(found),
        _ => None,
    }
}

impl App {
    /// Rows of a list.
    pub fn list_len(&self, pane: PaneKind) -> usize {
        match pane {
            PaneKind::Findings => self.lists.findings.len(),
            PaneKind::Operations => self.diagnosed().map_or(0, |found| found.faulty.len()),
            PaneKind::Records => self.snapshot.records.newest.len(),
            _ => 0,
        }
    }

    /// The chosen row of a list; none if it is empty.
    pub fn chosen(&self, pane: PaneKind) -> Option<usize> {
        self.place_in(pane, 0)
    }

    /// The row that a list is centred on.
    fn centre(&self, pane: PaneKind) -> usize {
        self.place_in(pane, 1).unwrap_or(0)
    }

    /// The chosen row (0) or the row that the list is centred on (1).
    fn place_in(&self, pane: PaneKind, which: usize) -> Option<usize> {
        let last = self.list_len(pane).checked_sub(1)?;
        let row = match (pane, self.lists.record) {
            (PaneKind::Records, None) => last,
            (PaneKind::Records, Some(serials)) => {
                self.snapshot.records.newest.partition_point(|r| r.serial < serials[which])
            }
            _ => {
                let choice = self.lists.choices.get(&pane).copied().unwrap_or_default();
                [choice.row, choice.anchor][which]
            }
        };
        Some(row.min(last))
    }

    /// The rows that are shown where there is room for `height` of them.
    pub fn listed(&self, pane: PaneKind, height: usize) -> Range<usize> {
        let len = self.list_len(pane);
        let first = self.centre(pane).saturating_sub(height / 2).min(len.saturating_sub(height));
        first..(first + height).min(len)
    }

    /// Chooses a row; `keep`: without moving the list.
    pub(super) fn choose(&mut self, pane: PaneKind, row: usize, keep: bool) {
        let Some(last) = self.list_len(pane).checked_sub(1) else { return };
        let row = row.min(last);
        let anchor = if keep { self.centre(pane) } else { row };
        if pane == PaneKind::Records {
            let serial = |row: usize| self.snapshot.records.newest.get(row).map_or(0, |r| r.serial);
            // At the end it follows what arrives.
            self.lists.record = (row < last || keep).then(|| [serial(row), serial(anchor)]);
        } else {
            self.lists.choices.insert(pane, Choice { row, anchor });
        }
    }

    /// Moves the choice by rows, down when positive.
    pub(super) fn move_choice(&mut self, pane: PaneKind, down: isize) {
        if let Some(row) = self.chosen(pane) {
            self.choose(pane, row.saturating_add_signed(down), false);
        }
    }

    /// The cell that a list's chosen row speaks of.
    pub fn target(&self, pane: PaneKind) -> Option<Cursor> {
        let row = self.chosen(pane)?;
        match pane {
            PaneKind::Findings => self.finding(row).map(|f| Cursor {
                position: f.position,
                checkpoint: f.finding.checkpoint,
                channel: f.finding.first_channel,
            }),
            PaneKind::Operations => self.operation(row).map(|f| self.cell_of(f)),
            PaneKind::Records => self.record(row).map(|r| Cursor {
                position: r.record.position,
                checkpoint: r.record.checkpoint,
                channel: self.cursor.channel,
            }),
            _ => None,
        }
    }

    /// A faulty operation where it is worst.
    pub(super) fn cell_of(&self, faulty: &Faulty) -> Cursor {
        let Faulty { worst_at: position, checkpoint, .. } = *faulty;
        Cursor { position, checkpoint, channel: self.cursor.channel }
    }

    /// A finding by its row.
    pub fn finding(&self, row: usize) -> Option<Found<'_>> {
        self.lists.finding(row, &self.snapshot)
    }

    /// How many findings each class has in one run.
    pub fn finding_counts(&self, side: Which) -> &BTreeMap<&'static str, usize> {
        &self.lists.counts[side.index()]
    }

    /// A faulty operation by its row.
    pub fn operation(&self, row: usize) -> Option<&Faulty> {
        self.diagnosed()?.faulty.get(row)
    }

    /// A record by its row.
    pub fn record(&self, row: usize) -> Option<&Arrived> {
        self.snapshot.records.newest.get(row)
    }

    /// Whether the list of records stays at the newest one.
    pub fn follows_records(&self) -> bool {
        self.lists.record.is_none()
    }

    /// What was diagnosed, if that is done.
    pub fn diagnosed(&self) -> Option<&Diagnosed> {
        diagnosed(&self.snapshot)
    }
}
