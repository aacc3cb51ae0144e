#!/usr/bin/env python3
"""Make the small real models that paritty ships, from one text file.

Five stages, each a subcommand, each reading only files that an earlier one wrote:

    vocabulary  text                     -> vocabulary (SentencePiece .model or tokenizers .json)
    train       text + vocabulary        -> checkpoint (.npz: float32 weights and what was measured)
    export      vocabulary + checkpoint  -> GGUF v3 file that llama.cpp loads
    check       GGUF + text + vocabulary -> the same held-out loss from numpy, the same ids from the
                                            file's own tokenizer; exits with 1 if either differs
    sample      GGUF + prompt            -> text

The first four take --model, a name in models.py, which holds every shape, recipe and kind of vocabulary.
Only `train` needs PyTorch. `check` and `sample` read nothing but the GGUF file's tensors and keys and
compute the forward pass in numpy, so a mistake of the exporter cannot hide behind the trainer's code.

To add a model of a new architecture, write its class (architectures/__init__.py says which members it has)
and add a row to models.py.
"""

import argparse
import dataclasses
import json
import math
import sys
import time

import numpy as np

from architectures import ARCHITECTURES
from ggufmodel import GgufModel
from models import MODELS, Hyper, Recipe
from vocabularies import ByteLevelBpe, SentencePiece, load_vocabulary


