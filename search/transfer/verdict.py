"""Summarise a transfer result in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwnas.search.transfer.grouping import SHARED_TAU
from hwnas.search.words import number, percent, units


@dataclass(frozen=True)
class Name:
    """A platform mentioned in a sentence, by number; the page shows it as a chip."""

    index: int


Sentence = tuple[str | Name, ...]

# A terminal may not have what typesetting asks for.
_PLAIN = str.maketrans({"\u202f": " ", "\u2019": "'"})

# With 20 shared sub-networks a true tau of 0.9 comes out anywhere from 0.81 to 0.97; with fewer, less can be said.
FEW = 20

# More names than these in a row are counted.
_NAMED = 4

# A front that keeps this share of the hypervolume has carried over: two searches of one platform differ by as much.
_CARRIED = 0.995

# What the published spaces call their choices.
KINDS = {"ks": "kernel size", "e": "expand ratio", "d": "depth", "w": "width", "r": "resolution"}

# Two platforms differ in what a choice costs when the effects are this far apart, in points of a per cent.
_APART = 5.0

# A loss that no reader would act on: in points of a per cent, and of any other quality relative to the best.
_NEGLIGIBLE, _NEGLIGIBLE_SHARE = 0.05, 0.001


def verdict(result: Mapping[str, Any]) -> list[Sentence]:
    """Return what the result says, the most useful sentence first."""
    sentences = [*_sharing(result), *_kept(result), *_worst_loss(result), *_drivers(result), *_adapting(result)]
    if result["n_shared"] < FEW:
        sentences.append(
            (f"Only {result['n_shared']} sub-networks are shared: take the correlations as a first hint.",)
        )
    return sentences


def words(result: Mapping[str, Any]) -> list[str]:
    """Return the same as plain text, the platforms by their full names."""
    return [
        "".join(result["platforms"][part.index] if isinstance(part, Name) else part.translate(_PLAIN) for part in one)
        for one in verdict(result)
    ]


def _sharing(result: Mapping[str, Any]) -> Iterator[Sentence]:
    n_platforms = len(result["platforms"])
    groups = result.get("groups") or [[index] for index in range(n_platforms)]
    known = _known(result["kendall_tau"], lambda i, j: j < i)
    if not known:
        yield ("No pair of platforms shares enough measured sub-networks to compare their orders.",)
    elif len(groups) == 1:
        everybody = "Both" if n_platforms == 2 else f"All {n_platforms}"
        yield (
            f"{everybody} platforms order sub-networks alike (Kendall tau {_least(result, groups[0])}): search once.",
        )
    elif n_platforms == 2 and _undecided(result):
        n, tau = result["n_shared"], _least(result, [0, 1])
        yield (
            f"Whether one search serves both cannot be decided with {n} sub-networks (Kendall tau {tau}); ",
            f"with {SHARED_TAU} or more it would.",
        )
    elif len(groups) == n_platforms:
        yield from _different(result, known)
    else:
        yield from _some_alike(result, groups)


def _undecided(result: Mapping[str, Any]) -> bool:
    """Tell whether the interval of two platforms' tau reaches the value above which they count as alike."""
    interval = (result.get("intervals") or {}).get("kendall_tau")
    high = interval["high"][0][1] if interval else None
    return high is not None and bool(high >= SHARED_TAU)


def _some_alike(result: Mapping[str, Any], groups: Sequence[Sequence[int]]) -> Iterator[Sentence]:
    for group in (group for group in groups if len(group) > 1):
        alike = f" can share one search: they order sub-networks alike (Kendall tau {_least(result, group)})."
        yield (*_names(group), alike)
    alone = [group[0] for group in groups if len(group) == 1]
    if len(alone) > _NAMED:
        yield (f"The other {len(alone)} each need their own.",)
    elif alone:
        yield (*_names(alone), " needs its own." if len(alone) == 1 else " each need their own.")


def _different(result: Mapping[str, Any], known: Sequence[tuple[float, int, int]]) -> Iterator[Sentence]:
    high, i, j = max(known)
    tau = _least(result, [j, i]) if len(known) == 1 else f"at most {high:.2f}"
    nearest: Sentence = () if len(known) == 1 else (", for ", Name(j), " and ", Name(i))
    carried = min(_known(result["hypervolume_ratio"], lambda a, b: a != b), default=(0.0, 0, 0))[0] >= _CARRIED
    differently = ("order sub-networks differently (Kendall tau ", tau, *nearest, ")")
    # What a search is for is the front: where fronts carry over, the order of other networks need not.
    if carried:
        yield ("The platforms ", *differently, ", yet their fronts carry over.")
    else:
        yield ("Search on each platform: they ", *differently, ".")


def _least(result: Mapping[str, Any], group: Sequence[int]) -> str:
    """Spell the least tau within a group, with its interval where there is one pair only."""
    tau, interval = result["kendall_tau"], (result.get("intervals") or {}).get("kendall_tau")
    low = min(tau[i][j] for i in group for j in group if i != j)
    if len(group) > 2:
        return f"at least {low:.2f}"
    i, j = group
    bounds = (interval["low"][i][j], interval["high"][i][j]) if interval else (None, None)
    return f"{low:.2f}" if None in bounds else f"{low:.2f}, 95\u202f% interval {bounds[0]:.2f} to {bounds[1]:.2f}"


