"""A model as its GGUF file describes it, tokenizer included. Everything is read from the file and computed
here a second time, without the libraries that made it, so a mistake of the exporter cannot hide."""

import numpy as np

from architectures import ARCHITECTURES
from vocabularies import PRE_TOKENIZERS

NORMAL, BYTE = 1, 6  # values of tokenizer.ggml.token_type


class GgufModel:
    def __init__(self, path):
        import gguf

        reader = gguf.GGUFReader(path)

        def key(name, default=None):
            return reader.fields[name].contents() if name in reader.fields else default

        self.key = key
        self.arch = ARCHITECTURES[key("general.architecture")]
        self.hyper = self.arch.read_keys(key)
        # A quantised file is widened, so that its loss can be measured as well.
        self.params = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
        shapes = {name: tensor.shape for name, tensor in self.params.items()}
        shapes.pop("rope_freqs.weight", None)
        assert shapes == self.arch.shapes(self.hyper)
        self.pieces = key("tokenizer.ggml.tokens")
        self.types = key("tokenizer.ggml.token_type")
        self.ids = {piece: i for i, piece in enumerate(self.pieces)}
        kind = {"llama": SentencePieceTokens, "gpt2": ByteLevelTokens}[key("tokenizer.ggml.model")]
        self.tokenizer = kind(self)
        # Where the key is absent, llama.cpp decides by the pre-tokenizer.
        add_bos = key("tokenizer.ggml.add_bos_token", key("tokenizer.ggml.pre") == "llama-bpe")
        self.bos = key("tokenizer.ggml.bos_token_id") if add_bos else None
        self.encode, self.decode = self.tokenizer.encode, self.tokenizer.decode

    def forward(self, tokens, cache=None):
        return self.arch.forward_numpy(self.params, self.hyper, np.asarray(tokens), {} if cache is None else cache)


class SentencePieceTokens:
    def __init__(self, model):
        self.pieces, self.types, self.ids = model.pieces, model.types, model.ids
        self.scores = model.key("tokenizer.ggml.scores")

    def encode(self, text):
        """Join the adjacent pair with the best score until none is left; unknown symbols become bytes."""
        symbols = list(("\u2581" + text if text else text).replace(" ", "\u2581"))
        while True:
            best = None
            for i in range(len(symbols) - 1):
                token = self.ids.get(symbols[i] + symbols[i + 1])
                if token is not None and (best is None or self.scores[token] > best[0]):
                    best = (self.scores[token], i)
            if best is None:
                break
            symbols[best[1] : best[1] + 2] = [symbols[best[1]] + symbols[best[1] + 1]]
        tokens = []
        for symbol in symbols:
            if symbol in self.ids:
                tokens.append(self.ids[symbol])
            else:
                tokens += [self.ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
        return tokens

    def decode(self, tokens):
        out = b""
        for token in tokens:
            if self.types[token] == BYTE:
                out += bytes([int(self.pieces[token][3:5], 16)])
            elif self.types[token] == NORMAL:
                out += self.pieces[token].replace("\u2581", " ").encode()
        return out.decode(errors="replace").removeprefix(" ")

    def comes_back(self, text):
        # A literal U+2581 stands for a space in every SentencePiece vocabulary, so it comes back as one.
        return self.decode(self.encode(text)) == text.replace("\u2581", " ")


class ByteLevelTokens:
    def __init__(self, model):
        import regex

        self.pieces, self.types, self.ids = model.pieces, model.types, model.ids
        self.ranks = {tuple(pair.split(" ")): i for i, pair in enumerate(model.key("tokenizer.ggml.merges"))}
        self.words = regex.compile(PRE_TOKENIZERS[model.key("tokenizer.ggml.pre")])
        # GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the rest for U+0100 and on.
        seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
        rest = [byte for byte in range(256) if byte not in seen]
        self.symbol = {byte: chr(byte) for byte in seen} | {byte: chr(256 + i) for i, byte in enumerate(rest)}
        self.byte = {symbol: byte for byte, symbol in self.symbol.items()}

    def encode(self, text):
        """Join the adjacent pair that was learnt first, within each word, until none is left."""
        tokens = []
        for word in self.words.findall(text):
            symbols = [self.symbol[byte] for byte in word.encode()]
            while len(symbols) > 1:
                rank, i = min((self.ranks.get(pair, len(self.ranks)), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
                if rank == len(self.ranks):
                    break
                symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
            tokens += [self.ids[symbol] for symbol in symbols]
        return tokens

    def decode(self, tokens):
        symbols = "".join(self.pieces[token] for token in tokens if self.types[token] == NORMAL)
        return bytes(self.byte[symbol] for symbol in symbols).decode(errors="replace")

    def comes_back(self, text):
        return self.decode(self.encode(text)) == text
