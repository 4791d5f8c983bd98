"""Finished parts of an experiment, stored so that none is computed twice, and the time that was spent on them.

Evaluations and measurements are in the store. A part is a result that is computed from them, or that needs no store (a
fit, a comparison): a JSON file in the run's folder, named by the part and a digest of all settings that it depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwnas.experiments.naming import file_name
from hwnas.supernets.documents import parse_json
from hwnas.supernets.writing import write_file

_CLOCK = "spent.json"
# The clock is written this often at most: a killed run loses no more of its time.
_EVERY_S = 1.0


def digest(settings: Mapping[str, Any]) -> str:
    """Return a short name of settings that are JSON values; equal settings have equal names."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Spent:
    """Time that an experiment took.

    Attributes:
        seconds: of the clock on the wall, while it ran.
        processor_s: processor time of all its processes that have ended; that of other programs does not count.
    """

    seconds: float = 0.0
    processor_s: float = 0.0


class Parts:
    """The finished parts of one experiment.

    Args:
        folder: their own; made where there is none.

    Attributes:
        spent: the time spent up to the last ``tick``, that of earlier runs included.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._since = self._saved = time.perf_counter()
        self._worked = _processor_s()
        self._before = self.spent = self._spent(folder / _CLOCK)

    def get(self, name: str, settings: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """Return the part ``name``: from its file, or computed and stored.

        Args:
            name: what it is.
            settings: all that decides it, as JSON values.
            make: makes it, as JSON values.
        """
        file = self.file(name, settings)
        found = self._read(file)
        if found is None:
            found = make()
            self._write(file, found)
        self.tick(force=True)
        return found

    def find(self, name: str, settings: Mapping[str, Any]) -> Any:
        """Return a stored part, or ``None``."""
        return self._read(self.file(name, settings))

    def put(self, name: str, settings: Mapping[str, Any], found: Any) -> None:
        """Store a part."""
        self._write(self.file(name, settings), found)

    def file(self, name: str, settings: Mapping[str, Any]) -> Path:
        """Return the file of a part."""
        return self._folder / f"{file_name(name)}-{digest(settings)}.json"

    def tick(self, force: bool = False) -> None:
        """Store the time spent so far, at most once a second unless ``force``."""
        now = time.perf_counter()
        if force or now - self._saved > _EVERY_S:
            self._saved = now
            self.spent = Spent(
                self._before.seconds + now - self._since, self._before.processor_s + _processor_s() - self._worked
            )
            self._write(self._folder / _CLOCK, asdict(self.spent))

    def _write(self, file: Path, value: Any) -> None:
        if self._read(file) is None:
            # Whatever it is that cannot be read: it might be something that is not written over, such as a database.
            file.unlink(missing_ok=True)
        write_file(file, json.dumps(value, allow_nan=False).encode())

    def _spent(self, file: Path) -> Spent:
        """Return the time that earlier runs took; none where the file is damaged."""
        try:
            return Spent(**{name: float(seconds) for name, seconds in self._read(file).items()})
        except (AttributeError, TypeError, ValueError, OverflowError):
            return Spent()

    @staticmethod
    def _read(file: Path) -> Any:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return parse_json(file.read_text(encoding="utf-8"))
        return None


def _processor_s() -> float:
    """Return the processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
