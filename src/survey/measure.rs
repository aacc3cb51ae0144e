//! One model: three runs over the same tokens, compared with each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::figure::Range;
use super::pair::{Errors, compare, errors, logits};
use super::plan::{Entry, POSITIONS, Reference, Settings, recorded};
use super::result::{self, Fingerprint, Garbage, Measured, Side, SiteFigures};
use super::runs::{self, Feed};
use super::study::Kind;
use super::{Progress, SurveyError, clip, spread};
use crate::compare::{Column, Comparison};
use crate::engine::describe::main_weight_type;
use crate::engine::open;
use crate::garbage::{Blame, Finding};
use crate::gguf::Gguf;
use crate::model::Checkpoint;
use crate::trace::Store;

/// What is known of a model, and whether it had to be measured now.
#[derive(Debug)]
pub struct Done {
    /// The figures.
    pub measured: Measured,
    /// Whether they are those of an earlier survey.
    pub kept: bool,
}

/// The result of one model: the kept one of `out` if it still holds, else measured anew.
pub fn model(
    entry: &Entry,
    reference: &Reference,
    settings: &Settings,
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<Done, SurveyError> {
    let trace = match reference {
        Reference::LlamaCpp => None,
        Reference::Recorded(folder) => Some(recorded(&entry.model, folder.as_deref())?),
    };
    let fingerprint = Fingerprint::of(settings, &entry.model, trace.as_deref())?;
    let folder = out.join(&entry.name);
    if let Some(measured) = result::load(&folder, &fingerprint) {
        return Ok(Done { measured, kept: true });
    }
    fs::create_dir_all(&folder).map_err(SurveyError::io(&folder))?;
    clear(&folder)?;
    let measured = Work { model: &entry.model, settings, folder: &folder, progress }.measure(trace)?;
    result::save(&folder, &fingerprint, &measured)?;
    Ok(Done { measured, kept: false })
}

/// Removes what an earlier survey left in a model's folder, the result first: it must not outlive its
/// traces.
fn clear(folder: &Path) -> Result<(), SurveyError> {
    let own =
        ["reference", "candidate", "oracle"].map(|name| folder.join(name).with_added_extension("jsonl"));
    let traces: Vec<PathBuf> = own.into_iter().chain(spread::traces(folder)).collect();
    let sidecars = traces.iter().map(|trace| trace.with_extension("bin"));
    for file in std::iter::once(folder.join(result::FILE)).chain(sidecars).chain(traces.iter().cloned()) {
        if let Err(error) = fs::remove_file(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(SurveyError::io(&file)(error));
        }
    }
    Ok(())
}

/// One model at work.
struct Work<'a> {
    model: &'a Path,
    settings: &'a Settings,
    folder: &'a Path,
    progress: &'a mut dyn Progress,
}

impl Work<'_> {
    fn measure(&mut self, trace: Option<PathBuf>) -> Result<Measured, SurveyError> {
        let gguf = Arc::new(Gguf::open(self.model)?);
        let recorded = trace.is_some();
        let reference = match trace {
            Some(trace) => self.recorded(&trace)?,
            None => self.llama_cpp(&gguf)?,
        };
        let (tokens, context) = (runs::tokens(&reference)?, runs::context(&reference));
        let mut own = |name: &str, file: &str| {
            let kind = open::Kind::named(name)
                .ok_or_else(|| SurveyError::Unfit(format!("no engine of ours is called `{name}`")))?;
            let out = self.folder.join(file).with_added_extension("jsonl");
            runs::own(kind, &gguf, (&tokens, context), self.settings.threads, &out, self.progress)?;
            Ok::<_, SurveyError>(Store::load(&out)?)
        };
        let candidate = own(&self.settings.candidate, "candidate")?;
        let oracle = own(&open::Kind::Oracle.to_string(), "oracle")?;
        let pair = compare(&reference, &candidate, self.progress)?;
        let reference_off = errors(&compare(&oracle, &reference, self.progress)?);
        let candidate_off = errors(&compare(&oracle, &candidate, self.progress)?);
        let mut measured = Measured {
            positions: tokens.len() as u32,
            reference: side(&reference, &pair, |c| &c.garbage_reference),
            candidate: side(&candidate, &pair, |c| &c.garbage_candidate),
            verdict: (&*pair.verdict()).into(),
            logits: logits(&pair),
            ..facts(&gguf, &candidate)
        };
        (measured.sites, measured.all) = sites(&pair, &reference_off, &candidate_off);
        if !self.settings.spread.is_empty() {
            let default = if recorded { None } else { Some(reference) };
            let feed = Feed::same(&tokens, context);
            measured.spread =
                spread::measure(self.model, &feed, default, self.settings, self.folder, self.progress)?;
        }
        Ok(measured)
    }

    /// A recorded trace, or the part of it that is asked for.
    fn recorded(&self, trace: &Path) -> Result<Store, SurveyError> {
        let store = Store::load(trace)?;
        match self.settings.positions {
            Some(most) if store.positions().any(|position| position >= most) => {
                let out = self.folder.join("reference.jsonl");
                clip::clip(trace, most, &out)?;
                Ok(Store::load(&out)?)
            }
            _ => Ok(store),
        }
    }

    fn llama_cpp(&mut self, gguf: &Gguf) -> Result<Store, SurveyError> {
        let positions = self.settings.positions.unwrap_or(POSITIONS);
        let feed = Feed::prompt(gguf, &self.settings.prompt, positions)?;
        let out = self.folder.join("reference.jsonl");
        let settings = spread::default_settings(self.settings.threads);
        runs::llama_cpp("llama.cpp", self.model, &feed, &settings, &out, self.progress)
    }
}

