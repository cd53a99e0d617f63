# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.2", "numpy>=1.26"]
# ///
"""Checks of nfa_capture.py, and the captures that the Rust tests read.

    uv run python/test_nfa_capture.py            # all checks, and the committed captures against fresh ones
    uv run python/test_nfa_capture.py --write    # also writes tests/golden/captures/
    uv run python/test_nfa_capture.py --time     # ResNet-18, ViT-small and GPT-2 sized captures on two threads

The reference is brute force: a perturbation is added to what one map multiplies (the features, the patches, the
one-hot rows), the network is evaluated on one sample at a time, and PyTorch differentiates all outputs with respect
to that perturbation. It shares no code with the recorder and never forms K.
"""

import copy
import json
import math
import pathlib
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "tests" / "golden" / "captures"
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "oracle")]
import golden  # noqa: E402
from nfa_capture import record  # noqa: E402

warnings.filterwarnings("error")  # an unexpected "not recorded" is a failure
DTYPES = {"F64": np.float64, "F32": np.float32}


def load(path):
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__")
    assert size % 8 == 0
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def agop_of(tensors, site):
    """W^T K W, K being the mean of the blocks weighted by their samples."""
    w, k, count = (tensors[f"{site}.{key}"].astype(np.float64) for key in ("weight", "k", "count"))
    return w.T @ np.einsum("b,bij->ij", count / count.sum(), k) @ w


# ---- networks ---------------------------------------------------------------------------------------------------


class Cnn(nn.Module):
    """Stride, padding, groups, a circular border and an in-place activation right behind a recorded map."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1, groups=2, dilation=2)
        self.conv3 = nn.Conv2d(6, 3, (3, 1), padding=(1, 0), padding_mode="circular", bias=False)
        self.fc = nn.Linear(3 * 2 * 2, 3)

    def forward(self, x):
        x = F.relu_(self.conv1(x))
        x = torch.tanh(self.conv2(x))
        return self.fc(F.silu(self.conv3(x), inplace=True).flatten(1))


class Block(nn.Module):
    def __init__(self, c_in, c, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.down = nn.Sequential()
        if stride > 1 or c_in != c:
            self.down = nn.Sequential(nn.Conv2d(c_in, c, 1, stride, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(h)) + self.down(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, channels, blocks, c_in=3, outputs=10):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, channels[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        pairs = [
            (a, c, 1 + (i > 0) * (j == 0))
            for i, c in enumerate(channels)
            for j in range(blocks)
            for a in [channels[max(i - 1, 0)] if j == 0 else c]
        ]
        self.layers = nn.Sequential(*[Block(*pair) for pair in pairs])
        self.fc = nn.Linear(channels[-1], outputs)

    def forward(self, x):
        return self.fc(self.layers(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


class Vit(nn.Module):
    def __init__(self, d, heads, depth, size, patch, c_in=3, outputs=10):
        super().__init__()
        self.patches = nn.Conv2d(c_in, d, patch, patch)
        self.cls = nn.Parameter(torch.randn(1, 1, d))
        self.position = nn.Embedding((size // patch) ** 2 + 1, d)
        layer = dict(
            dim_feedforward=2 * d if d < 64 else 4 * d,
            dropout=0.1,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(d, heads, **layer) for _ in range(depth))
        self.head = nn.Linear(d, outputs)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        x = x + self.position(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class Conv1D(nn.Module):
    """GPT-2's linear layer, weight stored [d_in, d_out]."""

    def __init__(self, d_out, d_in):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_in, d_out) / math.sqrt(d_in))
        self.bias = nn.Parameter(0.1 * torch.randn(d_out))

    def forward(self, x):
        return x @ self.weight + self.bias


