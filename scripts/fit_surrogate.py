"""Fit the shipped accuracy surrogate of ofa-mbv3-w1.0 again, and write its coefficients and its model card.

    python scripts/fit_surrogate.py            # prints the card, says whether what is shipped agrees
    python scripts/fit_surrogate.py --write    # replaces what is shipped

The measured rows are DyNAS-T's published results (fetched where they are not on this machine). They are not part of the
project; what it ships are the coefficients of its own regression on them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.harness.quality import surrogate
from hwnas.harness.quality.pairwise import PairwiseModel, cross_validate, fit
from hwnas.latency_luts.lookup import Lookup
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.supernets.assets import Asset, locate
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.writing import write_file

SUPERNET = "ofa-mbv3-w1.0"
COLUMN = "Top-1 Acc (%)"
COMMIT = "251cb5e0083077522eb554691f480ba750e63246"
LICENCE = "Apache-2.0"
SHA256 = {
    "mbnv3w10_evoga_acc.csv": "460efa9d68388f0523248c68996738a4cf1580115299c5223386acefd01c2904",
    "mbnv3w10_evonsga2_acc_macs.csv": "26382008e3311c93cbb1f8de3310ac69a37c650c9692e032c90e04805e523cbe",
    "mbnv3w10_evounsga3_acc_macs_params.csv": "b24f148a72d2f1bb1b3422a2f7f8a1f21e59bf5d47f033c0945840ac5d78384c",
    "mbnv3w10_linasga_acc.csv": "63f986501c47e44f3c7426acbcbf8787662a8aa93683d95461a6f6bb659765f7",
    "mbnv3w10_linasnsga2_acc_macs.csv": "cc49278a179df47e6a8f5906e0bd32a6d2f4d29c0d0424ab0ac14eb4a10f8962",
}


def main() -> int:
    """Fit, print the card, and write or compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the shipped coefficients and card")
    arguments = parser.parse_args()
    net = supernets.get(SUPERNET)
    X, y = measured_rows()
    lookup = Lookup.averaged(net.space, X, y)
    features, groups = net.space.one_hot(lookup.vectors), surrogate.groups(net.space)
    model = fit(features, groups, lookup.values)
    card = _card(len(y), lookup, features, groups)
    print(json.dumps(card, indent=2))  # noqa: T201 -- a script's output
    if arguments.write:
        _write(model, card)
        return 0
    gap = float(np.abs(surrogate.model(SUPERNET).predict(features) - model.predict(features)).max())
    print(f"the shipped coefficients predict within {gap:.2g} points of these")  # noqa: T201 -- a script's output
    return 0 if gap < 1e-3 else 1


def measured_rows() -> tuple[IntArray, FloatArray]:
    """Return the measured sub-networks ``(n, 45)`` and their top-1 in per cent ``(n,)``, duplicates and all."""
    space = supernets.get(SUPERNET).space
    tables = [MeasuredTable.read(locate(_asset(name, sha256))) for name, sha256 in SHA256.items()]
    X = np.vstack([table.vectors(space) for table in tables])
    return X, np.concatenate([table.measured(table.metric(COLUMN)) for table in tables])


def _asset(name: str, sha256: str) -> Asset:
    url = f"https://raw.githubusercontent.com/IntelLabs/DyNAS-T/{COMMIT}/notebooks/data/{name}"
    return Asset(f"dynast/{name}", (url,), sha256, LICENCE)


def _card(n_rows: int, lookup: Lookup, features: FloatArray, groups: IntArray) -> dict[str, Any]:
    error = cross_validate(features, groups, lookup.values)
    return {
        "schema": 1,
        "supernet": SUPERNET,
        "resolution": 224,
        "metric": "top1",
        "unit": "%",
        "model": "linear regression on masked one-hot features and their products, Gaussian priors",
        "fitted_by": "scripts/fit_surrogate.py",
        "data": f"https://github.com/IntelLabs/DyNAS-T/tree/{COMMIT}/notebooks/data",
        "data_licence": LICENCE,
        "data_sha256": SHA256,
        "rows": n_rows,
        "distinct": error.n,
        "measured_range": [float(lookup.values.min()), float(lookup.values.max())],
        "folds": 5,
        "folds_over": "distinct sub-networks, the duplicates' mean as target",
        "kendall_tau": round(error.tau, 4),
        "mape_percent": round(error.mape, 4),
        "rmse_points": round(error.rmse, 4),
        "limits": [
            "Only ofa-mbv3-w1.0 at 224 px: other widths and resolutions are refused.",
            "The measured sub-networks come from searches; far from their fronts it is less good than the folds say.",
            "The same sub-network measured twice differs by up to 0.096 points.",
        ],
    }


def _write(model: PairwiseModel, card: dict[str, Any]) -> None:
    surrogate.FOLDER.mkdir(exist_ok=True)
    coefficients = json.dumps(model.to_json(), separators=(",", ":"))
    _text(surrogate.FOLDER / f"{SUPERNET}.json", coefficients)
    _text(surrogate.FOLDER / f"{SUPERNET}.card.json", json.dumps(card, indent=2))


def _text(file: Path, text: str) -> None:
    write_file(file, f"{text}\n".encode())


if __name__ == "__main__":
    raise SystemExit(main())
