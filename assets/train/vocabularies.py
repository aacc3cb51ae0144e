"""The two kinds of vocabulary, as their own libraries learn and apply them.

Both classes have the same members:

    learn(text, out, pieces, tokens)   write a vocabulary file
    encode, decode, len, bos           what the models need (bos is None where none is put in front)
    splits(text, recipe)               differently split copies of a text, for training
    write_keys(writer)                 the tokenizer's GGUF keys
"""

import numpy as np

# What splits a text before the merges, as in the tokenizer.json files of these families.
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-bpe": _CONTRACTIONS + _WORDS + r"\p{N}{1,3}" + _REST,
    "qwen2": _CONTRACTIONS + _WORDS + r"\p{N}" + _REST,
}


def load_vocabulary(path, tokens):
    return {"sentencepiece": SentencePiece, "bpe": ByteLevelBpe}[tokens.kind](path, tokens)


class Split:
    """One way to split a text: `window(line)` is what a prompt that begins with that line becomes."""

    def __init__(self, tokens, heads, rest):
        self.tokens, self.heads, self.rest = np.asarray(tokens, np.int64), heads, rest

    def window(self, line, width):
        start = self.rest[line]
        return np.concatenate((self.heads[line], self.tokens[start : start + width]))[:width].astype(np.int64)


class SentencePiece:
    """SentencePiece BPE with byte fallback. A line break is the byte <0x0A>."""

    def __init__(self, path, tokens):
        import sentencepiece

        self.model = sentencepiece.SentencePieceProcessor(model_file=path)
        self.spec = tokens
        self.ids = {token: len(self.model) + i for i, token in enumerate(tokens.added)}
        self.bos = self.model.piece_to_id(tokens.bos)

    @staticmethod
    def learn(text, out, pieces, tokens):
        import sentencepiece

        # SentencePiece learns from sentences and would put its leading space before every line. In running
        # text only the very first line has it, so speeches are given whole, with a tab, which the trainer
        # takes for a border that no piece crosses, in front of every line. The line break is then no piece
        # either: it is encoded as the byte <0x0A>, as in the vocabularies of large models.
        speeches = ["\t" + speech.replace("\n", "\t") for speech in text.split("\n\n")]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(speeches),
            model_prefix=out.removesuffix(".model"),
            model_type="bpe",
            vocab_size=pieces - len(tokens.added),
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=True,
            split_digits=True,
            split_by_whitespace=True,
            split_by_number=True,
            split_by_unicode_script=True,
            allow_whitespace_only_pieces=True,
            max_sentence_length=1 << 20,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            num_threads=1,
            minloglevel=1,
        )

    def __len__(self):
        return len(self.model) + len(self.ids)

    def encode(self, text):
        return self.model.encode(text)

    def decode(self, tokens):
        return self.model.decode(tokens)

    def splits(self, text, recipe):
        """A prompt's first line is split with the space that the tokenizer puts in front; the lines after it
        are not. No piece contains a line break, so lines can be split one by one."""
        import sentencepiece

        sentencepiece.set_random_generator_seed(recipe.seed)
        lines = text.split("\n")
        for i in range(recipe.bpe_variants if recipe.bpe_dropout else 1):
            # The first copy is always the plain split, the one that every engine will use.
            drop = {"enable_sampling": True, "alpha": recipe.bpe_dropout} if i else {}
            tokens = np.array(self.model.encode(text, **drop), np.int64)
            ends = np.append(np.flatnonzero(tokens == self.model.piece_to_id("<0x0A>")), len(tokens))
            assert len(ends) == len(lines), "a piece holds a line break"
            yield Split(tokens, [[self.bos] + self.model.encode(line, **drop) for line in lines], ends)

    def write_keys(self, writer):
        from gguf import TokenType

        pieces, scores, types = [], [], []
        for i in range(len(self.model)):
            pieces.append(self.model.id_to_piece(i).encode())
            scores.append(self.model.get_score(i))
            if self.model.is_unknown(i):
                types.append(TokenType.UNKNOWN)
            elif self.model.is_control(i):
                types.append(TokenType.CONTROL)
            elif self.model.is_byte(i):
                types.append(TokenType.BYTE)
            else:
                types.append(TokenType.NORMAL)
        for token in self.ids:
            pieces.append(token.encode())
            scores.append(-1000.0)  # what converted files give to tokens that are no pieces
            types.append(TokenType.CONTROL)

        def id_of(token):
            return self.ids[token] if token in self.ids else self.model.piece_to_id(token)

        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre(self.spec.pre)
        writer.add_token_list(pieces)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_bos_token_id(id_of(self.spec.bos))
        writer.add_eos_token_id(id_of(self.spec.eos))
        writer.add_unk_token_id(self.model.unk_id())
        if self.spec.pad:
            writer.add_pad_token_id(id_of(self.spec.pad))
        writer.add_add_bos_token(self.spec.add_bos_key)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(True)


