"""Prepare a sub-network on a platform: build its stages, open a session for each, and check their outputs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwnas.backends.backend import RunningBackend, Session, Settings, prepared
from hwnas.backends.outputs import TOLERANCES, Arrays, compare, reference
from hwnas.harness.host.data_limit import resident_bytes
from hwnas.harness.worker.budget import ran_short
from hwnas.harness.worker.clocks import device_times
from hwnas.harness.worker.int8_images import calibrated
from hwnas.harness.worker.messages import PreparationFacts
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import Stage, SuperNetwork

__all__ = ["TOLERANCES", "Inference", "Preparation"]

# One session per stage.
Sessions = tuple[Session, ...]
Room = Callable[[], AbstractContextManager[None]]


@dataclass
class Inference:
    """A prepared sub-network; one inference runs each stage ``repeats`` times.

    A stage that runs often need not run as often to be timed: of its runs only some are done, and those left out count
    with the mean of all but the first, which finds the caches as another stage has left them.

    Attributes:
        made: the sessions of each preparation, one per stage.
        repeats: how often each stage runs in an inference.
        stage_runs: the most runs of a stage that are done, 2 at least; 0: all of them.
        n_sessions: how often the sub-network was prepared.
        n_stages: the number of stages that are timed separately; 0 for a single stage.
        marks: ns of each stage since the last ``clear``, with what was left out.
        left_out: ns that the runs left out since then would have taken.
        run: runs one inference in the current sessions; the first ones until ``turn`` is called.
    """

    made: tuple[Sessions, ...]
    repeats: tuple[int, ...]
    stage_runs: int = 0
    n_sessions: int = field(init=False)
    n_stages: int = field(init=False)
    marks: list[int] = field(init=False)
    left_out: int = field(init=False, default=0)
    _done: tuple[int, ...] = field(init=False)
    run: Callable[[], None] = field(init=False)
    _sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.n_sessions = len(self.made)
        self.n_stages = len(self.repeats) if len(self.repeats) > 1 else 0
        self.marks = [0] * self.n_stages
        most = max(2, self.stage_runs) if self.stage_runs else max(self.repeats, default=0)
        self._done = tuple(min(repeats, most) for repeats in self.repeats)
        self.turn(0)

    def turn(self, session: int) -> None:
        """Make ``run`` use the sessions of the given preparation from now on."""
        self._sessions = self.made[session]
        # A single stage that runs once: the loop calls the backend directly.
        self.run = self._sessions[0].run if self.repeats == (1,) else self._run_stages

    def _run_stages(self) -> None:
        now = time.perf_counter_ns
        for stage, (session, repeats, runs) in enumerate(zip(self._sessions, self.repeats, self._done, strict=True)):
            start = now()
            session.run()
            first = now()
            for _ in range(runs - 1):
                session.run()
            end = now()
            left_out = (repeats - runs) * (end - first) // max(1, runs - 1)
            self.left_out += left_out
            if self.n_stages:
                self.marks[stage] += end - start + left_out

    def clear(self) -> None:
        """Set ``marks`` and ``left_out`` to 0."""
        self.left_out = 0
        for stage in range(self.n_stages):
            self.marks[stage] = 0

    def time_runs(self) -> Callable[[int], Sequence[float]] | None:
        """Return a function that times n inferences by the device's clock, where every session has one."""
        clocks = [getattr(session, "time_runs", None) for session in self._sessions]
        if not all(clocks):
            return None
        return lambda n: _summed(clocks, self.repeats, self._done, n)

    def describe(self) -> list[dict[str, Any]]:
        """Return the settings that the session of each stage reports now."""
        return [dict(session.describe()) for session in self._sessions]

    def close(self) -> None:
        """Release all sessions."""
        for sessions in self.made:
            _close(sessions)


def _summed(clocks: Sequence[Any], repeats: Sequence[int], done: Sequence[int], n: int) -> list[float]:
    # Each stage's times are checked before they are added: another stage's would hide a negative one.
    times = (device_times(clock(n * r), n * r) for clock, r in zip(clocks, done, strict=True))
    runs = [each.reshape(n, r) for each, r in zip(times, done, strict=True)]
    left_out = [repeated - made for repeated, made in zip(repeats, done, strict=True)]
    parts = [
        each.sum(axis=1) + (more * each[:, 1:].mean(axis=1) if more else 0.0)
        for each, more in zip(runs, left_out, strict=True)
    ]
    return [float(value) for value in np.sum(parts, axis=0)]


