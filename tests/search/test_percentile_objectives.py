"""Percentiles and throughput: their numbers, their intervals, and that one measurement serves several objectives."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.cli import run
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.percentiles import PERCENTILES, explained, percentile, percentiles_json
from hwnas.harness.measurement.protocol import STATISTICS, profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.platform import parse
from hwnas.harness.store import Store
from hwnas.search.objectives import Sources, make
from hwnas.search.objectives._measured import READINGS, MeasuredBatches
from hwnas.search.objectives.latency import MeasuredLatency
from hwnas.search.study.constraints import parse as parse_constraint
from hwnas.search.study.own import own_objective
from hwnas.search.study.run import search
from hwnas.supernets.errors import UsageError

NET = supernets.get("ofa-mbv3-w1.2")
X = NET.space.canonical(NET.space.sample(5, 0))


def measurement(seconds, batch=1, status="ok", disturbed=0, **more):
    """Return a measurement with these samples, one in each visit; the slowest ``disturbed`` of them are disturbed."""
    wall = np.round(1e9 * np.asarray(seconds)).astype(np.int64)
    n = len(wall)
    zero, one = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64)
    cpu = np.where(np.argsort(np.argsort(wall)) >= n - disturbed, wall // 2, wall)
    samples = Samples(zero, wall, cpu, zero, one, np.arange(n), np.arange(n), zero, zero, zero, np.empty((n, 0)))
    value = float(np.median(seconds)) if n else math.nan
    made = {"macs": 1, "params": 1, "batch": batch, "samples": samples, "protocol": profile("quiet"), **more}
    return Measurement("toy", {}, "000", "scripted", status, "", "median", value, **made)


class Measurer:
    """Gives measurements as they come, and counts how often it is asked."""

    fingerprint, parallel = "f00", 3

    def __init__(self, *measured):
        self.measured, self.asked, self.sent = list(measured), [], {}

    def measure_beside(self, rows, again):
        self.asked.append((len(rows), len(again)))
        return self.measured[: len(rows)], self.measured[: len(again)]

    def start(self, rows, again):
        self.sent[len(self.sent)] = (rows, again)
        return len(self.sent) - 1

    def arrived(self, timeout_s):
        ticket, (rows, again) = self.sent.popitem()
        return ticket, self.measure_beside(rows, again)


def objectives(measurer, *names):
    batches = MeasuredBatches(measurer)
    return [MeasuredLatency(measurer, parse("torch"), READINGS[name], batches) for name in names]


# --- percentiles -----------------------------------------------------------------------------------------------------


def test_percentiles_are_those_of_all_samples(rng):
    seconds = 0.001 * rng.lognormal(size=2000)
    seconds = np.round(seconds, 9)
    made = measurement(seconds, disturbed=300)
    for name, q in (("median", 50), ("p95", 95), ("p99", 99)):
        found = percentile(made, name)
        assert found.value == pytest.approx(np.percentile(seconds, q))
        assert found.low < found.value < found.high
        shown = percentiles_json(made)[name]
        assert shown == pytest.approx(
            {"value": 1e3 * found.value, "ci_low": 1e3 * found.low, "ci_high": 1e3 * found.high}
        )


@pytest.mark.parametrize(("name", "q"), [("median", 0.5), ("p95", 0.95), ("p99", 0.99)])
def test_the_true_percentile_is_within_the_interval_as_often_as_is_said(name, q, rng):
    true = -math.log(1 - q)
    draws = [percentile(measurement(np.maximum(1e-9, rng.exponential(size=400))), name) for _ in range(200)]
    assert np.mean([one.low <= true <= one.high for one in draws]) >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / 200)


def test_too_few_samples_bound_no_high_percentile():
    made = measurement(np.linspace(0.001, 0.002, 100))
    assert math.isinf(percentile(made, "p99").high)
    assert math.isfinite(percentile(made, "p95").high)
    assert percentiles_json(made)["p99"]["ci_high"] is None
    json.dumps(percentiles_json(made), allow_nan=False)


def test_a_tables_value_has_no_percentiles():
    assert percentile(Measurement("toy", {}, "0", "lut", "ok", "", "table", 0.01, 1, 1), "p99") is None


def test_every_statistic_is_explained():
    made = measurement([0.001, 0.002])
    for name in (*STATISTICS, "table"):
        assert explained(replace(made, statistic=name)) not in ("", name)
    paced = Pace(np.array([0.1, 0.0]), "median", 0.01)
    assert explained(replace(made, pace=paced)) == "the median of undisturbed samples, the host's pace divided out"
    assert explained(replace(made, pace=replace(paced, slower=np.zeros(2)))) == explained(made)
    assert set(READINGS) == {"latency", "throughput", *(f"latency:{name}" for name in PERCENTILES)}


# --- objectives ------------------------------------------------------------------------------------------------------


def test_they_read_values_intervals_and_status_from_measurements(rng):
    seconds = np.round(0.001 * rng.lognormal(size=1000), 9)
    good = measurement(seconds, batch=8, context={"anchors": {"a": 0.002}})
    bad = measurement([], status="failed")
    for name in PERCENTILES:
        (made,) = objectives(Measurer(good, bad), f"latency:{name}")
        outcome, found = made.evaluate_beside(X[:2], X[2:3]), percentile(good, name)
        assert (made.unit, made.maximise) == ("ms", False)
        assert outcome.status == ("ok", "failed")
        assert outcome.values[0] == pytest.approx(1e3 * found.value)
        np.testing.assert_allclose(outcome.intervals[0], [1e3 * found.low, 1e3 * found.high])
        assert outcome.beside[0] == {"a": 2.0, "000": pytest.approx(1e3 * found.value)}
    (made,) = objectives(Measurer(good), "throughput")
    outcome = made.evaluate_beside(X[:1], X[1:2])
    assert (made.unit, made.maximise) == ("/s", True)
    assert outcome.values[0] == pytest.approx(8 / good.latency_s)
    np.testing.assert_allclose(outcome.intervals[0], [8 / good.interval[1], 8 / good.interval[0]])
    assert outcome.beside[0] == {"a": 4000.0, "000": pytest.approx(8 / good.latency_s)}


def test_a_percentile_that_nothing_bounds_is_unstable_with_a_way_out():
    (made,) = objectives(Measurer(measurement(np.linspace(0.001, 0.002, 100))), "latency:p99")
    outcome = made.evaluate(X[:1])
    assert outcome.status == ("unstable",)
    assert outcome.reasons == ("100 samples do not bound its p99 from above; measure it longer: --cap 8",)


def test_what_is_measured_for_one_is_not_measured_again_for_another():
    measurer = Measurer(*(measurement([0.001, 0.002, 0.004]) for _ in range(3)))
    latency, p99, throughput = objectives(measurer, "latency", "latency:p99", "throughput")
    for rows in (X[:2], X[2:5], X[2:5]):
        latency.evaluate_beside(rows, X[:1])
        assert p99.evaluate_beside(rows, X[:1]).beside[0] != {}
        throughput.evaluate(rows)
    assert measurer.asked == [(2, 1), (3, 1), (3, 1)]
    for rows in (X[:1], X[1:3]):
        latency.start(rows, X[:0])
    assert latency.arrived(1.0)[0] == 1
    throughput.evaluate(X[1:3])
    assert len(measurer.asked) == 4


def test_throughput_of_a_table_is_exact_and_its_percentiles_are_refused():
    with Sources(NET, "lut:table=note10", quality_spec="none") as sources:
        latency, throughput = make(["latency", "throughput"], sources)
        assert (throughput.exact, throughput.costs_nothing, throughput.maximise) == (True, True, True)
        np.testing.assert_allclose(throughput.evaluate(X).values * latency.evaluate(X).values, 1e3)
        for name in PERCENTILES:
            with pytest.raises(UsageError, match="has one latency of each sub-network, and no percentiles"):
                make([f"latency:{name}"], sources)


def test_names_with_a_colon_are_told_from_those_of_the_caller():
    assert own_objective("latency:p99") is None
    assert own_objective("latency:max").name == "latency"
    assert own_objective("latency:p9") is None
    with pytest.raises(UsageError, match=re.escape("has one stage; did you mean 'latency:p99'?")):
        make(["latency:p9"], Sources(NET, "torch"))
    with pytest.raises(UsageError, match="expected NAME:min or NAME:max"):
        own_objective("throughput:p9")


def test_constraints_on_them():
    made = objectives(Measurer(), "latency:p99", "throughput")
    assert str(parse_constraint("latency:p99<=30ms", made)) == "latency:p99<=30ms"
    assert str(parse_constraint("latency:p99 <= 0.03 s", made)) == "latency:p99<=30ms"
    assert str(parse_constraint("throughput>=100", made)) == "throughput>=100/s"
    assert parse_constraint("throughput >= 100/s", made) == parse_constraint("throughput>=100", made)
    with pytest.raises(UsageError, match="throughput is maximised; expected throughput>=100"):
        parse_constraint("throughput<=100", made)


# --- from end to end -------------------------------------------------------------------------------------------------

BRIEF = {
    "rounds": 2, "check_every": 1, "interval": 10, "steady": 10, "tau": -1, "warmup_s": 0, "samples": 1,
    "calibration_s": 0.05,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(("effort", "again"), [("thorough", 0), ("quick", 3)])
def test_a_search_measures_each_sub_network_once_for_all_of_them(effort, again):
    with Store.open(":memory:") as store:
        found = search(
            supernets.get("toy"), "scripted:us=20", algorithm="random", evals=5, store=store, protocol=BRIEF,
            objectives=("latency", "latency:p99", "params"), constraints=("throughput>=1", "latency:median<=1s"),
            effort=effort, final_front=again,
        )  # fmt: skip
        assert 5 <= store.count_measurements() <= 5 + again
    for one in found.evaluations:
        assert set(one.objectives) == {"latency", "latency:p99", "params", "throughput", "latency:median"}
        assert one.objectives["latency"] <= one.objectives["latency:p99"]
        assert one.objectives["throughput"] == pytest.approx(1e3 / one.objectives["latency"])
        assert one.violation == 0
    assert any(one.while_searching for one in found.evaluations) == bool(again)


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_profile_shows_percentiles_where_they_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    numbers = [part for name, value in BRIEF.items() for part in ("--protocol", f"{name}={value}")]
    command = ["profile", "toy", "-c", "min", "-p", "scripted", "--store", "sqlite://", *numbers]
    assert run([*command, "--percentiles", "--json", "found.json", "--html", "page.html"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"median +p95 +p99", shown.out)
    assert (
        "latency: the mean of the fastest 30 % of undisturbed samples (p15); median, p95 and p99: of all" in shown.err
    )
    (row,) = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert set(row["percentiles_ms"]) == set(PERCENTILES)
    assert "p99 (ms)" in (tmp_path / "page.html").read_text()
    assert run([*command, "--json", "-", "-q"]) == 0
    assert "percentiles_ms" not in capsys.readouterr().out


def test_a_measurer_that_is_not_shared_is_asked_each_time():
    made = MeasuredLatency(measurer := Measurer(measurement([0.001])), parse("torch"))
    made.evaluate(X[:1])
    made.evaluate(X[:1])
    assert measurer.asked == [(1, 0), (1, 0)]
