//! Reports of a finished comparison: a [`crate::document::Document`], and two formats of
//! their own for programs. Adding one means a file and a line in [`FORMATS`].

mod cells;
mod findings;
mod json;
mod notes;
mod page;
mod pictures;
mod positions;
mod rows;
mod study;
mod tolerances;

use std::io::{self, Write};

pub use notes::sentences as oddities;
pub use page::{document, illustrated};

use crate::compare::Comparison;
use crate::compare::tolerance::Judged;
use crate::document::{self, Document};
use crate::trace::Store;

/// What a report is about.
pub struct Report<'a> {
    /// The trusted run.
    pub reference: &'a Store,
    /// The run under test.
    pub candidate: &'a Store,
    /// Their comparison, concluded.
    pub comparison: &'a Comparison,
    /// Which limits were applied to which checkpoints, where that was asked for.
    pub limits: Option<&'a [Judged]>,
}

impl<'a> Report<'a> {
    /// Without limits.
    pub fn new(reference: &'a Store, candidate: &'a Store, comparison: &'a Comparison) -> Self {
        Self { reference, candidate, comparison, limits: None }
    }
}

/// One way to write a report.
pub trait Format: Sync {
    /// As `--format` takes it.
    fn id(&self) -> &'static str;
    /// Writes the report. Colours are written always; `out` strips what its reader cannot show.
    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()>;
}

/// A format of documents, which knows nothing of comparisons.
struct Page {
    id: &'static str,
    format: &'static str,
    build: fn(&Report<'_>) -> Document,
}

impl Format for Page {
    fn id(&self) -> &'static str {
        self.id
    }

    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        let format = document::format(self.format)
            .ok_or_else(|| io::Error::other(format!("documents have no format `{}`", self.format)))?;
        let mut page = (self.build)(report);
        tolerances::insert(report, &mut page);
        format.write(&page, out)
    }
}

/// Every format; the first is the default.
pub static FORMATS: &[&dyn Format] = &[
    &Page { id: "table", format: "text", build: document },
    &cells::Csv,
    &json::Json,
    &study::StudyCsv,
    &Page { id: "markdown", format: "markdown", build: document },
    &Page { id: "html", format: "html", build: illustrated },
];

/// The format called `id`.
pub fn format(id: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|f| f.id() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_format_of_documents() {
        for id in ["table", "markdown", "html"] {
            assert!(format(id).is_some(), "{id}");
        }
        for page in ["text", "markdown", "html"] {
            assert!(document::format(page).is_some(), "{page}");
        }
    }
}
