//! For spreadsheets: the tables, RFC 4180. Of several tables each line begins with its table's
//! name, and an empty line parts them.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Document, Format, Table, Value};
use crate::text::safe;

pub(super) struct Csv;

impl Format for Csv {
    fn id(&self) -> &'static str {
        "csv"
    }

    fn write(&self, document: &Document, out: &mut dyn Write) -> io::Result<()> {
        let many = document.tables().count() > 1;
        for (i, table) in document.tables().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            write_table(table, many.then(|| field(&table.name)).as_deref(), out)?;
        }
        Ok(())
    }
}

fn write_table(table: &Table, name: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let titles: Vec<&str> =
        name.map(|_| "table").into_iter().chain(table.columns.iter().map(|c| c.id)).collect();
    writeln!(out, "{}", titles.join(","))?;
    for row in &table.rows {
        let mut fields: Vec<Cow<'_, str>> = name.into_iter().map(Cow::Borrowed).collect();
        fields.extend(table.cells(row).map(|(_, value)| match value.plain().1 {
            Value::Text(text) => Cow::Owned(field(text)),
            number => Cow::Owned(number.exact()),
        }));
        writeln!(out, "{}", fields.join(","))?;
    }
    Ok(())
}

/// A text as a field: quoted where it must be, with nothing that controls a terminal, and not a
/// formula when a spreadsheet opens it (an apostrophe before it says so).
fn field(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(|line| safe(line.strip_suffix('\r').unwrap_or(line))).collect();
    let mut out = lines.join("\n");
    let is_formula = out.trim_start().starts_with(['=', '+', '-', '@', '⇥']) && out.parse::<f64>().is_err();
    if is_formula {
        out.insert(0, '\'');
    }
    crate::csv::field(&out).into_owned()
}
