//! SentencePiece vocabularies (`tokenizer.ggml.model` = `llama`): the pair whose union has the highest
//! score is joined first; what is in no token is written as bytes.

use std::cmp::{Ordering, Reverse};

use super::merge::merge;
use super::vocab::{DefaultIds, Vocab};
use crate::gguf::{Gguf, GgufError};

/// How such vocabularies write a space.
const SPACE: char = '▁';

pub(super) const DEFAULT_IDS: DefaultIds = DefaultIds { bos: Some(1), eos: Some(2), unk: Some(0) };

#[derive(Debug)]
pub(super) struct Spm {
    /// Whether a space is put before the text and after each special token.
    add_space_prefix: bool,
}

/// A score that can be ordered; one that is not a number is equal to all.
struct Score(f32);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

impl Spm {
    pub(super) fn load(gguf: &Gguf) -> Result<Self, GgufError> {
        Ok(Self { add_space_prefix: gguf.opt_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) })
    }

    pub(super) fn encode(&self, vocab: &Vocab, text: &str, after_special: bool, out: &mut Vec<u32>) {
        let mut escaped = String::with_capacity(text.len() + text.len() / 2);
        if self.add_space_prefix && after_special {
            escaped.push(SPACE);
        }
        escaped.extend(text.chars().map(|c| if c == ' ' { SPACE } else { c }));
        let rank = |_, both: std::ops::Range<usize>| {
            // Longer than any token, so in none: this keeps a long run of one token from taking n² steps.
            if both.len() > vocab.longest {
                return None;
            }
            let id = vocab.find(&escaped.as_bytes()[both])?;
            Some(Reverse(Score(vocab.score(id))))
        };
        for range in merge(&escaped, rank) {
            let text = &escaped.as_bytes()[range];
            match vocab.find(text) {
                Some(id) => out.push(id),
                None => out.extend(text.iter().filter_map(|&byte| byte_token(vocab, byte))),
            }
        }
    }
}

fn byte_token(vocab: &Vocab, byte: u8) -> Option<u32> {
    vocab.find(format!("<0x{byte:02X}>").as_bytes()).or_else(|| vocab.find(&[byte])).or(vocab.unk)
}

/// `text`, which need not be UTF-8, with spaces for [`SPACE`].
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.extend(chunk.valid().replace(SPACE, " ").as_bytes());
        out.extend(chunk.invalid());
    }
    out
}
