"""Causal attention in numpy, with a cache of the keys and values of earlier tokens."""

import math

import numpy as np


def past_tokens(cache):
    return cache["k", 0].shape[0] if cache else 0


def attend(q, k, v, cache, layer):
    """[time, heads · dim] from q [time, heads, dim] and k, v [time, key/value heads, dim]."""
    if ("k", layer) in cache:
        k = np.concatenate((cache["k", layer], k))
        v = np.concatenate((cache["v", layer], v))
    cache["k", layer], cache["v", layer] = k, v
    time, heads, dim = q.shape
    groups = heads // k.shape[1]
    hidden = np.arange(len(k))[None, :] > np.arange(len(k) - time, len(k))[:, None]
    out = np.empty_like(q)
    for head in range(heads):
        score = q[:, head] @ k[:, head // groups].T / np.float32(math.sqrt(dim))
        score[hidden] = -np.inf
        score = np.exp(score - score.max(-1, keepdims=True))
        out[:, head] = score / score.sum(-1, keepdims=True) @ v[:, head // groups]
    return out.reshape(time, -1)
