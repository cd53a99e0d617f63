"""Write what the laws need of a PyTorch network into one file, for `nfa-train measure --capture`.

    from nfa_capture import record

    with record(model, "net.safetensors", loss="cross_entropy", weight_decay=1e-4, decay="coupled") as rec:
        for x, y in loader:
            rec(x, y)

Copy this file next to your code; it needs torch alone. Format `nfa.capture/1`: for every linear map
z = W h of the network (a site `s`), with f all outputs of a sample and positions p (patches, tokens),

    s.weight [k, d]
    s.k      [B, k, k]  K = mean over samples of sum_p (df/dz_p)^T (df/dz_p), in B blocks of samples
    s.count  [B]        samples in each block: the mean over all samples is the one weighted by count
    s.bias   [k]        if the map has one
    s.grad   [k, d]     with `loss`: dL/dW of the mean loss over all recorded samples, decay not included
    s.weight_init       with `init`
    s.hh, s.gg [d, d]   with `moments`: means over samples of sum_p h h^T, and of sum_p (dl/dh)(dl/dh)^T,
                        l being the loss of one sample

The AGOP at h is W^T K W: that of the outputs with respect to h *through this map alone*. Where query, key and value
read the same h, each is measured as if it had an h of its own. Which maps are sites, and their names:

    nn.Linear; GPT-2's Conv1D (stored transposed)   fc1             [d_out, d_in]
    nn.Conv1d, 2d, 3d: W on unfolded patches        conv1           [c_out, c_in * kh * kw], in torch's order
      with groups, each group is a map of its own   conv1.group0    [c_out / groups, c_in / groups * kh * kw]
    nn.MultiheadAttention                           attn.q, attn.k, attn.v, attn.out_proj; each head: attn.q.head0
    fused q, k, v in one Linear or Conv1D           c_attn.q, c_attn.q.head0  (names in FUSED, or given in `heads`)
    separate q, k, v Linears                        q_proj, q_proj.head0      (names in SINGLE, or given in `heads`)
    nn.Embedding: W on one-hot rows                 wte             [d_model, vocabulary]

A weight used several times in the same role (weight sharing, recurrence) is one site: K is summed over its uses, as
over positions. An embedding tied to the last Linear is two sites, since W acts once transposed and once as it is;
`grad` is the whole gradient of the shared parameter in both. Heads of an output projection are blocks of columns:
their AGOP is a diagonal block of the site's, so they aren't written again. What has a weight matrix but is no site
(recurrent layers, transposed or depthwise convolutions, sizes above `max_size`, positions that are looked up once for
the whole batch) is named with its reason in a warning and under `skipped` in the metadata. Sites whose z is the
outputs themselves are under `last`: there K is the identity, and W^T K W is W^T W by definition.
"""

import ctypes
import fnmatch
import json
import math
import os
import warnings
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

FUSED = {"qkv", "c_attn", "in_proj", "Wqkv", "qkv_proj"}  # rows are all of q, then all of k, then all of v
SINGLE = {"q_proj", "k_proj", "v_proj", "query", "key", "value", "to_q", "to_k", "to_v", "q_lin", "k_lin", "v_lin",
          "wq", "wk", "wv"}
HEADS = ("num_heads", "n_head", "n_heads", "num_attention_heads", "heads")  # attributes that tell the number of heads
CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ALL = slice(None)


