//! Token ids and texts, as far as the model's vocabulary gives them.

use crate::gguf::Gguf;
use crate::tokenizer::{Options, Tokenizer, TokenizerError};

/// The vocabulary of the session's model. A model without one, or with one that paritty cannot
/// read, shows ids and takes no text.
pub struct Words(Result<Tokenizer, TokenizerError>);

impl Words {
    /// Reads the vocabulary.
    pub fn new(gguf: &Gguf) -> Self {
        Self(Tokenizer::from_gguf(gguf))
    }

    /// A token's text, if the vocabulary has it.
    pub fn piece(&self, id: u32) -> Option<String> {
        let tokenizer = self.0.as_ref().ok()?;
        ((id as usize) < tokenizer.n_vocab()).then(|| tokenizer.piece_text(id))
    }

    /// Whether a token ends the text.
    pub fn ends_text(&self, id: u32) -> bool {
        self.0.as_ref().is_ok_and(|tokenizer| tokenizer.is_eog(id))
    }

    /// The ids of a text, with the tokens that the file says begin one.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        match &self.0 {
            Ok(tokenizer) => Ok(tokenizer.encode(text, Options { add_bos: None, parse_special: true })),
            Err(error) => Err(format!("{error}; give --tokens instead of --prompt")),
        }
    }
}
