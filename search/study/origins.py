"""All that a search's predictor of latency starts from: any number of sources, as given or as the store has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.harness.pinned import contents
from hwnas.harness.platform import Platform
from hwnas.harness.store import decoded
from hwnas.search.predictors.adapt import Prior, together
from hwnas.search.study.prior import LEAST, Observed, observed, of_measurements, of_study, of_table, platform_of, serves
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store

# What stands for every source in the store.
KNOWN = "known"


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


@dataclass(frozen=True, eq=False)
class Origin:
    """One source of latencies.

    Attributes:
        name: the study, or the platform.
        platform: the platform; ``None``: it is a study, or measured on what cannot be had here.
        observed: what was observed there; ``None``: the platform knows latencies.
        asked_for: by name; otherwise it is left out where it turns out to say too little.
    """

    name: str
    platform: Platform | None
    observed: Observed | None
    asked_for: bool = True

    def prior(self, net: SuperNetwork) -> Prior | None:
        """Return what it says of all sub-networks; raises ``UsageError`` where that is asked for and is too little."""
        if self.observed is not None:
            return self.observed.prior(net) if self.asked_for or self.observed.hosts else None
        assert self.platform is not None  # noqa: S101 - else it was observed
        return of_table(net, self.name, self.platform)

    @property
    def until(self) -> list[int | str] | None:
        """Where what was observed ends, as a study's settings have it."""
        return None if self.observed is None else list(self.observed.until)

    @property
    def contents(self) -> dict[str, Content]:
        """What its files hold, and what was observed, by role."""
        found = {} if self.platform is None else contents(self.platform)
        return found if self.observed is None else {**found, self.observed.kind: self.observed.content}

    def __str__(self) -> str:
        if self.observed is None:
            return f"{self.name} (a table)"
        hosts = self.observed.hosts
        among = f" on {len(hosts)} hosts" if len(hosts) > 1 else ""
        return f"{self.name} ({sum(map(len, hosts.values()))} latencies{among})"


def spelled(given: str | Sequence[str] | None) -> str | list[str] | None:
    """Return sources as a study's settings have them: a single one as its name.

    Raises:
        UsageError: one is there twice.
    """
    names = listed(given)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"transfer from {min(twice)!r}: is given twice; expected each source once")
    return None if not names else names[0] if len(names) == 1 else names


def listed(sources: str | Sequence[str] | None) -> list[str]:
    """Return sources as a list, whichever way they are given."""
    return [] if sources is None else [sources] if isinstance(sources, str) else list(sources)


def named(sources: str | Sequence[str] | None) -> list[str]:
    """Return the sources that are given by name, in their order: all but what stands for everything in the store."""
    return [name for name in listed(sources) if name != KNOWN]


def origins(
    net: SuperNetwork, names: Sequence[str], known: Sequence[Mapping[str, Any]], store: Store | None, untils: Any = None
) -> tuple[Origin, ...]:
    """Return the sources of these names, then those that ``everything`` has found.

    Args:
        net: the super-network.
        names: studies in the store, and platforms; see ``hwnas.search.study.prior.observed``.
        known: as ``everything`` returned it.
        store: where studies and measurements are kept.
        untils: where they ended for the study that is resumed: as ``until_of`` returned it for as many sources;
            anything else: all that there is.

    Raises:
        UsageError: a name is neither of a study nor of a platform.
        StoreError: what the store has is damaged.
    """
    n = len(names) + len(known)
    # A single one has its end as it is. Other ends are of other sources, which is found out when all is compared.
    ends = [untils] if n == 1 and not known else untils
    fits = isinstance(ends, list) and len(ends) == n and all(one is None or isinstance(one[0], int) for one in ends)
    ends = ends if fits else [None] * n
    found = [_named(net, name, store, end) for name, end in zip(names, ends, strict=False)]
    return (*found, *(_recorded(net, one, store, end) for one, end in zip(known, ends[len(names) :], strict=True)))