class record:
    """Records a model over the batches it is called with; the file is written when the block ends without an error.

    model      any nn.Module. Between calls it is untouched: modes, .grad, requires_grad, buffers, random state.
    path       the safetensors file to write.
    loss       "mse", "half_mse", "cross_entropy", or a function (outputs, y) -> mean over the batch; adds `grad`.
    weight_decay, decay   lambda of the penalty (lambda/2)|W|^2 in training, and how it was applied: "coupled" (SGD,
               Adam), "decoupled" (AdamW) or "none".
    sketch     0: exact, one backward pass per output. K > 0: K random sign vectors per sample, one backward pass for
               each; unbiased, and its noise is part of the spread between blocks. None: 0 up to 128 outputs, else 16.
    blocks     at least this many blocks (given as many samples), at most twice as many. Memory: 16 * blocks bytes
               times the sum of k^2, besides the forward and backward pass of a batch.
    output     picks the outputs from what the model returns; default: a tensor, or its `.logits`. All axes but the
               first run over outputs.
    init       state dict at initialisation.
    moments    also write hh and gg.
    heads      {"pattern": number of heads} for attention projections where it can't be read off the parent module.
    sites      patterns of module names to record.
    max_size   maps with k or d above this are left out.
    dtype      torch.float64 or torch.float32 for k, grad, hh and gg in the file; sums are float64 in any case.
    mode       "eval", or "train" to keep the model's own modes: active dropout and batch statistics are refused.
    seed       of the sign vectors.
    """

    def __init__(self, model, path, *, loss=None, weight_decay=0.0, decay="none", sketch=None, blocks=8, output=None,
                 init=None, moments=False, heads=None, sites=("*",), max_size=8192, dtype=torch.float64, mode="eval",
                 seed=0):
        if decay not in ("none", "coupled", "decoupled") or (weight_decay and decay == "none"):
            raise ValueError('say how weight_decay was applied: decay="coupled" (SGD, Adam) or "decoupled" (AdamW)')
        if mode not in ("eval", "train") or dtype not in (torch.float64, torch.float32):
            raise ValueError('mode is "eval" or "train", dtype is torch.float64 or torch.float32')
        if isinstance(loss, str) and loss not in LOSSES:
            raise ValueError(f"loss {loss!r} is unknown: one of {', '.join(LOSSES)}, "
                             "or a function (outputs, y) -> mean over samples")
        if moments and loss is None:
            raise ValueError("moments=True needs a loss (gg is the second moment of the loss gradient)")
        model = getattr(model, "_orig_mod", model)  # torch.compile
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        self.model, self.path, self.mode, self.dtype, self.init = model, os.fspath(path), mode, dtype, init
        self.loss = LOSSES[loss] if isinstance(loss, str) else loss
        self.loss_name = loss if isinstance(loss, str) else getattr(loss, "__name__", "custom") if loss else "none"
        self.decay, self.weight_decay, self.moments, self.output = decay, weight_decay, moments, output
        self.sketch, self.blocks, self.random = sketch, blocks, torch.Generator().manual_seed(seed)
        self.modules = dict(model.named_modules())
        self.taps, self.skipped, self.shared = _find_taps(self.modules, heads or {}, sites, max_size)
        if not self.taps:
            raise ValueError(f"no linear map to record; left out: {self.skipped or 'nothing'}")
        for tap in self.taps:
            if loss is not None and not isinstance(tap.parameter, nn.Parameter):
                raise ValueError(f"the weight of {tap.name} is computed from others (a parametrization), so it has no "
                                 "gradient of its own: bake it in (torch.nn.utils.parametrize.remove_parametrizations) "
                                 "or leave the loss out")
            if not torch.isfinite(tap.parameter).all():
                raise ValueError(f"the weight of {tap.name} has non-finite values")
            if init is not None and tap.key not in init:
                raise ValueError(f"init has no {tap.key!r}: it should be the model's state_dict() at initialisation")
        self.start = [tap.matrix().clone() for tap in self.taps]
        self.sums = []  # [samples, [sum of K per tap]] per block
        self.totals = {name: [0.0] * len(self.taps) for name in ("grad", "hh", "gg")}
        self.reached, self.broadcast, self.n, self.outputs, self.checked = set(), set(), 0, 0, False
        self.last = {source for tap in self.taps for source in tap.sources}  # until a derivative says otherwise

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error is None:
            self._write()

    def __call__(self, x, y=None):
        """One batch: a tensor, or a tuple (model(*x)) or dict (model(**x)) of tensors; first axes run over samples."""
        if self.loss is not None and y is None:
            raise ValueError("a loss was asked for, so call rec(x, y)")
        sizes = [len(t) for t in _leaves(x)]
        if not sizes:
            raise ValueError(f"a batch is a tensor, or a tuple or dict of tensors; this is {type(x).__name__}")
        n = sizes[0]
        with self._quiet():
            if not self.checked and n > 1:
                self._check(x, n)
            pieces = max(1, min(n, self.blocks - len(self.sums)))  # first batches are cut: few batches give blocks too
            for i in range(pieces):
                a, b = n * i // pieces, n * (i + 1) // pieces
                self._add(_rows(x, n, a, b), None if y is None else _rows(y, n, a, b), b - a)

    # ---- one forward pass, its backward passes -----------------------------------------------------------------

    def _add(self, x, y, n):
        f, taped = self._forward(x, n, self.moments)
        rows = f.reshape(n, -1)
        m, zs = rows.shape[1], [z for _, z in taped]
        probes = (0 if m <= 128 else 16) if self.sketch is None else self.sketch
        if self.n and (probes > 0) != (self.estimator > 0):
            raise ValueError("batches differ in their number of outputs, some exact and some sketched: give `sketch`")
        self.estimator, self.outputs = probes, max(self.outputs, m)
        ks = [torch.zeros(tap.k, tap.k, dtype=torch.float64, device=_home(tap.parameter)) for tap in self.taps]
        if self.loss is not None:
            self._add_loss(f, y, n, taped)
        for j in range(probes or m):
            if probes:
                v = self._signs(rows)
            else:
                v = torch.zeros_like(rows)
                v[:, j] = 1
            grads = torch.autograd.grad(rows, zs, v, retain_graph=j + 1 < (probes or m), allow_unused=True)
            for (source, _), grad in zip(taped, grads):  # z is the outputs: its derivatives are those asked for
                if source in self.last and (grad is None or not torch.equal(grad[grad != 0], v[v != 0])):
                    self.last.remove(source)
            self._outer(ks, taped, grads, 1 / probes if probes else 1)
        if bad := [tap.name for tap, k in zip(self.taps, ks) if not torch.isfinite(k).all()]:
            raise ValueError(f"non-finite derivatives of the outputs at {', '.join(bad[:3])}: "
                             "is a value overflowing, or a square root or norm at 0?")
        self.n += n
        self.sums.append([n, ks])
        if len(self.sums) > 2 * self.blocks:  # join the two neighbours with the fewest samples
            i = min(range(len(self.sums) - 1), key=lambda i: self.sums[i][0] + self.sums[i + 1][0])
            count, other = self.sums.pop(i + 1)
            self.sums[i][0] += count
            for k, extra in zip(self.sums[i][1], other):
                k += extra

    def _signs(self, f):
        return torch.randint(0, 2, f.shape, generator=self.random, dtype=torch.int8).to(f) * 2 - 1

    def _add_loss(self, f, y, n, taped):
        weights = [tap.parameter for tap in self.taps]
        zs = [z for _, z in taped] if self.moments else []
        loss = self.loss(f, y)
        if not torch.isfinite(loss):
            raise ValueError("the loss isn't finite")
        grads = torch.autograd.grad(loss, weights + zs, retain_graph=True, allow_unused=True)
        for i, (tap, grad) in enumerate(zip(self.taps, grads)):
            if grad is not None:
                self.totals["grad"][i] += n * _double(tap.matrix(grad.to_dense()))
        if self.moments:
            self._outer(self.totals["gg"], taped, grads[len(weights):], n * n)  # a sample's gradient is n * the mean's

    def _outer(self, sums, taped, grads, scale):
        for (source, _), grad in zip(taped, grads):
            if grad is None:
                continue
            for i, tap in self.readers[source]:
                g = _double(grad.movedim(tap.axis, -1)[..., tap.channels].reshape(-1, tap.k))
                sums[i] += scale * (g.T @ g)
                self.reached.add(i)

    def _forward(self, x, n, moments=False):
        """The outputs, and [(source, z)] for every use of every recorded map, z being in the graph of the outputs."""
        taped, listening, handles = [], True, []
        self.readers = {}
        for i, tap in enumerate(self.taps):
            for source in tap.sources:
                self.readers.setdefault(source, []).append((i, tap))

        def keep(source, z, h):
            if listening:  # not when a checkpointed block runs again during a backward pass
                z = z if z.requires_grad else z.detach().requires_grad_()
                taped.append((source, z))
                if moments:
                    for i, tap in self.readers[source]:
                        self.totals["hh"][i] += _second_moment(self.modules[source[0]], tap, h.detach())
            return z.clone()  # so that an in-place activation leaves z alone

        def hook(name):
            def forward_hook(module, args, kwargs, z):
                nonlocal listening
                h = args[0] if args else next(iter(kwargs.values()))
                if listening and not self.checked and not _stock(module):
                    listening = False
                    _check_affine(name, module, h)
                    listening = True
                return keep((name, ""), z, h)
            return forward_hook

        try:
            for name in {source[0] for source in self.readers}:
                module = self.modules[name]
                if isinstance(module, nn.MultiheadAttention):
                    module.forward = _attention(module, lambda label, z, h, name=name: keep((name, label), z, h))
                else:
                    handles.append(module.register_forward_hook(hook(name), prepend=True, with_kwargs=True))
            f = self._call(x)
        finally:
            listening = False
            for handle in handles:
                handle.remove()
            for name in {source[0] for source in self.readers}:
                self.modules[name].__dict__.pop("forward", None)
        if f.shape[:1] != (n,):
            raise ValueError(f"{n} samples gave outputs of shape {list(f.shape)}: the first axis must run over samples "
                             "(see `output`)")
        if not torch.isfinite(f).all():
            raise ValueError("the outputs have non-finite values (masked logits? choose the outputs with `output`)")
        return f, taped

    def _call(self, x):
        if isinstance(x, dict):
            f = self.model(**x)
        else:
            f = self.model(*x) if isinstance(x, (tuple, list)) else self.model(x)
        f = self.output(f) if self.output else getattr(f, "logits", f)
        if not isinstance(f, torch.Tensor) or not f.is_floating_point():
            raise ValueError(f"the model returned {type(f).__name__}: say which tensor of floats holds the outputs, "
                             "e.g. output=lambda r: r[0]")
        return f

    # ---- refusals, and leaving the model as it was -------------------------------------------------------------

    @contextmanager
    def _quiet(self):
        modes = {module: module.training for module in self.model.modules()}
        flags = {p: p.requires_grad for p in (tap.parameter for tap in self.taps) if self.loss is not None}
        fast = torch.backends.mha.get_fastpath_enabled()
        try:
            if self.mode == "eval":
                self.model.eval()
            torch.backends.mha.set_fastpath_enabled(False)  # it bypasses the modules that are recorded
            for parameter in flags:
                parameter.requires_grad_(True)
            for name, module in self.model.named_modules():
                _refuse_coupling(name, module)
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for module, training in modes.items():
                module.training = training
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)

    def _check(self, x, n):
        """Once: the model is a function, recording doesn't change it, rows are independent, each z is of one row."""
        with torch.no_grad():
            plain = self._call(x)
            other = self._call(_disturb(x, n))
        f, taped = self._forward(x, n)
        tolerance = math.sqrt(torch.finfo(plain.dtype).eps) * max(float(plain.abs().max()), 1e-30)
        if not float((plain - f.detach()).abs().max()) <= tolerance:
            raise ValueError("two forward passes on the same batch differ: something random is active (functional "
                             "dropout? pass training=self.training to it), or the model keeps state between calls")
        if not float((plain[1:] - other[1:]).abs().max()) <= tolerance:
            raise ValueError("changing the first sample changed the outputs of others: the rows of a batch aren't "
                             "independent, so derivatives of one sample's outputs can't be told apart "
                             "(batch statistics? is the first axis the samples?)")
        signs = self._signs(f)
        first = (torch.arange(n, device=f.device) == 0).to(f).view(-1, *[1] * (f.dim() - 1))
        zs = [z for _, z in taped]
        one_row, others = (torch.autograd.grad(f, zs, signs * part, retain_graph=True, allow_unused=True)
                           for part in (first, 1 - first))
        for (source, _), one, rest in zip(taped, one_row, others):
            if one is not None and ((one != 0) & (rest != 0)).any():
                self.broadcast.update(i for i, _ in self.readers[source])
        self.checked = True

    # ---- the file ----------------------------------------------------------------------------------------------

    def _write(self):
        if not self.n:
            raise ValueError("no batch was recorded")
        changed = [tap.name for tap, start in zip(self.taps, self.start) if not torch.equal(start, tap.matrix())]
        if changed:
            raise ValueError(f"weights changed while recording ({', '.join(changed[:3])}): record between steps")
        tensors, order, last = {}, [], []
        for i, tap in enumerate(self.taps):
            if i in self.broadcast:
                self.skipped[tap.name] = "evaluated once for the whole batch (positions?): use batches of one sample"
            elif i not in self.reached:
                self.skipped[tap.name] = "not used, or no gradient from the outputs reaches it"
            else:
                for name, rows in tap.sites():
                    order.append((name or "model").replace(",", "_"))
                    tensors.update((f"{order[-1]}.{key}", value) for key, value in self._site(i, tap, rows))
                    last += order[-1:] if self.last.issuperset(tap.sources) else []
        why_not = [f"{name}: {reason}" for name, reason in self.skipped.items()]
        if why_not:
            warnings.warn("not recorded: " + "; ".join(why_not), stacklevel=3)
        _save(self.path, tensors, {
            "format": "nfa.capture/1", "framework": f"torch {torch.__version__}", "n": str(self.n),
            "outputs": str(self.outputs), "loss": self.loss_name, "weight_decay": repr(float(self.weight_decay)),
            "decay": self.decay, "mode": self.mode, "order": ",".join(order), "last": ",".join(last),
            "estimator": f"sketch:{self.estimator}" if self.estimator else "exact",
            "shared": ",".join(f"{a}={b}" for a, b in self.shared.items()), "skipped": "; ".join(why_not)})

    def _site(self, i, tap, rows):
        """Key and value of each of a site's arrays; K is cut out of its tap's block by block, when it is written."""
        weight = self.start[i][rows]
        weight = weight if weight.dtype == torch.float64 else weight.float()
        shape = (len(self.sums), len(weight), len(weight))
        yield "weight", weight
        yield "k", (self.dtype, shape, lambda: (ks[i][rows, rows] / count for count, ks in self.sums))
        yield "count", torch.tensor([count for count, _ in self.sums], dtype=torch.float64)
        if tap.bias is not None:
            yield "bias", tap.bias.detach()[tap.bias_rows][rows].to(weight.dtype)
        if self.init is not None:
            yield "weight_init", tap.matrix(self.init[tap.key])[rows].to(weight)
        if self.loss is not None:
            yield "grad", (self.totals["grad"][i] + torch.zeros_like(self.start[i]))[rows].to(self.dtype) / self.n
        if self.moments:
            gg = self.totals["gg"][i][rows, rows]
            yield "hh", (self.totals["hh"][i] / self.n).to(self.dtype)
            yield "gg", (weight.to(gg).T @ gg @ weight.to(gg) / self.n).to(self.dtype)


