"""Writes golden JSON files, and compares a fresh computation with a committed one."""

import json
import pathlib
import sys

import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
TOLERANCE = 1e-12  # relative to max(1, |value|)


def plain(value):
    """NumPy values as plain Python ones; a non-finite number is a bug, undefined is None."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        value = float(value)
        if not np.isfinite(value):
            raise ValueError("non-finite value in a golden file")
    return value


def numeric(value):
    if isinstance(value, list):
        return all(numeric(v) for v in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def dumps(value, indent=0):
    """JSON with one line per matrix or scalar, so that diffs stay readable."""
    pad = " " * indent
    if isinstance(value, dict) and value:
        items = [f'{pad} {json.dumps(k)}: {dumps(v, indent + 1)}' for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + pad + "}"
    if isinstance(value, list) and value and not numeric(value):
        items = [f"{pad} {dumps(v, indent + 1)}" for v in value]
        return "[\n" + ",\n".join(items) + "\n" + pad + "]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def differences(new, old, path=""):
    """Every place where two trees differ by more than the tolerance."""
    if isinstance(new, dict) and isinstance(old, dict):
        for key in sorted(set(new) | set(old)):
            if key not in new or key not in old:
                yield f"{path}.{key}: in one file only"
            elif path or key != "meta":  # meta names versions, no results
                yield from differences(new[key], old[key], f"{path}.{key}")
    elif isinstance(new, list) and isinstance(old, list):
        if len(new) != len(old):
            yield f"{path}: length {len(new)} against {len(old)}"
            return
        for i, (a, b) in enumerate(zip(new, old)):
            yield from differences(a, b, f"{path}[{i}]")
    elif numeric(new) and numeric(old):
        if abs(new - old) > TOLERANCE * max(1.0, abs(old)):
            yield f"{path}: {new!r} against {old!r}"
    elif new != old or type(new) is not type(old):
        yield f"{path}: {new!r} against {old!r}"


def main(script, files):
    """`files` maps a file name to its content; writes them, or compares with --check."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(f"usage: python tests/oracle/{script} [--check]")
    failed = False
    for name, content in files.items():
        meta = {
            "script": f"tests/oracle/{script}",
            "numpy": np.__version__,
            "command": f"python tests/oracle/{script}",
        }
        content = plain({"meta": meta, **content})
        path = GOLDEN / name
        if sys.argv[1:]:
            found = list(differences(content, json.loads(path.read_text())))
            for line in found[:20]:
                print(f"{name}: {line}")
            print(f"{name}: {len(found)} differences")
            failed |= bool(found)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(dumps(content) + "\n")
            print(f"{path.name}: {path.stat().st_size} bytes")
    sys.exit(1 if failed else 0)