class ByteLevelBpe:
    """Byte-level BPE in the manner of GPT-2: bytes, merges in order, then the special tokens."""

    def __init__(self, path, tokens):
        import json

        import tokenizers

        self.tokenizer = tokenizers.Tokenizer.from_file(path)
        self.spec = tokens
        with open(path, encoding="utf-8") as file:
            merges = json.load(file)["model"]["merges"]
        self.merges = [tuple(pair) for pair in merges]
        self.ids = self.tokenizer.get_vocab()
        self.bos = self.ids[tokens.bos] if tokens.starts_with_bos else None

    @staticmethod
    def learn(text, out, pieces, tokens):
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PRE_TOKENIZERS[tokens.pre]), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=pieces - len(tokens.added),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator([text], trainer)
        tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens.added])
        tokenizer.save(out)

    def __len__(self):
        return len(self.ids)

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens):
        return self.tokenizer.decode(tokens)

    def splits(self, text, recipe):
        """Each copy splits a word in one way wherever it stands, drawn anew for the next copy."""
        rng = np.random.default_rng(recipe.seed)
        ranks = {pair: rank for rank, pair in enumerate(self.merges)}

        def split(word, drop):
            symbols = list(word)
            while True:
                pairs = [(ranks.get(pair), i) for i, pair in enumerate(zip(symbols, symbols[1:]))]
                pairs = [pair for pair in pairs if pair[0] is not None and (not drop or rng.random() >= drop)]
                if not pairs:
                    return [self.ids[symbol] for symbol in symbols]
                i = min(pairs)[1]
                symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]

        words, spans = zip(*self.tokenizer.pre_tokenizer.pre_tokenize_str(text))
        distinct = dict.fromkeys(words)
        lines = text.split("\n")
        begins = np.cumsum([0] + [len(line) + 1 for line in lines[:-1]])
        word_begins = np.array([begin for begin, _ in spans])
        word_of_line = np.searchsorted(word_begins, begins)
        whole = all(word_begins[word] == begin for word, begin, line in zip(word_of_line, begins, lines) if line)
        assert whole, "a piece holds a line break and what follows it"
        head = [] if self.bos is None else [self.bos]
        for i in range(recipe.bpe_variants if recipe.bpe_dropout else 1):
            pieces = {word: split(word, recipe.bpe_dropout if i else 0) for word in distinct}
            ends = np.cumsum([0] + [len(pieces[word]) for word in words])
            tokens = np.concatenate([pieces[word] for word in words])
            assert i or tokens.tolist() == self.encode(text)
            yield Split(tokens, [head] * len(lines), ends[np.minimum(word_of_line, len(words))])

    def write_keys(self, writer):
        from gguf import TokenType

        pieces = sorted(self.ids, key=self.ids.get)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.spec.pre)
        writer.add_token_list(pieces)
        writer.add_token_types([TokenType.CONTROL if p in self.spec.added else TokenType.NORMAL for p in pieces])
        writer.add_token_merges([" ".join(pair) for pair in self.merges])
        writer.add_bos_token_id(self.ids[self.spec.bos])
        writer.add_eos_token_id(self.ids[self.spec.eos])
        if self.spec.pad:
            writer.add_pad_token_id(self.ids[self.spec.pad])
        if self.spec.add_bos_key is not None:
            writer.add_add_bos_token(self.spec.add_bos_key)
