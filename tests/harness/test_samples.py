"""Raw samples: what is derived from them, and how they come back from a record."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.harness.measurement.samples import UNKNOWN, SampleLog, Samples
from hwnas.supernets.errors import MeasurementError

NAMES = list(Samples.__dataclass_fields__)


def log(n_stages=0):
    """Two visits, of two samples and of one; a third has not ended."""
    made = SampleLog(n_stages)
    stages = tuple(range(1, n_stages + 1))
    made.sample(10, 4_000_000, 2_000_000, 1, 2, stages)
    made.sample(20, 6_000_000, 3_000_000, 0, 2, stages)
    made.end_visit(3, 100, 200, 300)
    made.sample(30, 8_000_000, 8_000_000, 5, 1, stages)
    made.end_visit(7, 1, 2, 3)
    made.sample(40, 9, 9, 9, 1, stages)
    return made


def test_a_log_gives_the_samples_of_the_visits_that_ended():
    samples = log().samples()
    assert {name: getattr(samples, name).tolist() for name in NAMES} == {
        "at_ns": [10, 20, 30],
        "wall_ns": [4_000_000, 6_000_000, 8_000_000],
        "cpu_ns": [2_000_000, 3_000_000, 8_000_000],
        "switches": [1, 0, 5],
        "group": [2, 2, 1],
        "visit": [0, 0, 1],
        "round": [3, 7],
        "waiting_ns": [100, 1],
        "steal_ns": [200, 2],
        "throttled_ns": [300, 3],
        "stage_ns": [[], [], []],
    }
    assert len(log()) == 4
    assert all(getattr(samples, name).dtype == np.int64 for name in NAMES)


def test_a_log_of_nothing_is_no_samples():
    empty = SampleLog(2).samples()
    assert empty.n == 0
    assert empty.stage_ns.shape == (0, 2)
    assert all(getattr(empty, name).dtype == np.int64 for name in NAMES)
    assert len(SampleLog()) == 0
    assert log(2).samples().stage_ns.tolist() == [[1, 2]] * 3


@pytest.mark.parametrize("wall", [0, -7])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_visit_with_a_sample_that_took_no_time_counts_for_nothing(wall, place):
    made = log()
    for number in range(3):
        made.sample(50, wall if number == place else 1, 8, 9, 3)
    with pytest.raises(MeasurementError, match=rf"^3 runs took {wall} ns by the clock, expected at least 1 ns$"):
        made.end_visit(8, 0, 0, 0)
    assert made.samples().wall_ns.tolist() == log().samples().wall_ns.tolist()


def test_a_sample_takes_a_nanosecond_at_least():
    made = SampleLog()
    made.sample(0, 1, 0, 0, 1)
    made.end_visit(1, 0, 0, 0)
    assert made.samples().wall_ns.tolist() == [1]


def test_what_is_derived():
    samples = log().samples()
    assert samples.n == 3
    assert samples.seconds.tolist() == [2e-3, 3e-3, 8e-3]
    assert samples.rounds.tolist() == [3, 3, 7]


def busy(*ratios, wall=1000, cpu=None):
    n = len(ratios)
    walls = np.full(n, wall)
    cpus = np.array([UNKNOWN if ratio is None else round(wall * ratio) for ratio in ratios])
    return replace(
        Samples.none(),
        at_ns=np.arange(n),
        wall_ns=walls,
        cpu_ns=cpus,
        switches=np.zeros(n, dtype=int),
        group=np.ones(n, dtype=int),
        visit=np.zeros(n, dtype=int),
    )


def test_cpus_kept_busy_are_a_high_quantile():
    ratios = np.linspace(1.0, 2.0, 11)
    assert busy(*ratios).cores() == pytest.approx(1.9)
    assert busy(None, None, 0.5, 0.5, None).cores() == 0.5  # a device's clock knows none
    assert busy(0.0, 0.0).cores() == 0.0
    assert np.isnan(busy(None, None).cores())
    assert np.isnan(Samples.none().cores())


def test_one_thread_explains_its_cpu_time():
    found = busy(1.0, 0.96, 0.95, 0.5, 0.0, None).disturbed(1.05, 1)
    #  1000 > 1.05 x 960 is false; 1000 > 1.05 x 950 is true. By a device's clock nothing is.
    assert found.tolist() == [False, False, True, True, True, False]
    assert busy(0.8).disturbed(1.25, 1).tolist() == [False]  # just as much is not over it


def test_several_threads_explain_it_by_the_cpus_that_are_busy():
    samples = busy(*[1.5] * 9, 0.75)
    assert np.flatnonzero(samples.disturbed(1.05, 2)).tolist() == [9]
    assert np.flatnonzero(busy(*[1.5] * 9, 1.2).disturbed(1.05, 2)).tolist() == [9]
    assert busy(0.5, 0.5).disturbed(1.05, 1).all()  # of one thread, that it waits is no excuse
    assert not busy(0.5, 0.5).disturbed(1.05, 2).any()
    # Never by more CPUs than there are threads.
    assert not busy(*[3.0] * 9, 2.0).disturbed(1.05, 2).any()


whole = st.integers(1, 2**40)


@given(st.lists(st.tuples(whole, whole, st.integers(-1, 2**40), whole), max_size=6), st.integers(0, 3))
def test_a_record_and_back(rows, n_stages):
    made = SampleLog(n_stages)
    for at, wall, cpu, group in rows:
        made.sample(at, wall, cpu, 0, group, (5,) * n_stages)
        made.end_visit(1, 2, 3, 4)
    samples = made.samples()
    back = Samples.from_record(json.loads(json.dumps(samples.to_record())))
    for name in NAMES:
        assert getattr(back, name).tolist() == getattr(samples, name).tolist()
        assert getattr(back, name).dtype == np.int64
    assert back.stage_ns.shape == ((len(rows), n_stages) if rows else (0, 0))


def test_none_is_a_record_of_nothing():
    none = Samples.none()
    assert none.n == 0
    assert none.to_record() == {name: [] for name in NAMES}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"cpu_ns": [1, 2]}, r"cpu_ns: expected shape \(3,\), got \(2,\)"),
        ({"steal_ns": [1]}, r"steal_ns: expected shape \(2,\), got \(1,\)"),
        ({"at_ns": [[1], [2], [3]]}, r"at_ns: expected shape"),
        ({"waiting_ns": [[1], [2]]}, r"waiting_ns: expected shape \(2,\), got \(2, 1\)"),
        ({"wall_ns": [1, 0, 1]}, "^wall_ns, group: expected numbers above 0$"),
        ({"group": [1, 1, 0]}, "^wall_ns, group: expected numbers above 0$"),
        ({"visit": [0, 0, 2]}, "^visit: expected numbers from 0 to below 2$"),
        ({"visit": [-1, 0, 1]}, "^visit: expected numbers from 0 to below 2$"),
        ({"stage_ns": [[1], [2]]}, "cannot reshape"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(change, fault):
    with pytest.raises(ValueError, match=fault):
        Samples.from_record(log().samples().to_record() | change)


def test_the_least_that_a_record_may_hold():
    least = {"wall_ns": [1, 1, 1], "group": [1, 1, 1], "visit": [0, 1, 1]}
    assert Samples.from_record(log().samples().to_record() | least).n == 3
    short = log().samples().to_record()
    del short["switches"]
    with pytest.raises(LookupError, match="switches"):
        Samples.from_record(short)
