"""Searches that end when their time on the clock is over, and what each has found by then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.experiments.problem import ExperimentProblem
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import FloatArray, IntArray

if TYPE_CHECKING:
    from hwnas.backends import RunningBackend, Session, Settings
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import Quality
    from hwnas.search.study.result import Study
    from hwnas.supernets.supernet import SuperNetwork

# Whose way of measuring a search uses.
OWN, DYNAST = "hwnas", "dynas-t"
# DyNAS-T runs a network so often before it times it, and then takes the mean of runs: about so long for a sub-network.
_DYNAST_WARMUP = 10
_DYNAST_S = 1.5
# More than any of them gets to.
_MANY = 100_000


@dataclass(frozen=True)
class TimedSearch:
    """How one search works; the name of its table in the file is the name in figures.

    Attributes:
        algorithm: as ``hwnas algorithms`` lists them.
        preset: "paper" for the published settings.
        settings: the algorithm's own, on top of the preset.
        effort: of measuring while it searches, as ``hwnas search --effort`` takes it; ``None``: its default.
        measuring: ``OWN``, or ``DYNAST``: in this process, a fixed warm-up, then the mean of consecutive runs.
    """

    algorithm: str
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    effort: str | None = None
    measuring: str = OWN

    def check(self, where: str) -> None:
        """Raise ``UsageError`` where there is no such algorithm, effort or way of measuring."""
        from hwnas.harness.measurement.protocol import EFFORTS
        from hwnas.search import algorithms

        algorithms.registry.provider(self.algorithm)
        for key, value, known in (("effort", self.effort, EFFORTS), ("measuring", self.measuring, (OWN, DYNAST))):
            if value is not None and value not in known:
                raise UsageError(f"{where}: {key}: unknown {value!r}{suggestion(value, known)}")
        if self.effort is not None and self.measuring != OWN:
            raise UsageError(f"{where}: effort: {self.measuring} has none; leave it out")


@dataclass(frozen=True)
class TimedResult:
    """What a search has found.

    Attributes:
        evaluations: how many it made.
        seconds: that it took on the clock, everything included.
        front: the keys of its front.
    """

    evaluations: int
    seconds: float
    front: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "front": list(self.front)}


class _TimeIsUpError(Exception):
    """The search has had its time."""


def for_evaluations(problem: ExperimentProblem, how: TimedSearch, seed: int, evals: int) -> TimedResult:
    """Search until so many evaluations are done, and their final front."""
    return _searched(problem, how, seed, evals, lambda _: None)


def for_seconds(problem: ExperimentProblem, how: TimedSearch, seed: int, seconds: float) -> TimedResult:
    """Search for so long; an evaluation that is under way then is not counted."""
    if how.measuring == DYNAST:
        return _in_this_process(problem, how, seed, seconds)
    start = time.perf_counter()

    def stop(_: Any) -> None:
        if time.perf_counter() - start > seconds:
            raise _TimeIsUpError

    return _searched(problem, how, seed, _MANY, stop)


def _searched(
    problem: ExperimentProblem, how: TimedSearch, seed: int, evals: int, progress: Callable[[Any], None]
) -> TimedResult:
    """Search in a store of its own, so that none is spared what another one has measured."""
    from hwnas import supernets
    from hwnas.harness.store import Store
    from hwnas.search.study.run import search
    from hwnas.search.study.stored import load

    start, net = time.perf_counter(), supernets.get(problem.supernet)
    with Store.open(":memory:") as store:
        try:
            study = search(
                net, algorithm=how.algorithm, preset=how.preset, settings=how.settings, effort=how.effort,
                evals=evals, seed=seed, store=store, study="timed", progress=progress, **problem.options(),
            )  # fmt: skip
        except _TimeIsUpError:
            study = load(store, "timed", net)
    return _result(study, time.perf_counter() - start)


def _result(study: Study, seconds: float) -> TimedResult:
    return TimedResult(len(study.archive), seconds, tuple(one.key for one in study.front))


def _in_this_process(problem: ExperimentProblem, how: TimedSearch, seed: int, seconds: float) -> TimedResult:
    """Search for so long as DyNAS-T does: networks are prepared and timed by the process that searches."""
    from hwnas import supernets
    from hwnas.harness import quality
    from hwnas.harness.host.lock import DeviceLock
    from hwnas.harness.platform import parse
    from hwnas.harness.quality import QualityOptions
    from hwnas.search import algorithms
    from hwnas.search.algorithm import Problem
    from hwnas.search.hypervolume import non_dominated

    start, net, where = time.perf_counter(), supernets.get(problem.supernet), parse(str(problem.platform))
    source = quality.get(problem.quality, net, QualityOptions(problem.weights, problem.subset))
    backend = _running(where)
    options = dict(how.settings) | ({"preset": how.preset} if how.preset else {})
    asked = Problem(net.space, ("latency", "quality"))
    algorithm = algorithms.create(how.algorithm, asked, _MANY, np.random.default_rng(seed), options)
    X, F = np.zeros((0, net.space.n_var), dtype=np.int64), np.zeros((0, 2))
    with DeviceLock(where.settings.device):
        while time.perf_counter() - start < seconds:
            batch = algorithm.ask()
            values = np.full((len(batch), 2), np.nan)
            for row in range(len(batch)):
                if time.perf_counter() - start >= seconds:
                    break
                values[row] = _timed(net, backend, where.settings, batch[row]), _cost(source, batch[row : row + 1])
            algorithm.tell(batch, values)
            X, F = np.concatenate([X, batch]), np.concatenate([F, values])
    done = np.isfinite(F).all(axis=1)
    X, F = X[done], F[done]
    return TimedResult(len(X), time.perf_counter() - start, tuple(net.space.keys(X[non_dominated(F)])))


def _running(platform: Platform) -> RunningBackend:
    from hwnas import backends
    from hwnas.backends import RunningBackend

    backend = backends.get(platform.backend)
    if not isinstance(backend, RunningBackend):
        raise UsageError(f"{platform}: runs nothing; measuring = {DYNAST!r} times on a runtime, like onnxruntime")
    return backend


def _timed(net: SuperNetwork, backend: RunningBackend, settings: Settings, row: IntArray) -> float:
    """Return the latency of a sub-network in ms: the mean of consecutive runs of all its stages."""
    from contextlib import ExitStack, closing

    (config,) = net.space.decode(row[None])
    with ExitStack() as opened:
        stages = net.stages(config, settings.batch)
        sessions = [opened.enter_context(closing(backend.prepare(stage, settings))) for stage in stages]
        repeats = [stage.repeats for stage in stages]
        return 1e3 * mean_of_runs(sessions, repeats, _DYNAST_S)


def mean_of_runs(sessions: list[Session], repeats: list[int], seconds: float) -> float:
    """Return the mean seconds of an inference, over as many as that long allows, after a fixed warm-up.

    Args:
        sessions: of the network's stages.
        repeats: how often each runs in an inference.
        seconds: how long to measure.
    """
    each = [session for session, times in zip(sessions, repeats, strict=True) for _ in range(times)]
    for _ in range(_DYNAST_WARMUP):
        for session in each:
            session.run()
    start, runs = time.perf_counter(), 0
    while not runs or time.perf_counter() - start < seconds:
        for session in each:
            session.run()
        runs += 1
    return (time.perf_counter() - start) / runs


def _cost(source: Quality, X: IntArray) -> float:
    values: FloatArray = source.evaluate(X)
    return float(-values[0] if source.maximise else values[0])
