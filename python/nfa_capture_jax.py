# /// script
# requires-python = ">=3.10"
# dependencies = ["jax", "numpy"]
# ///
"""Example: a capture file (`nfa.capture/1`) of a network in JAX, for `nfa-train measure --capture`.

    uv run python/nfa_capture_jax.py net.safetensors

The recipe for any JAX model: give the forward function one more argument, a zero added to the output z of every
linear map; the derivative with respect to that zero is df/dz, and K is the mean over samples of its outer products.
What the arrays mean is written at the top of nfa_capture.py. The end of this file checks W^T K W against jax.jacrev.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def forward(params, x, shifts):
    """An MLP on one sample; `shifts` is one zero vector per layer, added to what the layer puts out."""
    h = x
    for i, (layer, shift) in enumerate(zip(params, shifts)):
        z = layer["weight"] @ h + layer["bias"] + shift  # with positions: z and shift [positions, k]
        h = jnp.tanh(z) if i + 1 < len(params) else z
    return h


def zeros(params):
    return [jnp.zeros_like(layer["bias"]) for layer in params]


@jax.jit
def gram(params, xs):
    """K of every layer: mean over samples, sum over outputs (and positions) of (df/dz)^T (df/dz)."""

    def one(x):
        f, pullback = jax.vjp(lambda shifts: forward(params, x, shifts), zeros(params))
        rows = jax.vmap(lambda e: pullback(e)[0])(jnp.eye(f.size).reshape(-1, *f.shape))  # per layer [outputs, k]
        return [(j := g.reshape(-1, g.shape[-1])).T @ j for g in rows]

    return [k.mean(0) for k in jax.vmap(one)(xs)]


@jax.jit
def half_mse(params, xs, ys):
    f = jax.vmap(lambda x: forward(params, x, zeros(params)))(xs)
    return 0.5 * jnp.sum((f - ys) ** 2) / len(xs)


def capture(path, params, xs, ys, blocks=8):
    parts = np.array_split(np.arange(len(xs)), min(blocks, len(xs)))
    ks = [gram(params, xs[part]) for part in parts]  # one mean per block of samples
    grads = jax.grad(half_mse)(params, xs, ys)
    tensors = {}
    for i, layer in enumerate(params):
        tensors[f"{i}.weight"] = layer["weight"]  # [d_out, d_in]; transpose a Flax kernel
        tensors[f"{i}.k"] = np.stack([k[i] for k in ks])
        tensors[f"{i}.count"] = np.array([len(part) for part in parts], dtype=np.float64)
        tensors[f"{i}.bias"] = layer["bias"]
        tensors[f"{i}.grad"] = grads[i]["weight"]
    save(path, tensors, {
        "format": "nfa.capture/1", "framework": f"jax {jax.__version__}", "n": str(len(xs)), "outputs": str(ys[0].size),
        "loss": "half_mse", "weight_decay": "0.0", "decay": "none", "mode": "eval", "estimator": "exact",
        "order": ",".join(str(i) for i in range(len(params))), "last": str(len(params) - 1)})


def save(path, tensors, metadata):
    """safetensors: length of the header, header in JSON, raw little-endian data."""
    header, data = {"__metadata__": metadata}, b""
    for name, value in tensors.items():
        raw = np.ascontiguousarray(value, dtype="<f8").tobytes()
        span = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F64", "shape": list(np.shape(value)), "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


def main(path):
    rng = np.random.default_rng(0)
    widths = [6, 8, 7, 4]
    params = [{"weight": jnp.array(rng.standard_normal((k, d)) / np.sqrt(d)),
               "bias": jnp.array(0.1 * rng.standard_normal(k))} for d, k in zip(widths, widths[1:])]
    xs, ys = rng.standard_normal((40, 6)), rng.standard_normal((40, 4))
    capture(path, params, xs, ys)

    # The AGOP at the input and at every hidden layer, by brute force.
    hidden, full = xs, gram(params, xs)
    for i, layer in enumerate(params):
        jacobians = jax.vmap(jax.jacrev(lambda h: forward(params[i:], h, zeros(params[i:]))))(hidden)
        agop = jnp.einsum("noi,noj->ij", jacobians, jacobians) / len(xs)
        error = jnp.linalg.norm(layer["weight"].T @ full[i] @ layer["weight"] - agop) / jnp.linalg.norm(agop)
        print(f"layer {i}: W^T K W against jax.jacrev {error:.1e}")
        assert error < 1e-12
        hidden = jnp.tanh(hidden @ layer["weight"].T + layer["bias"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python nfa_capture_jax.py FILE.safetensors")
    main(sys.argv[1])
