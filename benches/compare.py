# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "torch", "jax"]
# ///
"""Ours and theirs on the same inputs, interleaved: `nfa-train bench` beside PyTorch, JAX and NumPy.

    cargo build --release -p nfa-train
    python benches/compare.py agop --problem A
    python benches/compare.py train --problem S --solver adam
    python benches/compare.py grid --problem S --runs 64
    python benches/compare.py spectra --dim 784
    python benches/compare.py sites --problem attention --threads 1
    python benches/compare.py agop --problem A --markdown --into docs/benchmarks.md

Every contestant is a process that sets itself up and warms up once, alone; then, in rounds, each is asked for
one repeat while the others wait. What drifts on a machine (its clock, its neighbours) meets all of them
alike, so the ratios hold where the times don't. Peers take the fastest batch size of a few. A peer whose
packages are missing is left out, and named.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"

# What is to be reached: our automatic choice over the best library peer, and over the peer written by hand.
BARS = {"agop A": (2.5, 1.0), "agop B": (3.0, 1.0), "agop C": (1.0, None)}
NETWORKS = ["residual", "attention", "convolution", "step8", "step28"]
BARS |= {"sites residual": (1.0, None), "sites attention": (0.9, None), "sites convolution": (0.8, None)}
BARS |= {"sites step8": (1.0, None), "sites step28": (0.95, None)}
BARS |= {f"train {name}": (1.0, None) for name in "SML"} | {"grid S": (1.0, None)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["agop", "train", "grid", "spectra", "sites"])
    parser.add_argument("--problem", help="A, B or C for agop; S, M or L for train and grid; a network for sites")
    parser.add_argument("--solver", default="gd", choices=["gd", "adam"])
    parser.add_argument("--activation", help="instead of the problem's: relu or tanh")
    parser.add_argument("--samples", type=int, help="instead of the problem's")
    parser.add_argument("--runs", type=int, default=64, help="of a grid")
    parser.add_argument("--dim", type=int, default=784, help="of a spectrum")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="flex", help="ours; torch follows it to cuda")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for every contestant")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds of quiet before a repeat")
    parser.add_argument("--without", default="", help="leave out peers whose command has this word")
    parser.add_argument("--markdown", action="store_true", help="a table for a document")
    parser.add_argument("--into", type=Path, metavar="FILE.md", help="put it between its markers there")
    parser.add_argument("--program", type=Path, default=HERE.parent / "target/release/nfa-train")
    args = parser.parse_args()
    args.problem = args.problem or {"agop": "A", "train": "S", "grid": "S", "sites": "residual"}.get(args.what)
    for word in ("rounds", "threads", "runs", "dim"):
        if getattr(args, word) < 1:
            parser.error(f"--{word} {getattr(args, word)}: at least 1")
    known = {"agop": "ABC", "train": "SML", "grid": "SML", "sites": NETWORKS}.get(args.what, "")
    if args.problem and args.problem not in list(known):
        parser.error(f"--problem {args.problem}: {args.what} has {', '.join(known) or 'none, but --dim'}")
    args.on_cpu = args.device in ("flex", "ndarray")
    args.standard = args.activation is None and args.samples is None and args.solver == "gd" and args.on_cpu
    if not args.program.is_file():
        build = "`cargo build --release -p nfa-train`"
        parser.error(f"{args.program} is missing: build it with {build}, or give --program")
    return args


def key(args):
    """What the table's markers in a document say."""
    solver = args.solver if args.what in ("train", "grid") else None
    size = f"n={args.samples}" if args.samples else None
    device = None if args.on_cpu else args.device
    parts = [args.what, args.problem or str(args.dim), args.activation, size, solver, device]
    return " ".join(part for part in parts if part)


def environment(threads):
    """The same number of threads for all; where that is fewer than there are, on the same cores too."""
    names = ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    env = os.environ | {name: str(threads) for name in names}
    if hasattr(os, "sched_setaffinity") and threads < len(os.sched_getaffinity(0)):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return env


