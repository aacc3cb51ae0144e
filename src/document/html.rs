//! For a browser: one file that needs nothing else, in light and dark, with pictures inline.

use std::io::{self, Write};

use super::{Block, Document, Format, Table, Value};
use crate::text::safe;
use crate::wording::Tone;

pub(super) struct Html;

/// The page's looks.
const STYLE: &str = include_str!("page.css");
/// The page may load nothing and run nothing, whatever text found its way into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// Sections from which on a table of contents helps.
const SECTIONS: usize = 3;
/// Characters from which on a cell's text may wrap.
const LONG: usize = 60;

impl Format for Html {
    fn id(&self) -> &'static str {
        "html"
    }

    fn write(&self, document: &Document, out: &mut dyn Write) -> io::Result<()> {
        let title = escaped(&document.title);
        writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">")?;
        writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">")?;
        writeln!(out, "<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>")?;
        writeln!(out, "<h1>{title}</h1>")?;
        let first = document.blocks.iter().position(|b| matches!(b, Block::Heading(_)));
        let (head, sections) = document.blocks.split_at(first.unwrap_or(document.blocks.len()));
        head.iter().try_for_each(|block| write_block(block, 0, out))?;
        write_contents(document, out)?;
        let mut section = 0;
        for block in sections {
            section += usize::from(matches!(block, Block::Heading(_)));
            write_block(block, section, out)?;
        }
        writeln!(out, "<footer>paritty {}</footer>", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "</main>\n</body>\n</html>")
    }
}

fn write_contents(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let headings: Vec<&String> = document
        .blocks
        .iter()
        .filter_map(|b| match b {
            Block::Heading(text) => Some(text),
            _ => None,
        })
        .collect();
    if headings.len() < SECTIONS {
        return Ok(());
    }
    writeln!(out, "<nav aria-label=\"Contents\">\n<ol>")?;
    for (i, heading) in headings.into_iter().enumerate() {
        writeln!(out, "<li><a href=\"#s{}\">{}</a></li>", i + 1, escaped(heading))?;
    }
    writeln!(out, "</ol>\n</nav>")
}

fn write_block(block: &Block, section: usize, out: &mut dyn Write) -> io::Result<()> {
    match block {
        Block::Heading(text) => writeln!(out, "<h2 id=\"s{section}\">{}</h2>", escaped(text)),
        Block::Paragraph { tone, text } => {
            writeln!(out, "<p{}>{}</p>", class(&[tone_class(*tone)]), escaped(text))
        }
        Block::List(items) => {
            writeln!(out, "<ul>")?;
            for (tone, text) in items {
                writeln!(out, "<li{}>{}</li>", class(&[tone_class(*tone)]), escaped(text))?;
            }
            writeln!(out, "</ul>")
        }
        Block::Table(table) => write_table(table, out),
        Block::Code(text) => {
            let lines: Vec<String> = text.lines().map(escaped).collect();
            writeln!(out, "<div class=\"scroll\"><pre>{}</pre></div>", lines.join("\n"))
        }
        Block::Picture { caption, svg, .. } => {
            writeln!(out, "<figure>\n<div class=\"picture\" tabindex=\"0\">")?;
            // Anything else than a drawing has no place here.
            if let Some(start) = svg.find("<svg") {
                writeln!(out, "{}", svg[start..].trim_end())?;
            }
            writeln!(out, "</div>\n<figcaption>{}</figcaption>\n</figure>", escaped(caption))
        }
    }
}

fn write_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let numeric = table.is_numeric();
    let side = |i: usize| if numeric[i] { "n" } else { "" };
    writeln!(out, "<div class=\"scroll\" tabindex=\"0\">\n<table>")?;
    if let Some(caption) = &table.caption {
        writeln!(out, "<caption>{}</caption>", escaped(caption))?;
    }
    write!(out, "<thead><tr>")?;
    for (i, column) in table.columns.iter().enumerate() {
        write!(out, "<th scope=\"col\"{}>{}</th>", class(&[side(i)]), escaped(&column.heading()))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for row in &table.rows {
        write!(out, "<tr>")?;
        for (i, (_, value)) in table.cells(row).enumerate() {
            let (tone, plain) = value.plain();
            let shown = value.shown();
            let long = if shown.chars().count() >= LONG { "long" } else { "" };
            let full = match plain {
                // What was shortened can be read in full.
                Value::Figure(_) | Value::Times(_) | Value::Cosine(_) | Value::Percent(_) => {
                    format!(" title=\"{}\"", value.exact())
                }
                _ => String::new(),
            };
            let class = class(&[side(i), tone_class(tone), long]);
            write!(out, "<td{class}{full}><span>{}</span></td>", escaped(&shown))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</div>")
}

fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Caution => "caution",
        Tone::Bad => "bad",
        Tone::Plain => "",
    }
}

fn class(names: &[&str]) -> String {
    let names: Vec<&str> = names.iter().copied().filter(|n| !n.is_empty()).collect();
    if names.is_empty() { String::new() } else { format!(" class=\"{}\"", names.join(" ")) }
}

/// A text as it stands, for elements and for attributes in quotes.
fn escaped(text: &str) -> String {
    let text = safe(text);
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
