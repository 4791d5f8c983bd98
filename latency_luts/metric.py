"""What a column of a measured table is, according to its name: a metric, its unit, and whether it is a rate."""

from __future__ import annotations

import re
from dataclasses import dataclass

# How many of a unit make a second (None: not a time), and its other spellings. The two signs for micro look alike.
_UNITS_PER_S: dict[str, float | None] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "%": None}
_SPELLINGS = {
    "s": ("s", "sec", "seconds"),
    "ms": ("ms", "msec", "milliseconds"),
    "us": ("us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec", "microseconds"),
    "ns": ("ns", "nsec", "nanoseconds"),
    "%": ("%",),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
# A unit at the end of a column's name.
_ANY = "|".join(_UNIT_OF)
_UNIT = re.compile(
    # Spaces are looked through from the first of them on, and at once (*+): otherwise the time grows as their square.
    rf"^(?P<stem>.*?)(?:(?<!\s)\s*+[(\[]\s*+(?P<bracketed>{_ANY})\s*+[)\]]|[_\s](?P<suffix>{_ANY}))$",
    re.IGNORECASE,
)

# Names of rates, of which more is better; they have no unit of time, even if it looks so ("images_per_s").
_RATE = re.compile(
    r"throughput|(?<![a-z])(fps|ips|qps|rps|tps|imgps)(?![a-z])|(?<![a-z])per[\s_]*(s|sec|second)s?[)\]]*$"
    # But no time for each sample, step or sequence.
    r"|/\s*s(ec(ond)?s?)?(?![a-z])",
    re.IGNORECASE,
)
# Of these, names that end with what the rate is of: samples per second.
_PER_SECOND = re.compile(
    r"((?<![a-z])(fps|ips|qps|rps|tps|imgps)|(?<![a-z])per[\s_]*(s|sec|second)s?|/\s*s(ec(ond)?s?)?)[)\]]*$",
    re.IGNORECASE,
)

# DyNAS-T's names of metrics, and their common names.
_ALIASES = {"top1acc": "top1", "top5acc": "top5", "modelparameters": "params", "bleuscore": "bleu"}


@dataclass(frozen=True)
class Metric:
    """The metric in a column.

    Attributes:
        column: the column's name in the file.
        stem: the name without the unit, in lower-case letters and digits only ("latency", "top1").
        unit: "s", "ms", "us", "ns", "%", or "" if the name has none.
    """

    column: str
    stem: str
    unit: str

    @classmethod
    def of(cls, column: str) -> Metric:
        """Split a column's name into stem and unit."""
        match = _UNIT.match(column.strip())
        unit = _UNIT_OF[(match["bracketed"] or match["suffix"]).lower()] if match else ""
        stem = re.sub(r"[^a-z0-9]", "", (match["stem"] if match else column).lower())
        return cls(column, _ALIASES.get(stem, stem), unit)

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate per second, according to its name."""
        return "latency" not in self.stem and _RATE.search(self.column.strip()) is not None

    @property
    def is_per_second(self) -> bool:
        """Whether it is a rate of samples per second; a rate whose name ends with a unit of time says neither."""
        return self.is_rate and _PER_SECOND.search(self.column.strip()) is not None

    @property
    def is_time(self) -> bool:
        """Whether it is a time, according to its name and unit."""
        return self.per_second is not None and not self.is_rate

    @property
    def per_second(self) -> float | None:
        """How many of its unit make a second; ``None``: it is no unit of time."""
        return _UNITS_PER_S.get(self.unit)
