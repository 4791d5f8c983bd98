"""Choices whose values have no order: whatever numbers their labels are, the search sees the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from botorch_here import needed_by
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.predictors._blocks import SpaceFeatures, coordinates
from hwnas.search.predictors._sources import SourceFeatures
from hwnas.search.predictors.gp import GaussianProcess
from hwnas.search.sampling import of_all_sizes, spread
from hwnas.search.study.plan import _digest
from hwnas.supernets.space import Choice, SearchSpace

N_OPS = 4
ORDERS = st.permutations(range(N_OPS))


def cells(ordered=False):
    """Six layers with one of four operations, which are labels, and a kernel size, which has an order; a depth."""
    depth = Choice("d", (4, 5, 6))
    ops = [Choice("op", tuple(range(N_OPS)), (0, max(0, layer - 3)), ordered=ordered) for layer in range(6)]
    return SearchSpace((depth, *ops, *(Choice("ks", (3, 5, 7), choice.needs) for choice in ops)))


SPACE = cells()


def relabelled(X, order):
    """The same networks, if every operation were called by another's number."""
    return np.column_stack([X[:, :1], np.array(order)[X[:, 1:7]], X[:, 7:]])


def latency(X):
    cost = np.array([3.0, 1.0, 9.0, 4.0])
    X = SPACE.canonical(X)
    return (cost[X[:, 1:7]] * (1.0 + X[:, 7:]) * SPACE.active(X)[:, 1:7]).sum(axis=1) + 1.0


@settings(max_examples=15)
@given(ORDERS, st.integers(0, 99))
def test_the_process_predicts_the_same_for_permuted_labels(order, seed):
    X, asked = SPACE.sample(14, seed), SPACE.sample(30, seed + 1000)
    y, found = latency(X), []
    for known, wanted in ((X, asked), (relabelled(X, order), relabelled(asked, order))):
        features = SpaceFeatures(SPACE)
        start = np.append(np.concatenate([[b.amplitude, *[b.scale] * b.n_scales] for b in features.blocks]), -3.0)
        process = GaussianProcess(features(known), y, features.blocks, 0.0, start, iterations=0)
        found.append(process.predict(features(wanted), return_std=True))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-7, atol=1e-9)


@settings(max_examples=10)
@given(ORDERS, st.integers(0, 99))
def test_what_sources_say_has_the_same_distances_for_permuted_labels(order, seed):
    X, inner = SPACE.canonical(SPACE.sample(80, seed)), []
    for rows in (X, relabelled(X, order)):
        # What the source says depends on the networks, not on what they are called.
        features = SourceFeatures(SPACE, lambda _: latency(X), reference=rows)
        F = features(rows)
        models = [F[:, block.columns] @ F[:, block.columns].T for model in features.models for block in model]
        inner.append(models)
    assert len(inner[0]) == len(inner[1])
    for one, same in zip(*inner, strict=True):
        np.testing.assert_allclose(one, same, atol=1e-8)


@pytest.mark.parametrize("mutation", list(MUTATIONS.values()), ids=list(MUTATIONS))
def test_a_mutation_leads_to_every_other_label_alike(mutation, rng):
    X = np.tile(SPACE.largest(), (6000, 1))
    moved = mutation(SPACE, X, rng, 0.5)[:, 1]
    counts = np.bincount(moved[moved != X[:, 1]], minlength=N_OPS)
    assert counts[X[0, 1]] == 0
    others = np.delete(counts, X[0, 1])
    assert others.sum() > 1000
    assert others.min() > 0.85 * others.mean()
    # Ordered ones still move to their neighbours first.
    if mutation is not MUTATIONS["reset"]:
        assert (mutation(SPACE, X, rng, 0.5)[:, 7] != 0).all()


@pytest.mark.parametrize("crossover", list(CROSSOVERS.values()), ids=list(CROSSOVERS))
def test_a_child_has_a_label_of_one_of_its_parents(crossover, rng):
    A, B = np.tile(SPACE.smallest(), (2000, 1)), np.tile(SPACE.largest(), (2000, 1))
    child = crossover(SPACE, A, B, rng)
    labels = slice(1, 7)
    assert ((child == A) | (child == B))[:, labels].all()


def test_labels_are_drawn_uniformly_at_every_size(rng):
    for drawn in (spread(SPACE, 4000, rng), of_all_sizes(SPACE, 4000, rng)):
        large = drawn[(drawn[:, 0] == 2) & (drawn[:, 7:].mean(axis=1) > 1.5)]
        counts = np.bincount(large[:, 6], minlength=N_OPS)
        assert counts.min() > 0.7 * counts.mean()


# Those with models of other libraries take seconds.
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("optuna-gp", "predict-once", "qlognehvi")]


@pytest.mark.parametrize("name", ["linas", "nsga2", "motpe", "age-moea", *SLOW])
def test_algorithms_search_it(name):
    needed_by(name)
    problem = Problem(SPACE, ("latency", "ks"))
    brief = {"linas": {"inner_evals": 300}, "optuna-gp": {"first": 18}, "qlognehvi": {"first": 16, "samples": 32}}
    settings = brief.get(name, {})
    algorithm = algorithms.create(name, problem, 24, np.random.default_rng(0), settings)
    seen = 0
    while len(X := algorithm.ask()) and seen < 24:
        seen += len(X)
        algorithm.tell(X, np.column_stack([latency(X), -X[:, 7:].sum(axis=1)]))
    assert seen >= 20


def test_a_label_has_no_coordinate_and_no_size():
    table = coordinates(SPACE)
    assert (table[1:7] == 0).all()
    assert table[7].tolist()[:3] == [-1.0, 0.0, 1.0]


def test_labels_of_a_kind_are_learned_in_common():
    """A dozen networks tell what an operation costs wherever it stands; as numbers they do not."""
    X, asked, errors = SPACE.sample(16, 3), SPACE.sample(200, 4), []
    for ordered in (False, True):
        features = SpaceFeatures(cells(ordered=ordered))
        process = GaussianProcess(features(X), latency(X), features.blocks)
        errors.append(np.corrcoef(process.predict(features(asked)), latency(asked))[0, 1])
    assert errors[0] > errors[1] + 0.05


def test_ordered_spaces_are_known_as_before_and_others_are_others():
    assert _digest(cells(ordered=True)) != _digest(SPACE)
    assert "ordered" not in repr(SPACE.choices)
    assert _digest(supernets.get("ofa-mbv3-w1.2").space) == "a8731e1ad5f1bf6c"
    assert SPACE.choices[1] != replace(SPACE.choices[1], ordered=True)
