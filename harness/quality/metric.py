"""Spell a metric or an objective in one word, with its unit and direction: ``top1[%]:max``, ``energy[mJ]:min``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from hwnas.supernets.names import unprintable

_FORM = re.compile(r"([\w.@-]+)(?:\[([^\s\[\]:]+)\])?:(min|max)")


@dataclass(frozen=True)
class Metric:
    """A quantity of sub-networks.

    Attributes:
        name: as in results ("top1").
        unit: of its values; empty where it has none.
        maximise: more is better.
    """

    name: str
    unit: str = ""
    maximise: bool = True

    @classmethod
    def parse(cls, spelled: str) -> Self | None:
        """Return the metric of ``NAME:max`` or ``NAME[UNIT]:min``; ``None`` if ``spelled`` has another form."""
        match = _FORM.fullmatch(spelled)
        if match is None:
            return None
        name, unit, direction = match.groups()
        if unprintable(unit or ""):
            return None
        return cls(name, unit or "", direction == "max")
