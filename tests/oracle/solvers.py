# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy>=1.26"]
# ///
"""Oracle for the solvers: ten steps of each on a small tanh network, with hand-written backprop.

Writes tests/golden/solvers.json. The first-order rules are those of torch.optim (SGD, Adam, AdamW,
Muon). Gradient flow is integrated by another method than the solver's, in far smaller steps; L-BFGS
keeps its inverse Hessian as a matrix.
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


def polar(g):
    """U V^T over the singular values that are not zero to rounding."""
    u, s, vt = np.linalg.svd(g, full_matrices=False)
    rank = int(np.sum(s > max(g.shape) * np.finfo(float).eps * s[0]))
    return u[:, :rank] @ vt[:rank]


def newton_schulz(g):
    """Five quintic steps with the coefficients of Jordan et al. 2024, in f64 instead of bf16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / np.linalg.norm(g)
    for _ in range(5):
        # Odd polynomials commute with transposition, so the wide way round will do for both.
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon:
    """Momentum, made orthogonal in matrices; decay shrinks the parameter first (decoupled)."""

    buffer = 0.0

    def step(self, p, grad, decay, h):
        self.buffer = h["momentum"] * self.buffer + grad
        push = grad + h["momentum"] * self.buffer if h["nesterov"] else self.buffer
        if p.ndim == 2:
            push = {"polar": polar, "newton_schulz": newton_schulz}[h["orthogonalize"]](push)
            if h["scale"] == "spectral":
                push = push * max(1, p.shape[0] / p.shape[1]) ** 0.5
        return p * (1 - h["lr"] * decay) - h["lr"] * push


RULES = {
    "gd": Gd, "sgd": Gd, "momentum": Momentum, "nesterov": Nesterov, "rmsprop": RmsProp, "adam": Adam,
    "adamw": AdamW, "muon": Muon,
}


class Flow:
    """dp/dt = -slope(p) over an interval lr: classical Runge-Kutta, 400 sub-steps of equal length.

    Its error, of order (lr/400)^4, is rounding here, whatever tolerance the solver under test has.
    """

    SUBSTEPS = 400

    def step(self, p, surface, h):
        size = h["lr"] / self.SUBSTEPS
        for _ in range(self.SUBSTEPS):
            k1 = -surface(p)[1]
            k2 = -surface(p + size / 2 * k1)[1]
            k3 = -surface(p + size / 2 * k2)[1]
            k4 = -surface(p + size * k3)[1]
            p = p + size / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return p


class Lbfgs:
    """BFGS from the last pairs (s, y) on (s.y / y.y) I, as a dense matrix (Nocedal and Wright, 6.17)."""

    def __init__(self):
        self.pairs = []

    def step(self, p, surface, h):
        value, slope = surface(p)
        inverse = np.eye(len(p))
        if self.pairs:
            s, y = self.pairs[-1]
            inverse *= (s @ y) / (y @ y)
        for s, y in self.pairs:
            rho = 1 / (s @ y)
            v = np.eye(len(p)) - rho * np.outer(y, s)
            inverse = v.T @ inverse @ v + rho * np.outer(s, s)
        direction = -inverse @ slope
        first = h["lr"] if self.pairs else h["lr"] * min(1, 1 / np.sum(np.abs(slope)))
        t, end, end_slope = strong_wolfe(surface, p, value, slope, direction, first)
        self.pairs = (self.pairs + [(end - p, end_slope - slope)])[-h["history"]:]
        return end


def strong_wolfe(surface, p, value, slope, direction, t):
    """The first of these trials with f(t) <= f(0) + c1 t f'(0) and |f'(t)| <= c2 |f'(0)|.

    The step doubles until it is bracketed: from below by one that decreases enough and still falls
    steeply, from above by one that decreases too little or rises. Inside, the next trial is the root of
    the secant of f', a tenth of the bracket away from its ends, or its middle where f' keeps its sign.
    (The rule for decreases lost in rounding does not come into play in ten steps.)
    """
    c1, c2 = 1e-4, 0.9
    origin = slope @ direction
    below, above = (0.0, origin), None
    for _ in range(50):
        end = p + t * direction
        f, g = surface(end)
        d = g @ direction
        enough = f <= value + c1 * t * origin
        if enough and abs(d) <= c2 * abs(origin):
            return t, end, g
        if enough and d < 0:
            below = (t, d)
        else:
            above = (t, d)
        if above is None:
            t = 2 * t
            continue
        (low, falling), (high, rising) = below, above
        t = (low + high) / 2
        if rising > 0:
            t = low - falling * (high - low) / (rising - falling)
            t = min(max(t, low + 0.1 * (high - low)), high - 0.1 * (high - low))
    raise ArithmeticError("no step was found")


