#!/usr/bin/env python3
"""Make the small real model that paritty ships, from one text file.

Five stages, each a subcommand, each reading only files that an earlier one wrote:

    vocabulary  text                     -> SentencePiece BPE model
    train       text + vocabulary        -> checkpoint (.npz: float32 weights and what was measured)
    export      vocabulary + checkpoint  -> GGUF v3 file that llama.cpp loads
    check       GGUF + text + vocabulary -> the same held-out loss from numpy, the same ids from the
                                            file's own tokenizer; exits with 1 if either differs
    sample      GGUF + prompt            -> text

Only `train` needs PyTorch. `check` and `sample` read nothing but the GGUF file's tensors and keys and
compute the forward pass in numpy, so a mistake of the exporter cannot hide behind the trainer's code.

To add an architecture, write one class with the six members of `Llama` and list it in ARCHITECTURES;
nothing else here knows what a layer looks like.
"""

import argparse
import dataclasses
import json
import math
import sys
import time

import numpy as np


# ---------------------------------------------------------------------------------------------------
# Hyper-parameters


@dataclasses.dataclass
class Hyper:
    """The shape of a model. It travels inside the checkpoint, so later stages need no shape options."""

    arch: str = "llama"
    n_vocab: int = 2048
    n_ctx: int = 512
    n_embd: int = 256
    n_layer: int = 6
    n_head: int = 8
    n_head_kv: int = 4  # fewer than n_head: grouped-query attention is exercised
    n_ff: int = 512
    norm_eps: float = 1e-5
    rope_base: float = 10000.0

    @property
    def head_dim(self):
        return self.n_embd // self.n_head


@dataclasses.dataclass
class Recipe:
    """How a model is trained. The defaults made the file in assets/models."""

    seed: int = 1616
    steps: int = 1500
    batch: int = 32
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.1
    dropout: float = 0.2
    bpe_dropout: float = 0.1  # share of merges skipped at random; 0 turns it off
    bpe_variants: int = 16  # how many differently split copies of the text to draw from
    ema: float = 0.995
    eval_every: int = 50
    patience: int = 16  # evaluations without a better held-out loss before stopping


# ---------------------------------------------------------------------------------------------------
# Architectures