def prior_of_all(net: SuperNetwork, found: Sequence[Origin]) -> Prior | None:
    """Return what all of them say of sub-networks; ``None``: there are none.

    Raises:
        UsageError: they say too little.
    """
    priors = [prior for origin in found if (prior := origin.prior(net)) is not None]
    if found and not priors:
        raise UsageError(f"transfer from {KNOWN!r}: no source has {LEAST} latencies; leave it out, or name a platform")
    return together(priors) if priors else None


def until_of(found: Sequence[Origin], known: bool) -> list[Any] | None:
    """Return where all of them end, as a study's settings have it; ``None``: nothing was observed."""
    ends = [origin.until for origin in found]
    if len(ends) == 1 and not known:
        return ends[0]
    return ends if any(end is not None for end in ends) else None


def contents_of(found: Sequence[Origin], prefix: str) -> dict[str, Content]:
    """Return the contents of all of them, by role; ``prefix`` begins the roles of what a search starts from."""
    return {
        f"{numbered(prefix, number)}{role}": one
        for number, origin in enumerate(found)
        for role, one in origin.contents.items()
    }


def numbered(prefix: str, number: int) -> str:
    """Return how the roles of the contents of a source begin, by its number from 0."""
    return f"{prefix}{number + 1}: " if number else prefix


def _named(net: SuperNetwork, name: str, store: Store | None, end: Any) -> Origin:
    platform = platform_of(name, store)
    return Origin(name, platform, observed(net, name, store, platform, end))


def _recorded(net: SuperNetwork, record: Mapping[str, Any], store: Store | None, end: Any) -> Origin:
    if "study" in record:
        return Origin(record["study"], None, of_study(net, record["study"], store, end), asked_for=False)
    platform, held, without = record["platform"], record["contents"], record["without"]
    found = of_measurements(net, platform, held, store, end, without=without)
    return Origin(platform, None, found, asked_for=False)


# --- everything in the store -----------------------------------------------------------------------------------------


def everything(net: SuperNetwork, store: Store | None, here: Here, but: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is in the store of a super-network's latencies, as JSON values: platforms first, then studies.

    Of a platform that both was measured and has studies, that is taken which knows more sub-networks; of several
    studies the longest one.

    Args:
        net: the super-network.
        store: the store.
        here: where the search measures: what was measured there is left out.
        but: sources that are there already.

    Raises:
        UsageError: there is nothing.
    """
    if store is None:
        raise UsageError(f"transfer from {KNOWN!r}: expected a store that has studies or measurements")
    measured = [one for one in _measured(net, store, here) if one["platform"] not in but]
    most: dict[str, int] = {}
    for one in measured:
        most[one["platform"]] = max(one.pop("known"), most.get(one["platform"], 0))
    studies = {name: n for name, n in _studies(net, store, here, most) if name not in but}
    if not measured and not studies and not but:
        raise UsageError(
            f"transfer from {KNOWN!r}: the store {store.name} has no {LEAST} latencies of {net.name} on any other "
            "platform or host; leave it out, or name a platform that knows latencies"
        )
    return [*measured, *({"study": name} for name in studies)]


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


def _studies(net: SuperNetwork, store: Store, here: Here, most: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Return the longest study of each other platform that it knows more of than was measured there."""
    longest: dict[str, tuple[str, int]] = {}
    for record in store.studies():
        with decoded(store.name, f"study {record.name!r}"):
            searched = record.settings["search"]
            platform, objectives = searched["platform"], {str(one["name"]) for one in searched["objectives"]}
            other = searched["supernet"] == net.name and platform not in (None, here.platform)
        if other and "latency" in objectives and record.evaluations > max(LEAST - 1, most.get(platform, 0)):
            name, n = longest.get(platform, ("", 0))
            longest[platform] = max((record.name, record.evaluations), (name, n), key=lambda one: one[1])
    yield from longest.values()