class Arc:
    """Cubic regularisation along all directions: Hessian by complex steps, the step by bisection.

    Random subspaces of full dimension take the same steps, whatever is drawn.
    """

    sigma = 1.0

    def step(self, p, surface, h):
        value, slope = surface(p)
        size = 1e-30
        hessian = np.array([surface(p + 1j * size * e)[1].imag / size for e in np.eye(len(p))])
        w, v = np.linalg.eigh((hessian + hessian.T) / 2)
        c = v.T @ slope
        # |u(t)| = t / sigma, u(t) = -c / (w + t), t >= max(0, -w_1)
        low, high = max(0.0, -w[0]), max(0.0, -w[0]) + 1.0
        longer = lambda t: np.linalg.norm(c / (w + t)) > t / self.sigma
        while longer(high):
            high *= 2
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if longer(middle) else (low, middle)
        u = -c / (w + high)
        promised = -(c @ u + w @ (u * u) / 2)
        end = p + v @ u
        if value - surface(end)[0] >= h["theta"] * promised:
            self.sigma = max(self.sigma / 2, 1e-8)
            return end
        self.sigma *= 2
        return p


WHOLE = {"flow": Flow, "lbfgs": Lbfgs, "arc": Arc, "r_arc": Arc, "r_arc_d": Arc}


def flatten(weights, biases):
    return np.concatenate([np.concatenate([w.ravel(), b]) for w, b in zip(weights, biases)])


def unflatten(p):
    weights, biases, at = [], [], 0
    for i, o in zip(WIDTHS[:-1], WIDTHS[1:]):
        weights.append(p[at:at + o * i].reshape(o, i))
        biases.append(p[at + o * i:at + o * i + o])
        at += o * i + o
    return weights, biases


def run_whole(name, kind, h, **more):
    """As run, for solvers that move all parameters at once."""
    weights, biases, x, y = problem()
    bias_decay = h["weight_decay"] if h["decay_bias"] else 0.0
    decay = flatten([np.full(w.shape, h["weight_decay"]) for w in weights],
                    [np.full(b.shape, bias_decay) for b in biases])

    def surface(p):
        loss, grad_w, grad_b = loss_and_gradients(*unflatten(p), x, y)
        return loss + np.sum(decay * p * p) / 2, flatten(grad_w, grad_b) + decay * p

    solver, p = WHOLE[kind](), flatten(weights, biases)
    losses, kept = [], {}
    for step in range(1, STEPS + 1):
        losses.append(loss_and_gradients(*unflatten(p), x, y)[0])
        p = solver.step(p, surface, h)
        if step in KEPT:
            weights, biases = unflatten(p)
            kept[str(step)] = {"weights": weights, "biases": biases}
    return {
        "name": name,
        "kind": kind,
        "hyper": h,
        "batches": None,
        "losses": losses,
        "batch_losses": losses,
        "after": kept,
        **more,
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
    decays = [("", 0.0, False), ("_decay", 0.05, False), ("_decay_bias", 0.05, True)]
    for name, h in [
        ("muon", {"orthogonalize": "polar", "scale": "spectral", "nesterov": True}),
        ("muon_plain", {"orthogonalize": "polar", "scale": "none", "nesterov": False}),
        ("muon_newton_schulz", {"orthogonalize": "newton_schulz", "scale": "spectral", "nesterov": True}),
    ]:
        for suffix, decay, biases in decays if name == "muon" else decays[1:2]:
            h2 = {"lr": 0.02, "momentum": 0.95, **h, "weight_decay": decay, "decay_bias": biases}
            out.append(run(name + suffix, "muon", h2))
    # Here the solver is as exact as its tolerance: a sub-step is off by at most rtol |p| = 5e-10, by an
    # estimate that is far above the truth. With rtol = 1e-13 nothing but rounding is left.
    for name, rtol, atol, more in [("flow", 1e-10, 1e-12, {"tolerance": 1e-9}), ("flow_tight", 1e-13, 1e-15, {})]:
        for suffix, decay, biases in decays:
            h = {"lr": 0.3, "rtol": rtol, "atol": atol, "weight_decay": decay, "decay_bias": biases}
            out.append(run_whole(name + suffix, "flow", h, **more))
    for name, history in [("lbfgs", 10), ("lbfgs_short", 3)]:
        for suffix, decay, biases in decays:
            h = {"lr": 1.0, "history": history, "weight_decay": decay, "decay_bias": biases}
            out.append(run_whole(name + suffix, "lbfgs", h))
    # Of all 64 numbers; the Hessian's rounding and a basis of random rows leave a little more than others do, most of
    # all in single precision, where the model's flat directions are rounding. The additive rule never shrinks.
    for kind, h in [("arc", {}), ("r_arc", {"l": 64}), ("r_arc_d", {"l0": 64, "rule": "additive"})]:
        for suffix, decay, biases in decays:
            h2 = {"lr": 1.0, "theta": 0.1, **h, "weight_decay": decay, "decay_bias": biases}
            out.append(run_whole(kind + suffix, kind, h2, tolerance=1e-9, single=1e-3))
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
