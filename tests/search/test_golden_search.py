"""Seeded searches, evaluation by evaluation. ``HWNAS_UPDATE_GOLDEN=1 pytest`` on this file makes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hwnas import supernets
from hwnas.search.study.run import search

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("objectives", [["macs", "params"], ["macs"]], ids="-".join)
def test_random_search(objectives):
    study = search(
        supernets.get("ofa-mbv3-w1.0"),
        objectives=objectives,
        algorithm="random",
        evals=12,
        seed=20,
        settings={"batch": 5},
        constraints=["macs<=300M"],
    )
    # Objectives are sums of integers, exact on every machine; times and hypervolume are not.
    found = {
        "settings": study.settings,
        "evaluations": [[one.iteration, one.key, dict(one.objectives), one.feasible] for one in study.evaluations],
        "front": study.archive.front,
    }
    file = GOLDEN / f"search_random_{'_'.join(objectives)}.json"
    if os.environ.get("HWNAS_UPDATE_GOLDEN"):
        file.write_text(json.dumps(found, indent=1) + "\n")
    assert json.loads(file.read_text()) == found
