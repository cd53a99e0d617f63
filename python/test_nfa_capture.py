# /// script
# requires-python = ">=3.10"
# dependencies = ["torch>=2.2", "numpy>=1.26"]
# ///
"""Checks of nfa_capture.py, and the captures that the Rust tests read.

    uv run python/test_nfa_capture.py            # all checks, and the committed captures against fresh ones
    pytest python/test_nfa_capture.py            # the same
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
from torch.nn.utils import prune

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


def run_cases(folder):
    captures, fresh, trained = {}, {}, None
    for case in (mlp, cnn, resnet, vit, gpt, twice):
        captures[f"{case.__name__}.safetensors"], fresh[case.__name__], data = check_case(case, folder)
        trained = data if case is mlp else trained
    return captures, fresh, trained


def compare_committed(fresh):
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


def test_cases(tmp_path):
    compare_committed(run_cases(tmp_path)[1])


def test_sketches(tmp_path):
    """Unbiased: means over seeds are within 4 standard errors of the exact value; so is one capture, by its own blocks."""
    for case in (mlp, cnn, vit, gpt):
        model, x, y, options = make(case)
        expect, options = SKIPS.get(case.__name__, ()), {}
        exact, about = capture(model, tmp_path / "exact.safetensors", x, None, expect=expect, **options)
        runs = []
        for seed in range(60):
            tensors, metadata = capture(
                model,
                tmp_path / "sketch.safetensors",
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


def test_refusals():
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


def test_small_things(tmp_path):
    torch.manual_seed(3)
    path = tmp_path / "small.safetensors"
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


# ---- fused attention --------------------------------------------------------------------------------------------


class Fused(nn.Module):
    """Causal attention on one fused map; subclasses cut its rows as the libraries of their names do."""

    leaf = "query_key_value"

    def __init__(self, d, rows, **says):
        super().__init__()
        for name, value in says.items():
            setattr(self, name, value)
        setattr(self, self.leaf, Conv1D(rows, d) if self.leaf == "c_attn" else nn.Linear(d, rows))

    def forward(self, h):
        q, k, v = (part.transpose(1, 2) for part in self.cut(getattr(self, self.leaf)(h)))
        self.parts = [part.transpose(1, 2).flatten(2) for part in (q, k, v)]
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], 1) for part in (k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


class GPTNeoXAttention(Fused):
    def cut(self, z):
        return z.view(*z.shape[:2], self.num_attention_heads, 3, -1).unbind(3)


class BloomAttention(Fused):
    def cut(self, z):
        return z.view(*z.shape[:2], self.num_heads, 3, self.head_dim).unbind(3)


class FalconAttention(Fused):
    def cut(self, z):
        heads, groups = self.num_heads, self.num_kv_heads
        if self.new_decoder_architecture:
            z = z.view(*z.shape[:2], groups, heads // groups + 2, -1)
            return z[..., :-2, :].flatten(2, 3), z[..., -2, :], z[..., -1, :]
        if not self.multi_query:
            return z.view(*z.shape[:2], heads, 3, -1).unbind(3)
        z = z.view(*z.shape[:2], heads + 2, -1)
        return z[..., :-2, :], z[..., -2:-1, :], z[..., -1:, :]


class Sizes(Fused):
    """All of q, then all of k, then all of v."""

    def cut(self, z):
        size = self.head_dim
        kv = (z.shape[-1] // size - self.heads_of_q) // 2
        parts = z.split([self.heads_of_q * size, kv * size, kv * size], -1)
        return [part.unflatten(-1, (-1, size)) for part in parts]


class Phi3Attention(Sizes):
    leaf = "qkv_proj"


class MptAttention(Sizes):
    leaf = "Wqkv"


class GPT2Attention(Sizes):
    leaf = "c_attn"


class GPTBigCodeAttention(Fused):
    leaf = "c_attn"

    def cut(self, z):
        size = self.head_dim
        if self.multi_query:
            return [p.unflatten(-1, (-1, size)) for p in z.split([z.shape[-1] - 2 * size, size, size], -1)]
        return z.view(*z.shape[:2], self.num_heads, 3, size).unbind(3)


class Attention(Sizes):
    leaf = "qkv"


class Homemade(GPTNeoXAttention):
    pass


class HomemadeGroups(FalconAttention):
    pass


class HomemadeAttention(Sizes):
    leaf = "qkv"


def falcon(heads, groups, **says):
    return dict(num_heads=heads, num_kv_heads=groups, **says)


phi3 = type("Config", (), dict(num_attention_heads=4, num_key_value_heads=2))()


LAYOUTS = [  # class, width, rows, what it says, heads of q and of k
    (GPTNeoXAttention, 12, 36, dict(num_attention_heads=3, head_size=4), (3, 3)),
    (BloomAttention, 12, 36, dict(num_heads=3, head_dim=4), (3, 3)),
    (FalconAttention, 12, 20, falcon(3, 1, multi_query=True, new_decoder_architecture=False), (3, 1)),
    (FalconAttention, 8, 16, falcon(4, 2, multi_query=True, new_decoder_architecture=True), (4, 2)),
    (FalconAttention, 12, 36, falcon(3, 3, multi_query=False, new_decoder_architecture=False), (3, 3)),
    (Phi3Attention, 8, 16, dict(heads_of_q=4, head_dim=2, config=phi3), (4, 2)),
    (MptAttention, 8, 24, dict(heads_of_q=4, n_heads=4, head_dim=2), (4, 4)),
    (MptAttention, 8, 12, dict(heads_of_q=4, n_heads=4, head_dim=2, kv_n_heads=1), (4, 1)),
    (GPT2Attention, 8, 24, dict(heads_of_q=4, num_heads=4, head_dim=2), (4, 4)),
    (GPTBigCodeAttention, 8, 12, dict(num_heads=4, head_dim=2, multi_query=True), (4, 1)),
    (GPTBigCodeAttention, 8, 24, dict(num_heads=4, head_dim=2, multi_query=False), (4, 4)),
    (Attention, 8, 24, dict(heads_of_q=4, num_heads=4, head_dim=2), (4, 4)),
]


def k_by_hand(model, m, x):
    """Mean over samples of sum_p (df/dz_p)^T (df/dz_p), z being what m puts out; one sample at a time."""
    total = 0
    for i in range(len(x)):
        seen = []
        handle = m.register_forward_hook(lambda *call: seen.append(call[2]))
        f = model(x[i : i + 1]).flatten()
        handle.remove()
        for output in f:
            for z in seen:
                g = torch.autograd.grad(output, z, retain_graph=True)[0].flatten(0, -2)
                total = total + g.T @ g
    return (total / len(x)).numpy()


def mean_k(tensors, site):
    return np.einsum("b,bij->ij", tensors[f"{site}.count"] / tensors[f"{site}.count"].sum(), tensors[f"{site}.k"])


def check_fused(attention, heads, folder, prefix="1.", **options):
    """Weights of the parts give the q, k, v that the module makes of them; K of each by autograd, by its rows."""
    head = nn.Linear(3 * attention.width, 2)
    model = nn.Sequential(nn.Linear(5, attention.d), attention, nn.Flatten(), head).double()
    x, leaf = torch.randn(7, 3, 5, dtype=torch.float64), f"{prefix}{attention.leaf}"
    tensors, metadata = capture(model, folder / "fused.safetensors", x, None, **options)
    names = [s for s in metadata["order"].split(",") if s.startswith(leaf)]
    expect = []
    for label, count in zip("qkv", (heads[0], heads[1], heads[1])):
        expect += [f"{leaf}.{label}"] + [f"{leaf}.{label}.head{i}" for i in range(count) if count > 1]
    assert names == expect, (names, expect)
    fused = getattr(attention, attention.leaf)
    w = fused.weight.t() if isinstance(fused, Conv1D) else fused.weight
    total = k_by_hand(model, fused, x)
    h = model[0](x)
    attention(h)
    for label, part in zip("qkv", attention.parts):
        site = f"{leaf}.{label}"
        weight, bias = (torch.from_numpy(tensors[f"{site}.{key}"].copy()) for key in ("weight", "bias"))
        assert torch.allclose(h @ weight.T + bias, part, atol=1e-12), site
        rows = [next(i for i in range(len(w)) if torch.equal(w[i], row)) for row in weight]  # random rows differ
        assert relative(mean_k(tensors, site), total[rows][:, rows]) < 1e-12, site
        for i in range(dict(zip("qkv", (heads[0], heads[1], heads[1])))[label]):
            if f"{site}.head{i}.k" in tensors:
                size = len(weight) // (heads[0] if label == "q" else heads[1])
                own = slice(i * size, (i + 1) * size)
                assert np.array_equal(tensors[f"{site}.head{i}.k"], tensors[f"{site}.k"][:, own, own])
                assert np.array_equal(tensors[f"{site}.head{i}.weight"], weight[own].numpy())
    return tensors


def test_layouts(tmp_path):
    torch.manual_seed(0)
    for kind, d, rows, says, heads in LAYOUTS:
        torch.manual_seed(4)
        attention = kind(d, rows, **says)
        attention.d, attention.width = d, heads[0] * (rows // (heads[0] + 2 * heads[1]))
        check_fused(attention, heads, tmp_path)
    # What else a site has, by the same rows; a map that peft has wrapped is still known.
    torch.manual_seed(4)
    model = nn.Sequential(GPTNeoXAttention(12, 36, num_attention_heads=3, head_size=4), nn.Flatten()).double()
    fused, (x, y) = model[0].query_key_value, torch.randn(2, 7, 36, dtype=torch.float64)
    x, init = x.view(7, 3, 12), {key: torch.randn_like(value) for key, value in model.state_dict().items()}
    options = dict(loss="half_mse", init=init, moments=True)
    tensors, _ = capture(model, tmp_path / "a", x, y, **options)
    (0.5 * (model(x) - y).square().sum() / 7).backward()
    for i, label in enumerate("qkv"):
        rows = [head * 12 + 4 * i + j for head in range(3) for j in range(4)]
        site = f"0.query_key_value.{label}"
        assert relative(tensors[f"{site}.grad"], fused.weight.grad[rows].numpy()) < 1e-13
        assert np.array_equal(tensors[f"{site}.weight_init"], init["0.query_key_value.weight"][rows].numpy())
        assert relative(tensors[f"{site}.hh"], (x.flatten(0, 1).T @ x.flatten(0, 1) / 7).numpy()) < 1e-13
    model[0].query_key_value = nn.Module()
    model[0].query_key_value.base_layer = fused
    model[0].query_key_value.forward = lambda h: fused(h)
    again, about = capture(model, tmp_path / "a", x, y, loss="half_mse")
    for label in "qkv":
        site = f"0.query_key_value.base_layer.{label}.head1"
        assert np.array_equal(again[f"{site}.k"], tensors[f"0.query_key_value.{label}.head1.k"])
    # Unknown: whole, with a note, whatever the sizes and whatever head count is given.
    torch.manual_seed(4)
    x = torch.randn(7, 3, 12, dtype=torch.float64)
    unknown = Homemade(12, 36, num_attention_heads=3, num_heads=3, head_size=4).double()
    for options in ({}, dict(heads={"*": 3})):
        tensors, about = capture(unknown, tmp_path / "a", x, None, expect=["query_key_value"], **options)
        assert about["order"] == "query_key_value" and "layouts=" in about["skipped"], about
    whole = tensors["query_key_value.k"]
    other = HomemadeAttention(12, 36, heads_of_q=3, head_dim=4, num_heads=3).double()  # timm's is `Attention`
    assert capture(other, tmp_path / "a", x, None, expect=["qkv"])[1]["order"] == "qkv"
    plain = nn.ModuleDict({"fc": nn.Linear(12, 36)}).double()
    plain.forward = lambda x: plain["fc"](x).square().mean(1)
    assert capture(plain, tmp_path / "a", x, None, expect=["fc"], heads={"fc": 3})[1]["order"] == "fc"
    assert capture(plain, tmp_path / "a", x, None)[1]["order"] == "fc"
    # A cross-attention of GPT-2 has two parts: no thirds of it, though its rows are divisible.
    cross = GPT2Attention(12, 24, heads_of_q=2, num_heads=3, head_dim=4).double()
    assert capture(cross, tmp_path / "a", x, None, expect=["c_attn"])[1]["order"] == "c_attn"
    # Given: as known. Three equal parts are not interleaved ones.
    tensors, about = capture(unknown, tmp_path / "a", x, None, layouts={"query_*": "by_head"})
    rows = [head * 12 + 4 + i for head in range(3) for i in range(4)]
    assert np.array_equal(tensors["query_key_value.k.k"], whole[:, rows][:, :, rows])
    assert about["order"].count("head") == 9
    tensors, _ = capture(unknown, tmp_path / "a", x, None, layouts={"query_*": "thirds"})
    assert np.array_equal(tensors["query_key_value.k.k"], whole[:, 12:24, 12:24])
    tensors, about = capture(unknown, tmp_path / "a", x, None, layouts={"query_*": "parts:20,8,8"}, heads={"*": 5})
    assert np.array_equal(tensors["query_key_value.v.k"], whole[:, 28:, 28:]) and about["order"].count("q.head") == 5
    assert about["order"].count("v.head") == 2
    says = dict(num_heads=4, num_kv_heads=2, new_decoder_architecture=True)
    attention = HomemadeGroups(8, 16, **says)
    attention.d, attention.width = 8, 8
    check_fused(attention, (4, 2), tmp_path, layouts={"*value": "groups"})
    del attention.num_kv_heads  # then they must be given
    y = torch.randn(7, 3, 8, dtype=torch.float64)
    alone = nn.Sequential(nn.Linear(8, 16)).double()
    for heads, count in (((4, 2), 4), ((6, 1), 6)):
        _, about = capture(alone, tmp_path / "a", y, None, layouts={"0": "groups"}, heads={"0": heads})
        assert about["order"].count("q.head") == count
    for text, options in [
        ("is the name of no module", dict(layouts={"qkv": "thirds"})),
        ("one of", dict(layouts={"0": "halves"})),
        ("needs the number of heads", dict(layouts={"0": "by_head"})),
        ("doesn't fit its 16 rows", dict(layouts={"0": "thirds"})),
        ("doesn't fit its 16 rows", dict(layouts={"0": "parts:8,8,8"})),
        ("doesn't fit its 16 rows", dict(layouts={"0": "groups"}, heads={"0": (5, 2)})),
    ]:
        print("  refused:", refuses(text, lambda: nn.Sequential(nn.Linear(8, 16)), torch.randn(7, 8), **options))


# ---- the self-test ----------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Two maps and a middle between them; `use` says what the middle makes of h."""

    def __init__(self, use, middle=None):
        super().__init__()
        self.first, self.middle, self.out, self.use = nn.Linear(4, 4), middle or nn.Linear(4, 4), nn.Linear(4, 3), use

    def forward(self, x):
        return self.out(torch.tanh(self.use(self.middle, torch.tanh(self.first(x)))))


