//! `paritty diagnose`: which operation, what kind of mistake, and whose.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::Outcome;
use super::audit::Auditing;
use crate::audit::Options;
use crate::compare::{Comparison, Verdict};
use crate::diagnose::{Diagnosed, Side, Whose, document};
use crate::report::document as formats;
use crate::trace::Store;

/// Say which operation is faulty, what kind of mistake it is, and whose.
///
/// Each run is audited by itself (see `paritty audit`), so that the one at fault is known and not only
/// that two runs differ. Two runs are also compared with each other.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no fault, 1 fault or garbage, 2 bad input or usage, 3 inconclusive.")]
pub struct DiagnoseArgs {
    /// Model file (GGUF) that the runs were made with
    model: PathBuf,
    /// Trace of the engine that is trusted
    #[arg(long, value_name = "TRACE")]
    reference: PathBuf,
    /// Trace of the engine under test
    #[arg(long, value_name = "TRACE")]
    candidate: Option<PathBuf>,
    /// How the report is written
    #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(formats::format_names()))]
    format: String,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl DiagnoseArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let id = if self.json { "json" } else { &self.format };
        let Some(format) = formats::format(id) else { bail!("no format is called `{id}`") };
        let auditing = Auditing::open(&self.model)?;
        let mut stores = vec![("reference", load(&self.reference)?)];
        if let Some(candidate) = &self.candidate {
            stores.push(("candidate", load(candidate)?));
        }
        let comparison = match &stores[..] {
            [(_, a), (_, b)] => Some(compare(a, b)),
            _ => None,
        };
        let mut sides = Vec::new();
        for (role, store) in &stores {
            sides.push(Side {
                role,
                trace: store.path().display().to_string(),
                engine: store.team().unwrap_or("the engine").to_owned(),
                audit: auditing.run(store, &Options::default())?,
            });
        }
        let found = Diagnosed { sides, comparison };
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        format.write(&document(&found), &mut out)?;
        out.flush()?;
        let garbage = matches!(found.verdict().as_deref(), Some(Verdict::Instrument { .. }));
        Ok(match found.whose() {
            Whose::One(_) | Whose::Both => Outcome::Diverged,
            _ if garbage => Outcome::Diverged,
            Whose::Nobodys => Outcome::Ok,
            Whose::Unknown => Outcome::Inconclusive,
        })
    }
}

fn load(path: &Path) -> anyhow::Result<Store> {
    if ["cpu", "oracle", "cuda", "llama.cpp"].iter().any(|name| path == Path::new(name)) && !path.exists() {
        bail!(
            "`{}` is an engine; record its run first: `paritty trace MODEL --engine {} … -o run.jsonl`",
            path.display(),
            path.display()
        );
    }
    Ok(Store::load(path)?)
}

fn compare(reference: &Store, candidate: &Store) -> Comparison {
    let mut positions: Vec<u32> = reference.positions().chain(candidate.positions()).collect();
    positions.sort_unstable();
    positions.dedup();
    let mut comparison = Comparison::new();
    comparison.update(reference, candidate, &positions);
    comparison.conclude(reference, candidate);
    comparison
}
