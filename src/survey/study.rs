//! What the original study published, to be held against what is measured here.
//!
//! The study rated llama.cpp's logged logits by the share of tokens whose row held implausible
//! values. Its six rates are taken from its table; its models are named as it names them. Its logger
//! flushed from an `atexit` handler after the destructor of its buffers had run, so it printed freed
//! memory: the rates are those of heap pointers that look implausible as floats, which depend on where
//! the heap lay and not on the model.

use serde::{Deserialize, Serialize};

/// One row of the study's table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The model and its precision, as the study names them.
    pub model: &'static str,
    /// `general.architecture` of such a file.
    arch: &'static str,
    /// Kind of its vocabulary: `tokenizer.ggml.model`.
    vocabulary: &'static str,
    /// Weight type of most of its parameters.
    weights: &'static str,
    /// The published garbage rate, 0 to 1.
    pub garbage: f64,
}

/// The study's table.
pub static ROWS: &[Row] = &[
    Row {
        model: "TinyLlama 1.1B Q4_K_M",
        arch: "llama",
        vocabulary: "llama",
        weights: "Q4_K",
        garbage: 0.20,
    },
    Row { model: "Llama-3-8B Q4_K_M", arch: "llama", vocabulary: "gpt2", weights: "Q4_K", garbage: 0.20 },
    Row { model: "Qwen2.5-0.5B Q4_K_M", arch: "qwen2", vocabulary: "gpt2", weights: "Q4_K", garbage: 0.73 },
    Row { model: "Qwen2.5-0.5B FP16", arch: "qwen2", vocabulary: "gpt2", weights: "F16", garbage: 0.0 },
    Row { model: "Phi-3-mini Q4", arch: "phi3", vocabulary: "llama", weights: "Q4_K", garbage: 0.06 },
    Row { model: "GPT-2 124M FP32", arch: "gpt2", vocabulary: "gpt2", weights: "F32", garbage: 0.28 },
];

/// What decides to which row of the study a model belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// `general.architecture`.
    pub arch: String,
    /// `tokenizer.ggml.model`.
    pub vocabulary: String,
    /// Weight type of most parameters.
    pub weights: String,
}

/// The study's row for models of this kind: same architecture, kind of vocabulary and weight type.
pub fn row(kind: &Kind) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        (row.arch, row.vocabulary, row.weights) == (&*kind.arch, &*kind.vocabulary, &*kind.weights)
    })
}

/// Why the published rates are no property of the models.
pub const EXPLANATION: &str = "The published rates came from the study's logger, not from the models: it printed \
    its rows from memory that had been freed, into which the allocator had written pointers. How many of them look \
    implausible as numbers depends on where the heap lay. A trace whose values are written when they are computed \
    shows none.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_own_kind_alone() {
        for row in ROWS {
            let kind = Kind {
                arch: row.arch.into(),
                vocabulary: row.vocabulary.into(),
                weights: row.weights.into(),
            };
            assert_eq!(super::row(&kind), Some(row));
            assert!((0.0..=1.0).contains(&row.garbage));
        }
        assert_eq!(
            row(&Kind { arch: "llama".into(), vocabulary: "llama".into(), weights: "F16".into() }),
            None
        );
    }
}
