"""Records what your engine computes, as a trace that paritty reads.

One file for Python 3.8 and later; NumPy and PyTorch are used where your values are theirs, not needed otherwise.

    import paritty_trace

    trace = paritty_trace.open("my engine")            # writes what ORCH_LOG_FILE names; without it, nothing
    trace.token(position, token_id, piece)
    trace.tensor(position, "Qcur", q, layer=3)         # a list, an array, a tensor on any device
    trace.complete(position)
    trace.end()

A Hugging Face model, every checkpoint of it, without touching its code (see `attach`):

    with paritty_trace.attach(model, tokenizer=tokenizer):
        model.generate(**tokenizer("Once upon a time", return_tensors="pt"), max_new_tokens=32)

The trace is RUN.jsonl, its values go beside it to RUN.bin. ORCH_LOG_TEAM renames the engine, ORCH_LOG_VALUES=N
writes the first N values of each record as text instead.

What it promises:
 - A record is with the operating system when the call returns: exits, exceptions and crashes lose nothing.
 - The bits stay as they are: float32, float16 and bfloat16 are written raw. Anything else becomes float32.
 - Any thread may call; records never mix. A forked process records into a trace of its own, RUN-PID.jsonl.
 - Trouble (a full disk, no such folder) is told once on stderr; recording then stops, your program goes on.

MIT or Apache-2.0, at your choice.
"""

import array
import ctypes
import json
import math
import os
import re
import stat
import struct
import sys
import threading

__all__ = ["Trace", "attach", "open"]

# Bounds of paritty's reader.
MAX_POSITION = 1 << 24
MAX_VALUES = 1 << 28

SIZES = {"f32": 4, "f16": 2, "bf16": 2}
NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


def open(team, path=None, **info):
    """The trace that `path`, or else the environment variable ORCH_LOG_FILE, names; one that records nothing without.

    `info` goes into the first line: `backend`, `prompt`, `n_prompt`, `model` (a dictionary with name, arch,
    weights, n_layer, n_embd, n_vocab; weights is the type of most matrices, "F32", "BF16", "Q8_0" …, and decides which
    differences count), `settings` (a dictionary of what changes numbers).
    """
    return Trace(path or os.environ.get("ORCH_LOG_FILE"), team, **info)


