//! Which models are surveyed, against what, and under which settings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SurveyError;

/// Where reference runs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The real llama.cpp, as a child process.
    LlamaCpp,
    /// Recorded traces: `NAME.jsonl` for the model `NAME.gguf`, in this folder, or beside the model.
    Recorded(Option<PathBuf>),
}

/// What holds for every model of a survey. Whatever changes a figure is in here, because a result is
/// used again only while this is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Our engine, by name.
    pub candidate: String,
    /// Positions at most.
    pub positions: Option<u32>,
    /// What llama.cpp is given to begin with.
    pub prompt: String,
    /// Threads that llama.cpp computes with, and ours (0: one per core).
    pub threads: usize,
    /// Settings of llama.cpp that are changed to measure it against itself, by name.
    pub spread: Vec<String>,
}

/// Positions of a run of llama.cpp where none are asked for.
pub const POSITIONS: u32 = 32;

/// One model of a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name in the report and of its folder: the file's, made unique.
    pub name: String,
    /// The model file.
    pub model: PathBuf,
}

/// Models under unique names, in the order given.
pub fn entries(models: impl IntoIterator<Item = PathBuf>) -> Vec<Entry> {
    let mut taken = BTreeSet::new();
    models
        .into_iter()
        .map(|model| {
            let stem = model.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            // It becomes the name of a folder and is printed.
            let plain: String = stem
                .chars()
                .map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' })
                .take(100)
                .collect();
            let plain = if plain.trim_matches('.').is_empty() { "model".to_owned() } else { plain };
            let mut name = plain.clone();
            let mut number = 2;
            while !taken.insert(name.to_lowercase()) {
                name = format!("{plain}-{number}");
                number += 1;
            }
            Entry { name, model }
        })
        .collect()
}

/// The recorded trace of a model: `NAME.jsonl` in `folder`; without one, beside the model or in the
/// folder `traces` beside the model's own.
pub fn recorded(model: &Path, folder: Option<&Path>) -> Result<PathBuf, SurveyError> {
    let name = Path::new(model.file_stem().unwrap_or_default()).with_added_extension("jsonl");
    let places = if let Some(folder) = folder {
        vec![folder.join(&name)]
    } else {
        let beside = model.parent().unwrap_or(Path::new(""));
        let traces = beside.parent().map(|p| p.join("traces").join(&name));
        [Some(beside.join(&name)), traces].into_iter().flatten().collect()
    };
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        SurveyError::Unfit(format!(
            "there is no recorded trace of it ({}): record one with `paritty trace --engine llama.cpp`, or use \
             --reference llama.cpp",
            places.join(", ")
        ))
    })
}

/// A word that nobody knew before: the time and the process, in six syllables.
pub fn nonce() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut rest = now.as_nanos() ^ (u128::from(std::process::id()) << 40);
    let mut word = String::new();
    for _ in 0..6 {
        let (consonants, vowels) = (b"bdfgklmnprstvz", b"aeiou");
        word.push(char::from(consonants[(rest % 14) as usize]));
        rest /= 14;
        word.push(char::from(vowels[(rest % 5) as usize]));
        rest /= 5;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_for_folders() {
        let models = ["a/x.gguf", "b/x.gguf", "c/X.gguf", "od d\u{1b}[2J.gguf", "..", "q4.k.gguf"];
        let names: Vec<String> = entries(models.map(PathBuf::from)).into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["x", "x-2", "X-3", "od_d__2J", "model", "q4.k"]);
    }

    #[test]
    fn a_recorded_trace_is_found_beside_the_model_and_missed_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for sub in ["models", "traces", "own"] {
            std::fs::create_dir(root.join(sub)).unwrap();
        }
        let model = root.join("models/m.q4.gguf");
        let missing = recorded(&model, None).unwrap_err().to_string();
        assert!(missing.contains("m.q4.jsonl") && missing.contains("traces"), "{missing}");
        for (place, given) in [("traces", None), ("models", None), ("own", Some("own"))] {
            let trace = root.join(place).join("m.q4.jsonl");
            std::fs::write(&trace, "{}").unwrap();
            assert_eq!(recorded(&model, given.map(|g| root.join(g)).as_deref()).unwrap(), trace);
        }
    }
}
