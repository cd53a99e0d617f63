# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "torch"]
# ///
"""Full-batch training steps in PyTorch, eager, on a problem of `nfa-train bench train --save-problem`.

    python benches/peers/train_torch.py S.safetensors
"""

import argparse
import os

import numpy as np
import problem
import torch

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

if "OMP_NUM_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
tensors, words = problem.load(args.file)
x, y = (torch.tensor(tensors[name], device=args.device) for name in "xy")
phi = {"relu": torch.relu, "tanh": torch.tanh}[words["activation"]]
assert words["loss"] == "mse", words["loss"]


class Training:
    def __init__(self):
        def leaf(array):
            return None if array is None else torch.tensor(array, device=args.device, requires_grad=True)

        self.layers = [[leaf(array) for array in layer] for layer in problem.layers(tensors)]
        parameters = [array for layer in self.layers for array in layer if array is not None]
        decay = float(words["weight_decay"])
        matrices = [p for p in parameters if p.dim() > 1]  # biases don't decay
        groups = [{"params": matrices, "weight_decay": decay}]
        groups += [{"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
        rule = {"gd": torch.optim.SGD, "adam": torch.optim.Adam}[words["solver"]]
        self.parameters, self.rule = parameters, rule(groups, lr=float(words["lr"]))

    def advance(self, steps):
        for _ in range(steps):
            h = x
            for i, (w, b) in enumerate(self.layers):
                h = h @ w.T if b is None else h @ w.T + b
                h = phi(h) if i + 1 < len(self.layers) else h
            self.rule.zero_grad()
            torch.nn.functional.mse_loss(h, y).backward()
            self.rule.step()
        if args.device != "cpu":
            torch.cuda.synchronize()


checked = Training()
checked.advance(int(words["steps"]))
after = np.concatenate([p.detach().cpu().numpy().ravel() for p in checked.parameters])
found = problem.error(after, tensors["parameters_after_steps"])
version = torch.__version__.split("+")[0]
problem.serve(f"torch {version} {args.device} eager", Training().advance, found)