class Trace:
    """A trace being written. `on` says whether it is; when it is not, every method returns at once."""

    def __init__(self, path, team, **info):
        self.on = False
        self._complained = False
        self._lock = threading.Lock()
        self._text = self._sidecar = None
        self._path = path
        self._team = os.environ.get("ORCH_LOG_TEAM") or team
        self._info = info
        self._most = None
        if not path:
            return
        most = os.environ.get("ORCH_LOG_VALUES")
        if most:
            self._most = int(most) if most.isdigit() and most.isascii() and int(most) > 0 else None
            if self._most is None:
                self._warn("ORCH_LOG_VALUES: a whole number above 0 was expected; all values are recorded")
        with self._lock:
            self._start(os.fspath(path))

    # ---- what the engine calls ----

    def token(self, position, token, piece=None, from_prompt=True, columns=None):
        """The token that opens a position. `piece` is its text (str or bytes); `columns` how many tokens the batch
        has that computes it, which changes arithmetic."""
        if not self.on:
            return
        line = {"token_idx": int(position), "token": int(token)}
        if piece is not None:
            line["piece"] = _text(piece)
        line["from"] = "prompt" if from_prompt else "sample"
        if columns is not None:
            line["columns"] = int(columns)
        self._line(position, line)

    def tensor(self, position, site, values, layer=None, shape=None, dtype=None):
        """One tensor of one position: a (nested) list, an array.array, a NumPy array, a PyTorch tensor, or bytes.

        Shapes are as NumPy has them, slowest axis first, and are taken from the values unless given.
        `dtype` ("f32", "f16", "bf16") is only for bytes, which have to be little-endian.
        """
        if not self.on:
            return
        try:
            data, kind, found = _raw(values, dtype)
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            return self._warn("%s was left out: %s" % (site, error))
        self._record(position, _name(site, layer), kind, tuple(shape or found), data)

    def complete(self, position):
        """Everything of this position has been recorded."""
        if self.on:
            self._line(position, {"complete": True, "token_idx": int(position)})

    def rewind(self, position):
        """Everything from this position on is void and will be computed again."""
        if self.on:
            with self._lock:
                self._enter()
                self._records = {p: n for p, n in self._records.items() if p < position}
                self._send({"rewind": int(position)})

    def end(self):
        """The last line. Without it the trace is readable, but paritty waits for more."""
        if self.on:
            with self._lock:
                self._enter()
                self._send({"end": True, "positions": len(self._records), "records": sum(self._records.values())})
                self._close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    # ---- files; what follows wants the lock ----

    def _start(self, path):
        self._process = os.getpid()
        self._records = {}
        self._text_length = self._sidecar_length = 0
        header = {"paritty": 1, "team": _text(self._team or "")}
        header.update((k, v) for k, v in self._info.items() if v is not None)
        header["settings"] = dict(self._info.get("settings") or {}, logger="paritty_trace.py")
        sidecar = os.path.splitext(path)[0] + ".bin"
        at = path
        try:
            special = os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode)
            if special and self._most is None:
                self._most = MAX_VALUES  # a pipe or device has no neighbour: everything as text
            if self._most is None:
                at = sidecar
                if sidecar == path:
                    raise OSError(0, "a trace needs a name that does not end in .bin, such as run.jsonl")
                if os.path.exists(sidecar) and not os.path.exists(path):
                    raise OSError(0, "would become the trace's sidecar but belongs to no trace; rename or remove it")
                if os.path.exists(path):
                    os.unlink(path)  # so that no reader sees a text beside a sidecar that is not its own
                self._sidecar = _create(sidecar)
                header["sidecar"] = os.path.basename(sidecar)
            at = path
            self._text = _create(path)
        except OSError as error:
            return self._fail(at, error)
        self._shown = path
        self.on = True
        self._send(header)

    def _enter(self):
        """In a forked process: begins a trace of its own."""
        if self._process != os.getpid() and self.on:
            self._close()
            stem, ending = os.path.splitext(os.fspath(self._path))
            self._start("%s-%d%s" % (stem, os.getpid(), ending))

    def _close(self):
        self.on = False
        for file in (self._text, self._sidecar):
            if file is not None:
                os.close(file)
        self._text = self._sidecar = None

    def _warn(self, what):
        if not self._complained:
            self._complained = True
            sys.stderr.write("paritty_trace: %s\n" % what)

    def _fail(self, path, error):
        self._warn("%s: %s; nothing more is recorded, the program goes on" % (path, error.strerror or error))
        self._close()

    def _send(self, line):
        """Hands a line over; a half-written one is taken back."""
        if not self.on:
            return
        if not isinstance(line, bytes):
            line = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")
        try:
            _write(self._text, line + b"\n")
            self._text_length += len(line) + 1
        except OSError as error:
            try:
                os.ftruncate(self._text, self._text_length)
            except OSError:
                pass  # a pipe, say
            self._fail(self._shown, error)

    def _count(self, position, records):
        if not 0 <= position <= MAX_POSITION:
            self._warn("position %s is not between 0 and %d and was not recorded" % (position, MAX_POSITION))
            return False
        self._records[position] = self._records.get(position, 0) + records
        return True

    def _guard(self):
        # The lock's holder may be a thread that was not forked along.
        if self._process != os.getpid():
            self._lock = threading.Lock()
        return self._lock

    def _line(self, position, line):
        with self._guard():
            self._enter()
            if self.on and self._count(int(position), 0):
                self._send(line)

    def _record(self, position, name, dtype, shape, data):
        size = SIZES[dtype]
        count = len(data) // size
        if count == 0 or count > MAX_VALUES or len(shape) > 8 or _product(shape) != count:
            return self._warn("%s was left out: %d values, shape %s" % (name, count, list(shape)))
        with self._guard():
            self._enter()
            if not self.on or not self._count(int(position), 1):
                return
            shape = [int(n) for n in reversed(shape)] or [1]
            line = {"checkpoint": name, "team": _text(self._team or ""), "token_idx": int(position), "dtype": dtype, "shape": shape}
            if self._sidecar is None:
                line["values"] = ""
                text = ",".join(_number(x) for x in _floats(data, dtype, self._most))
                head = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
                return self._send((head[:-3] + "[" + text + "]}").encode("utf-8", "replace"))
            try:
                _write(self._sidecar, data)
            except OSError as error:
                return self._fail(os.path.splitext(self._shown)[0] + ".bin", error)
            line["offset"], line["bytes"] = self._sidecar_length, len(data)
            self._sidecar_length += len(data)
            self._send(line)


