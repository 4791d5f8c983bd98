"""Say how few measurements on each platform are enough to predict its latencies, and where none are, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwnas.search.transfer.sentence import Name, Sentence, ceiling_of, known, names, settled
from hwnas.search.words import against


def enough(result: Mapping[str, Any]) -> Iterator[Sentence]:
    """Return a sentence on the platforms that are known with so many measurements, and one on the others.

    Where two runs of a platform do not agree as well as is asked of the predictor, no predictor can, and the counts are
    of the noise: what stops them is said in place of a count.

    Args:
        result: a transfer's JSON.
    """
    found = result.get("samples_to_adapt") or {}
    if not found.get("adapted"):
        return
    needed, target = from_all(found), found["target_tau"]
    places = [place for place in range(len(needed)) if settled(result, place)]
    noisy = [place for place in places if ceiling_of(result, place, place) < target]
    quiet = [place for place in places if place not in noisy]
    reached = [(place, n) for place in quiet if (n := needed[place]) is not None]
    never = [place for place in quiet if needed[place] is None]
    if reached:
        yield _reached(found, reached)
    if never:
        yield _never(found, never)
    for place in noisy:
        yield (
            "Two runs of ",
            Name(place),
            f" agree at Kendall tau {against(ceiling_of(result, place, place), target)} themselves: ",
            f"with any number of measurements no predictor reaches {target} there.",
        )


def from_all(found: Mapping[str, Any]) -> Sequence[int | None]:
    """Return the measurements that are needed on each platform when all others are known.

    Results of earlier versions know it of single ones: then it is the fewest from one of them.
    """
    if "from_all" in found:
        return [None if one is None else int(one) for one in found["from_all"]]
    singles = known(found["adapted"], lambda i, j: i != j)
    return [min((int(n) for n, _, j in singles if j == place), default=None) for place in range(len(found["adapted"]))]


def _reached(found: Mapping[str, Any], reached: Sequence[tuple[int, int]]) -> Sentence:
    many = len(found["adapted"]) > 2
    others = "those on all others" if many else "those on the other"
    parts: list[str | Name] = [
        f"To predict latencies from {others} (Kendall tau {found['target_tau']} on {found['held_out']} held out), "
    ]
    for number, (place, n) in enumerate(reached):
        joined = "" if not number else " and " if number == len(reached) - 1 else ", "
        first = not number
        parts += [f"{joined}{n}{' measurements' if first else ''} on ", Name(place), _without(found, place, n)]
    verb = "are" if len(reached) > 1 or reached[0][1] > 1 else "is"
    return (*parts, f" {verb} enough.")


def _without(found: Mapping[str, Any], place: int, n: int) -> str:
    """Say what the same takes where nothing is known; the rows to measure are chosen there too."""
    alone = found["alone"][place]
    if alone is None:
        return f" (more than {found['most_tried']} without them)"
    return f" ({alone} without them{'' if alone > n else ' too' if alone == n else ', which is fewer'})"


def _never(found: Mapping[str, Any], never: Sequence[int]) -> Sentence:
    reached = found.get("reached")
    most = f"{found['most_tried']} measurements"
    # Results of earlier versions do not know how far it comes.
    if not reached:
        return ("On ", *names(never), f", {most} are not enough.")
    ends = [against(reached[place], found["target_tau"]) for place in never]
    how_far = ends[0] if len(ends) == 1 else f"{', '.join(ends[:-1])} and {ends[-1]}"
    there = "" if len(ends) == 1 else ", in this order"
    return (
        "On ",
        *names(never),
        f", all {most} that could be tried are not enough: tau comes to {how_far}{there}.",
    )
