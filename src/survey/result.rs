//! What is kept of one model: its figures, and by what they were measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::SurveyError;
use super::figure::{Figure, Range};
use super::plan::Settings;
use super::study::Kind;

/// Name of the file in a model's folder.
pub const FILE: &str = "result.json";
/// Version of that file.
const VERSION: u32 = 1;

/// What decides whether a kept result still holds: the model, the reference, the settings and the
/// programs that computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    version: u32,
    /// Version of paritty.
    paritty: String,
    settings: Settings,
    model: FileMark,
    /// The recorded trace; without one, llama.cpp was run.
    trace: Option<FileMark>,
    /// Version of the llama.cpp that was run.
    llama_cpp: Option<String>,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: Option<u64>,
}

impl FileMark {
    fn of(path: &Path) -> Result<Self, SurveyError> {
        let found = fs::metadata(path).map_err(SurveyError::io(path))?;
        let since = found.modified().ok().and_then(|m| m.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            path: path.canonicalize().map_err(SurveyError::io(path))?,
            bytes: found.len(),
            modified: since.and_then(|s| u64::try_from(s.as_nanos()).ok()),
        })
    }
}

impl Fingerprint {
    /// Of a model surveyed against a recorded trace, or against llama.cpp where there is none.
    pub fn of(settings: &Settings, model: &Path, trace: Option<&Path>) -> Result<Self, SurveyError> {
        let runs_llama_cpp = trace.is_none() || !settings.spread.is_empty();
        Ok(Self {
            version: VERSION,
            paritty: env!("CARGO_PKG_VERSION").into(),
            settings: settings.clone(),
            model: FileMark::of(model)?,
            trace: trace.map(FileMark::of).transpose()?,
            llama_cpp: runs_llama_cpp.then(super::runs::llama_cpp_build),
        })
    }
}

/// Everything measured of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name in the file.
    pub model: String,
    /// Architecture, vocabulary and weight type.
    pub kind: Kind,
    /// Layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Logits per position.
    pub vocabulary_size: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Positions computed by all.
    pub positions: u32,
    /// The trusted side.
    pub reference: Side,
    /// Ours.
    pub candidate: Side,
    /// What the comparison of both says.
    pub verdict: Verdict,
    /// Both sides and the oracle, by kind of checkpoint in order of execution.
    pub sites: Vec<SiteFigures>,
    /// All kinds together.
    pub all: SiteFigures,
    /// The logits of both sides; none where they cannot be compared.
    pub logits: Option<LogitFigures>,
    /// llama.cpp against itself, if that was asked for.
    pub spread: Vec<Variant>,
}

/// One side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Who computed it.
    pub engine: String,
    /// Its trace.
    pub trace: PathBuf,
    /// Its garbage.
    pub garbage: Garbage,
}

/// How much of a run is garbage that an engine or a logger is to blame for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Garbage {
    /// Positions whose logits were recorded.
    pub positions: u64,
    /// Those of them in whose logits there is garbage.
    pub bad_positions: u64,
    /// Records of any checkpoint.
    pub records: u64,
    /// Those of them with garbage in them.
    pub bad_records: u64,
    /// Records by class, those included that nobody is to blame for.
    pub classes: BTreeMap<String, u64>,
}

impl Garbage {
    /// Share of positions whose logits hold garbage, as the study's rates were given; NaN without logits.
    pub fn rate(&self) -> f64 {
        self.bad_positions as f64 / self.positions as f64
    }
}

/// What a comparison says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// 0 within noise, 1 divergence or garbage, 3 inconclusive.
    pub exit_code: u8,
    /// The headline, then its evidence.
    pub text: Vec<String>,
}

impl From<&crate::compare::Verdict> for Verdict {
    fn from(verdict: &crate::compare::Verdict) -> Self {
        let text = crate::wording::verdict(verdict).into_iter().map(|s| s.text).collect();
        Self { exit_code: verdict.exit_code(), text }
    }
}

/// Figures of the cells of one kind of checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteFigures {
    /// The kind.
    pub site: String,
    /// NMSE of the candidate against the reference.
    pub nmse: Range,
    /// NMSE of the reference against the oracle.
    pub reference_off: Range,
    /// NMSE of the candidate against the oracle.
    pub candidate_off: Range,
    /// Cells in which the candidate is nearer to the oracle than the reference.
    pub nearer: u64,
    /// Cells in which it is farther.
    pub farther: u64,
}

