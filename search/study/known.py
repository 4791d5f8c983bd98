"""What ``known`` stands for: all that the store has of a super-network, and a search may start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.harness.store import decoded
from hwnas.search.objectives import Objective
from hwnas.search.study.origins import KNOWN
from hwnas.search.study.prior import LEAST, serves
from hwnas.supernets.errors import UsageError
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store


@dataclass(frozen=True)
class Here:
    """Where a search measures, which it does not start from where it starts from all that is known.

    Attributes:
        platform: its canonical string.
        contents: what the files hold that it names.
        fingerprint: of its environment.
    """

    platform: str
    contents: Mapping[str, str]
    fingerprint: str


def everything(
    net: SuperNetwork, store: Store | None, here: Here | None, but: Sequence[str], others: Sequence[Objective] = ()
) -> list[dict[str, Any]]:
    """Return what is in the store of a super-network, as JSON values: platforms first, then studies.

    Of a platform that both was measured and has studies, the latencies are those of which there are more; of several
    studies the longest one's. Of other objectives the longest study of each platform serves, this one among them.

    Args:
        net: the super-network.
        store: the store.
        here: where the search measures: what was measured there is left out; ``None``: it asks for no latency.
        but: sources that are there already.
        others: objectives that studies may know, other than latencies.

    Raises:
        UsageError: there is nothing.
    """
    if store is None:
        raise UsageError(f"transfer from {KNOWN!r}: expected a store that has studies or measurements")
    measured = [one for one in _measured(net, store, here) if one["platform"] not in but] if here is not None else []
    most: dict[str, int] = {}
    for one in measured:
        most[one["platform"]] = max(one.pop("known"), most.get(one["platform"], 0))
    studies = [one for one in _studies(net, store) if one.name not in but]
    timed = _longest([one for one in studies if one.times_elsewhere(here) > max(LEAST - 1, most.get(one.platform, 0))])
    telling = _longest([one for one in studies if one.evaluations >= LEAST and one.knows(others)])
    if not measured and not timed and not telling and not but:
        lacks = f"{LEAST} latencies of {net.name} on any other platform or host; leave it out, or name one that knows"
        if here is None:
            lacks = f"study of {net.name} with {LEAST} evaluations of an objective of this search; leave it out"
        raise UsageError(f"transfer from {KNOWN!r}: the store {store.name} has no {lacks}")
    more = [name for name in telling if name not in timed]
    return [*measured, *({"study": name} for name in timed), *({"study": name, "latency": False} for name in more)]


def _measured(net: SuperNetwork, store: Store, here: Here) -> Iterator[dict[str, Any]]:
    """Return each platform that enough was measured on, with the number of sub-networks that are known there."""
    keys: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, set[str]]] = {}
    with decoded(store.name, f"a measurement of {net.name}"):
        for record in store.measurements(supernet=net.name, status="ok", samples=False):
            held = record.get("contents") or {}
            place = str(record["platform"]), tuple(sorted(held.items()))
            if serves(record):
                hosts = keys.setdefault(place, {})
                hosts.setdefault(str(record.get("fingerprint", "")), set()).add(str(record["key"]))
    for (platform, held_there), hosts in keys.items():
        own = platform == here.platform and dict(held_there) == dict(here.contents)
        others = [len(known) for host, known in hosts.items() if not own or host != here.fingerprint]
        if max(others, default=0) >= LEAST:
            without = here.fingerprint if own else None
            yield {"platform": platform, "contents": dict(held_there), "without": without, "known": max(others)}


@dataclass(frozen=True)
class _Searched:
    """A study of the super-network in the store.

    Attributes:
        name: its name.
        platform: that it searched; "": none.
        evaluations: how many it has.
        objectives: what they come from, by name; nothing where an early version has not said it.
        timed: latency is one of them.
    """

    name: str
    platform: str
    evaluations: int
    objectives: Mapping[str, str]
    timed: bool

    def times_elsewhere(self, here: Here | None) -> int:
        """Return how many latencies it has of another platform; none where no latency is asked for."""
        elsewhere = here is not None and self.platform not in {"", here.platform}
        return self.evaluations if self.timed and elsewhere else 0

    def knows(self, others: Sequence[Objective]) -> bool:
        """Tell whether one of these objectives is one of its own."""
        return any(self.objectives.get(one.name) == one.source for one in others)


def _studies(net: SuperNetwork, store: Store) -> Iterator[_Searched]:
    """Return the studies of a super-network, in the order of the store."""
    for record in store.studies():
        with decoded(store.name, f"study {record.name!r}"):
            searched = record.settings["search"]
            timed = "latency" in {str(one["name"]) for one in searched["objectives"]}
            of_this, sources = searched["supernet"] == net.name, dict(searched.get("sources", {}))
            found = _Searched(record.name, searched["platform"] or "", record.evaluations, sources, timed)
        if of_this:
            yield found


def _longest(studies: Sequence[_Searched]) -> list[str]:
    """Return the longest study of each platform; of several the first."""
    longest: dict[str, _Searched] = {}
    for one in studies:
        if one.platform not in longest or one.evaluations > longest[one.platform].evaluations:
            longest[one.platform] = one
    return [one.name for one in longest.values()]
