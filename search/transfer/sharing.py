"""Say which platforms can share one search, and where noise or too few sub-networks leave that open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwnas.search.transfer.decision import ALIKE, DIFFERENT, FEW, NOISE, UNKNOWN
from hwnas.search.transfer.grouping import SHARED_TAU
from hwnas.search.transfer.sentence import Name, Sentence, ceiling_of, known, names, run_to_run
from hwnas.search.words import against, listed, percent, quieter

# More names than these in a row are counted.
_NAMED = 4


def sharing(result: Mapping[str, Any], *, carried: bool) -> Iterator[Sentence]:
    """Say which platforms order sub-networks alike.

    Args:
        result: a transfer's JSON.
        carried: all fronts are as good elsewhere.
    """
    n_platforms = len(result["platforms"])
    found = [list(group) for group in result.get("groups") or [[index] for index in range(n_platforms)]]
    taus = known(result["kendall_tau"], lambda i, j: j < i)
    orders = _orders(result, found)
    if not taus:
        yield ("No pair of platforms shares enough measured sub-networks to compare their orders.",)
    elif len(found) == 1:
        everybody = "Both" if n_platforms == 2 else f"All {n_platforms}"
        yield (f"{everybody} platforms order sub-networks alike ({_tau(result, found[0])}): search once.",)
    elif all(orders[i][j] == DIFFERENT for _, i, j in taus) and len(found) == n_platforms:
        yield from _different(result, taus, carried=carried)
    elif n_platforms == 2:
        yield _undecided(result, orders[0][1])
    else:
        yield from _some_alike(result, found, orders)


def _orders(result: Mapping[str, Any], found: Sequence[Sequence[int]]) -> list[list[str]]:
    """Return what is known of each pair; results of earlier versions say it by their groups and intervals alone."""
    if result.get("orders"):
        return [list(row) for row in result["orders"]]
    places = range(len(result["platforms"]))
    together = {(i, j) for group in found for i in group for j in group}
    return [[ALIKE if (i, j) in together else _by_interval(result, *sorted((i, j))) for j in places] for i in places]


def _by_interval(result: Mapping[str, Any], i: int, j: int) -> str:
    interval = (result.get("intervals") or {}).get("kendall_tau")
    if result["kendall_tau"][i][j] is None:
        return UNKNOWN
    high = interval["high"][i][j] if interval else None
    # Groups of more than two have always been told by the values alone.
    open_ = high is not None and high >= SHARED_TAU and len(result["platforms"]) == 2
    return FEW if open_ else DIFFERENT


def _undecided(result: Mapping[str, Any], order: str) -> Sentence:
    if order == NOISE:
        return (
            "Too noisy to tell whether the platforms order sub-networks alike: ",
            f"{_noise(result, [0, 1])} ({_tau(result, [0, 1])}); {_quieter(result)}.",
        )
    return (
        f"Whether one search serves both cannot be decided with {result['n_shared']} sub-networks ",
        f"({_tau(result, [0, 1])}); with {SHARED_TAU} or more it would.",
    )


def _noise(result: Mapping[str, Any], places: Sequence[int]) -> str:
    """Spell how many measurements of some platforms differ by how much from run to run."""
    noise = result["noise"]
    n, unstable, loaded = (sum(noise[what][place] for place in places) for what in ("measured", "unstable", "loaded"))
    kinds = [f"{unstable} of them unstable"] * (unstable > 0) + [f"{loaded} beside other programs"] * (loaded > 0)
    some = "".join(f", {kind}" for kind in kinds) + "," * bool(kinds)
    return f"these {n} measurements{some} differ by {percent(run_to_run(result, places))} from run to run"


def _quieter(result: Mapping[str, Any]) -> str:
    return quieter(result["noise"].get("effort"))


def _some_alike(
    result: Mapping[str, Any], found: Sequence[Sequence[int]], orders: Sequence[Sequence[str]]
) -> Iterator[Sentence]:
    for group in (group for group in found if len(group) > 1):
        yield (*names(group), f" can share one search: they order sub-networks alike ({_tau(result, group)}).")
    alone = [group[0] for group in found if len(group) == 1]
    others = {place: {order for j, order in enumerate(orders[place]) if j != place} for place in alone}
    apart = [place for place in alone if others[place] <= {DIFFERENT}]
    noisy = [place for place in alone if NOISE in others[place]]
    few = [place for place in alone if place not in {*apart, *noisy}]
    if len(apart) > _NAMED:
        yield (f"The other {len(apart)} each need their own.",)
    elif apart:
        yield (*names(apart), " needs its own." if len(apart) == 1 else " each need their own.")
    if noisy:
        yield (
            *("Too noisy to tell with whom ", *_listed(noisy)),
            f" could share a search: {_noise(result, noisy)}; {_quieter(result)}.",
        )
    if few:
        yield (
            *("Whether ", *_listed(few)),
            f" could share a search cannot be decided with {result['n_shared']} sub-networks.",
        )


def _listed(places: Sequence[int]) -> Sequence[str | Name]:
    return list(names(places)) if len(places) <= _NAMED else [f"{len(places)} platforms"]


def _different(
    result: Mapping[str, Any], taus: Sequence[tuple[float, int, int]], *, carried: bool
) -> Iterator[Sentence]:
    high, i, j = max(taus)
    tau = _tau(result, [j, i]) if len(taus) == 1 else f"Kendall tau at most {against(high, SHARED_TAU)}"
    nearest: Sentence = () if len(taus) == 1 else (", for ", Name(j), " and ", Name(i))
    differently = ("order sub-networks differently (", tau, *nearest, ")")
    # What a search is for is the front: where fronts carry over, the order of other networks need not.
    if carried:
        yield ("The platforms ", *differently, ", yet their fronts carry over.")
    else:
        yield ("Search on each platform: they ", *differently, ".")


def _tau(result: Mapping[str, Any], group: Sequence[int]) -> str:
    """Spell the least tau within a group; of one pair with its interval, and with what noise allows."""
    tau, interval = result["kendall_tau"], (result.get("intervals") or {}).get("kendall_tau")
    low = min(tau[i][j] for i in group for j in group if i != j)
    if len(group) > 2:
        return f"Kendall tau at least {against(low, SHARED_TAU)}"
    i, j = group
    bounds = [interval[end][i][j] for end in ("low", "high")] if interval else []
    between = " to ".join(against(bound, SHARED_TAU) for bound in bounds if bound is not None)
    sure = f", 95\u202f% interval {between}" if " to " in between else ""
    # Of platforms that are exact it is 1, which goes without saying.
    allowed = f"; noise allows {against(ceiling_of(result, i, j), SHARED_TAU)}" if run_to_run(result, group) else ""
    return f"Kendall tau {against(low, SHARED_TAU)}{sure}{allowed}"


# What is said of a stage, of its pair of platforms that is least alike: the first of these that there is.
_BY_STAGE = {
    DIFFERENT: "differently",
    NOISE: "perhaps differently (too noisy to tell)",
    FEW: "perhaps alike (too few sub-networks to tell)",
    ALIKE: "alike",
}


def by_stage(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """Say of each stage of an inference whether the platforms order sub-networks alike by it."""
    said = [one for stage in result.get("stages") or () if (one := _of_stage(result, stage))]
    if len(said) > 1:
        yield (f"Stage by stage, sub-networks are ordered {listed(said)}.",)


def _of_stage(result: Mapping[str, Any], stage: Mapping[str, Any]) -> str:
    n_platforms = len(result["platforms"])
    taus = known(stage["kendall_tau"], lambda i, j: j < i)
    orders = {stage["orders"][i][j] for _, i, j in taus}
    word = next((words for order, words in _BY_STAGE.items() if order in orders), "")
    if not word:
        return ""
    several = "" if n_platforms == 2 else "at least "
    return f"{word} by {stage['stage']} (Kendall tau {several}{against(min(taus)[0], SHARED_TAU)})"
