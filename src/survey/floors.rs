//! The table of noise floors, measured from pairs of runs that are both right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::result::Measured;
use super::spread::{self, CHANGES};
use super::{Progress, SurveyError, pair};
use crate::compare::Verdict;
use crate::compare::noise::{Class, bucket};
use crate::model::{Checkpoint, Site};
use crate::trace::Store;

/// Less than this is rounding of f32 in another order and differs from machine to machine: five times
/// the largest that was seen at a first norm (1.1e-7), and a bit more than a long sum's.
const LEAST: f32 = 1e-6;

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

/// Pairs of runs in a model's folder that differ by noise alone: llama.cpp and our engine, our engine
/// and the oracle, llama.cpp and itself under other settings, our engine and llama.cpp with keys and
/// values in f32.
pub fn pairs(measured: &Measured, folder: &Path) -> Vec<[PathBuf; 2]> {
    let ours = folder.join("candidate.jsonl");
    let reference = &measured.reference.trace;
    let mut pairs = vec![[reference.clone(), ours.clone()], [folder.join("oracle.jsonl"), ours.clone()]];
    let own = spread::default_trace(folder);
    let default = if own.is_file() { own } else { reference.clone() };
    for change in CHANGES.iter().filter(|c| c.is_noise) {
        let trace = change.trace(folder);
        if trace.is_file() {
            pairs.push([default.clone(), trace.clone()]);
            if change.id == "kv-f32" {
                pairs.push([trace, ours.clone()]);
            }
        }
    }
    pairs
}

/// The table under construction.
#[derive(Default)]
pub struct Floors {
    cells: BTreeMap<(Class, Site, u8), Cells>,
    pairs: BTreeMap<Class, usize>,
}

impl Floors {
    /// Takes in what two runs differ in. They must be runs of one model over the same tokens, and right.
    pub fn add(&mut self, pair: &[PathBuf; 2], progress: &dyn Progress) -> Result<(), SurveyError> {
        let (a, b) = (Store::load(&pair[0])?, Store::load(&pair[1])?);
        let comparison = pair::compare(&a, &b, progress)?;
        let verdict = comparison.verdict();
        let unfit = matches!(
            *verdict,
            Verdict::DifferentComputation { .. } | Verdict::Instrument { .. } | Verdict::Pending
        );
        let Some(rules) = comparison.rules().filter(|_| !unfit) else {
            let said: Vec<String> = crate::wording::verdict(&verdict).into_iter().map(|s| s.text).collect();
            return Err(SurveyError::Unfit(format!(
                "{} and {} are no measure of noise: {}",
                pair[0].display(),
                pair[1].display(),
                said.join("; ")
            )));
        };
        let (class, layers) = (rules.noise.class(), rules.lineage.layers());
        *self.pairs.entry(class).or_default() += 1;
        for (_, figures) in comparison.figures() {
            for (checkpoint, measured) in figures.iter() {
                let key = (class, checkpoint.site(), bucket(checkpoint, layers));
                self.cells.entry(key).or_default().0.push(measured.error);
            }
        }
        Ok(())
    }

    /// The table as `src/compare/noise.tsv` holds it, `head` (lines of text) before it.
    pub fn table(mut self, head: &str) -> String {
        let mut out = String::new();
        for line in head.lines() {
            let _ = writeln!(out, "{}", format!("# {line}").trim_end());
        }
        let pairs: Vec<String> = self.pairs.iter().map(|(c, n)| format!("{} {n}", c.name())).collect();
        let _ = writeln!(out, "# pairs of runs: {}", pairs.join(", "));
        out.push_str("# class\tsite\tdepth\tfloor\tmedian\tp99\tworst\tcells\n");
        for ((class, site, depth), cells) in &mut self.cells {
            let (median, p99, worst) = (cells.quantile(0.5), cells.quantile(0.99), cells.quantile(1.0));
            let (name, floor) = (Checkpoint::global(*site).site().name(), p99.max(LEAST));
            let _ = writeln!(
                out,
                "{}\t{name}\t{depth}\t{floor:.2e}\t{median:.2e}\t{p99:.2e}\t{worst:.2e}\t{}",
                class.name(),
                cells.0.len()
            );
        }
        out
    }
}

/// What a table says of how it was made: from which models, by which programs, and how to make it again.
pub fn head(models: &[(&str, &Measured)]) -> String {
    let mut out = String::from(
        "Noise floors: how far two correct runs differ, as sqrt(sum (a-b)^2 / sum a^2) of a row.\n\n\
         Made by `src/compare/noise.sh`, which makes models of random weights and runs `paritty survey\n\
         --spread --noise-table`, which writes this file. Pairs of runs, each of the same tokens: llama.cpp\n\
         and paritty's f32 engine; that engine and the f64 oracle; llama.cpp with keys and values in f32\n\
         and paritty's engine; and llama.cpp (token by token, keys and values in f16, no flash attention)\n\
         and itself with one setting changed:\n",
    );
    let is_done = |id: &str| models.iter().any(|(_, m)| m.spread.iter().any(|v| v.id == id));
    for change in CHANGES.iter().filter(|c| c.is_noise && is_done(c.id)) {
        let _ = writeln!(out, "  {}: {}", change.id, change.what);
    }
    let _ = writeln!(
        out,
        "\nBy {}, on a {} with these models:",
        super::runs::llama_cpp_build(),
        std::env::consts::ARCH
    );
    for (name, m) in models {
        let _ = writeln!(
            out,
            "  {name}: {}, {}, {} layers of {}, {} positions",
            m.kind.arch, m.kind.weights, m.layers, m.width, m.positions
        );
    }
    out.push_str(
        "\nclass: exact (f32 or better throughout), kv-f16 (keys and values in f16), half (activations in f16),\n\
         q8, q4 (activations in blocks of 8 bits). depth: 0 outside layers and in layer 0, then thirds.\n\
         floor: the 99th percentile, at least 1e-6. The other columns are for readers.",
    );
    out
}
