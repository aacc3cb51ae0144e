"""llama.cpp's `llama`: RMSNorm, interleaved RoPE, grouped-query attention, SwiGLU, no biases."""

import math

import numpy as np

from models import Hyper

from .attention import attend, past_tokens


def rope_factors(h):
    """Llama 3.1's divisors of the frequencies, by wavelength in tokens: one for short waves, `rope_factor`
    for those longer than the original context allows, in between by how often a wave fits into it."""
    pair = np.arange(0, h.head_dim, 2, dtype=np.float64)
    turns = h.rope_original / (2 * math.pi * h.rope_base ** (pair / h.head_dim))
    smooth = np.clip((turns - h.rope_low) / (h.rope_high - h.rope_low), 0, 1)
    return (1 / ((1 - smooth) / h.rope_factor + smooth)).astype(np.float32)


class Llama:
    """Also the frame of the architectures that differ in their projections only: see qwen2.py, phi3.py."""

    name = "llama"
    halves = False  # RoPE turns elements 2j and 2j+1 of a head together; if set, j and j + dim/2
    tied = False  # the output matrix is the token embedding

    @classmethod
    def shapes(cls, h):
        shapes = {"token_embd.weight": (h.n_vocab, h.n_embd)}
        for i in range(h.n_layer):
            b = f"blk.{i}."
            shapes[b + "attn_norm.weight"] = (h.n_embd,)
            shapes |= {b + name: shape for name, shape in cls.attention_shapes(h).items()}
            shapes[b + "attn_output.weight"] = (h.n_embd, h.n_embd)
            shapes[b + "ffn_norm.weight"] = (h.n_embd,)
            shapes |= {b + name: shape for name, shape in cls.feed_forward_shapes(h).items()}
            shapes[b + "ffn_down.weight"] = (h.n_embd, h.n_ff)
        shapes["output_norm.weight"] = (h.n_embd,)
        if not cls.tied:
            shapes["output.weight"] = (h.n_vocab, h.n_embd)
        return shapes

    @staticmethod
    def fixed(h):
        return {"rope_freqs.weight": rope_factors(h)} if h.rope_factor else {}

    @staticmethod
    def init(name, shape, h, rng):
        """A tensor's first value: norms one, matrices normal, smaller where they add to the residual."""
        if len(shape) == 1:
            return np.ones(shape, np.float32)
        std = 0.02
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            std /= math.sqrt(2 * h.n_layer)
        return (rng.standard_normal(shape) * std).astype(np.float32)

    # The next four serve both forward passes: `b` is a layer's prefix, `y` its normalised input.

    @staticmethod
    def attention_shapes(h):
        kv = h.n_head_kv * h.head_dim
        return {"attn_q.weight": (h.n_embd, h.n_embd), "attn_k.weight": (kv, h.n_embd), "attn_v.weight": (kv, h.n_embd)}

    @staticmethod
    def project(p, b, y, h):
        """Queries, keys and values, heads side by side."""
        return y @ p[b + "attn_q.weight"].T, y @ p[b + "attn_k.weight"].T, y @ p[b + "attn_v.weight"].T

    @staticmethod
    def feed_forward_shapes(h):
        return {"ffn_gate.weight": (h.n_ff, h.n_embd), "ffn_up.weight": (h.n_ff, h.n_embd)}

    @staticmethod
    def gate_and_up(p, b, y, h):
        return y @ p[b + "ffn_gate.weight"].T, y @ p[b + "ffn_up.weight"].T

    @classmethod
    def forward_torch(cls, p, h, tokens, dropout=0.0):
        import torch
        import torch.nn.functional as F

        batch, time_ = tokens.shape
        dim = h.head_dim

        # Training with llama.cpp's own pairing is what makes a permutation of attn_q and attn_k unnecessary.
        position = torch.arange(time_, device=tokens.device, dtype=torch.float32)
        pair = torch.arange(dim // 2, device=tokens.device, dtype=torch.float32)
        speed = h.rope_base ** (-2.0 * pair / dim)
        if h.rope_factor:
            speed = speed / torch.tensor(rope_factors(h), device=tokens.device)
        angle = torch.outer(position, speed)
        cos, sin = angle.cos(), angle.sin()

        def rope(x):  # [batch, heads, time, dim], in float32 whatever the products ran in
            x = x.float()
            a, b = x.chunk(2, -1) if cls.halves else (x[..., 0::2], x[..., 1::2])
            a, b = a * cos - b * sin, a * sin + b * cos
            return torch.cat((a, b), -1) if cls.halves else torch.stack((a, b), -1).flatten(-2)

        def norm(x, weight):
            x = x.float()
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + h.norm_eps) * weight

        def split(x, n):
            return x.view(batch, time_, n, dim).transpose(1, 2)

        x = F.dropout(F.embedding(tokens, p["token_embd.weight"]), dropout)
        for i in range(h.n_layer):
            b = f"blk.{i}."
            q, k, v = cls.project(p, b, norm(x, p[b + "attn_norm.weight"]), h)
            v = split(v, h.n_head_kv)
            q, k = rope(split(q, h.n_head)).to(v.dtype), rope(split(k, h.n_head_kv)).to(v.dtype)
            k = k.repeat_interleave(h.n_head // h.n_head_kv, 1)
            v = v.repeat_interleave(h.n_head // h.n_head_kv, 1)
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
            y = F.linear(y.transpose(1, 2).reshape(batch, time_, -1), p[b + "attn_output.weight"])
            x = x + F.dropout(y, dropout)
            gate, up = cls.gate_and_up(p, b, norm(x, p[b + "ffn_norm.weight"]), h)
            x = x + F.dropout(F.linear(F.silu(gate) * up, p[b + "ffn_down.weight"]), dropout)
        head = p["token_embd.weight" if cls.tied else "output.weight"]
        return F.linear(norm(x, p["output_norm.weight"]), head)

    @classmethod
    def forward_numpy(cls, p, h, tokens, cache):
        """Written apart from forward_torch on purpose: complex rotation, explicit softmax, and the factors
        as the file has them."""
        dim, past, time = h.head_dim, past_tokens(cache), len(tokens)
        position = np.arange(past, past + time, dtype=np.float64)
        speed = h.rope_base ** (-np.arange(0, dim, 2) / dim) / p.get("rope_freqs.weight", 1)
        turn = np.exp(1j * np.outer(position, speed)).astype(np.complex64)[:, None, :]

        def rope(x, heads):  # each pair is one complex number
            x = np.ascontiguousarray(x.reshape(time, heads, dim), np.float32)
            if not cls.halves:
                return (x.view(np.complex64) * turn).view(np.float32)
            x = (x[..., : dim // 2] + 1j * x[..., dim // 2 :]) * turn
            return np.concatenate((x.real, x.imag), -1)

        def norm(x, weight):
            return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + np.float32(h.norm_eps)) * weight

        x = p["token_embd.weight"][tokens]
        for i in range(h.n_layer):
            b = f"blk.{i}."
            q, k, v = cls.project(p, b, norm(x, p[b + "attn_norm.weight"]), h)
            v = v.reshape(time, h.n_head_kv, dim)
            y = attend(rope(q, h.n_head), rope(k, h.n_head_kv), v, cache, i)
            x = x + y @ p[b + "attn_output.weight"].T
            gate, up = cls.gate_and_up(p, b, norm(x, p[b + "ffn_norm.weight"]), h)
            x = x + gate / (1 + np.exp(-gate)) * up @ p[b + "ffn_down.weight"].T
        head = p["token_embd.weight" if cls.tied else "output.weight"]
        return norm(x, p["output_norm.weight"]) @ head.T

    @staticmethod
    def write_keys(writer, h):
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

    @classmethod
    def read_keys(cls, key):
        """The shape back from a GGUF file; `key` looks one key up."""
        return Hyper(
            arch=cls.name,
            n_vocab=len(key("tokenizer.ggml.tokens")),
            n_ctx=key(f"{cls.name}.context_length"),
            n_embd=key(f"{cls.name}.embedding_length"),
            n_layer=key(f"{cls.name}.block_count"),
            n_head=key(f"{cls.name}.attention.head_count"),
            n_head_kv=key(f"{cls.name}.attention.head_count_kv"),
            n_ff=key(f"{cls.name}.feed_forward_length"),
            norm_eps=key(f"{cls.name}.attention.layer_norm_rms_epsilon"),
            rope_base=key(f"{cls.name}.rope.freq_base"),
        )
