"""The script behind the tables of ``docs/search.md`` and ``docs/comparison.md``."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.search.algorithm import Problem
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("k", (0, 1, 2)) for _ in range(6)))


@pytest.fixture
def study(load_script):
    return load_script("search_study")


def evaluate(X):
    return np.stack([X[:, :3].sum(axis=1), 6.0 - X.sum(axis=1)], axis=1)


@pytest.fixture
def bench(study):
    return study.Bench("small", Problem(SPACE, ("a", "b")), evaluate, np.array([7.0, 7.0]), 50.0)


@pytest.fixture
def ran(study, monkeypatch):
    """The number of evaluations and the seed of each search that runs."""
    searches, original = [], study.searched

    def searched(bench, name, settings, evals, seed):
        searches.append((evals, seed))
        return original(bench, name, settings, evals, seed)

    monkeypatch.setattr(study, "searched", searched)
    return searches


def test_a_search_that_stands_in_the_file_is_not_run_again(study, bench, ran, tmp_path):
    kept = study.Kept(tmp_path / "searches.jsonl")
    first = study.row(bench, "random", ("random", {}), (4, 8), range(2), kept)
    assert ran == [(8, 0), (8, 1)]
    assert study.row(bench, "random", ("random", {}), (4, 8), range(2), kept) == first
    assert len(ran) == 2
    study.row(bench, "random", ("random", {}), (4, 8), range(3), kept)
    assert ran[2:] == [(8, 2)]
    study.row(bench, "another", ("random", {}), (4, 8), range(2), kept)
    assert ran[3:] == [(8, 0), (8, 1)]


def test_one_seed_has_no_standard_error(study, bench):
    line = study.row(bench, "random", ("random", {}), (4, 8), range(1), study.Kept(None))
    assert "±" not in line
    assert 0 < float(line.split("|")[2]) <= float(line.split("|")[3])


def test_figures_are_the_same_without_a_file(study, bench, tmp_path):
    settings = ("nsga2", {"population": 4})
    rows = [
        study.row(bench, "nsga2", settings, (4, 8), range(2), study.Kept(file))
        for file in (None, tmp_path / "searches.jsonl")
    ]
    assert rows[0].split("|")[:4] == rows[1].split("|")[:4]


def test_what_depends_on_the_number_of_evaluations_searches_anew_for_every_mark(study, bench, ran):
    settings = ("predict-once", {"predictor": "ridge", "inner_evals": 100, "population": 10})
    study.row(bench, "predict-once", settings, (6, 12), range(2), study.Kept(None))
    assert ran == [(6, 0), (12, 0), (6, 1), (12, 1)]