class ScaledInput(nn.Linear):
    def forward(self, x):
        return F.linear(3 * x, self.weight, self.bias)


class ScaledWeight(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight * 0.5, self.bias)


class Lora(nn.Linear):
    def __init__(self, d, k):
        super().__init__(d, k)
        self.a, self.b = nn.Parameter(torch.randn(2, d)), nn.Parameter(torch.randn(k, 2))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) + x @ self.a.T @ self.b.T


class FakeQuantised(nn.Linear):
    """Straight through: the gradient is that of the weight, the output that of its roundings."""

    def forward(self, x):
        step = self.weight.abs().max() / 127
        return F.linear(x, self.weight + (torch.round(self.weight / step) * step - self.weight).detach(), self.bias)


class DroppedWeight(nn.Linear):
    def forward(self, x):
        return F.linear(x, F.dropout(self.weight, 0.5, self.training), self.bias)


class Halved(torch.autograd.Function):
    """x W^T, whose gradient in W is half as large."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w, 0.5 * g.T @ x


class HalvedGradient(nn.Linear):
    def forward(self, x):
        return Halved.apply(x, self.weight) + self.bias


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


class SameByHand(nn.Linear):
    def forward(self, x):
        return x @ self.weight.mT + self.bias


class Adapter(nn.Module):
    """As peft's lora.Linear."""

    def __init__(self, base_layer):
        super().__init__()
        self.base_layer = base_layer.requires_grad_(False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(4, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 4, bias=False)})

    def forward(self, x):
        return self.base_layer(x) + self.lora_B["default"](self.lora_A["default"](x))


