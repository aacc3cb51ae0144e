"""llama.cpp's `qwen2`: llama with biased projections, RoPE over halves and tied embeddings."""

import numpy as np

from .llama import Llama


class Qwen2(Llama):
    name = "qwen2"
    halves = True
    tied = True

    @staticmethod
    def init(name, shape, h, rng):
        # Qwen's biases are large, those of the keys most of all. Biases that start at zero would stay
        # small on so short a training, and an engine that forgets them would hardly be noticed.
        if name.endswith(".bias"):
            return (rng.standard_normal(shape) * 0.5).astype(np.float32)
        return Llama.init(name, shape, h, rng)

    @staticmethod
    def attention_shapes(h):
        weights = Llama.attention_shapes(h)
        return weights | {name.replace(".weight", ".bias"): shape[:1] for name, shape in weights.items()}

    @staticmethod
    def project(p, b, y, h):
        q, k, v = Llama.project(p, b, y, h)
        return q + p[b + "attn_q.bias"], k + p[b + "attn_k.bias"], v + p[b + "attn_v.bias"]

    @staticmethod
    def write_keys(writer, h):
        writer.add_block_count(h.n_layer)
        writer.add_context_length(h.n_ctx)
        writer.add_embedding_length(h.n_embd)
        writer.add_feed_forward_length(h.n_ff)
        writer.add_head_count(h.n_head)
        writer.add_head_count_kv(h.n_head_kv)
        writer.add_rope_freq_base(h.rope_base)
        writer.add_layer_norm_rms_eps(h.norm_eps)
