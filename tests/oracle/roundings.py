"""What roundings leave of a recorded K in directions that carry little of it, in machine epsilons of its norm.

    python tests/oracle/roundings.py    (from the repository's root; torch, safetensors; a minute)

Networks trained on the bundled digits are recorded in bf16, f16 and f32, and in f64 with the same weights and rows. The
last line is the largest of all; `NOISE` of crates/nfa-metrics/src/observe/capture/site.rs is twice that.
"""

import copy
import gzip
import sys
import tempfile
import warnings

import numpy as np
import torch
from safetensors.numpy import load_file

sys.path.insert(0, "python")
import nfa_capture

warnings.simplefilter("ignore")
EPS = {torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10, torch.float32: 2.0**-23}


def digits(name, start):
    return np.frombuffer(gzip.open("crates/nfa-train/data/digits/" + name).read(), np.uint8, offset=start)


x = torch.tensor(digits("images-idx3-ubyte.gz", 16).reshape(-1, 64) / 16, dtype=torch.float32)[:512]
x -= x.mean(0)
y = torch.tensor(digits("labels-idx1-ubyte.gz", 8).astype(int))[:512]


def recorded(net, dtype):
    """K at the two hidden maps."""
    with tempfile.TemporaryDirectory() as folder:
        # The same numbers in all types.
        with nfa_capture.record(copy.deepcopy(net).to(torch.bfloat16).to(dtype), folder + "/c.safetensors") as rec:
            rec(x.to(torch.bfloat16).to(dtype))
        f = load_file(folder + "/c.safetensors")
    return [np.average(f[s + ".k"], axis=0, weights=f[s + ".count"]) for s in ("0", "2")]


worst = 0.0
for act, decay, soft in [(torch.nn.Tanh, 0, True), (torch.nn.Tanh, 1e-2, True), (torch.nn.ReLU, 1e-2, True),
                         (torch.nn.Tanh, 1e-2, False), (torch.nn.ReLU, 5e-3, False), (torch.nn.GELU, 1e-2, True),
                         (torch.nn.ReLU, 0, True)]:
    for width in (64, 256):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(64, width), act(), torch.nn.Linear(width, width), act(),
                                  torch.nn.Linear(width, 10))
        sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
        for _ in range(60):
            for rows in torch.randperm(512).split(64):
                sgd.zero_grad()
                torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                sgd.step()
        if soft:
            net = torch.nn.Sequential(*net, torch.nn.Softmax(-1))
        exact = recorded(net, torch.float64)
        for dtype, eps in EPS.items():
            for site, (k, rounded) in enumerate(zip(exact, recorded(net, dtype))):
                values, vectors = np.linalg.eigh(k)
                left = np.abs(np.einsum("ji,jk,ki->i", vectors, rounded - k, vectors))[values < 1e-3 * values[-1]]
                share = left.max(initial=0) / values[-1] / eps
                worst = max(worst, share)
                print(f"{act.__name__:5} decay {decay:5} {'softmax' if soft else 'plain  '} {width:3} {str(dtype)[6:]:8} "
                      f"map {site}: {share:.2g}")
print(f"largest: {worst:.3f}")
