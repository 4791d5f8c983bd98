"""What an experiment works with: the store, the folder of its finished parts, processes, and a progress callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwnas.experiments.parts import Parts


@dataclass(frozen=True)
class Step:
    """How far an experiment is.

    Attributes:
        what: the part under way ("mobilenetv3: linas, seed 3").
        done: parts done of those that the kind counts at this moment.
        total: how many there are.
    """

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Workspace:
    """What an experiment works with.

    Attributes:
        store: path or URL of the store that holds evaluations and measurements.
        parts: of this experiment.
        shared: the folder of what several experiments use.
        name: of this run in the store: the experiment and its scale.
        workers: processes for searches that measure nothing; ``None``: as many as CPUs may be used.
        environ: where the variables of a problem's ``original`` are looked up.
        progress: is called with a ``Step``.
    """

    store: str
    parts: Parts
    shared: Path
    name: str
    workers: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[[Step], None] = lambda _: None

    def step(self, what: str, done: int, total: int) -> None:
        """Report progress, and store the time spent so far."""
        self.parts.tick()
        self.progress(Step(what, done, total))
