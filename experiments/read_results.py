# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "pandas", "matplotlib", "safetensors"]
# ///
"""Example: the results of an experiment in Python, as a table and as the fan.

    uv run experiments/read_results.py out/smoke              # a line per run
    uv run experiments/read_results.py out/smoke fan.png      # and the fan of layer 0 (or .svg, .pdf)

Everything that `nfa-train run` leaves is CSV, JSON, TOML and safetensors; copy from here what you need.
`load` shows where each thing is, `fan` how the report draws it: every direction of the AGOP is a disc at
(g / g_1, m / m_1), g being its eigenvalue and m what the weights have along it; a law of exponent alpha
puts all discs on a ray of that slope.
"""

import json
import pathlib
import sys
import tomllib

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from safetensors.numpy import load_file

HUES = ["#0072b2", "#e69f00", "#009e73", "#b8578f", "#56b4e9"]  # of the report: Okabe and Ito
INK, SOFT, THEORY, RAY, WASH = "#1a1f26", "#57606a", "#7d8792", "#c3cad1", "#f4f6f8"
RADIUS = 8.25  # points, of a disc that holds all of |A|
VISIBLE = 0.02  # directions with less than this share of |A|, in disc and ring, are not drawn
FLOOR = 1e-9, 1e-4  # the axes reach no further down
GUTTER = 0.19, 0.14  # shares of the width: the strip for directions with g = 0, and room for the rays' labels


def load(folder):
    """One row per run in the plan's order, with its files behind it, and the names of the grid's keys."""
    folder = pathlib.Path(folder)
    runs = pd.read_csv(folder / "summary.csv")  # per run the last value of every column of its metrics.csv
    plan = json.loads((folder / "plan.json").read_text())["runs"]
    keys = list(dict.fromkeys(key for run in plan for key, _ in run["keys"]))
    checks = pd.DataFrame(json.loads((folder / "expectations.json").read_text()), columns=["run", "met"])
    met = checks.groupby("run").met

    def read(name, reader, nothing=None):  # nothing: a run that was stopped or diverged may lack some files
        paths = [folder / "runs" / run / name for run in runs.run]
        return [reader(path) if path.exists() else nothing for path in paths]

    behind = {
        "checks": runs.run.map(met.sum().astype(str) + "/" + met.count().astype(str)),
        # The configuration with every default; every column at every probe; A in B's eigenbasis at some
        # probes; layers.0.weight [d_out, d_in], layers.0.bias...
        "config": read("config.toml", lambda path: tomllib.loads(path.read_text()), {}),
        "probes": read("metrics.csv", pd.read_csv),
        "directions": read("directions.csv", pd.read_csv),
        "weights": read("model.safetensors", load_file, {}),
    }
    return pd.concat([runs, pd.DataFrame(behind, index=runs.index)], axis=1), keys


def table(runs, keys):
    """For people: grid keys, what was measured of layer 0 at the end, expectations met."""

    def first(probes):
        there = probes is not None and "nfa.misfit.layer0" in probes
        return probes["nfa.misfit.layer0"].iloc[0] if there else np.nan

    shown = runs[keys].copy()
    shown["parameters"] = [sum(tensor.size for tensor in weights.values()) for weights in runs.weights]
    shown["steps"] = runs.step
    shown["theory"] = runs.get("nfa.predicted.layer0", np.nan)
    shown["alpha"] = runs.get("nfa.alpha.layer0", np.nan)
    shown["misfit before"] = runs.probes.map(first)
    shown["misfit"] = runs.get("nfa.misfit.layer0", np.nan)
    shown["verdict"] = runs.get("nfa.verdict.layer0", "-")
    shown["checks"] = runs.checks
    return shown.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}")


