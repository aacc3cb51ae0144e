//! What can be changed of the candidate before it is computed anew.

use std::fmt;
use std::str::FromStr;

use super::Source;
use super::source::SourceError;
use crate::fault::{FaultError, Injection, Injections};
use crate::model::Checkpoint;
use crate::model::checkpoint::UnknownCheckpoint;
use crate::text::safe_short;

/// One change of the candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Another source computes it.
    Source(Source),
    /// Whether keys and values are kept in f16 (`true`) or f32.
    Kv16(bool),
    /// Threads that compute; 0 means one per core.
    Threads(usize),
    /// The mistakes that are made in it, in place of those before; none: it computes rightly.
    Faults(Injections),
    /// At this position, this checkpoint takes the reference's values, beside what was grafted
    /// before.
    Graft {
        /// Position.
        position: u32,
        /// Checkpoint.
        checkpoint: Checkpoint,
    },
    /// Back to how the session was started.
    Undo,
}

/// Every form that [`Change`] is written in, and what it means: for help, completion and errors.
pub const CHANGES: &[(&str, &str)] = &[
    ("engine SRC", "another source as candidate: cpu, cuda, oracle, cmd:PROGRAM …"),
    ("kv f16|f32", "the number format of the key-value cache"),
    ("threads N", "threads that compute (0: all)"),
    ("fault ID[@LAYER], …|none", "mistakes to make, in place of those before"),
    ("graft CHECKPOINT at N", "the reference's values at this cell"),
    ("undo", "back to how the session was started"),
];

/// A text that is no change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The first word is none of the known ones, or nothing follows it.
    #[error("`{0}` changes nothing; there are: {forms}", forms = forms())]
    Unknown(String),
    /// The word is known, what follows it is not.
    #[error("`{text}`: expected `{form}`")]
    Form {
        /// What was written.
        text: String,
        /// What it should be written like.
        form: &'static str,
    },
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] UnknownCheckpoint),
}

fn forms() -> String {
    CHANGES.iter().map(|(form, _)| *form).collect::<Vec<_>>().join(", ")
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let known = CHANGES.iter().map(|(form, _)| *form).find(|form| form.split(' ').next() == Some(word));
        let form = known.ok_or_else(|| ChangeError::Unknown(safe_short(word, 40)))?;
        let bad = || ChangeError::Form { text: safe_short(text, 60), form };
        match (word, rest) {
            ("undo", "") => Ok(Self::Undo),
            ("undo", _) | (_, "") => Err(bad()),
            ("engine", source) => Ok(Self::Source(source.parse()?)),
            ("kv", "f16") => Ok(Self::Kv16(true)),
            ("kv", "f32") => Ok(Self::Kv16(false)),
            ("threads", n) => n.parse().map(Self::Threads).map_err(|_| bad()),
            ("fault", "none") => Ok(Self::Faults(Injections::default())),
            ("fault", ids) => {
                let faults = ids.split(',').map(|id| id.trim().parse::<Injection>());
                Ok(Self::Faults(Injections::new(faults.collect::<Result<_, _>>()?)))
            }
            ("graft", cell) => {
                let (checkpoint, position) = cell.split_once(" at ").ok_or_else(bad)?;
                let position = position.trim().parse().map_err(|_| bad())?;
                let checkpoint = checkpoint.trim();
                let unknown = |_| UnknownCheckpoint(safe_short(checkpoint, 40));
                Ok(Self::Graft { position, checkpoint: checkpoint.parse().map_err(unknown)? })
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => write!(f, "engine {}", safe_short(&source.to_string(), 200)),
            Self::Kv16(true) => f.write_str("kv f16"),
            Self::Kv16(false) => f.write_str("kv f32"),
            Self::Threads(n) => write!(f, "threads {n}"),
            Self::Faults(faults) if faults.is_empty() => f.write_str("fault none"),
            Self::Faults(faults) => write!(f, "fault {faults}"),
            Self::Graft { position, checkpoint } => write!(f, "graft {checkpoint} at {position}"),
            Self::Undo => f.write_str("undo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_back() {
        for text in [
            "engine oracle",
            "engine cuda:1",
            "engine runs/cand.jsonl",
            "engine cmd:python3 engine.py",
            "kv f16",
            "kv f32",
            "threads 2",
            "fault rope-pairing@2, norm-epsilon",
            "fault none",
            "graft Qcur_rope-3 at 7",
            "undo",
        ] {
            let change: Change = text.parse().unwrap();
            assert_eq!(change.to_string(), text);
            assert_eq!(change, format!(" {text}  ").parse().unwrap());
        }
    }

    #[test]
    fn what_is_no_change_says_what_there_is() {
        for (text, said) in [
            ("", "engine SRC"),
            ("motor cpu", "`motor` changes nothing; there are: engine SRC"),
            ("engine", "expected `engine SRC`"),
            ("engine cuda:x", "cuda:N"),
            ("kv f8", "expected `kv f16|f32`"),
            ("threads all", "expected `threads N`"),
            ("fault rope", "rope-pairing"),
            ("fault norm-epsilon@x", "LAYER a number"),
            ("graft Qcur-1", "expected `graft CHECKPOINT at N`"),
            ("graft nonsense at 1", "`nonsense` is not a checkpoint"),
            ("graft Qcur-1 at -1", "expected `graft CHECKPOINT at N`"),
            ("undo it", "expected `undo`"),
        ] {
            let error = text.parse::<Change>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