class GptBlock(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = nn.Module()
        self.attn.num_heads = heads
        self.attn.c_attn, self.attn.c_proj = Conv1D(3 * d, d), Conv1D(d, d)
        self.c_fc, self.c_proj = (
            nn.Linear(d, 4 * d if d > 64 else d + 2),
            nn.Linear(4 * d if d > 64 else d + 2, d),
        )
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        n, t, d = x.shape
        h = self.attn.c_attn(self.ln_1(x)).view(n, t, 3, self.attn.num_heads, -1)
        a = F.scaled_dot_product_attention(*h.permute(2, 0, 3, 1, 4), is_causal=True)
        x = x + self.drop(self.attn.c_proj(a.transpose(1, 2).reshape(n, t, d)))
        return x + self.drop(self.c_proj(F.gelu(self.c_fc(self.ln_2(x)))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, length, d, heads, depth):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, d), nn.Embedding(length, d)
        self.h = nn.ModuleList(GptBlock(d, heads) for _ in range(depth))
        self.ln_f = nn.LayerNorm(d)
        self.lm_head = nn.Linear(d, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class Twice(nn.Module):
    """One Linear used twice, another that shares its parameter, one that is never used."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out, self.idle = (
            nn.Linear(5, 5),
            nn.Linear(5, 5),
            nn.Linear(5, 2),
            nn.Linear(5, 5),
        )
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.out(torch.tanh(self.b(torch.tanh(self.a(torch.tanh(self.a(x)))))))


class OpenAttention(nn.Module):
    """nn.MultiheadAttention written out, with one Linear per projection: for the reference only."""

    def __init__(self, m):
        super().__init__()
        e, self.heads = m.embed_dim, m.num_heads
        self.q, self.k, self.v, self.out_proj = (nn.Linear(e, e).double() for _ in range(4))
        with torch.no_grad():
            for i, layer in enumerate((self.q, self.k, self.v)):
                layer.weight.copy_(m.in_proj_weight[i * e : (i + 1) * e])
                layer.bias.copy_(m.in_proj_bias[i * e : (i + 1) * e])
            self.out_proj.weight.copy_(m.out_proj.weight)
            self.out_proj.bias.copy_(m.out_proj.bias)

    def forward(self, query, key, value, **_):
        split = lambda z: z.view(*z.shape[:2], self.heads, -1).transpose(1, 2)
        q, k, v = split(self.q(query)), split(self.k(key)), split(self.v(value))
        a = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v
        return self.out_proj(a.transpose(1, 2).reshape(query.shape)), None


# ---- brute force ------------------------------------------------------------------------------------------------


def multiplied(m, h):
    """What the map of a module multiplies, positions in rows: features, unfolded patches, one-hot rows."""
    if isinstance(m, nn.Embedding):
        return F.one_hot(h, m.num_embeddings).to(m.weight.dtype)
    if isinstance(m, nn.Conv2d):
        mode = "constant" if m.padding_mode == "zeros" else m.padding_mode
        h = F.pad(h, (m.padding[1], m.padding[1], m.padding[0], m.padding[0]), mode=mode)
        return F.unfold(h, m.kernel_size, m.dilation, 0, m.stride).mT
    return h


def apply(m, h, h_moved, rows, group):
    """The module's output where rows `rows` multiply h_moved and all others h."""
    w = m.weight.t() if isinstance(m, (nn.Embedding, Conv1D)) else m.weight.flatten(1)
    k, d = w.shape
    parts = []
    groups = getattr(m, "groups", 1)
    for g in range(groups):
        own = slice(g * k // groups, (g + 1) * k // groups)
        cols = slice(g * d, (g + 1) * d)
        plain, moved = h[..., cols] @ w[own].T, h_moved[..., cols] @ w[own].T
        chosen = torch.zeros(k)
        chosen[rows] = 1
        parts.append(torch.where(chosen[own] > 0, moved if group in (None, g) else plain, plain))
    z = torch.cat(parts, -1)
    return z if getattr(m, "bias", None) is None else z + m.bias


def where(model, site):
    """(module, rows of its map, group) of a site name."""
    parts = site.split(".")
    head = int(parts.pop()[4:]) if parts[-1].startswith("head") and parts[-1] != "head" else None
    group = int(parts.pop()[5:]) if parts[-1].startswith("group") else None
    fused = (
        parts.pop()
        if parts[-1] in "qkv" and isinstance(model.get_submodule(".".join(parts[:-1])), Conv1D)
        else None
    )
    m = model.get_submodule(".".join(parts))
    k = m.weight.shape[1] if isinstance(m, (Conv1D, nn.Embedding)) else m.weight.shape[0]
    start, size = 0, k
    if fused:
        start, size = "qkv".index(fused) * k // 3, k // 3
    if group is not None:
        start, size = group * k // m.groups, k // m.groups
    if head is not None:
        count = (
            getattr(model.get_submodule(".".join(parts[:-1])), "heads", None)
            or model.get_submodule(".".join(parts[:-1])).num_heads
        )
        start, size = start + head * size // count, size // count
    return m, slice(start, start + size), group


def brute(model, x, site):
    """AGOP at a site, 1/n sum_i sum_p J_ip^T J_ip, from per-sample Jacobians; and the NFM W^T W."""
    m, rows, group = where(model, site)
    total, uses = 0.0, []
    for i in range(len(x)):
        state = {}

        def hook(module, args, out):
            h = multiplied(module, args[0])
            if "deltas" not in state:
                uses.append(h.shape)
                return None
            moved = h + state["deltas"][state["use"]]
            state["use"] += 1
            z = apply(module, h, moved, rows, group)
            # contiguous: torch 2.15's BatchNorm2d in eval mode has a wrong gradient for one sample with these strides
            return z.mT.reshape(out.shape).contiguous() if isinstance(module, nn.Conv2d) else z

        modules = [
            other
            for other in model.modules()
            if getattr(other, "weight", None) is m.weight and type(other) is type(m)
        ]
        handles = [other.register_forward_hook(hook) for other in modules]
        uses.clear()
        model(x[i : i + 1])

        def outputs(*deltas):
            state.update(deltas=deltas, use=0)
            return model(x[i : i + 1]).flatten()

        zeros = tuple(torch.zeros(shape, dtype=torch.float64) for shape in uses)
        for jacobian in torch.autograd.functional.jacobian(outputs, zeros, vectorize=True):
            j = jacobian.reshape(-1, jacobian.shape[-1])
            d = j.shape[1] // getattr(m, "groups", 1)
            j = j[:, (group or 0) * d : (group or 0) * d + d].numpy()
            total = total + j.T @ j
        for handle in handles:
            handle.remove()
    w = (
        (m.weight.t() if isinstance(m, (nn.Embedding, Conv1D)) else m.weight.flatten(1))[rows]
        .detach()
        .numpy()
    )
    return total / len(x), w.T @ w


def opened(model):
    """A copy in eval mode whose attentions are written out."""
    model = copy.deepcopy(model).eval()
    for name, m in list(model.named_modules()):
        if isinstance(m, nn.MultiheadAttention):
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], OpenAttention(m))
    for m in model.modules():
        if isinstance(m, nn.TransformerEncoderLayer):
            m.forward = lambda src, m=m: (lambda x: x + m.linear2(F.gelu(m.linear1(m.norm2(x)))))(
                src + m.self_attn(m.norm1(src), m.norm1(src), m.norm1(src))[0]
            )
    return model


# ---- cases ------------------------------------------------------------------------------------------------------


def mlp():
    """Trained for a while by gradient descent with decay, so that weights, gradients and AGOP belong together."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 4)).double()
    x = torch.randn(40, 6, dtype=torch.float64)
    y = torch.tanh(x @ torch.randn(6, 4, dtype=torch.float64))
    init = {key: value.clone() for key, value in model.state_dict().items()}
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    for _ in range(300):
        sgd.zero_grad()
        (0.5 * (model(x) - y).square().sum() / len(x)).backward()
        sgd.step()
    sgd.zero_grad(set_to_none=True)
    return model, x, y, dict(loss="half_mse", weight_decay=0.01, decay="coupled", init=init, moments=True)


def cnn():
    return (
        Cnn().double(),
        torch.randn(12, 2, 8, 8, dtype=torch.float64),
        torch.randint(0, 3, (12,)),
        dict(loss="cross_entropy"),
    )


def resnet():
    model = ResNet([4, 6], 1, 2, 3).double()
    model.train()
    for _ in range(3):
        model(torch.randn(16, 2, 6, 6, dtype=torch.float64) + 0.5)  # running statistics away from 0 and 1
    return model, torch.randn(10, 2, 6, 6, dtype=torch.float64), None, dict(dtype=torch.float32)


def vit():
    return Vit(6, 2, 1, 8, 4, 1, 3).double(), torch.randn(9, 1, 8, 8, dtype=torch.float64), None, {}


def gpt():
    return (
        Gpt(9, 5, 6, 2, 1).double(),
        torch.randint(0, 9, (10, 5)),
        torch.randint(0, 9, (10, 5)),
        dict(loss="cross_entropy"),
    )


def twice():
    return Twice().double(), torch.randn(11, 5, dtype=torch.float64), None, {}


SKIPS = {
    "vit": ["model", "position"],
    "twice": ["idle"],
}  # the class token and the positions; the unused layer


def make(case):
    torch.manual_seed(7)
    return case()


def capture(model, path, x, y, batch=5, expect=(), **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if expect else "error")
        with record(model, path, **options) as rec:
            for a in range(0, len(x), batch):
                rec(x[a : a + batch], None if y is None else y[a : a + batch])
    tensors, metadata = load(path)
    assert metadata["format"] == "nfa.capture/1" and metadata["n"] == str(len(x))
    assert sorted(s.split(":")[0] for s in metadata["skipped"].split("; ") if s) == sorted(expect), metadata[
        "skipped"
    ]
    return tensors, metadata


def relative(a, b):
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300))


def check_case(case, folder):
    """Every site against brute force; returns what goes into captures.json."""
    model, x, y, options = make(case)
    name = case.__name__
    path = folder / f"{name}.safetensors"
    model.train()
    before = (
        {k: v.clone() for k, v in model.state_dict().items()},
        [m.training for m in model.modules()],
        torch.get_rng_state(),
    )
    for p in model.parameters():
        p.grad = torch.full_like(p, 3.0)
    frozen = next(model.parameters()).requires_grad_(False)
    tensors, metadata = capture(model, path, x, y, expect=SKIPS.get(name, ()), **options)
    assert not frozen.requires_grad and all(bool((p.grad == 3).all()) for p in model.parameters())
    assert [m.training for m in model.modules()] == before[1] and torch.equal(
        torch.get_rng_state(), before[2]
    )
    assert all(torch.equal(v, before[0][k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or "forward" in m.__dict__ for m in model.modules())

    reference, sites, worst = opened(model), {}, 0.0
    tolerance = 1e-10 if options.get("dtype") != torch.float32 else 1e-6
    order = metadata["order"].split(",")
    assert order == [key[: -len(".weight")] for key in tensors if key.endswith(".weight")]
    for site in order:
        agop, nfm = brute(reference, x, site)
        w, k, count = (tensors[f"{site}.{key}"] for key in ("weight", "k", "count"))
        assert len(k) >= 8 and count.sum() == len(x) and k.shape[1:] == (len(w), len(w))
        worst = max(worst, relative(agop_of(tensors, site), agop))
        mean = np.einsum("b,bij->ij", count / count.sum(), k.astype(np.float64))
        identity = relative(mean, mean[0, 0] * np.eye(len(mean))) <= tolerance
        assert identity == (site in metadata["last"].split(",")), (name, site)
        values = np.linalg.eigvalsh(agop)[::-1][:5]
        sites[site] = dict(
            k=w.shape[0],
            d=w.shape[1],
            blocks=len(count),
            agop_trace=np.trace(agop),
            agop_frobenius=np.linalg.norm(agop),
            nfm_trace=np.trace(nfm),
            agop_eigenvalues=np.where(values < 1e-12 * values[0], 0.0, values),
        )
        if len(agop) <= 12:
            sites[site]["agop"] = agop
    assert worst <= tolerance, (name, worst)
    gradients = check_loss(reference, x, y, tensors, metadata, sites, options) if y is not None else None
    print(
        f"{name:8} {len(order):3} sites, {len(count):2} blocks, {path.stat().st_size:6} bytes: "
        f"W^T K W against brute force {worst:.1e}"
        + ("" if gradients is None else f"; gradients {gradients:.1e}")
    )
    entry = dict(
        tolerance=tolerance,
        n=len(x),
        outputs=int(metadata["outputs"]),
        estimator=metadata["estimator"],
        shared=metadata["shared"],
        order=order,
        sites=sites,
    )
    return entry, tensors, (model, x, y)


def check_loss(reference, x, y, tensors, metadata, sites, options):
    """grad, hh and gg; `fact_trace` is -tr(W^T dL/dW) / lambda, the trace of FACT."""
    params = [p.requires_grad_(True) for p in reference.parameters()]
    for p in params:
        p.grad = None
    losses = {
        "half_mse": lambda f, y: 0.5 * (f - y).square().sum() / len(f),
        "cross_entropy": lambda f, y: F.cross_entropy(f.reshape(-1, f.shape[-1]), y.reshape(-1)),
    }
    loss = losses[options["loss"]]
    loss(reference(x), y).backward()
    worst = 0.0
    for site in sites:
        m, rows, _ = where(reference, site)
        grad = (m.weight.grad.t() if isinstance(m, (nn.Embedding, Conv1D)) else m.weight.grad.flatten(1))[
            rows
        ].numpy()
        worst = max(worst, relative(tensors[f"{site}.grad"], grad))
        if float(metadata["weight_decay"]):
            sites[site]["fact_trace"] = -np.sum(tensors[f"{site}.weight"] * grad) / float(
                metadata["weight_decay"]
            )
        if not options.get("moments"):
            continue
        hs, gs = [], []
        for i in range(len(x)):

            def keep(_, args):
                hs.append((args[0] + 0).requires_grad_())
                return (hs[-1],)

            handle = m.register_forward_pre_hook(keep)
            value = loss(reference(x[i : i + 1]), y[i : i + 1])
            gs.append(torch.autograd.grad(value, hs[-1])[0])
            handle.remove()
        h, g = (torch.cat([t.detach() for t in ts]).numpy() for ts in (hs, gs))
        worst = max(
            worst,
            relative(tensors[f"{site}.hh"], h.T @ h / len(x)),
            relative(tensors[f"{site}.gg"], g.T @ g / len(x)),
        )
        init = options["init"][f"{site}.weight"].numpy()
        assert np.array_equal(tensors[f"{site}.weight_init"], init) and np.array_equal(
            tensors[f"{site}.bias"], m.bias.detach().numpy()
        )
    assert worst <= 1e-10, worst
    return worst


def check_sketches(folder):
    """Unbiased: means over seeds are within 4 standard errors of the exact value; so is one capture, by its own blocks."""
    for case in (mlp, cnn, vit, gpt):
        model, x, y, options = make(case)
        expect, options = SKIPS.get(case.__name__, ()), {}
        exact, about = capture(model, folder / "exact.safetensors", x, None, expect=expect, **options)
        runs = []
        for seed in range(60):
            tensors, metadata = capture(
                model,
                folder / "sketch.safetensors",
                x,
                None,
                batch=len(x),
                sketch=2,
                seed=seed,
                expect=expect,
                **options,
            )
            assert metadata["estimator"] == "sketch:2" and metadata["last"] == about["last"]
            runs.append({site: agop_of(tensors, site) for site in metadata["order"].split(",")})
        rng, worst = np.random.default_rng(0), 0.0
        for site in runs[0]:
            truth = agop_of(exact, site)
            w, k, count = (tensors[f"{site}.{key}"] for key in ("weight", "k", "count"))
            traces = np.einsum(
                "ia,bij,ja->b", w, k, w
            )  # of the AGOP of each block; sizes differ by one sample at most
            error = math.sqrt(np.var(traces, ddof=1) / len(traces))
            assert abs(np.trace(agop_of(tensors, site)) - np.trace(truth)) <= 4 * error + 1e-12, site
            u = rng.standard_normal((len(truth), 3))
            for probe in [np.eye(len(truth))] + [
                np.outer(c, c) for c in u.T
            ]:  # the trace, and three quadratic forms
                values = np.array([np.sum(run[site] * probe) for run in runs])
                spread = values.std(ddof=1) / math.sqrt(len(values))
                if spread > 1e-12 * abs(values.mean()):  # a one-output map with one position has no noise
                    worst = max(worst, abs(values.mean() - np.sum(truth * probe)) / spread)
        assert worst <= 4, (case.__name__, worst)
        print(
            f"{case.__name__:8} sketches: worst of {4 * len(runs[0])} deviations is {worst:.2f} standard errors (60 seeds)"
        )


def refuses(text, make_model, x, y=None, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "refused.safetensors"
        try:
            torch.manual_seed(0)
            capture(make_model(), path, x, y, batch=len(x), expect=("x",), **options)
        except ValueError as error:
            assert text in str(error), f"{error!s} lacks {text!r}"
            assert not path.exists()
            return str(error)
    raise AssertionError(f"not refused: {text}")


def check_refusals():
    x, wide = torch.randn(16, 4), torch.randn(16, 2, 6, 6)
    line = lambda *more: nn.Sequential(nn.Linear(4, 4), *more, nn.Linear(4, 2))

    class Standardised(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight / self.weight.norm(), self.bias)

    class Random(nn.Module):
        def forward(self, x):
            return F.dropout(x)

    class Coupled(nn.Module):
        def forward(self, x):
            return x - x.mean(0)

    class Lost(nn.Module):
        def forward(self, x):
            return torch.log(x * 0 - 1)

    class Root(nn.Module):
        def forward(self, x):
            return torch.sqrt(x * 0)

    for text, model, data, options in [
        ("statistics of the batch", lambda: line(nn.BatchNorm1d(4)), x, dict(mode="train")),
        ("statistics of the batch", lambda: line(nn.BatchNorm1d(4, track_running_stats=False)), x, {}),
        ("drops units at random", lambda: line(nn.Dropout(0.5)), x, dict(mode="train")),
        ("drops units at random", lambda: Vit(8, 2, 1, 6, 3, 2), wide, dict(mode="train")),
        ("something random is active", lambda: line(Random()), x, {}),
        ("aren't independent", lambda: line(Coupled()), x, {}),
        ("isn't linear in its weight", lambda: nn.Sequential(Standardised(4, 2)), x, {}),
        ("outputs have non-finite", lambda: nn.Sequential(nn.Linear(4, 2), Lost()), x, {}),
        ("non-finite derivatives", lambda: nn.Sequential(nn.Linear(4, 2), Root()), x, {}),
        ("say which tensor", lambda: nn.Sequential(nn.Linear(4, 4), nn.GRU(4, 4)), x, {}),
        ("first axis must run over samples", lambda: nn.Sequential(nn.Linear(4, 2), nn.Flatten(0)), x, {}),
        ("no linear map to record", lambda: nn.Sequential(nn.GRU(4, 4)), x, {}),
        (
            "has no gradient of its own",
            lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))),
            x,
            dict(loss="mse"),
        ),
        ("say how weight_decay was applied", lambda: line(), x, dict(weight_decay=0.1)),
        ("is unknown", lambda: line(), x, dict(loss="l3")),
        ("call rec(x, y)", lambda: line(), x, dict(loss="mse")),
        ("init has no", lambda: line(), x, dict(init={})),
    ]:
        print("  refused:", refuses(text, model, data, **options))
    print(
        "  refused:",
        refuses("differ in shape", lambda: nn.Sequential(nn.Linear(4, 1)), x, torch.randn(16), loss="mse"),
    )

    model = line()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with record(model, pathlib.Path(folder) / "a", blocks=2) as rec:
                rec(x)
                with torch.no_grad():
                    model[0].weight += 1
            raise AssertionError("changed weights weren't refused")
        except ValueError as error:
            print("  refused:", error)


def check_small_things(folder):
    torch.manual_seed(3)
    path = folder / "small.safetensors"
    # Blocks: few batches are cut, many are joined; the mean stays the same.
    model, x = (
        nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double(),
        torch.randn(200, 4, dtype=torch.float64),
    )
    means = []
    for batch, blocks in ((200, 8), (3, 8), (1, 8), (40, 20)):
        tensors, _ = capture(model, path, x, None, batch=batch, blocks=blocks)
        assert blocks <= len(tensors["0.count"]) <= 2 * blocks and tensors["0.count"].sum() == 200
        means.append(agop_of(tensors, "0"))
    assert max(relative(m, means[0]) for m in means) < 1e-13
    # A parametrized weight, a Conv1d, a depthwise convolution, separate query projections, patterns of sites.
    weird = nn.ModuleDict(
        {
            "q_proj": nn.Linear(4, 6),
            "conv": nn.Conv1d(1, 2, 3),
            "deep": nn.Conv1d(2, 2, 1, groups=2),
            "norm": nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)),
        }
    ).double()
    weird.num_heads = 3
    weird.forward = lambda x: (
        weird["deep"](weird["conv"](x[:, None])).flatten(1).sum(1, True)
        + weird["q_proj"](x).square().sum(1, True)
        + weird["norm"](x)
    )
    tensors, metadata = capture(weird, path, x[:20], None, expect=["deep"])
    assert metadata["order"] == "q_proj,q_proj.head0,q_proj.head1,q_proj.head2,conv,norm", metadata["order"]
    assert np.array_equal(tensors["norm.weight"], weird["norm"].weight.detach().numpy()) and tensors[
        "conv.weight"
    ].shape == (2, 3)
    assert tensors["q_proj.head1.k"].shape[1:] == (2, 2)
    tensors, metadata = capture(weird, path, x[:20], None, sites=["q_*"], heads={"q_proj": 2})
    assert metadata["order"] == "q_proj,q_proj.head0,q_proj.head1"
    # nn.MultiheadAttention in every form gives the same outputs while recorded (the recorder checks that itself), masks included.
    for options in (
        dict(batch_first=True),
        dict(batch_first=True, bias=False),
        dict(batch_first=True, kdim=5, vdim=3),
        dict(batch_first=True, add_bias_kv=True, add_zero_attn=True),
    ):
        attention = nn.MultiheadAttention(6, 2, dropout=0.3, **options).double()
        data = tuple(
            torch.randn(9, 4, width, dtype=torch.float64)
            for width in (6, options.get("kdim", 6), options.get("vdim", 6))
        )
        mask = torch.zeros(9, 4, dtype=torch.bool)
        mask[3:, 3] = True
        with record(attention, path, output=lambda r: r[0]) as rec:
            rec(dict(zip(("query", "key", "value", "key_padding_mask"), (*data, mask))))
        assert load(path)[1]["order"].split(",")[:3] == ["q", "q.head0", "q.head1"]
    # TransformerEncoder with frozen weights, under no_grad and inference mode: the fast path must not swallow the sites.
    encoder = (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), 1)
        .eval()
        .requires_grad_(False)
    )
    for mode in (torch.no_grad, torch.inference_mode):
        data = torch.randn(9, 3, 6)
        with mode():
            tensors, metadata = capture(encoder, path, data, None, sketch=3)
        assert len(metadata["order"].split(",")) == 12 and all(
            np.abs(tensors[f"{s}.k"]).max() > 0 for s in metadata["order"].split(",")
        )
    # Checkpointed blocks run again in the backward pass; moments of convolutions; half-precision weights.
    from torch.utils.checkpoint import checkpoint

    inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()
    plain, _ = capture(inner, path, x[:20], None)
    outer = nn.Sequential(inner)
    outer.forward = lambda x: checkpoint(inner, x, use_reentrant=False)
    again, _ = capture(outer, path, x[:20], None)
    assert relative(agop_of(again, "0.0"), agop_of(plain, "0")) < 1e-14
    model, x, y, _ = make(cnn)
    tensors, _ = capture(model, path, x, y, loss="cross_entropy", moments=True)
    h = multiplied(model.conv1, x).flatten(0, 1).numpy()
    assert relative(tensors["conv1.hh"], h.T @ h / len(x)) < 1e-13 and tensors["conv2.group1.hh"].shape == (
        18,
        18,
    )
    # A convolution is a dense map of its patches: also to what single precision leaves.
    single, _ = capture(model, path, x, None, dtype=torch.float32)
    for site in ("conv1", "conv2.group0", "conv2.group1", "conv3"):
        assert single[f"{site}.k"].dtype == np.float32
        assert relative(agop_of(single, site), brute(model, x, site)[0]) < 1e-6
    half = nn.Sequential(nn.Linear(4, 2)).bfloat16()
    tensors, _ = capture(half, path, torch.randn(16, 4).bfloat16(), None)
    assert tensors["0.weight"].dtype == np.float32 and tensors["0.k"].dtype == np.float64
    print("small things: ok")


# ---- timing -----------------------------------------------------------------------------------------------------


def timings(folder):
    torch.set_num_threads(2)
    torch.manual_seed(0)
    images = torch.randn(64, 3, 32, 32)
    warnings.simplefilter("ignore")
    for label, model, x, options in [
        ("ResNet-18, 64 x 3x32x32, 10 outputs exact", ResNet([64, 128, 256, 512], 2), images, {}),
        (
            "ViT-small width 384, 6 heads, 4 blocks, 64 x 3x32x32, 65 tokens, 10 outputs exact",
            Vit(384, 6, 4, 32, 4),
            images,
            {},
        ),
        (
            "GPT-2-small width 768, 12 heads, 2 blocks, 16 x 64 tokens, vocabulary 50257, 4 sketches",
            Gpt(50257, 64, 768, 12, 2),
            torch.randint(0, 50257, (16, 64)),
            dict(sketch=4),
        ),
    ]:
        path, start = folder / "time.safetensors", time.perf_counter()
        with record(model, path, dtype=torch.float32, **options) as rec:
            for a in range(0, len(x), 16):
                rec(x[a : a + 16])
            middle = time.perf_counter()
        with open(path, "rb") as file:
            sites = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"][
                "order"
            ].split(",")
        print(
            f"{label}: {len(sites)} sites, {middle - start:.1f} s recording, {time.perf_counter() - middle:.1f} s writing {path.stat().st_size / 1e6:.0f} MB",
            flush=True,
        )


def main():
    arguments = set(sys.argv[1:])
    assert arguments <= {"--write", "--time"}, "usage: test_nfa_capture.py [--write] [--time]"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if "--time" in arguments:
            timings(folder)
            return
        captures, fresh = {}, {}
        for case in (mlp, cnn, resnet, vit, gpt, twice):
            captures[f"{case.__name__}.safetensors"], fresh[case.__name__], data = check_case(case, folder)
            if case is mlp:
                model, x, y = data
        check_sketches(folder)
        check_small_things(folder)
        check_refusals()
        expected = golden.plain(
            {
                "meta": {
                    "script": "python/test_nfa_capture.py",
                    "torch": torch.__version__.split("+")[0],
                    "numpy": np.__version__,
                },
                "mlp": {
                    "weights": "mlp_weights.safetensors",
                    "inputs": "mlp_inputs.npy",
                    "targets": "mlp_targets.npy",
                    "init": "mlp_init.safetensors",
                    "activation": "tanh",
                    "loss": "half_mse",
                    "weight_decay": 0.01,
                },
                "captures": captures,
            }
        )
        if "--write" in arguments:
            from nfa_capture import _save

            GOLDEN.mkdir(parents=True, exist_ok=True)
            for name in captures:
                (GOLDEN / name).write_bytes((folder / name).read_bytes())
            _save(
                str(GOLDEN / "mlp_weights.safetensors"),
                {k: v.detach() for k, v in model.state_dict().items()},
                {},
            )
            _save(str(GOLDEN / "mlp_init.safetensors"), make(mlp)[3]["init"], {})
            np.save(GOLDEN / "mlp_inputs.npy", x.numpy())
            np.save(GOLDEN / "mlp_targets.npy", y.numpy())
            (GOLDEN / "captures.json").write_text(golden.dumps(expected) + "\n")
            for path in sorted(GOLDEN.iterdir()):
                print(f"{path.name}: {path.stat().st_size} bytes")
        committed = json.loads((GOLDEN / "captures.json").read_text())
        worst = 0.0
        for name, tensors in fresh.items():
            old, _ = load(GOLDEN / f"{name}.safetensors")
            assert list(old) == list(tensors)
            tolerance = committed["captures"][f"{name}.safetensors"]["tolerance"]
            worst = max(worst, max(relative(old[key], tensors[key]) / tolerance for key in old))
            for site, values in committed["captures"][f"{name}.safetensors"]["sites"].items():
                agop = agop_of(old, site)
                assert abs(np.trace(agop) - values["agop_trace"]) <= tolerance * values["agop_trace"]
                assert "agop" not in values or relative(agop, np.array(values["agop"])) <= tolerance
        assert worst <= 1, worst
        print(f"committed captures: within {worst:.1e} of their tolerance")


if __name__ == "__main__":
    main()
