//! For the terminal: sentences first, tables lined up, colours where they mean something.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::{Block, Document, Format, Table};
use crate::text::safe;
use crate::wording::Tone;

pub(super) struct Text;

const BOLD: Style = Style::new().bold();

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => AnsiColor::Green.on_default().bold(),
        Tone::Caution => AnsiColor::Yellow.on_default().bold(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Plain => Style::new(),
    }
}

impl Format for Text {
    fn id(&self) -> &'static str {
        "text"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["table"]
    }

    fn write(&self, document: &Document, out: &mut dyn Write) -> io::Result<()> {
        let mut before: Option<&Block> = None;
        for block in document.blocks.iter().filter(|b| !matches!(b, Block::Picture { .. })) {
            if before.is_some_and(|b| is_apart(b, block)) {
                writeln!(out)?;
            }
            write_block(block, out)?;
            before = Some(block);
        }
        Ok(())
    }
}

/// Whether an empty line lies between two blocks.
fn is_apart(before: &Block, block: &Block) -> bool {
    match block {
        Block::Heading(_) | Block::Table(_) => !matches!(before, Block::Heading(_)),
        Block::Code(_) => true,
        Block::Paragraph { .. } | Block::List(_) | Block::Picture { .. } => {
            matches!(before, Block::Table(_) | Block::Code(_))
        }
    }
}

fn write_block(block: &Block, out: &mut dyn Write) -> io::Result<()> {
    match block {
        Block::Heading(text) => writeln!(out, "{BOLD}{}{BOLD:#}", safe(text)),
        Block::Paragraph { tone, text } => sentence(out, "", *tone, text),
        Block::List(items) => items.iter().try_for_each(|(tone, text)| sentence(out, "  ", *tone, text)),
        Block::Table(table) => write_table(table, out),
        Block::Code(text) => text.lines().try_for_each(|line| writeln!(out, "  {}", safe(line))),
        Block::Picture { .. } => Ok(()),
    }
}

fn sentence(out: &mut dyn Write, indent: &str, tone: Tone, text: &str) -> io::Result<()> {
    let style = style(tone);
    writeln!(out, "{indent}{style}{}{style:#}", safe(text))
}

fn write_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let titles: Vec<String> = table.columns.iter().map(super::Column::heading).collect();
    let numeric = table.is_numeric();
    let mut widths: Vec<usize> = titles.iter().map(|t| t.width()).collect();
    let body: Vec<Vec<(Tone, String)>> = table
        .rows
        .iter()
        .map(|row| table.cells(row).map(|(_, v)| (v.plain().0, v.shown())).collect())
        .collect();
    for row in &body {
        for (width, (_, text)) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.width());
        }
    }
    if let Some(caption) = &table.caption {
        writeln!(out, "{}", safe(caption))?;
    }
    let mut line = |cells: &mut dyn Iterator<Item = (Style, &str)>| -> io::Result<()> {
        // Spaces are written only before what follows them, so that no line ends in one.
        let mut owed = 0;
        for (i, (style, text)) in cells.enumerate() {
            let room = widths[i].saturating_sub(text.width());
            let (left, right) = if numeric[i] { (room, 0) } else { (0, room) };
            if text.is_empty() {
                owed += widths[i] + 2;
            } else {
                write!(out, "{:1$}{style}{text}{style:#}", "", owed + left)?;
                owed = right + 2;
            }
        }
        writeln!(out)
    };
    line(&mut titles.iter().map(|t| (BOLD, t.as_str())))?;
    for row in &body {
        line(&mut row.iter().map(|(tone, text)| (style(*tone), text.as_str())))?;
    }
    Ok(())
}