fn facts(gguf: &Gguf, candidate: &Store) -> Measured {
    let info = candidate.header().map(|h| h.model.clone()).unwrap_or_default();
    let vocabulary = gguf.opt_str("tokenizer.ggml.model").ok().flatten().unwrap_or_default();
    Measured {
        model: info.name,
        kind: Kind {
            arch: info.arch,
            vocabulary: vocabulary.to_owned(),
            weights: main_weight_type(gguf).unwrap_or_default(),
        },
        layers: info.n_layer,
        width: info.n_embd,
        vocabulary_size: info.n_vocab,
        bytes: gguf.file_size(),
        ..Measured::default()
    }
}

fn side(store: &Store, pair: &Comparison, findings: impl Fn(&Column) -> &[Finding]) -> Side {
    let engine = match store.header() {
        Some(header) if header.backend.is_empty() => header.team.clone(),
        Some(header) => format!("{} ({})", header.team, header.backend),
        None => store.team().unwrap_or_default().to_owned(),
    };
    let mut garbage = Garbage::default();
    for position in store.positions() {
        garbage.positions += u64::from(store.cell(position, Checkpoint::LOGITS).is_some());
        garbage.records += store.checkpoints(position).count() as u64;
    }
    for column in pair.columns() {
        let mut bad: Vec<Checkpoint> = Vec::new();
        for finding in findings(column) {
            *garbage.classes.entry(finding.class.to_owned()).or_default() += 1;
            if finding.blame != Blame::Nobody && !bad.contains(&finding.checkpoint) {
                bad.push(finding.checkpoint);
            }
        }
        garbage.bad_records += bad.len() as u64;
        garbage.bad_positions += u64::from(bad.contains(&Checkpoint::LOGITS));
    }
    Side { engine, trace: store.path().to_owned(), garbage }
}

/// Figures of several cells while they are collected.
#[derive(Default)]
struct Cells {
    nmse: Vec<f64>,
    reference_off: Vec<f64>,
    candidate_off: Vec<f64>,
    nearer: u64,
    farther: u64,
}

impl Cells {
    fn add(&mut self, nmse: f64, reference_off: Option<f64>, candidate_off: Option<f64>) {
        self.nmse.push(nmse);
        self.reference_off.extend(reference_off);
        self.candidate_off.extend(candidate_off);
        if let (Some(reference), Some(candidate)) = (reference_off, candidate_off) {
            self.nearer += u64::from(candidate < reference);
            // A candidate that is no number is not near to anything.
            self.farther += u64::from(candidate > reference || (candidate.is_nan() && !reference.is_nan()));
        }
    }

    fn figures(&self, site: &str) -> SiteFigures {
        SiteFigures {
            site: site.to_owned(),
            nmse: Range::of(&self.nmse),
            reference_off: Range::of(&self.reference_off),
            candidate_off: Range::of(&self.candidate_off),
            nearer: self.nearer,
            farther: self.farther,
        }
    }
}

fn sites(
    pair: &Comparison,
    reference_off: &Errors,
    candidate_off: &Errors,
) -> (Vec<SiteFigures>, SiteFigures) {
    let mut by_site: BTreeMap<_, Cells> = BTreeMap::new();
    let mut all = Cells::default();
    for (at, nmse) in errors(pair) {
        let off = [reference_off, candidate_off].map(|errors| errors.get(&at).copied());
        by_site.entry(at.1.site()).or_default().add(nmse, off[0], off[1]);
        all.add(nmse, off[0], off[1]);
    }
    (by_site.iter().map(|(site, cells)| cells.figures(site.name())).collect(), all.figures("all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_counts_each_cell_once_and_leaves_ties_out() {
        let mut cells = Cells::default();
        cells.add(0.1, Some(2e-3), Some(1e-3));
        cells.add(0.2, Some(1e-3), Some(2e-3));
        cells.add(0.3, Some(1e-3), Some(1e-3));
        cells.add(0.4, Some(1e-3), Some(f64::NAN));
        cells.add(0.5, None, Some(1e-3));
        cells.add(0.6, Some(3e-3), Some(1e-3));
        let figures = cells.figures("l_out");
        assert_eq!((figures.nmse.of, figures.nearer, figures.farther), (6, 2, 2));
        assert_eq!(figures.nearer_share(), 0.5);
        assert!(figures.candidate_off.worst.0.is_nan() && !figures.reference_off.worst.0.is_nan());
    }
}
