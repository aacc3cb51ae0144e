//! Tokenizers: the demo model's vocabulary, small vocabularies made by hand, broken ones, and the command.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use paritty::gguf::{Gguf, Writer};
use paritty::tokenizer::{Options, Tokenizer};
use proptest::prelude::*;

/// Kinds of tokens as files number them.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

const PLAIN: Options = Options { add_bos: Some(false), parse_special: false };
const SPECIAL: Options = Options { add_bos: None, parse_special: true };

fn demo_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf")
}

fn load(writer: &Writer) -> Result<Tokenizer, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    writer.save(file.path(), |_, _| Ok(())).unwrap();
    Tokenizer::from_gguf(&Gguf::open(file.path()).unwrap()).map_err(|e| e.to_string())
}

/// A SentencePiece vocabulary: the five special ones, every byte, then `words` with their scores.
fn spm(words: &[(&str, f32)]) -> Writer {
    let mut tokens: Vec<(String, f32, i32)> = [
        ("<unk>", UNKNOWN),
        ("<s>", CONTROL),
        ("</s>", CONTROL),
        ("<user>", USER_DEFINED),
        ("<gone>", UNUSED),
    ]
    .map(|(text, kind)| (text.to_owned(), 0.0, kind))
    .into();
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, BYTE)));
    tokens.extend(words.iter().map(|&(text, score)| (text.to_owned(), score, NORMAL)));
    let mut w = Writer::new();
    w.set("tokenizer.ggml.model", "llama")
        .set("tokenizer.ggml.tokens", tokens.iter().map(|t| t.0.clone()).collect::<Vec<_>>())
        .set("tokenizer.ggml.scores", tokens.iter().map(|t| t.1).collect::<Vec<_>>())
        .set("tokenizer.ggml.token_type", tokens.iter().map(|t| t.2).collect::<Vec<_>>());
    w
}

/// Ids of `words` in such a vocabulary start here.
const FIRST: u32 = 261;

fn byte(byte: u8) -> u32 {
    5 + u32::from(byte)
}

/// A byte-level vocabulary: the letters of `alphabet`, then the results of `merges`, then `special`.
fn bpe(pre: &str, alphabet: &str, merges: &[&str], special: &[&str]) -> Writer {
    let mut tokens: Vec<String> = alphabet.chars().map(String::from).collect();
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let mut kinds = vec![NORMAL; tokens.len()];
    tokens.extend(special.iter().map(|&s| s.to_owned()));
    kinds.resize(tokens.len(), CONTROL);
    let mut w = Writer::new();
    w.set("tokenizer.ggml.model", "gpt2")
        .set("tokenizer.ggml.pre", pre)
        .set("tokenizer.ggml.tokens", tokens)
        .set("tokenizer.ggml.token_type", kinds)
        .set("tokenizer.ggml.merges", merges.to_vec());
    w
}

fn pieces(t: &Tokenizer, text: &str, options: Options) -> Vec<String> {
    t.encode(text, options).into_iter().map(|id| t.piece_text(id)).collect()
}

#[test]
fn demo_vocabulary_gives_llama_cpps_ids() {
    let t = Tokenizer::from_gguf(&Gguf::open(&demo_model()).unwrap()).unwrap();
    // As llama.cpp printed them; tests/tokenizer_llama.rs compares many more where llama.cpp is at hand.
    let cases: &[(&str, &[u32])] = &[
        (
            "ROMEO: But, soft!  what light?",
            &[1, 418, 581, 614, 2007, 1558, 1999, 365, 1064, 2029, 1984, 434, 1270, 2027],
        ),
        ("\n\tÉé日🦙", &[1, 1984, 13, 12, 198, 140, 198, 172, 233, 154, 168, 243, 162, 169, 156]),
        ("<s>x</s> y", &[1, 1, 1984, 2039, 2, 1984, 284]),
        ("", &[1]),
        (
            "thou  art\n\nMORE lovely 123",
            &[1, 345, 1984, 752, 13, 13, 2025, 428, 2014, 509, 357, 1984, 52, 53, 2045],
        ),
    ];
    for &(text, ids) in cases {
        assert_eq!(t.encode(text, SPECIAL), ids, "{text:?}");
        let plain = t.decode(&t.encode(text, PLAIN));
        // A space stands before the first word in this kind of vocabulary.
        let expected = if text.is_empty() { String::new() } else { format!(" {text}") };
        assert_eq!(String::from_utf8(plain).unwrap(), expected);
    }
    assert_eq!((t.n_vocab(), t.bos(), t.eos()), (2048, Some(1), Some(2)));
    assert!(t.is_eog(2) && !t.is_eog(1));
}