class Preparation:
    """Prepares a sub-network, several times if asked.

    Other sub-networks should be prepared between two preparations of the same one: sessions prepared in immediate
    succession lie close together in memory, and vary less than those prepared at different times.

    Args:
        net: the super-network.
        config: of the sub-network.
        backend: opens the sessions.
        settings: of the platform.
        check: compare the outputs with the torch module's.
        room: makes a context manager for each preparation, which decides where in memory its sessions are placed.
        guard: makes a context manager for each preparation, in which allocations fail that would use up the memory.
    """

    def __init__(
        self,
        net: SuperNetwork,
        config: Config,
        backend: RunningBackend,
        settings: Settings,
        check: bool = True,
        room: Room = nullcontext,
        guard: Room = nullcontext,
    ) -> None:
        self._net, self._config, self._check = net, config, check
        self._backend, self._settings, self._room, self._guard = backend, settings, room, guard
        self._stages: tuple[Stage, ...] = ()
        self._expected: list[Arrays] = []
        self._made: list[Sessions] = []
        self._first_s = math.nan

    def once(self) -> PreparationFacts:
        """Prepare the sub-network once more, and return the facts of this preparation.

        Raises:
            BackendError: the backend refuses it, or computes something else than the torch module. All sessions that
                were opened before are closed then, unless memory has run out: they serve.
            NotFiniteError: the torch module's own outputs are not finite.
        """
        if not self._stages:
            with self._guard():
                self._build()
        before = self.times
        try:
            with self._room(), self._guard():
                resident, start = resident_bytes(), time.perf_counter()
                self._made.append(_prepare_all(self._stages, self._backend, self._settings))
                preparation = self._first_run(resident, start)
            if self._expected:
                preparation = replace(preparation, error=max(self._errors()))
        except BaseException as error:
            first = before if ran_short(error) else 0
            for sessions in self._made[first:]:
                _close(sessions)
            del self._made[first:]
            raise
        if self.times == 1:
            self._first_s = preparation.prepare_s
        return preparation

    @property
    def times(self) -> int:
        """How often it was prepared."""
        return len(self._made)

    def affordable(self, times: int, cap_s: float) -> int:
        """Return how often to prepare it: ``times``, halved until all but the first take at most ``cap_s``."""
        while times > 1 and (times - 1) * self._first_s > cap_s:
            times //= 2
        return times

    def inference(self, stage_runs: int = 0) -> Inference:
        """Return the prepared sub-network, with a power of two of sessions: even and odd rounds have different ones.

        Args:
            stage_runs: see ``Inference``.
        """
        n = 1 << (max(1, self.times).bit_length() - 1)
        for sessions in self._made[n:]:
            _close(sessions)
        return Inference(tuple(self._made[:n]), self._repeats, stage_runs)

    def _build(self) -> None:
        stages = self._net.stages(self._config, self._settings.batch)
        stages = tuple(calibrated(self._net, stages, self._backend, self._settings))
        self._expected = [reference(stage) for stage in stages] if self._check else []
        self._stages = stages

    def _errors(self) -> list[float]:
        """Compare each stage of the last preparation with the torch module."""
        return [
            compare(stage.name, session.outputs(), expected, self._settings.precision)
            for stage, session, expected in zip(self._stages, self._made[-1], self._expected, strict=True)
        ]

    @property
    def _repeats(self) -> tuple[int, ...]:
        return tuple(stage.repeats for stage in self._stages)

    def _first_run(self, resident: int, start: float) -> PreparationFacts:
        prepare_s = time.perf_counter() - start
        inference = Inference((self._made[-1],), self._repeats)
        start = time.perf_counter()
        inference.run()
        return PreparationFacts(
            prepare_s=prepare_s,
            first_inference_s=time.perf_counter() - start,
            memory_bytes=max(0, resident_bytes() - resident),
            stages=[stage.name for stage in self._stages],
            read_back=inference.describe(),
        )


def _prepare_all(stages: Sequence[Stage], backend: RunningBackend, settings: Settings) -> Sessions:
    sessions: list[Session] = []
    try:
        for stage in stages:
            sessions.append(prepared(backend, stage, settings))  # noqa: PERF401 - those made must be closed if one fails
    except BaseException:
        _close(sessions)
        raise
    return tuple(sessions)


def _close(sessions: Iterable[Session]) -> None:
    for session in sessions:
        session.close()
