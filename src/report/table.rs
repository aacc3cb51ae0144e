//! For people: the verdict with its evidence, then the figures behind it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::rows::{self, Row};
use super::{Format, Report, notes};
use crate::compare::{Severity, Verdict};
use crate::wording::{self, Tone, figure, times};

pub(super) struct Table;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => AnsiColor::Green.on_default().bold(),
        Tone::Caution => AnsiColor::Yellow.on_default().bold(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Plain => Style::new(),
    }
}

impl Format for Table {
    fn id(&self) -> &'static str {
        "table"
    }

    fn write(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        let verdict = report.comparison.verdict();
        for (i, sentence) in wording::verdict(&verdict).iter().enumerate() {
            let style = style(sentence.tone);
            let indent = if i == 0 { "" } else { "  " };
            writeln!(out, "{indent}{style}{}{style:#}", sentence.text)?;
        }
        for remark in report.comparison.remarks() {
            writeln!(out, "  note: {remark}")?;
        }
        // Figures of two different computations mean nothing.
        if !matches!(*verdict, Verdict::DifferentComputation { .. }) {
            tables(report, out)?;
        }
        writeln!(out)?;
        for (name, store) in [("reference", report.reference), ("candidate", report.candidate)] {
            writeln!(out, "{DIM}{name}{DIM:#}  {}", notes::title(store))?;
            for sentence in notes::sentences(store) {
                writeln!(out, "           {sentence}")?;
            }
        }
        Ok(())
    }
}

fn tables(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let comparison = report.comparison;
    let sites = rows::by(comparison, crate::model::Checkpoint::site);
    if !sites.is_empty() {
        let body = sites.iter().map(|(site, row)| (site.name().to_owned(), row)).collect();
        table("checkpoint", body, out)?;
        let layers = rows::by(comparison, crate::model::Checkpoint::layer_index);
        if layers.len() > 2 {
            let name = |l: &Option<usize>| l.map_or_else(|| "outside".to_owned(), |l| format!("layer {l}"));
            table("layer", layers.iter().map(|(l, row)| (name(l), row)).collect(), out)?;
        }
    }
    if let Some(l) = rows::logits(comparison) {
        writeln!(out)?;
        let style = style(if l.agree == l.n { Tone::Good } else { Tone::Caution });
        writeln!(
            out,
            "{BOLD}logits{BOLD:#}  {style}same first token at {} of {} positions{style:#}, KL median {}{}, {:.1} of top {} shared",
            l.agree,
            l.n,
            figure(l.kl),
            l.worst.map(|(p, kl)| format!(", worst {} nats at position {p}", figure(kl))).unwrap_or_default(),
            l.overlap * f64::from(l.k),
            l.k
        )?;
    }
    Ok(())
}

fn table(first: &str, rows: Vec<(String, &Row)>, out: &mut dyn Write) -> io::Result<()> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(first.len());
    writeln!(out)?;
    writeln!(
        out,
        "{BOLD}{first:width$}  {:>6}  {:>8} {:>8}  {:>9} {:>9}  {:>9}  worst cell{BOLD:#}",
        "cells", "× noise", "worst", "NMSE", "worst", "cosine"
    )?;
    for (name, row) in rows {
        let Some((position, checkpoint, worst)) = row.worst else { continue };
        let colour = severity_style(worst);
        writeln!(
            out,
            "{name:width$}  {:>6}  {:>8} {colour}{:>8}{colour:#}  {:>9} {:>9}  {:>9}  {DIM}{checkpoint} at position {position}{DIM:#}",
            row.cells(),
            times(row.severity()),
            times(worst),
            figure(row.nmse()),
            figure(row.worst_nmse()),
            wording::cosine(row.cosine),
        )?;
    }
    Ok(())
}

fn severity_style(severity: Severity) -> Style {
    if severity.is_beyond_noise() { style(Tone::Bad) } else { Style::new() }
}
