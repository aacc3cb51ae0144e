//! `paritty noise`: measures the table of noise floors from pairs of correct runs. For developers of
//! paritty; not shown in the help.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::Outcome;
use crate::compare::noise::{Class, bucket};
use crate::compare::{Comparison, Verdict};
use crate::model::Checkpoint;
use crate::model::Site;
use crate::trace::Store;

/// Measure the noise floor from pairs of traces of correct engines.
///
/// Prints `src/compare/noise.tsv`. Every pair must be of one model and one token sequence, computed by
/// two engines (or one with two settings) that are both right.
#[derive(Debug, Args)]
pub struct NoiseArgs {
    /// Pairs: REF CAND REF CAND …
    #[arg(required = true, num_args = 2.., value_name = "TRACE")]
    traces: Vec<PathBuf>,
}

/// Errors of one row of the table, over all pairs.
#[derive(Default)]
struct Cells(Vec<f32>);

impl Cells {
    fn quantile(&mut self, q: f64) -> f32 {
        self.0.sort_by(f32::total_cmp);
        let at = ((self.0.len() as f64 - 1.0) * q).round() as usize;
        self.0.get(at).copied().unwrap_or(f32::NAN)
    }
}

/// Less than this is rounding of f32 in another order and differs from machine to machine: five times
/// the largest that was seen at a first norm (1.1e-7), and a bit more than a long sum's.
const LEAST: f32 = 1e-6;

impl NoiseArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        if self.traces.len() % 2 == 1 {
            bail!("an odd number of traces: pairs are expected, reference and candidate in turn");
        }
        let mut table: BTreeMap<(Class, Site, u8), Cells> = BTreeMap::new();
        let mut models: BTreeMap<Class, usize> = BTreeMap::new();
        for pair in self.traces.chunks(2) {
            let (a, b) = (Store::load(&pair[0])?, Store::load(&pair[1])?);
            let positions: Vec<u32> = a.positions().collect();
            let mut comparison = Comparison::new();
            comparison.update(&a, &b, &positions);
            comparison.conclude(&a, &b);
            let verdict = comparison.verdict();
            if matches!(
                *verdict,
                Verdict::DifferentComputation { .. } | Verdict::Instrument { .. } | Verdict::Pending
            ) {
                bail!("{} and {} cannot be compared: {verdict:?}", pair[0].display(), pair[1].display());
            }
            let rules = comparison.rules().context("a comparison without rules")?;
            *models.entry(rules.noise.class()).or_default() += 1;
            let layers = rules.lineage.layers();
            for (_, figures) in comparison.figures() {
                for (checkpoint, measured) in &figures.measured {
                    let key = (rules.noise.class(), checkpoint.site(), bucket(*checkpoint, layers));
                    table.entry(key).or_default().0.push(measured.error);
                }
            }
        }
        let mut out = io::stdout().lock();
        writeln!(out, "# class\tsite\tdepth\tfloor\tmedian\tp99\tworst\tcells")?;
        for ((class, site, depth), mut cells) in table {
            let (median, p99, worst) = (cells.quantile(0.5), cells.quantile(0.99), cells.quantile(1.0));
            let name = Checkpoint::global(site).site().name();
            let floor = p99.max(LEAST);
            writeln!(
                out,
                "{}\t{name}\t{depth}\t{floor:.2e}\t{median:.2e}\t{p99:.2e}\t{worst:.2e}\t{}",
                class.name(),
                cells.0.len()
            )?;
        }
        for (class, pairs) in models {
            writeln!(out, "# {}: {pairs} pairs", class.name())?;
        }
        Ok(Outcome::Ok)
    }
}
