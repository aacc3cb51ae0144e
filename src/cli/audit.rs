//! `paritty audit`: every node of one run against the model's mathematics.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::audit::document::{Subject, document};
use crate::audit::{Conclusion, Options};
use crate::diagnose::audited;
use crate::document as formats;
use crate::gguf::Gguf;
use crate::trace::Store;

/// Recompute every recorded operation of one run from that run's own values and the model file.
///
/// Needs no second run. Each operation is evaluated in every arithmetic that engines use (rounded
/// activations, 16-bit caches, tables …); what none of them explains is faulty. Operations whose inputs
/// were not recorded are recomputed from further back, with the wider floor that this costs.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 clean, 1 faulty, 2 bad input or usage, 3 not enough recorded to judge."
)]
pub struct AuditArgs {
    /// Model file (GGUF) that the run was made with
    model: PathBuf,
    /// Trace of the run
    trace: PathBuf,
    /// Positions to audit: numbers and ranges, such as `0,4-9` [default: all]
    #[arg(long, value_name = "LIST")]
    positions: Option<String>,
    /// Audit only checkpoints whose name matches this regular expression
    #[arg(long, value_name = "REGEX")]
    checkpoints: Option<regex::Regex>,
    /// How the report is written
    #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(formats::format_names()))]
    format: String,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl AuditArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let id = if self.json { "json" } else { &self.format };
        let Some(format) = formats::format(id) else { bail!("no format is called `{id}`") };
        let gguf = Arc::new(Gguf::open(&self.model)?);
        let store = Store::load(&self.trace)?;
        let positions = self.positions.as_deref().map(positions).transpose()?;
        let options = Options { positions, checkpoints: self.checkpoints, stop: None };
        let style = ProgressStyle::with_template("auditing  {bar:40} {pos}/{len} cells  {eta}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let (found, _) = audited(&gguf, &store, None, &options, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        let subject = Subject {
            model: self.model.display().to_string(),
            trace: self.trace.display().to_string(),
            engine: store.team().unwrap_or("the engine").to_owned(),
        };
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        format.write(&document(&found, &subject), &mut out)?;
        out.flush()?;
        Ok(match found.conclusion() {
            Conclusion::Clean => Outcome::Ok,
            Conclusion::Faulty => Outcome::Diverged,
            Conclusion::NotEnough => Outcome::Inconclusive,
        })
    }
}

/// Reads `0,4-9`.
fn positions(text: &str) -> anyhow::Result<BTreeSet<u32>> {
    let mut out = BTreeSet::new();
    for part in text.split(',') {
        let number = |t: &str| {
            t.trim()
                .parse::<u32>()
                .with_context(|| format!("`{part}`: expected a position or a range such as 4-9"))
        };
        let (first, last) = match part.split_once('-') {
            Some((a, b)) => (number(a)?, number(b)?),
            None => (number(part)?, number(part)?),
        };
        if last < first || last - first > 1 << 24 {
            bail!("`{part}`: the range ends before it begins or is too long");
        }
        out.extend(first..=last);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::positions;

    #[test]
    fn positions_are_numbers_and_ranges() {
        assert_eq!(positions("0,4-6").unwrap().into_iter().collect::<Vec<_>>(), [0, 4, 5, 6]);
        for bad in ["", "x", "3-1", "1-", "0-4294967295"] {
            assert!(positions(bad).is_err(), "{bad}");
        }
    }
}
