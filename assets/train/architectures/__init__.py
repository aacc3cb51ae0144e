"""The architectures, each a class in its own file; nothing else here knows what a layer looks like.

Parameters are a plain dict. The keys are GGUF tensor names and matrices are [out, in], which GGUF stores
as ne = [in, out]: the export renames, transposes and permutes nothing. A class has these members:

    shapes(h)            every trained tensor's shape
    fixed(h)             tensors of the file that are computed, not trained
    init(name, shape, h, rng)
    forward_torch(p, h, tokens, dropout)   logits [batch, time, vocab], for training
    forward_numpy(p, h, tokens, cache)     logits [time, vocab] of the tokens that follow those in `cache`, a
                                           dict that starts empty; the other half of `train.py check`
    write_keys(writer, h), read_keys(key)  the architecture's own GGUF keys
"""

from .gpt2 import Gpt2
from .llama import Llama
from .phi3 import Phi3
from .qwen2 import Qwen2

ARCHITECTURES = {"llama": Llama, "qwen2": Qwen2, "phi3": Phi3, "gpt2": Gpt2}
