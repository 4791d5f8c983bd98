"""Where the time of a study goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypedDict

from hwnas.search.study.archive import Evaluation
from hwnas.search.threads import one_thread


class Times(TypedDict):
    """The three counts, as evaluations have them."""

    measure_s: float
    search_s: float
    total_s: float


@dataclass
class Clock:
    """Where the time of a study goes, in seconds; replaying costs none of it."""

    measure_s: float = 0.0
    search_s: float = 0.0
    total_s: float = 0.0
    _since: float = field(default_factory=time.perf_counter)

    def restart(self, last: Evaluation | None) -> None:
        """Go on from where the study's last evaluation left it."""
        if last is not None:
            self.measure_s, self.search_s, self.total_s = last.measure_s, last.search_s, last.total_s
        self._since = time.perf_counter()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Count the time within as that of evaluating."""
        start = time.perf_counter()
        yield
        self.measure_s += time.perf_counter() - start

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Count the time within as the algorithm's own; it computes with one thread."""
        start = time.perf_counter()
        with one_thread():
            yield
        self.search_s += time.perf_counter() - start

    def spent(self) -> dict[str, float]:
        """Return the three counts by what they are of, as studies have them."""
        now = self.now()
        return {"measure": now["measure_s"], "search": now["search_s"], "total": now["total_s"]}

    def now(self) -> Times:
        """Return the three counts, the total brought up to now."""
        present = time.perf_counter()
        self.total_s += present - self._since
        self._since = present
        return {"measure_s": self.measure_s, "search_s": self.search_s, "total_s": self.total_s}