# ---- which maps there are ----------------------------------------------------------------------------------


class Tap(NamedTuple):
    """One linear map: some rows of a parameter, and some channels of what its module put out."""

    name: str
    sources: list  # (module name, label): the recorded outputs it reads; several where a weight is shared
    key: str  # of the parameter in the state dict
    parameter: torch.Tensor
    flip: bool = False  # the map is the transposed parameter (Conv1D, Embedding)
    rows: slice = ALL  # of the map, in the parameter
    channels: slice = ALL  # of z
    inputs: slice = ALL  # of h, for grouped convolutions
    axis: int = -1  # of the channels in z
    bias: torch.Tensor = None
    bias_rows: slice = ALL
    heads: int = 1

    def matrix(self, tensor=None):
        tensor = (self.parameter if tensor is None else tensor).detach()
        return (tensor.t() if self.flip else tensor.flatten(1))[self.rows]

    @property
    def k(self):
        return len(self.matrix())

    def sites(self):
        size = self.k // self.heads
        heads = [(f"{self.name}.head{i}", slice(i * size, (i + 1) * size)) for i in range(self.heads)]
        return [(self.name, ALL)] + (heads if self.heads > 1 else [])


def _find_taps(modules, heads, patterns, max_size):
    taps, skipped, shared, known = [], {}, {}, {}
    for name, module in modules.items():
        parent = modules.get(name.rpartition(".")[0])
        chosen = any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        if not chosen or module is getattr(parent, "out_proj", None) and isinstance(parent, nn.MultiheadAttention):
            continue  # the second is recorded with its attention
        try:
            found = _taps(name, module, parent, heads)
        except ValueError as error:
            skipped[name or "model"] = str(error)
            continue
        for tap in found:
            role = (id(tap.parameter), tap.flip, tap.rows.start)
            if max(tap.matrix().shape) > max_size:
                skipped[tap.name] = f"{' x '.join(map(str, tap.matrix().shape))} is above max_size={max_size}"
            elif role in known:
                known[role].sources.extend(tap.sources)
                shared[tap.name] = known[role].name
            else:
                twin = next((t for t in taps if t.parameter is tap.parameter and t.flip != tap.flip), None)
                if twin:
                    shared[tap.name] = f"{twin.name} transposed"
                known[role] = tap
                taps.append(tap)
    return taps, skipped, shared