class Contestant:
    """A process that times one repeat whenever it is asked."""

    def __init__(self, command, env, ours=False, auto=False, by_hand=False, counts=True):
        self.ours, self.auto, self.by_hand, self.counts = ours, auto, by_hand, counts
        self.seconds, self.error, self.problem = [], None, None
        self.name = Path(command[1]).stem
        # A file, as a full pipe that nobody reads would hold the process up.
        self.messages = tempfile.TemporaryFile("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.messages}
        self.process = subprocess.Popen([str(word) for word in command], env=env, text=True, **pipes)
        line = self.process.stdout.readline()
        try:
            ready = json.loads(line)
        except json.JSONDecodeError:
            self.process.wait()
            self.problem = self.last_words() or f"said {line!r}"
            return
        self.name, self.error = ready["name"], ready.get("error")
        self.auto = ready.get("auto", auto)

    def last_words(self):
        self.messages.seek(0)
        lines = self.messages.read().strip().splitlines()
        # What Python raises stands near the end, JAX's advice about tracebacks behind it.
        raised = [line for line in lines if re.match(r"\S*(Error|Exception|Interrupt)\b", line)]
        return "".join((raised or lines)[-1:])

    def repeat(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} stopped: {self.last_words()}")
        self.seconds.append(float(line))

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait()

    @property
    def median(self):
        return statistics.median(self.seconds)


def ask(program, env, *words):
    """The rows of a short bench."""
    call = [program, "bench", *words, "--repeats", "1", "--json", "--quiet"]
    done = subprocess.run([str(word) for word in call], env=env, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def contestants(args, env, folder):
    """Starts everyone, one after the other."""
    problem = ["--problem", args.problem] if args.problem else []
    problem += ["--activation", args.activation] if args.activation else []
    size = ["--samples", args.samples] if args.samples else []
    file = folder / "problem.safetensors"
    peer = lambda script, *words, **kinds: ([sys.executable, PEERS / script, *words], kinds)  # noqa: E731
    calls = []

    def ours(*words, **kinds):
        place = ["--device", args.device, "--on-demand"] if args.what != "spectra" else ["--on-demand"]
        calls.append(([args.program, "bench", *words, *place], {"ours": True} | kinds))

    torch = ["--device", "cpu" if args.on_cpu else "cuda"]

    if args.what == "agop":
        short = ["agop", *problem, "--samples", 8, "--reference", "never"]
        for row in ask(args.program, env, *short, "--save-problem", folder / "short.safetensors"):
            ours("agop", *problem, *size, "--path", row["path"])
            if row["auto"] or row["path"] == "autodiff":
                ours("agop", *problem, *size, "--path", row["path"], "--layers", "all", counts=False)
        save = ["agop", *problem, *size, "--path", "auto", "--reference", "never", "--save-problem", file]
        calls += [peer("agop_torch.py", file, *torch, "--way", way) for way in ("loop", "jacrev")]
        calls += [peer("agop_torch.py", file, *torch, "--way", "factored", by_hand=True)]
        calls += [peer("agop_jax.py", file)]
    elif args.what in ("train", "grid"):
        problem += ["--solver", args.solver]
        for row in ask(args.program, env, "train", *problem, "--samples", 8):
            one = ["train", *problem, *size, "--engine", row["engine"]]
            if args.what == "grid":
                ours(*one, "--runs", args.runs, "--jobs", args.threads)
            ours(*one, counts=args.what == "train")
        save = ["train", *problem, *size, "--engine", "auto", "--save-problem", file]
        if args.what == "train":
            calls += [peer("train_torch.py", file, *torch), peer("train_jax.py", file, "--way", "step")]
        else:
            calls += [peer("train_jax.py", file, "--way", "replicas", "--runs", args.runs)]
        calls += [peer("train_jax.py", file, "--way", "loop")]
    elif args.what == "sites":
        ours("sites", "--network", args.problem)
        ask(args.program, env, "sites", "--network", args.problem, "--save-problem", file)
        save = None
        calls += [peer("sites_torch.py", file, *torch, "--way", way) for way in ("loop", "batched")]
        calls = calls[:2] if args.problem.startswith("step") else calls
    else:
        ours("spectra", "--dims", args.dim)
        ours("spectra", "--dims", args.dim, "--jobs", args.threads)
        save = None
        calls += [peer("spectra_numpy.py", args.dim)]
    if save:
        ask(args.program, env, *save)
    started = []
    for command, kinds in calls:
        if args.without and any(args.without in str(word) for word in command):
            continue
        contestant = Contestant(command, env, **kinds)
        if contestant.problem:
            print(f"left out: {contestant.name}: {contestant.problem}", file=sys.stderr)
            continue
        if contestant.ours:
            if args.what == "grid":
                many = f"{args.runs} runs, {args.threads} at a time"
                contestant.name += f" {many if contestant.counts else 'one run'}"
            elif not contestant.counts:
                contestant.name += ", all layers"
            contestant.name = f"nfa-train {contestant.name}"
        elif args.what == "grid" and "loop" in command:
            contestant.name += ", one run after the other"
        print(f"ready: {contestant.name}", file=sys.stderr)
        started.append(contestant)
    return started


def compete(everyone, rounds, pause):
    """One repeat each, in rounds; who begins changes, so that nobody always follows the same neighbour."""
    for number in range(rounds):
        shift = number % len(everyone)
        for contestant in everyone[shift:] + everyone[:shift]:
            time.sleep(pause)
            contestant.repeat()
        print(f"round {number + 1} of {rounds}", file=sys.stderr)


def verdict(ratio, bar):
    return "met" if ratio >= bar else f"missed, {ratio / bar:.2f} of it"


def table(args, everyone):
    """Rows of words, and what they come to."""
    libraries = [c for c in everyone if not c.ours and not c.by_hand and c.counts]
    hands = [c for c in everyone if c.by_hand]
    best = min(libraries, key=lambda c: c.median, default=None)
    unit = {"agop": "AGOPs/s", "spectra": "spectra/s", "sites": "sweeps/s"}.get(args.what, "steps/s")
    rows = [["contestant", "median [ms]", "min [ms]", unit, "best library peer / this", "error"]]
    for c in sorted(everyone, key=lambda c: c.median):
        ratio = f"{best.median / c.median:.2f}" if best else "-"
        mark = " *" if c.auto else ""
        found = "-" if c.error is None else f"{c.error:.0e}"
        times = [f"{1e3 * seconds:.4g}" for seconds in (c.median, min(c.seconds))]
        rate = f"{1 / c.median:.0f}" if c.median < 0.01 else f"{1 / c.median:.4g}"
        rows.append([c.name + mark, *times, rate, ratio, found])
    notes = ["`*` runs without a choice" if any(c.auto for c in everyone) else ""]
    chosen = [c for c in everyone if c.ours and c.auto and c.counts]
    for ours in chosen:
        # Bars are set for the standard problems as they stand.
        bar = BARS.get(f"{args.what} {args.problem}", (None, None)) if args.standard else (None, None)
        rivals = [(best, bar[0])] + [(hand, bar[1]) for hand in hands]
        for rival, at_least in rivals:
            if rival is None:
                continue
            ratio = rival.median / ours.median
            note = f"{ours.name}: {ratio:.2f} times as fast as {rival.name}"
            if at_least is not None:
                note += f"; the bar is {at_least}: {verdict(ratio, at_least)}"
            notes.append(note)
        # The same engine on one run, or the same path to all layers.
        way = ours.name.split()[1]
        for other in (c for c in everyone if c.ours and not c.counts and c.name.split()[1].strip(",") == way):
            ratio = other.median / ours.median
            if args.what == "agop":
                met = f"; the bar is below 1.45: {'met' if ratio < 1.45 else 'missed'}"
                met = met if args.standard and args.problem == "A" else ""
                notes.append(f"all layers in one sweep: {ratio:.2f} times the first one's time{met}")
            else:
                met = f"; the bar on two cores is 1.8: {verdict(ratio, 1.8)}" if args.threads == 2 else ""
                notes.append(f"{ratio:.2f} times the rate of one run{met}")
    return rows, [note for note in notes if note]


def title(args):
    grid, spectrum = f"a grid of {args.runs} runs,", f"spectrum, d = {args.dim}"
    words = {"sites": "all sites,", "agop": "AGOP", "train": "training", "grid": grid, "spectra": spectrum}
    parts = [words[args.what], args.problem, args.activation, f"n = {args.samples}" if args.samples else None]
    parts += [args.solver] if args.what in ("train", "grid") else []
    parts += [None if args.on_cpu else f"on {args.device}"]
    return " ".join(part for part in parts if part)


def machine(args, env, folder):
    file = folder / "machine.json"
    ask(args.program, env, "spectra", "--dims", 8, "--device", args.device, "--save", file)
    return json.loads(file.read_text().splitlines()[0])


def plain(rows, notes):
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    cell = lambda k, text: text.ljust(widths[k]) if k == 0 else text.rjust(widths[k])  # noqa: E731
    lines = ["  ".join(cell(k, text) for k, text in enumerate(row)).rstrip() for row in rows]
    return "\n".join(lines + notes)


def markdown(rows, notes, about, args):
    cpu = f"{about['cpu']}, {args.threads} of {about['cores']} cores, {' '.join(about['features'])}"
    cpu += f", {about['gpu']}" if about["gpu"] else ""
    revision = (about["git_revision"] or "no revision")[:10]
    build = f"nfa-train {about['versions']['nfa-train']} ({revision}, {about['profile']})"
    head = f"{about['date'][:10]}, {cpu}; {build}; {args.rounds} rounds."
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| --- |" + " ---: |" * (len(rows[0]) - 1))
    return "\n".join([head, "", *lines, "", *("- " + note for note in notes)])


def place(file, name, text=None):
    """Between `<!-- name -->` and `<!-- end -->`; without a text looks whether there is such a place."""
    try:
        whole = file.read_text()
    except OSError as error:
        raise SystemExit(f"--into {file}: {error.strerror}; name a document with a place for the table") from None
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(whole):
        raise SystemExit(f"--into {file}: no place for this table: <!-- {name} --> and, below it, <!-- end -->")
    if text is not None:
        file.write_text(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", whole))


def main():
    args = arguments()
    if args.into:
        place(args.into, key(args))
    env = environment(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        everyone = contestants(args, env, folder)
        if not everyone:
            raise SystemExit("nobody to compare")
        try:
            compete(everyone, args.rounds, args.pause)
        finally:
            for contestant in everyone:
                contestant.end()
        rows, notes = table(args, everyone)
        print(f"{title(args)}, {args.threads} threads, {args.rounds} rounds")
        if args.markdown or args.into:
            text = markdown(rows, notes, machine(args, env, folder), args)
            print(text)
            if args.into:
                place(args.into, key(args), text)
        else:
            print(plain(rows, notes))


if __name__ == "__main__":
    main()
