"""Numbers that the paper publishes, as data with their source: one TOML file each.

A file says ``source`` and ``says`` (what the numbers are), and holds what its kind of experiment draws with its own:
``thresholds`` by problem (``compare``), or ``bounds`` by measure (``predictors``). What is not known is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from hwnas.experiments.reading import read
from hwnas.supernets.documents import parse_toml
from hwnas.supernets.errors import UnknownNameError


@dataclass(frozen=True)
class Threshold:
    """How many evaluations reached a hypervolume.

    Attributes:
        hypervolume: normalised as the paper does it.
        evaluations: by algorithm; an algorithm that did not reach it is left out.
    """

    hypervolume: float
    evaluations: Mapping[str, int]


@dataclass(frozen=True)
class Bound:
    """What a measure was at most or at least.

    Attributes:
        value: in ``unit``.
        is_most: it is the largest value; otherwise the smallest.
        unit: empty where there is none.
    """

    value: float
    is_most: bool
    unit: str = ""


@dataclass(frozen=True)
class PublishedFigures:
    """The numbers of one table or figure.

    Attributes:
        source: where they are published.
        says: what they are.
        thresholds: by problem.
        bounds: by measure.
        left_out: what the source shows and is not here.
        seconds: of a search's own work, by algorithm; a note says of how many evaluations.
        seconds_note: see ``seconds``.
    """

    source: str
    says: str
    thresholds: Mapping[str, tuple[Threshold, ...]] = field(default_factory=dict)
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    left_out: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    seconds_note: str = ""


def names() -> list[str]:
    """Return the names of the files there are."""
    files = resources.files("hwnas.experiments.published").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(name: str) -> PublishedFigures:
    """Return the numbers of ``name``; raises ``UnknownNameError`` with suggestions."""
    if name not in names():
        raise UnknownNameError("file of published numbers", name, names())
    text = resources.files("hwnas.experiments.published").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return read(PublishedFigures, parse_toml(text), f"published/{name}.toml")