def _known(
    matrix: Sequence[Sequence[float | None]], wanted: Callable[[int, int], bool]
) -> list[tuple[float, int, int]]:
    """Return the entries that have a value, with their places."""
    entries = ((value, i, j) for i, row in enumerate(matrix) for j, value in enumerate(row) if wanted(i, j))
    return [(value, i, j) for value, i, j in entries if value is not None]


def _kept(result: Mapping[str, Any]) -> Iterator[Sentence]:
    known = _known(result["hypervolume_ratio"], lambda i, j: i != j)
    if not known:
        return
    worst, i, j = min(known)
    if worst >= _CARRIED:
        yield (f"Every front keeps at least {percent(worst)} of the hypervolume that a search on the target reaches.",)
    else:
        least = ", the least of all pairs." if len(known) > 2 else "."
        own = "\u2019s own front when deployed there"
        yield (
            "The front searched on ",
            Name(i),
            f" keeps {percent(worst)} of the hypervolume of ",
            Name(j),
            own,
            least,
        )


def _negligible(result: Mapping[str, Any], unit: str) -> float:
    if unit == "%":
        return _NEGLIGIBLE
    best = max((abs(row["quality"]) for row in result.get("rows") or () if row["quality"] is not None), default=1.0)
    return float(f"{_NEGLIGIBLE_SHARE * best:.1g}")


def _lost(lost: float, quality: dict[str, Any]) -> str:
    return f"{lost:.1f} points" if quality["unit"] == "%" else f"{lost:.2g} {units(quality)}".rstrip()


def _worst_loss(result: Mapping[str, Any]) -> Iterator[Sentence]:
    index = {name: place for place, name in enumerate(result["platforms"])}
    known = [regret for regret in result["regret"] if regret["lost"] is not None]
    quality = result.get("quality") or {"metric": "quality", "unit": ""}
    if known:
        worst = max(known, key=lambda regret: regret["lost"])
        here, there = Name(index[worst["deployed_on"]]), Name(index[worst["searched_on"]])
        negligible = _negligible(result, quality["unit"])
        if worst["lost"] < negligible:
            yield (
                "At no latency budget looked at does a front from elsewhere lose more than ",
                f"{negligible:g} {units(quality)}".rstrip(),
                f" of {quality['metric']}.",
            )
        else:
            yield (
                f"With {number(worst['budget_ms'])} ms on ",
                here,
                f", you lose {_lost(worst['lost'], quality)} of {quality['metric']} by using the front of ",
                there,
                ".",
            )
    cases = len(result["regret"])
    nothing = sum(regret["transferred"] is None for regret in result["regret"])
    if nothing:
        yield (f"In {nothing} of {cases} cases nothing of the other platform\u2019s front fits the latency budget.",)


def _drivers(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """Say which kind of choice costs most differently, where the intervals leave no doubt."""
    effects = result.get("effects")
    interval = (result.get("intervals") or {}).get("effects")
    if not effects or not interval or len(result.get("groups") or []) == 1:
        return
    apart = []
    for effect, percents in enumerate(effects["percent"]):
        known = _known([percents], lambda _, __: True)
        if len(known) > 1:
            (high, _, most), (low, _, least) = max(known), min(known)
            clear = interval["low"][effect][most] > interval["high"][effect][least]
            apart += [(high - low, effect, most, least)] if clear and high - low >= _APART else []
    if apart:
        _, effect, most, least = max(apart)
        name, percents = effects["names"][effect], effects["percent"][effect]
        yield (
            f"What differs most is the {KINDS.get(name, name)}: from smallest to largest it adds ",
            f"{percents[most]:.0f}\u202f% of the mean latency on ",
            Name(most),
            f" and {percents[least]:.0f}\u202f% on ",
            Name(least),
            ".",
        )


def _adapting(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """Say how few measurements make the platform known that is hardest to know."""
    found = result.get("samples_to_adapt") or {}
    known = _known(found.get("adapted") or [], lambda i, j: i != j)
    if not known:
        return
    best = {target: min((n, source) for n, source, place in known if place == target) for _, _, target in known}
    needed, target = max((n, place) for place, (n, _) in best.items())
    alone = found["alone"][target]
    from_nothing = f"from nothing it takes {alone}" if alone else f"from nothing {found['most_tried']} do not suffice"
    yield (
        f"{needed} measurements on ",
        Name(target),
        " are enough to predict its latencies from those on ",
        Name(best[target][1]),
        f" (Kendall tau {found['target_tau']} on others); {from_nothing}.",
    )


def _names(group: Sequence[int]) -> Iterator[str | Name]:
    for place, index in enumerate(group):
        if place:
            yield " and " if place == len(group) - 1 else ", "
        yield Name(index)
