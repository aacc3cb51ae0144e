//! What the environment says of the way to the terminal: what it is, and what lies between.

use std::process::{Command, Stdio};

/// What pictures have to get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// Nothing.
    Nothing,
    /// tmux; whether it lets pictures through to a terminal that can show them, or why not.
    Tmux(Result<(), String>),
    /// GNU screen.
    Screen,
}

/// What the environment tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// What lies between.
    pub between: Between,
    /// Whether the terminal says that it is iTerm2.
    pub is_iterm: bool,
    /// Whether it can be asked at all.
    pub can_be_asked: bool,
}

impl Surroundings {
    /// What the environment tells; `var` looks a variable up, `tmux` says what tmux knows of its terminal.
    pub fn new(var: impl Fn(&str) -> Option<String>, tmux: impl FnOnce() -> Option<String>) -> Self {
        let get = |name: &str| var(name).unwrap_or_default();
        let term = get("TERM");
        let between = if !get("TMUX").is_empty() {
            Between::Tmux(tmux().map_or_else(
                || Err("tmux does not say which terminal it is in".to_owned()),
                |said| lets_through(&said),
            ))
        } else if !get("STY").is_empty() {
            Between::Screen
        } else {
            Between::Nothing
        };
        Self {
            between,
            is_iterm: get("TERM_PROGRAM") == "iTerm.app" || get("LC_TERMINAL") == "iTerm2",
            can_be_asked: !matches!(term.as_str(), "" | "dumb" | "linux"),
        }
    }

    /// Those of this process.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok(), ask_tmux)
    }
}

/// The terminal's name, what the terminal says of itself, and whether sequences are passed through.
const TMUX_FORMAT: &str = "#{client_termname}|#{client_termtype}|#{allow-passthrough}";

fn ask_tmux() -> Option<String> {
    let mut command = Command::new("tmux");
    command.args(["display-message", "-p"]);
    if let Ok(pane) = std::env::var("TMUX_PANE") {
        command.args(["-t", &pane]);
    }
    let output = command.arg(TMUX_FORMAT).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether what tmux says of its terminal means that placeholders of kitty's protocol work there.
fn lets_through(said: &str) -> Result<(), String> {
    let mut parts = said.split('|');
    let [name, kind, passes] = [(); 3].map(|()| parts.next().unwrap_or_default());
    if !matches!(passes, "on" | "all" | "1") {
        return Err("tmux lets no pictures through (`set -g allow-passthrough on` lets them)".to_owned());
    }
    // Placeholders came with kitty 0.28.
    let shows = name.contains("ghostty")
        || kind.strip_prefix("kitty(").and_then(minor_version).is_some_and(|version| version >= (0, 28));
    if shows {
        Ok(())
    } else {
        Err("the terminal around tmux is not known to show pictures in text".to_owned())
    }
}

/// `0.35.2)` → 0 and 35.
fn minor_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Wrapped so that tmux hands it on to its own terminal: every ESC twice.
pub(super) fn through_tmux(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 16);
    for sequence in sequences(bytes) {
        out.extend_from_slice(b"\x1bPtmux;");
        for &byte in sequence {
            if byte == 0x1b {
                out.push(0x1b);
            }
            out.push(byte);
        }
        out.extend_from_slice(b"\x1b\\");
    }
    out
}

/// The APC sequences one by one: tmux takes no string longer than a megabyte.
fn sequences(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(2).position(|w| w == b"\x1b\\").map_or(rest.len(), |at| at + 2);
        let (first, after) = rest.split_at(end);
        rest = after;
        Some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(vars: &[(&str, &str)], tmux: &str) -> Surroundings {
        let var = |name: &str| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_owned());
        Surroundings::new(var, || Some(tmux.to_owned()))
    }

    #[test]
    fn tmux_must_let_pictures_through_to_a_terminal_that_shows_them() {
        let tmux = |said: &str| around(&[("TERM", "tmux-256color"), ("TMUX", "/x,1,0")], said).between;
        assert_eq!(tmux("xterm-kitty|kitty(0.35.2)|on"), Between::Tmux(Ok(())));
        assert_eq!(tmux("xterm-ghostty|ghostty 1.0|all"), Between::Tmux(Ok(())));
        for said in
            ["xterm-kitty|kitty(0.26.5)|on", "xterm-kitty||on", "xterm-256color|XTerm(379)|on", "", "a|b|c|d"]
        {
            assert!(matches!(tmux(said), Between::Tmux(Err(_))), "{said}");
        }
        let Between::Tmux(Err(why)) = tmux("xterm-kitty|kitty(0.35.2)|off") else { panic!("off is off") };
        assert!(why.contains("allow-passthrough on"), "{why}");
        assert_eq!(around(&[("TERM", "screen"), ("STY", "1.x")], "").between, Between::Screen);
        assert_eq!(around(&[("TERM", "xterm")], "").between, Between::Nothing);
    }

    #[test]
    fn what_goes_through_tmux_is_wrapped_piece_by_piece() {
        let wrapped = through_tmux(b"\x1b_Ga\x1b\\\x1b_Gb\x1b\\");
        assert_eq!(wrapped, b"\x1bPtmux;\x1b\x1b_Ga\x1b\x1b\\\x1b\\\x1bPtmux;\x1b\x1b_Gb\x1b\x1b\\\x1b\\");
    }
}
