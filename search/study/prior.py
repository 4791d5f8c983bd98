"""What is known of latency on A when a search on B begins: by a study, a table, or measurements in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas import backends
from hwnas.backends.backend import known_latency
from hwnas.harness.measurement.measurement import LOAD
from hwnas.harness.pinned import pinned
from hwnas.harness.platform import Platform, parse
from hwnas.harness.store import decoded
from hwnas.search.predictors.adapt import Guess, learned
from hwnas.search.study.stored import load
from hwnas.supernets.contents import Content, combined
from hwnas.supernets.errors import ConfigError, PlatformError, UsageError
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import fault

if TYPE_CHECKING:
    from hwnas.harness.store import Store

# Fewer latencies on A than this say nothing about the others; more than that say little more and take long to learn.
_LEAST, _MOST = 8, 400


def platform_of(source: str, store: Store | None) -> Platform | None:
    """Return the platform that ``source`` of ``prior_of`` names; ``None``: it names a study in the store.

    Raises:
        UsageError: there is neither such a study nor such a platform.
    """
    if store is not None and store.study(source) is not None:
        return None
    try:
        return pinned(parse(source))
    except PlatformError as error:
        raise UsageError(f"transfer from {source!r}: neither a study in the store nor a platform: {error}") from error


@dataclass(frozen=True, eq=False)
class Observed:
    """Latencies on A that a study found, or that were measured there, in the order in which they came.

    Attributes:
        source: the study, or the platform A.
        kind: "study" or "measurements".
        until: where they end in the store, which may have more by the time that a search is resumed: number and time.
        known: vector and latency of each sub-network, by key.
    """

    source: str
    kind: str
    until: tuple[int, str]
    known: Mapping[str, tuple[npt.ArrayLike, float]]

    @property
    def content(self) -> Content:
        """What a search that starts from them knows them by."""
        return Content(self.source, combined([f"{key} {float(value)!r}" for key, (_, value) in self.known.items()]))

    def prior(self, net: SuperNetwork) -> Guess:
        """Return what they say of all sub-networks; raises ``UsageError`` where they are too few."""
        return _learned(net, self.source, list(self.known.values()))


def observed(
    net: SuperNetwork,
    source: str,
    store: Store | None,
    platform: Platform | None = None,
    until: Any = None,
) -> Observed | None:
    """Return what was observed of latencies on A; ``None``: A is a platform that knows them without.

    Args:
        net: the super-network.
        source: see ``prior_of``.
        store: see there.
        platform: see there.
        until: where they ended for the search that is resumed, as its study has it, a number and a time; ``None``: all
            that there are.

    Raises:
        UsageError: there is neither such a study nor such a platform.
        StoreError: what the store has of them is damaged.
    """
    whence, end = platform or platform_of(source, store), None if until is None else (int(until[0]), str(until[1]))
    if whence is None:
        return _of_study(net, source, store, end)
    if isinstance(backends.get(whence.backend), backends.KnowingBackend):
        return None
    return _measured(net, source, whence, store, end)


def prior_of(net: SuperNetwork, source: str, store: Store | None, platform: Platform | None = None) -> Guess:
    """Return latencies on A, from whatever is known of them.

    Args:
        net: the super-network.
        source: a study in the store, which searched it on A, or the platform A: one that knows latencies, or one that
            sub-networks were measured on.
        store: where the study, or the measurements, are kept.
        platform: the platform A, where ``platform_of`` has been asked for it already.

    Raises:
        UsageError: there is neither such a study nor such a platform, or too little is known there.
    """
    found = observed(net, source, store, platform)
    if found is not None:
        return found.prior(net)
    whence = platform or platform_of(source, store)
    assert whence is not None  # noqa: S101 - else it was observed
    backend = backends.get(whence.backend)
    if isinstance(backend, backends.Tabulated):
        table = backend.lookup(net, whence.settings)
        return _learned(net, source, list(zip(table.vectors, table.values, strict=True)))
    assert isinstance(backend, backends.KnowingBackend)  # noqa: S101 - likewise
    return lambda X: known_latency(backend, net, X, whence.settings, source).values


def _of_study(net: SuperNetwork, name: str, store: Store | None, end: tuple[int, str] | None) -> Observed:
    if store is None:
        raise UsageError(f"transfer from {name!r}: expected a store that has the study")
    study = load(store, name, net)
    if study.supernet != net.name:
        raise UsageError(f"transfer from {name!r}: it searched {study.supernet}, this search is of {net.name}")
    # Evaluations are only ever added: those that a search began with are the first ones.
    counted = study.evaluations if end is None else study.evaluations[: end[0]]
    known = {one.key: (one.vector, one.objectives.get("latency", np.nan)) for one in counted}
    return Observed(name, "study", (len(counted), ""), known)


def _measured(
    net: SuperNetwork, source: str, platform: Platform, store: Store | None, end: tuple[int, str] | None
) -> Observed:
    wanted: dict[str, Any] = {"supernet": net.name, "platform": str(platform), "status": "ok"}
    if store is None:
        return Observed(source, "measurements", (0, ""), {})
    records = store.measurements(**wanted, samples=False)
    with decoded(store.name, f"a measurement of {net.name} on {platform}"):
        return Observed(source, "measurements", *_known(net, platform, records, end))


def _known(
    net: SuperNetwork, platform: Platform, records: Sequence[dict[str, Any]], end: tuple[int, str] | None
) -> tuple[tuple[int, str], dict[str, tuple[npt.ArrayLike, float]]]:
    """Return where records of measurements end, and their latencies by key; raises one of ``MALFORMED``."""
    meant = [record for record in records if (record.get("contents") or {}) == platform.settings.contents]
    # What takes the place of an interim value has its number and a later time.
    final = [record for record in meant if not record.get("context", {}).get("interim", False)]
    # What was taken beside a heavy load says how heavy that was.
    final = [record for record in final if LOAD not in record.get("context", {})]
    if end is not None:
        final = [record for record in final if record["id"] <= end[0] and str(record["measured_at"]) <= end[1]]
    known = {str(record["key"]): (_vector(net, record), _stored(record)) for record in final}
    last = max((record["id"] for record in final), default=0)
    return (last, max((str(one["measured_at"]) for one in final), default="")), known


def _vector(net: SuperNetwork, record: Mapping[str, Any]) -> npt.ArrayLike:
    try:
        found: npt.ArrayLike = net.space.encode(record["config"])[0]
    except ConfigError as error:
        raise ValueError(f"number {record['id']}: {error}") from None
    return found


def _stored(record: Mapping[str, Any]) -> float:
    """Return the latency in a stored measurement; raises ``ValueError`` where it can be none."""
    reason = fault(record["latency_s"], time=True)
    if reason is not None:
        raise ValueError(f"number {record['id']}: latency_s: {reason}")
    return float(record["latency_s"])


def _learned(net: SuperNetwork, source: str, known: Sequence[tuple[npt.ArrayLike, float]]) -> Guess:
    there = [(vector, value) for vector, value in known if np.isfinite(value)]
    if len(there) < _LEAST:
        raise UsageError(f"transfer from {source!r}: expected at least {_LEAST} latencies there, got {len(there)}")
    rows = np.random.default_rng(0).permutation(len(there))[:_MOST]
    X = net.space.canonical(np.array([there[row][0] for row in rows], dtype=np.int64))
    return learned(net.space, X, np.array([there[row][1] for row in rows]))