#[test]
fn highest_score_joins_first_and_leftmost_among_equals() {
    let words =
        [("▁", -9.0), ("a", -9.0), ("b", -9.0), ("ab", -2.0), ("ba", -1.0), ("aa", -3.0), ("aba", -4.0)];
    let t = load(&spm(&words)).unwrap();
    assert_eq!(pieces(&t, "ab", PLAIN), [" ", "ab"]);
    // `ba` in the middle before either `ab`; it is then joined to the `a` before it.
    assert_eq!(pieces(&t, "abab", PLAIN), [" ", "aba", "b"]);
    // The left pair of two equal ones; then the union of `a` and `ba`.
    assert_eq!(pieces(&t, "aaa", PLAIN), [" ", "aa", "a"]);
    assert_eq!(pieces(&t, "aba", PLAIN), [" ", "aba"]);
}

#[test]
fn what_is_in_no_token_becomes_bytes() {
    let t = load(&spm(&[("▁", -1.0), ("a", -1.0)])).unwrap();
    assert_eq!(t.encode("aé", PLAIN), [FIRST, FIRST + 1, byte(0xc3), byte(0xa9)]);
    assert_eq!(t.decode(&[byte(0xc3), byte(0xa9), byte(0xff)]), b"\xc3\xa9\xff");
    assert_eq!(t.piece_text(byte(0xff)), "\u{fffd}");
    // A vocabulary without bytes has the unknown token.
    let mut w = spm(&[]);
    w.set("tokenizer.ggml.tokens", vec!["<unk>", "<s>", "</s>", "▁"])
        .set("tokenizer.ggml.scores", vec![0_f32; 4])
        .set("tokenizer.ggml.token_type", vec![UNKNOWN, CONTROL, CONTROL, NORMAL]);
    assert_eq!(load(&w).unwrap().encode("z", SPECIAL), [1, 3, 0]);
}

#[test]
fn special_tokens_in_text() {
    let w = spm(&[("▁", -1.0), ("a", -1.0), ("▁a", -0.5)]);
    let t = load(&w).unwrap();
    // Control tokens only on request, user-defined ones always, unused ones never; a space after each.
    assert_eq!(pieces(&t, "a</s>a<user>a", SPECIAL), ["<s>", " a", "</s>", " a", "<user>", " a"]);
    assert_eq!(pieces(&t, "a<user>a", PLAIN), [" a", "<user>", " a"]);
    assert_eq!(t.encode("</s>", PLAIN)[..2], [FIRST, byte(b'<')]);
    assert_eq!(t.encode("<gone>", SPECIAL)[..3], [1, FIRST, byte(b'<')]);
    assert_eq!(t.piece(4), b"");
    assert_eq!(t.piece(u32::MAX), b"");

    let mut w = spm(&[("▁", -1.0), ("a", -1.0), ("▁a", -0.5)]);
    w.set("tokenizer.ggml.add_space_prefix", false)
        .set("tokenizer.ggml.add_bos_token", false)
        .set("tokenizer.ggml.add_eos_token", true);
    let t = load(&w).unwrap();
    assert_eq!(pieces(&t, "a", SPECIAL), ["a", "</s>"]);
    assert_eq!(pieces(&t, "a", Options { add_bos: Some(true), ..SPECIAL }), ["<s>", "a", "</s>"]);
    assert_eq!(pieces(&t, "a", PLAIN), ["a"]);

    // Phi-3's special tokens swallow the white space after them, but `<s>` does not.
    w.set("general.name", "Phi-3-mini");
    let t = load(&w).unwrap();
    assert_eq!(pieces(&t, "<user> \n a<s> a", SPECIAL), ["<user>", "a", "<s>", " a", "</s>"]);
}

