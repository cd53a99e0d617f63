# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy>=1.26"]
# ///
"""Oracle for networks, AGOPs, law parts, certificates and details.

Writes tests/golden/laws.json and tests/golden/counterexamples.json. Layers count from 0 here.
Jacobians are written out by hand as chains of matrix products; eigenpairs of an AGOP come from the
SVD of the stacked Jacobian, so that small eigenvalues keep their digits.
"""

import numpy as np

import golden

EPS = np.finfo(float).eps
ALPHA_MIN, ALPHA_MAX = 1e-3, 4.0
POOL = 1e-12  # eigenvalues closer than this share of the largest are one cluster


# ---- networks -----------------------------------------------------------------------------------

PHI = {
    "linear": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.where(z > 0, z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "tanh": (np.tanh, lambda z: 1.0 / np.cosh(z) ** 2),
    "quadratic": (lambda z: z * z, lambda z: 2.0 * z),
}


def forward(activation, weights, biases, x):
    """Pre-activations of every layer, for one sample; the last is the output."""
    phi = PHI[activation][0]
    zs, h = [], x
    for l, w in enumerate(weights):
        z = w @ h + (0.0 if biases is None else biases[l])
        zs.append(z)
        h = phi(z)
    return zs


def stacked_jacobian(activation, weights, biases, inputs, sample_weights, layer):
    """Rows sqrt(w_i / n) * J_i, J_i = W_L D ... W_{l+1} D W_l by the input of layer l."""
    slope = PHI[activation][1]
    n = len(inputs)
    rows = []
    for i, x in enumerate(inputs):
        zs = forward(activation, weights, biases, x)
        j = weights[layer]
        for k in range(layer + 1, len(weights)):
            j = weights[k] @ (slope(zs[k - 1])[:, None] * j)
        share = 1.0 if sample_weights is None else sample_weights[i]
        rows.append(np.sqrt(share / n) * j)
    return np.concatenate(rows)


# ---- one law: A against powers of B -------------------------------------------------------------


def fro(x):
    return float(np.sqrt(np.sum(x * x)))


def pava(values, weights):
    """Weighted isotonic (non-decreasing) regression by pooling adjacent violators."""
    blocks = []  # [mean, weight, count]
    for v, w in zip(values, weights):
        blocks.append([float(v), float(w), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            v2, w2, c2 = blocks.pop()
            v1, w1, c1 = blocks.pop()
            blocks.append([(v1 * w1 + v2 * w2) / (w1 + w2), w1 + w2, c1 + c2])
    return np.concatenate([np.full(c, v) for v, _, c in blocks])


def clusters(a, g, v):
    """Equal eigenvalues pooled, ascending: (eigenvalue, dimension, mean of A on it, projector).

    `g` descending holds the non-zero eigenvalues and `v` their vectors; the rest of the space is
    the cluster of eigenvalue 0.
    """
    d = a.shape[0]
    gaps = (g[:-1] - g[1:]) / g[0]
    # Between the two bounds an implementation's own tolerance could decide: such a case is no test.
    assert not np.any((gaps > POOL / 10) & (gaps < 1e-7)), gaps
    groups, start = [], 0
    for i in range(1, len(g) + 1):
        if i == len(g) or gaps[i - 1] > POOL:
            groups.append((start, i))
            start = i
    out = []
    for lo, hi in groups:
        p = v[:, lo:hi] @ v[:, lo:hi].T
        out.append((float(np.mean(g[lo:hi])), hi - lo, float(np.sum(p * a)) / (hi - lo), p))
    if len(g) < d:
        p = np.eye(d) - v @ v.T
        out.append((0.0, d - len(g), float(np.sum(p * a)) / (d - len(g)), p))
    return out[::-1]


def best_alpha(g, m, dim):
    """argmax over [ALPHA_MIN, ALPHA_MAX] of cos(alpha), for non-zero eigenvalues g <= 1."""
    log_g = np.log(g)

    def cos(a):
        p = g**a
        return np.sum(dim * m * p) / np.sqrt(np.sum(dim * p * p))

    def slope(a):  # of log cos
        p = g**a
        up = np.sum(dim * m * p * log_g) / np.sum(dim * m * p)
        return up - np.sum(dim * p * p * log_g) / np.sum(dim * p * p)

    grid = np.geomspace(ALPHA_MIN, ALPHA_MAX, 4001)
    grid[0], grid[-1] = ALPHA_MIN, ALPHA_MAX
    k = int(np.argmax([cos(a) for a in grid]))
    lo, hi = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
    if k == 0 and slope(lo) <= 0:
        return ALPHA_MIN
    if k == len(grid) - 1 and slope(hi) >= 0:
        return ALPHA_MAX
    assert slope(lo) > 0 > slope(hi)
    while True:
        mid = 0.5 * (lo + hi)
        if mid in (lo, hi):
            return mid
        if slope(mid) > 0:
            lo = mid
        else:
            hi = mid


def law(a, b, g, v):
    """Misfit, parts, certificates; `g`, `v` are the non-zero eigenpairs of `b`, descending."""
    d = a.shape[0]
    pooled = clusters(a, g, v)
    x = np.array([c[0] for c in pooled])
    dim = np.array([c[1] for c in pooled], dtype=float)
    m = np.array([c[2] for c in pooled])
    norm = fro(a)
    live = x > 0
    top = x[-1]

    # Fewer than two distinct non-zero eigenvalues: every exponent fits alike.
    alpha = best_alpha(x[live] / top, m[live], dim[live]) if live.sum() > 1 else None
    p = np.zeros_like(x)
    p[live] = (x[live] / top) ** (1.0 if alpha is None else alpha)
    scale = np.sum(dim * m * p) / np.sum(dim * p * p)
    kappa = None if alpha is None else scale / top**alpha

    iso = pava(m, dim)
    fit = scale * p
    directions2 = fro(a - sum(mc * pc for _, _, mc, pc in pooled)) ** 2 / norm**2
    order2 = np.sum(dim * (m - iso) ** 2) / norm**2
    misfit = np.sqrt(directions2 + np.sum(dim * (m - fit) ** 2) / norm**2)
    # misfit^2 - directions^2 - order^2, written so that nothing cancels; both terms are >= 0.
    shape2 = np.sum(dim * ((iso - fit) ** 2 + 2 * (m - iso) * (iso - fit))) / norm**2

    a0 = a - np.trace(a) / d * np.eye(d)
    b0 = b - np.trace(b) / d * np.eye(d)
    spread = top - (0.0 if len(g) < d else g[-1])
    null = pooled[0][3] if x[0] == 0 else np.zeros((d, d))
    certificates = {
        "commutator": fro(a @ b - b @ a) / (spread * norm) if spread > 1e-10 * top else None,
        "traceless": -np.sum(a0 * b0) / (fro(b0) * norm) if fro(b0) > 1e-10 * fro(b) else None,
        "range": fro(null @ a @ null) / norm,
        "order": np.sqrt(order2),
    }
    for kind, margin in certificates.items():
        assert margin is None or margin <= misfit + 1e-12, (kind, margin, misfit)
    assert abs(misfit**2 - directions2 - order2 - shape2) < 1e-14
    return {
        "alpha": alpha,
        "misfit": misfit,
        "parts": {
            "directions": np.sqrt(directions2),
            "order": np.sqrt(order2),
            "shape": np.sqrt(max(shape2, 0.0)),
        },
        "certificates": certificates,
        "kappa": kappa,
    }


# ---- details ------------------------------------------------------------------------------------


def key(alpha):
    """Shortest decimal, as Rust prints an f64."""
    text = repr(float(alpha))
    return text[:-2] if text.endswith(".0") else text


def correlation(x, y):
    if len(x) < 2:
        return None
    xc, yc = x - x.mean(), y - y.mean()
    if fro(xc) <= 1e-12 * fro(x) or fro(yc) <= 1e-12 * fro(y):
        return None
    return np.sum(xc * yc) / (fro(xc) * fro(yc))


def tau_b(x, y):
    if len(x) < 2:
        return None
    balance, pairs_x, pairs_y = 0, 0, 0
    for i in range(len(x)):
        for j in range(i):
            sx, sy = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
            balance += sx * sy
            pairs_x += sx != 0
            pairs_y += sy != 0
    if pairs_x == 0 or pairs_y == 0:
        return None
    return balance / np.sqrt(float(pairs_x) * float(pairs_y))


def details(w, g, v, b, alphas):
    """Scalars and per-alpha tables of M = W'W against G = `b`, whose non-zero pairs are g, v."""
    a = w.T @ w
    d, r = a.shape[0], len(g)
    norm = fro(a)
    m = np.sum((w @ v) ** 2, axis=0)  # v_i' M v_i
    _, s, ut = np.linalg.svd(w)
    spectrum = np.zeros(d)
    spectrum[: len(s)] = s**2
    off = ~np.eye(d, dtype=bool)
    tables = {
        name: {}
        for name in (
            "cosine", "one_minus_cosine", "traceless_cosine", "pearson", "pearson_offdiag",
            "relative_error", "kappa", "cosine_sorted", "haar",
        )
    }
    for alpha in alphas:
        p = g**alpha
        power = (v * p) @ v.T
        size = np.sqrt(np.sum(p * p))
        inner = np.sum(m * p)
        kappa = inner / size**2
        a0 = a - np.trace(a) / d * np.eye(d)
        p0 = power - np.sum(p) / d * np.eye(d)
        flat = fro(a0) <= 1e-12 * norm or fro(p0) <= 1e-12 * size
        values = {
            "cosine": inner / (norm * size),
            "one_minus_cosine": fro(a / norm - power / size) ** 2 / 2,
            "traceless_cosine": None if flat else np.sum(a0 * p0) / (fro(a0) * fro(p0)),
            "pearson": correlation(a.ravel(), power.ravel()),
            "pearson_offdiag": correlation(a[off], power[off]),
            "relative_error": fro(a - kappa * power) / norm,
            "kappa": kappa,
            "cosine_sorted": np.sum(spectrum[:r] * p) / (norm * size),
            "haar": np.trace(a) * np.sum(p) / (d * norm * size),
        }
        for name, value in values.items():
            tables[name][key(alpha)] = value

    used = (g > 1e-10 * g[0]) & (m > 0)
    x, y = np.log(g[used]), np.log(m[used])
    slope, r2 = None, None
    if len(x) > 1 and np.ptp(x) > 1e-10:
        xc, yc = x - x.mean(), y - y.mean()
        slope = np.sum(xc * yc) / np.sum(xc * xc)
        if np.sum(yc * yc) > 0:
            r2 = 1 - np.sum((yc - slope * xc) ** 2) / np.sum(yc * yc)

    overlap = {}
    for k in (1, 3, 10):
        if k <= r:
            # Top-k spaces are defined only where the spectra have a gap.
            assert k == d or spectrum[k - 1] - spectrum[k] > 1e-6 * spectrum[0]
            overlap[str(k)] = fro(ut[:k] @ v[:, :k]) ** 2 / k
    return {
        "nfm_trace": np.trace(a),
        "agop_trace": np.trace(b),
        "agop_rank": r,
        "nfm_effective_rank": np.trace(a) ** 2 / norm**2,
        **tables,
        "loglog_slope": slope,
        "loglog_r2": r2,
        "kendall_tau": tau_b(g, m),
        "top_k_overlap": overlap,
        "fact": None,
    }


# ---- cases --------------------------------------------------------------------------------------


def measure(name, activation, weights, biases, inputs, sample_weights):
    depth = len(weights)
    n, c = len(inputs), weights[-1].shape[0]
    layers = []
    for l, w in enumerate(weights):
        j = stacked_jacobian(activation, weights, biases, inputs, sample_weights, l)
        d = w.shape[1]
        _, s, vt = np.linalg.svd(j, full_matrices=False)
        keep = s > max(n * c, d) * EPS * s[0]
        # No eigenvalue near a rank threshold, whichever rule an implementation takes.
        assert s[keep][-1] > 1e-5 * s[0], (name, l, s / s[0])
        g, v = s[keep] ** 2, vt[keep].T
        b = j.T @ j
        a = w.T @ w
        here = depth - l
        alphas = sorted({1.0 / here, 0.5, 1.0})
        layers.append({
            "layer": l,
            "depth_from_here": here,
            "nfm": a,
            "agop": b,
            "predicted": 1.0 / here if activation == "linear" else None,
            "nfa": law(a, b, g, v),
            "details": details(w, g, v, b, alphas),
        })
    largest = max(fro(w) ** 2 for w in weights)
    imbalance = []
    for l in range(depth - 1):
        gap = fro(weights[l + 1].T @ weights[l + 1] - weights[l] @ weights[l].T)
        imbalance.append({"layer": l, "frobenius": gap, "relative": gap / largest})
    return {
        "name": name,
        "activation": activation,
        "widths": [weights[0].shape[1]] + [w.shape[0] for w in weights],
        "n": n,
        "weights": weights,
        "biases": biases,
        "inputs": inputs,
        "sample_weights": sample_weights,
        "outputs": [forward(activation, weights, biases, x)[-1] for x in inputs],
        "layers": layers,
        "imbalance": imbalance,
    }


def random_case(name, activation, widths, n, seed, bias=False, weighted=False):
    """Gaussian network and data, rounded so that the file is short and the numbers are exact."""
    rng = np.random.default_rng(seed)
    weights = [
        np.round(rng.standard_normal((o, i)) * 1.2 / np.sqrt(i), 4)
        for i, o in zip(widths[:-1], widths[1:])
    ]
    biases = [np.round(0.3 * rng.standard_normal(o), 3) for o in widths[1:]] if bias else None
    decay = np.exp(-0.5 * np.arange(widths[0]) / (widths[0] - 1))
    inputs = np.round(rng.standard_normal((n, widths[0])) * decay, 3)
    sample_weights = None
    if weighted:
        raw = rng.uniform(0.1, 3.0, n)
        sample_weights = np.round(raw / raw.mean(), 3)
        sample_weights[0] += n - sample_weights.sum()  # mean exactly 1
        sample_weights = np.round(sample_weights, 3)
        assert abs(sample_weights.mean() - 1) < 1e-15 and sample_weights.min() > 0
    return measure(name, activation, weights, biases, inputs, sample_weights)


def orthonormal(rng, rows, columns):
    """`columns` orthonormal columns, by Gram-Schmidt done twice (no LAPACK sign convention)."""
    q = np.zeros((rows, columns))
    for k in range(columns):
        x = rng.standard_normal(rows)
        for _ in range(2):
            x = x - q[:, :k] @ (q[:, :k].T @ x)
            x = x / fro(x)
        q[:, k] = x
    return q


def spectral_case(name, widths, spectra, n, seed):
    """Linear network W_l = Q_{l+1} diag(spectra[l]) Q_l': aligned, with given spectra."""
    rng = np.random.default_rng(seed)
    k = len(spectra[0])
    q = [orthonormal(rng, w, k) for w in widths]
    weights = [(q[l + 1] * np.array(s)) @ q[l].T for l, s in enumerate(spectra)]
    inputs = np.round(rng.standard_normal((n, widths[0])), 3)
    return measure(name, "linear", weights, None, inputs, None)


def mlp_cases():
    balanced = [1.3, 1.1, 0.95, 0.8, 0.6]
    return [
        random_case("linear_depth1", "linear", [5, 3], 9, 1),
        random_case("linear_depth2", "linear", [8, 10, 6], 20, 2),
        random_case("linear_depth3_bias", "linear", [7, 9, 6, 4], 15, 3, bias=True),
        random_case("linear_depth4_weighted", "linear", [10, 6, 8, 5, 4], 18, 4, weighted=True),
        random_case("linear_depth5", "linear", [6, 8, 7, 9, 5, 3], 12, 5),
        # One output: the AGOP has rank 1, no exponent is defined.
        random_case("linear_one_output", "linear", [6, 5, 1], 10, 6),
        # Balanced: M = G^(1/3) exactly, kappa = 1.
        spectral_case("linear_balanced", [9, 6, 7, 5], [balanced] * 3, 11, 7),
        # G nearly flat, M steep: the best exponent lies above the grid.
        spectral_case("linear_upper_end", [6, 7, 4],
                      [[3.0, 2.0, 1.5, 1.0], [1.0, 1.48, 1.95, 2.9]], 8, 8),
        # G orders the directions the other way round than M: the best exponent lies below the grid.
        spectral_case("linear_lower_end", [5, 7, 4],
                      [[2.0, 1.7, 1.3, 1.0], [1.0, 1.5, 2.5, 4.0]], 8, 9),
        random_case("relu_depth2_bias", "relu", [5, 12, 3], 40, 10, bias=True),
        random_case("relu_depth3_weighted", "relu", [6, 10, 8, 2], 30, 11,
                    bias=True, weighted=True),
        random_case("relu_depth4_one_output", "relu", [4, 9, 7, 8, 1], 60, 12),
        # Fewer Jacobian rows than inputs: the AGOP has a null space from the data.
        random_case("relu_few_samples", "relu", [12, 10, 1], 5, 13),
        random_case("tanh_depth2_bias", "tanh", [3, 6, 4], 25, 14, bias=True),
        random_case("tanh_depth3_weighted", "tanh", [14, 12, 10, 6], 30, 15, weighted=True),
        random_case("tanh_depth5", "tanh", [5, 7, 6, 8, 6, 2], 20, 16),
    ]


# ---- counterexamples ----------------------------------------------------------------------------


def symmetric_pairs(b):
    """Non-zero eigenpairs of a PSD matrix, descending."""
    g, v = np.linalg.eigh(b)
    g, v = g[::-1], v[:, ::-1]
    keep = g > len(g) * EPS * g[0]
    return g[keep], v[:, keep]


def sup_cosine(a, b, misfit):
    """Supremum over (0, 4] of cos(A, B^alpha); the limit at 0 is the projector onto B's range.

    The grid looks below the search's lower end; the misfit gives an interior maximum exactly.
    """
    g, v = symmetric_pairs(b)
    m = np.sum(v * (a @ v), axis=0)
    best = np.sqrt(1 - misfit**2)
    for alpha in np.concatenate([[0.0], np.geomspace(1e-4, 4.0, 2001)]):
        p = (g / g[0]) ** alpha
        best = max(best, np.sum(m * p) / (fro(a) * np.sqrt(np.sum(p * p))))
    return min(best, 1.0)


def pair(name, a, b, certificate):
    result = law(a, b, *symmetric_pairs(b))
    return {
        "name": name,
        "a": a,
        "b": b,
        "certificate": certificate,
        "sup_cosine": sup_cosine(a, b, result["misfit"]),
        **result,
    }


def counterexample(name, certificate, activation, weights, inputs, targets, sample_weights=None):
    """First-layer pair of a two-layer network that fits its targets exactly."""
    weights = [np.array(w, dtype=float) for w in weights]
    inputs, targets = np.array(inputs, dtype=float), np.array(targets, dtype=float)
    outputs = np.array([forward(activation, weights, None, x)[-1] for x in inputs])
    assert np.max(np.abs(outputs - targets)) < 1e-12, name
    j = stacked_jacobian(activation, weights, None, inputs, sample_weights, 0)
    a, b = weights[0].T @ weights[0], j.T @ j
    network = {
        "activation": activation,
        "weights": weights,
        "inputs": inputs,
        "targets": targets,
        "sample_weights": sample_weights,
    }
    return {**pair(name, a, b, certificate), "network": network}


def counterexamples():
    out = []
    # A. ReLU units e1, e2 and -2 e3; data with x >= 0, so the third never fires and f = x1 + x2.
    # M = diag(1, 1, 4), G = [[1,1,0],[1,1,0],[0,0,0]]. The dead unit's output weight is free: 1.
    x = [[1, 0.5, 0.25], [0.5, 1, 1], [2, 0.75, 0.5], [0.25, 1.5, 0.75]]
    out.append(counterexample(
        "A", "range", "relu", [[[1, 0, 0], [0, 1, 0], [0, 0, -2]], [[1, 1, 1]]],
        x, [[r[0] + r[1]] for r in x]))
    # B. Linear, f = x1 from unit e1; two units u with output weights +1 and -1 cancel.
    # u = sqrt(2) e2 adds 2uu' = diag(0, 4): M = diag(1, 4), G = diag(1, 0).
    u = np.sqrt(2.0)
    x = [[1, 0.5], [-0.5, 1], [2, -0.75], [-1, -1.5]]
    out.append(counterexample(
        "B", "range", "linear", [[[1, 0], [0, u], [0, u]], [[1, 1, -1]]], x, [[r[0]] for r in x]))
    # C. Minimum-norm ReLU: e1 with weight .9 and target 1, e2 with weight .1 and target -2;
    # balanced units e1 (output 1) and sqrt(2) e2 (output -sqrt(2)). Each unit sits at 0 on the
    # other's point, relu'(0) = 0: M = diag(1, 2), G = diag(.9 * 1, .1 * 4). Weights have mean 1.
    shares = np.array([1.8, 0.2])
    out.append(counterexample(
        "C", "order", "relu", [[[1, 0], [0, u]], [[1, -u]]], np.eye(2), [[1], [-2]], shares))
    # C'. The same with targets 1 and -1: M = I, G = diag(.9, .1).
    out.append(counterexample(
        "C'", "tie", "relu", [[[1, 0], [0, 1]], [[1, -1]]], np.eye(2), [[1], [-1]], shares))
    # D. tanh units 4 e1 and 5 e2 on +-e1, +-e2; output weights from the targets +-3, +-1. Each
    # unit is saturated on its own data and linear on the other's: G is about diag(72, 12.5).
    out.append(counterexample(
        "D", "order", "tanh", [[[4, 0], [0, 5]], [[3 / np.tanh(4.0), 1 / np.tanh(5.0)]]],
        [[1, 0], [-1, 0], [0, 1], [0, -1]], [[3], [-3], [1], [-1]]))
    # E. Quadratic units w_j = sqrt(m_j) e_j with a_j^2 = m_j / 2, so G = 2 m_j^3 S_jj for data with
    # diagonal second moment S: points +-sqrt(3 S_jj) e_j. m = (1, 1.5, 2), S = (16, 3, 1) give
    # G = diag(32, 20.25, 16) against M = diag(1, 1.5, 2).
    m, s = np.array([1.0, 1.5, 2.0]), np.array([16.0, 3.0, 1.0])
    x = np.concatenate([sign * np.sqrt(3 * s[k]) * np.eye(3)[k:k + 1]
                        for k in range(3) for sign in (1, -1)])
    w, a = np.diag(np.sqrt(m)), np.sqrt(m / 2)
    out.append(counterexample("E", "order", "quadratic", [w, [a]], x,
                              ((x @ w.T) ** 2) @ a[:, None]))
    # E'. f = |x|^2 on the same data: M = I, G = 4 S, anisotropic.
    out.append(counterexample("E'", "tie", "quadratic", [np.eye(3), [[1, 1, 1]]], x,
                              np.sum(x * x, axis=1)[:, None]))
    return out


def pooled_pairs():
    """No counterexamples: pairs whose B has equal eigenvalues, in a rotated frame."""
    rng = np.random.default_rng(20)
    out = []
    for name, spectrum, base in (
        ("two_double", [4.0, 4.0, 1.0, 1.0, 0.25], [2.0, 2.0, 1.0, 1.0, 0.5]),
        ("double_and_null", [3.0, 2.0, 2.0, 0.5, 0.0, 0.0], [1.7, 1.4, 1.4, 0.7, 0.0, 0.0]),
        # Reversed twice: eigenvalue 1 (double) carries more of A than 4, and 0 (double) more than
        # 0.25, so that the isotonic regression needs the dimensions as weights.
        ("order_weighted", [4.0, 1.0, 1.0, 0.25, 0.0, 0.0], [1.5, 2.0, 2.0, 0.3, 0.8, 0.8]),
        # One non-zero eigenvalue, then no spread at all: no exponent is defined.
        ("projector", [2.0, 2.0, 2.0, 0.0, 0.0], [1.4, 1.4, 1.4, 0.0, 0.0]),
        ("identity", [1.5, 1.5, 1.5, 1.5], [1.2, 1.2, 1.2, 1.2]),
    ):
        d = len(spectrum)
        q = orthonormal(rng, d, d)
        b = (q * np.array(spectrum)) @ q.T
        y = np.round(rng.standard_normal((d + 2, d)), 2)
        # The perturbation makes the directions part non-zero, also inside the equal eigenvalues.
        a = (q * np.array(base)) @ q.T + 0.05 * (y.T @ y)
        out.append(pair(name, (a + a.T) / 2, (b + b.T) / 2, None))
    return out


if __name__ == "__main__":
    golden.main("laws.py", {
        "laws.json": {"cases": mlp_cases()},
        "counterexamples.json": {"pairs": counterexamples(), "pooled": pooled_pairs()},
    })
