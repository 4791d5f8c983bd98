"""Predictors against closed forms, other libraries, and the bars on measured rows."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas import supernets
from hwnas.search import predictors
from hwnas.search.predictors import fit, layer_features
from hwnas.search.predictors.study import predictor_study, scores
from hwnas.supernets.errors import UnknownNameError, UsageError

# A perceptron is trained for seconds.
KINDS = [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "mlp")) for kind in predictors.kinds()]


@pytest.fixture(scope="module")
def linear():
    """Four informative features, one constant, one copy; a little curvature."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(160, 6)).astype(float)
    X[:, 4], X[:, 5] = 1.0, X[:, 0]
    return X, X[:, :4] @ np.array([1.0, -2.0, 0.5, 0.25]) + 0.1 * X[:, 0] * X[:, 1] + 70.0


@pytest.fixture(scope="module")
def measured(dynast_rows):
    net = supernets.get("ofa-mbv3-w1.0")
    X = net.space.canonical(net.space.encode([row["config"] for row in dynast_rows]))
    X, first = np.unique(X, axis=0, return_index=True)
    return net.space.one_hot(X), np.array([dynast_rows[row]["top1"] for row in first])


@pytest.mark.parametrize("kind", KINDS)
def test_learns_an_easy_function(kind, linear):
    X, y = linear
    predicted = fit(X[:120], y[:120], kind).predict(X[120:])
    assert predicted.shape == (40,)
    assert np.sqrt(np.mean((predicted - y[120:]) ** 2)) < 0.15 * y.std()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_or_equal_examples_are_survived(kind, n):
    X = np.arange(3 * n, dtype=float).reshape(n, 3)
    assert np.isfinite(fit(X, np.arange(n, dtype=float), kind).predict(X)).all()
    np.testing.assert_allclose(fit(X, np.full(n, 7.0), kind).predict(X + 1), 7.0, atol=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.1, 1e-9, -1e12])
def test_a_target_that_is_the_same_for_all_examples_is_predicted_for_others(kind, value):
    X = np.random.default_rng(0).integers(0, 3, size=(12, 5)).astype(float)
    np.testing.assert_allclose(fit(X, np.full(12, value), kind).predict(3.0 - X), value, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_left_alone_and_repeat_gives_the_same(kind, linear):
    X, y = linear[0].copy(), linear[1].copy()
    first, second = fit(X, y, kind).predict(X), fit(X, y, kind).predict(X)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(X, linear[0])
    np.testing.assert_array_equal(y, linear[1])


@pytest.mark.parametrize("kind", KINDS)
def test_units_do_not_matter(kind, linear):
    """A target in seconds is predicted as well as one in milliseconds."""
    X, y = linear
    small = fit(X[:120], 1e-3 * y[:120], kind).predict(X[120:])
    np.testing.assert_allclose(1e3 * small, fit(X[:120], y[:120], kind).predict(X[120:]), rtol=1e-3)


def test_ridge_equals_scikit_learns(linear):
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    X, y = linear
    noisy = y + np.random.default_rng(1).normal(0, 1, len(y))
    scaler = StandardScaler().fit(X)
    other = RidgeCV(np.logspace(-3, 4, 15)).fit(scaler.transform(X), noisy)
    np.testing.assert_allclose(fit(X, noisy, "ridge").predict(X), other.predict(scaler.transform(X)), rtol=1e-6)


def test_svr_equals_scikit_learns_own_prediction(linear):
    from sklearn.svm import SVR

    X, y = linear
    ours = fit(X, y, "svr-rbf")
    standard = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    theirs = SVR(kernel="rbf", C=10.0, epsilon=0.02, gamma=0.25 / 5).fit(standard, (y - y.mean()) / y.std())
    np.testing.assert_allclose(ours.predict(X), y.mean() + y.std() * theirs.predict(standard), rtol=1e-8)


@pytest.mark.parametrize(
    ("features", "y", "match"),
    [
        (np.zeros((3, 2)), np.zeros(2), r"got \(3, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0), "at least one"),
        (np.zeros((2, 2)), np.array([1.0, np.nan]), "finite"),
    ],
)
def test_bad_input_is_named(features, y, match):
    with pytest.raises(ValueError, match=match):
        fit(features, y)


def test_unknown_kind():
    with pytest.raises(UnknownNameError, match="did you mean 'ridge'"):
        fit(np.zeros((2, 2)), np.zeros(2), "rigde")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["svr-rbf", "stacked", "gp", "auto"])
def test_bar_on_measured_accuracy(kind, measured):
    """1,000 examples for training, 500 for testing."""
    X, y = measured
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:1000], order[1000:1500]
    mape, tau = scores(y[test], fit(X[train], y[train], kind).predict(X[test]))
    assert mape <= 0.12
    assert tau >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ridge", "stacked"])
def test_bar_on_table_latency(kind, assets):
    del assets
    from hwnas.latency_luts import published

    net = supernets.get("ofa-mbv3-w1.2")
    X = net.space.canonical(net.space.sample(1500, 0))
    y = published.get("note10").table(224).latency(net, X)
    features = np.hstack([net.space.one_hot(X), layer_features(net.space, X)])
    _, tau = scores(y[1000:], fit(features[:1000], y[:1000], kind).predict(features[1000:]))
    assert tau >= 0.99


def test_layer_features_make_sums_over_layers_linear():
    net = supernets.get("ofa-mbv3-w1.0")
    X = net.space.canonical(net.space.sample(700, 0))
    y = net.macs(X).astype(float)
    features = np.hstack([net.space.one_hot(X), layer_features(net.space, X)])
    np.testing.assert_allclose(fit(features[:500], y[:500], "ridge").predict(features[500:]), y[500:], rtol=1e-4)
    mape, _ = scores(y[500:], fit(net.space.one_hot(X[:500]), y[:500], "ridge").predict(net.space.one_hot(X[500:])))
    assert mape > 0.5, "one-hot features alone would do"


def test_study_shapes_and_progress(linear):
    X, y = linear
    calls = []
    study = predictor_study(
        X, y, ("ridge", "svr-rbf"), (20, 60), 50, 3, progress=lambda done, total: calls.append((done, total))
    )
    assert study.mape.shape == study.tau.shape == (2, 2, 3)
    assert calls[-1] == (12, 12)
    assert len(calls) == 12
    assert (study.mape[:, 1].mean(axis=1) < study.mape[:, 0].mean(axis=1)).all()
    again = predictor_study(X, y, ("ridge", "svr-rbf"), (20, 60), 50, 3)
    np.testing.assert_array_equal(study.mape, again.mape)


def test_study_needs_enough_examples(linear):
    with pytest.raises(UsageError, match="120 examples for training and 50 for testing, got 160"):
        predictor_study(*linear, sizes=(120,), n_test=50)


def test_scores():
    assert scores([100.0, 200.0], [101.0, 198.0]) == (pytest.approx(1.0), 1.0)
    assert np.isnan(scores([1.0, 2.0], [3.0, 3.0])[1])
