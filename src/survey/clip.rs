//! The first positions of a trace, as a trace of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use serde::Deserialize;

use super::SurveyError;
use crate::trace::Header;

/// What decides whether a line is kept.
#[derive(Deserialize)]
struct Line {
    token_idx: Option<u32>,
    paritty: Option<u32>,
    #[serde(default)]
    end: bool,
}

/// Writes those lines of `from` that concern positions below `positions` to `to`, as they are, and
/// puts its sidecar beside it.
pub fn clip(from: &Path, positions: u32, to: &Path) -> Result<(), SurveyError> {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
    let mut lines = BufReader::new(File::open(from).map_err(SurveyError::io(from))?);
    let mut out = BufWriter::new(File::create(to).map_err(SurveyError::io(to))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(SurveyError::io(from))? == 0 {
            break;
        }
        // Lines that are no objects are passed on: what is odd about a trace stays so.
        if let Ok(Line { token_idx, paritty, end }) = serde_json::from_slice(&line) {
            if paritty.is_some()
                && let Ok((Header { sidecar: Some(name), .. }, _)) = Header::from_line(&line)
                && Path::new(&name).file_name() == Some(name.as_ref())
            {
                share(&folder(from).join(&name), &folder(to).join(&name))?;
            }
            if token_idx.is_some_and(|position| position >= positions) {
                continue;
            }
            if end {
                line = format!("{{\"end\":true,\"positions\":{positions}}}\n").into_bytes();
            }
        }
        out.write_all(&line).map_err(SurveyError::io(to))?;
    }
    out.flush().map_err(SurveyError::io(to))
}

/// Another name for a file; a copy where the file system has no second names.
fn share(from: &Path, to: &Path) -> Result<(), SurveyError> {
    if from.canonicalize().is_ok_and(|from| to.canonicalize().is_ok_and(|to| from == to)) {
        return Ok(());
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(SurveyError::io(to)(error)),
        _ => {}
    }
    if !from.exists() || fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map(drop).map_err(SurveyError::io(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Store, Tensor};

    #[test]
    fn the_first_positions_keep_their_tokens_and_values() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/traces/shakespeare-qwen2-f16.jsonl");
        let folder = tempfile::tempdir().unwrap();
        let short = folder.path().join("reference.jsonl");
        clip(&assets, 3, &short).unwrap();
        let (whole, short) = (Store::load(&assets).unwrap(), Store::load(&short).unwrap());
        assert!(short.positions().eq(0..3) && short.has_ended());
        assert_eq!(short.notes(), whole.notes());
        let (mut a, mut b) = (Tensor::default(), Tensor::default());
        for position in 0..3 {
            assert_eq!(short.token(position), whole.token(position));
            assert!(short.checkpoints(position).eq(whole.checkpoints(position)));
            for checkpoint in whole.checkpoints(position) {
                assert!(whole.read(position, checkpoint, &mut a).unwrap());
                assert!(short.read(position, checkpoint, &mut b).unwrap());
                assert_eq!(a, b, "{checkpoint}");
            }
        }
    }
}
