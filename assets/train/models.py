"""The models in assets/models: shape, recipe and vocabulary of each, by name."""

import dataclasses


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
    rope_factor: float = 0.0  # 0: no rope_freqs.weight; else how far Llama 3.1 slows the slow pairs
    rope_low: float = 1.0
    rope_high: float = 4.0
    rope_original: int = 128  # the context that the factors are reckoned from

    @property
    def head_dim(self):
        return self.n_embd // self.n_head


@dataclasses.dataclass
class Recipe:
    """How a model is trained."""

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


@dataclasses.dataclass
class Tokens:
    """Which kind of vocabulary, and the tokens in it that no text contains."""

    kind: str  # "sentencepiece" or "bpe"
    pre: str  # tokenizer.ggml.pre
    added: tuple = ()  # special tokens after the learnt ones
    bos: str | None = None
    eos: str | None = None
    pad: str | None = None
    starts_with_bos: bool = True
    add_bos_key: bool | None = None  # None: the key is absent, as in converted files of that family


@dataclasses.dataclass
class Model:
    tokens: Tokens
    hyper: Hyper
    recipe: Recipe


MODELS = {
    "shakespeare": Model(
        Tokens("sentencepiece", "default", bos="<s>", eos="</s>", add_bos_key=True),
        Hyper(),
        Recipe(),
    ),
    # Key/value heads, RoPE base, factors and special tokens as in Llama 3.1, whose original context of
    # 8,192 is 128 here: of a head's 16 pairs two keep their speed, two are in between, twelve slow down.
    "shakespeare-llama3": Model(
        Tokens(
            "bpe",
            "llama-bpe",
            (
                "<|begin_of_text|>",
                "<|end_of_text|>",
                "<|reserved_special_token_0|>",
                "<|reserved_special_token_1|>",
                "<|finetune_right_pad_id|>",
                "<|reserved_special_token_2|>",
                "<|start_header_id|>",
                "<|end_header_id|>",
                "<|eom_id|>",
                "<|eot_id|>",
                "<|python_tag|>",
            ),
            bos="<|begin_of_text|>",
            eos="<|eot_id|>",
        ),
        Hyper(n_vocab=1024, n_layer=3, n_head_kv=2, rope_base=500000.0, rope_factor=8.0),
        Recipe(steps=2000),
    ),
    "shakespeare-qwen2": Model(
        Tokens(
            "bpe",
            "qwen2",
            ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
            bos="<|endoftext|>",
            eos="<|im_end|>",
            pad="<|endoftext|>",
            starts_with_bos=False,
            add_bos_key=False,
        ),
        Hyper("qwen2", n_vocab=1024, n_layer=3, n_head_kv=2, norm_eps=1e-6, rope_base=1e6),
        Recipe(steps=2000, dropout=0.1),
    ),
    "shakespeare-phi3": Model(
        Tokens(
            "sentencepiece",
            "default",
            ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"),
            bos="<s>",
            eos="<|endoftext|>",
            pad="<|endoftext|>",
            add_bos_key=True,
        ),
        Hyper("phi3", n_vocab=1024, n_layer=3, n_head_kv=8),
        Recipe(steps=2000, dropout=0.1),
    ),
    "shakespeare-gpt2": Model(
        Tokens("bpe", "gpt-2", ("<|endoftext|>",), bos="<|endoftext|>", eos="<|endoftext|>", starts_with_bos=False),
        Hyper("gpt2", n_vocab=1024, n_ctx=256, n_embd=96, n_layer=4, n_head=3, n_head_kv=3, n_ff=384),
        Recipe(steps=3000, batch=64, learning_rate=2e-3, dropout=0.05),
    ),
}