class Experts(nn.Module):
    """Samples with a large first entry go another way, which the first samples don't show."""

    def __init__(self, outside):
        super().__init__()
        self.few, self.many, self.outside = nn.Linear(4, 4), nn.Linear(4, 4), outside

    def forward(self, x):
        large, out = x[:, 0] > 100, self.many(x)
        if large.any():
            own = self.few(x[large]) + (F.linear(x[large], self.few.weight) if self.outside else 0)
            out = out.index_put((large,), torch.tanh(own / 100))
        return out


def test_self_test_refuses(tmp_path):
    torch.manual_seed(0)
    call, x = lambda m, h: m(h), torch.randn(9, 4, dtype=torch.float64)
    gradient, forward, slope = "by autograd isn't the sum", "isn't linear in its weight", "aren't the slope"
    for text, name, use, middle in [
        (gradient, "middle", lambda m, h: F.linear(h, m.weight), None),
        (gradient, "middle", lambda m, h: m(h) + F.linear(h, m.weight), None),
        (gradient, "middle", lambda m, h: m(h) + 0.01 * h @ m.weight, None),
        (gradient, "middle", lambda m, h: m(h) * m.weight.view(2, 8).sum(0)[:4], None),
        (gradient, "middle", lambda m, h: m.forward(h), None),
        (gradient, "middle", lambda m, h: F.conv1d(m(h)[:, None], m.weight[:1, None, :1])[:, 0], None),
        (gradient, "middle", call, HalvedGradient(4, 4)),
        (forward, "middle", call, ScaledInput(4, 4)),
        (forward, "middle", call, ScaledWeight(4, 4)),
        (forward, "middle", call, Lora(4, 4)),
        (forward, "middle", call, FakeQuantised(4, 4)),
        (slope, "first", lambda m, h: m(Reversed.apply(h)), nn.Linear(4, 4)),
        (slope, "first", lambda m, h: m(h + (torch.sign(h) - h).detach()), None),
    ]:
        for dtype in (torch.float64, torch.float32) if text is not slope or middle else (torch.float64,):
            for frozen in (False, True):
                make = lambda: Net(use, middle).to(dtype).requires_grad_(not frozen)
                error = refuses(text, make, x.to(dtype))
                assert f'sites=["*", "!{name}"]' in error, error
        print("  refused:", error)
    for dtype in (torch.bfloat16, torch.float16):
        refuses(gradient, lambda: Net(lambda m, h: m(h) + F.linear(h, m.weight)).to(dtype), x.to(dtype))
    hooked = Net(call).double()
    hooked.middle.weight.register_hook(lambda g: 0 * g)
    refuses(gradient, lambda: hooked, x)
    penalised = Net(call).double()
    loss = lambda f, y: F.cross_entropy(f, y) + 0.1 * penalised.middle.weight.square().sum()
    refuses("a penalty in the loss", lambda: penalised, x, torch.arange(9) % 3, loss=loss)
    refuses("drops units at random", lambda: Net(call, nn.Sequential(nn.Dropout(0.5))).double(), x, mode="train")
    refuses("something random is active", lambda: Net(call, DroppedWeight(4, 4)).double(), x, mode="train")
    late = torch.cat([x, 1000 + x[:1]])
    refuses(gradient, lambda: Experts(True).double(), late)
    capture(Experts(False).double(), tmp_path / "a", late, None, batch=10)
    # What is left out isn't tested; what stays is as in a network of its own.
    both = Net(lambda m, h: m(h) + F.linear(h, m.weight)).double()
    tensors, about = capture(both, tmp_path / "a", x, None, sites=["!middle"])
    assert about["order"] == "first,out"


