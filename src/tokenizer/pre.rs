//! Cutting text into words before pairs are joined.
//!
//! The rules are regular expressions that their models publish. Those use a look-ahead, `\s+(?!\S)`,
//! to leave the last white space of a run to the word that follows; here the run is matched whole
//! and its last character given back, so that matching takes linear time on any text.

use regex::Regex;

use crate::gguf::{Gguf, GgufError};

/// GPT-2's rule.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// Llama 3's rule: numbers in groups of three, line ends apart.
const LLAMA3: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";

/// Qwen 2's rule: as Llama 3's, digits one by one.
const QWEN2: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";

/// One digit, or number-like character, at a time.
const DIGIT: &str = r"\p{N}";

/// What a name in `tokenizer.ggml.pre` means.
struct Rule {
    names: &'static [&'static str],
    /// Each cuts what the one before it left.
    patterns: &'static [&'static str],
    /// A word that is a token is that token, whatever the merges say.
    whole_words: bool,
    add_bos: bool,
}

const RULES: &[Rule] = &[
    Rule {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "jais",
            "trillion",
        ],
        patterns: &[GPT2],
        whole_words: false,
        add_bos: false,
    },
    Rule {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        patterns: &[LLAMA3],
        whole_words: true,
        add_bos: true,
    },
    Rule {
        names: &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan"],
        patterns: &[QWEN2],
        whole_words: false,
        add_bos: false,
    },
    Rule {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
        patterns: &[DIGIT, GPT2],
        whole_words: false,
        add_bos: false,
    },
    // Also what a file without the key means.
    Rule {
        names: &["default"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        whole_words: false,
        add_bos: false,
    },
];

#[derive(Debug)]
pub(super) struct PreTokenizer {
    patterns: Vec<Pattern>,
    pub(super) whole_words: bool,
    pub(super) add_bos: bool,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    /// Whether white space up to a line end is a word of its own, and is never given back.
    line_ends: bool,
}

impl PreTokenizer {
    pub(super) fn load(gguf: &Gguf) -> Result<Self, GgufError> {
        let key = "tokenizer.ggml.pre";
        let name = gguf.opt_str(key)?.unwrap_or("default");
        let Some(rule) = RULES.iter().find(|rule| rule.names.contains(&name)) else {
            let known: Vec<_> = RULES.iter().flat_map(|rule| rule.names).copied().collect();
            return Err(gguf.key_error(
                key,
                format!(
                    "is `{}`, which this version of paritty does not know; it knows {}",
                    crate::text::safe_short(name, 40),
                    known.join(", ")
                ),
            ));
        };
        let patterns = rule
            .patterns
            .iter()
            .map(|pattern| Pattern::new(pattern))
            .collect::<Result<_, _>>()
            .map_err(|error| gguf.key_error(key, error.to_string()))?;
        Ok(Self { patterns, whole_words: rule.whole_words, add_bos: rule.add_bos })
    }

    /// The words of `text`; together they are `text`.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut words = vec![text];
        for pattern in &self.patterns {
            let mut cut = Vec::with_capacity(words.len());
            for word in words {
                pattern.cut(word, &mut cut);
            }
            words = cut;
        }
        words
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, regex::Error> {
        // llama.cpp's tables are Unicode 15.1's; younger letters and digits are neither to it.
        let classes = ["L", "N", "P"].map(|class| format!(r"\p{{{class}}}"));
        let dated = classes.iter().fold(pattern.to_owned(), |pattern, class| {
            pattern.replace(class.as_str(), &format!(r"[{class}&&\p{{Age=15.1}}]"))
        });
        Ok(Self { regex: Regex::new(&dated)?, line_ends: pattern.contains(r"\s*[\r\n]+") })
    }

    fn cut<'a>(&self, text: &'a str, out: &mut Vec<&'a str>) {
        let mut at = 0;
        while let Some(found) = self.regex.find_at(text, at) {
            let end = self.end(found.as_str(), found.end(), text.len());
            // What no rule matches is a word of its own.
            out.extend(
                [&text[at..found.start()], &text[found.start()..end]].iter().filter(|w| !w.is_empty()),
            );
            at = end;
        }
        if at < text.len() {
            out.push(&text[at..]);
        }
    }

    /// Where a match ends once white space before a word is given back.
    fn end(&self, found: &str, end: usize, text_end: usize) -> usize {
        let mut backwards = found.chars().rev();
        let (last, before) = (backwards.next(), backwards.next());
        let space = end < text_end && before.is_some() && found.chars().all(char::is_whitespace);
        match last {
            Some(last) if space && !(self.line_ends && matches!(last, '\r' | '\n')) => end - last.len_utf8(),
            _ => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
        let pattern = Pattern::new(pattern).unwrap();
        let mut out = Vec::new();
        pattern.cut(text, &mut out);
        out
    }

    #[test]
    fn gpt2_gives_the_last_space_to_the_word() {
        assert_eq!(
            words(GPT2, "I'll  go\n\nthere 12345!? "),
            ["I", "'ll", " ", " go", "\n", "\n", "there", " 12345", "!?", " "]
        );
        assert_eq!(words(GPT2, "   "), ["   "]);
        assert_eq!(words(GPT2, "\u{3000}\u{3000}\u{3000}x"), ["\u{3000}\u{3000}", "\u{3000}", "x"]);
    }

    #[test]
    fn llama3_keeps_line_ends_together() {
        assert_eq!(
            words(LLAMA3, "I'LL  go\n\nthere 12345!?\n x  \n  y"),
            ["I", "'LL", " ", " go", "\n\n", "there", " ", "123", "45", "!?\n", " x", "  \n", " ", " y"]
        );
        assert_eq!(words(QWEN2, "a1234"), ["a", "1", "2", "3", "4"]);
    }

    #[test]
    fn words_add_up_to_the_text() {
        let text = "x\u{85}\u{a0} \u{2028}\r\n\r ½①٣ ﷽é\u{301}🦙🏽\u{200d}🔥 \t\tz\u{0}\u{1b}";
        for pattern in RULES.iter().flat_map(|rule| rule.patterns) {
            assert_eq!(words(pattern, text).concat(), text, "{pattern}");
        }
    }
}