impl SiteFigures {
    /// Share of the cells in which the candidate is nearer to the oracle, ties left out; NaN if there
    /// are none.
    pub fn nearer_share(&self) -> f64 {
        self.nearer as f64 / (self.nearer + self.farther) as f64
    }
}

/// Figures of the logits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogitFigures {
    /// Positions.
    pub positions: u64,
    /// Positions where both have the same most likely token.
    pub agree: u64,
    /// KL(reference‖candidate) in nats.
    pub kl: Range,
    /// Where they have not: the largest lead of the reference's first token over its second, in logits.
    pub margin: Option<Figure>,
}

/// llama.cpp with one setting changed, against its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Which setting.
    pub id: String,
    /// The figures; or why there are none, in llama.cpp's words.
    pub outcome: Result<VariantFigures, String>,
}

/// Figures of a changed setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VariantFigures {
    /// By kind of checkpoint; nothing is said of the oracle.
    pub sites: Vec<VariantSite>,
    /// All kinds together.
    pub all: VariantSite,
    /// The logits.
    pub logits: Option<LogitFigures>,
}

/// Cells of one kind of checkpoint under a changed setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VariantSite {
    /// The kind.
    pub site: String,
    /// Those of them with the same values.
    pub equal: u64,
    /// NMSE against the default.
    pub nmse: Range,
}

#[derive(Serialize, Deserialize)]
struct Kept<M> {
    fingerprint: Fingerprint,
    result: M,
}

/// The result in `folder`, if it is whole and was measured by `fingerprint`.
pub fn load(folder: &Path, fingerprint: &Fingerprint) -> Option<Measured> {
    let bytes = fs::read(folder.join(FILE)).ok()?;
    let kept: Kept<Measured> = serde_json::from_slice(&bytes).ok()?;
    (kept.fingerprint == *fingerprint).then_some(kept.result)
}

/// Keeps a result in `folder`: whole or not at all.
pub fn save(folder: &Path, fingerprint: &Fingerprint, result: &Measured) -> Result<(), SurveyError> {
    let path = folder.join(FILE);
    let kept = Kept { fingerprint: fingerprint.clone(), result };
    let mut bytes = serde_json::to_vec_pretty(&kept).map_err(|e| SurveyError::io(&path)(e.into()))?;
    bytes.push(b'\n');
    Ok(crate::plot::output::write(&path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            candidate: "cpu".into(),
            positions: Some(4),
            prompt: "x".into(),
            threads: 1,
            spread: Vec::new(),
        }
    }

    #[test]
    fn a_result_is_used_again_only_for_the_same_files_and_settings() {
        let folder = tempfile::tempdir().unwrap();
        let (model, trace) = (folder.path().join("m.gguf"), folder.path().join("m.jsonl"));
        fs::write(&model, "model").unwrap();
        fs::write(&trace, "trace").unwrap();
        let mark = || Fingerprint::of(&settings(), &model, Some(&trace)).unwrap();
        let all = SiteFigures {
            nmse: Range { median: Figure(0.5), worst: Figure(f64::INFINITY), of: 3 },
            ..SiteFigures::default()
        };
        let spread = vec![Variant { id: "batch".into(), outcome: Err("no".into()) }];
        let result = Measured { positions: 4, all, spread, ..Measured::default() };
        let before = mark();
        assert_eq!(load(folder.path(), &before), None);
        save(folder.path(), &before, &result).unwrap();
        assert_eq!(load(folder.path(), &mark()), Some(result));

        let other = Settings { positions: Some(5), ..settings() };
        assert_eq!(load(folder.path(), &Fingerprint::of(&other, &model, Some(&trace)).unwrap()), None);
        fs::write(&trace, "longer trace").unwrap();
        assert_eq!(load(folder.path(), &mark()), None, "the recorded trace changed");
        let kept = fs::read(folder.path().join(FILE)).unwrap();
        fs::write(folder.path().join(FILE), &kept[..kept.len() / 2]).unwrap();
        assert_eq!(load(folder.path(), &before), None, "half a file");
    }

    #[test]
    fn rates_without_anything_to_rate_are_no_number() {
        assert!(Garbage::default().rate().is_nan() && SiteFigures::default().nearer_share().is_nan());
        let garbage = Garbage { positions: 4, bad_positions: 1, ..Garbage::default() };
        assert_eq!(garbage.rate(), 0.25);
    }
}
