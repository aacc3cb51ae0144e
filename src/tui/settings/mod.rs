//! The user's settings: keys and colours from `~/.config/paritty/config.toml`.
//!
//! ```toml
//! theme = "paper"          # auto, dark, light, or one of [themes]
//! graphics = "auto"        # heatmaps in pixels: auto, kitty, iterm, sixel, none
//!
//! [keys]                   # names as on the help page; one key or several
//! next-divergence = ["n", "Ctrl-N"]
//! "view logits" = "F5"
//!
//! [themes.paper]           # what is not named stays as it is on that ground
//! ground = "light"
//! colors = { accent = "#0a5cb8", bad = "#b92a10" }
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::graphics::{Choice, NoGraphics};
use super::key::Key;
use super::keymap::Keymap;
use super::theme::{Depth, Theme};
use crate::palette::{Ground, Rgb, Roles};
use crate::text::safe;

/// Longest file of settings that is read, in bytes.
const MOST: u64 = 1 << 20;

/// What the user has set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The keys.
    pub keymap: Keymap,
    /// The colours; none: what the terminal says.
    pub theme: Option<Theme>,
    /// How heatmaps are shown.
    pub graphics: Choice,
}

/// Why settings cannot be used. The text names the file and the line.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What, what was expected, and what to do.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    theme: Option<Spanned<String>>,
    graphics: Option<Spanned<String>>,
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Spanned<Keys>>,
    #[serde(default)]
    themes: BTreeMap<String, Colors>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Colors {
    #[serde(default)]
    ground: GroundName,
    #[serde(default)]
    colors: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GroundName {
    #[default]
    Dark,
    Light,
}

/// What is wrong, and at which byte of the file.
type Problem = (usize, String);

impl Settings {
    /// Where settings are looked for: `PARITTY_CONFIG`, else the user's folder of settings.
    pub fn path() -> Option<PathBuf> {
        match std::env::var_os("PARITTY_CONFIG") {
            Some(path) if !path.is_empty() => Some(path.into()),
            _ => dirs::config_dir().map(|folder| folder.join("paritty").join("config.toml")),
        }
    }

    /// The user's settings, or the standard ones where there is no file. A file that `PARITTY_CONFIG` names
    /// must be there.
    pub fn load() -> Result<Self, SettingsError> {
        let named = std::env::var_os("PARITTY_CONFIG").is_some_and(|path| !path.is_empty());
        match Self::path() {
            Some(path) if named || path.exists() => Self::read(&path),
            _ => Ok(Self::default()),
        }
    }

    /// The settings in a file.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |source| SettingsError::Read { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MOST {
            return Err(failed(io::Error::other(format!("{length} bytes; settings have at most {MOST}"))));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Self::parse(&text).map_err(|(at, problem)| SettingsError::Wrong {
            path: path.to_owned(),
            line: text.bytes().take(at).filter(|&b| b == b'\n').count() + 1,
            problem: safe(&problem).into_owned(),
        })
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let file: File =
            toml::from_str(text).map_err(|e| (e.span().map_or(0, |s| s.start), e.message().to_owned()))?;
        let mut keymap = Keymap::default();
        let mut changes = Vec::new();
        for (name, keys) in &file.keys {
            let at = keys.span().start;
            let texts = match keys.get_ref() {
                Keys::One(key) => std::slice::from_ref(key),
                Keys::Several(keys) => keys,
            };
            let keys = texts.iter().map(|text| text.parse::<Key>());
            let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|e| (at, e.to_string()))?;
            changes.push((name.get_ref().clone(), keys));
            // Tried one more each time, so that the line of the first that does not fit is known.
            Keymap::default().rebind(&changes).map_err(|e| (name.span().start, e.to_string()))?;
        }
        keymap.rebind(&changes).map_err(|e| (0, e.to_string()))?;
        let theme = file.theme.as_ref().map(|name| theme(name, &file.themes)).transpose()?.flatten();
        for colors in file.themes.values() {
            roles(colors)?;
        }
        let graphics = file.graphics.map(|name| {
            let at = name.span().start;
            name.into_inner().parse().map_err(|e: NoGraphics| (at, e.to_string()))
        });
        Ok(Self { keymap, theme, graphics: graphics.transpose()?.unwrap_or_default() })
    }
}

