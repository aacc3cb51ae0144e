//! Where the demo's models and traces are.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// Names the folder when it is none of the usual places.
const VARIABLE: &str = "PARITTY_ASSETS";

/// The folder that holds `models` and `traces`: `$PARITTY_ASSETS`, `share/paritty` beside the
/// program's folder, or the source tree it was built from.
pub fn folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        if folder.join("models").is_dir() {
            return Ok(folder);
        }
        bail!("{VARIABLE}={}: there is no folder `models` in it", folder.display());
    }
    let installed =
        std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("share/paritty")));
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"));
    installed.into_iter().chain([source]).find(|folder| folder.join("models").is_dir()).with_context(|| {
        format!("the demo's models were not found; set {VARIABLE} to the folder `assets` of paritty's source")
    })
}

/// A demo: a model with a recorded trace of llama.cpp over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    /// Name, as `--model` takes it.
    pub name: String,
    /// The model file.
    pub model: PathBuf,
    /// The recorded trace.
    pub trace: PathBuf,
}

/// Every model in the assets that has a recorded trace, by name.
pub fn demos() -> anyhow::Result<Vec<Demo>> {
    let folder = folder()?;
    let models = folder.join("models");
    let mut demos = Vec::new();
    for entry in std::fs::read_dir(&models).with_context(|| models.display().to_string())? {
        let model = entry.with_context(|| models.display().to_string())?.path();
        let Some(name) = model.file_stem().map(|s| s.to_string_lossy().into_owned()) else { continue };
        let trace = folder.join("traces").join(format!("{name}.jsonl"));
        if model.extension().is_some_and(|e| e == "gguf") && trace.is_file() {
            demos.push(Demo { name, model, trace });
        }
    }
    demos.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(demos)
}
