"""A network's values without the host's pace, and how the pace is kept with its samples."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hosts import MODES, batch
from hypothesis import given
from hypothesis import strategies as st

from hwnas.harness.cache import restated
from hwnas.harness.measurement.convergence import assess
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.pace import Calm, Pace, summary
from hwnas.harness.measurement.protocol import STATISTICS, profile
from hwnas.harness.measurement.samples import SampleLog, Samples
from hwnas.harness.measurement.statistics import summarise

NOISY, QUIET = profile("noisy"), profile("quiet")


def taken(*visits):
    """Samples of a network: for each visit, how many milliseconds each of its samples took."""
    log = SampleLog()
    for number, visit in enumerate(visits, start=1):
        for milliseconds in visit:
            ns = round(1e6 * milliseconds)
            log.sample(number, ns, ns, 0, 1)
        log.end_visit(number, 0, 0, 0)
    return log.samples()


def measurement(**changes):
    plain = dict.fromkeys(("supernet", "key", "platform", "reason"), "")
    plain |= {"config": {}, "status": "ok", "statistic": "p15", "latency_s": 1e-3, "macs": 1, "params": 1}
    return Measurement(**{**plain, "samples": ALTERNATING, "protocol": NOISY, **changes})


# Ten visits of two samples each, every other one on a host that is twice as slow.
ALTERNATING = taken(*[[1.0, 1.02], [2.0, 2.04]] * 5)
TWICE = Pace(np.log([1.0, 2.0] * 5), "median", 0.0)


def test_a_value_is_that_of_the_samples_without_the_pace():
    found = summary(ALTERNATING, NOISY, 1, TWICE)
    assert found.value == pytest.approx(1.01e-3)
    assert (found.low, found.high) == pytest.approx((1.00e-3, 1.02e-3))
    assert Calm.of(ALTERNATING, NOISY, 1, TWICE).seconds == pytest.approx(np.tile([1.00e-3, 1.02e-3], 10))


def test_what_is_told_of_all_samples_is_as_they_were_taken():
    found, plain = (summary(ALTERNATING, NOISY, 1, pace) for pace in (TWICE, None))
    for name in ("statistic", "min", "p10", "median", "p90", "n", "n_clean"):
        assert getattr(found, name) == getattr(plain, name)


def test_an_interval_is_at_least_what_the_batch_says():
    wide = summary(ALTERNATING, NOISY, 1, replace(TWICE, error=0.1))
    bound = math.exp(0.1 * scipy.stats.t(8).ppf(0.975))
    assert (wide.low, wide.high) == pytest.approx((1.01e-3 / bound, 1.01e-3 * bound), rel=1e-3)
    surer = summary(ALTERNATING, replace(NOISY, confidence=0.99), 1, replace(TWICE, error=0.1))
    assert surer.low < wide.low
    assert surer.high > wide.high
    own = summary(ALTERNATING, NOISY, 1, replace(TWICE, error=1e-9))
    assert (own.low, own.high) == pytest.approx((1.00e-3, 1.02e-3))


def test_halves_are_without_the_pace():
    # Even rounds are the slow ones.
    assert Calm.of(ALTERNATING, NOISY, 1, TWICE).halves == pytest.approx((1.01e-3, 1.01e-3))
    even, odd = Calm.of(ALTERNATING, NOISY, 1, None).halves
    assert even == pytest.approx(2 * odd)


@given(
    slower=st.lists(st.floats(-20, 20), min_size=3, max_size=3),
    statistic=st.sampled_from(STATISTICS),
    error=st.floats(0, 10),
)
def test_a_pace_comes_back_from_its_record(slower, statistic, error):
    record = json.loads(json.dumps(Pace(np.array(slower), statistic, error).to_record()))
    again = Pace.from_record(record, 3)
    assert again.slower == pytest.approx(slower, abs=5e-7)
    assert (again.statistic, again.error) == (statistic, error)
    assert again.to_record() == record


def test_where_nothing_is_divided_out_the_record_is_short():
    record = Pace(np.zeros(1000), "p15", 0.001).to_record()
    assert record == {"slower_ppm": [], "statistic": "p15", "error": 0.001}
    assert not Pace.from_record(record, 1000).slower.any()


def test_a_measurement_derives_its_value_from_its_record():
    one = measurement(pace=TWICE, latency_s=1.01e-3)
    again = Measurement.from_record(json.loads(json.dumps(one.to_record())))
    assert again.summary.value == pytest.approx(1.01e-3, rel=1e-6)
    assert again.halves == pytest.approx((1.01e-3, 1.01e-3), rel=1e-6)
    assert again.to_record() == one.to_record()
    shown = one.to_json(samples=True)
    assert shown["pace"] == one.pace.to_record()
    assert "pace" not in one.to_json()


def test_a_measurement_of_before_is_read_and_written_as_it_was():
    old = measurement().to_record()
    assert "pace" not in old
    again = Measurement.from_record(old)
    assert again.pace is None
    assert again.to_record() == old
    clean = ~again.samples.disturbed(NOISY.disturbed, 1)
    plain = summarise(again.samples.seconds, clean, "p15", NOISY.confidence, again.samples.visit)
    assert again.summary == plain
    assert "pace" not in again.to_json(samples=True)


def test_stages_are_without_the_pace_too():
    stages = np.stack([ALTERNATING.wall_ns // 4, ALTERNATING.wall_ns - ALTERNATING.wall_ns // 4], axis=1)
    two = measurement(samples=replace(ALTERNATING, stage_ns=stages), stages=("a", "b"), pace=TWICE)
    assert two.stage_s == pytest.approx({"a": 0.2525e-3, "b": 0.7575e-3})


def test_another_statistic_is_that_of_the_samples_as_taken():
    """The pace's zero is where the batch's medians are: a percentile of the same batch has another."""
    quiet = measurement(protocol=QUIET, statistic="median", pace=TWICE, latency_s=1.01e-3)
    again = restated(quiet, NOISY)
    assert again.pace is None
    assert again.latency_s == summary(ALTERNATING, NOISY, 1, None).value == again.summary.value
    assert restated(quiet, QUIET) is quiet


def test_the_value_that_stopping_looked_at_is_the_one_that_a_record_gives():
    rng = np.random.default_rng(0)
    samples = batch(MODES, np.log(0.008) + 0.04 * rng.standard_normal(9), rng).samples
    found = assess(samples, NOISY, 1, range(9))
    for one, pace, told in zip(samples, found.paces, found.summaries, strict=True):
        read = Samples.from_record(json.loads(json.dumps(one.to_record())))
        kept = Pace.from_record(json.loads(json.dumps(pace.to_record())), len(one.round))
        assert summary(read, NOISY, 1, kept) == told
