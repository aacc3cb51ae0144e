"""llama.cpp's `phi3`: llama with fused projections and RoPE over halves."""

from .llama import Llama

# What Phi-3-mini-4k declares. llama.cpp reads the key and turns the window off, and the contexts here are
# shorter than it, so the models neither were trained with one nor would notice it.
SLIDING_WINDOW = 2047


class Phi3(Llama):
    name = "phi3"
    halves = True

    @staticmethod
    def attention_shapes(h):
        return {"attn_qkv.weight": (h.n_embd + 2 * h.n_head_kv * h.head_dim, h.n_embd)}

    @staticmethod
    def project(p, b, y, h):
        kv = h.n_head_kv * h.head_dim
        y = y @ p[b + "attn_qkv.weight"].T
        return y[..., : h.n_embd], y[..., h.n_embd : h.n_embd + kv], y[..., h.n_embd + kv :]

    @staticmethod
    def feed_forward_shapes(h):
        return {"ffn_up.weight": (2 * h.n_ff, h.n_embd)}

    @staticmethod
    def gate_and_up(p, b, y, h):
        y = y @ p[b + "ffn_up.weight"].T
        return y[..., : h.n_ff], y[..., h.n_ff :]

    @staticmethod
    def write_keys(writer, h):
        writer.add_context_length(h.n_ctx)
        writer.add_rope_scaling_orig_ctx_len(h.n_ctx)
        writer.add_embedding_length(h.n_embd)
        writer.add_feed_forward_length(h.n_ff)
        writer.add_block_count(h.n_layer)
        writer.add_head_count(h.n_head)
        writer.add_head_count_kv(h.n_head_kv)
        writer.add_layer_norm_rms_eps(h.norm_eps)
        writer.add_rope_dimension_count(h.head_dim)
        writer.add_rope_freq_base(h.rope_base)
        writer.add_sliding_window(SLIDING_WINDOW)
