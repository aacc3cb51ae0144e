//! Texts to encode: everyday ones, awkward ones, and random mixtures of both.

/// Texts that each try something.
const TEXTS: &[&str] = &[
    "",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\n \n\n \n\n\n",
    "\t\n \t\r\n",
    "a",
    "Hello world",
    " Hello world",
    "  Hello  world  ",
    "Hello, world! How's it going? They'LL've been; we'd'nt.",
    "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'Ve 'lL 'x '",
    "' s ''s '''",
    "ROMEO:\nBut, soft! what light through yonder window breaks?\nIt is the east, and Juliet is the sun.\n",
    "  indented\n    more\n\n\n\n  less\n",
    "trailing space ",
    "trailing newline\n",
    "tabs\there\tand\t\tthere",
    "1 12 123 1234 12345 1234567890 3.14159e-10 0x7F 1,000,000",
    "½ ² Ⅷ ٣٤٥ १२३ 一二三 ①②③",
    "fn main() { println!(\"{:?}\", vec![1, 2, 3]); } // ok?!",
    "https://example.org/a/b?c=d&e=%20f#g",
    "snake_case camelCase SCREAMING_CASE kebab-case __dunder__",
    "!!!???...,,,;;;:::---___***///\\\\\\",
    "Äpfel über Straße, façade, naïve, Ærø, Łódź, ñandú",
    "e\u{301}a\u{308} o\u{302}\u{323}",
    "Съешь же ещё этих мягких французских булок",
    "Γαζέες καὶ μυρτιὲς δὲν θὰ βρῶ πιὰ",
    "日本語のテキスト、漢字とかな。",
    "你好，世界！今天天气很好。",
    "안녕하세요 세계",
    "مرحبا بالعالم ﷽",
    "שלום עולם",
    "नमस्ते दुनिया ক্ষ த",
    "สวัสดีชาวโลก ភាសាខ្មែរ",
    "🦙 😀😃😄 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽 ☃ ❤️",
    "𝕳𝖊𝖑𝖑𝖔 𐍈 𠜎 \u{10ffff} \u{e000}",
    "\u{0}\u{1}\u{7}\u{8}\u{b}\u{c}\u{1b}[31m\u{7f}\u{80}\u{85}\u{9b}",
    "\u{a0}x\u{1680}x\u{2003}\u{2003}x\u{2028}x\u{2029}x\u{202f}x\u{3000}x\u{3000}",
    "\u{200b}\u{200d}\u{200e}\u{202e}\u{2060}\u{feff}\u{fffd}\u{ffff}\u{ad}",
    "▁ ▁▁ ▁a a▁b Ġ Ċ Ġhello ĉ",
    "<s> </s> <unk> <s></s> x<s>y </s>z",
    "<s>Hello</s> world <s> again",
    " <s> leading, </s>\n\n  then space",
    "<|endoftext|> <|im_start|>user\nHi<|im_end|>\n <|eot_id|>  <|begin_of_text|>x<|end|> \t\n y",
    "<|user|>\n Hello <|end|>   <|assistant|>\t\nHi",
    "<|im_start <|im_end| im_end|> < s > <s <0x0A> <0x41> <0xFF> [UNK] <pad>",
    "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>c<|file_sep|><|repo_name|>",
    "Antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "                                                                                                      x",
    "================================================================--------------------------------------",
    "ababababababababcabcabcabcabc the the the thethethe",
    "a b c d e f g h i j k l m n o p",
    "I saw a girl with a telescope.\u{85}Next\u{85}\u{85}line",
    "ſ K Å İ ı ß ẞ ǆ ǅ Ǆ ﬁ",
];

/// Pieces that random texts are put together from.
const PIECES: &[&str] = &[
    " ",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "the",
    "The",
    "ing",
    "a",
    "'",
    "'s",
    "'LL",
    "don't",
    "1",
    "23",
    "456",
    ".",
    "!?",
    "-",
    "é",
    "ß",
    "日",
    "本",
    "ش",
    "🦙",
    "\u{301}",
    "\u{a0}",
    "\u{3000}",
    "\u{200d}",
    "\u{0}",
    "<s>",
    "</s>",
    "<|end|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<unk>",
    "▁",
    "Ġ",
    "<",
    ">",
    "_",
    "½",
    "zz",
    "Romeo",
    "speak",
    "\u{85}",
    "\u{1f}",
];

/// All texts: the list, random mixtures (the same on every run), and one of 20,000 characters.
pub fn all() -> Vec<String> {
    let mut texts: Vec<String> = TEXTS.iter().map(|&text| text.to_owned()).collect();
    let mut state = 1_u64;
    let mut next = move |n: usize| {
        // Knuth's MMIX generator; the upper bits are the random ones.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    for _ in 0..2000 {
        let len = 1 + next(14);
        texts.push((0..len).map(|_| PIECES[next(PIECES.len())]).collect());
    }
    for _ in 0..500 {
        let len = 1 + next(12);
        // Any character at all, every other one from the first two thousand.
        let any =
            (0..len).filter_map(|i| char::from_u32(next(if i % 2 == 0 { 0x800 } else { 0x11_0000 }) as u32));
        texts.push(any.collect());
    }
    let long = TEXTS.concat();
    texts.push(long.chars().cycle().take(20_000).collect());
    texts
}