def discs(directions, layer):
    """x = g / g_1, y = m / m_1 at the last probe, with the shares of |A| that are disc and ring."""
    if directions is None:
        return None
    here = directions[(directions.law == "nfa") & (directions.layer == layer)]
    here = here[here.step == here.step.max()].sort_values("g", ascending=False)
    if here.empty or here.g.iloc[0] <= 0 or here.m.iloc[0] <= 0:
        return None
    norm = np.sqrt((here.m**2 + here.leak**2).sum())
    found = pd.DataFrame({"x": here.g / here.g.iloc[0], "y": here.m / here.m.iloc[0],
                          "share": here.m.clip(lower=0) / norm, "leak": here.leak / norm})
    return found[(found.y > 0) & (found[["share", "leak"]].max(axis=1) >= VISIBLE)]


def fan(runs, keys, path, layer=0):
    """A panel per arm, a colour per depth (else per value of the first key that varies), a network each."""
    runs = runs[runs.outcome == "completed"]
    varying = [key for key in keys if key != "arm" and runs[key].nunique() > 1]
    hue = "model.depth" if "model.depth" in varying else next(iter(varying), None)
    panels = []
    for arm, mine in runs.groupby("arm", sort=False) if "arm" in keys else [("", runs)]:
        mine = mine.drop_duplicates(hue)[: len(HUES)] if hue else mine[:1]
        networks = [(run, discs(run.directions, layer)) for _, run in mine.iterrows()]
        panels.append((arm, [(run, found) for run, found in networks if found is not None]))
    panels = [(arm, networks) for arm, networks in panels if networks]
    if not panels:
        sys.exit("nothing to draw: is nfa among [probe] metrics, and is a run completed?")
    # The same axes for all panels, in inches from the lower left corner of the figure.
    every = pd.concat([found for _, networks in panels for _, found in networks])
    lowest = every[every > 0].min().clip(upper=0.3)
    low = [round_down(max(lowest[axis], floor)) for axis, floor in zip("xy", FLOOR)]
    lines = 0.18 * max(len(networks) for _, networks in panels)
    columns, wide, high = min(3, len(panels)), 3.45, 2.55 + lines
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(wide * columns + 0.25, high * rows + 0.1))
    for index, (arm, networks) in enumerate(panels):
        row, column = divmod(index, columns)
        corner = np.array([0.55 + wide * column, high * (rows - 1 - row) + lines + 0.62, 2.95, 1.62])
        axes = figure.add_axes(corner / np.tile(figure.get_size_inches(), 2))
        panel(axes, arm, networks, hue, low, max(1.0, every.y.max()), layer)
    figure.savefig(path, dpi=200, facecolor="white")
    print(f"the fan: {path}")


