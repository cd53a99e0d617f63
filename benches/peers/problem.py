"""What the peers share: a problem that `nfa-train bench ... --save-problem` wrote, and repeats on demand.

Every peer is a contestant: it reads the problem, sets itself up, warms up, checks its result against the one
in the file, and then times a repeat for every line on its standard input. `benches/compare.py` starts them
and asks in turn; alone, type Enter for a repeat and end the input to leave.
"""

import json
import struct
import sys
import time

import numpy as np

BLOCK = 0.2  # seconds that a repeat of short work lasts at least, as ours


def load(path):
    """Tensors by name and the words of the metadata. The format: a length, a JSON header, the numbers."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    words = header.pop("__metadata__", {})
    kinds = {"F32": np.float32, "F64": np.float64}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[start:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors, words


def layers(tensors):
    """(weight [d_out, d_in], bias [d_out] or None) of every layer, from the input on."""
    count = sum(name.endswith(".weight") for name in tensors)
    return [(tensors[f"layers.{i}.weight"], tensors.get(f"layers.{i}.bias")) for i in range(count)]


def error(got, exact):
    """max|G - G64| / max|G64|."""
    return float(np.abs(np.asarray(got, np.float64) - exact).max() / np.abs(exact).max())


def batches(samples, numbers, most=1 << 28):
    """Batch sizes worth trying: a few, and everything at once where `numbers` per sample allow it."""
    sizes = {min(size, samples) for size in (512, 2048, 8192, samples)}
    return sorted(size for size in sizes if size * numbers <= most or size <= 512)


def fastest(ways):
    """The way (by a name) whose third call is the fastest: a peer gets its best setting."""
    times = {}
    for name, way in ways.items():
        for _ in range(2):
            way()
        start = time.perf_counter()
        way()
        times[name] = time.perf_counter() - start
    return min(times, key=times.get)


def calls_of(work, block=BLOCK):
    """How many calls (or steps) fill a block, once warm."""
    calls = 1
    while True:
        start = time.perf_counter()
        work(calls)
        seconds = time.perf_counter() - start
        if seconds >= block / 4:
            return max(1, int(np.ceil(block * calls / seconds)))
        calls *= 2


def serve(name, work, found=None, each=1, block=BLOCK):
    """Says what it is, then prints the seconds of one call (or step) for every line that comes.

    `work(k)` does k calls and returns when they are done; each counts for `each`.
    """
    work(1)
    calls = calls_of(work, block)
    print(json.dumps({"name": name, "error": found, "calls": calls}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work(calls)
        print(repr((time.perf_counter() - start) / calls / each), flush=True)
