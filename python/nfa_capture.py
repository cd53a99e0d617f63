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
    fused q, k, v in one Linear or Conv1D           c_attn.q, c_attn.q.head0  (where KNOWN or `layouts` tells the rows)
    separate q, k, v Linears                        q_proj, q_proj.head0      (names in SINGLE, or given in `heads`)
    nn.Embedding: W on one-hot rows                 wte             [d_model, vocabulary]

A weight used several times in the same role (weight sharing, recurrence) is one site: K is summed over its uses, as
over positions. An embedding tied to the last Linear is two sites, since W acts once transposed and once as it is;
`grad` is the whole gradient of the shared parameter in both. Heads of an output projection are blocks of columns:
their AGOP is a diagonal block of the site's, so they aren't written again. A fused map of which nothing tells how q,
k, v lie in it is measured whole, and this is said. What has a weight matrix but is no site
(recurrent layers, transposed or depthwise convolutions, sizes above `max_size`, positions that are looked up once for
the whole batch) is named with its reason in a warning and under `skipped` in the metadata. Sites whose z is the
outputs themselves are under `last`: there K is the identity, and W^T K W is W^T W by definition.

The first batch is a test: every weight's gradient by autograd must be the sum of delta h^T over the calls that were
heard, or the capture is refused with the names (a weight used outside its module, a gradient that was replaced). What
torch.compile compiled runs as it was written. Further metadata, all strings:

    self_test   worst relative distance of those gradients and its site: "3.1e-16 fc1"
    compute     coarsest type that derivatives were computed in: f64, f32, tf32, f16 or bf16; tf32: on or off
    rows        how many samples differ in their inputs
    sizes       JSON, entries of weights: "measured" (of sites), "last" (of those, under `last`), "all" (the network's)
"""

import ctypes
import fnmatch
import hashlib
import inspect
import json
import math
import os
import re
import sys
import warnings
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

FUSED = {"qkv", "c_attn", "in_proj", "Wqkv", "qkv_proj", "query_key_value", "wqkv", "W_pack", "to_qkv",
         "mixed_qkv", "in_proj_qkv", "c_qkv", "att_proj", "qkv_lin", "attn_qkv"}
# How q, k, v lie in the rows of a fused map: its name, its class and the class around it, attributes, the layout.
KNOWN = [
    ("query_key_value", "GPTNeoX|Bloom", {}, "by_head"),
    ("query_key_value", "Falcon", {"new_decoder_architecture": True}, "groups"),
    ("query_key_value", "Falcon", {"multi_query": True}, "multi_query"),
    ("query_key_value", "Falcon", {"multi_query": False}, "by_head"),
    ("c_attn", "GPTBigCode", {"multi_query": True}, "multi_query"),
    ("c_attn", "GPTBigCode", {"multi_query": False}, "by_head"),
    ("c_attn", "GPT2|QWen|Qwen|^Conv1D ", {}, "thirds"),
    ("qkv_proj", "Phi3|Phi4|Qwen", {}, "parts"),
    ("Wqkv", r"\b(Mpt|MPT|GroupedQuery|MultiQuery)", {}, "parts"),
    ("in_proj", "MultiheadAttention", {}, "thirds"),
    ("qkv", " Attention$", {"num_heads": ...}, "thirds"),  # timm
]
QUERY = {"q_proj", "query", "to_q", "q_lin", "wq"}
SINGLE = QUERY | {"k_proj", "v_proj", "key", "value", "to_k", "to_v", "k_lin", "v_lin", "wk", "wv"}
HEADS = ("num_heads", "n_head", "n_heads", "num_attention_heads", "heads")  # attributes that tell the number of heads
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "kv_n_heads", "n_kv_heads", "n_head_kv")
HEAD_SIZE = ("head_dim", "head_size")
WRAPPERS = {"_orig_mod", "module", "model", "base_model"}  # parts of names that come and go
WEIGHTS = {"weight", "weight_g", "weight_v", "weight_orig"}  # the last three are what a weight is computed from
ATTENTION = {"in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v"}
CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.LayerNorm, getattr(nn, "RMSNorm", nn.LayerNorm), parametrize.ParametrizationList)  # tables without a map
WHY_NOT = [
    ((nn.RNNBase, nn.RNNCellBase), "recurrent, its maps act inside one call, where no hook hears them"),
    (nn.EmbeddingBag, "adds up the rows of a bag inside its call"),
    (nn.modules.conv._ConvTransposeNd, "a transposed convolution, no map of patches"),
    (nn.Bilinear, "bilinear, no linear map of one input"),
    (nn.Module, "used by a forward that this recorder doesn't know"),
]
ALL = slice(None)
KINDS = {torch.float64: "f64", torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
ROUNDING = {"f64": 2.0**-52, "f32": 2.0**-23, "tf32": 2.0**-10, "f16": 2.0**-10, "bf16": 2.0**-7}  # fine to coarse
TOLERANCE = {"f64": 1e-9, "f32": 1e-4, "tf32": 3e-2, "f16": 3e-2, "bf16": 3e-2}  # of the self-test
FEW = 8  # samples of the first batch that the self-test runs on


class record:
    """Records a model over the batches it is called with; the file is written when the block ends without an error.

    model      any nn.Module. Between calls it is untouched: modes, .grad, requires_grad, buffers, random state.
    path       the safetensors file to write.
    loss       "mse", "half_mse", "cross_entropy", or a function (outputs, y) -> mean over the batch; adds `grad`.
    weight_decay, decay   lambda of the penalty (lambda/2)|W|^2 in training, or {"pattern of sites": lambda}, of which the
               first that fits counts; and how it was applied: "coupled" (SGD, Adam), "decoupled" (AdamW) or "none".
    sketch     0: exact, one backward pass per output. K > 0: K random sign vectors per sample, one backward pass for
               each; unbiased, and its noise is part of the spread between blocks. None: 0 up to 128 outputs, else 16.
    blocks     at least this many blocks (given as many samples), at most twice as many. Memory: 16 * blocks bytes
               times the sum of k^2, besides the forward and backward pass of a batch.
    output     picks the outputs from what the model returns; default: a tensor, or its `.logits`. All axes but the
               first run over outputs.
    init       state dict at initialisation; wrappers in its names (module., _orig_mod., base_model.model.) are ignored.
    moments    also write hh and gg.
    heads      {"pattern": number of heads, or (of q, of k and v)} where it can't be read off the parent module.
    layouts    {"pattern": how q, k, v lie in the rows of a fused map}: "thirds", "by_head" (q, k, v of each head),
               "groups" (the q of each group of heads, then its k and v), "parts:Q,K,V" (so many rows of each).
    sites      patterns of module names to record; "!pattern" leaves out.
    max_size   maps with k or d above this are left out.
    dtype      torch.float64 or torch.float32 for k, grad, hh and gg in the file; sums are float64 in any case.
    mode       "eval", or "train" to keep the model's own modes: active dropout and batch statistics are refused.
    seed       of the sign vectors.
    """

    def __init__(self, model, path, *, loss=None, weight_decay=0.0, decay="none", sketch=None, blocks=8, output=None,
                 init=None, moments=False, heads=None, layouts=None, sites=("*",), max_size=8192, dtype=torch.float64,
                 mode="eval", seed=0):
        if decay not in ("none", "coupled", "decoupled") or (weight_decay and decay == "none"):
            raise ValueError('say how weight_decay was applied: decay="coupled" (SGD, Adam) or "decoupled" (AdamW)')
        if mode not in ("eval", "train") or dtype not in (torch.float64, torch.float32):
            raise ValueError('mode is "eval" or "train", dtype is torch.float64 or torch.float32')
        if isinstance(loss, str) and loss not in LOSSES:
            raise ValueError(f"loss {loss!r} is unknown: one of {', '.join(LOSSES)}, "
                             "or a function (outputs, y) -> mean over samples")
        if moments and loss is None:
            raise ValueError("moments=True needs a loss (gg is the second moment of the loss gradient)")
        for pattern, layout in (layouts or {}).items():
            if not re.fullmatch(r"thirds|by_head|groups|parts:[1-9]\d*,[1-9]\d*,[1-9]\d*", str(layout)):
                raise ValueError(f'layouts[{pattern!r}] is {layout!r}: one of "thirds", "by_head", "groups", '
                                 '"parts:Q,K,V"')
        self.model, self.path, self.mode, self.dtype = _inside(model), os.fspath(path), mode, dtype
        self.loss = LOSSES[loss] if isinstance(loss, str) else loss
        self.loss_name = loss if isinstance(loss, str) else getattr(loss, "__name__", "custom") if loss else "none"
        self.decay, self.weight_decay, self.moments, self.output = decay, weight_decay, moments, output
        self.sketch, self.blocks, self.random = sketch, blocks, torch.Generator().manual_seed(seed)
        self.modules, self.taps = dict(_named_modules(self.model)), []
        with self._quiet():  # a computed weight may depend on the mode
            found = _find_taps(self.modules, heads or {}, layouts or {}, sites, max_size)
            self.taps, others, self.skipped, self.shared = found
            if not self.taps:
                raise ValueError(f"no linear map to record; left out: {self.skipped or 'nothing'}")
            for tap in self.taps:
                if loss is not None and tap.computed:
                    raise ValueError(f"the weight of {tap.name} is computed from others (a parametrization), so it has "
                                     "no gradient of its own: bake it in "
                                     "(torch.nn.utils.parametrize.remove_parametrizations) or leave the loss out")
                if loss is not None and getattr(tap.owner, "scale_grad_by_freq", False):
                    raise ValueError(f"{tap.name} has scale_grad_by_freq, so its gradient isn't the loss's: leave the "
                                     "loss out")
                if tap.parameter.is_inference():
                    raise ValueError(f"{tap.name} was made under torch.inference_mode, so it has no gradients: make "
                                     "the model outside")
                if not torch.isfinite(tap.parameter).all():
                    raise ValueError(f"the weight of {tap.name} has non-finite values")
            self.init_weights = None if init is None else _initial(self.model, self.taps, init)
        idents = {tap.ident for tap in self.taps}
        self.heard = {s: tap for tap in [*others, *self.taps] if tap.ident in idents for s in tap.sources}
        self.readers = {}
        for i, tap in enumerate(self.taps):
            for source in tap.sources:
                self.readers.setdefault(source, []).append((i, tap))
        self.sums = []  # [samples, [sum of K per tap]] per block
        self.totals = {name: [0.0] * len(self.taps) for name in ("grad", "hh", "gg")}
        self.reached, self.broadcast, self.tested, self.seen = set(), set(), set(), set()
        self.n, self.outputs, self.checked, self.compute, self.worst = 0, 0, 0, "f64", (-1.0, "")
        self.last = set(self.readers)  # until a derivative says otherwise

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error is None:
            self._write()

    def __call__(self, x, y=None):
        """One batch: a tensor, or a tuple (model(*x)) or dict (model(**x)) of tensors; first axes run over samples."""
        if self.loss is not None and y is None:
            raise ValueError("a loss was asked for, so call rec(x, y)")
        n = next((len(t) for t in _leaves(x)), 0)
        if not n:
            raise ValueError(f"a batch is a tensor, or a tuple or dict of tensors; this is {type(x).__name__}"
                             + (" without rows" if any(True for _ in _leaves(x)) else ""))
        x, y = _map((x, y), None, lambda t: t.clone() if t.is_inference() else t)  # autograd can't save the others
        self.seen |= _digests(x, n)
        with self._quiet():
            if self.checked < min(n, 2):
                few = min(n, FEW)
                self._check(_rows(x, n, 0, few), None if y is None else _rows(y, n, 0, few), few, n)
            pieces = max(1, min(n, self.blocks - len(self.sums)))  # first batches are cut: few batches give blocks too
            for i in range(pieces):
                a, b = n * i // pieces, n * (i + 1) // pieces
                part = _rows(x, n, a, b), None if y is None else _rows(y, n, a, b), b - a
                self._add(*part)
                if not self.reached <= self.tested:  # a part of the network that the first samples didn't use
                    self._test(*part)

    # ---- one forward pass, its backward passes -----------------------------------------------------------------

    def _add(self, x, y, n):
        f, taped = self._forward(x, n, self.moments)
        rows = f.reshape(n, -1)
        m, zs = rows.shape[1], [use.z for use in taped]
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
            more = j + 1 < (probes or m)
            grads = torch.autograd.grad(rows, zs, v, retain_graph=more, allow_unused=True) if zs else ()
            for use, grad in zip(taped, grads):  # z is the outputs: its derivatives are those asked for
                if use.source in self.last and (grad is None or not torch.equal(grad[grad != 0], v[v != 0])):
                    self.last.remove(use.source)
            self._outer(ks, taped, grads, 1 / probes if probes else 1)
        _refuse_infinite([tap.name for tap, k in zip(self.taps, ks) if not torch.isfinite(k).all()])
        self.n += n
        self.sums.append([n, ks])
        if len(self.sums) > 2 * self.blocks:  # join the two neighbours with the fewest samples
            i = min(range(len(self.sums) - 1), key=lambda i: self.sums[i][0] + self.sums[i + 1][0])
            count, other = self.sums.pop(i + 1)
            self.sums[i][0] += count
            for k, extra in zip(self.sums[i][1], other):
                k += extra

    def _signs(self, f, random=None):
        return torch.randint(0, 2, f.shape, generator=random or self.random, dtype=torch.int8).to(f) * 2 - 1

    def _loss(self, f, y):
        loss = self.loss(f, y)
        if not torch.isfinite(loss):
            raise ValueError("the loss isn't finite")
        if not loss.requires_grad:
            raise ValueError("the loss has no gradient: does it leave torch, or count right answers?")
        return loss

    def _add_loss(self, f, y, n, taped):
        weights = [tap.parameter for tap in self.taps]
        zs = [use.z for use in taped] if self.moments else []
        grads = torch.autograd.grad(self._loss(f, y), weights + zs, retain_graph=True, allow_unused=True)
        for i, (tap, grad) in enumerate(zip(self.taps, grads)):
            if grad is not None:
                self.totals["grad"][i] += n * _double(tap.matrix(grad.to_dense()))
        if self.moments:
            self._outer(self.totals["gg"], taped, grads[len(weights):], n * n)  # a sample's gradient is n * the mean's

    def _outer(self, sums, taped, grads, scale):
        for use, grad in zip(taped, grads):
            if grad is None:
                continue
            self._see(grad)
            for i, tap in self.readers[use.source]:
                g = _double(grad.movedim(tap.axis, -1)[..., tap.channels].reshape(-1, tap.k))
                sums[i] += scale * (g.T @ g)
                self.reached.add(i)

    def _see(self, *tensors):
        """The coarsest type of these; that of all is kept."""
        kinds = ["tf32" if self.rounds and t.is_cuda and t.dtype == torch.float32 else KINDS[t.dtype] for t in tensors]
        kind = max(kinds, key=list(ROUNDING).index)
        self.compute = max(self.compute, kind, key=list(ROUNDING).index)
        return kind

    def _forward(self, x, n, moments=False, test=False, moved=None):
        """The outputs, and every use of every recorded map, z being in the graph of the outputs.

        With `test` the uses of their weights in maps that aren't recorded too; `moved` is added to their z in turn."""
        taped, listening, handles, patched = [], True, [], {}

        def keep(source, z, h):
            if listening:  # not when a checkpointed block runs again during a backward pass
                z = z if z.requires_grad else z.detach().requires_grad_()
                self._see(z)
                taped.append(Use(source, z, h.detach().clone(), self.heard[source].parameter) if test else
                             Use(source, z))
                if moments:
                    for i, tap in self.readers[source]:
                        self.totals["hh"][i] += _second_moment(self.modules[source[0]], tap, h.detach())
                if moved is not None:
                    return z + moved[len(taped) - 1]
            return z.clone()  # so that an in-place activation leaves z alone

        def hook(name):
            def forward_hook(module, args, kwargs, z):
                h = args[0] if args else next(iter(kwargs.values()))
                if not isinstance(z, torch.Tensor) or not isinstance(h, torch.Tensor):
                    raise ValueError(f"{name} ({type(module).__name__}) isn't called with a tensor, to give one: "
                                     f"call it so, {_leave([name])}")
                return keep((name, ""), z, h)
            return forward_hook

        try:
            for name in dict.fromkeys(source[0] for source in (self.heard if test else self.readers)):
                module = self.modules[name]
                if isinstance(module, nn.MultiheadAttention):
                    patched[module] = vars(module).get("forward")
                    module.forward = _attention(module, lambda label, z, h, name=name: keep((name, label), z, h))
                else:
                    if test:
                        handles.append(module.register_forward_pre_hook(_own_input, with_kwargs=True))
                    handles.append(module.register_forward_hook(hook(name), prepend=True, with_kwargs=True))
            f = self._call(x)
        finally:
            listening = False
            for handle in handles:
                handle.remove()
            for module, forward in patched.items():
                del module.forward
                if forward is not None:
                    module.forward = forward
        if f.shape[:1] != (n,):
            raise ValueError(f"{n} samples gave outputs of shape {list(f.shape)}: the first axis must run over samples "
                             "(see `output`)")
        if not torch.isfinite(f).all():
            raise ValueError("the outputs have non-finite values (masked logits? choose the outputs with `output`)")
        if not f.requires_grad:
            raise ValueError("no gradient reaches the outputs: is a part quantised, or run under no_grad or detached? "
                             f"Left out: {self.skipped or 'nothing'}")
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
        fast, cached = torch.backends.mha.get_fastpath_enabled(), torch.is_autocast_cache_enabled()
        guards = [m.register_forward_pre_hook(_refuse_offsets(name), with_kwargs=True)
                  for name, m in self.modules.items() if isinstance(m, nn.EmbeddingBag)]
        try:
            if self.mode == "eval":
                self.model.eval()
            torch.backends.mha.set_fastpath_enabled(False)  # it bypasses the modules that are recorded
            torch.set_autocast_cache_enabled(False)  # older ones keep casts made under no_grad, without gradients
            for name, module in self.modules.items():
                _refuse_coupling(name, module)
            weights = [tap.parameter for tap in self.taps] if self.loss is not None else []
            with torch.inference_mode(False), torch.enable_grad(), _eager(self.model), _differentiable(weights):
                yield
        finally:
            torch.set_autocast_cache_enabled(cached)
            torch.backends.mha.set_fastpath_enabled(fast)
            for guard in guards:
                guard.remove()
            for module, training in modes.items():
                module.training = training

    def _check(self, x, y, n, batch):
        """Once: the model is a function, recording doesn't change it, rows are independent, each z is of one row."""
        conv = torch.backends.cudnn.allow_tf32 and any(isinstance(tap.owner, CONV) for tap in self.taps)
        self.tf32, self.rounds = _tf32(), _tf32() or conv
        with torch.no_grad():
            plain = self._call(x)
            other = self._call(_disturb(x, n)) if n > 1 else None
        with self._graded():
            f, uses = self._forward(x, n, test=True)
            rounding = ROUNDING[self._see(f, *(use.z for use in uses))]
            tolerance = math.sqrt(rounding) * max(float(plain.abs().max()), 1e-30)
            if not float((plain - f.detach()).abs().max()) <= tolerance:
                raise ValueError("two forward passes on the same batch differ: something random is active (functional "
                                 "dropout? pass training=self.training to it), or the model keeps state between calls")
            if n > 1:
                if not float((plain[1:] - other[1:]).abs().max()) <= tolerance:
                    raise ValueError("changing the first sample changed the outputs of others: the rows of a batch "
                                     "aren't independent, so derivatives of one sample's outputs can't be told apart "
                                     "(batch statistics? is the first axis the samples?)")
                signs = self._signs(f.detach()[:1].expand(batch, *f.shape[1:]))[:n]
                first = (torch.arange(n, device=f.device) == 0).to(f).view(-1, *[1] * (f.dim() - 1))
                one_row, others = (_grad(f, [use.z for use in uses], signs * part) for part in (first, 1 - first))
                for use, one, rest in zip(uses, one_row, others):
                    if one is not None and ((one != 0) & (rest != 0)).any():
                        self.broadcast.update(i for i, _ in self.readers.get(use.source, []))
            self._compare(x, y, n, f, uses)
        if not self.checked:
            self.start = [tap.matrix().clone() for tap in self.taps]  # now that hooks have computed what they compute
        self.checked = min(n, 2)

    # ---- the self-test: does every weight act where it is heard, and only there? -------------------------------

    @contextmanager
    def _graded(self):
        """All weights have gradients, frozen ones and those that are computed from others included."""
        weights = [p for tap in self.heard.values() for p in (*tap.owner.parameters(), tap.parameter)]
        with _differentiable(weights), parametrize.cached():
            yield

    def _test(self, x, y, n):
        with self._graded():
            self._compare(x, y, n, *self._forward(x, n, test=True))

    def _compare(self, x, y, n, f, uses):
        """Every weight's gradient by autograd against the sum of delta h^T over its uses."""
        value = self._objective(f, y)
        weights = {tap.ident: {id(w): w for w in [tap.parameter] if w.requires_grad} for tap in self.taps}
        for use in uses:
            if self.heard[use.source].computed:  # maybe anew in each call
                weights[self.heard[use.source].ident][id(use.w)] = use.w
        flat = [w for same in weights.values() for w in same.values()]
        grads = _grad(value(f), flat + [use.z for use in uses])
        deltas, grads = grads[len(flat):], {id(w): grad for w, grad in zip(flat, grads)}
        _refuse_infinite([self.heard[use.source].name for use, delta in zip(uses, deltas)
                          if delta is not None and not torch.isfinite(delta).all()])
        sums, kinds = self._sum(uses, deltas)
        wrong = {}
        for tap in self.taps:
            most = TOLERANCE[kinds.get(tap.ident, self.compute)]
            grad = sum(_double(g.to_dense()) for g in (grads[key] for key in weights[tap.ident]) if g is not None)
            distance = _distance(grad, sums.get(tap.ident, 0.0))
            if tap.ident in kinds and distance > self.worst[0]:
                self.worst = (distance, tap.name or "model")
            if not distance <= most:
                wrong.update({source[0]: (distance, most) for source in tap.sources})
        if wrong:
            distance, most = max(wrong.values())
            raise ValueError(
                f"the gradient of {_named(wrong)} by autograd isn't the sum of delta h^T over the calls heard "
                f"(relative distance {distance:.1e}, at most {most:.0e}), so K would be of a part. A weight acts "
                "outside its module too (F.linear(h, layer.weight)), something passes its hook by (a call of .forward "
                "itself, a part that was compiled), or a gradient is replaced (a hook, a custom autograd function, a "
                f"penalty in the loss): call the module itself, {_leave(wrong)}")
        self.tested.update(i for use in uses for i, _ in self.readers.get(use.source, []))
        if self.compute == "f64" or self.compute == "f32" and _custom(f):
            self._check_slopes(x, n, uses, value)

    def _objective(self, f, y):
        """A random combination of the outputs, and the loss at a scale at which half precision sees it too."""
        signs, scale = self._signs(f, torch.Generator().manual_seed(0)), 0.0
        if self.loss is not None:
            slope = _grad(self._loss(f, y), [f])[0]
            if slope is None:
                raise ValueError("the loss doesn't depend on the outputs")
            scale = min(1 / max(float(slope.abs().max()), 1e-30), 2.0**14)

        def value(f):
            total = (signs * f).to(torch.promote_types(f.dtype, torch.float32)).sum()
            return total + scale * self.loss(f, y) if scale else total

        return value

    def _sum(self, uses, deltas):
        """delta h^T over the uses of each weight, and the coarsest type among them; each z must be W h + b."""
        sums, kinds, strange = {}, {}, []
        for use, delta in zip(uses, deltas):
            tap, module, label = self.heard[use.source], self.modules[use.source[0]], use.source[1]
            kinds[tap.ident] = max(self._see(use.z, use.w), kinds.get(tap.ident, "f64"), key=list(ROUNDING).index)
            alike = use.z.itemsize < 4 or use.z.device.type == "mps" or isinstance(module, nn.Embedding)  # in rounding
            with torch.autocast(use.z.device.type, enabled=False):
                w = use.w.detach().to(use.z.dtype if alike else torch.float64).requires_grad_()
                part = w[tap.rows] if label else w  # an attention has several maps in a parameter
                try:
                    z = _apply(module, part, use.h, None if label else getattr(module, "bias", None))
                except RuntimeError:  # shapes that don't go together
                    z = None
                if z is None or not label and not _distance(z, use.z) <= TOLERANCE[kinds[tap.ident]]:
                    strange.append(use.source[0])
                elif delta is not None:
                    sums[tap.ident] = sums.get(tap.ident, 0.0) + _double(_grad(z, [w], delta.to(w.dtype))[0])
        if strange:
            raise ValueError(f"the output of {_named(strange)} isn't W h + b: its forward isn't linear in its weight "
                             "(standardised, quantised?), scales weight or input, or adds to the output (LoRA?), so K "
                             f"and W would be of different maps: use a layer of torch's, {_leave(strange)}")
        return sums, kinds

    def _check_slopes(self, x, n, uses, value):
        """Moves z along its derivative: the outputs must change by what autograd says, unless a function replaced it.

        Where f32 can't tell, only networks with such functions are tried; a small random move first breaks ties."""
        random, fine = torch.Generator().manual_seed(0), self.compute == "f64"
        steps, tolerance, jitter = ((1e-6, 1e-8), 1e-3, 1e-3) if fine else ((1e-4, 1e-3), 5e-2, 5e-2)
        size = lambda t: float(t.detach().norm()) / max(t.numel(), 1) ** 0.5

        def agree(chosen):
            rise = sum(float((delta * move).sum()) for use, delta, move in moves if use.source in chosen)
            for step in steps if rise else ():
                up, down = (float(value(self._forward(x, n, test=True, moved=[
                    first + sign * step * move if use.source in chosen else first
                    for first, (use, _, move) in zip(start, moves)])[0].detach())) for sign in (1, -1))
                if abs((up - down) / (2 * step) - rise) <= tolerance * rise:
                    return True
            return not rise

        try:
            start = [jitter * size(use.z) * torch.randn(use.z.shape, generator=random).to(use.z) for use in uses]
            f, uses = self._forward(x, n, test=True, moved=start)
            deltas = [torch.zeros_like(use.z) if delta is None else delta
                      for use, delta in zip(uses, _grad(value(f), [use.z for use in uses]))]
            moves = [(use, delta, delta * (size(use.z) / max(size(delta), 1e-30))) for use, delta in zip(uses, deltas)]
            sources = dict.fromkeys(use.source for use in uses)
            wrong = [] if agree(sources) else [s[0] for s in sources if s in self.readers and not agree({s})]
        except (ValueError, RuntimeError, IndexError):  # the moves change the course that the network takes
            return
        if wrong:
            raise ValueError(f"autograd's derivatives behind {_named(wrong)} aren't the slope of the outputs: a custom "
                             "autograd function, a hook or a detach replaces them (gradients that go straight through, "
                             "are reversed or clipped), so K would be of another function: take that out, "
                             f"{_leave(wrong)}")

    # ---- the file ----------------------------------------------------------------------------------------------

    def _write(self):
        if not self.n:
            raise ValueError("no batch was recorded")
        with self._quiet():
            changed = [tap.name for tap, start in zip(self.taps, self.start) if not torch.equal(start, tap.matrix())]
        if changed:
            raise ValueError(f"weights changed while recording ({', '.join(changed[:3])}): record between steps")
        tensors, order, last, sizes = {}, [], [], {}
        for i, tap in enumerate(self.taps):
            if i in self.broadcast:
                self.skipped[tap.name] = "evaluated once for the whole batch (positions?): use batches of one sample"
            elif i not in self.reached:
                self.skipped[tap.name] = "not used, or no gradient from the outputs reaches it"
            else:
                is_last = self.last.issuperset(tap.sources)
                entry = (tap.ident, str(tap.rows))  # shared weights once
                sizes[entry] = (self.start[i].numel(), is_last or sizes.get(entry, (0, False))[1])
                for name, rows in tap.sites():
                    order.append((name or "model").replace(",", "_"))
                    tensors.update((f"{order[-1]}.{key}", value) for key, value in self._site(i, tap, rows))
                    last += order[-1:] if is_last else []
        if not order:
            raise ValueError(f"nothing was recorded; left out: {self.skipped}")
        why_not = [f"{name}: {reason}" for name, reason in self.skipped.items()]
        if why_not:
            warnings.warn("not recorded: " + "; ".join(why_not), stacklevel=3)
        _save(self.path, tensors, {
            "format": "nfa.capture/1", "framework": f"torch {torch.__version__}", "n": str(self.n),
            "outputs": str(self.outputs), "loss": self.loss_name, "weight_decay": self._decays(order),
            "decay": self.decay, "mode": self.mode, "order": ",".join(order), "last": ",".join(last),
            "estimator": f"sketch:{self.estimator}" if self.estimator else "exact",
            "shared": ",".join(f"{a}={b}" for a, b in self.shared.items()), "skipped": "; ".join(why_not),
            "tf32": "on" if self.tf32 else "off", "compute": self.compute, "rows": str(len(self.seen)),
            "self_test": f"{self.worst[0]:.1e} {self.worst[1]}", "sizes": json.dumps({
                "measured": sum(size for size, _ in sizes.values()),
                "last": sum(size for size, is_last in sizes.values() if is_last),
                "all": sum(p.numel() for p in self.model.parameters() if p.is_floating_point())})})

    def _decays(self, names):
        """weight_decay as a number, or as JSON with one for each site."""
        if not isinstance(self.weight_decay, dict):
            return repr(float(self.weight_decay))
        fits = fnmatch.fnmatchcase
        of = lambda name: [float(value) for pattern, value in self.weight_decay.items() if fits(name, pattern)]
        each = {name: next(iter(of(name)), None) for name in names}
        missing = [name for name, value in each.items() if value is None]
        if missing:
            raise ValueError(f"weight_decay has no pattern for {', '.join(missing[:3])}")
        return json.dumps(each)

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
        if self.init_weights is not None:
            yield "weight_init", tap.matrix(self.init_weights[i])[rows].to(weight)
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
    owner: nn.Module  # of the parameter
    field: str = "weight"
    flip: bool = False  # the map is the transposed parameter (Conv1D, Embedding)
    rows: object = ALL  # of the map, in the parameter: a slice or a list
    channels: object = ALL  # of z
    inputs: slice = ALL  # of h, for grouped convolutions
    axis: int = -1  # of the channels in z
    bias: torch.Tensor = None
    bias_rows: object = ALL
    heads: int = 1
    k: int = 0

    @property
    def parameter(self):
        return getattr(self.owner, self.field)

    @property
    def computed(self):  # from other parameters, by a parametrization or a hook: anew at every look
        return self.owner._parameters.get(self.field) is None

    @property
    def ident(self):
        return (id(self.owner), self.field) if self.computed else id(self.parameter)

    def matrix(self, tensor=None):
        tensor = (self.parameter if tensor is None else tensor).detach()
        return (tensor.t() if self.flip else tensor.flatten(1))[self.rows]

    def sites(self):
        size = self.k // self.heads
        heads = [(f"{self.name}.head{i}", slice(i * size, (i + 1) * size)) for i in range(self.heads)]
        return [(self.name, ALL)] + (heads if self.heads > 1 else [])


class Use(NamedTuple):
    """A call of a recorded map."""

    source: tuple
    z: torch.Tensor
    h: torch.Tensor = None
    w: torch.Tensor = None


class NoMap(Exception):
    """Why a module with a weight matrix has no linear map."""


def _inside(module):
    """A module without what torch.compile and data parallelism put around it."""
    while True:
        if not isinstance(module, nn.Module):  # a compiled method, or one compiled twice
            owner = getattr(inspect.unwrap(module), "__self__", None) if callable(module) else None
            if not isinstance(owner, nn.Module):
                raise ValueError(f"what is recorded is an nn.Module; this is a {type(module).__name__}")
            module = owner
        elif "_orig_mod" in module._modules:
            module = module._orig_mod
        elif isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        else:
            return module


def _named_modules(module, name="", known=None):
    module, known = _inside(module), set() if known is None else known
    if module not in known:
        known.add(module)
        yield name, module
        for child, inner in module._modules.items():
            if inner is not None:
                yield from _named_modules(inner, f"{name}.{child}" if name else child, known)


def _find_taps(modules, heads, layouts, patterns, max_size):
    """The maps to record, those that aren't, what has none and why, what is shared."""
    taps, others, skipped, shared, known = [], [], {}, {}, {}
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    wanted, unwanted = ({p[cut:]: cut for p in patterns if p.startswith("!") == cut} for cut in (False, True))
    wanted = wanted or {"*": False}
    for pattern in layouts:
        if _given({pattern: True}, *modules) is None:
            raise ValueError(f"layouts[{pattern!r}] is the name of no module")
    for name, module in modules.items():
        path = name.removesuffix(".base_layer")  # peft's adapters stand where the map stood
        parent = modules.get(path.rpartition(".")[0])
        if module is getattr(parent, "out_proj", None) and isinstance(parent, nn.MultiheadAttention):
            continue  # recorded with its attention
        notes = {}
        try:
            found = _taps(name, path, module, parent, heads, layouts, notes)
        except NoMap as reason:
            found, notes = [], {name or "model": str(reason)}
        if _given(wanted, name) is None or _given(unwanted, name) is not None:
            others += found
            continue
        skipped.update(notes)
        for tap in found:
            shape, role = tap.matrix().shape, (tap.ident, tap.flip, str(tap.rows))
            tap = tap._replace(k=shape[0])
            if max(shape) > max_size:
                skipped[tap.name] = f"{' x '.join(map(str, shape))} is above max_size={max_size}"
                others.append(tap)
            elif role in known:
                known[role].sources.extend(tap.sources)
                shared[tap.name] = known[role].name
            else:
                twin = next((t for t in taps if t.ident == tap.ident and t.flip != tap.flip), None)
                if twin:
                    shared[tap.name] = f"{twin.name} transposed"
                known[role] = tap
                taps.append(tap)
    return taps, others, skipped, shared


def _taps(name, path, module, parent, heads, layouts, notes):
    """The linear maps of one module; `notes` says what else of it has a weight matrix."""
    prefix, kind = f"{name}." if name else "", type(module).__name__
    attention, weight = isinstance(module, nn.MultiheadAttention), getattr(module, "weight", None)
    linear = isinstance(module, nn.Linear) or kind == "Conv1D" and getattr(weight, "ndim", 0) == 2
    mapped = linear or isinstance(module, (nn.Embedding, *CONV))
    if ".quantized" in type(module).__module__ and (callable(weight) or callable(getattr(module, "get_weight", None))):
        raise NoMap(f"{kind} is quantised: its weight is packed in integers, and no gradient passes it")
    if any(isinstance(p, nn.parameter.UninitializedTensorMixin) for p in module.parameters(recurse=False)):
        raise NoMap(f"{kind} isn't initialised: call the model once before")
    tables = [key for key, p in module.named_parameters(recurse=False) if p.dim() > 1 and not (
        mapped and key in WEIGHTS or attention and key in ATTENTION)]
    tables += [key for key in getattr(module, "parametrizations", ()) if not mapped and getattr(module, key).dim() > 1]
    if tables and not isinstance(module, NORMS):
        why = next(why for kinds, why in WHY_NOT if isinstance(module, kinds))
        notes[name or "model"] = f"{', '.join(tables)} of {kind}: {why}"
    if attention:
        own = inspect.unwrap(module.forward)  # compiled it is still torch's
        if {type(module).forward, getattr(own, "__func__", own)} != {nn.MultiheadAttention.forward}:
            raise NoMap("a MultiheadAttention with a forward of its own")
        taps, e, out = [], module.embed_dim, module.out_proj
        for label, part in zip("qkv", _thirds(e)):
            field, rows = (f"{label}_proj_weight", ALL) if module.in_proj_weight is None else ("in_proj_weight", part)
            taps.append(Tap(prefix + label, [(name, label)], prefix + field, module, _stored(module, field), rows=rows,
                            bias=module.in_proj_bias, bias_rows=part, heads=module.num_heads))
        full = f"{prefix}out_proj"
        return taps + [Tap(full, [(name, "out_proj")], f"{full}.weight", out, _stored(out), bias=out.bias)]
    if not mapped:
        return []
    if getattr(module, "max_norm", None) is not None:
        raise NoMap("an embedding with max_norm rescales its weight during the forward pass")
    common = dict(sources=[(name, "")], key=f"{prefix}weight", owner=module, field=_stored(module),
                  flip=not isinstance(module, (nn.Linear, *CONV)), bias=getattr(module, "bias", None))
    if linear:
        k, d = module.weight.shape[::-1] if common["flip"] else module.weight.shape
        given = _given(heads, path, name)
        parts = _fused(name, path, module, parent, k, d, given, layouts, notes)
        if parts:
            return [Tap(prefix + label, rows=rows, channels=rows, bias_rows=rows, heads=count, **common)
                    for label, (rows, count) in parts.items()]
        count = _count_heads(path, parent, k, given) if parts is None else 1
        return [Tap(name, heads=count if k % count == 0 else 1, **common)]
    if isinstance(module, CONV):
        g, k, d = module.groups, module.out_channels // module.groups, module.weight[0].numel()
        axis = 1 - module.weight.dim()
        if g == 1:
            return [Tap(name, axis=axis, **common)]
        if k == 1:
            raise NoMap(f"depthwise: {g} groups with one output each, so every Gram matrix has rank 1")
        parts = [slice(i * k, (i + 1) * k) for i in range(g)]
        return [Tap(f"{prefix}group{i}", rows=part, channels=part, bias_rows=part, inputs=slice(i * d, (i + 1) * d),
                    axis=axis, **common) for i, part in enumerate(parts)]
    return [Tap(name, **common)]


def _stored(module, field="weight"):
    """The field, where it holds numbers that autograd knows."""
    w = getattr(module, field, None)
    plain = type(w) in (torch.Tensor, nn.Parameter)
    if not plain or w.dtype not in KINDS or w.dim() < 2 or w.is_meta:
        kind = f"{w.dtype} of shape {list(w.shape)} on {w.device}" if plain else type(w).__name__
        raise NoMap(f"its weight is stored as {kind} (quantised, sharded, offloaded?)")
    return field


def _thirds(size):
    return [slice(i * size, (i + 1) * size) for i in range(3)]


def _tell(parent, *names):
    """What a module or its config says under the first of these names."""
    values = (getattr(owner, name, None) for owner in (parent, getattr(parent, "config", None)) for name in names)
    return next((value for value in values if isinstance(value, int) and (value > 0 or value is False)), None)


def _given(table, *names):
    """What {pattern: value} says of a name."""
    match = fnmatch.fnmatchcase
    return next((value for pattern, value in table.items() if any(match(name, pattern) for name in names)), None)


def _count_heads(path, parent, rows, given):
    leaf = path.rpartition(".")[2]
    if given or leaf not in SINGLE:
        return given[leaf not in QUERY] if isinstance(given, tuple) else given or 1
    if size := _tell(parent, *HEAD_SIZE):
        return max(1, rows // size)
    return _tell(parent, *(() if leaf in QUERY else KV_HEADS), *HEADS) or 1


def _fused(name, path, module, parent, k, d, given, layouts, notes):
    """{"q": (rows, heads), ...} of a map that holds q, k, v in a way that is known; {} if it isn't; else None."""
    leaf, classes = path.rpartition(".")[2], f"{type(module).__name__} {type(parent).__name__}"
    says = lambda field, value: (told := _tell(parent, field)) is not None and value in (..., told)
    told = _given(layouts, path, name)
    layout = told or next((layout for known, names, fields, layout in KNOWN if leaf == known
                           and re.search(names, classes) and all(says(*field) for field in fields.items())), None)
    count, groups = given if isinstance(given, tuple) else (given, None)
    count, groups = count or _tell(parent, *HEADS), groups or _tell(parent, *KV_HEADS) or (k == 3 * d and count)
    try:
        if layout and (told or layout != "thirds" or k == 3 * d):
            return _parts(layout, k, count, groups, _tell(parent, *HEAD_SIZE))
        why = "how q, k, v lie in it isn't known"
    except ValueError as error:
        if told:
            raise ValueError(f"{name}: {error}") from error
        why = str(error)
    if leaf not in FUSED and not (given and k == 3 * d):
        return None
    notes[name or "model"] = (f'measured whole, without its parts ({why}): say layouts={{"{path}": "thirds"}}, '
                              '"by_head", "groups" or "parts:Q,K,V"')
    return {}


def _parts(layout, k, count, groups, size):
    """Rows and number of heads of q, k and v in a fused map of k rows."""
    if layout in ("thirds", "by_head"):
        count = groups = count or size and k // (3 * size)
    groups = 1 if layout == "multi_query" else groups or count and size and (k // size - count) // 2
    if layout == "thirds":
        runs, times = [k // 3] * 3, 1
    elif layout.startswith("parts:"):
        runs, times = [int(run) for run in layout[6:].split(",")], 1
    elif not count or not groups:
        raise ValueError(f'"{layout}" needs the number of heads: heads={{"...": heads}}, or (of q, of k and v)')
    else:
        one = size or k // (count + 2 * groups)
        runs, times = ([count, groups, groups], 1) if layout == "parts" else ([count // groups, 1, 1], groups)
        runs = [one * run for run in runs]
    if sum(runs) * times != k:
        raise ValueError(f'"{layout}" doesn\'t fit its {k} rows ({count or "unknown"} heads, of k and v '
                         f'{groups or "unknown"})')
    rows, at = {"q": [], "k": [], "v": []}, 0
    for label, run in list(zip("qkv", runs)) * times:
        rows[label] += range(at, at + run)
        at += run
    one = len(rows["q"]) // count if count and len(rows["q"]) % count == 0 else k
    return {label: (slice(r[0], r[-1] + 1) if r[-1] - r[0] < len(r) else r, max(1, len(r) // one))
            for label, r in rows.items()}


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
    if ".quantized.dynamic" in type(m).__module__:
        raise ValueError(f"{name} ({type(m).__name__}) is quantised by the range of a whole batch, which couples its "
                         "rows: record the model before it is quantised")
    if isinstance(m, nn.modules.batchnorm._BatchNorm) and (m.training or m.running_mean is None):
        always = "" if m.training else " in evaluation mode too, as it has no running ones"
        raise ValueError(f"{name} ({type(m).__name__}) uses the statistics of the batch{always}, which couples its "
                         'rows: record in mode="eval", with track_running_stats=True')
    p = m.p if isinstance(m, nn.modules.dropout._DropoutNd) else 0
    p = m.dropout if isinstance(m, (nn.MultiheadAttention, nn.RNNBase)) else p
    if m.training and p > 0:
        raise ValueError(f'{name} ({type(m).__name__}) drops units at random (p = {p}): record in mode="eval"')


def _refuse_offsets(name):
    def hook(module, args, kwargs):
        if (args[1] if len(args) > 1 else kwargs.get("offsets")) is not None:
            raise ValueError(f"{name} (EmbeddingBag) is called with offsets: its samples lie in one axis and can't be "
                             "cut apart, so give bags of one size in two axes")
    return hook


def _refuse_infinite(names):
    if names:
        raise ValueError(f"non-finite derivatives of the outputs at {_named(names[:3])}: "
                         "is a value overflowing, or a square root or norm at 0?")


def _named(names):
    return ", ".join(dict.fromkeys(name or "model" for name in names))


def _leave(names):
    return f'or leave it out: sites={json.dumps(["*", *dict.fromkeys(f"!{name}" for name in names)])}'


def _own_input(module, args, kwargs):
    """A module's input as a tensor of its own, which nothing changes in place later."""
    own = lambda h: h.clone() if isinstance(h, torch.Tensor) else h
    return tuple(map(own, args)), {key: own(value) for key, value in kwargs.items()}


def _apply(m, w, h, b):
    """W h + b as torch has it, whatever the module's own forward does."""
    if isinstance(m, nn.Embedding):
        return F.embedding(h, w, m.padding_idx, scale_grad_by_freq=m.scale_grad_by_freq)
    h, b = h.to(w.dtype), None if b is None else b.detach().to(w.dtype)
    if isinstance(m, CONV):
        return next(kind for kind in CONV if isinstance(m, kind))._conv_forward(m, h, w, b)
    return F.linear(h, w if isinstance(m, (nn.Linear, nn.MultiheadAttention)) else w.t(), b)


def _grad(value, inputs, weight=None):
    """Gradients that leave the graph; where torch has none, its reason."""
    try:
        return torch.autograd.grad(value, inputs, weight, retain_graph=True, allow_unused=True) if inputs else ()
    except RuntimeError as error:
        raise ValueError(f"there are no gradients of this network: {str(error).splitlines()[0]}") from error


def _distance(a, b):
    """Relative Frobenius distance."""
    a, b = (_double(torch.as_tensor(t)) for t in (a, b))
    if a.dim() and b.dim() and a.shape != b.shape:
        return math.inf
    size = max(float(a.norm()), float(b.norm()))
    return float((a.to(b.device) - b).norm()) / size if size else 0.0


def _custom(f):
    """Whether a backward pass written in Python leads to f."""
    nodes, known = [f.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return True
        nodes += [other for other, _ in node.next_functions if other is not None and other not in known]
        known.update(nodes)
    return False


@contextmanager
def _differentiable(tensors):
    flags = {t: t.requires_grad for t in tensors if t.is_leaf and t.is_floating_point()}
    try:
        for t in flags:
            t.requires_grad_(True)
        yield
    finally:
        for t, flag in flags.items():
            t.requires_grad_(flag)


def _eager(model):
    """What torch.compile made runs as it was written: compiled code calls no hooks."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and to import it takes seconds
        return nullcontext()
    if hasattr(torch.compiler, "set_stance"):
        return torch.compiler.set_stance("force_eager")
    for name, module in model.named_modules():
        if "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None):
            raise ValueError(f"{name or 'the model'} is compiled, and this torch can't run it as it was written (2.6 "
                             "can): record before torch.compile")
    return nullcontext()


def _tf32():
    try:
        return torch.backends.cuda.matmul.allow_tf32 or torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # set in the newer way, which the older doesn't read
        return torch.backends.cuda.matmul.fp32_precision == "tf32"


def _digests(x, n):
    """What tells the samples of a batch apart: a hash of each one's bytes."""
    hashes = [hashlib.blake2b(digest_size=16) for _ in range(n)]
    for t in _leaves(x):
        if len(t) == n:
            t = t.detach().cpu().contiguous()
            size = t[0].numel() * t.element_size()
            for i, h in enumerate(hashes):
                h.update(ctypes.string_at(t.data_ptr() + i * size, size))
    return {h.digest() for h in hashes}


def _bare(key):
    *path, last = key.split(".")
    return ".".join([part for part in path if part not in WRAPPERS] + [last])


def _initial(model, taps, init):
    """The parameter of each tap in a state dict whose names may have more or fewer wrappers."""
    named, theirs, ours = list(model.named_parameters(remove_duplicate=False)), {}, {}
    for key in init:
        theirs.setdefault(_bare(key), []).append(key)
    for key, parameter in named:
        ours.setdefault(_bare(key), {})[key] = parameter
    found = []
    for tap in taps:  # under its name, or one that it is tied to
        parameter = tap.parameter
        names = sorted((_bare(key) != _bare(tap.key), key) for key, p in named if p is parameter)
        name = next((key for _, key in names if _bare(key) in theirs), None)
        if name is None:
            raise ValueError(f"init has no {tap.key!r}: it should be the model's state_dict() at initialisation")
        fits, same = theirs[_bare(name)], ours[_bare(name)]
        if name in fits and same.keys() >= set(fits):
            fits = [name]
        elif len(fits) > 1:
            raise ValueError(f"{fits[0]!r} and {fits[1]!r} of init would both be {tap.key!r}")
        elif len({id(p) for p in same.values()}) > 1:
            raise ValueError(f"{fits[0]!r} of init would be {' and '.join(map(repr, list(same)[:2]))}")
        if init[fits[0]].shape != parameter.shape:
            raise ValueError(f"{fits[0]!r} of init has shape {list(init[fits[0]].shape)}, the model's "
                             f"{list(parameter.shape)}: is it another network's?")
        found.append(init[fits[0]])
    return found


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
    if isinstance(x, torch.Tensor):
        return [x] if x.dim() else []
    values = x.values() if isinstance(x, dict) else x if isinstance(x, (tuple, list)) else ()
    return [leaf for value in values for leaf in _leaves(value)]


def _map(x, n, change):
    if isinstance(x, dict):
        return {key: _map(value, n, change) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return type(x)(_map(value, n, change) for value in x)
    return change(x) if isinstance(x, torch.Tensor) and x.dim() and n in (None, len(x)) else x


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
