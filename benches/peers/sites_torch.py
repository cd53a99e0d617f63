# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "torch"]
# ///
"""The AGOPs at all maps of a network in PyTorch, on a problem of `nfa-train bench sites --save-problem`.

    python benches/peers/sites_torch.py attention.safetensors --way loop|batched

Both are what forward hooks allow: the gradients of the outputs in what every map puts out, K = sum of their outer
products, and W' K W. `loop` has a backward pass per output over one graph, `batched` all of them at once
(is_grads_batched). For step8 and step28 it is one forward and backward pass of torch in eager mode.
"""

import argparse
import os

import problem
import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("--way", choices=["loop", "batched"], default="loop")
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
tensors, words = problem.load(args.file)
network = words["network"]
step = network.startswith("step")
put = lambda array: torch.tensor(array, device=args.device)  # noqa: E731
p = {name: put(array) for name, array in tensors.items() if name != "x" and not name.startswith("agop.")}
x = put(tensors["x"])
n = len(x)


def linear(name, h):
    return F.linear(h, p[f"{name}.weight"], p[f"{name}.bias"])


def norm(name, h):
    return F.layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])


def conv(name, h):
    return F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"])


def residual(x, at):
    h = at("stem", linear("stem", x))
    for i in range(3):
        u = torch.tanh(at(f"blocks.{i}.up", linear(f"blocks.{i}.up", norm(f"blocks.{i}.norm", h))))
        h = h + at(f"blocks.{i}.down", linear(f"blocks.{i}.down", u))
    return at("head", linear("head", h))


def attention(x, at):
    x = x.reshape(len(x), 16, -1)
    apart = lambda z: z.reshape(len(x), 16, 4, -1).transpose(1, 2)  # noqa: E731
    q, k, v = (apart(at(name, linear(name, x))) for name in "qkv")
    mix = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v
    h = x + at("o", linear("o", mix.transpose(1, 2).reshape(x.shape)))
    return at("head", linear("head", h.mean(1)))


def convolution(x, at):
    side = int(x.shape[1] ** 0.5)
    h = F.relu(at("conv1", conv("conv1", x.reshape(-1, 1, side, side))))
    h = F.relu(at("conv2", conv("conv2", h)))
    return h if step else at("head", linear("head", h.flatten(1)))


net = {"residual": residual, "attention": attention}.get(network, convolution)


def outer(K, z, g):
    """K + the sum over samples, positions (and outputs) of g g'."""
    channels = 1 if z.dim() == 4 else z.dim() - 1
    g = g.movedim(channels - z.dim(), -1).reshape(-1, K.shape[0])
    K.addmm_(g.T, g)


def sweep(batch):
    Ks = {}
    for rows in x.split(batch):
        zs = {}

        def at(name, z):
            zs[name] = z if z.requires_grad else z.requires_grad_()
            return zs[name]

        y = net(rows, at)
        c = y.shape[1]
        if args.way == "loop":
            gradients = (torch.autograd.grad(y[:, k].sum(), zs.values(), retain_graph=k + 1 < c) for k in range(c))
        else:
            selected = torch.eye(c, device=args.device)[:, None, :].expand(c, len(rows), c)
            gradients = [torch.autograd.grad(y, zs.values(), selected, is_grads_batched=True)]
        for each in gradients:
            for (name, z), g in zip(zs.items(), each):
                k = len(p[f"{name}.weight"])
                outer(Ks.setdefault(name, x.new_zeros(k, k)), z, g)
    weights = {name: p[f"{name}.weight"].flatten(1) for name in Ks}
    return {name: weights[name].T @ K @ weights[name] / n for name, K in Ks.items()}


def train():
    h = x.detach().requires_grad_()
    parameters = [h, *(value.requires_grad_() for value in p.values())]
    loss = net(h, lambda name, z: z).square().sum()
    torch.autograd.grad(loss, parameters)


def done(result):
    if args.device != "cpu":
        torch.cuda.synchronize()
    return result


version = torch.__version__.split("+")[0]
if step:
    call, name, found = (lambda: done(train())), "eager", None
else:
    sizes = {str(size): (lambda size=size: done(sweep(size))) for size in (64, 128, 256, 512, n)}
    batch = int(problem.fastest(sizes))
    call, name = (lambda: done(sweep(batch))), f"{args.way}, batch {batch}"
    agops = call()
    found = max(problem.error(agops[site].cpu().numpy(), tensors[f"agop.{site}"]) for site in agops)


def work(calls):
    for _ in range(calls):
        call()


problem.serve(f"torch {version} {args.device} {name}", work, found, block=0.05)
