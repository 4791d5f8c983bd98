"""Experiments of the kind ``efforts``: what their files may say, hypervolumes, and claims."""

from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.experiments import timed
from hwnas.experiments.claims import FAILED, HELD, UNDECIDED
from hwnas.experiments.experiment import parse
from hwnas.experiments.kinds import efforts
from hwnas.experiments.measured import measured
from hwnas.harness.platform import parse as parse_platform
from hwnas.search.objectives import Outcome
from hwnas.search.objectives.latency import MeasuredLatency
from hwnas.supernets.errors import UsageError

MINE = """
title = "What is it worth?"
kind = "efforts"
evals = [20]
seeds = 2

[problem]
supernet = "toy"
platform = "scripted:us=20"
quality = "capacity"

[searches.brief]
algorithm = "linas"

[searches.thorough]
algorithm = "random"
effort = "thorough"

[searches.theirs]
algorithm = "random"
measuring = "dynas-t"

[[claims]]
says = "It is worth it"
order = ["brief", "theirs"]
"""


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("evals = [20]", "evals = []", "at least 1 of each of evals and of seeds"),
        ("evals = [20]", "evals = [0]", "at least 1 of each of evals and of seeds"),
        ("seeds = 2", "seeds = 0", "at least 1 of each of evals and of seeds"),
        ('algorithm = "linas"', 'algorithm = "lina"', "unknown algorithm 'lina'; did you mean 'linas'"),
        ('effort = "thorough"', 'effort = "through"', "thorough: effort: unknown 'through'; did you mean 'thorough'"),
        ('measuring = "dynas-t"', 'measuring = "dynast"', "measuring: unknown 'dynast'; did you mean 'dynas-t'"),
        ('measuring = "dynas-t"', 'measuring = "dynas-t"\neffort = "quick"', "effort: dynas-t has none"),
        ('[searches.brief]\nalgorithm = "linas"', "", "order: unknown 'brief'"),
        (
            '[searches.brief]\nalgorithm = "linas"',
            '[searches.brief]\nalgorithm = "linas"\nmeasuring = "dynas-t"',
            "the first one with measuring = 'hwnas'",
        ),
        ('["brief", "theirs"]', '["brief", "ours"]', "order: unknown 'ours'"),
        ('platform = "scripted:us=20"', "", "expected a platform to measure on"),
        ('quality = "capacity"', 'quality = "capacity"\nas_table = true', "nor as_table"),
    ],
)
def test_what_is_wrong_is_named(right, wrong, message):
    assert right in MINE
    parse(MINE, "mine")
    with pytest.raises(UsageError, match=message):
        parse(MINE.replace(right, wrong, 1), "mine")


def test_a_hypervolume_is_relative_to_that_of_all_fronts():
    # Two corners of a staircase, from 2.02 across and 0 up; the last sub-network failed.
    F = np.array([[1.0, -1.0], [2.0, -3.0], [np.nan, -9.0]])
    whole = 1.02 * 1 + 0.02 * 2
    assert efforts._volumes(F, 0.0, [[0, 1], [0], [1, 2], [2]]) == pytest.approx([1.0, 1.02 / whole, 0.06 / whole, 0.0])


@pytest.mark.filterwarnings("error")
def test_where_nothing_was_measured_nothing_is_warned_of():
    assert efforts._volumes(np.full((2, 2), np.nan), 0.0, [[0], [1]]) == [None, None]


def data(brief, theirs):
    """Return what an experiment has found: a hypervolume for each seed."""
    runs = [
        {"search": name, "seed": seed, "evals": 20, "evaluations": 20 + seed, "seconds": 30.0, "hypervolume": volume}
        for name, volumes in (("brief", brief), ("theirs", theirs))
        for seed, volume in enumerate(volumes)
    ]
    return {"platform": "onnxruntime", "searches": ["brief", "theirs"], "evals": [20], "runs": runs}


@pytest.mark.parametrize(
    ("brief", "theirs", "verdict"),
    [
        # Seed by seed it is ahead by the same, though seeds differ by more.
        ((0.9, 0.7, 0.5), (0.85, 0.66, 0.45), HELD),
        ((0.85, 0.66, 0.45), (0.9, 0.7, 0.5), FAILED),
        ((0.9, 0.7, 0.5), (0.7, 0.9, 0.5), UNDECIDED),
        ((0.9,), (0.1,), UNDECIDED),
    ],
)
def test_claims_are_tested_seed_by_seed(brief, theirs, verdict):
    settings = parse(MINE, "mine").settings
    (one,) = efforts.verdicts(settings, data(brief, theirs))
    assert one.verdict == verdict
    assert one.value == pytest.approx(np.mean(brief) - np.mean(theirs))
    assert one.where == "onnxruntime, after 30 s (20 evaluations of brief)"


def test_the_gist_and_the_table_have_every_search():
    found = data((0.9, 0.7), (0.85, 0.65))
    assert efforts.gist(found) == "after 30 s: brief 0.800, theirs 0.750"
    assert [row[:3] for row in efforts.table(found).rows] == [
        ["brief", 0, 20], ["brief", 1, 20], ["theirs", 0, 20], ["theirs", 1, 20],
    ]  # fmt: skip


class Clock:
    """A clock that only runs while a session does."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Ticking:
    """A session whose runs take so long: the first ones, which are to warm up, a hundred times as long."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.runs = clock, seconds, 0

    def run(self):
        self.runs += 1
        self.clock.now += self.seconds * (100 if self.runs <= timed._DYNAST_WARMUP else 1)


def test_dynas_t_warms_up_and_takes_the_mean_of_runs(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timed, "time", clock)
    prefill, decode = Ticking(clock, 0.5), Ticking(clock, 0.0)
    assert timed.mean_of_runs([prefill, decode], [1, 3], 2.0) == pytest.approx(0.5)
    assert (prefill.runs, decode.runs) == (14, 42)
    # One run is timed, whatever time there is.
    assert timed.mean_of_runs([Ticking(clock, 7.0)], [1], 1.0) == pytest.approx(7.0)


def test_what_two_batches_say_of_fronts_is_freed_from_the_drift_between_them(scripted, monkeypatch, tmp_path):
    paces = np.repeat([1.0, 1.3], 8)

    def evaluate(_, X):
        beside = tuple({name: at * pace for name, at in (("a", 1.0), ("b", 2.0), ("c", 3.0))} for pace in paces)
        return Outcome(5.0 * paces, ("ok",) * len(X), ("",) * len(X), np.outer(5.0 * paces, [0.99, 1.01]), beside)

    monkeypatch.setattr(MeasuredLatency, "evaluate", evaluate)
    X = np.array([[a, b, 0] for a in range(4) for b in range(4)])
    found = measured("toy", parse_platform("scripted:us=20"), X, SimpleNamespace(store=str(tmp_path / "store.db")))
    assert found["latency_ms"] == pytest.approx([5.0] * 16, rel=0.01)
    assert found["interval_ms"][-1] == pytest.approx([4.95, 5.05], rel=0.01)
