"""Seeded searches of every algorithm, ask by ask. ``HWNAS_UPDATE_GOLDEN=1 pytest`` on this file makes them anew.

Everything that is evaluated here is a sum of small integers, exact on every machine. Predictors are not: where a
library or a processor rounds otherwise, the algorithms that predict may differ from some evaluation on. Of those, the
first evaluations are held, which no prediction has touched.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from botorch_here import needed_by

from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.supernets.space import Choice, SearchSpace

GOLDEN = Path(__file__).parents[2] / "golden" / "algorithms.json"
# What takes exact objectives alone is tested against brute force.
NAMES = [name for name in algorithms.names() if not algorithms.registry.stated(name, "NEEDS_EXACT")]
PREDICTING = {"linas": 8, "ofa-ga": 15, "motpe": 10, "optuna-gp": 10, "predict-once": 15, "qlognehvi": 12}
EVALS = 30

SPACE = SearchSpace(
    (
        Choice("d", (2, 3, 4)),
        *(Choice("w", (1, 2, 4), (0, max(0, layer - 1)) if layer > 1 else None) for layer in range(4)),
        *(Choice("k", (3, 5, 7), (0, max(0, layer - 1)) if layer > 1 else None) for layer in range(4)),
    )
)


def searched(name):
    n_obj = algorithms.registry.stated(name, "MIN_OBJECTIVES")
    none = {"random", "motpe", "linas", "optuna-gp", "qlognehvi"}
    settings = {} if name in none else {"population": 10}
    problem = Problem(SPACE, ("cost", "error")[:n_obj])
    algorithm = algorithms.create(name, problem, EVALS, np.random.default_rng(11), settings)
    keys = []
    # What is not held is not searched for.
    while len(keys) < PREDICTING.get(name, EVALS) and len(X := algorithm.ask()):
        keys.extend(SPACE.keys(X))
        F = np.stack([X.sum(axis=1), (X[:, 1:5] ** 2).sum(axis=1) - 3 * X[:, 0] - 2 * X[:, 5:].sum(axis=1)], axis=1)
        algorithm.tell(X, F[:, :n_obj].astype(float))
    return keys[: PREDICTING.get(name, EVALS)]


@pytest.mark.slow
def test_golden_file_holds_every_algorithm_of_the_package():
    if os.environ.get("HWNAS_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps({name: searched(name) for name in NAMES}, indent=1) + "\n")
    assert set(NAMES) == set(json.loads(GOLDEN.read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_seeded_search(name):
    needed_by(name)
    assert searched(name) == json.loads(GOLDEN.read_text())[name]
