"""Summarise a transfer result in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwnas.search.transfer.enough import enough
from hwnas.search.transfer.sentence import BESIDE, Name, Sentence, known, run_to_run, settled, was_searched
from hwnas.search.transfer.sharing import by_stage, sharing
from hwnas.search.words import number, percent, troubled, units

# A terminal may not have what typesetting asks for.
_PLAIN = str.maketrans({"\u202f": " ", "\u2019": "'"})

# With 20 shared sub-networks a true tau of 0.9 comes out anywhere from 0.81 to 0.97; with fewer, less can be said.
FEW = 20

# A front that keeps this share of the hypervolume has carried over: two searches of one platform differ by as much.
# Noise must leave it at least the second.
_CARRIED, _CARRIED_AT_LEAST = 0.995, 0.99

# What the published spaces call their choices.
KINDS = {"ks": "kernel size", "e": "expand ratio", "d": "depth", "w": "width", "r": "resolution"}

# Two platforms differ in what a choice costs when the effects are this far apart, in points of a per cent.
_APART = 5.0

# A loss that no reader would act on: in points of a per cent, and of any other quality relative to the best.
_NEGLIGIBLE, _NEGLIGIBLE_SHARE = 0.05, 0.001


def verdict(result: Mapping[str, Any]) -> list[Sentence]:
    """Return what the result says, the most useful sentence first."""
    sentences = [
        *sharing(result, carried=_carried(result)),
        *by_stage(result),
        *_kept(result),
        *_worst_loss(result),
        *_drivers(result),
        *enough(result),
    ]
    sentences += _beside(result)
    if result["n_shared"] < FEW:
        sentences.append(
            (f"Only {result['n_shared']} sub-networks are shared: take the correlations as a first hint.",)
        )
    return sentences


def _beside(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """Say of each platform what was measured beside other programs."""
    environment = result.get("environment") or {}
    own = environment.get("platforms") or {}
    for index, platform in enumerate(result["platforms"]):
        said = (own.get(platform) or {}).get(BESIDE) or environment.get(BESIDE)
        if said:
            yield "On ", Name(index), f", {said}."


def words(result: Mapping[str, Any]) -> list[str]:
    """Return the same as plain text, the platforms by their full names, and how many measurements are in trouble."""
    platforms = result["platforms"]
    said = [[platforms[part.index] if isinstance(part, Name) else part for part in one] for one in verdict(result)]
    return ["".join(parts).translate(_PLAIN) for parts in said] + troubles(result)


def troubles(result: Mapping[str, Any]) -> list[str]:
    """Return how many measurements failed or did not converge, and why: a line each."""
    fields = ("status", "reason", "interval_ms")
    by_row = [zip(*(row.get(name) or () for name in fields), strict=True) for row in result.get("rows") or ()]
    # What a table knows was not measured.
    measured = [column for column in zip(*by_row, strict=True) if any(one[2] or one[0] != "ok" for one in column)]
    found = []
    for state in ("failed", "unstable"):
        reasons = [reason for column in measured for status, reason, _ in column if status == state]
        total = sum(map(len, measured))
        found += [f"{troubled(state, reasons, total).rstrip('.')}."] if reasons else []
    return found


def _volumes(result: Mapping[str, Any]) -> list[tuple[float, float, float, int, int]]:
    """Return the share of the hypervolume that each front keeps elsewhere, with what noise leaves of it, and where."""
    noise = (result.get("noise") or {}).get("hypervolume_ratio") or {}
    found = []
    for value, i, j in known(result["hypervolume_ratio"], lambda i, j: i != j):
        ends = [noise[end][i][j] if noise else value for end in ("low", "high")]
        low, high = (value if end is None else end for end in ends)
        found.append((value, low, high, i, j))
    return found


def _carried(result: Mapping[str, Any]) -> bool:
    volumes = _volumes(result)
    return bool(volumes) and all(
        value >= _CARRIED and low >= _CARRIED_AT_LEAST and settled(result, i, j) for value, low, _, i, j in volumes
    )


def _kept(result: Mapping[str, Any]) -> Iterator[Sentence]:
    volumes = _volumes(result)
    if not volumes:
        return
    if _carried(result):
        yield (
            f"Every front keeps at least {percent(min(volumes)[0])} of the hypervolume ",
            "that a search on the target reaches." if was_searched(result) else "of the target\u2019s own.",
        )
        return
    clear = [one for one in volumes if (one[2] < 1 or not run_to_run(result, one[3:])) and settled(result, *one[3:])]
    if not clear:
        if all(settled(result, i, j) for *_, i, j in volumes):
            yield ("No front loses more elsewhere than noise could explain.",)
        return
    worst, low, high, i, j = min(clear)
    sure = f" ({percent(low)} to {percent(high)} with noise)" if low < high else ""
    least = ", the least of all pairs." if len(volumes) > 2 else "."
    own = "\u2019s own front when deployed there"
    yield (
        "The front searched on " if was_searched(result) else "The front of ",
        Name(i),
        f" keeps {percent(worst)}{sure} of the hypervolume of ",
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
    """Say what is lost most at a latency budget, where noise could not have made it."""
    index = {name: place for place, name in enumerate(result["platforms"])}
    regrets = [one for one in result["regret"] if settled(result, index[one["deployed_on"]])]
    quality = result.get("quality") or {"metric": "quality", "unit": ""}
    negligible = _negligible(result, quality["unit"])
    bounded = [(one, _bounds(one)) for one in regrets if one["lost"] is not None]
    clear = [one for one, (low, _) in bounded if low > 0 and one["lost"] >= negligible]
    if clear:
        worst = max(clear, key=lambda one: one["lost"])
        here, there = Name(index[worst["deployed_on"]]), Name(index[worst["searched_on"]])
        yield (
            f"With {number(worst['budget_ms'])} ms on ",
            here,
            f", you lose {_lost(worst['lost'], quality)} of {quality['metric']} by using the front of ",
            there,
            ".",
        )
    elif bounded and all(high < negligible for _, (_, high) in bounded):
        yield (
            "At no latency budget looked at does a front from elsewhere lose more than ",
            f"{negligible:g} {units(quality)}".rstrip(),
            f" of {quality['metric']}.",
        )
    nothing = sum(one["transferred"] is None for one in regrets)
    if nothing:
        yield (
            f"In {nothing} of {len(regrets)} cases nothing of the other platform\u2019s front fits the latency budget.",
        )


def _bounds(regret: Mapping[str, Any]) -> tuple[float, float]:
    """Return between what noise leaves a loss; anything where that is not known."""
    if "lost_interval" not in regret:  # of an earlier version
        return regret["lost"], regret["lost"]
    low, high = regret["lost_interval"] or (float("-inf"), float("inf"))
    return low, high


def _drivers(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """Say which kind of choice costs most differently, where the intervals leave no doubt."""
    effects = result.get("effects")
    interval = (result.get("intervals") or {}).get("effects")
    if not effects or not interval or len(result.get("groups") or []) == 1:
        return
    apart = []
    for effect, percents in enumerate(effects["percent"]):
        there = known([percents], lambda _, __: True)
        if len(there) > 1:
            (high, _, most), (low, _, least) = max(there), min(there)
            clear = interval["low"][effect][most] > interval["high"][effect][least] and settled(result, most, least)
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
            _explained(effects, most, least),
        )


def _explained(effects: Mapping[str, Any], *places: int) -> str:
    """Say how much of the latencies' variance the additive model explains that the effects are of."""
    shares = [effects["explained"][place] for place in places] if effects.get("explained") else []
    if not shares or None in shares:
        return "."
    both = " and ".join(dict.fromkeys(f"{100 * share:.0f}" for share in shares))
    return f"; the additive model explains {both}\u202f% of the variance there."
