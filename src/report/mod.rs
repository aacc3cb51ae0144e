//! Reports of a finished comparison. One format a file; adding one means a file and a line in
//! [`FORMATS`].

mod csv;
mod json;
mod notes;
mod rows;
mod table;

use std::io::{self, Write};

use crate::compare::Comparison;
use crate::trace::Store;

/// What a report is about.
pub struct Report<'a> {
    /// The trusted run.
    pub reference: &'a Store,
    /// The run under test.
    pub candidate: &'a Store,
    /// Their comparison, concluded.
    pub comparison: &'a Comparison,
}

/// One way to write a report.
pub trait Format: Sync {
    /// As `--format` takes it.
    fn id(&self) -> &'static str;
    /// Writes the report. Colours are written always; `out` strips what its reader cannot show.
    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()>;
}

/// Every format; the first is the default.
pub static FORMATS: &[&dyn Format] = &[&table::Table, &csv::Csv, &json::Json];

/// The format called `id`.
pub fn format(id: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|f| f.id() == id)
}
