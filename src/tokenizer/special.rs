//! Special tokens: which they are, and where they occur in a text. Some files leave it to the reader to
//! know a token by its text; the texts below are those that llama.cpp knows.

use super::vocab::{Attr, Vocab};
use crate::gguf::{Gguf, GgufError};

/// Texts of tokens that end generation and are control tokens whatever the file says.
const END_OF_GENERATION: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Keys that name a token which ends generation.
const END_KEYS: &[&str] = &["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/// A token for filling in the middle of a text: the keys that name it (the later one wins), the texts
/// it is known by where no key does, and whether it ends generation.
struct Infill {
    keys: &'static [&'static str],
    texts: &'static [&'static str],
    ends: bool,
}

const INFILL: &[Infill] = &[
    Infill {
        keys: &["tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"],
        texts: &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        ends: false,
    },
    Infill {
        keys: &["tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"],
        texts: &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        ends: false,
    },
    Infill {
        keys: &["tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"],
        texts: &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        ends: false,
    },
    Infill {
        keys: &["tokenizer.ggml.fim_pad_token_id"],
        texts: &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
        ends: true,
    },
    Infill {
        keys: &["tokenizer.ggml.fim_rep_token_id"],
        texts: &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
        ends: true,
    },
    Infill { keys: &["tokenizer.ggml.fim_sep_token_id"], texts: &["<|file_sep|>"], ends: true },
];

/// Texts of tokens that are shown and looked for whatever the file says.
const ALWAYS_SHOWN: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// Completes a vocabulary whose texts and kinds are read.
pub(super) fn mark(vocab: &mut Vocab, gguf: &Gguf) -> Result<(), GgufError> {
    let n = vocab.len();
    let named = |keys: &[&str]| -> Result<Option<u32>, GgufError> {
        let mut id = None;
        for key in keys {
            id = gguf.opt_u32(key)?.filter(|&id| (id as usize) < n).or(id);
        }
        Ok(id)
    };
    let control = |vocab: &mut Vocab, id| vocab.set_attr(id, vocab.attr(id).or(Attr::CONTROL));
    for infill in INFILL {
        let mut id = named(infill.keys)?;
        if id.is_none() {
            id = infill.texts.iter().find_map(|text| vocab.find(text.as_bytes()));
            if let Some(id) = id {
                control(vocab, id);
            }
        }
        if infill.ends {
            vocab.eog.extend(id);
        }
    }
    for text in END_OF_GENERATION {
        if let Some(id) = vocab.find(text.as_bytes()) {
            control(vocab, id);
            vocab.eog.insert(id);
        }
    }
    for text in ALWAYS_SHOWN {
        if let Some(id) = vocab.find(text.as_bytes()) {
            vocab.set_attr(id, Attr::USER_DEFINED);
        }
    }
    vocab.eog.extend(vocab.eos);
    for key in END_KEYS {
        vocab.eog.extend(named(&[key])?);
    }

    let special = Attr::CONTROL.or(Attr::USER_DEFINED).or(Attr::UNKNOWN);
    let mut ids: Vec<u32> = (0..n as u32).filter(|&id| vocab.attr(id).is(special)).collect();
    ids.sort_by_key(|&id| std::cmp::Reverse(vocab.text(id).len()));
    let name = gguf.opt_str("general.name")?.unwrap_or_default().to_ascii_lowercase();
    if name.contains("phi-3") || name.contains("phi3") {
        let kept = ["<unk>", "<s>", "<|endoftext|>"];
        let stripping = ids.iter().copied().chain(vocab.find(b"</s>"));
        for id in stripping.collect::<Vec<_>>() {
            if !kept.iter().any(|text| text.as_bytes() == vocab.text(id)) {
                vocab.set_attr(id, vocab.attr(id).or(Attr::STRIPS_RIGHT));
            }
        }
    }
    vocab.special = ids;
    Ok(())
}

/// A piece of a text to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragment<'a> {
    Token(u32),
    Text(&'a str),
}

/// Cuts special tokens out of `text`, those with the longest texts first wherever they are.
/// Control and unknown tokens only with `parse_special`, user-defined ones always.
pub(super) fn split<'a>(vocab: &Vocab, text: &'a str, parse_special: bool) -> Vec<Fragment<'a>> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut fragments = vec![Fragment::Text(text)];
    for &id in &vocab.special {
        let attr = vocab.attr(id);
        if !parse_special && attr.is(Attr::CONTROL.or(Attr::UNKNOWN)) {
            continue;
        }
        // A token that is not UTF-8 does not occur in a text that is.
        let Ok(name) = std::str::from_utf8(vocab.text(id)) else { continue };
        let occurs = |f: &Fragment<'_>| matches!(f, Fragment::Text(text) if text.contains(name));
        if !fragments.iter().any(occurs) {
            continue;
        }
        let mut cut = Vec::with_capacity(fragments.len() + 2);
        for fragment in fragments {
            match fragment {
                Fragment::Text(text) => cut_out(text, name, id, attr, &mut cut),
                token @ Fragment::Token(_) => cut.push(token),
            }
        }
        fragments = cut;
    }
    fragments
}

fn cut_out<'a>(mut rest: &'a str, name: &str, id: u32, attr: Attr, out: &mut Vec<Fragment<'a>>) {
    while let Some((before, after)) = rest.split_once(name) {
        if !before.is_empty() {
            out.push(Fragment::Text(before));
        }
        out.push(Fragment::Token(id));
        rest = if attr.is(Attr::STRIPS_RIGHT) {
            // What C's isspace takes for white space.
            after.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
        } else {
            after
        };
    }
    if !rest.is_empty() {
        out.push(Fragment::Text(rest));
    }
}
