"""Train a small byte-level decoder on English text, and compare how two halves of other text rank its sub-networks.

The text is the documentation in the source of installed packages. The script prints the table of ``docs/language.md``::

    python scripts/language_study.py --folder build/language
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from hwnas import supernets
from hwnas.harness import data, quality
from hwnas.harness.quality import QualityOptions
from hwnas.supernets.training.loop import train

SUPERNET = "hw-gpt-s:vocabulary=bytes,scale=0.25"
PACKAGES = ("numpy", "scipy", "sklearn", "torch")
# Of 16 texts, 12 are trained on, and 2 are in each half of the test.
PARTS = {"train": range(12), "first": range(12, 14), "second": range(14, 16)}
SUBNETWORKS = 20


def documentation() -> Iterator[str]:
    """Yield every docstring of the packages that has a few sentences, once."""
    seen = set()
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            sys.exit(f"{package} is not installed")
        for file in sorted(Path(spec.origin).parent.rglob("*.py")):
            for text in _docstrings(file):
                if len(text) >= 400 and text not in seen:
                    seen.add(text)
                    yield text


def _docstrings(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def written(folder: Path) -> dict[str, Path]:
    """Write the text, each docstring to the part that its digest says; return the files."""
    parts: dict[str, list[str]] = {name: [] for name in PARTS}
    for text in documentation():
        number = hashlib.sha256(text.encode()).digest()[0] % 16
        parts[next(name for name, numbers in PARTS.items() if number in numbers)].append(text)
    files = {}
    for name, texts in parts.items():
        files[name] = folder / f"{name}.txt"
        files[name].write_text("\n\n".join(texts), encoding="utf-8")
    return files


def main() -> None:
    """Train, evaluate, and print what docs/language.md shows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("build/language"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--subset", type=int, default=100, help="test windows of each half")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    files, net = written(given.folder), supernets.get(SUPERNET)
    for name, file in files.items():
        _say(f"{name}: {file.stat().st_size:,} bytes")
    task = data.get(f"text:{files['train']},batch={given.batch},window={given.window}", net)
    weights = given.folder / "weights.pt"
    options = replace(task.defaults, steps=given.steps, warmup=given.steps // 10)
    begun = time.perf_counter()
    done = train(net, task, options, weights, resume=weights.exists(), progress=_shown)
    _say(f"trained {done.step} steps in {done.elapsed_s:.0f} s, loss {done.loss:.3f}")
    X = np.concatenate([net.space.sample(SUBNETWORKS, 0), net.space.smallest(), net.space.largest()])
    columns = []
    for half in ("first", "second"):
        spec = f"perplexity:{files[half]},window={given.window}"
        found = quality.get(spec, net, QualityOptions(weights=str(weights), subset=given.subset)).evaluate(X)
        columns.append(found)
        _say(
            f"{half}: {found[:SUBNETWORKS].min():.3f} to {found[:SUBNETWORKS].max():.3f}, smallest {found[-2]:.3f}, "
            f"largest {found[-1]:.3f}"
        )
    tau = kendalltau(columns[0][:SUBNETWORKS], columns[1][:SUBNETWORKS]).statistic
    _say(f"Kendall's tau of {SUBNETWORKS} random sub-networks between the halves: {tau:.3f}")
    _say(f"{time.perf_counter() - begun:.0f} s in all")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _shown(progress: object) -> None:
    step, loss, elapsed = (getattr(progress, name) for name in ("step", "loss", "elapsed_s"))
    if step % 10 == 0:
        sys.stderr.write(f"step {step}: loss {loss:.3f}, {elapsed:.0f} s\n")


if __name__ == "__main__":
    main()