#[test]
fn the_longest_special_token_is_found_first() {
    let mut w = bpe("gpt-2", "abcd", &[], &["bcd", "abc", "ab"]);
    w.set("tokenizer.ggml.bos_token_id", 9999_u32);
    let t = load(&w).unwrap();
    assert_eq!(pieces(&t, "abcd", SPECIAL), ["a", "bcd"]);
    assert_eq!(pieces(&t, "abab", SPECIAL), ["ab", "ab"]);
    assert_eq!(t.bos(), None);
}

#[test]
fn merges_are_done_in_their_order() {
    let t = load(&bpe("gpt-2", "abĠc", &["b c", "a b", "Ġ a", "Ġ ab"], &["<end>"])).unwrap();
    assert_eq!(pieces(&t, "abc", PLAIN), ["a", "bc"]);
    assert_eq!(pieces(&t, "ab ab", PLAIN), ["ab", " ab"]);
    // No such merge, and no such letter.
    assert_eq!(pieces(&t, "ca", PLAIN), ["c", "a"]);
    assert_eq!(pieces(&t, "azb", PLAIN), ["a", "b"]);
    assert_eq!(pieces(&t, "a<end>b", SPECIAL), ["a", "<end>", "b"]);
}

#[test]
fn llama3_takes_whole_words_first() {
    let alphabet = "abĠ123";
    let with = |pre: &str| {
        let mut w = bpe(pre, alphabet, &["a b"], &["<bos>"]);
        let mut tokens: Vec<String> = alphabet.chars().map(String::from).collect();
        tokens.extend(["ab", "<bos>", "ba", "123"].map(String::from));
        w.set("tokenizer.ggml.tokens", tokens)
            .set("tokenizer.ggml.token_type", [vec![NORMAL; 7], vec![CONTROL, NORMAL, NORMAL]].concat())
            .set("tokenizer.ggml.bos_token_id", 7_u32);
        load(&w).unwrap()
    };
    // No merge makes `ba` or `123`.
    assert_eq!(pieces(&with("llama-bpe"), "ba1231", SPECIAL), ["<bos>", "ba", "123", "1"]);
    assert_eq!(pieces(&with("qwen2"), "ba1231", SPECIAL), ["b", "a", "1", "2", "3", "1"]);
}

#[test]
fn a_long_text_takes_no_quadratic_time() {
    // A quarter of a million letters without a break: n² steps would take most of an hour.
    let text = "ab".repeat(1 << 17);
    let t = load(&spm(&[("▁", -9.0), ("a", -9.0), ("b", -9.0), ("ab", -2.0), ("abab", -1.0)])).unwrap();
    assert_eq!(t.encode(&text, PLAIN).len(), 1 + (1 << 16));
    let t = load(&bpe("llama-bpe", "abĠ", &["a b", "ab ab"], &[])).unwrap();
    assert_eq!(t.encode(&text, PLAIN).len(), 1 << 16);
    let spaces = " ".repeat(1 << 18);
    assert_eq!(t.encode(&spaces, PLAIN).len(), 1 << 18);
}

#[test]
fn broken_vocabularies_are_refused_by_key() {
    let error = |change: &dyn for<'a> Fn(&'a mut Writer) -> &'a mut Writer| {
        let mut w = spm(&[("a", 0.0)]);
        change(&mut w);
        load(&w).map(|_| ()).unwrap_err()
    };
    let check = |message: String, expected: &[&str]| {
        for e in expected {
            assert!(message.contains(e), "{message} lacks {e}");
        }
    };
    check(error(&|w| w.remove("tokenizer.ggml.model")), &["`tokenizer.ggml.model`", "missing"]);
    check(error(&|w| w.set("tokenizer.ggml.model", "bert")), &["is `bert`", "`llama` and `gpt2`"]);
    check(error(&|w| w.remove("tokenizer.ggml.tokens")), &["`tokenizer.ggml.tokens`", "missing"]);
    check(error(&|w| w.set("tokenizer.ggml.tokens", Vec::<String>::new())), &["is empty"]);
    check(error(&|w| w.set("tokenizer.ggml.scores", vec![0_f32])), &["1 entries for 262 tokens"]);
    check(error(&|w| w.set("tokenizer.ggml.token_type", vec!["x"])), &["list of integers"]);
    check(error(&|w| w.set("tokenizer.ggml.tokens", vec!["a", "b", "a"])), &["tokens 0 and 2 are both `a`"]);
    check(error(&|w| w.set("tokenizer.ggml.add_bos_token", 1_u32)), &["add_bos_token", "truth value"]);
    check(error(&|w| w.set("tokenizer.ggml.model", "gpt2")), &["`tokenizer.ggml.merges`", "missing"]);
    let unknown = load(&bpe("klingon", "a", &[], &[])).map(|_| ()).unwrap_err();
    check(unknown, &["`tokenizer.ggml.pre`", "`klingon`", "gpt-2, ", "qwen2"]);
}

