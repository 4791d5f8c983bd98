"""What every quality source must hold, and what each says when it does not serve."""

from __future__ import annotations

import numpy as np
import pytest
from conforming import hold

from hwnas import supernets
from hwnas.conformance.quality import SUITE, QualitySubject
from hwnas.harness import quality
from hwnas.harness.quality import Quality
from hwnas.harness.quality.quality import Score
from hwnas.supernets.errors import QualityError, TableError, UnknownNameError, UsageError, WorkError

W10 = supernets.get("ofa-mbv3-w1.0")
W12 = supernets.get("ofa-mbv3-w1.2")


def write_csv(file, net, X, top1):
    lines = ["ks,e,d,top1"]
    for config, value in zip(net.space.decode(X), top1, strict=True):
        lines.append(",".join([*(" ".join(map(str, config[key])) for key in ("ks", "e", "d")), str(value)]))
    file.write_text("\n".join(lines))
    return file


def smooth(net, X):
    """A made-up accuracy with singles and pairs in it."""
    features = net.space.one_hot(X)
    weights = np.random.default_rng(5).normal(size=features.shape[1])
    return 70 + 0.1 * features @ weights + 0.001 * (features @ np.roll(weights, 3)) ** 2


@pytest.fixture(params=["surrogate", "ofa-predictor", "table:FILE", "surrogate:FILE"])
def source(request, tmp_path):
    """Every source, with a super-network that it serves."""
    net = W12 if request.param == "ofa-predictor" else W10
    if request.param == "ofa-predictor":
        request.getfixturevalue("assets")
    X = net.space.sample(80, 3)
    file = write_csv(tmp_path / "measured.csv", net, X, smooth(net, X))
    return net, quality.get(request.param.replace("FILE", str(file)), net), X


def test_every_source_is_tested_here_or_runs_sub_networks():
    costs_nothing = [name for name in quality.names() if not quality.registry.stated(name, "USES_WEIGHTS")]
    # hw-gpt-predictor is not of images: tests/harness/quality/test_hw_gpt_predictor.py
    assert costs_nothing == ["capacity", "hw-gpt-predictor", "ofa-predictor", "surrogate", "table"]


# Each of these has data of its own to run sub-networks on, and its own tests in tests/harness/quality.
@pytest.mark.parametrize("name", [name for name in quality.names() if quality.registry.stated(name, "USES_WEIGHTS")])
def test_a_source_that_runs_sub_networks_says_what_it_needs(name):
    for spec in (name, f"{name}:nowhere"):
        with pytest.raises(UsageError) as caught:
            quality.get(spec, W10)
        assert any(word in str(caught.value) for word in (name, W10.name, "nowhere"))


def test_a_source_says_what_it_is(source):
    _, found, _ = source
    assert isinstance(found, Quality)
    assert (found.metric, found.unit, found.maximise, found.costs_nothing) == ("top1", "%", True, True)
    assert found.predicted == (not found.name.startswith("table:"))
    assert ("predicted" in found.note) == found.predicted
    assert "\n" not in found.note


@pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in SUITE.checks])
def test_every_source(source, check):
    net, found, X = source
    hold(check, QualitySubject(found, net, X[:20]))


def test_values_are_per_cent(source):
    _, found, X = source
    values = found.evaluate(X)
    assert values.dtype == np.float64
    assert ((values > 50) & (values < 100)).all()


def test_none_is_the_default_of_the_super_network(assets):
    assert quality.get(None, W10).name == "surrogate"
    assert quality.get(None, W12).name == "ofa-predictor"


@pytest.mark.parametrize(
    ("spec", "net", "error", "message"),
    [
        ("surogate", W10, UnknownNameError, "did you mean 'surrogate'"),
        (
            "surrogate",
            W12,
            QualityError,
            "only, not ofa-mbv3-w1.2; for ofa-mbv3-w1.2 use ofa-predictor",
        ),
        (
            "surrogate",
            supernets.get("ofa-mbv3-w1.0:r=192"),
            QualityError,
            "for ofa-mbv3-w1.0:r=192 use surrogate:FILE",
        ),
        ("ofa-predictor", W10, QualityError, "ofa-resnet50, not for ofa-mbv3-w1.0; for ofa-mbv3-w1.0 use surrogate"),
        ("ofa-predictor:x", W12, QualityError, "has no argument, got 'x'"),
        (
            "ofa-predictor",
            supernets.get("ofa-mbv3-w1.2:r=160+164"),
            QualityError,
            "not 164; it serves ofa-mbv3-w1.2:r=224",
        ),
        ("table", W10, QualityError, "expected table:FILE or table:FILE,column=COLUMN, got table:"),
        ("table:x.csv,top1", W10, QualityError, "expected table:FILE"),
        ("table:x.csv,column=", W10, QualityError, "expected table:FILE"),
        ("table:none.csv", W10, TableError, "none.csv: no such measured table"),
        ("surrogate:none.csv", W10, TableError, "none.csv: no such measured table"),
    ],
)
def test_what_does_not_serve_is_refused_with_what_does(spec, net, error, message):
    with pytest.raises(error) as caught:
        quality.get(spec, net)
    assert message in str(caught.value)


# --- table: and surrogate: on files ----------------------------------------------------------------------------------


