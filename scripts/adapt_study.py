"""How many measurements on B are enough when A is known: ``python scripts/adapt_study.py A.json B.json``.

The files are those of ``hwnas lut check --json`` on two platforms, with the same super-network, ``-n`` and ``--seed``:
the same sub-networks, measured on both. A is known by its corrected table, or by its measurements.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from hwnas import supernets
from hwnas.search.predictors.adapt import TARGET_TAU, curve, learned
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork

SPLITS = 12
# Where two ways are compared that may both fall short of the target.
EARLY = 5


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs=2, metavar="FILE")
    checks = [json.loads(Path(file).read_text()) for file in parser.parse_args().files]
    net = supernets.get(checks[0]["supernet"])
    rows = [{row["key"]: row for row in check["rows"]} for check in checks]
    keys = [key for key in rows[0] if key in rows[1]]
    X = np.array([[int(digit, 36) for digit in key] for key in keys])
    measured, tables = (
        [np.array([r[key][field] for key in keys]) for r in rows] for field in ("measured_ms", "corrected_ms")
    )
    names = [check["platform"] for check in checks]
    lines = [
        f"{len(keys)} sub-networks; until the mean tau of {SPLITS} splits is {TARGET_TAU} (tau after {EARLY})",
        "",
        "| known on | measured on | from its table | from its measurements | from nothing |",
        "| --- | --- | --- | --- | --- |",
    ]
    for a, b in ((0, 1), (1, 0)):
        starts = (tables[a], learned(net.space, X, measured[a])(X), None)
        cells = " | ".join(_needed(net, X, measured[b], start) for start in starts)
        lines.append(f"| {names[a]} | {names[b]} | {cells} |")
    sys.stdout.write("\n".join([*lines, ""]))
    return 0


def _needed(net: SuperNetwork, X: IntArray, y: FloatArray, prior: FloatArray | None) -> str:
    found = curve(net.space, X, y, prior, np.random.default_rng(0), splits=SPLITS, target=None)
    needed = found.needed()
    told = f"never; {max(found.tau):.3f} at best" if needed is None else str(needed)
    return f"{told} ({found.tau[found.sizes.index(EARLY)]:.3f})"


if __name__ == "__main__":
    sys.exit(main())
