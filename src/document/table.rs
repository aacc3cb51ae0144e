//! Tables of a document.

use super::Value;
use crate::text::safe;

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its name in JSON and CSV: letters, digits and `_`, unique in the document.
    pub name: String,
    /// What it shows, above it.
    pub caption: Option<String>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each a value a column; missing ones at the end are [`Value::Missing`].
    pub rows: Vec<Vec<Value>>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its key in JSON and CSV.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// The unit of its figures.
    pub unit: Option<&'static str>,
}

impl Column {
    /// A column without a unit.
    pub fn new(id: &'static str, title: impl Into<String>) -> Self {
        Self { id, title: title.into(), unit: None }
    }

    /// With a unit.
    #[must_use]
    pub fn unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Its heading with its unit.
    pub(super) fn heading(&self) -> String {
        let title = safe(&self.title);
        self.unit.map_or_else(|| title.to_string(), |unit| format!("{title} ({unit})"))
    }
}

impl Table {
    /// A table without rows.
    pub fn new(name: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { name: name.into(), caption: None, columns, rows: Vec::new() }
    }

    /// With a caption.
    #[must_use]
    pub fn caption(self, text: impl Into<String>) -> Self {
        Self { caption: Some(text.into()), ..self }
    }

    /// Adds a row.
    pub fn row(&mut self, values: Vec<Value>) -> &mut Self {
        self.rows.push(values);
        self
    }

    /// The values of a row, one a column.
    pub(super) fn cells<'a>(&'a self, row: &'a [Value]) -> impl Iterator<Item = (&'a Column, &'a Value)> {
        let missing = std::iter::repeat(&Value::Missing);
        self.columns.iter().zip(row.iter().chain(missing))
    }

    /// By column, whether it holds figures, which line up at their right.
    pub(super) fn is_numeric(&self) -> Vec<bool> {
        (0..self.columns.len())
            .map(|i| {
                let mut values = self.rows.iter().filter_map(|r| r.get(i)).peekable();
                values.peek().is_some()
                    && values.all(|v| v.is_number() || v.is_missing())
                    && self.rows.iter().any(|r| r.get(i).is_some_and(Value::is_number))
            })
            .collect()
    }
}
