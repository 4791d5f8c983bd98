"""What a transfer result says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.words import number, percent, units


@dataclass(frozen=True)
class Name:
    """A platform mentioned in a sentence, by number; the page shows it as a chip."""

    index: int


Sentence = tuple[str | Name, ...]

# Below this many shared sub-networks a tau of 0.9 may be chance (its 95 % interval is wider than 0.2).
FEW = 20

# A loss that no reader would act on, in the quality's unit.
_NEGLIGIBLE = 0.05


def verdict(result: Mapping[str, Any]) -> list[Sentence]:
    """Return what the result says, the most useful sentence first."""
    sentences = [*_sharing(result), *_kept(result), *_worst_loss(result)]
    if result["n_shared"] < FEW:
        sentences.append(
            (f"Only {result['n_shared']} sub-networks are shared: take the correlations as a first hint.",)
        )
    return sentences


def words(result: Mapping[str, Any]) -> list[str]:
    """Return the same as text, the platforms by their full names."""
    names = result["platforms"]
    return ["".join(names[part.index] if isinstance(part, Name) else part for part in one) for one in verdict(result)]


def _sharing(result: Mapping[str, Any]) -> Iterator[Sentence]:
    n_platforms, tau = len(result["platforms"]), result["kendall_tau"]
    groups = result.get("groups") or [[index] for index in range(n_platforms)]
    known = [(tau[i][j], i, j) for i in range(n_platforms) for j in range(i) if tau[i][j] is not None]
    if not known:
        yield ("No pair of platforms shares enough measured sub-networks to compare their orders.",)
        return
    if len(groups) == 1:
        low, at_least = f"{min(known)[0]:.2f}", "" if n_platforms == 2 else "at least "
        both = "Both" if n_platforms == 2 else f"All {n_platforms}"
        yield (f"{both} platforms order sub-networks alike (Kendall tau {at_least}{low}): search once.",)
        return
    shared = [group for group in groups if len(group) > 1]
    alone = [group[0] for group in groups if len(group) == 1]
    for group in shared:
        low = min(tau[i][j] for i in group for j in group)
        at_least = "at least " if len(group) > 2 else ""
        yield (
            *_names(group),
            f" can share one search: they order sub-networks alike (Kendall tau {at_least}{low:.2f}).",
        )
    if shared and alone:
        yield (*_names(alone), " needs its own." if len(alone) == 1 else " each need their own.")
    if not shared:
        high, i, j = max(known)
        nearest = () if n_platforms == 2 else (" for ", Name(j), " and ", Name(i))
        yield (
            "Search on each platform: they order sub-networks differently (Kendall tau ",
            f"{'' if n_platforms == 2 else 'at most '}{high:.2f}",
            *nearest,
            ").",
        )


def _kept(result: Mapping[str, Any]) -> Iterator[Sentence]:
    ratio = result["hypervolume_ratio"]
    n_platforms = len(ratio)
    known = [
        (ratio[i][j], i, j)
        for i in range(n_platforms)
        for j in range(n_platforms)
        if i != j and ratio[i][j] is not None
    ]
    if not known:
        return
    worst, i, j = min(known)
    if worst >= 0.995:
        yield (f"Every front keeps at least {percent(worst)} of the hypervolume that a search on the target reaches.",)
    else:
        yield (
            "The front searched on ",
            Name(i),
            " keeps ",
            percent(worst),
            " of the hypervolume of ",
            Name(j),
            "\u2019s own front when deployed there",
            ", the least of all pairs." if n_platforms > 2 else ".",
        )


def _worst_loss(result: Mapping[str, Any]) -> Iterator[Sentence]:
    index = {name: place for place, name in enumerate(result["platforms"])}
    known = [regret for regret in result["regret"] if regret["lost"] is not None]
    quality = result.get("quality") or {"metric": "quality", "unit": ""}
    if known:
        worst = max(known, key=lambda regret: regret["lost"])
        here, there = Name(index[worst["deployed_on"]]), Name(index[worst["searched_on"]])
        if worst["lost"] < _NEGLIGIBLE:
            yield (
                "At no latency budget looked at does a front from elsewhere lose more than ",
                f"{_NEGLIGIBLE} {units(quality)}",
                f" of {quality['metric']}.",
            )
        else:
            yield (
                f"With {number(worst['budget_ms'])} ms on ",
                here,
                f", you lose {worst['lost']:.1f} {units(quality)} of {quality['metric']} by using the front of ",
                there,
                ".",
            )
    cases = len(result["regret"])
    nothing = sum(regret["transferred"] is None for regret in result["regret"])
    if nothing:
        yield (f"In {nothing} of {cases} cases nothing of the other platform\u2019s front fits the latency budget.",)


def _names(group: Sequence[int]) -> Iterator[str | Name]:
    for place, index in enumerate(group):
        if place:
            yield " and " if place == len(group) - 1 else ", "
        yield Name(index)
