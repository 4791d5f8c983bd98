"""Which sub-networks a step trains, and at which learning rate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace
from hwnas.supernets.training import TrainingOptions
from hwnas.supernets.training.sampling import Sampling
from hwnas.supernets.training.schedule import learning_rate

# Three kernels, two depths of which the second brings the second kernel, a resolution.
SPACE = SearchSpace(
    (
        Choice("ks", (3, 5, 7)),
        Choice("ks", (3, 5, 7), needs=(2, 1)),
        Choice("d", (1, 2)),
        Choice("r", (16, 32)),
    )
)

NAN, INF = float("nan"), float("inf")


def drawn(options, step=0, seed=0, order=None):
    return Sampling(SPACE, options, order).draw(step, np.random.default_rng(seed))


@given(st.integers(0, 10_000), st.integers(0, 5))
def test_a_sandwich_has_the_largest_first_the_smallest_last_and_none_twice(seed, samples):
    X = drawn(TrainingOptions(samples=samples), seed=seed)
    assert np.array_equal(X[:1], SPACE.canonical(SPACE.largest()))
    assert (SPACE.smallest() == X).all(axis=1).any()
    assert len(np.unique(X, axis=0)) == len(X) <= samples + 2
    assert np.array_equal(SPACE.canonical(X), X)


def test_uniform_draws_every_network():
    options = TrainingOptions(sampling="uniform", samples=1, distillation=0.0)
    seen = {tuple(drawn(options, seed=seed)[0]) for seed in range(400)}
    assert len(seen) == SPACE.distinct_size


def test_distillation_brings_the_teacher_along():
    X = drawn(TrainingOptions(sampling="uniform", samples=1, distillation=0.5))
    assert np.array_equal(X[0], SPACE.largest()[0])
    assert len(X) <= 2


def test_progressive_shrinking_opens_one_key_after_the_other():
    options = TrainingOptions(steps=400, sampling="uniform", samples=20, distillation=0.0, progressive=True)
    least = []
    for step in (0, 99, 100, 199, 200, 299, 300, 399):
        X = drawn(options, step, order=("ks", "d"))
        least.append((int(X[:, 0].min()), int(X[:, 2].min())))
        assert (X[:, 3].min(), X[:, 3].max()) == (0, 1)  # a key that is not in the order is open throughout
    assert least == [(2, 1), (2, 1), (1, 1), (1, 1), (0, 1), (0, 1), (0, 0), (0, 0)]


def test_progressive_sandwiches_have_the_smallest_that_is_open():
    X = drawn(TrainingOptions(steps=300, samples=0, progressive=True), step=0, order=("ks", "d"))
    assert X.tolist() == [[2, 2, 1, 1], [2, 2, 1, 0]]


def test_all_keys_are_opened_where_no_order_is_given():
    X = drawn(TrainingOptions(steps=10, samples=0, progressive=True), step=0)
    assert X.tolist() == [[2, 2, 1, 1]]
    assert (drawn(TrainingOptions(steps=10, samples=0, progressive=True), step=9)[-1] == 0).all()


# --- learning rates --------------------------------------------------------------------------------------------------


def test_cosine_with_warm_up():
    options = TrainingOptions(steps=110, lr=0.2, warmup=10)
    rates = [learning_rate(options, step) for step in range(110)]
    assert rates[0] == pytest.approx(0.02)
    assert rates[9] == rates[10] == pytest.approx(0.2)
    assert rates[60] == pytest.approx(0.1)
    assert 0 < rates[-1] < 1e-3
    assert max(rates) == pytest.approx(0.2)


def test_inverse_square_root():
    options = TrainingOptions(steps=1000, lr=0.1, warmup=100, schedule="inverse-sqrt")
    assert learning_rate(options, 99) == pytest.approx(0.1)
    assert learning_rate(options, 399) == pytest.approx(0.05)


def test_constant():
    assert learning_rate(TrainingOptions(lr=0.3, schedule="constant"), 500) == 0.3


@given(st.integers(1, 50), st.integers(0, 60), st.sampled_from(["cosine", "inverse-sqrt", "constant"]))
def test_rates_are_numbers_within_bounds(steps, warmup, schedule):
    options = TrainingOptions(steps=steps, warmup=warmup, schedule=schedule, lr=0.1)
    for step in range(steps):
        assert 0 <= learning_rate(options, step) <= 0.1 * (1 + 1e-12)
        assert math.isfinite(learning_rate(options, step))


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"sampling": "sandwhich"}, "unknown sampling 'sandwhich'; did you mean 'sandwich'"),
        ({"optimizer": "rmsprop"}, "unknown optimizer 'rmsprop'.*known: adam, sgd"),
        ({"schedule": "step"}, "unknown schedule"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"sampling": "uniform", "samples": 0}, "samples: expected at least 1, got 0"),
        *(({"lr": lr}, "lr: expected a finite number above 0") for lr in (0.0, -1.0, NAN, INF, -INF, 1e39)),
        *(({"weight_decay": d}, "weight_decay: expected a finite number of at least 0") for d in (-1.0, NAN, INF)),
        *(({"clip": clip}, "clip: expected a finite number above 0") for clip in (0.0, -1.0, NAN, INF)),
        *(({"momentum": m}, "momentum: expected a number of at least 0 and below 1") for m in (-0.1, 1.0, NAN, INF)),
        ({"distillation": NAN}, "distillation: expected a number from 0 to 1"),
        ({"distillation": 1.5}, "distillation: expected a number from 0 to 1"),
    ],
)
def test_options_that_cannot_be(changed, match):
    with pytest.raises(UsageError, match=match):
        replace(TrainingOptions(), **changed)
