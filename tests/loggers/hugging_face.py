"""Runs the weights of GGUF files as Hugging Face models, hooked by paritty_trace.py.

    hugging_face.py ID,ID,… float32|bfloat16|float16 MODEL.gguf OUT.jsonl batch|step|generate …

The last three once for each model; prints the tokens that were fed, a line a model. Needs gguf, torch and transformers.
A model of the name gemma2.gguf is made first, small and of random weights.
The names of weights and the order of rows are undone as llama.cpp's converter does them.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "assets", "loggers"))

import gguf
import numpy
import torch
import transformers

import paritty_trace

LLAMA = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
PHI3 = dict(LLAMA, ffn_up="mlp.gate_up_proj")
GEMMA2 = dict(
    LLAMA,
    post_attention_norm="post_attention_layernorm",
    ffn_norm="pre_feedforward_layernorm",
    post_ffw_norm="post_feedforward_layernorm",
)
GPT2 = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
OUTSIDE_GPT2 = {"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f", "output": "lm_head"}
PARTS = {"llama": LLAMA, "qwen2": LLAMA, "phi3": PHI3, "gemma2": GEMMA2, "gpt2": GPT2}


def renamed(name, arch):
    """The name that transformers has for a tensor of the file; None for what is no weight there."""
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("blk."):
        _, layer, part = stem.split(".", 2)
        at = "transformer.h" if arch == "gpt2" else "model.layers"
        return "%s.%s.%s.%s" % (at, layer, PARTS[arch][part], kind)
    outside = OUTSIDE_GPT2 if arch == "gpt2" else OUTSIDE
    return "%s.%s" % (outside[stem], kind) if stem in outside else None


def fields(reader, arch):
    def get(key, otherwise=None):
        field = reader.fields.get("%s.%s" % (arch, key))
        return otherwise if field is None else field.contents()

    return get


def configuration(arch, get, n_vocab, reader):
    """The configuration and, where the file has RoPE factors, what they are."""
    n_head = get("attention.head_count")
    shared = {
        "vocab_size": n_vocab,
        "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": n_head,
        "num_key_value_heads": get("attention.head_count_kv", n_head),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "max_position_embeddings": get("context_length"),
        "rope_parameters": {"rope_type": "default", "rope_theta": get("rope.freq_base", 10000.0)},
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if arch == "gpt2":
        return transformers.GPT2Config(
            vocab_size=n_vocab,
            n_positions=get("context_length"),
            n_embd=get("embedding_length"),
            n_layer=get("block_count"),
            n_head=n_head,
            n_inner=get("feed_forward_length"),
            layer_norm_epsilon=get("attention.layer_norm_epsilon"),
            activation_function="gelu_new",
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )
    if arch == "llama":
        return transformers.LlamaConfig(**shared)
    if arch == "qwen2":
        return transformers.Qwen2Config(**shared, use_sliding_window=False)
    if arch == "phi3":
        return transformers.Phi3Config(**shared, original_max_position_embeddings=get("context_length"))
    if arch == "gemma2":
        return transformers.Gemma2Config(
            **shared,
            head_dim=get("attention.key_length"),
            query_pre_attn_scalar=get("attention.key_length"),
            sliding_window=get("attention.sliding_window"),
            attn_logit_softcapping=get("attn_logit_softcapping"),
            final_logit_softcapping=get("final_logit_softcapping"),
            hidden_activation="gelu_pytorch_tanh",
        )
    raise SystemExit("no configuration for %s" % arch)


def load(path):
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()
    get = fields(reader, arch)
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(numpy.float32) for t in reader.tensors}
    config = configuration(arch, get, tensors["token_embd.weight"].shape[0], reader)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    weights = {}
    for name, values in tensors.items():
        to = renamed(name, arch)
        if to is None:
            continue
        if arch == "llama" and (".attn_q." in name or ".attn_k." in name):
            heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads
            shape = values.shape
            values = values.reshape(heads, -1, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
        if arch == "gemma2" and "norm" in name:
            values = values - 1  # the file holds the offset of 1 too
        if arch == "gpt2" and name.startswith("blk.") and values.ndim == 2:
            values = values.T  # transformers' Conv1D
        weights[to] = torch.from_numpy(numpy.ascontiguousarray(values))
    if "lm_head.weight" not in weights:
        weights["lm_head.weight"] = weights["transformer.wte.weight" if arch == "gpt2" else "model.embed_tokens.weight"]
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if missing or unexpected:
        raise SystemExit("weights: missing %s, unexpected %s" % (missing, unexpected))
    if "rope_freqs.weight" in tensors:  # Llama 3's divisors of the frequencies, which its configuration gives by a formula
        factors = torch.from_numpy(tensors["rope_freqs.weight"])
        model.model.rotary_emb.inv_freq = model.model.rotary_emb.inv_freq / factors
    return model


def write_gemma2(path):
    """Random weights, with every part that Gemma 2 has of its own."""
    width, layers, heads, kv, head, ff, vocab = 64, 4, 4, 2, 24, 96, 160
    random = numpy.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "gemma2")
    writer.add_name("random gemma2")
    writer.add_block_count(layers)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(ff)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_attn_logit_softcapping(50.0)
    writer.add_final_logit_softcapping(30.0)
    writer.add_sliding_window(6)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<s>", "</s>", "<unk>"] + ["t%d" % i for i in range(vocab - 3)])
    writer.add_token_scores([0.0] * vocab)
    writer.add_token_types([3, 3, 2] + [1] * (vocab - 3))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    matrix = lambda n, m: (random.standard_normal((n, m)) / numpy.sqrt(m)).astype(numpy.float32)  # noqa: E731
    norm = lambda n: (1 + 0.2 * random.standard_normal(n)).astype(numpy.float32)  # noqa: E731
    writer.add_tensor("token_embd.weight", matrix(vocab, width))
    writer.add_tensor("output_norm.weight", norm(width))
    for layer in range(layers):
        at = "blk.%d." % layer
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            writer.add_tensor(at + name + ".weight", norm(width))
        for name, n, m in (
            ("attn_q", heads * head, width),
            ("attn_k", kv * head, width),
            ("attn_v", kv * head, width),
            ("attn_output", width, heads * head),
            ("ffn_gate", ff, width),
            ("ffn_up", ff, width),
            ("ffn_down", width, ff),
        ):
            writer.add_tensor(at + name + ".weight", matrix(n, m))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def trace(model, out, ids, how):
    tokens = torch.tensor([ids])
    n_prompt = None if how == "generate" else len(ids)
    with torch.no_grad(), paritty_trace.attach(model, path=out, n_prompt=n_prompt):
        if how == "batch":
            model(input_ids=tokens, use_cache=False)
        elif how == "step":
            cache = None
            for token in ids:
                cache = model(input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True).past_key_values
        else:
            made = model.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=5, do_sample=False)
            ids = made[0].tolist()[:-1]  # the last one that is chosen is not fed back
    return ids


def main():
    ids, dtype = [int(t) for t in sys.argv[1].split(",")], getattr(torch, sys.argv[2])
    for path, out, how in zip(*(sys.argv[i::3] for i in (3, 4, 5))):
        if os.path.basename(path) == "gemma2.gguf":
            write_gemma2(path)
        print(",".join(str(t) for t in trace(load(path).to(dtype), out, ids, how)))


main()