def test_self_test_passes(tmp_path):
    """Networks that are right aren't refused, and are left as they were."""
    torch.manual_seed(0)
    x, path, parametrizations = torch.randn(9, 4, dtype=torch.float64), tmp_path / "a", nn.utils.parametrizations
    for middle in [
        SameByHand(4, 4),
        DroppedWeight(4, 4),
        Adapter(nn.Linear(4, 4)),
        parametrizations.weight_norm(nn.Linear(4, 4)),
        parametrizations.spectral_norm(nn.Linear(4, 4)),
        parametrizations.orthogonal(nn.Linear(4, 4)),
        nn.utils.spectral_norm(nn.Linear(4, 4)),
        prune.random_unstructured(nn.Linear(4, 4), "weight", 0.5),
    ]:
        for frozen in (False, True):
            model = Net(lambda m, h: m(h) + torch.tanh(m(2 * h)), middle).double().requires_grad_(not frozen).train()
            with torch.no_grad():  # what a hook computes is old until the next call
                next(p for p in model.middle.parameters() if p.dim() > 1).mul_(1.5)
            before = {key: value.clone() for key, value in model.state_dict().items()}
            tensors, about = capture(model, path, x, None)
            assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), middle
            assert all(p.requires_grad != frozen for p in model.parameters()), middle
            assert float(about["self_test"].split()[0]) < 1e-14 and about["compute"] == "f64"
            site = "middle.base_layer" if isinstance(middle, Adapter) else "middle"
            model.eval().requires_grad_(True)
            m, h = model.get_submodule(site), torch.randn(3, 4, dtype=torch.float64)
            weight = torch.from_numpy(tensors[f"{site}.weight"].copy())
            assert torch.allclose(m(h), F.linear(h, weight, m.bias), atol=1e-14), middle
            assert relative(mean_k(tensors, site), k_by_hand(model, m, x)) < 1e-13, middle
    # A frozen map whose input is changed in place afterwards, as a network that only runs forwards may do.
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            x = x.clone()
            x += self.fc(x)
            return x

    assert capture(InPlace().double().requires_grad_(False), path, x, None)[1]["order"] == "fc"
    # Tied, with either use left out; words that have no gradient (padding), sparse gradients.
    model, tokens, _, _ = make(gpt)
    for site in ("wte", "lm_head"):
        assert capture(model, path, tokens, None, sites=[site])[1]["order"] == site
    for options in (dict(padding_idx=0), dict(sparse=True)):
        model = nn.Sequential(nn.Embedding(9, 4, **options), nn.Flatten(), nn.Linear(20, 3)).double()
        capture(model, path, tokens, torch.arange(10) % 3, loss="cross_entropy")
    right = lambda f, y: (f.argmax(1) == y).float().mean()
    refuses("has no gradient", lambda: nn.Linear(4, 3), x.float(), torch.arange(9) % 3, loss=right)
    for batch in (1, 3):  # one sample at a time: no other one to compare with
        assert capture(Net(lambda m, h: m(h)).double(), path, x, None, batch=batch)[1]["rows"] == "9"