def _name(site, layer):
    return site if layer is None else "%s-%d" % (site, layer)


def _text(piece):
    return piece.decode("utf-8", "replace") if isinstance(piece, (bytes, bytearray)) else str(piece)


def _create(path):
    """An empty file; one that is there is unlinked, so that whoever reads it keeps it."""
    if os.path.isfile(path) and not os.path.islink(path):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)


def _write(file, data):
    data = memoryview(data)
    while data:
        data = data[os.write(file, data[: 1 << 30]) :]


def _product(shape):
    product = 1
    for n in shape:
        product *= int(n)
    return product


def _number(x):
    if math.isnan(x):
        return '"NaN"'
    if math.isinf(x):
        return '"Infinity"' if x > 0 else '"-Infinity"'
    return "%.9g" % x  # nine digits give every float32 back


def _floats(data, dtype, most):
    data = bytes(data[: most * SIZES[dtype]])
    if dtype == "bf16":
        data = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
    return struct.unpack("<%d%s" % (len(data) // (2 if dtype == "f16" else 4), "e" if dtype == "f16" else "f"), data)


# ---- values of any kind, as little-endian bytes, dtype and shape (slowest axis first) ----


def _raw(values, dtype):
    if isinstance(values, (bytes, bytearray, memoryview)):
        if dtype not in SIZES or len(values) % SIZES[dtype]:
            raise ValueError("bytes need a dtype, f32, f16 or bf16, and whole values")
        return values, dtype, (len(values) // SIZES[dtype],)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return _of_torch(torch, values)
    if hasattr(values, "__array__") or (hasattr(values, "dtype") and hasattr(values, "tobytes")):
        return _of_numpy(values)
    if isinstance(values, array.array):
        flat, shape = values, (len(values),)
    else:
        flat, shape = _flatten(values)
    if isinstance(flat, array.array) and flat.typecode == "f":
        out = flat
    else:
        out = array.array("f", (_single(x) for x in flat))
    if sys.byteorder != "little":
        out = array.array("f", out)
        out.byteswap()
    return out.tobytes(), "f32", shape


def _single(x):
    x = float(x)
    # Beyond float32 is infinity; `array` would not say so on every version.
    return math.copysign(math.inf, x) if abs(x) > 3.4028235677973366e38 else x


def _flatten(values):
    flat, shape = list(values), []
    shape.append(len(flat))
    while flat and isinstance(flat[0], (list, tuple)):
        length = len(flat[0])
        if any(len(row) != length for row in flat):
            raise ValueError("its rows have different lengths")
        shape.append(length)
        flat = [x for row in flat for x in row]
    return flat, tuple(shape)


def _of_numpy(values):
    numpy = sys.modules.get("numpy")
    if numpy is None:
        import numpy
    values = numpy.asarray(values)
    kind = NAMES.get(values.dtype.name)
    if kind is None:
        with numpy.errstate(over="ignore", invalid="ignore"):
            values, kind = values.astype(numpy.float32), "f32"
    if values.dtype.byteorder == ">" or (values.dtype.byteorder == "=" and sys.byteorder == "big"):
        values = values.byteswap()
    return values.tobytes(), kind, values.shape


def _of_torch(torch, values):
    values = values.detach()
    kind = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}.get(values.dtype)
    if kind is None:
        values, kind = values.to(torch.float32), "f32"
    values = values.cpu().contiguous()
    length = values.numel() * SIZES[kind]
    return (ctypes.string_at(values.data_ptr(), length) if length else b""), kind, tuple(values.shape)


# ---------------------------------------------------------------------------------------------------------------------
# Hugging Face models

# llama.cpp's converter reorders the rows of q_proj and k_proj of these, so that its RoPE turns neighbours (0,1), (2,3) …
# where transformers turns (0, d/2), (1, d/2+1) …: within a head, element i of the first half goes to 2i, of the second
# to 2i+1. The same numbers at other places; `attach` puts them where llama.cpp has them, before and after RoPE.
PERMUTED = {"llama", "mistral", "mixtral"}

_active = threading.local()


def attach(model, trace=None, team="transformers", path=None, tokenizer=None, checkpoints=None, row=0, n_prompt=None, permute_qk=None, all_logits=True):
    """Records every forward pass of a Hugging Face causal language model under paritty's (llama.cpp's) checkpoint names.

    For Llama, Qwen2, Qwen3, GPT-2, Phi-3, Gemma 2 and what is built like them. Returns an `Attachment`: `remove()` it, or
    use it in a `with` statement, to end the trace and leave the model as it was.

    `checkpoints`: a regular expression over names such as "l_out-3"; all without. `row`: which sequence of a batch.
    `n_prompt`: tokens of the prompt; without, those of the first pass. `permute_qk`: whether queries and keys are put
    into llama.cpp's order; without, where its converter does so (see PERMUTED). `all_logits`: the model is asked for the
    logits of every position, where `generate` would only have those of the prompt's last.

    Values are recorded as they are computed, in the model's dtype. Not obtainable with hooks and left out: kq, Qcur_scaled,
    products before their bias (Qcur_mm …, wqkv of GPT-2); kq_soft_max comes with attn_implementation="eager" only.
    Models under torch.compile do not call hooks; attach before compiling or do not compile.
    """
    return Attachment(model, trace, team, path, tokenizer, checkpoints, row, n_prompt, permute_qk, all_logits)


class Attachment:
    """Hooks on a model. See `attach`."""

    def __init__(self, model, trace, team, path, tokenizer, checkpoints, row, n_prompt, permute_qk, all_logits):
        self._torch = sys.modules["torch"]
        self._model, self._tokenizer, self._row = model, tokenizer, row
        self._config = config = getattr(model.config, "text_config", None) or model.config
        self._pattern = re.compile(checkpoints) if checkpoints else None
        self._n_prompt, self._next = n_prompt, 0
        self._all_logits = all_logits
        self._positions = []
        self._handles, self._patched = [], None
        self._permute = config.model_type in PERMUTED if permute_qk is None else permute_qk
        self._heads = config.num_attention_heads
        self._kv_heads = getattr(config, "num_key_value_heads", None) or self._heads
        self._head_dim = getattr(config, "head_dim", None) or config.hidden_size // self._heads
        self.trace = trace if trace is not None else open(team, path, **self._describe())
        if self.trace.on:
            self._hook()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        """Takes the hooks off and ends the trace."""
        for handle in self._handles:
            handle.remove()
        if self._patched is not None:
            module, original = self._patched
            module.apply_rotary_pos_emb = original
        self._handles, self._patched = [], None
        self.trace.end()

    def _describe(self):
        config, parameter = self._config, next(self._model.parameters())
        dtype = _short(parameter.dtype)
        transformers = sys.modules.get("transformers")
        name = getattr(config, "_name_or_path", "") or type(self._model).__name__
        return {
            "backend": str(parameter.device.type).upper(),
            "model": {
                "name": os.path.basename(name.rstrip("/")),
                "arch": config.model_type,
                "weights": dtype.upper(),
                "n_layer": config.num_hidden_layers,
                "n_embd": config.hidden_size,
                "n_vocab": config.vocab_size,
            },
            "settings": {
                "build": "transformers %s, torch %s" % (getattr(transformers, "__version__", "?"), self._torch.__version__),
                "arithmetic": dtype,
                "kv": dtype,
                "attention": str(getattr(config, "_attn_implementation", "")),
                "flash_attn": "flash" in str(getattr(config, "_attn_implementation", "")),
                "threads": self._torch.get_num_threads(),
            },
            "n_prompt": self._n_prompt,
        }

    # ---- where the hooks go ----

    def _hook(self):
        model = self._model
        base = getattr(model, "model", None) or getattr(model, "transformer", None) or model.base_model
        base = getattr(base, "language_model", base)
        self._pre(model, self._before, kwargs=True)
        if hasattr(base, "layers") and hasattr(base, "embed_tokens"):
            self._llama_like(base)
        elif hasattr(base, "h") and hasattr(base, "wte"):
            self._gpt2(base)
        else:
            self.remove()
            raise TypeError("paritty_trace.attach does not know how %s is built" % type(model).__name__)
        self._post(model, self._finish)

    def _pre(self, module, job, kwargs=False):
        self._handles.append(module.register_forward_pre_hook(job, with_kwargs=True) if kwargs else module.register_forward_pre_hook(job))

    def _post(self, module, job):
        self._handles.append(module.register_forward_hook(job))

    def _output(self, module, site, layer=None, **how):
        if module is not None:
            self._post(module, lambda _module, _args, output: self._keep(site, layer, output, **how))

    def _input(self, module, site, layer=None):
        if module is not None:
            self._pre(module, lambda _module, args: self._keep(site, layer, args[0]) if args else None)

    def _embedding(self, module):
        """Rows of the table: Gemma's module gives them scaled in some versions."""

        def job(module, args, _output):
            if args:
                self._keep("embd", None, self._torch.nn.functional.embedding(args[0], module.weight))

        self._post(module, job)

    def _llama_like(self, base):
        self._embedding(base.embed_tokens)
        gelu = "gelu" in str(getattr(self._config, "hidden_activation", None) or getattr(self._config, "hidden_act", ""))
        for layer, block in enumerate(base.layers):
            attention, mlp = block.self_attn, block.mlp
            part = lambda owner, name: getattr(owner, name, None)  # noqa: E731
            gemma = hasattr(block, "pre_feedforward_layernorm")
            if gemma and layer == 0:
                self._input(block.input_layernorm, "inpL")
            self._output(block.input_layernorm, "attn_norm", layer)
            self._around_attention(attention, layer)
            self._output(part(attention, "qkv_proj"), "wqkv", layer, split=True)
            self._output(part(attention, "q_proj"), "Qcur", layer, heads=self._heads)
            self._output(part(attention, "k_proj"), "Kcur", layer, heads=self._kv_heads)
            self._output(part(attention, "v_proj"), "Vcur", layer, heads=self._kv_heads, plain=True)
            self._output(part(attention, "q_norm"), "Qcur_normed", layer, heads=self._heads)
            self._output(part(attention, "k_norm"), "Kcur_normed", layer, heads=self._kv_heads)
            self._input(attention.o_proj, "kqv_out", layer)
            self._output(attention.o_proj, "attn_out", layer)
            norm = block.pre_feedforward_layernorm if gemma else block.post_attention_layernorm
            if gemma:
                self._output(block.post_attention_layernorm, "attn_post_norm", layer)
                self._output(block.post_feedforward_layernorm, "ffn_post_norm", layer)
            self._input(norm, "ffn_inp", layer)
            self._output(norm, "ffn_norm", layer)
            self._output(part(mlp, "gate_proj"), "ffn_gate", layer)
            self._output(part(mlp, "up_proj"), "ffn_up", layer)
            self._output(part(mlp, "gate_up_proj"), "ffn_up", layer)
            self._input(part(mlp, "down_proj"), "ffn_gelu" if gelu else "ffn_swiglu", layer)
            self._output(mlp, "ffn_out", layer)
            self._output(block, "l_out", layer)
        self._output(base.norm, "result_norm")
        self._rotary(base.layers[0].self_attn)

    def _gpt2(self, base):
        self._embedding(base.wte)
        self._output(base.wpe, "pos_embd")
        for layer, block in enumerate(base.h):
            if layer == 0:
                self._input(block.ln_1, "inpL")
            self._output(block.ln_1, "attn_norm", layer)
            self._around_attention(block.attn, layer)
            self._output(block.attn.c_attn, "wqkv_b", layer, split=True)
            self._input(block.attn.c_proj, "kqv_out", layer)
            self._output(block.attn.c_proj, "attn_out", layer)
            self._input(block.ln_2, "ffn_inp", layer)
            self._output(block.ln_2, "ffn_norm", layer)
            self._output(block.mlp.c_fc, "ffn_up", layer)
            self._input(block.mlp.c_proj, "ffn_gelu", layer)
            self._output(block.mlp, "ffn_out", layer)
            self._output(block, "l_out", layer)
        self._output(base.ln_f, "result_norm")

    def _around_attention(self, attention, layer):
        """Knows the layer while it attends, for RoPE; takes the probabilities where they are given out."""

        def enter(_module, _args):
            _active.attachment, _active.layer = self, layer

        def leave(_module, _args, output):
            _active.attachment = None
            weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
            if weights is not None and getattr(weights, "dim", lambda: 0)() == 4:
                self._probabilities(layer, weights)

        self._pre(attention, enter)
        self._post(attention, leave)

    def _rotary(self, attention):
        """RoPE is a function of the model's module; ours around it sees what it returns."""
        module = sys.modules[type(attention).__module__]
        original = getattr(module, "apply_rotary_pos_emb", None)
        if original is None:
            return

        def apply_rotary_pos_emb(q, k, *args, **kwargs):
            rotated = original(q, k, *args, **kwargs)
            attachment = getattr(_active, "attachment", None)
            if attachment is not None:
                # [batch, heads, tokens, head_dim], or with tokens before heads
                swap = (args[3] if len(args) > 3 else kwargs.get("unsqueeze_dim", 1)) == 1
                for site, heads in (("Qcur_rope", rotated[0]), ("Kcur_rope", rotated[1])):
                    heads = heads.transpose(1, 2) if swap else heads
                    attachment._keep(site, _active.layer, heads, heads=heads.shape[2])
            return rotated

        self._patched = (module, original)
        module.apply_rotary_pos_emb = apply_rotary_pos_emb

    # ---- one forward pass ----

    def _before(self, _module, args, kwargs):
        _active.attachment = None
        self._begin(args, kwargs)
        asked = [name for name in ("logits_to_keep", "num_logits_to_keep") if kwargs.get(name) is not None]
        if self._all_logits and asked:
            return args, dict(kwargs, **{name: 0 for name in asked})  # 0: all
        return None

    def _begin(self, args, kwargs):
        ids = kwargs.get("input_ids", args[0] if args else None)
        known = ids if ids is not None else kwargs.get("inputs_embeds")
        if known is None:
            self._positions = []
            return
        batch, columns = known.shape[0], known.shape[1]
        row = self._row if self._row < batch else 0
        positions = kwargs.get("position_ids")
        if positions is not None:
            positions = positions[row if positions.shape[0] == batch else 0].tolist()
        else:
            cache = kwargs.get("past_key_values")
            start = cache.get_seq_length() if hasattr(cache, "get_seq_length") else 0
            if isinstance(cache, (tuple, list)) and cache:
                start = cache[0][0].shape[-2]
            positions = list(range(start, start + columns))
        mask = kwargs.get("attention_mask")
        if mask is not None and mask.dim() == 2 and mask.shape[1] >= columns:  # padding is no position
            kept = mask[row, mask.shape[1] - columns :].tolist()
            if kwargs.get("position_ids") is None and mask.shape[1] == columns:
                positions = [sum(kept[:i]) for i in range(columns)]
            positions = [p if k else None for p, k in zip(positions, kept)]
        self._positions = positions
        real = [p for p in positions if p is not None]
        if not real:
            return
        if min(real) < self._next:
            self.trace.rewind(min(real))
        if self._n_prompt is None:
            self._n_prompt = max(real) + 1
        self._next = max(real) + 1
        for column, position in enumerate(positions):
            if position is not None and ids is not None:
                token = int(ids[row, column])
                self.trace.token(position, token, self._piece(token), position < self._n_prompt, batch * columns)

    def _piece(self, token):
        if self._tokenizer is None:
            return None
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if not isinstance(piece, str):
            return piece
        # SentencePiece's space; others have alphabets of their own for bytes.
        return piece.replace("\u2581", " ") if "\u2581" in piece else self._tokenizer.convert_tokens_to_string([piece])

    def _finish(self, _module, _args, output):
        logits = getattr(output, "logits", None)
        if logits is None and isinstance(output, tuple):
            logits = output[0]
        if logits is not None:
            self._keep("result_output", None, logits)
        for position in self._positions:
            if position is not None:
                self.trace.complete(position)

    def _keep(self, site, layer, values, heads=None, plain=False, split=False):
        """Records a row of `values` ([batch, tokens, …]) for each position of the pass."""
        name = _name(site, layer)
        if isinstance(values, (tuple, list)):
            values = values[0]
        if split:
            self._split(layer, values)
        if not self._positions or (self._pattern is not None and not self._pattern.search(name)):
            return
        values = values.detach()
        values = values.unsqueeze(0) if values.dim() == 2 else values
        values = values[self._row if self._row < values.shape[0] else 0]
        positions = self._positions[len(self._positions) - values.shape[0] :]  # logits may be of the last tokens only
        if heads is not None:
            values = values.reshape(values.shape[0], heads, -1)
            if self._permute and not plain:
                values = values.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
        data, dtype, shape = _of_torch(self._torch, values)
        stride = len(data) // max(len(positions), 1)
        data = memoryview(data)
        for index, position in enumerate(positions):
            if position is not None:
                self.trace._record(position, name, dtype, shape[1:], data[index * stride : (index + 1) * stride])

    def _split(self, layer, joined):
        q, k = self._heads * self._head_dim, self._kv_heads * self._head_dim
        parts = (("Qcur", 0, q, self._heads), ("Kcur", q, q + k, self._kv_heads), ("Vcur", q + k, q + 2 * k, self._kv_heads))
        for site, start, end, heads in parts:
            self._keep(site, layer, joined[..., start:end], heads=heads)

    def _probabilities(self, layer, weights):
        name = _name("kq_soft_max", layer)
        if self._pattern is not None and not self._pattern.search(name):
            return
        weights = weights[self._row if self._row < weights.shape[0] else 0].detach()  # [heads, tokens, seen]
        for column, position in enumerate(self._positions):
            seen = weights.shape[2] - (len(self._positions) - 1 - column)
            # Elsewhere than at the start of an unpadded sequence columns are not positions.
            if position is not None and seen == position + 1:
                data, dtype, shape = _of_torch(self._torch, weights[:, column, :seen])
                self.trace._record(position, name, dtype, shape, data)


def _short(dtype):
    name = str(dtype).replace("torch.", "")
    return NAMES.get(name, name)
