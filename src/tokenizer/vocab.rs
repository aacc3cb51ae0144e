//! The list of tokens: texts, scores, kinds, and which of them are special.

use std::collections::{BTreeSet, HashMap};

use crate::gguf::{Gguf, GgufError};

/// What a token is. A token may be of several kinds, because some get one by their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attr(u8);

impl Attr {
    pub(super) const UNKNOWN: Self = Self(1);
    pub(super) const NORMAL: Self = Self(2);
    pub(super) const CONTROL: Self = Self(4);
    pub(super) const USER_DEFINED: Self = Self(8);
    pub(super) const BYTE: Self = Self(16);
    /// Unused or undefined: such a token stands for nothing.
    const NOTHING: Self = Self(0);
    /// White space after it is dropped.
    pub(super) const STRIPS_RIGHT: Self = Self(32);

    /// From the number in `tokenizer.ggml.token_type`.
    fn from_file(number: i32) -> Self {
        match number {
            1 => Self::NORMAL,
            2 => Self::UNKNOWN,
            3 => Self::CONTROL,
            4 => Self::USER_DEFINED,
            6 => Self::BYTE,
            _ => Self::NOTHING,
        }
    }

    pub(super) fn is(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Ids that special tokens have when the file does not say.
pub(super) struct DefaultIds {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) unk: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Vocab {
    /// All texts, one after the other, and where each ends.
    texts: Vec<u8>,
    ends: Vec<usize>,
    index: HashMap<Box<[u8]>, u32>,
    scores: Vec<f32>,
    attrs: Vec<Attr>,
    /// Length of the longest text in bytes.
    pub(super) longest: usize,
    /// Tokens that are looked for in a text before it is encoded, longest text first.
    pub(super) special: Vec<u32>,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) unk: Option<u32>,
    pub(super) eog: BTreeSet<u32>,
}

impl Vocab {
    pub(super) fn load(gguf: &Gguf, defaults: &DefaultIds) -> Result<Self, GgufError> {
        let key = "tokenizer.ggml.tokens";
        let strings = gguf.get_strs(key)?;
        let n = strings.len();
        if n == 0 {
            return Err(gguf.key_error(key, "is empty; a model needs a vocabulary"));
        }
        let mut vocab = Self {
            texts: Vec::new(),
            ends: Vec::with_capacity(n),
            index: HashMap::with_capacity(n),
            scores: gguf.opt_f32s("tokenizer.ggml.scores")?.unwrap_or_else(|| vec![0.0; n]),
            attrs: gguf.opt_i32s("tokenizer.ggml.token_type")?.map_or_else(
                || vec![Attr::NORMAL; n],
                |types| types.into_iter().map(Attr::from_file).collect(),
            ),
            longest: 0,
            special: Vec::new(),
            bos: None,
            eos: None,
            unk: None,
            eog: BTreeSet::new(),
        };
        let lists =
            [("tokenizer.ggml.scores", vocab.scores.len()), ("tokenizer.ggml.token_type", vocab.attrs.len())];
        for (key, len) in lists {
            if len < n {
                return Err(
                    gguf.key_error(key, format!("has {len} entries for {n} tokens: the file is damaged"))
                );
            }
        }
        for (id, text) in strings.enumerate() {
            vocab.push(id, text).map_err(|problem| gguf.key_error(key, problem))?;
        }
        let id = |key: &str, default: Option<u32>| {
            let known = |id: &u32| (*id as usize) < n;
            // llama.cpp, too, passes over an id that the vocabulary does not have.
            Ok::<_, GgufError>(gguf.opt_u32(key)?.filter(known).or(default.filter(known)))
        };
        vocab.bos = id("tokenizer.ggml.bos_token_id", defaults.bos)?;
        vocab.eos = id("tokenizer.ggml.eos_token_id", defaults.eos)?;
        vocab.unk = id("tokenizer.ggml.unknown_token_id", defaults.unk)?;
        Ok(vocab)
    }

    fn push(&mut self, id: usize, text: &[u8]) -> Result<(), String> {
        let replacement;
        let text = if text.is_empty() {
            replacement = format!("[EMPTY_{id}]");
            replacement.as_bytes()
        } else {
            text
        };
        self.texts.extend(text);
        self.ends.push(self.texts.len());
        self.longest = self.longest.max(text.len());
        match self.index.insert(text.into(), id as u32) {
            None => Ok(()),
            Some(first) => Err(format!(
                "tokens {first} and {id} are both `{}`: convert the model again",
                crate::text::safe_short(&String::from_utf8_lossy(text), 40)
            )),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a token that exists.
    pub(super) fn text(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.texts[start..self.ends[id]]
    }

    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        self.index.get(text).copied()
    }

    pub(super) fn score(&self, id: u32) -> f32 {
        self.scores[id as usize]
    }

    pub(super) fn attr(&self, id: u32) -> Attr {
        self.attrs[id as usize]
    }

    pub(super) fn set_attr(&mut self, id: u32, attr: Attr) {
        self.attrs[id as usize] = attr;
    }

    /// The byte that a token of kind [`Attr::BYTE`] (`<0x0A>`) stands for.
    pub(super) fn byte(&self, id: u32) -> u8 {
        let hex = self.text(id).get(3..5).and_then(|hex| std::str::from_utf8(hex).ok());
        hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0)
    }
}
