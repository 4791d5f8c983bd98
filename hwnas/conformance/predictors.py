"""What every predictor has to hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.conformance.check import Request, Suite, expect
from hwnas.search import predictors
from hwnas.supernets.space import FloatArray


@dataclass(frozen=True)
class PredictorSubject:
    """A predictor by its name, with examples of a sum over choices."""

    name: str
    features: FloatArray
    y: FloatArray

    @classmethod
    def of(cls, name: str) -> PredictorSubject:
        """Return the subject of a predictor: 60 examples of 12 features, of which one is constant."""
        rng = np.random.default_rng(0)
        features = rng.integers(0, 2, size=(60, 12)).astype(np.float64)
        features[:, 5] = 1.0
        return cls(name, features, 10 + features @ np.linspace(0.1, 2.0, 12))

    def predicted(self, features: FloatArray) -> FloatArray:
        """Return what the predictor, fitted on the first 40 examples, says of features."""
        return np.asarray(predictors.fit(self.features[:40], self.y[:40], self.name).predict(features))


def _requested(request: Request) -> PredictorSubject:
    predictors.registry.provider(request.name)
    return PredictorSubject.of(request.name)


SUITE = Suite(predictors.registry, _requested)


@SUITE.check()
def predicts_one_number_each(subject: PredictorSubject) -> None:
    """It predicts one finite number per row, none for none, and changes neither features nor values."""
    features, y = subject.features.copy(), subject.y.copy()
    found = subject.predicted(subject.features)
    expect(found.shape == (60,), f"for 60 rows it predicts the shape {found.shape}, expected (60,)")
    expect(np.isfinite(found).all(), "it predicts numbers that are not finite")
    same = np.array_equal(features, subject.features) and np.array_equal(y, subject.y)
    expect(same, "it changes the features or the values that it is fitted on")


@SUITE.check()
def learns_a_sum(subject: PredictorSubject) -> None:
    """Of a sum over choices it learns more than the mean, on examples that it has not seen."""
    found = subject.predicted(subject.features[40:])
    error = float(np.abs(found - subject.y[40:]).mean())
    naive = float(np.abs(subject.y[40:] - subject.y[:40].mean()).mean())
    expect(error < 0.5 * naive, f"its error is {error:.3g} where that of the mean is {naive:.3g}")


@SUITE.check()
def predictions_repeat(subject: PredictorSubject) -> None:
    """Fitted twice on the same examples it predicts the same, so that a search repeats."""
    first, second = (subject.predicted(subject.features[40:]) for _ in range(2))
    expect(np.array_equal(first, second), "fitted twice on the same examples it predicts other numbers")
