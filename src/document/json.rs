//! For programs: one object; tables by their name, each row an object by its columns' keys.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::{Block, Document, Format, Table};
use crate::text::safe_json;
use crate::wording::Tone;

pub(super) struct Json;

impl Format for Json {
    fn id(&self) -> &'static str {
        "json"
    }

    fn write(&self, document: &Document, out: &mut dyn Write) -> io::Result<()> {
        let sentence = |tone: Tone, text: &str| json!({ "tone": name(tone), "text": text });
        let mut text = Vec::new();
        let mut tables = Map::new();
        for block in &document.blocks {
            match block {
                Block::Heading(heading) => text.push(json!({ "heading": heading })),
                Block::Paragraph { tone, text: paragraph } => text.push(sentence(*tone, paragraph)),
                Block::List(items) => text.extend(items.iter().map(|(tone, item)| sentence(*tone, item))),
                Block::Table(table) => {
                    tables.insert(table.name.clone(), rows(table));
                }
                Block::Code(code) => text.push(json!({ "code": code })),
                Block::Picture { .. } => {}
            }
        }
        let object = json!({ "title": document.title, "text": text, "tables": tables });
        // Line breaks lie between values only: within strings they are escaped.
        for line in serde_json::to_string_pretty(&object)?.split('\n') {
            writeln!(out, "{}", safe_json(line))?;
        }
        Ok(())
    }
}

fn name(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Caution => "caution",
        Tone::Bad => "bad",
        Tone::Plain => "plain",
    }
}

fn rows(table: &Table) -> Value {
    let row = |values: &Vec<super::Value>| -> Map<String, Value> {
        table.cells(values).map(|(column, value)| (column.id.to_owned(), value.json())).collect()
    };
    table.rows.iter().map(|values| Value::Object(row(values))).collect()
}
