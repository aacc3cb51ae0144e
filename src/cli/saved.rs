//! Sessions that are left and taken up again (`--save`, `--resume`), and the breakpoints of each model.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::session::Stop;
use crate::tui::app::SavedScreen;

/// Longest file that is read, in bytes: far more than a session has to say.
const MOST: u64 = 1 << 20;

/// A session as its file holds it: what it was started with, and where the user was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSession {
    /// Version of this form.
    pub paritty_session: u32,
    /// The model file.
    pub model: PathBuf,
    /// The run that is trusted, as on the command line.
    pub reference: String,
    /// The run under test.
    pub candidate: String,
    /// What engines are fed and how they run.
    pub run: SavedRun,
    /// Conditions at which runs pause.
    #[serde(default)]
    pub breakpoints: Vec<String>,
    /// Where the user was.
    pub screen: SavedScreen,
}

/// What engines are fed and how they run, as on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRun {
    /// Text to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Token ids to start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<u32>>,
    /// Tokens to generate.
    pub n: u32,
    /// Positions to open engines for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx: Option<usize>,
    /// What engines capture.
    pub checkpoints: String,
    /// Threads; 0: all.
    #[serde(default)]
    pub threads: usize,
    /// Whether keys and values are kept in f16.
    #[serde(default)]
    pub kv_f16: bool,
    /// Mistakes made in our engine.
    #[serde(default)]
    pub faults: Vec<String>,
}

/// Version of the form that is written.
pub const VERSION: u32 = 1;

impl SavedSession {
    /// Reads a session's file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read(path)?;
        let saved: Self = serde_json::from_str(&text)
            .with_context(|| format!("{}: not a session that `--save` wrote", path.display()))?;
        if saved.paritty_session != VERSION {
            let version = saved.paritty_session;
            bail!("{}: `paritty_session` is {version}, this program reads {VERSION}", path.display());
        }
        Ok(saved)
    }

    /// Writes it; the file appears complete or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        crate::plot::write(path, text.as_bytes()).map_err(Into::into)
    }
}

/// The breakpoints that were set for a model, kept between sessions.
#[derive(Debug)]
pub struct ModelBreakpoints {
    path: Option<PathBuf>,
    model: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: String,
    breakpoints: Vec<String>,
}

impl ModelBreakpoints {
    /// Those of the model in this file, in the user's folder of state (`~/.local/state/paritty`).
    pub fn of(model: &Path) -> Self {
        let model = model.canonicalize().unwrap_or_else(|_| model.to_owned()).display().to_string();
        let digest = Sha256::digest(model.as_bytes());
        let name: u64 = digest.iter().take(8).fold(0, |name, &byte| name << 8 | u64::from(byte));
        let folder = dirs::state_dir().or_else(dirs::data_local_dir);
        let path = folder.map(|f| f.join("paritty").join("breakpoints").join(format!("{name:016x}.json")));
        Self { path, model }
    }

    /// What was kept; nothing where there is none. One that this program does not know is an error that names
    /// the file.
    pub fn load(&self) -> anyhow::Result<Vec<Stop>> {
        let Some(path) = self.path.as_ref().filter(|path| path.exists()) else { return Ok(Vec::new()) };
        let file: File = serde_json::from_str(&read(path)?)
            .with_context(|| format!("{}: not a list of breakpoints; delete it", path.display()))?;
        let stops = file.breakpoints.iter().map(|text| text.parse::<Stop>());
        stops.collect::<Result<_, _>>().with_context(|| format!("{}: delete it", path.display()))
    }

    /// Keeps these from now on.
    pub fn keep(&self, stops: &[Stop]) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if stops.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| path.display().to_string())
                }
                _ => Ok(()),
            };
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file =
            File { model: self.model.clone(), breakpoints: stops.iter().map(ToString::to_string).collect() };
        let mut text = serde_json::to_vec_pretty(&file)?;
        writeln!(text)?;
        crate::plot::write(path, &text).map_err(Into::into)
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let named = || path.display().to_string();
    let length = fs::metadata(path).with_context(named)?.len();
    if length > MOST {
        bail!("{}: {length} bytes; such a file has at most {MOST}", path.display());
    }
    fs::read_to_string(path).with_context(named)
}
