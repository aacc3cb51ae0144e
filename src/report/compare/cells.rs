//! For spreadsheets: one line a cell, positions ascending, cells in order of execution.

use std::io::{self, Write};

use super::{Format, Report};
use crate::compare::CellState;

pub(super) struct Csv;

impl Format for Csv {
    fn id(&self) -> &'static str {
        "csv"
    }

    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "position,checkpoint,site,layer,state,severity,origin,nmse,cosine,max_abs,max_at,nonfinite_reference,nonfinite_candidate,compared,of"
        )?;
        for column in report.comparison.columns() {
            for cell in &column.cells {
                let layer = cell.checkpoint.layer_index().map(|l| l.to_string()).unwrap_or_default();
                // Names of checkpoints hold no comma and no quote.
                write!(
                    out,
                    "{},{},{},{layer},",
                    column.position,
                    cell.checkpoint,
                    cell.checkpoint.site().name()
                )?;
                match &cell.state {
                    CellState::Compared { metrics: m, severity, origin } => writeln!(
                        out,
                        "compared,{:e},{},{:e},{},{:e},{},{},{},{},{}",
                        severity.0,
                        u8::from(*origin),
                        m.nmse,
                        m.cosine,
                        m.max_abs,
                        m.max_at,
                        m.nonfinite_reference,
                        m.nonfinite_candidate,
                        m.compared,
                        m.of
                    )?,
                    other => writeln!(out, "{},,,,,,,,,,", state(other))?,
                }
            }
        }
        Ok(())
    }
}

fn state(state: &CellState) -> &'static str {
    match state {
        CellState::Compared { .. } => "compared",
        CellState::ReferenceOnly => "reference-only",
        CellState::CandidateOnly => "candidate-only",
        CellState::ShapeMismatch => "shape-mismatch",
        CellState::Unreadable => "unreadable",
    }
}
