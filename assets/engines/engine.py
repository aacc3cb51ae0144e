#!/usr/bin/env python3
"""An engine that paritty drives (cmd:): any `llama` GGUF in float32 NumPy. Needs numpy and gguf.

paritty inspect model.gguf --reference ref.jsonl --candidate "cmd:python3 engine.py"
"""
import json, sys
import numpy as np
from gguf import GGUFReader, dequantize

def load(path):
    file = GGUFReader(path)
    key = lambda name, default=None: file.fields[name].contents() if name in file.fields else default
    arch = key("general.architecture")
    assert arch == "llama", f"this engine computes llama models, not {arch}"
    m = {name: key(f"{arch}.{name}") for name in ("block_count", "embedding_length", "attention.head_count")}
    m |= {"eps": key(f"{arch}.attention.layer_norm_rms_epsilon"), "base": key(f"{arch}.rope.freq_base", 10000.0),
          "kv": key(f"{arch}.attention.head_count_kv"), "w": {t.name: dequantize(t.data, t.tensor_type) for t in file.tensors}}
    return m, {"name": key("general.name"), "arch": arch, "n_layer": m["block_count"], "n_embd": m["embedding_length"]}

def norm(x, w):
    return x / np.sqrt(np.mean(x * x, dtype=np.float32) + np.float32(M["eps"])) * w

def rope(x, position):  # neighbouring pairs, as llama.cpp's NORM
    angle = position * M["base"] ** (-np.arange(0, x.shape[1], 2) / x.shape[1])
    a, b, out = x[:, 0::2], x[:, 1::2], np.empty_like(x)
    out[:, 0::2], out[:, 1::2] = a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)
    return out

def step(position, token):
    W, heads, d = M["w"], M["attention.head_count"], M["embedding_length"] // M["attention.head_count"]
    x = tap("embd", W["token_embd.weight"][token])
    for l in range(M["block_count"]):
        b = lambda name: W[f"blk.{l}.{name}.weight"]
        h = tap(f"attn_norm-{l}", norm(x, b("attn_norm")))
        q = tap(f"Qcur_rope-{l}", rope(tap(f"Qcur-{l}", (b("attn_q") @ h).reshape(-1, d)), position))
        k = tap(f"Kcur_rope-{l}", rope(tap(f"Kcur-{l}", (b("attn_k") @ h).reshape(-1, d)), position))
        CACHE[l][position:] = [(k, tap(f"Vcur-{l}", (b("attn_v") @ h).reshape(-1, d)))]
        keys, values = (np.repeat(np.stack(c), heads // M["kv"], axis=1) for c in zip(*CACHE[l]))
        scores = tap(f"kq-{l}", np.einsum("hd,phd->hp", q, keys)) / np.float32(np.sqrt(d))
        p = np.exp(scores - scores.max(1, keepdims=True))
        p = tap(f"kq_soft_max-{l}", p / p.sum(1, keepdims=True))
        out = tap(f"kqv_out-{l}", np.einsum("hp,phd->hd", p, values).ravel())
        x = tap(f"ffn_inp-{l}", x + tap(f"attn_out-{l}", b("attn_output") @ out))
        h = tap(f"ffn_norm-{l}", norm(x, b("ffn_norm")))
        gate, up = tap(f"ffn_gate-{l}", b("ffn_gate") @ h), tap(f"ffn_up-{l}", b("ffn_up") @ h)
        x = tap(f"l_out-{l}", x + tap(f"ffn_out-{l}", b("ffn_down") @ tap(f"ffn_swiglu-{l}", gate / (1 + np.exp(-gate)) * up)))
    tap("result_output", W.get("output.weight", W["token_embd.weight"]) @ tap("result_norm", norm(x, W["output_norm.weight"])))

def tap(name, x):  # values go into the sidecar before the line that names them
    x = np.ascontiguousarray(x, np.float32)
    say(checkpoint=name, token_idx=POSITION, dtype="f32", shape=x.shape[::-1], offset=SIDECAR.tell(), bytes=SIDECAR.write(x.data))
    return x

def say(**line):
    SIDECAR.flush()
    print(json.dumps(line), flush=True)

for request in map(json.loads, sys.stdin):
    if a := request.get("load"):
        M, about = load(a["model"])
        CACHE, SIDECAR = [[] for _ in range(M["block_count"])], open(a["sidecar"], "wb")
        say(paritty=1, team="engine.py", backend="NumPy", model=about, settings={"kv": "f32"}, sidecar=SIDECAR.name.split("/")[-1])
    elif a := request.get("step"):
        POSITION = a["position"]
        step(POSITION, a["token"])
        say(token_idx=POSITION, complete=True)
    elif a := request.get("rewind"):
        say(rewind=a["position"])  # the cache is overwritten from there on