# ---- torch.compile ----------------------------------------------------------------------------------------------


def test_compiled(tmp_path):
    torch.manual_seed(0)
    compiled = lambda f: torch.compile(f, backend="eager")

    def put(name):
        def change(model):
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, compiled(getattr(model.get_submodule(parent), leaf)))
            return model

        return change

    def in_place(name):
        def change(model):
            model.get_submodule(name).compile(backend="eager")
            return model

        return change

    x = torch.randn(9, 3, 6, dtype=torch.float64)
    plain = nn.Sequential(
        nn.Linear(6, 6),
        nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), 1, enable_nested_tensor=False),
        nn.Linear(6, 2),
    ).double()
    expect, about = capture(plain, tmp_path / "a", x, None)
    for change in [
        compiled,
        lambda model: compiled(compiled(model)),
        lambda model: compiled(nn.DataParallel(model)),
        lambda model: compiled(put("1.layers.0")(model)),
        *map(put, ["1", "1.layers.0", "0", "1.layers.0.self_attn"]),
        *map(put, ["forward", "0.forward", "1.layers.0.self_attn.forward", "1.layers.0._ff_block"]),
        *map(in_place, ["", "1.layers.0", "0", "1.layers.0.self_attn"]),
    ]:
        for before in (False, True):
            torch._dynamo.reset()
            model = change(copy.deepcopy(plain))
            if before:
                model(x).sum().backward()
            tensors, metadata = capture(model, tmp_path / "a", x, None, init=plain.state_dict())
            assert metadata["order"] == about["order"]
            assert all(np.array_equal(tensors[key], expect[key]) for key in expect)
            assert np.array_equal(tensors["0.weight_init"], tensors["0.weight"])
            model(x).sum().backward()  # and is compiled again


