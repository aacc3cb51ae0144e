//! For pages and comments: GitHub's Markdown. Tones become signs, because it has no colours.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{Block, Document, Format, Table};
use crate::text::safe;
use crate::wording::Tone;

pub(super) struct Markdown;

impl Format for Markdown {
    fn id(&self) -> &'static str {
        "markdown"
    }

    fn write(&self, document: &Document, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(markdown(document, None).as_bytes())
    }
}

/// Writes Markdown, and its pictures as SVG into `folder`, which is made if need be. Links are to
/// the folder as it was given, so the page belongs where a path like it leads there.
pub fn with_pictures(document: &Document, folder: &Path, out: &mut dyn Write) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for block in &document.blocks {
        if let Block::Picture { name, svg, .. } = block {
            fs::write(folder.join(file_name(name)), svg)?;
        }
    }
    with_links(document, folder, out)
}

/// Writes Markdown that links to pictures in `folder`, which somebody else writes.
pub fn with_links(document: &Document, folder: &Path, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(markdown(document, Some(folder)).as_bytes())
}

/// A picture's file: its name made of letters, digits, `_` and `-` only.
fn file_name(name: &str) -> String {
    let clean: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(80).collect();
    format!("{clean}.svg")
}

fn markdown(document: &Document, pictures: Option<&Path>) -> String {
    let mut out = String::new();
    // Writing into a String never fails.
    let _ = writeln!(out, "# {}", escaped(&document.title));
    for block in &document.blocks {
        out.push('\n');
        match block {
            Block::Heading(text) => {
                let _ = writeln!(out, "## {}", escaped(text));
            }
            Block::Paragraph { tone, text } => {
                let _ = writeln!(out, "{}", toned(*tone, text));
            }
            Block::List(items) => {
                for (tone, text) in items {
                    let _ = writeln!(out, "- {}", toned(*tone, text));
                }
            }
            Block::Table(table) => write_table(table, &mut out),
            Block::Code(text) => write_code(text, &mut out),
            Block::Picture { name, caption, .. } => {
                if let Some(folder) = pictures {
                    let path = folder.join(file_name(name));
                    // Angle brackets, so that a folder's name may hold spaces.
                    let path = path.display().to_string().replace(['<', '>', '\n', '\r'], "-");
                    let _ = writeln!(out, "![{}](<{}>)", escaped(caption), safe(&path));
                } else {
                    let _ = writeln!(out, "*Picture, not written: {}*", escaped(caption));
                }
            }
        }
    }
    out
}

fn write_table(table: &Table, out: &mut String) {
    if let Some(caption) = &table.caption {
        let _ = writeln!(out, "{}\n", escaped(caption));
    }
    let mut line = |cells: Vec<String>| {
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(table.columns.iter().map(|c| escaped(&c.heading())).collect());
    let rule = |numeric: bool| (if numeric { "--:" } else { ":--" }).to_owned();
    line(table.is_numeric().into_iter().map(rule).collect());
    for row in &table.rows {
        line(
            table
                .cells(row)
                .map(|(_, value)| match value.plain().0 {
                    // Most cells in a tone are merely coloured; what is bad must show.
                    Tone::Bad if !value.is_missing() => format!("**{}**", escaped(&value.shown())),
                    _ => escaped(&value.shown()),
                })
                .collect(),
        );
    }
}

fn write_code(text: &str, out: &mut String) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(out, "{fence}");
    for line in text.lines() {
        let _ = writeln!(out, "{}", safe(line));
    }
    let _ = writeln!(out, "{fence}");
}

fn toned(tone: Tone, text: &str) -> String {
    let text = escaped(text);
    match tone {
        Tone::Good => format!("✅ {text}"),
        Tone::Caution => format!("⚠️ {text}"),
        Tone::Bad => format!("❌ {text}"),
        Tone::Plain => text,
    }
}

/// A text that Markdown shows as it stands, on one line.
fn escaped(text: &str) -> String {
    let text = safe(text);
    let mut out = String::with_capacity(text.len() + 8);
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut before = None;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let escape = match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => true,
            // Within a word it means nothing, and names of checkpoints are full of them.
            '_' => !(is_word(before) && is_word(chars.peek().copied())),
            // What begins a heading, a quote, a list or a rule.
            '#' | '+' | '-' | '=' | ':' => before.is_none(),
            // `1.` begins a list as well.
            '.' | ')' => {
                before.is_some()
                    && out.chars().all(|d| d.is_ascii_digit())
                    && chars.peek().is_none_or(|next| next.is_whitespace())
            }
            _ => false,
        };
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => {
                if escape {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        before = Some(c);
    }
    out
}