def read_text(path):
    """The training part and the held-out tail: the last 5 %, from the first speech that starts there."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    cut = text.index("\n\n", int(len(text) * 0.95)) + 2
    return text[:cut], text[cut:]


def held_out_windows(vocabulary, text, h):
    """The held-out text in consecutive windows: 511 tokens in, the same shifted by one out. The first input
    is the BOS token; a vocabulary without one cannot have its very first token predicted."""
    tokens, width, windows = vocabulary.encode(text), h.n_ctx - 1, []
    for i in range(0 if vocabulary.bos is not None else 1, len(tokens), width):
        targets = tokens[i : i + width]
        first = tokens[i - 1] if vocabulary.bos is None else vocabulary.bos
        windows.append(([first] + targets[:-1], targets))
    return windows


class Windows:
    """Random training windows, each starting where a prompt might: with the BOS token, if there is one, and
    at the start of a line, half of the time at that of a speech.

    With BPE dropout the text is split in several ways and every window is drawn from one of them. On so
    little text this delays overfitting more than dropout alone.
    """

    def __init__(self, vocabulary, text, h, recipe, rng):
        self.rng, self.width = rng, h.n_ctx
        lines = text.split("\n")
        self.speech = np.array([i for i in range(len(lines)) if i == 0 or not lines[i - 1]])
        self.any = np.array([i for i, line in enumerate(lines) if line])
        self.splits = list(vocabulary.splits(text, recipe))

    def one(self):
        split = self.splits[self.rng.integers(len(self.splits))]
        line = self.rng.choice(self.speech if self.rng.random() < 0.5 else self.any)
        window = split.window(line, self.width)
        return window if len(window) == self.width else self.one()

    def batch(self, n):
        return np.stack([self.one() for _ in range(n)])


# ---------------------------------------------------------------------------------------------------
# Stages


def vocabulary_stage(args):
    train, _ = read_text(args.text)
    spec = args.model.tokens
    learner = SentencePiece if spec.kind == "sentencepiece" else ByteLevelBpe
    learner.learn(train, args.out, args.model.hyper.n_vocab, spec)
    vocabulary = load_vocabulary(args.out, spec)
    tokens = vocabulary.encode(train)
    assert vocabulary.decode(tokens) == train, "the vocabulary loses characters"
    print(f"{len(vocabulary)} pieces, {len(tokens)} training tokens, {len(train) / len(tokens):.2f} characters each")


def train_stage(args):
    import torch
    import torch.nn.functional as F

    h, recipe = take_fields(args, args.model.hyper), take_fields(args, args.model.recipe)
    arch, vocabulary = ARCHITECTURES[h.arch], load_vocabulary(args.vocabulary, args.model.tokens)
    assert len(vocabulary) == h.n_vocab
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)

    train, held_out = read_text(args.text)
    started = time.time()
    windows = Windows(vocabulary, train, h, recipe, rng)
    held_out = held_out_windows(vocabulary, held_out, h)
    n_held_out = sum(len(target) for _, target in held_out)
    print(f"{len(windows.splits[0].tokens)} training tokens, {n_held_out} held out, split in {time.time() - started:.1f} s")

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


def export_stage(args):
    import gguf

    h, tensors, meta = load_checkpoint(args.checkpoint)
    arch, vocabulary = ARCHITECTURES[h.arch], load_vocabulary(args.vocabulary, args.model.tokens)
    half = args.type == "f16"
    writer = gguf.GGUFWriter(args.out, h.arch)
    writer.add_type("model")
    writer.add_name(f"paritty-{args.name}")
    writer.add_author("the paritty project")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_description("A small model for testing inference engines, trained from scratch on Shakespeare's plays.")
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    arch.write_keys(writer, h)
    vocabulary.write_keys(writer)
    for name, tensor in arch.fixed(h).items():
        writer.add_tensor(name, tensor)
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


def log_likelihoods(logits, targets):
    top = logits.max(-1)
    return logits[np.arange(len(targets)), targets] - top - np.log(np.exp(logits - top[:, None]).sum(-1))


# Text that the training text has nothing like: the tokenizer must still agree on all of it.
STRANGE = [
    "", " ", "  two  spaces ", "\n", "\n\n\nROMEO:\n", "a\tb\r\nc", "1603 and 37", "caf\u00e9 na\u00efve", "\u2581 literal",
    "\u6c49\u5b57 \u0434\u0430", "\U0001f3ad masks", "<s> </s> <unk> <0x0A>", "e\u0301", "O Romeo, Romeo! wherefore art thou Romeo?\nDeny thy father.",
    "I'll, THOU'LL, 'tis", "a  \n b", "end\n\n", "!!\n\nB", "12345678",
]


# Parts of a model that an engine may forget. --without shows how much the loss would tell of each.
FORGETTABLE = {
    "rope_freqs": lambda name, tensor: None if name == "rope_freqs.weight" else tensor,
    "qkv_bias": lambda name, tensor: 0 * tensor if name.endswith(("_q.bias", "_k.bias", "_v.bias", "_qkv.bias")) else tensor,
    "bias": lambda name, tensor: 0 * tensor if name.endswith(".bias") else tensor,
}


def check_stage(args):
    model, vocabulary = GgufModel(args.gguf), load_vocabulary(args.vocabulary, args.model.tokens)
    train, held_out = read_text(args.text)
    failed = model.bos != vocabulary.bos

    lines = list(dict.fromkeys((held_out + train).split("\n")))[: args.lines] + STRANGE + [held_out[:2000]]
    wrong = [line for line in lines if model.encode(line) != vocabulary.encode(line)]
    lossy = [line for line in lines if not model.tokenizer.comes_back(line)]
    failed |= bool(wrong or lossy)
    print(f"tokenizer: {len(lines)} texts, {len(wrong)} with other ids {wrong[:3]}, {len(lossy)} that do not come back {lossy[:3]}")

    windows = held_out_windows(vocabulary, held_out, model.hyper)

    def held_out_likelihoods():
        return np.concatenate([log_likelihoods(model.forward(tokens), targets) for tokens, targets in windows])

    likelihoods = held_out_likelihoods()
    loss = -float(likelihoods.mean(dtype=np.float64))
    print(f"held out: {loss:.5f} nats per token over {len(likelihoods)} tokens, {loss * len(likelihoods) / len(held_out):.4f} per character")
    if args.checkpoint:
        expected = load_checkpoint(args.checkpoint)[2]["held_out_nats"]
        failed |= not abs(loss - expected) <= args.tolerance
        print(f"the trainer measured {expected:.5f}: off by {loss - expected:+.6f}, {args.tolerance} allowed")

    # What `llama-perplexity -c N` defines, N the model's context: chunks of N tokens, the first replaced by
    # BOS if the vocabulary has one, and only the second half of each scored.
    head = [] if model.bos is None else [model.bos]
    tokens, n = head + vocabulary.encode(held_out), model.hyper.n_ctx
    scored = []
    for i in range(0, len(tokens) - n + 1, n):
        chunk = head + tokens[i + len(head) : i + n]
        scored.append(log_likelihoods(model.forward(chunk)[n // 2 : -1], chunk[n // 2 + 1 :]))
    scored = np.concatenate(scored)
    print(f"as llama-perplexity -c {n} defines it: {math.exp(-scored.mean(dtype=np.float64)):.4f} over {len(scored)} tokens")

    whole = model.params
    for part in args.without:
        kept = {name: FORGETTABLE[part](name, tensor) for name, tensor in whole.items()}
        model.params = {name: tensor for name, tensor in kept.items() if tensor is not None}
        print(f"without {part}: {-float(held_out_likelihoods().mean(dtype=np.float64)):.3f} nats per token")
    return int(failed)


def sample_stage(args):
    model, rng, cache = GgufModel(args.gguf), np.random.default_rng(args.seed), {}
    tokens = ([] if model.bos is None else [model.bos]) + model.encode(args.prompt.replace("\\n", "\n"))
    logits = model.forward(tokens, cache)[-1]
    while len(tokens) < min(args.tokens, model.hyper.n_ctx):
        chosen = np.argsort(-logits)[: args.top_k]
        p = np.exp((logits[chosen] - logits[chosen[0]]).astype(np.float64) / args.temperature)
        tokens.append(int(rng.choice(chosen, p=p / p.sum())))
        logits = model.forward(tokens[-1:], cache)[-1]
    print(model.decode(tokens))


def add_fields(parser, cls):
    """One option per field of a dataclass; what is not given stays as models.py has it."""
    for field in dataclasses.fields(cls):
        parser.add_argument("--" + field.name.replace("_", "-"), type=field.type)


def take_fields(args, defaults):
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(defaults)}
    return dataclasses.replace(defaults, **{name: value for name, value in given.items() if value is not None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    stages = parser.add_subparsers(dest="stage", required=True)

    def add(stage, run, help):
        s = stages.add_parser(stage, help=help)
        s.set_defaults(run=run)
        if stage != "sample":
            s.add_argument("--model", required=True, choices=MODELS)
        return s

    s = add("vocabulary", vocabulary_stage, "learn the pieces")
    s.add_argument("--text", required=True)
    s.add_argument("--out", required=True, help="NAME.model for SentencePiece, NAME.json for BPE")

    s = add("train", train_stage, "train the weights")
    s.add_argument("--text", required=True)
    s.add_argument("--vocabulary", required=True)
    s.add_argument("--checkpoint", required=True, help="NAME.npz to write")
    s.add_argument("--seconds", type=float, default=math.inf, help="stop after this long")
    add_fields(s, Hyper)
    add_fields(s, Recipe)

    s = add("export", export_stage, "write a GGUF file")
    s.add_argument("--vocabulary", required=True)
    s.add_argument("--checkpoint", required=True)
    s.add_argument("--out", required=True)
    s.add_argument("--type", choices=["f16", "f32"], default="f16")

    s = add("check", check_stage, "compute the held-out loss from the GGUF file alone")
    s.add_argument("--gguf", required=True)
    s.add_argument("--text", required=True)
    s.add_argument("--vocabulary", required=True)
    s.add_argument("--checkpoint", help="compare with the loss recorded here")
    s.add_argument("--tolerance", type=float, default=1e-3, help="nats per token (1e-5 suits an f32 file)")
    s.add_argument("--lines", type=int, default=5000, help="lines of text to compare token ids on")
    s.add_argument("--without", nargs="*", choices=FORGETTABLE, default=[], help="also measure with a part forgotten")

    s = add("sample", sample_stage, "write some text")
    s.add_argument("--gguf", required=True)
    s.add_argument("--prompt", default="ROMEO:\n")
    s.add_argument("--tokens", type=int, default=300)
    s.add_argument("--temperature", type=float, default=0.8)
    s.add_argument("--top-k", type=int, default=40)
    s.add_argument("--seed", type=int, default=1)

    args = parser.parse_args()
    if args.stage != "sample":
        args.name, args.model = args.model, MODELS[args.model]
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
