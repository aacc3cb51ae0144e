//! The lines of the protocol.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::trace::Token;

/// Version of the protocol.
pub const PROTOCOL: u32 = 1;

/// What a program is asked to load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Version of the protocol.
    pub protocol: u32,
    /// The model file.
    pub model: PathBuf,
    /// Checkpoints that are wanted: `all`, `layers`, `logits`, `off` or a regular expression over
    /// their names. More or fewer do no harm.
    pub checkpoints: String,
    /// Positions that the run is opened for, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_ctx: Option<u32>,
    /// File that may take the values, as a trace's sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<PathBuf>,
}

impl Load {
    /// A request for `model` in this version of the protocol.
    pub fn new(model: PathBuf, checkpoints: String, n_ctx: Option<u32>) -> Self {
        Self { protocol: PROTOCOL, model, checkpoints, n_ctx, sidecar: None }
    }
}

/// What a program is told, one line each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Read a model.
    Load(Load),
    /// Compute the next position.
    Step {
        /// Its index.
        position: u32,
        /// Its token.
        token: u32,
    },
    /// Forget positions.
    Rewind {
        /// The first one that is forgotten.
        position: u32,
    },
}

/// What a line from a program means.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// A trace's header.
    Header,
    /// A position is whole; the token that the program would choose next.
    Complete { position: u32, next: Option<u32> },
    /// Positions are forgotten.
    Rewind(u32),
    /// A tensor.
    Record,
    /// The line that opens a position, which paritty writes itself.
    Token,
    /// The program cannot do what it was asked.
    Error(String),
    /// Nothing that the protocol knows.
    Nonsense,
}

/// Lines that are not records are short; longer ones are not looked into.
const SHORT: usize = 64 << 10;

#[derive(Deserialize)]
struct Control {
    paritty: Option<u32>,
    checkpoint: Option<serde::de::IgnoredAny>,
    token_idx: Option<u32>,
    complete: Option<bool>,
    next: Option<u32>,
    rewind: Option<u32>,
    error: Option<String>,
}

impl Answer {
    pub fn of(line: &[u8]) -> Self {
        if line.len() > SHORT {
            return if line.starts_with(b"{") { Self::Record } else { Self::Nonsense };
        }
        let Ok(control) = serde_json::from_slice::<Control>(line) else {
            // Python writes bare NaN, which a trace may hold and JSON may not.
            let record = memchr::memmem::find(line, b"\"checkpoint\"").is_some();
            return if record { Self::Record } else { Self::Nonsense };
        };
        match control {
            Control { error: Some(text), .. } => Self::Error(text),
            Control { checkpoint: Some(_), .. } => Self::Record,
            Control { paritty: Some(_), .. } => Self::Header,
            Control { rewind: Some(position), .. } => Self::Rewind(position),
            Control { token_idx: Some(position), complete: Some(true), next, .. } => {
                Self::Complete { position, next }
            }
            Control { token_idx: Some(_), .. } => Self::Token,
            _ => Self::Nonsense,
        }
    }
}

/// The line that opens a position.
pub(super) fn token_line(position: u32, token: &Token) -> String {
    let from = if token.from_prompt { "prompt" } else { "sample" };
    let mut line = json!({ "token_idx": position, "token": token.id, "from": from, "columns": 1 });
    if let Some(piece) = &token.piece {
        line["piece"] = json!(piece);
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_that_anybody_can_read() {
        let load = Request::Load(Load::new("/m.gguf".into(), "all".into(), None));
        let line = serde_json::to_string(&load).unwrap();
        assert_eq!(line, r#"{"load":{"protocol":1,"model":"/m.gguf","checkpoints":"all"}}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), load);
        let line = serde_json::to_string(&Request::Step { position: 3, token: 7 }).unwrap();
        assert_eq!(line, r#"{"step":{"position":3,"token":7}}"#);
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |line: &str| Answer::of(line.as_bytes());
        assert_eq!(of(r#"{"paritty":1,"team":"x"}"#), Answer::Header);
        let whole = Answer::Complete { position: 2, next: Some(5) };
        assert_eq!(of(r#"{"token_idx":2,"complete":true,"next":5}"#), whole);
        assert_eq!(of(r#"{"rewind":0}"#), Answer::Rewind(0));
        assert_eq!(of(r#"{"checkpoint":"embd","token_idx":0,"values":[1]}"#), Answer::Record);
        assert_eq!(of(r#"{"checkpoint":"embd","token_idx":0,"values":[NaN]}"#), Answer::Record);
        assert_eq!(of(r#"{"token_idx":0,"token":4}"#), Answer::Token);
        assert_eq!(of(r#"{"error":"no such file"}"#), Answer::Error("no such file".into()));
        for nonsense in ["", "hello", "[]", "{}", "null", r#"{"token_idx":-1,"complete":true}"#, "\u{1b}[2J"]
        {
            assert_eq!(of(nonsense), Answer::Nonsense, "{nonsense}");
        }
    }
}
