"""What every registered search algorithm must do; a new file, or an installed plug-in, is tested by being there."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from botorch_here import needed_by
from conforming import every_check, hold

from hwnas.conformance.algorithms import SUITE, AlgorithmSubject, tiny_space
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.supernets.errors import UnknownNameError, UsageError

# What takes exact objectives alone is tested in tests/search/test_exact.py.
NAMES = [name for name in algorithms.names() if not getattr(algorithms.registry.provider(name), "NEEDS_EXACT", False)]
# What holds of an algorithm holds with a short inner search as with a long one.
SETTINGS = {
    "linas": {"inner_evals": 600, "population": 40},
    "optuna-gp": {"first": 30},
    "predict-once": {"inner_evals": 600, "population": 40, "predictor": "ridge"},
    "qlognehvi": {"first": 30, "batch": 10, "samples": 16, "candidates": 32, "starts": 1},
}
# The algorithms that think for a second about each evaluation begin that some evaluations before a check ends, of 40
# where nothing else is said.
LIBRARIES = {"optuna-gp", "qlognehvi"}
BEGIN = {
    "more_evaluations_begin_alike": {"first": 20},  # of 25 and of 40
    "new_canonical_vectors_and_progress": {"first": 115},  # of 120
    "bounds_steer_the_search": {"first": 106},
}


def subject(name, check=""):
    begin = BEGIN.get(check, {}) if name in LIBRARIES else {}
    return AlgorithmSubject(name, SETTINGS.get(name, {}) | begin)


@pytest.mark.parametrize(("name", "check"), every_check(SUITE, NAMES))
def test_every_algorithm(name, check):
    needed_by(name)
    hold(check, subject(name, check.name))


@pytest.mark.parametrize(("name", "n_obj"), [(n, m) for n in NAMES for m in (1, 2, 3, 5) if not subject(n).allows(m)])
def test_refuses_a_wrong_number_of_objectives_and_names_those_that_can(name, n_obj):
    names = tuple(f"f{number}" for number in range(n_obj))
    with pytest.raises(UsageError, match=rf"takes .* objectives?, got {n_obj} .*random"):
        algorithms.create(name, Problem(tiny_space(), names), 5, np.random.default_rng(0))


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="did you mean 'nsga2'"):
        algorithms.create("nsga", Problem(tiny_space(), ("error", "cost")), 5, np.random.default_rng(0))


@pytest.mark.slow
def test_hash_seed_changes_nothing():
    """Sets and dicts of strings and bytes iterate in an order that PYTHONHASHSEED shuffles."""
    script = (
        "from hwnas.conformance.algorithms import AlgorithmSubject, layered_space; s = layered_space()\n"
        f"for name, settings in (('linas', {SETTINGS['linas']}), ('nsga2', {{}}), ('motpe', {{}}), "
        "('optuna-gp', {'first': 55})):\n"
        "    print(AlgorithmSubject(name, settings).run(s, 2, 60)[0].tolist())"
    )
    outputs = set()
    for seed in ("0", "1"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert "[" in outputs.pop()
