"""An engine of four threads that records with paritty_trace.py and then ends in the way it is told."""

import array
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "assets", "loggers"))

import paritty_trace

POSITIONS, LAYERS, VOCABULARY = 24, 4, 1000


def bits(position, tag, channel):
    x = (position * 1000003 + tag * 7919 + channel * 104729 + 1) * 2654435761 & 0xFFFFFFFF
    return (x ^ x >> 15) * 2246822519 & 0xFFFFFFFF


def wide(position, tag, count):
    values = array.array("f")
    values.frombytes(b"".join(bits(position, tag, i).to_bytes(4, "little") for i in range(count)))
    return values


def narrow(position, tag, count):
    return b"".join((bits(position, tag, i) >> 16).to_bytes(2, "little") for i in range(count))


def layer(trace, position, index):
    tag = 10 * (index + 1)
    trace.tensor(position, "Qcur", narrow(position, tag + 1, 32), layer=index, shape=(4, 8), dtype="f16")
    trace.tensor(position, "Kcur", narrow(position, tag + 2, 16), layer=index, shape=(2, 8), dtype="bf16")
    trace.tensor(position, "l_out", wide(position, tag + 3, 64), layer=index)


def kinds(trace):
    """Values of every kind: the same numbers, 24 of them, as three rows of eight."""
    rows = [[(8 * i + j) / 4 - 2 for j in range(8)] for i in range(3)]
    trace.tensor(0, "Qcur_rope", rows, layer=0)
    there = []
    try:
        import numpy
    except ImportError:
        numpy = None
    if numpy is not None:
        there.append("numpy")
        kinds = ["<f4", "<f2", "<f8", ">f4", "<i4"]
        for index, kind in enumerate(kinds):
            values = numpy.array(rows, dtype="<f8")
            trace.tensor(1 + index, "Qcur_rope", (values * 4 if kind == "<i4" else values).astype(kind), layer=0)
        trace.tensor(6, "Qcur_rope", numpy.asfortranarray(numpy.array(rows, dtype="<f4")), layer=0)
    try:
        import torch
    except ImportError:
        torch = None
    if torch is not None:
        there.append("torch")
        for index, kind in enumerate([torch.float32, torch.float16, torch.bfloat16, torch.float64]):
            # Not contiguous, and wanting a gradient.
            values = torch.tensor(rows, dtype=kind).t().contiguous().t().requires_grad_()
            trace.tensor(7 + index, "Qcur_rope", values, layer=0)
    print(" ".join(there))


def main():
    mode = sys.argv[1]
    trace = paritty_trace.open(
        "host",
        backend="CPU",
        prompt='What "light"\n',
        n_prompt=5,
        model={"name": "tiny \ufffd", "arch": "llama", "weights": "Q8_0", "n_layer": LAYERS, "n_embd": 64, "n_vocab": VOCABULARY},
        settings={"kv": "f16", "threads": 4, "flash_attn": False, "own": 'a"b'},
    )
    if mode == "kinds":
        kinds(trace)
        return trace.end()
    if mode == "fork":
        layer(trace, 0, 0)
        child = os.fork()
        layer(trace, 1 if child == 0 else 2, 1)
        layer(trace, 3 if child == 0 else 4, 2)
        trace.end()
        if child == 0:
            os._exit(0)
        return os.waitpid(child, 0)
    for position in range(POSITIONS):
        piece = b'a"\\\n\x01\xff\xe2\x82\0\xc3\xa9\xe6\xbc\xa2'
        trace.token(position, 7 * position, piece, from_prompt=position < 5, columns=4)
    work = lambda index: [layer(trace, position, index) for position in range(POSITIONS)]  # noqa: E731
    threads = [threading.Thread(target=work, args=(index,)) for index in range(LAYERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for position in range(POSITIONS):
        trace.tensor(position, "result_output", wide(position, 1, VOCABULARY))
        trace.complete(position)
    if mode == "rewind":
        trace.rewind(20)
        layer(trace, 20, 0)
    if mode == "abort":
        os.abort()
    if mode == "exit":
        os._exit(0)
    trace.end()


main()
