//! Token ids and texts, as far as the model's vocabulary gives them.

use crate::gguf::Gguf;

/// The vocabulary of the session's model.
pub struct Words {
    pieces: Vec<String>,
}

impl Words {
    /// Reads the vocabulary. A model without one (or with one that paritty cannot read) shows ids.
    pub fn new(gguf: &Gguf) -> Self {
        let pieces = gguf
            .opt_strs("tokenizer.ggml.tokens")
            .ok()
            .flatten()
            .map(|tokens| tokens.map(|t| String::from_utf8_lossy(t).replace('▁', " ")).collect())
            .unwrap_or_default();
        Self { pieces }
    }

    /// A token's text, if the vocabulary has it.
    pub fn piece(&self, id: u32) -> Option<String> {
        self.pieces.get(id as usize).cloned()
    }

    /// The ids of a text.
    pub fn encode(&self, _text: &str) -> Result<Vec<u32>, String> {
        Err("the tokenizer is not wired yet".into())
    }
}
