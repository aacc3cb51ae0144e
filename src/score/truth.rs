//! What is known to be wrong with a candidate.

use std::collections::BTreeSet;

use crate::model::Checkpoint;

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// Nothing.
    Clean,
    /// Operations of the engine.
    Engine {
        /// The fault's id.
        mistake: String,
        /// The operations that were changed.
        nodes: BTreeSet<Checkpoint>,
    },
    /// What was recorded is not what was computed.
    Recorder {
        /// The fault's id.
        mistake: String,
        /// Checkpoints whose records are wrong.
        nodes: BTreeSet<Checkpoint>,
    },
    /// The tokens.
    Tokens {
        /// The fault's id.
        mistake: String,
    },
    /// The weights that were used are not the file's.
    Weights,
}

impl Truth {
    /// The name of the mistake.
    pub fn mistake(&self) -> Option<&str> {
        match self {
            Self::Clean => None,
            Self::Engine { mistake, .. } | Self::Recorder { mistake, .. } | Self::Tokens { mistake } => {
                Some(mistake)
            }
            Self::Weights => Some("weights-differ"),
        }
    }

    /// The class of garbage that names a recorder's mistake, where it leaves garbage.
    pub fn garbage(&self) -> Option<&'static str> {
        let Self::Recorder { mistake, .. } = self else { return None };
        Some(match mistake.as_str() {
            "freed-memory" => "heap-pointer",
            "stale-dump" | "logits-of-another" | "residual-in-parts" | "logged-before-norm" => "stale",
            "ten-values" => "truncated",
            "padded-logits" => "padded-vocabulary",
            _ => return None,
        })
    }
}