# ---- names ------------------------------------------------------------------------------------------------------


def test_init_names(tmp_path):
    torch.manual_seed(0)
    x, path = torch.randn(9, 4), tmp_path / "a"

    class Wrapped(nn.Module):
        def __init__(self, name, inner):
            super().__init__()
            setattr(self, name, inner)
            self.inner = [inner]

        def forward(self, x):
            return self.inner[0](x)

    block = lambda: nn.Sequential(nn.Linear(4, 5), nn.Sequential(nn.Tanh(), nn.Linear(5, 2)))
    init = {key: torch.full_like(value, i) for i, (key, value) in enumerate(block().state_dict().items())}
    names = ["", "module.", "_orig_mod.", "model.", "base_model.model.", "module._orig_mod.", "_orig_mod.module.model."]
    models = [block(), Wrapped("model", block()), Wrapped("base_model", Wrapped("model", block()))]
    models += [nn.DataParallel(block()), Wrapped("module", block()), torch.compile(block(), backend="eager")]
    for model in models:
        for name in names:
            given = {name + key: value for key, value in init.items()}
            for inner in (given, {key.replace("1.1", "1._orig_mod.1"): value for key, value in given.items()}):
                tensors, about = capture(model, path, x, None, init=inner)
                assert not {"_orig_mod", "DataParallel"} & set(about["order"].split("."))
                for site, value in zip(about["order"].split(","), (0, 2)):
                    assert (tensors[f"{site}.weight_init"] == value).all()
    assert about["order"] == "0,1.1"
    assert capture(nn.DataParallel(block()), path, x, None)[1]["order"] == "0,1.1"
    # Two that would fit are named; a network that has both itself is no riddle.
    twice = {**init, **{f"module.{key}": value for key, value in init.items()}}
    error = refuses("would both be", block, x, init=twice)
    assert "'0.weight'" in error and "'module.0.weight'" in error
    print("  refused:", error)
    both = Wrapped("model", nn.Sequential(nn.Linear(4, 4)))
    both.add_module("0", nn.Linear(4, 4))
    both.forward = lambda x: both.get_submodule("0")(both.model(x))
    start = {key: value + 1 for key, value in both.state_dict().items()}
    tensors, _ = capture(both, path, x, None, init=start)
    assert all(np.array_equal(tensors[f"{site}.weight_init"], start[f"{site}.weight"]) for site in ("0", "model.0"))
    for given in ({"0.weight": start["0.weight"]}, {f"module.{key}": value for key, value in start.items()}):
        refuses("would", lambda: both, x, init=given)
    print("  refused:", refuses("another network's", block, x, init={k: v[:1] for k, v in init.items()}))
    model, tokens, _, _ = make(gpt)  # tied weights may be saved once
    for left_out in ("wte.weight", "lm_head.weight"):
        start = {f"model.{k}": v + 1 for k, v in model.state_dict().items() if k != left_out}
        tensors, _ = capture(model, path, tokens, None, init=start)
        assert all(np.array_equal(tensors[f"{s}.weight_init"], tensors[f"{s}.weight"] + 1) for s in ("wte", "lm_head"))