#[test]
fn command_prints_a_json_line_for_each_input() {
    let run = |args: &[&str], stdin: &str| {
        let mut command = Command::cargo_bin("paritty").unwrap();
        command.arg("tokenize").arg(demo_model()).args(args).write_stdin(stdin);
        let output = command.assert().get_output().clone();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, one, _) = run(&["To be"], "");
    assert_eq!(
        (code, one.as_str()),
        (0, "{\"ids\":[1,1984,398,307],\"pieces\":[\"<s>\",\" \",\"To\",\" be\"]}\n")
    );
    let (_, two, _) = run(&["-", "--no-bos", "--no-special"], "To be\n\n</s>");
    let lines: Vec<&str> = two.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1], "{\"ids\":[],\"pieces\":[]}");
    assert!(!lines[2].contains("</s>"), "{two}");
    // What it prints it reads back.
    let (_, back, _) = run(&["--decode"], &two);
    assert!(back.lines().next().unwrap().ends_with("\"text\":\" To be\"}"), "{back}");
    let (_, list, _) = run(&["--decode", "[1984, 398,307]"], "");
    assert!(list.contains(" To be"), "{list}");
    // Nothing moves the cursor of a terminal.
    let (_, escaped, _) = run(&["\u{1b}[2J\u{202e}"], "");
    assert!(!escaped.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{escaped}");
    let (code, _, message) = run(&["--decode", "1 2048"], "");
    assert_eq!(code, 2);
    assert!(message.contains("token id 2048 is not in the vocabulary, which ends at 2047"), "{message}");
    let (code, _, message) = run(&["--decode"], "1\nx\n");
    assert_eq!(code, 2);
    assert!(message.contains("stdin, line 2: `x` is no token id"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// No text is lost, whatever is in it, and every id is in the vocabulary.
    #[test]
    fn any_text_comes_back(text in any::<String>()) {
        let t = Tokenizer::from_gguf(&Gguf::open(&demo_model()).unwrap()).unwrap();
        let ids = t.encode(&text, PLAIN);
        prop_assert!(ids.iter().all(|&id| (id as usize) < t.n_vocab()));
        // The one character that stands for another in such vocabularies.
        let text = text.replace('▁', " ");
        let expected = if text.is_empty() { text } else { format!(" {text}") };
        prop_assert_eq!(String::from_utf8(t.decode(&ids)).unwrap(), expected);
    }

    /// Vocabularies of any texts, scores and kinds load and encode, or are refused.
    #[test]
    fn odd_vocabularies_never_panic(
        tokens in prop::collection::hash_set("[ab ▁Ġ<>0x]{0,4}", 1..12),
        scores in prop::collection::vec(any::<f32>(), 11..13),
        kinds in prop::collection::vec(-1..9_i32, 11..13),
        merges in prop::collection::vec("[abĠ]{0,3} ?[abĠ]{0,3}", 0..6),
        bos in any::<u32>(),
        gpt2: bool,
        text in "[ab <>0xé]{0,20}",
    ) {
        let mut w = Writer::new();
        w.set("tokenizer.ggml.model", if gpt2 { "gpt2" } else { "llama" })
            .set("tokenizer.ggml.pre", "llama-bpe")
            .set("tokenizer.ggml.tokens", Vec::from_iter(tokens))
            .set("tokenizer.ggml.scores", scores)
            .set("tokenizer.ggml.token_type", kinds)
            .set("tokenizer.ggml.merges", merges)
            .set("tokenizer.ggml.bos_token_id", bos);
        if let Ok(t) = load(&w) {
            t.is_eog(bos);
            for id in t.encode(&text, SPECIAL) {
                prop_assert!((id as usize) < t.n_vocab());
                t.piece_text(id);
            }
        }
    }
}