/// The theme of this name; none for `auto`.
fn theme(name: &Spanned<String>, own: &BTreeMap<String, Colors>) -> Result<Option<Theme>, Problem> {
    let depth = Depth::detect(|name| std::env::var(name).ok());
    let ground = |ground| match ground {
        GroundName::Dark => Ground::Dark,
        GroundName::Light => Ground::Light,
    };
    match (own.get(name.get_ref()), name.get_ref().as_str()) {
        (Some(colors), _) => {
            let shipped = Theme::new(depth, ground(colors.ground));
            Ok(Some(Theme { roles: roles(colors)?, ..shipped }))
        }
        (None, "auto") => Ok(None),
        (None, "dark") => Ok(Some(Theme::new(depth, Ground::Dark))),
        (None, "light") => Ok(Some(Theme::new(depth, Ground::Light))),
        (None, other) => {
            let known: Vec<&str> = own.keys().map(String::as_str).chain(["auto", "dark", "light"]).collect();
            let problem = format!("no theme is called `{other}`; there are: {}", known.join(", "));
            Err((name.span().start, problem))
        }
    }
}

fn roles(own: &Colors) -> Result<Roles, Problem> {
    let mut roles = *crate::palette::roles(match own.ground {
        GroundName::Dark => Ground::Dark,
        GroundName::Light => Ground::Light,
    });
    for (name, color) in &own.colors {
        let unknown =
            || format!("no colour is called `{}`; there are: {}", name.get_ref(), Roles::names().join(", "));
        let place = roles.named_mut(name.get_ref()).ok_or_else(|| (name.span().start, unknown()))?;
        *place = color.get_ref().parse::<Rgb>().map_err(|e| (color.span().start, e.to_string()))?;
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::*;
    use crate::tui::app::{Action, Place};
    use crate::tui::views::View;

    #[test]
    fn keys_and_colours_are_taken_over() {
        let text = "theme = \"paper\"\n[keys]\nstep = [\"x\", \"F5\"]\n[themes.paper]\nground = \"light\"\n\
                    colors = { accent = \"#010203\" }\n";
        let settings = Settings::parse(text).unwrap();
        let overview = Place::View(View::Overview);
        assert_eq!(settings.keymap.action(KeyCode::F(5).into(), overview), Some(Action::Step));
        let theme = settings.theme.unwrap();
        assert_eq!((theme.ground, theme.roles.accent), (Ground::Light, Rgb(1, 2, 3)));
        assert_eq!(theme.roles.bad, crate::palette::roles(Ground::Light).bad);
        let empty = Settings::parse("").unwrap();
        assert_eq!((empty.theme, empty.graphics), (None, Choice::Auto));
        assert_eq!(Settings::parse("graphics = \"none\"").unwrap().graphics, Choice::None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for (text, expected) in [
            ("theme = \"papre\"\n", ":1: no theme is called `papre`; there are: auto, dark, light"),
            ("\n[keys]\nsetp = \"x\"\n", ":3: nothing is called `setp`; did you mean `step`?"),
            ("[keys]\nstep = \"Hyper-x\"\n", ":2: `Hyper-x` is no key"),
            ("[keys]\nstep = \"x\"\nrun = \"x\"\n", "`x` is given to"),
            (
                "[themes.a]\ncolors = { acent = \"#000000\" }\n",
                ":2: no colour is called `acent`; there are: ground,",
            ),
            ("[themes.a.colors]\ntext = \"red\"\n", ":2: `red` is no colour; write it like #7cc4ff"),
            (
                "\ngraphics = \"sixels\"\n",
                ":2: no graphics are called `sixels`; there are: auto, kitty, iterm, sixel, none",
            ),
            ("colour = 1\n", ":1: unknown field `colour`"),
            ("[keys]\nstep = 5\n", ":2: "),
            ("a\n", ":1: "),
        ] {
            std::fs::write(&path, text).unwrap();
            let said = Settings::read(&path).unwrap_err().to_string();
            assert!(
                said.starts_with(&path.display().to_string()) && said.contains(expected),
                "{text}: {said}"
            );
        }
        let missing = Settings::read(&folder.path().join("none.toml")).unwrap_err().to_string();
        assert!(missing.contains("none.toml"), "{missing}");
    }
}