def test_table_gives_what_was_measured_and_nan_elsewhere(tmp_path):
    X = W10.space.sample(2, 0)
    file = write_csv(tmp_path / "m.csv", W10, X[[0, 1, 0]], [75.0, 76.0, 75.5])
    values = quality.get(f"table:{file}", W10).evaluate(np.vstack([X, W10.space.largest()]))
    assert values == pytest.approx([75.25, 76.0, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("header", "spec", "expected"),
    [
        ("top1,bleu", "table:{}", "several columns with a quality"),
        ("a_ms,b", "table:{}", "no column with a quality"),
        ("a_ms,b", "table:{},column=top1", "expected a column 'top1'; there are: config, a_ms, b"),
        ("a_ms,top1", "table:{}", "'top1' is 0 or empty throughout: it was not measured"),
    ],
)
def test_columns_that_do_not_serve(tmp_path, header, spec, expected):
    file = tmp_path / "m.csv"
    file.write_text(f"config,{header}\n{{}},1,0\n")
    with pytest.raises(TableError) as caught:
        quality.get(spec.format(file), W10)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("column", "metric", "unit", "maximise"),
    [("Top-1 Acc (%)", "top1", "%", True), ("hr@10", "hr10", "", True), ("perplexity", "perplexity", "", False)],
)
def test_a_named_column(tmp_path, column, metric, unit, maximise):
    file = write_csv(tmp_path / "m.csv", W10, W10.space.sample(2, 0), [1.0, 2.0])
    file.write_text(file.read_text().replace("top1", column))
    found = quality.get(f"table:{file},column={column}", W10)
    assert (found.metric, found.unit, found.maximise) == (metric, unit, maximise)


def test_a_fitted_surrogate_predicts_what_it_has_not_seen(tmp_path):
    X, unseen = W10.space.sample(400, 1), W10.space.sample(200, 2)
    found = quality.get(f"surrogate:{write_csv(tmp_path / 'm.csv', W10, X, smooth(W10, X))}", W10)
    truth = smooth(W10, unseen)
    error = np.abs(found.evaluate(unseen) - truth)
    assert error.mean() < 0.2 * np.abs(truth - truth.mean()).mean()
    assert "400 of 400 measured" in found.note
    assert "5-fold Kendall tau 0.9" in found.note


def test_too_few_rows_are_refused(tmp_path):
    X = W10.space.sample(49, 1)
    file = write_csv(tmp_path / "m.csv", W10, np.vstack([X, X]), np.linspace(70, 80, 98))
    with pytest.raises(
        QualityError, match="49 distinct measured sub-networks are too few to fit on, expected at least 50"
    ):
        quality.get(f"surrogate:{file}", W10)


def test_equal_values_are_refused(tmp_path):
    file = write_csv(tmp_path / "m.csv", W10, W10.space.sample(60, 1), [75.0] * 60)
    with pytest.raises(QualityError, match="nothing to learn"):
        quality.get(f"surrogate:{file}", W10)


# --- what a value may be ---------------------------------------------------------------------------------------------


def made(function):
    labels = {"name": "made", "metric": "top1", "unit": "%", "maximise": True, "predicted": True, "note": "made up"}
    return quality.FunctionQuality(**labels, function=function)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, 75 + 1j, "75", None, True, b"75"], ids=repr)
def test_what_can_be_no_quality_is_none_with_a_reason(value):
    X = W10.space.sample(3, 0)
    found = quality.scored(made(lambda X: [75.0, value, 76.0][: len(X)]), X)
    assert [one.value for one in found[::2]] == [75.0, 76.0]
    assert [one.reason for one in found[::2]] == ["", ""]
    assert np.isnan(found[1].value)
    assert found[1].reason.startswith("the quality source made gave ")
    too_large = " up to 1e+50" if value == 1e300 else ""
    assert found[1].reason.endswith(f": expected a finite number{too_large}")
    assert np.isnan(quality.qualities(made(lambda X: np.array([75.0, value, 76.0], dtype=object)), X)[1])


@pytest.mark.parametrize("answer", [None, 75.0, [75.0], np.ones((3, 1)), "abc"])
def test_a_source_that_answers_something_else_is_named(answer):
    with pytest.raises(WorkError, match=r"the quality source made gave .* for 3 sub-networks"):
        quality.scored(made(lambda X: answer), W10.space.sample(3, 0))


def test_a_source_may_know_no_value():
    (score,) = quality.scored(made(lambda X: np.full(len(X), np.nan)), W10.space.sample(1, 0))
    assert score.reason == "the quality source made has no value for it"


class Measured:
    """A source with intervals."""

    name = source = "lab"
    metric, unit, maximise, predicted, costs_nothing, note = "top1", "%", True, False, False, ""

    def __init__(self, *scores):
        self._scores = list(scores)

    def evaluate(self, X):
        return np.array([one.value for one in self._scores])

    def scores(self, X):
        return self._scores


@pytest.mark.parametrize(("low", "high"), [(76.0, 74.0), (np.nan, 76.0), (74.0, np.inf), ("74", 76.0), (None, None)])
def test_what_is_no_interval_is_not_known(low, high):
    (score,) = quality.scored(Measured(Score(75.0, low, high)), W10.space.sample(1, 0))
    assert score.value == 75
    assert np.isnan([score.low, score.high]).all()