def test_named(tmp_path):
    """Whatever has a table and is no site is named with its reason."""
    torch.manual_seed(0)
    x, path = torch.randn(9, 4), tmp_path / "a"

    class Zoo(nn.Module):
        def __init__(self):
            super().__init__()
            shapes = (4, 4), (1, 4), (4,)
            self.w, self.position, self.scale = (nn.Parameter(torch.randn(*shape)) for shape in shapes)
            self.list = nn.ParameterList([torch.randn(2, 2)])
            self.norm, self.bilinear, self.cell = nn.LayerNorm((1, 4)), nn.Bilinear(4, 4, 4), nn.GRUCell(4, 4)
            self.lstm, self.rnn = nn.LSTM(4, 4, batch_first=True), nn.RNN(4, 4, batch_first=True)
            self.up = nn.ConvTranspose1d(1, 1, 3, padding=1)
            self.up2 = nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(1, 1, 3))
            self.bag, self.fc = nn.EmbeddingBag(9, 4), nn.Linear(4, 2)

        def forward(self, x):
            h = (x @ self.w + self.position) * self.scale + self.bag((x * 10).long() % 9)
            h = self.norm(self.bilinear(h, h)[:, None])
            h = self.cell(self.up(self.rnn(self.lstm(h)[0])[0])[:, 0])
            return self.fc(h)

    expect = ["model", "list", "bilinear", "cell", "lstm", "rnn", "up", "up2", "bag"]
    tensors, about = capture(Zoo(), path, x, None, expect=expect)
    assert about["order"] == "fc" and "w, position of Zoo" in about["skipped"]
    print("  skipped:", about["skipped"])
    sizes = json.loads(about["sizes"])
    assert sizes == {"measured": 8, "last": 8, "all": sum(p.numel() for p in Zoo().parameters())}

    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag, self.fc = nn.EmbeddingBag(9, 4), nn.Linear(4, 2)

        def forward(self, words, offsets):
            return self.fc(self.bag(words, offsets))

    for words, offsets in ((12, [0, 3, 6, 9]), (4, [0, 1, 2, 3])):
        try:
            with record(Packed(), path) as rec:
                rec((torch.arange(words) % 9, torch.tensor(offsets)))
            raise AssertionError("offsets weren't refused")
        except ValueError as error:
            assert "bag (EmbeddingBag) is called with offsets" in str(error)
            print("  refused:", error)
    # Quantised modules, before and behind maps that are none.
    torch.backends.quantized.engine = torch.backends.quantized.supported_engines[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        line = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)).eval()
        ranged = torch.ao.quantization.quantize_dynamic(copy.deepcopy(line), {"1"})
        stubs = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        fixed = nn.Sequential(stubs[0], copy.deepcopy(line[0]), stubs[1])
        fixed.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
        fixed = torch.ao.quantization.prepare(fixed.eval())
        fixed(x)
        fixed = torch.ao.quantization.convert(fixed)
        aware = copy.deepcopy(line).train()
        aware.qconfig = torch.ao.quantization.get_default_qat_qconfig(torch.backends.quantized.engine)
        aware = torch.ao.quantization.prepare_qat(aware)
        aware(x)
        aware.apply(torch.ao.quantization.disable_observer)
    print("  refused:", refuses("1 (Linear) is quantised by the range", lambda: ranged, x))
    print("  refused:", refuses("isn't linear in its weight", lambda: aware, x))
    _, about = capture(nn.Sequential(fixed, nn.Linear(4, 2)), path, x, None, expect=["0.1"])
    assert about["order"] == "1" and "0.1: Linear is quantised" in about["skipped"]
    print("  refused:", refuses("no gradient reaches the outputs", lambda: nn.Sequential(nn.Linear(4, 4), fixed), x))
    bytes_ = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    bytes_[0].weight = nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    bytes_[0].forward = lambda x: x
    assert "torch.uint8" in capture(bytes_, path, x, None, expect=["0"])[1]["skipped"]
    refuses("isn't initialised", lambda: nn.Sequential(nn.LazyLinear(2)), x)


