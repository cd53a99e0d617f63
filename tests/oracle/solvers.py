# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy>=1.26"]
# ///
"""Oracle for the solvers: ten steps of each on a small tanh network, with hand-written backprop.

Writes tests/golden/solvers.json. The update rules are those of torch.optim (SGD, Adam, AdamW).
"""

import numpy as np

import golden

WIDTHS = [4, 5, 4, 3]
STEPS = 10
KEPT = (1, 2, 10)  # steps after which the parameters are written


def problem():
    """Initial parameters and data, rounded so that the file holds them exactly."""
    rng = np.random.default_rng(42)
    weights = [
        np.round(rng.standard_normal((o, i)) / np.sqrt(i), 4)
        for i, o in zip(WIDTHS[:-1], WIDTHS[1:])
    ]
    # Biases off zero, so that their decay shows from the first step.
    biases = [np.round(0.5 * rng.standard_normal(o), 3) for o in WIDTHS[1:]]
    inputs = np.round(rng.standard_normal((12, WIDTHS[0])), 3)
    targets = np.round(rng.standard_normal((12, WIDTHS[-1])), 3)
    return weights, biases, inputs, targets


def loss_and_gradients(weights, biases, x, y):
    """half_mse = 1/(2n) sum (f - y)^2, with its gradients, rows of x being samples."""
    n = len(x)
    hidden = [x]  # input of each layer
    for w, b in zip(weights[:-1], biases[:-1]):
        hidden.append(np.tanh(hidden[-1] @ w.T + b))
    residual = hidden[-1] @ weights[-1].T + biases[-1] - y
    loss = np.sum(residual**2) / (2 * n)
    delta = residual / n
    grad_w, grad_b = [None] * len(weights), [None] * len(weights)
    for l in reversed(range(len(weights))):
        grad_w[l] = delta.T @ hidden[l]
        grad_b[l] = np.sum(delta, axis=0)
        if l > 0:
            delta = (delta @ weights[l]) * (1 - hidden[l] ** 2)  # tanh' = 1 - tanh^2
    return loss, grad_w, grad_b


class Gd:
    """w -= lr * (grad + decay * w)."""

    def step(self, p, grad, decay, h):
        return p - h["lr"] * (grad + decay * p)


class Momentum:
    """The buffer is the first gradient, without dampening; dampening acts from the second step."""

    buffer = None

    def step(self, p, grad, decay, h):
        g = grad + decay * p
        if self.buffer is None:
            self.buffer = g
        else:
            self.buffer = h["momentum"] * self.buffer + (1 - h["dampening"]) * g
        return p - h["lr"] * self.buffer


class Nesterov(Momentum):
    """torch.optim.SGD with nesterov=True: the step looks ahead along the new buffer."""

    def step(self, p, grad, decay, h):
        g = grad + decay * p
        self.buffer = g if self.buffer is None else h["momentum"] * self.buffer + g
        return p - h["lr"] * (g + h["momentum"] * self.buffer)


class RmsProp:
    """torch.optim.RMSprop: no momentum, not centred; eps joins the root."""

    def __init__(self):
        self.second = 0.0

    def step(self, p, grad, decay, h):
        g = grad + decay * p
        self.second = h["alpha"] * self.second + (1 - h["alpha"]) * g * g
        return p - h["lr"] * g / (np.sqrt(self.second) + h["eps"])


class Adam:
    """Decay is added to the gradient, before the moments (coupled L2)."""

    def __init__(self):
        self.t, self.first, self.second = 0, 0.0, 0.0

    def step(self, p, grad, decay, h):
        return self.move(p, grad + decay * p, h)

    def move(self, p, g, h):
        beta1, beta2 = h["betas"]
        self.t += 1
        self.first = beta1 * self.first + (1 - beta1) * g
        self.second = beta2 * self.second + (1 - beta2) * g * g
        # eps joins the root after its bias correction.
        root = np.sqrt(self.second) / np.sqrt(1 - beta2**self.t) + h["eps"]
        return p - h["lr"] / (1 - beta1**self.t) * self.first / root


class AdamW(Adam):
    """Decay shrinks the parameter first, apart from the gradient (decoupled)."""

    def step(self, p, grad, decay, h):
        return self.move(p * (1 - h["lr"] * decay), grad, h)


RULES = {
    "gd": Gd, "sgd": Gd, "momentum": Momentum, "nesterov": Nesterov, "rmsprop": RmsProp, "adam": Adam, "adamw": AdamW,
}


def run(name, kind, h, batches=None):
    """One solver from the common start. Batches are row indices, one list per step."""
    weights, biases, x, y = problem()
    state_w = [RULES[kind]() for _ in weights]
    state_b = [RULES[kind]() for _ in biases]
    decay_w = h["weight_decay"]
    decay_b = h["weight_decay"] if h["decay_bias"] else 0.0
    losses, batch_losses, kept = [], [], {}
    for step in range(1, STEPS + 1):
        losses.append(loss_and_gradients(weights, biases, x, y)[0])
        rows = range(len(x)) if batches is None else batches[step - 1]
        rows = list(rows)
        loss, grad_w, grad_b = loss_and_gradients(weights, biases, x[rows], y[rows])
        batch_losses.append(loss)
        weights = [s.step(p, g, decay_w, h) for s, p, g in zip(state_w, weights, grad_w)]
        biases = [s.step(p, g, decay_b, h) for s, p, g in zip(state_b, biases, grad_b)]
        if step in KEPT:
            kept[str(step)] = {"weights": weights, "biases": biases}
    return {
        "name": name,
        "kind": kind,
        "hyper": h,
        "batches": batches,
        "losses": losses,
        "batch_losses": batch_losses,
        "after": kept,
    }


def cases():
    rules = [
        ("gd", "gd", {"lr": 0.1}),
        ("momentum", "momentum", {"lr": 0.05, "momentum": 0.9, "dampening": 0.0}),
        ("momentum_dampened", "momentum", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
        ("nesterov", "nesterov", {"lr": 0.05, "momentum": 0.9}),
        ("rmsprop", "rmsprop", {"lr": 0.01, "alpha": 0.99, "eps": 1e-8}),
        ("adam", "adam", {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8}),
        ("adamw", "adamw", {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8}),
    ]
    out = []
    for name, kind, h in rules:
        for decay in (0.0, 0.05):
            h2 = {**h, "weight_decay": decay, "decay_bias": False}
            out.append(run(name + ("_decay" if decay else ""), kind, h2))
    for name, kind, h in rules:
        if name != "momentum_dampened":
            h2 = {**h, "weight_decay": 0.05, "decay_bias": True}
            out.append(run(name + "_decay_bias", kind, h2))
    # Three epochs of three batches and one batch more, in a fixed order.
    epochs = [
        [[7, 2, 11, 4], [0, 9, 5, 1], [10, 3, 8, 6]],
        [[1, 6, 3, 9], [8, 11, 0, 2], [5, 10, 7, 4]],
        [[4, 0, 6, 10], [2, 5, 9, 3], [11, 1, 7, 8]],
    ]
    batches = [batch for epoch in epochs for batch in epoch] + [[3, 7, 0, 5]]
    out.append(run("sgd_batches", "sgd",
                   {"lr": 0.1, "weight_decay": 0.05, "decay_bias": False}, batches))
    return out


if __name__ == "__main__":
    weights, biases, inputs, targets = problem()
    golden.main("solvers.py", {
        "solvers.json": {
            "widths": WIDTHS,
            "activation": "tanh",
            "loss": "half_mse",
            "weights": weights,
            "biases": biases,
            "inputs": inputs,
            "targets": targets,
            "cases": cases(),
        },
    })