def panel(axes, title, networks, hue, low, top, layer):
    """x and y are log10 of the ratios; what has g = 0 stands in a strip at the left edge."""
    left, bottom, tall = *np.log10(low), np.log10(top / low[1])
    width = -left / (0.95 - sum(GUTTER))
    start, strip = left - sum(GUTTER) * width, GUTTER[0] * width
    axes.set(xlim=(start, 0.05 * width), ylim=(bottom - 0.13 * tall, bottom + 1.12 * tall))
    axes.add_patch(Rectangle((start, bottom - tall), strip, 3 * tall, color=WASH, lw=0, zorder=0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=THEORY, lw=0.75)
    (x, names), (y, rows) = ticks(left, 0.0), ticks(bottom, np.log10(top))
    axes.set_xticks([start + strip / 2, *x], ["0" if low[0] > FLOOR[0] else "< 10⁻⁹", *names])
    axes.xaxis.get_major_ticks()[0].tick1line.set_visible(False)
    axes.set_yticks(y, rows)
    axes.tick_params(colors=THEORY, labelcolor=SOFT, labelsize=7, width=0.75)

    predicted = pd.Series([run.get(f"nfa.predicted.layer{layer}", np.nan) for run, _ in networks]).dropna()
    theory = set((1 / predicted[predicted > 0]).round().astype(int))
    taken = []
    for depth in sorted({1, 2, 3, 4, 5} | theory, key=lambda depth: (depth not in theory, depth)):
        mine = depth in theory
        end = max(left, depth * bottom)  # where the ray of slope 1 / depth leaves the frame
        colour, weight = (THEORY, 1.1) if mine else (RAY, 0.75)
        axes.plot([0, end], [0, end / depth], color=colour, lw=weight, zorder=1)
        place = np.array([end / width, end / depth / tall])
        if any((abs(place - other) < (0.11, 0.075)).all() for other in taken):
            continue  # its label would hide another; those of the networks drawn come first
        taken.append(place)
        name = f"L = {depth}" if layer == 0 else f"1/{depth}"
        side = {"ha": "center", "va": "top", "xytext": (0, -2)}
        if end <= left:
            side = {"ha": "right", "va": "center", "xytext": (-3, 0)}
        axes.annotate(name, (end, end / depth), textcoords="offset points", fontsize=6.5, zorder=2,
                      color=SOFT if mine else THEORY, weight="bold" if mine else "normal",
                      path_effects=[withStroke(linewidth=2.2, foreground="white")], **side)

    def area(share):  # what scatter takes: the square of the diameter in points
        return (2 * RADIUS * np.sqrt(share)).clip(lower=1.8) ** 2

    for lane, (run, found) in enumerate(networks):
        parked = found.x < low[0]
        x = np.log10(found.x.clip(lower=low[0])).mask(parked, start + strip * (lane + 0.5) / len(networks))
        y = np.log10(found.y.clip(lower=low[1]))
        size, edge = area(found.share), {"edgecolors": "white", "lw": 0.6}
        axes.scatter(x, y, size, HUES[lane], alpha=0.9, zorder=3 + lane, **edge)
        for at, alpha in ((parked, 0.35), (~parked, 1.0)):
            at = at & (found.leak >= VISIBLE)
            size = area(found.leak[at])
            axes.scatter(x[at], y[at], size, "none", edgecolors=INK, lw=0.75, alpha=alpha, zorder=3 + lane)

    # Around the axes, in points from their lower left corner; below them a line per network.
    across, up = 72 * axes.bbox.size / axes.figure.dpi

    def write(x, y, text, **style):
        axes.annotate(text, (0, 0), (x, y), xycoords="axes fraction", textcoords="offset points",
                      annotation_clip=False, **({"color": INK, "fontsize": 7.5} | style))

    write(-24, up + 16, title, weight="bold")
    write(-24, up + 5, "m / m₁ (weights)", color=SOFT)
    write(across, -25, "g / g₁ (AGOP)", ha="right", color=SOFT)
    for line, (run, _) in enumerate(networks):
        alpha, misfit, verdict = (run[f"nfa.{name}.layer{layer}"] for name in ("alpha", "misfit", "verdict"))
        label = f"L = {run.config['model']['depth']}" if hue in (None, "model.depth") else str(run[hue])
        y = -40 - 13 * line
        place = {"transform": axes.transAxes, "clip_on": False}
        axes.scatter(-19 / across, (y + 2.5) / up, 40, HUES[line], lw=0, **place)
        write(-11, y, label, weight="bold")
        write(46, y, "α → 0" if alpha <= 0.001 else f"α = {alpha:.3f}")
        write(98, y, f"misfit {misfit:.2g}")
        write(across, y, verdict, ha="right")


def round_down(value):
    """To 1, 2 or 5 times a power of ten."""
    base = 10.0 ** np.floor(np.log10(value))
    return next(factor * base for factor in (5, 2, 1) if factor * base <= value * 1.000001)


def ticks(low, high):
    """Decades, each or every k-th; where there are few, 2 and 5 as well."""
    digits = (1, 2, 5) if high - low < 1.6 else (1,)
    exponents = [1, *range(0, int(np.floor(low)) - 1, -int(np.ceil((high - low) / 5.5)))]
    at = sorted((np.log10(digit) + e, digit * 10.0**e, e) for e in exponents for digit in digits)
    at = [tick for tick in at if low - 1e-9 <= tick[0] <= high + 1e-9]
    return [tick[0] for tick in at], [f"{value:g}" if e >= -3 else f"$10^{{{e}}}$" for _, value, e in at]


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: read_results.py FOLDER [PICTURE], as in out/smoke fan.png")
    found, grid = load(sys.argv[1])
    print(table(found, grid))
    if len(sys.argv) == 3:
        fan(found, grid, sys.argv[2])
