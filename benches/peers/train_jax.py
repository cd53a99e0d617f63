# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "jax"]
# ///
"""Full-batch training steps in JAX, on a problem of `nfa-train bench train --save-problem`.

    python benches/peers/train_jax.py S.safetensors --way step|loop|replicas [--runs 64]

`step` compiles one step, `loop` a whole block of steps (lax.fori_loop), `replicas` a block of steps of many
runs at once (vmap inside the loop); its seconds are per step of one run.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import problem

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("--way", choices=["step", "loop", "replicas"], default="loop")
parser.add_argument("--runs", type=int, default=64)
args = parser.parse_args()

tensors, words = problem.load(args.file)
x, y = jnp.array(tensors["x"]), jnp.array(tensors["y"])
phi = {"relu": jax.nn.relu, "tanh": jnp.tanh}[words["activation"]]
lr, decay = float(words["lr"]), float(words["weight_decay"])
assert words["loss"] == "mse", words["loss"]


def loss(params):
    h = x
    for i, layer in enumerate(params):
        h = h @ layer[0].T if len(layer) == 1 else h @ layer[0].T + layer[1]
        h = phi(h) if i + 1 < len(params) else h
    return jnp.mean((h - y) ** 2)


def decayed(p, g):
    return g + decay * p if p.ndim > 1 and decay else g


def gd(params, memory, _):
    return jax.tree.map(lambda p, g: p - lr * decayed(p, g), params, jax.grad(loss)(params)), memory


def adam(params, memory, step, b1=0.9, b2=0.999, eps=1e-8):
    g = jax.tree.map(decayed, params, jax.grad(loss)(params))
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, memory[0], g)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, memory[1], g)
    t = jnp.asarray(step + 1, x.dtype)
    root = lambda v: jnp.sqrt(v / (1 - b2**t)) + eps  # noqa: E731
    return jax.tree.map(lambda p, m, v: p - lr / (1 - b1**t) * m / root(v), params, m, v), (m, v)


rule = {"gd": gd, "adam": adam}[words["solver"]]


def start(replica=0):
    noise = np.random.default_rng(replica)
    params = []
    for w, b in problem.layers(tensors):
        # The first run is the file's, the others are as far from it as from each other.
        if replica:
            w = noise.standard_normal(w.shape, np.float32) / np.sqrt(w.shape[1], dtype=np.float32)
        params.append((jnp.array(w),) if b is None else (jnp.array(w), jnp.array(b)))
    zeros = lambda: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
    return params, ((zeros(), zeros()) if rule is adam else ())


@jax.jit
def block(state, first, steps):
    body = lambda step, state: rule(*state, step)  # noqa: E731
    return jax.lax.fori_loop(first, first + steps, body, state)


@jax.jit
def blocks(states, first, steps):
    body = lambda step, states: jax.vmap(lambda state: rule(*state, step))(states)  # noqa: E731
    return jax.lax.fori_loop(first, first + steps, body, states)


one = jax.jit(rule, donate_argnums=(0, 1))


class Training:
    def __init__(self):
        self.step = 0
        if args.way == "replicas":
            runs = [start(replica) for replica in range(args.runs)]
            self.state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
        else:
            self.state = start()

    def advance(self, steps):
        if args.way == "step":
            for _ in range(steps):
                self.state = one(*self.state, self.step)
                self.step += 1
        else:
            self.state = (blocks if args.way == "replicas" else block)(self.state, self.step, steps)
            self.step += steps
        jax.block_until_ready(self.state)


checked = Training()
checked.advance(int(words["steps"]))
first = [leaf[0] if args.way == "replicas" else leaf for layer in checked.state[0] for leaf in layer]
after = np.concatenate([np.asarray(leaf).ravel() for leaf in first])
found = problem.error(after, tensors["parameters_after_steps"])
each = args.runs if args.way == "replicas" else 1
many = f"vmap over {args.runs} runs in fori_loop"
name = {"step": "jit per step", "loop": "fori_loop", "replicas": many}[args.way]
problem.serve(f"jax {jax.__version__} {jax.default_backend()} {name}", Training().advance, found, each)
