//! A report as a document: built once by whoever has something to say, written by any format.
//!
//! Texts may come from files: every format makes them harmless for whoever shows it (escape
//! sequences, markup, formulas). One format a file; adding one means a file and a line in
//! [`FORMATS`].

mod csv;
mod html;
mod json;
mod markdown;
mod table;
mod text;
mod value;

use std::io::{self, Write};

pub use markdown::{with_links, with_pictures};
pub use table::{Column, Table};
pub use value::Value;

use crate::wording::{Sentence, Tone};

/// A report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// What it is about: a page's title. The terminal's text, which comes right after the command,
    /// leaves it out.
    pub title: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A section begins.
    Heading(String),
    /// A sentence or several.
    Paragraph {
        /// How it looks.
        tone: Tone,
        /// Plain text.
        text: String,
    },
    /// One sentence an item.
    List(Vec<(Tone, String)>),
    /// Figures.
    Table(Table),
    /// Shown as it stands, line by line.
    Code(String),
    /// A drawing. HTML shows it inline, Markdown links to a file beside it, others leave it out.
    Picture {
        /// A short name, unique in the document: the file's, without extension.
        name: String,
        /// What is to be seen.
        caption: String,
        /// SVG, as [`crate::plot`] draws it.
        svg: String,
    },
}

impl Document {
    /// Nothing said yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new() }
    }

    /// Begins a section.
    pub fn heading(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::Heading(text.into()))
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, tone: Tone, text: impl Into<String>) -> &mut Self {
        self.push(Block::Paragraph { tone, text: text.into() })
    }

    /// Adds a list, or goes on with the one just before; an empty one is left out.
    pub fn list(&mut self, mut items: Vec<(Tone, String)>) -> &mut Self {
        match self.blocks.last_mut() {
            Some(Block::List(before)) => before.append(&mut items),
            _ if items.is_empty() => {}
            _ => self.blocks.push(Block::List(items)),
        }
        self
    }

    /// Adds a headline and what supports it: the first sentence and the others.
    pub fn sentences(&mut self, sentences: Vec<Sentence>) -> &mut Self {
        let mut sentences = sentences.into_iter();
        if let Some(first) = sentences.next() {
            self.paragraph(first.tone, first.text);
        }
        self.list(sentences.map(|s| (s.tone, s.text)).collect())
    }

    /// Adds a table; one without rows is left out.
    pub fn table(&mut self, table: Table) -> &mut Self {
        if table.rows.is_empty() { self } else { self.push(Block::Table(table)) }
    }

    /// Adds text that is shown as it stands.
    pub fn code(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::Code(text.into()))
    }

    /// Adds a drawing.
    pub fn picture(&mut self, name: impl Into<String>, caption: impl Into<String>, svg: String) -> &mut Self {
        self.push(Block::Picture { name: name.into(), caption: caption.into(), svg })
    }

    /// Adds a block.
    pub fn push(&mut self, block: Block) -> &mut Self {
        self.blocks.push(block);
        self
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Table(table) => Some(table),
            _ => None,
        })
    }
}

/// One way to write a document.
pub trait Format: Sync {
    /// As `--format` takes it.
    fn id(&self) -> &'static str;
    /// Other words that `--format` takes for it.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    /// Writes the document. Colours are written always; `out` strips what its reader cannot show
    /// (see the crate `anstream`).
    fn write(&self, document: &Document, out: &mut dyn Write) -> io::Result<()>;
}

/// Every format; the first is the default.
pub static FORMATS: &[&dyn Format] = &[&text::Text, &csv::Csv, &json::Json, &markdown::Markdown, &html::Html];

/// The format called `id`.
pub fn format(id: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|f| f.id() == id || f.aliases().contains(&id))
}

/// The words that `--format` takes, for the command line of a report that every format can write.
pub fn format_names() -> impl Iterator<Item = clap::builder::PossibleValue> {
    FORMATS.iter().map(|f| clap::builder::PossibleValue::new(f.id()).aliases(f.aliases()))
}

#[cfg(test)]
mod tests;
