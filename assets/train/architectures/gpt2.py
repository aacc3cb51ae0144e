"""llama.cpp's `gpt2`: learned positions, LayerNorm and biases everywhere, GELU, tied embeddings."""

import math

import numpy as np

from models import Hyper

from .attention import attend, past_tokens


class Gpt2:
    name = "gpt2"

    @staticmethod
    def shapes(h):
        def linear(name, n_out, n_in):
            return {name + ".weight": (n_out, n_in), name + ".bias": (n_out,)}

        def norm(name):
            return {name + ".weight": (h.n_embd,), name + ".bias": (h.n_embd,)}

        shapes = {"token_embd.weight": (h.n_vocab, h.n_embd), "position_embd.weight": (h.n_ctx, h.n_embd)}
        for i in range(h.n_layer):
            b = f"blk.{i}."
            shapes |= norm(b + "attn_norm") | linear(b + "attn_qkv", 3 * h.n_embd, h.n_embd)
            shapes |= linear(b + "attn_output", h.n_embd, h.n_embd) | norm(b + "ffn_norm")
            shapes |= linear(b + "ffn_up", h.n_ff, h.n_embd) | linear(b + "ffn_down", h.n_embd, h.n_ff)
        return shapes | norm("output_norm")

    @staticmethod
    def fixed(h):
        return {}

    @staticmethod
    def init(name, shape, h, rng):
        """Biases start well off zero, so that each of them matters (see qwen2.py)."""
        if name.endswith("norm.weight"):
            return np.ones(shape, np.float32)
        std = 0.1 if name.endswith(".bias") else 0.02
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            std /= math.sqrt(2 * h.n_layer)
        return (rng.standard_normal(shape) * std).astype(np.float32)

    @staticmethod
    def forward_torch(p, h, tokens, dropout=0.0):
        import torch.nn.functional as F

        batch, time_ = tokens.shape

        def norm(x, name):
            return F.layer_norm(x.float(), (h.n_embd,), p[name + ".weight"], p[name + ".bias"], h.norm_eps)

        def linear(x, name):
            return F.linear(x, p[name + ".weight"], p[name + ".bias"])

        def split(x):
            return x.view(batch, time_, h.n_head, h.head_dim).transpose(1, 2)

        x = F.embedding(tokens, p["token_embd.weight"]) + p["position_embd.weight"][:time_]
        x = F.dropout(x, dropout)
        for i in range(h.n_layer):
            b = f"blk.{i}."
            q, k, v = linear(norm(x, b + "attn_norm"), b + "attn_qkv").chunk(3, -1)
            y = F.scaled_dot_product_attention(split(q), split(k), split(v), dropout_p=dropout, is_causal=True)
            y = linear(y.transpose(1, 2).reshape(batch, time_, -1), b + "attn_output")
            x = x + F.dropout(y, dropout)
            y = F.gelu(linear(norm(x, b + "ffn_norm"), b + "ffn_up"), approximate="tanh")
            x = x + F.dropout(linear(y, b + "ffn_down"), dropout)
        return F.linear(norm(x, "output_norm"), p["token_embd.weight"])

    @staticmethod
    def forward_numpy(p, h, tokens, cache):
        past, time = past_tokens(cache), len(tokens)

        def norm(x, name):
            x = x - x.mean(-1, keepdims=True)
            x = x / np.sqrt(np.mean(x * x, -1, keepdims=True) + np.float32(h.norm_eps))
            return x * p[name + ".weight"] + p[name + ".bias"]

        def linear(x, name):
            return x @ p[name + ".weight"].T + p[name + ".bias"]

        x = p["token_embd.weight"][tokens] + p["position_embd.weight"][past : past + time]
        for i in range(h.n_layer):
            b = f"blk.{i}."
            y = linear(norm(x, b + "attn_norm"), b + "attn_qkv").reshape(time, 3, h.n_head, h.head_dim)
            y = attend(y[:, 0], y[:, 1], y[:, 2], cache, i)
            x = x + linear(y, b + "attn_output")
            y = linear(norm(x, b + "ffn_norm"), b + "ffn_up")
            y = y / 2 * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (y + np.float32(0.044715) * y**3)))
            x = x + linear(y, b + "ffn_down")
        return norm(x, "output_norm") @ p["token_embd.weight"].T

    @staticmethod
    def write_keys(writer, h):
        writer.add_block_count(h.n_layer)
        writer.add_context_length(h.n_ctx)
        writer.add_embedding_length(h.n_embd)
        writer.add_feed_forward_length(h.n_ff)
        writer.add_head_count(h.n_head)
        writer.add_layer_norm_eps(h.norm_eps)

    @classmethod
    def read_keys(cls, key):
        return Hyper(
            arch=cls.name,
            n_vocab=len(key("tokenizer.ggml.tokens")),
            n_ctx=key("gpt2.context_length"),
            n_embd=key("gpt2.embedding_length"),
            n_layer=key("gpt2.block_count"),
            n_head=key("gpt2.attention.head_count"),
            n_head_kv=key("gpt2.attention.head_count"),
            n_ff=key("gpt2.feed_forward_length"),
            norm_eps=key("gpt2.attention.layer_norm_epsilon"),
        )
