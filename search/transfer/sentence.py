"""Sentences on platforms, and what several sentences look up in a transfer's JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# In a platform's environment: what is to be said of values that were measured beside other programs.
BESIDE = "beside_load"


@dataclass(frozen=True)
class Name:
    """A platform mentioned in a sentence, by number; the page shows it as a chip."""

    index: int


Sentence = tuple[str | Name, ...]


def names(group: Sequence[int]) -> Iterator[str | Name]:
    """List platforms: "A, B and C"."""
    for place, index in enumerate(group):
        if place:
            yield " and " if place == len(group) - 1 else ", "
        yield Name(index)


def known(matrix: Sequence[Sequence[float | None]], wanted: Callable[[int, int], bool]) -> list[tuple[float, int, int]]:
    """Return the entries that have a value, with their places."""
    entries = ((value, i, j) for i, row in enumerate(matrix) for j, value in enumerate(row) if wanted(i, j))
    return [(value, i, j) for value, i, j in entries if value is not None]


def settled(result: Mapping[str, Any], *places: int) -> bool:
    """Tell whether most measurements of each of these platforms can be relied on; results without noise are exact."""
    noise = result.get("noise")
    return not noise or all(noise["settled"][place] for place in places)


def ceiling_of(result: Mapping[str, Any], i: int, j: int) -> float:
    """Return the tau that noise allows two platforms, or one with itself; 1 where it is not known."""
    ceiling = (result.get("ceiling") or {}).get("kendall_tau")
    return float(ceiling[i][j]) if ceiling and ceiling[i][j] is not None else 1.0


def run_to_run(result: Mapping[str, Any], places: Sequence[int]) -> float:
    """Return by which fraction two runs differ on the noisiest of these platforms; 0 of what is exact."""
    noise = result.get("noise")
    return max((noise["run_to_run"][place] or 0.0 for place in places), default=0.0) if noise else 0.0


def was_searched(result: Mapping[str, Any]) -> bool:
    """Tell whether the fronts were searched; of measured tables they are those of all sub-networks."""
    return "tables" not in (result.get("settings") or {})
