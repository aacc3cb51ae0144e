//! `paritty audit`: every node of one run against the model's mathematics.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::audit::{Conclusion, Options, audit};
use crate::gguf::Gguf;
use crate::model::arch;
use crate::trace::Store;

/// Recompute every recorded operation of one run from that run's own values and the model file.
///
/// Needs no second run. Each operation is evaluated in each arithmetic that engines use (rounded activations,
/// 16-bit caches, tables …); what none of them explains is faulty.
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
}

impl AuditArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let gguf = Arc::new(Gguf::open(&self.model)?);
        let graph = arch::graph(&gguf)?;
        let store = Store::load(&self.trace)?;
        let positions = self.positions.as_deref().map(positions).transpose()?;
        let options = Options { positions, checkpoints: self.checkpoints };
        let bar = ProgressBar::new(0).with_style(
            ProgressStyle::with_template("auditing  {bar:40} {pos}/{len} cells  {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let found = audit(&gguf, &graph, &store, &options, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        for k in &found.kinds {
            anstream::println!(
                "{:40} {:44} n {:4} c {:6} med {:.1e} worst {:.1e} floor {:.1e} val {:.2} ties {} other {:?} faulty {}",
                k.kind.to_string(),
                k.arithmetic,
                k.nodes,
                k.cells,
                k.median,
                k.worst,
                k.floor,
                k.worst_value,
                k.ties,
                k.otherwise,
                k.faulty
            );
        }
        for f in &found.faulty {
            anstream::println!(
                "FAULTY {} {:?} {} rel {:.2e} floor {:.1e} sev {:.1} worst {:?} beyond {} pos {} of {}",
                f.checkpoint,
                f.reach,
                f.arithmetic,
                f.worst.relative,
                f.worst.floor,
                f.worst.severity,
                f.worst.worst,
                f.worst.beyond,
                f.positions.len(),
                f.judged
            );
        }
        anstream::println!("{:?}", found.coverage);
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
