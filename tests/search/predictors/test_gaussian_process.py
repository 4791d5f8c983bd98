"""The Gaussian process against scikit-learn's, finite differences, and what it must know about itself."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas import supernets
from hwnas.search.predictors import fit
from hwnas.search.predictors._blocks import FeatureBlock, SpaceFeatures, plain_blocks
from hwnas.search.predictors._kernel import Kernel
from hwnas.search.predictors.gp import GaussianProcess


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.random((60, 4))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 0.3 * X[:, 2]


def test_posterior_equals_scikit_learns(data):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    X, y = data
    block = FeatureBlock(slice(0, 4), linear=False, amplitude=0.2, groups=np.zeros(4, dtype=np.int64), scale=0.1)
    start = np.array([0.2, 0.1, np.log(1e-3)])
    ours = GaussianProcess(X[:40], y[:40], (block,), start=start, iterations=0)
    spread = np.sqrt(X[:40].var(axis=0).sum())
    kernel = ConstantKernel(np.exp(0.4)) * RBF(np.exp(0.1) * spread)
    scaled = (y[:40] - y[:40].mean()) / y[:40].std()
    theirs = GaussianProcessRegressor(kernel, alpha=1e-6 + 1e-7, optimizer=None).fit(X[:40], scaled)
    mean, deviation = theirs.predict(X[40:], return_std=True)
    found, found_deviation = ours.predict(X[40:], return_std=True)
    np.testing.assert_allclose(found, y[:40].mean() + y[:40].std() * mean, rtol=1e-6)
    np.testing.assert_allclose(found_deviation, y[:40].std() * deviation, rtol=1e-4)


def test_gradient_equals_finite_differences(data):
    X, y = data
    blocks = (
        FeatureBlock(slice(0, 2), linear=True, amplitude=-0.5, groups=np.zeros(2, dtype=np.int64)),
        FeatureBlock(slice(0, 4), linear=False, amplitude=-0.2, groups=np.array([0, 0, 1, 1])),
    )
    fitted = GaussianProcess(X, y, blocks, iterations=0)
    expected, at = np.append(fitted._kernel.expected, -3.0), np.array([-0.4, 0.1, -0.3, 0.2, -2.0])
    _, slope = fitted._objective(at, expected)
    step = 1e-6
    for column in range(len(at)):
        move = np.eye(len(at))[column] * step
        difference = fitted._objective(at + move, expected)[0] - fitted._objective(at - move, expected)[0]
        assert slope[column] == pytest.approx(difference / (2 * step), rel=1e-4, abs=1e-5)


def test_exact_data_are_interpolated_and_certain(data):
    X, y = data
    fitted = GaussianProcess(X, y, plain_blocks(4), noise=0.0)
    mean, deviation = fitted.predict(X, return_std=True)
    np.testing.assert_allclose(mean, y, atol=0.02 * y.std())
    assert deviation.max() < 0.05 * y.std()
    assert fitted.predict(X + 3.0, return_std=True)[1].min() > 5 * deviation.max()


def test_declared_noise_is_not_interpolated(data):
    X, y = data
    noisy = y + np.random.default_rng(1).normal(0, 0.3, len(y))
    fitted = GaussianProcess(X, noisy, plain_blocks(4), noise=0.3)
    assert np.std(fitted.predict(X) - y) < 0.75 * np.std(noisy - y)


def test_deviations_are_those_of_the_errors():
    """On a function drawn from its own prior, errors over deviations have a spread of about one."""
    rng = np.random.default_rng(5)
    X = rng.random((300, 3))
    kernel = Kernel(X, plain_blocks(3))
    y = np.linalg.cholesky(kernel.matrix(kernel.expected) + 1e-8 * np.eye(300)) @ rng.standard_normal(300)
    fitted = GaussianProcess(X[:60], y[:60], plain_blocks(3))
    mean, deviation = fitted.predict(X[60:], return_std=True)
    assert 0.6 < np.std((y[60:] - mean) / deviation) < 1.6


def test_predicts_in_batches_of_any_size(data):
    X, y = data
    fitted = fit(X, y, "gp")
    many = np.random.default_rng(2).random((10_000, 4))
    np.testing.assert_allclose(fitted.predict(many)[[0, 5000, 9999]], fitted.predict(many[[0, 5000, 9999]]), rtol=1e-9)
    assert fitted.predict(many[:0]).shape == (0,)


def test_features_share_what_is_common():
    """A choice that was never tried is expected to do what its kind does."""
    space = supernets.get("ofa-mbv3-w1.0").space
    features = SpaceFeatures(space)
    X = space.smallest().repeat(2, axis=0)
    X[1, 3] = 2  # beyond the depth: the same network
    np.testing.assert_array_equal(features(X)[0], features(X)[1])
    rng = np.random.default_rng(0)
    X = space.canonical(space.sample(60, rng))
    y = (X[:, 20:40] * space.active(X)[:, 20:40]).sum(axis=1) + 3.0 * X[:, 40:].sum(axis=1)
    tried = X.copy()
    tried[:, 39] = 0
    y = y - X[:, 39] * space.active(X)[:, 39]
    unseen = space.largest().repeat(2, axis=0)
    unseen[0, 39] = 0
    low, high = GaussianProcess(features(tried), y.astype(float), features.blocks).predict(features(unseen))
    assert 0.3 < high - low < 4.0