class Llama:
    """llama.cpp's `llama`: RMSNorm, interleaved RoPE, grouped-query attention, SwiGLU, no biases.

    Parameters are a plain dict. The keys are GGUF tensor names and matrices are [out, in], which GGUF
    stores as ne = [in, out]: the export renames, transposes and permutes nothing.
    """

    @staticmethod
    def shapes(h):
        """Every tensor's shape."""
        kv = h.n_head_kv * h.head_dim
        shapes = {"token_embd.weight": (h.n_vocab, h.n_embd)}
        for i in range(h.n_layer):
            b = f"blk.{i}."
            shapes[b + "attn_norm.weight"] = (h.n_embd,)
            shapes[b + "attn_q.weight"] = (h.n_embd, h.n_embd)
            shapes[b + "attn_k.weight"] = (kv, h.n_embd)
            shapes[b + "attn_v.weight"] = (kv, h.n_embd)
            shapes[b + "attn_output.weight"] = (h.n_embd, h.n_embd)
            shapes[b + "ffn_norm.weight"] = (h.n_embd,)
            shapes[b + "ffn_gate.weight"] = (h.n_ff, h.n_embd)
            shapes[b + "ffn_up.weight"] = (h.n_ff, h.n_embd)
            shapes[b + "ffn_down.weight"] = (h.n_embd, h.n_ff)
        shapes["output_norm.weight"] = (h.n_embd,)
        shapes["output.weight"] = (h.n_vocab, h.n_embd)
        return shapes

    @staticmethod
    def init(name, shape, h, rng):
        """A tensor's first value: norms one, matrices normal, smaller where they add to the residual."""
        if len(shape) == 1:
            return np.ones(shape, np.float32)
        std = 0.02
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            std /= math.sqrt(2 * h.n_layer)
        return (rng.standard_normal(shape) * std).astype(np.float32)

    @staticmethod
    def forward_torch(p, h, tokens, dropout=0.0):
        """Logits [batch, time, vocab] of tokens [batch, time], for training."""
        import torch
        import torch.nn.functional as F

        batch, time_ = tokens.shape
        heads, kv_heads, dim = h.n_head, h.n_head_kv, h.head_dim

        # Pair j of a head is its elements 2j and 2j+1 (llama.cpp's NORM pairing), not j and j+dim/2.
        # Training with this pairing is what makes a permutation of attn_q and attn_k unnecessary.
        position = torch.arange(time_, device=tokens.device, dtype=torch.float32)
        pair = torch.arange(dim // 2, device=tokens.device, dtype=torch.float32)
        angle = torch.outer(position, h.rope_base ** (-2.0 * pair / dim))
        cos, sin = angle.cos(), angle.sin()

        def rope(x):  # [batch, heads, time, dim], in float32 whatever the products ran in
            even, odd = x.float()[..., 0::2], x.float()[..., 1::2]
            return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

        def norm(x, weight):
            x = x.float()
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + h.norm_eps) * weight

        def split(x, n):
            return x.view(batch, time_, n, dim).transpose(1, 2)

        x = F.dropout(F.embedding(tokens, p["token_embd.weight"]), dropout)
        for i in range(h.n_layer):
            b = f"blk.{i}."
            y = norm(x, p[b + "attn_norm.weight"])
            v = split(F.linear(y, p[b + "attn_v.weight"]), kv_heads)
            q = rope(split(F.linear(y, p[b + "attn_q.weight"]), heads)).to(v.dtype)
            k = rope(split(F.linear(y, p[b + "attn_k.weight"]), kv_heads)).to(v.dtype)
            k = k.repeat_interleave(heads // kv_heads, 1)
            v = v.repeat_interleave(heads // kv_heads, 1)
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
            y = F.linear(y.transpose(1, 2).reshape(batch, time_, -1), p[b + "attn_output.weight"])
            x = x + F.dropout(y, dropout)
            y = norm(x, p[b + "ffn_norm.weight"])
            y = F.silu(F.linear(y, p[b + "ffn_gate.weight"])) * F.linear(y, p[b + "ffn_up.weight"])
            x = x + F.dropout(F.linear(y, p[b + "ffn_down.weight"]), dropout)
        return F.linear(norm(x, p["output_norm.weight"]), p["output.weight"])

    @staticmethod
    def forward_numpy(p, h, tokens, cache):
        """Logits [time, vocab] of the tokens that follow those in `cache`, a dict that starts empty.

        Written apart from forward_torch on purpose (complex rotation, explicit softmax): it is the
        other half of the check.
        """
        dim, groups = h.head_dim, h.n_head // h.n_head_kv
        past = cache["k", 0].shape[0] if cache else 0
        position = np.arange(past, past + len(tokens), dtype=np.float64)
        angle = np.outer(position, h.rope_base ** (-np.arange(0, dim, 2) / dim))
        turn = np.exp(1j * angle).astype(np.complex64)[:, None, :]

        def rope(x):  # [time, heads, dim]: each pair is one complex number
            x = np.ascontiguousarray(x, np.float32)
            return (x.view(np.complex64) * turn).view(np.float32)

        def norm(x, weight):
            return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + np.float32(h.norm_eps)) * weight

        hidden = np.arange(past + len(tokens))[None, :] > position[:, None]
        x = p["token_embd.weight"][tokens]
        for i in range(h.n_layer):
            b = f"blk.{i}."
            y = norm(x, p[b + "attn_norm.weight"])
            q = rope((y @ p[b + "attn_q.weight"].T).reshape(len(tokens), h.n_head, dim))
            k = rope((y @ p[b + "attn_k.weight"].T).reshape(len(tokens), h.n_head_kv, dim))
            v = (y @ p[b + "attn_v.weight"].T).reshape(len(tokens), h.n_head_kv, dim)
            if past:
                k = np.concatenate((cache["k", i], k))
                v = np.concatenate((cache["v", i], v))
            cache["k", i], cache["v", i] = k, v
            y = np.empty_like(q)
            for head in range(h.n_head):
                score = q[:, head] @ k[:, head // groups].T / np.float32(math.sqrt(dim))
                score[hidden] = -np.inf
                score = np.exp(score - score.max(-1, keepdims=True))
                y[:, head] = score / score.sum(-1, keepdims=True) @ v[:, head // groups]
            x = x + y.reshape(len(tokens), -1) @ p[b + "attn_output.weight"].T
            y = norm(x, p[b + "ffn_norm.weight"])
            gate = y @ p[b + "ffn_gate.weight"].T
            y = gate / (1 + np.exp(-gate)) * (y @ p[b + "ffn_up.weight"].T)
            x = x + y @ p[b + "ffn_down.weight"].T
        return norm(x, p["output_norm.weight"]) @ p["output.weight"].T

    @staticmethod
    def write_keys(writer, h):
        """The architecture's own GGUF keys."""
        writer.add_vocab_size(h.n_vocab)
        writer.add_context_length(h.n_ctx)
        writer.add_embedding_length(h.n_embd)
        writer.add_block_count(h.n_layer)
        writer.add_feed_forward_length(h.n_ff)
        writer.add_head_count(h.n_head)
        writer.add_head_count_kv(h.n_head_kv)
        writer.add_layer_norm_rms_eps(h.norm_eps)
        writer.add_rope_dimension_count(h.head_dim)
        writer.add_rope_freq_base(h.rope_base)

    @staticmethod
    def read_keys(key):
        """The shape back from a GGUF file; `key` looks one key up."""
        return Hyper(
            arch="llama",
            n_vocab=key("llama.vocab_size"),
            n_ctx=key("llama.context_length"),
            n_embd=key("llama.embedding_length"),
            n_layer=key("llama.block_count"),
            n_head=key("llama.attention.head_count"),
            n_head_kv=key("llama.attention.head_count_kv"),
            n_ff=key("llama.feed_forward_length"),
            norm_eps=key("llama.attention.layer_norm_rms_epsilon"),
            rope_base=key("llama.rope.freq_base"),
        )


ARCHITECTURES = {"llama": Llama}


# ---------------------------------------------------------------------------------------------------
# Text


def read_text(path):
    """The training part and the held-out tail: the last 5 %, from the first speech that starts there."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    cut = text.index("\n\n", int(len(text) * 0.95)) + 2
    return text[:cut], text[cut:]


def load_vocabulary(path):
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=path)


def held_out_windows(vocabulary, text, h):
    """The held-out text in consecutive windows: [<s>, 511 tokens] in, the same shifted by one out."""
    tokens, width, windows = vocabulary.encode(text), h.n_ctx - 1, []
    for i in range(0, len(tokens), width):
        targets = tokens[i : i + width]
        windows.append(([vocabulary.bos_id()] + targets[:-1], targets))
    return windows


class Windows:
    """Random training windows, each starting with <s>.

    A window starts where a prompt might: at the start of a line, half of the time at that of a speech.
    Its first line is split as a prompt is, with the space that the tokenizer puts in front; the lines
    after it are not. No piece contains a line break, so lines can be split one by one.

    With BPE dropout the text is split in several ways and every window is drawn from one of them. On so
    little text this delays overfitting more than dropout alone.
    """

    def __init__(self, vocabulary, text, h, recipe, rng):
        import sentencepiece

        sentencepiece.set_random_generator_seed(recipe.seed)
        self.rng, self.width, self.bos = rng, h.n_ctx, vocabulary.bos_id()
        lines = text.split("\n")
        self.speech = np.array([i for i in range(len(lines)) if i == 0 or not lines[i - 1]])
        self.any = np.array([i for i, line in enumerate(lines) if line])
        self.variants = []
        for i in range(recipe.bpe_variants if recipe.bpe_dropout else 1):
            # The first copy is always the plain split, the one that every engine will use.
            drop = {"enable_sampling": True, "alpha": recipe.bpe_dropout} if i else {}
            tokens = np.array(vocabulary.encode(text, **drop), np.int64)
            ends = np.append(np.flatnonzero(tokens == vocabulary.piece_to_id("<0x0A>")), len(tokens))
            first = [vocabulary.encode(line, **drop) for line in lines]
            assert len(ends) == len(lines), "a piece holds a line break"
            self.variants.append((tokens, ends, first))

    def one(self):
        tokens, ends, first = self.variants[self.rng.integers(len(self.variants))]
        line = self.rng.choice(self.speech if self.rng.random() < 0.5 else self.any)
        end = ends[line]
        head = [self.bos] + first[line]
        window = np.concatenate((head, tokens[end : end + self.width + 1]))[: self.width + 1]
        return window if len(window) == self.width + 1 else self.one()

    def batch(self, n):
        return np.stack([self.one() for _ in range(n)])


# ---------------------------------------------------------------------------------------------------
# Stages


def vocabulary_stage(args):
    import sentencepiece

    train, _ = read_text(args.text)
    # SentencePiece learns from sentences and would put its leading space before every line. In running
    # text only the very first line has it, so speeches are given whole, with a tab, which the trainer
    # takes for a border that no piece crosses, in front of every line. The line break is then no piece
    # either: it is encoded as the byte <0x0A>, as in the vocabularies of large models.
    speeches = ["\t" + speech.replace("\n", "\t") for speech in train.split("\n\n")]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(speeches),
        model_prefix=args.out.removesuffix(".model"),
        model_type="bpe",
        vocab_size=args.pieces,
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
    vocabulary = load_vocabulary(args.out)
    tokens = vocabulary.encode(train)
    assert vocabulary.decode(tokens) == train, "the vocabulary loses characters"
    assert not any("\n" in vocabulary.id_to_piece(i) for i in range(len(vocabulary)))
    print(f"{len(vocabulary)} pieces, {len(tokens)} training tokens, {len(train) / len(tokens):.2f} characters each")


def train_stage(args):
    import torch
    import torch.nn.functional as F

    h, recipe = args.hyper, args.recipe
    arch, vocabulary = ARCHITECTURES[h.arch], load_vocabulary(args.vocabulary)
    h.n_vocab = len(vocabulary)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)

    train, held_out = read_text(args.text)
    started = time.time()
    windows = Windows(vocabulary, train, h, recipe, rng)
    held_out = held_out_windows(vocabulary, held_out, h)
    n_held_out = sum(len(target) for _, target in held_out)
    print(f"{len(windows.variants[0][0])} training tokens, {n_held_out} held out, split in {time.time() - started:.1f} s")

    params = {
        name: torch.tensor(arch.init(name, shape, h, rng), device=device, requires_grad=True)
        for name, shape in arch.shapes(h).items()
    }
    n_params = sum(p.numel() for p in params.values())
    average = {name: p.detach().clone() for name, p in params.items()}
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in params.values() if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in params.values() if p.ndim == 1], "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.95),
        fused=device == "cuda",
    )

    def rate(step):
        if step < recipe.warmup:
            return (step + 1) / recipe.warmup
        return 0.05 + 0.475 * (1 + math.cos(math.pi * (step - recipe.warmup) / (recipe.steps - recipe.warmup)))

    # In plain float32, as the exported file will be judged. The last window is shorter: padded, masked.
    inputs = torch.zeros(len(held_out), h.n_ctx - 1, dtype=torch.int64)
    targets = torch.full_like(inputs, -100)
    for i, (tokens, expected) in enumerate(held_out):
        inputs[i, : len(tokens)], targets[i, : len(expected)] = torch.tensor(tokens), torch.tensor(expected)
    inputs, targets = inputs.to(device), targets.to(device)

    @torch.no_grad()
    def evaluate(p):
        total = 0.0
        for i in range(0, len(inputs), 8):
            logits = arch.forward_torch(p, h, inputs[i : i + 8])
            total += F.cross_entropy(logits.flatten(0, 1), targets[i : i + 8].flatten(), reduction="sum").item()
        return total / n_held_out

    print(f"{n_params} parameters on {device}: {h} {recipe}")
    best, best_step, kept, log, loss_sum, started = math.inf, 0, None, [], 0.0, time.time()
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate(step)
        batch = torch.from_numpy(windows.batch(recipe.batch)).to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = arch.forward_torch(params, h, batch[:, :-1], recipe.dropout)
        loss = F.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        optimizer.step()
        loss_sum += loss.detach()
        with torch.no_grad():  # the average starts fast, so that it does not remember the first weights
            keep = min(recipe.ema, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.values()), list(params.values()), 1 - keep)

        if (step + 1) % recipe.eval_every == 0 or step + 1 == recipe.steps:
            held = evaluate(average)
            since = step % recipe.eval_every + 1
            log.append((step + 1, float(loss_sum) / since, held))
            loss_sum = 0.0
            if held < best:
                best, best_step = held, step + 1
                kept = {name: p.cpu().numpy().copy() for name, p in average.items()}
            seconds = time.time() - started
            print(f"step {step + 1:5} train {log[-1][1]:.4f} held out {held:.4f} best {best:.4f} {seconds:.0f} s", flush=True)
            if step + 1 - best_step >= recipe.patience * recipe.eval_every or seconds > args.seconds:
                break

    meta = {
        "hyper": dataclasses.asdict(h),
        "recipe": dataclasses.asdict(recipe),
        "held_out_nats": best,
        "best_step": best_step,
        "seconds": time.time() - started,
        "parameters": n_params,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "log": log,
    }
    np.savez(args.checkpoint, meta=json.dumps(meta), **kept)
    print(f"kept step {best_step}: {best:.5f} nats per held-out token, {meta['seconds']:.0f} s on {meta['device']}")


def load_checkpoint(path):
    with np.load(path) as file:
        tensors = {name: file[name] for name in file.files}
    meta = json.loads(str(tensors.pop("meta")))
    return Hyper(**meta["hyper"]), tensors, meta


def write_vocabulary(writer, vocabulary):
    import gguf

    tokens, scores, types = [], [], []
    for i in range(len(vocabulary)):
        tokens.append(vocabulary.id_to_piece(i).encode())
        scores.append(vocabulary.get_score(i))
        if vocabulary.is_unknown(i):
            types.append(gguf.TokenType.UNKNOWN)
        elif vocabulary.is_control(i):
            types.append(gguf.TokenType.CONTROL)
        elif vocabulary.is_byte(i):
            types.append(gguf.TokenType.BYTE)
        else:
            types.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(vocabulary.bos_id())
    writer.add_eos_token_id(vocabulary.eos_id())
    writer.add_unk_token_id(vocabulary.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)


def export_stage(args):
    import gguf

    h, tensors, meta = load_checkpoint(args.checkpoint)
    arch, vocabulary = ARCHITECTURES[h.arch], load_vocabulary(args.vocabulary)
    half = args.type == "f16"
    writer = gguf.GGUFWriter(args.out, h.arch)
    writer.add_type("model")
    writer.add_name(args.name)
    writer.add_author("the paritty project")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_description("A small model for testing inference engines, trained from scratch on Shakespeare's plays.")
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    arch.write_keys(writer, h)
    write_vocabulary(writer, vocabulary)
    for name, shape in arch.shapes(h).items():
        tensor = tensors[name]
        assert tensor.shape == shape and np.isfinite(tensor).all(), name
        # llama.cpp wants vectors (norms, biases) in float32 whatever the matrices are.
        writer.add_tensor(name, tensor.astype(np.float16 if half and tensor.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{args.out}: {len(tensors)} tensors, {meta['parameters']} parameters, {args.type}")


class GgufModel:
    """A model as a GGUF file describes it, and the SentencePiece algorithm on the file's own pieces."""

    def __init__(self, path):
        import gguf

        reader = gguf.GGUFReader(path)
        self.key = lambda name: reader.fields[name].contents()
        self.arch = ARCHITECTURES[self.key("general.architecture")]
        self.hyper = self.arch.read_keys(self.key)
        self.params = {t.name: np.asarray(t.data, np.float32) for t in reader.tensors}
        assert {n: p.shape for n, p in self.params.items()} == self.arch.shapes(self.hyper)
        self.pieces = self.key("tokenizer.ggml.tokens")
        self.scores = self.key("tokenizer.ggml.scores")
        self.types = self.key("tokenizer.ggml.token_type")
        self.ids = {piece: i for i, piece in enumerate(self.pieces)}

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
            if self.types[token] == 6:  # a byte
                out += bytes([int(self.pieces[token][3:5], 16)])
            elif self.types[token] == 1:
                out += self.pieces[token].replace("\u2581", " ").encode()
        return out.decode(errors="replace").removeprefix(" ")

    def forward(self, tokens, cache=None):
        return self.arch.forward_numpy(self.params, self.hyper, np.asarray(tokens), {} if cache is None else cache)


def log_likelihoods(logits, targets):
    top = logits.max(-1)
    return logits[np.arange(len(targets)), targets] - top - np.log(np.exp(logits - top[:, None]).sum(-1))


# Text that the training text has nothing like: the tokenizer must still agree on all of it.
STRANGE = [
    "", " ", "  two  spaces ", "\n", "\n\n\nROMEO:\n", "a\tb\r\nc", "1603 and 37", "caf\u00e9 na\u00efve", "\u2581 literal",
    "\u6c49\u5b57 \u0434\u0430", "\U0001f3ad masks", "<s> </s> <unk> <0x0A>", "e\u0301", "O Romeo, Romeo! wherefore art thou Romeo?\nDeny thy father.",
]


def check_stage(args):
    model, vocabulary = GgufModel(args.gguf), load_vocabulary(args.vocabulary)
    train, held_out = read_text(args.text)
    failed = False

    lines = list(dict.fromkeys((held_out + train).split("\n")))[: args.lines] + STRANGE
    wrong = [line for line in lines if model.encode(line) != vocabulary.encode(line)]
    # A literal U+2581 stands for a space in every SentencePiece vocabulary, so it comes back as one.
    lossy = [line for line in lines if model.decode(model.encode(line)) != line.replace("\u2581", " ")]
    failed |= bool(wrong or lossy)
    print(f"tokenizer: {len(lines)} texts, {len(wrong)} with other ids {wrong[:3]}, {len(lossy)} that do not come back {lossy[:3]}")

    likelihoods = np.concatenate(
        [log_likelihoods(model.forward(tokens), targets) for tokens, targets in held_out_windows(vocabulary, held_out, model.hyper)]
    )
    loss = -float(likelihoods.mean(dtype=np.float64))
    print(f"held out: {loss:.5f} nats per token over {len(likelihoods)} tokens, {loss * len(likelihoods) / len(held_out):.4f} per character")
    if args.checkpoint:
        expected = load_checkpoint(args.checkpoint)[2]["held_out_nats"]
        failed |= not abs(loss - expected) <= args.tolerance
        print(f"the trainer measured {expected:.5f}: off by {loss - expected:+.6f}, {args.tolerance} allowed")

    # What `llama-perplexity -c 512` defines: chunks of 512 tokens, the first replaced by <s>, and only
    # the second half of each scored.
    tokens, n = [vocabulary.bos_id()] + vocabulary.encode(held_out), model.hyper.n_ctx
    scored = []
    for i in range(0, len(tokens) - n + 1, n):
        chunk = [vocabulary.bos_id()] + tokens[i + 1 : i + n]
        scored.append(log_likelihoods(model.forward(chunk)[n // 2 : -1], chunk[n // 2 + 1 :]))
    scored = np.concatenate(scored)
    print(f"as llama-perplexity -c {n} defines it: {math.exp(-scored.mean(dtype=np.float64)):.4f} over {len(scored)} tokens")
    return int(failed)


def sample_stage(args):
    model, rng, cache = GgufModel(args.gguf), np.random.default_rng(args.seed), {}
    tokens = [model.key("tokenizer.ggml.bos_token_id")] + model.encode(args.prompt.replace("\\n", "\n"))
    logits = model.forward(tokens, cache)[-1]
    while len(tokens) < min(args.tokens, model.hyper.n_ctx):
        chosen = np.argsort(-logits)[: args.top_k]
        p = np.exp((logits[chosen] - logits[chosen[0]]).astype(np.float64) / args.temperature)
        tokens.append(int(rng.choice(chosen, p=p / p.sum())))
        logits = model.forward(tokens[-1:], cache)[-1]
    print(model.decode(tokens))


def add_fields(parser, cls):
    """One option per field of a dataclass, with the field's default."""
    for field in dataclasses.fields(cls):
        parser.add_argument("--" + field.name.replace("_", "-"), type=type(field.default), default=field.default)


def take_fields(args, cls):
    return cls(**{field.name: getattr(args, field.name) for field in dataclasses.fields(cls)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    stages = parser.add_subparsers(dest="stage", required=True)

    s = stages.add_parser("vocabulary", help="learn the pieces")
    s.add_argument("--text", required=True)
    s.add_argument("--out", required=True, help="NAME.model")
    s.add_argument("--pieces", type=int, default=Hyper.n_vocab)
    s.set_defaults(run=vocabulary_stage)

    s = stages.add_parser("train", help="train the weights", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    s.add_argument("--text", required=True)
    s.add_argument("--vocabulary", required=True)
    s.add_argument("--checkpoint", required=True, help="NAME.npz to write")
    s.add_argument("--seconds", type=float, default=math.inf, help="stop after this long")
    add_fields(s, Hyper)
    add_fields(s, Recipe)
    s.set_defaults(run=train_stage)

    s = stages.add_parser("export", help="write a GGUF file")
    s.add_argument("--vocabulary", required=True)
    s.add_argument("--checkpoint", required=True)
    s.add_argument("--out", required=True)
    s.add_argument("--type", choices=["f16", "f32"], default="f16")
    s.add_argument("--name", default="paritty-shakespeare")
    s.set_defaults(run=export_stage)

    s = stages.add_parser("check", help="compute the held-out loss from the GGUF file alone")
    s.add_argument("--gguf", required=True)
    s.add_argument("--text", required=True)
    s.add_argument("--vocabulary", required=True)
    s.add_argument("--checkpoint", help="compare with the loss recorded here")
    s.add_argument("--tolerance", type=float, default=1e-3, help="nats per token (1e-5 suits an f32 file)")
    s.add_argument("--lines", type=int, default=5000, help="lines of text to compare token ids on")
    s.set_defaults(run=check_stage)

    s = stages.add_parser("sample", help="write some text")
    s.add_argument("--gguf", required=True)
    s.add_argument("--prompt", default="ROMEO:\n")
    s.add_argument("--tokens", type=int, default=300)
    s.add_argument("--temperature", type=float, default=0.8)
    s.add_argument("--top-k", type=int, default=40)
    s.add_argument("--seed", type=int, default=1)
    s.set_defaults(run=sample_stage)

    args = parser.parse_args()
    if args.stage == "train":
        args.hyper, args.recipe = take_fields(args, Hyper), take_fields(args, Recipe)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