def _taps(name, module, parent, heads):
    """The linear maps of one module; ValueError says why a module with a weight matrix has none."""
    prefix = f"{name}." if name else ""
    weight = dict(sources=[(name, "")], key=f"{prefix}weight", parameter=getattr(module, "weight", None),
                  bias=getattr(module, "bias", None))
    if isinstance(module, nn.MultiheadAttention):
        if type(module).forward is not nn.MultiheadAttention.forward:
            raise ValueError("a MultiheadAttention with a forward of its own")
        taps, e, out = [], module.embed_dim, module.out_proj
        for label, part in zip("qkv", _thirds(e)):
            field, rows = (f"{label}_proj_weight", ALL) if module.in_proj_weight is None else ("in_proj_weight", part)
            taps.append(Tap(prefix + label, [(name, label)], prefix + field, getattr(module, field), rows=rows,
                            bias=module.in_proj_bias, bias_rows=part, heads=module.num_heads))
        full = f"{prefix}out_proj"
        return taps + [Tap(full, [(name, "out_proj")], f"{full}.weight", out.weight, bias=out.bias)]
    if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
        flip, leaf = not isinstance(module, nn.Linear), name.rpartition(".")[2]
        k, d = module.weight.shape[::-1] if flip else module.weight.shape
        given = next((count for pattern, count in heads.items() if fnmatch.fnmatchcase(name, pattern)), None)
        count = given or _count_heads(leaf, parent, k)
        if k == 3 * d and (leaf in FUSED or given):
            return [Tap(prefix + label, flip=flip, rows=part, channels=part, bias_rows=part,
                        heads=count if d % count == 0 else 1, **weight) for label, part in zip("qkv", _thirds(d))]
        return [Tap(name, flip=flip, heads=count if (given or leaf in SINGLE) and k % count == 0 else 1, **weight)]
    if isinstance(module, CONV):
        g, k, d = module.groups, module.out_channels // module.groups, module.weight[0].numel()
        axis = 1 - module.weight.dim()
        if g == 1:
            return [Tap(name, axis=axis, **weight)]
        if k == 1:
            raise ValueError(f"depthwise: {g} groups with one output each, so every Gram matrix has rank 1")
        parts = [slice(i * k, (i + 1) * k) for i in range(g)]
        return [Tap(f"{prefix}group{i}", rows=part, channels=part, bias_rows=part, inputs=slice(i * d, (i + 1) * d),
                    axis=axis, **weight) for i, part in enumerate(parts)]
    if isinstance(module, nn.Embedding):
        if module.max_norm is not None:
            raise ValueError("an embedding with max_norm rescales its weight during the forward pass")
        return [Tap(name, flip=True, **weight)]
    tables = [key for key, p in module.named_parameters(recurse=False) if p.dim() > 1]
    if tables and not isinstance(module, nn.LayerNorm) and type(module).__name__ != "ParametrizationList":
        raise ValueError(f"{', '.join(tables)} of {type(module).__name__}: no linear map that this recorder knows")
    return []


