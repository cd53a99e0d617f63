# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy>=1.26"]
# ///
"""Oracle for sites: K, gradients and moments at every linear map of five small networks.

Writes tests/golden/sites.json and captures/{residual,attention,convolution}.safetensors (format nfa.capture/1).
A site is a map z = W h (+ b), used at positions p: tokens, output pixels, uses of a shared weight. With f all outputs
of a sample, l = |f - y|^2 / 2 its loss and every derivative through this map alone, means over samples of
    K = sum_p (df/dz_p)^T (df/dz_p)                 [k, k]
    grad = sum_p (dl/dz_p) h_p^T                    [k, d], dL/dW of the mean loss
    gg_z = sum_p (dl/dz_p)(dl/dz_p)^T               [k, k]
    hh = sum_p h_p h_p^T                            [d, d], h features, a patch (channel, row, column) or a one-hot row
Derivatives by complex step: i 1e-200 is added to one entry of one z and the whole network evaluated, so they are
exact to rounding. Weights, inputs and targets come from formulas, rounded to four digits.
"""

import json
import sys

import numpy as np

import golden

N = 6
BLOCKS = [range(0, 3), range(3, 6)]  # of samples, in the capture files
SAMPLE_WEIGHTS = np.array([0.25, 1.75, 1.0, 0.5, 1.5, 1.0])
EPS = 1e-5  # of layer norm
STEP = 1e-200
CENTRAL = 1e-5  # step of central differences


# ---- numbers ------------------------------------------------------------------------------------


def fill(shape, salt, scale=1.0):
    """Axes after the first count as one, as in a weight on unfolded patches."""
    i, j = np.arange(shape[0])[:, None], np.arange(int(np.prod(shape[1:])))
    return np.round(scale * np.sin(1 + 1.3 * i * (j + 1) + 0.7 * j + salt), 4).reshape(shape)


def wave(size, salt):
    return np.round(0.1 * np.cos(1 + 1.7 * np.arange(size) + salt), 4)


def add(p, name, shape, salt):
    """Weight [d_out, ...] and bias of one layer."""
    p[f"{name}.weight"] = fill(shape, salt, np.prod(shape[1:]) ** -0.5)
    p[f"{name}.bias"] = wave(shape[0], salt)


# ---- maps and the changes made at them ----------------------------------------------------------


class Tap:
    """Every map of one forward pass runs through it. `at` = (part, site, row, column) is where `step` is added:
    to z or h of one position of a site (rows count on from use to use), or to its weight in all uses."""

    def __init__(self, at=(None,) * 4, step=1j * STEP):
        self.at, self.step = at, step
        self.rows, self.weights, self.biases = {}, {}, {}

    def change(self, part, site, first, values):
        if self.at[:2] != (part, site) or not first <= self.at[2] < first + len(values):
            return values
        values = values + 0 * self.step
        values[self.at[2] - first, self.at[3]] += self.step
        return values

    def __call__(self, site, w, h, b=None):
        rows = self.rows.setdefault(site, [])
        first = len(rows)
        rows.extend(h)
        self.weights[site], self.biases[site] = w, b
        z = self.change("h", site, first, h) @ self.change("w", site, 0, w).T
        return self.change("z", site, first, z if b is None else z + b)


def linear(p, name, h, tap):
    return tap(name, p[f"{name}.weight"], h, p[f"{name}.bias"])


