"""A machine's drift is told apart from what the sub-networks are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from search.drift import Drift


def simulated(rng, *, drift_sd, noise_sd, batches=30, each=4, again=5):
    """Learn a search on a machine that drifts: new sub-networks per batch, and some that come back."""
    drift, truth, raw = Drift(), {}, {}
    shifts = rng.normal(0, drift_sd, batches)
    shifts -= shifts[0]
    known: list[str] = []
    for batch, shift in enumerate(shifts):
        new = [f"{batch}.{number}" for number in range(each)]
        truth |= {key: float(rng.uniform(10, 20)) for key in new}
        seen = {key: truth[key] * np.exp(shift + rng.normal(0, noise_sd)) for key in [*known[-again:], *new]}
        beside = {key: seen[key] for key in known[-again:]}
        for key in new:
            raw[key] = seen[key]
            drift.learn(key, seen[key], beside)
        known += new[:2]
    return drift, truth, raw


def test_without_anything_measured_twice_values_are_as_they_were():
    drift = Drift()
    drift.learn("a", 3.0, {})
    assert drift.value("a", 0.0) == pytest.approx(3.0)
    assert drift.noise is None
    assert drift.value("b", 7.0) == 7.0


@pytest.mark.parametrize("seed", range(3))
def test_a_machine_that_drifts_ranks_as_it_should(seed):
    drift, truth, raw = simulated(np.random.default_rng(seed), drift_sd=0.05, noise_sd=0.002)
    keys = list(truth)
    true = [truth[key] for key in keys]
    freed = [drift.value(key, np.nan) for key in keys]
    before = kendalltau(true, [raw[key] for key in keys]).statistic
    after = kendalltau(true, freed).statistic
    assert after > 0.96 > before + 0.02
    assert np.std(np.log(freed) - np.log(true)) < 0.02 < np.std([np.log(raw[key] / truth[key]) for key in keys])


def test_a_machine_that_does_not_drift_loses_nothing():
    drift, truth, raw = simulated(np.random.default_rng(1), drift_sd=0.0, noise_sd=0.005)
    errors = np.array([[np.log(drift.value(key, np.nan) / truth[key]), np.log(raw[key] / truth[key])] for key in truth])
    assert np.std(errors[:, 0]) < 1.15 * np.std(errors[:, 1])


@pytest.mark.parametrize("noise", [0.001, 0.005, 0.03])
def test_the_noise_is_told(noise):
    found = [simulated(np.random.default_rng(seed), drift_sd=0.02, noise_sd=noise)[0].noise for seed in range(5)]
    assert np.mean(found) == pytest.approx(noise, rel=0.3, abs=0.0008)


def test_what_is_measured_again_is_known_better():
    rng, errors = np.random.default_rng(3), []
    for _ in range(200):
        drift = Drift()
        first, *later = 10 * np.exp(rng.normal(0, 0.01, 6))
        anchors = {"x": 5.0, "y": 6.0, "z": 7.0}
        drift.learn("a", first, anchors)
        for number, value in enumerate(later):
            drift.learn(f"n{number}", 12.0, {"a": value, **anchors})
        assert drift.times("a") == 6
        errors.append([np.log(drift.value("a", 0) / 10), np.log(first / 10)])
    ours, once = np.std(errors, axis=0)
    assert ours < 0.6 * once


def test_failed_values_say_nothing():
    drift = Drift()
    drift.learn("a", np.nan, {"b": 2.0, "c": np.nan})
    drift.learn("d", 4.0, {"b": 2.1})
    assert drift.value("a", 9.0) == 9.0
    assert drift.times("c") == 0
    assert np.isfinite(drift.value("d", 0.0))
