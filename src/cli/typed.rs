//! The lines of the command line, kept between runs.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Lines that are kept.
const LINES: usize = 500;
/// Longest line that is kept, in characters.
const LONGEST: usize = 400;
/// Longest file that is read, in bytes: more than [`LINES`] of [`LONGEST`] take.
const MOST: u64 = 1 << 20;

/// The file of typed lines, the newest last.
#[derive(Debug)]
pub struct Typed {
    path: Option<PathBuf>,
}

impl Typed {
    /// The user's own, in the folder of state (`~/.local/state/paritty/history`).
    pub fn of_user() -> Self {
        let folder = dirs::state_dir().or_else(dirs::data_local_dir);
        Self { path: folder.map(|folder| folder.join("paritty").join("history")) }
    }

    /// What was kept. A file that cannot be read, or holds something else, is no reason not to start.
    pub fn load(&self) -> Vec<String> {
        let read = |path: &Path| -> std::io::Result<String> {
            if !fs::metadata(path)?.is_file() {
                return Ok(String::new());
            }
            let mut text = Vec::new();
            fs::File::open(path)?.take(MOST).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        let text = self.path.as_deref().and_then(|path| read(path).ok()).unwrap_or_default();
        bounded(text.lines().map(str::to_owned))
    }

    /// Keeps `lines` after those that other sessions have kept in the meantime.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, lines: &[String]) -> anyhow::Result<()> {
        let Some(path) = self.path.as_deref().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let all = bounded(self.load().into_iter().chain(lines.iter().cloned()));
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        crate::plot::write(path, (all.join("\n") + "\n").as_bytes())
            .context("the lines that were typed are not kept")
    }
}

/// Plain lines of moderate length, each once, at its newest place, and only so many.
fn bounded(lines: impl Iterator<Item = String>) -> Vec<String> {
    let plain = |line: &String| {
        !line.is_empty() && line.chars().count() <= LONGEST && *line == crate::text::safe(line)
    };
    let mut out: Vec<String> = Vec::new();
    for line in lines.filter(plain) {
        out.retain(|known| *known != line);
        out.push(line);
    }
    out.split_off(out.len().saturating_sub(LINES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_outlive_the_session_and_stay_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: PathBuf| Typed { path: Some(path) };
        let typed = at(folder.path().join("new").join("history"));
        assert!(typed.load().is_empty());
        let lines = |all: &[&str]| all.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        typed.keep(&lines(&["goto 5", "view layer"])).unwrap();
        // Another session's come before what is newest here.
        typed.keep(&lines(&["until divergence", "goto 5"])).unwrap();
        assert_eq!(typed.load(), ["view layer", "until divergence", "goto 5"]);
        let many: Vec<String> = (0..2 * LINES).map(|n| format!("goto {n}")).collect();
        typed.keep(&many).unwrap();
        assert_eq!(typed.load(), many[LINES..]);
    }

    #[test]
    fn what_is_no_history_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let long = "x".repeat(LONGEST + 1);
        fs::write(&path, format!("goto 1\n\u{1b}[2Jgoto 2\n{long}\n\ngoto 3\n").as_bytes()).unwrap();
        assert_eq!(Typed { path: Some(path.clone()) }.load(), ["goto 1", "goto 3"]);
        fs::write(&path, [0xff, 0xfe, 0x00, b'\n']).unwrap();
        assert!(Typed { path: Some(path) }.load().len() <= 1);
        // A folder in its place cannot be written either; that is said.
        let folder = Typed { path: Some(folder.path().to_owned()) };
        assert!(folder.load().is_empty());
        assert!(folder.keep(&["goto 1".to_owned()]).is_err());
    }
}
