from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from hwnas.harness.quality.pairwise import PairwiseModel, cross_validate, fit
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(
    (Choice("a", (1, 2, 3)), Choice("b", (1, 2), needs=(0, 1)), Choice("c", (1, 2, 3, 4)), Choice("f", (1, 2)))
)
GROUPS = np.repeat(np.arange(4), SPACE.n_options)
X = SPACE.canonical(np.array(list(itertools.product(range(3), range(2), range(4), range(2)))))
FEATURES = SPACE.one_hot(X)


def truth(features):
    """Singles and pairs, no more."""
    rng = np.random.default_rng(0)
    pairs = np.triu(rng.normal(size=(11, 11)), 1)
    return 50 + features @ rng.normal(size=11) + np.einsum("ij,jk,ik->i", features, pairs, features)


def test_the_sum_is_that_of_a_plain_loop(rng):
    model = PairwiseModel(3.0, rng.normal(size=11), np.triu(rng.normal(size=(11, 11)), 1))
    expected = []
    for row in FEATURES:
        on = np.flatnonzero(row)
        expected.append(3 + sum(model.linear[on]) + sum(model.pairs[i, j] for i in on for j in on if i < j))
    assert model.predict(FEATURES) == pytest.approx(expected)


def test_more_rows_than_a_chunk(rng):
    model = fit(FEATURES, GROUPS, truth(FEATURES))
    rows = rng.integers(len(FEATURES), size=20_000)
    assert model.predict(FEATURES[rows]) == pytest.approx(model.predict(FEATURES)[rows])


def test_what_is_singles_and_pairs_is_learnt_exactly():
    y = truth(FEATURES)
    assert fit(FEATURES, GROUPS, y).predict(FEATURES) == pytest.approx(y, abs=0.1 * y.std())


def test_the_fit_is_the_posterior_mean_of_the_gaussian_process(monkeypatch):
    """The second way: a Gaussian process with the same kernel, which never forms a weight."""
    from hwnas.harness.quality import pairwise as module

    monkeypatch.setattr(module, "_PAIRS", (0.3,))
    monkeypatch.setattr(module, "_NOISES", (0.05,))
    scale = np.array([1.0, 0.5, 0.25, 0.1])[GROUPS]
    monkeypatch.setattr(module, "_relevance", lambda *_: scale)
    y = truth(FEATURES)
    target = (y - y.mean()) / y.std()
    kernel = 1 + 0.1 * (FEATURES * scale**2) @ FEATURES.T + (0.3 * (FEATURES * scale) @ FEATURES.T) ** 2
    expected = y.mean() + y.std() * kernel @ np.linalg.solve(kernel + 0.05 * np.eye(len(y)), target)
    assert fit(FEATURES, GROUPS, y).predict(FEATURES) == pytest.approx(expected, rel=1e-9)


def test_it_does_not_depend_on_the_target_s_place_and_scale():
    y = truth(FEATURES)
    plain, moved = fit(FEATURES, GROUPS, y), fit(FEATURES, GROUPS, 1000 - 7 * y)
    assert moved.predict(FEATURES) == pytest.approx(1000 - 7 * plain.predict(FEATURES), rel=1e-6)


def test_noise_is_not_learnt(rng):
    y = 50 + rng.normal(size=len(FEATURES))
    assert fit(FEATURES, GROUPS, y).predict(FEATURES).std() < 0.8 * y.std()
    assert abs(cross_validate(FEATURES, GROUPS, y).tau) < 0.4


def test_cross_validation_tells_a_model_that_can_from_one_that_cannot(rng):
    y = truth(FEATURES)
    good = cross_validate(FEATURES, GROUPS, y)
    bad = cross_validate(FEATURES, GROUPS, rng.permutation(y))
    assert good.n == len(y)
    assert good.tau > 0.7
    assert bad.tau < 0.4
    assert good.rmse < bad.rmse
    assert good.mape < bad.mape


def test_coefficients_survive_json():
    model = fit(FEATURES, GROUPS, truth(FEATURES))
    again = PairwiseModel.from_json(json.loads(json.dumps(model.to_json())))
    assert again.predict(FEATURES) == pytest.approx(model.predict(FEATURES), abs=1e-4)
    assert again.to_json() == model.to_json()