def _thirds(size):
    return [slice(i * size, (i + 1) * size) for i in range(3)]


def _count_heads(leaf, parent, rows):
    if leaf not in FUSED | SINGLE:
        return 1
    if isinstance(size := getattr(parent, "head_dim", None), int):
        return max(1, rows // size // (3 if leaf in FUSED else 1))
    names = (("num_key_value_heads",) if leaf in ("k_proj", "v_proj") else ()) + HEADS
    counts = (getattr(owner, field, None) for owner in (parent, getattr(parent, "config", None)) for field in names)
    return next((c for c in counts if isinstance(c, int) and c > 0), 1)


# ---- pieces ------------------------------------------------------------------------------------------------


def _attention(m, keep):
    """forward of nn.MultiheadAttention with its four maps in the open: torch's attention runs on projected q, k, v."""

    def forward(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
                is_causal=False):
        swap = m.batch_first and query.dim() == 3
        same = m.in_proj_weight is not None
        weights = m.in_proj_weight.chunk(3) if same else (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)
        biases = (None,) * 3 if m.in_proj_bias is None else m.in_proj_bias.chunk(3)
        hs = [h.transpose(0, 1) if swap else h for h in (query, key, value)]
        q, k, v = (keep(label, F.linear(h, w, b), h) for label, h, w, b in zip("qkv", hs, weights, biases))
        one = torch.eye(m.embed_dim, dtype=q.dtype, device=q.device)
        h, attention = F.multi_head_attention_forward(
            q, k, v, m.embed_dim, m.num_heads, None, None, m.bias_k, m.bias_v, m.add_zero_attn, 0.0, one, None,
            training=False, key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=True, q_proj_weight=one, k_proj_weight=one, v_proj_weight=one,
            average_attn_weights=average_attn_weights, is_causal=is_causal)
        z = keep("out_proj", F.linear(h, m.out_proj.weight, m.out_proj.bias), h)
        return (z.transpose(0, 1) if swap else z), attention

    return forward


def _refuse_coupling(name, m):
    if isinstance(m, nn.modules.batchnorm._BatchNorm) and (m.training or m.running_mean is None):
        raise ValueError(f"{name} ({type(m).__name__}) uses the statistics of the batch, which couples its rows: "
                         'record in mode="eval", with track_running_stats=True')
    p = m.p if isinstance(m, nn.modules.dropout._DropoutNd) else 0
    p = m.dropout if isinstance(m, (nn.MultiheadAttention, nn.RNNBase)) else p
    if m.training and p > 0:
        raise ValueError(f'{name} ({type(m).__name__}) drops units at random (p = {p}): record in mode="eval"')


def _stock(m):
    return any(type(m).forward is kind.forward for kind in (nn.Linear, nn.Embedding, *CONV))


def _check_affine(name, m, h):
    """A layer with a forward of its own must still be affine in its weight: z(2W) + z(0) = 2 z(W)."""
    with torch.no_grad():
        zero, one, two = (torch.func.functional_call(m, {"weight": m.weight * scale}, (h,)) for scale in (0, 1, 2))
    if not float((two + zero - 2 * one).abs().max()) <= 1e-2 * float(one.abs().max()):
        raise ValueError(f"the output of {name} ({type(m).__name__}) isn't linear in its weight (a standardised or "
                         "quantised weight?): leave it out with `sites`")


def _second_moment(m, tap, h):
    """Sum over samples and positions of h h^T, h being what the map multiplies: features, a patch, a one-hot row."""
    if isinstance(m, nn.Embedding):
        return torch.diag(torch.bincount(h.flatten(), minlength=m.num_embeddings).double())
    if isinstance(m, CONV):
        if not isinstance(m, nn.Conv2d):
            raise ValueError(f"moments aren't available for {type(m).__name__}: leave it out with `sites`")
        mode = "constant" if m.padding_mode == "zeros" else m.padding_mode
        h = F.pad(h, m._reversed_padding_repeated_twice, mode=mode)
        h = F.unfold(h, m.kernel_size, m.dilation, 0, m.stride).mT
    rows = _double(h.reshape(-1, h.shape[-1])[:, tap.inputs])
    return rows.T @ rows


def _cross_entropy(f, y):
    return F.cross_entropy(f.flatten(0, -2), y.flatten() if y.dim() < f.dim() else y.flatten(0, -2))


def _squared(f, y, scale):
    if not y.is_floating_point() and y.dim() == f.dim() - 1:
        y = F.one_hot(y, f.shape[-1])
    if f.shape != y.shape:
        raise ValueError(f"outputs {list(f.shape)} and targets {list(y.shape)} differ in shape")
    return scale * ((f - y.to(f)) ** 2).sum()


LOSSES = {
    "mse": lambda f, y: _squared(f, y, 1 / f.numel()),
    "half_mse": lambda f, y: _squared(f, y, 0.5 / len(f)),
    "cross_entropy": _cross_entropy,
}


def _leaves(x):
    values = x.values() if isinstance(x, dict) else x if isinstance(x, (tuple, list)) else (x,)
    return [value for value in values if isinstance(value, torch.Tensor) and value.dim()]


def _map(x, n, change):
    if isinstance(x, dict):
        return {key: _map(value, n, change) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return type(x)(_map(value, n, change) for value in x)
    return change(x) if isinstance(x, torch.Tensor) and x.dim() and len(x) == n else x


def _rows(x, n, a, b):
    return _map(x, n, lambda t: t[a:b])


def _disturb(x, n):
    """The batch with another first sample."""

    def change(t):
        first = t[-1:] + 1 if t.is_floating_point() else t[-1:]
        if torch.equal(first, t[:1]) and t.dim() > 1:
            first = first.flip(1)
        return torch.cat([first, t[1:]])

    return _map(x, n, change)


def _home(t):
    return "cpu" if t.device.type == "mps" else t.device  # mps has no float64


def _double(t):
    return t.detach().to(_home(t)).double()


def _save(path, tensors, metadata):
    """safetensors: length of the header, header in JSON, raw little-endian data.

    A value is a tensor, or (dtype, shape, function that yields its slices along the first axis)."""
    names = {torch.float64: "F64", torch.float32: "F32"}
    header, end = {"__metadata__": metadata}, 0
    for name, value in tensors.items():
        dtype, shape = (value.dtype, value.shape) if isinstance(value, torch.Tensor) else value[:2]
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in tensors.values():
            for part in [value] if isinstance(value, torch.Tensor) else value[2]():
                part = part.to("cpu", value.dtype if isinstance(value, torch.Tensor) else value[0]).contiguous()
                file.write(ctypes.string_at(part.data_ptr(), part.numel() * part.element_size()))
    os.replace(path + ".part", path)
