"""All that a search's predictors start from: any number of sources, as given or as the store has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.harness.pinned import contents
from hwnas.harness.platform import Platform
from hwnas.search.algorithm import Evaluated
from hwnas.search.objectives import Directions, Objective
from hwnas.search.predictors.adapt import Prior, together
from hwnas.search.study.prior import (
    LEAST,
    MOST,
    Observed,
    observed,
    of_measurements,
    of_study,
    of_table,
    platform_of,
)
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import SearchSpace
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    from hwnas.harness.store import Store

# What stands for every source in the store.
KNOWN = "known"


@dataclass(frozen=True, eq=False)
class Origin:
    """One source of latencies, and if it is a study, of the other objectives that it had.

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
        """Return what it says of all latencies; raises ``UsageError`` where that is asked for and is too little."""
        if self.observed is not None:
            return self.observed.prior(net) if self.asked_for or self.timed else None
        assert self.platform is not None  # noqa: S101 - else it was observed
        return of_table(net, self.name, self.platform)

    @property
    def timed(self) -> bool:
        """It knows enough latencies to say something of others."""
        return self.observed is None or bool(self.observed.hosts)

    def of(self, objective: Objective) -> dict[str, tuple[npt.ArrayLike, float]]:
        """Return the vectors and values that it has of an objective, by key."""
        return {} if self.observed is None else self.observed.of(objective)

    @property
    def until(self) -> list[int | str] | None:
        """Where what was observed ends, as a study's settings have it."""
        return None if self.observed is None else list(self.observed.until)

    @property
    def contents(self) -> dict[str, Content]:
        """What its files hold, and what was observed, by role."""
        found = {} if self.platform is None else contents(self.platform)
        return found if self.observed is None else {**found, self.observed.kind: self.observed.content}

    def described(self, others: Sequence[Objective]) -> str:
        """Return its name and how much it knows, of latencies and of other objectives of the search."""
        if self.observed is None:
            return f"{self.name} (a table)"
        hosts = self.observed.hosts
        among = f" on {len(hosts)} hosts" if len(hosts) > 1 else ""
        counts = [f"{sum(map(len, hosts.values()))} latencies{among}"] if hosts else []
        counts += [f"{len(known)} values of {one.name}" for one in others if (known := self.of(one))]
        return f"{self.name} ({', '.join(counts)})"

    def __str__(self) -> str:
        return self.described(())


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
    """Return the sources of these names, then those that ``hwnas.search.study.known.everything`` has found.

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


def prior_of_all(net: SuperNetwork, found: Sequence[Origin], others: Sequence[Objective]) -> Prior | None:
    """Return what all of them say of the latencies of sub-networks; ``None``: nothing.

    Args:
        net: the super-network.
        found: the sources.
        others: objectives of the search that a source may know instead.

    Raises:
        UsageError: they say too little.
    """
    instead = {origin.name for origin in found if any(origin.of(one) for one in others)}
    priors = [origin.prior(net) for origin in found if origin.timed or origin.name not in instead]
    said = [prior for prior in priors if prior is not None]
    if found and not said and not instead:
        raise UsageError(f"transfer from {KNOWN!r}: no source has {LEAST} latencies; leave it out, or name a platform")
    return together(said) if said else None


def evaluated_by_all(found: Sequence[Origin], objective: Objective, space: SearchSpace) -> Evaluated | None:
    """Return the sub-networks, and their minimised values, that sources have of an objective; ``None``: too few."""
    values = {key: one for origin in found for key, one in origin.of(objective).items()}
    if len(values) < LEAST:
        return None
    rows = list(values.values())
    if len(rows) > MOST:
        rows = [rows[number] for number in np.random.default_rng(0).permutation(len(rows))[:MOST]]
    X = space.canonical(np.array([vector for vector, _ in rows], dtype=np.int64))
    F = np.array([[value] for _, value in rows], dtype=np.float64)
    return X, Directions([objective.maximise]).minimised(F)[:, 0]


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
        found = of_study(net, record["study"], store, end, record.get("latency", True))
        return Origin(record["study"], None, found, asked_for=False)
    platform, held, without = record["platform"], record["contents"], record["without"]
    found = of_measurements(net, platform, held, store, end, without=without)
    return Origin(platform, None, found, asked_for=False)
