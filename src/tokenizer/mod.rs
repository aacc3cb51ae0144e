//! Text to token ids and back, from the vocabulary in a model file, with llama.cpp's ids.

mod bpe;
mod bytes;
mod merge;
mod pre;
mod special;
mod spm;
mod vocab;

use crate::gguf::{Gguf, GgufError};
use special::Fragment;
use vocab::{Attr, Vocab};

/// Why a file's vocabulary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A key of the file is missing, malformed or names something unknown.
    #[error(transparent)]
    File(#[from] GgufError),
}

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the sequence begins with the BOS token; `None` is what the file asks for. With
    /// `Some(false)` an EOS that the file may ask for is left out as well.
    pub add_bos: Option<bool>,
    /// Whether the text of control tokens (`<s>`, `<|im_end|>` …) becomes those tokens.
    pub parse_special: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { add_bos: None, parse_special: true }
    }
}

/// A kind of vocabulary: turns text without special tokens into ids.
#[derive(Debug)]
enum Kind {
    Spm(spm::Spm),
    Bpe(bpe::Bpe),
}

/// The tokenizer of one model.
#[derive(Debug)]
pub struct Tokenizer {
    vocab: Vocab,
    kind: Kind,
    add_bos: bool,
    add_eos: bool,
}

impl Tokenizer {
    /// Reads the vocabulary of a file; one without weights is enough.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        let key = "tokenizer.ggml.model";
        let model = gguf.get_str(key)?;
        let (vocab, kind, add_bos) = match model {
            "llama" => (vocabulary(gguf, &spm::DEFAULT_IDS)?, Kind::Spm(spm::Spm::load(gguf)?), true),
            "gpt2" => {
                let bpe = bpe::Bpe::load(gguf)?;
                let add_bos = bpe.add_bos();
                (vocabulary(gguf, &bpe::DEFAULT_IDS)?, Kind::Bpe(bpe), add_bos)
            }
            other => {
                let name = crate::text::safe_short(other, 40);
                return Err(gguf
                    .key_error(key, format!("is `{name}`; vocabularies of kind `llama` and `gpt2` are read"))
                    .into());
            }
        };
        Ok(Self {
            vocab,
            kind,
            add_bos: gguf.opt_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(add_bos),
            add_eos: gguf.opt_bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false),
        })
    }

    /// The ids of `text`.
    pub fn encode(&self, text: &str, options: Options) -> Vec<u32> {
        let mut out = Vec::new();
        if options.add_bos.unwrap_or(self.add_bos) {
            out.extend(self.bos());
        }
        let mut after_special = true;
        for fragment in special::split(&self.vocab, text, options.parse_special) {
            match fragment {
                Fragment::Token(id) => out.push(id),
                Fragment::Text(text) => match &self.kind {
                    Kind::Spm(spm) => spm.encode(&self.vocab, text, after_special, &mut out),
                    Kind::Bpe(bpe) => bpe.encode(&self.vocab, text, &mut out),
                },
            }
            after_special = matches!(fragment, Fragment::Token(_));
        }
        if self.add_eos && options.add_bos != Some(false) {
            out.extend(self.eos());
        }
        out
    }

    /// The bytes that a token stands for; special tokens stand for their names. Empty for an id
    /// outside the vocabulary. One token need not be whole characters.
    pub fn piece(&self, id: u32) -> Vec<u8> {
        if id as usize >= self.n_vocab() {
            return Vec::new();
        }
        let attr = self.vocab.attr(id);
        if attr.is(Attr::UNKNOWN.or(Attr::CONTROL).or(Attr::USER_DEFINED)) {
            self.vocab.text(id).to_vec()
        } else if attr.is(Attr::NORMAL) {
            match &self.kind {
                Kind::Spm(_) => spm::unescape(self.vocab.text(id)),
                Kind::Bpe(_) => bpe::unescape(self.vocab.text(id)),
            }
        } else if attr.is(Attr::BYTE) {
            vec![self.vocab.byte(id)]
        } else {
            Vec::new()
        }
    }

    /// [`Tokenizer::piece`] as text, with U+FFFD for what is not UTF-8.
    pub fn piece_text(&self, id: u32) -> String {
        String::from_utf8_lossy(&self.piece(id)).into_owned()
    }

    /// The pieces of `ids`, one after the other. Nothing is stripped: for vocabularies that put a
    /// space before the first word, it is there.
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|&id| self.piece(id)).collect()
    }

    /// Number of tokens.
    pub fn n_vocab(&self) -> usize {
        self.vocab.len()
    }

    /// The token that begins a sequence.
    pub fn bos(&self) -> Option<u32> {
        self.vocab.bos
    }

    /// The token that ends a sequence.
    pub fn eos(&self) -> Option<u32> {
        self.vocab.eos
    }

    /// Whether a token ends generation: EOS, end of turn and the like.
    pub fn is_eog(&self, id: u32) -> bool {
        self.vocab.eog.contains(&id)
    }
}

/// The file's list of tokens, with its special ones marked.
fn vocabulary(gguf: &Gguf, defaults: &vocab::DefaultIds) -> Result<Vocab, GgufError> {
    let mut vocab = Vocab::load(gguf, defaults)?;
    special::mark(&mut vocab, gguf)?;
    Ok(vocab)
}
