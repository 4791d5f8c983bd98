"""Make a sub-network ready on a platform: build its stages, prepare them, check what they compute."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backends.backend import RunningBackend, Session, Settings
from harness.calibrated import calibrated
from supernets.errors import BackendError
from supernets.space import Config
from supernets.supernet import Stage, SuperNetwork

# The largest difference from the torch module's outputs, relative to the largest output. Some fifty layers add up their
# rounding errors: of 1e-7 each in fp32, of 1e-3 (fp16) and 1e-2 (bf16) where precision is given up, and of half a
# quantisation step in int8, which comes to 0.1 to 0.3 in networks of random weights, whose layers pass every error on
# (docs/quantisation.md). Outputs that have nothing to do with the module's differ by more than 1.
TOLERANCES = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1, "int8": 5e-1}


@dataclass
class Inference:
    """A sub-network made ready: one inference runs each stage as often as it says.

    Attributes:
        sessions: one per stage.
        repeats: how often each runs.
        n_stages: stages whose time is taken apart; 0 where there is one stage only.
        marks: ns spent in each stage since the last ``clear``.
    """

    sessions: tuple[Session, ...]
    repeats: tuple[int, ...]
    n_stages: int = field(init=False)
    marks: list[int] = field(init=False)
    run: Callable[[], None] = field(init=False)

    def __post_init__(self) -> None:
        several = len(self.sessions) > 1
        self.n_stages = len(self.sessions) if several else 0
        self.marks = [0] * self.n_stages
        # One stage, once: no call of ours between the loop and the backend.
        self.run = self.sessions[0].run if not several and self.repeats == (1,) else self._run_stages

    def _run_stages(self) -> None:
        for stage, (session, repeats) in enumerate(zip(self.sessions, self.repeats, strict=True)):
            start = time.perf_counter_ns()
            for _ in range(repeats):
                session.run()
            if self.n_stages:
                self.marks[stage] += time.perf_counter_ns() - start

    def clear(self) -> None:
        """Set ``marks`` to 0."""
        for stage in range(self.n_stages):
            self.marks[stage] = 0

    def time_runs(self) -> Callable[[int], Sequence[float]] | None:
        """Return a function that times n inferences by the device's clock, where every session has one."""
        clocks = [getattr(session, "time_runs", None) for session in self.sessions]
        if not all(clocks):
            return None
        return lambda n: _summed(clocks, self.repeats, n)

    def describe(self) -> list[dict[str, Any]]:
        """Return what each session says of itself, now."""
        return [dict(session.describe()) for session in self.sessions]

    def close(self) -> None:
        """Release the sessions."""
        for session in self.sessions:
            session.close()


def _summed(clocks: Sequence[Any], repeats: Sequence[int], n: int) -> list[float]:
    parts = [np.reshape(clock(n * r), (n, r)).sum(axis=1) for clock, r in zip(clocks, repeats, strict=True)]
    return [float(value) for value in np.sum(parts, axis=0)]


@dataclass(frozen=True)
class Prepared:
    """An inference and what making it ready showed.

    Attributes:
        inference: what runs.
        facts: ``prepare_s`` (export, compile), ``first_inference_s``, ``memory_bytes`` (growth of the process's
            resident memory from before preparing to after the first inference), ``stages`` (their names), ``read_back``
            (what each session says of itself) and ``error`` (the largest relative difference from torch's outputs, if
            checked).
    """

    inference: Inference
    facts: dict[str, Any]


def prepare(
    net: SuperNetwork, config: Config, backend: RunningBackend, settings: Settings, check: bool = True
) -> Prepared:
    """Make a sub-network ready.

    Raises:
        BackendError: the backend refuses it, or computes something else than the torch module.
    """
    stages = tuple(calibrated(net, net.stages(config, settings.batch), backend, settings))
    expected = [_reference(stage) for stage in stages] if check else []
    resident = resident_bytes()
    start = time.perf_counter()
    sessions = _prepare_all(stages, backend, settings)
    inference = Inference(sessions, tuple(stage.repeats for stage in stages))
    try:
        prepare_s = time.perf_counter() - start
        start = time.perf_counter()
        inference.run()
        first_s = time.perf_counter() - start
        facts = {
            "prepare_s": prepare_s,
            "first_inference_s": first_s,
            "memory_bytes": max(0, resident_bytes() - resident),
            "stages": [stage.name for stage in stages],
            "read_back": inference.describe(),
        }
        if check:
            pairs = zip(stages, sessions, expected, strict=True)
            facts["error"] = max(_compare(*pair, settings.precision) for pair in pairs)
    except BaseException:
        inference.close()
        raise
    return Prepared(inference, facts)


def _prepare_all(stages: Sequence[Stage], backend: RunningBackend, settings: Settings) -> tuple[Session, ...]:
    sessions: list[Session] = []
    try:
        for stage in stages:
            sessions.append(backend.prepare(stage, settings))  # noqa: PERF401 - those made must be closed if one fails
    except BaseException:
        for session in sessions:
            session.close()
        raise
    return tuple(sessions)


def _reference(stage: Stage) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the torch module's outputs for the example inputs."""
    import torch

    with torch.inference_mode():
        result = stage.module(*stage.inputs)
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(output.detach().cpu().numpy() for output in outputs)


def _compare(stage: Stage, session: Session, expected: tuple[np.ndarray[Any, Any], ...], precision: str) -> float:
    outputs = session.outputs()
    if len(outputs) != len(expected):
        raise BackendError(f"stage {stage.name!r}: torch gives {len(expected)} outputs, the backend {len(outputs)}")
    error = max((_difference(*pair) for pair in zip(outputs, expected, strict=True)), default=0.0)
    allowed = TOLERANCES[precision]
    if not error <= allowed:
        raise BackendError(
            f"stage {stage.name!r}: the outputs differ from the torch module's by {error:.2g} of the largest, "
            f"allowed is {allowed:.2g} for {precision}"
        )
    return error


def _difference(output: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Return the largest absolute difference over the largest expected magnitude; infinite for other shapes."""
    if np.shape(output) != np.shape(expected):
        return float("inf")
    expected = np.asarray(expected, dtype=np.float64)
    scale = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(np.asarray(output, dtype=np.float64) - expected).max(initial=0.0))
    return difference / scale if scale > 0 else difference


def resident_bytes() -> int:
    """Return the process's resident memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import psutil

        return int(psutil.Process().memory_info().rss)
    import resource

    return pages * resource.getpagesize()
