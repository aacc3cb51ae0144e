//! `paritty tokenize`: text to token ids and back, one JSON line for each input.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::gguf::Gguf;
use crate::text::safe_json;
use crate::tokenizer::{Options, Tokenizer};

/// Print the token ids and pieces of a text, or the text of token ids
#[derive(Debug, Args)]
pub struct TokenizeArgs {
    /// Model file (GGUF); one with a vocabulary and no weights is enough
    model: PathBuf,
    /// Text to encode, or with --decode the ids; `-` or nothing reads stdin, one input a line
    #[arg(allow_hyphen_values = true)]
    text: Option<String>,
    /// Do not begin with the BOS token, nor end with EOS, where the model asks for it
    #[arg(long)]
    no_bos: bool,
    /// Take the names of control tokens, such as `</s>`, as plain text
    #[arg(long)]
    no_special: bool,
    /// From ids to text: numbers with spaces or commas between them, or a line that this command printed
    #[arg(long)]
    decode: bool,
}

/// One line of output.
#[derive(Serialize)]
struct Line {
    ids: Vec<u32>,
    /// The text of each; U+FFFD where a token is not whole characters.
    pieces: Vec<String>,
    /// All of them together, when decoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl TokenizeArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let tokenizer = Tokenizer::from_gguf(&Gguf::open(&self.model)?)?;
        let mut out = io::stdout().lock();
        match self.text.as_deref() {
            None | Some("-") => {
                for (i, line) in io::stdin().lock().split(b'\n').enumerate() {
                    let place = || format!("stdin, line {}", i + 1);
                    let line = String::from_utf8(line.with_context(place)?)
                        .map_err(|_| anyhow::anyhow!("is not UTF-8"))
                        .with_context(place)?;
                    self.answer(&tokenizer, &line, &mut out).with_context(place)?;
                }
            }
            Some(text) => self.answer(&tokenizer, text, &mut out)?,
        }
        Ok(Outcome::Ok)
    }

    fn answer(&self, tokenizer: &Tokenizer, input: &str, out: &mut impl Write) -> anyhow::Result<()> {
        let ids = if self.decode {
            parse_ids(input, tokenizer.n_vocab())?
        } else {
            let options = Options { add_bos: self.no_bos.then_some(false), parse_special: !self.no_special };
            tokenizer.encode(input, options)
        };
        let pieces = ids.iter().map(|&id| tokenizer.piece_text(id)).collect();
        let text = self.decode.then(|| String::from_utf8_lossy(&tokenizer.decode(&ids)).into_owned());
        let json = serde_json::to_string(&Line { ids, pieces, text })?;
        writeln!(out, "{}", safe_json(&json))?;
        // So that a program at the other end of two pipes can ask line by line.
        out.flush()?;
        Ok(())
    }
}

/// The ids in `input`, all below `n_vocab`.
fn parse_ids(input: &str, n_vocab: usize) -> anyhow::Result<Vec<u32>> {
    #[derive(Deserialize)]
    struct Printed {
        ids: Vec<u32>,
    }
    let input = input.trim();
    let ids = if input.starts_with('{') {
        serde_json::from_str::<Printed>(input)
            .context("a line that starts with `{` must be JSON with `ids`")?
            .ids
    } else {
        let list = input.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(input);
        let words = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        words
            .map(|word| {
                word.parse().with_context(|| format!("`{word}` is no token id; numbers were expected"))
            })
            .collect::<Result<_, _>>()?
    };
    if let Some(id) = ids.iter().find(|&&id| id as usize >= n_vocab) {
        bail!("token id {id} is not in the vocabulary, which ends at {}", n_vocab - 1);
    }
    Ok(ids)
}
