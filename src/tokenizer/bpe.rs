//! Byte-level BPE vocabularies (`tokenizer.ggml.model` = `gpt2`): text is cut into words, each word is
//! written in GPT-2's alphabet, and pairs are joined in the order of the list of merges.

use std::collections::HashMap;
use std::ops::Range;

use super::bytes;
use super::merge::merge;
use super::pre::PreTokenizer;
use super::vocab::{DefaultIds, Vocab};
use crate::gguf::{Gguf, GgufError};

pub(super) const DEFAULT_IDS: DefaultIds = DefaultIds { bos: Some(11), eos: Some(11), unk: None };

#[derive(Debug)]
pub(super) struct Bpe {
    pre: PreTokenizer,
    /// Rank of each merge, by its text in the file: left part, space, right part.
    ranks: HashMap<Box<[u8]>, u32>,
    /// Length of the longest of these texts.
    longest: usize,
}

impl Bpe {
    pub(super) fn load(gguf: &Gguf) -> Result<Self, GgufError> {
        let pre = PreTokenizer::load(gguf)?;
        let merges = gguf.get_strs("tokenizer.ggml.merges")?;
        let mut ranks = HashMap::with_capacity(merges.len());
        let mut longest = 0;
        for (rank, merge) in merges.enumerate() {
            longest = longest.max(merge.len());
            ranks.entry(merge.into()).or_insert(rank as u32);
        }
        Ok(Self { pre, ranks, longest })
    }

    /// Whether such vocabularies begin a sequence with BOS where the file does not say.
    pub(super) fn add_bos(&self) -> bool {
        self.pre.add_bos
    }

    pub(super) fn encode(&self, vocab: &Vocab, text: &str, out: &mut Vec<u32>) {
        for word in self.pre.split(text) {
            let word = bytes::encode(word);
            match vocab.find(word.as_bytes()) {
                Some(id) if self.pre.whole_words => out.push(id),
                _ => self.encode_word(vocab, &word, out),
            }
        }
    }

    fn encode_word(&self, vocab: &Vocab, word: &str, out: &mut Vec<u32>) {
        let rank = |middle: usize, both: Range<usize>| {
            // Longer than any merge: this keeps a long run of one letter from taking n² steps.
            if both.len() + 1 > self.longest {
                return None;
            }
            let (left, right) = (&word[both.start..middle], &word[middle..both.end]);
            self.ranks.get([left, " ", right].concat().as_bytes()).copied()
        };
        for range in merge(word, rank) {
            let text = &word.as_bytes()[range];
            match vocab.find(text) {
                Some(id) => out.push(id),
                // As llama.cpp has it: byte by byte, and what is no token is left out.
                None => out.extend(text.iter().filter_map(|&byte| vocab.find(&[byte]))),
            }
        }
    }
}

/// The bytes that `text` stands for. A character outside the alphabet shows as llama.cpp shows it.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        if let Some(byte) = bytes::decode(c) {
            out.push(byte);
        } else {
            out.extend(b"[UNK_BYTE_0x");
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.extend(format!("{byte:02x}").as_bytes());
            }
            out.extend(text);
            out.push(b']');
        }
    }
    out
}
