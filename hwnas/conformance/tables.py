"""What every backend that looks latencies up has to hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwnas import backends, supernets
from hwnas.backends import KnowingBackend, Settings
from hwnas.backends.backend import known_latency, why_not
from hwnas.conformance.check import NotApplicableError, Request, Suite, applies, expect
from hwnas.supernets.errors import PlatformError, UsageError
from hwnas.supernets.spec import parse_spec
from hwnas.supernets.supernet import SuperNetwork

_ROWS = 20


@dataclass(frozen=True)
class KnowingSubject:
    """A backend that looks latencies up, and a super-network that its table is about."""

    backend: KnowingBackend
    net: SuperNetwork
    options: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """Its default device and precision, with the options."""
        return Settings(self.backend.devices[0], precision=self.backend.precisions[0], options=self.options)


def _requested(request: Request) -> KnowingSubject:
    backend = backends.get(request.name)
    if not isinstance(backend, KnowingBackend):
        raise NotApplicableError(f"{request.name} runs networks, and looks nothing up")
    reason = why_not(backend)
    if reason is not None:
        raise PlatformError(f"{request.name} does not work here: {reason}")
    if request.supernet is None:
        raise UsageError(f"{request.name} looks latencies up: say of which super-network, by --supernet")
    _, options = parse_spec(f"{request.name}:{request.argument}", f"backend {request.name!r}", PlatformError)
    return KnowingSubject(backend, supernets.get(request.supernet), options)


SUITE = Suite(backends.registry, _requested)


@SUITE.check()
def latencies_are_seconds(subject: KnowingSubject) -> None:
    """It gives one latency per vector, in seconds, more than 0, or nan where it knows none; some are known."""
    X = subject.net.space.sample(_ROWS, 0)
    found = known_latency(subject.backend, subject.net, X, subject.settings, "it")
    wrong = [reason for reason in found.reasons if reason and "has no latency" not in reason]
    expect(not wrong, "".join(wrong[:1]))
    applies(not np.isnan(found.values).all(), "it knows none of 20 random sub-networks")


@SUITE.check()
def latencies_depend_on_the_network_alone(subject: KnowingSubject) -> None:
    """Vectors of one network have one latency, whatever they are looked up along with, and X is left alone."""
    space = subject.net.space
    X = space.sample(_ROWS, 0)
    before = X.copy()
    found = np.asarray(subject.backend.latency(subject.net, X, subject.settings))
    expect(np.array_equal(X, before), "latency(net, X, settings) changes X")
    canonical = np.asarray(subject.backend.latency(subject.net, space.canonical(X), subject.settings))
    expect(np.allclose(found, canonical, rtol=1e-12, equal_nan=True), "vectors of the same network differ in latency")
    alone = [np.asarray(subject.backend.latency(subject.net, row[None], subject.settings))[0] for row in X]
    expect(np.allclose(found, alone, rtol=1e-12, equal_nan=True), "a latency depends on what is looked up beside it")
    none = np.asarray(subject.backend.latency(subject.net, X[:0], subject.settings))
    expect(none.shape == (0,), f"for no vectors it gives the shape {none.shape}, expected (0,)")