def convolve(p, name, x, tap, kernel, stride, dilation, padding, groups):
    """Cross-correlation of x [c, h, w]; padding is (top, bottom, left, right)."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    extent = [dilation * (size - 1) + 1 for size in kernel]
    height, width = [(x.shape[1 + a] - extent[a]) // stride + 1 for a in (0, 1)]
    w, out = p[f"{name}.weight"], []
    w, b = np.split(w.reshape(len(w), -1), groups), np.split(p[f"{name}.bias"], groups)
    for g, part in enumerate(np.split(x, groups)):
        corners = [(stride * i, stride * j) for i in range(height) for j in range(width)]
        h = [part[:, i:i + extent[0]:dilation, j:j + extent[1]:dilation].ravel() for i, j in corners]
        out.append(tap(f"{name}.group{g}" if groups > 1 else name, w[g], np.array(h), b[g]).T)
    return np.concatenate(out).reshape(-1, height, width)


def layer_norm(p, name, h):
    h = h - h.mean(-1, keepdims=True)
    return h / np.sqrt((h * h).mean(-1, keepdims=True) + EPS) * p[f"{name}.gamma"] + p[f"{name}.beta"]


def softmax(s):
    e = np.exp(s - s.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ---- networks: parameters, settings, inputs, forward pass of one sample --------------------------


def residual():
    p = {}
    add(p, "stem", (5, 4), 0)
    for l in range(2):
        p[f"blocks.{l}.norm.gamma"], p[f"blocks.{l}.norm.beta"] = 1 + 2 * wave(5, 10 + l), wave(5, 20 + l)
        add(p, f"blocks.{l}.up", (7, 5), 30 + l)
        add(p, f"blocks.{l}.down", (5, 7), 40 + l)
    add(p, "head", (3, 5), 50)

    def forward(p, x, tap):
        h = linear(p, "stem", x[None], tap)
        for l in range(2):
            u = np.tanh(linear(p, f"blocks.{l}.up", layer_norm(p, f"blocks.{l}.norm", h), tap))
            h = h + linear(p, f"blocks.{l}.down", u, tap)
        return linear(p, "head", h, tap)[0]

    return p, {"eps": EPS}, fill((N, 4), 60), forward


def attention():
    p = {}
    for salt, name in enumerate("qkvo"):
        add(p, name, (4, 4), 2 * salt)
    add(p, "head", (3, 4), 8)

    def forward(p, x, tap):
        x = x.reshape(3, 4)
        q, k, v = (linear(p, name, x, tap) for name in "qkv")
        heads = [slice(0, 2), slice(2, 4)]
        mixed = [softmax(q[:, s] @ k[:, s].T / np.sqrt(2)) @ v[:, s] for s in heads]
        h = x + linear(p, "o", np.concatenate(mixed, 1), tap)
        return linear(p, "head", h.mean(0, keepdims=True), tap)[0]

    return p, {"tokens": 3, "heads": 2}, fill((N, 12), 9, 1.5), forward


def convolution():
    p = {}
    conv1 = {"kernel": [3, 3], "stride": 2, "dilation": 1, "padding": [1, 1, 1, 1], "groups": 1}
    conv2 = {"kernel": [2, 2], "stride": 1, "dilation": 2, "padding": [0, 1, 1, 0], "groups": 2}
    add(p, "conv1", (4, 1, 3, 3), 0)
    add(p, "conv2", (6, 2, 2, 2), 1)
    add(p, "head", (3, 54), 2)

    def forward(p, x, tap):
        h = convolve(p, "conv1", x.reshape(1, 7, 7), tap, **conv1)
        h = np.tanh(convolve(p, "conv2", np.where(h.real > 0, h, 0), tap, **conv2))
        return linear(p, "head", h.reshape(1, -1), tap)[0]

    return p, {"input": [1, 7, 7], "conv1": conv1, "conv2": conv2}, fill((N, 49), 3), forward


def conv1d():
    p = {}
    conv1 = {"kernel": [1, 3], "stride": 2, "dilation": 1, "padding": [0, 0, 1, 1], "groups": 1}
    conv2 = {"kernel": [1, 2], "stride": 1, "dilation": 1, "padding": [0, 0, 0, 0], "groups": 1}
    add(p, "conv1", (3, 2, 3), 4)
    add(p, "conv2", (3, 3, 2), 5)
    add(p, "head", (2, 12), 6)

    def forward(p, x, tap):
        h = np.tanh(convolve(p, "conv1", x.reshape(2, 1, 9), tap, **conv1))
        return linear(p, "head", convolve(p, "conv2", h, tap, **conv2).reshape(1, -1), tap)[0]

    return p, {"input": [2, 1, 9], "conv1": conv1, "conv2": conv2}, fill((N, 18), 7), forward


def recurrent():
    p = {"embedding": fill((5, 3), 1, 0.9)}
    add(p, "recurrent", (3, 3), 2)
    ids = np.array([[(i * i + 3 * t * t + i * t + i // 5) % 5 for t in range(4)] for i in range(N)])

    def forward(p, x, tap):
        table = p["embedding"]
        h = np.zeros((1, 3))
        for z in tap("embedding", table.T, np.eye(5)[x.astype(int)]):
            h = np.tanh(linear(p, "recurrent", h, tap) + z)
        return tap("head", table, h)[0]

    return p, {"vocabulary": 5, "positions": 4}, ids.astype(float), forward


NETWORKS = {f.__name__: f for f in (residual, attention, convolution, conv1d, recurrent)}
CAPTURED = ["residual", "attention", "convolution"]


# ---- what is measured ---------------------------------------------------------------------------


def loss(f, y):
    return 0.5 * ((f - y) * (f - y)).sum()


def observe(name):
    """The network as in the JSON, its biases by site, K of every sample by site, the pieces for `verify`."""
    p, settings, inputs, forward = NETWORKS[name]()
    taps = [Tap() for _ in inputs]
    outputs = np.array([forward(p, x, tap) for x, tap in zip(inputs, taps)])
    targets = fill(outputs.shape, 5.5, 0.8)
    sites, biases, samples = [], {}, {}
    for site, w in taps[0].weights.items():
        h = np.array([tap.rows[site] for tap in taps])  # [n, p, d]
        j = np.zeros((*h.shape[:2], len(w), outputs.shape[1]))  # df/dz
        delta = np.zeros(j.shape[:3])  # dl/dz
        for i, r, c in np.ndindex(delta.shape):
            f = forward(p, inputs[i], Tap(("z", site, r, c)))
            j[i, r, c], delta[i, r, c] = f.imag / STEP, loss(f, targets[i]).imag / STEP
        ks = np.einsum("npac,npbc->nab", j, j)
        full = {
            "W": w,
            "K": ks.mean(0),
            "grad": np.einsum("npa,npd->ad", delta, h) / N,
            "gg_z": np.einsum("npa,npb->ab", delta, delta) / N,
            "hh": np.einsum("npa,npb->ab", h, h) / N,
        }
        parts = [(site, slice(None))]
        if name == "attention" and site in "qkv":
            parts += [(f"{site}.head{a}", slice(2 * a, 2 * a + 2)) for a in range(2)]
        for label, s in parts:
            cut = {"W": full["W"][s], "K": full["K"][s, s], "grad": full["grad"][s], "gg_z": full["gg_z"][s, s]}
            sites.append({"name": label, "last": label == "head", "positions": h.shape[1], **cut, "hh": full["hh"]})
            samples[label] = ks[:, s, s]
            biases[label] = None if taps[0].biases[site] is None else taps[0].biases[site][s]
            if name == "residual":
                sites[-1]["K_weighted"] = np.einsum("n,nab->ab", SAMPLE_WEIGHTS, ks) / N
    net = {"name": name, "settings": settings, "parameters": p, "inputs": inputs, "targets": targets,
           "outputs": outputs, "sites": sites}
    if name == "residual":
        net["sample_weights"] = SAMPLE_WEIGHTS
    return net, biases, samples, forward


def verify(net, forward):
    """W^T K W against central differences in h, grad against complex steps in W; deviations relative to the largest
    entry. K of the last map is the identity, to the last bit."""
    p, inputs, targets = (net[key] for key in ("parameters", "inputs", "targets"))
    worst = {"agop": 0.0, "grad": 0.0}
    for site in net["sites"]:
        name, w = site["name"], site["W"]
        if ".head" in name:
            continue
        assert not site["last"] or np.array_equal(site["K"], np.eye(len(w))), name
        agop, grad = 0.0, np.zeros(w.shape)
        for x, y in zip(inputs, targets):
            for r in range(site["positions"]):
                above, below = (
                    np.array([forward(p, x, Tap(("h", name, r, c), step)) for c in range(w.shape[1])])
                    for step in (CENTRAL, -CENTRAL)
                )
                j = (above - below) / (2 * CENTRAL)
                agop = agop + j @ j.T / N
            for at in np.ndindex(w.shape):
                grad[at] += loss(forward(p, x, Tap(("w", name, *at))), y).imag / STEP / N
        for key, found, held in [("agop", agop, w.T @ site["K"] @ w), ("grad", grad, site["grad"])]:
            worst[key] = max(worst[key], np.abs(found - held).max() / np.abs(held).max())
    print(f"{net['name']}: W^T K W {worst['agop']:.1e}, grad {worst['grad']:.1e}")
    assert worst["agop"] < 1e-8 and worst["grad"] < 1e-13, net["name"]


# ---- capture files ------------------------------------------------------------------------------


def capture(net, biases, samples):
    names = [site["name"] for site in net["sites"]]
    metadata = {"format": "nfa.capture/1", "framework": "numpy", "n": str(N), "outputs": str(net["outputs"].shape[1]),
                "loss": "half_mse", "weight_decay": "0.0", "decay": "none", "mode": "eval", "order": ",".join(names),
                "last": "head", "estimator": "exact", "shared": "", "skipped": ""}
    tensors = {}
    for site in net["sites"]:
        name, w = site["name"], site["W"]
        tensors |= {
            f"{name}.weight": w,
            f"{name}.k": np.array([samples[name][block].mean(0) for block in BLOCKS]),
            f"{name}.count": np.array([float(len(block)) for block in BLOCKS]),
            f"{name}.bias": biases[name],
            f"{name}.grad": site["grad"],
            f"{name}.hh": site["hh"],
            f"{name}.gg": w.T @ site["gg_z"] @ w,
        }
    return metadata, tensors


def save(path, metadata, tensors):
    """safetensors: length of the header, header in JSON, raw little-endian data."""
    header, end = {"__metadata__": metadata}, 0
    for name, value in tensors.items():
        begin, end = end, end + value.nbytes
        header[name] = {"dtype": "F64", "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(value.astype("<f8").tobytes() for value in tensors.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    print(f"{path.name}: {path.stat().st_size} bytes")


def load(path):
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    metadata, data = header.pop("__metadata__"), raw[start:]
    return metadata, {name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f8").reshape(entry["shape"])
                      for name, entry in header.items()}


if __name__ == "__main__":
    nets, failed = [], False
    for name in NETWORKS:
        net, biases, samples, forward = observe(name)
        verify(net, forward)
        nets.append(net)
        path = golden.GOLDEN / "captures" / f"{name}.safetensors"
        if name in CAPTURED and not sys.argv[1:]:
            save(path, *capture(net, biases, samples))
        elif name in CAPTURED and sys.argv[1:] == ["--check"]:
            new, old = (golden.plain(list(x)) for x in (capture(net, biases, samples), load(path)))
            found = list(golden.differences(new, old))
            print(*found[:20], f"{path.name}: {len(found)} differences", sep="\n")
            failed |= bool(found)
    if failed:
        sys.exit(1)
    golden.main("sites.py", {"sites.json": {"n": N, "loss": "half_mse", "networks": nets}})
