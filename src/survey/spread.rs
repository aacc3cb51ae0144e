//! llama.cpp against itself: one setting changed at a time, over the same tokens. How far such runs
//! differ is what no engine can be blamed for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::figure::Range;
use super::pair::{compare, errors, logits};
use super::plan::Settings;
use super::result::{Variant, VariantFigures, VariantSite};
use super::runs::{self, Feed};
use super::{Progress, SurveyError};
use crate::trace::Store;

/// A setting that changes numbers and leaves them right.
#[derive(Debug)]
pub struct Change {
    /// Name in the report and of its trace.
    pub id: &'static str,
    /// What is changed.
    pub what: &'static str,
    /// The arguments of `paritty trace` that do it, beside or instead of the default's.
    arguments: &'static [&'static str],
    /// Whether the default's number of threads is kept.
    same_threads: bool,
    /// Whether runs that differ in this are the noise that [`crate::compare::noise`] knows. A cache of
    /// eight bits is coarser than what that distinguishes.
    pub is_noise: bool,
}

/// Every change. Default: token by token, keys and values in f16, no flash attention.
pub static CHANGES: &[Change] = &[
    Change {
        id: "flash-attention",
        what: "attention fused into one operation",
        arguments: &["--flash-attn=on"],
        same_threads: true,
        is_noise: true,
    },
    Change {
        id: "threads",
        what: "two threads instead of one (one instead of several)",
        arguments: &[],
        same_threads: false,
        is_noise: true,
    },
    Change {
        id: "batch",
        what: "all tokens in one batch instead of one after the other",
        arguments: &["--batch-prefill"],
        same_threads: true,
        is_noise: true,
    },
    Change {
        id: "kv-f32",
        what: "keys and values kept in f32",
        arguments: &["--kv=f32"],
        same_threads: true,
        is_noise: true,
    },
    Change {
        id: "kv-q8_0",
        what: "keys and values kept in Q8_0, which needs fused attention",
        arguments: &["--kv=q8_0", "--flash-attn=on"],
        same_threads: true,
        is_noise: false,
    },
    Change {
        id: "no-repack",
        what: "weights as they lie in the file, not rearranged for speed",
        arguments: &["--no-repack"],
        same_threads: true,
        is_noise: true,
    },
];

/// The default's arguments of `paritty trace`; `threads` 0: llama.cpp's are one.
pub fn default_settings(threads: usize) -> Vec<String> {
    vec![format!("--threads={}", threads.max(1))]
}

impl Change {
    fn settings(&self, threads: usize) -> Vec<String> {
        let other = if threads > 1 { 1 } else { 2 };
        let mut settings = default_settings(if self.same_threads { threads } else { other });
        settings.extend(self.arguments.iter().map(|&a| a.to_owned()));
        settings
    }

    /// Its trace in a model's folder.
    pub fn trace(&self, folder: &Path) -> PathBuf {
        folder.join("spread").join(self.id).with_added_extension("jsonl")
    }
}

/// The default's trace in a model's folder, where the reference is a recorded one.
pub fn default_trace(folder: &Path) -> PathBuf {
    folder.join("spread").join("default.jsonl")
}

/// Every trace that may be in a model's folder.
pub fn traces(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let changed: Vec<PathBuf> = CHANGES.iter().map(|c| c.trace(folder)).collect();
    changed.into_iter().chain([default_trace(folder)])
}

/// Runs every change that is wanted over `feed` and compares it with `default`, which is run first if it is not given.
/// A change that llama.cpp refuses (a cache type that does not fit the model) is told, and the others go on.
pub fn measure(
    model: &Path,
    feed: &Feed,
    default: Option<Store>,
    settings: &Settings,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Vec<Variant>, SurveyError> {
    let own = folder.join("spread");
    fs::create_dir_all(&own).map_err(SurveyError::io(&own))?;
    let default = if let Some(default) = default {
        default
    } else {
        let arguments = default_settings(settings.threads);
        runs::llama_cpp("llama.cpp", model, feed, &arguments, &default_trace(folder), progress)?
    };
    let mut variants = Vec::new();
    for change in CHANGES.iter().filter(|c| settings.spread.iter().any(|id| id == c.id)) {
        let out = change.trace(folder);
        let arguments = change.settings(settings.threads);
        let run = runs::llama_cpp(change.id, model, feed, &arguments, &out, progress);
        let outcome = match run {
            Ok(changed) => Ok(figures(&default, &changed, progress)?),
            Err(SurveyError::LlamaCpp(said)) => {
                // Nobody is to take what it wrote before it gave up for a run.
                for file in [&out, &out.with_extension("bin")] {
                    // It may have written nothing at all.
                    let _ = fs::remove_file(file);
                }
                Err(said)
            }
            Err(error) => return Err(error),
        };
        variants.push(Variant { id: change.id.to_owned(), outcome });
    }
    Ok(variants)
}

fn figures(default: &Store, changed: &Store, progress: &dyn Progress) -> Result<VariantFigures, SurveyError> {
    let pair = compare(default, changed, progress)?;
    let mut by_site: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    let mut all = Vec::new();
    for ((_, checkpoint), nmse) in errors(&pair) {
        by_site.entry(checkpoint.site()).or_default().push(nmse);
        all.push(nmse);
    }
    Ok(VariantFigures {
        sites: by_site.iter().map(|(site, nmse)| row(site.name(), nmse)).collect(),
        all: row("all", &all),
        logits: logits(&pair),
    })
}

fn row(site: &str, nmse: &[f64]) -> VariantSite {
    VariantSite {
        site: site.to_owned(),
        equal: nmse.iter().filter(|&&x| x == 0.0).count() as u64,
        nmse: Range::of(nmse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_changes_the_defaults_arguments_once() {
        for threads in [0, 1, 2, 8] {
            let default = default_settings(threads);
            for (i, change) in CHANGES.iter().enumerate() {
                let settings = change.settings(threads);
                assert_ne!(settings, default, "{}", change.id);
                assert_eq!(settings.iter().filter(|s| s.starts_with("--threads=")).count(), 1);
                assert!(CHANGES[..i].iter().all(|c| c.id != change.id && c.settings(threads) != settings));
            }
        }
    }
}
