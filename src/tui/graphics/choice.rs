//! Which graphics are wanted: the user's word, before the terminal's.

use std::fmt;
use std::str::FromStr;

use crate::text::safe_short;

/// Variable of the environment that goes before the settings.
pub const VARIABLE: &str = "PARITTY_GRAPHICS";

/// What the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// What the terminal says it can do.
    #[default]
    Auto,
    /// Half blocks.
    None,
    /// kitty's protocol, whatever the terminal says.
    Kitty,
    /// iTerm2's.
    Iterm,
    /// Sixels.
    Sixel,
}

/// A word that names no graphics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no graphics are called `{0}`; there are: auto, kitty, iterm, sixel, none")]
pub struct NoGraphics(String);

/// A variable of the environment that names no graphics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: {0}")]
pub struct NoGraphicsVariable(#[source] NoGraphics);

impl Choice {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Kitty, Self::Iterm, Self::Sixel, Self::None];

    /// What the environment asks for, if it does; `var` looks a variable up.
    pub fn of_environment(var: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, NoGraphicsVariable> {
        let word = var(VARIABLE).filter(|word| !word.is_empty());
        word.map(|word| word.parse().map_err(NoGraphicsVariable)).transpose()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Kitty => "kitty",
            Self::Iterm => "iterm",
            Self::Sixel => "sixel",
        }
    }

    /// What it is.
    pub fn about(self) -> &'static str {
        match self {
            Self::Auto => "what the terminal says it can do",
            Self::None => "half blocks",
            Self::Kitty => "kitty's protocol",
            Self::Iterm => "iTerm2's inline images",
            Self::Sixel => "sixels",
        }
    }
}

impl FromStr for Choice {
    type Err = NoGraphics;

    fn from_str(word: &str) -> Result<Self, NoGraphics> {
        let known = Self::ALL.into_iter().find(|choice| choice.name() == word);
        known.ok_or_else(|| NoGraphics(safe_short(word, 40)))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_heeded_and_nonsense_is_named() {
        let of = |word: &str| {
            let word = word.to_owned();
            Choice::of_environment(move |name| (name == VARIABLE).then(|| word.clone()))
        };
        assert_eq!(of(""), Ok(None));
        for choice in Choice::ALL {
            assert_eq!(of(choice.name()), Ok(Some(choice)));
        }
        assert_eq!(
            of("sixels\x1b").unwrap_err().to_string().split('`').next(),
            Some("PARITTY_GRAPHICS: no graphics are called ")
        );
        assert!(!of("\x1b[2J").unwrap_err().to_string().contains('\x1b'));
    }
}
