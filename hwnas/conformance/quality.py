"""What every quality source has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwnas import supernets
from hwnas.conformance.check import Request, Suite, applies, expect
from hwnas.harness import quality
from hwnas.harness.quality import Quality
from hwnas.supernets.errors import NotServedError, PlugInError, QualityError, UsageError
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork

# How many sub-networks are evaluated where that costs nothing; where it does, the smallest has to do.
_ROWS = 20


@dataclass(frozen=True)
class QualitySubject:
    """A quality source, a super-network that it serves, and vectors that it is asked about."""

    source: Quality
    net: SuperNetwork
    X: IntArray

    @classmethod
    def of(cls, source: Quality, net: SuperNetwork) -> QualitySubject:
        """Return the subject of a source."""
        X = net.space.sample(_ROWS, 0) if source.costs_nothing else net.space.smallest()
        return cls(source, net, X)


def _requested(request: Request) -> QualitySubject:
    quality.registry.provider(request.name)
    spec = ":".join(filter(None, (request.name, request.argument)))
    for net in _candidates(request):
        try:
            return QualitySubject.of(quality.get(spec, net), net)
        except (NotServedError, QualityError):
            if request.supernet is not None:
                raise
    raise UsageError(f"{spec} serves no super-network that is known here: name one by --supernet")


def _candidates(request: Request) -> Iterator[SuperNetwork]:
    """Yield the super-networks that a source may serve: the one that was asked for, or all."""
    for name in [request.supernet] if request.supernet else supernets.registry.working():
        try:
            yield supernets.get(name)
        except PlugInError:
            if request.supernet:
                raise


SUITE = Suite(quality.registry, _requested)


@SUITE.check()
def says_what_it_is(subject: QualitySubject) -> None:
    """It has a name, a metric, and a note of one line."""
    source = subject.source
    expect(source.name and source.metric, f"its name is {source.name!r} and its metric {source.metric!r}")
    expect(source.source, "its source is empty, so its values could be mixed with another's")
    expect("\n" not in source.note, f"its note is {source.note!r}, expected one line")


@SUITE.check()
def values_are_finite(subject: QualitySubject) -> None:
    """It gives one finite number per vector, or nan with a reason, and leaves the vectors alone."""
    before = subject.X.copy()
    found = quality.scored(subject.source, subject.X)
    wrong = [one.reason for one in found if one.reason and "has no value" not in one.reason]
    expect(not wrong, "".join(wrong[:1]))
    expect(np.array_equal(subject.X, before), "evaluate(X) changes X")


@SUITE.check()
def values_repeat(subject: QualitySubject) -> None:
    """The same sub-network has the same value again, in whatever batch it is evaluated."""
    first, second = (quality.qualities(subject.source, subject.X) for _ in range(2))
    expect(np.array_equal(first, second, equal_nan=True), "evaluated twice, sub-networks have other values")
    alone = [quality.qualities(subject.source, row[None])[0] for row in subject.X]
    expect(np.array_equal(first, alone, equal_nan=True), "a value depends on what is evaluated beside it")


@SUITE.check()
def one_network_has_one_value(subject: QualitySubject) -> None:
    """Vectors of the same network have the same value."""
    space, X = subject.net.space, subject.X
    hidden = np.where(space.active(X), X, (X + 1) % space.n_options)
    applies(not np.array_equal(hidden, X), "the vectors have no choice without effect")
    found, same = (quality.qualities(subject.source, one) for one in (X, hidden))
    expect(np.allclose(found, same, atol=1e-4, equal_nan=True), "vectors of the same network have other values")


@SUITE.check()
def no_vectors_have_no_values(subject: QualitySubject) -> None:
    """For no vectors it gives no values."""
    none = np.asarray(subject.source.evaluate(subject.X[:0]))
    expect(none.shape == (0,), f"for no vectors it gives the shape {none.shape}, expected (0,)")
