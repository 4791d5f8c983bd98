"""A machine's drift is told apart from what the sub-networks are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import kendalltau
from simulated import Machine, Network

from hwnas.harness.measurement.protocol import profile
from hwnas.harness.worker.timing import time_batch
from hwnas.search.study.drift import SESSION, Drift


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


@pytest.mark.parametrize("interval", [(9.0, np.inf), (-np.inf, np.inf), (np.nan, np.nan)])
def test_an_interval_without_an_end_says_nothing_of_the_noise(interval):
    """Most values of a high percentile have such a one; the drift is freed from all the same."""
    told, silent = Drift(), Drift()
    for batch, key in enumerate("abcdef"):
        slower = 1.1**batch
        told.learn(key, 10.0 * slower, {"anchor": 5.0 * slower}, interval)
        silent.learn(key, 10.0 * slower, {"anchor": 5.0 * slower})
    assert [told.value(key, np.nan) for key in "abcdef"] == [silent.value(key, np.nan) for key in "abcdef"]
    assert told.value("f", np.nan) == pytest.approx(10.0, rel=0.01)
    assert told.noise == silent.noise


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


def balanced(levels, shifts, noise):
    """Learn batches in each of which all of ``levels`` are measured again, beside one new network each."""
    drift = Drift()
    values = np.asarray(levels)[:, None] + np.asarray(shifts)[None, :] + np.asarray(noise)
    for batch in range(len(shifts)):
        beside = {f"r{row}": float(np.exp(values[row, batch])) for row in range(len(levels))}
        drift.learn(f"new{batch}", float(np.exp(0.1 * batch)), beside)
    return drift, values


@pytest.mark.parametrize("size", [0.001, 0.05, 0.5])
@pytest.mark.parametrize(("n", "batches"), [(2, 3), (4, 2), (3, 7)])
def test_where_all_are_measured_again_the_model_is_solved_in_closed_form(n, batches, size):
    rng = np.random.default_rng(n)
    noise = rng.normal(0, 0.004, (n, batches))
    drift, v = balanced(rng.normal(1, 1, n), rng.normal(0, size, batches), noise)
    # Least squares of a balanced two-way layout: differences of the batches' means; the first batch is the reference.
    shift = v.mean(axis=0) - v[:, 0].mean()
    fitted = v.mean(axis=1)[:, None] + shift - shift.mean()
    squares = ((v - fitted) ** 2).sum()
    freedom = (n - 1) * (batches - 1)
    variance = (squares + 4 * 0.005**2) / (freedom + 4)
    assert drift.noise == pytest.approx(np.sqrt(variance), rel=1e-6)
    spread = max(0.02**2, np.mean(shift**2))
    shrunk = shift * spread / (spread + variance / n)
    for row in range(n):
        assert np.log(drift.value(f"r{row}", 0.0)) == pytest.approx(np.mean(v[row] - shrunk), abs=1e-9)
    for batch in range(batches):
        assert np.log(drift.value(f"new{batch}", 0.0)) == pytest.approx(0.1 * batch - shrunk[batch], abs=1e-9)


def test_the_first_batch_is_where_the_others_have_drifted_from():
    # One anchor in two batches tells nothing of noise (no degree of freedom is left): what is expected stands in.
    drift = Drift()
    drift.learn("a", 3.0, {"anchor": 0.5})
    drift.learn("b", 3.0, {"anchor": 0.5 * np.exp(0.1)})
    assert drift.noise == pytest.approx(0.005)
    spread = 0.1**2 / 2
    shrunk = 0.1 * spread / (spread + 0.005**2)
    assert drift.value("a", 0.0) == pytest.approx(3.0)
    assert drift.value("b", 0.0) == pytest.approx(3.0 * np.exp(-shrunk))
    assert drift.value("anchor", 0.0) == pytest.approx(0.5 * np.exp((0.1 - shrunk) / 2))


def test_a_batch_that_shares_nothing_with_others_keeps_its_values():
    drift = Drift()
    drift.learn("a", 3.0, {"anchor": 5.0})
    drift.learn("lone", 0.25, {})
    drift.learn("b", 3.0, {"anchor": 6.0})
    assert drift.value("lone", 0.0) == pytest.approx(0.25)
    assert drift.value("b", 0.0) < 2.6


def test_nothing_is_known_at_first_and_of_what_is_no_positive_number():
    drift = Drift()
    assert drift.noise is None
    assert drift.value("a", 7.0) == 7.0
    for value in (0.0, -1.0, np.inf, -np.inf, np.nan):
        drift.learn("a", value, {})
        assert drift.value("a", 7.0) == 7.0
        assert drift.times("a") == 0
    assert drift.noise is None
    drift.learn("a", 1e-6, {})
    assert drift.value("a", 7.0) == pytest.approx(1e-6)


def test_what_is_learned_later_counts():
    drift = Drift()
    drift.learn("a", 3.0, {"x": 1.0})
    assert drift.value("a", 0.0) == pytest.approx(3.0)
    drift.learn("a", 3.3, {"x": 1.1})
    assert 3.0 < drift.value("a", 0.0) < 3.3


# --- brief measurements ----------------------------------------------------------------------------------------------

HOSTS = {
    "calm": {"jitter": 0.003},
    "uneven": {"jitter": 0.05},
    "interrupted": {"jitter": 0.03, "spikes": 0.2, "hidden": 0.7},
    "of two speeds": {"jitter": 0.02, "slow_mode": 0.1, "mode_s": 0.05},
    "drifting": {"jitter": 0.02, "drift": 0.08, "period_s": 30},
}


def measured_briefly(host, seed, batches=8):
    """Return the noise that is told after a brief search on a simulated host, and the deviation from the truth."""
    protocol, machine, rng = profile("noisy", effort="quick"), Machine(seed=seed, **host), np.random.default_rng(seed)
    drift, truth = Drift(brief=True), {}
    for batch in range(batches):
        true = rng.uniform(3e-3, 12e-3, 4)
        networks = [Network(machine, seconds) for seconds in (3e-3, 6e-3, 1e-2, *true)]
        summaries = time_batch(networks, protocol, machine, rng, anchors=3).convergence.summaries
        beside = {f"anchor {number}": one.value for number, one in enumerate(summaries[:3])}
        for number, one in enumerate(summaries[3:]):
            truth[f"{batch}.{number}"] = true[number]
            drift.learn(f"{batch}.{number}", one.value, beside, (one.low, one.high))
        machine.now += int(1e9)
    return drift.noise, np.std([np.log(drift.value(key, np.nan) / seconds) for key, seconds in truth.items()])


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS)
def test_the_noise_of_brief_measurements_is_told_within_a_factor_of_one_and_a_half(host):
    found = np.array([measured_briefly(HOSTS[host], seed) for seed in range(4)])
    told, true = np.sqrt((found**2).mean(axis=0))
    assert 1 / 1.5 < told / true < 1.5


def test_before_anything_is_repeated_intervals_tell_the_noise():
    low, high = stats.norm.interval(0.95, loc=10.0, scale=0.2)
    drift = Drift(brief=True)
    drift.learn("a", 10.0, {}, (low, high))
    assert drift.noise == pytest.approx(np.hypot(0.02, SESSION))
    thorough = Drift()
    thorough.learn("a", 10.0, {}, (low, high))
    assert thorough.noise == pytest.approx(0.02)
    thorough.learn("b", np.inf, {}, (low, np.inf))  # no value, and so no noise
    assert thorough.noise == pytest.approx(0.02)


def test_intervals_of_repeated_measurements_count_where_repetitions_tell_little():
    drift = Drift()
    for batch, value in enumerate((3.0, 3.3)):  # no degree of freedom is left
        drift.learn(f"n{batch}", 0.5, {"anchor": value}, tuple(stats.norm.interval(0.95, loc=0.5, scale=0.01)))
    assert drift.noise == pytest.approx(0.02)


def test_an_interval_of_what_is_no_time_says_nothing():
    drift = Drift()
    for value in (0.0, -1.0, np.inf, np.nan):
        drift.learn("a", value, {}, (0.0, 0.0))
        assert drift.noise is None


def repeats(shifts, *, brief=True, noise=()):
    """Tell whether more than the anchors are repeated, after batches in which the machine was so much slower."""
    drift = Drift(brief=brief)
    for batch, shift in enumerate(shifts):
        log = np.log([5.0, 7.0, 9.0]) + shift
        if len(noise):
            log += np.array([1, -1, 0]) * noise[batch]
        drift.learn(f"{batch}", 6.0, dict(zip("xyz", np.exp(log), strict=True)))
    return drift.repeats


@pytest.mark.parametrize(
    ("shifts", "moved"),
    [
        ((), False),
        ((0.1,), False),
        ((0.0, 0.005, 0.01), False),
        ((0.0, 0.005, 0.1), True),
        ((0.0, 0.005, -0.1), True),
        ((0.0, 0.1, 0.101), False),  # it is slower than at first, and has been before
        ((0.0, 0.05, -0.05), True),
    ],
)
def test_a_brief_search_repeats_the_front_only_where_the_machine_has_moved(shifts, moved):
    assert repeats(shifts) is moved
    assert repeats(shifts, brief=False) is True


@pytest.mark.parametrize(("step", "moved"), [(0.0, False), (0.07, False), (0.12, True)])
def test_a_step_within_three_times_the_noise_is_no_move(step, moved):
    # Two anchors that go to and fro by 4 %: a standard deviation of some 3 %.
    assert repeats((0.0, 0.001, 0.0, 0.001 + step), noise=(0.04, -0.04, 0.04, -0.04)) is moved
