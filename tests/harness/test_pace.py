"""A network's values without the host's pace, and how the pace is kept with its samples."""

from __future__ import annotations

import json
import math
import re
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
from hwnas.harness.measurement.pace import Calm, Pace, clean, stage_summary, summary
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


def test_the_statistic_is_that_of_the_pace_and_of_the_samples_without_it():
    plain = summary(ALTERNATING, QUIET, 1, None)
    assert plain.value == pytest.approx(1.51e-3)
    # Another statistic, though nothing is divided out; the protocol's, of what something is divided out of.
    assert summary(ALTERNATING, QUIET, 1, Pace(np.zeros(10), "min", 0.0)).value == plain.min
    assert summary(ALTERNATING, QUIET, 1, TWICE).value == pytest.approx(1.01e-3)
    assert summary(ALTERNATING, QUIET, 1, Pace(np.zeros(10), "median", 0.0)) == plain


@pytest.mark.parametrize("pace", [None, Pace(np.zeros(10), "p15", 0.0)])
def test_samples_that_repeat_each_other_within_a_visit_make_no_interval_narrower(pace):
    once = [[1.0 + 0.01 * number] for number in range(10)]
    single, repeated = (summary(taken(*visits), QUIET, 1, pace) for visits in (once, [20 * one for one in once]))
    assert (single.low, single.high) == (repeated.low, repeated.high)
    apart = summary(taken(*(20 * once)), QUIET, 1, None)
    assert apart.high - apart.low < 0.5 * (single.high - single.low)


def test_samples_that_the_cpu_does_not_explain_are_disturbed():
    samples = taken([1.0, 3.0], [1.0, 1.0])
    samples = replace(samples, cpu_ns=np.array([1_000_000, 1_000_000, 950_000, 960_000]))
    assert clean(samples, NOISY, 1).tolist() == [True, False, False, True]  # up to 5 % more than the CPU's time
    assert summary(samples, QUIET, 1, None).n_clean == 2
    assert clean(Samples.none(), NOISY, 4).shape == (0,)


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


def record(**changes):
    return {"slower_ppm": [0, 1, -2], "statistic": "p15", "error": 0.01, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slower_ppm": [1, 2]}, "slower_ppm: expected 3 whole numbers, got [1, 2]"),
        ({"slower_ppm": [1.0, 2.0, 3.0]}, "slower_ppm: expected 3 whole numbers"),
        ({"slower_ppm": [[1, 2, 3]]}, "slower_ppm: expected 3 whole numbers"),
        ({"slower_ppm": "abc"}, "slower_ppm: expected 3 whole numbers"),
        ({"slower_ppm": [0, 0, 50_000_001]}, "slower_ppm, error: expected logarithms of factors up to 5e+21"),
        ({"slower_ppm": [0, 0, -50_000_001]}, "slower_ppm, error: expected logarithms of factors up to 5e+21"),
        ({"error": -1e-9}, "slower_ppm, error: expected logarithms of factors up to 5e+21"),
        ({"error": 50.001}, "slower_ppm, error: expected logarithms of factors up to 5e+21"),
        ({"error": math.nan}, "expected a finite number, got nan"),
        ({"statistic": "mean"}, "statistic: expected one of min, p10, p15, median, got 'mean'"),
    ],
)
def test_what_is_no_record_of_a_pace_is_refused(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Pace.from_record(record(**changes), 3)


def test_the_largest_factors_are_read():
    again = Pace.from_record(record(slower_ppm=[50_000_000, -50_000_000, 0], error=50), 3)
    assert again.slower.tolist() == [50.0, -50.0, 0.0]
    assert again.error == 50.0
    assert Pace.from_record(record(error=0), 3).error == 0.0


def test_a_network_without_samples_has_no_value_whatever_the_pace():
    for pace in (None, Pace(np.zeros(0), "median", 0.1)):
        found = summary(Samples.none(), NOISY, 1, pace)
        assert math.isnan(found.value)
        assert (found.n, found.n_clean) == (0, 0)


def test_the_values_of_two_parts_are_of_their_undisturbed_samples():
    calm = Calm(np.array([1.0, 9.0, 3.0, 5.0]), np.array([True, False, True, True]), np.array([2, 2, 3, 5]), "min")
    assert calm.halves == (1.0, 3.0)
    one, other = calm.parts(np.array([False, False, False, True]))
    assert (one, other) == (5.0, 1.0)
    assert math.isnan(calm.parts(np.ones(4, dtype=bool))[1])


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


def of_one_stage(samples, group):
    """Return the samples as groups of so many inferences, each of one stage that is all of it."""
    return replace(samples, stage_ns=samples.wall_ns[:, None], group=np.full(samples.n, group))


@pytest.mark.parametrize("pace", [None, TWICE, replace(TWICE, error=0.1)], ids=["no pace", "pace", "wide"])
@pytest.mark.parametrize("group", [1, 4])
def test_a_stage_that_is_all_of_an_inference_has_its_value_and_interval(pace, group):
    samples = of_one_stage(ALTERNATING, group)
    whole, stage = summary(samples, QUIET, 1, pace), stage_summary(samples, 0, QUIET, 1, pace)
    assert stage.value == pytest.approx((1.51e-3 if pace is None else 1.01e-3) / group)
    assert (stage.value, stage.low, stage.high) == pytest.approx((whole.value, whole.low, whole.high), rel=1e-12)


def test_a_stage_that_repeats_itself_within_a_visit_has_no_narrower_interval():
    once = [[1.0 + 0.01 * number] for number in range(10)]
    alone, repeated = (of_one_stage(taken(*visits), 1) for visits in (once, [20 * one for one in once]))
    single, often = (stage_summary(samples, 0, QUIET, 1, None) for samples in (alone, repeated))
    assert (single.low, single.high) == pytest.approx((often.low, often.high))


@pytest.mark.parametrize("pace", [None, Pace(np.zeros(0), "median", 0.1)])
def test_a_stage_without_samples_has_no_value(pace):
    nothing = replace(Samples.none(), stage_ns=np.empty((0, 1), dtype=np.int64))
    found = stage_summary(nothing, 0, NOISY, 1, pace)
    assert math.isnan(found.value)
    assert found.n == 0


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