# ---- metadata ---------------------------------------------------------------------------------------------------


def test_weight_decay(tmp_path):
    torch.manual_seed(0)
    model, path = Net(lambda m, h: m(h)), tmp_path / "a"
    x, y = torch.randn(9, 4), torch.arange(9) % 3
    _, about = capture(model, path, x, y, loss="cross_entropy", weight_decay=0.1, decay="coupled")
    assert float(about["weight_decay"]) == 0.1 and about["decay"] == "coupled"
    groups = {"out*": 0, "*": 0.5}
    _, about = capture(model, path, x, y, loss="cross_entropy", weight_decay=groups, decay="coupled")
    assert json.loads(about["weight_decay"]) == {"first": 0.5, "middle": 0.5, "out": 0.0}
    try:
        capture(model, path, x, y, loss="cross_entropy", weight_decay={"out": 0.1}, decay="coupled")
    except ValueError as error:
        assert "no pattern for first, middle" in str(error)
    else:
        raise AssertionError("a site without a lambda is refused")


def test_metadata(tmp_path):
    torch.manual_seed(0)
    path, call = tmp_path / "a", lambda m, h: m(h)
    x, y = torch.randn(9, 4), torch.arange(9) % 3
    for dtype, name, most in [
        (torch.float64, "f64", 1e-14),
        (torch.float32, "f32", 1e-6),
        (torch.bfloat16, "bf16", 1e-2),
        (torch.float16, "f16", 1e-2),
    ]:
        _, about = capture(Net(call).to(dtype), path, x.to(dtype), y, loss="cross_entropy")
        worst, site = about["self_test"].split()
        assert about["compute"] == name and float(worst) <= most and site in about["order"].split(",")
    assert about["tf32"] == "off" and about["rows"] == "9"
    print("  metadata:", {key: about[key] for key in ("self_test", "compute", "tf32", "rows", "sizes")})
    # Autocast, around the call and inside the model; gradients are of the weights, not lost in a cache of casts.
    model = Net(call)
    inner = Net(lambda m, h: cast(m, h))

    def cast(m, h):
        with torch.autocast("cpu", torch.bfloat16):
            return m(h).to(h.dtype) if m.weight.dtype == torch.float32 else m(h)

    for net, context in ((model, torch.autocast("cpu", torch.bfloat16)), (inner, torch.autocast("cpu", enabled=False))):
        with context:
            tensors, about = capture(net, path, x, y, loss="cross_entropy")
        assert about["compute"] == "bf16"
        plain, _ = capture(copy.deepcopy(net).double(), path, x.double(), y, loss="cross_entropy")
        for site in ("first", "middle", "out"):
            assert relative(tensors[f"{site}.grad"], plain[f"{site}.grad"]) < 3e-2
            assert relative(agop_of(tensors, site), agop_of(plain, site)) < 3e-2
    with torch.autocast("cpu", torch.bfloat16):  # the training that goes on has its gradients too
        capture(model, path, x, None)
        model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    torch.set_float32_matmul_precision("high")
    try:
        about = capture(model, path, x, None)[1]
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (about["tf32"], about["compute"]) == ("on", "f32")  # only CUDA has it
    # Rows: inputs count, across batches; all of what the model is called with.
    again = torch.cat([x[:3], x[1:4], x[:3]])
    assert capture(model, path, again, None)[1]["rows"] == "4"
    words = torch.zeros(6, 5, dtype=torch.long)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]] * 3)
    language = nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(20, 2))
    language.forward = lambda words, more: language[2](language[1](language[0](words) * more["mask"][..., None]))
    with record(language, path) as rec:
        rec(dict(words=words, more=dict(mask=mask)))
    assert load(path)[1]["rows"] == "2"
    # Sizes: shared weights once, fused ones once.
    model, tokens, _, _ = make(gpt)
    sizes = json.loads(capture(model, path, tokens, None)[1]["sizes"])
    everything = sum(p.numel() for p in model.parameters())
    tables = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    assert sizes == {"measured": tables, "last": model.wte.weight.numel(), "all": everything}
    model, images, _, _ = make(cnn)
    weights = [m.weight.numel() for m in model.children()]
    sizes = json.loads(capture(model, path, images, None)[1]["sizes"])
    assert sizes["measured"] == sum(weights) and sizes["last"] == weights[-1]


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
        captures, fresh, (model, x, y) = run_cases(folder)
        for name, test in list(globals().items()):
            if name.startswith("test_") and test is not test_cases:
                print(name, flush=True)
                test(*[folder] * test.__code__.co_argcount)
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
        compare_committed(fresh)


if __name__ == "__main__":
    main()
