"""Objectives: where values come from, in which unit, and what failed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness.platform import parse
from hwnas.harness.quality import FunctionQuality
from hwnas.search.objectives import DEFAULT, Directions, Outcome, Sources, admitted, make, names, values_of
from hwnas.search.objectives.latency import KnownLatency, MeasuredLatency
from hwnas.search.objectives.quality import QualityObjective
from hwnas.supernets.errors import UnknownNameError, UsageError, WorkError

NET = supernets.get("ofa-mbv3-w1.0")
X = NET.space.canonical(NET.space.sample(5, 0))


def quality(function=lambda X: np.linspace(70, 80, len(X)), **changed):
    base = {"name": "made", "metric": "top1", "unit": "%", "maximise": True, "predicted": True, "note": "a stand-in"}
    return FunctionQuality(**base | {"function": function} | changed)


@pytest.fixture
def sources():
    made = Sources(NET)
    made.__dict__["quality"] = quality()  # what the cached property would open
    return made


def test_counts_are_the_networks_own_in_millions(sources):
    macs, params = make(["macs", "params"], sources)
    np.testing.assert_array_equal(macs.evaluate(X).values * 1e6, NET.macs(X))
    np.testing.assert_array_equal(params.evaluate(X).values * 1e6, NET.params(X))
    assert (macs.unit, macs.maximise, macs.exact, macs.costs_nothing) == ("M", False, True, True)
    assert macs.evaluate(X).status == ("ok",) * 5


def test_the_qualitys_metric_is_an_objective_by_both_names(sources):
    assert [one.name for one in make(["top1", "macs"], sources)] == ["top1", "macs"]
    assert make(["quality"], sources)[0].name == "top1"
    measured = ["latency", "latency:median", "latency:p95", "latency:p99"]
    assert names(sources) == [*measured, "macs", "model-size", "params", "peak-memory", "throughput", "top1"]
    assert DEFAULT == ("latency", "quality")


def test_quality_is_never_cheap_and_a_slow_one_is_evaluated_one_by_one():
    assert not QualityObjective(quality()).exact
    assert QualityObjective(quality()).batched
    assert not QualityObjective(quality(costs_nothing=False)).batched


def test_a_missing_quality_is_a_failure_with_a_reason():
    outcome = QualityObjective(quality(lambda X: np.array([75.0, np.nan]))).evaluate(X[:2])
    assert outcome.status == ("ok", "failed")
    assert outcome.reasons == ("", "the quality source made has no value for it")


@pytest.mark.parametrize(
    ("wanted", "kind", "match"),
    [
        (["mac"], UnknownNameError, "did you mean 'macs'"),
        (["top1", "quality"], UsageError, "given twice"),
        ([], UsageError, "at least one"),
        (["latency"], UsageError, "needs a platform"),
    ],
)
def test_refusals(sources, wanted, kind, match):
    with pytest.raises(kind, match=match):
        make(wanted, sources)


def test_known_latency_in_milliseconds():
    backend = SimpleNamespace(latency=lambda net, X, settings: np.array([0.020, np.nan]))
    known = KnownLatency(NET, backend, parse("lut:table=note10"))
    outcome = known.evaluate(X[:2])
    assert outcome.values[0] == 20.0
    assert outcome.status == ("ok", "failed")
    assert outcome.reasons[1] == "lut:table=note10 has no latency for it"
    assert known.exact
    assert known.costs_nothing


class ScriptedMeasurer:
    fingerprint = "f00"

    def measure_beside(self, X, again):
        anchors = {"anchors": {"a": 0.001}}
        one = SimpleNamespace(
            latency_s=0.002,
            status="unstable",
            reason="did not settle",
            interval=(0.0019, 0.0022),
            context=anchors,
            cached=False,
            load=None,
            protocol=None,
        )
        bad = SimpleNamespace(
            latency_s=np.nan,
            status="failed",
            reason="it crashed",
            interval=(np.nan, np.nan),
            context={},
            cached=True,
            load=None,
            protocol=None,
        )
        here = SimpleNamespace(key="f", latency_s=0.004, context=anchors, protocol=None)
        elsewhere = SimpleNamespace(key="g", latency_s=0.005, context={"anchors": {"a": 0.003}})
        return [one, bad][: len(X)], [here, elsewhere][: len(again)]


def test_measured_latency_tells_what_was_measured_beside_it():
    measured = MeasuredLatency(ScriptedMeasurer(), parse("torch:threads=1"))
    outcome = measured.evaluate_beside(X[:2], X[2:4])
    # The stored one has only its own anchors, here none; "g" was measured in another batch.
    assert outcome.beside == ({"a": 1.0, "f": 4.0}, {})
    assert measured.evaluate(X[:2]).beside == ({"a": 1.0}, {})


def test_measured_latency_carries_status_reason_and_interval():
    measured = MeasuredLatency(ScriptedMeasurer(), parse("torch:threads=1"))
    outcome = measured.evaluate(X[:2])
    assert outcome.values[0] == 2.0
    assert np.isnan(outcome.values[1])
    assert outcome.status == ("unstable", "failed")
    assert outcome.reasons == ("did not settle", "it crashed")
    np.testing.assert_allclose(outcome.intervals[0], [1.9, 2.2])
    assert measured.source == "torch:threads=1 on f00"
    assert not measured.exact
    assert not measured.costs_nothing


@given(st.lists(st.tuples(st.booleans(), st.floats(allow_nan=False)), min_size=1))
def test_directions_there_and_back(pairs):
    directions = Directions([maximise for maximise, _ in pairs])
    values = np.array([value for _, value in pairs])
    minimised = directions.minimised(values)
    np.testing.assert_array_equal(directions.shown(minimised), values)
    for (maximise, value), turned in zip(pairs, minimised, strict=True):
        assert turned == (-value if maximise else value)


def test_an_outcome_of_exact_values():
    outcome = Outcome.of(np.array([1.0, np.nan]), "not known")
    assert (outcome.status, outcome.reasons) == (("ok", "failed"), ("", "not known"))
    assert outcome.intervals is None


# --- what a value may be ---------------------------------------------------------------------------------------------


def objective(unit="ms", **outcome):
    given = {"values": np.array([1.0, 2.0]), "status": ("ok", "ok"), "reasons": ("", "")} | outcome
    return SimpleNamespace(name="made", unit=unit, source="a plug-in", evaluate=lambda X: Outcome(**given))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0, -46.0, "2", None, True, 2 + 1j, 1e60], ids=repr)
@pytest.mark.parametrize("status", ["ok", "unstable"])
def test_what_may_not_be_a_time_is_a_failure_with_a_reason(value, status):
    made = objective(values=[1.0, value], status=("ok", status), reasons=("", "it wandered" * (status != "ok")))
    outcome = admitted(made, made.evaluate(X[:2]), 2)
    assert outcome.status == ("ok", "failed")
    assert outcome.values[0] == 1.0
    assert np.isnan(outcome.values[1])
    assert outcome.reasons[1] == "it has no value" or outcome.reasons[1].startswith("made from a plug-in gave ")
    assert np.array_equal(values_of(made, X[:2]), outcome.values, equal_nan=True)


def test_what_is_no_time_may_be_0_or_less():
    made = objective(unit="%", values=np.array([0.0, -3.0]))
    assert admitted(made, made.evaluate(X[:2]), 2).status == ("ok", "ok")


def test_an_unknown_status_is_a_failure():
    made = objective(status=("ok", "great"))
    outcome = admitted(made, made.evaluate(X[:2]), 2)
    assert outcome.status == ("ok", "failed")
    assert "gave the status 'great', expected one of ok, unstable, failed" in outcome.reasons[1]


def test_a_failure_keeps_its_reason_and_has_no_value():
    made = objective(status=("ok", "failed"), reasons=("", "it crashed"))
    outcome = admitted(made, made.evaluate(X[:2]), 2)
    assert outcome.reasons == ("", "it crashed")
    assert np.isnan(outcome.values[1])


@pytest.mark.parametrize("changed", [{"values": np.ones(3)}, {"values": None}, {"status": ("ok",)}, {"reasons": ()}])
def test_an_objective_that_says_something_else_is_named(changed):
    made = objective(**changed)
    with pytest.raises(WorkError, match=r"made from a plug-in:? gave .* expected one"):
        admitted(made, made.evaluate(X[:2]), 2)


@pytest.mark.parametrize("value", [0.0, -9.997, np.inf, -np.inf, "0.02"], ids=repr)
def test_a_tables_latency_that_is_none_is_a_failure(value):
    backend = SimpleNamespace(latency=lambda net, X, settings: [0.020, value])
    outcome = KnownLatency(NET, backend, parse("lut:table=note10")).evaluate(X[:2])
    assert outcome.status == ("ok", "failed")
    assert outcome.reasons[1].startswith("lut:table=note10 gave ")
    assert outcome.reasons[1].endswith("expected a finite number above 0")
